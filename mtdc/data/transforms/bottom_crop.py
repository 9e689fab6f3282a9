"""Crop to the bottom rows and centre columns (Ma et al., ICRA 2019), the window of KITTI's cropped selection and test frames.

    top = H - height        left = round((W - width) / 2)        cx -= left        cy -= top

Shapes      (H, W[, C]) -> (height, width[, C]); a frame that is smaller is refused.
Test time   the same window; metrics on it leave out the rows above, where the LiDAR measures nothing.
Differs     from some published code: intrinsics follow the same window as the maps (there a centre crop's).
Cost        none: the maps are views.
"""

from __future__ import annotations

import numpy as np

from ...contracts import Transform
from ...registry import TRANSFORMS
from ...structures import Frame
from ..moves import check_window, crop_frame


@TRANSFORMS.register_module()
class BottomCrop(Transform):
    """Keep the bottom ``height`` rows and the centre ``width`` columns (352 and 1216 for KITTI).

    Args:
        height: Rows to keep, pixels.
        width: Columns to keep, pixels.

    Raises:
        ValueError: A size below 1.
        DataError: (when called) The frame is smaller than the window.
    """

    def __init__(self, height: int, width: int) -> None:
        if height < 1 or width < 1:
            raise ValueError(f"height and width must be at least 1 pixel, not {height} and {width}")
        self.height = height
        self.width = width

    def __call__(self, frame: Frame, generator: np.random.Generator) -> Frame:
        """The window of the frame; nothing is random."""
        check_window(frame, self.height, self.width, "BottomCrop")
        height, width = frame.size
        return crop_frame(frame, round((width - self.width) / 2), height - self.height, self.height, self.width)
