"""The statistics of sparse maps: numbers counted by hand, and those of real frames known from elsewhere."""

import importlib.util

import numpy as np
import pytest

from mtdc.data.io import read_depth_png
from mtdc.data.street import StreetOptions, draw_frame
from mtdc.data.street.statistics import BANDS, crop, frame_statistics, inside_band, nearest_fill, table


def by_start(numbers, start):
    (name,) = [name for name in numbers if name.startswith(start)]
    return numbers[name]


def regular_map():
    """A line every 5 rows from row 100 on, a point every 3 columns, at 10 m."""
    sparse = np.zeros((352, 1216), np.float32)
    sparse[100::5, ::3] = 10.0
    return sparse


def test_numbers_of_a_regular_map_are_those_counted_by_hand():
    numbers = frame_statistics(regular_map(), np.where(np.arange(352)[:, None] >= 100, 11.5, 0) * np.ones((1, 1216)))
    assert by_start(numbers, "sparse density") == pytest.approx([100 * 51 * 406 / (352 * 1216)])
    assert by_start(numbers, "first row") == [100, 100, 100]
    assert by_start(numbers, "next point in line") == [0, 0, 100, 0, 0, 0]
    assert by_start(numbers, "line spacing")[1:] == [5] * 5
    assert by_start(numbers, "step to the next point") == [0] * 5
    assert by_start(numbers, "depth 5") == [10] * 6
    assert by_start(numbers, "distance to the nearest")[0] == pytest.approx(np.sqrt(2), abs=0.5)
    assert by_start(numbers, "truth density") == pytest.approx([100 * 252 / 352])
    assert by_start(numbers, "sparse points that have truth")[1] == 100
    assert by_start(numbers, "nearest fill behind") == [0, 100]
    assert by_start(numbers, "nearest fill RMSE") == pytest.approx([1500, 1500])
    assert by_start(numbers, "nearest fill's") == [0, 100, 0, 0]


def test_a_point_behind_its_neighbours_is_counted():
    sparse = regular_map()
    sparse[200, 600] = 30.0
    before, after = frame_statistics(regular_map()), frame_statistics(sparse)
    one = 100 / np.count_nonzero(sparse)
    assert by_start(before, "> 3 m") == [0, 0]
    assert by_start(after, "> 3 m") == pytest.approx([one, one])
    assert by_start(after, "nearer on both sides") == pytest.approx([one, one])
    # Two steps in its line: towards it and away from it.
    assert by_start(after, "step to the next point")[3] == pytest.approx(2 * one, rel=0.02)


def test_crop_bands_and_missing_maps():
    assert crop(np.zeros((375, 1242))).shape == (352, 1216) and crop(np.zeros((100, 50))).shape == (100, 50)
    values = np.arange(375 * 1242, dtype=np.float32).reshape(375, 1242)
    assert crop(values)[0, 0] == values[23, 13] and crop(values)[-1, -1] == values[374, 1228]
    assert inside_band("sparse density, %", [3.7]) == [True] and inside_band("sparse density, %", [3.0]) == [False]
    empty = frame_statistics(np.zeros((352, 1216), np.float32))
    assert empty["sparse density, %"] == [0.0]
    rows = table([(regular_map(), None), (np.zeros((352, 1216), np.float32), None)])
    assert rows["line spacing at rows 120 / 160 / 200 / 240 / 280 / 320, px"][1] == 5
    filled = nearest_fill(regular_map())
    assert (filled == 10).all()


def test_real_frames_have_the_numbers_measured_elsewhere(shared):
    """Numbers of the 15 frames of drive 9999 that another program found; definitions of lines differ a little."""
    folder = shared / "data/kitti/train/2011_09_26_drive_9999_sync/proj_depth"
    names = sorted(path.name for path in (folder / "velodyne_raw/image_02").glob("*.png"))
    rows = table(
        [tuple(read_depth_png(folder / kind / "image_02" / name) for kind in ("velodyne_raw", "groundtruth")) for name in names]
    )
    assert len(names) == 15
    for start, expected, tolerance in (
        ("sparse density", [3.79], 0.01),
        ("density of rows", [3.4, 5.3, 5.8, 5.8, 5.6, 4.9, 5.0, 4.8], 0.06),
        ("first row", [82, 117, 171], 1.5),
        ("distance to the nearest", [2.0, 5.5, 18.7], 0.15),
        ("depth 5", [3.9, 5.7, 7.2, 10.3, 26, 44], 0.5),
        ("step to the next point", [15, 4.6, 3.5, 1.7, 0.88], 0.5),
        ("step to the next line", [21, 12, 4.5, 1.7], 0.2),
        ("next point in line", [9, 31, 43, 11, 1.4, 3.3], 0.8),
        ("> 1 m and", [5.2, 8.2], 0.1),
        ("> 3 m and", [2.7, 3.7], 0.1),
        ("nearer on both", [1.3, 1.6], 0.15),
        ("truth density", [21.7], 0.1),
        ("sparse points that have", [21, 98], 0.6),
        ("nearest fill behind", [1.18, 0.0], 0.01),
        ("nearest fill RMSE", [1265, 148], 5),
    ):
        assert by_start(rows, start) == pytest.approx(expected, abs=tolerance), start


def test_the_world_stays_in_the_real_range():
    """A few frames of the world: the numbers that decide what a network trained on it learns."""
    options = StreetOptions()
    frames = [draw_frame(options, 17, number, ("sparse_depth", "truth")).maps for number in range(4)]
    rows = table([(maps["sparse_depth"], maps["truth"]) for maps in frames])
    inside = [ok for name, numbers in rows.items() for ok in inside_band(name, numbers, slack=0.3)]
    assert set(rows) == set(BANDS)
    assert np.mean(inside) > 0.75, rows
    assert inside_band("sparse density, %", rows["sparse density, %"], slack=0.1) == [True]
    behind, before = by_start(rows, "nearest fill behind")
    assert behind > 1.5 * before, "the truth holds points seen past edges"


def test_tool_prints_folders_side_by_side(repository, tmp_path, capsys):
    from mtdc.data.street.writer import write_street

    spec = importlib.util.spec_from_file_location("street_statistics", repository / "tools/street_statistics.py")
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    write_street(tmp_path, 1, split="one", options=StreetOptions(size=(352, 400)), processes=1)
    assert tool.main([str(tmp_path / "one"), str(tmp_path / "one")]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == len(BANDS) + 3 and printed[0].count("2011") == 0 and printed[2].startswith("| sparse density")
    with pytest.raises(SystemExit):
        tool.main([str(tmp_path)[:-1] + "missing"])
    assert "holds no frames" in capsys.readouterr().err
