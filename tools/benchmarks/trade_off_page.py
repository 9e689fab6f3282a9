"""Error against latency as a table of numbers, as Markdown, and as a plot."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mtdc.analysis import plots
from mtdc.analysis.machine import sentence as machine_sentence
from mtdc.analysis.tables import write_csv

from .peers import Method, Peer, judge, machine_factor, on_this_machine, sentence
from .trade_off import Measured

COLUMNS = (
    "method", "kind", "licence", "trained_on_kitti", "frames", "rmse_mm", "mae_mm", "ms", "p10_ms", "p90_ms", "listed_ms",
    "precision",
)  # fmt: skip
#: Inches of the plot: names stand beside their points.
PLOT_SIZE = (10.0, 6.0)
#: Kinds of points: colour and marker by their numbers in plots.COLORS and plots.MARKERS, and what the legend says.
KINDS = {
    "zoo": (1, "model of the zoo"),
    "own": (2, "network of one's own"),
    "classical": (0, "method of mtdc without weights"),
    "peer": (7, "peer that never saw KITTI"),
    "peer K": (6, "peer trained on these frames"),
}
#: Errors above this, in units of the smallest one, are written at the plot's upper edge: they would flatten the rest.
HIGHEST = 2.6
#: The plot's lower edge, in units of the smallest error.
LOWEST = 0.8
#: Size of the names beside the points.
NAME_SIZE = 7


#: Said of a machine that does something else too.
BUSY = "the machine is busy: times are upper bounds, ratios rough."


def busy(machine: Mapping[str, Any]) -> bool:
    """Whether other work takes more than half of the machine's cores."""
    return (machine["load"] or 0) > machine["cores"] / 2


def own_methods(measured: Sequence[Measured]) -> list[Method]:
    """The package's methods as they are judged: models of the zoo, and methods without weights."""
    return [
        Method(one.name, _known(one.values["rmse"]), _known(one.values["mae"]), one.ms["median"], one.kind == "zoo")
        for one in measured
        if one.kind != "reference"
    ]


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value


def reference_times(measured: Sequence[Measured]) -> dict[str, float]:
    """Milliseconds of the references, here and now."""
    return {one.name: one.ms["median"] for one in measured if one.kind == "reference"}


def write_table(path: Path, measured: Sequence[Measured], peers: Sequence[Peer], frames: int) -> None:
    """All that page and plot show, a row a method: ``ms`` is of this machine, ``listed_ms`` a peer's own figure."""
    own = [
        (one.name, one.kind, "", "", frames, one.values["rmse"], one.values["mae"], *one.ms.values(), None, one.precision)
        for one in measured
    ]
    here = on_this_machine(peers, reference_times(measured))
    others = [
        (one.name, "peer", one.licence, "yes" if one.trained_on_kitti else "no", None, one.rmse, one.mae, there.ms, None, None,
         one.ms, "")
        for one, there in zip(peers, here, strict=True)
    ]  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    write_csv(path, COLUMNS, [*_by_error(own), *others])


