"""Depth, the primary task: metres from a linear output (Lu et al., CVPR 2020, Eqs. 12 and 13).

    depth = base + mean_depth * raw          base: the representation's fill, or the data's mean depth

Shapes      stream (B, C, H/s, W/s) -> raw (B, 1, H, W) -> depth (B, 1, H, W) metres.
Test time   all of it; depth is clamped to the range in eval mode.
Differs     the paper's output is not described; scale and offset from the data's mean depth start the training near it, where
            a linear output in metres started from zero is far behind.
Cost        the decoder.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from ..contracts import Task
from ..registry import TASKS
from ..structures import DEPTH


@TASKS.register_module()
class DepthTask(Task):
    """Metric depth, linear in training, clamped at test time.

    Args:
        in_channels, stride, width: Given by the network.
        losses: ``{term: loss config}``.
        mean_depth_m: The data's mean depth in metres: scale of the output, and its offset where there is no fill.
        range_m: Least and greatest depth at test time in metres; None doesn't clamp, except at 0.
        upsampling: "transposed_conv" or "sub_pixel": how the head gets to full resolution.

    Raises:
        ValueError: A mean depth that is not positive, or a range that is not ascending.
    """

    field = DEPTH

    def __init__(
        self,
        in_channels: int,
        stride: int,
        width: int,
        losses: Mapping[str, Any] | None = None,
        mean_depth_m: float = 15.0,
        range_m: Sequence[float] | None = (0.9, 100.0),
        upsampling: str = "transposed_conv",
    ) -> None:
        super().__init__(in_channels, stride, width, losses, upsampling)
        if mean_depth_m <= 0:
            raise ValueError(f"mean_depth_m must be positive, not {mean_depth_m}")
        if range_m is not None and not 0 <= range_m[0] < range_m[1]:
            raise ValueError(f"range_m must be (least, greatest) in metres, not {tuple(range_m)}")
        self.mean_depth_m = mean_depth_m
        self.range_m = None if range_m is None else (float(range_m[0]), float(range_m[1]))

    def decode(self, raw: Tensor, base: Tensor | None) -> dict[str, Tensor]:
        """``{"depth": (B, 1, H, W)}`` in metres."""
        offset = self.mean_depth_m if base is None else base
        return {"depth": self.limit(offset + self.mean_depth_m * raw)}

    def limit(self, depth: Tensor) -> Tensor:
        """Depth inside the range in eval mode; untouched in training, where a clamp would stop the gradient."""
        if self.training:
            return depth
        low, high = self.range_m or (0.0, float("inf"))
        return depth.clamp(low, high)
