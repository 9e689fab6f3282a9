"""What a run needs, built and checked before it starts: data, metrics, and the parts that mmengine builds itself later."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch
from mmengine.config import Config
from mmengine.dist import get_world_size
from mmengine.optim import OptimWrapper, build_optim_wrapper
from mmengine.registry import (
    DATA_SAMPLERS,
    HOOKS,
    OPTIM_WRAPPERS,
    OPTIMIZERS,
    PARAM_SCHEDULERS,
)
from torch.utils.data import DataLoader, Subset

from ..arguments import attempt
from ..data import sampler  # noqa: F401  (registers the sampler that configs name)
from ..data.dataset import DepthDataset
from ..errors import ConfigError, DataError, did_you_mean
from ..metrics import DepthMetric
from ..model import MultiTaskModel
from ..registry import DATASETS, METRICS, build
from ..structures import TARGET_FIELDS, Field
from . import gradients, hooks, progress  # noqa: F401  (registers the hooks that configs name)
from .config import require
from .loops import counts_epochs
from .part_checks import check_known, check_loop, check_part_kinds, check_runner, check_type, check_whole
from .switches import WindowOptimWrapper, check_switches
from .trials import WORKERS_ALONE, try_clipping, try_compiling, try_hook, try_loader, try_optimiser, try_schedules

LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
#: Keys of a dataloader that the Runner takes beside torch's own.
LOADER_KEYS = {"dataset", "sampler", "batch_sampler", "num_batch_per_epoch", "collate_fn", "worker_init_fn"}
#: Samplers of mmengine that don't say which epoch a frame is of.
WITHOUT_EPOCH = ("DefaultSampler", "InfiniteSampler")


def build_dataset(
    cfg: Mapping[str, Any],
    path: str,
    model: MultiTaskModel,
    targets: tuple[Field, ...],
    seed: int,
    inputs: tuple[Field, ...] | None = None,
) -> DepthDataset:
    """The data set of a config, told to load these inputs (None: what the network reads) and targets, and nothing else."""
    inputs = model.input_fields if inputs is None else inputs
    data: DepthDataset = build(DATASETS, dict(cfg), path, inputs=inputs, targets=targets, seed=seed)
    return data


def build_metrics(cfg: Any, path: str, model: MultiTaskModel) -> list[DepthMetric]:
    """The metrics of an evaluator's config, one dict or a list of them, for a model that predicts what they measure.

    Raises:
        ConfigError: The network predicts no such field, or two metrics would give values of one name.
    """
    configs = list(cfg) if isinstance(cfg, (list, tuple)) else [cfg]
    metrics = [build(METRICS, one, f"{path}[{i}]") for i, one in enumerate(configs)]
    for metric in metrics:
        for field in metric.predictions:
            if field.name not in model.network.fields:
                known = ", ".join(model.network.fields)
                raise ConfigError(f"{path} measures '{field.name}', which the network doesn't predict; it predicts {known}.")
    prefixes = [metric.prefix for metric in metrics]
    if len(set(prefixes)) < len(prefixes):
        raise ConfigError(f"{path}: of several metrics each needs a prefix of its own (its class's default_prefix).")
    return metrics


def unique(fields: Iterable[Field]) -> tuple[Field, ...]:
    """Each field once, in order."""
    return tuple({field.name: field for field in fields}.values())


def seed_of(cfg: Config) -> int:
    """The run's seed.

    Raises:
        ConfigError: There is none.
    """
    seed = cfg.get("randomness", {}).get("seed")
    if not isinstance(seed, int) or isinstance(seed, bool) or seed < 0:
        raise ConfigError(f"randomness.seed must be a whole number from 0 on, so that a run can be repeated, not {seed!r}.")
    return seed


def loader(cfg: Config, name: str, dataset: DepthDataset | Subset[dict[str, Any]]) -> dict[str, Any]:
    """A dataloader as the Runner takes it, around a data set that is built.

    Raises:
        ConfigError, DataError: A key or a number that can't be, or no frame.
    """
    if len(dataset) == 0:
        raise DataError(f"{name}: the data set has no frame.")
    settings = copy.deepcopy({key: value for key, value in cfg[name].items() if key != "dataset"})
    check_known(settings, LOADER_KEYS | set(inspect.signature(DataLoader).parameters), name)
    check_whole(settings, "batch_size", 1, name)
    check_whole(settings, "num_workers", 0, name)
    if settings.get("prefetch_factor") is not None:
        check_whole(settings, "prefetch_factor", 1, name)
    check_type(DATA_SAMPLERS, settings.get("sampler"), f"{name}.sampler", "sampler")
    check_part_kinds(DATA_SAMPLERS, settings.get("sampler"), f"{name}.sampler")
    try_loader(settings, name)
    if settings.get("num_workers", 0) == 0:
        settings = {key: value for key, value in settings.items() if key not in WORKERS_ALONE}
    if settings.get("drop_last") and len(dataset) < settings["batch_size"]:
        raise ConfigError(
            f"{name}: {len(dataset)} frames are fewer than batch_size={settings['batch_size']}, and drop_last leaves none. "
            f"Set --cfg-options {name}.batch_size={len(dataset)} or less."
        )
    return {**settings, "dataset": dataset}


def batches_of(settings: Mapping[str, Any]) -> int:
    """Batches of an epoch in each process; one at least."""
    frames = -(-len(settings["dataset"]) // get_world_size())
    return max(1, frames // settings["batch_size"] if settings.get("drop_last") else -(-frames // settings["batch_size"]))


def check_trainable(model: MultiTaskModel) -> None:
    """Refuse to train what has no weights.

    Raises:
        ConfigError: Says what to do with it instead.
    """
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise ConfigError("this config has nothing to train: its network has no weights. Evaluate it with `mtdc test`.")


def check_parts(cfg: Config, model: MultiTaskModel) -> None:
    """Refuse what a config alone shows to be wrong, before any work: also what the Runner would build in the middle of it.

    Raises:
        ConfigError: What is wrong and what to do.
    """
    require(cfg, "optim_wrapper")
    for name, task in model.network.tasks.items():
        if not len(task.losses):
            where = f"model.network.tasks.{name}"
            raise ConfigError(
                f"{where} has no loss, so it would not be trained. Add one, or leave the task out ({where}=None)."
            )
    level = cfg.get("log_level", "INFO")
    if level not in LOG_LEVELS:
        raise ConfigError(f"log_level={level!r} is not known.{did_you_mean(str(level), LOG_LEVELS)}")
    default_hooks = cfg.get("default_hooks") or {}
    for name, keys in {"checkpoint": ("interval", "max_keep_ckpts"), "logger": ("interval",)}.items():
        for key in keys:
            if (default_hooks.get(name) or {}).get(key) != -1:  # mmengine's word for never, and for all
                check_whole(default_hooks.get(name) or {}, key, 1, f"default_hooks.{name}")
    for key in ("max_epochs", "max_iters", "val_interval", "val_begin"):
        check_whole(cfg.train_cfg, key, 1, "train_cfg")
    for i, schedule in enumerate(cfg.get("param_scheduler") or ()):
        check_type(PARAM_SCHEDULERS, schedule, f"param_scheduler[{i}]", "schedule", {"convert_to_iter_based"})
    check_loop(cfg.train_cfg)
    check_runner(cfg)
    for where, hook in hooks_of(cfg):
        check_type(HOOKS, hook, where, "hook", {"priority"})
        check_part_kinds(HOOKS, hook, where)
    metrics = []
    if cfg.get("val_dataloader") is not None:
        metrics = build_metrics(cfg.get("val_evaluator"), "val_evaluator", model)
    measured = names_of_values(metrics)
    check_saving((cfg.get("default_hooks") or {}).get("checkpoint"), measured, bool(metrics))
    for where, hook in hooks_of(cfg):
        try_hook(hook, where)
    check_units(cfg)
    check_switches(cfg)
    try_compiling(cfg)
    if model.precision == torch.float16 and not torch.cuda.is_available():
        raise ConfigError(
            "model.precision='float16' is for training on a GPU, and there is none here: "
            "set --cfg-options model.precision=bfloat16 (or float32)."
        )
    build_optimiser(cfg, model)
    try_clipping(cfg.optim_wrapper.get("clip_grad"))
    try_schedules(cfg, measured)


def hooks_of(cfg: Config) -> Iterator[tuple[str, Any]]:
    """The hooks that a config names, with their places."""
    yield from ((f"default_hooks.{name}", hook) for name, hook in (cfg.get("default_hooks") or {}).items())
    yield from ((f"custom_hooks[{i}]", hook) for i, hook in enumerate(cfg.get("custom_hooks") or ()))


def names_of_values(metrics: Iterable[DepthMetric]) -> set[str]:
    """Names of what metrics measure, as the log has them, as far as their protocols tell."""
    return {f"{metric.prefix}/{key}" if metric.prefix else key for metric in metrics for key in _values(metric)}


def check_units(cfg: Config) -> None:
    """Refuse hooks and schedules that count epochs in a training that counts iterations: they would do nothing.

    Raises:
        ConfigError: The key, and what to set.
    """
    sampler_cfg = cfg.train_dataloader.get("sampler") or {}
    if sampler_cfg.get("type") in WITHOUT_EPOCH:
        raise ConfigError(
            f"train_dataloader.sampler.type='{sampler_cfg['type']}' doesn't tell epochs apart, so that each would draw the "
            "same random changes. Set EpochSampler, also to train by iterations."
        )
    if counts_epochs(cfg.train_cfg):
        return
    saving = (cfg.get("default_hooks") or {}).get("checkpoint") or {}
    if saving.get("type") == "CheckpointHook" and saving.get("by_epoch", True):
        raise ConfigError(
            "train_cfg counts iterations, and default_hooks.checkpoint epochs, so that nothing would be saved before the end: "
            "set default_hooks.checkpoint.by_epoch=False and its interval in iterations."
        )
    for i, schedule in enumerate(cfg.get("param_scheduler") or ()):
        steps = "Plateau" in str(schedule.get("type"))  # with each validation, whatever it counts
        if schedule.get("by_epoch", True) and not schedule.get("convert_to_iter_based") and not steps:
            raise ConfigError(
                f"train_cfg counts iterations, and param_scheduler[{i}] epochs, so that it would never step: set its "
                "by_epoch=False and its numbers in iterations, or convert_to_iter_based=True."
            )


def check_saving(saving: Mapping[str, Any] | None, known: set[str], validates: bool) -> None:
    """Refuse what the checkpoint hook would meet after the first validation, or a folder where ``--resume`` doesn't look.

    Raises:
        ConfigError: The key, and what it takes.
    """
    where = "default_hooks.checkpoint"
    if saving is None or saving["type"] != "CheckpointHook":
        return
    if saving.get("out_dir") is not None:
        raise ConfigError(f"{where}.out_dir: checkpoints are in the work folder, where --resume looks: set --work-dir.")
    if saving.get("filename_tmpl") not in (None, "epoch_{}.pth", "iter_{}.pth"):
        raise ConfigError(f"{where}.filename_tmpl: --resume looks for epoch_<n>.pth and iter_<n>.pth; leave it out.")
    best = saving.get("save_best")
    names = [best] if isinstance(best, str) else list(best or ())
    if names and not validates:
        raise ConfigError(f"{where}.save_best needs a validation: set val_dataloader and val_evaluator, or save_best=None.")
    for name in names:
        if known and name not in known | {"auto"}:
            raise ConfigError(f"{where}.save_best='{name}' is not measured.{did_you_mean(name, known)}")


def _values(metric: DepthMetric) -> Iterable[str]:
    """Names of a metric's values, as far as its protocol tells them."""
    units: Mapping[str, str] = metric.protocol().get("units", {})
    return units


