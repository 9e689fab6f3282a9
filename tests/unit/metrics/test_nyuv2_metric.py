"""The indoor errors against numbers worked out by hand."""

import math

import pytest
import torch

from mtdc.data.preprocessor import BatchPreprocessor
from mtdc.errors import ConfigError, DataError
from mtdc.registry import METRICS, build
from mtdc.structures import DepthSample


def frame(prediction, truth, name="0001"):
    maps = {key: torch.tensor(values)[None] for key, values in (("pred_depth", prediction), ("gt_depth", truth))}
    return {**maps, "sample_id": name}


def measured(frames, batch=None, **options):
    metric = build(METRICS, {"type": "NYUv2DepthMetric", **options}, "evaluator")
    metric.process(batch, frames)
    return metric.compute_metrics(metric.results)


#: Errors -0.5, +0.5, +2 m, and a pixel without truth; ratios 4/3, 1.25 (not within delta 1), 2.
FRAME = frame([[1.5, 2.5, 4.0, 9.0]], [[2.0, 2.0, 2.0, 0.0]])


def test_errors_by_hand():
    values = measured([FRAME])
    assert values["rmse"] == pytest.approx(1000 * math.sqrt((0.25 + 0.25 + 4) / 3))
    assert values["mae"] == pytest.approx(1000.0)
    assert values["abs_rel"] == pytest.approx(0.5)
    assert values["imae"] == pytest.approx(1000 * (1 / 6 + 0.1 + 0.25) / 3)
    # 4/3 is within 1.25^2, 1.25 is not below 1.25, and 2 is above 1.25^3 = 1.953.
    assert (values["delta1"], values["delta2"], values["delta3"]) == pytest.approx((0, 2 / 3, 2 / 3))
    assert values["frames"] == 1


def test_the_value_is_the_mean_of_the_frames_values():
    values = measured([frame([[2.0, 2.0]], [[2.0, 0.0]], "a"), FRAME, frame([[1.0]], [[0.0]], "c")])
    assert values["rmse"] == pytest.approx(500 * math.sqrt(1.5)) and values["delta1"] == 0.5
    assert (values["frames"], values["frames_without_ground_truth"]) == (2, 1)


def test_limits_of_prediction_and_truth():
    assert measured([frame([[50.0]], [[10.0]])])["rmse"] == 0
    assert measured([frame([[0.0]], [[0.5]])])["rmse"] == pytest.approx(400)
    unlimited = measured([frame([[0.0]], [[0.5]])], clamp_m=None)
    assert unlimited["delta3"] == 0 and math.isfinite(unlimited["rmse"])
    both = frame([[1.0, 1.0, 1.0]], [[0.1, 6.0, 2.0]])
    assert measured([both], truth_range_m=(0.2, 5.0))["rmse"] == pytest.approx(1000)


def test_given_points_are_scored_or_not():
    sparse = torch.tensor([[[0.0, 2.0, 0.0, 0.0]]])
    sample = DepthSample(metainfo={"sample_id": "0001"})
    batch = {"inputs": {"sparse_depth": [sparse]}, "data_samples": [sample]}
    assert measured([FRAME], batch, score_given=True)["mae"] == pytest.approx(1000)
    assert measured([FRAME], batch, score_given=False)["mae"] == pytest.approx(1250)
    # A frame that the preprocessor pads is scored by its own pixels.
    wide = {"inputs": {"sparse_depth": [sparse, torch.ones(1, 3, 6)]}, "data_samples": [sample, sample]}
    padded = BatchPreprocessor()(wide)
    assert measured([FRAME], padded, score_given=False)["mae"] == pytest.approx(1250)
    with pytest.raises(ConfigError, match="needs the sparse depth"):
        measured([FRAME], None, score_given=False)
    words = [build(METRICS, {"type": "NYUv2DepthMetric", "score_given": given}, "e").protocol() for given in (True, False)]
    assert [protocol["given_points"] for protocol in words] == ["scored", "not scored"]


def test_what_can_not_be_is_refused():
    with pytest.raises(ConfigError, match="truth_range_m"):
        measured([FRAME], truth_range_m=(5.0, 0.2))
    with pytest.raises(DataError, match="0001"):
        measured([frame([[1.0]], [[1.0, 2.0]])])


def test_frames_of_one_name_all_count():
    values = measured([frame([[3.0]], [[2.0]]), frame([[2.0]], [[2.0]])])
    assert values["frames"] == 2 and values["rmse"] == pytest.approx(500)
