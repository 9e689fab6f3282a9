"""Where KITTI's files lie: the layouts that its users keep, told apart by the folders that exist.

A split is a folder of drives (``<drive>/proj_depth/<folder>/image_0x/<frame>.png``), which may be spread over several places,
or a selection folder (``<folder>/<name>.png``, each folder with its own names). Only folders are listed; no file is opened.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import DataError, did_you_mean
from ..structures import DEPTH, IMAGE, INTRINSICS, SPARSE_DEPTH
from .calibration import CAMERA_FILE
from .maps import IMAGE_SUFFIXES, MAP_SUFFIXES

SPARSE_FOLDER, TARGET_FOLDER, IMAGE_FOLDER = str(SPARSE_DEPTH.folder), str(DEPTH.folder), str(IMAGE.folder)
INTRINSICS_FOLDER = INTRINSICS.name
_DEPTH_PLACES = ("data_depth_annotated", "data_depth_velodyne")
_SELECTION_PLACES = ("depth_selection", "data_depth_selection")
_RAW_PLACES = ("kitti_raw", "raw", "")
_DRIVE = re.compile(r"(\d{4}_\d{2}_\d{2})_drive_\d{4}_.+")
_SELECTION_NAME = re.compile(
    r"(?P<drive>\d{4}_\d{2}_\d{2}_drive_\d{4}_[a-z]+)_(?:.+_)?(?P<frame>\d{10})_image_(?P<camera>\d{2})"
)
_KNOWN = (
    "<split>/<drive>/proj_depth/{velodyne_raw,groundtruth}/image_0x, the same with velodyne_raw under data_depth_velodyne/ and "
    "groundtruth under data_depth_annotated/, or <selection>/{velodyne_raw,groundtruth_depth,image,intrinsics}"
)


@dataclass
class Series:
    """Frames that share their folders: one camera of one drive, or a selection.

    Args:
        drive: Name of the drive; None for a selection.
        camera: 2 or 3; None for a selection.
        folders: Where the files of a kind lie ("velodyne_raw", "groundtruth", "image", ...).
        files: File names of a kind by the frame's key.
    """

    drive: str | None
    camera: int | None
    folders: dict[str, Path] = field(default_factory=dict)
    files: dict[str, dict[str, str]] = field(default_factory=dict)

    def path(self, kind: str, key: str) -> Path | None:
        """A frame's file of a kind, or None."""
        name = self.files.get(kind, {}).get(key)
        return None if name is None else self.folders[kind] / name

    def sample_id(self, key: str) -> str:
        """``<drive>_image_0x_<frame>``; in a selection the stem of the image's name."""
        return key if self.drive is None else f"{self.drive}_image_{self.camera:02d}_{key}"

    def add(self, kind: str, folders: Iterable[Path], suffixes: Sequence[str]) -> None:
        """List the first of the folders that holds such files: an empty one must not hide the next."""
        for folder in folders:
            listing = _list_files(folder, suffixes)
            if listing:
                self.folders[kind], self.files[kind] = folder, listing
                return


def _list_files(folder: Path, suffixes: Sequence[str]) -> dict[str, str]:
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries]
    except (FileNotFoundError, NotADirectoryError):
        return {}
    files: dict[str, str] = {}
    # Reversed, so that the preferred suffix is written last.
    for suffix in reversed(suffixes):
        files |= {name[: -len(suffix)]: name for name in names if name.lower().endswith(suffix) and name[0] != "."}
    return files


def _subfolders(folder: Path) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entry.name for entry in entries if entry.is_dir())
    except (FileNotFoundError, NotADirectoryError):
        return []


def _drives(folder: Path) -> list[str]:
    return [name for name in _subfolders(folder) if (folder / name / "proj_depth").is_dir()]


def _is_selection(folder: Path) -> bool:
    return (folder / SPARSE_FOLDER).is_dir()


def _holds_maps(folder: Path) -> bool:
    """Whether a folder holds a depth map; its first file says so."""
    try:
        with os.scandir(folder) as entries:
            return any(entry.name.lower().endswith(MAP_SUFFIXES) and entry.name[0] != "." for entry in entries)
    except (FileNotFoundError, NotADirectoryError):
        return False


