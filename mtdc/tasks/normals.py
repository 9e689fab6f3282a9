"""Surface normals as an auxiliary task (Eigen and Fergus, ICCV 2015; with depth completion: Qiu et al., DeepLiDAR, CVPR 2019).

    n = v / |v|,   v = raw + (0, 0, -1)          camera frame: x right, y down, z forward; towards the camera is z < 0
    target: the data set's normals, or -K^T b / |K^T b| of planes b fitted to the ground truth's inverse depth

Shapes      stream (B, C, H/s, W/s) -> raw (B, 3, H, W) -> unit vectors (B, 3, H, W).
Test time   dropped by strip(), with what only it reads.
Differs     the papers fit planes to dense depth; here they are fitted to semi-dense truth too, and left out where they can't be
            trusted (``mtdc.geometry.normals_from_depth``). The offset is chosen, so that the output starts as a surface that
            faces the camera, and not at a direction without a length.
Cost        the decoder.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from ..contracts import Batch, Task
from ..geometry import normals_from_depth
from ..registry import TASKS
from ..structures import DEPTH, INTRINSICS, NORMALS

#: Vectors are divided by at least this much: one of length 0 has no direction, and must have a gradient.
SHORTEST = 1e-4


@TASKS.register_module()
class NormalsTask(Task):
    """Unit normals in the camera's frame, facing the camera where nothing is learnt yet.

    Args:
        in_channels, stride, width: Given by the network.
        losses: ``{term: loss config}``.
        upsampling: "transposed_conv" or "sub_pixel": how the head gets to full resolution.
        from_depth: Make the targets of frames without normals from their ground-truth depth and intrinsics, which are then
            loaded in training; False leaves them unknown.
    """

    field = NORMALS
    train_only = True

    def __init__(
        self,
        in_channels: int,
        stride: int,
        width: int,
        losses: Mapping[str, Any] | None = None,
        upsampling: str = "transposed_conv",
        from_depth: bool = True,
    ) -> None:
        super().__init__(in_channels, stride, width, losses, upsampling)
        self.needs = (DEPTH.target_key, INTRINSICS.name) if from_depth else ()

    def make_target(self, batch: Batch) -> Tensor:
        """The data set's normals; of frames that have none, those of their depth, where the batch holds what that needs."""
        own = batch[self.field.target_key]
        if not self.needs or any(key not in batch for key in self.needs):
            return own
        depth, intrinsics = (batch[key] for key in self.needs)
        # A frame's K that is not known is NaN, and so are no normals of it.
        missing = ~self.field.valid(own).flatten(1).any(dim=1)
        if not missing.any():
            return own
        target = own.clone()
        target[missing] = normals_from_depth(depth[missing], intrinsics[missing]).to(own.dtype)
        return target

    def decode(self, raw: Tensor, base: Tensor | None) -> dict[str, Tensor]:
        """``{"normals": (B, 3, H, W)}`` of length 1."""
        vector = raw - raw.new_tensor((0.0, 0.0, 1.0)).view(1, 3, 1, 1)
        squared = vector.square().sum(dim=1, keepdim=True)
        return {"normals": vector * squared.clamp(min=SHORTEST**2).rsqrt()}
