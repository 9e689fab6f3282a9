"""Sides of the error, by hand."""

import math

import pytest
import torch

from mtdc.engine.runs import protocol_of
from mtdc.errors import DataError
from mtdc.metrics.error_sides import ErrorSides
from mtdc.metrics.kitti import KittiDepthMetric


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


def test_beside_another_metric_each_says_how_it_measures():
    beside = protocol_of([KittiDepthMetric(clamp_m=(0.9, 80.0)), ErrorSides(clamp_m=(0.9, 80.0), prefix="sides")])
    assert beside["averaging"] == "mean over frames of the frame's value"
    assert beside["sides/averaging"] == "sums over all pixels of all frames"
    assert (beside["clamp_m"], "sides/clamp_m" in beside) == (
        KittiDepthMetric(clamp_m=(0.9, 80.0)).protocol()["clamp_m"],
        False,
    )
    assert (beside["units"]["rmse"], beside["units"]["sides/behind"]) == ("mm", "ratio")
