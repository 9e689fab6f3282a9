"""Optimiser, schedules, clipping, hooks and compilation tried on one parameter before a run, which meets their errors later.

mmengine builds schedules and hooks when data are drawn and loaded already, and some values fail at the first step, at the end
of the first epoch or in the first validation.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Mapping
from typing import Any

import torch
from mmengine.config import Config
from mmengine.optim.scheduler.param_scheduler import _ParamScheduler
from mmengine.registry import HOOKS, OPTIMIZERS, PARAM_SCHEDULERS
from torch import nn
from torch.utils.data import DataLoader

from ..arguments import attempt, check_kinds, is_usable_rate
from ..errors import ConfigError, did_you_mean
from .loops import counts_epochs
from .switches import CLIPPING, DEFAULT_BACKEND, compile_options

#: Steps of a schedule that are tried, and of an optimiser.
SCHEDULE_STEPS, OPTIMISER_STEPS = 200, 3
#: Keys that the Runner takes out of a part's config.
_RUNNERS_OWN = ("type", "priority", "convert_to_iter_based", "epoch_length")
_NO_END = 10**9
#: Keys of torch's loader that a loader without workers doesn't take.
WORKERS_ALONE = ("persistent_workers", "prefetch_factor")
#: Keys of torch's loader that are plain values.
LOADER_OPTIONS = (
    "batch_size", "num_workers", "pin_memory", "drop_last", "timeout", "prefetch_factor", "persistent_workers",
    "pin_memory_device", "in_order", "multiprocessing_context",
)  # fmt: skip


def _optimiser(cfg: Mapping[str, Any]) -> torch.optim.Optimizer:
    built: torch.optim.Optimizer = OPTIMIZERS.build({**cfg, "params": [nn.Parameter(torch.ones(2, 2))]})
    return built


def _step(optimiser: torch.optim.Optimizer) -> None:
    for group in optimiser.param_groups:
        for parameter in group["params"]:
            parameter.grad = torch.full_like(parameter, 0.5)
    optimiser.step()


def try_optimiser(cfg: Mapping[str, Any]) -> None:
    """Build an optimiser from ``optim_wrapper.optimizer`` and make a few steps.

    Raises:
        ConfigError: A value that it can't use.
    """

    def make(values: dict[str, Any]) -> None:
        optimiser = _optimiser(values)
        for _ in range(OPTIMISER_STEPS):
            _step(optimiser)

    kind = _class(OPTIMIZERS, cfg, "optim_wrapper.optimizer")
    check_kinds(kind, {key: value for key, value in cfg.items() if key not in _RUNNERS_OWN}, "optim_wrapper.optimizer")
    attempt(kind, cfg, "optim_wrapper.optimizer", make)


def try_clipping(clip_grad: Mapping[str, Any] | None) -> None:
    """Clip a gradient as ``optim_wrapper.clip_grad`` says.

    Raises:
        ConfigError: A value that torch can't use.
    """
    if clip_grad is None:
        return
    clip: Any = CLIPPING[clip_grad.get("type", "norm")]
    options = {key: value for key, value in clip_grad.items() if key != "type"}

    def make(values: dict[str, Any]) -> None:
        parameter = nn.Parameter(torch.ones(2, 2))
        parameter.grad = torch.full_like(parameter, 0.5)
        clip([parameter], **values)

    check_kinds(clip, {key: value for key, value in options.items() if key != "norm_type"}, "optim_wrapper.clip_grad")
    attempt(clip, options, "optim_wrapper.clip_grad", make)


def try_schedules(cfg: Config, measured: Collection[str] = (), batches: int | None = None) -> None:
    """Build each of ``param_scheduler`` on the config's optimiser and step it.

    Args:
        cfg: A run's config.
        measured: Names of the values that a validation measures; nothing is known where it is empty.
        batches: Batches of an epoch, where they are known: what is counted in iterations has its end then.

    Raises:
        ConfigError: A value that a schedule can't use, or one that leads to no learning rate.
    """
    epochs = counts_epochs(cfg.train_cfg)
    for i, schedule in enumerate(cfg.get("param_scheduler") or ()):
        where = f"param_scheduler[{i}]"
        kind = _class(PARAM_SCHEDULERS, schedule, where)
        check_kinds(kind, {key: value for key, value in schedule.items() if key not in _RUNNERS_OWN}, where)
        by_epoch = schedule.get("by_epoch", True)
        end = cfg.train_cfg.get("max_epochs", 1) if epochs and by_epoch else _NO_END
        if not by_epoch and (batches is not None or not epochs):
            end = cfg.train_cfg.max_epochs * batches if epochs and batches else cfg.train_cfg.get("max_iters", _NO_END)
        monitor = schedule.get("monitor", "loss" if "Plateau" in schedule["type"] else None)
        if monitor is not None and measured and monitor not in measured:
            raise ConfigError(f"{where}.monitor={monitor!r} is not measured.{did_you_mean(str(monitor), measured)}")
        begin, last = schedule.get("begin", 0), schedule.get("end", end)
        if not begin < last:
            unit = "epochs" if by_epoch else "iterations"
            said = f"end={last}" if "end" in schedule else f"the end of training, which has {last} {unit}"
            raise ConfigError(f"{where}.begin={begin} must be before {said}.")
        # Also beyond the end of this run: a value that is wrong later only is wrong.
        for until in (end, max(end, begin + SCHEDULE_STEPS)):
            attempt(kind, schedule, where, _stepper(cfg.optim_wrapper.optimizer, until, batches or 1, monitor))


def _stepper(optimiser_cfg: Mapping[str, Any], end: int, batches: int, monitor: str | None) -> Callable[[dict[str, Any]], None]:
    """Builds a schedule on a fresh optimiser and steps it, as a run would."""

    def make(values: dict[str, Any]) -> None:
        optimiser = _optimiser(optimiser_cfg)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a run's own call is no business of the trial's
            default = {"optimizer": optimiser, "epoch_length": batches}
            schedule: _ParamScheduler = PARAM_SCHEDULERS.build({"end": end, **values}, default_args=default)
            for step in range(SCHEDULE_STEPS):
                _step(optimiser)
                schedule.step(*([{monitor: 1.0}] if getattr(schedule, "need_val_args", False) else []))
                value = optimiser.param_groups[0][schedule.param_name]
                if not is_usable_rate(value):
                    raise ValueError(f"the {schedule.param_name} would be {value} after {step + 1} steps")

    return make


def try_hook(cfg: Mapping[str, Any] | None, where: str) -> None:
    """Build a hook; its class is registered or a dotted path.

    Raises:
        ConfigError: There is no such class, or a value that it can't use.
    """
    if cfg is None:
        return
    kind = _class(HOOKS, cfg, where)
    own = {key: value for key, value in cfg.items() if key not in _RUNNERS_OWN}
    check_kinds(kind, own, where)
    attempt(kind, {"type": cfg["type"], **own}, where, lambda values: HOOKS.build(values))


def try_loader(settings: Mapping[str, Any], name: str) -> None:
    """Build torch's loader with a config's keys, around no data.

    Raises:
        ConfigError: A value that it can't use.
    """
    own = {key: settings[key] for key in settings if key in LOADER_OPTIONS}
    check_kinds(DataLoader, own, name)
    if own.get("num_workers", 0) == 0:
        own = {key: value for key, value in own.items() if key not in WORKERS_ALONE}
    attempt(DataLoader, own, name, lambda values: DataLoader([0], **values))  # type: ignore[arg-type]


def try_compiling(cfg: Config) -> None:
    """Hand what ``compile`` says to torch: its own backend is set up, any other compiles one layer.

    Raises:
        ConfigError: A value that torch can't use.
    """
    options = compile_options(cfg)
    if not options:
        return

    def make(values: dict[str, Any]) -> None:
        compiled = torch.compile(nn.Linear(1, 1), **values)
        if values.get("backend", DEFAULT_BACKEND) != DEFAULT_BACKEND:
            compiled(torch.ones(1, 1)).sum().backward()

    check_kinds(torch.compile, options, "compile")
    attempt(torch.compile, options, "compile", make)


def _class(registry: Any, cfg: Mapping[str, Any], where: str) -> Any:
    """The class that a config names; what the registry doesn't know is imported by its path."""
    found = registry.get(cfg["type"])
    if found is None:
        raise ConfigError(f"{where}.type='{cfg['type']}' is not known.{did_you_mean(cfg['type'], registry.module_dict)}")
    return found
