"""Which prediction belongs to which ground truth, by file names."""

from __future__ import annotations

import logging
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ..errors import DataError

_LOGGER = logging.getLogger(__name__)
#: How many file names an error or notice lists.
_NAMES_SHOWN = 3
#: Word in KITTI's folder and file names that marks ground truth (``groundtruth``, ``groundtruth_depth``).
_TRUTH_MARK = "groundtruth"
_DRIVE = re.compile(r"\d{4}_\d{2}_\d{2}_drive_\d{4}")
_CAMERA = re.compile(r"image_(0\d)(?!\d)")
_FRAME = re.compile(r"(?<!\d)\d{10}(?!\d)")


class Identity(NamedTuple):
    """What KITTI's names say of a frame; None where a name says nothing."""

    drive: str | None
    frame: str | None
    camera: str | None

    def fits(self, other: Identity) -> bool:
        """The same frame number, and no contradiction in drive and camera."""
        return self.frame == other.frame and all(a is None or b is None or a == b for a, b in zip(self, other, strict=True))


class Pair(NamedTuple):
    """One frame: its key (the ground truth's relative path without suffix) and its two files."""

    key: str
    ground_truth: Path
    prediction: Path


def kitti_identity(path: Path) -> Identity:
    """Drive, frame and camera of a depth map, from its name and the folders above it.

    Understood are all layouts of KITTI's depth data: ``<drive>/.../image_02/<frame>.png`` and flat names such as
    ``<drive>_sync_groundtruth_depth_<frame>_image_02.png`` and ``<drive>_sync_image_02_<frame>.png``. The frame is the file
    name's own; for drive and camera the mark nearest to the end of the path counts.
    """
    text = path.with_suffix("").as_posix()
    drives, cameras, frames = _DRIVE.findall(text), _CAMERA.findall(text), _FRAME.findall(path.stem)
    return Identity(*(found[-1] if found else None for found in (drives, frames, cameras)))


def fitting(wanted: Identity, candidates: Sequence[tuple[Identity, Path]]) -> list[Path]:
    """Files of a frame, of those with its frame number: the ones that say all of it, else those that don't contradict it."""
    same = [path for identity, path in candidates if identity == wanted]
    return same or [path for identity, path in candidates if identity.fits(wanted)]


def pair_folders(ground_truth: Path, prediction: Path) -> list[Pair]:
    """Pair every ground-truth PNG with its prediction: by relative path, else by KITTI's drive, frame and camera.

    A prediction whose name lacks drive or camera is taken where only one fits. Predictions that belong to no ground truth are
    left out with a notice.

    Raises:
        DataError: A folder is missing or holds no PNG, both are the same, a ground truth has no prediction, or more than one.
    """
    if ground_truth.is_dir() and prediction.is_dir() and ground_truth.samefile(prediction):
        raise DataError(f"ground truth and predictions are the same folder, {prediction}; expected two folders.")
    truths = _only_truth(_find_pngs(ground_truth, "ground truth"), ground_truth)
    predictions = _find_pngs(prediction, "predictions")

    by_key = {_key(path, prediction): path for path in predictions}
    pairs = {path: by_key[key] for path in truths if (key := _key(path, ground_truth)) in by_key}
    taken = set(pairs.values())
    rest = [path for path in truths if path not in pairs]
    pairs |= _pair_by_identity(rest, [path for path in predictions if path not in taken])

    missing = [path for path in truths if path not in pairs]
    if missing:
        raise DataError(
            f"{len(missing)} of {len(truths)} ground truth files have no prediction in {prediction}: "
            f"{_some(missing, ground_truth)}. Every frame is needed, as a mean over some can't be compared; the "
            f"{len(predictions)} PNGs there are named like {_key(predictions[0], prediction)}.png."
        )
    extra = sorted(set(predictions) - set(pairs.values()))
    if extra:
        _LOGGER.warning("%d predictions have no ground truth and are left out: %s", len(extra), _some(extra, prediction))
    return [Pair(_key(path, ground_truth), path, pairs[path]) for path in truths]


def _find_pngs(folder: Path, what: str) -> list[Path]:
    if not folder.is_dir():
        found = "is a file" if folder.exists() else "does not exist"
        raise DataError(f"{what}: {folder} {found}; expected a folder of depth PNGs.")
    files = [path for path in sorted(folder.rglob("*")) if not path.name.startswith(".") and path.is_file()]
    pngs = [path for path in files if path.suffix.lower() == ".png"]
    if not pngs:
        kinds = Counter(path.suffix or "no suffix" for path in files).most_common(_NAMES_SHOWN)
        found = ", ".join(f"{count} {suffix}" for suffix, count in kinds) or "no file at all"
        raise DataError(f"{what}: {folder} holds no PNG; expected depth PNGs (16-bit, metres * 256), found {found}.")
    return pngs


def _only_truth(pngs: list[Path], folder: Path) -> list[Path]:
    """In a tree that also holds photos and sparse depth: the files that are marked as ground truth."""
    marked = [path for path in pngs if _TRUTH_MARK in path.relative_to(folder).as_posix()]
    if not marked or len(marked) == len(pngs):
        return pngs
    _LOGGER.warning(
        "%s: %d PNGs are marked as ground truth; %d others are left out", folder, len(marked), len(pngs) - len(marked)
    )
    return marked


def _pair_by_identity(truths: list[Path], predictions: list[Path]) -> dict[Path, Path]:
    by_frame: dict[str | None, list[tuple[Identity, Path]]] = defaultdict(list)
    for path in predictions:
        # Resolved, so that the folders above a relative argument count too.
        identity = kitti_identity(path.resolve())
        by_frame[identity.frame].append((identity, path))

    pairs: dict[Path, Path] = {}
    taken: dict[Path, Path] = {}
    for truth in truths:
        wanted = kitti_identity(truth.resolve())
        candidates = by_frame[wanted.frame] if wanted.frame is not None else []
        found = fitting(wanted, candidates)
        if len(found) > 1:
            raise DataError(f"{truth} fits {len(found)} predictions, {found[0]} and {found[1]}; expected one.")
        if found:
            if found[0] in taken:
                raise DataError(
                    f"{found[0]} fits two ground truth files, {taken[found[0]]} and {truth}; "
                    "expected a name that tells drive, frame and camera apart."
                )
            taken[found[0]], pairs[truth] = truth, found[0]
    return pairs


def _key(path: Path, folder: Path) -> str:
    return path.relative_to(folder).with_suffix("").as_posix()


def _some(paths: Sequence[Path], folder: Path) -> str:
    names = [path.relative_to(folder).as_posix() for path in paths[:_NAMES_SHOWN]]
    return ", ".join(names) + (", ..." if len(paths) > _NAMES_SHOWN else "")
