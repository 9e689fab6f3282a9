"""VOID, indoor frames with the sparse points of visual-inertial odometry (Wong et al., ICRA / RA-L 2020).

    depth [m] = stored 16-bit value / 256, 0 = none        about 150, 500 or 1500 points a frame, at corners of the image

Shapes      sparse_depth, gt_depth (1, 480, 640) metres; image (3, 480, 640) RGB 0..255; intrinsics (3, 3) pixels.
Test time   split="test": 8 sequences, 800 frames; papers score ground truth of 0.2 to 5 m.
Differs     validity maps are not opened: they say where the sparse depth is above 0.
Cost        the lists and one listing of each sequence's folders at the start.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar

import numpy as np

from ...contracts import Transform
from ...errors import ConfigError, DataError
from ...registry import DATASETS
from ...structures import DEPTH, SPARSE_DEPTH, Field
from ..calibration import read_intrinsics
from ..listed import ListedDataset, ListedFrame
from ..raw_bytes import text_of

#: Field names by the lists that name their files.
_LISTS = {"sparse_depth": "sparse_depth", "ground_truth": "depth", "image": "image", "intrinsics": "intrinsics"}


@DATASETS.register_module()
class VOID(ListedDataset):
    """Frames that the release's lists name.

    Args:
        data_root: ``void_release``, the folder above it, or ``void_<density>`` itself.
        split: "train" or "test" (also "val").
        density: 150, 500 or 1500 points.
        inputs, targets, transforms, seed: As in every data set.

    Raises:
        ConfigError: Another density.
        DataError: The folder, a list or an input's file is missing, or lists don't fit together.
    """

    METAINFO: ClassVar[dict[str, Any]] = {"dataset": "void"}

    def __init__(
        self,
        data_root: str | Path,
        split: str,
        density: int = 1500,
        inputs: Sequence[Field | str] = (SPARSE_DEPTH,),
        targets: Sequence[Field] = (DEPTH,),
        transforms: Sequence[Mapping[str, Any] | Transform] = (),
        seed: int = 0,
    ) -> None:
        if density not in (150, 500, 1500):
            raise ConfigError(f"VOID: density={density}; expected 150, 500 or 1500.")
        folder = _density_folder(Path(data_root).expanduser(), f"void_{density}")
        self.split = "test" if split == "val" else split
        super().__init__(_frames(folder, self.split), folder, 256.0, inputs, targets, transforms, seed)

    def intrinsics_file(self, frame: ListedFrame) -> Path | None:
        """The sequence's ``K.txt``."""
        return frame.files.get("intrinsics")

    def intrinsics(self, index: int, size: tuple[int, int]) -> np.ndarray:
        """Of the sequence's ``K.txt``."""
        return read_intrinsics(self.frames[index].files["intrinsics"])


def _density_folder(root: Path, name: str) -> Path:
    places = [root] if root.name == name else [root / name, root / "void_release" / name]
    for folder in places:
        if folder.is_dir():
            return folder
    others = sorted(path.name for above in (root, root / "void_release") for path in above.glob("void_[0-9]*") if path.is_dir())
    hint = f" There is {', '.join(others)}: set density." if others else ""
    raise DataError(f"VOID: {' and '.join(map(str, places))} do not exist; expected the folder void_release.{hint}")


def _frames(folder: Path, split: str) -> list[ListedFrame]:
    lists = {kind: folder / f"{split}_{kind}.txt" for kind in _LISTS}
    if not lists["sparse_depth"].is_file():
        splits = sorted(path.name.removesuffix("_sparse_depth.txt") for path in folder.glob("*_sparse_depth.txt"))
        hint = f" It has the splits {', '.join(splits)}." if splits else ""
        raise DataError(f"VOID: {lists['sparse_depth']} does not exist; it lists the frames of split '{split}'.{hint}")
    lines = {kind: text_of(path, "VOID list").split() for kind, path in lists.items() if path.is_file()}
    count = len(lines["sparse_depth"])
    for kind, paths in lines.items():
        if len(paths) != count:
            raise DataError(
                f"VOID: {lists[kind]} names {len(paths)} files and {lists['sparse_depth']} {count}; expected equal."
            )
    listed: dict[Path, set[str]] = {}
    frames = []
    for i, line in enumerate(lines["sparse_depth"]):
        files = {_LISTS[kind]: _resolved(paths[i], folder) for kind, paths in lines.items()}
        there = {name: path for name, path in files.items() if _is_there(path, listed)}
        stem = PurePosixPath(line).stem
        sequence = PurePosixPath(line).parent.parent.name
        for name, path in files.items():
            if name != "intrinsics" and path.stem != stem:
                raise DataError(f"VOID: line {i + 1} of the lists names {path.name} beside {PurePosixPath(line).name}.")
        frames.append(ListedFrame(f"{sequence}_{stem}", there))
    return frames


def _resolved(line: str, folder: Path) -> Path:
    """A list's path, which starts above ``void_release``, from the density's folder on."""
    parts = PurePosixPath(line).parts
    return folder.joinpath(*parts[parts.index(folder.name) + 1 :]) if folder.name in parts else folder / line


def _is_there(path: Path, listed: dict[Path, set[str]]) -> bool:
    if path.parent not in listed:
        listed[path.parent] = {other.name for other in path.parent.iterdir()} if path.parent.is_dir() else set()
    return path.name in listed[path.parent]
