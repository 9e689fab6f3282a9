"""How errors grow as the sensor gets worse: fewer points, fewer LiDAR lines (Lu et al., CVPR 2020, Fig. 8a and b)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mmengine.config import Config

from ..errors import ConfigError, did_you_mean
from .bootstrap import interval
from .frames import Frames
from .measuring import Measures
from .predictors import Predictor


@dataclass(frozen=True)
class Sweep:
    """One way in which the input gets worse, step by step.

    Args:
        name: As commands and files call it.
        axis: What the steps are, for a plot's axis.
        steps: Values along that axis; the first one is the frame as it is.
        degradation: Configs of the transforms of a step.
    """

    name: str
    axis: str
    steps: tuple[float, ...]
    degradation: Callable[[float], tuple[dict[str, Any], ...]]


def _dropped(ratio: float) -> tuple[dict[str, Any], ...]:
    return ({"type": "RandomPointDropout", "ratio": ratio},) if ratio else ()


def _lines(lines: float) -> tuple[dict[str, Any], ...]:
    return ({"type": "LidarLines", "lines": int(lines)},) if lines < 64 else ()


SWEEPS = {
    sweep.name: sweep
    for sweep in (
        Sweep("drop", "share of points dropped", (0.0, 0.25, 0.5, 0.75, 0.9, 0.97), _dropped),
        Sweep("lines", "LiDAR lines", (64, 32, 16, 8, 4), _lines),
    )
}


@dataclass(frozen=True)
class Point:
    """One model at one step of a sweep.

    Args:
        sweep, step: Which.
        model: Its name.
        values: Means over frames, by metric.
        low, high: Bounds of 95 % intervals of those means, from frames drawn again with replacement; NaN for one frame.
        frames: How many were measured.
    """

    sweep: str
    step: float
    model: str
    values: Mapping[str, float]
    low: Mapping[str, float]
    high: Mapping[str, float]
    frames: int


def find_sweeps(names: Sequence[str]) -> list[Sweep]:
    """Sweeps by name.

    Raises:
        ConfigError: There is none of that name.
    """
    for name in names:
        if name not in SWEEPS:
            raise ConfigError(f"no robustness curve is called '{name}'.{did_you_mean(name, SWEEPS)}")
    return [SWEEPS[name] for name in names]


def fits(sweep: Sweep, cfg: Config) -> bool:
    """Whether a sweep says something about a config's frames: points drawn at random lie on no lines."""
    transforms = cfg.test_dataloader.dataset.get("transforms") or ()
    return sweep.name != "lines" or not any(one["type"] == "SamplePoints" for one in transforms)


def measure_step(
    cfg: Config,
    predictors: Sequence[Predictor],
    sweep: Sweep,
    step: float,
    limit: int | None = None,
    each_frame: Callable[[], None] = lambda: None,
) -> list[Point]:
    """Measure models that compute their answer at one step; folders of predictions are left out.

    Args:
        cfg: As :func:`~mtdc.analysis.frames.data_config` gives it.
        limit: So many frames.
        each_frame: Called after each frame, for progress.

    Raises:
        DataError: The frames lack what the sweep needs (intrinsics for lines), or no point is left in one.
    """
    computing = [predictor for predictor in predictors if predictor.computes]
    frames = Frames(cfg, [row for predictor in computing for row in predictor.inputs], sweep.degradation(step), limit)
    measures = [Measures(cfg, frames.data.metainfo, predictor.name) for predictor in computing]
    for item in frames:
        for predictor, measure in zip(computing, measures, strict=True):
            measure.add(item, predictor(item))
        each_frame()
    return [
        _point(sweep.name, step, predictor.name, *measure.finish())
        for predictor, measure in zip(computing, measures, strict=True)
    ]


def _point(sweep: str, step: float, model: str, means: Mapping[str, float], per_frame: Mapping[str, dict[str, float]]) -> Point:
    # Counts are no errors.
    names = [name for name in means if any(name in values for values in per_frame.values())]
    bounds = {name: interval([values[name] for values in per_frame.values() if name in values]) for name in names}
    low, high = ({name: bounds[name][side] for name in names} for side in (0, 1))
    return Point(sweep, step, model, {name: means[name] for name in names}, low, high, len(per_frame))
