"""One page of HTML that needs no network and no other file: what an :class:`~mtdc.analysis.analysis.Analysis` found."""

from __future__ import annotations

import base64
import importlib.resources
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import cv2
import jinja2
import numpy as np

from .. import __version__
from . import plots
from .analysis import RANKED_BY, Analysis, Judged
from .breakdown import Row
from .measuring import rises
from .plots import Series

#: Of pictures in the page; depth's colours stay apart at this quality.
JPEG_QUALITY, WIDTH = 88, 1600
#: Longer tables are folded, below their plot.
FOLDED_FROM = 20
#: Titles and texts of the breakdown's groups.
GROUPS = {
    "distance": ("Distance", "True distance of the pixel, in metres."),
    "class": ("Semantic class", "Class of the pixel in the data set's labels."),
    "row": ("Image row", "Rows from the top of the evaluated picture to its bottom."),
    "given": ("Distance to the nearest measured point", "In pixels of the picture; 0 is a measured point itself."),
    "edge": ("Depth edges", "Within 3 pixels of a step of the true depth, and away from all steps."),
}


@dataclass(frozen=True)
class Cell:
    """One number of a table, as text; ``best`` of its column."""

    text: str
    best: bool = False


@dataclass(frozen=True)
class Table:
    """Heads and rows."""

    heads: Sequence[str]
    rows: Sequence[Sequence[Cell]]


@dataclass(frozen=True)
class Part:
    """A title, a picture (a data URI) with its caption, and a table; any of them may be missing."""

    title: str = ""
    text: str = ""
    image: str = ""
    caption: str = ""
    table: Table | None = None
    folded: bool = False


@dataclass(frozen=True)
class Section:
    """A chapter of the page."""

    key: str
    title: str
    text: Sequence[str] = ()
    parts: Sequence[Part] = field(default_factory=list)


def render(analysis: Analysis, command: str = "") -> str:
    """The page."""
    sections = [_overall(analysis), *_breakdown(analysis), *_robustness(analysis), *_calibration(analysis)]
    sections += [*_worst(analysis), *_features(analysis)]
    protocol = {key: value for key, value in analysis.protocol.items() if key != "units" and value is not None}
    protocol |= {"command": command, "mtdc": __version__}
    source = importlib.resources.files(__package__).joinpath("report.html").read_text(encoding="utf-8")
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, undefined=jinja2.StrictUndefined)
    return environment.from_string(source).render(
        title="Depth completion: " + _listed([one.name for one in analysis.models]),
        subtitle=f"{len(analysis.frames)} frames of {analysis.protocol['dataset']}, split {analysis.protocol['split']}",
        sections=sections,
        notes=analysis.notes,
        protocol=Table(("", ""), [(Cell(key.replace("_", " ")), Cell(_words(value))) for key, value in protocol.items()]),
    )


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _words(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_words, value))
    return {True: "yes", False: "no"}.get(value, str(value)) if isinstance(value, bool) else str(value)


# ---- Sections


def _overall(analysis: Analysis) -> Section:
    units = analysis.protocol.get("units", {})
    names = list(dict.fromkeys(name for one in analysis.models for name in one.means))
    best = {
        name: (max if rises(name) else min)(
            (one.means[name] for one in analysis.models if math.isfinite(one.means.get(name, math.nan))), default=None
        )
        for name in names
    }
    several = len(analysis.models) > 1
    rows = [
        [
            Cell(one.name),
            *(Cell(_with_interval(one, name), several and one.means.get(name) == best[name]) for name in names),
        ]
        for one in analysis.models
    ]
    heads = ["", *(f"{name} ({units[name]})" if units.get(name) not in (None, "ratio") else name for name in names)]
    text = (
        "Mean over frames, and the 95 % interval of that mean from frames drawn again with replacement. Frames of one drive "
        "or room are alike, so that the intervals are rather too narrow."
    )
    return Section("overall", "Overall", [text], [Part(table=Table(heads, rows))])


def _with_interval(one: Judged, name: str) -> str:
    if name not in one.means:
        return "–"
    low, high = one.intervals[name]
    shown = number(one.means[name])
    return shown if math.isnan(low) else f"{shown} [{number(low)}, {number(high)}]"


