"""Going on with a run from a checkpoint whose file is whole and whose values are not."""

from __future__ import annotations

import copy
import io
import shutil
import warnings
from pathlib import Path
from random import Random
from typing import Any

import torch
from killing.frames import write_frames
from mmengine.config import Config

from mtdc.engine.config import load_config
from mtdc.engine.runs import train

CONFIG = Path(__file__).resolve().parents[1] / "killing" / "killed_run.py"
#: Where a checkpoint of this name is looked for.
FILE = "iter_3.pth"
#: Saved inside a window of two batches, with averaged weights; one step is left.
_OPTIONS = {
    "train_dataloader.dataset.data_root": "",
    "train_cfg": {"by_epoch": False, "max_iters": 4, "val_interval": 100},
    "default_hooks.checkpoint": {
        "type": "CheckpointHook",
        "by_epoch": False,
        "interval": 3,
        "save_best": None,
        "max_keep_ckpts": 3,
    },
    "optim_wrapper.accumulative_counts": 2,
    "custom_hooks": [],
    "val_dataloader": None,
    "log_level": "ERROR",
}


def _config(data: Path) -> Config:
    cfg = load_config(CONFIG, {**_OPTIONS, "train_dataloader.dataset.data_root": str(data)})
    cfg.model.network.representation = {"type": "SparseDepth"}
    return cfg


def seeds(folder: Path) -> tuple[bytes, ...]:
    """A checkpoint of a run, in the middle of an epoch."""
    data, work_dir = folder / "resume_data", folder / "resume_seed"
    if not data.is_dir():
        write_frames(data)
    train(_config(data), work_dir)
    content = (work_dir / FILE).read_bytes()
    shutil.rmtree(work_dir)
    return (content,)


def reader(folder: Path) -> Any:
    """What goes on with the checkpoint of a work folder, and leaves the folder with it alone."""

    def go_on(path: Path) -> None:
        content = path.read_bytes()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # mmengine's and torch's own
                train(_config(folder / "resume_data"), path.parent, resume=True)
        finally:
            for other in path.parent.iterdir():
                shutil.rmtree(other) if other.is_dir() else other.unlink()
            path.write_bytes(content)

    return go_on


def change_values(random: Random, content: bytes) -> bytes:
    """One to three values of the checkpoint replaced, dropped, renamed or added; the file is written rightly."""
    checkpoint = torch.load(io.BytesIO(content), weights_only=True)
    for _ in range(random.randint(1, 3)):
        _change(random, checkpoint)
    file = io.BytesIO()
    torch.save(checkpoint, file)
    return file.getvalue()


def _change(random: Random, value: Any) -> None:
    """Change something below a container; each level is as likely as its neighbours."""
    while True:
        keys = list(value) if isinstance(value, dict) else list(range(len(value)))
        if not keys:
            if isinstance(value, dict):
                value["x"] = _other(random, None)
            return
        key = random.choice(keys)
        inner = value[key]
        if isinstance(inner, (dict, list)) and random.random() < 0.9:
            value = inner
            continue
        break
    match random.randrange(5):
        case 0:
            del value[key]
        case 1 if isinstance(value, dict):
            value[random.choice(("x", 7, f"{key}x"))] = value.pop(key)
        case _:
            value[key] = _other(random, inner)


def _other(random: Random, value: Any) -> Any:
    """Another value than the right one: of another kind, another shape, out of range."""
    choices: list[Any] = [
        None, True, -1, 0, 3, 10**12, 1.5, float("nan"), float("inf"), "x", "", [], {}, [1], {"x": 1}, (1, 2), torch.ones(2),
        torch.tensor(float("nan")), torch.ones(0), torch.ones(2, dtype=torch.complex64), torch.ones(2, 2).to_sparse(),
    ]  # fmt: skip
    if isinstance(value, torch.Tensor):
        choices += [value[None], value.double(), value.to(torch.int32), value.bool(), value * float("nan")] * 2
    elif isinstance(value, (int, float)):
        choices += [-value, value + 1, str(value), [value]] * 2
    elif isinstance(value, (list, dict)):
        choices += [value * 2 if isinstance(value, list) else {**value, 5: 5}, copy.deepcopy(value)]
    return random.choice(choices)
