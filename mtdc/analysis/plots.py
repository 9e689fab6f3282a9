"""The report's plots, as SVG text. matplotlib is an optional package."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import ConfigError

#: Colours that people with any colour vision tell apart (Okabe and Ito), and markers for those who print in black.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999999")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
#: (width, height) in inches of a plot; the page shows two beside each other where it is wide.
SIZE = (6.4, 3.6)
#: Where the largest value is so many times the smallest, a plain axis would show the smaller ones as nothing.
LOGARITHMIC_FROM = 20


@dataclass(frozen=True)
class Series:
    """One line of a plot.

    Args:
        name: For the legend.
        x, y: Its points; x are numbers, or words that every series shares.
        low, high: Ends of the error bars, where there are such.
        style: Number of its colour and marker, so that a model looks the same in all plots.
        dashed: Drawn thin and dashed, for comparison.
    """

    name: str
    x: Sequence[Any]
    y: Sequence[float]
    low: Sequence[float | None] | None = None
    high: Sequence[float | None] | None = None
    style: int = 0
    dashed: bool = False


def check_matplotlib() -> None:
    """Refuse before any work what would end without a plot.

    Raises:
        ConfigError: matplotlib isn't installed.
    """
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError as error:
        raise ConfigError(f"the report's plots need matplotlib ({error}); pip install '.[plots]' in the checkout.") from error


def lines(series: Sequence[Series], x_label: str, y_label: str, logarithmic: bool = False, reverse: bool = False) -> str:
    """Lines over numbers, with error bars.

    Args:
        logarithmic: The x axis, in powers of two.
        reverse: x grows to the left, where less is worse.
    """
    with figure() as (axes, text):
        for one in series:
            _line(axes, one, one.x)
        if logarithmic:
            ticks = sorted({value for one in series for value in one.x})
            axes.set_xscale("log", base=2)
            axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        if reverse:
            axes.invert_xaxis()
        axes.set(xlabel=x_label, ylabel=y_label)
        axes.set_ylim(bottom=0)
        finish(axes, len(series))
    return text()


def against(series: Sequence[Series], x_label: str, y_label: str) -> str:
    """One positive number against another of its kind, on logarithmic axes, with the diagonal where both are equal."""
    with figure() as (axes, text):
        for one in series:
            _line(axes, one, one.x)
        ends = [value for one in series for value in (*one.x, *one.y) if value > 0]
        if ends:
            axes.plot((min(ends), max(ends)), (min(ends), max(ends)), color="#bbbbbb", linewidth=1, zorder=0)
            axes.set(xscale="log", yscale="log")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter("{x:g}")
        axes.set(xlabel=x_label, ylabel=y_label)
        finish(axes, len(series))
    return text()


def groups(series: Sequence[Series], x_label: str, y_label: str) -> str:
    """Points of each series over the same words, side by side, with error bars."""
    words = list(dict.fromkeys(word for one in series for word in one.x))
    spread = 0.6 / max(len(series), 1)
    with figure(wide=len(words) * len(series) > 60) as (axes, text):
        for number, one in enumerate(series):
            offset = (number - (len(series) - 1) / 2) * spread
            _line(axes, one, [words.index(word) + offset for word in one.x], connected=False)
        slanted = sum(map(len, words)) > 60
        axes.set_xticks(range(len(words)), words, rotation=35 if slanted else 0, ha="right" if slanted else "center")
        axes.set(xlabel=x_label, ylabel=y_label)
        values = [value for one in series for value in one.y if value > 0]
        if values and max(values) > LOGARITHMIC_FROM * min(values):
            axes.set_yscale("log")
            axes.yaxis.set_major_formatter("{x:g}")
        else:
            axes.set_ylim(bottom=0)
        finish(axes, len(series))
    return text()


def _line(axes: Any, one: Series, x: Sequence[float], connected: bool = True) -> None:
    color, marker = COLORS[one.style % len(COLORS)], MARKERS[one.style % len(MARKERS)]
    if one.dashed:
        axes.plot(x, one.y, color=color, linestyle="--", linewidth=1, label=one.name)
        return
    style: Mapping[str, Any] = {
        "color": color, "marker": marker, "markersize": 4.5, "linewidth": 1.4 if connected else 0, "label": one.name,
    }  # fmt: skip
    if one.low is None or one.high is None:
        axes.plot(x, one.y, **style)
        return
    y = np.asarray(one.y, dtype=float)
    ends = [np.asarray([np.nan if end is None else end for end in side], dtype=float) for side in (one.low, one.high)]
    # A percentile interval need not hold the mean itself.
    bars = np.nan_to_num(np.clip([y - ends[0], ends[1] - y], 0, None))
    axes.errorbar(x, y, yerr=bars, capsize=2.5, elinewidth=1, **style)


@contextmanager
def figure(wide: bool = False) -> Iterator[tuple[Any, Any]]:
    """Axes of a new plot, and what gives it as SVG; :func:`finish` comes last."""
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    # Not through pyplot: no window system, and no state that the user's own plots would see. The salt makes ids, and so the
    # whole file, the same each time.
    with matplotlib.rc_context({"svg.hashsalt": "mtdc", "font.size": 9, "svg.fonttype": "path"}):
        drawn = Figure(figsize=(SIZE[0] * (1.6 if wide else 1), SIZE[1]), layout="constrained")
        canvas = FigureCanvasSVG(drawn)

        def text() -> str:
            buffer = io.StringIO()
            with matplotlib.rc_context({"svg.hashsalt": "mtdc", "font.size": 9, "svg.fonttype": "path"}):
                canvas.print_svg(buffer, metadata={"Date": None, "Creator": None})
            return buffer.getvalue()

        yield drawn.add_subplot(), text


def finish(axes: Any, count: int) -> None:
    """Grid, frame, and a legend of ``count`` rows where there is something in the plot."""
    axes.grid(True, axis="y", color="#e4e4e4", linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    if count:
        axes.legend(frameon=False, fontsize=8, ncols=1 + (count > 4))
