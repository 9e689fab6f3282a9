"""NYUv2's files (Silberman et al., ECCV 2012) in the three forms in which they are met, each opened as a :class:`Source`.

nyu_depth_v2_labeled.mat + splits.mat [+ classMapping40.mat]               the labelled set, 795 / 654 frames
<split>/<scene>/<number>.h5, official test frames in val/official/         the tree of sparse-to-dense, 654 official frames
<split>/{depth,rgb,label}/<number>.png                                     pictures; depth 16-bit in millimetres
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from functools import cached_property
from pathlib import Path

import numpy as np

from ..errors import DataError
from ..structures import Field
from .hdf5 import open_hdf5, read_entry
from .io import check_depth, read_depth_png, read_image, read_labels
from .maps import IMAGE_SUFFIXES, MAP_SUFFIXES

LABELLED_FILE = "nyu_depth_v2_labeled.mat"
SPLITS_FILE = "splits.mat"
MAPPING_FILE = "classMapping40.mat"
#: Folders that a data root may hold the data in.
_INSIDE = ("", "nyuv2", "nyudepthv2", "nyu_depth_v2")
#: The official test frames are called either.
_NAMES_OF_SPLIT = {"val": ("val", "test"), "test": ("test", "val")}
_KEY_OF_SPLIT = {"train": "trainNdxs", "val": "testNdxs", "test": "testNdxs"}
#: The Kinect's range ends at 10 m; depth beyond this is another unit.
_FARTHEST_M = 20.0
_MILLIMETRES = 1000.0


#: Most frames that a file of numbers may name: a hundred times those of the data set.
_MOST_FRAMES = 100_000


class Source(ABC):
    """Frames of one split, as stored.

    Args:
        place: Where they are, for messages.
        split: Name of the split that was found.
        names: Frames; official ones by their number of four digits, which is the same in every form.
    """

    def __init__(self, place: Path, split: str, names: list[str]) -> None:
        self.place, self.split, self.names = place, split, names

    @abstractmethod
    def where(self, index: int, kind: str) -> str:
        """The place of a frame's map, for messages."""

    @abstractmethod
    def count(self, kind: str) -> int:
        """Number of frames that have a map: "depth", "image" or "label"."""

    @abstractmethod
    def depth(self, index: int) -> np.ndarray:
        """``(H, W)`` float32 metres, 0 = none."""

    @abstractmethod
    def image(self, index: int) -> np.ndarray:
        """``(H, W, 3)`` float32 RGB 0..255."""

    def labels(self, index: int) -> np.ndarray | None:
        """``(H, W)`` stored classes, 0 = none; None where the frame has none."""
        return None

    def own_file(self, index: int, row: Field) -> Path | None:
        """The file of a field of the user's own."""
        return None


class PictureTree(Source):
    """``<split>/{depth,rgb,label}/<number>.png``."""

    FOLDERS = {"depth": ("depth",), "image": ("rgb", "image"), "label": ("label", "labels")}  # noqa: RUF012

    def __init__(self, folder: Path) -> None:
        self._files = {kind: _by_stem(folder, names, kind) for kind, names in self.FOLDERS.items()}
        super().__init__(folder, folder.name, sorted(self._files["depth"]))

    def where(self, index: int, kind: str) -> str:
        """The file."""
        path = self._files[kind].get(self.names[index])
        return str(path or self.place / self.FOLDERS[kind][0] / f"{self.names[index]}.png")

    def count(self, kind: str) -> int:
        """Frames that have a file of the kind."""
        return len(self._files[kind].keys() & self._files["depth"].keys())

    def depth(self, index: int) -> np.ndarray:
        """Of millimetres."""
        path = self._files["depth"][self.names[index]]
        depth = read_depth_png(path, _MILLIMETRES)
        if depth.max() > _FARTHEST_M:
            raise DataError(
                f"depth PNG {path} holds values up to {depth.max() * _MILLIMETRES:.0f}; expected millimetres of a room, at "
                f"most {_FARTHEST_M * _MILLIMETRES:.0f}. For another unit use the data set Folder with its depth_scale."
            )
        return depth

    def image(self, index: int) -> np.ndarray:
        """Of PNG or JPEG."""
        path = self._files["image"].get(self.names[index])
        if path is None:
            raise DataError(f"frame {self.names[index]} has no photo {self.where(index, 'image')}.")
        return read_image(path)

    def labels(self, index: int) -> np.ndarray | None:
        """Of a gray PNG."""
        path = self._files["label"].get(self.names[index])
        return None if path is None else read_labels(path)

    def own_file(self, index: int, row: Field) -> Path | None:
        """``<split>/<the field's folder>/<number>.png`` or ``.npy``."""
        paths = (self.place / (row.folder or row.name) / f"{self.names[index]}{suffix}" for suffix in MAP_SUFFIXES)
        return next((path for path in paths if path.is_file()), None)


