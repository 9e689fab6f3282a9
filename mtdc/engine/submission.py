"""A submission to KITTI's depth completion benchmark: its test frames completed, zipped, and checked before it is called done.

The benchmark's development kit asks for the files 0000000000.png to 0000000999.png in the root folder of a zip archive, stored
as its ground truth is: uint16, metres * 256. A stored 0 is a hole, which the server would fill by its own rule.

Frames are written one by one into ``OUT.partial/`` beside the archive. A run that was cut short leaves that folder, and the
same command goes on from it; the archive itself takes its name when it is whole and checked.
"""

from __future__ import annotations

import json
import os
import shutil
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from mmengine.config import Config
from mmengine.dist import barrier, broadcast_object_list, is_main_process
from torch.utils.data import Subset

from .. import __version__
from ..data.dataset import DepthDataset
from ..data.io import DEPTH_PNG_SCALE, write_json
from ..errors import ConfigError, DataError
from ..model import build_model
from ..structures import DepthSample
from .checkpoint import file_hash
from .config import config_hash, require
from .hooks import SaveDepthHook
from .preparation import build_dataset, loader, seed_of
from .result import check_writable
from .runs import KeepingEvaluator, load_trained, predict

SPLIT = "test_depth_completion_anonymous"
FRAMES = 1000
#: (H, W) of the benchmark's frames.
SIZE = (352, 1216)
OPTION = "--submission"
#: What the server takes, as its users report; the development kit names no limit.
UPLOAD_BYTES = 500_000_000
_MADE_BY, _UNFINISHED = "made_by.json", "archive.unfinished"
_LARGEST = np.iinfo(np.uint16).max
_NAMES = [f"{number:010d}.png" for number in range(FRAMES)]


@dataclass(frozen=True)
class Submission:
    """What was written.

    Args:
        path: The archive.
        frames: Depth maps in it.
        kept: Those of them that an interrupted run had left.
        nearest_m, farthest_m: Smallest and largest depth of all maps, metres.
    """

    path: Path
    frames: int
    kept: int
    nearest_m: float
    farthest_m: float


def describe(made: Submission) -> str:
    """What was made and checked, in lines for people."""
    size = made.path.stat().st_size
    kept = f", {made.kept} of them kept from an interrupted run" if made.kept else ""
    lines = [
        f"{made.frames} depth maps{kept}: {SIZE[1]}x{SIZE[0]}, 16-bit, no empty pixel, "
        f"{made.nearest_m:.2f} to {made.farthest_m:.2f} m",
        f"written to {made.path} ({size / 1e6:.1f} MB), read back and checked",
    ]
    if made.frames != FRAMES:
        lines.append(f"not for upload: the server wants {FRAMES} frames")
    if size > UPLOAD_BYTES:
        lines.append(
            f"larger than {UPLOAD_BYTES / 1e6:.0f} MB, though compressed as hard as PNG can: the server is said to refuse that"
        )
    return "\n".join(lines)


def make_submission(
    cfg: Config, checkpoint: Path | None, work_dir: Path, out: Path, allow_partial: bool = False, launcher: str = "none"
) -> Submission | None:
    """Complete the test frames of a config's test data and write the archive; None in all processes but the first.

    Args:
        cfg: A config whose test data are the benchmark's test frames.
        checkpoint: The weights, where the network has any.
        work_dir: Where the log goes.
        out: The archive, ``*.zip``; one of that name is replaced when the new one is whole.
        allow_partial: Take another number of frames than 1,000.
        launcher: How processes were started.

    Raises:
        ConfigError: The config has no test data, no depth, or weights are missing.
        DataError: Other frames than the benchmark's, a file that can't be written, frames of another submission in the way, or
            a depth map that the server could not take.
    """
    require(cfg, "test_dataloader", "randomness")
    if out.suffix.lower() != ".zip":
        raise ConfigError(f"{OPTION} {out}: the name must end in .zip, as in {out.with_suffix('.zip')}.")
    check_writable(out, OPTION, "submission.zip")
    model = build_model(cfg.model)
    if "depth" not in model.network.fields:
        raise ConfigError(f"{OPTION}: the network predicts {', '.join(model.network.fields) or 'nothing'}, and no depth.")
    load_trained(model, checkpoint)
    data = build_dataset(cfg.test_dataloader.dataset, "test_dataloader.dataset", model, (), seed_of(cfg))
    names = check_frames(data, allow_partial)
    settings = {**loader(cfg, "test_dataloader", data), "drop_last": False}
    frames = PartialFrames(out)
    kept: list[Any] = [None]
    if is_main_process():
        kept[0] = frames.start(_made_by(cfg, checkpoint), names)
    # All processes must share the same frames between them, and one that lists later may see more of them.
    broadcast_object_list(kept)
    missing = [number for number, name in enumerate(names) if name not in kept[0]]
    if missing:
        settings["dataset"] = Remaining(data, missing)
        predict(cfg, model, settings, KeepingEvaluator([]), [FrameHook(frames.folder)], work_dir, launcher)
    barrier()
    if not is_main_process():
        return None
    nearest, farthest = frames.pack(names)
    return Submission(out, len(names), len(kept[0]), nearest, farthest)


