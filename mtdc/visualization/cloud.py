"""A depth map as a point cloud, and which of its pixels the sensor said something about."""

from __future__ import annotations

import cv2
import numpy as np
from scipy.ndimage import maximum_filter1d, minimum_filter1d

from ..errors import DataError
from ..geometry import back_project
from .colormap import check_map, colorize_depth, known_depth
from .panel import as_rgb

#: Half width of the columns that speak for a column, as a part of the map's width: 12 pixels on a KITTI frame.
HALF_WINDOW = 0.01
#: Farther from every measured point than this many times the scan's typical distance, a pixel has no evidence. Where returns of
#: real scans were held back, depth was wrong by more than a tenth at 16 % of the pixels up to here, and at 46 % beyond.
DISTANCES = 4.0


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


def evidence_mask(sparse_depth: np.ndarray, half_window: int | None = None, max_distance_px: float | None = None) -> np.ndarray:
    """Pixels that the sensor says something about: between measured points of their columns, and not far from any.

    What lies above the topmost measured point around a column is mostly sky, what lies below the lowest is the road before the
    first beam; depth there is a guess of the network, and so it is in holes that are much wider than the scan's own gaps. The
    mask does not see sky between two measured things that are near each other (through a tree).

    Args:
        sparse_depth: ``(H, W)`` metres, 0 = not measured.
        half_window: Columns to each side that are looked at; a hundredth of the width, at least 1, where not given.
        max_distance_px: Largest distance to the nearest measured pixel. Where not given, four times its median over the pixels
            between measured points (at least four pixels), which suits few beams and many; ``numpy.inf``: no limit.

    Returns:
        Bool ``(H, W)``; measured pixels are True, and a column with no measured point in its window is False.

    Raises:
        DataError: The map is not ``(H, W)``, or the distance is negative or NaN.
    """
    measured = check_map(sparse_depth, "sparse depth") > 0
    if max_distance_px is not None and not max_distance_px >= 0:
        raise DataError(f"the largest distance to a measured pixel must be 0 or more pixels, not {max_distance_px:g}.")
    span = _between_measured(measured, half_window)
    if not measured.any():
        return span
    distance = cv2.distanceTransform((~measured).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    if max_distance_px is None:
        max_distance_px = DISTANCES * max(1.0, float(np.median(distance[span])))
    mask: np.ndarray = span & (distance <= max_distance_px)
    return mask


def _between_measured(measured: np.ndarray, half_window: int | None) -> np.ndarray:
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
    span: np.ndarray = (rows >= top) & (rows <= bottom)
    return span
