"""The KITTI metric as mmengine's evaluator drives it."""

import math

import numpy as np
import pytest
import torch
from mmengine.evaluator import Evaluator

from mtdc.errors import ConfigError, DataError
from mtdc.metrics.kitti import KittiDepthMetric
from mtdc.structures import DepthSample


def sample(name, prediction, truth):
    result = DepthSample(metainfo={"sample_id": name})
    result.pred_depth = torch.as_tensor(prediction, dtype=torch.float32)[None]
    result.gt_depth = torch.as_tensor(truth, dtype=torch.float32)[None]
    return result


def flat(name, prediction, truth, shape=(3, 5)):
    return sample(name, np.full(shape, prediction), np.full(shape, truth))


def evaluate(samples, size=None, batch=2, **options):
    metric = KittiDepthMetric(**options)
    evaluator = Evaluator([metric])
    for start in range(0, len(samples), batch):
        evaluator.process(samples[start : start + batch])
    return evaluator.evaluate(len(samples) if size is None else size), metric


def test_mean_over_frames_in_mm():
    values, metric = evaluate([flat("a", 11, 10), flat("b", 13, 10, (7, 9)), flat("c", 10, 10)])
    assert values["rmse"] == pytest.approx(4000 / 3)
    assert values["imae"] == pytest.approx(1000 * ((1 / 10 - 1 / 11) + (1 / 10 - 1 / 13)) / 3)
    assert (values["frames"], values["frames_without_ground_truth"]) == (3, 0)
    assert {name: errors["rmse"] for name, errors in metric.per_frame.items()} == pytest.approx({"a": 1000, "b": 3000, "c": 0})
    assert set(metric.protocol()["units"]) == set(metric.per_frame["a"])


def test_samples_that_fill_the_last_batch_are_dropped():
    samples = [flat("a", 11, 10), flat("b", 13, 10), flat("c", 15, 10), flat("a", 11, 10)]
    values, metric = evaluate(samples, size=3)
    assert values["rmse"] == pytest.approx(3000)
    assert list(metric.per_frame) == ["a", "b", "c"]


def test_frames_without_ground_truth_are_counted_and_not_averaged():
    values, metric = evaluate([flat("a", 11, 10), flat("empty", 11, 0), flat("b", 13, 10)])
    assert values["rmse"] == pytest.approx(2000)
    assert (values["frames"], values["frames_without_ground_truth"]) == (2, 1)
    assert list(metric.per_frame) == ["a", "b"]


def test_no_ground_truth_at_all_gives_no_error_values():
    values, metric = evaluate([flat("a", 11, 0), flat("b", 11, 0)])
    assert values == {"frames": 0, "frames_without_ground_truth": 2}
    assert metric.per_frame == {}


def test_only_known_pixels_count():
    truth = np.zeros((3, 5))
    truth[1, 2] = 10
    prediction = np.full((3, 5), 70.0)
    prediction[1, 2] = 12
    assert evaluate([sample("a", prediction, truth)])[0]["rmse"] == pytest.approx(2000)


def test_clamp_limits_predictions_after_holes_are_filled():
    truth = np.array([[80.0, 80.0, 80.0]])
    prediction = np.array([[500.0, 0.0, 90.0]])
    assert evaluate([sample("a", prediction, truth)])[0]["mae"] == pytest.approx(1000 * (20 + 10 + 10) / 3)
    assert evaluate([sample("a", prediction, truth)], clamp_m=None)[0]["mae"] == pytest.approx(1000 * (420 + 10 + 10) / 3)
    unfilled = evaluate([sample("a", prediction, truth)], clamp_m=None, fill_holes=False)[0]
    assert unfilled["mae"] == pytest.approx(1000 * (420 + 81 + 10) / 3)
    near = evaluate([sample("a", [[0.1]], [[1.0]])])[0]
    assert near["mae"] == pytest.approx(100, rel=1e-4)


def test_protocol_says_what_was_done():
    assert KittiDepthMetric().protocol()["clamp_m"] == [0.9, 100.0]
    protocol = KittiDepthMetric(clamp_m=None, fill_holes=False).protocol()
    assert protocol["clamp_m"] is None
    assert protocol["hole_filling"] is False


def test_nan_in_a_prediction_is_seen():
    prediction = np.full((3, 5), 10.0)
    prediction[1, 1] = np.nan
    values, _ = evaluate([sample("a", prediction, np.full((3, 5), 10.0)), flat("b", 10, 10)])
    assert math.isnan(values["rmse"])


def test_frames_of_the_same_name_all_count():
    values, metric = evaluate([flat("a", 11, 10), flat("a", 13, 10)])
    assert values["frames"] == 2
    assert values["rmse"] == pytest.approx(2000)
    assert list(metric.per_frame) == ["a", "a (2)"]


def test_missing_prediction_and_wrong_size_are_named():
    incomplete = flat("a", 1, 1)
    del incomplete.pred_depth
    with pytest.raises(ConfigError, match=r"needs 'pred_depth'.*found: gt_depth, sample_id"):
        evaluate([incomplete])
    with pytest.raises(DataError, match=r"frame_7: the depth prediction is 3x4.*truth 3x5"):
        evaluate([sample("frame_7", np.ones((3, 4)), np.ones((3, 5)))])


@pytest.mark.parametrize("clamp", [(100.0, 0.9), (1.0,), (-1.0, 5.0)])
def test_impossible_clamp_is_refused(clamp):
    with pytest.raises(ValueError, match="clamp_m"):
        KittiDepthMetric(clamp_m=clamp)


def test_bfloat16_predictions_are_measured():
    one = flat("a", 11, 10)
    one.pred_depth = one.pred_depth.bfloat16()
    assert evaluate([one])[0]["rmse"] == pytest.approx(1000)


def test_two_metrics_in_one_evaluator_are_told_apart_by_prefix():
    class Named(KittiDepthMetric):
        default_prefix = "unclamped"

    evaluator = Evaluator([KittiDepthMetric(), Named(clamp_m=None)])
    evaluator.process([flat("a", 200, 80)])
    values = evaluator.evaluate(1)
    assert (values["rmse"], values["unclamped/rmse"]) == pytest.approx((20000, 120000))
    assert values["frames"] == values["unclamped/frames"] == 1
