"""Sparsification and reliability against numbers counted by hand, and against what must hold for any map."""

import itertools

import numpy as np
import pytest
import torch
from scipy import stats

from mtdc.analysis.calibration import BINS, LAST, STEPS, Calibration
from mtdc.analysis.predictors import Prediction
from mtdc.errors import DataError
from mtdc.structures import DepthSample


def item(truth, name="a"):
    sample = DepthSample(metainfo={"sample_id": name})
    sample.set_field(torch.as_tensor(truth, dtype=torch.float32)[None], "gt_depth")
    return {"inputs": {}, "data_samples": sample}


def measure(*frames, **options):
    """Frames of errors and expected errors in metres, about a truth of 50 m."""
    calibration = Calibration(**options)
    for number, (error, deviation) in enumerate(frames):
        error = np.atleast_2d(np.asarray(error, dtype=np.float64))
        deviation = np.asarray(deviation, dtype=np.float32).reshape(error.shape)
        prediction = Prediction((50 + error).astype(np.float32), deviation)
        calibration.add(item(np.full(error.shape, 50.0), f"f{number}"), prediction)
    return calibration


def random_frames(count=3, pixels=700):
    generator = np.random.default_rng(0)
    for _ in range(count):
        deviation = generator.gamma(2.0, 0.5, pixels) + 0.01
        yield generator.normal(0, 1, pixels) * deviation, deviation


def test_a_curve_counted_by_hand():
    # Errors of 4, 3, 2 and 1 m; the model expects most of the second. Half-way: 4 and 3 are left to it, 2 and 1 to the oracle.
    c = measure(([4.0, -3.0, 2.0, 1.0], [0.1, 0.9, 0.5, 0.2])).curves()
    at = {
        round(fraction, 2): (model, oracle) for fraction, model, oracle in zip(c.fractions, c.rmse_mm, c.oracle_mm, strict=True)
    }
    full = np.sqrt(30 / 4)
    assert at[0.0] == (pytest.approx(1000 * full), pytest.approx(1000 * full))
    assert at[0.5] == (pytest.approx(1000 * np.sqrt((16 + 1) / 2)), pytest.approx(1000 * np.sqrt((4 + 1) / 2)))
    # Three quarters and a bit: a part of the last pixel is left.
    assert at[0.8] == (pytest.approx(4000), pytest.approx(1000))
    # A tenth: six tenths of the first pixel to leave are left.
    assert at[0.1] == (
        pytest.approx(1000 * np.sqrt((21 + 0.6 * 9) / 3.6)),
        pytest.approx(1000 * np.sqrt((14 + 0.6 * 16) / 3.6)),
    )
    assert c.random_mm == pytest.approx(np.full(STEPS, 1000 * full))
    assert c.relative == pytest.approx(c.rmse_mm / (1000 * full))
    assert (c.fractions[0], c.fractions[-1], c.frames) == (0, LAST, 1)


def test_areas_counted_by_hand():
    # Half of the pixels are wrong by 2 m, the others right, and the model has it the wrong way round.
    error, wrong_way = np.repeat([2.0, 0.0], 50), np.repeat([1.0, 3.0], 50)
    calibration = measure((error, wrong_way))
    f = np.arange(50) / 50
    model = np.sqrt(np.minimum(0.5 / (1 - f), 1) * 4) / np.sqrt(2)
    oracle = np.sqrt(np.maximum(0.5 - f, 0) / (1 - f) * 4) / np.sqrt(2)

    def area(values):
        return sum((a + b) / 2 * 0.02 for a, b in itertools.pairwise(values))

    assert calibration.ause == pytest.approx(area(model - oracle), rel=1e-6)
    assert calibration.aurg == pytest.approx(area(1 - model), rel=1e-6)
    assert calibration.aurg < 0


def test_the_error_itself_is_the_best_confidence():
    frames = [(error, np.abs(error)) for error, _ in random_frames()]
    calibration = measure(*frames)
    # float32 depths: the error of a prediction of 50 m is known to some micrometres.
    assert calibration.ause == pytest.approx(0, abs=1e-5)
    assert calibration.aurg > 0.4
    assert measure(*((error, 7 * np.abs(error) + 1) for error, _ in frames)).ause == pytest.approx(0, abs=1e-5), "order alone"


def test_one_deviation_for_all_is_a_random_order():
    calibration = measure(*((error, np.full(error.shape, 0.3)) for error, _ in random_frames()))
    c = calibration.curves()
    assert c.rmse_mm == pytest.approx(c.random_mm)
    assert calibration.aurg == pytest.approx(0, abs=1e-9)
    assert calibration.ause > 0.4


def test_no_order_is_better_than_the_oracles():
    for seed in range(5):
        generator = np.random.default_rng(seed)
        error, deviation = generator.laplace(0, 1, (7, 13)), generator.integers(0, 4, (7, 13)) / 4
        c = measure((error, deviation)).curves()
        assert (c.oracle_mm <= c.rmse_mm + 1e-6).all()
        assert (np.diff(c.oracle_mm) <= 1e-6).all()


def test_ties_are_the_mean_over_all_their_orders():
    """Against orders drawn at random, in each of which the pixels leave one by one."""
    generator = np.random.default_rng(4)
    squared, deviation = generator.gamma(1.0, 1.0, 50), generator.integers(0, 3, 50)
    c = measure((np.sqrt(squared), deviation)).curves()
    left = np.zeros(STEPS)
    for _ in range(4000):
        order = np.lexsort((generator.random(50), deviation))
        left += np.cumsum(squared[order])[::-1]
    # 50 pixels and 50 steps: one pixel a step.
    assert c.rmse_mm / 1000 == pytest.approx(np.sqrt(left / 4000 / np.arange(50, 0, -1)), rel=0.03)


