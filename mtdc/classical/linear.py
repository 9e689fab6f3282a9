"""Linear interpolation over the Delaunay triangulation of the measured pixels, nearest neighbour outside their hull.

    depth(p) = sum_k b_k sparse(q_k)          q_1..q_3: the corners of p's triangle, b: p's barycentric coordinates, sum 1

Shapes      (H, W) float32 metres, any size, 0 = not measured -> the same, every pixel answered.
Test time   no weights. Measured pixels come back as they were. An empty map gives zeros.
Differs     where there is no triangle (fewer than three points, or all on one line) every pixel takes its nearest point.
Cost        no parameters; a Delaunay triangulation of the measured points, by far the slowest of the fills.
"""

from __future__ import annotations

import numpy as np
from scipy.interpolate import LinearNDInterpolator
from scipy.spatial import QhullError

from ..contracts import Completion
from ..layers.pixels import measured_pixels, nearest_measured
from ..registry import CLASSICAL


@CLASSICAL.register_module()
class Linear(Completion):
    """A plane over each triangle of measured pixels; outside of all triangles the nearest measured pixel."""

    keeps_measured = True

    def __call__(self, sparse_depth: np.ndarray, image: np.ndarray | None = None) -> np.ndarray:
        """``(H, W)`` float32 metres, 0 = not measured -> ``(H, W)`` float32 metres."""
        measured = measured_pixels(sparse_depth)
        if not measured.any():
            return np.zeros(sparse_depth.shape, dtype=np.float32)
        depth = nearest_measured(sparse_depth, measured)
        try:
            plane = LinearNDInterpolator(np.argwhere(measured), sparse_depth[measured].astype(np.float64))
        except QhullError:
            # Fewer than three points, or all on one line: there is no triangle.
            return depth
        empty = np.argwhere(~measured)
        interpolated = plane(empty).astype(np.float32)
        inside = np.isfinite(interpolated)
        depth[tuple(empty[inside].T)] = interpolated[inside]
        return depth
