import numpy as np
import pytest

from mtdc.errors import DataError
from mtdc.structures import DEPTH_CONFIDENCE, NORMALS, SEMANTICS, Field
from mtdc.visualization.fields import (
    colorize_deviation,
    colorize_labels,
    colorize_map,
    colorize_normals,
    field_tiles,
    label_colors,
)


def test_normals_are_their_halves_above_a_half_and_unknown_is_black():
    normals = np.array([[[0, 0, -1], [1, 0, 0], [-0.6, 0.8, 0], [0, 0, 0], [np.nan, 0, 1]]], np.float32)
    expected = [[128, 128, 0], [255, 128, 128], [51, 230, 128], [0, 0, 0], [0, 0, 0]]
    assert colorize_normals(normals)[0].tolist() == expected  # 127.5 is rounded to even, 229.5 is 229.500003 in float32


def test_cityscapes_labels_have_its_colours():
    labels = np.array([[0, 10, 13, 18, 255, 19, -1]])
    expected = [[128, 64, 128], [70, 130, 180], [0, 0, 142], [119, 11, 32], [0, 0, 0], [0, 0, 0], [0, 0, 0]]
    assert colorize_labels(labels, classes=19)[0].tolist() == expected


def test_other_labels_have_a_fixed_colour_each():
    assert label_colors(40)[:4].tolist() == [[128, 0, 0], [0, 128, 0], [128, 128, 0], [0, 0, 128]]
    assert len(np.unique(label_colors(255)[:255], axis=0)) == 255 and label_colors(None)[:255].any(axis=1).all()
    assert (label_colors(13)[:13] == label_colors(40)[:13]).all() and not label_colors(13)[13:].any()


def test_a_map_runs_from_violet_to_yellow():
    low, high, cut, hole = colorize_map(np.array([[2.0, 4.0, 9.0, np.nan]]), 2, 4)[0].astype(int)
    assert low[2] > low[0] > low[1] and high[0] > 150 and high[1] > 200 and high[2] < 80
    assert (cut == high).all() and (hole == 0).all()


def test_truth_and_prediction_of_each_kind_have_a_tile():
    labels = np.array([[1, 255]])
    truth, prediction = field_tiles(SEMANTICS, np.array([[2, 2]]), labels)
    assert (truth.title, prediction.title) == ("true semantics", "predicted semantics")
    assert truth.picture[0].tolist() == [[0, 128, 0], [0, 0, 0]] and prediction.picture[0].tolist() == [[128, 128, 0]] * 2
    normals = np.array([0, 0, -1.0]).reshape(3, 1, 1)
    (alone,) = field_tiles(NORMALS, normals)
    assert alone.picture.tolist() == [[[128, 128, 0]]]
    none = field_tiles(NORMALS, normals, np.zeros((3, 1, 1)))[0]
    assert none.title == "normals, no ground truth" and not none.picture.any()


def test_a_map_of_two_channels_shows_its_length_in_the_range_of_the_truth():
    row = Field("flow", 2, unknown=-1000.0)
    truth = np.array([[[3.0, 0.0, -1000.0]], [[4.0, 0.0, -1000.0]]])
    prediction = np.array([[[0.0, 600.0, 5.0]], [[0.0, 800.0, 0.0]]])
    shown, predicted = (tile.picture[0].tolist() for tile in field_tiles(row, prediction, truth))
    assert shown[2] == [0, 0, 0] and shown[0] == predicted[1] == predicted[2] and shown[1] == predicted[0] != shown[0]


def test_other_shapes_are_refused():
    with pytest.raises(DataError, match=r"labels.*\(2, 3, 4\)"):
        colorize_labels(np.zeros((2, 3, 4)))
    with pytest.raises(DataError, match=r"normals.*\(3, 4\)"):
        colorize_normals(np.zeros((3, 4)))


def test_an_expected_error_runs_from_a_centimetre_to_ten_metres_whatever_the_frame():
    values = np.array([[0.001, 0.01, 0.1, 1.0, 10.0, 90.0, 0.0, np.nan]])
    below, low, third, two_thirds, high, above, none, unknown = colorize_deviation(values)[0].tolist()
    assert below == low and above == high and none == unknown == [0, 0, 0]
    # A factor of ten is a third of the scale.
    even = colorize_map(np.array([[0.0, 1.0, 2.0, 3.0]]), 0, 3)[0].tolist()
    assert [low, third, two_thirds, high] == even
    (tile,) = field_tiles(DEPTH_CONFIDENCE, values[None])
    assert tile.title == "expected error" and (tile.legend.low, tile.legend.high) == ("0.01", "10 m")
    assert tile.picture[0].tolist() == [below, low, third, two_thirds, high, above, none, unknown]
    assert tile.legend.colors[[0, -1]].tolist() == [low, high]
