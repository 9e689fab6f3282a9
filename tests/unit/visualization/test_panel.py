import cv2
import numpy as np
import pytest

from mtdc.errors import DataError
from mtdc.visualization.colormap import colorize_depth, error_colors
from mtdc.visualization.panel import SHOWN_WIDTH, Legend, Tile, panel, sample_panel, sheet_grid

WIDE, PHOTO = (352, 1216), (228, 304)


def cut(sheet, grid, index, size):
    """A tile's picture, cut out of the sheet and made small again."""
    row, column = grid.corner(index)
    height, width = size
    return sheet[row : row + height * grid.factor : grid.factor, column : column + width * grid.factor : grid.factor]


def bar(sheet, grid, index):
    row, column = grid.corner(index)
    return sheet[row - grid.bar : row, column : column + grid.cell[1]]


@pytest.mark.parametrize(
    ("size", "count", "columns"),
    [
        (WIDE, 6, 2),
        (WIDE, 5, 2),
        (WIDE, 2, 1),
        (WIDE, 3, 1),
        ((192, 640), 6, 2),
        (PHOTO, 6, 3),
        (PHOTO, 2, 2),
        ((1216, 352), 6, 6),
    ],
)
def test_sheets_are_neither_strips_nor_columns(size, count, columns):
    assert sheet_grid([size] * count).columns == columns
    height, width = panel([Tile("a", np.zeros(size))] * count).shape[:2]
    assert 0.5 < width / height < 3


@pytest.mark.parametrize("size", [WIDE, PHOTO, (192, 640), (40, 131), (7, 5)])
def test_pictures_lie_on_the_sheet_unchanged_in_the_order_given(size):
    generator = np.random.default_rng(0)
    pictures = [generator.integers(0, 256, (*size, 3), dtype=np.uint8) for _ in range(5)]
    sheet = panel([Tile(f"picture {i}", picture) for i, picture in enumerate(pictures)])
    grid = sheet_grid([size] * 5)
    assert sheet.dtype == np.uint8 and sheet.shape == (*grid.size(5), 3)
    assert sheet.shape[1] >= 0.85 * SHOWN_WIDTH
    for index, picture in enumerate(pictures):
        np.testing.assert_array_equal(cut(sheet, grid, index, size), picture)
    rows, columns = zip(*(grid.corner(i) for i in range(5)), strict=True)
    assert list(zip(rows, columns, strict=True)) == sorted(zip(rows, columns, strict=True))
    used = sum(picture.sum(dtype=np.int64) for picture in pictures) * grid.factor**2
    words = sum(bar(sheet, grid, i).sum(dtype=np.int64) for i in range(5))
    assert sheet.sum(dtype=np.int64) == used + words, "nothing else is drawn, and nothing is drawn over"


def test_gray_pictures_and_other_sizes_share_a_sheet():
    gray = np.random.default_rng(0).uniform(0, 255, (7, 200)).astype(np.float32)
    sheet = panel([Tile("wide", np.full((10, 301, 3), 9, np.uint8)), Tile("gray", gray)])
    grid = sheet_grid([(10, 301), (7, 200)])
    for channel in range(3):
        np.testing.assert_array_equal(cut(sheet, grid, 1, (7, 200))[..., channel], np.rint(gray))
    row, column = grid.corner(1)
    assert (sheet[row : row + grid.cell[0], column + 200 * grid.factor :] == 0).all()


@pytest.mark.parametrize("size", [WIDE, (192, 640), PHOTO, (40, 131)])
def test_captions_are_legible_where_the_sheet_is_shown_small(size):
    """At 900 pixels letters are at least 8 pixels high, white on black, and lie inside their bar."""
    sheet = panel([Tile("HHHH", np.zeros(size))] * 6)
    grid = sheet_grid([size] * 6)
    lit = bar(sheet, grid, 0).max(axis=2) > 128
    rows, columns = lit.any(axis=1).nonzero()[0], lit.any(axis=0).nonzero()[0]
    assert 8 <= (rows[-1] - rows[0] + 1) * SHOWN_WIDTH / sheet.shape[1] <= 14
    assert rows[0] > 0 and rows[-1] < grid.bar - 1 and columns[0] > 0
    shown = cv2.resize(sheet, (SHOWN_WIDTH, round(sheet.shape[0] * SHOWN_WIDTH / sheet.shape[1])), interpolation=cv2.INTER_AREA)
    assert shown.max() > 180, "strokes stay bright when the sheet is made small"
    other = panel([Tile("HHHI", np.zeros(size))] * 6)
    assert (bar(other, grid, 0) != bar(sheet, grid, 0)).any()


