"""Several processes, as torchrun and SLURM start them: they train as one, end together, and say once what there is to say.

One test starts torchrun; the others fork this process, which has imported everything, and set what a launcher sets.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import traceback

import pytest
import torch
from support import TREE_CROP, kitti_tree, small_run

from mtdc import DataError
from mtdc.commands import main
from mtdc.engine.checkpoint import read_checkpoint
from mtdc.engine.distributed import processes, slurm_variables
from mtdc.errors import UserError

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


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def launched(rank, count, port):
    return {"RANK": rank, "WORLD_SIZE": count, "LOCAL_RANK": rank, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}


class Forked:
    """``mtdc`` with these arguments in two processes, forked from this one; ``err(rank)`` is what each wrote on stderr."""

    def __init__(self, folder, *arguments, variables=launched):
        self.folder, self.processes, port = folder, [], free_port()
        for rank in (0, 1):
            pid = os.fork()
            if pid == 0:
                self._run(rank, [str(word) for word in arguments], variables(rank, 2, port))
            self.processes.append(pid)

    def _run(self, rank, arguments, variables):
        status = 70
        try:
            os.environ.update({"OMP_NUM_THREADS": "1", **{name: str(value) for name, value in variables.items()}})
            for name, number in (("out", 1), ("err", 2)):
                file = os.open(self.folder / f"{name}{rank}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
                os.dup2(file, number)
            sys.stdout, sys.stderr = (os.fdopen(number, "w", buffering=1, closefd=False) for number in (1, 2))
            status = main(arguments)
        except SystemExit as error:
            status = error.code
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)

    def wait(self, seconds=120):
        """Exit codes; processes that hang are ended, and fail the test."""
        codes, end = {}, time.monotonic() + seconds
        while len(codes) < len(self.processes):
            for pid in set(self.processes) - set(codes):
                ended, status = os.waitpid(pid, os.WNOHANG)
                if ended:
                    codes[pid] = os.waitstatus_to_exitcode(status)
            time.sleep(0.02)
            if time.monotonic() > end:
                for pid in set(self.processes) - set(codes):
                    os.kill(pid, signal.SIGKILL)
                raise AssertionError(f"hangs: {self.said()}")
        return [codes[pid] for pid in self.processes]

    def said(self):
        """The lines of both processes that are mtdc's own, or a traceback's."""
        text = "".join((self.folder / f"err{rank}").read_text() for rank in (0, 1))
        return [line for line in text.splitlines() if line.startswith(("mtdc ", "Traceback"))]


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
    two = Forked(tmp_path, *arguments, "--work-dir", tmp_path / "two", "--launcher", "pytorch", *options)
    assert two.wait() == [0, 0], two.said()
    written = [(tmp_path / f"out{rank}").read_text().count("written to") for rank in (0, 1)]
    assert written == [1, 0]
    one, two = (json.loads((tmp_path / name / "result.json").read_text()) for name in ("one", "two"))
    assert one["frames"] == two["frames"] == 3
    assert len(two["per_frame"]) == 3
    assert two["per_frame"] == one["per_frame"]
    assert {key: two[key] for key in two if key != "per_frame"} == {key: one[key] for key in one if key != "per_frame"}


def test_two_processes_train_as_one_on_the_same_global_batch(data, tmp_path):
    """Two frames in each against four in one: gradients are averaged, and batch norm is one over both."""
    common = {"baselines": None, "optim_wrapper.optimizer.type": "SGD", "optim_wrapper.optimizer.lr": 1e-4}
    command = ["train", "aux_image_kitti", "--data-root", str(data), "--work-dir"]
    assert main([*command, str(tmp_path / "one"), *small_run(**common, **{"train_dataloader.batch_size": 4})]) == 0
    options = small_run(**common, sync_batch_norm=True)
    two = Forked(tmp_path, *command, tmp_path / "two", "--launcher", "pytorch", *options)
    assert two.wait() == [0, 0], two.said()
    start, one = (read_checkpoint(tmp_path / "one" / f"epoch_{epoch}.pth")["state_dict"] for epoch in (1, 2))
    other = read_checkpoint(tmp_path / "two" / "epoch_2.pth")["state_dict"]
    moved = [key for key in one if one[key].is_floating_point() and (one[key] - start[key]).abs().max() > 1e-6]
    assert len(moved) > 40
    for key in moved:
        assert (one[key] - other[key]).norm() < 1e-3 * (one[key] - start[key]).norm(), key
    results = [json.loads((tmp_path / name / "result.json").read_text()) for name in ("one", "two")]
    assert results[1]["rmse"] == pytest.approx(results[0]["rmse"], rel=1e-5)
    assert results[1]["protocol"]["processes"] == 2
    assert "processes" not in results[0]["protocol"]


#: Everything at once, on a network that is compiled quickly. Six frames in two processes: three batches an epoch.
EVERYTHING = {
    "model.network.encoder.kernels": "(3,)",
    "model.network.encoder.multiples": "(1,2)",
    "model.network.encoder.strides": "(2,2)",
    "model.network.trunk.strides": "(2,2)",
    "model.network.trunk.multiples": "(2,1)",
    "model.precision": "bfloat16",
    "model.channels_last": True,
    "train_dataloader.batch_size": 1,
    "optim_wrapper.accumulative_counts": 2,
    "optim_wrapper.clip_grad.max_norm": 0.5,
    "ema.momentum": 0.3,
    "compile.backend": "aot_eager",
    "sync_batch_norm": False,
    "default_hooks.checkpoint.by_epoch": False,
    "default_hooks.checkpoint.max_keep_ckpts": -1,
    "baselines": None,
}


def test_everything_on_at_once_resumes_to_the_last_bit(tmp_path):
    """Stopped after batch 4 of 6: inside the second epoch, and inside a window of two batches."""
    kitti_tree(tmp_path / "kitti", "train", frames=6)
    kitti_tree(tmp_path / "kitti", "val", frames=3, drive=2)
    arguments = [
        "train",
        "aux_image_kitti",
        "--data-root",
        tmp_path / "kitti",
        "--launcher",
        "pytorch",
        *small_run(**EVERYTHING),
    ]
    whole = Forked(tmp_path, *arguments, "--work-dir", tmp_path / "whole")
    assert whole.wait() == [0, 0], whole.said()
    (tmp_path / "parts").mkdir()
    shutil.copy(tmp_path / "whole" / "iter_4.pth", tmp_path / "parts")
    parts = Forked(tmp_path, *arguments, "--work-dir", tmp_path / "parts", "--resume")
    assert parts.wait() == [0, 0], parts.said()
    expected, found = (read_checkpoint(tmp_path / name / "iter_6.pth") for name in ("whole", "parts"))
    for part in ("state_dict", "ema_state_dict"):
        assert [key for key, value in expected[part].items() if not torch.equal(value, found[part][key])] == []
    before = read_checkpoint(tmp_path / "whole" / "iter_4.pth")
    assert any(gradient is not None for gradient in before["optimizer"]["open_window"])
    assert {int(state["step"]) for state in before["optimizer"]["state"].values()} == {2}
    assert {int(state["step"]) for state in expected["optimizer"]["state"].values()} == {4}
    results = [json.loads((tmp_path / name / "result.json").read_text()) for name in ("whole", "parts")]
    assert results[0]["per_frame"] == results[1]["per_frame"]
    assert set(results[0]["protocol"]["switched_on"]) == {
        "precision", "channels_last", "accumulative_counts", "clip_grad", "ema", "compile",
    }  # fmt: skip
    one = ["test", tmp_path / "whole" / "aux_image_kitti.py", tmp_path / "whole" / "iter_6.pth", "--split", "val"]
    assert main([*map(str, one), "--data-root", str(tmp_path / "kitti"), "--work-dir", str(tmp_path / "test")]) == 0
    assert json.loads((tmp_path / "test" / "result.json").read_text())["per_frame"] == results[0]["per_frame"]


# ---- Ending together


def endless(data, folder, **options):
    """A training that goes on until somebody ends it."""
    return ["train", "aux_image_kitti", "--data-root", data, "--work-dir", folder / "run", "--launcher", "pytorch",
            *small_run(**{"baselines": None, "train_cfg.max_epochs": 9999, "train_cfg.val_interval": 9999, **options}),
            ]  # fmt: skip


def wait_for(path):
    end = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < end, f"{path} does not appear"
        time.sleep(0.02)


def test_a_bad_file_in_one_process_ends_both_with_its_one_line(data, tmp_path):
    root = tmp_path / "kitti"
    shutil.copytree(data, root)
    bad = max(root.glob("train/*/proj_depth/velodyne_raw/image_02/*.png"))
    bad.write_bytes(bad.read_bytes()[:300])
    two = Forked(tmp_path, *endless(root, tmp_path))
    assert two.wait() == [2, 2]
    (line,) = two.said()
    assert str(bad) in line


@pytest.mark.parametrize(
    ("mistake", "message"),
    [({"model.width": 0}, "model.width must be a whole number"), ({"modle.width": 1}, "Did you mean 'model'")],
)
def test_a_mistake_that_all_processes_see_is_said_once(mistake, message, data, tmp_path):
    two = Forked(tmp_path, *endless(data, tmp_path, **mistake))
    assert two.wait() == [2, 2]
    (line,) = two.said()
    assert message in line


@pytest.mark.parametrize("which", [(0,), (0, 1)])
def test_a_scheduler_that_ends_a_run_is_an_interruption(which, data, tmp_path):
    two = Forked(tmp_path, *endless(data, tmp_path))
    wait_for(tmp_path / "run" / "epoch_1.pth")
    for rank in which:
        os.kill(two.processes[rank], signal.SIGTERM)
    assert two.wait() == [130, 130]
    assert two.said() == ["mtdc train: interrupted. Go on with --resume."]


def test_loader_workers_that_a_scheduler_ends_first_are_the_same_interruption():
    with pytest.raises(KeyboardInterrupt), processes("none"):
        raise RuntimeError("DataLoader worker (pid 7) is killed by signal: Terminated. ")
    with pytest.raises(RuntimeError, match="another"), processes("none"):
        raise RuntimeError("another")


def test_a_loader_worker_that_is_killed_is_said_in_one_line(data, tmp_path, capsys, monkeypatch):
    def killed(*_, **__):
        raise RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed. ")

    monkeypatch.setattr("mtdc.engine.runs.train", killed)
    assert main(["train", "aux_image_kitti", "--work-dir", str(tmp_path / "run")]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "num_workers=N" in error and "--resume" in error


def test_a_single_process_is_interrupted_by_it_too():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), processes("none"):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(10)
    assert signal.getsignal(signal.SIGTERM) == before


@pytest.mark.parametrize("rank", [0, 1])
def test_a_process_that_is_killed_does_not_leave_the_other_waiting(rank, data, tmp_path):
    two = Forked(tmp_path, *endless(data, tmp_path))
    wait_for(tmp_path / "run" / "epoch_1.pth")
    os.kill(two.processes[rank], signal.SIGKILL)
    expected = [2, 2]
    expected[rank] = -signal.SIGKILL
    assert two.wait() == expected
    (line,) = two.said()
    assert "another process of this run has ended" in line and "--resume" in line


# ---- SLURM


def fake_scontrol(folder, answer):
    (folder / "bin").mkdir()
    script = folder / "bin" / "scontrol"
    script.write_text(f'#!/bin/sh\n[ "$*" = "show hostnames node[07-08]" ] && {answer}\n')
    script.chmod(0o755)
    return script.parent


def test_slurms_variables_start_the_same_evaluation(data, tmp_path, monkeypatch):
    folder = fake_scontrol(tmp_path, "printf '127.0.0.1\\nnode08\\n'")
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    arguments = ["test", "classical/nearest_kitti", "--data-root", str(data), "--split", "val"]
    options = ["--cfg-options", *val_crop(), "test_dataloader.num_workers=0"]

    def slurm(rank, count, port):
        return {"SLURM_PROCID": rank, "SLURM_NTASKS": count, "SLURM_LOCALID": rank, "SLURM_NODELIST": "node[07-08]",
                "SLURM_JOB_ID": port, "SLURM_STEP_ID": 0}  # fmt: skip

    two = Forked(tmp_path, *arguments, "--work-dir", tmp_path / "two", "--launcher", "slurm", *options, variables=slurm)
    assert two.wait() == [0, 0], two.said()
    assert main([*arguments, "--work-dir", str(tmp_path / "one"), *options]) == 0
    one, two = (json.loads((tmp_path / name / "result.json").read_text()) for name in ("one", "two"))
    assert one == two


def slurm_of(monkeypatch, **changes):
    names = ("MASTER_ADDR", "MASTER_PORT", "SLURM_STEP_NODELIST", "SLURM_LOCALID", "SLURM_STEP_ID")
    for name in names:
        monkeypatch.delenv(name, raising=False)
    variables = {"SLURM_PROCID": 5, "SLURM_NTASKS": 8, "SLURM_NODELIST": "alone", "SLURM_JOB_ID": 4242, **changes}
    for name, value in variables.items():
        monkeypatch.setenv(name, str(value))
    return slurm_variables()


def test_slurms_variables_are_read_as_torch_wants_them(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    read = slurm_of(monkeypatch, SLURM_LOCALID=1)
    assert {key: read[key] for key in ("RANK", "WORLD_SIZE", "LOCAL_RANK")} == {
        "RANK": "5",
        "WORLD_SIZE": "8",
        "LOCAL_RANK": "1",
    }
    assert read["MASTER_ADDR"] == "alone", "one node needs no scontrol"
    ports = {slurm_of(monkeypatch, SLURM_JOB_ID=job, SLURM_STEP_ID=step)["MASTER_PORT"] for job in (1, 2, 3) for step in (0, 1)}
    assert len(ports) == 6 and all(1024 < int(port) < 65536 for port in ports)
    assert slurm_of(monkeypatch, MASTER_ADDR="here", MASTER_PORT=1234, SLURM_NODELIST="a[1-2]")["MASTER_PORT"] == "1234"
    assert slurm_of(monkeypatch, SLURM_STEP_NODELIST="of_the_step")["MASTER_ADDR"] == "of_the_step"
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match=r"`scontrol show hostnames a\[1-2\]` does not name the nodes.*Set MASTER_ADDR"):
        slurm_of(monkeypatch, SLURM_NODELIST="a[1-2]")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert slurm_of(monkeypatch, SLURM_LOCALID=3)["LOCAL_RANK"] == "0", "each task sees one GPU of its own"


def test_the_group_ends_with_a_run_that_fails(monkeypatch):
    """A group of one, in this process."""
    for name, value in launched(0, 1, free_port()).items():
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
