"""Angles between predicted and true surface normals (Eigen and Fergus, ICCV 2015, Table 2; Fouhey et al., ICCV 2013).

    angle = atan2( |n x n*|, n . n* )      mean, median and share below 11.25, 22.5 and 30 degrees, over known pixels

Shapes      pred_normals and gt_normals (3, H, W), cut back to the frame; truth 0 = unknown -> degrees 0..180, ratios.
Test time   no weights; each frame becomes a histogram of angles, so memory does not grow with the maps.
Differs     the median over all pixels of all frames is read off a histogram: right to 0.05 degrees. Lengths don't matter; a
            prediction of length 0 counts as 90 degrees.
Cost        one pass over the frame.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..registry import METRICS
from ..structures import NORMALS
from . import DepthMetric

#: Angles below which a normal is said to be right, degrees.
THRESHOLDS_DEG = (11.25, 22.5, 30.0)
#: Width of the histogram's bins, degrees; every threshold is a border of one.
BIN_DEG = 0.05


@METRICS.register_module()
class NormalsMetric(DepthMetric):
    """Mean and median angle, and the shares of pixels below 11.25, 22.5 and 30 degrees, over the pixels of all frames.

    Args:
        prefix: Put before the names with a slash.

    Raises:
        DataError: A prediction and its ground truth differ in size.
    """

    targets = (NORMALS,)
    default_prefix = "normals"

    def __init__(self, prefix: str | None = None) -> None:
        super().__init__(prefix=prefix)

    def process(self, data_batch: Any, data_samples: Sequence[Mapping[str, Any]]) -> None:
        """Measure each sample of a batch; ``data_samples`` are dicts with pred_normals, gt_normals and sample_id."""
        for sample in data_samples:
            prediction, truth = self.pair(sample, NORMALS)
            angles = angles_deg(prediction, truth)[(truth != 0).any(axis=0)]
            bins = np.minimum(angles / BIN_DEG, 180 / BIN_DEG - 1).astype(np.int64)
            histogram = np.bincount(bins, minlength=round(180 / BIN_DEG)).astype(np.int32)
            values = _values(float(angles.sum()), histogram) if angles.size else None
            self.results.append((str(sample["sample_id"]), float(angles.sum()), histogram, values))

    def compute_metrics(self, results: list[tuple[str, float, np.ndarray, dict[str, float] | None]]) -> dict[str, float]:
        """The values over all known pixels, and the counts of frames with and without ground truth."""
        self.per_frame = {name: values for name, _, _, values in results if values is not None}
        measured = sum(values is not None for *_, values in results)
        counts = {"frames": measured, "frames_without_ground_truth": len(results) - measured}
        if not measured:
            return {**counts}
        histogram = np.asarray(np.sum([one[2] for one in results], axis=0, dtype=np.int64))
        return {**_values(sum(one[1] for one in results), histogram), **counts}

    def protocol(self) -> dict[str, Any]:
        """Units of each value and the rules of this measurement."""
        units = {"mean_angle_deg": "deg", "median_angle_deg": "deg"}
        return {
            "units": {**units, **{_share_name(limit): "ratio" for limit in THRESHOLDS_DEG}},
            "threshold": "ground truth known",
            "averaging": "over the known pixels of all frames",
        }


def angles_deg(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Angles between vectors: ``(3, H, W)`` twice -> ``(H, W)`` degrees; 90 where one has no length."""
    cross = np.linalg.norm(np.cross(first, second, axis=0), axis=0)
    # Not the arc cosine, which loses half of the digits near 0.
    angle = np.degrees(np.arctan2(cross, (first * second).sum(axis=0)))
    lengthless = (first == 0).all(axis=0) | (second == 0).all(axis=0)
    return np.where(lengthless, 90.0, angle)


def _share_name(limit: float) -> str:
    return f"within_{limit:g}_deg".replace(".", "_")


def _values(total: float, histogram: np.ndarray) -> dict[str, float]:
    count, below = int(histogram.sum()), np.cumsum(histogram)
    middle = int(np.searchsorted(below, count / 2))
    before = below[middle] - histogram[middle]
    values = {"mean_angle_deg": total / count}
    values["median_angle_deg"] = float(BIN_DEG * (middle + (count / 2 - before) / histogram[middle]))
    for limit in THRESHOLDS_DEG:
        values[_share_name(limit)] = float(below[round(limit / BIN_DEG) - 1] / count)
    return values
