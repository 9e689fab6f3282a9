"""One trained model as one file: the weights and, beside them, all that is needed to build the network and to judge it.

The file is one of :mod:`mtdc.engine.tensor_file`. Whoever loads it trusts neither its config nor its tensors: the config may
name registered parts alone, the network is first built without memory and held against the tensors, and no code comes from the
file.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.modules.module import register_module_module_registration_hook, register_module_parameter_registration_hook

from .. import __version__
from ..engine import tensor_file
from ..engine.checkpoint import check_fits, load_weights
from ..errors import ConfigError, DataError
from ..model import PRECISIONS, MultiTaskModel, build_model
from ..registry import registered_parts_only
from .strict import from_json

#: Largest whole number of a config in a file: no part of a network has more channels, layers or classes.
LARGEST_NUMBER = 4096
#: Largest other number: metres, weights and rates are far below it, and float32 still computes with its square.
LARGEST_FLOAT = 1e9
#: Deepest nest of a config in a file, and the most values in it.
_DEEPEST, _MOST_VALUES = 16, 4096
#: Modules and weights of the largest network.
_MOST_MODULES = 10_000
#: Numbers that a network may hold beside its weights (tables that are no part of a state).
_LARGEST_TABLES = 2**24
#: What no name of a part, a mode or a backbone has: folders, drives, addresses, and endings of files.
_PATH = re.compile(
    r"[/\\:~\0]|\.(?:pth?|py|bin|onnx|safetensors|json|ya?ml|np[yz]|pkl|pickle|ckpt|tar|zip|so|dll)$", re.IGNORECASE
)
#: Keys that let a part load something of its own.
_LOADING = re.compile(r"pretrained|checkpoint|(^|_)(file|path|url|root)($|_)", re.IGNORECASE)


@dataclass(frozen=True)
class Description:
    """What a weights file says about itself.

    Args:
        model: Config of the model: network, width, precision, layout; without losses and weighting.
        keep: Tasks that are left.
        name, title, licence: What it is called, in a word and in a line, and under which licence it may be used.
        stripped: Tasks that were trained with it and are left out here.
        protocol: How it is measured: metric, clamp, crop. The values are in the zoo's index, as results name the file's hash.
        expected: Empty in files that mtdc writes.
        training: Name of the config, data, seed, steps, minutes and machine; of later files the command and precision too.
        dtype: "float16" where weights are stored in half precision, or "float32".
        mtdc: Version of the package that wrote it.
    """

    model: dict[str, Any]
    keep: list[str]
    name: str = ""
    title: str = ""
    licence: str = ""
    stripped: list[str] = field(default_factory=list)
    protocol: dict[str, Any] = field(default_factory=dict)
    expected: list[dict[str, Any]] = field(default_factory=list)
    training: dict[str, Any] = field(default_factory=dict)
    dtype: str = "float32"
    mtdc: str = ""


def plain_config(cfg: Mapping[str, Any]) -> dict[str, Any]:
    """A config's ``model`` as plain values, without what belongs to training alone and what would load other files.

    Raises:
        ConfigError: A value has no form in JSON.
    """
    try:
        model: dict[str, Any] = json.loads(json.dumps({key: value for key, value in cfg.items() if key != "weighting"}))
    except (TypeError, ValueError) as error:
        raise ConfigError(f"model can't be put into a weights file: {error}; expected plain values.") from error
    for part in _dicts(model):
        for key in list(part):
            if key == "losses" or _loads(key, part[key]):
                del part[key]
    return model


def save_model(
    model: MultiTaskModel, cfg: Mapping[str, Any], path: str | Path, description: Description | None = None, half: bool = True
) -> Description:
    """Write a stripped model as a weights file, whole or not at all; returns what the file says about itself.

    Args:
        model: The model, stripped (:meth:`~mtdc.model.MultiTaskModel.strip`).
        cfg: The config's ``model`` that it was built from.
        path: File to write; it must end in ``.safetensors``.
        description: What is known about it; model, keep, dtype and version are set here.
        half: Store weights as float16 where that costs nothing (:func:`~mtdc.engine.tensor_file.stored_half`).

    Raises:
        ConfigError: The model is not stripped, or its config names what no weights file may.
        DataError: Weights are not finite, the path ends otherwise, or can't be written.
    """
    if Path(path).suffix != tensor_file.SUFFIX:
        raise DataError(f"can't write {path}: its name must end in {tensor_file.SUFFIX}.")
    if model.keep is None:
        raise ConfigError("only a stripped model is written to a weights file: call model.strip() first.")
    plain = plain_config(cfg)
    for fault in _faults(plain):
        raise ConfigError(f"model can't be put into a weights file: {fault}.")
    weights = model.state_dict()
    damaged = [key for key, value in weights.items() if not torch.isfinite(value).all()]
    if damaged:
        raise DataError(f"can't write {path}: {damaged[0]} holds NaN or infinity.")
    stored = {key: tensor_file.stored_half(value) if half else value for key, value in weights.items()}
    dtype = "float16" if any(value.dtype == torch.float16 for value in stored.values()) else "float32"
    described = replace(description or Description({}, []), model=plain, keep=list(model.keep), dtype=dtype, mtdc=__version__)
    tensor_file.write_tensor_file(path, stored, asdict(described))
    return described


def read_description(path: str | Path) -> Description:
    """What a weights file says about itself; no tensor is read.

    Raises:
        DataError: It is no weights file, or says something else than such files do.
    """
    return _checked(tensor_file.read_description(path), path)


def load_model(path: str | Path, device: str | torch.device | None = None) -> tuple[MultiTaskModel, Description]:
    """The model of a weights file, in evaluation mode on the processor, and what the file says about it.

    Args:
        path: The file.
        device: Where the model will be used, which decides what it computes in; a GPU where there is one, if not given.

    Raises:
        DataError: The file is none, damaged, made by a newer mtdc, names something else than registered parts, or its network
            and its tensors don't belong together.
    """
    stored, weights = tensor_file.read_tensor_file(path)
    description = _checked(stored, path)
    checkpoint = {"state_dict": weights, "meta": {"keep": description.keep}}
    with registered_parts_only():
        try:
            with torch.device("meta"), _few_modules():  # shapes alone: a config may describe a network of any size
                empty = build_model(description.model).strip(description.keep)
            check_fits(empty, checkpoint, path)
            _check_tables(empty, path)
            model = build_model(description.model)
        except DataError:
            raise
        except Exception as error:  # values from a file, which parts may choke on as they like
            words = " ".join(str(error).split())[:300] or type(error).__name__
            raise DataError(f"{path}: its description can't be built: {words}") from error
    load_weights(model, path, checkpoint)
    model.eval()
    if not _has_fast_bfloat16(device):
        model.precision = torch.float32
    return model, description


def load_model_config(path: str | Path, device: str | torch.device | None = None) -> dict[str, Any]:
    """The model of a weights file as a config's ``model``, which builds what :func:`load_model` gives: it was tried.

    Args:
        path: The file.
        device: Where the model will be used; a GPU where there is one, if not given.

    Raises:
        DataError: As :func:`load_model` does.
    """
    model, description = load_model(path, device)
    slowed = model.precision != PRECISIONS[description.model.get("precision", "float32")]
    return {**description.model, "precision": "float32"} if slowed else description.model


@contextmanager
def _few_modules() -> Iterator[None]:
    """Refuse to build a network of more modules than any has: without memory for weights each still takes some."""
    count, thread = 0, threading.get_ident()

    def counted(module: nn.Module, name: str, value: Any) -> None:
        nonlocal count
        count += threading.get_ident() == thread
        if count > _MOST_MODULES:
            raise ConfigError(f"the network has more than {_MOST_MODULES} modules and weights")

    hooks = (register_module_module_registration_hook(counted), register_module_parameter_registration_hook(counted))
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _has_fast_bfloat16(device: str | torch.device | None) -> bool:
    """Whether a device computes in bfloat16 by units of its own: a processor without them is many times slower.

    A GPU says nothing of the processor beside it, nor for a model that is used on that one.
    """
    kind = "cuda" if device is None and torch.cuda.is_available() else torch.device(device or "cpu").type
    if kind == "cpu":
        return bool(getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)())
    return kind == "cuda"


def _check_tables(empty: MultiTaskModel, path: str | Path) -> None:
    state = empty.state_dict()
    numbers = sum(value.numel() for name, value in empty.named_buffers() if name not in state)
    if numbers > _LARGEST_TABLES:
        raise DataError(f"{path}: its network would hold {numbers} numbers beside its weights; at most {_LARGEST_TABLES}.")


def _checked(stored: Mapping[str, Any], path: str | Path) -> Description:
    description = from_json(Description, dict(stored), f"{path}: its description")
    for fault in _faults(description.model):
        raise DataError(f"{path}: its description can't be built: {fault}.")
    return description


def _loads(key: str, value: Any) -> bool:
    return bool(value) and (bool(_LOADING.search(key)) or (key == "weights" and isinstance(value, str)))


def _dicts(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _dicts(item)


def _faults(model: Mapping[str, Any]) -> Iterator[str]:
    """What a model's config from a file may not hold, in words."""
    left: list[tuple[str, Any, int]] = [("model", model, 0)]
    count = 0
    while left:
        where, value, depth = left.pop()
        count += 1
        if depth > _DEEPEST or count > _MOST_VALUES:
            yield f"model is nested deeper than {_DEEPEST} or has more than {_MOST_VALUES} values"
            return
        if isinstance(value, Mapping):
            for key, item in value.items():
                if _loads(key, item):
                    yield f"{where}.{key}={item!r:.60} would load another file"
                if key == "type" and isinstance(item, str) and not item.isidentifier():
                    yield f"{where}.type={item!r:.60} is no name of a registered part"
                left.append((f"{where}.{key}", item, depth + 1))
        elif isinstance(value, list):
            left += [(f"{where}[{number}]", item, depth + 1) for number, item in enumerate(value)]
        elif isinstance(value, str) and _PATH.search(value):
            yield f"{where}={value!r:.60} looks like a file or an address"
        elif isinstance(value, int) and abs(value) > LARGEST_NUMBER:
            yield f"{where}={value} is larger than {LARGEST_NUMBER}"
        elif isinstance(value, float) and not abs(value) <= LARGEST_FLOAT:  # NaN compares as false
            yield f"{where}={value} is no number up to {LARGEST_FLOAT:g}"
