import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from complete_support import (
    CONFIG,
    HEIGHT,
    INTRINSICS,
    NETWORK,
    WIDTH,
    cloud_points,
    complete,
    files,
    refused,
    sparse,
    write,
    write_calibration,
    write_config,
)
from plyfile import PlyData


@pytest.fixture
def config(tmp_path: Path) -> str:
    return write_config(tmp_path)


@pytest.fixture
def calib(tmp_path: Path) -> Path:
    return write_calibration(tmp_path)


def test_png_and_npy_of_one_scan_give_one_answer(tmp_path, capsys):
    stored = sparse()
    png, npy = write(tmp_path / "one.png", stored), write(tmp_path / "two.npy", stored)
    assert complete(png, npy, "--model", "classical/nearest_kitti", "--out", tmp_path / "out") == 0
    assert files(tmp_path / "out") == [f"{kind}/{name}.png" for kind in ("color", "depth", "valid") for name in ("one", "two")]
    dense = cv2.imread(str(tmp_path / "out/depth/one.png"), cv2.IMREAD_UNCHANGED)
    assert dense.dtype == np.uint16 and dense.shape == stored.shape
    np.testing.assert_array_equal(dense[stored > 0], stored[stored > 0])
    assert dense.min() > 0 and set(np.unique(dense)) <= set(np.unique(stored))
    np.testing.assert_array_equal(dense, cv2.imread(str(tmp_path / "out/depth/two.png"), cv2.IMREAD_UNCHANGED))
    color = cv2.imread(str(tmp_path / "out/color/one.png"), cv2.IMREAD_UNCHANGED)
    assert color.shape == (*stored.shape, 3) and color.any(axis=2).all()
    said = capsys.readouterr().out
    assert "No point clouds" in said
    assert (
        said.splitlines()[-1]
        == f"Completed 2 scans: {', '.join(str(tmp_path / 'out' / kind) for kind in ('depth', 'valid', 'color'))}"
    )


def test_cloud_lies_where_the_pixels_look(tmp_path, config):
    stored = np.zeros((HEIGHT, WIDTH), np.uint16)
    stored[8, 10] = stored[14, 10] = 10 * 256
    (tmp_path / "k.txt").write_text(INTRINSICS)
    scan = write(tmp_path / "scan.png", stored)
    assert complete(scan, "--model", config, "--out", tmp_path / "out", "--intrinsics", tmp_path / "k.txt") == 0
    vertices = PlyData.read(str(tmp_path / "out/cloud/scan.ply"))["vertex"]
    points = cloud_points(tmp_path / "out/cloud/scan.ply")
    # Columns 9..11 (one to each side) and rows 8..14 are between measured points: x = (u - 16) z / 20, y = (v - 10) z / 20.
    expected = [((u - 16) / 2, (v - 10) / 2, 10) for v in range(8, 15) for u in (9, 10, 11)]
    np.testing.assert_allclose(points, expected)
    assert {vertices[channel].dtype for channel in ("red", "green", "blue")} == {np.dtype("u1")}


def test_depth_scale_of_other_makers(tmp_path, config):
    millimetres = np.zeros((HEIGHT, WIDTH), np.uint16)
    millimetres[8, 10], millimetres[14, 20] = 1500, 4000
    scan = write(tmp_path / "scan.png", millimetres)
    assert complete(scan, "--model", config, "--out", tmp_path / "out", "--depth-scale", 1000) == 0
    dense = cv2.imread(str(tmp_path / "out/depth/scan.png"), cv2.IMREAD_UNCHANGED)
    assert dense[8, 10] == 384 and dense[14, 20] == 1024  # the output is metres * 256 whatever came in


def test_measured_points_are_kept_on_request(tmp_path):
    (tmp_path / "fill.py").write_text(CONFIG.replace("Nearest", "Morphological"))
    stored = sparse()
    scan = write(tmp_path / "scan.png", stored)
    changed = []
    for name, more in (("plain", ()), ("kept", ("--keep-measured",))):
        assert complete(scan, "--model", tmp_path / "fill.py", "--out", tmp_path / name, *more) == 0
        dense = cv2.imread(str(tmp_path / name / "depth/scan.png"), cv2.IMREAD_UNCHANGED)
        changed.append(int(np.count_nonzero(dense[stored > 0] != stored[stored > 0])))
    assert changed[0] > 0 and changed[1] == 0


