"""Several processes, as torchrun starts them: training and evaluation over gloo; and training without the photos it needs."""

import json
import os
import shutil
import socket
import subprocess
import sys

import pytest
import torch
from support import TREE_CROP, kitti_tree, small_run

from mtdc import DataError
from mtdc.commands import main
from mtdc.engine.distributed import processes

#: `mtdc train` as it is, which also writes down each process's result and weights, and whether its group has ended.
DRIVER = """
import json, os, sys
import torch
from mmengine.runner import Runner
from mtdc.commands import main
from mtdc.engine import runs

rank = os.environ["RANK"]
train, loop = runs.train, Runner.train

def noted(*args, **kwargs):
    result = train(*args, **kwargs)
    with open(f"result{rank}.json", "w") as file:
        json.dump(result, file)
    return result

def weighed(runner):
    model = loop(runner)
    torch.save(model.module.state_dict(), f"weights{rank}.pth")
    return model

runs.train, Runner.train = noted, weighed
status = main()
with open(f"group{rank}", "w") as file:
    file.write("left" if torch.distributed.is_initialized() else "ended")
sys.exit(status)
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp("kitti")
    kitti_tree(root, "train", frames=4)
    return kitti_tree(root, "val", frames=3, drive=2)


def in_two_processes(folder, *command):
    environment = {key: value for key, value in os.environ.items() if key not in ("RANK", "WORLD_SIZE", "LOCAL_RANK")}
    return subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", *map(str, command)],
        cwd=folder, capture_output=True, text=True, check=False, timeout=300,
        env={**environment, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
    )  # fmt: skip


def val_crop():
    height, width = TREE_CROP
    return [f"test_dataloader.dataset.transforms.0.{key}={value}" for key, value in (("height", height), ("width", width))]


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory):
    """2 frames a batch and process: one epoch of the 4 frames is one step; two epochs, so that a second step runs."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "driver.py").write_text(DRIVER)
    command = ("driver.py", "train", "aux_image_kitti", "--data-root", data, "--work-dir", "run", "--launcher", "pytorch")
    return folder, in_two_processes(folder, *command, *small_run(baselines=None))


def test_training_in_two_processes_ends_well_and_with_one_result(trained):
    folder, done = trained
    assert done.returncode == 0, done.stderr[-3000:]
    assert "destroy_process_group" not in done.stderr
    assert "Traceback" not in done.stderr
    assert [(folder / f"group{rank}").read_text() for rank in (0, 1)] == ["ended", "ended"]
    first, second = (json.loads((folder / f"result{rank}.json").read_text()) for rank in (0, 1))
    for result in (first, second):
        result.pop("per_frame")  # gathered in the main process alone
    assert first == second
    saved = json.loads((folder / "run" / "result.json").read_text())
    assert {key: saved[key] for key in first} == first
    assert len(saved["per_frame"]) == saved["frames"] == 3
    (log,) = (folder / "run").glob("*/vis_data/scalars.json")
    steps = [line for line in map(json.loads, log.read_text().splitlines()) if "depth/l2" in line]
    assert [line["step"] for line in steps] == [1, 2]


def test_both_processes_end_with_the_same_weights(trained):
    """Parameters by averaged gradients; the running means of batch norm must agree too, or each process predicts its own."""
    folder, _ = trained
    first, second = (torch.load(folder / f"weights{rank}.pth", weights_only=True) for rank in (0, 1))
    assert [key for key, value in first.items() if not torch.equal(value, second[key])] == []


def test_a_result_of_two_processes_is_that_of_its_checkpoint(trained, data, tmp_path):
    """Each process predicts some of the frames, all of them with the weights that are saved."""
    folder, _ = trained
    config, checkpoint = folder / "run" / "aux_image_kitti.py", folder / "run" / "epoch_2.pth"
    arguments = ["test", str(config), str(checkpoint), "--data-root", str(data), "--work-dir", str(tmp_path)]
    assert main([*arguments, "--split", "val"]) == 0
    one, two = (json.loads((path / "result.json").read_text()) for path in (tmp_path, folder / "run"))
    assert one["per_frame"] == two["per_frame"]


def test_evaluation_in_two_processes_is_that_of_one(data, tmp_path):
    """Three frames on two processes: the fourth, which fills up, is a duplicate and doesn't count."""
    arguments = ["test", "classical/nearest_kitti", "--data-root", str(data), "--split", "val"]
    options = ["--cfg-options", *val_crop(), "test_dataloader.num_workers=0"]
    assert main([*arguments, "--work-dir", str(tmp_path / "one"), *options]) == 0
    done = in_two_processes(tmp_path, "-m", "mtdc", *arguments, "--work-dir", "two", "--launcher", "pytorch", *options)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "destroy_process_group" not in done.stderr
    one, two = (json.loads((tmp_path / name / "result.json").read_text()) for name in ("one", "two"))
    assert one["frames"] == two["frames"] == 3
    assert len(two["per_frame"]) == 3
    assert two["per_frame"] == one["per_frame"]
    assert {key: two[key] for key in two if key != "per_frame"} == {key: one[key] for key in one if key != "per_frame"}
    assert done.stdout.count("written to") == 1


def test_the_group_ends_with_a_run_that_fails(monkeypatch):
    """A group of one, in this process."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    variables = {"RANK": 0, "WORLD_SIZE": 1, "LOCAL_RANK": 0, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    for name, value in variables.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(DataError, match="broken"), processes("pytorch"):
        assert torch.distributed.get_backend() == "gloo"
        raise DataError("broken")
    assert not torch.distributed.is_initialized()


@pytest.fixture
def without_photos(data, tmp_path):
    root = tmp_path / "kitti"
    shutil.copytree(data, root)
    for photos in [folder for folder in root.glob("*/*_sync/image_02") if folder.is_dir()]:
        shutil.rmtree(photos)
    assert len(list(root.rglob("*.png"))) == 2 * (4 + 3), "sparse depth and ground truth are left"
    return root


def test_a_task_without_any_target_is_refused_before_training(without_photos, tmp_path, capsys):
    arguments = ["train", "aux_image_kitti", "--data-root", str(without_photos), "--work-dir", str(tmp_path / "run")]
    assert main([*arguments, *small_run()]) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("mtdc train:")]
    assert "no training frame has the target of task 'image'" in line
    assert "model.network.tasks.image=None" in line
    assert not (tmp_path / "run").exists()


def test_without_photos_training_goes_on_as_the_message_says(without_photos, tmp_path):
    options = {"model.network.tasks.image": None, "train_cfg.max_epochs": 1, "baselines": None}
    arguments = ["train", "aux_image_kitti", "--data-root", str(without_photos), "--work-dir", str(tmp_path / "run")]
    assert main([*arguments, *small_run(**options)]) == 0
    assert json.loads((tmp_path / "run" / "result.json").read_text())["frames"] == 3
