"""Configs: found by file or by name, changed from the command line, and checked before anything starts."""

from __future__ import annotations

import copy
import hashlib
import importlib.resources
import inspect
import itertools
import json
import logging
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

from mmengine.config import Config
from mmengine.logging import MMLogger
from torch.utils.data import DataLoader

from ..errors import ConfigError, did_you_mean
from ..model import AUTO
from .tensor_file import SUFFIX

CONFIGS_VARIABLE = "MTDC_CONFIGS"
#: Top-level key that keeps the folder of the config's author in the configs that runs write.
FOLDER_KEY = "config_folder"
#: Off where a config says nothing. Not in a base config: mmengine lets no dict inherit a None.
SWITCHES = ("ema", "compile")
DATALOADERS = ("train_dataloader", "val_dataloader", "test_dataloader")
#: Keys of mmengine's Runner that no shipped config has; of them all but the first are dicts.
RUNNER_KEYS = ("load_from", "log_processor", "env_cfg", "visualizer")
RANDOMNESS_KEYS = ("seed", "deterministic", "diff_rank_seed")
#: Keys that hold a dict or a list, where a config has them.
_DICTS = (
    "model",
    "optim_wrapper",
    "default_hooks",
    "randomness",
    "train_cfg",
    "val_cfg",
    "test_cfg",
    "baselines",
    *RUNNER_KEYS[1:],
)
_LISTS = ("param_scheduler", "custom_hooks")


def config_folder() -> Path:
    """The shipped configs: inside an installed package, or beside it in a checkout."""
    installed = Path(str(importlib.resources.files("mtdc"))) / "configs"
    return installed if installed.is_dir() else installed.parents[1] / "configs"


def shipped_configs() -> list[str]:
    """Names of the shipped configs, as ``load_config`` takes them."""
    root = config_folder()
    files = (path.relative_to(root) for path in root.rglob("*.py"))
    return sorted(path.with_suffix("").as_posix() for path in files if path.parts[0] != "_base_")


def find_config(path_or_name: str | Path) -> Path:
    """The file of a config given by its path or by the name of a shipped one.

    Raises:
        ConfigError: There is neither; the nearest name is said.
    """
    path = Path(path_or_name)
    if path.is_file():
        return path
    name = path.with_suffix("") if path.suffix == ".py" else path
    shipped = config_folder() / f"{name}.py"
    if not path.is_absolute() and shipped.is_file():
        return shipped
    if path.suffix == SUFFIX:
        raise ConfigError(
            f"{path_or_name}: a weights file, where a config is expected: name the config, and behind it the file."
        )
    wanted = str(name).removeprefix("configs/")
    inside = [one for one in shipped_configs() if Path(one).name == wanted]
    if inside:  # nearer than a name that is spelt alike
        raise ConfigError(f"{path_or_name}: no such config file, nor a shipped config. Did you mean '{inside[0]}'?")
    raise ConfigError(f"{path_or_name}: no such config file, nor a shipped config.{did_you_mean(wanted, shipped_configs())}")


