"""What is wrong with a plain folder of frames, in words."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..errors import DataError
from ..structures import INPUT_FIELDS, NORMALS, SEMANTICS
from .folder_layout import FOLDERS, OTHER_WORDS, files_by_name, folder_root, frame_intrinsics, intrinsics_file
from .io import read_depth
from .maps import read_map

#: Depth whose median lies outside these is nearly always in another unit than was said.
NEAREST_M, FARTHEST_M = 0.2, 150.0
#: A sparse depth with more known pixels than this share is a dense one.
DENSE = 0.5
#: Sparse depth and ground truth of one pixel agree this well (relative) in the middle of a healthy frame.
AGREEMENT = 0.2
#: Stored value of one metre in other makers' PNGs.
_OTHER_SCALES = (256.0, 1000.0, 100.0, 5000.0, 4000.0)
_ROWS = {"image": INPUT_FIELDS["image"], "label": SEMANTICS, "normals": NORMALS}


class FolderReport(NamedTuple):
    """``faults`` must be mended; ``notes`` are worth knowing; ``frames`` and ``counts`` {folder: files} say what is there."""

    frames: int
    counts: dict[str, int]
    faults: list[str]
    notes: list[str]


def check_folder(
    data_root: Path,
    split: str | None = None,
    depth_scale: float = 256.0,
    progress: Callable[[Iterable[str]], Iterable[str]] = iter,
) -> FolderReport:
    """Open every file of a folder, and say what is wrong.

    Args:
        data_root: The folder, see :mod:`mtdc.data.folder_layout`.
        split: Folder in it that holds ``depth/``.
        depth_scale: Stored value of one metre in depth PNGs.
        progress: Wraps the names of the frames, to show where the work is.

    Raises:
        DataError: There is no folder ``depth/``, or no file in it that can be depth.
    """
    root = folder_root(data_root, split)
    files = {folder: files_by_name(root, folder) for folder in FOLDERS}
    if not files["depth"]:
        found = sorted({path.suffix for path in (root / "depth").iterdir() if path.is_file()})
        raise DataError(f"{root / 'depth'} holds no .png and no .npy; found {', '.join(found) or 'nothing'}.")
    collected: dict[str, list[str]] = {}
    notes = _strangers(root) + _absent(files)
    for folder in FOLDERS:
        _check_pairs(root, folder, files, collected)
    medians: list[float] = []
    for name in progress(sorted(files["depth"])):
        for kind, text in _check_frame(root, name, files, depth_scale, medians):
            collected.setdefault(kind, []).append(text)
    faults = [_summary(texts) for kind, texts in collected.items() if not kind.startswith("note")]
    notes += [_summary(texts) for kind, texts in collected.items() if kind.startswith("note")]
    if medians:
        notes.insert(
            0, f"the median depth is {np.median(medians):.3g} m; is it that of your scenes? (PNG: {depth_scale:g} a metre)"
        )
    faults += _check_unit(medians, depth_scale, any(path.suffix.lower() == ".png" for path in files["depth"].values()))
    counts = {folder: len(found) for folder, found in files.items() if found}
    return FolderReport(len(files["depth"]), counts, faults, notes)


def _summary(texts: list[str]) -> str:
    return texts[0] if len(texts) == 1 else f"{texts[0]} ({len(texts) - 1} more like this)"


def _strangers(root: Path) -> list[str]:
    """Folders that are probably meant as one of those that are read."""
    notes = []
    for path in sorted(root.iterdir()):
        meant = OTHER_WORDS.get(path.name.lower())
        if path.is_dir() and meant and not (root / meant).is_dir():
            notes.append(f"folder {path.name}/ is not read; is it {meant}/? Rename it.")
    return notes


def _absent(files: dict[str, dict[str, Path]]) -> list[str]:
    words = {"gt": "nothing can be measured or trained", "image": "no image task and no network that reads the photo"}
    return [f"there is no {folder}/: {what}." for folder, what in words.items() if not files[folder]]


def _check_pairs(root: Path, folder: str, files: dict[str, dict[str, Path]], collected: dict[str, list[str]]) -> None:
    alone = sorted(files[folder].keys() - files["depth"].keys())
    lacking = sorted(files["depth"].keys() - files[folder].keys()) if files[folder] else []
    if alone:
        collected.setdefault(f"alone {folder}", []).extend(
            f"{root / folder / name} has no partner in depth/." for name in alone
        )
    if lacking:
        collected.setdefault(f"note {folder}", []).extend(f"frame {name} has no file in {folder}/." for name in lacking)
    if (root / folder).is_dir():
        suffixes = FOLDERS[folder][1]
        other = [p for p in sorted((root / folder).iterdir()) if p.name[0] != "." and p.suffix.lower() not in suffixes]
        if other:
            collected[f"suffix {folder}"] = [f"{path} is not read; expected {' or '.join(suffixes)}." for path in other]


def _check_frame(
    root: Path, name: str, files: dict[str, dict[str, Path]], depth_scale: float, medians: list[float]
) -> Iterable[tuple[str, str]]:
    """(kind, text) of everything that is wrong with one frame."""
    maps: dict[str, np.ndarray] = {}
    for folder, found in files.items():
        if name not in found:
            continue
        try:
            row = _ROWS.get(folder)
            maps[folder] = read_depth(found[name], depth_scale) if row is None else read_map(found[name], row)
        except DataError as error:
            yield f"broken {folder}", str(error)
    for folder in ("depth", "gt"):
        if folder in maps and not (maps[folder] > 0).any():
            yield f"empty {folder}", f"{files[folder][name]} has no measured pixel: all are 0."
            del maps[folder]
    sizes = {folder: array.shape[:2] for folder, array in maps.items()}
    if len(set(sizes.values())) > 1:
        words = ", ".join(f"{folder} {width}x{height}" for folder, (height, width) in sizes.items())
        yield "size", f"frame {name} has maps of different sizes (width x height): {words}."
    elif {"depth", "gt"} <= maps.keys():
        yield from _compare(name, maps["depth"], maps["gt"])
    if "depth" in maps:
        known = maps["depth"] > 0
        medians.append(float(np.median(maps["depth"][known])))
        if known.mean() > DENSE:
            share = round(100 * float(known.mean()))
            yield "note dense", f"frame {name}: {share} % of depth/ is measured; dense depth is drawn from with SamplePoints."
        yield from _check_camera(root, name, maps["depth"].shape)


def _compare(name: str, sparse: np.ndarray, truth: np.ndarray) -> Iterable[tuple[str, str]]:
    both = (sparse > 0) & (truth > 0)
    if not both.any():
        yield "note apart", f"frame {name}: no pixel is known both in depth/ and in gt/."
        return
    ratio = float(np.median(sparse[both] / truth[both]))
    if abs(np.log(ratio)) > np.log1p(AGREEMENT):
        yield (
            "unit",
            f"frame {name}: depth/ is {ratio:.3g} times gt/ at the same pixels; are they in the same unit, or shifted?",
        )


def _check_camera(root: Path, name: str, size: tuple[int, ...]) -> Iterable[tuple[str, str]]:
    if intrinsics_file(root, name) is None:
        yield "note camera", f"frame {name} has no intrinsics (intrinsics.txt: fx fy cx cy): no normals and no point clouds."
        return
    try:
        matrix = frame_intrinsics(root, name, (size[0], size[1]))
    except DataError as error:
        yield "camera", str(error)
        return
    cx, cy = matrix[0, 2], matrix[1, 2]
    if not (0 <= cx < size[1] and 0 <= cy < size[0]):
        yield (
            "centre",
            (
                f"{intrinsics_file(root, name)}: the centre ({cx:g}, {cy:g}) lies outside frame {name}, which is "
                f"{size[1]}x{size[0]} (width x height). Are they of another image size?"
            ),
        )


def _check_unit(medians: list[float], depth_scale: float, of_png: bool) -> list[str]:
    if not medians:
        return []
    median = float(np.median(medians))
    if NEAREST_M <= median <= FARTHEST_M:
        return []
    fits = [
        scale for scale in _OTHER_SCALES if NEAREST_M <= median * depth_scale / scale <= FARTHEST_M and scale != depth_scale
    ]
    hint = (
        f" With --depth-scale {' or '.join(f'{scale:g}' for scale in fits)} it would be a distance." if fits and of_png else ""
    )
    return [f"depth/ has a median of {median:.3g} m at {depth_scale:g} a metre, which is hardly the depth of a scene.{hint}"]
