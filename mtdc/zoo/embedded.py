"""Frames that the package draws itself, to measure weights with anywhere: no file, the same numbers but for rounding."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch

from ..engine.preparation import build_dataset, build_metrics, unique
from ..model import MultiTaskModel
from ..structures import DEPTH

#: A few streets that no training sees: their split has a name of its own.
DATASET: dict[str, Any] = {"type": "StreetWorld", "length": 4, "size": [192, 640], "split": "zoo", "fresh": False}
#: Relative difference of a value between processors; on one it is a hundred times smaller.
TOLERANCE = 2e-3


def measure(model: MultiTaskModel, metric_cfg: Any, dataset: Mapping[str, Any]) -> dict[str, float]:
    """RMSE and MAE of a model on a data set, in the metric's units, computed in float32 on the processor."""
    metric = build_metrics(metric_cfg, "metric", model)[0]
    for sample in _samples(model, dataset):
        metric.process(None, [sample.to_dict()])
    values = metric.compute_metrics(metric.results)
    return {name: float(values[name]) for name in ("rmse", "mae")}


def depths(model: MultiTaskModel, dataset: Mapping[str, Any]) -> list[np.ndarray]:
    """``(H, W)`` metres of each frame of a data set, computed in float32 on the processor."""
    return [sample.get(DEPTH.prediction_key)[0].double().numpy() for sample in _samples(model, dataset)]


def _samples(model: MultiTaskModel, dataset: Mapping[str, Any]) -> Iterator[Any]:
    data = build_dataset(dataset, "dataset", model, unique([DEPTH]), seed=0)
    precision, model.precision = model.precision, torch.float32
    try:
        for index in range(len(data)):
            item = data[index]
            inputs = {key: [value] for key, value in item["inputs"].items()}
            with torch.inference_mode():
                yield model.eval().test_step({"inputs": inputs, "data_samples": [item["data_samples"]]})[0]
    finally:
        model.precision = precision
