"""A plain folder of one's own frames: depth/, and where there are any gt/, image/, label/, normals/ and intrinsics.

    depth [m] = stored 16-bit value / depth_scale, 0 = none        files belong together by their names without suffix

Shapes      sparse_depth, gt_depth (1, H, W) metres; image (3, H, W) RGB 0..255; intrinsics (3, 3) pixels; any size.
Test time   the same; ``mtdc check DIR`` says in words what is wrong with a folder.
Differs     nothing is taken from a paper.
Cost        the listing of the folders at the start.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from ...contracts import Transform
from ...registry import DATASETS
from ...structures import DEPTH, SPARSE_DEPTH, Field
from ..folder_layout import folder_root, frame_intrinsics, intrinsics_file, list_frames
from ..listed import ListedDataset, ListedFrame


@DATASETS.register_module()
class Folder(ListedDataset):
    """One frame for each file in ``depth/``.

    Args:
        data_root: Folder that holds ``depth/``, or the splits.
        split: Folder in it that holds ``depth/``; None: ``data_root`` itself.
        depth_scale: Stored value of one metre in depth PNGs: 256 as KITTI's, 1000 for millimetres. ``.npy`` holds metres.
        inputs, targets, transforms, seed: As in every data set.

    Raises:
        ValueError: A scale that is not positive.
        DataError: There is no such folder, no frame, or an input's file is missing.
    """

    METAINFO: ClassVar[dict[str, Any]] = {"dataset": "folder"}

    def __init__(
        self,
        data_root: str | Path,
        split: str | None = None,
        depth_scale: float = 256.0,
        inputs: Sequence[Field | str] = (SPARSE_DEPTH,),
        targets: Sequence[Field] = (DEPTH,),
        transforms: Sequence[Mapping[str, Any] | Transform] = (),
        seed: int = 0,
    ) -> None:
        if not depth_scale > 0:
            raise ValueError(f"depth_scale must be positive, not {depth_scale}")
        self.root = folder_root(Path(data_root).expanduser(), split)
        self.split = split or self.root.name
        super().__init__(list_frames(self.root), self.root, depth_scale, inputs, targets, transforms, seed)

    def intrinsics_file(self, frame: ListedFrame) -> Path | None:
        """The frame's own file, or the folder's."""
        return intrinsics_file(self.root, frame.name)

    def intrinsics(self, index: int, size: tuple[int, int]) -> np.ndarray:
        """Of the frame's own file, or of the folder's."""
        return frame_intrinsics(self.root, self.sample_id(index), size)
