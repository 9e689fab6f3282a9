"""Resize of the whole frame, by a factor or to a size.

    u' = (u + 0.5) s_x - 0.5        f_x' = s_x f_x        c_x' = (c_x + 0.5) s_x - 0.5        depth' = depth

Shapes      (H, W[, C]) -> (height, width[, C]), or round(scale * size).
Test time   metrics are then those of the resized ground truth; official numbers want the full size.
Differs     from the zoom of some training recipes: depth values stay, as the intrinsics tell the new focal length. Photos are
            averaged when shrunk and interpolated linearly when enlarged; all else takes the nearest pixel, so shrinking sparse
            depth drops points.
Cost        one pass over the maps.
"""

from __future__ import annotations

import numpy as np

from ...contracts import Transform
from ...registry import TRANSFORMS
from ...structures import Frame
from ..moves import resize_frame


@TRANSFORMS.register_module()
class Resize(Transform):
    """Change the frame's size.

    Args:
        scale: Factor on both sides; or
        height: New rows, pixels, together with
        width: New columns, pixels.

    Raises:
        ValueError: Neither or both are given, or a size is not positive.
    """

    def __init__(self, scale: float | None = None, height: int | None = None, width: int | None = None) -> None:
        sizes = (height, width)
        if (scale is None) == (sizes == (None, None)) or (scale is None and None in sizes):
            raise ValueError(f"give either scale or both height and width, not scale={scale}, height={height}, width={width}")
        if any(value is not None and value <= 0 for value in (scale, *sizes)):
            raise ValueError(f"sizes must be positive, not scale={scale}, height={height}, width={width}")
        self.scale = scale
        self.height = height
        self.width = width

    def __call__(self, frame: Frame, generator: np.random.Generator) -> Frame:
        """The frame in its new size; nothing is random."""
        if self.height is not None and self.width is not None:
            return resize_frame(frame, self.height, self.width)
        height, width = (max(1, round(side * (self.scale or 1.0))) for side in frame.size)
        return resize_frame(frame, height, width)
