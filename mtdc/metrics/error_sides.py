"""On which side of the truth a method errs: the part of its squared error that lies behind.

    behind = sum over pixels with prediction > truth of e^2 / sum of e^2        before = 1 - behind

Shapes      pred_depth and gt_depth (1, H, W) metres, cut back to the frame; truth 0 = unknown -> ratio 0..1.
Test time   no weights; each frame becomes two sums.
Differs     from a mean over frames: sums run over all pixels of all frames, as a frame without error has no sides.
Cost        one pass over the frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..errors import DataError
from ..registry import METRICS
from ..structures import DEPTH
from . import DepthMetric


@METRICS.register_module()
class ErrorSides(DepthMetric):
    """Part of the squared error made by predictions farther than the truth; undefined where there is no error.

    At silhouettes it tells a method that lets the far surface win (towards 1) from one that lets the near surface win.

    Args:
        clamp_m: Predictions are limited to this range first; None: not at all.
        prefix: Put before the names with a slash, where it stands beside another metric.

    Raises:
        DataError: A prediction and its ground truth differ in size.
    """

    targets = (DEPTH,)

    def __init__(self, clamp_m: tuple[float, float] | None = (0.9, 100.0), prefix: str | None = None) -> None:
        super().__init__(prefix=prefix)
        self.clamp_m = None if clamp_m is None else (float(clamp_m[0]), float(clamp_m[1]))

    def process(self, data_batch: Any, data_samples: Sequence[dict[str, Any]]) -> None:
        """Measure each sample of a batch; ``data_samples`` are dicts with pred_depth, gt_depth and sample_id."""
        for sample in data_samples:
            self.require(sample, (DEPTH.prediction_key, DEPTH.target_key, "sample_id"))
            prediction, truth = (sample[key].detach().double() for key in (DEPTH.prediction_key, DEPTH.target_key))
            sample_id = str(sample["sample_id"])
            if prediction.shape != truth.shape:
                found, expected = (tuple(array.shape) for array in (prediction, truth))
                raise DataError(f"{sample_id}: the depth prediction is {found}, its ground truth {expected}.")
            known = truth > 0
            if self.clamp_m is not None:
                prediction = prediction.clamp(*self.clamp_m)
            error = (prediction - truth)[known]
            behind, total = float(error.clamp(min=0).square().sum()), float(error.square().sum())
            self.results.append((sample_id, (behind, total) if known.any() else None))

    def compute_metrics(self, results: list[tuple[str, tuple[float, float] | None]]) -> dict[str, float]:
        """The part behind the truth over all frames, and the counts of frames with and without ground truth."""
        measured = {name: sums for name, sums in results if sums is not None}
        self.per_frame = {name: {"behind": _ratio(*sums)} for name, sums in measured.items()}
        counts = {"frames": len(measured), "frames_without_ground_truth": sum(sums is None for _, sums in results)}
        if not measured:
            return {**counts}
        behind, total = (sum(column) for column in zip(*(sums for _, sums in results if sums is not None), strict=True))
        return {"behind": _ratio(behind, total), **counts}

    def protocol(self) -> dict[str, Any]:
        """Unit and rules of this measurement."""
        return {
            "units": {"behind": "ratio"},
            "clamp_m": None if self.clamp_m is None else list(self.clamp_m),
            "threshold": "ground truth > 0",
            "averaging": "sums over all pixels of all frames",
        }


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else float("nan")
