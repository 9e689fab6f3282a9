"""Depth by colorization (Levin, Lischinski, Weiss, SIGGRAPH 2004, eqs. 1 and 2), as NYUv2's depth maps were filled.

    depth(r) = sum_s w_rs depth(s) / sum_s w_rs,   w_rs = exp(-(I(r) - I(s))^2 / (2 sigma_r^2)),   depth = sparse where measured

s runs over the eight neighbours of r, I is the photo's gray value, sigma_r its local deviation: depth changes where the photo
does. It is one sparse linear system over all pixels that were not measured.

Shapes      (H, W) float32 metres, any size, 0 = not measured, and (H, W, 3) RGB -> (H, W) metres, every pixel answered.
Test time   no weights; reads the photo. Measured pixels come back as they were. An empty map gives zeros.
Differs     from the paper: each pixel equals its neighbours' mean, and not in least squares, as in NYUv2's tool box; measured
            pixels are fixed, where the tool box lets them move a little. Small systems are solved at once, larger ones
            (BiCGSTAB with a multigrid cycle) to a tolerance, from the nearest measured depths on.
Cost        no parameters; a linear system of H W unknowns and nine numbers in a row.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import LinearOperator, bicgstab

from ..contracts import Completion
from ..layers.multigrid import Multigrid
from ..layers.pixels import gray_photo, measured_pixels, nearest_measured
from ..registry import CLASSICAL

_NEIGHBOURS = tuple((down, right) for down in (-1, 0, 1) for right in (-1, 0, 1) if (down, right) != (0, 0))
#: 2 sigma_r^2 is this share of the variance in a pixel's window,
_VARIANCE = 0.6
#: but so large that the most similar neighbour weighs at least this much,
_LEAST_OF_BEST = 0.01
#: and at least this (of gray values 0..1).
_LEAST_VARIANCE = 2e-6


@CLASSICAL.register_module()
class Colorization(Completion):
    """Each pixel is the mean of its neighbours, weighed by how alike the photo is there; measured pixels are fixed.

    Args:
        tolerance: The solver ends at this residual, relative to the right-hand side.
        iterations: Or after so many iterations.

    Raises:
        ValueError: ``tolerance`` is not above 0, or ``iterations`` is below 1.
    """

    keeps_measured = True
    needs = ("sparse_depth", "image")

    def __init__(self, tolerance: float = 1e-6, iterations: int = 300) -> None:
        if not 0 < tolerance < 1:
            raise ValueError(f"tolerance={tolerance!r} must be above 0 and below 1")
        if iterations < 1:
            raise ValueError(f"iterations={iterations!r} must be 1 or more")
        self.tolerance = tolerance
        self.iterations = iterations

    def __call__(self, sparse_depth: np.ndarray, image: np.ndarray | None = None) -> np.ndarray:
        """``(H, W)`` float32 metres, 0 = not measured, and ``(H, W, 3)`` RGB 0..255 -> ``(H, W)`` float32 metres.

        Raises:
            DataError: The image is missing or of another size.
        """
        gray = gray_photo(image, sparse_depth, "Colorization")
        measured = measured_pixels(sparse_depth)
        if not measured.any():
            return np.zeros(sparse_depth.shape, dtype=np.float32)
        depth = nearest_measured(sparse_depth, measured)
        if measured.all():
            return depth
        matrix, right = _system(affinities(gray), sparse_depth, measured)
        cycle = LinearOperator(matrix.shape, Multigrid(matrix, *np.nonzero(~measured)))
        start = depth[~measured].astype(np.float64)
        solved, _ = bicgstab(matrix, right, start, rtol=self.tolerance, atol=0.0, maxiter=self.iterations, M=cycle)
        # Means lie among what was measured; a solver that has not quite ended may not.
        known = sparse_depth[measured]
        solved = np.where(np.isfinite(solved), solved, start)
        depth[~measured] = np.clip(solved.astype(np.float32), known.min(), known.max())
        return depth


def affinities(gray: np.ndarray) -> np.ndarray:
    """Weights of each pixel's eight neighbours, 0 outside of the image: ``(H, W)`` in 0..1 to ``(8, H, W)``.

    None inside is 0: with nine pixels in a window a squared difference is at most 18 times their variance.
    """
    height, width = gray.shape
    padded = np.pad(gray, 1, constant_values=np.nan)
    difference = np.stack([padded[1 + y : 1 + y + height, 1 + x : 1 + x + width] - gray for y, x in _NEIGHBOURS])
    inside = np.isfinite(difference)
    difference[~inside] = 0
    number = inside.sum(axis=0) + 1  # with the pixel itself
    squared = difference**2
    variance = squared.sum(axis=0) / number - (difference.sum(axis=0) / number) ** 2
    closest = np.where(inside, squared, np.inf).min(axis=0)
    closest[~np.isfinite(closest)] = 0  # an image of one pixel
    width_squared = np.maximum(np.maximum(_VARIANCE * variance, -closest / np.log(_LEAST_OF_BEST)), _LEAST_VARIANCE)
    return np.where(inside, np.exp(-squared / width_squared), 0)


def _system(weights: np.ndarray, sparse_depth: np.ndarray, measured: np.ndarray) -> tuple[sparse.csr_array, np.ndarray]:
    """Matrix and right-hand side over the pixels that were not measured, row by row; rows are not divided by their sums."""
    height, width = measured.shape
    rows, columns = np.nonzero(~measured)
    number = np.full(measured.shape, -1)
    number[rows, columns] = np.arange(len(rows))
    right = np.zeros(len(rows))
    entries = [weights[:, rows, columns].sum(axis=0)]
    equation, unknown = [np.arange(len(rows))], [np.arange(len(rows))]
    for weight, (down, right_by) in zip(weights[:, rows, columns], _NEIGHBOURS, strict=True):
        row, column = (rows + down).clip(0, height - 1), (columns + right_by).clip(0, width - 1)
        fixed = (weight > 0) & measured[row, column]
        right[fixed] += weight[fixed] * sparse_depth[row[fixed], column[fixed]]
        (free,) = np.nonzero((weight > 0) & ~measured[row, column])
        equation.append(free)
        unknown.append(number[row[free], column[free]])
        entries.append(-weight[free])
    where = (np.concatenate(equation), np.concatenate(unknown))
    return sparse.csr_array((np.concatenate(entries), where), shape=(len(rows), len(rows))), right