def _made_by(cfg: Config, checkpoint: Path | None) -> dict[str, Any]:
    """What decides the depth maps: frames of two different ones must not meet in one archive."""
    dataset = {
        **cfg.test_dataloader.dataset,
        "data_root": str(Path(cfg.test_dataloader.dataset.get("data_root", "")).resolve()),
    }
    made_by = {
        "mtdc": __version__,
        "config_sha256": config_hash(cfg),
        "checkpoint_sha256": None if checkpoint is None else file_hash(checkpoint),
        "dataset": dataset,
    }
    plain: dict[str, Any] = json.loads(json.dumps(made_by, default=str))
    return plain


class Remaining(Subset[dict[str, Any]]):
    """The frames that are still to be completed."""

    dataset: DepthDataset

    @property
    def metainfo(self) -> dict[str, Any]:
        """The whole data set's."""
        return self.dataset.metainfo


class FrameHook(SaveDepthHook):
    """Writes each depth map, and refuses a frame of another size, as stored or as completed, as soon as it is there."""

    def after_test_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Sequence[DepthSample] | None = None
    ) -> None:
        """Write the batch's maps."""
        for sample in outputs or ():
            _check_sample(sample, tuple(sample.pred_depth.shape[-2:]))
        super().after_test_iter(runner, batch_idx, data_batch, outputs)


# ---- Checks


def check_frames(data: DepthDataset, allow_partial: bool) -> list[str]:
    """File names of a data set's frames, which must be the benchmark's test frames.

    Raises:
        DataError: Other names, another number or another size of frames.
    """
    names = [f"{data.sample_id(number)}.png" for number in range(len(data))]
    others = sorted(set(names) - set(_NAMES))
    if others:
        hint = f"Did you mean --split {SPLIT}?" if data.split != SPLIT else "Take that file out."
        raise DataError(
            f"{OPTION}: the split '{data.split}' holds {others[0]}; KITTI's test frames are named {_NAMES[0]} to {_NAMES[-1]}. "
            f"{hint}"
        )
    if len(names) != FRAMES and not allow_partial:
        missing = next(name for name in _NAMES if name not in names)
        raise DataError(
            f"{OPTION}: the split '{data.split}' holds {len(names)} frames, and the server wants {FRAMES} (first missing: "
            f"{missing}). Unpack the whole archive, or add --allow-partial to try the command."
        )
    first = data[0]
    _check_sample(first["data_samples"], tuple(first["inputs"]["sparse_depth"].shape[-2:]))
    return sorted(names)


def _check_sample(sample: DepthSample, size: tuple[int, ...]) -> None:
    _check_size(f"frame {sample.sample_id}", tuple(sample.ori_shape), "Is it one of the test set?")
    _check_size(
        f"frame {sample.sample_id} after the config's transforms",
        size,
        "--cfg-options test_dataloader.dataset.transforms=[] leaves frames as they are.",
    )


def _check_size(what: str, size: tuple[int, ...], hint: str = "") -> None:
    if size != SIZE:
        text = f"{OPTION}: {what} is {size[1]}x{size[0]} (width x height), and the server wants {SIZE[1]}x{SIZE[0]}. {hint}"
        raise DataError(text.strip())


