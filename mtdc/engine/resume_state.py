"""What a run reads from a checkpoint to go on, in one place: held against the run before anything starts.

A file can be whole and its values not: a tool wrote it anew, or a bit was turned before the checksums were made. Each value is
compared with what this run would have written itself.
"""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.registry import PARAM_SCHEDULERS
from torch import Tensor

from ..arguments import is_usable_rate
from ..errors import ConfigError, DataError
from ..model import MultiTaskModel
from .preparation import build_optimiser

#: Where a run is in its data, as its loop notes it: counts, and the least that each can be.
_PLACE = {"epoch": 0, "batches": 0, "batches_per_epoch": 1, "batch_size": 1, "processes": 1}
_SHOWN = 3
_STEPS = 3
_SCALER = ("scale", "growth_factor", "backoff_factor", "growth_interval", "_growth_tracker")


def check_place(checkpoint: Mapping[str, Any], path: Path) -> None:
    """Refuse a file that holds weights and not all that a run goes on with, or not where it was.

    Raises:
        DataError: Names what is missing or damaged.
    """
    meta = checkpoint["meta"]
    place, settings = meta.get("position"), meta.get("settings") or {}
    kinds = {
        "optimizer": isinstance(checkpoint.get("optimizer"), Mapping),
        "message_hub": isinstance(checkpoint.get("message_hub"), Mapping),
        "param_schedulers": isinstance(checkpoint.get("param_schedulers", []), (list, tuple)),
        "meta.iter": is_count(meta.get("iter")),
        "meta.epoch": is_count(meta.get("epoch")),
        "meta.seed": meta.get("seed") is None or is_count(meta.get("seed")),
        "meta.settings": isinstance(settings, Mapping) and all(isinstance(key, str) for key in settings),
        "meta.position": place is None or _is_place(place, meta.get("iter")),
    }  # fmt: skip
    _refuse([name for name, right in kinds.items() if not right], path)


def check_state(checkpoint: Mapping[str, Any], cfg: Config, model: MultiTaskModel, path: Path) -> None:
    """Refuse a checkpoint whose optimiser, schedules, history or averaged weights a run could not go on with.

    Raises:
        DataError: Names what is damaged.
        ConfigError: It holds a gradient of an open window of ``accumulative_counts`` batches, and the config has another.
    """
    wrong = [f"state_dict.{key}" for key, value in checkpoint["state_dict"].items() if not _is_finite(value)]
    wrong += _wrong_hub(checkpoint["message_hub"])
    wrong += _wrong_optimiser(checkpoint["optimizer"], cfg, model)
    wrong += _wrong_schedules(checkpoint.get("param_schedulers", []), cfg)
    if cfg.get("ema") and "ema_state_dict" in checkpoint:
        wrong += _wrong_average(checkpoint["ema_state_dict"], model)
    _refuse(wrong, path)
    _check_window(checkpoint, cfg, path)


def _refuse(wrong: list[str], path: Path) -> None:
    if not wrong:
        return
    more = f" and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
    raise DataError(
        f"{path}: no checkpoint to go on from; missing or damaged in it: {', '.join(wrong[:_SHOWN])}{more}. Remove it to go on "
        "from the one before it, or name it as load_from in a config to start from its weights alone."
    )


def is_count(value: Any) -> bool:
    """Whether a value is a whole number from 0 on."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _is_place(place: Any, iteration: Any) -> bool:
    if not isinstance(place, Mapping) or not all(
        is_count(place.get(key)) and place[key] >= least for key, least in _PLACE.items()
    ):
        return False
    return bool(place["batches"] <= place["batches_per_epoch"] and (not is_count(iteration) or place["batches"] <= iteration))


def _is_finite(value: Any) -> bool:
    return isinstance(value, Tensor) and not value.is_complex() and bool(torch.isfinite(value).all())


def _alike(found: Any, own: Tensor) -> bool:
    """Whether a tensor of a file can stand for one of the run's."""
    return (
        isinstance(found, Tensor)
        and found.layout == torch.strided
        and found.shape == own.shape
        and found.is_floating_point() == own.is_floating_point()
        and _is_finite(found)
    )


# ---- History


