"""Closest-surface fill in torch: a dense first guess from sparse depth that batches, runs on a GPU and exports.

Everything works on inverse depth, where the nearer surface is the larger value, so that max-pooling lets the near surface win:
what a LiDAR sees between two returns of a near object belongs to it, and not to the wall behind that shines through.
"""

from __future__ import annotations

from functools import reduce

import torch
import torch.nn.functional as functional
from torch import Tensor

#: Stride of the coarse grid on which wide gaps are closed.
COARSE = 8
#: Windows, in pixels, tried one after the other on pixels that are still empty.
WINDOWS = (5, 7, 13)
#: Rows and columns in which the farthest surface is looked for: wide enough to meet a point of every line of a 64-line LiDAR.
FAR_WINDOW = (9, 7)
#: Greatest height and width, in pixels, that an exported graph fills wholly: it has no loop that a larger map could prolong.
LARGEST_EXPORTED = 32768
#: Kernel of the smoothing, along rows and along columns.
BINOMIAL = (1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16)


def closest_surface_fill(sparse_depth: Tensor) -> Tensor:
    """Dense depth by growing near surfaces first; all zeros where a map has no point at all.

    Shapes: ``(B, 1, H, W)`` metres, 0 = not measured -> ``(B, 1, H, W)`` metres. Measured pixels may be overgrown by a nearer
    neighbour within two pixels: that removes background seen through the gaps of a near surface.
    """
    near = torch.where(sparse_depth > 0, 1 / sparse_depth.clamp(min=1e-3), 0)
    near = _grow_diamond(near)
    near = _close(near, 5)
    for window in WINDOWS:
        near = torch.where(near > 0, near, _grow_square(near, window))
    near = torch.where(near > 0, near, _fill_wide_gaps(near))
    return torch.where(near > 0, 1 / near.clamp(min=1e-6), 0)


def farthest_surface_fill(sparse_depth: Tensor) -> Tensor:
    """The greatest measured depth in 9 rows and 7 columns around each pixel, 0 where nothing was measured there.

    Shapes: ``(B, 1, H, W)`` metres, 0 = not measured -> the same.
    """
    rows, columns = FAR_WINDOW
    return _greatest(_greatest(sparse_depth, rows, -2), columns, -1)


def smooth(depth: Tensor) -> Tensor:
    """Depth averaged by a 5x5 binomial kernel, borders repeated: ``(B, 1, H, W)`` metres to the same."""
    # Sums of shifted maps and no convolution: a frame's result doesn't depend on the batch that it is in, to the last bit.
    height, width = depth.shape[-2:]
    padded = functional.pad(depth, (2, 2, 2, 2), mode="replicate")
    rows = reduce(torch.add, [weight * padded[..., i : i + height, :] for i, weight in enumerate(BINOMIAL)])
    return reduce(torch.add, [weight * rows[..., i : i + width] for i, weight in enumerate(BINOMIAL)])


def _grow_diamond(near: Tensor) -> Tensor:
    """Dilation by a diamond of radius 2: a plus of radius 1, twice."""
    for _ in range(2):
        near = torch.maximum(_greatest(near, 3, -2), _greatest(near, 3, -1))
    return near


def _close(near: Tensor, window: int) -> Tensor:
    """Grey-level closing: fills pits narrower than the window without moving the outlines of near surfaces."""
    return torch.maximum(near, -_grow_square(-_grow_square(near, window), window))


def _grow_square(near: Tensor, window: int) -> Tensor:
    """Largest value in a square window: along columns, then along rows."""
    return _greatest(_greatest(near, window, -2), window, -1)


def _greatest(values: Tensor, window: int, dim: int) -> Tensor:
    """Largest value of an odd window along one dimension, outside the map nothing: the values of max-pooling.

    Maxima of 2, 4, 8 .. neighbours, each of two maxima of half as many: on a processor some fifty times as fast as a pooling.
    """
    border = window // 2
    largest = functional.pad(values, (border, border, 0, 0) if dim == -1 else (0, 0, border, border), value=float("-inf"))
    reach = 1
    while reach < window:
        step = min(reach, window - reach)
        count = largest.shape[dim] - step
        largest = torch.maximum(largest.narrow(dim, 0, count), largest.narrow(dim, step, count))
        reach += step
    return largest


def _greatest_apart(values: Tensor, step: int, dim: int) -> Tensor:
    """Largest of three values along one dimension that lie so many apart, 0 outside the map."""
    padded = functional.pad(values, (step, step, 0, 0) if dim == -1 else (0, 0, step, step))
    count = values.shape[dim]
    neighbours = torch.maximum(padded.narrow(dim, 0, count), padded.narrow(dim, 2 * step, count))
    return torch.maximum(values, neighbours)


def _fill_wide_gaps(near: Tensor) -> Tensor:
    """A value for every pixel: a coarse grid, grown outwards from its known cells in doubling steps."""
    height, width = near.shape[-2:]
    coarse = functional.max_pool2d(near, COARSE, COARSE, ceil_mode=True)
    # Cells are grown from a mean of their known values, not from the nearest point: far outside there is no silhouette to keep.
    known = (near > 0).to(near.dtype)
    count = functional.avg_pool2d(known, COARSE, COARSE, ceil_mode=True)
    mean = functional.avg_pool2d(near, COARSE, COARSE, ceil_mode=True) / count.clamp(min=1e-6)
    coarse = torch.where(coarse > 0, mean, 0)
    # In an exported graph the steps are those of the largest map: a step that is wider than a map leaves it as it is.
    cells = LARGEST_EXPORTED // COARSE if torch.onnx.is_in_onnx_export() else max(coarse.shape[-2:])
    step = 1
    while step < cells:
        coarse = torch.where(coarse > 0, coarse, _greatest_apart(_greatest_apart(coarse, step, -2), step, -1))
        step *= 2
    # Steps 1, 2, 4 .. s together reach 2 s - 1 cells, which is the whole map: no cell stays empty if one was known.
    fine = coarse.repeat_interleave(COARSE, dim=-2).repeat_interleave(COARSE, dim=-1)
    return fine[..., :height, :width]
