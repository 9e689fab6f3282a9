"""Training and evaluation of a config: model first, then the data that it asks for, then mmengine's Runner."""

from __future__ import annotations

import copy
import importlib
import itertools
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.dist import barrier, get_world_size, is_main_process
from mmengine.evaluator import Evaluator
from mmengine.hooks import Hook
from mmengine.runner import Runner

from ..compatibility import mend_torchvision
from ..data.dataset import DepthDataset
from ..errors import ConfigError, DataError
from ..metrics import DepthMetric
from ..model import MultiTaskModel, build_model
from ..registry import METRICS, build
from ..structures import DEPTH
from . import hooks
from .checkpoint import check_fits, file_hash, last_checkpoint, load_weights, read_checkpoint, start_from
from .config import config_hash, require, switched_on
from .distributed import share_batch_norm, wrapper_config
from .folder_lock import held
from .logs import DescribedConfig, QuietRunner, warnings_after, writing
from .loops import counts_epochs, loop_config, plain_train_cfg
from .precision import resolve
from .preparation import (
    batches_of,
    build_dataset,
    build_metrics,
    build_optimiser,
    check_parts,
    check_targets,
    check_trainable,
    loader,
    seed_of,
    unique,
)
from .result import RESULT_NAME, result_dict, save_result
from .resume_state import check_state
from .resuming import check_folder, clear_folder, differences, resumable
from .street import make_street
from .switches import CompilingRunner, ema_hook
from .trials import try_schedules

#: Hooks that no config has to name.
OWN_HOOKS = ("PlainCheckpointHook", "IterationSeedHook", "ShareBuffersHook", "ProgressHook")
#: Two runs of one process need two names: mmengine keeps history and best scores by name, to the second.
_run_number = itertools.count()


class ZooRunner(QuietRunner, CompilingRunner):
    """mmengine's Runner with what it lacks."""


class KeepingEvaluator(Evaluator):  # type: ignore[misc]  # mmengine has no types
    """mmengine's evaluator, which keeps the last values that it computed."""

    values: Mapping[str, Any] = {}

    def evaluate(self, size: int) -> dict[str, Any]:
        """Mean values over ``size`` frames."""
        self.values = super().evaluate(size)
        return dict(self.values)


def _runner(cfg: Config, model: MultiTaskModel, work_dir: Path, launcher: str, **parts: Any) -> Runner:
    mend_torchvision()
    work_dir.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        # mmengine's own deprecations say nothing to a user of this package.
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        warnings.filterwarnings("ignore", category=FutureWarning)
        return ZooRunner(
            model=model,
            work_dir=str(work_dir),
            launcher=launcher,
            default_hooks=_default_hooks(cfg),
            env_cfg=cfg.get("env_cfg", {"dist_cfg": {"backend": "nccl"}}),
            log_processor={"by_epoch": counts_epochs(cfg.get("train_cfg") or {}), **(cfg.get("log_processor") or {})},
            log_level=cfg.get("log_level", "INFO"),
            visualizer=cfg.get("visualizer") or _visualizer(),
            randomness=cfg.randomness,
            experiment_name=f"{work_dir.name}_{config_hash(cfg)[:8]}_{next(_run_number)}",
            cfg=_described(cfg, model),
            **parts,
        )


def _default_hooks(cfg: Config) -> dict[str, Any]:
    """The config's, with a logger that counts as the training does."""
    default = dict(cfg.get("default_hooks") or {})
    logger = default.get("logger", {"type": "LoggerHook"})
    if logger is not None and not counts_epochs(cfg.get("train_cfg") or {}):
        default["logger"] = {"log_metric_by_epoch": False, **logger}
    return default


def _visualizer() -> dict[str, Any]:
    """Scalars as JSON lines, and everything in TensorBoard where it is installed."""
    backends = [{"type": "LocalVisBackend"}]
    # Imported, not only looked for: what is installed and broken would end the run at its first number.
    with suppress(ImportError):
        importlib.import_module("torch.utils.tensorboard")
        backends.append({"type": "TensorboardVisBackend"})
    return {"type": "Visualizer", "vis_backends": backends}