def test_own_intrinsics_go_before_the_calibration(tmp_path, config, calib):
    (tmp_path / "k.txt").write_text("40 40 0 0")
    scan = write(tmp_path / "crop.png", sparse(height=11, width=17))
    arguments = ("--model", config, "--out", tmp_path / "out", "--calib", calib, "--intrinsics", tmp_path / "k.txt")
    assert complete(scan, *arguments) == 0
    vertices = PlyData.read(str(tmp_path / "out/cloud/crop.ply"))["vertex"]
    columns = vertices["x"] / vertices["z"] * 40
    np.testing.assert_allclose(columns, np.rint(columns), atol=1e-4)
    assert columns.min() == 0 and columns.max() == pytest.approx(16, abs=1e-4)


def test_size_other_than_the_calibration_is_refused_with_both(tmp_path, config, calib, capsys):
    scan = write(tmp_path / "crop.png", sparse(height=11, width=17))
    said = refused(capsys, scan, "--model", config, "--out", tmp_path / "out", "--calib", calib)
    assert "17x11" in said and f"{WIDTH}x{HEIGHT}" in said and "--intrinsics" in said


def test_folder_is_searched_and_same_names_are_told_apart(tmp_path, config, capsys):
    scans = tmp_path / "scans"
    for seed, name in enumerate(("a/5.png", "b/deep/5.png", "b/deep/6.npy")):
        write(scans / name, sparse(seed))
    (scans / "b/readme.txt").write_text("not a scan")
    (scans / "b/._5.png").write_text("left by another system")
    assert complete(scans, scans / "a/5.png", "--model", config, "--out", tmp_path / "out") == 0
    assert files(tmp_path / "out/depth") == ["a_5.png", "b_deep_5.png", "b_deep_6.png"]
    dense = cv2.imread(str(tmp_path / "out/depth/b_deep_5.png"), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(dense[sparse(1) > 0], sparse(1)[sparse(1) > 0])
    said = capsys.readouterr().out
    assert "Ignored 1 file" in said and "Completed 3 scans" in said


def test_photos_in_a_folder_are_skipped_and_counted(tmp_path, config, capsys):
    drive = tmp_path / "2011_09_26_drive_0001_sync"
    write(drive / "proj_depth/velodyne_raw/image_02/5.png", sparse())
    write(drive / "image_02/data/5.png", np.full((HEIGHT, WIDTH, 3), 90, np.uint8))
    gray = write(drive / "image_00/data/5.png", np.full((HEIGHT, WIDTH), 90, np.uint8))
    assert complete(drive, "--model", config, "--out", tmp_path / "out") == 0
    said = capsys.readouterr().out
    assert "Skipped 2 photos" in said and "Completed 1 scan:" in said
    assert files(tmp_path / "out") == ["color/5.png", "depth/5.png", "valid/5.png"]
    # Named directly it is meant, and wrong.
    assert "is 8-bit" in refused(capsys, gray, "--model", config, "--out", tmp_path / "other")


def test_results_inside_the_scans_folder_are_not_completed_again(tmp_path, config, capsys):
    write(tmp_path / "scans/1.png", sparse())
    for _ in range(2):
        assert complete(tmp_path / "scans", "--model", config, "--out", tmp_path / "scans") == 0
        assert "Completed 1 scan:" in capsys.readouterr().out
    assert files(tmp_path / "scans") == ["1.png", "color/1.png", "depth/1.png", "valid/1.png"]


def test_a_scan_is_never_overwritten(tmp_path, config, capsys):
    scan = write(tmp_path / "depth/1.png", sparse())
    said = refused(capsys, scan, "--model", config, "--out", tmp_path)
    assert "overwrite" in said
    np.testing.assert_array_equal(cv2.imread(str(scan), cv2.IMREAD_UNCHANGED), sparse())
    # As a folder it looks like earlier results: left out, and the message says so.
    assert "earlier results" in refused(capsys, tmp_path / "depth", "--model", config, "--out", tmp_path)


def test_links_are_followed_and_circles_end(tmp_path, config):
    write(tmp_path / "disk/1.png", sparse())
    (tmp_path / "scans").mkdir()
    (tmp_path / "scans/linked").symlink_to(tmp_path / "disk")
    (tmp_path / "disk/up").symlink_to(tmp_path / "disk")
    assert complete(tmp_path / "scans", "--model", config, "--out", tmp_path / "out") == 0
    assert files(tmp_path / "out/depth") == ["1.png"]


def test_a_pipe_is_not_waited_for_and_a_link_to_nowhere_is_named(tmp_path, config, capsys):
    write(tmp_path / "scans/1.png", sparse())
    os.mkfifo(tmp_path / "scans/2.png")
    assert complete(tmp_path / "scans", "--model", config, "--out", tmp_path / "out") == 0
    assert "Ignored 1 file" in capsys.readouterr().out
    (tmp_path / "scans/3.png").symlink_to(tmp_path / "gone.png")
    assert "3.png does not exist" in refused(capsys, tmp_path / "scans", "--model", config, "--out", tmp_path / "out")


def test_fixed_colours_compare_between_frames(tmp_path, config):
    near, far = sparse(), sparse()
    near[near > 0], far[far > 0] = 10 * 256, 40 * 256
    near[10, 16], far[10, 16] = 20 * 256, 20 * 256
    scans = [write(tmp_path / "near.png", near), write(tmp_path / "far.png", far)]
    assert complete(*scans, "--model", config, "--out", tmp_path / "out", "--range", 5, 50) == 0
    one, two = (cv2.imread(str(tmp_path / f"out/color/{name}.png")) for name in ("near", "far"))
    assert (one[10, 16] == two[10, 16]).all() and (one[20, 0] != two[20, 0]).any()


def test_photos_colour_the_cloud(tmp_path, config):
    scan = write(tmp_path / "scans/7.png", sparse())
    (tmp_path / "k.txt").write_text(INTRINSICS)
    photo = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    photo[..., 0], photo[..., 2] = 10, 200  # OpenCV writes blue, green, red
    write(tmp_path / "photos/7.png", photo)
    arguments = (
        "--model",
        config,
        "--out",
        tmp_path / "out",
        "--intrinsics",
        tmp_path / "k.txt",
        "--images",
        tmp_path / "photos",
    )
    assert complete(scan, *arguments) == 0
    vertices = PlyData.read(str(tmp_path / "out/cloud/7.ply"))["vertex"]
    assert set(vertices["red"]) == {200} and set(vertices["green"]) == {0} and set(vertices["blue"]) == {10}


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda root: root / "gone.png", "gone.png does not exist"),
        (lambda root: write(root / "photo.jpg", np.zeros((4, 5), np.uint8)), "'.jpg'; expected 16-bit depth .png"),
        (lambda root: write(root / "8bit.png", np.zeros((4, 5), np.uint8)), "8bit.png is 8-bit"),
        (lambda root: write(root / "empty.png", np.zeros((4, 5), np.uint16)), "empty.png: sparse depth has no measured point"),
        (lambda root: write(root / "mm.npy", np.full((4, 5), 5e6)), "millimetres"),
        (lambda root: write(root / "points.npy", np.arange(-40.0, 40).reshape(20, 4)), "Clouds are read from .bin"),
        (lambda root: root / "calib", "holds no scan (0 8-bit or colour PNGs, 2 other files"),
        (
            lambda root: write(root / "photos/1.png", np.zeros((4, 5, 3), np.uint8)).parent,
            "holds no scan (1 8-bit or colour PNGs",
        ),
        (lambda root: write(root / "empty/1.png", np.zeros((4, 5), np.uint16)).parent, "1.png: sparse depth has no measured"),
    ],
)
def test_bad_input_is_one_line_and_leaves_no_result(tmp_path, config, calib, capsys, make, said):
    assert said in refused(capsys, make(tmp_path), "--model", config, "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--range", 50, 5), "colour range must be 0 < near < far in metres, not 50 to 5"),
        (("--range", 5, "inf"), "not 5 to inf"),
        (("--range", 0, 50), "not 0 to 50"),
        (("--intrinsics", "gone.txt"), "gone.txt"),
        (("--intrinsics", "camera.yaml"), "goes to --calib"),
        (("--calib", "gone"), "gone"),
        (("--calib", "gone.yaml"), "gone.yaml does not exist"),
        (("--depth-scale", 0), "depth scale is 0"),
        (("--depth-scale", "nan"), "depth scale is nan"),
        (("--bin-columns", 2), "has 2 values"),
        (("--max-distance", -1), "expected 0 or more pixels"),
        (("--deskew", 100), "divide km/h by 3.6"),
        (("--yaw-rate", 0.1), "belong to --deskew"),
        (("--images", "gone"), "gone is no folder"),
        (("--checkpoint", "some.pth"), "some.pth: this config's method has no weights"),
        (("--device", "cudda"), "'cudda'"),
    ],
)
def test_bad_options_are_said_before_any_work(tmp_path, config, capsys, more, said):
    scan = write(tmp_path / "scan.png", sparse())
    assert said in refused(capsys, scan, "--model", config, "--out", tmp_path / "out", *more)
    assert not (tmp_path / "out").exists()