class DriveSplit:
    """A split made of drives.

    Args:
        root: The data root.
        name: The split's name.
        places: Folders that hold its drives.
        raw_root: Root of KITTI's raw data, where it lies elsewhere.
    """

    def __init__(self, root: Path, name: str, places: Sequence[Path], raw_root: Path | None) -> None:
        self.root = root
        self.name = name
        self.places = tuple(places)
        self.raw_root = raw_root

    def series(self, cameras: Sequence[int], kinds: Iterable[str]) -> Iterator[Series]:
        """One series for each drive and camera, with the files of these kinds listed."""
        for drive in sorted({drive for place in self.places for drive in _drives(place)}):
            for camera in cameras:
                series = Series(drive, camera)
                for kind in kinds:
                    if kind == IMAGE_FOLDER:
                        series.add(kind, self._image_folders(drive, camera), IMAGE_SUFFIXES)
                    elif kind != INTRINSICS_FOLDER:
                        series.add(kind, self.folders(drive, kind, camera), MAP_SUFFIXES)
                yield series

    def holds_frames(self) -> bool:
        """Whether any drive holds a sparse map."""
        drives = ((drive, camera) for place in self.places for drive in _drives(place) for camera in (2, 3))
        return any(_holds_maps(folder) for drive, camera in drives for folder in self.folders(drive, SPARSE_FOLDER, camera))

    def folders(self, drive: str, kind: str, camera: int) -> list[Path]:
        """Where the depth-like files of a kind may lie."""
        return [place / drive / "proj_depth" / kind / f"image_{camera:02d}" for place in self.places]

    def drive_folders(self, drive: str) -> list[Path]:
        """Where a drive's raw data may lie: images and calibration."""
        match = _DRIVE.fullmatch(drive)
        date = match.group(1) if match else drive
        found = [] if self.raw_root is None else [self.raw_root / date / drive, self.raw_root / drive]
        for place in self.places:
            found += [place / drive, place / date / drive]
        found.append(self.root / "data_rgb" / self.name / drive)
        found += [self.root / raw / date / drive for raw in _RAW_PLACES]
        return list(dict.fromkeys(found))

    def _image_folders(self, drive: str, camera: int) -> Iterator[Path]:
        for folder in self.drive_folders(drive):
            yield folder / f"image_{camera:02d}" / "data"
            yield folder / f"image_{camera:02d}"

    def calibration_folder(self, drive: str) -> Path:
        """The folder with the calibration of a drive: its own, or its recording day's.

        Raises:
            DataError: There is none.
        """
        looked = []
        for folder in self.drive_folders(drive):
            looked.append(folder)
            if folder.parent.name and drive.startswith(folder.parent.name):
                looked.append(folder.parent)
        for folder in dict.fromkeys(looked):
            if (folder / CAMERA_FILE).is_file():
                return folder
        places = ", ".join(_relative(folder, self.root) for folder in dict.fromkeys(looked))
        raise DataError(
            f"no calibration of drive {drive}: no {CAMERA_FILE} in any of {places} (in {self.root}). It comes with KITTI's raw "
            "data (calibration files of the day); say raw_root where those lie elsewhere."
        )

    def looked_for(self, kind: str) -> str:
        """Where files of a kind are expected, for messages."""
        if kind == IMAGE_FOLDER:
            drives = [_relative(folder, self.root) for folder in self.drive_folders("<drive>")]
            return f"image_0x/data under one of {', '.join(drives)}".replace("<drive>/<drive>", "<date>/<drive>")
        return ", ".join(f"{_relative(place, self.root)}/<drive>/proj_depth/{kind}/image_0x" for place in self.places)


class SelectionSplit:
    """A folder of cropped frames: the selected validation frames or the anonymous test.

    Args:
        root: The data root.
        folder: The selection's folder.
    """

    def __init__(self, root: Path, folder: Path) -> None:
        self.root = root
        self.folder = folder

    def series(self, cameras: Sequence[int], kinds: Iterable[str]) -> Iterator[Series]:
        """One series of all frames whose camera is asked for (or not known)."""
        series = Series(None, None)
        for kind in kinds:
            suffixes = IMAGE_SUFFIXES if kind == IMAGE_FOLDER else (".txt",) if kind == INTRINSICS_FOLDER else MAP_SUFFIXES
            series.add(kind, self._folders(kind), suffixes)
        for kind, files in series.files.items():
            keyed = {_selection_key(stem): name for stem, name in files.items()}
            series.files[kind] = {key: name for key, name in keyed.items() if _camera_of(key) in (None, *cameras)}
        yield series

    def holds_frames(self) -> bool:
        """Whether it holds a sparse map."""
        return _holds_maps(self.folder / SPARSE_FOLDER)

    def _folders(self, kind: str) -> list[Path]:
        return [self.folder / f"{kind}_depth", self.folder / kind] if kind == TARGET_FOLDER else [self.folder / kind]

    def looked_for(self, kind: str) -> str:
        """Where files of a kind are expected, for messages."""
        return _relative(self._folders(kind)[0], self.root)


