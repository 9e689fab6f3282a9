"""Work folders that hold a run already: what is in them, what a new run may do there, and where an old one goes on."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from mmengine.config import Config

from ..errors import ConfigError, DataError
from ..model import AUTO
from .checkpoint import POINTER_NAME, file_hash, last_checkpoint, read_checkpoint
from .config import settings
from .hooks import PANEL_FOLDER
from .loops import counts_epochs
from .precision import CHOICE_NAME
from .result import RESULT_NAME, takes_files
from .resume_state import check_place

BASELINE_FOLDER = "baselines"
#: Files that were being written when a run was killed (:func:`mtdc.data.io.atomic_path` names them).
_TEMPORARY = re.compile(r"\..+\.[0-9a-f]{12}\.tmp(\.\w+)?")
#: How many differing keys a line names.
_KEYS_SHOWN = 4


def check_folder(work_dir: Path) -> None:
    """Refuse a work folder that can't be written, before any work.

    Raises:
        DataError: It, or what is above it, is a file or can't be written.
    """
    place = next(path for path in (work_dir.absolute(), *work_dir.absolute().parents) if path.exists())
    if not place.is_dir():
        raise DataError(f"--work-dir {work_dir} can't be made: {place} is a file.")
    if not takes_files(place):
        raise DataError(f"--work-dir {work_dir} can't be written: {place} is not writable.")


def describe_run(cfg: Config, work_dir: Path) -> str:
    """What an earlier run left in a work folder, in words; '' where it left no checkpoint."""
    checkpoint = last_checkpoint(work_dir)
    if checkpoint is None:
        broken = next(iter(_checkpoints(work_dir)), None)
        return "" if broken is None else f"{broken.name}, which can't be gone on from"
    meta = read_checkpoint(checkpoint)["meta"]
    changed = differences(meta, cfg)
    return f"a run up to {_progress(meta)} ({checkpoint.name})" + (f", of another config: {changed}" if changed else "")


def differences(meta: Mapping[str, Any], cfg: Config) -> str:
    """Which settings differ between a checkpoint and a config, as ``key (there, here)``; '' where none does.

    "auto", which a run replaces by what is fastest, differs from nothing.
    """
    there, here = meta.get("settings"), settings(cfg)
    if not isinstance(there, Mapping):
        return ""
    keys = sorted(key for key in there.keys() | here.keys() if there.get(key) != here.get(key) and here.get(key) != AUTO)
    words = [f"{key} ({_word(there, key)} there, {_word(here, key)} here)" for key in keys[:_KEYS_SHOWN]]
    more = [f"{len(keys) - _KEYS_SHOWN} more"] if len(keys) > _KEYS_SHOWN else []
    return ", ".join(words + more)


def _word(values: Mapping[str, Any], key: str) -> str:
    return f"{values[key]}" if key in values else "not set"


def _progress(meta: Mapping[str, Any]) -> str:
    position = meta.get("position") or {}
    ends = meta.get("epoch") and position.get("batches") == position.get("batches_per_epoch")
    return f"epoch {_epochs_done(meta)}" if ends else f"iteration {meta.get('iter')}"


def _epochs_done(meta: Mapping[str, Any]) -> Any:
    """Epochs that are whole: one more than a checkpoint says that was written with an epoch's last step."""
    epoch, position = meta.get("epoch"), meta.get("position") or {}
    if isinstance(epoch, int) and position.get("epoch") == epoch and position["batches"] == position["batches_per_epoch"]:
        return epoch + 1
    return epoch


def resumable(cfg: Config, work_dir: Path) -> Path:
    """The checkpoint to go on from; also that of the last step, where the run was stopped before its result was written.

    Raises:
        ConfigError: There is none, or the run is finished.
    """
    checkpoint = last_checkpoint(work_dir)
    if checkpoint is None:
        raise ConfigError(f"{work_dir} holds no checkpoint to go on from. Start the run without --resume.")
    found = read_checkpoint(checkpoint)
    check_place(found, checkpoint)
    _check_optimiser(found["meta"], cfg, checkpoint)
    meta, unit = found["meta"], "epoch" if counts_epochs(cfg.train_cfg) else "iter"
    done, wanted = _epochs_done(meta) if unit == "epoch" else meta.get(unit), cfg.train_cfg.get(f"max_{unit}s")
    word = "epochs" if unit == "epoch" else "iterations"
    if isinstance(done, int) and isinstance(wanted, int) and done > wanted:
        raise ConfigError(
            f"{work_dir}: the run has done {done} {word} already, and train_cfg.max_{unit}s={wanted} asks for fewer. To train "
            f"on: --cfg-options train_cfg.max_{unit}s={2 * done}."
        )
    if done == wanted and _has_result(cfg, work_dir, checkpoint):
        raise ConfigError(
            f"{work_dir}: the run is finished, {done} of {wanted} {word}. "
            f"To train on: --cfg-options train_cfg.max_{unit}s={2 * done}."
        )
    return checkpoint


def _check_optimiser(meta: Mapping[str, Any], cfg: Config, path: Path) -> None:
    """Refuse another optimiser than the one whose moments the checkpoint holds.

    Raises:
        ConfigError: Names both.
    """
    key = "optim_wrapper.optimizer.type"
    there, here = (meta.get("settings") or {}).get(key), settings(cfg).get(key)
    if there is not None and there != here:
        raise ConfigError(f"{path} was trained with {key}={there}, and here it is {here}: its state fits one of them alone.")


def _has_result(cfg: Config, work_dir: Path, checkpoint: Path) -> bool:
    if cfg.get("val_dataloader") is None:
        return True
    result: dict[str, Any] = {}
    with suppress(OSError, ValueError):
        result = json.loads((work_dir / RESULT_NAME).read_text(encoding="utf-8"))
    protocol = result.get("protocol") if isinstance(result, dict) else None
    measured = isinstance(protocol, dict) and protocol.get("checkpoint_sha256") == file_hash(checkpoint)
    return measured and ("baselines" in result or not cfg.get("baselines"))


def clear_folder(work_dir: Path, everything: bool = False) -> None:
    """Remove files that a killed run was writing, and on demand what a run leaves, its logs aside."""
    for path in _run_files(work_dir, ".*", temporary=True):
        path.unlink()
    if not everything:
        return
    for path in _checkpoints(work_dir):
        path.unlink()
    for name in (POINTER_NAME, RESULT_NAME, CHOICE_NAME):
        (work_dir / name).unlink(missing_ok=True)
    for folder in (
        *(work_dir / PANEL_FOLDER).glob("epoch_*"),
        *(work_dir / PANEL_FOLDER).glob("iter_*"),
        work_dir / BASELINE_FOLDER,
    ):
        shutil.rmtree(folder, ignore_errors=True)


def _checkpoints(work_dir: Path) -> list[Path]:
    """Files that are named as a run names its checkpoints; weights of other names are somebody's own."""
    return [path for kind in ("epoch", "iter", "best") for path in _run_files(work_dir, f"{kind}_*.pth")]


def _run_files(work_dir: Path, pattern: str, temporary: bool = False) -> list[Path]:
    """Files of a work folder by name, either those half written (also in the folders below) or the others."""
    found = work_dir.rglob(pattern) if temporary else work_dir.glob(pattern)
    return [path for path in found if bool(_TEMPORARY.fullmatch(path.name)) == temporary and path.is_file()]
