"""Pure functions on depth and intrinsics; the only file that knows the pixel-centre rule.

The rule: the centre of the first pixel is (0, 0), so pixel (u, v) covers [u - 0.5, u + 0.5]. Intrinsics K are ``(3, 3)`` in
pixels of the image they belong to; depth is z along the optical axis in metres.
"""

from __future__ import annotations

import numpy as np


def crop_intrinsics(intrinsics: np.ndarray, left: float, top: float) -> np.ndarray:
    """K after the first ``left`` columns and ``top`` rows are cut off (negative: padded)."""
    result = intrinsics.copy()
    result[0, 2] -= left
    result[1, 2] -= top
    return result


def flip_intrinsics(intrinsics: np.ndarray, width: int) -> np.ndarray:
    """K after a left-right flip of an image of that width: cx -> W - 1 - cx.

    The camera frame is mirrored with the image (x -> -x), so fx keeps its sign.
    """
    result = intrinsics.copy()
    result[0, 2] = width - 1 - result[0, 2]
    result[0, 1] = -result[0, 1]
    return result


def resize_intrinsics(intrinsics: np.ndarray, scale_x: float, scale_y: float) -> np.ndarray:
    """K after resizing by (scale_x, scale_y): u' = (u + 0.5) s - 0.5, as the pixel's borders scale and not its centre."""
    result = intrinsics.copy()
    result[0] *= scale_x
    result[1] *= scale_y
    result[0, 2] += 0.5 * scale_x - 0.5
    result[1, 2] += 0.5 * scale_y - 0.5
    return result


def back_project(depth: np.ndarray, intrinsics: np.ndarray) -> np.ndarray:
    """Points of all pixels in the camera frame (x right, y down, z forward): ``(H, W)`` metres -> ``(H, W, 3)`` metres."""
    height, width = depth.shape
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float64)
    rays = np.stack((columns, rows, np.ones_like(rows)), axis=-1) @ np.linalg.inv(intrinsics).T
    return rays * depth[..., None]


def project(points: np.ndarray, projection: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pixels and depth of points: ``(N, 3)`` and a ``(3, 3)`` K or ``(3, 4)`` P -> ``(N, 2)`` (u, v), ``(N,)`` metres.

    Points behind the camera come back with their depth <= 0 and coordinates that mean nothing.
    """
    if projection.shape[1] == 4:
        points = np.concatenate((points, np.ones((len(points), 1))), axis=1)
    image = points @ projection.T
    depth = image[:, 2]
    with np.errstate(divide="ignore", invalid="ignore"):
        return image[:, :2] / depth[:, None], depth


def splat_nearest(pixels: np.ndarray, depth: np.ndarray, height: int, width: int) -> np.ndarray:
    """Sparse depth map of projected points: rounded to pixels, the nearest point of a pixel kept.

    Shapes: ``(N, 2)`` (u, v) and ``(N,)`` metres -> ``(H, W)`` float32 metres, 0 = no point.
    """
    inside = (depth > 0) & np.isfinite(pixels).all(axis=1)
    columns, rows = np.rint(pixels[inside]).astype(np.int64).T
    depth = depth[inside]
    inside = (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)
    nearest = np.full(height * width, np.inf)
    np.minimum.at(nearest, rows[inside] * width + columns[inside], depth[inside])
    return np.where(np.isfinite(nearest), nearest, 0.0).reshape(height, width).astype(np.float32)
