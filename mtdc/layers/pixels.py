"""Maps as numpy arrays: which pixels were measured, the nearest of them, and the photo as one channel."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import distance_transform_edt

from ..errors import DataError
from .photo import GRAY_WEIGHTS


def measured_pixels(sparse_depth: np.ndarray) -> np.ndarray:
    """Bool ``(H, W)``: where depth is finite and above 0; everything else counts as not measured."""
    measured: np.ndarray = np.isfinite(sparse_depth) & (sparse_depth > 0)
    return measured


def nearest_measured(sparse_depth: np.ndarray, measured: np.ndarray) -> np.ndarray:
    """Each pixel's nearest measured depth, ``(H, W)`` float32; at least one pixel is measured."""
    rows, columns = distance_transform_edt(~measured, return_distances=False, return_indices=True)
    depth: np.ndarray = sparse_depth[rows, columns].astype(np.float32)
    return depth


def gray_photo(image: np.ndarray | None, sparse_depth: np.ndarray, reader: str) -> np.ndarray:
    """The photo as gray values 0..1, ``(H, W)`` float64.

    Args:
        image: ``(H, W, 3)`` RGB, 0..255.
        sparse_depth: ``(H, W)``, the map that it belongs to.
        reader: Who needs it, for the error's text.

    Raises:
        DataError: It is missing, or of another shape than the depth asks for.
    """
    expected = (*sparse_depth.shape, 3)
    if image is None:
        raise DataError(f"{reader} needs the photo too, and there is none: give image={expected} RGB, 0..255.")
    if image.shape != expected:
        raise DataError(
            f"{reader}: image must be {expected} as the sparse depth is {expected[:2]}, not of shape {image.shape}."
        )
    gray: np.ndarray = image.astype(np.float64) @ (np.array(GRAY_WEIGHTS) / 255.0)
    return gray