def test_output_folder_that_is_a_file(tmp_path, config, capsys):
    scan = write(tmp_path / "scan.png", sparse())
    assert "can't write to" in refused(capsys, scan, "--model", config, "--out", scan)
    assert "can't write to" in refused(capsys, scan, "--model", config, "--out", tmp_path / ("long" * 100))
    (tmp_path / "out").mkdir()
    (tmp_path / "out/color").write_text("a file where a folder should be")
    assert "color is a file" in refused(capsys, scan, "--model", config, "--out", tmp_path / "out")
    assert files(tmp_path / "out") == ["color"]


def test_model_that_is_unknown_or_lacks_weights(tmp_path, capsys):
    scan = write(tmp_path / "scan.png", sparse())
    assert "classical/nearst" in refused(capsys, scan, "--model", "classical/nearst", "--out", tmp_path / "out")
    (tmp_path / "network.py").write_text(NETWORK)
    said = refused(capsys, scan, "--model", tmp_path / "network.py", "--out", tmp_path / "out")
    assert "has weights" in said and "checkpoint" in said
    assert not (tmp_path / "out").exists()


def test_names_that_stay_equal_are_refused_before_any_work(tmp_path, config, capsys):
    scans = [write(tmp_path / "scan.png", sparse()), write(tmp_path / "scan.npy", sparse())]
    assert "both be written as 'scan'" in refused(capsys, *scans, "--model", config, "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_one_bad_file_of_many_stops_and_what_was_written_stays_whole(tmp_path, config, capsys):
    for name in ("1.png", "2.png", "4.png"):
        write(tmp_path / "scans" / name, sparse())
    whole = (tmp_path / "scans/1.png").read_bytes()
    (tmp_path / "scans/3.png").write_bytes(whole[: len(whole) // 2])
    said = refused(capsys, tmp_path / "scans", "--model", config, "--out", tmp_path / "out")
    assert "3.png" in said and "2 of 4 scans" in said
    assert files(tmp_path / "out") == [f"{kind}/{name}.png" for kind in ("color", "depth", "valid") for name in (1, 2)]
    for path in (tmp_path / "out").rglob("*.png"):
        assert cv2.imread(str(path), cv2.IMREAD_UNCHANGED).shape[:2] == (HEIGHT, WIDTH)


def test_photo_that_is_missing_or_of_another_size(tmp_path, config, capsys):
    scan = write(tmp_path / "scans/7.png", sparse())
    write(tmp_path / "photos/8.jpg", np.zeros((HEIGHT, WIDTH, 3), np.uint8))
    arguments = (scan, "--model", config, "--out", tmp_path / "out", "--images", tmp_path / "photos")
    assert "no photo 7.png or .jpg" in refused(capsys, *arguments)
    write(tmp_path / "photos/7.png", np.zeros((HEIGHT, WIDTH + 1, 3), np.uint8))
    assert f"{WIDTH + 1}x{HEIGHT}" in refused(capsys, *arguments)
