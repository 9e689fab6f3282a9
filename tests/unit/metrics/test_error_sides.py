"""Sides of the error, by hand."""

import math

import pytest
import torch

from mtdc.errors import DataError
from mtdc.metrics.error_sides import ErrorSides


def sample(name, prediction, truth):
    return {"sample_id": name, "pred_depth": torch.tensor([[prediction]]), "gt_depth": torch.tensor([[truth]])}


def values(*samples, **options):
    metric = ErrorSides(**options)
    metric.process(None, list(samples))
    return metric, metric.compute_metrics(metric.results)


def test_pixels_of_all_frames_are_summed():
    # Behind: 2^2 + 1^2; before: 3^2 and 4^2; one pixel has no truth.
    metric, found = values(
        sample("a", [12.0, 7.0, 99.0], [10.0, 10.0, 0.0]), sample("b", [11.0, 6.0, 10.0], [10.0, 10.0, 10.0])
    )
    assert found == {"behind": pytest.approx(5 / 30), "frames": 2, "frames_without_ground_truth": 0}
    assert metric.per_frame == {"a": {"behind": pytest.approx(4 / 13)}, "b": {"behind": pytest.approx(1 / 17)}}


def test_predictions_are_limited_first():
    _, limited = values(sample("a", [200.0, 0.0], [90.0, 10.9]))
    assert limited["behind"] == pytest.approx(0.5)
    _, free = values(sample("a", [200.0, 0.0], [90.0, 10.9]), clamp_m=None)
    assert free["behind"] == pytest.approx(110**2 / (110**2 + 10.9**2))


def test_no_error_has_no_sides_and_sizes_must_agree():
    _, found = values(sample("a", [10.0], [10.0]))
    assert math.isnan(found["behind"])
    with pytest.raises(DataError, match="a: the depth prediction is"):
        values(sample("a", [10.0, 11.0], [10.0]))
