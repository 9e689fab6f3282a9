"""Crop to a window of fixed size anywhere in the frame.

    left ~ U{0 .. W - width}        top ~ U{0 .. H - height}        cx -= left        cy -= top

Shapes      (H, W[, C]) -> (height, width[, C]); a frame that is smaller is refused.
Test time   leave it out of the test data's transforms.
Differs     nothing.
Cost        none: the maps are views.
"""

from __future__ import annotations

import numpy as np

from ...contracts import Transform
from ...registry import TRANSFORMS
from ...structures import Frame
from ..moves import check_window, crop_frame


@TRANSFORMS.register_module()
class RandomCrop(Transform):
    """Keep a random window of ``height`` rows and ``width`` columns.

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
        """A window of the frame."""
        check_window(frame, self.height, self.width, "RandomCrop")
        height, width = frame.size
        top = int(generator.integers(height - self.height + 1))
        left = int(generator.integers(width - self.width + 1))
        return crop_frame(frame, left, top, self.height, self.width)
