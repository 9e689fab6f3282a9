"""Metrics: pure functions in float64 (``functional``), and one class a protocol that collects frames for mmengine.

The base class is here and not in ``contracts.py`` because it stands on mmengine's evaluator, which no other part needs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from mmengine.evaluator import BaseMetric

from ..errors import ConfigError, DataError
from ..registry import METRICS
from ..structures import Field


@METRICS.contract
class DepthMetric(BaseMetric):  # type: ignore[misc]  # mmengine has no types
    """One protocol of measuring: which fields it compares, how, and what the numbers mean.

    Promises: ``process`` appends exactly one entry a sample, in order (mmengine drops the samples that fill up the last batch
    only then); a frame without ground truth does not enter the mean and is counted; values are in the units that
    ``protocol()["units"]`` names.

    Args:
        collect_device: Where processes gather their results; "gpu" writes no files and works on CPU too.
        prefix: Put before each name with a slash; None: the class's ``default_prefix``, and where that is None the bare names.
    """

    #: Fields whose ground truth it needs, so that the data set loads them.
    targets: tuple[Field, ...]
    #: Of these, the fields whose prediction it measures; None: all.
    measures: tuple[Field, ...] | None = None
    #: Values of each frame by sample id, filled by ``compute_metrics``, in the same units as the mean.
    per_frame: dict[str, dict[str, float]]

    def __init__(self, collect_device: str = "gpu", prefix: str | None = None) -> None:
        # mmengine warns about each metric without a prefix; here that is a choice.
        super().__init__(collect_device=collect_device, prefix=prefix or "none")
        self.prefix = prefix or self.default_prefix
        self.per_frame = {}

    @property
    def predictions(self) -> tuple[Field, ...]:
        """Fields that the network must predict."""
        return self.targets if self.measures is None else self.measures

    def protocol(self) -> dict[str, Any]:
        """How it measures, in plain words and numbers, for the result's file."""
        raise NotImplementedError

    def pair(self, sample: Mapping[str, Any], row: Field) -> tuple[np.ndarray, np.ndarray]:
        """Prediction and ground truth of a field: ``(C, H, W)`` float64, labels ``(H, W)`` int64.

        Raises:
            ConfigError: One is missing.
            DataError: They differ in size.
        """
        self.require(sample, (row.prediction_key, row.target_key, "sample_id"))
        tensors = (sample[key].detach().cpu() for key in (row.prediction_key, row.target_key))
        prediction, truth = (np.asarray(tensor.long() if row.kind == "labels" else tensor.double()) for tensor in tensors)
        if prediction.shape != truth.shape:
            raise DataError(
                f"{sample['sample_id']}: the predicted {row.name} is {prediction.shape}, its ground truth {truth.shape}."
            )
        return prediction, truth

    def require(self, sample: Mapping[str, Any], keys: tuple[str, ...]) -> None:
        """Check that a sample has what is compared.

        Raises:
            ConfigError: A key is missing; the text names it and those that are there.
        """
        for key in keys:
            if key not in sample:
                task = " (has the model a task for it?)" if key.startswith("pred_") else ""
                there = ", ".join(sorted(sample)) or "nothing"
                raise ConfigError(f"{type(self).__name__} needs '{key}' in each sample{task}, found: {there}.")
