"""Which precision and memory layout train fastest on this machine: measured at the start, and kept for the whole run."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from mmengine.device import get_device
from mmengine.dist import broadcast_object_list, is_main_process

from ..data.io import write_json
from ..model import AUTO, build_model
from .examples import example_inputs

CHOICE_NAME = "precision.json"
#: In order of preference: a later one must be faster by more than the noise of two steps.
CANDIDATES = (
    {"precision": "float32", "channels_last": False},
    {"precision": "float32", "channels_last": True},
    {"precision": "bfloat16", "channels_last": True},
)
CLEARLY_FASTER = 0.9
#: (H, W) of the trial steps: large enough that convolutions outweigh everything else, small enough for slow machines.
TRIAL_SIZE = (192, 640)
TRIAL_STEPS = 2


def resolve(model_cfg: dict[str, Any], work_dir: Path, resume: bool) -> None:
    """Replace "auto" in a model's config by what is fastest here, and note the choice in the work folder.

    A resumed run takes the earlier choice, so that it goes on as it began. Of several processes the first measures, while the
    others wait; networks are timed as they are, not compiled.
    """
    if AUTO not in (model_cfg.get("precision"), model_cfg.get("channels_last")):
        return
    file = work_dir / CHOICE_NAME
    choice: list[Any] = [None]
    if is_main_process():
        if resume:
            choice = [_noted(file)]
        if choice[0] is None:
            seconds = measure([{**model_cfg, **candidate} for candidate in CANDIDATES])
            choice = [fastest(seconds)]
            work_dir.mkdir(parents=True, exist_ok=True)
            trials = [{**candidate, "relative_time": s / seconds[0]} for candidate, s in zip(CANDIDATES, seconds, strict=True)]
            write_json(file, {"chosen": choice[0], "trials": trials})
    broadcast_object_list(choice)
    for key, value in choice[0].items():
        if model_cfg.get(key) == AUTO:
            model_cfg[key] = value


def chosen(model_cfg: dict[str, Any], work_dir: Path) -> None:
    """Replace "auto" in a model's config by what a run in that folder chose; it stays where none did."""
    for key, value in (_noted(work_dir / CHOICE_NAME) or {}).items():
        if model_cfg.get(key) == AUTO:
            model_cfg[key] = value


def _noted(file: Path) -> dict[str, Any] | None:
    """An earlier run's choice; None where there is none, or a damaged one, which is measured anew."""
    with suppress(OSError, ValueError, TypeError, KeyError):
        noted = json.loads(file.read_text())["chosen"]
        return {key: noted[key] for key in CANDIDATES[0]}
    return None


def fastest(seconds: list[float]) -> dict[str, Any]:
    """The candidate of least time, where a later one wins only if it is clearly faster."""
    best = 0
    for number in range(1, len(seconds)):
        if seconds[number] < CLEARLY_FASTER * seconds[best]:
            best = number
    return dict(CANDIDATES[best])


def measure(configs: Sequence[Mapping[str, Any]]) -> list[float]:
    """Time of the fastest of a few steps forward and backward of each model, after one to warm up.

    They take turns, so that other work on the machine, which comes and goes, slows all of them or none.
    """
    with torch.random.fork_rng():  # the trial must not change what the seed repeats
        steps = [_step(cfg) for cfg in configs]
        times = [[step() for step in steps] for _ in range(1 + TRIAL_STEPS)]
    return [min(column) for column in zip(*times[1:], strict=True)]


def _step(model_cfg: Mapping[str, Any]) -> Callable[[], float]:
    """One step of a model and the seconds that it took."""
    model = build_model(model_cfg).to(get_device()).train()
    inputs = example_inputs(model.network, TRIAL_SIZE, get_device())

    def step() -> float:
        start = time.perf_counter()
        sum(value.float().mean() for value in model(inputs).values()).backward()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        return time.perf_counter() - start

    return step
