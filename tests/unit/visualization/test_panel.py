import numpy as np
import pytest

from mtdc.errors import DataError
from mtdc.visualization.colormap import colorize_depth
from mtdc.visualization.panel import TITLE_HEIGHT, panel, sample_panel


def test_pictures_stand_below_one_another_unchanged():
    generator = np.random.default_rng(0)
    wide = generator.integers(0, 256, (10, 301, 3), dtype=np.uint8)
    gray = generator.uniform(0, 255, (7, 200)).astype(np.float32)
    sheet = panel([("first", wide), ("second", gray)])
    assert sheet.shape == (2 * TITLE_HEIGHT + 17, 301, 3) and sheet.dtype == np.uint8
    np.testing.assert_array_equal(sheet[TITLE_HEIGHT : TITLE_HEIGHT + 10], wide)
    below = sheet[2 * TITLE_HEIGHT + 10 :]
    for channel in range(3):
        np.testing.assert_array_equal(below[:, :200, channel], np.rint(gray))
    assert (below[:, 200:] == 0).all()


def test_titles_are_written_and_fit_above_a_tiny_picture():
    sheet = panel([("a title much wider than its picture", np.zeros((3, 2)))])
    assert sheet.shape[1] > 200
    lit = (sheet[:TITLE_HEIGHT] > 128).any(axis=(0, 2)).nonzero()[0]
    assert len(lit) > 50 and lit.max() < sheet.shape[1] - 1
    assert (panel([("a", np.zeros((3, 99)))]) != panel([("b", np.zeros((3, 99)))])).any()


def test_values_beyond_the_range_are_cut_not_wrapped():
    sheet = panel([("x", np.array([[-5.0, 300.0, np.nan]]))])
    assert sheet[TITLE_HEIGHT, :3, 0].tolist() == [0, 255, 0]


def test_other_shapes_are_refused_by_name():
    with pytest.raises(DataError, match=r"photo.*\(3, 4, 5\)"):
        panel([("photo", np.zeros((3, 4, 5)))])
    with pytest.raises(DataError, match="at least one"):
        panel([])


@pytest.fixture
def maps():
    truth = np.tile(np.geomspace(4, 60, 401), (21, 1))
    sparse = np.where(np.arange(21)[:, None] % 5 == 0, truth, 0)
    return sparse, truth


def row(sheet, number, height=21):
    start = number * (TITLE_HEIGHT + height) + TITLE_HEIGHT
    return sheet[start : start + height, :401]


def test_sample_panel_without_truth_has_two_pictures(maps):
    sparse, truth = maps
    assert sample_panel(sparse, truth).shape[0] == 2 * (TITLE_HEIGHT + 21)


def test_sample_panel_shows_all_in_one_depth_range(maps):
    sparse, truth = maps
    image = np.full((21, 401, 3), 77, np.uint8)
    sheet = sample_panel(sparse, 2 * truth, truth, image, np.full((21, 401), 99.0), near_m=4, far_m=60)
    assert sheet.shape[0] == 6 * (TITLE_HEIGHT + 21)
    assert (row(sheet, 0) == 77).all() and (row(sheet, 5) == 99).all()
    np.testing.assert_array_equal(row(sheet, 2), colorize_depth(2 * truth, 4, 60))
    np.testing.assert_array_equal(row(sheet, 3), colorize_depth(truth, 4, 60))
    assert (row(sheet, 4)[0] != row(sheet, 4)[0, 0]).any()  # the error grows from 4 m to 60 m


def test_sample_panel_range_comes_from_what_was_measured(maps):
    sparse, truth = maps
    wild = truth.copy()
    wild[:10] = 5000.0
    calm, disturbed = sample_panel(sparse, truth), sample_panel(sparse, wild)
    np.testing.assert_array_equal(row(calm, 0), row(disturbed, 0))
    np.testing.assert_array_equal(row(calm, 1)[10:], row(disturbed, 1)[10:])


def test_sample_panel_with_nothing_measured_or_known(maps):
    _, truth = maps
    sheet = sample_panel(np.zeros_like(truth), truth, np.zeros_like(truth))
    assert (row(sheet, 0) == 0).all() and (row(sheet, 1) != 0).any() and (row(sheet, 3) == 0).all()


def test_sample_panel_names_what_has_another_size(maps):
    sparse, truth = maps
    with pytest.raises(DataError, match=r"image is \(20, 401\).*\(21, 401\)"):
        sample_panel(sparse, truth, image=np.zeros((20, 401, 3)))