@contextmanager
def _workers_ended(runner: Runner) -> Iterator[None]:
    """End the loaders' persistent workers with the run, not when Python happens to collect the runner."""
    try:
        yield
    finally:
        # A loop that was never built still is its config dict.
        for loop in (runner._train_loop, runner._val_loop, runner._test_loop):
            loader: Any = getattr(loop, "dataloader", None)
            workers = getattr(loader, "_iterator", None)
            if workers is not None:
                workers._shutdown_workers()
                loader._iterator = None


def _described(cfg: Config, model: MultiTaskModel) -> Config:
    """The config that is written into the work folder and the checkpoints, with how a distributed model is wrapped."""
    described = DescribedConfig(copy.deepcopy(cfg._cfg_dict), cfg_text=cfg.text, filename=cfg.filename)
    described.model_wrapper_cfg = wrapper_config(any(p.requires_grad for p in model.parameters()))
    return described


def train(
    cfg: Config, work_dir: Path, launcher: str = "none", resume: bool = False, overwrite: bool = False
) -> dict[str, Any] | None:
    """Train a config, evaluating as it says, and return the last evaluation's result (None without validation).

    The result is in ``work_dir/result.json`` too. With ``resume`` the run goes on from the last whole checkpoint in
    ``work_dir``, wherever that folder was when it was written; with ``overwrite`` an earlier run's files there are removed.

    Raises:
        ConfigError, DataError: Before anything is trained; also where another run writes into the folder.
    """
    check_folder(work_dir)
    with ExitStack() as lock:
        lock.enter_context(held(work_dir))
        return _train(cfg, work_dir, launcher, resume, overwrite, lock)


def _train(cfg: Config, work_dir: Path, launcher: str, resume: bool, overwrite: bool, lock: ExitStack) -> dict[str, Any] | None:
    # Everything that the config alone can be wrong about comes before data are drawn, steps are timed or a file is written.
    require(cfg, "train_dataloader", "randomness")
    seed = seed_of(cfg)
    model = build_model(cfg.model)
    check_trainable(model)
    require(cfg, "train_cfg")
    cfg.train_cfg = plain_train_cfg(cfg.train_cfg)
    checkpoint = resumable(cfg, work_dir) if resume else None
    check_parts(cfg, model)
    make_street(cfg)
    train_cfg = cfg.train_dataloader.dataset
    data = build_dataset(
        train_cfg, "train_dataloader.dataset", model, model.target_fields, seed, inputs=model.training_input_fields
    )
    check_targets(model, data)
    train_loader = loader(cfg, "train_dataloader", data)
    try_schedules(cfg, batches=batches_of(train_loader))
    lock.enter_context(held(work_dir, make=True))
    resolve(cfg.model, work_dir, resume)
    torch.manual_seed(seed)  # the first weights are part of what a seed repeats
    model = build_model(cfg.model)
    changed, fresh = "", list[str]()
    if checkpoint is not None:
        found = read_checkpoint(checkpoint)
        check_fits(model, found, checkpoint)
        check_state(found, cfg, model, checkpoint)
        changed = differences(found["meta"], cfg)
    elif cfg.get("load_from"):
        fresh = start_from(model, cfg.load_from)
    if cfg.get("sync_batch_norm"):
        share_batch_norm(model)
    parts: dict[str, Any] = {
        "train_dataloader": train_loader,
        "train_cfg": loop_config(cfg.train_cfg),
        "optim_wrapper": build_optimiser(cfg, model),
        "param_scheduler": cfg.get("param_scheduler"),
        "custom_hooks": [*(cfg.get("custom_hooks") or ()), *_own_hooks(cfg)],
        "resume": checkpoint is not None,
        "load_from": None if checkpoint is None else str(checkpoint),
    }
    evaluator: KeepingEvaluator | None = None
    if cfg.get("val_dataloader") is not None:
        evaluator = KeepingEvaluator(build_metrics(cfg.val_evaluator, "val_evaluator", model))
        targets = unique(field for metric in evaluator.metrics for field in metric.targets)
        if any(hook.get("type") == hooks.PanelHook.__name__ for hook in cfg.get("custom_hooks") or ()):
            targets = unique((*targets, *model.target_fields))
        inputs, targets = model.fields_to_measure(targets)
        val_data = build_dataset(cfg.val_dataloader.dataset, "val_dataloader.dataset", model, targets, seed, inputs)
        val_loader = loader(cfg, "val_dataloader", val_data)
        parts |= {"val_dataloader": val_loader, "val_evaluator": evaluator, "val_cfg": cfg.get("val_cfg") or {}}
    if is_main_process():
        clear_folder(work_dir, everything=overwrite)
    barrier()
    with writing(work_dir):
        runner = _runner(cfg, model, work_dir, launcher, **parts)
        if changed:
            runner.logger.warning(
                f"the config differs from the one that the checkpoint was made with: {changed}. What the checkpoint holds of "
                "weights, optimiser and schedules is kept."
            )
        if fresh:
            runner.logger.warning(
                f"{cfg.load_from} was stripped: {len(fresh)} weights that it lacks, first {fresh[0]}, start as the seed makes "
                "them."
            )
        with _workers_ended(runner):
            runner.train()
    if evaluator is None or not evaluator.values:
        return None
    result = _result(cfg, evaluator, val_data, cfg.val_dataloader.dataset, last_checkpoint(work_dir))
    if get_world_size() > 1:  # the global batch is that many times the config's
        result["protocol"]["processes"] = get_world_size()
    _save(work_dir, result)
    if cfg.get("baselines"):
        result["baselines"] = _baselines(cfg, work_dir, launcher)
        _save(work_dir, result)
    return result


