"""Depth and depth errors as pictures.

Depth is coloured near = warm, far = cool on a logarithmic scale, so that near structure stays visible beside a far horizon.
Errors are coloured as by KITTI's development kit: in ten bins that double from one to the next, blue (small) to red (large),
of the error against 3 m or, beyond 60 m, 5 % of the depth.
"""

from __future__ import annotations

import cv2
import numpy as np

from ..errors import DataError

#: Percentiles of a frame's measured depth that its own range runs between: single wrong returns don't stretch the scale.
RANGE_PERCENTILES = (2.0, 98.0)
#: The part of the colour table that is used: its ends are so dark that they look like "not measured".
COLOR_INDICES = (20, 235)
#: An error is counted against the larger of these: metres, and a part of the true depth.
ERROR_UNIT_M, ERROR_UNIT_PART = 3.0, 0.05
#: Upper bounds of the bins of an error so counted; the last bin is open. Up to 60 m: 19, 38, 75 cm, 1.5, 3, 6, 12, 24, 48 m.
ERROR_BOUNDS = 0.0625 * 2.0 ** np.arange(9)
#: Colours of the bins, RGB: ColorBrewer's "RdYlBu" of ten classes, as on the benchmark's pages.
_ERROR_COLORS = (
    (49, 54, 149), (69, 117, 180), (116, 173, 209), (171, 217, 233), (224, 243, 248),
    (254, 224, 144), (253, 174, 97), (244, 109, 67), (215, 48, 39), (165, 0, 38),
)  # fmt: skip


def check_map(depth: np.ndarray, name: str) -> np.ndarray:
    """The map as float32.

    Raises:
        DataError: It is not ``(H, W)``.
    """
    if depth.ndim != 2:
        raise DataError(f"{name} must be (H, W) in metres, not of shape {tuple(depth.shape)}.")
    metres: np.ndarray = depth.astype(np.float32)
    return metres


def known_depth(depth: np.ndarray) -> np.ndarray:
    """Where a depth map holds a depth: bool, finite and positive."""
    known: np.ndarray = np.isfinite(depth) & (depth > 0)
    return known


def depth_range(
    depth: np.ndarray, near_m: float | None = None, far_m: float | None = None, valid: np.ndarray | None = None
) -> tuple[float, float]:
    """Nearest and farthest depth in metres that pictures of a map run between: as given, else robust ones of the map.

    Args:
        depth: Metres, any shape. Where it holds no depth the range is 1 to 100 m.
        near_m: Near end, where it is fixed.
        far_m: Far end, where it is fixed.
        valid: Bool of the same shape: pixels that count; all where not given.

    Raises:
        DataError: The given ends are not 0 < near < far.
    """
    known = known_depth(depth) if valid is None else known_depth(depth) & valid.astype(bool)
    own_near, own_far = np.percentile(depth[known], RANGE_PERCENTILES).tolist() if known.any() else (1.0, 100.0)
    # A flat map, or one on the far side of a given end, has no range of its own: some width keeps the scale defined.
    if near_m is None:
        near_m = own_near if far_m is None else min(own_near, far_m / 1.01)
    if far_m is None:
        far_m = max(own_far, near_m * 1.01)
    if not 0 < near_m < far_m < np.inf:
        raise DataError(f"the colour range must be 0 < near < far in metres, not {near_m:g} to {far_m:g}.")
    return near_m, far_m


def colorize_depth(
    depth: np.ndarray, near_m: float | None = None, far_m: float | None = None, valid: np.ndarray | None = None
) -> np.ndarray:
    """``(H, W)`` metres -> ``(H, W, 3)`` uint8 RGB: near warm, far cool, unknown black, on a logarithmic scale.

    Args:
        depth: Metres; pixels that are not positive and finite are unknown.
        near_m: Depth of the warmest colour, and
        far_m: of the coolest; what lies outside is cut to them. Given, the frames of a sequence compare; otherwise each is
            the frame's own (:func:`depth_range`).
        valid: Bool ``(H, W)``: pixels that are not True are unknown too.

    Raises:
        DataError: Not an ``(H, W)`` map, or not 0 < near < far.
    """
    depth = check_map(depth, "depth")
    known = known_depth(depth) if valid is None else known_depth(depth) & valid.astype(bool)
    near_m, far_m = depth_range(depth, near_m, far_m, known)
    clipped = np.clip(np.where(known, depth, far_m), near_m, far_m)
    farness = np.log(clipped / near_m) / np.log(far_m / near_m)
    low, high = COLOR_INDICES
    indices = np.rint(high - (high - low) * farness).astype(np.uint8)
    colors: np.ndarray = cv2.cvtColor(cv2.applyColorMap(indices, cv2.COLORMAP_TURBO), cv2.COLOR_BGR2RGB)
    colors[~known] = 0
    return colors


def error_colors() -> np.ndarray:
    """RGB of the error bins, small to large: ``(10, 3)`` uint8."""
    return np.array(_ERROR_COLORS, dtype=np.uint8)


def colorize_error(prediction: np.ndarray, ground_truth: np.ndarray, radius: int = 1) -> np.ndarray:
    """Absolute error ``|prediction - ground truth|`` as ``(H, W, 3)`` uint8 RGB, black where there is no ground truth.

    Bins up to 60 m: up to 19 cm, 38 cm, 75 cm, 1.5 m, 3 m, 6 m, 12 m, 24 m, 48 m, and more; beyond, they grow with the depth
    (the fifth ends at 5 % of it). A prediction that is not a number falls into the last.

    Args:
        prediction: ``(H, W)`` metres.
        ground_truth: ``(H, W)`` metres, 0 = unknown.
        radius: Pixels without ground truth up to this far away take the colour of the largest error beside them, so that
            single points are visible; pixels with ground truth keep their own. 0: leave them black.

    Raises:
        DataError: The maps are not ``(H, W)`` of one size.
    """
    prediction, ground_truth = check_map(prediction, "prediction"), check_map(ground_truth, "ground truth")
    if prediction.shape != ground_truth.shape:
        raise DataError(f"the prediction is {prediction.shape} and the ground truth {ground_truth.shape}: sizes must be equal.")
    known = known_depth(ground_truth)
    error = np.abs(prediction - ground_truth) / np.maximum(ERROR_UNIT_M, ERROR_UNIT_PART * ground_truth)
    bins = np.searchsorted(ERROR_BOUNDS, np.where(np.isfinite(error), error, np.inf), side="right") + 1
    # 0 stands for "no ground truth", so that a dilation spreads the largest error into it.
    bins = np.where(known, bins, 0).astype(np.uint8)
    if radius:
        bins = np.where(known, bins, cv2.dilate(bins, _disc(radius)))
    return np.concatenate((np.zeros((1, 3), np.uint8), error_colors()))[bins]


def enlarge_points(sparse_depth: np.ndarray, radius: int = 1) -> np.ndarray:
    """A sparse map for the eye: empty pixels near a point take the nearest depth beside them; points keep their own.

    Shapes: ``(H, W)`` metres -> ``(H, W)`` float32 metres, 0 = unknown.
    """
    sparse_depth = check_map(sparse_depth, "sparse depth")
    known = known_depth(sparse_depth)
    beyond = np.float32(np.finfo(np.float32).max)
    nearest = cv2.erode(np.where(known, sparse_depth, beyond), _disc(radius))
    return np.where(known, sparse_depth, np.where(nearest < beyond, nearest, np.float32(0)))


def _disc(radius: int) -> np.ndarray:
    rows, columns = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    disc: np.ndarray = (rows**2 + columns**2 <= radius**2 + 1).astype(np.uint8)
    return disc
