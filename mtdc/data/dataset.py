"""The base of every data set: it loads what is asked for, moves it through the transforms and packs it for the model."""

from __future__ import annotations

import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch.utils.data import Dataset

from ..contracts import Transform
from ..errors import ConfigError, DataError, did_you_mean
from ..registry import DATASETS, TRANSFORMS, build
from ..structures import DEPTH, INPUT_FIELDS, INTRINSICS, SPARSE_DEPTH, DepthSample, Field, Frame, to_tensor
from .maps import gray_of, read_map
from .moves import start_view

#: Finds the file of a field in one frame, or None where the frame has none.
FindFile = Callable[[Field], Path | None]


@DATASETS.contract
class DepthDataset(Dataset[dict[str, Any]], ABC):
    """Frames by number: ``dataset[i]`` or ``dataset[i, epoch]`` is ``{'inputs': {key: tensor}, 'data_samples': DepthSample}``.

    Only what ``inputs`` and ``targets`` name is opened. A label file that a frame lacks becomes a map of the field's "unknown";
    an input that it lacks is a :class:`~mtdc.errors.DataError`. Random choices depend on ``seed``, the frame and the
    epoch, and on nothing else: not on workers, order or process. Without an epoch, at evaluation, they depend on the frame's
    name and not on its number, so that they stay the same whichever other frames there are.

    Args:
        inputs: What the network reads: rows of the field table, or names of ``INPUT_FIELDS``.
        targets: What is compared with: rows of the field table.
        transforms: Configs of transforms (or transforms), applied in order.
        seed: Start of all random choices.

    Raises:
        ConfigError: Unknown inputs, two targets of one name, or a transform that can't be built.
    """

    #: ``dataset``: name in results; whatever else people should know (class names, the camera).
    METAINFO: ClassVar[dict[str, Any]] = {"dataset": "unnamed"}

    def __init__(
        self,
        inputs: Sequence[Field | str] = (SPARSE_DEPTH,),
        targets: Sequence[Field] = (DEPTH,),
        transforms: Sequence[Mapping[str, Any] | Transform] = (),
        seed: int = 0,
    ) -> None:
        self.inputs = _rows(inputs, "inputs", INPUT_FIELDS)
        self.targets = _rows(targets, "targets", {})
        #: Rows of all maps to load, by key of the frame.
        self.rows = {row.name: row for row in self.inputs if row.name != INTRINSICS.name}
        self.rows |= {row.target_key: row for row in self.targets}
        self.transforms: list[Transform] = [build(TRANSFORMS, cfg, f"transforms[{i}]") for i, cfg in enumerate(transforms)]
        wanted = {row.name for row in self.inputs}.union(*(transform.needs for transform in self.transforms))
        #: Whether ``load`` gives K: the network reads it, or a transform does.
        self.wants_intrinsics = INTRINSICS.name in wanted
        self.seed = seed

    @property
    def metainfo(self) -> dict[str, Any]:
        """What mmengine's evaluator hands to the metrics."""
        return dict(self.METAINFO)

    @abstractmethod
    def __len__(self) -> int:
        """Number of frames."""

    @abstractmethod
    def sample_id(self, index: int) -> str:
        """Name of a frame: unique in the data set and fit for a file name without suffix."""

    #: The split that the frames are of, where a data set has splits.
    split: str | None = None

    def count(self, row: Field) -> int:
        """Number of frames that are stored with a known map of a field; all of them, unless a data set knows better."""
        return len(self)

    def known(self, row: Field) -> int:
        """Number of frames that come with a field: those stored with it, or all where a transform makes it as a target."""
        made = any(row.target_key in transform.gives for transform in self.transforms)
        return len(self) if made else self.count(row)

    @abstractmethod
    def load(self, index: int) -> Frame:
        """Frame ``index`` as stored: a map for each key of ``rows``, and the intrinsics where ``wants_intrinsics``.

        Raises:
            DataError: An input is missing, a file is broken, or sizes disagree.
        """

    def __getitem__(self, index: int | tuple[int, int]) -> dict[str, Any]:
        """Inputs as ``(C, H, W)`` tensors (intrinsics ``(3, 3)``) and the sample with ``gt_*`` and metainfo."""
        number, epoch = index if isinstance(index, tuple) else (index, 0)
        number, count = int(number), len(self)
        if not -count <= number < count:
            raise IndexError(f"frame {number} of a data set with {count} frames")
        number %= count
        frame = self.load(number)
        name = self.sample_id(number)
        meta = {"dataset": self.METAINFO["dataset"], "sample_id": name}
        frame.meta = start_view({**meta, **frame.meta}, frame.size)
        # In training by number: names of streets that are drawn anew each epoch repeat.
        own = number if isinstance(index, tuple) else zlib.crc32(name.encode())
        generator = np.random.default_rng([self.seed, own, int(epoch)])
        for transform in self.transforms:
            frame = transform(frame, generator)
        return self._pack(frame)

    def read_frame(self, name: str, find: FindFile, intrinsics: np.ndarray | None = None) -> Frame:
        """A frame from files: for each row the file that ``find`` knows, all of one size.

        Args:
            name: The frame, for messages.
            find: The file of a row, or None. The photo is asked for by any row named "image".
            intrinsics: ``(3, 3)`` or None.

        Raises:
            DataError: An input has no file, a file is broken or a depth map without any pixel, or two files differ in size.
        """
        files = {key: find(row) for key, row in self.rows.items()}
        photos: dict[Path, np.ndarray] = {}
        maps = {key: _read(path, self.rows[key], photos) for key, path in files.items() if path is not None}
        for row in self.inputs:
            if row.name in files and row.name not in maps:
                raise DataError(f"frame {name} has no file of its input '{row.name}'.")
        size = _common_size({files[key]: array for key, array in maps.items()})
        if size is None:
            reference = find(SPARSE_DEPTH)
            if reference is None:
                raise DataError(f"frame {name} has no file of {', '.join(self.rows) or 'anything asked for'}.")
            size = read_map(reference, SPARSE_DEPTH).shape[:2]
        for key, row in self.rows.items():
            if key not in maps:
                maps[key] = row.empty(*size)
            elif row.kind == "depth" and (maps[key] == row.unknown).all():
                what = "the frame is left out then" if row in self.inputs else "the frame has no ground truth then"
                raise DataError(f"{files[key]} has no measured pixel (all 0); copy it again, or remove it: {what}.")
        return Frame(maps={key: maps[key] for key in self.rows}, fields=dict(self.rows), intrinsics=intrinsics)

    def _pack(self, frame: Frame) -> dict[str, Any]:
        inputs = {row.name: to_tensor(frame.maps[row.name], row) for row in self.inputs if row.name in self.rows}
        if INTRINSICS in self.inputs:
            if frame.intrinsics is None:
                raise DataError(f"frame {frame.meta['sample_id']} has no intrinsics, and the network reads them.")
            inputs[INTRINSICS.name] = torch.from_numpy(frame.intrinsics.astype(np.float32))
        # The batch may have to be padded by someone who sees tensors alone.
        unknown = {key: row.unknown for key, row in self.rows.items()}
        sample = DepthSample(metainfo={**frame.meta, "unknown": unknown})
        for row in self.targets:
            sample.set_field(to_tensor(frame.maps[row.target_key], row), row.target_key)
        return {"inputs": inputs, "data_samples": sample}


