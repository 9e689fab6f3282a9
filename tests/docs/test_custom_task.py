"""The custom task of the docs, as it stands there: one file outside the package, trained from the command line."""

import json
import re
import subprocess
import sys

import torch
from support import kitti_tree, small_run, sparse_map

from mtdc.commands import main
from mtdc.engine.checkpoint import load_weights, read_checkpoint
from mtdc.engine.config import load_config
from mtdc.model import build_model


def test_task_in_one_file_trains_and_is_stripped(repository, tmp_path):
    page = (repository / "docs" / "custom_task.md").read_text()
    for name, code in re.findall(r"`(\w+\.py)`[^`]*```python\n(.*?)```", page, flags=re.DOTALL):
        (tmp_path / name).write_text(code)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["sky.py", "sky_kitti.py"]
    kitti_tree(tmp_path / "data", "train", mask_folder="sky")
    kitti_tree(tmp_path / "data", "val", frames=2, drive=2)

    # A process of its own: nothing of this test's imports may help it find the task.
    command = [
        sys.executable,
        str(repository / "tools" / "train.py"),
        "sky_kitti.py",
        "--data-root",
        "data",
        "--work-dir",
        "run",
    ]
    done = subprocess.run([*command, *small_run()], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    (log,) = (tmp_path / "run").glob("*/vis_data/scalars.json")
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    steps = [line for line in lines if "sky/bce" in line]
    assert len(steps) == 4
    assert all(line["sky/bce"] > 0 and line["sky/weight"] == 10 for line in steps)
    assert json.loads((tmp_path / "run" / "result.json").read_text())["frames"] == 2

    # The config as the run wrote it finds sky.py too, in a process that never saw it.
    strip = [
        str(repository / "tools" / "strip.py"),
        str(tmp_path / "run" / "sky_kitti.py"),
        str(tmp_path / "run" / "epoch_2.pth"),
    ]
    done = subprocess.run(
        [sys.executable, *strip, "--out", str(tmp_path / "s.pth")], cwd=repository, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr

    stripped = tmp_path / "stripped.pth"
    config, checkpoint = tmp_path / "sky_kitti.py", tmp_path / "run" / "epoch_2.pth"
    assert main(["strip", str(config), str(checkpoint), "--out", str(stripped), "--cfg-options", "model.width=2"]) == 0
    assert not any(".sky." in key and "head" in key for key in read_checkpoint(stripped)["state_dict"])
    inputs = {"sparse_depth": sparse_map(37, 53)}
    depths = []
    for file in (checkpoint, stripped):
        model = build_model(load_config(config, {"model.width": 2}).model).eval()
        load_weights(model, file)
        depths.append(model(inputs)["depth"])
    assert torch.equal(*depths)
