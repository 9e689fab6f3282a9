"""A depth map as a point cloud, and which of its pixels the sensor said something about."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import maximum_filter1d, minimum_filter1d

from ..errors import DataError
from ..geometry import back_project
from .colormap import check_map, colorize_depth, known_depth
from .panel import as_rgb

#: Half width of the columns that speak for a column, as a part of the map's width: 12 pixels on a KITTI frame.
HALF_WINDOW = 0.01


def cloud(
    depth: np.ndarray, intrinsics: np.ndarray, colors: np.ndarray | None = None, mask: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Points of a depth map in the camera frame (x right, y down, z forward), row by row.

    Args:
        depth: ``(H, W)`` metres along the optical axis; pixels that are not positive and finite give no point.
        intrinsics: ``(3, 3)`` K in pixels of this map.
        colors: ``(H, W)`` or ``(H, W, 3)`` RGB, 0..255; the depth's colours where not given.
        mask: Bool ``(H, W)``: pixels to take; all where not given.

    Returns:
        ``(N, 3)`` float32 metres and ``(N, 3)`` uint8 RGB.

    Raises:
        DataError: Maps of other shapes or of different sizes, or intrinsics that are not ``(3, 3)``.
    """
    depth = check_map(depth, "depth")
    if intrinsics.shape != (3, 3):
        raise DataError(f"intrinsics must be (3, 3), not of shape {tuple(intrinsics.shape)}.")
    pixel_colors = colorize_depth(depth) if colors is None else as_rgb(colors, "colors")
    taken = known_depth(depth)
    for name, value in (("mask", mask), ("colors", pixel_colors)):
        if value is not None and value.shape[:2] != depth.shape:
            raise DataError(f"the {name} is {value.shape[:2]} and the depth {depth.shape}: sizes must be equal.")
    if mask is not None:
        taken &= mask.astype(bool)
    return back_project(depth, intrinsics)[taken].astype(np.float32), pixel_colors[taken]


def evidence_mask(sparse_depth: np.ndarray, half_window: int | None = None) -> np.ndarray:
    """Pixels that the sensor says something about: between the topmost and the lowest measured point around their column.

    What lies above is mostly sky, what lies below is the road before the first beam; both are guesses of the network. The
    mask does not see sky between two measured things (under a bridge, through a tree).

    Args:
        sparse_depth: ``(H, W)`` metres, 0 = not measured.
        half_window: Columns to each side that are looked at; a hundredth of the width, at least 1, where not given.

    Returns:
        Bool ``(H, W)``; a column with no measured point in its window is False.
    """
    measured = check_map(sparse_depth, "sparse depth") > 0
    height, width = measured.shape
    if half_window is None:
        half_window = max(1, round(HALF_WINDOW * width))
    any_measured = measured.any(axis=0)
    top = np.where(any_measured, measured.argmax(axis=0), height)
    bottom = np.where(any_measured, height - 1 - measured[::-1].argmax(axis=0), -1)
    size = 2 * half_window + 1
    top = minimum_filter1d(top, size, mode="constant", cval=height)
    bottom = maximum_filter1d(bottom, size, mode="constant", cval=-1)
    rows = np.arange(height)[:, None]
    mask: np.ndarray = (rows >= top) & (rows <= bottom)
    return mask