def check_png(content: bytes, name: str) -> tuple[float, float]:
    """Nearest and farthest depth in metres of a file as the server reads it.

    Raises:
        DataError: No PNG of one 16-bit channel, another size, empty pixels, or no depth in metres.
    """
    stored = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED) if content else None
    if stored is None:
        raise DataError(f"{name} is no PNG that can be read.")
    if stored.dtype != np.uint16 or stored.ndim != 2:
        channels = 1 if stored.ndim == 2 else stored.shape[2]
        raise DataError(f"{name} is {8 * stored.itemsize}-bit with {channels} channels; expected 16-bit with one.")
    _check_size(name, stored.shape)
    holes = int(np.count_nonzero(stored == 0))
    if holes:
        raise DataError(f"{name} has {holes} empty pixels (0); the server would fill them by its own rule.")
    if np.count_nonzero(stored == _LARGEST) > stored.size // 2:
        raise DataError(
            f"{name} is {_LARGEST / DEPTH_PNG_SCALE:.0f} m, the most that can be stored, in most pixels: does the network "
            "predict millimetres?"
        )
    return float(stored.min()) / DEPTH_PNG_SCALE, float(stored.max()) / DEPTH_PNG_SCALE


def _compressed_harder(content: bytes) -> bytes:
    """The same values in a PNG that is 3 to 6 % smaller, for half a second a frame; the same bytes where it is not smaller."""
    stored = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    options = [cv2.IMWRITE_PNG_COMPRESSION, 9, cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_FILTERED]
    harder: bytes = cv2.imencode(".png", stored, options)[1].tobytes()
    return min(harder, content, key=len)


def check_archive(path: Path, names: Sequence[str]) -> tuple[float, float]:
    """Read an archive back as the server does; nearest and farthest depth of all its maps in metres.

    Raises:
        DataError: It is damaged, holds other files than these, or a map that :func:`check_png` refuses.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            found = archive.namelist()
            if sorted(found) != sorted(names):
                different = sorted(set(found) ^ set(names)) or ["a file twice"]
                raise DataError(f"{path} holds {len(found)} files and not the {len(names)} expected: {different[0]}.")
            ranges = [check_png(archive.read(name), f"{name} in {path}") for name in names]
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise DataError(f"{path} is damaged: {error}.") from error
    return min(nearest for nearest, _ in ranges), max(farthest for _, farthest in ranges)


# ---- Files


class PartialFrames:
    """The folder of a submission that is being made.

    Args:
        out: The archive that it becomes.
    """

    def __init__(self, out: Path) -> None:
        self.out = out
        self.folder = out.with_suffix(".partial")

    def start(self, made_by: dict[str, Any], names: Sequence[str]) -> list[str]:
        """Make the folder, or find the frames that an interrupted run of the same config, weights and input left in it.

        Raises:
            DataError: The folder is not from an interrupted submission, or from another one.
        """
        record = self.folder / _MADE_BY
        with self._writing():
            if not self.folder.exists() or not any(self.folder.iterdir()):
                self.folder.mkdir(parents=True, exist_ok=True)
                write_json(record, made_by)
                return []
            before = self._read(record)
            if before != made_by:
                known = isinstance(before, dict)
                changed = [key for key, value in made_by.items() if before.get(key) != value] if known else []
                found = (
                    f"frames of an interrupted submission with another {' and '.join(changed)}" if changed else "other files"
                )
                raise DataError(
                    f"{OPTION} {self.out}: {self.folder} holds {found}. Delete that folder, or name another archive."
                )
            return [name for name in names if self._is_whole(name)]

    def _read(self, record: Path) -> Any:
        try:
            return json.loads(record.read_text(encoding="utf-8"))
        except (FileNotFoundError, NotADirectoryError, ValueError):
            return None

    def _is_whole(self, name: str) -> bool:
        try:
            check_png((self.folder / name).read_bytes(), name)
        except (FileNotFoundError, DataError):
            return False
        return True

    def pack(self, names: Sequence[str]) -> tuple[float, float]:
        """Make the archive, check it, give it its name and remove the folder; nearest and farthest depth in metres.

        Raises:
            DataError: A frame is missing, the archive is not as the server wants it, or it can't be written.
        """
        unfinished = self.folder / _UNFINISHED
        with self._writing():
            with unfinished.open("wb") as file:
                large = sum((self.folder / name).stat().st_size for name in names) > UPLOAD_BYTES
                # PNGs are compressed already.
                with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
                    for name in names:
                        content = (self.folder / name).read_bytes()
                        # Without the files' dates the same depth maps make the same archive.
                        archive.writestr(zipfile.ZipInfo(name), _compressed_harder(content) if large else content)
                file.flush()
                os.fsync(file.fileno())
            nearest, farthest = check_archive(unfinished, names)
            unfinished.replace(self.out)
            shutil.rmtree(self.folder)
        return nearest, farthest

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            where = error.filename or self.folder
            raise DataError(
                f"{OPTION} {self.out}: {where}: {error.strerror or error}. The frames in {self.folder} are kept; the same "
                "command goes on from them."
            ) from error