def _breakdown(analysis: Analysis) -> list[Section]:
    parts = []
    for group, (title, text) in GROUPS.items():
        rows = {one.name: [row for row in one.breakdown if row.group == group] for one in analysis.models}
        regions = list(dict.fromkeys(row.region for found in rows.values() for row in found))
        if regions:
            parts.append(_group(title, text, rows, regions))
    text = "RMSE over all of a region's pixels in all frames; bars are 95 % intervals from frames drawn again."
    return [Section("where", "Where the errors are", [text], parts)] if parts else []


def _group(title: str, text: str, rows: Mapping[str, Sequence[Row]], regions: Sequence[str]) -> Part:
    series = [
        Series(
            name,
            [shown_region(row.region) for row in found],
            [row.rmse_mm for row in found],
            [row.low_mm for row in found],
            [row.high_mm for row in found],
            style,
        )
        for style, (name, found) in enumerate(rows.items())
    ]
    by_name = {name: {row.region: row for row in found} for name, found in rows.items()}
    pixels = {row.region: row.pixels for found in rows.values() for row in found}
    total = sum(pixels.values())
    table = []
    for region in regions:
        cells = [Cell(shown_region(region)), Cell(_percent(pixels[region] / total))]
        here = [by_name[name].get(region) for name in by_name]
        for error in ("rmse_mm", "mae_mm"):
            values = [math.nan if row is None else getattr(row, error) for row in here]
            least = min((value for value in values if not math.isnan(value)), default=None)
            cells += [Cell("–" if math.isnan(value) else number(value), len(values) > 1 and value == least) for value in values]
        table.append(cells)
    # Long names may be broken after their underscores.
    broken = [name.replace("_", "_\u200b") for name in by_name]
    heads = ["", "pixels", *(f"{name}: {error}" for error in ("RMSE mm", "MAE mm") for name in broken)]
    picture = _svg(plots.groups(series, title.lower(), "RMSE (mm)"))
    return Part(title, text, picture, f"RMSE by {title.lower()}", Table(heads, table), folded=len(regions) > FOLDED_FROM)


def _robustness(analysis: Analysis) -> list[Section]:
    units = analysis.protocol.get("units", {})
    parts = []
    for sweep in analysis.sweeps:
        points = [point for point in analysis.points if point.sweep == sweep.name]
        for metric in (RANKED_BY, "mae"):
            if not all(metric in point.values for point in points):
                continue
            series = []
            for style, one in enumerate(analysis.models):
                own = [point for point in points if point.model == one.name]
                if own:
                    y, low, high = ([getattr(point, kind)[metric] for point in own] for kind in ("values", "low", "high"))
                    series.append(Series(one.name, [point.step for point in own], y, low, high, style))
            unit = units.get(metric, "")
            lined = sweep.name == "lines"
            y_label = f"{metric.upper()} ({unit})"
            picture = _svg(plots.lines(series, sweep.axis, y_label, logarithmic=lined, reverse=lined))
            rows = [
                [Cell(f"{step:g}"), *(Cell(number(one.y[list(one.x).index(step)])) for one in series)] for step in sweep.steps
            ]
            table = Table([sweep.axis, *(one.name for one in series)], rows)
            parts.append(
                Part(
                    f"{metric.upper()} over {sweep.axis}",
                    image=picture,
                    table=table,
                    caption=f"{metric} over {sweep.axis}",
                )
            )
    text = (
        "The same frames with a worse sensor: points dropped at random, or only every k-th line of the LiDAR, chosen by "
        "elevation angle. Nothing was trained again. Bars are 95 % intervals of the mean over frames."
    )
    return [Section("robustness", "With a worse sensor", [text], parts)] if parts else []


