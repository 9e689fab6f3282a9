from pathlib import Path

import cv2
import numpy as np
import pytest
from plyfile import PlyData

from mtdc.commands import main

HEIGHT, WIDTH = 21, 33
CONFIG = "model = dict(network=dict(type='ClassicalNetwork', method=dict(type='Nearest')))\n"
NETWORK = """
model = dict(
    width=2,
    network=dict(
        type='MultiTaskNetwork',
        representation=dict(type='SparseDepth'),
        encoder=dict(type='MultiKernelEncoder'),
        trunk=dict(type='TransposedConvTrunk'),
        sharing=dict(type='SumSharing'),
        tasks=dict(depth=dict(type='DepthTask'))))
"""
#: The LiDAR's axes are the camera's (x right, y down, z forward), 1 m to its left: u = 20 (x - 1) / z + 16, v = 20 y / z + 10.
CAMERA_FILE = f"""calib_time: 09-Jan-2012 13:57:47
S_rect_02: {WIDTH}.0 {HEIGHT}.0
R_rect_00: 1 0 0 0 1 0 0 0 1
P_rect_02: 20 0 16 0 0 20 10 0 0 0 1 0
S_rect_03: 40.0 30.0
P_rect_03: 25 0 20 0 0 25 15 0 0 0 1 0
"""
VELODYNE_FILE = "R: 1 0 0 0 1 0 0 0 1\nT: -1 0 0\n"
INTRINSICS = "20 0 16 0 20 10 0 0 1\n"


@pytest.fixture
def config(tmp_path: Path) -> str:
    path = tmp_path / "nearest.py"
    path.write_text(CONFIG)
    return str(path)


@pytest.fixture
def calib(tmp_path: Path) -> Path:
    folder = tmp_path / "calib"
    folder.mkdir()
    (folder / "calib_cam_to_cam.txt").write_text(CAMERA_FILE)
    (folder / "calib_velo_to_cam.txt").write_text(VELODYNE_FILE)
    return folder


def sparse(seed: int = 0, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """Stored values (metres * 256) at about every tenth pixel below the fourth row."""
    generator = np.random.default_rng(seed)
    stored = generator.integers(500, 20000, (height, width)) * (generator.random((height, width)) < 0.1)
    stored[:4] = 0
    stored[height // 2, width // 2] = 5000
    return stored.astype(np.uint16)


def write(path: Path, stored: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".npy":
        np.save(path, stored / 256)
    else:
        assert cv2.imwrite(str(path), stored)
    return path


def complete(*arguments: object) -> int:
    return main(["complete", *map(str, arguments)])


def cloud_points(path: Path) -> np.ndarray:
    vertices = PlyData.read(str(path))["vertex"]
    return np.stack([vertices[axis] for axis in "xyz"], axis=1)


def files(folder: Path) -> list[str]:
    """All files but the folder's notes about itself."""
    found = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return sorted(path for path in found if path not in ("settings.json", "completed.jsonl"))


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    assert complete(*arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1 and err.startswith("mtdc complete: ")
    return err


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


def test_inverted_extrinsic_is_said_behind_the_results(tmp_path, config, capsys):
    rotation = [0, 0, 1, -1, 0, 0, 0, -1, 0]
    (tmp_path / "camera.json").write_text(
        f'{{"image_size": [40, 30], "K": [20, 20, 19, 14], "rotation": {rotation}, "translation": [0, 0, 0]}}'
    )
    points = np.random.default_rng(0).uniform((-20, -20, -2), (20, 20, 1), (500, 3))
    np.c_[points, points[:, 0]].astype("<f4").tofile(tmp_path / "scan.bin")
    arguments = ("--model", config, "--out", tmp_path / "out", "--calib", tmp_path / "camera.json")
    assert complete(tmp_path / "scan.bin", *arguments) == 0
    assert "Look at the results with care" in capsys.readouterr().out


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


def test_own_intrinsics_go_before_the_calibration(tmp_path, config, calib):
    (tmp_path / "k.txt").write_text("40 40 0 0")
    scan = write(tmp_path / "crop.png", sparse(height=11, width=17))
    arguments = ("--model", config, "--out", tmp_path / "out", "--calib", calib, "--intrinsics", tmp_path / "k.txt")
    assert complete(scan, *arguments) == 0
    vertices = PlyData.read(str(tmp_path / "out/cloud/crop.ply"))["vertex"]
    columns = vertices["x"] / vertices["z"] * 40
    np.testing.assert_allclose(columns, np.rint(columns), atol=1e-4)
    assert columns.min() == 0 and columns.max() == pytest.approx(16, abs=1e-4)


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