class Hdf5Tree(Source):
    """``<split>/<scene>/<number>.h5`` with ``rgb`` uint8 (3, H, W) and ``depth`` metres (H, W)."""

    def __init__(self, folder: Path) -> None:
        self._paths = sorted(folder.glob("*/*.h5"))
        super().__init__(folder, folder.name, [_name_of_hdf5(path) for path in self._paths])

    def where(self, index: int, kind: str) -> str:
        """The file."""
        return str(self._paths[index])

    def count(self, kind: str) -> int:
        """All frames have depth and photo, none has labels."""
        return 0 if kind == "label" else len(self.names)

    def depth(self, index: int) -> np.ndarray:
        """As stored."""
        return _checked_depth(self._read(index, "depth"), f"{self.where(index, 'depth')}: 'depth'")

    def image(self, index: int) -> np.ndarray:
        """As stored, channels last."""
        return _photo(self._read(index, "rgb"), f"{self.where(index, 'image')}: 'rgb'")

    def _read(self, index: int, key: str) -> np.ndarray:
        path = self._paths[index]
        with open_hdf5(path, "NYUv2 frame") as file:
            return read_entry(file, key, f"NYUv2 frame {path}")


class LabelledFile(Source):
    """The labelled set: ``images``, ``depths`` (in-painted), ``rawDepths`` and ``labels`` with MATLAB's reversed axes.

    Args:
        path: nyu_depth_v2_labeled.mat; splits.mat and, for classes, classMapping40.mat lie beside it.
        split: "train", "val" or "test"; the latter two are the official test frames.
        raw: Take the Kinect's own depth, with its holes.

    Raises:
        DataError: A file is missing or holds something else.
    """

    def __init__(self, path: Path, split: str, raw: bool) -> None:
        self._path, self._depth_key = path, "rawDepths" if raw else "depths"
        if split not in _KEY_OF_SPLIT:
            raise DataError(f"{path} has no split '{split}'; it has train and val (or test, which is the same).")
        splits = path.with_name(SPLITS_FILE)
        self._numbers = _matlab_array(splits, _KEY_OF_SPLIT[split], "the official train and test frames").astype(np.int64)
        with open_hdf5(path, "NYUv2 file") as file:
            missing = [key for key in ("images", self._depth_key) if key not in file]
            if missing:
                raise DataError(f"NYUv2 file {path} has no array '{missing[0]}'; it has {', '.join(file)}.")
            stored, self._has_labels = len(file["images"]), "labels" in file
        if not self._numbers.size or not 1 <= self._numbers.min() <= self._numbers.max() <= stored:
            raise DataError(f"{splits}: '{_KEY_OF_SPLIT[split]}' names frames that {path} with its {stored} doesn't have.")
        super().__init__(path, split, [f"{number:04d}" for number in self._numbers])

    def where(self, index: int, kind: str) -> str:
        """The file, and which of its frames."""
        return f"{self._path}, frame {self.names[index]}"

    def count(self, kind: str) -> int:
        """All; labels where the file has them and their map to 40 classes lies beside it."""
        return len(self.names) if kind != "label" or (self._has_labels and self._mapping is not None) else 0

    def depth(self, index: int) -> np.ndarray:
        """As stored, turned."""
        return _checked_depth(self._read(index, self._depth_key).T, f"{self.where(index, 'depth')}: '{self._depth_key}'")

    def image(self, index: int) -> np.ndarray:
        """As stored, turned."""
        stored = self._read(index, "images")
        return _photo(stored.transpose(0, 2, 1) if stored.ndim == 3 else stored, f"{self.where(index, 'image')}: 'images'")

    def labels(self, index: int) -> np.ndarray | None:
        """The 894 stored classes as the 40."""
        if not self.count("label"):
            return None
        assert self._mapping is not None
        stored = self._read(index, "labels").T
        if stored.max() >= len(self._mapping):
            where = self.where(index, "label")
            raise DataError(f"{where}: the label {stored.max()}; {MAPPING_FILE} has {len(self._mapping) - 1}.")
        return self._mapping[stored]

    @cached_property
    def _mapping(self) -> np.ndarray | None:
        path = self._path.with_name(MAPPING_FILE)
        if not path.is_file():
            return None
        return np.concatenate(([0], _matlab_array(path, "mapClass", "the 40 classes").astype(np.int64)))

    def _read(self, index: int, key: str) -> np.ndarray:
        with open_hdf5(self._path, "NYUv2 file") as file:
            return read_entry(file, key, f"NYUv2 file {self._path}", int(self._numbers[index]) - 1)


