"""KITTI's errors against what the benchmark's own program prints, and against numbers worked out by hand."""

import itertools
import json
import math

import numpy as np
import pytest

from mtdc.data.io import read_depth_png
from mtdc.metrics.functional import interpolate_background, kitti_errors, mean_of_frames, to_benchmark_units

CASES = ("dense", "holes", "holes_and_empty_borders", "real_sparse_as_prediction")


def measure(folder, name):
    prediction, truth = (read_depth_png(folder / kind / f"{name}.png") for kind in ("prediction", "groundtruth"))
    return kitti_errors(interpolate_background(prediction), truth)


@pytest.mark.parametrize("case", CASES)
def test_benchmark_program_prints_the_same(shared, case):
    golden = json.loads((shared / "golden" / "golden_metrics.json").read_text())["cases"][case]
    frames = {name: measure(shared / "golden" / case, name) for name in golden["per_frame"]}
    # The program sums in float32 and prints six decimals.
    for name, expected in golden["per_frame"].items():
        assert frames[name] == pytest.approx(expected, rel=2e-4, abs=6e-7), name
    assert mean_of_frames(list(frames.values())) == pytest.approx(golden["mean"], rel=2e-4, abs=6e-7)


def test_two_pixels_by_hand():
    values = kitti_errors(np.array([[1.0, 5.0, 7.0]]), np.array([[2.0, 4.0, 0.0]]))
    log = np.array([math.log(2), math.log(0.8)])
    assert values == pytest.approx({
        "rmse": 1.0,
        "mae": 1.0,
        "irmse": math.sqrt((0.5**2 + 0.05**2) / 2),
        "imae": (0.5 + 0.05) / 2,
        "log_mae": (math.log(2) - math.log(0.8)) / 2,
        "log_rmse": math.sqrt((log**2).mean()),
        "silog": abs(log[0] - log[1]) / 2,
        "abs_rel": (1 / 2 + 1 / 4) / 2,
        "sq_rel": (1 / 4 + 1 / 16) / 2,
    }, rel=1e-12)  # fmt: skip


def test_rmse_and_mae_differ_when_errors_do():
    values = kitti_errors(np.array([[5.0, 8.0]]), np.array([[8.0, 12.0]]))
    assert values["mae"] == pytest.approx(3.5)
    assert values["rmse"] == pytest.approx(math.sqrt(12.5))


def test_benchmark_units_are_mm_and_per_km():
    errors = kitti_errors(np.array([[1.0, 5.0]]), np.array([[2.0, 4.0]]))
    values = to_benchmark_units(errors)
    assert values["rmse"] == pytest.approx(1000.0)
    assert values["mae"] == pytest.approx(1000.0)
    assert values["imae"] == pytest.approx(275.0)
    for name in ("log_mae", "log_rmse", "silog", "abs_rel", "sq_rel"):
        assert values[name] == errors[name]


def test_scale_does_not_count_in_silog_and_rounding_never_makes_it_nan():
    generator = np.random.default_rng(0)
    for _ in range(50):
        truth = generator.uniform(1, 80, (9, 11)).astype(np.float32)
        silog = kitti_errors(truth * np.float32(generator.uniform(0.5, 2)), truth)["silog"]
        assert 0 <= silog < 1e-6


def test_mean_is_over_frames_and_not_over_pixels():
    frames = [kitti_errors(np.full((1, n), 1.0), np.full((1, n), 1.0 + e)) for n, e in ((1, 6.0), (99, 2.0))]
    assert mean_of_frames(frames)["rmse"] == pytest.approx(4.0)


def test_float32_maps_are_summed_exactly_enough():
    generator = np.random.default_rng(4)
    truth, prediction = generator.uniform(1, 80, (2, 100, 100)).astype(np.float32)
    errors = [float(a) - float(b) for a, b in zip(truth.flat, prediction.flat, strict=True)]
    values = kitti_errors(prediction, truth)
    assert values["rmse"] == pytest.approx(math.sqrt(math.fsum(e * e for e in errors) / 10000), rel=1e-12)
    assert values["mae"] == pytest.approx(math.fsum(map(abs, errors)) / 10000, rel=1e-12)


def test_frame_without_ground_truth_and_unequal_shapes_are_refused():
    with pytest.raises(ValueError, match="no pixel has ground truth"):
        kitti_errors(np.ones((3, 4)), np.zeros((3, 4)))
    with pytest.raises(ValueError, match=r"\(3, 4\).*\(3, 5\)"):
        kitti_errors(np.ones((3, 4)), np.ones((3, 5)))
    with pytest.raises(ValueError, match="no frame"):
        mean_of_frames([])


# ---- Hole filling


def fill_pixel_by_pixel(depth):
    """The rule in plain loops: inside a row the nearer bound, borders of rows, then borders of columns."""
    filled = np.where(depth > 0, depth, -1.0)
    height, width = depth.shape
    for row in filled:
        known = [column for column in range(width) if row[column] > 0]
        for left, right in itertools.pairwise(known):
            row[left + 1 : right] = min(row[left], row[right])
        if known:
            row[: known[0]] = row[known[0]]
            row[known[-1] + 1 :] = row[known[-1]]
    for column in filled.T:
        known = [row for row in range(height) if column[row] > 0]
        if known:
            column[: known[0]] = column[known[0]]
            column[known[-1] + 1 :] = column[known[-1]]
    return filled


@pytest.mark.parametrize("density", [0.0, 0.02, 0.1, 0.5, 1.0])
@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (7, 13), (24, 31)])
def test_hole_filling_follows_the_rule(shape, density):
    generator = np.random.default_rng(int(100 * density))
    for _ in range(5):
        depth = generator.uniform(1, 80, shape) * (generator.random(shape) < density)
        before = depth.copy()
        assert np.array_equal(interpolate_background(depth), fill_pixel_by_pixel(depth))
        assert np.array_equal(depth, before)


def test_hole_takes_the_nearer_side_and_an_inner_empty_row_stays_unanswered():
    depth = np.array([[0, 0, 0, 0], [0, 9, 0, 4], [0, 0, 0, 0], [7, 0, 0, 8], [0, 0, 0, 0]])
    expected = [[9, 9, 4, 4], [9, 9, 4, 4], [-1, -1, -1, -1], [7, 7, 7, 8], [7, 7, 7, 8]]
    assert interpolate_background(depth).tolist() == expected


def test_unanswered_pixels_count_as_minus_one_metre():
    values = kitti_errors(interpolate_background(np.zeros((2, 2))), np.full((2, 2), 4.0))
    assert values["mae"] == pytest.approx(5.0)
    assert values["imae"] == pytest.approx(1.25)
    assert math.isnan(values["log_mae"])
    assert kitti_errors(np.zeros((2, 2)), np.full((2, 2), 4.0))["imae"] == pytest.approx(1.25)


def test_broken_prediction_is_not_repaired_by_hole_filling():
    depth = np.array([[3.0, np.nan, 0.0, 5.0]])
    assert math.isnan(kitti_errors(interpolate_background(depth), np.array([[3.0, 3.0, 3.0, 5.0]]))["rmse"])
