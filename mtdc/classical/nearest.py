"""Nearest-neighbour fill: each pixel takes the depth of the measured pixel that is nearest in the image.

    depth(p) = sparse(argmin_q |p - q|)          q measured, Euclidean distance in pixels

Shapes      (H, W) float32 metres, any size, 0 = not measured -> the same, every pixel answered.
Test time   no weights. Measured pixels come back as they were. An empty map gives zeros.
Differs     not a search tree: an exact distance transform (Maurer et al., PAMI 2003), whose time doesn't grow with the points.
Cost        no parameters; one Euclidean distance transform.
"""

from __future__ import annotations

import numpy as np

from ..contracts import Completion
from ..layers.pixels import measured_pixels, nearest_measured
from ..registry import CLASSICAL


@CLASSICAL.register_module()
class Nearest(Completion):
    """Each pixel takes the depth of its nearest measured pixel; which of several at the same distance is not said."""

    keeps_measured = True

    def __call__(self, sparse_depth: np.ndarray, image: np.ndarray | None = None) -> np.ndarray:
        """``(H, W)`` float32 metres, 0 = not measured -> ``(H, W)`` float32 metres."""
        measured = measured_pixels(sparse_depth)
        if not measured.any():
            return np.zeros(sparse_depth.shape, dtype=np.float32)
        return nearest_measured(sparse_depth, measured)
