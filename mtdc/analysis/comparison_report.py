"""A comparison as a table for the console, Markdown and JSON, and as a plot of accuracy against latency."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from typing import Any

from .comparison import Comparison
from .machine import sentence
from .measuring import rises
from .plots import COLORS, MARKERS

#: Metrics of the table, where the protocol has them; all of them are in the JSON.
SHOWN = ("rmse", "mae", "irmse", "imae", "abs_rel", "delta1")
NONE = "-"
_DECIMALS = {"mm": 1, "1/km": 2}


def table(comparison: Comparison) -> tuple[list[str], list[list[str]]]:
    """Heads and rows of text, the best model first; what isn't known is "-"."""
    units = comparison.protocol["units"]
    metrics = [name for name in units if name.rpartition("/")[2] in SHOWN or name == comparison.metric]
    heads = ["model", *(_headed(name, units[name]) for name in metrics)]
    heads += ["parameters", "at test", "GMACs", "ms a frame", "memory MB"]
    rows = []
    for name in comparison.ranked:
        costs = comparison.costs[name]
        time = NONE if costs.ms is None else f"{costs.ms['median']:.0f} ({costs.ms['p10']:.0f}-{costs.ms['p90']:.0f})"
        rows.append([
            name,
            *(_number(comparison.means[name].get(metric), units[metric]) for metric in metrics),
            _count(costs.parameters_train),
            _count(costs.parameters_test),
            NONE if costs.macs is None else f"{costs.macs / 1e9:.3g}",
            time,
            NONE if costs.memory_bytes is None else f"{costs.memory_bytes / 1e6:.0f}",
        ])  # fmt: skip
    return heads, rows


def differences_table(comparison: Comparison) -> tuple[list[str], list[list[str]]]:
    """Each pair, in the order of the ranking: mean difference, its interval, and whether it is real."""
    unit = comparison.protocol["units"][comparison.metric]
    place = {name: number for number, name in enumerate(comparison.ranked)}
    heads = ["better", "than", _headed(f"difference in {comparison.metric}", unit), "95 % interval", "real"]
    rows = []
    for one in sorted(comparison.differences, key=lambda one: sorted((place[one.first], place[one.second]))):
        turned = place[one.first] > place[one.second]
        names = (one.second, one.first) if turned else (one.first, one.second)
        mean, low, high = (-one.mean, -one.high, -one.low) if turned else (one.mean, one.low, one.high)
        known = math.isfinite(low)
        bounds = f"{_number(low, unit)} to {_number(high, unit)}" if known else NONE
        rows.append([*names, _number(mean, unit), bounds, ("yes" if one.real else "no") if known else NONE])
    return heads, rows


def notes(comparison: Comparison) -> list[str]:
    """How it was measured, in words."""
    frames, drawn = comparison.protocol["frames"], comparison.drawn
    unit = {True: "more", False: "less"}[rises(comparison.metric)]
    words = [
        f"{_counted(frames, 'frame')} with ground truth of {comparison.protocol['dataset']}, split "
        f"{comparison.protocol['split']}; {unit} is better in {comparison.metric}."
    ]
    if comparison.differences:
        words.append(f"Intervals: paired bootstrap over {drawn}, each pair on its own.")
    if comparison.differences and drawn == "frames":
        words[-1] += (
            " Frames of one drive or room are alike, so that they are rather too narrow, and say nothing of other drives."
        )
    if any(one.ms is not None for one in comparison.costs.values()):
        height, width = comparison.size
        words.append(
            f"Costs: one frame of {width}x{height}, stripped models, in turns; median (10 to 90 %). Memory: peak of inference "
            f"beyond what the model holds before. {sentence(comparison.machine)}; "
            f"{_counted(comparison.machine['threads'], 'thread')}."
        )
    return words


def as_text(comparison: Comparison) -> str:
    """Both tables, aligned, and the notes."""
    blocks = [_aligned(*table(comparison), texts=1)]
    if comparison.differences:
        blocks.append(_aligned(*differences_table(comparison), texts=2))
    return "\n\n".join([*blocks, "\n".join(notes(comparison))]) + "\n"