def _selection_key(stem: str) -> str:
    match = _SELECTION_NAME.fullmatch(stem)
    return stem if match is None else f"{match['drive']}_image_{match['frame']}_image_{match['camera']}"


def _camera_of(key: str) -> int | None:
    match = _SELECTION_NAME.fullmatch(key)
    return None if match is None else int(match["camera"])


def find_split(data_root: Path, split: str | Sequence[str], raw_root: Path | None) -> DriveSplit | SelectionSplit:
    """The first of the named splits that holds frames, or, where none does, the first that exists.

    Raises:
        DataError: The data root, the raw root or every named split is missing.
    """
    for key, folder in (("data_root", data_root), ("raw_root", raw_root)):
        if folder is not None and not folder.is_dir():
            origin = "" if folder.is_absolute() else f" (looked from {Path.cwd()})"
            found = "is a file" if folder.exists() else "does not exist"
            raise DataError(f"{key} '{folder}' {found}{origin}. Expected KITTI's depth completion data: {_KNOWN}.")
    # Someone who names the folder of one archive means the folder that both were unpacked in.
    root = data_root.parent if data_root.name in _DEPTH_PLACES else data_root
    names = (split,) if isinstance(split, str) else tuple(split)
    looked: list[Path] = []
    found_empty: list[DriveSplit | SelectionSplit] = []
    for name in names:
        places = [root / name, *(root / place / name for place in _DEPTH_PLACES)]
        selections = [root / name, *(root / place / name for place in _SELECTION_PLACES)]
        with_drives = [place for place in places if _drives(place)]
        candidates: list[DriveSplit | SelectionSplit] = []
        if with_drives:
            candidates.append(DriveSplit(root, name, with_drives, raw_root))
        candidates += [SelectionSplit(root, folder) for folder in selections if _is_selection(folder)]
        for candidate in candidates:
            if candidate.holds_frames():
                return candidate
        found_empty += candidates  # as an interrupted unpacking leaves them: they must not hide the next
        looked += places + selections[1:]
    if found_empty:
        return found_empty[0]
    seen = _splits_of(root)
    wanted = " or ".join(f"'{name}'" for name in names)
    if seen == ["."]:
        found = "It holds drives itself: name its parent as data_root, or say split='.'."
    else:
        found = f"It holds: {', '.join(seen)}." if seen else f"It holds no split.{_nested_hint(root, names)}"
    suggestion = did_you_mean(names[0], seen)
    if not suggestion.startswith(" Did"):
        suggestion = ""  # the splits have just been listed
    raise DataError(
        f"no split {wanted} in data_root '{data_root}': looked for {', '.join(_relative(folder, root) for folder in looked)}. "
        f"{found}{suggestion} Known layouts: {_KNOWN}."
    )


def _splits_of(root: Path) -> list[str]:
    found = []
    for place in ("", *_DEPTH_PLACES, *_SELECTION_PLACES):
        for name in _subfolders(root / place):
            folder = root / place / name
            if name not in _DEPTH_PLACES and (_is_selection(folder) or _drives(folder)):
                found.append(name)
    if _is_selection(root) or _drives(root):
        found.append(".")
    return sorted(set(found))


def _nested_hint(root: Path, names: Sequence[str]) -> str:
    for name in _subfolders(root):
        seen = _splits_of(root / name)
        if any(split in seen for split in names):
            return f" Did you mean data_root='{root / name}'?"
    return ""


def _relative(folder: Path, root: Path) -> str:
    try:
        return folder.relative_to(root).as_posix()
    except ValueError:
        return str(folder)
