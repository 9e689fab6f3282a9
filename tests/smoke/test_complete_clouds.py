"""LiDAR clouds from the command line: projected with KITTI's calibration or a camera of one's own."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from complete_support import HEIGHT, WIDTH, cloud_points, complete, refused, sparse, write, write_calibration, write_config
from plyfile import PlyData


@pytest.fixture
def config(tmp_path: Path) -> str:
    return write_config(tmp_path)


@pytest.fixture
def calib(tmp_path: Path) -> Path:
    return write_calibration(tmp_path)


def test_velodyne_scan_is_projected_and_completed(tmp_path, config, calib):
    # (1, 0, 8) is on the optical axis; (4, 2, 10) is seen at u = 20 * 3 / 10 + 16, v = 20 * 2 / 10 + 10; the last lies behind.
    points = np.array([[1, 0, 8, 0.3], [1, 0, 12, 0.3], [4, 2, 10, 0.3], [1, 0, -5, 0.3]], dtype="<f4")
    points.tofile(tmp_path / "scan.bin")
    assert complete(tmp_path / "scan.bin", "--model", config, "--out", tmp_path / "out", "--calib", calib) == 0
    dense = cv2.imread(str(tmp_path / "out/depth/scan.png"), cv2.IMREAD_UNCHANGED)
    assert dense.shape == (HEIGHT, WIDTH)
    assert dense[10, 16] == 8 * 256 and dense[14, 22] == 10 * 256
    assert set(np.unique(dense)) == {8 * 256, 10 * 256}
    vertices = PlyData.read(str(tmp_path / "out/cloud/scan.ply"))["vertex"]
    assert (0.0, 0.0, 8.0) in set(zip(vertices["x"].tolist(), vertices["y"].tolist(), vertices["z"].tolist(), strict=True))


def test_sixteen_lines_of_a_pcd_with_a_camera_of_its_own(tmp_path, config):
    """A sensor unlike KITTI's: 16 beams over 30 degrees, a wide camera of 101x75 pixels, a wall 10 m ahead."""
    azimuth, elevation = np.meshgrid(np.radians(np.arange(-180, 180, 0.4)), np.radians(np.arange(-15, 16, 2)))
    distance = 10 / np.cos(azimuth)
    wall = np.stack((np.full(azimuth.shape, 10.0), 10 * np.tan(azimuth), distance * np.tan(elevation)), axis=-1)
    wall[np.cos(azimuth) < 0.1] = np.nan
    points = wall.reshape(-1, 3).astype("<f4")
    header = "VERSION 0.7\nFIELDS x y z\nSIZE 4 4 4\nTYPE F F F\nCOUNT 1 1 1\nWIDTH 900\nHEIGHT 16\nPOINTS 14400\nDATA binary\n"
    (tmp_path / "scan.pcd").write_bytes(header.encode() + points.tobytes())
    (tmp_path / "camera.yaml").write_text(
        "image_size: [101, 75]\nK: {fx: 60, fy: 60, cx: 50, cy: 37}\n"
        "rotation: [0, -1, 0, 0, 0, -1, 1, 0, 0]\ntranslation: [0, 0.1, -0.5]\n"
    )
    arguments = ("--model", config, "--out", tmp_path / "out", "--calib", tmp_path / "camera.yaml")
    assert complete(tmp_path / "scan.pcd", *arguments, "--invalid", "zero") == 0
    dense, valid = (cv2.imread(str(tmp_path / f"out/{kind}/scan.png"), cv2.IMREAD_UNCHANGED) for kind in ("depth", "valid"))
    assert dense.shape == valid.shape == (75, 101) and valid.dtype == np.uint8 and set(np.unique(valid)) == {0, 255}
    assert set(np.unique(dense[valid > 0])) == {round(9.5 * 256)} and not dense[valid == 0].any()
    # Beams at -15 and 15 degrees meet the wall 2.68 m below and above the LiDAR: rows 37 + 60 (0.1 +- 2.68) / 9.5.
    rows = np.flatnonzero(valid[:, 50])
    assert abs(rows[0] - 20.7) < 1 and abs(rows[-1] - 54.6) < 1
    points = cloud_points(tmp_path / "out/cloud/scan.ply")
    np.testing.assert_allclose(points[:, 2], 9.5, atol=0.01)
    assert len(points) == np.count_nonzero(valid)


def test_inverted_extrinsic_is_said(tmp_path, config, capsys):
    rotation = [0, 0, 1, -1, 0, 0, 0, -1, 0]
    (tmp_path / "camera.json").write_text(
        f'{{"image_size": [40, 30], "K": [20, 20, 19, 14], "rotation": {rotation}, "translation": [0, 0, 0]}}'
    )
    points = np.random.default_rng(0).uniform((-20, -20, -2), (20, 20, 1), (500, 3))
    np.c_[points, points[:, 0]].astype("<f4").tofile(tmp_path / "scan.bin")
    arguments = ("--model", config, "--out", tmp_path / "out", "--calib", tmp_path / "camera.json")
    assert complete(tmp_path / "scan.bin", *arguments) == 0
    assert "Look at the results with care" in capsys.readouterr().out


