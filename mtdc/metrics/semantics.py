"""Intersection over union of semantic classes, and pixel accuracy (Everingham et al., IJCV 2010; Cordts et al., CVPR 2016).

    IoU_k = C[k, k] / ( sum_j C[k, j] + sum_j C[j, k] - C[k, k] )          C[truth, prediction]: pixels of all frames
    mIoU = mean of IoU_k over classes that are there,   accuracy = trace C / sum C

Shapes      pred_semantics and gt_semantics (H, W) class indices, cut back to the frame; truth 255 = unknown -> ratios 0..1.
Test time   no weights; each frame becomes a K x K matrix of counts.
Differs     nothing; a class that neither truth nor prediction has has no IoU, and doesn't enter the mean.
Cost        one pass over the frame.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import DataError
from ..registry import METRICS
from ..structures import CITYSCAPES_CLASSES, SEMANTICS
from . import DepthMetric


@METRICS.register_module()
class SemanticsMetric(DepthMetric):
    """mIoU and pixel accuracy over the pixels of all frames.

    Args:
        classes: K, the number of classes, as the task's.
        prefix: Put before the names with a slash.

    Raises:
        ValueError: A number of classes that labels of 8 bits can't have.
        DataError: A prediction and its ground truth differ in size, or a class of K or more.
    """

    targets = (SEMANTICS,)
    default_prefix = "semantics"

    def __init__(self, classes: int = len(CITYSCAPES_CLASSES), prefix: str | None = None) -> None:
        super().__init__(prefix=prefix)
        if not 2 <= classes <= int(SEMANTICS.unknown):
            raise ValueError(f"classes must be 2 to {int(SEMANTICS.unknown)}, not {classes}")
        self.classes = classes

    def process(self, data_batch: Any, data_samples: Sequence[Mapping[str, Any]]) -> None:
        """Count each sample of a batch; ``data_samples`` are dicts with pred_semantics, gt_semantics and sample_id."""
        for sample in data_samples:
            prediction, truth = self.pair(sample, SEMANTICS)
            known = truth != SEMANTICS.unknown
            prediction, truth = prediction[known], truth[known]
            for name, labels in (("prediction", prediction), ("ground truth", truth)):
                if labels.size and not 0 <= labels.min() <= labels.max() < self.classes:
                    odd = labels[(labels < 0) | (labels >= self.classes)][0]
                    raise DataError(
                        f"{sample['sample_id']}: the {name} of semantics has the class {odd}; expected 0 to "
                        f"{self.classes - 1}, or {int(SEMANTICS.unknown)} for unknown (SemanticsMetric.classes={self.classes})."
                    )
            counts = np.bincount(truth * self.classes + prediction, minlength=self.classes**2)
            self.results.append((str(sample["sample_id"]), counts.reshape(self.classes, self.classes)))

    def compute_metrics(self, results: list[tuple[str, np.ndarray]]) -> dict[str, float]:
        """``miou`` and ``pixel_accuracy`` of the summed counts, and the counts of frames with and without ground truth."""
        measured = {name: counts for name, counts in results if counts.any()}
        self.per_frame = {name: _values(counts) for name, counts in measured.items()}
        number = sum(bool(counts.any()) for _, counts in results)
        frames = {"frames": number, "frames_without_ground_truth": len(results) - number}
        if not number:
            return {**frames}
        return {**_values(np.sum([counts for _, counts in results], axis=0)), **frames}

    def protocol(self) -> dict[str, Any]:
        """Units of each value and the rules of this measurement."""
        return {
            "units": {"miou": "ratio", "pixel_accuracy": "ratio"},
            "classes": self.classes,
            "threshold": f"ground truth != {int(SEMANTICS.unknown)}",
            "averaging": "counts of all pixels of all frames; the mean over classes that are there",
        }


def _values(counts: np.ndarray) -> dict[str, float]:
    right = np.diagonal(counts)
    union = counts.sum(axis=0) + counts.sum(axis=1) - right
    there = union > 0
    return {"miou": float((right[there] / union[there]).mean()), "pixel_accuracy": float(right.sum() / counts.sum())}
