"""Zoom with depth divided (the scale augmentation of Eigen et al., NIPS 2014, and Ma and Karaman, ICRA 2018).

    s ~ U(scale)        frame enlarged by s, window of the old size cut out        K' = K of that window        d' = d / s

Shapes      (H, W[, C]) -> the same.
Test time   leave it out of the test data's transforms.
Differs     published code leaves K as it is: then x and y stay and z shrinks, which bends walls and normals. Here K follows
            the pixels, so every point goes to X / s, a smaller world of the same shape with the same normals.
            divide_depth=False: a longer lens, and every point stays.
Cost        one pass over the maps.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...contracts import Transform
from ...registry import TRANSFORMS
from ...structures import Frame
from ..moves import crop_frame, resize_frame, scale_depths
from ..sparse_points import ascending


@TRANSFORMS.register_module()
class RandomZoom(Transform):
    """Enlarge the frame by a random factor and keep a random window of its old size.

    Args:
        scale: Least and greatest factor, at least 1; or one number.
        divide_depth: Divide all depths by the factor, as if the world were nearer and smaller.

    Raises:
        ValueError: A factor below 1 (which would leave empty borders), or a range that is not ascending.
        ConfigError: (when called) A depth map whose "unknown" is not 0.
    """

    def __init__(self, scale: float | Sequence[float] = (1.0, 1.5), divide_depth: bool = True) -> None:
        self.scale = ascending(scale, "scale", 1.0)
        self.divide_depth = divide_depth

    def __call__(self, frame: Frame, generator: np.random.Generator) -> Frame:
        """The frame nearer by."""
        height, width = frame.size
        factor = generator.uniform(*self.scale)
        rows, columns = round(height * factor), round(width * factor)
        top, left = int(generator.integers(rows - height + 1)), int(generator.integers(columns - width + 1))
        zoomed = crop_frame(resize_frame(frame, rows, columns), left, top, height, width)
        return scale_depths(zoomed, 1 / factor, "RandomZoom") if self.divide_depth else zoomed