def _calibration(analysis: Analysis) -> list[Section]:
    judged = [(style, one, one.calibration) for style, one in enumerate(analysis.models) if one.calibration is not None]
    if not judged:
        return []
    curves, reliability, rows = [], [], []
    for style, one, calibration in judged:
        c = calibration.curves()
        curves += [
            Series(one.name, c.fractions.tolist(), c.rmse_mm.tolist(), style=style),
            Series(f"{one.name}, by true error", c.fractions.tolist(), c.oracle_mm.tolist(), style=style, dashed=True),
        ]
        bins = calibration.reliability()
        reliability.append(Series(one.name, bins.expected_mm.tolist(), bins.observed_mm.tolist(), style=style))
        within = bins.within
        rows.append(
            [Cell(one.name), *(Cell(f"{value:.4f}") for value in (calibration.ause, calibration.aurg)),
             *(Cell(f"{share:.1%}") for share in within)]
        )  # fmt: skip
    heads = ["", "AUSE (RMSE)", "AURG (RMSE)", "within 1 σ", "within 2 σ"]
    parts = [
        Part(
            "Sparsification",
            "RMSE of what is left when the pixels with the largest expected error are taken away (solid), and with the largest "
            "true error (dashed, the best that any confidence can do). AUSE is the area between them, less is better; AURG "
            "the gain over a random order, more is better.",
            _svg(plots.lines(curves, "share of pixels taken away", "RMSE of the rest (mm)")),
            "sparsification curves",
            Table(heads, rows),
        ),
        Part(
            "Expected and observed error",
            "Pixels in bins of equal count by expected error; on the gray diagonal the model knows its error. "
            "Of a Gaussian's errors 68.3 % lie within one deviation and 95.4 % within two.",
            _svg(plots.against(reliability, "expected error (mm)", "RMSE observed (mm)")),
            "observed RMSE over expected error",
        ),
    ]
    return [Section("confidence", "What the confidence is worth", (), parts)]


def _worst(analysis: Analysis) -> list[Section]:
    parts = [
        Part(f"{one.name}: {frame}", image=jpeg(picture), caption=f"RMSE {number(error)} mm")
        for one in analysis.models
        for frame, error, picture in one.worst
    ]
    text = "The frames with the largest RMSE of each model, the worst first."
    return [Section("worst", "Worst frames", [text], parts)] if parts else []


def _features(analysis: Analysis) -> list[Section]:
    parts = [
        Part(one.name, image=jpeg(one.features), caption=f"first channels of each stream, frame {analysis.frames[0]}")
        for one in analysis.models
        if one.features is not None
    ]
    text = (
        "First channels of each task's stream and of the shared one after the last stage, each from its own 1st to its 99th "
        "percentile (Lu et al., CVPR 2020, Fig. 5)."
    )
    return [Section("features", "Features", [text], parts)] if parts else []


# ---- Numbers, names and pictures


def shown_region(name: str) -> str:
    """A region's name for people: "0_20m" is "0–20 m"."""
    band = re.fullmatch(r"([\d.]+)(?:_([\d.]+)m|m_on)", name)
    if band is None:
        return name.replace("_", " ")
    return f"{band[1]}–{band[2]} m" if band[2] else f"over {band[1]} m"


def number(value: float) -> str:
    """A number with four digits or so, as people read it."""
    if not math.isfinite(value):
        return "undefined"
    size = abs(value)
    if not size:
        return "0"
    return (
        f"{value:.0f}" if size >= 1000 else f"{value:.1f}" if size >= 10 else f"{value:.3f}" if size >= 0.1 else f"{value:.4f}"
    )


def _percent(share: float) -> str:
    return f"{share:.1%}" if share >= 0.01 else f"{100 * share:.2g}%"


def jpeg(picture: np.ndarray) -> str:
    """``(H, W, 3)`` uint8 RGB as a data URI, no wider than the page shows it."""
    if picture.shape[1] > WIDTH:
        size = (WIDTH, max(1, round(picture.shape[0] * WIDTH / picture.shape[1])))
        picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    done, encoded = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    if not done:
        raise ValueError(f"no JPEG of a picture of shape {picture.shape}")
    return _uri("image/jpeg", encoded.tobytes())


def _svg(text: str) -> str:
    # As an image of its own: the ids inside several SVGs would clash in one document.
    return _uri("image/svg+xml", text.encode("utf-8"))


def _uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"