def _own_hooks(cfg: Config) -> list[dict[str, Any]]:
    """Those hooks that the config doesn't name, and that of its averaged weights."""
    named = {hook.get("type") for hook in cfg.get("custom_hooks") or ()}
    own = [{"type": name} for name in OWN_HOOKS if name not in named]
    average = ema_hook(cfg)
    return own + ([average] if average is not None else [])


def _save(work_dir: Path, result: Mapping[str, Any]) -> None:
    if is_main_process():
        save_result(work_dir / RESULT_NAME, result)


def _baselines(cfg: Config, work_dir: Path, launcher: str) -> dict[str, dict[str, Any]]:
    """Methods without weights on the validation frames, measured as the network was."""
    values = {}
    for name, method in cfg.baselines.items():
        if method is None:  # a config that inherits it and leaves it out
            continue
        changed = copy.deepcopy(cfg)
        changed.model = {"type": "MultiTaskModel", "network": {"type": "ClassicalNetwork", "method": method}}
        changed.test_dataloader, changed.test_cfg = cfg.val_dataloader, cfg.val_cfg
        changed.test_evaluator = of_depth(cfg.val_evaluator)
        result = evaluate(changed, None, work_dir / "baselines" / name, launcher=launcher)
        values[name] = {key: value for key, value in result.items() if key not in ("protocol", "per_frame")}
    return values


def of_depth(evaluators: Any) -> list[Any]:
    """Those of an evaluator's configs that measure depth, which is all that a method without weights predicts."""
    configs = list(evaluators) if isinstance(evaluators, (list, tuple)) else [evaluators]
    return [one for one in configs if {row.name for row in build(METRICS, one, "val_evaluator").predictions} <= {DEPTH.name}]


def evaluate(
    cfg: Config, checkpoint: Path | None, work_dir: Path, save_depth: Path | None = None, launcher: str = "none"
) -> dict[str, Any]:
    """Evaluate a config on its test data, with the metrics of its ``test_evaluator``, and return the result.

    Raises:
        ConfigError: The network has weights and no checkpoint is given.
        DataError: No frame has ground truth, and no predictions are to be saved either.
    """
    require(cfg, "test_dataloader", "test_evaluator", "randomness")
    model = build_model(cfg.model)
    load_trained(model, checkpoint)
    evaluator = KeepingEvaluator(build_metrics(cfg.test_evaluator, "test_evaluator", model))
    targets = unique(field for metric in evaluator.metrics for field in metric.targets)
    with warnings_after():
        inputs, targets = model.fields_to_measure(targets)
        data = build_dataset(cfg.test_dataloader.dataset, "test_dataloader.dataset", model, targets, seed_of(cfg), inputs)
        test_loader = loader(cfg, "test_dataloader", data)
        if save_depth is None and targets and not any(data.known(field) for field in targets):
            raise DataError(
                f"split '{data.split}' of {cfg.test_dataloader.dataset.get('data_root')} has no ground truth, so nothing can "
                "be measured. To write depth maps: --submission OUT.zip for KITTI's server, or --save-depth DIR for PNGs alone."
            )
    saving = []
    if save_depth is not None:
        saving.append(hooks.SaveDepthHook(save_depth))
        if is_main_process():
            saving[0].check()
    predict(cfg, model, test_loader, evaluator, saving, work_dir, launcher)
    return _result(cfg, evaluator, data, cfg.test_dataloader.dataset, checkpoint)


