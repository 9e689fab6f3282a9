"""Runner, training loop and the parts that mmengine builds itself, held against what they take before a run starts."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from types import NoneType
from typing import Any

from mmengine.config import Config
from mmengine.registry import LOOPS, VISBACKENDS, VISUALIZERS, Registry
from mmengine.runner import LogProcessor, Runner

from ..arguments import check_kinds, describe, fits, parameters
from ..errors import ConfigError, did_you_mean

#: Keys of ``env_cfg``, with their kinds.
ENVIRONMENT = {"cudnn_benchmark": bool, "mp_cfg": dict, "dist_cfg": dict, "resource_limit": int}


def check_runner(cfg: Config) -> None:
    """Refuse what mmengine's Runner can't use of its own settings.

    Raises:
        ConfigError: The key, and what it takes.
    """
    path = cfg.get("load_from")
    if not isinstance(path, (str, NoneType)):
        raise ConfigError(f"load_from must be the path of a checkpoint or None, not {path!r}.")
    check_known(cfg.get("env_cfg") or {}, set(ENVIRONMENT), "env_cfg")
    for key, value in (cfg.get("env_cfg") or {}).items():
        if not fits(value, ENVIRONMENT[key]):
            raise ConfigError(f"env_cfg.{key} must be {describe(ENVIRONMENT[key])}, not {value!r}.")
    for name, function in (("randomness", Runner.set_randomness), ("log_processor", LogProcessor)):
        values = cfg.get(name) or {}
        check_known(values, set(parameters(function)), name)
        check_kinds(function, values, name)
    check_whole(cfg.get("log_processor") or {}, "window_size", 1, "log_processor")
    check_type(VISUALIZERS, cfg.get("visualizer"), "visualizer", "visualizer")
    backends = (cfg.get("visualizer") or {}).get("vis_backends") or []
    if not isinstance(backends, (list, tuple)):
        raise ConfigError(f"visualizer.vis_backends must be a list, not {backends!r}.")
    for i, backend in enumerate(backends):
        check_type(VISBACKENDS, backend, f"visualizer.vis_backends[{i}]", "visualizer's backend")


def check_loop(train_cfg: Mapping[str, Any]) -> None:
    """Refuse what a training loop can't use, its lengths aside.

    Raises:
        ConfigError: The key, and what it takes.
    """
    if "type" in train_cfg:
        check_type(LOOPS, {**train_cfg, "type": train_cfg["type"]}, "train_cfg", "training loop", {"by_epoch"})
    pairs = train_cfg.get("dynamic_intervals")
    if pairs is None:
        return
    right = isinstance(pairs, (list, tuple)) and all(
        isinstance(pair, (list, tuple)) and len(pair) == 2 and all(is_whole(number, 1) for number in pair) for pair in pairs
    )
    if not right:
        raise ConfigError(
            "train_cfg.dynamic_intervals must be a list of (from when on, val_interval) such as [(10, 2)], in whole numbers "
            f"from 1 on, not {pairs!r}."
        )


def check_type(registry: Registry, cfg: Any, where: str, kind: str, more: set[str] | None = None) -> None:
    """Hold a part that mmengine builds later against its registry and its constructor; None is no part.

    Raises:
        ConfigError: An unknown type or key, with the nearest right word.
    """
    if cfg is None:
        return
    if not isinstance(cfg, Mapping) or not isinstance(cfg.get("type"), str):
        raise ConfigError(f"{where} must be a dict with a 'type' that names a {kind}, not {cfg!r}.")
    name = cfg["type"]
    if "." in name:
        return  # a dotted path: mmengine imports it
    if name not in registry.module_dict:
        raise ConfigError(f"{where}.type='{name}' is not a known {kind}.{did_you_mean(name, registry.module_dict)}")
    check_known(cfg, _accepted(registry.module_dict[name]) | {"type"} | (more or set()), f"{where} ({name})")


def _accepted(cls: type) -> set[str]:
    """Keys that a constructor takes, through the base classes that it hands the rest to."""
    names: set[str] = set()
    for base in inspect.getmro(cls):
        if "__init__" not in vars(base):
            continue
        parameters = inspect.signature(base.__init__).parameters.values()  # type: ignore[misc]
        names |= {parameter.name for parameter in parameters}
        if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
            break
    return names


def check_known(cfg: Mapping[str, Any], known: set[str], where: str) -> None:
    """Refuse a key that is not known.

    Raises:
        ConfigError: The key, with the nearest right word.
    """
    for key in cfg:
        if key not in known:
            raise ConfigError(f"{where}: unexpected key '{key}'.{did_you_mean(key, known - {'self', 'args', 'kwargs'})}")


def check_whole(cfg: Mapping[str, Any], key: str, least: int, where: str) -> None:
    """Refuse a value that is no whole number, or one below ``least``.

    Raises:
        ConfigError: The key and its value.
    """
    value = cfg.get(key, least)
    if not is_whole(value, least):
        raise ConfigError(f"{where}.{key} must be a whole number from {least} on, not {value!r}.")


def is_whole(value: Any, least: int) -> bool:
    """Whether a value is a whole number from ``least`` on."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def check_part_kinds(registry: Registry, cfg: Mapping[str, Any] | None, where: str) -> None:
    """Hold the values of a part that mmengine builds against its constructor's annotations.

    Raises:
        ConfigError: The key, the value and what is expected.
    """
    if cfg is not None and cfg["type"] in registry.module_dict:
        check_kinds(registry.module_dict[cfg["type"]], {key: cfg[key] for key in cfg if key not in ("type", "priority")}, where)
