"""mtdc evaluate, from the arguments to the table and the file."""

import json

import numpy as np
import pytest

from mtdc.commands import main
from mtdc.data.io import read_depth_png, write_depth_png


def write(folder, name, depth):
    folder.mkdir(parents=True, exist_ok=True)
    write_depth_png(folder / f"{name}.png", np.asarray(depth, dtype=np.float32), zero_is_empty=True)


@pytest.fixture
def folders(tmp_path):
    """Two frames of different size: 1 m and 3 m too far, with holes that the benchmark fills."""
    truth, mine = tmp_path / "truth", tmp_path / "mine"
    for name, shape, error in (("0000000005", (5, 7), 1), ("0000000006", (6, 9), 3)):
        write(truth, name, np.full(shape, 10))
        prediction = np.full(shape, 10 + error)
        prediction[:, 2:4] = 0
        write(mine, name, prediction)
    return truth, mine


def evaluate(*arguments):
    return main(["evaluate", *map(str, arguments)])


def test_prints_the_table_and_writes_the_result(folders, tmp_path, capsys):
    out = tmp_path / "deep" / "result.json"
    assert evaluate(*folders, "--out", out) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["rmse", "2000.00", "mm"]
    assert any(line.split() == ["frames", "2"] for line in lines)
    result = json.loads(out.read_text())
    assert result["rmse"] == pytest.approx(2000)
    assert result["abs_rel"] == pytest.approx(0.2)
    assert {name: values["mae"] for name, values in result["per_frame"].items()} == {"0000000005": 1000, "0000000006": 3000}
    assert result["protocol"]["clamp_m"] is None
    assert result["protocol"]["hole_filling"] is True
    assert result["protocol"]["units"]["irmse"] == "1/km"


@pytest.mark.parametrize("case", ["dense", "holes", "holes_and_empty_borders", "real_sparse_as_prediction"])
def test_golden_folders(shared, tmp_path, case):
    expected = json.loads((shared / "golden" / "golden_metrics.json").read_text())["cases"][case]
    folder, out = shared / "golden" / case, tmp_path / "result.json"
    assert evaluate(folder / "groundtruth", folder / "prediction", "--out", out) == 0
    result = json.loads(out.read_text())
    factor = {"rmse": 1000, "mae": 1000, "irmse": 1000, "imae": 1000}
    for name, value in expected["mean"].items():
        assert result[name] == pytest.approx(factor.get(name, 1) * value, rel=2e-4, abs=6e-4), name
    assert list(result["per_frame"]) == list(expected["per_frame"])


def test_real_truth_in_kittis_tree_pairs_with_flat_names(shared, tmp_path):
    """Each prediction is a copy of its own truth: any wrong pair has an error."""
    drive = shared / "data" / "kitti" / "val" / "2011_09_26_drive_0001_sync"
    truth, mine = tmp_path / "truth" / drive.name, tmp_path / "mine"
    for frame in ("0000000005", "0000000006"):
        for camera in ("image_02", "image_03"):
            depth = read_depth_png(drive / "proj_depth" / "groundtruth" / camera / f"{frame}.png")
            write(truth / "proj_depth" / "groundtruth" / camera, frame, depth)
            write(mine, f"{drive.name}_{camera}_{frame}", depth)
    assert evaluate(truth.parent, mine, "--out", tmp_path / "result.json") == 0
    result = json.loads((tmp_path / "result.json").read_text())
    assert (result["rmse"], result["frames"]) == (0, 4)


def test_empty_prediction_is_legal(folders, tmp_path, capsys, caplog):
    truth, mine = folders
    write(mine, "0000000005", np.zeros((5, 7)))
    out = tmp_path / "result.json"
    assert evaluate(truth, mine, "--out", out) == 0
    text = out.read_text()
    assert "NaN" not in text
    result = json.loads(text)
    assert (result["frames"], result["frames_without_ground_truth"]) == (2, 0)
    assert result["mae"] == pytest.approx((11000 + 3000) / 2)
    assert result["log_mae"] is None
    assert result["per_frame"]["0000000005"]["log_mae"] is None
    assert "undefined" in capsys.readouterr().out
    assert "1 of 2 predictions leave whole rows empty" in caplog.text


def refused(capsys, *arguments):
    assert evaluate(*arguments) == 2
    error = capsys.readouterr().err.strip()
    assert "\n" not in error
    return error


def test_mistakes_end_in_one_line(folders, tmp_path, capsys):
    truth, mine = folders
    assert "does not exist" in refused(capsys, truth, tmp_path / "nowhere")
    assert "is a folder" in refused(capsys, truth, mine, "--out", tmp_path)
    (tmp_path / "file").write_text("")
    assert "can't be written" in refused(capsys, truth, mine, "--out", tmp_path / "file" / "result.json")
    write(mine, "0000000006", np.ones((6, 8)))
    error = refused(capsys, truth, mine)
    assert "mine/0000000006.png is 6x8" in error
    assert "truth/0000000006.png 6x9" in error
    (mine / "0000000006.png").unlink()
    assert "1 of 2 ground truth files have no prediction" in refused(capsys, truth, mine)


def test_truth_without_any_valid_pixel_is_refused(tmp_path, capsys):
    for name, value in (("a", 2), ("b", 0)):
        write(tmp_path / "truth", name, np.full((3, 4), value))
        write(tmp_path / "mine", name, np.ones((3, 4)))
    assert "b.png has no valid pixel (all 0)" in refused(capsys, tmp_path / "truth", tmp_path / "mine")
