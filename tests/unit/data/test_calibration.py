"""Calibration and intrinsics: hand-made files, and a real scan against the official sparse map."""

import warnings

import numpy as np
import pytest

from mtdc.data.calibration import read_calibration, read_intrinsics
from mtdc.data.io import read_depth_png, read_velodyne
from mtdc.errors import DataError

CAMERAS = """calib_time: 09-Jan-2012 13:57:47
corner_dist: 9.950000e-02
S_rect_02: 1.242000e+03 3.750000e+02
R_rect_00: 1 0 0 0 1 0 0 0 1
P_rect_02: 100 0 50 13 0 200 20 3 0 0 1 0.5
P_rect_03: 100 0 50 10
"""
# LiDAR x forward, y left, z up -> camera x right, y down, z forward.
VELODYNE = "calib_time: 15-Mar-2012 11:37:16\nR: 0 -1 0 0 0 -1 1 0 0\nT: 0 0 0\ndelta_f: 0 0\n"


def folder(tmp_path, cameras=CAMERAS, velodyne=VELODYNE):
    (tmp_path / "calib_cam_to_cam.txt").write_text(cameras)
    if velodyne is not None:
        (tmp_path / "calib_velo_to_cam.txt").write_text(velodyne)
    return tmp_path


def test_projection_by_hand(tmp_path):
    calibration = read_calibration(folder(tmp_path))
    assert calibration.size(2) == (375, 1242)
    np.testing.assert_array_equal(calibration.intrinsics(2), [[100, 0, 50], [0, 200, 20], [0, 0, 1]])
    # LiDAR (9.5, -1, -2) is camera (1, 2, 9.5): y = (100 + 475 + 13, 400 + 190 + 3, 10), so u = 58.8, v = 59.3, depth 10.
    # The second point lies behind it on the same pixel, the third behind the camera.
    scan = np.array([[9.5, -1, -2, 0.3], [19.5, -1.92, -3.935, 0.1], [-9.5, 1, 2, 0]], np.float32)
    depth = calibration.camera(2).sparse_depth(scan)
    assert depth.shape == (375, 1242) and depth.dtype == np.float32
    assert np.argwhere(depth).tolist() == [[59, 59]]
    assert depth[59, 59] == pytest.approx(10)


def test_missing_keys_are_named(tmp_path):
    calibration = read_calibration(folder(tmp_path))
    with pytest.raises(DataError, match=r"calib_cam_to_cam.txt.*'P_rect_01'.*P_rect_02, P_rect_03"):
        calibration.intrinsics(1)
    with pytest.raises(DataError, match=r"P_rect_03.*4 numbers.*12"):
        calibration.projection(3)
    with pytest.raises(DataError, match=r"does not exist"):
        read_calibration(tmp_path / "nowhere")
    (tmp_path / "calib_velo_to_cam.txt").unlink()
    with pytest.raises(DataError, match=r"calib_velo_to_cam.txt does not exist"):
        _ = read_calibration(tmp_path).camera(2).lidar_to_image
    with pytest.raises(DataError, match=r"no line 'key: numbers'"):
        read_calibration(folder(tmp_path, cameras="calib_time: 09-Jan-2012 13:57:47\n"))


@pytest.mark.parametrize(
    "text",
    [
        "721.5 0 609.5 0 720.5 172.75 0 0 1\n",
        "721.5 0 609.5\n0 720.5 172.75\n0 0 1",
        "[[721.5, 0, 609.5], [0, 720.5, 172.75], [0, 0, 1]]",
        "721.5,720.5,609.5,172.75",
    ],
)
def test_intrinsics_of_text(tmp_path, text):
    (tmp_path / "K.txt").write_text(text)
    np.testing.assert_array_equal(read_intrinsics(tmp_path / "K.txt"), [[721.5, 0, 609.5], [0, 720.5, 172.75], [0, 0, 1]])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1 0 0 0 1 0 0 0 1", "identity"),
        ("-721 0 609 0 721 172 0 0 1", "positive"),
        ("0.58 1.9 0.5 0.5", "parts of the image's size"),
        ("721 0 0 0 721 0 609 172 1", "transposed"),
        ("721 0 609 44 0 721 172 0 0 0 1 0", "12 numbers"),
        ("nan 0 609 0 721 172 0 0 1", "NaN"),
        ("fx: 721", "words"),
        ("\n", "0 numbers"),
        ("", "0 bytes"),
        ("7e7 0 609 0 721 172 0 0 1", "no pixel value"),
    ],
)
def test_intrinsics_that_are_none(tmp_path, text, words):
    (tmp_path / "K.txt").write_text(text)
    with pytest.raises(DataError, match=words) as caught:
        read_intrinsics(tmp_path / "K.txt")
    assert "K.txt" in str(caught.value) and "\n" not in str(caught.value)


def test_intrinsics_of_arrays_and_wrong_files(tmp_path):
    matrix = np.array([[500.0, 0, 320], [0, 500, 240], [0, 0, 1]])
    np.save(tmp_path / "K.npy", matrix)
    np.testing.assert_array_equal(read_intrinsics(tmp_path / "K.npy"), matrix)
    np.save(tmp_path / "K.npy", matrix[:2])
    with pytest.raises(DataError, match=r"\(2, 3\)"):
        read_intrinsics(tmp_path / "K.npy")
    with pytest.raises(DataError, match="does not exist"):
        read_intrinsics(tmp_path / "none.txt")
    for path in (folder(tmp_path), tmp_path / "calib_cam_to_cam.txt"):
        with pytest.raises(DataError, match="several cameras"):
            read_intrinsics(path)


@pytest.mark.parametrize("camera", [2, 3])
def test_real_scan_against_the_official_sparse_map(shared, camera):
    """The official map undoes the car's motion during the scan; with that undone here most pixels agree to the last bit."""
    val = shared / "data/kitti/val"
    calibration = read_calibration(val / "2011_09_26")
    scan = read_velodyne(val / "2011_09_26/2011_09_26_drive_0001_sync/velodyne_points/data/0000000005.bin").astype(np.float64)
    official = read_depth_png(val / f"2011_09_26_drive_0001_sync/proj_depth/velodyne_raw/image_0{camera}/0000000005.png")
    measured = official > 0
    assert calibration.size(camera) == official.shape

    raw = calibration.camera(camera).sparse_depth(scan)
    assert abs(np.count_nonzero(raw) - np.count_nonzero(measured)) < 40  # 19137 and 19154 for camera 2

    # One turn takes 0.1037 s and the camera fires when the LiDAR looks ahead; the car drove about 12.75 m/s straight on.
    azimuth = np.arctan2(scan[:, 1], scan[:, 0])
    scan[:, 0] -= 12.75 * azimuth / (2 * np.pi) * 0.1037
    still = calibration.camera(camera).sparse_depth(scan)
    same = np.abs(still - official)[measured] < 1.5 / 256
    assert same.mean() > 0.7  # 0.73; a projection that is off by one pixel in u, v or camera: below 0.1


def test_a_nan_that_numpy_warns_of_is_refused_quietly(tmp_path):
    """The signalling kind, which only a damaged file holds."""
    matrix = np.array([[20, 0, 6], [0, 20, 4], [0, 0, 1]], np.float32)
    matrix.view(np.uint32)[0, 1] = 0x7FA00000
    np.save(tmp_path / "K.npy", matrix)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(DataError, match="NaN or infinity"):
            read_intrinsics(tmp_path / "K.npy")
