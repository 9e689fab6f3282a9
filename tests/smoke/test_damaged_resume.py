"""Checkpoints whose file is whole and whose values are not: a resume names them in one line, before anything starts."""

import copy
import io
import shutil
from pathlib import Path

import pytest
import torch
from support import kitti_tree, small_run

from mtdc.commands import main

#: The checkpoint of step 3 stands inside a window of two batches.
OPTIONS = {
    "train_cfg.by_epoch": False, "train_cfg.max_iters": 5, "train_cfg.val_interval": 100, "baselines": None,
    "default_hooks.checkpoint.by_epoch": False, "default_hooks.checkpoint.interval": 3, "ema.momentum": 0.1,
    "param_scheduler.0.by_epoch": False, "optim_wrapper.accumulative_counts": 2, "model.precision": "float32",
    "model.channels_last": False, "model.width": 1,
}  # fmt: skip


def words(folder, *more, **changes):
    options = small_run(**{"train_cfg.max_epochs": None, **OPTIONS, **changes})
    return ["train", "aux_image_kitti", "--data-root", str(folder / "data"), "--work-dir", str(folder / "run"), *more, *options]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("damaged")
    kitti_tree(root / "data", "train", frames=8)
    kitti_tree(root / "data", "val", frames=1, drive=2)
    assert main(words(root)) == 0
    return root


@pytest.fixture(scope="module")
def whole(folder):
    return (folder / "run" / "iter_3.pth").read_bytes()


@pytest.fixture
def resumed(folder, whole, capfd):
    """Go on from a changed checkpoint; returns exit code and lines on stderr."""

    def run(change, **changes):
        checkpoint = torch.load(io.BytesIO(whole), weights_only=True)
        change(checkpoint)
        shutil.rmtree(folder / "run")
        (folder / "run").mkdir()
        torch.save(checkpoint, folder / "run" / "iter_3.pth")
        capfd.readouterr()
        code = main(words(folder, "--resume", **changes))
        return code, [line for line in capfd.readouterr().err.splitlines() if line.startswith("mtdc train:")]

    return run


def put(path, value):
    """Set, or with ``value=...`` drop, what is at a path of keys."""

    def change(checkpoint):
        *parents, last = path
        for key in parents:
            checkpoint = checkpoint[key]
        if value is ...:
            del checkpoint[last]
        else:
            checkpoint[last] = value(checkpoint[last]) if callable(value) else value

    return change


