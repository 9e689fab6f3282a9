"""Checkpoints: written whole or not at all, loaded without running code, and loaded strictly."""

from __future__ import annotations

import copy
import hashlib
import io
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.dist import is_main_process
from mmengine.fileio import LocalBackend, register_backend
from mmengine.hooks import CheckpointHook, Hook
from mmengine.logging import HistoryBuffer
from mmengine.registry import HOOKS

from ..data.io import atomic_path
from ..errors import ConfigError, DataError, UserError
from ..metrics.functional import BENCHMARK_UNITS
from ..model import MultiTaskModel
from .archive import load_archive
from .config import settings
from .tensor_file import SUFFIX, read_tensor_file

#: File of a work folder that holds the name of its last checkpoint.
POINTER_NAME = "last_checkpoint"


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
    """Checkpoints of plain values, which torch loads with ``weights_only=True``, and what mmengine's own lack to go on from.

    mmengine writes its history as objects of its own class, and no checkpoint of it loads under torch's safe default; the
    history has a line for every step, so that each checkpoint is larger than the one before; and where the run is in its data
    and what it was told are not in it.

    Args:
        history: Steps of the history that are kept; means that the log shows go no further back.
    """

    priority = "VERY_LOW"

    def __init__(self, history: int = 1000) -> None:
        self.history = history

    def after_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Let the history forget what is older."""
        for buffer in runner.message_hub.log_scalars.values():
            buffer.max_length = self.history

    def before_save_checkpoint(self, runner: Any, checkpoint: dict[str, Any]) -> None:
        """Turn everything but tensors into plain values, in new containers: the runner goes on using the old ones.

        Raises:
            UserError: The weights are not finite; the checkpoints before this one stay.
        """
        _check_finite(checkpoint["state_dict"], checkpoint["meta"].get("iter"))
        for key, value in checkpoint.items():
            if key != "state_dict":
                checkpoint[key] = _plain(value)
        meta = checkpoint["meta"]
        meta["settings"] = settings(runner.cfg)
        if hasattr(runner.train_loop, "position"):
            meta["position"] = runner.train_loop.position(meta["iter"])

    def after_load_checkpoint(self, runner: Any, checkpoint: dict[str, Any]) -> None:
        """Give the runner its history back as it knows it, and the loop its place."""
        checkpoint["meta"].pop("config", None)  # mmengine would run that text as a config file
        hub = checkpoint.get("message_hub", {})
        scalars = hub.get("log_scalars", {})
        for name, value in scalars.items():
            if isinstance(value, dict):
                log, count = value["log"].numpy(), value["count"].numpy()
                scalars[name] = HistoryBuffer(log, count, max_length=value["max_length"])
        hub["resumed_keys"] = dict.fromkeys((*scalars, *hub.get("runtime_info", {})), True)  # what is kept is to be kept on
        runner.train_loop.resumed = checkpoint["meta"].get("position")


@HOOKS.register_module(name="CheckpointHook", force=True)
class WholeCheckpointHook(CheckpointHook):  # type: ignore[misc]  # mmengine has no types
    """mmengine's hook under its own name, except that an old checkpoint goes only when the new one is whole.

    Stopped at any instant, it leaves at least one whole checkpoint, also with ``max_keep_ckpts=1``, and at its next start it
    removes what it had no time to remove. A folder that was moved or copied keeps its best checkpoint, and the other's alone.
    """

    _default_less_keys = ("loss", *BENCHMARK_UNITS)

    def before_train(self, runner: Any) -> None:
        """Find the folder, the best checkpoints in it, and remove those too many."""
        super().before_train(runner)
        last = runner.message_hub.get_info("last_ckpt")
        if last is not None:  # mmengine writes a new best score into a checkpoint only after another one of the same start
            self.last_ckpt = str(Path(self.out_dir) / Path(last).name)
        if self.save_best is None:
            return
        for key, path in self._best().items():
            if path is None:
                continue
            here = Path(self.out_dir) / Path(path).name
            self._note_best(runner, key, str(here))
            if here.is_file():
                for old in here.parent.glob(f"best_{key.replace('/', '_')}_{self.filename_tmpl.format('*')}"):
                    if old != here and is_main_process():
                        old.unlink()

    def _save_checkpoint_with_step(self, runner: Any, step: int, meta: dict[str, Any]) -> None:
        """Write a checkpoint, then its name into ``last_checkpoint``, and then remove those too many."""
        name, folder = self.filename_tmpl.format(step), Path(self.out_dir)
        kept = [step]
        if self.max_keep_ckpts > 0:
            kept = [*(other for other in self.keep_ckpt_ids if other != step), step]
            # The one too many is listed: should it be left, the next start finds it in the list and removes it.
            runner.message_hub.update_info("keep_ckpt_ids", kept)
        self.last_ckpt = str(folder / name)
        runner.message_hub.update_info("last_ckpt", name)
        runner.save_checkpoint(
            self.out_dir,
            name,
            save_optimizer=self.save_optimizer,
            save_param_scheduler=self.save_param_scheduler,
            meta=meta,
            by_epoch=self.by_epoch,
            **self.args,
        )
        if self.max_keep_ckpts > 0:
            self.keep_ckpt_ids.clear()
            self.keep_ckpt_ids.extend(kept[-self.max_keep_ckpts :])
        if not is_main_process():
            return
        self.file_backend.put_text(name, folder / POINTER_NAME)
        for old in kept[: -self.max_keep_ckpts] if self.max_keep_ckpts > 0 else ():
            (folder / self.filename_tmpl.format(old)).unlink(missing_ok=True)

    def _save_best_checkpoint(self, runner: Any, metrics: dict[str, Any]) -> None:
        """Write the best checkpoint where there is a new one, and then remove the old."""
        if not self.save_best:
            return
        before = self._best()
        for key in before:
            self._set_best(key, None)  # so that mmengine removes nothing
        super()._save_best_checkpoint(runner, metrics)
        for key, old in before.items():
            new = self._best().get(key)
            if new is None:
                self._set_best(key, old)
            elif old not in (None, new) and is_main_process():
                Path(str(old)).unlink(missing_ok=True)

    def _best(self) -> dict[str, str | None]:
        """Path of the best checkpoint by metric; None where there is none yet."""
        if len(self.key_indicators) == 1:
            return {self.key_indicators[0]: self.best_ckpt_path}
        return dict(self.best_ckpt_path_dict)

    def _set_best(self, key: str, path: str | None) -> None:
        if len(self.key_indicators) == 1:
            self.best_ckpt_path = path
        else:
            self.best_ckpt_path_dict[key] = path

    def _note_best(self, runner: Any, key: str, path: str) -> None:
        self._set_best(key, path)
        runner.message_hub.update_info("best_ckpt" if len(self.key_indicators) == 1 else f"best_ckpt_{key}", path)


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
    """``{"state_dict": ..., "meta": ...}`` of a checkpoint or of a weights file (``.safetensors``); nothing in it is executed.

    Raises:
        DataError: The file is missing, truncated, or no checkpoint.
    """
    if Path(path).suffix == SUFFIX:
        description, weights = read_tensor_file(path)
        return {"state_dict": weights, "meta": {"keep": description.get("keep")}}
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


def load_weights(model: MultiTaskModel, path: str | Path, checkpoint: dict[str, Any] | None = None) -> dict[str, Any]:
    """Load a checkpoint strictly; a stripped one strips the model first. Returns the checkpoint's meta.

    Args:
        model: The model.
        path: The checkpoint's file.
        checkpoint: What it holds, where it was read before.

    Raises:
        DataError: The checkpoint belongs to another architecture (the text says which keys differ), or holds NaN.
    """
    checkpoint = read_checkpoint(path) if checkpoint is None else checkpoint
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


def start_from(model: MultiTaskModel, path: str | Path) -> list[str]:
    """Load the weights that a training starts from; those of a stripped model, as the zoo's are, into a whole one.

    Returns:
        Keys of the weights that the file has not, or has another part of: what was stripped starts as the seed makes it.

    Raises:
        DataError: As :func:`load_weights`; a stripped file has to fit the model when that is stripped alike.
    """
    checkpoint = read_checkpoint(path)
    if not checkpoint["meta"].get("keep") or model.keep is not None:
        load_weights(model, path, checkpoint)
        return []
    load_weights(copy.deepcopy(model), path, checkpoint)  # strictly, into the stripped form that the file is of
    own = model.state_dict()
    given = {key: value for key, value in checkpoint["state_dict"].items() if value.shape == own[key].shape}
    model.load_state_dict(given, strict=False)
    return [key for key in own if key not in given]


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
    """The newest whole checkpoint of a run, by its number of iterations; None where there is none.

    Files are looked for by name inside the folder, so that a moved folder is a folder like any other: ``epoch_<n>.pth``,
    ``iter_<n>.pth`` and what ``last_checkpoint`` names; one that is cut short makes place for the one before.
    """
    folder = Path(work_dir)
    pointer = folder / POINTER_NAME
    candidates = [[folder / Path(pointer.read_text(errors="replace").strip()).name]] if pointer.is_file() else []
    candidates += [sorted(folder.glob(f"{kind}_*.pth"), key=_number, reverse=True) for kind in ("epoch", "iter")]
    newest: tuple[int, Path] | None = None
    for paths in candidates:
        for path in paths:
            with suppress(DataError):
                iteration = read_checkpoint(path)["meta"].get("iter")
                iteration = iteration if isinstance(iteration, int) else 0
                if newest is None or iteration > newest[0]:
                    newest = (iteration, path)
                break
    return None if newest is None else newest[1]


def _check_finite(weights: dict[str, Any], iteration: int | None) -> None:
    wrong = [name for name, value in weights.items() if value.is_floating_point() and not bool(value.isfinite().all())]
    if wrong:
        raise UserError(
            f"training has diverged: at iteration {iteration} {wrong[0]} holds NaN or infinity, so no checkpoint is written "
            "and those before it stay. Lower optim_wrapper.optimizer.lr, or set optim_wrapper.clip_grad.max_norm=10."
        )


def _number(path: Path) -> int:
    digits = path.stem.rpartition("_")[2]
    return int(digits) if digits.isdecimal() else 0


def _some(what: str, keys: list[str]) -> str:
    if not keys:
        return ""
    more = f" and {len(keys) - 2} more" if len(keys) > 2 else ""
    return f"{what} {', '.join(keys[:2])}{more}"


def save_weights(model: MultiTaskModel, path: str | Path, meta: dict[str, Any] | None = None) -> None:
    """Write weights alone (no optimiser), with what a stripped model keeps."""
    content = io.BytesIO()  # torch's own writing to a file doesn't say why it failed
    torch.save({"meta": {**(meta or {}), "keep": model.keep}, "state_dict": model.state_dict()}, content)
    with atomic_path(path) as temporary:
        temporary.write_bytes(content.getbuffer())
