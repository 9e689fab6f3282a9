"""Frames that the package draws itself, to measure weights with anywhere: no file, the same numbers but for rounding."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch

from ..engine.preparation import build_dataset, build_metrics, unique
from ..model import MultiTaskModel
from ..structures import DEPTH, DEPTH_CONFIDENCE
from .index import MEASURED, Setting

#: A few frames that no training sees, as their split has a name of its own: streets with a scan, rooms with 500 points. Both
#: have the photo too.
FRAMES: dict[Setting, dict[str, Any]] = {
    "outdoor": {"type": "StreetWorld", "length": 4, "size": [192, 640], "split": "zoo", "fresh": False},
    "indoor": {
        "type": "DrawnRooms",
        "length": 4,
        "size": [228, 304],
        "split": "zoo",
        "transforms": [{"type": "SamplePoints", "points": 500, "fixed": True}],
    },
}
#: Relative difference of a value between processors; on one it is a hundred times smaller.
TOLERANCE = 2e-3
#: Value of models that predict their own deviation: its mean over the frames' pixels.
DEVIATION = "mean_deviation_mm"


def measure(model: MultiTaskModel, metric_cfg: Any, dataset: Mapping[str, Any]) -> dict[str, float]:
    """RMSE and MAE of a model on a data set, in the metric's units, and the mean of the deviation that it predicts, if any.

    Computed in float32 on the processor.
    """
    metric = build_metrics(metric_cfg, "metric", model)[0]
    deviations = []
    for inputs, sample in _samples(model, dataset):
        metric.process({"inputs": inputs}, [sample.to_dict()])
        if DEPTH_CONFIDENCE.prediction_key in sample:
            deviations.append(1000 * float(sample.get(DEPTH_CONFIDENCE.prediction_key).double().mean()))
    values = metric.compute_metrics(metric.results)
    return {name: float(values[name]) for name in MEASURED} | ({DEVIATION: float(np.mean(deviations))} if deviations else {})


def predictions(model: MultiTaskModel, dataset: Mapping[str, Any]) -> Iterator[dict[str, np.ndarray]]:
    """Of each frame of a data set ``{"depth": (H, W) metres}``, and ``depth_confidence`` where it is predicted, in float32."""
    rows = (DEPTH, DEPTH_CONFIDENCE)
    for _, sample in _samples(model, dataset):
        there = (row for row in rows if row.prediction_key in sample)
        yield {row.name: sample.get(row.prediction_key)[0].double().numpy() for row in there}


def _samples(model: MultiTaskModel, dataset: Mapping[str, Any]) -> Iterator[tuple[dict[str, Any], Any]]:
    """Inputs of each frame, as a batch of one has them, and its sample with what the model predicts."""
    data = build_dataset(dataset, "dataset", model, unique([DEPTH]), seed=0)
    precision, model.precision = model.precision, torch.float32
    try:
        for index in range(len(data)):
            item = data[index]
            inputs = {key: [value] for key, value in item["inputs"].items()}
            with torch.inference_mode():
                batch = {"inputs": inputs, "data_samples": [item["data_samples"]]}
                sample = model.eval().test_step(batch)[0]
            yield inputs, sample  # outside the block: it would hold for whoever asked, until the last frame
    finally:
        model.precision = precision
