"""A training step of the engine beside a bare PyTorch loop of the same network, in one process and in turns.

The engine's side is ``mtdc.engine.runs.train`` as a user starts it, with the config's hooks and log, on frames in memory. A
hook stops it after every block of steps (one line of the log each) and lets the bare loop make as many: the same first
weights, frames, optimiser, precision and memory layout, and nothing around them.
"""

from __future__ import annotations

import contextlib
import copy
import io
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.hooks import Hook
from torch import Tensor
from tqdm import tqdm

from mtdc.analysis.timing import spread, synchronise
from mtdc.data.io import write_json
from mtdc.engine.config import require
from mtdc.engine.preparation import build_optimiser, check_parts, check_trainable
from mtdc.engine.runs import train
from mtdc.engine.strip import count_parameters
from mtdc.gradients import feature_gramian
from mtdc.model import MultiTaskModel, build_model, task_losses

from .settings import Settings, shown_size

WHAT = (
    "Training step with the engine (hooks and log as configured, frames in memory) against a bare PyTorch loop of the same "
    "network, frames, optimiser, precision and layout; ratio of neighbouring blocks of steps, aim at most 1.05"
)
COLUMNS = {
    "config": "config",
    "size": "size",
    "batch": "batch",
    "precision": "precision",
    "channels_last": "channels last",
    "engine_ms": "engine ms",
    "bare_ms": "bare ms",
    "ratio": "ratio",
    "ratio_p10": "10 %",
    "ratio_p90": "90 %",
    "cpu_ratio": "ratio of processor time",
}
CONFIGS = ("aux_image_street",)
ROUNDS = 10
#: Steps of a block where the config doesn't say how often it logs.
BLOCK, QUICK_BLOCK = 10, 2
WARM_STEPS = 2
_TIMES = "alternation.json"


def check(settings: Settings) -> None:
    """Refuse configs that can't be trained.

    Raises:
        ConfigError: What a config lacks, or a faulty part.
    """
    for cfg in settings.load(CONFIGS).values():
        require(cfg, "train_dataloader", "randomness")
        model = build_model(cfg.model)
        check_trainable(model)
        require(cfg, "train_cfg")
        check_parts(cfg, model)


def run(settings: Settings) -> dict[str, Any]:
    """Measure each config."""
    rows = []
    for name, cfg in settings.load(CONFIGS).items():
        size = settings.training_size(cfg)
        rows.append({"config": name, **measure(cfg, settings, size, settings.count(ROUNDS, 2))})
    return {"rows": rows, "notes": []}


def measure(cfg: Config, settings: Settings, size: tuple[int, int], rounds: int, block: int | None = None) -> dict[str, Any]:
    """Times of a config's training step at a size: a row of the table, with every block's ratio and the first losses.

    Args:
        cfg: A config that trains; it is left as it is.
        settings: Batch, seed and whether all is tiny.
        size: (H, W) of frames.
        rounds: Blocks that are counted.
        block: Steps of a block; None: those between two lines of the config's log.
    """
    cfg = copy.deepcopy(cfg)
    batch = settings.training_batch(cfg, size)
    block = _prepare(cfg, settings, size, batch, rounds, block)
    with tempfile.TemporaryDirectory(prefix="mtdc_step_") as folder:
        # The log goes where a run's own does, and to a console that nobody reads.
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            train(cfg, Path(folder))
        times = json.loads((Path(folder) / _TIMES).read_text())
    engine, bare = ([1000 * seconds / block for seconds in times[side]] for side in ("engine", "bare"))
    ratios = _between(engine, bare)
    ratio = spread(ratios)
    return {
        "size": shown_size(size),
        "batch": batch,
        "parameters": count_parameters(build_model(cfg.model).network),
        "precision": cfg.model.get("precision", "float32"),
        "channels_last": bool(cfg.model.get("channels_last", False)),
        "block_steps": block,
        "engine_ms": spread(engine[1:])["median"],
        "bare_ms": spread(bare[1:])["median"],
        "ratio": ratio["median"],
        "ratio_p10": ratio["p10"],
        "ratio_p90": ratio["p90"],
        "cpu_ratio": spread(_between(times["engine_cpu"], times["bare_cpu"]))["median"],
        "ratios": ratios,
        "first_loss_engine": times["first_loss"]["engine"],
        "first_loss_bare": times["first_loss"]["bare"],
    }


def _between(engine: list[float], bare: list[float]) -> list[float]:
    """Each block of the engine but the first, relative to the mean of the bare blocks before and after it."""
    return [2 * engine[i] / (bare[i - 1] + bare[i]) for i in range(1, len(engine))]


