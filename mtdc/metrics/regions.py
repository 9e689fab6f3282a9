"""Parts of a depth map that methods differ in: distance bands, depth edges, semantic classes. Pure functions in numpy.

Depth edges: a pixel whose inverse depth q bends between two neighbours of its row or column by more than a tenth,

    | q(u - 1) - 2 q(u) + q(u + 1) | > 0.1 q(u)

is at a step of the depth. Inverse depth is linear in image coordinates on any plane, so that a road seen at a grazing angle is
no edge, however fast its depth grows; a step to something 11 % farther or nearer is one. The region is what lies within
``EDGE_RADIUS_PX`` pixels of such a pixel.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

#: Bend of inverse depth, relative to it, that makes an edge.
EDGE_BEND = 0.1
#: How far from an edge a pixel still belongs to it (Chebyshev distance).
EDGE_RADIUS_PX = 3
#: Bounds of the distance bands in metres (Lu et al., CVPR 2020, Fig. 8c).
BANDS_M = (0.0, 20.0, 40.0, 60.0, 80.0)


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
    side = 2 * radius_px + 1
    near: np.ndarray = ndimage.maximum_filter(edge, size=(side, side), mode="constant", cval=0)
    return near


def class_regions(semantics: np.ndarray, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Pixels of each class that is there, by its name: ``(H, W)`` class indices -> ``{name: (H, W) bool}``."""
    present = np.unique(semantics)
    return {names[index].replace(" ", "_"): semantics == index for index in present if 0 <= index < len(names)}