def test_pixels_in_another_order_change_nothing():
    (error, deviation), *_ = random_frames(1)
    deviation = np.round(deviation, 1)
    shuffled = np.random.default_rng(9).permutation(error.size)
    one, other = measure((error, deviation)).curves(), measure((error[shuffled], deviation[shuffled])).curves()
    assert one.rmse_mm == pytest.approx(other.rmse_mm)


def test_each_frame_weighs_the_same():
    big, small = (np.array([10.0, 5.0]), [1.0, 2.0]), (np.array([1.0, 0.5, 0.5, 0.5]), [2.0, 1.0, 1.0, 1.0])
    both, first, second = (measure(*frames) for frames in ((big, small), (big,), (small,)))
    assert both.curves().relative == pytest.approx((first.curves().relative + second.curves().relative) / 2)
    assert both.curves().rmse_mm == pytest.approx((first.curves().rmse_mm + second.curves().rmse_mm) / 2)
    assert both.ause == pytest.approx((first.ause + second.ause) / 2)
    assert first.aurg < 0 < second.aurg


def test_a_frame_without_any_error_has_no_share_in_relative_curves():
    wrong, right = (np.array([2.0, 1.0]), [1.0, 2.0]), (np.zeros(3), [1.0, 2.0, 3.0])
    both = measure(wrong, right)
    assert both.ause == pytest.approx(measure(wrong).ause)
    assert both.curves().rmse_mm[0] == pytest.approx(1000 * np.sqrt(2.5) / 2)
    assert np.isnan(measure(right).ause)


def test_only_known_pixels_count_and_depth_is_limited_first():
    calibration = Calibration(clamp_m=(0.9, 100.0))
    truth = np.array([[90.0, 0.0, 50.0]])
    calibration.add(item(truth), Prediction(np.array([[400.0, 7, 50]], np.float32), np.array([[9.0, np.nan, 1]], np.float32)))
    assert calibration.curves().rmse_mm[0] == pytest.approx(1000 * np.sqrt(100 / 2))
    assert calibration.reliability().within == (0.5, 1.0)


def test_a_model_that_knows_its_error_lies_on_the_diagonal():
    generator = np.random.default_rng(3)
    frames = []
    for _ in range(4):
        deviation = np.exp(generator.normal(-1, 0.8, 20_000))
        frames.append((generator.normal(0, 1, deviation.size) * deviation, deviation))
    table = measure(*frames).reliability()
    assert len(table.rows()) == BINS
    assert table.pixels.sum() == 80_000
    assert table.pixels.min() > 0.6 * 80_000 / BINS, "bins of about equal count"
    assert (np.diff(table.expected_mm) > 0).all()
    assert table.observed_mm == pytest.approx(table.expected_mm, rel=0.06)
    assert table.within == (pytest.approx(0.683, abs=0.006), pytest.approx(0.954, abs=0.004))
    # A model that expects half of its error.
    sure = measure(*((error, deviation / 2) for error, deviation in frames)).reliability()
    assert sure.observed_mm == pytest.approx(2 * sure.expected_mm, rel=0.06)
    assert sure.within[0] == pytest.approx(stats.norm.cdf(0.5) - stats.norm.cdf(-0.5), abs=0.006)


def test_laplaces_errors_lie_within_as_the_docs_say():
    generator = np.random.default_rng(5)
    deviation = np.full(60_000, 0.5)
    within = measure((generator.laplace(0, 0.5 / np.sqrt(2), deviation.size), deviation)).reliability().within
    assert within == (pytest.approx(0.757, abs=0.006), pytest.approx(0.941, abs=0.004))


def test_bins_hold_what_the_pixels_say():
    # Two deviations alone: two bins, however many are allowed.
    table = measure(([1.0, 1, 1, 3], [0.5, 0.5, 0.5, 2.0])).reliability()
    assert table.rows() == [(pytest.approx(500), pytest.approx(1000), 3), (pytest.approx(2000), pytest.approx(3000), 1)]
    assert table.within == (0.0, 1.0)
    # 0 and beyond all bounds are expected errors too.
    table = measure(([0.0, 1.0], [0.0, 1e6])).reliability()
    assert table.rows() == [(0, 0, 1), (pytest.approx(1e9), pytest.approx(1000), 1)]
    assert table.within == (1.0, 1.0)


def test_what_can_not_be_measured_is_said():
    calibration = Calibration()
    with pytest.raises(ValueError, match="no expected error"):
        calibration.add(item(np.ones((2, 2))), Prediction(np.ones((2, 2), np.float32)))
    for number in (np.nan, -0.5, np.inf):
        deviation = np.array([[1.0, number]], np.float32)
        with pytest.raises(DataError, match=r"f7: 1 of 2 expected errors"):
            calibration.add(item(np.ones((1, 2)), "f7"), Prediction(np.ones((1, 2), np.float32), deviation))
    with pytest.raises(DataError, match=r"f7: the expected error is \(1, 3\)"):
        calibration.add(item(np.ones((1, 2)), "f7"), Prediction(np.ones((1, 2), np.float32), np.ones((1, 3), np.float32)))
    calibration.add(item(np.zeros((1, 2))), Prediction(np.ones((1, 2), np.float32), np.ones((1, 2), np.float32)))
    for ask in (calibration.curves, calibration.reliability, lambda: calibration.ause):
        with pytest.raises(ValueError, match="no frame with ground truth"):
            ask()
