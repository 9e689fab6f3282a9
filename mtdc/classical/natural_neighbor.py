"""Natural neighbour interpolation (Sibson, 1981), in the discrete form of Park et al. (TVCG 2006, section 3).

    depth(p) = mean of sparse(q(x)) over all pixels x with |x - p| < |x - q(x)|          q(x): the measured pixel nearest to x

Were p measured too, its Voronoi cell would take those x from its neighbours' cells: each neighbour counts by the area that it
would lose. Every x hands its nearest depth to the disc around it that reaches to its nearest point; the mean of what
arrives is the answer.

Shapes      (H, W) float32 metres, any size, 0 = not measured -> the same, every pixel answered.
Test time   no weights. Measured pixels come back as they were. An empty map gives zeros.
Differs     from Sibson's areas: they are counted in pixels, so that a plane comes back up to that raster; cells end at the
            image's border, which also answers outside the points' hull. From Park et al.: where x is 32 pixels or more from
            any point, one x in a square of at most a 16th of that distance stands for the square.
Cost        no parameters; a Euclidean distance transform, and one row segment for each row of each disc.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import distance_transform_edt

from ..contracts import Completion
from ..layers.pixels import measured_pixels
from ..registry import CLASSICAL

#: A disc's radius holds at least so many of the squares that its centre may stand for.
_SQUARES_IN_RADIUS = 16


@CLASSICAL.register_module()
class NaturalNeighbor(Completion):
    """Each measured pixel counts by the area that a point at the answered pixel would take from its Voronoi cell."""

    keeps_measured = True

    def __call__(self, sparse_depth: np.ndarray, image: np.ndarray | None = None) -> np.ndarray:
        """``(H, W)`` float32 metres, 0 = not measured -> ``(H, W)`` float32 metres."""
        measured = measured_pixels(sparse_depth)
        if not measured.any():
            return np.zeros(sparse_depth.shape, dtype=np.float32)
        distance, (rows, columns) = distance_transform_edt(~measured, return_indices=True)
        nearest = sparse_depth[rows, columns].astype(np.float64)
        total, count = _sums_over_discs(nearest, distance, measured)
        depth = np.divide(total, count, out=nearest, where=count > 0)
        depth[measured] = sparse_depth[measured]
        return depth.astype(np.float32)


def _sums_over_discs(nearest: np.ndarray, distance: np.ndarray, measured: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """At each pixel the sum of the depths whose discs hold it, and their number: ``(H, W)`` twice."""
    height, width = nearest.shape
    rows, columns, squares = _centres(distance, measured)
    radius, value = distance[rows, columns], nearest[rows, columns]
    # A row of a disc is written as its first and its last pixel; sums along rows then fill it.
    ends = np.zeros((2, height * (width + 1)))
    order = np.argsort(-radius)
    rows, columns, squares, radius, value = (one[order] for one in (rows, columns, squares, radius, value))
    for offset in range(int(radius[0]) + 1 if len(radius) else 0):
        reaching = np.searchsorted(-radius, -offset, side="left")
        # Strictly inside: a pixel just as near to x as x's own point is has nothing to take from it.
        half = np.ceil(np.sqrt(np.maximum(radius[:reaching] ** 2 - offset**2, 0))).astype(np.int64) - 1
        for sign in (-1, 1) if offset else (1,):
            row = rows[:reaching] + sign * offset
            inside = (half >= 0) & (row >= 0) & (row < height)
            row, column, reach = row[inside], columns[:reaching][inside], half[inside]
            first = row * (width + 1) + np.maximum(column - reach, 0)
            behind = row * (width + 1) + np.minimum(column + reach + 1, width)
            weight = squares[:reaching][inside]
            for sums, added in zip(ends, (weight * value[:reaching][inside], weight), strict=True):
                np.add.at(sums, first, added)
                np.subtract.at(sums, behind, added)
    total, count = np.cumsum(ends.reshape(2, height, width + 1), axis=2)[:, :, :-1]
    return total, np.rint(count)


def _centres(distance: np.ndarray, measured: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows and columns of the discs' centres, and the number of pixels that each stands for."""
    height, width = distance.shape
    side = 2 ** np.floor(np.log2(np.maximum(distance / _SQUARES_IN_RADIUS, 1))).astype(np.int64)
    row, column = np.arange(height)[:, None], np.arange(width)
    chosen = ~measured & (row % side == side // 2) & (column % side == side // 2)
    rows, columns = chosen.nonzero()
    return rows, columns, side[chosen].astype(np.float64) ** 2