def _rows(rows: Sequence[Field | str], key: str, known: Mapping[str, Field]) -> tuple[Field, ...]:
    if isinstance(rows, str | Field):
        raise ConfigError(f"{key} must be a list, not {rows!r}.")
    found: dict[str, Field] = {}
    for row in rows:
        if isinstance(row, str):
            if row not in known:
                raise ConfigError(f"{key}: '{row}' is no row of the field table.{did_you_mean(row, known)}")
            row = known[row]
        if not isinstance(row, Field):
            raise ConfigError(f"{key} must hold mtdc.Field rows, not {row!r}.")
        if found.setdefault(row.name, row) != row:
            raise ConfigError(f"{key}: two different fields are named '{row.name}'; one frame can hold one of them.")
    return tuple(found.values())


def _read(path: Path, row: Field, photos: dict[Path, np.ndarray]) -> np.ndarray:
    """A map; the photo, which may be an input in colour and a target in gray, is decoded once."""
    if row.kind != "image":
        return read_map(path, row)
    if path not in photos:
        photos[path] = read_map(path, INPUT_FIELDS["image"])
    return gray_of(photos[path]) if row.channels == 1 else photos[path]


def _common_size(maps: Mapping[Path | None, np.ndarray]) -> tuple[int, int] | None:
    first: tuple[Path | None, tuple[int, ...]] | None = None
    for path, array in maps.items():
        size = array.shape[:2]
        if first is None:
            first = (path, size)
        elif size != first[1]:
            (h1, w1), (h2, w2) = first[1], size
            raise DataError(f"{first[0]} is {w1}x{h1} and {path} is {w2}x{h2} (width x height); one frame must have one size.")
    return None if first is None else (first[1][0], first[1][1])