def _prepare(cfg: Config, settings: Settings, size: tuple[int, int], batch: int, rounds: int, block: int | None) -> int:
    """Turn a config into a run on frames in memory, without validation; returns the steps of a block."""
    for key in ("street", "val_dataloader", "val_evaluator", "val_cfg", "baselines", "load_from"):
        cfg.pop(key, None)
    logger = (cfg.get("default_hooks") or {}).get("logger") or {}
    if settings.quick and logger:
        logger["interval"] = QUICK_BLOCK
    block = block or (QUICK_BLOCK if settings.quick else int(logger.get("interval", BLOCK)))
    frames = {"type": "benchmarks.streets.MemoryStreets", "length": block * (rounds + 1) * batch, "frames": batch, "size": size}
    # In order, so that every batch holds the same frames: those of the bare loop.
    cfg.train_dataloader = {
        "batch_size": batch, "num_workers": 0, "sampler": {"type": "EpochSampler", "shuffle": False}, "dataset": frames,
    }  # fmt: skip
    cfg.train_cfg = {"by_epoch": True, "max_epochs": 1}
    cfg.randomness = {**cfg.randomness, "seed": settings.seed}
    hook = {"type": "benchmarks.step.Alternation", "block": block, "rounds": rounds}
    cfg.custom_hooks = [*(cfg.get("custom_hooks") or ()), hook]
    return block


class Alternation(Hook):
    """Stops the engine after each block of steps, notes its time, and runs and times as many bare steps.

    Args:
        block: Steps of a block.
        rounds: Blocks after the first, which only warms up.
    """

    priority = "LOWEST"  # after all that the engine does in a step

    def __init__(self, block: int, rounds: int) -> None:
        self.block, self.rounds = block, rounds
        self.times: dict[str, list[float]] = {"engine": [], "bare": [], "engine_cpu": [], "bare_cpu": []}
        self.first_loss: dict[str, float] = {}

    def before_train(self, runner: Any) -> None:
        """Copy the model as it starts."""
        dataset, batch = runner.train_dataloader.dataset, runner.train_dataloader.batch_size
        samples = pseudo_collate([dataset[number] for number in range(batch)])
        self.bare = BareLoop(copy.deepcopy(runner.model), runner.cfg, samples)
        self.first_loss["bare"] = self.bare.run(1)
        self.bare.run(WARM_STEPS)
        self.device = next(runner.model.parameters()).device.type
        self.bar = tqdm(total=self.rounds + 1, desc="step", unit="round", leave=False, disable=None, file=sys.__stderr__)
        self._start()

    def after_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """At the end of a block: the bare loop's turn."""
        if batch_idx == 0:
            self.first_loss["engine"] = float(outputs["loss"])
        if (batch_idx + 1) % self.block:
            return
        self._stop("engine")
        self._start()
        self.bare.run(self.block)
        self._stop("bare")
        self.bar.update()
        self._start()

    def after_train(self, runner: Any) -> None:
        """Leave the times in the run's folder."""
        self.bar.close()
        write_json(Path(runner.work_dir) / _TIMES, {**self.times, "first_loss": self.first_loss})

    def _start(self) -> None:
        synchronise(self.device)
        self.started = time.perf_counter(), time.process_time()

    def _stop(self, side: str) -> None:
        synchronise(self.device)
        wall, cpu = self.started
        self.times[side].append(time.perf_counter() - wall)
        # Of all threads, and without the time in which others had the cores.
        self.times[f"{side}_cpu"].append(time.process_time() - cpu)


class BareLoop:
    """Forward, losses, backward and optimiser step on one batch that stays where it is.

    Args:
        model: The model to train; its network, tasks and weighting are used, not its own training code.
        cfg: Where the optimiser is described. Clipping and accumulation of gradients are the engine's.
        samples: The collated frames.
    """

    def __init__(self, model: MultiTaskModel, cfg: Config, samples: dict[str, Any]) -> None:
        self.model = model.train()
        self.optimiser = build_optimiser(cfg, model).optimizer
        data = model.data_preprocessor(samples, True)
        targets = [key for key in data["data_samples"][0].keys() if key.startswith("gt_")]  # noqa: SIM118 (no dict)
        self.inputs: dict[str, Tensor] = data["inputs"]
        if model.channels_last:
            self.inputs = {
                key: value.contiguous(memory_format=torch.channels_last) if value.ndim == 4 else value
                for key, value in self.inputs.items()
            }
        self.batch = self.inputs | {key: torch.stack([one.get(key) for one in data["data_samples"]]) for key in targets}

    def run(self, steps: int) -> float:
        """Make steps; the loss of the last."""
        network, weighting = self.model.network, self.model.weighting
        assert weighting is not None
        device, precision = self.inputs["sparse_depth"].device.type, self.model.precision
        for _ in range(steps):
            self.optimiser.zero_grad()
            with torch.autocast(device, dtype=precision, enabled=precision != torch.float32):
                outputs, shared = network.outputs(self.inputs)
            terms = {name: task_losses(task, outputs[name], self.batch) for name, task in network.tasks.items()}
            sums = {name: torch.stack(list(values.values())).sum() for name, values in terms.items() if values}
            total, _ = weighting(sums, lambda sums=sums, shared=shared: feature_gramian(sums, shared))
            for value in network.penalty().values():
                total = total + value
            total.backward()
            self.optimiser.step()
        return float(total.detach())
