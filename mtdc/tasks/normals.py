"""Surface normals as an auxiliary task (Eigen and Fergus, ICCV 2015; with depth completion: Qiu et al., DeepLiDAR, CVPR 2019).

    n = v / |v|,   v = raw + (0, 0, -1)          camera frame: x right, y down, z forward; towards the camera is z < 0

Shapes      stream (B, C, H/s, W/s) -> raw (B, 3, H, W) -> unit vectors (B, 3, H, W).
Test time   dropped by strip(), with what only it reads.
Differs     the offset is chosen, so that the output starts as a surface that faces the camera, and not at a direction without
            a length.
Cost        the decoder.
"""

from __future__ import annotations

from torch import Tensor

from ..contracts import Task
from ..registry import TASKS
from ..structures import NORMALS

#: Vectors are divided by at least this much: one of length 0 has no direction, and must have a gradient.
SHORTEST = 1e-4


@TASKS.register_module()
class NormalsTask(Task):
    """Unit normals in the camera's frame, facing the camera where nothing is learnt yet."""

    field = NORMALS
    train_only = True

    def decode(self, raw: Tensor, base: Tensor | None) -> dict[str, Tensor]:
        """``{"normals": (B, 3, H, W)}`` of length 1."""
        vector = raw - raw.new_tensor((0.0, 0.0, 1.0)).view(1, 3, 1, 1)
        squared = vector.square().sum(dim=1, keepdim=True)
        return {"normals": vector * squared.clamp(min=SHORTEST**2).rsqrt()}
