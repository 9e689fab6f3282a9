"""Joint bilateral averaging, guided by the photo (Kopf et al., SIGGRAPH 2007, eq. 3), in a bilateral grid (Chen et al., 2007).

    depth(p) = sum_q f(|p - q|) g(|I(p) - I(q)|) sparse(q) / sum_q f g          q: measured; f, g: Gaussians; I: gray value

Measured depth is added up in a coarse grid over row, column and gray value, the grid is blurred, and read at every pixel:
points on the other side of an edge of the photo lie far away in it. Where nothing is within reach, both standard deviations
are doubled, again and again.

Shapes      (H, W) float32 metres, any size, 0 = not measured, and (H, W, 3) RGB -> (H, W) metres, every pixel answered.
Test time   no weights; reads the photo. Measured pixels do not come back as they were. An empty map gives zeros.
Differs     from Kopf et al.: the low resolution is scattered points; Gaussians are those of the grid, whose cells are one
            standard deviation wide, and its linear weights make them wider (1.15 times); scales are doubled.
Cost        no parameters; a blur of a grid of H W / (sigma^2 sigma_gray) cells a scale.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates

from ..contracts import Completion
from ..layers.pixels import gray_photo, measured_pixels
from ..registry import CLASSICAL

#: Blur of the grid in cells, and where it is cut off.
_BLUR, _CUT = 1.0, 2.0
#: Cells of nothing around the grid, so that no border is read: the blur's reach and the cell that linear weights touch.
_MARGIN = 3


@CLASSICAL.register_module()
class Bilateral(Completion):
    """Mean of the measured pixels around, weighed by Gaussians of the distance and of the photo's difference in gray.

    Args:
        sigma: Standard deviation of the distance on the finest scale, pixels; at least 2.
        sigma_gray: Standard deviation of the difference in gray on the finest scale, of values 0..1; at least 0.02.

    Raises:
        ValueError: ``sigma`` or ``sigma_gray`` is too small.
    """

    keeps_measured = False
    needs = ("sparse_depth", "image")

    def __init__(self, sigma: float = 4.0, sigma_gray: float = 0.1) -> None:
        # The limits bound the grid: below them it would hold many times the cells that the image has pixels.
        if not 2 <= sigma < np.inf:
            raise ValueError(f"sigma={sigma!r} must be 2 pixels or more")
        if not 0.02 <= sigma_gray < np.inf:
            raise ValueError(f"sigma_gray={sigma_gray!r} must be 0.02 or more (of gray values 0..1)")
        self.sigma = sigma
        self.sigma_gray = sigma_gray

    def __call__(self, sparse_depth: np.ndarray, image: np.ndarray | None = None) -> np.ndarray:
        """``(H, W)`` float32 metres, 0 = not measured, and ``(H, W, 3)`` RGB 0..255 -> ``(H, W)`` float32 metres.

        Raises:
            DataError: The image is missing or of another size.
        """
        gray = gray_photo(image, sparse_depth, "Bilateral")
        measured = measured_pixels(sparse_depth)
        depth = np.zeros(sparse_depth.shape)
        if not measured.any():
            return depth.astype(np.float32)
        points = np.argwhere(measured).astype(np.float64)
        points = np.concatenate((points, gray[measured][:, None]), axis=1)
        values = sparse_depth[measured].astype(np.float64)
        empty = np.ones(sparse_depth.shape, dtype=bool)
        cell = np.array([self.sigma, self.sigma, self.sigma_gray])
        while empty.any():
            pixels = np.concatenate((np.argwhere(empty), gray[empty][:, None]), axis=1)
            total, weight = _through_grid(points / cell, values, pixels / cell)
            answered = weight > 0
            found = empty.copy()
            found[empty] = answered
            depth[found] = total[answered] / weight[answered]
            empty &= ~found
            cell = 2 * cell
        return depth.astype(np.float32)


def _through_grid(points: np.ndarray, values: np.ndarray, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weighed sums of the values, and of 1, at each pixel; coordinates ``(N, 3)`` are in cells."""
    shape = tuple(np.ceil(np.maximum(points.max(axis=0), pixels.max(axis=0))).astype(int) + 2 * _MARGIN + 1)
    low = np.floor(points).astype(np.int64)
    share = points - low
    grids = np.zeros((2, *shape))
    for corner in np.ndindex(2, 2, 2):
        weight = np.prod(np.where(corner, share, 1 - share), axis=1)
        index = np.ravel_multi_index(tuple((low + corner + _MARGIN).T), shape)
        for grid, added in zip(grids, (weight * values, weight), strict=True):
            grid += np.bincount(index, added, minlength=grid.size).reshape(shape)
    read = []
    for grid in grids:
        blurred = gaussian_filter(grid, _BLUR, truncate=_CUT, mode="constant")
        read.append(map_coordinates(blurred, (pixels + _MARGIN).T, order=1))
    return read[0], read[1]
