"""Parts of a depth map that methods differ in: distance, depth edges, semantic classes, rows, nearness to what was measured.

Pure functions in numpy.

Depth edges: a pixel whose inverse depth q bends between two neighbours of its row or column by more than a tenth,

    | q(u - 1) - 2 q(u) + q(u + 1) | > 0.1 q(u)

is at a step of the depth. Inverse depth is linear in image coordinates on any plane, so that a road seen at a grazing angle is
no edge, however fast its depth grows; a step to something 11 % farther or nearer is one. The region is what lies within
``EDGE_RADIUS_PX`` pixels of such a pixel.

Ground truth with holes, as KITTI's, is also noisy: neighbouring pixels come from different scans, and differ by some percent.
There the known pixels b and c that follow each other in a row or column, at most ``EDGE_GAP_PX`` apart, are looked at if their
inverse depths differ by more than a tenth. To the known pixels of a window on b's side of the gap (b its first column,
``WINDOW_LENGTH`` by 2 ``WINDOW_HALF`` + 1 pixels) a plane is fitted in inverse depth, and another one on c's side; half-way
between b and c they must still differ by more than a tenth,

    | q_b((b + c) / 2) - q_c((b + c) / 2) | > 0.1 min(q_b, q_c)

The step lies a third of the gap from the nearer surface: that one is seen up to its outline, and what nobody measured is above
all the background beside it, hidden from the LiDAR or removed from the truth.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import ndimage

#: Bend of inverse depth, relative to it, that makes an edge.
EDGE_BEND = 0.1
#: How far from an edge a pixel still belongs to it (Chebyshev distance).
EDGE_RADIUS_PX = 3
#: Widest gap between known pixels of one row or column across which a step is looked for.
EDGE_GAP_PX = 12
#: The windows on both sides of a gap that planes are fitted in: pixels away from it, and pixels to each side along it.
WINDOW_LENGTH, WINDOW_HALF = 9, 3
#: Squared pixels of spread by which a side's slope is held at both sides' common one: a few points in one place tell none.
SLOPE_RIDGE = 1.0
#: Bounds of the distance bands in metres (Lu et al., CVPR 2020, Fig. 8c).
BANDS_M = (0.0, 20.0, 40.0, 60.0, 80.0)
#: The same indoors.
INDOOR_BANDS_M = (0.0, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0)
#: Bounds of the distance to the nearest measured point, in pixels.
GIVEN_BOUNDS_PX = (0, 1, 2, 4, 8, 16, 32)


def distance_bands(truth: np.ndarray, bounds_m: Sequence[float] = BANDS_M) -> dict[str, np.ndarray]:
    """Known pixels by their true distance, ``{"0_20m": (H, W) bool, ...}``; the last band has no end (``"80m_on"``)."""
    bands = {}
    for low, high in zip(bounds_m, (*bounds_m[1:], np.inf), strict=True):
        name = f"{low:g}m_on" if np.isinf(high) else f"{low:g}_{high:g}m"
        bands[name] = (truth > max(low, 0)) & (truth <= high)
    return bands


def depth_edges(truth: np.ndarray, radius_px: int = EDGE_RADIUS_PX) -> np.ndarray:
    """Pixels within ``radius_px`` of a step of a dense depth map: ``(H, W)`` metres, 0 = unknown -> ``(H, W)`` bool.

    A step between something and the unknown (the sky) is an edge too.
    """
    inverse = np.zeros(truth.shape)
    np.divide(1.0, truth, out=inverse, where=truth > 0)
    edge = np.zeros(truth.shape, dtype=bool)
    for axis in (0, 1):
        q = np.moveaxis(inverse, axis, 0)
        bend = np.abs(q[:-2] - 2 * q[1:-1] + q[2:])
        np.moveaxis(edge, axis, 0)[1:-1] |= bend > EDGE_BEND * np.maximum(q[1:-1], 1e-9)
    return _around(edge, radius_px)


def edges_between_known(truth: np.ndarray, radius_px: int = EDGE_RADIUS_PX) -> np.ndarray:
    """Pixels within ``radius_px`` of a step of a depth map with holes: ``(H, W)`` metres, 0 = unknown -> ``(H, W)`` bool.

    A step between something and the unknown is none here: a hole says nothing about what is behind it.
    """
    edge = np.zeros(truth.shape, dtype=bool)
    inverse = np.zeros(truth.shape)
    np.divide(1.0, truth, out=inverse, where=truth > 0)
    for axis in (0, 1):
        # Views, in which lines of pixels run along the second axis.
        _mark_steps(np.moveaxis(inverse, axis, 1), np.moveaxis(edge, axis, 1))
    return _around(edge, radius_px)


def _mark_steps(inverse: np.ndarray, edge: np.ndarray) -> None:
    """Mark the steps along the rows of ``inverse`` (1/m, 0 = unknown) in ``edge``."""
    line, place = np.nonzero(inverse)
    q = inverse[line, place]
    differs = np.abs(np.diff(q)) > EDGE_BEND * np.minimum(q[:-1], q[1:])
    pairs = np.flatnonzero((np.diff(line) == 0) & (np.diff(place) <= EDGE_GAP_PX) & differs)
    line, first, second = line[pairs], place[pairs], place[pairs + 1]
    gap = second - first
    sides = [_window(inverse, line, at, side) for at, side in ((first, -1), (second, 1))]
    # A side with a few points in one place tells no slope: there the other one's holds.
    common = _slope(sides[0].spread + sides[1].spread, sides[0].trend + sides[1].trend, np.zeros((len(pairs), 2)))
    before, after = (
        one.mean_q + (_slope(one.spread, one.trend, common) * (ahead - one.mean)).sum(axis=1)
        for one, ahead in zip(sides, (np.stack((way * gap / 2, 0 * gap), axis=1) for way in (1, -1)), strict=True)
    )
    # A plane may be extrapolated to behind infinity.
    found = np.abs(before - after) > EDGE_BEND * np.maximum(np.minimum(before, after), 0)
    step = np.where(q[pairs] > q[pairs + 1], first + gap / 3, second - gap / 3)[found]
    for column in (np.floor(step), np.ceil(step)):
        edge[line[found], column.astype(int)] = True


class _Window(NamedTuple):
    """Known pixels on one side of gaps, around their mean: ``mean (N, 2)`` position, ``spread (N, 2, 2)``, ``trend (N, 2)``."""

    mean: np.ndarray
    mean_q: np.ndarray
    spread: np.ndarray
    trend: np.ndarray


def _window(inverse: np.ndarray, line: np.ndarray, at: np.ndarray, side: int) -> _Window:
    """The window that starts with the pixel ``at`` of each ``line``, to the left (-1) or right (1); positions from there."""
    away, across = np.meshgrid(np.arange(WINDOW_LENGTH), np.arange(-WINDOW_HALF, WINDOW_HALF + 1))
    position = np.stack((side * away.ravel(), across.ravel()), axis=1)
    margin = max(WINDOW_LENGTH, WINDOW_HALF)
    q = np.pad(inverse, margin)[line[:, None] + position[:, 1] + margin, at[:, None] + position[:, 0] + margin]
    known = (q > 0).astype(float)
    count = known.sum(axis=1, keepdims=True)
    mean, mean_q = known @ position / count, q.sum(axis=1) / count[:, 0]
    products = position[:, :, None] * position[:, None, :]
    spread = np.tensordot(known, products, axes=1) - count[..., None] * mean[:, :, None] * mean[:, None, :]
    return _Window(mean, mean_q, spread, q @ position - count * mean * mean_q[:, None])


def _slope(spread: np.ndarray, trend: np.ndarray, prior: np.ndarray) -> np.ndarray:
    """Slopes ``(N, 2)`` by least squares, held at ``prior`` as far as the points tell none."""
    slopes: np.ndarray = np.linalg.solve(spread + SLOPE_RIDGE * np.eye(2), (trend + SLOPE_RIDGE * prior)[..., None])[..., 0]
    return slopes


def _around(edge: np.ndarray, radius_px: int) -> np.ndarray:
    side = 2 * radius_px + 1
    near: np.ndarray = ndimage.maximum_filter(edge, size=(side, side), mode="constant", cval=0)
    return near


def distance_to_given(sparse_depth: np.ndarray) -> np.ndarray:
    """Distance of each pixel to the nearest measured one, in pixels: ``(H, W)`` metres, 0 = not measured -> ``(H, W)``.

    Infinite where nothing was measured at all.
    """
    given = sparse_depth > 0
    if not given.any():
        return np.full(sparse_depth.shape, np.inf)
    distance: np.ndarray = ndimage.distance_transform_edt(~given)
    return distance


def given_bands(distance: np.ndarray, bounds_px: Sequence[int] = GIVEN_BOUNDS_PX) -> dict[str, np.ndarray]:
    """Pixels by their distance to the nearest measured one: ``{"0": bool, "1": ..., "3-4": ..., "over 32": ...}``.

    A bound belongs to the band that it ends: "2" is more than 1 and up to 2 pixels.
    """
    bands = {f"{bounds_px[0]}": distance <= bounds_px[0]}
    for low, high in itertools.pairwise(bounds_px):
        name = f"{high}" if high == low + 1 else f"{low + 1}-{high}"
        bands[name] = (distance > low) & (distance <= high)
    return bands | {f"over {bounds_px[-1]}": distance > bounds_px[-1]}


def error_sums(error: np.ndarray, region: np.ndarray) -> tuple[float, float, int]:
    """Squared error, absolute error and number of a region's pixels."""
    inside = error[region]
    return float((inside**2).sum()), float(np.abs(inside).sum()), inside.size


def class_regions(semantics: np.ndarray, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Pixels of each class that is there, by its name: ``(H, W)`` class indices -> ``{name: (H, W) bool}``."""
    present = np.unique(semantics)
    return {names[index].replace(" ", "_"): semantics == index for index in present if 0 <= index < len(names)}