LOSS = ("message_hub", "log_scalars", "train/loss")
INFO = ("message_hub", "runtime_info")
GROUP = ("optimizer", "param_groups", 0)
MOMENT = ("optimizer", "state", 0, "exp_avg")
SCHEDULE = ("param_schedulers", 0)
DAMAGED = {
    "history is a list": (put(LOSS, []), "message_hub.log_scalars.train/loss"),
    "history without counts": (put((*LOSS, "count"), ...), "message_hub.log_scalars.train/loss"),
    "history of another length": (put((*LOSS, "log"), lambda log: log[:-1]), "message_hub.log_scalars.train/loss"),
    "history of words": (put((*LOSS, "max_length"), "x"), "message_hub.log_scalars.train/loss"),
    "no histories": (put(("message_hub", "log_scalars"), ...), "message_hub.log_scalars"),
    "kept checkpoints": (put((*INFO, "keep_ckpt_ids"), ["x"]), "message_hub.runtime_info.keep_ckpt_ids"),
    "no state": (put(("optimizer", "state"), ...), "optimizer.state"),
    "a state that is a list": (put(("optimizer", "state"), []), "optimizer.state"),
    "a moment of another shape": (put(MOMENT, torch.ones(3)), "optimizer.state.0.exp_avg"),
    "a moment that is NaN": (put(MOMENT, lambda moment: moment * torch.nan), "optimizer.state.0.exp_avg"),
    "a moment too few": (put(MOMENT, ...), "optimizer.state.0"),
    "a moment of nobody": (put(("optimizer", "state", 9999), {}), "optimizer.state.9999"),
    "no groups": (put(("optimizer", "param_groups"), ...), "optimizer.param_groups"),
    "a group too many": (put(("optimizer", "param_groups"), lambda groups: groups * 2), "optimizer.param_groups"),
    "parameters too few": (put((*GROUP, "params"), lambda numbers: numbers[:-1]), "optimizer.param_groups.0.params"),
    "a rate of words": (put((*GROUP, "lr"), "x"), "optimizer.param_groups.0.lr"),
    "betas that are one": (put((*GROUP, "betas"), 0.9), "optimizer.param_groups.0.betas"),
    "the open window": (put(("optimizer", "open_window"), lambda window: window[:-1]), "optimizer.open_window"),
    "a schedule's step": (put((*SCHEDULE, "last_step"), "x"), "param_schedulers.0.last_step"),
    "a schedule's numbers": (put((*SCHEDULE, "gamma"), "x"), "param_schedulers.0.gamma"),
    "a schedule that is none": (put(SCHEDULE, 3), "param_schedulers.0"),
    "schedules that are none": (put(("param_schedulers",), 3), "param_schedulers"),
    "the place": (put(("meta", "position", "batches"), 99), "meta.position"),
    "a place of words": (put(("meta", "position"), "x"), "meta.position"),
    "the seed": (put(("meta", "seed"), "x"), "meta.seed"),
    "averaged weights": (put(("ema_state_dict",), lambda average: dict(list(average.items())[:-1])), "ema_state_dict"),
    "weights": (
        put(("state_dict", "network.encoder.branches.kernel3.0.0.weight"), lambda weight: weight * torch.nan),
        "state_dict.network.encoder.branches.kernel3.0.0.weight",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", DAMAGED)
def test_what_is_damaged_is_named(resumed, folder, case):
    change, named = DAMAGED[case]
    code, lines = resumed(change)
    assert code == 2
    (line,) = lines
    assert f"iter_3.pth: no checkpoint to go on from; missing or damaged in it: {named}" in line
    assert [path.name for path in (folder / "run").iterdir()] == ["iter_3.pth"]


def test_a_whole_one_goes_on_also_with_what_a_start_makes_anew(resumed, folder):
    def anew(checkpoint):
        checkpoint["message_hub"]["resumed_keys"] = dict.fromkeys(checkpoint["message_hub"]["resumed_keys"], False)
        checkpoint["message_hub"]["runtime_info"]["cfg"] = 3
        checkpoint["meta"]["experiment_name"] = None

    assert resumed(anew) == (0, [])
    assert (folder / "run" / "iter_5.pth").is_file()


def test_another_window_inside_one_is_refused(resumed):
    code, (line,) = resumed(copy.copy, **{"optim_wrapper.accumulative_counts": 3})
    assert code == 2
    assert "was written inside a window of optim_wrapper.accumulative_counts=2 batches, and here it is 3" in line


def test_fewer_steps_than_are_done_are_refused(resumed):
    code, (line,) = resumed(copy.copy, **{"train_cfg.max_iters": 2})
    assert code == 2
    assert "the run has done 3 iterations already, and train_cfg.max_iters=2 asks for fewer" in line


@pytest.mark.parametrize("saved", [False, True])
def test_going_on_is_advised_where_there_is_a_checkpoint(folder, whole, tmp_path, monkeypatch, capfd, saved):
    def interrupted(*_, **__):
        if saved:
            Path(tmp_path / "run").mkdir()
            (tmp_path / "run" / "iter_3.pth").write_bytes(whole)
        raise KeyboardInterrupt

    monkeypatch.setattr("mtdc.engine.runs.train", interrupted)
    command = [word if word != str(folder / "run") else str(tmp_path / "run") for word in words(folder)]
    assert main(command) == 130
    assert capfd.readouterr().err == f"mtdc train: interrupted.{' Go on with --resume.' * saved}\n"
