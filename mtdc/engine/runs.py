"""Training and evaluation of a config: model first, then the data that it asks for, then mmengine's Runner."""

from __future__ import annotations

import copy
import importlib.util
import itertools
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.dist import is_main_process
from mmengine.evaluator import Evaluator
from mmengine.runner import Runner

from ..compatibility import mend_torchvision
from ..data import sampler  # noqa: F401  (registers the sampler that configs name)
from ..data.dataset import DepthDataset
from ..errors import ConfigError, DataError
from ..metrics import DepthMetric
from ..model import MultiTaskModel, build_model
from ..registry import DATASETS, METRICS, build
from ..structures import Field
from . import hooks
from .checkpoint import file_hash, load_weights
from .config import config_hash
from .distributed import wrapper_config
from .precision import resolve
from .result import result_dict, save_result

RESULT_NAME = "result.json"
#: Two runs of one process need two names: mmengine keeps history and best scores by name, to the second.
_run_number = itertools.count()


class KeepingEvaluator(Evaluator):  # type: ignore[misc]  # mmengine has no types
    """mmengine's evaluator, which keeps the last values that it computed."""

    values: Mapping[str, Any] = {}

    def evaluate(self, size: int) -> dict[str, Any]:
        """Mean values over ``size`` frames."""
        self.values = super().evaluate(size)
        return dict(self.values)


def build_dataset(
    cfg: Mapping[str, Any], path: str, model: MultiTaskModel, targets: tuple[Field, ...], seed: int
) -> DepthDataset:
    """The data set of a config, told to load what the network reads and these targets, and nothing else."""
    return build(DATASETS, dict(cfg), path, inputs=model.input_fields, targets=targets, seed=seed)


def build_metrics(cfg: Any, path: str) -> list[DepthMetric]:
    """The metrics of an evaluator's config: one dict or a list of them."""
    configs = list(cfg) if isinstance(cfg, (list, tuple)) else [cfg]
    return [build(METRICS, dict(one), f"{path}[{i}]") for i, one in enumerate(configs)]


def metric_targets(metrics: list[DepthMetric]) -> tuple[Field, ...]:
    """Every field that some metric compares with, once."""
    return tuple({field.name: field for metric in metrics for field in metric.targets}.values())


def _loader(cfg: Config, name: str, dataset: DepthDataset) -> dict[str, Any]:
    if len(dataset) == 0:
        raise DataError(f"{name}: the data set has no frame.")
    loader = copy.deepcopy({key: value for key, value in cfg[name].items() if key != "dataset"})
    if loader.get("num_workers", 0) == 0:
        loader.pop("persistent_workers", None)
        loader.pop("prefetch_factor", None)
    if loader.get("drop_last") and len(dataset) < loader["batch_size"]:
        raise ConfigError(
            f"{name}: {len(dataset)} frames are fewer than batch_size={loader['batch_size']}, and drop_last leaves none. "
            f"Set --cfg-options {name}.batch_size={len(dataset)} or less."
        )
    loader["dataset"] = dataset
    return loader


def _seed(cfg: Config) -> int:
    seed = cfg.get("randomness", {}).get("seed")
    if not isinstance(seed, int):
        raise ConfigError(f"randomness.seed must be a whole number, so that a run can be repeated, not {seed!r}.")
    return seed


def _runner(cfg: Config, model: MultiTaskModel, work_dir: Path, launcher: str, **parts: Any) -> Runner:
    mend_torchvision()
    work_dir.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        # mmengine's own deprecations say nothing to a user of this package.
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        warnings.filterwarnings("ignore", category=FutureWarning)
        return Runner(
            model=model,
            work_dir=str(work_dir),
            launcher=launcher,
            default_hooks=cfg.get("default_hooks"),
            env_cfg=cfg.get("env_cfg", {"dist_cfg": {"backend": "nccl"}}),
            log_processor=cfg.get("log_processor"),
            log_level=cfg.get("log_level", "INFO"),
            visualizer=cfg.get("visualizer") or _visualizer(),
            randomness=cfg.randomness,
            experiment_name=f"{work_dir.name}_{config_hash(cfg)[:8]}_{next(_run_number)}",
            cfg=_described(cfg),
            **parts,
        )


def _visualizer() -> dict[str, Any]:
    """Scalars as JSON lines, and everything in TensorBoard where it is installed."""
    backends = [{"type": "LocalVisBackend"}]
    if importlib.util.find_spec("tensorboard") is not None:
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


def _described(cfg: Config) -> Config:
    """The config that is written into the work folder and the checkpoints, with how a distributed model is wrapped."""
    described = copy.deepcopy(cfg)
    described.model_wrapper_cfg = wrapper_config()
    return described


