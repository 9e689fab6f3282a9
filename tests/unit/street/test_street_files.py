"""The street world on disk and drawn while training: the KITTI reader reads it, and what is half written is finished."""

import importlib.util
import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from mtdc.commands import main
from mtdc.data.calibration import read_calibration
from mtdc.data.datasets.kitti import KittiDepthCompletion
from mtdc.data.datasets.street import StreetWorld
from mtdc.data.io import read_depth_png, read_image
from mtdc.data.street import LidarOptions, StreetOptions, draw_frame
from mtdc.data.street.writer import DRIVE, frame_files, split_seed, street_state, write_street
from mtdc.errors import ConfigError, DataError
from mtdc.structures import DEPTH, GRAY_IMAGE, NORMALS, SEMANTICS, Field

#: Few shots, so that the truth's scans are cheap.
COARSE = {"step": 0.6}
OPTIONS = StreetOptions(size=(40, 131), lidar=LidarOptions(**COARSE))
DENSE = Field("dense_depth", 1, "metres", 0.0, "depth", "dense", 1 / 256)
EXTRA = ("dense", "normals", "semantics")


def test_the_kitti_reader_reads_what_is_drawn(tmp_path):
    assert write_street(tmp_path, 3, seed=2, split="train", options=OPTIONS, extra=EXTRA, processes=1) == 3
    everything = {"inputs": ("sparse_depth", "image", "intrinsics"), "targets": (DEPTH, GRAY_IMAGE, NORMALS, SEMANTICS, DENSE)}
    stored = KittiDepthCompletion(tmp_path, "train", require_target=True, cameras=(2,), **everything)
    drawn = StreetWorld(3, (40, 131), world_seed=2, lidar=COARSE, **everything)
    assert len(stored) == 3 and [stored.sample_id(i) for i in range(3)] == [drawn.sample_id(i) for i in range(3)]
    for index in range(3):
        one, other = stored[index], drawn[index]
        for key in ("sparse_depth", "image", "intrinsics"):
            torch.testing.assert_close(one["inputs"][key], other["inputs"][key], atol=1 / 256, rtol=1e-6)
        assert torch.equal(one["inputs"]["sparse_depth"] > 0, other["inputs"]["sparse_depth"] > 0)
        for key, tolerance in (("gt_depth", 1 / 256), ("gt_dense_depth", 1 / 256), ("gt_image", 1e-3), ("gt_normals", 0.01)):
            torch.testing.assert_close(one["data_samples"].get(key), other["data_samples"].get(key), atol=tolerance, rtol=0)
        assert torch.equal(one["data_samples"].gt_semantics, other["data_samples"].gt_semantics)
        assert (one["data_samples"].gt_normals.abs().sum(0) > 0).float().mean() > 0.5
    assert street_state(tmp_path / "train")["finished"] == 3


def test_the_calibration_places_lidar_points_where_the_world_has_them(tmp_path):
    write_street(tmp_path, 1, options=OPTIONS, processes=1)
    calibration = read_calibration(tmp_path / "train" / DRIVE)
    assert calibration.size(2) == (40, 131)
    np.testing.assert_allclose(calibration.intrinsics(2), OPTIONS.camera_matrix(), rtol=1e-6)
    # A point 10 m ahead of the LiDAR on its own axis, which looks down by 0.6 degrees from 7.6 cm above and 27 cm behind, and
    # leans to the left by 0.605 degrees.
    angle, lean = np.deg2rad(0.6), np.deg2rad(0.605)
    image = calibration.camera(2).lidar_to_image @ np.array([10.0, 0, 0, 1])
    depth = 10 * np.cos(angle) - 0.272
    assert image[2] == pytest.approx(depth, abs=1e-6)
    matrix = OPTIONS.camera_matrix()
    down = 10 * np.sin(angle)
    right, below = 0.058 + down * np.sin(lean), down * np.cos(lean) - 0.076
    assert image[0] / image[2] == pytest.approx(matrix[0, 2] + matrix[0, 0] * right / depth, abs=1e-4)
    assert image[1] / image[2] == pytest.approx(matrix[1, 2] + matrix[1, 1] * below / depth, abs=1e-4)
    # What lies to the sensor's right is higher in the picture by the lean.
    to_pixels = calibration.camera(2).lidar_to_image
    aside = np.linalg.solve(matrix, to_pixels @ np.array([0, -10.0, 0, 0]))
    np.testing.assert_allclose(aside, (10 * np.cos(lean), -10 * np.sin(lean), 0), atol=1e-6)


def test_a_half_written_world_is_finished_and_grows(tmp_path):
    write_street(tmp_path, 3, options=OPTIONS, processes=1)
    folder = tmp_path / "train"
    files = frame_files(folder, 1)
    before = files["image"].stat().st_mtime_ns, read_depth_png(files["sparse_depth"])
    frame_files(folder, 2)["truth"].unlink()
    frame_files(folder, 0)["sparse_depth"].unlink()
    # The sparse map is written last: a frame without one is not listed, whatever else it has.
    assert len(KittiDepthCompletion(tmp_path, "train")) == 2
    calls = []
    drawn = write_street(tmp_path, 4, options=OPTIONS, processes=2, progress=lambda done, total: calls.append((done, total)))
    assert drawn == 3 and calls == [(1, 3), (2, 3), (3, 3)]
    assert street_state(folder)["finished"] == 4 == street_state(folder)["frames"]
    assert files["image"].stat().st_mtime_ns == before[0]
    for number in range(4):
        expected = draw_frame(OPTIONS, split_seed(0, "train"), number, ("sparse_depth",)).maps["sparse_depth"]
        np.testing.assert_allclose(read_depth_png(frame_files(folder, number)["sparse_depth"]), expected, atol=1 / 500)
    assert write_street(tmp_path, 2, options=OPTIONS, processes=1) == 0
    assert street_state(folder)["finished"] == 4
    assert not list(tmp_path.rglob("*.tmp*"))


