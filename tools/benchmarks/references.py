"""Fills that public packages offer as they are: the peers whose time can be measured here and now."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import cv2
import numpy as np
from scipy.interpolate import LinearNDInterpolator
from scipy.ndimage import distance_transform_edt

from mtdc.analysis.entries import Entry
from mtdc.analysis.predictors import Prediction, Predictor
from mtdc.data.io import DEPTH_PNG_SCALE
from mtdc.structures import SPARSE_DEPTH

#: Neighbourhood of OpenCV's inpainting, pixels.
INPAINT_RADIUS = 5

Fill = Callable[[np.ndarray], np.ndarray]


def inpaint_ns(sparse: np.ndarray) -> np.ndarray:
    """OpenCV's inpainting along isophotes (Bertalmio et al., CVPR 2001)."""
    return _inpaint(sparse, cv2.INPAINT_NS)


def inpaint_telea(sparse: np.ndarray) -> np.ndarray:
    """OpenCV's inpainting by fast marching (Telea, Journal of Graphics Tools 2004)."""
    return _inpaint(sparse, cv2.INPAINT_TELEA)


def _inpaint(sparse: np.ndarray, method: int) -> np.ndarray:
    # 16 bits, as KITTI's files are: on floats Telea's method draws streaks.
    stored = np.clip(np.rint(sparse * DEPTH_PNG_SCALE), 0, np.iinfo(np.uint16).max).astype(np.uint16)
    filled = cv2.inpaint(stored, (stored == 0).astype(np.uint8), INPAINT_RADIUS, method)
    return filled.astype(np.float32) / np.float32(DEPTH_PNG_SCALE)


def scipy_nearest(sparse: np.ndarray) -> np.ndarray:
    """The nearest measured pixel's depth, by scipy's distance transform."""
    rows, columns = distance_transform_edt(sparse <= 0, return_distances=False, return_indices=True)
    return sparse[rows, columns]


def scipy_linear(sparse: np.ndarray) -> np.ndarray:
    """scipy's linear interpolation over Delaunay triangles; outside their hull the nearest measured pixel's depth."""
    known = np.argwhere(sparse > 0)
    rows, columns = np.indices(sparse.shape)
    dense = LinearNDInterpolator(known, sparse[sparse > 0])(rows, columns).astype(np.float32)
    outside = np.isnan(dense)
    dense[outside] = scipy_nearest(sparse)[outside]
    return dense


#: By the names under which the table of peers asks for them.
REFERENCES: Mapping[str, Fill] = {fill.__name__: fill for fill in (inpaint_ns, inpaint_telea, scipy_linear, scipy_nearest)}


class ReferencePredictor(Predictor):
    """A fill that answers frames as the package's methods do.

    Args:
        name: One of :data:`REFERENCES`.
    """

    def __init__(self, name: str) -> None:
        super().__init__(Entry(name))
        self._fill = REFERENCES[name]

    def __call__(self, item: Mapping[str, Any]) -> Prediction:
        """The frame's sparse depth, filled."""
        return Prediction(self._fill(item["inputs"][SPARSE_DEPTH.name][0].numpy()))
