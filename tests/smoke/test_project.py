"""tools/project.py: clouds to a plain folder, as KITTI's own program projects them."""

import shutil
import subprocess
import sys

import numpy as np
import pytest

from mtdc.data.datasets.folder import Folder
from mtdc.data.io import read_depth_png

CAMERA = "image_size: [64, 48]\nK: [50, 50, 31.5, 23.5]\nT_camera_lidar: [0, -1, 0, 0, 0, 0, -1, 0, 1, 0, 0, 0, 0, 0, 0, 1]\n"


@pytest.fixture
def project(repository, capsys, monkeypatch):
    monkeypatch.syspath_prepend(str(repository / "tools"))
    import project as tool

    def call(*arguments):
        code = tool.main([str(one) for one in arguments])
        return code, capsys.readouterr()

    return call


def scan_at(path, points):
    np.array(points, dtype="<f4").tofile(path)


def test_a_point_lands_where_the_pinhole_camera_sees_it(project, tmp_path):
    (tmp_path / "camera.yaml").write_text(CAMERA)
    # 10 m ahead, 2 m to the left and 1 m down; and one behind it on the same ray.
    scan_at(tmp_path / "a.bin", [[10, 2, -1, 0], [20, 4, -2, 0]])
    code, said = project(tmp_path / "a.bin", "--calib", tmp_path / "camera.yaml", "--out", tmp_path / "mine")
    assert code == 0 and "Projected 1 clouds" in said.out
    depth = read_depth_png(tmp_path / "mine/depth/a.png")
    assert depth.shape == (48, 64) and np.argwhere(depth).tolist() in ([[28, 21]], [[28, 22]], [[29, 21]], [[29, 22]])
    assert depth.max() == 10
    data = Folder(tmp_path / "mine", inputs=("sparse_depth", "intrinsics"), transforms=[{"type": "HoldBack"}])
    np.testing.assert_allclose(data[0]["inputs"]["intrinsics"], [[50, 0, 31.5], [0, 50, 23.5], [0, 0, 1]])


def test_a_folder_is_of_one_camera(project, tmp_path):
    (tmp_path / "camera.yaml").write_text(CAMERA)
    (tmp_path / "other.yaml").write_text(CAMERA.replace("31.5", "30.5"))
    scan_at(tmp_path / "a.bin", [[10, 2, -1, 0]])
    assert project(tmp_path / "a.bin", "--calib", tmp_path / "camera.yaml", "--out", tmp_path / "mine")[0] == 0
    code, said = project(tmp_path / "a.bin", "--calib", tmp_path / "other.yaml", "--out", tmp_path / "mine")
    assert code == 2 and "is of another camera" in said.err and said.err.count("\n") == 1


def test_a_map_and_a_missing_file_are_refused_in_one_line(project, tmp_path):
    (tmp_path / "camera.yaml").write_text(CAMERA)
    np.save(tmp_path / "map.npy", np.ones((48, 64), np.float32))
    for name, text in (("map.npy", "is a map of depth already"), ("gone.bin", "does not exist")):
        code, said = project(tmp_path / name, "--calib", tmp_path / "camera.yaml", "--out", tmp_path / "mine")
        assert code == 2 and text in said.err and said.err.count("\n") == 1
    assert not (tmp_path / "mine").exists()


def test_a_real_scan_lands_as_in_the_official_file(shared, repository, tmp_path):
    val = shared / "data/kitti/val"
    drive = "2011_09_26_drive_0001_sync"
    shutil.copy(val / f"2011_09_26/{drive}/velodyne_points/data/0000000005.bin", tmp_path / "0000000005.bin")
    command = [sys.executable, str(repository / "tools/project.py"), str(tmp_path / "0000000005.bin")]
    command += ["--calib", str(val / "2011_09_26"), "--out", str(tmp_path / "mine"), "--deskew", "13.2"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    mine = read_depth_png(tmp_path / "mine/depth/0000000005.png")
    official = read_depth_png(val / drive / "proj_depth/velodyne_raw/image_02/0000000005.png")
    assert mine.shape == official.shape
    assert abs(np.count_nonzero(mine) / np.count_nonzero(official) - 1) < 0.005
    both = (mine > 0) & (official > 0)
    assert np.count_nonzero(both) > 0.6 * np.count_nonzero(official)
    assert np.median(np.abs(mine - official)[both]) < 0.02
