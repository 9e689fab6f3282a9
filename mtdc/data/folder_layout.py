"""A plain folder of one's own: which files belong to which frame.

depth/<name>.png or .npy                       sparse depth
gt/, image/, label/, normals/<name>.*          ground truth, photo, classes, normals: each optional
intrinsics.txt, .npy, or camera.yaml, .json    one camera for all; or intrinsics/<name>.txt, one a frame
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..errors import DataError, did_you_mean
from .calibration import read_intrinsics
from .camera_file import SUFFIXES as CAMERA_SUFFIXES
from .camera_file import read_camera
from .listed import ListedFrame
from .maps import IMAGE_SUFFIXES, MAP_SUFFIXES

#: Folder, the field that it holds, and the suffixes of its files.
FOLDERS = {
    "depth": ("sparse_depth", MAP_SUFFIXES),
    "gt": ("depth", MAP_SUFFIXES),
    "image": ("image", IMAGE_SUFFIXES),
    "label": ("semantics", (".png",)),
    "normals": ("normals", MAP_SUFFIXES),
}
INTRINSICS_FOLDER = "intrinsics"
_CAMERA_STEMS = ("intrinsics", "camera", "K")
#: What others call these folders.
OTHER_WORDS = {
    "sparse": "depth", "sparse_depth": "depth", "depths": "depth", "velodyne_raw": "depth", "lidar": "depth",
    "ground_truth": "gt", "groundtruth": "gt", "dense": "gt", "rgb": "image", "images": "image", "color": "image",
    "labels": "label", "semantics": "label", "semantic": "label",
}  # fmt: skip


def files_by_name(root: Path, folder: str) -> dict[str, Path]:
    """The files of one of the folders by their names without suffix; of two of one name the preferred suffix."""
    suffixes = FOLDERS[folder][1]
    place = root / folder
    found = [path for path in place.iterdir() if not path.name.startswith(".")] if place.is_dir() else []
    usable = [path for path in found if path.suffix.lower() in suffixes and path.is_file()]
    usable.sort(key=lambda path: suffixes.index(path.suffix.lower()), reverse=True)
    return {path.stem: path for path in usable}


def folder_root(data_root: Path, split: str | None) -> Path:
    """The folder that holds ``depth/``: the data root, or the split's in it.

    Raises:
        DataError: There is none; the text says what is there instead.
    """
    root = data_root if split is None else data_root / split
    if not data_root.is_dir():
        raise DataError(f"{data_root} is no folder; expected one that holds depth/.")
    if not (root / "depth").is_dir():
        places = sorted(path.parent.name for path in data_root.glob("*/depth"))
        there = sorted(path.name for path in root.iterdir() if path.is_dir()) if root.is_dir() else []
        meant = [name for name in there if name.lower() in OTHER_WORDS and OTHER_WORDS[name.lower()] == "depth"]
        hint = f" There are splits: {', '.join(places)}; name one." if places else ""
        if not hint:
            hint = f" Is it {meant[0]}/? Rename it to depth/." if meant else did_you_mean("depth", there)
        raise DataError(f"{root} holds no folder depth/, where the sparse depth is expected.{hint}")
    return root


def list_frames(root: Path) -> list[ListedFrame]:
    """Frames of a folder: one for each file in ``depth/``."""
    files = {field: files_by_name(root, folder) for folder, (field, _) in FOLDERS.items()}
    own = {path.name: path for path in root.iterdir() if path.is_dir() and path.name not in (*FOLDERS, INTRINSICS_FOLDER)}
    frames = []
    for name in sorted(files["sparse_depth"]):
        there = {field: found[name] for field, found in files.items() if name in found}
        for folder, place in own.items():
            path = next((place / f"{name}{suffix}" for suffix in MAP_SUFFIXES if (place / f"{name}{suffix}").is_file()), None)
            if path is not None:
                there[folder] = path
        frames.append(ListedFrame(name, there))
    return frames


def intrinsics_file(root: Path, name: str) -> Path | None:
    """Where a frame's camera is written: in a file of its own, else in the folder's."""
    own = [root / INTRINSICS_FOLDER / f"{name}{suffix}" for suffix in (".txt", ".npy")]
    shared = [root / f"{stem}{suffix}" for stem in _CAMERA_STEMS for suffix in (".txt", ".npy", *CAMERA_SUFFIXES)]
    return next((path for path in (*own, *shared) if path.is_file()), None)


def frame_intrinsics(root: Path, name: str, size: tuple[int, int]) -> np.ndarray:
    """K of a frame of size (H, W).

    Raises:
        DataError: There is no file of it, or it is for another size.
    """
    path = intrinsics_file(root, name)
    if path is None:
        raise DataError(f"{root} has no intrinsics of frame {name}; expected intrinsics.txt (fx fy cx cy, or 9 numbers).")
    if path.suffix.lower() not in CAMERA_SUFFIXES:
        return read_intrinsics(path)
    camera = read_camera(path)
    if tuple(camera.size) != size:
        raise DataError(
            f"camera file {path} is for {camera.size[1]}x{camera.size[0]} and frame {name} is {size[1]}x{size[0]} "
            "(width x height)."
        )
    return np.asarray(camera.projection[:, :3])