def as_markdown(comparison: Comparison, command: str) -> str:
    """The same for a page."""
    blocks = [_piped(*table(comparison))]
    if comparison.differences:
        blocks.append(_piped(*differences_table(comparison)))
    return "\n\n".join([*blocks, "\n".join(f"- {note}" for note in notes(comparison)), f"    {command}"]) + "\n"


def as_json(comparison: Comparison, command: str) -> dict[str, Any]:
    """Everything, with each frame's values."""
    models = {
        name: {**comparison.means[name], "costs": vars(comparison.costs[name]), "per_frame": comparison.per_frame[name]}
        for name in comparison.ranked
    }
    differences = [{**vars(one), "real": one.real} for one in comparison.differences]
    return {
        "metric": comparison.metric, "models": models, "differences": differences, "drawn": comparison.drawn,
        "protocol": comparison.protocol, "machine": comparison.machine, "size": list(comparison.size),
        "notes": notes(comparison), "command": command,
    }  # fmt: skip


def per_frame_table(comparison: Comparison) -> tuple[list[str], list[list[Any]]]:
    """Columns and rows of a CSV file: a row a model and frame."""
    names = list(comparison.protocol["units"])
    rows = [
        [model, frame, *(values.get(name) for name in names)]
        for model in comparison.ranked
        for frame, values in comparison.per_frame[model].items()
    ]
    return ["model", "frame", *names], rows


def plot_png(comparison: Comparison) -> bytes | None:
    """Accuracy against latency, each model a point with its name; None where none was timed.

    Raises:
        ImportError: matplotlib isn't installed.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    points = [(name, comparison.costs[name].ms, comparison.means[name][comparison.metric]) for name in comparison.means]
    timed = [(name, ms, value) for name, ms, value in points if ms is not None]
    if not timed:
        return None
    figure = Figure(figsize=(7.2, 4.4), dpi=130, layout="constrained")
    axes = figure.add_subplot()
    for number, (name, ms, value) in enumerate(timed):
        color, marker = COLORS[number % len(COLORS)], MARKERS[number % len(MARKERS)]
        bars = [[ms["median"] - ms["p10"]], [ms["p90"] - ms["median"]]]
        axes.errorbar(ms["median"], value, xerr=bars, color=color, marker=marker, markersize=6, capsize=2.5, linewidth=0,
                      elinewidth=1, label=name)  # fmt: skip
    unit = comparison.protocol["units"][comparison.metric]
    height, width = comparison.size
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set(xlabel=f"milliseconds a frame ({width}x{height}, {_counted(comparison.machine['threads'], 'thread')})",
             ylabel=_headed(comparison.metric.upper(), unit))  # fmt: skip
    protocol = comparison.protocol
    axes.set_title(f"{_counted(protocol['frames'], 'frame')} of {protocol['dataset']}, split {protocol['split']}", fontsize=10)
    axes.grid(True, color="#e4e4e4", linewidth=0.8)
    axes.set_axisbelow(True)
    # Beside the axes: names written at points run into each other.
    figure.legend(loc="outside right upper", frameon=False, fontsize=8)
    buffer = io.BytesIO()
    FigureCanvasAgg(figure).print_png(buffer)
    return buffer.getvalue()


def _headed(name: str, unit: str) -> str:
    return name if unit == "ratio" else f"{name}, {unit}"


def _number(value: float | None, unit: str) -> str:
    if value is None or not math.isfinite(value):
        return NONE
    text = f"{value:.{_DECIMALS.get(unit, 4)}f}"
    return text.removeprefix("-") if float(text) == 0 else text


def _counted(number: int, word: str) -> str:
    return f"{number} {word}{'s' * (number != 1)}"


def _count(value: int | None) -> str:
    return NONE if value is None else f"{value:,}"


def _aligned(heads: Sequence[str], rows: Sequence[Sequence[str]], texts: int) -> str:
    widths = [max(len(row[column]) for row in (heads, *rows)) for column in range(len(heads))]
    lines = []
    for row in (heads, *rows):
        cells = [
            cell.ljust(width) if i < texts else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def _piped(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in (heads, ["---"] * len(heads), *rows))
