"""Parts of a depth map that methods differ in: distance, depth edges, semantic classes, rows, nearness to what was measured.

Pure functions in numpy.

Depth edges: a pixel whose inverse depth q bends between two neighbours of its row or column by more than a tenth,

    | q(u - 1) - 2 q(u) + q(u + 1) | > 0.1 q(u)

is at a step of the depth. Inverse depth is linear in image coordinates on any plane, so that a road seen at a grazing angle is
no edge, however fast its depth grows; a step to something 11 % farther or nearer is one. The region is what lies within
``EDGE_RADIUS_PX`` pixels of such a pixel.

Ground truth with holes, as KITTI's, is compared along rows and columns from each known pixel to the next one. With two of them,
b and c, g pixels apart, and the known pixel a that lies d pixels before b, the step between b and c is what a plane through
a and b leaves over:

    | q(c) - q(b) - (q(b) - q(a)) g / d | > 0.1 min(q(b), q(c))

and the same from behind, the smaller of both where both can be told. The step is taken to be half-way from b to c. No gap may
be wider than ``EDGE_GAP_PX``. Without holes this is the bend above, except at creases, which it leaves out.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
from scipy import ndimage

#: Bend of inverse depth, relative to it, that makes an edge.
EDGE_BEND = 0.1
#: How far from an edge a pixel still belongs to it (Chebyshev distance).
EDGE_RADIUS_PX = 3
#: Widest gap between known pixels of one row or column across which a step is looked for.
EDGE_GAP_PX = 6
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


def edges_between_known(truth: np.ndarray, gap_px: int = EDGE_GAP_PX, radius_px: int = EDGE_RADIUS_PX) -> np.ndarray:
    """Pixels within ``radius_px`` of a step of a depth map with holes: ``(H, W)`` metres, 0 = unknown -> ``(H, W)`` bool.

    A step between something and the unknown is none here: a hole says nothing about what is behind it.
    """
    edge = np.zeros(truth.shape, dtype=bool)
    for axis in (0, 1):
        lines = np.moveaxis(truth, axis, 1)
        line, place = np.nonzero(lines > 0)
        if len(place) < 3:
            continue
        q = 1.0 / lines[line, place].astype(np.float64)
        step, gap = np.diff(q), np.diff(place)
        joined = (np.diff(line) == 0) & (gap <= gap_px)
        gap = np.where(joined, gap, 1)
        slope = np.where(joined, step / gap, np.nan)
        bends = np.full((2, len(step)), np.nan)
        bends[0, 1:] = np.abs(step[1:] - slope[:-1] * gap[1:])
        bends[1, :-1] = np.abs(step[:-1] - slope[1:] * gap[:-1])
        # A comparison with NaN, where neither side has a neighbour, is false: no step.
        found = joined & (np.fmin(*bends) > EDGE_BEND * np.minimum(q[:-1], q[1:]))
        twice = place[:-1][found] + place[1:][found]
        marked = np.moveaxis(edge, axis, 1)
        marked[line[:-1][found], twice // 2] = True
        marked[line[:-1][found], (twice + 1) // 2] = True
    return _around(edge, radius_px)


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
