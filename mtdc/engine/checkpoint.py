"""Checkpoints: written whole or not at all, loaded without running code, and loaded strictly."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.fileio import LocalBackend, register_backend
from mmengine.hooks import Hook
from mmengine.logging import HistoryBuffer
from mmengine.registry import HOOKS

from ..data.io import atomic_path
from ..errors import ConfigError, DataError
from ..model import MultiTaskModel
from .archive import load_archive


@register_backend("local", force=True, prefixes="")
class AtomicLocalBackend(LocalBackend):
    """mmengine's file writer, except that a file appears under its name only when it is whole."""

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Write bytes."""
        Path(filepath).parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(Path(filepath)) as temporary:
            temporary.write_bytes(obj)

    def put_text(self, obj: str, filepath: str | Path, encoding: str = "utf-8") -> None:
        """Write text."""
        self.put(obj.encode(encoding), filepath)


@HOOKS.register_module()
class PlainCheckpointHook(Hook):
    """Checkpoints of plain values, which torch loads with ``weights_only=True``.

    mmengine writes its history as objects of its own class, and no checkpoint of it loads under torch's safe default.
    """

    priority = "VERY_LOW"

    def before_save_checkpoint(self, runner: Any, checkpoint: dict[str, Any]) -> None:
        """Turn everything but tensors into plain values, in new containers: the runner goes on using the old ones."""
        for key, value in checkpoint.items():
            if key != "state_dict":
                checkpoint[key] = _plain(value)

    def after_load_checkpoint(self, runner: Any, checkpoint: dict[str, Any]) -> None:
        """Give the runner its history back as it knows it."""
        scalars = checkpoint.get("message_hub", {}).get("log_scalars", {})
        for name, value in scalars.items():
            if isinstance(value, dict):
                log, count = value["log"].numpy(), value["count"].numpy()
                scalars[name] = HistoryBuffer(log, count, max_length=value["max_length"])


def _plain(value: Any) -> Any:
    if isinstance(value, HistoryBuffer):
        log, count = value.data
        return {"log": torch.as_tensor(log), "count": torch.as_tensor(count), "max_length": value.max_length}
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value] if isinstance(value, list) else tuple(_plain(item) for item in value)
    if isinstance(value, np.generic):
        return value.item()
    return torch.as_tensor(value) if isinstance(value, np.ndarray) else value


def file_hash(path: str | Path) -> str:
    """sha256 of a file."""
    digest = hashlib.sha256()
    with Path(path).open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """``{"state_dict": ..., "meta": ...}`` of a checkpoint file; nothing in it is executed.

    Raises:
        DataError: The file is missing, truncated, or no checkpoint.
    """
    checkpoint = load_archive(Path(path))
    if not isinstance(checkpoint, dict) or not isinstance(checkpoint.get("state_dict"), dict):
        raise DataError(f"{path}: not a checkpoint of mtdc: it has no 'state_dict'; name a .pth file that `mtdc train` wrote.")
    wrong = [key for key, value in checkpoint["state_dict"].items() if not (isinstance(key, str) and _is_plain_tensor(value))]
    if wrong or not isinstance(checkpoint.get("meta", {}), dict):
        found = f"{str(wrong[0])[:60]!r} in 'state_dict' is no tensor" if wrong else "'meta' is no dict"
        raise DataError(f"{path}: not a checkpoint of mtdc: {found}; name a .pth file that `mtdc train` wrote.")
    checkpoint.setdefault("meta", {})
    return checkpoint


def _is_plain_tensor(value: Any) -> bool:
    return isinstance(value, torch.Tensor) and value.layout == torch.strided and value.device.type == "cpu"


def load_weights(model: MultiTaskModel, path: str | Path) -> dict[str, Any]:
    """Load a checkpoint strictly; a stripped one strips the model first. Returns the checkpoint's meta.

    Raises:
        DataError: The checkpoint belongs to another architecture (the text says which keys differ), or holds NaN.
    """
    checkpoint = read_checkpoint(path)
    keep = checkpoint["meta"].get("keep")
    if keep and model.keep is None:
        try:
            model.strip(tuple(map(str, keep)))
        except (ConfigError, TypeError) as error:
            raise DataError(f"{path}: made with another config: it was stripped, and {error}") from error
    check_fits(model, checkpoint, path)
    damaged = [key for key, value in checkpoint["state_dict"].items() if not torch.isfinite(value).all()]
    if damaged:
        raise DataError(
            f"{path}: its weights hold NaN or infinity ({_some('in', damaged)}): the run had diverged; take an earlier one."
        )
    model.load_state_dict(checkpoint["state_dict"], strict=True)
    meta: dict[str, Any] = checkpoint["meta"]
    return meta


def check_fits(model: MultiTaskModel, checkpoint: dict[str, Any], path: str | Path) -> None:
    """Hold a checkpoint's weights against a model's.

    Raises:
        DataError: They differ in names or shapes; the text says where.
    """
    own, given = model.state_dict(), checkpoint["state_dict"]
    missing, unexpected = sorted(own.keys() - given.keys()), sorted(given.keys() - own.keys())
    shapes = [key for key in own.keys() & given.keys() if own[key].shape != given[key].shape]
    if missing or unexpected or shapes:
        parts = [_some("lacks", missing), _some("has besides", unexpected)]
        parts += [
            f"has {key} as {tuple(given[key].shape)} where the model has {tuple(own[key].shape)}" for key in sorted(shapes)[:1]
        ]
        text = "; ".join(part for part in parts if part)
        raise DataError(f"{path}: made with another config: it {text}. Is model.width or a part different?")


def last_checkpoint(work_dir: str | Path) -> Path | None:
    """The newest whole checkpoint of a run, by name inside the folder, so that a moved folder is a folder like any other.

    The file that ``last_checkpoint`` names comes first; where it is missing or cut short, the newest other epoch that is whole.
    """
    folder = Path(work_dir)
    pointer = folder / "last_checkpoint"
    named = [folder / Path(pointer.read_text().strip()).name] if pointer.is_file() else []
    others = sorted(folder.glob("epoch_*.pth"), key=lambda path: int(path.stem.partition("_")[2] or 0), reverse=True)
    for path in (*named, *others):
        try:
            read_checkpoint(path)
        except DataError:
            continue
        return path
    return None


def _some(what: str, keys: list[str]) -> str:
    if not keys:
        return ""
    more = f" and {len(keys) - 2} more" if len(keys) > 2 else ""
    return f"{what} {', '.join(keys[:2])}{more}"


def save_weights(model: MultiTaskModel, path: str | Path, meta: dict[str, Any] | None = None) -> None:
    """Write weights alone (no optimiser), with what a stripped model keeps."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(Path(path)) as temporary:
        torch.save({"meta": {**(meta or {}), "keep": model.keep}, "state_dict": model.state_dict()}, temporary)