def _wrong_hub(hub: Mapping[str, Any]) -> Iterator[str]:
    for part in ("log_scalars", "runtime_info"):
        if not isinstance(hub.get(part), Mapping) or not all(isinstance(key, str) for key in hub[part]):
            yield f"message_hub.{part}"
            return
    for name, history in hub["log_scalars"].items():
        if not _is_history(history):
            yield f"message_hub.log_scalars.{name}"
    info = hub["runtime_info"]
    for name, value in info.items():
        if not _is_note(name, value):
            yield f"message_hub.runtime_info.{name}"
        elif name.startswith("best_ckpt") and name.replace("best_ckpt", "best_score", 1) not in info:
            yield f"message_hub.runtime_info.{name.replace('best_ckpt', 'best_score', 1)}"


def _is_history(history: Any) -> bool:
    if not isinstance(history, Mapping):
        return False
    log, count, most = history.get("log"), history.get("count"), history.get("max_length")
    if not isinstance(log, Tensor) or not isinstance(count, Tensor) or log.layout != torch.strided or log.is_complex():
        return False
    if not is_count(most) or not most:
        return False
    whole = not count.is_floating_point() and not count.is_complex() and count.layout == torch.strided
    return bool(whole) and log.ndim == 1 and log.shape == count.shape and len(log) > 0


def _is_note(name: str, value: Any) -> bool:
    """Whether a note of the run's is one that hooks can use; those that each start writes anew may be anything."""
    if name.startswith("best_ckpt"):
        return value is None or isinstance(value, str)
    if name.startswith("best_score"):
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if name == "keep_ckpt_ids":
        return isinstance(value, (list, tuple)) and all(is_count(one) for one in value)
    if name == "last_ckpt":
        return isinstance(value, str)
    return not (name == "evaluated_at" and not is_count(value)) and not (name == "eta" and not _is_number(value))


# ---- Optimiser and schedules


def _wrong_optimiser(found: Mapping[str, Any], cfg: Config, model: MultiTaskModel) -> Iterator[str]:
    """Against an optimiser of the run's own that took a step with the checkpoint's groups."""
    wrapper = build_optimiser(cfg, copy.deepcopy(model))
    optimiser = wrapper.optimizer
    own_groups = optimiser.state_dict()["param_groups"]
    groups, state = found.get("param_groups"), found.get("state")
    if not isinstance(groups, (list, tuple)) or len(groups) != len(own_groups):
        yield "optimizer.param_groups"
        return
    for i, (group, own) in enumerate(zip(groups, own_groups, strict=True)):
        if not isinstance(group, Mapping) or group.get("params") != own["params"]:
            yield f"optimizer.param_groups.{i}.params"
            return
        keys = [key for key, value in own.items() if key in group and key != "params" and not _same_kind(group[key], value)]
        keys += [
            key for key in ("lr", "initial_lr") if key in {**own, **group} and not is_usable_rate(group.get(key, own.get(key)))
        ]
        keys += ["lr"] if "lr" not in group else []
        yield from (f"optimizer.param_groups.{i}.{key}" for key in dict.fromkeys(keys))
        if keys:
            return
    if not isinstance(state, Mapping):
        yield "optimizer.state"
        return
    parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
    try:
        optimiser.load_state_dict({"state": {}, "param_groups": [dict(group) for group in groups]})
        for parameter in parameters:
            parameter.grad = torch.zeros_like(parameter)
        optimiser.step()
    except Exception:  # torch's own words are about its code
        yield "optimizer.param_groups"
        return
    yield from _wrong_moments(state, optimiser.state_dict()["state"])
    yield from _wrong_extras(found, parameters)


def _wrong_moments(state: Mapping[Any, Any], expected: Mapping[Any, Any]) -> Iterator[str]:
    for number, moments in state.items():
        own = expected.get(number)
        if own is None or not isinstance(moments, Mapping) or moments.keys() != own.keys():
            yield f"optimizer.state.{number}"
            continue
        for name, value in own.items():
            right = _alike(moments[name], value) if isinstance(value, Tensor) else _same_kind(moments[name], value)
            if not right:
                yield f"optimizer.state.{number}.{name}"