def test_motion_of_the_car_is_undone_on_request(tmp_path, config, calib):
    """The LiDAR's x axis is the camera's x axis here: a point at azimuth atan2(y, x) moves along it."""
    np.array([[4, 2, 10, 0], [4, -2, 10, 0]], dtype="<f4").tofile(tmp_path / "scan.bin")
    arguments = (tmp_path / "scan.bin", "--model", config, "--calib", calib)
    assert complete(*arguments, "--out", tmp_path / "out", "--deskew", 40, "--turn-time", 0.5) == 0
    points = cloud_points(tmp_path / "out/cloud/scan.ply")
    for x, y in ((4, 2), (4, -2)):
        expected = (x - 1 - 40 * 0.5 * np.arctan2(y, x) / (2 * np.pi), y, 10)
        assert np.abs(points - expected).max(axis=1).min() < 0.5  # half a pixel is 0.25 m there


def test_another_camera_of_the_calibration(tmp_path, config, calib):
    np.array([[1, 0, 8, 0]], dtype="<f4").tofile(tmp_path / "scan.bin")
    assert complete(tmp_path / "scan.bin", "--model", config, "--out", tmp_path / "out", "--calib", calib, "--camera", 3) == 0
    assert cv2.imread(str(tmp_path / "out/depth/scan.png"), cv2.IMREAD_UNCHANGED).shape == (30, 40)


def test_own_intrinsics_are_not_the_velodyne_scans(tmp_path, config, calib):
    """The cloud of a projected scan must give the LiDAR's own points back (here 1 m to the left of the camera)."""
    (tmp_path / "k.txt").write_text("40 40 0 0")
    png = write(tmp_path / "crop.png", sparse(height=11, width=17))
    np.array([[1, 0, 8, 0], [4, 2, 10, 0]], dtype="<f4").tofile(tmp_path / "scan.bin")
    arguments = ("--model", config, "--out", tmp_path / "out", "--calib", calib, "--intrinsics", tmp_path / "k.txt")
    assert complete(tmp_path / "scan.bin", png, *arguments) == 0
    points = cloud_points(tmp_path / "out/cloud/scan.ply")
    for expected in ((0, 0, 8), (3, 2, 10)):
        assert np.abs(points - expected).max(axis=1).min() < 1e-4
    points = cloud_points(tmp_path / "out/cloud/crop.ply")
    assert (points[:, 0] / points[:, 2] * 40).max() == pytest.approx(16, abs=1e-4)


def test_camera_that_the_calibration_has_not(tmp_path, config, calib, capsys):
    scan = write(tmp_path / "scan.png", sparse())
    assert "P_rect_07" in refused(capsys, scan, "--model", config, "--out", tmp_path, "--calib", calib, "--camera", 7)


def test_velodyne_scan_needs_both_calibration_files(tmp_path, config, calib, capsys):
    np.ones((3, 4), "<f4").tofile(tmp_path / "scan.bin")
    arguments = (tmp_path / "scan.bin", "--model", config, "--out", tmp_path / "out")
    assert "give --calib" in refused(capsys, *arguments)
    (calib / "calib_velo_to_cam.txt").unlink()
    assert "calib_velo_to_cam.txt" in refused(capsys, *arguments, "--calib", calib)
    assert not (tmp_path / "out").exists()


def test_real_frame_as_png_npy_and_scan(tmp_path, config, shared):
    val = shared / "data/kitti/val"
    png = val / "2011_09_26_drive_0001_sync/proj_depth/velodyne_raw/image_02/0000000005.png"
    scan = val / "2011_09_26/2011_09_26_drive_0001_sync/velodyne_points/data/0000000005.bin"
    stored = cv2.imread(str(png), cv2.IMREAD_UNCHANGED)
    npy = write(tmp_path / "frame.npy", stored)
    out = tmp_path / "out"
    assert complete(png, npy, "--model", config, "--out", out, "--calib", val / "2011_09_26") == 0
    assert complete(scan, "--model", config, "--out", tmp_path / "scan", "--calib", val / "2011_09_26") == 0
    one, two = (cv2.imread(str(out / f"depth/{name}.png"), cv2.IMREAD_UNCHANGED) for name in ("0000000005", "frame"))
    np.testing.assert_array_equal(one, two)
    from_scan = cv2.imread(str(tmp_path / "scan/depth/0000000005.png"), cv2.IMREAD_UNCHANGED)
    assert from_scan.shape == one.shape == (375, 1242)
    # The official file is the scan with the car's motion undone: nearly the same depth nearly everywhere it was measured.
    difference_m = np.abs(from_scan.astype(float) - one)[stored > 0] / 256
    assert np.median(difference_m) < 0.1
    points = PlyData.read(str(out / "cloud/0000000005.ply"))["vertex"]
    road = np.median(points["y"][(np.abs(points["x"]) < 2) & (points["z"] < 15)])
    assert 1.5 < road < 1.8  # the camera stands 1.65 m above the road