def test_an_interrupted_run_says_that_it_is_unfinished(tmp_path):
    def stop(done, total):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_street(tmp_path, 3, options=OPTIONS, processes=1, progress=stop)
    state = street_state(tmp_path / "train")
    assert state["frames"] == 3 and state["finished"] < 3
    assert write_street(tmp_path, 3, options=OPTIONS, processes=1) == 1


def test_another_world_in_the_folder_is_refused_and_named(tmp_path):
    write_street(tmp_path, 1, options=OPTIONS, processes=1)
    with pytest.raises(DataError, match=r"options.truth=filtered, not dense"):
        write_street(
            tmp_path, 1, options=StreetOptions(size=(40, 131), lidar=LidarOptions(**COARSE), truth="dense"), processes=1
        )
    with pytest.raises(DataError, match="seed=0, not 1"):
        write_street(tmp_path, 1, seed=1, options=OPTIONS, processes=1)
    path = tmp_path / "train" / "world.json"
    state = json.loads(path.read_text())
    del state["options"]["scan_share"]  # as written before there was such an option
    path.write_text(json.dumps(state))
    assert write_street(tmp_path, 1, options=OPTIONS, processes=1) == 0
    with pytest.raises(DataError, match=r"options.scan_share=0.0, not 0.5"):
        write_street(tmp_path, 1, options=replace(OPTIONS, scan_share=0.5), processes=1)
    path.write_text(path.read_text()[:20])
    with pytest.raises(DataError, match=r"world.json is no description"):
        write_street(tmp_path, 1, options=OPTIONS, processes=1)
    path.unlink()
    with pytest.raises(DataError, match="was not made by this command"):
        write_street(tmp_path, 1, options=OPTIONS, processes=1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"frames": 0}, "frames=0"),
        ({"frames": 1, "split": "a/b"}, "name of a folder"),
        ({"frames": 1, "extra": ("normal",)}, "Did you mean 'normals'"),
        ({"frames": 1, "processes": 0}, "processes=0"),
    ],
)
def test_wrong_arguments_are_named_before_anything_is_written(arguments, message, tmp_path):
    with pytest.raises(ConfigError, match=message):
        write_street(tmp_path, options=OPTIONS, **arguments)
    assert not list(tmp_path.iterdir())


def test_command_writes_says_so_and_refuses_in_one_line(tmp_path, capsys):
    command = [str(tmp_path / "street"), "--size", "40", "131", "--split", "val", "--processes", "1", "--lines", "16"]
    assert main([*command, "--frames", "2"], "street") == 0
    assert "2 frames drawn, 0 were there already" in capsys.readouterr().out
    assert main([*command, "--frames", "2"], "street") == 0
    assert "0 frames drawn, 2 were there already" in capsys.readouterr().out
    state = json.loads((tmp_path / "street/val/world.json").read_text())
    assert state["options"]["lidar"]["lines"] == 16 and state["world_version"] >= 1 and state["seed"] == 0
    assert main([*command, "--frames", "2", "--grow", "1"], "street") == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("mtdc street: ") and "options.grow=0, not 1" in error


def test_drawn_frames_are_fresh_by_epoch_and_splits_differ():
    fresh = StreetWorld(2, (24, 80), lidar=COARSE, truth="off")
    fixed = StreetWorld(2, (24, 80), lidar=COARSE, truth="off", fresh=False)
    maps = [fresh[1, epoch]["inputs"]["sparse_depth"] for epoch in (0, 0, 1)]
    assert torch.equal(maps[0], maps[1]) and not torch.equal(maps[0], maps[2])
    # Frame 1 of epoch 1 is the world's frame 3.
    assert torch.equal(maps[2], StreetWorld(4, (24, 80), lidar=COARSE, truth="off")[3]["inputs"]["sparse_depth"])
    assert torch.equal(fixed[1, 0]["inputs"]["sparse_depth"], fixed[1, 5]["inputs"]["sparse_depth"])
    assert not torch.equal(
        StreetWorld(2, (24, 80), lidar=COARSE, truth="off", split="val")[1]["inputs"]["sparse_depth"], maps[0]
    )
    assert torch.equal(StreetWorld(2, (24, 80), lidar=COARSE, truth="off", seed=9)[1]["inputs"]["sparse_depth"], maps[0])


def test_data_set_says_what_is_wrong():
    with pytest.raises(ConfigError, match="lidar has no 'line'. Did you mean 'lines'"):
        StreetWorld(2, lidar={"line": 16})
    with pytest.raises(ConfigError, match="length=0"):
        StreetWorld(0)
    with pytest.raises(ConfigError, match="no map of the input 'sky'"):
        StreetWorld(2, inputs=(Field("sky", 1, "probability", 255, folder="sky"),))


def test_sheet_tool_draws_a_tile_for_each_frame(repository, tmp_path, capsys):
    spec = importlib.util.spec_from_file_location("street_sheet", repository / "tools/street_sheet.py")
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    path = tmp_path / "sheet.png"
    small = ["--size", "40", "131", "--width", "131", "--frames", "1"]
    assert tool.main([str(path), "--layouts", "country", "motorway", "narrow", *small]) == 0
    picture = read_image(path)
    assert picture.shape == (2 * 4 * 40, 2 * 131, 3) and picture[:40].std() > 5 and not picture[160:, 131:].any()
    for wrong, message in ((["--layouts", "town"], "layouts has 'town'"), (["--columns", "0"], "at least 1")):
        with pytest.raises(SystemExit):
            tool.main([str(path), *small, *wrong])
        assert message in capsys.readouterr().err
