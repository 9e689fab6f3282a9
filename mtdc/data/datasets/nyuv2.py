"""NYU Depth v2, indoor (Silberman et al., ECCV 2012), with the window of Eigen et al. (NeurIPS 2014) and Ma and Karaman (2018).

    640x480 -> every second pixel -> centre 304x228 (columns 8 to 311, rows 6 to 233)      K' = (fx/2, fy/2, cx/2 - 8, cy/2 - 6)

Shapes      sparse_depth, gt_depth (1, 228, 304) metres; image (3, 228, 304) RGB 0..255, means of 2x2 pixels; intrinsics (3, 3);
            semantics (228, 304) of 40 or 13 classes; normals (3, 228, 304), fitted to the depth.
Test time   split="val" is the official test set in every form of the data; there is no sparse depth: it is the whole depth
            map until a transform draws from it (SamplePoints(points=500, fixed=True)).
Differs     from Ma and Karaman's code: no interpolation of depth when it is halved, so no depth between two surfaces.
Cost        the listing of folders at the start; HDF5 files are opened for each frame.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np
import torch

from ...contracts import Transform
from ...errors import ConfigError, DataError
from ...geometry import normals_from_depth
from ...registry import DATASETS
from ...structures import DEPTH, IMAGE, NORMALS, SEMANTICS, SPARSE_DEPTH, Field, Frame
from ..listed import WholeDepthDataset
from ..maps import gray_of, read_map
from ..moves import crop_frame, start_view
from ..nyuv2_classes import CLASSES, NYU40_CLASSES, class_indices
from ..nyuv2_layout import MAPPING_FILE, LabelledFile, find_source

_log = logging.getLogger("mtdc")
#: (H, W) of the stored frames, and what they are then.
FULL_SIZE, HALF_SIZE, WINDOW_SIZE = (480, 640), (240, 320), (228, 304)
_WINDOW_LEFT, _WINDOW_TOP = 8, 6
#: fx, fy, cx, cy of the colour camera at 640x480, from the data set's toolbox.
_CAMERA = (518.857901, 519.469611, 325.582449, 253.736166)
_KINDS = {SPARSE_DEPTH.name: "depth", DEPTH.name: "depth", NORMALS.name: "depth", IMAGE.name: "image", SEMANTICS.name: "label"}


@DATASETS.register_module()
class NYUv2(WholeDepthDataset):
    """Frames of one split, in whichever of the known forms the folder is (docs/datasets.md lists them).

    Args:
        data_root: Folder of the data, or the labelled ``.mat`` itself.
        split: "train", or "val" (also "test"), or any folder of frames.
        window: Frames as the protocol has them, 304x228; False: as stored.
        depth: "filled" (in-painted, the field's ground truth) or, from the ``.mat``, "raw" with the Kinect's holes.
        classes: 40 or 13 semantic classes.
        stored_classes: Those of the label files: 40 or 13.
        inputs: What the network reads.
        targets: What is compared with.
        transforms: Configs of transforms; one must draw the sparse depth.
        seed: Start of all random choices.

    Raises:
        ConfigError: An unknown ``depth``, or classes that can't be.
        DataError: The folder, the split, a package or an input is missing; the text says what was looked for.
    """

    METAINFO: ClassVar[dict[str, Any]] = {"dataset": "nyuv2", "classes": NYU40_CLASSES}

    def __init__(
        self,
        data_root: str | Path,
        split: str,
        window: bool = True,
        depth: str = "filled",
        classes: int = 40,
        stored_classes: int = 40,
        inputs: Sequence[Field | str] = (SPARSE_DEPTH,),
        targets: Sequence[Field] = (DEPTH,),
        transforms: Sequence[Mapping[str, Any] | Transform] = (),
        seed: int = 0,
    ) -> None:
        super().__init__(inputs, targets, transforms, seed)
        if depth not in ("filled", "raw"):
            raise ConfigError(f"NYUv2: depth='{depth}'; expected 'filled' or 'raw'.")
        if classes not in CLASSES or stored_classes not in CLASSES or classes > stored_classes:
            raise ConfigError(
                f"NYUv2: classes={classes} of stored_classes={stored_classes}; expected 40 of 40, 13 of 40 or 13 of 13."
            )
        self.window, self.classes, self.stored_classes = window, classes, stored_classes
        self.source = find_source(Path(data_root).expanduser(), split, depth == "raw")
        self.split = self.source.split
        self._check()

    @property
    def metainfo(self) -> dict[str, Any]:
        """The name, and those classes that the labels are of."""
        return {**self.METAINFO, "classes": CLASSES[self.classes]}

    def __len__(self) -> int:
        return len(self.source.names)

    def sample_id(self, index: int) -> str:
        """The official number of four digits; in the HDF5 tree's training part ``<scene>_<number>``."""
        return self.source.names[index]

    def count(self, row: Field) -> int:
        """Number of frames that have a field: normals come from depth, fields of one's own from files beside it."""
        kind = _KINDS.get(row.name)
        if kind is not None:
            return self.source.count(kind)
        return sum(self.source.own_file(i, row) is not None for i in range(len(self)))

    def load(self, index: int) -> Frame:
        """The frame's maps, half size and cropped where ``window`` says so."""
        stored = self._stored(index)
        size = self._size(index, stored)
        half = self.window and size == FULL_SIZE
        maps = {kind: _halved(array) if half else array for kind, array in stored.items()}
        frame = Frame(maps=maps, fields=dict.fromkeys(maps, DEPTH), intrinsics=self._intrinsics(index, size, half))
        frame.meta = start_view({"scale": (0.5, 0.5)} if half else {}, size)
        if self.window and frame.size == HALF_SIZE:
            frame = crop_frame(frame, _WINDOW_LEFT, _WINDOW_TOP, *WINDOW_SIZE)
        maps = {key: self._map(row, frame, index) for key, row in self.rows.items()}
        return Frame(maps, dict(self.rows), frame.intrinsics if self.wants_intrinsics else None, frame.meta)

    def _stored(self, index: int) -> dict[str, np.ndarray]:
        kinds = {kind for row in self.rows.values() if (kind := _KINDS.get(row.name))} or {"depth"}
        stored = {}
        for kind in sorted(kinds):
            if kind == "label":
                labels = self.source.labels(index)
                if labels is not None:
                    where = self.source.where(index, kind)
                    stored[kind] = class_indices(labels, self.stored_classes, self.classes, where)
            elif kind == "image" and IMAGE not in self.inputs and not self.source.count("image"):
                continue  # a target that no frame has is unknown
            else:
                stored[kind] = self.source.depth(index) if kind == "depth" else self.source.image(index)
        return stored

    def _size(self, index: int, stored: Mapping[str, np.ndarray]) -> tuple[int, int]:
        sizes = {kind: array.shape[:2] for kind, array in stored.items()}
        if len(set(sizes.values())) > 1:
            found = ", ".join(f"{kind} {width}x{height}" for kind, (height, width) in sizes.items())
            raise DataError(f"{self.source.where(index, 'depth')}: one frame must have one size (width x height), not {found}.")
        height, width = next(iter(sizes.values()))
        if self.window and (height, width) not in (FULL_SIZE, HALF_SIZE, WINDOW_SIZE):
            raise DataError(
                f"{self.source.where(index, 'depth')} is {width}x{height} (width x height); expected NYUv2's 640x480, 320x240 "
                "or the window 304x228. Frames of another size: window=False."
            )
        return height, width

    def _intrinsics(self, index: int, size: tuple[int, int], half: bool) -> np.ndarray | None:
        wanted = self.wants_intrinsics or NORMALS.target_key in self.rows
        if not wanted:
            return None
        if size not in (FULL_SIZE, HALF_SIZE, WINDOW_SIZE):
            where = self.source.where(index, "depth")
            raise DataError(f"{where} is {size[1]}x{size[0]} (width x height), for which NYUv2's intrinsics are not known.")
        fx, fy, cx, cy = _CAMERA
        if half or size != FULL_SIZE:  # every second pixel, from the first on: the centre of the first stays at (0, 0)
            fx, fy, cx, cy = fx / 2, fy / 2, cx / 2, cy / 2
        if size == WINDOW_SIZE:
            cx, cy = cx - _WINDOW_LEFT, cy - _WINDOW_TOP
        return np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]])

    def _map(self, row: Field, frame: Frame, index: int) -> np.ndarray:
        """A field's map from the loaded ones."""
        kind = _KINDS.get(row.name)
        if kind is None:
            path = self.source.own_file(index, row)
            found = None if path is None else read_map(path, row)
            if found is not None and found.shape[:2] != frame.size:
                (h1, w1), (h2, w2) = found.shape[:2], frame.size
                raise DataError(f"{path} is {w1}x{h1} and its frame {w2}x{h2} (width x height); expected the same.")
            return row.empty(*frame.size) if found is None else found
        if kind not in frame.maps:
            return row.empty(*frame.size)
        array = frame.maps[kind]
        if row.name == NORMALS.name:
            return _normals(array, frame.intrinsics)
        return gray_of(array) if kind == "image" and row.channels == 1 else np.ascontiguousarray(array)

    def _check(self) -> None:
        """Say what is missing now and not in the middle of a run."""
        for row in self.inputs:
            if row.name in self.rows and self.count(row) < len(self):
                raise DataError(
                    f"NYUv2: {len(self) - self.count(row)} of {len(self)} frames of {self.source.place} have no file of the "
                    f"input '{row.name}'."
                )
        for row in self.targets:
            there = self.known(row)
            if there < len(self):
                hint = f" {MAPPING_FILE} beside the file names its classes." if isinstance(self.source, LabelledFile) else ""
                _log.warning(
                    "NYUv2: %d of %d frames of %s have the target '%s'; it is unknown in the others.%s",
                    there, len(self), self.source.place, row.name, hint,
                )  # fmt: skip


def _halved(array: np.ndarray) -> np.ndarray:
    """Every second pixel; a photo's are means of 2x2."""
    if array.ndim == 2:
        return array[::2, ::2]
    return np.asarray(cv2.resize(array, (array.shape[1] // 2, array.shape[0] // 2), interpolation=cv2.INTER_AREA))


def _normals(depth: np.ndarray, intrinsics: np.ndarray | None) -> np.ndarray:
    assert intrinsics is not None
    tensor = torch.from_numpy(np.ascontiguousarray(depth, dtype=np.float32))[None, None]
    return normals_from_depth(tensor, torch.from_numpy(intrinsics)[None])[0].permute(1, 2, 0).numpy()
