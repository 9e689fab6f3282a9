"""Depth of several models measured with the same metrics, frame by frame."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from mmengine.config import Config

from ..engine.runs import named, of_depth, protocol_of
from ..errors import DataError
from ..metrics import DepthMetric
from ..registry import METRICS, build
from ..structures import DEPTH
from .predictors import Prediction

#: Metrics where more is better; of all others less is.
RISING = ("delta1", "delta2", "delta3")


def rises(name: str) -> bool:
    """Whether more of a metric is better; a metric's prefix doesn't matter."""
    return name.rpartition("/")[2] in RISING


class Measures:
    """The depth metrics of a config's ``test_evaluator``, for one model.

    Args:
        cfg: The config whose data are used.
        metainfo: Names of the data set's classes and the like.
        name: The model, for messages.
    """

    def __init__(self, cfg: Config, metainfo: Mapping[str, Any] | None = None, name: str = "the model") -> None:
        self.name = name
        self.metrics: list[DepthMetric] = [build(METRICS, one, "test_evaluator") for one in of_depth(cfg.test_evaluator)]
        for metric in self.metrics:
            metric.dataset_meta = dict(metainfo or {})

    def add(self, item: Mapping[str, Any], prediction: Prediction) -> None:
        """Measure one frame's answer.

        Raises:
            DataError: It holds values that are no numbers.
        """
        if not np.isfinite(prediction.depth).all():
            name = item["data_samples"].sample_id
            raise DataError(
                f"{self.name} answers frame {name} with values that are no numbers; nothing can be measured from them."
            )
        sample = item["data_samples"]
        values = {key: value for key, value in sample.items() if key.startswith("gt_")}
        values |= {key: value for key, value in item["inputs"].items() if key not in values}
        values |= {DEPTH.prediction_key: torch.from_numpy(prediction.depth)[None], "sample_id": sample.sample_id}
        for metric in self.metrics:
            metric.process({"inputs": {key: [value] for key, value in item["inputs"].items()}}, [values])

    def finish(self) -> tuple[dict[str, float], dict[str, dict[str, float]]]:
        """Means over frames as the protocol says, and each frame's values."""
        means: dict[str, float] = {}
        per_frame: dict[str, dict[str, float]] = {}
        for metric in self.metrics:
            values = metric.compute_metrics(metric.results)
            means |= {named(metric, name): value for name, value in values.items()}
            for frame, numbers in metric.per_frame.items():
                per_frame.setdefault(frame, {}).update({named(metric, name): value for name, value in numbers.items()})
        return means, per_frame

    def protocol(self) -> dict[str, Any]:
        """Units and rules of measuring."""
        return protocol_of(self.metrics)
