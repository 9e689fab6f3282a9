"""docs/complete.md as it stands there: every Python block in turn, every command, and the camera file."""

import re
import shlex

import cv2
import numpy as np
import pytest

from mtdc.commands import main
from mtdc.data.camera_file import read_camera
from mtdc.engine.checkpoint import save_weights
from mtdc.engine.config import load_config
from mtdc.model import build_model

KITTI = {
    "calib_cam_to_cam.txt": "S_rect_02: 64.0 48.0\nR_rect_00: 1 0 0 0 1 0 0 0 1\nP_rect_02: 40 0 32 0 0 40 24 0 0 0 1 0\n",
    "calib_velo_to_cam.txt": "R: 0 -1 0 0 0 -1 1 0 0\nT: 0 0 0\n",
}


@pytest.fixture
def page(repository):
    return (repository / "docs" / "complete.md").read_text()


@pytest.fixture
def place(tmp_path, monkeypatch, page):
    """The files that the page speaks of."""
    monkeypatch.chdir(tmp_path)
    sparse = np.zeros((48, 64), np.uint16)
    sparse[20::3, ::4] = 2560
    (tmp_path / "scans").mkdir()
    for name in ("scans/1.png", "frame.png"):
        assert cv2.imwrite(name, sparse)
    (tmp_path / "K.txt").write_text("40 40 32 24")
    (tmp_path / "2011_09_26").mkdir()
    for name, text in KITTI.items():
        (tmp_path / "2011_09_26" / name).write_text(text)
    points = np.random.default_rng(0).uniform((5, -10, -2), (20, 10, 1), (300, 3))
    np.c_[points, points[:, 0]].astype("<f4").tofile("0000000005.bin")
    lines = "".join(f"{x} {y} {z}\n" for x, y, z in points)
    (tmp_path / "scan.pcd").write_text(
        f"VERSION 0.7\nFIELDS x y z\nSIZE 4 4 4\nTYPE F F F\nCOUNT 1 1 1\nWIDTH 300\nHEIGHT 1\nPOINTS 300\nDATA ascii\n{lines}"
    )
    (block,) = re.findall(r"```yaml\n(.*?)```", page, flags=re.DOTALL)
    (tmp_path / "camera.yaml").write_text(block)
    return tmp_path


def test_python_blocks_run_one_after_the_other(page, place):
    sparse = np.zeros((48, 64), np.float32)
    sparse[20::3, ::4] = 10.0
    names = {"sparse_depth": sparse}
    blocks = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    assert len(blocks) == 4
    shapes = []
    for block in blocks:
        exec(compile(block, "docs/complete.md", "exec"), names)
        shapes.append(names["depth"].shape)
    assert shapes == [(48, 64), (375, 1242), (375, 1242), (375, 1242)]
    assert len(names["vertices"]) == np.count_nonzero(names["completed"].valid)


def test_commands_run(page, place, capsys):
    # The network's width is of no interest here, its name and the weights' are.
    model = build_model(load_config("aux_image_kitti").model)
    save_weights(model, place / "weights.pth")
    (block,) = re.findall(r"```bash\n(.*?)```", page, flags=re.DOTALL)
    commands = [shlex.split(line) for line in block.splitlines()]
    assert len(commands) == 5
    for program, *arguments in commands:
        assert program == "mtdc" and main(arguments) == 0
        assert "Completed 1 scan" in capsys.readouterr().out
    written = sorted(f"{path.parts[-3]}/{path.stem}" for path in place.glob("completed*/depth/*"))
    assert written == [
        "completed/1",
        "completed_cloud/scan",
        "completed_network/frame",
        "completed_velodyne/0000000005",
        "completed_zoo/0000000005",
    ]


def test_every_option_of_the_page_exists(page):
    import argparse

    from mtdc.commands.complete import add_arguments

    parser = argparse.ArgumentParser()
    add_arguments(parser)
    known = {option for action in parser._actions for option in action.option_strings}
    assert set(re.findall(r"--[a-z][a-z-]+", page)) <= known
    # And the other way round: an option that the page leaves out is not found by those who read it.
    assert known - {"-h", "--help", "--device"} <= set(re.findall(r"--[a-z][a-z-]+", page))


def test_the_camera_file_is_read(place):
    camera = read_camera(place / "camera.yaml")
    assert camera.size == (375, 1242) and camera.doubt() is None