def _wrong_extras(found: Mapping[str, Any], parameters: list[torch.nn.Parameter]) -> Iterator[str]:
    """The open window's gradient and the loss scale, where there are any."""
    window, scaler = found.get("open_window"), found.get("loss_scaler")
    if window is not None:
        whole = isinstance(window, (list, tuple)) and len(window) == len(parameters)
        if not whole or not all(one is None or _alike(one, own) for one, own in zip(window, parameters, strict=True)):
            yield "optimizer.open_window"
    if scaler and not (isinstance(scaler, Mapping) and all(_is_number(scaler.get(key)) for key in _SCALER)):
        yield "optimizer.loss_scaler"


def _same_kind(found: Any, own: Any) -> bool:
    if own is None or found is None:
        return found is None or isinstance(found, bool)  # torch's "choose yourself"
    if isinstance(own, bool) or isinstance(found, bool):
        return isinstance(own, bool) and isinstance(found, bool)
    if isinstance(own, (int, float)):
        return _is_number(found)
    if isinstance(own, (list, tuple)):
        alike = isinstance(found, (list, tuple)) and len(found) == len(own)
        return alike and all(_same_kind(one, other) for one, other in zip(found, own, strict=True))
    return isinstance(found, type(own))


def _wrong_schedules(found: Any, cfg: Config) -> Iterator[str]:
    """Against schedules of the run's own; each is loaded and stepped."""
    for i, (state, schedule_cfg) in enumerate(zip(found, cfg.get("param_scheduler") or (), strict=False)):
        where = f"param_schedulers.{i}"
        optimiser = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=1.0, momentum=0.5)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            default = {"optimizer": optimiser, "epoch_length": 1}
            schedule = PARAM_SCHEDULERS.build({"end": 10**9, **schedule_cfg}, default_args=default)
            own = schedule.state_dict()
            if not isinstance(state, Mapping) or not {"last_step", "_global_step", "begin", "end", "by_epoch"} <= state.keys():
                yield where
                continue
            wrong = [str(key) for key, value in state.items() if key in own and not _same_schedule(key, value, own[key])]
            wrong += [str(key) for key in state if hasattr(type(schedule), str(key))]
            yield from (f"{where}.{key}" for key in wrong)
            if not wrong and not _steps_on(schedule, state, optimiser):
                yield where


def _same_schedule(key: str, found: Any, own: Any) -> bool:
    if key in ("base_values", "_last_value"):  # one for each group of parameters
        return isinstance(found, (list, tuple)) and bool(found) and all(_is_number(value) for value in found)
    if key in ("last_step", "_global_step"):
        return isinstance(found, int) and not isinstance(found, bool) and found >= -1
    return isinstance(own, (Mapping, list, tuple)) or own is None or found is None or _same_kind(found, own)


def _steps_on(schedule: Any, state: Mapping[str, Any], optimiser: torch.optim.Optimizer) -> bool:
    try:
        schedule.load_state_dict(dict(state))
        monitor = getattr(schedule, "monitor", None)
        for _ in range(_STEPS):
            optimiser.step()
            schedule.step(*([{monitor: 1.0}] if getattr(schedule, "need_val_args", False) else []))
        return is_usable_rate(optimiser.param_groups[0][schedule.param_name])
    except Exception:
        return False


def _wrong_average(found: Any, model: MultiTaskModel) -> Iterator[str]:
    own = {f"module.{key}": value for key, value in model.state_dict().items()}
    if not isinstance(found, Mapping) or found.keys() - {"steps"} != own.keys() or not _is_finite(found.get("steps")):
        yield "ema_state_dict"
        return
    yield from (f"ema_state_dict.{key}" for key, value in own.items() if not _alike(found[key], value))


def _check_window(checkpoint: Mapping[str, Any], cfg: Config, path: Path) -> None:
    """Refuse another length of the window that the checkpoint stands in: its gradient is part of a mean of so many."""
    there = (checkpoint["meta"].get("settings") or {}).get("optim_wrapper.accumulative_counts", 1)
    here = cfg.optim_wrapper.get("accumulative_counts", 1)
    if checkpoint["optimizer"].get("open_window") is not None and there != here:
        raise ConfigError(
            f"{path} was written inside a window of optim_wrapper.accumulative_counts={there} batches, and here it is {here}: "
            f"go on with {there}, or from a checkpoint at an epoch's end."
        )
