"""The street world, drawn while training: endless frames without a data set on disk.

    frame = draw(world seed, split, number)        number = index + epoch * length where streets are fresh, else index

Shapes      sparse_depth, gt_depth (1, H, W) metres; image (3, H, W) RGB 0..255; intrinsics (3, 3) pixels; normals, semantics
            (Cityscapes train ids) and dense depth as targets on request.
Test time   fresh=False gives the same frames in every epoch; split names share no street.
Differs     from the world on disk (``mtdc street``) in rounding alone: files hold 1/256 m.
Cost        about 0.7 s of one core for a 352x1216 frame with accumulated truth, half of it without; no disk. On a GPU
            (``device="cuda"``, ``num_workers=0``) the frames of a batch are drawn as one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import torch

from ...contracts import Transform
from ...errors import ConfigError
from ...registry import DATASETS
from ...structures import CITYSCAPES_CLASSES, DEPTH, SPARSE_DEPTH, Field, Frame
from ..dataset import DepthDataset
from ..maps import gray_of
from ..street import LidarOptions, StreetFrame, StreetOptions, draw_frames
from ..street.writer import DRIVE, split_seed

#: The world's map by a field's folder, as on disk.
_FOLDERS = {"groundtruth": "truth", "dense": "dense", "normals": "normals", "semantics": "semantics"}


@DATASETS.register_module()
class StreetWorld(DepthDataset):
    """Procedural streets, drawn on demand in the worker that asks.

    Args:
        length: Streets of one epoch; each is a frame, or two where two cameras see it.
        size: (H, W) in pixels.
        split: Streets of one split never occur in another.
        world_seed: Seed of the world; ``seed`` is the transforms' alone, so that a validation set stays the same from run to
        run.
        fresh: Every epoch draws new frames.
        intrinsics: fx, fy, cx, cy in pixels; None is KITTI's camera.
        lidar: Keys of :class:`~mtdc.data.street.LidarOptions`; None is KITTI's HDL-64.
        layouts, truth, filter_share, scan_share, grow, grow_share, edge_band, cameras, one_camera, wet: As in
            :class:`~mtdc.data.street.StreetOptions`.
        device: Where frames are drawn; a GPU asks for ``num_workers=0``, and draws the frames of a batch as one.
        inputs, targets, transforms, seed: As in every data set.

    Raises:
        ConfigError: An option that the world doesn't have or can't take.
    """

    METAINFO: ClassVar[dict[str, Any]] = {"dataset": "street", "classes": CITYSCAPES_CLASSES}

    def __init__(
        self,
        length: int,
        size: Sequence[int] = (352, 1216),
        split: str = "train",
        world_seed: int = 0,
        fresh: bool = True,
        intrinsics: Sequence[float] | None = None,
        lidar: Mapping[str, Any] | None = None,
        layouts: Sequence[str] | None = None,
        truth: str = "filtered",
        filter_share: float = 1.0,
        scan_share: float = 0.0,
        grow: int = 0,
        grow_share: float = 1.0,
        edge_band: int = 0,
        cameras: Sequence[int] = (2,),
        one_camera: bool = False,
        wet: float = 0.0,
        device: str = "cpu",
        inputs: Sequence[Field | str] = (SPARSE_DEPTH,),
        targets: Sequence[Field] = (DEPTH,),
        transforms: Sequence[Mapping[str, Any] | Transform] = (),
        seed: int = 0,
    ) -> None:
        super().__init__(inputs, targets, transforms, seed)
        if length < 1:
            raise ConfigError(f"StreetWorld: length={length}; expected at least 1.")
        if len(size) != 2:
            raise ConfigError(f"StreetWorld: size={tuple(size)}; expected (H, W).")
        self.options = StreetOptions(
            size=(int(size[0]), int(size[1])),
            intrinsics=None if intrinsics is None else tuple(intrinsics),  # type: ignore[arg-type]
            lidar=LidarOptions.of(lidar or {}),
            layouts=None if layouts is None else tuple(layouts),
            truth=truth,
            filter_share=filter_share,
            scan_share=scan_share,
            grow=grow,
            grow_share=grow_share,
            edge_band=edge_band,
            cameras=tuple(cameras),
            one_camera=one_camera,
            wet=wet,
        )
        self.length, self.split, self.fresh, self.device = length, split, fresh, device
        self.world_seed = split_seed(world_seed, split)
        self._epoch = 0
        #: Frames of the batch that is being loaded, by street and camera.
        self._drawn: dict[tuple[int, int], StreetFrame] = {}
        for row in self.inputs:
            if row.name in self.rows and self._map(row) is None:
                raise ConfigError(f"StreetWorld has no map of the input '{row.name}'; it has sparse_depth, image, intrinsics.")

    def __len__(self) -> int:
        return self.length * (1 if self.options.one_camera else len(self.options.cameras))

    def sample_id(self, index: int) -> str:
        """As the frame of that number is called on disk, and in the order of the files there: first all of camera 2."""
        return f"{DRIVE}_image_{self._street(index, self._epoch)[1]:02d}_{index % self.length:010d}"

    def _street(self, index: int, epoch: int) -> tuple[int, int]:
        """Number of the street in the world, and the camera that sees it."""
        number = index % self.length + (epoch * self.length if self.fresh else 0)
        return number, self.options.cameras_of(self.world_seed, number)[index // self.length]

    def count(self, row: Field) -> int:
        """All frames for the world's own maps, none for others."""
        return 0 if self._map(row) is None else len(self)

    def __getitem__(self, index: int | tuple[int, int]) -> dict[str, Any]:
        """Frame of an epoch; without one, of epoch 0."""
        self._epoch = int(index[1]) if isinstance(index, tuple) else 0
        return super().__getitem__(index)

    def __getitems__(self, indices: Sequence[int | tuple[int, int]]) -> list[dict[str, Any]]:
        """The frames of a batch, as torch's loader asks for them; a GPU draws them as one."""
        if torch.device(self.device).type != "cpu":
            pairs = [index if isinstance(index, tuple) else (index, 0) for index in indices]
            self._drawn = self._draw([self._street(int(index) % len(self), int(epoch)) for index, epoch in pairs])
        try:
            return [self[index] for index in indices]
        finally:
            self._drawn = {}

    def _draw(self, seen: Sequence[tuple[int, int]]) -> dict[tuple[int, int], StreetFrame]:
        """Frames by street and camera."""
        wanted = {name for name in map(self._map, self.rows.values()) if name}
        cameras: dict[int, list[int]] = {}
        for number, camera in dict.fromkeys(seen):
            cameras.setdefault(number, []).append(camera)
        drawn = draw_frames(self.options, self.world_seed, list(cameras), wanted, self.device, list(cameras.values()))
        return {(number, camera): views[camera] for number, views in zip(cameras, drawn, strict=True) for camera in views}

    def load(self, index: int) -> Frame:
        """The frame's maps as drawn."""
        seen = self._street(index, self._epoch)
        drawn = self._drawn.get(seen) or self._draw([seen])[seen]
        names = {key: self._map(row) for key, row in self.rows.items()}
        maps = {key: self._convert(drawn.maps, names[key], row) for key, row in self.rows.items()}
        return Frame(maps=maps, fields=dict(self.rows), intrinsics=drawn.intrinsics if self.wants_intrinsics else None)

    def _convert(self, drawn: Mapping[str, np.ndarray], name: str | None, row: Field) -> np.ndarray:
        if name is None:
            return row.empty(*self.options.size)
        array = drawn[name].astype(np.int64 if row.kind == "labels" else np.float32)
        return gray_of(array) if row.kind == "image" and row.channels == 1 else array

    @staticmethod
    def _map(row: Field) -> str | None:
        """The world's map that a field is filled from."""
        if row.name == "image" and row.kind == "image":
            return "image"
        if row.name == SPARSE_DEPTH.name:
            return "sparse_depth"
        return _FOLDERS.get(row.folder or "")
