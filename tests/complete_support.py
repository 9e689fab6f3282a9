"""Scans, configs and looks at results for the tests of `mtdc complete`."""

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


def write_config(folder: Path) -> str:
    """A config of a method without weights."""
    path = folder / "nearest.py"
    path.write_text(CONFIG)
    return str(path)


def write_calibration(folder: Path) -> Path:
    """KITTI's two calibration files."""
    folder = folder / "calib"
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
