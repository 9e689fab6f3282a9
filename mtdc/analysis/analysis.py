"""Where models fail, and how they take a worse sensor: everything that the report shows, computed."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from tqdm import tqdm

from ..errors import DataError
from ..metrics.regions import BANDS_M, INDOOR_BANDS_M
from ..structures import DEPTH, GRAY_IMAGE, SEMANTICS, SPARSE_DEPTH
from ..visualization.fields import deviation_tile
from ..visualization.panel import sample_panel
from .bootstrap import interval
from .breakdown import Breakdown, Row
from .calibration import Calibration
from .entries import Entry
from .features import feature_sheet, last_features
from .frames import Frames
from .measuring import Measures
from .predictors import ModelPredictor, Prediction, Predictor, make_predictor
from .robustness import Point, Sweep, fits, measure_step

#: What frames are ranked by, in every protocol that measures depth.
RANKED_BY = "rmse"
#: Where answers are limited to less than this, depth ends within a room.
ROOM_M = 20.0


@dataclass(frozen=True)
class Options:
    """What to look at.

    Args:
        limit: So many frames, spread over the split; None: all.
        sweeps: Robustness curves.
        sweep_frames: Frames of each step of those; None: as many as ``limit`` says.
        worst: Frames with panels, of each model.
        features: Draw features of networks with task streams.
        device: Where networks run; None: a GPU where there is one.
    """

    limit: int | None = None
    sweeps: tuple[Sweep, ...] = ()
    sweep_frames: int | None = None
    worst: int = 3
    features: bool = True
    device: str | None = None


@dataclass
class Judged:
    """One model's results.

    Args:
        name: The model.
        means: Values over all frames, by metric.
        intervals: 95 % interval of each, from frames drawn again.
        per_frame: Each frame's values.
        breakdown: Errors by region.
        calibration: Of its expected error; None where it expects none.
        worst: ``(frame, RMSE, panel)`` of the frames with the largest error, worst first.
        features: Pictures of its streams; None where it has none.
    """

    name: str
    means: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    per_frame: dict[str, dict[str, float]]
    breakdown: list[Row]
    calibration: Calibration | None = None
    worst: list[tuple[str, float, np.ndarray]] = field(default_factory=list)
    features: np.ndarray | None = None


@dataclass
class Analysis:
    """What the report is made from.

    Args:
        models: In the order of the command.
        protocol: How depth was measured, ``units`` among it.
        points: Robustness, all models and steps.
        sweeps: Of which of them there are points.
        frames: Names of the frames.
        notes: What was left out, and why.
    """

    models: list[Judged]
    protocol: dict[str, Any]
    points: list[Point]
    sweeps: list[Sweep]
    frames: list[str]
    notes: list[str]


def analyze(entries: Sequence[Entry], cfg: Config, options: Options) -> Analysis:
    """Judge models on the test data of a config.

    Raises:
        ConfigError, DataError: A model or the data are not what they should be; said before the first frame is completed.
    """
    transforms = cfg.test_dataloader.dataset.get("transforms") or ()
    predictors = [make_predictor(entry, transforms, options.device) for entry in entries]
    frames = Frames(cfg, [row for one in predictors for row in one.inputs], limit=options.limit, extra=True)
    for predictor in predictors:
        predictor.check(frames.names)
    notes: list[str] = []
    sweeps = _possible(cfg, options, predictors, notes)
    sweep_frames = options.sweep_frames or options.limit
    steps = sum(len(sweep.steps) for sweep in sweeps) * min(sweep_frames or len(frames.data), len(frames.data))
    with tqdm(total=len(frames) + steps, unit="frame", desc="frames") as bar:
        models = _judge(predictors, cfg, frames, bar)
        _draw_worst(models, predictors, frames, options.worst)
        if options.features:
            _draw_features(models, entries, frames, options.device, notes)
        points = []
        for sweep in sweeps:
            bar.set_description(f"curve '{sweep.name}'")
            for step in sweep.steps:
                points += measure_step(cfg, predictors, sweep, step, sweep_frames, bar.update)
    protocol = Measures(cfg, frames.data.metainfo).protocol()
    protocol |= {"dataset": frames.data.METAINFO["dataset"], "split": frames.data.split, "frames": len(frames)}
    return Analysis(models, protocol, points, sweeps, frames.names, notes)


def _possible(cfg: Config, options: Options, predictors: Sequence[Predictor], notes: list[str]) -> list[Sweep]:
    """Sweeps that the data allow, tried on a frame before the long work."""
    if not options.sweeps:
        return []
    computing = [predictor for predictor in predictors if predictor.computes]
    left_out = [predictor.name for predictor in predictors if not predictor.computes]
    if left_out:
        notes.append(
            f"Robustness: {', '.join(left_out)} can't be computed again from a worse input, being folders of depth maps."
        )
    possible = []
    for sweep in options.sweeps if computing else ():
        if not fits(sweep, cfg):
            notes.append(f"Robustness over {sweep.axis}: left out, as these frames' points are drawn at random.")
            continue
        try:
            Frames(cfg, [row for one in computing for row in one.inputs], sweep.degradation(sweep.steps[-1]), 1)[0]
        except DataError as error:
            notes.append(f"Robustness over {sweep.axis}: left out: {error}")
            continue
        possible.append(sweep)
    return possible


def _judge(predictors: Sequence[Predictor], cfg: Config, frames: Frames, bar: Any) -> list[Judged]:
    """One pass over the frames, all models on each of them."""
    metainfo = frames.data.metainfo
    protocol = Measures(cfg, metainfo).protocol()
    clamp = None if protocol.get("clamp_m") is None else (protocol["clamp_m"][0], protocol["clamp_m"][1])
    classes = metainfo.get("classes") if frames.has(SEMANTICS) else None
    bands = INDOOR_BANDS_M if clamp is not None and clamp[1] <= ROOM_M else BANDS_M
    measures = [Measures(cfg, metainfo, predictor.name) for predictor in predictors]
    breakdowns = [Breakdown(classes, clamp, bool(protocol.get("hole_filling")), bands) for _ in predictors]
    calibrations: list[Calibration | None] = [None] * len(predictors)
    for item in frames:
        for number, predictor in enumerate(predictors):
            prediction = predictor(item)
            measures[number].add(item, prediction)
            breakdowns[number].add(item, prediction)
            if prediction.deviation is not None:
                calibration = calibrations[number] or Calibration(clamp)
                calibration.add(item, prediction)
                calibrations[number] = calibration
        bar.update()
    models = []
    for number, predictor in enumerate(predictors):
        means, per_frame = measures[number].finish()
        names = [name for name in means if any(name in values for values in per_frame.values())]
        intervals = {name: interval([values[name] for values in per_frame.values() if name in values]) for name in names}
        rows = breakdowns[number].table()
        models.append(
            Judged(predictor.name, {name: means[name] for name in names}, intervals, per_frame, rows, calibrations[number])
        )
    return models


def _draw_worst(models: Sequence[Judged], predictors: Sequence[Predictor], frames: Frames, count: int) -> None:
    """Panels of the frames with the largest error, of each model; they are completed once more rather than kept."""
    number_of = {name: number for number, name in enumerate(frames.names)}
    for judged, predictor in zip(models, predictors, strict=True):
        errors = {name: values[RANKED_BY] for name, values in judged.per_frame.items() if name in number_of}
        for name in heapq.nlargest(count, errors, key=lambda one: errors[one]):
            item = frames[number_of[name]]
            judged.worst.append((name, errors[name], _panel(item, predictor(item))))


def _panel(item: dict[str, Any], prediction: Prediction) -> np.ndarray:
    sample = item["data_samples"]
    photo = sample.get(GRAY_IMAGE.target_key)
    if photo is not None and bool((photo < 0).all()):
        photo = None
    return sample_panel(
        _numpy(item["inputs"][SPARSE_DEPTH.name])[0],
        prediction.depth,
        ground_truth=_numpy(sample.get(DEPTH.target_key))[0],
        image=None if photo is None else _numpy(photo).transpose(1, 2, 0),
        others=[] if prediction.deviation is None else [deviation_tile(prediction.deviation)],
    )


def _draw_features(
    models: Sequence[Judged], entries: Sequence[Entry], frames: Frames, device: str | None, notes: list[str]
) -> None:
    """The first frame's features, of models that have task streams; of whole models, with the image's stream too."""
    without = []
    for judged, entry in zip(models, entries, strict=True):
        features = {}
        if entry.config is not None:
            features = last_features(ModelPredictor(entry, device, strip=False), frames[0])
        if features:
            judged.features = feature_sheet(features)
        else:
            without.append(judged.name)
    if without:
        notes.append(f"Features: none of {', '.join(without)}, which have no task streams.")


def _numpy(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().float().cpu().numpy()
