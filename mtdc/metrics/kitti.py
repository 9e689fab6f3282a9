"""KITTI depth completion: the benchmark's errors over a data set (Uhrig et al., Sparsity Invariant CNNs, 3DV 2017).

    value = 1/N sum_n error(prediction_n, truth_n)      error: rmse, mae, irmse, imae, log_mae, log_rmse, silog, abs_rel, sq_rel

Shapes      pred_depth and gt_depth (1, H, W) metres, cut back to the frame; truth 0 = unknown -> mm, 1/km, plain ratios.
Test time   no weights; each frame becomes nine numbers at once, so memory does not grow with the maps.
Differs     clamp_m limits predictions to the sensor's range first, as the field's papers do; with None it is the benchmark's
            own program. A frame without ground truth is left out of the mean and counted; the benchmark has none such.
Cost        a few passes over the frame, half of them hole filling.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor

from ..errors import DataError
from ..registry import METRICS
from ..structures import DEPTH
from . import DepthMetric
from .functional import BENCHMARK_UNITS, interpolate_background, kitti_errors, mean_of_frames, to_benchmark_units


@METRICS.register_module()
class KittiDepthMetric(DepthMetric):
    """Mean over frames of the benchmark's nine errors, in mm, 1/km and plain ratios.

    Args:
        clamp_m: Predictions are limited to this range after hole filling; None: not at all.
        fill_holes: Fill pixels that the prediction leaves at 0 as the benchmark's program does.

    Raises:
        ValueError: ``clamp_m`` is not two rising numbers from 0 on.
        DataError: A prediction and its ground truth differ in size.
    """

    targets = (DEPTH,)

    def __init__(self, clamp_m: tuple[float, float] | None = (0.9, 100.0), fill_holes: bool = True) -> None:
        super().__init__()
        if clamp_m is not None and not (len(clamp_m) == 2 and 0 <= clamp_m[0] < clamp_m[1]):
            raise ValueError(f"clamp_m={clamp_m!r} must be (nearest, farthest) in metres, as in (0.9, 100.0), or None")
        self.clamp_m = None if clamp_m is None else (float(clamp_m[0]), float(clamp_m[1]))
        self.fill_holes = fill_holes

    def process(self, data_batch: Any, data_samples: Sequence[dict[str, Any]]) -> None:
        """Measure each sample of a batch; ``data_samples`` are dicts with pred_depth, gt_depth and sample_id."""
        for sample in data_samples:
            self.require(sample, (DEPTH.prediction_key, DEPTH.target_key, "sample_id"))
            sample_id = str(sample["sample_id"])
            values = self._measure(_to_map(sample[DEPTH.prediction_key]), _to_map(sample[DEPTH.target_key]), sample_id)
            self.results.append((sample_id, values))

    def _measure(self, prediction: np.ndarray, truth: np.ndarray, sample_id: str) -> dict[str, float] | None:
        if prediction.shape != truth.shape:
            found, expected = ("x".join(map(str, array.shape)) for array in (prediction, truth))
            raise DataError(f"{sample_id}: the depth prediction is {found} (height x width), its ground truth {expected}.")
        if not (truth > 0).any():
            return None
        if self.fill_holes:
            prediction = interpolate_background(prediction)
        if self.clamp_m is not None:
            prediction = np.clip(prediction, *self.clamp_m)
        return to_benchmark_units(kitti_errors(prediction, truth))

    def compute_metrics(self, results: list[tuple[str, dict[str, float] | None]]) -> dict[str, float]:
        """The mean of each error over the frames that have ground truth, and the counts of frames with and without."""
        self.per_frame = {}
        for sample_id, values in results:
            if values is not None:
                self.per_frame[_free_key(sample_id, self.per_frame)] = values
        measured = list(self.per_frame.values())
        means: dict[str, float] = mean_of_frames(measured) if measured else {}
        return {**means, "frames": len(measured), "frames_without_ground_truth": len(results) - len(measured)}

    def protocol(self) -> dict[str, Any]:
        """Units of each value and the rules of this measurement."""
        return {
            "units": dict(BENCHMARK_UNITS),
            "clamp_m": None if self.clamp_m is None else list(self.clamp_m),
            "threshold": "ground truth > 0",
            "hole_filling": self.fill_holes,
            "averaging": "mean over frames of the frame's value",
        }


def _to_map(tensor: Tensor) -> np.ndarray:
    """``(1, H, W)`` or ``(H, W)`` -> ``(H, W)`` float64."""
    array = tensor.detach().cpu().double().numpy()
    return array[0] if array.ndim == 3 else array


def _free_key(sample_id: str, taken: dict[str, dict[str, float]]) -> str:
    """The id, or with a number behind it where two frames share one: no frame may vanish from the mean."""
    key, number = sample_id, 2
    while key in taken:
        key, number = f"{sample_id} ({number})", number + 1
    return key