def train(cfg: Config, work_dir: Path, launcher: str = "none", resume: bool = False) -> dict[str, Any] | None:
    """Train a config, evaluating as it says, and return the last evaluation's result (None without validation).

    The result is in ``work_dir/result.json`` too. With ``resume`` the run goes on from the last checkpoint in ``work_dir``.

    Raises:
        ConfigError, DataError: Before anything is trained.
    """
    seed = _seed(cfg)
    resolve(cfg.model, work_dir, resume)
    torch.manual_seed(seed)  # the first weights are part of what a seed repeats
    model = build_model(cfg.model)
    if not any(p.requires_grad for p in model.parameters()):
        raise ConfigError("this config has nothing to train: its network has no weights. Evaluate it with `mtdc test`.")
    data = build_dataset(cfg.train_dataloader.dataset, "train_dataloader.dataset", model, model.target_fields, seed)
    for name, task in model.network.tasks.items():
        if len(task.losses) and not task.needs and data.count(task.field) == 0:
            raise DataError(
                f"no training frame has the target of task '{name}', so it would learn nothing. Add the files (the warning "
                f"above says where they are looked for), or leave the task out: --cfg-options model.network.tasks.{name}=None."
            )
    parts: dict[str, Any] = {
        "train_dataloader": _loader(cfg, "train_dataloader", data),
        "train_cfg": cfg.train_cfg,
        "optim_wrapper": cfg.optim_wrapper,
        "param_scheduler": cfg.get("param_scheduler"),
        "custom_hooks": cfg.get("custom_hooks"),
        "resume": resume,
        "load_from": cfg.get("load_from"),
    }
    evaluator: KeepingEvaluator | None = None
    if cfg.get("val_dataloader") is not None:
        metrics = build_metrics(cfg.val_evaluator, "val_evaluator")
        evaluator = KeepingEvaluator(metrics)
        targets = metric_targets(metrics)
        if any(hook.get("type") == hooks.PanelHook.__name__ for hook in cfg.get("custom_hooks", ())):
            targets = tuple({field.name: field for field in (*targets, *model.target_fields)}.values())
        val_data = build_dataset(cfg.val_dataloader.dataset, "val_dataloader.dataset", model, targets, seed)
        parts |= {
            "val_dataloader": _loader(cfg, "val_dataloader", val_data),
            "val_evaluator": evaluator,
            "val_cfg": cfg.val_cfg,
        }
    runner = _runner(cfg, model, work_dir, launcher, **parts)
    with _workers_ended(runner):
        runner.train()
    if evaluator is None or not evaluator.values:
        return None
    result = _result(cfg, evaluator, cfg.val_dataloader, _last_checkpoint(work_dir))
    if cfg.get("baselines"):
        result["baselines"] = _baselines(cfg, work_dir, launcher)
    if is_main_process():
        save_result(work_dir / RESULT_NAME, result)
    return result


def _baselines(cfg: Config, work_dir: Path, launcher: str) -> dict[str, dict[str, Any]]:
    """Methods without weights on the validation frames, measured as the network was."""
    values = {}
    for name, method in cfg.baselines.items():
        changed = copy.deepcopy(cfg)
        changed.model = {"type": "MultiTaskModel", "network": {"type": "ClassicalNetwork", "method": method}}
        changed.test_dataloader, changed.test_evaluator, changed.test_cfg = cfg.val_dataloader, cfg.val_evaluator, cfg.val_cfg
        result = evaluate(changed, None, work_dir / "baselines" / name, launcher=launcher)
        values[name] = {key: value for key, value in result.items() if key not in ("protocol", "per_frame")}
    return values


def _last_checkpoint(work_dir: Path) -> Path | None:
    pointer = work_dir / "last_checkpoint"
    return work_dir / Path(pointer.read_text().strip()).name if pointer.is_file() else None


def evaluate(
    cfg: Config, checkpoint: Path | None, work_dir: Path, save_depth: Path | None = None, launcher: str = "none"
) -> dict[str, Any]:
    """Evaluate a config on its test data, with the metrics of its ``test_evaluator``, and return the result.

    Raises:
        ConfigError: The network has weights and no checkpoint is given.
    """
    model = build_model(cfg.model)
    load_trained(model, checkpoint)
    metrics = build_metrics(cfg.test_evaluator, "test_evaluator")
    evaluator = KeepingEvaluator(metrics)
    loader = cfg.test_dataloader
    data = build_dataset(loader.dataset, "test_dataloader.dataset", model, metric_targets(metrics), _seed(cfg))
    runner = _runner(
        cfg,
        model,
        work_dir,
        launcher,
        test_dataloader=_loader(cfg, "test_dataloader", data),
        test_evaluator=evaluator,
        test_cfg=cfg.test_cfg,
        custom_hooks=None if save_depth is None else [hooks.SaveDepthHook(save_depth)],
    )
    with _workers_ended(runner):
        runner.test()
    return _result(cfg, evaluator, loader, checkpoint)


def load_trained(model: MultiTaskModel, checkpoint: Path | None) -> None:
    """Load the weights that a model needs, and none into a method without weights.

    Raises:
        ConfigError: Weights are needed and missing, or given and not needed.
    """
    has_weights = any(True for _ in model.parameters())
    if has_weights and checkpoint is None:
        raise ConfigError(
            "this config's network has weights: name the checkpoint to load (a .pth file that `mtdc train` wrote)."
        )
    if checkpoint is None:
        return
    if not has_weights:
        raise ConfigError(f"{checkpoint}: this config's method has no weights; leave the checkpoint away.")
    load_weights(model, checkpoint)


def _result(cfg: Config, evaluator: KeepingEvaluator, loader: Mapping[str, Any], checkpoint: Path | None) -> dict[str, Any]:
    protocol: dict[str, Any] = {}
    per_frame: dict[str, Any] = {}
    for metric in evaluator.metrics:
        protocol |= metric.protocol()
        per_frame |= metric.per_frame
    dataset = loader["dataset"]
    crops = [step for step in dataset.get("transforms", ()) if step["type"] == "BottomCrop"]
    protocol |= {
        "dataset": dataset["type"],
        "split": dataset.get("split"),
        "crop": f"bottom {crops[-1]['height']}x{crops[-1]['width']}" if crops else "none",
        "config": Path(cfg.filename).name if cfg.filename else None,
        "config_sha256": config_hash(cfg),
        "checkpoint": None if checkpoint is None else checkpoint.name,
        "checkpoint_sha256": None if checkpoint is None else file_hash(checkpoint),
    }
    return result_dict(evaluator.values, protocol, per_frame)
