"""The command that repeats a training, held against the config that the training wrote into its work folder.

What is compared is what decides the weights: model, optimiser, schedules, data, seeds. Where data lie, how they are loaded and
what is measured meanwhile may differ.
"""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from mmengine.config import Config, DictAction

from ..engine.config import load_config, settings, shipped_configs
from ..engine.loops import plain_train_cfg
from ..errors import ConfigError
from ..model import AUTO

#: Ways to start a training, up to the config's name.
_STARTS = (("mtdc", "train"), ("python", "tools/train.py"))
#: Settings that don't change the weights.
_MEASURING = re.compile(r"val_evaluator\b|train_cfg\.val_|street\.processes$")
_GONE = object()


def config_name(cfg: Config) -> str:
    """Name of the shipped config that a run's config was made from, or its own file's name where there is none such."""
    stem = Path(cfg.filename).stem
    return next((name for name in shipped_configs() if Path(name).name == stem), stem)


def repeating_command(cfg: Config, given: str | None = None) -> str:
    """The command that trains a config again.

    Args:
        cfg: The config as the run wrote it.
        given: What its author says; None: made from the difference to the shipped config of its name.

    Raises:
        ConfigError: The command would train something else; the text names the keys.
    """
    if given is not None:
        differing = _differing(cfg, config_of(given))
        if differing:
            raise ConfigError(f"--command '{given}' doesn't repeat the run: {_told(differing)}.")
        return given
    name = config_name(cfg)
    data = [] if cfg.get("street") else ["--data-root", "DATA"]
    if name not in shipped_configs():
        return shlex.join(["mtdc", "train", Path(cfg.filename).name, *data])
    told = _settings(cfg)
    options = {}
    for key, (own, _) in _differing(cfg, load_config(name)).items():
        # A part that was left out is a None where the other has keys.
        place = key if own is not _GONE else next((above for above in _above(key) if above in told), key)
        options[place] = f"{place}={_word(told.get(place))}"
    command = shlex.join(["mtdc", "train", name, *data, *(["--cfg-options", *options.values()] if options else [])])
    try:
        differing = _differing(cfg, config_of(command))
    except ConfigError as error:
        raise ConfigError(f"{cfg.filename}: '{name}' does not become it by --cfg-options ({error}) Say --command.") from error
    if differing:
        raise ConfigError(f"{cfg.filename}: '{name}' does not become it by --cfg-options: {_told(differing)}. Say --command.")
    return command


def config_of(command: str) -> Config:
    """The config that a command trains; the last, where it is several, joined by &&.

    Raises:
        ConfigError: It trains nothing, or its config or an option is faulty.
    """
    for part in reversed(command.split("&&")):
        try:
            words = shlex.split(part)
        except ValueError as error:
            raise ConfigError(f"'{command}' is no command: {error}.") from error
        if tuple(words[:2]) in _STARTS:
            parsed, _ = _parser().parse_known_args(words[2:])
            return load_config(parsed.config, parsed.cfg_options)
    raise ConfigError(f"'{command}' trains nothing; expected mtdc train CONFIG [--cfg-options KEY=VALUE ...].")


class _Parser(argparse.ArgumentParser):
    """One whose errors are a config's."""

    def error(self, message: str) -> NoReturn:
        raise ConfigError(f"the command that repeats the training: {message}.")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(add_help=False, allow_abbrev=False)
    parser.add_argument("config")
    parser.add_argument("--data-root")
    parser.add_argument("--work-dir")
    parser.add_argument("--cfg-options", nargs="+", action=DictAction)
    return parser


def _settings(cfg: Config) -> dict[str, Any]:
    """What decides the weights, by dotted key as --cfg-options take it."""
    plain = Config(cfg._cfg_dict.to_dict())
    if isinstance(plain.get("train_cfg"), Mapping):
        plain.train_cfg = plain_train_cfg(plain.train_cfg)
    told = settings(plain)
    street = settings(Config({"model": dict(plain.get("street") or {})}))
    told |= {key.replace("model", "street", 1): value for key, value in street.items() if key.startswith("model.")}
    return {key: value for key, value in told.items() if not _MEASURING.match(key)}


def _above(key: str) -> list[str]:
    parts = key.split(".")
    return [".".join(parts[:count]) for count in range(1, len(parts))]


def _differing(cfg: Config, other: Config) -> dict[str, tuple[Any, Any]]:
    """Settings of a run's config that another's are not: own value and the other's; what "auto" chose is no difference."""
    own, others = (_known(_settings(one)) for one in (cfg, other))
    return {
        key: (own.get(key, _GONE), others.get(key, _GONE))
        for key in dict.fromkeys((*own, *others))
        if own.get(key, _GONE) != others.get(key, _GONE) and others.get(key) != AUTO
    }


def _known(told: Mapping[str, Any]) -> dict[str, Any]:
    """Without what says nothing: an empty dict is a key that is not there."""
    return {key: value for key, value in told.items() if value not in ({}, [], None)}


def _told(differing: Mapping[str, tuple[Any, Any]]) -> str:
    parts = [f"{key} would be {_word(other)} and was {_word(own)}" for key, (own, other) in list(differing.items())[:3]]
    more = f", and {len(differing) - 3} more" if len(differing) > 3 else ""
    return "; ".join(parts) + more


def _word(value: Any) -> str:
    return "left out" if value is _GONE else value if isinstance(value, str) else repr(value)