def test_a_title_that_is_too_long_shrinks_into_its_bar():
    title = "a title that is very much longer than the picture below it is wide, and goes on and on and on and on"
    sheet = panel([Tile(title, np.zeros(PHOTO)), Tile("b", np.zeros(PHOTO))])
    grid = sheet_grid([PHOTO] * 2)
    assert sheet.shape == (*grid.size(2), 3)
    lit = (bar(sheet, grid, 0) > 100).any(axis=(0, 2)).nonzero()[0]
    assert lit[-1] > 0.9 * grid.cell[1]
    assert (sheet[:, grid.cell[1] : grid.cell[1] + grid.gap] == 0).all()


def test_a_legend_shows_its_colours_in_order():
    colors = np.array([[250, 0, 0], [0, 250, 0], [0, 0, 250]], np.uint8)
    tile = Tile("t", np.zeros(WIDE), Legend("1", colors, "2 m"))
    middle = bar(panel([tile]), sheet_grid([WIDE]), 0)
    found = middle[len(middle) // 2]
    places = [(found == color).all(axis=1).nonzero()[0] for color in colors]
    assert all(len(place) > 10 for place in places)
    assert places[0][-1] + 1 == places[1][0] and places[1][-1] + 1 == places[2][0]


def test_values_beyond_the_range_are_cut_not_wrapped():
    sheet = panel([Tile("x", np.array([[-5.0, 300.0, np.nan]]))])
    assert cut(sheet, sheet_grid([(1, 3)]), 0, (1, 3))[0, :, 0].tolist() == [0, 255, 0]


def test_other_shapes_are_refused_by_name():
    with pytest.raises(DataError, match=r"photo.*\(3, 4, 5\)"):
        panel([Tile("photo", np.zeros((3, 4, 5)))])
    with pytest.raises(DataError, match="at least one"):
        panel([])


SIZE = (121, 401)


@pytest.fixture
def maps():
    truth = np.tile(np.geomspace(4, 60, SIZE[1]), (SIZE[0], 1))
    sparse = np.where(np.arange(SIZE[0])[:, None] % 5 == 0, truth, 0)
    return sparse, truth


def shown(sheet, count, index):
    return cut(sheet, sheet_grid([SIZE] * count), index, SIZE)


def test_sample_panel_without_truth_has_two_pictures(maps):
    sparse, truth = maps
    sheet = sample_panel(sparse, truth, near_m=4, far_m=60)
    assert sheet.shape[:2] == sheet_grid([SIZE] * 2).size(2)
    np.testing.assert_array_equal(shown(sheet, 2, 1), colorize_depth(truth, 4, 60))


def test_sample_panel_shows_all_in_one_depth_range(maps):
    sparse, truth = maps
    image = np.full((*SIZE, 3), 77, np.uint8)
    prediction = truth + 2.0
    sheet = sample_panel(sparse, prediction, truth, image, np.full(SIZE, 99.0), near_m=4, far_m=60)
    assert sheet.shape[:2] == sheet_grid([SIZE] * 6).size(6)
    assert (shown(sheet, 6, 0) == 77).all() and (shown(sheet, 6, 1) == 99).all()
    points = shown(sheet, 6, 2)
    np.testing.assert_array_equal(points, colorize_depth(sparse, 4, 60))
    np.testing.assert_array_equal(shown(sheet, 6, 3), colorize_depth(truth, 4, 60))
    np.testing.assert_array_equal(shown(sheet, 6, 4), colorize_depth(prediction, 4, 60))
    assert (shown(sheet, 6, 5) == error_colors()[4]).all()  # 2 m: 1.5 to 3 m


@pytest.mark.parametrize(("step", "lit"), [(2, 1), (6, 9)])
def test_few_points_are_enlarged_and_many_are_not(maps, step, lit):
    _, truth = maps
    sparse = np.zeros_like(truth)
    sparse[2:-2:step, 2:-2:step] = 20.0
    points = shown(sample_panel(sparse, truth), 2, 0)
    assert (points > 0).any(axis=2).sum() == lit * np.count_nonzero(sparse)


def test_sample_panel_range_comes_from_what_was_measured(maps):
    sparse, truth = maps
    wild = truth.copy()
    wild[:10] = 5000.0
    calm, disturbed = sample_panel(sparse, truth), sample_panel(sparse, wild)
    np.testing.assert_array_equal(shown(calm, 2, 0), shown(disturbed, 2, 0))
    np.testing.assert_array_equal(shown(calm, 2, 1)[10:], shown(disturbed, 2, 1)[10:])


def test_sample_panel_with_nothing_measured_or_known(maps):
    _, truth = maps
    sheet = sample_panel(np.zeros_like(truth), truth, np.zeros_like(truth))
    assert (shown(sheet, 4, 0) == 0).all() and (shown(sheet, 4, 1) == 0).all() and (shown(sheet, 4, 3) == 0).all()
    assert (shown(sheet, 4, 2) != 0).any()


def test_sample_panel_names_what_has_another_size(maps):
    sparse, truth = maps
    with pytest.raises(DataError, match=r"image is \(120, 401\).*\(121, 401\)"):
        sample_panel(sparse, truth, image=np.zeros((120, 401, 3)))
