"""KITTI depth completion (Uhrig et al., Sparsity Invariant CNNs, 3DV 2017; raw data of Geiger et al., IJRR 2013).

    depth [m] = stored 16-bit value / 256, 0 = none        K = the first three columns of P_rect_0x

Shapes      sparse_depth, gt_depth (1, H, W) metres; image (3, H, W) RGB 0..255; intrinsics (3, 3) pixels. H and W differ
            between recording days (1242x375, 1241x376, ...); 1216x352 in the selection and the anonymous test.
Test time   split="val_selection_cropped" has ground truth; "test_depth_completion_anonymous" has none, and its targets are
            unknown everywhere.
Differs     from the devkit: files are paired by name, not by rank in a list.
Cost        the listing of folders at the start (seconds for the 85,898 training frames); nothing is cached on disk.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from ...contracts import Transform
from ...errors import DataError
from ...registry import DATASETS
from ...structures import CITYSCAPES_CLASSES, DEPTH, IMAGE, SPARSE_DEPTH, Field, Frame
from ..calibration import Calibration, read_calibration, read_intrinsics
from ..dataset import DepthDataset
from ..kitti_layout import (
    IMAGE_FOLDER,
    INTRINSICS_FOLDER,
    SPARSE_FOLDER,
    TARGET_FOLDER,
    DriveSplit,
    Series,
    find_split,
)

_log = logging.getLogger("mtdc")


@DATASETS.register_module()
class KittiDepthCompletion(DepthDataset):
    """Frames of one split, in whichever of the known layouts the folder is (docs/datasets.md lists them).

    A frame is a sparse depth map. Ground truth without one is left out (``left_out`` counts it).

    Args:
        data_root: Folder that holds the splits, or with ``split="."`` the split itself.
        split: "train", "val", "val_selection_cropped", "test_depth_completion_anonymous" or any folder of drives; of several
            names the first that holds frames.
        raw_root: Root of KITTI's raw data (images, calibration), where it lies outside ``data_root``.
        cameras: 2 (left colour camera), 3 (right), or both.
        require_target: Leave out frames without ground-truth depth; otherwise their target is unknown everywhere.
        inputs: What the network reads.
        targets: What is compared with. A field with a ``folder`` is read from ``proj_depth/<folder>/image_0x`` (in a selection
            from ``<folder>``).
        transforms: Configs of transforms.
        seed: Start of all random choices.

    Raises:
        DataError: The folder, the split, or an input of some frame is missing; the text says where it was looked for.
    """

    METAINFO: ClassVar[dict[str, Any]] = {"dataset": "kitti", "classes": CITYSCAPES_CLASSES}

    def __init__(
        self,
        data_root: str | Path,
        split: str | Sequence[str],
        raw_root: str | Path | None = None,
        cameras: Sequence[int] = (2, 3),
        require_target: bool = False,
        inputs: Sequence[Field | str] = (SPARSE_DEPTH,),
        targets: Sequence[Field] = (DEPTH,),
        transforms: Sequence[Mapping[str, Any] | Transform] = (),
        seed: int = 0,
    ) -> None:
        super().__init__(inputs, targets, transforms, seed)
        if not cameras or not set(cameras) <= {2, 3}:
            raise ValueError(f"cameras must be 2, 3 or both, not {tuple(cameras)}")
        raw_root = None if raw_root is None else Path(raw_root).expanduser()
        self.layout = find_split(Path(data_root).expanduser(), split, raw_root)
        self.split = self.layout.name if isinstance(self.layout, DriveSplit) else self.layout.folder.name
        kinds = {SPARSE_FOLDER, TARGET_FOLDER, *filter(None, map(_kind, self.rows.values()))}
        if self.wants_intrinsics:
            kinds.add(INTRINSICS_FOLDER)
        self._series: list[Series] = list(self.layout.series(cameras, sorted(kinds)))
        self._calibrations: dict[Path, Calibration] = {}
        #: Ground-truth maps that have no sparse map.
        self.left_out = 0
        self._frames: list[tuple[int, str]] = []
        for number, series in enumerate(self._series):
            sparse, target = (series.files.get(kind, {}) for kind in (SPARSE_FOLDER, TARGET_FOLDER))
            self.left_out += len(target.keys() - sparse.keys())
            self._frames += [(number, key) for key in sorted(sparse) if not require_target or key in target]
        self._check(require_target)

    def __len__(self) -> int:
        return len(self._frames)

    def sample_id(self, index: int) -> str:
        """``2011_09_26_drive_0001_sync_image_02_0000000005``; in a selection the stem of the image's name."""
        number, key = self._frames[index]
        return self._series[number].sample_id(key)

    def count(self, row: Field) -> int:
        """Number of frames that have a file of a field."""
        kind = _kind(row)
        return 0 if kind is None else sum(key in self._series[n].files.get(kind, ()) for n, key in self._frames)

    def load(self, index: int) -> Frame:
        """The frame's maps as stored."""
        number, key = self._frames[index]
        series, name = self._series[number], self.sample_id(index)

        def find(row: Field) -> Path | None:
            kind = _kind(row)
            return None if kind is None else series.path(kind, key)

        frame = self.read_frame(name, find)
        if self.wants_intrinsics:
            frame.intrinsics = self._intrinsics(series, key, frame.size)
        return frame

    def _intrinsics(self, series: Series, key: str, size: tuple[int, int]) -> np.ndarray:
        if series.drive is None or series.camera is None:
            path = series.path(INTRINSICS_FOLDER, key)
            if path is None:
                raise DataError(f"frame {key} has no intrinsics: looked in {self.layout.looked_for(INTRINSICS_FOLDER)}.")
            return read_intrinsics(path)
        calibration = self._calibration(series.drive)
        expected = calibration.size(series.camera)
        if expected != size:
            raise DataError(
                f"frame {series.sample_id(key)} is {size[1]}x{size[0]} and its calibration in {calibration.folder} is for "
                f"{expected[1]}x{expected[0]} (width x height): its intrinsics would be wrong. Was it cropped?"
            )
        return calibration.intrinsics(series.camera)

    def _calibration(self, drive: str) -> Calibration:
        assert isinstance(self.layout, DriveSplit)
        folder = self.layout.calibration_folder(drive)
        if folder not in self._calibrations:
            self._calibrations[folder] = read_calibration(folder)
        return self._calibrations[folder]

    def _check(self, require_target: bool) -> None:
        """Say what is missing now and not in the middle of a run."""
        if not self._frames:
            wanted = "sparse depth with ground truth" if require_target else "sparse depth"
            places = self.layout.looked_for(SPARSE_FOLDER)
            raise DataError(
                f"{self.layout.root}: no frame with {wanted} of these cameras; looked in {places}. {self.left_out} "
                "ground-truth maps have no sparse map. Is one of the two archives (velodyne, annotated) not unpacked?"
            )
        for row in self.inputs:
            self._check_input(row)
        for row in self.targets:
            self._check_target(row)

    def _check_target(self, row: Field) -> None:
        kind, with_file = _kind(row), self.known(row)
        if kind is None or with_file == len(self):
            return
        places = f"looked in {self.layout.looked_for(kind)} of {self.layout.root}"
        if with_file:
            without = len(self) - with_file
            _warn_once(
                f"KITTI: {with_file} frames have a file of the target '{row.name}' and {without} have none ({places}); it is "
                "unknown there."
            )
        else:
            _warn_once(f"KITTI: no frame has a file of the target '{row.name}' ({places}); it is unknown everywhere.")

    def _check_input(self, row: Field) -> None:
        if row.name not in self.rows:
            if isinstance(self.layout, DriveSplit):
                for series in self._series:
                    if series.drive is not None and series.camera is not None and series.files.get(SPARSE_FOLDER):
                        self._calibration(series.drive).intrinsics(series.camera)
                return
            kind: str | None = INTRINSICS_FOLDER
        else:
            kind = _kind(row)
        if kind is None:
            raise DataError(f"KITTI has no files of the input '{row.name}': its field names no folder.")
        missing = [(n, key) for n, key in self._frames if key not in self._series[n].files.get(kind, ())]
        if missing:
            number, key = missing[0]
            raise DataError(
                f"{len(missing)} of {len(self)} frames have no file of the input '{row.name}', first "
                f"{self._series[number].sample_id(key)}; looked for {self.layout.looked_for(kind)} (in {self.layout.root})."
            )


@functools.cache
def _warn_once(text: str) -> None:
    # One run builds its validation set again for every method that it compares with.
    _log.warning("%s", text)


def _kind(row: Field) -> str | None:
    """What a field's files are listed under: the photo serves every row named "image"."""
    return IMAGE_FOLDER if row.name == IMAGE.name and row.kind == "image" else row.folder