def check_targets(model: MultiTaskModel, data: DepthDataset) -> None:
    """Refuse to train a task on data that hold no target of it, or no map that one of its losses reads.

    Raises:
        DataError: Names the task and both ways out.
    """
    for name, task in model.network.tasks.items():
        made_from = [TARGET_FIELDS[key] for key in task.needs if key in TARGET_FIELDS]
        if data.known(task.field) == 0 and not (made_from and all(data.known(row) for row in made_from)):
            raise DataError(
                f"no training frame has the target of task '{name}', so it would learn nothing. Add the files (the warning "
                f"above says where they are looked for), or leave the task out: --cfg-options model.network.tasks.{name}=None."
            )
        for term, loss in task.losses.items():
            for key in loss.reads:
                if key in TARGET_FIELDS and data.known(TARGET_FIELDS[key]) == 0:
                    raise DataError(
                        f"no training frame has '{key}', which the loss '{term}' of task '{name}' reads. Add the files, or "
                        f"leave the loss out: --cfg-options model.network.tasks.{name}.losses.{term}=None."
                    )


def build_optimiser(cfg: Config, model: MultiTaskModel) -> OptimWrapper:
    """The optimiser of a config.

    Raises:
        ConfigError: An unknown type or key, or a value that the optimiser refuses.
    """
    wrapper = copy.deepcopy(dict(cfg.optim_wrapper))
    check_type(
        OPTIM_WRAPPERS,
        {"type": "OptimWrapper", **wrapper},
        "optim_wrapper",
        "optimiser wrapper",
        {"constructor", "paramwise_cfg"},
    )
    check_type(OPTIMIZERS, wrapper.get("optimizer"), "optim_wrapper.optimizer", "optimiser")
    if wrapper.get("optimizer") is None:
        raise ConfigError("optim_wrapper has no 'optimizer'; inherit a shipped config by _base_, or add it.")
    try_optimiser(wrapper["optimizer"])
    if not isinstance(wrapper.get("paramwise_cfg") or {}, Mapping):
        raise ConfigError(f"optim_wrapper.paramwise_cfg must be None or a dict, not {wrapper['paramwise_cfg']!r}.")
    built = attempt(
        OPTIM_WRAPPERS.get(wrapper.get("type", "OptimWrapper")), wrapper, "optim_wrapper",
        lambda values: build_optim_wrapper(model, copy.deepcopy(values)),
    )  # fmt: skip
    if isinstance(built, WindowOptimWrapper):
        built.epochs = cfg.train_cfg.get("max_epochs", 1) if counts_epochs(cfg.train_cfg) else 1
        built.scaler = torch.amp.GradScaler(enabled=model.precision == torch.float16)
    return built