def _by_error(rows: Sequence[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    place = COLUMNS.index("rmse_mm")
    return sorted(rows, key=lambda row: math.inf if math.isnan(row[place]) else row[place])


def markdown(measured: Sequence[Measured], peers: Sequence[Peer], machine: Mapping[str, Any], command: str) -> str:
    """The page's tables: the package's methods, limits, the machine's factor, and the peers with who beats them."""
    return "\n\n".join(
        (
            f"{machine_sentence(dict(machine))}.{f' At the start {BUSY}' if busy(machine) else ''}\n\n`{command}`",
            _own_table(measured),
            *_limits(measured),
            _factor_table(measured, peers),
            _peer_table(measured, peers),
        )
    ) + "\n"  # fmt: skip


def _own_table(measured: Sequence[Measured]) -> str:
    own = (one for one in measured if one.kind != "reference")
    rows = sorted(own, key=lambda one: math.inf if math.isnan(one.values["rmse"]) else one.values["rmse"])
    return "### The package\n\n" + _table(
        ("method", "kind", "RMSE mm", "MAE mm", "ms", "10 %", "90 %", "computed in"),
        [
            (
                one.name,
                one.kind,
                _text(one.values["rmse"]),
                _text(one.values["mae"]),
                *map(_time, one.ms.values()),
                one.precision,
            )
            for one in rows
        ],
    )


def _limits(measured: Sequence[Measured]) -> list[str]:
    rows = [
        (one.name, _time(one.ms["median"]), f"{one.limit_ms:g}", "yes" if one.ms["median"] <= one.limit_ms else "no")
        for one in measured
        if one.limit_ms is not None
    ]
    head = "### Time limits\n\nModels that read depth alone; the limits are for 2 threads of a processor with AVX512-bf16.\n\n"
    return [head + _table(("model", "ms", "at most", "kept"), rows)] if rows else []


def _factor_table(measured: Sequence[Measured], peers: Sequence[Peer]) -> str:
    ratios, factor = machine_factor(peers, reference_times(measured))
    if factor is None:
        return "### This machine\n\nNo reference was timed: the peers' times are their own figures."
    by_name = {one.name: one for one in measured}
    rows = []
    for peer in peers:
        if peer.reference in ratios:
            own = by_name[peer.reference]
            error, took = own.values["rmse"], own.ms["median"]
            ratio = f"{ratios[peer.reference]:.2f}"
            rows.append((peer.name, _text(peer.rmse), _text(error), _time(peer.ms), _time(took), ratio))
    text = (
        "### This machine\n\nPeers that public packages offer, measured again in this run. That errors agree says that frames "
        "and protocol are the same. The ratio of times is the machine's; its median is "
        f"{factor:.2f}, and times of peers that can't be had here are their own figures times this.\n\n"
    )
    return text + _table(("peer", "RMSE listed", "RMSE here", "ms listed", "ms here", "ratio"), rows)


def _peer_table(measured: Sequence[Measured], peers: Sequence[Peer]) -> str:
    own = own_methods(measured)
    here = on_this_machine(peers, reference_times(measured))
    rows = []
    for peer, there in zip(peers, here, strict=True):
        name = f"{peer.name}{' **K**' if peer.trained_on_kitti else ''}{f' ({peer.note})' if peer.note else ''}"
        rows.append(
            (
                name,
                peer.licence or "-",
                _text(peer.rmse),
                _text(peer.mae),
                _time(peer.ms),
                _time(there.ms),
                sentence(judge(there, own)),
            )
        )
    head = "### The peers\n\nK: trained on these very frames.\n\n"
    return head + _table(
        ("peer", "licence", "RMSE mm", "MAE mm", "ms listed", "ms here", "beaten by, or what is missing"), rows
    )


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join([f"| {' | '.join(heads)} |", "|---" * len(heads) + "|", *(f"| {' | '.join(row)} |" for row in rows)])


def _text(value: float | None) -> str:
    return "-" if value is None or math.isnan(value) else f"{value:.0f}"


def _time(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def plot(measured: Sequence[Measured], peers: Sequence[Peer], threads: int) -> str:
    """RMSE over the time of a frame, on a logarithmic axis, as SVG: to the lower left is better."""
    here = on_this_machine(peers, reference_times(measured))
    points = [(one.kind, one.name, one.ms["median"], one.values["rmse"]) for one in measured if one.kind != "reference"]
    points += [
        ("peer K" if one.trained_on_kitti else "peer", one.name, one.ms, one.rmse)
        for one in here
        if one.ms is not None and one.rmse is not None
    ]
    points = [point for point in points if not math.isnan(point[3])]
    highest = HIGHEST * min((point[3] for point in points), default=1.0)
    with plots.figure(wide=True) as (axes, text):
        axes.figure.set_size_inches(PLOT_SIZE)
        for kind, (style, label) in KINDS.items():
            chosen = [point for point in points if point[0] == kind]
            if not chosen:
                continue
            x, y = [point[2] for point in chosen], [min(point[3], highest) for point in chosen]
            axes.scatter(x, y, color=plots.COLORS[style], marker=plots.MARKERS[style], s=34, label=label, zorder=3)
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter("{x:g}")
        axes.margins(x=0.2)
        axes.set_ylim(LOWEST * min((point[3] for point in points), default=1.0))
        axes.set(xlabel=f"milliseconds a frame, {threads} thread{'s' * (threads > 1)}", ylabel="RMSE, mm")
        timed = [there for there in here if there.ms is not None]
        missing = [there.name for there in timed if judge(there, own_methods(measured)).winner is None]
        if missing:
            said = textwrap.fill(f"No model of the zoo is both faster and more exact than: {', '.join(missing)}.", 110)
            axes.set_title(said, fontsize=8, loc="left")
        plots.finish(axes, len(points))
        names = [name if rmse <= highest else f"{name} ({rmse:.0f})" for _, name, _, rmse in points]
        _write_names(axes, names, [(ms, min(rmse, highest)) for _, _, ms, rmse in points])
        return str(text())


def _write_names(axes: Any, names: Sequence[str], places: Sequence[tuple[float, float]]) -> None:
    """Names beside their points, each where it covers no point and no other name, as far as there is such a place."""
    axes.figure.draw_without_rendering()  # from here on it is known where the axes lie in the figure
    scale = axes.figure.dpi / 72
    points = axes.transData.transform(places) / scale
    taken = [(x - 4, y - 4, x + 4, y + 4) for x, y in points]
    for name, place, (x, y) in zip(names, places, points, strict=True):
        width = 0.55 * NAME_SIZE * len(name)
        best = None
        for shift_y in (3, -9, 12, -18, 21, -27):
            for shift_x in (5, -5 - width):
                box = (x + shift_x, y + shift_y, x + shift_x + width, y + shift_y + NAME_SIZE)
                overlap = sum(_overlap(box, other) for other in taken)
                if best is None or overlap < best[0]:
                    best = (overlap, shift_x, shift_y, box)
        assert best is not None
        _, shift_x, shift_y, box = best
        taken.append(box)
        axes.annotate(name, place, xytext=(shift_x, shift_y), textcoords="offset points", fontsize=NAME_SIZE)


def _overlap(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    """Area that two boxes (left, bottom, right, top) share."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    return max(0.0, width) * max(0.0, height)