def _worth_a_warning(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.WARNING


def load_config(path_or_name: str | Path, options: Mapping[str, Any] | None = None) -> Config:
    """Read a config. Its folder joins the import path, so that ``type='sky.SkyTask'`` finds ``sky.py`` beside it.

    Args:
        path_or_name: A file, or the name of a shipped config ("aux_image_kitti").
        options: ``{"dotted.key": value}`` put over the config's own.

    Raises:
        ConfigError: The file is missing or isn't a config, or an option's key isn't in the config.
    """
    path = find_config(path_or_name)
    # A config outside the checkout inherits a shipped one as '{{$MTDC_CONFIGS:configs}}/aux_image_kitti.py'.
    os.environ[CONFIGS_VARIABLE] = config_folder().as_posix()
    logger = MMLogger.get_current_instance()
    # mmengine says on stdout which environment variable it replaced. A filter, as MMLogger remembers what was
    # enabled before ``logging.disable``.
    logger.addFilter(_worth_a_warning)
    try:
        cfg = Config.fromfile(path, lazy_import=False)
    except Exception as error:  # a config is Python: whatever its author's code raises is the author's to mend
        raise ConfigError(
            f"{path}: {type(error).__name__}: {' '.join(str(error).split()) or 'the file is no config'}"
        ) from error
    finally:
        logger.removeFilter(_worth_a_warning)
    # The config as a run wrote it names the folder that it came from, where its author's own parts are.
    for folder in (path.resolve().parent, Path(cfg.get(FOLDER_KEY) or path.resolve().parent), Path.cwd()):
        if str(folder) not in sys.path:
            sys.path.append(str(folder))
    cfg.setdefault(FOLDER_KEY, str(path.resolve().parent))
    for switch in SWITCHES:
        cfg.setdefault(switch, None)
    opened: set[str] = set()
    for key in options or {}:
        _check_option(cfg, key, opened)
    cfg = _merged(cfg, options or {})
    require(cfg, "model")
    _check_kinds(cfg)
    return cfg


def _merged(cfg: Config, options: Mapping[str, Any]) -> Config:
    """A config with options put over it.

    Raises:
        ConfigError: They don't fit: names that which does not, or those of which one sets what the other has a key of.
    """

    changed, error = _put(cfg, options)
    if error is None:
        return changed
    wrong = [key for key, value in options.items() if _put(cfg, {key: value})[1]]
    if not wrong:
        pairs = itertools.permutations(options, 2)
        wrong = list(dict.fromkeys(key for pair in pairs if pair[1].startswith(f"{pair[0]}.") for key in pair))
    words = ", ".join(f"{key}={options[key]}" for key in wrong or options)
    raise ConfigError(f"--cfg-options {words}: a part can't be replaced by a value, nor a value by a part.") from error


def _put(cfg: Config, options: Mapping[str, Any]) -> tuple[Config, Exception | None]:
    """A changed copy, or the config as it was and why it could not be changed."""
    changed = copy.deepcopy(cfg)
    try:
        changed.merge_from_dict(dict(options), allow_list_keys=True)
    except (AttributeError, TypeError, KeyError, IndexError) as error:
        return cfg, error
    return changed, None


def require(cfg: Config, *keys: str) -> None:
    """Refuse a config that lacks what a command needs.

    Raises:
        ConfigError: A key is missing, is None, or a part's dict is none.
    """
    for key in keys:
        if not cfg.get(key) or not isinstance(cfg[key], (Mapping, list, tuple)):
            raise ConfigError(f"{cfg.filename}: the config has no '{key}'. Inherit a shipped one by _base_, or add it.")


def _check_kinds(cfg: Config) -> None:
    """Refuse a value where parts of a config are dicts or lists, before someone looks into it.

    Raises:
        ConfigError: Names the key.
    """
    loaders = [(f"{name}.{key}", (cfg.get(name) or {}).get(key)) for name in DATALOADERS if isinstance(cfg.get(name), Mapping)
               for key in ("dataset", "sampler", "batch_sampler")]  # fmt: skip
    for key, value in [*((key, cfg.get(key)) for key in (*DATALOADERS, *_DICTS)), *loaders]:
        if value is not None and not isinstance(value, Mapping):
            raise ConfigError(f"{key} must be a dict, not {value!r}.")
    for key in _LISTS:
        if not isinstance(cfg.get(key) or (), (list, tuple)):
            raise ConfigError(f"{key} must be a list, not {cfg.get(key)!r}.")
    for name in DATALOADERS:
        if cfg.get(name) is not None and not cfg[name].get("dataset"):
            raise ConfigError(f"{name} has no 'dataset'; inherit a shipped config by _base_, or add it.")


def _may_be_new(path: list[str], part: str) -> bool:
    """Whether mmengine or torch knows a key that the config lacks."""
    if not path:
        return part in RUNNER_KEYS
    if path[0] in DATALOADERS and len(path) == 1:
        return part in inspect.signature(DataLoader).parameters
    return path[0] in RUNNER_KEYS or (path == ["randomness"] and part in RANDOMNESS_KEYS)


def _check_option(cfg: Any, key: str, opened: set[str]) -> None:
    """A misspelt option must not be added in silence; a key that a part's constructor takes may be new.

    What is None is switched off, and keys below it switch it on (``ema.momentum=0.001``): it becomes an empty dict here, and
    its path is noted in ``opened``. Whether the keys are known is said where the part is checked or built.
    """
    at = cfg._cfg_dict
    parts = key.split(".")
    for depth, part in enumerate(parts):
        if ".".join(parts[:depth]) in opened:
            return
        if isinstance(at, (list, tuple)) and part.isdigit() and int(part) < len(at):
            at = at[int(part)]
            continue
        if not isinstance(at, Mapping):
            raise ConfigError(f"--cfg-options {key}: '{'.'.join(parts[:depth])}' is a value and has no keys.")
        if part not in at:
            if "type" in at or parts[:depth] == ["train_cfg"]:
                return  # the part's own constructor says whether it knows the key, and for the loop the check before a run
            if _may_be_new(parts[:depth], part):
                return  # said before a run, where a value is wrong
            known = [name for name in at if not name.startswith("_")]
            raise ConfigError(
                f"--cfg-options {key}: the config has no '{'.'.join(parts[: depth + 1])}'.{did_you_mean(part, known)}"
            )
        if at[part] is None and depth < len(parts) - 1:
            cast(dict[str, Any], at)[part] = {}
            opened.add(".".join(parts[: depth + 1]))
        at = at[part]


def datasets(cfg: Config) -> Iterator[tuple[str, dict[str, Any]]]:
    """The config's data sets, with their paths; of a mixture its parts."""
    for name in DATALOADERS:
        loader = cfg.get(name)
        if loader is not None:
            yield from _with_parts(f"{name}.dataset", loader["dataset"])


def _with_parts(path: str, dataset: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    parts = dataset.get("parts")
    if not isinstance(parts, Mapping):
        yield path, dataset
        return
    for name, part in parts.items():
        if isinstance(part, Mapping):
            yield f"{path}.parts.{name}", cast(dict[str, Any], part)


def street_root(cfg: Config) -> str | None:
    """Folder that the config's ``street`` is drawn into: that of the training data, in a mixture that of its part ``street``.

    Raises:
        ConfigError: The training data don't say it.
    """
    if cfg.get("street") is None:
        return None
    dataset = cfg.train_dataloader.dataset
    place = "train_dataloader.dataset"
    if isinstance(dataset.get("parts"), Mapping):
        place, dataset = f"{place}.parts.street", dataset["parts"].get("street")
    root = dataset.get("data_root") if isinstance(dataset, Mapping) else None
    if not isinstance(root, (str, Path)):
        raise ConfigError(f"street is drawn into {place}.data_root, and the config has none there.")
    return str(root)


def set_data_root(cfg: Config, data_root: str) -> None:
    """Point every data set of the config at a folder; where drawn and recorded frames are mixed, the recorded ones alone."""
    mixed = any(".parts." in path for path, _ in datasets(cfg))
    drawn = street_root(cfg) if mixed else None
    for _, dataset in datasets(cfg):
        if drawn is None or str(dataset.get("data_root")) != drawn:
            dataset["data_root"] = data_root


def settings(cfg: Config) -> dict[str, Any]:
    """What a config says about the model, how it is trained, and how it is measured, as plain values by dotted key.

    The same for a config and for what a run wrote of it, wherever the data lies and however it is loaded, and whether it is
    compiled, which changes rounding alone. Where it was measured (split, transforms) is in a result's protocol.
    """
    content = {
        key: cfg.get(key) for key in ("model", "optim_wrapper", "param_scheduler", "train_cfg", "load_from", "randomness")
    }
    content |= {key: cfg.get(key) for key in ("ema", "sync_batch_norm") if cfg.get(key)}
    content["val_evaluator"] = cfg.get("test_evaluator", cfg.get("val_evaluator"))
    training = cfg.get("train_dataloader") or {}
    content["train_dataloader.batch_size"] = training.get("batch_size")
    content["train_dataloader.dataset"] = _without_places(training.get("dataset", {}))
    return dict(_flat(json.loads(json.dumps(content, default=str))))


def _without_places(dataset: Mapping[str, Any]) -> dict[str, Any]:
    """A data set's config without where its files lie."""
    told = {key: value for key, value in dataset.items() if key not in ("data_root", "raw_root")}
    if isinstance(told.get("parts"), Mapping):
        parts = told["parts"].items()
        told["parts"] = {name: _without_places(part) if isinstance(part, Mapping) else part for name, part in parts}
    return told


def _flat(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    named: dict[Any, Any] = value if isinstance(value, dict) else dict(enumerate(value)) if isinstance(value, list) else {}
    if not named:
        yield key, value
    for name, item in named.items():
        yield from _flat(item, f"{key}.{name}" if key else name)


def switched_on(cfg: Config) -> dict[str, Any]:
    """What a config switches on of how weights are computed, by key; for a result's protocol."""
    wrapper = cfg.get("optim_wrapper") or {}
    values = {key: cfg.model.get(key) for key in ("precision", "channels_last")}
    values |= {key: wrapper.get(key) for key in ("accumulative_counts", "clip_grad")}
    values |= {key: cfg.get(key) for key in ("ema", "sync_batch_norm", "compile")}
    return {key: value for key, value in values.items() if value is True or value not in (None, False, 1, "float32", AUTO)}


def config_hash(cfg: Config) -> str:
    """sha256 of a config's :func:`settings`."""
    return hashlib.sha256(json.dumps(settings(cfg), sort_keys=True).encode()).hexdigest()
