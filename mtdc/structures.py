"""What travels through the house: the field table, a frame on its way through the transforms, a sample for the model.

Every map that a data set, a network or a task handles is a row of one table (:class:`Field`): from its row follow how it is
loaded, padded, cropped, flipped and resized, and which value means "unknown".
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from mmengine.structures import BaseDataElement
from torch import Tensor

#: How a field behaves under geometric transforms. ``map`` is moved and nothing more; ``image`` is a photo;
#: ``depth`` is divided by the scale when the image is enlarged; ``normals`` are turned; ``labels`` are never interpolated.
Kind = Literal["map", "image", "depth", "normals", "labels"]


@dataclass(frozen=True)
class Field:
    """One row of the field table.

    Args:
        name: The quantity. An input keeps its name as its key; a task's target and prediction are ``gt_<name>`` and
            ``pred_<name>``, so a task's field name *is* its key.
        channels: C of ``(C, H, W)``. Labels are ``(H, W)`` and say 1.
        unit: Unit and frame, for people.
        unknown: Value of a pixel that is not known (padding, missing label).
        kind: How geometric transforms treat it.
        folder: Name of the data set's folder that holds its files, where it has files of its own.
        scale_to_unit: Factor from the stored 8- or 16-bit value to the unit (1/256 for KITTI's depth PNGs).
        classes: Of labels: how many there are, where who reads them says so; a file with others is refused.
    """

    name: str
    channels: int = 1
    unit: str = ""
    unknown: float = 0.0
    kind: Kind = "map"
    folder: str | None = None
    scale_to_unit: float = 1.0
    classes: int | None = field(default=None, compare=False)

    @property
    def target_key(self) -> str:
        """Key of the ground truth."""
        return f"gt_{self.name}"

    @property
    def prediction_key(self) -> str:
        """Key of the prediction."""
        return f"pred_{self.name}"

    @property
    def dtype(self) -> torch.dtype:
        """Labels are class indices (int64), everything else is float32."""
        return torch.int64 if self.kind == "labels" else torch.float32

    @property
    def interpolated(self) -> bool:
        """Whether resizing may mix neighbouring values: true for photos alone."""
        return self.kind == "image"

    def valid(self, target: Tensor) -> Tensor:
        """Where the target is known.

        Shapes: ``(B, C, H, W) -> (B, 1, H, W)`` bool; labels ``(B, H, W) -> (B, H, W)``.
        """
        known = target != self.unknown
        return known if self.kind == "labels" else known.any(dim=1, keepdim=True)

    def empty(self, height: int, width: int) -> np.ndarray:
        """A map of "unknown": ``(H, W)`` for one channel, ``(H, W, C)`` for more."""
        shape = (height, width) if self.channels == 1 else (height, width, self.channels)
        return np.full(shape, self.unknown, dtype=np.int64 if self.kind == "labels" else np.float32)


#: What a network may read. Unknown colour is black: it stands only in padding.
SPARSE_DEPTH = Field("sparse_depth", 1, "metres along the optical axis", 0.0, "depth", "velodyne_raw", 1 / 256)
IMAGE = Field("image", 3, "RGB, 0..255", 0.0, "image", "image")
#: Not a map: ``(3, 3)``, pixels of the current image size, centre of the first pixel at (0, 0). NaN = not known.
INTRINSICS = Field("intrinsics", 1, "pixels")
INPUT_FIELDS = {f.name: f for f in (SPARSE_DEPTH, IMAGE, INTRINSICS)}

#: What a task may predict. The gray and colour photo as targets are made from the image file.
DEPTH = Field("depth", 1, "metres along the optical axis", 0.0, "depth", "groundtruth", 1 / 256)
#: What a depth network expects of its own error.
DEPTH_CONFIDENCE = Field("depth_confidence", 1, "standard deviation of the depth, metres", 0.0, "depth")
#: Depth at every pixel, where a data set has that beside its ground truth (the street world); what is measured there is depth.
DENSE_DEPTH = Field("dense_depth", 1, "metres along the optical axis", 0.0, "depth", "dense", 1 / 256)
GRAY_IMAGE = Field("image", 1, "gray value (ITU-R 601), 0..255", -1.0, "image")
RGB_IMAGE = Field("image", 3, "RGB, 0..255", -1.0, "image")
#: Not in files: differences of the gray photo to the right and lower neighbour.
IMAGE_GRADIENTS = Field("image_gradients", 2, "gray values a pixel, to the right and down", -1000.0, "map")
NORMALS = Field("normals", 3, "unit vector; camera frame x right, y down, z forward", 0.0, "normals", "normals")
SEMANTICS = Field("semantics", 1, "class index", 255, "labels", "semantics")
#: Cityscapes' classes by train id, which the street world's and KITTI's labels follow.
CITYSCAPES_CLASSES = (
    "road", "sidewalk", "building", "wall", "fence", "pole", "traffic light", "traffic sign", "vegetation", "terrain", "sky",
    "person", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle",
)  # fmt: skip
#: Rows of the targets that a loss or another task's target may read, by their key.
TARGET_FIELDS = {f.target_key: f for f in (DEPTH, GRAY_IMAGE, NORMALS, SEMANTICS)}


@dataclass
class Frame:
    """One frame on its way through the transforms (numpy, before it becomes tensors).

    ``maps`` holds ``(H, W)`` or ``(H, W, C)`` arrays by key (``sparse_depth``, ``image``, ``gt_depth``, ...), ``fields`` each
    key's row of the field table. ``intrinsics`` is ``(3, 3)`` float64 or None. ``meta`` becomes the sample's metainfo.
    """

    maps: dict[str, np.ndarray]
    fields: dict[str, Field]
    intrinsics: np.ndarray | None = None
    meta: dict[str, Any] = field(default_factory=dict)

    @property
    def size(self) -> tuple[int, int]:
        """``(H, W)`` of the maps, which all have the same."""
        height, width = next(iter(self.maps.values())).shape[:2]
        return height, width


class DepthSample(BaseDataElement):
    """Targets and predictions of one frame, ``gt_*`` and ``pred_*``, as ``(C, H, W)`` tensors, with the frame's metainfo.

    Metainfo: ``dataset, sample_id, ori_shape, crop_xywh, scale, flip, pad_lrtb``.
    """


def to_tensor(array: np.ndarray, row: Field) -> Tensor:
    """``(H, W)`` or ``(H, W, C)`` array to a ``(C, H, W)`` tensor of the field's dtype; labels stay ``(H, W)``."""
    tensor = torch.from_numpy(np.ascontiguousarray(array)).to(row.dtype)
    if row.kind == "labels":
        return tensor
    return tensor.unsqueeze(0) if tensor.ndim == 2 else tensor.permute(2, 0, 1).contiguous()