def predict(
    cfg: Config,
    model: MultiTaskModel,
    test_loader: dict[str, Any],
    evaluator: Evaluator,
    custom_hooks: Sequence[Hook],
    work_dir: Path,
    launcher: str = "none",
) -> None:
    """Run a model over the frames of a loader; the evaluator and the hooks see every prediction."""
    parts = {"test_dataloader": test_loader, "test_evaluator": evaluator, "test_cfg": cfg.get("test_cfg") or {}}
    with writing(work_dir):
        runner = _runner(cfg, model, work_dir, launcher, custom_hooks=list(custom_hooks), **parts)
        with _workers_ended(runner):
            runner.test()


def load_trained(model: MultiTaskModel, checkpoint: Path | None) -> None:
    """Load the weights that a model needs, and none into a method without weights.

    Raises:
        ConfigError: Weights are needed and missing, or given and not needed.
    """
    has_weights = any(True for _ in model.parameters())
    if has_weights and checkpoint is None:
        raise ConfigError(
            "this config's network has weights: name the checkpoint to load, a .pth file that `mtdc train` wrote. "
            "The configs under classical/ need none, and `mtdc zoo` lists models that are trained."
        )
    if checkpoint is None:
        return
    if not has_weights:
        raise ConfigError(f"{checkpoint}: this config's method has no weights; leave the checkpoint away.")
    load_weights(model, checkpoint)


def named(metric: DepthMetric, name: str) -> str:
    """A value's name in the result, which has the metric's prefix before it."""
    return f"{metric.prefix}/{name}" if metric.prefix else name


def protocol_of(metrics: Sequence[DepthMetric]) -> dict[str, Any]:
    """How metrics measure, in one dict: where one differs from those before it, its words stand behind its prefix."""
    protocol: dict[str, Any] = {"units": {}}
    for metric in metrics:
        for key, value in metric.protocol().items():
            if key == "units":
                protocol["units"] |= {named(metric, name): unit for name, unit in value.items()}
            else:
                protocol[key if protocol.get(key, value) == value else f"{metric.prefix}/{key}"] = value
    return protocol


def _result(
    cfg: Config, evaluator: KeepingEvaluator, data: DepthDataset, dataset_cfg: Mapping[str, Any], checkpoint: Path | None
) -> dict[str, Any]:
    """Values, protocol and each frame's values of the last evaluation."""
    protocol = protocol_of(evaluator.metrics)
    per_frame: dict[str, Any] = {}
    for metric in evaluator.metrics:
        for sample_id, values in metric.per_frame.items():
            per_frame.setdefault(sample_id, {}).update({named(metric, name): value for name, value in values.items()})
    transforms = [dict(step) for step in dataset_cfg.get("transforms", ())]
    crops = [step for step in transforms if step["type"] == "BottomCrop"]
    task = cfg.model.network.get("tasks", {}).get("depth") or {}
    protocol |= {
        "dataset": data.METAINFO["dataset"],
        "split": data.split,
        "crop": f"bottom {crops[-1]['height']}x{crops[-1]['width']}" if crops else "none",
        "transforms": transforms,
        "network_range_m": task.get("range_m"),
        "config": Path(cfg.filename).name if cfg.filename else None,
        "config_sha256": config_hash(cfg),
        "switched_on": switched_on(cfg) or None,
        "checkpoint": None if checkpoint is None else checkpoint.name,
        "checkpoint_sha256": None if checkpoint is None else file_hash(checkpoint),
    }
    return result_dict(evaluator.values, protocol, per_frame)