def find_source(root: Path, split: str, raw: bool) -> Source:
    """The frames of a split, in whichever form the folder holds them.

    Raises:
        DataError: There is no such folder or split; the text says what was looked for, and which splits there are.
    """
    if not root.exists():
        raise DataError(f"NYUv2: {root} does not exist; expected the folder that holds the data.")
    if root.is_file():
        return LabelledFile(root, split, raw)
    found = [root / inside for inside in _INSIDE if (root / inside).is_dir()]
    for base in found:
        for name in _NAMES_OF_SPLIT.get(split, (split,)):
            folder = base / name
            if (folder / "depth").is_dir() or any(folder.glob("*/*.h5")):
                if raw:
                    raise DataError(f"{folder} holds in-painted depth alone; depth='raw' is for {LABELLED_FILE}.")
                source: Source = PictureTree(folder) if (folder / "depth").is_dir() else Hdf5Tree(folder)
                if not source.names:
                    raise DataError(f"NYUv2: {folder / 'depth'} holds no .png; expected 16-bit depth in millimetres.")
                return source
        if (base / LABELLED_FILE).is_file():
            return LabelledFile(base / LABELLED_FILE, split, raw)
    others = sorted({path.parent.name for base in found for path in base.glob("*/depth")})
    others += sorted({path.name for base in found for path in base.iterdir() if any(path.glob("*/*.h5"))})
    hint = f" It has the splits {', '.join(others)}." if others else ""
    raise DataError(
        f"NYUv2: {root} has no split '{split}': looked for {split}/depth/*.png, {split}/<scene>/*.h5 and {LABELLED_FILE}, "
        f"there and in {', '.join(_INSIDE[1:])}.{hint}"
    )


def _by_stem(folder: Path, names: tuple[str, ...], kind: str) -> dict[str, Path]:
    suffixes = IMAGE_SUFFIXES if kind == "image" else (".png",)
    there = next((folder / name for name in names if (folder / name).is_dir()), None)
    if there is None:
        return {}
    return {path.stem: path for path in there.iterdir() if path.suffix.lower() in suffixes and not path.name.startswith(".")}


def _name_of_hdf5(path: Path) -> str:
    if path.parent.name == "official" and path.stem.isdigit():
        return f"{int(path.stem):04d}"
    return f"{path.parent.name}_{path.stem}"


def _checked_depth(stored: np.ndarray, name: str) -> np.ndarray:
    depth = check_depth(stored, name)
    if depth.max() > _FARTHEST_M:
        raise DataError(f"{name} holds depth up to {depth.max():g}; expected metres of a room, at most {_FARTHEST_M:g}.")
    return depth


def _photo(stored: np.ndarray, name: str) -> np.ndarray:
    if stored.ndim != 3 or stored.shape[0] != 3 or stored.dtype != np.uint8:
        raise DataError(f"{name} is {stored.dtype} of the shape {stored.shape}; expected uint8 (3, height, width).")
    return stored.transpose(1, 2, 0).astype(np.float32)


def _matlab_array(path: Path, key: str, what: str) -> np.ndarray:
    """A flat array of numbers in a .mat file of the old format.

    Raises:
        DataError: The file is missing or damaged, or has no such array; ``what`` says what it is for.
    """
    from scipy.io import loadmat, whosmat

    if not path.is_file():
        raise DataError(f"{path} does not exist; it names {what}, and the data set's page offers it.")
    try:
        shapes = {name: shape for name, shape, _ in whosmat(path)}
        # Before it is read: scipy's parser doesn't hold a size against the file's, and reads on beyond its end.
        if any(not 0 <= side <= _MOST_FRAMES for side in shapes.get(key, ())) or math.prod(shapes.get(key, ())) > _MOST_FRAMES:
            raise DataError(f"{path}: '{key}' claims the shape {shapes[key]}; expected at most {_MOST_FRAMES} numbers.")
        found = loadmat(path, variable_names=[key])
    except DataError:
        raise
    except Exception as error:  # scipy's parser meets broken bytes with whatever they lead it to
        raise DataError(
            f"{path} can't be read as a .mat file ({' '.join(str(error).split())[:120]}); copy it again."
        ) from error
    if key not in found or np.asarray(found[key]).dtype.kind not in "iuf":
        raise DataError(f"{path} has no array of numbers '{key}', which names {what}.")
    return np.asarray(found[key]).reshape(-1)
