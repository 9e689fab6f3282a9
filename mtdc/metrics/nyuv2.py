"""Indoor depth completion's errors, as on NYUv2 (Eigen et al., NeurIPS 2014; Ma and Karaman, ICRA 2018; Lu et al., CVPR 2020).

    rmse = sqrt(mean e^2)    mae = mean |e|    abs_rel = mean (|e| / truth)    irmse, imae: of 1 / depth
    delta_k = share of pixels with max(prediction / truth, truth / prediction) < 1.25^k,  k = 1, 2, 3

Shapes      pred_depth and gt_depth (1, H, W) metres, cut back to the frame; truth 0 = unknown -> mm, 1/km, plain ratios.
Test time   no weights; each frame becomes eight numbers, and the value is their mean over frames.
Differs     from the tables of papers in units alone: they print RMSE and MAE in metres. The given points are scored like all
            others, as published numbers do; score_given=False leaves them out.
Cost        a few passes over the frame.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from ..errors import ConfigError
from ..registry import METRICS
from ..structures import DEPTH, SPARSE_DEPTH
from . import DepthMetric
from .functional import BENCHMARK_UNITS, kitti_errors, mean_of_frames, to_benchmark_units

_FROM_KITTI = ("rmse", "mae", "irmse", "imae", "abs_rel")
UNITS = {name: BENCHMARK_UNITS[name] for name in _FROM_KITTI} | {f"delta{k}": "ratio" for k in (1, 2, 3)}


def indoor_errors(prediction: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """The eight errors of one frame over the pixels with truth > 0: mm, 1/km and ratios.

    A prediction <= 0 answers nothing: it is within no delta.

    Shapes: ``(H, W)`` metres twice.

    Raises:
        ValueError: The shapes differ, or no pixel has ground truth.
    """
    errors = to_benchmark_units(kitti_errors(prediction, truth))
    values = {name: errors[name] for name in _FROM_KITTI}
    valid = truth > 0
    truth, prediction = truth[valid].astype(np.float64), prediction[valid].astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(prediction > 0, np.maximum(prediction / truth, truth / prediction), np.inf)
    return values | {f"delta{k}": float(np.mean(ratio < 1.25**k)) for k in (1, 2, 3)}


@METRICS.register_module()
class NYUv2DepthMetric(DepthMetric):
    """Mean over frames of the indoor errors, in mm, 1/km and plain ratios.

    Args:
        clamp_m: Predictions are limited to this range first; None: not at all.
        truth_range_m: Ground truth outside it is not scored (VOID: 0.2 to 5 m); None: all that is known is.
        score_given: Also score the pixels whose sparse depth the method was given.
        prefix: Put before the names with a slash.

    Raises:
        ConfigError: A range that is not two rising numbers from 0 on.
        DataError: A prediction and its ground truth differ in size.
    """

    targets = (DEPTH,)

    def __init__(
        self,
        clamp_m: tuple[float, float] | None = (0.1, 10.0),
        truth_range_m: tuple[float, float] | None = None,
        score_given: bool = True,
        prefix: str | None = None,
    ) -> None:
        super().__init__(prefix=prefix)
        for name, limits in (("clamp_m", clamp_m), ("truth_range_m", truth_range_m)):
            if limits is not None and not (len(limits) == 2 and 0 <= limits[0] < limits[1]):
                raise ConfigError(f"NYUv2DepthMetric: {name}={limits!r} must be (nearest, farthest) in metres, or None.")
        self.clamp_m, self.truth_range_m, self.score_given = clamp_m, truth_range_m, score_given

    def process(self, data_batch: Any, data_samples: Sequence[dict[str, Any]]) -> None:
        """Measure each sample of a batch; ``data_samples`` are dicts with pred_depth, gt_depth and sample_id."""
        given = None if self.score_given else _given(data_batch)
        for i, sample in enumerate(data_samples):
            prediction, truth = (array[0] for array in self.pair(sample, DEPTH))
            scored = truth > 0
            if self.truth_range_m is not None:
                scored &= (truth >= self.truth_range_m[0]) & (truth <= self.truth_range_m[1])
            if given is not None:
                height, width = truth.shape
                scored &= given[i].detach().cpu().numpy()[0, :height, :width] == SPARSE_DEPTH.unknown
            if self.clamp_m is not None:
                prediction = np.clip(prediction, *self.clamp_m)
            values = indoor_errors(prediction, np.where(scored, truth, 0.0)) if scored.any() else None
            self.results.append((str(sample["sample_id"]), values))

    def compute_metrics(self, results: list[tuple[str, dict[str, float] | None]]) -> dict[str, float]:
        """The mean of each error over the frames that have ground truth, and the counts of frames with and without."""
        self.per_frame = {}
        for name, values in results:
            if values is not None:
                self.per_frame[self._free_name(name)] = values
        measured = list(self.per_frame.values())
        means = mean_of_frames(measured) if measured else {}
        return {**means, "frames": len(measured), "frames_without_ground_truth": len(results) - len(measured)}

    def _free_name(self, name: str) -> str:
        """The name, or with a number behind it where two frames share one: no frame may vanish from the mean."""
        number, free = 2, name
        while free in self.per_frame:
            free, number = f"{name} ({number})", number + 1
        return free

    def protocol(self) -> dict[str, Any]:
        """Units of each value and the rules of this measurement."""
        limits = "" if self.truth_range_m is None else " and {:g} to {:g} m".format(*self.truth_range_m)
        return {
            "units": dict(UNITS),
            "clamp_m": None if self.clamp_m is None else list(self.clamp_m),
            "threshold": f"ground truth > 0{limits}",
            "given_points": "scored" if self.score_given else "not scored",
            "averaging": "mean over frames of the frame's value",
        }


def _given(data_batch: Any) -> Sequence[Tensor]:
    """Each frame's sparse depth, before the preprocessor padded it, ``(1, H, W)`` each."""
    inputs = data_batch.get("inputs", {}) if isinstance(data_batch, Mapping) else {}
    if SPARSE_DEPTH.name not in inputs:
        raise ConfigError("NYUv2DepthMetric: score_given=False needs the sparse depth, and the network doesn't read it.")
    maps: Sequence[Tensor] = inputs[SPARSE_DEPTH.name]
    return maps
