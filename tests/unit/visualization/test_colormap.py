import cv2
import numpy as np
import pytest

from mtdc.errors import DataError
from mtdc.visualization.colormap import (
    ERROR_BOUNDS,
    ERROR_UNIT_M,
    colorize_depth,
    colorize_error,
    depth_range,
    enlarge_points,
    error_colors,
)


def warmth(colors: np.ndarray) -> np.ndarray:
    return colors[..., 0].astype(int) - colors[..., 2].astype(int)


def test_near_is_warm_and_far_is_cool():
    colors = colorize_depth(np.array([[1.0, 10.0, 100.0]]), 1, 100)
    near, middle, far = colors[0]
    assert warmth(near) > 80 and warmth(far) < -80
    assert middle[1] > middle[0] and middle[1] > middle[2]  # the middle of the table is green


def test_scale_is_logarithmic():
    # Equal ratios of depth take equal steps through the colour table.
    depth = np.geomspace(1, 100, 41)[None]
    used = colorize_depth(depth, 1, 100)
    table = cv2.applyColorMap(np.arange(256, dtype=np.uint8)[:, None], cv2.COLORMAP_TURBO)[:, 0, ::-1].astype(int)
    index = np.abs(table[None] - used[0][:, None].astype(int)).sum(axis=2).argmin(axis=1)
    steps = -np.diff(index)
    assert steps.min() >= 4 and steps.max() <= 7  # 215 indices over 40 equal ratios: 5.4 each


def test_unknown_is_black_and_known_is_not():
    depth = np.array([[0.0, np.nan, np.inf, -1.0, 5.0, 6.0]])
    colors = colorize_depth(depth, valid=np.array([[1, 1, 1, 1, 1, 0]]))
    assert (colors[0, [0, 1, 2, 3, 5]] == 0).all()
    assert colors[0, 4].sum() > 0
    assert (colorize_depth(np.zeros((3, 5))) == 0).all()


def test_extremes_are_not_nearly_black():
    colors = colorize_depth(np.geomspace(0.5, 200, 300)[None], 1, 100)
    assert colors.max(axis=2).min() > 100


def test_fixed_range_makes_frames_compare():
    one, two = np.array([[5.0, 20.0]]), np.array([[20.0, 80.0]])
    assert (colorize_depth(one, 2, 80)[0, 1] == colorize_depth(two, 2, 80)[0, 0]).all()
    assert (colorize_depth(one)[0, 1] != colorize_depth(two)[0, 0]).any()


def test_single_wrong_returns_do_not_stretch_the_range():
    depth = np.full((50, 50), 10.0)
    depth[:, 25:] = 20.0
    depth[0, 0], depth[0, 1] = 0.01, 900.0
    assert depth_range(depth) == (10.0, 20.0)


@pytest.mark.parametrize(("near", "far"), [(None, 5.0), (50.0, None), (None, None)])
def test_flat_map_or_one_given_end_still_has_a_range(near, far):
    low, high = depth_range(np.full((4, 4), 10.0), near, far)
    assert 0 < low < high
    assert colorize_depth(np.full((4, 4), 10.0), near, far).shape == (4, 4, 3)


@pytest.mark.parametrize(("near", "far"), [(0, 10), (-1, 10), (10, 10), (20, 10), (1, float("inf")), (float("nan"), 3)])
def test_bad_range_is_refused(near, far):
    with pytest.raises(DataError, match="0 < near < far"):
        colorize_depth(np.ones((2, 2)), near, far)


def test_error_bins_double_from_blue_to_red():
    assert (ERROR_BOUNDS * ERROR_UNIT_M).tolist() == [0.1875, 0.375, 0.75, 1.5, 3, 6, 12, 24, 48]
    palette = error_colors()
    assert len({tuple(color) for color in palette}) == 10
    assert (warmth(palette[:5]) < 0).all() and (warmth(palette[5:]) > 0).all()
    assert warmth(palette[0]) < -80 and warmth(palette[-1]) > 80


def test_errors_fall_into_the_bins_of_the_development_kit():
    """Its rule: the error against 3 m or 5 % of the depth, whichever counts less; a bound belongs to the bin above it."""
    truth = np.array([[20.0, 20.0, 20.0, 20.0, 20.0, 60.0, 60.0, 20.0, 20.0, 80.0, 80.0]])
    error = np.array([[0.0, 0.18, -0.1875, 2.9, -3.0, 2.9, 3.1, 50.0, np.nan, 3.9, 4.1]])
    expected = error_colors()[[0, 0, 1, 4, 5, 4, 5, 9, 9, 4, 5]]
    np.testing.assert_array_equal(colorize_error(truth + error, truth, radius=0)[0], expected)


def test_error_points_are_enlarged_and_keep_their_own_colour():
    truth = np.zeros((7, 9))
    truth[3, 3], truth[3, 5] = 10.0, 10.0
    prediction = np.full((7, 9), 10.0)
    prediction[3, 5] = 70.0
    colors = colorize_error(prediction, truth)
    small, large = error_colors()[[0, 9]]
    assert (colors[3, 3] == small).all() and (colors[3, 5] == large).all()
    assert (colors[2:5, 2] == small).all()
    assert (colors[3, 4] == large).all()  # between them the larger error shows
    assert (colors[:, :2] == 0).all() and (colors[:, 7:] == 0).all() and (colors[[0, 1, 5, 6]] == 0).all()
    assert (colorize_error(prediction, truth, radius=0) != 0).any(axis=2).sum() == 2


def test_pixels_with_truth_keep_their_colour_beside_a_larger_error():
    truth, prediction = np.full((1, 3), 10.0), np.array([[10.0, 70.0, 10.0]])
    np.testing.assert_array_equal(colorize_error(prediction, truth)[0], error_colors()[[0, 9, 0]])


def test_errors_of_other_sizes_are_refused():
    with pytest.raises(DataError, match=r"\(4, 5\).*\(5, 4\)"):
        colorize_error(np.ones((4, 5)), np.ones((5, 4)))
    with pytest.raises(DataError, match=r"\(H, W\)"):
        colorize_error(np.ones((1, 4, 5)), np.ones((4, 5)))


def test_enlarged_points_show_the_nearest_and_keep_their_own():
    sparse = np.zeros((5, 7), np.float32)
    sparse[2, 2], sparse[2, 4] = 8.0, 3.0
    enlarged = enlarge_points(sparse)
    assert enlarged[2, 2] == 8.0 and enlarged[2, 4] == 3.0
    assert enlarged[2, 3] == 3.0 and enlarged[1, 1] == 8.0
    assert np.count_nonzero(enlarged) == 15  # two 3x3 squares that share a column
    assert (enlarge_points(np.zeros((5, 7))) == 0).all()
