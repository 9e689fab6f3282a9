"""Data sets whose frames are lists of files, and those that hand on dense depth to draw sparse depth from."""

from __future__ import annotations

import dataclasses
import logging
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from ..contracts import Transform
from ..errors import DataError
from ..structures import DEPTH, INTRINSICS, SPARSE_DEPTH, Field, Frame
from .dataset import DepthDataset

_log = logging.getLogger("mtdc")


class WholeDepthDataset(DepthDataset):
    """A data set that may be asked for sparse depth that it has only as a whole map; who forgets to draw from it is told."""

    _said = False

    def __getitem__(self, index: int | tuple[int, int]) -> dict[str, Any]:
        """As in every data set; a network that is handed the whole ground truth is warned about, once."""
        item = super().__getitem__(index)
        sparse, truth = item["inputs"].get(SPARSE_DEPTH.name), item["data_samples"].get(DEPTH.target_key)
        if not self._said and sparse is not None and truth is not None and truth.any() and torch.equal(sparse, truth):
            self._said = True
            _log.warning(
                "%s: the network is given the whole ground truth as its sparse depth. Add dict(type='SamplePoints') to the "
                "data set's transforms.",
                self.METAINFO["dataset"],
            )
        return item


class ListedFrame(NamedTuple):
    """A frame's name and its files, by the name of the field ("sparse_depth", "depth", "image", ...) or the field's folder."""

    name: str
    files: Mapping[str, Path]


class ListedDataset(WholeDepthDataset):
    """Frames from lists of files.

    Args:
        frames: Each frame's files.
        place: Where they are, for messages.
        depth_scale: Stored value of one metre in depth PNGs.
        inputs, targets, transforms, seed: As in every data set.

    Raises:
        DataError: There is no frame, or an input has no file.
    """

    def __init__(
        self,
        frames: Sequence[ListedFrame],
        place: Path,
        depth_scale: float = 256.0,
        inputs: Sequence[Field | str] = (SPARSE_DEPTH,),
        targets: Sequence[Field] = (DEPTH,),
        transforms: Sequence[Mapping[str, Any] | Transform] = (),
        seed: int = 0,
    ) -> None:
        super().__init__(inputs, targets, transforms, seed)
        self.frames, self.place = frames, place
        self.rows = {
            key: dataclasses.replace(row, scale_to_unit=1 / depth_scale) if row.kind == "depth" else row
            for key, row in self.rows.items()
        }
        if not frames:
            raise DataError(f"{place}: no frame was found.")
        for row in self.inputs:
            missing = [frame.name for frame in frames if file_of(frame, row) is None]
            if missing and row.name != INTRINSICS.name:
                raise DataError(
                    f"{len(missing)} of {len(frames)} frames in {place} have no file of the input '{row.name}', first "
                    f"{missing[0]}."
                )
        if self.wants_intrinsics:
            missing = [frame.name for frame in frames if self.intrinsics_file(frame) is None]
            if missing:
                raise DataError(f"{len(missing)} of {len(frames)} frames in {place} have no intrinsics, first {missing[0]}.")
        for row in self.targets:
            there = self.known(row)
            if there < len(frames):
                _log.warning(
                    "%s: %d of %d frames have a file of the target '%s'; it is unknown in the others.",
                    place, there, len(frames), row.name,
                )  # fmt: skip

    def __len__(self) -> int:
        return len(self.frames)

    def sample_id(self, index: int) -> str:
        """The frame's name."""
        return self.frames[index].name

    def count(self, row: Field) -> int:
        """Number of frames that have a file of a field."""
        return sum(file_of(frame, row) is not None for frame in self.frames)

    def load(self, index: int) -> Frame:
        """The frame's maps as stored."""
        listed = self.frames[index]
        frame = self.read_frame(listed.name, lambda row: file_of(listed, row))
        if self.wants_intrinsics:
            frame.intrinsics = self.intrinsics(index, frame.size)
        return frame

    @abstractmethod
    def intrinsics_file(self, frame: ListedFrame) -> Path | None:
        """The file that a frame's camera is read from, or None where there is none."""

    @abstractmethod
    def intrinsics(self, index: int, size: tuple[int, int]) -> np.ndarray:
        """``(3, 3)`` pixels of a frame whose maps are of size (H, W).

        Raises:
            DataError: They are not known.
        """


def file_of(frame: ListedFrame, row: Field) -> Path | None:
    """The file of a field in one frame: under its name, or for fields of the user's own under their folder's."""
    return frame.files.get(row.name) or frame.files.get(row.folder or "")
