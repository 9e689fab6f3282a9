"""Sparse depth at corners alone, as structure from motion and visual odometry give it (strength: Shi and Tomasi, CVPR 1994).

    strength(u, v) = least eigenvalue of sum over 3x3 of (grad I)(grad I)^T
    kept: the strongest measured points, none within spacing px of a stronger one, at most n

I is the photo's gray value where the frame has one, else the inverse depth, each empty pixel filled from its nearest point.

Shapes      sparse depth (H, W) -> the same; all other maps pass untouched.
Test time   nothing is random: a frame has one answer.
Differs     detectors search the whole photo; here a corner counts at the measured point there, as only that has a depth.
Cost        the gradients, and one disc for each kept point.
"""

from __future__ import annotations

import cv2
import numpy as np
from scipy.ndimage import distance_transform_edt

from ...contracts import Transform
from ...layers.photo import GRAY_WEIGHTS
from ...registry import TRANSFORMS
from ...structures import Frame
from ..sparse_points import sparse_of, with_sparse


@TRANSFORMS.register_module()
class FeaturePoints(Transform):
    """Keep the measured points that lie at the strongest corners.

    Args:
        points: Most points that are kept.
        spacing: Least distance between two of them, pixels; 0 = any.

    Raises:
        ValueError: Fewer than 1 point or a negative spacing.
        ConfigError: (when called) Sparse depth is not among the inputs.
    """

    def __init__(self, points: int = 500, spacing: float = 5.0) -> None:
        if points < 1 or spacing < 0:
            raise ValueError(f"points must be at least 1 and spacing at least 0 pixels, not {points} and {spacing}")
        self.points = points
        self.spacing = spacing

    def __call__(self, frame: Frame, generator: np.random.Generator) -> Frame:
        """The frame with points at corners; where the picture is flat there are none."""
        sparse = sparse_of(frame, "FeaturePoints")
        strength = cv2.cornerMinEigenVal(_picture(frame, sparse), 3)
        candidates = np.argwhere((sparse > 0) & (strength > 0))
        order = np.argsort(-strength[candidates[:, 0], candidates[:, 1]], kind="stable")
        kept, taken = np.zeros_like(sparse), np.zeros(sparse.shape, dtype=bool)
        reach = int(self.spacing)
        rows, columns = np.mgrid[-reach : reach + 1, -reach : reach + 1]
        disc = rows**2 + columns**2 < max(self.spacing, 0.5) ** 2
        left = self.points
        for row, column in candidates[order]:
            if not left:
                break
            if taken[row, column]:
                continue
            kept[row, column] = sparse[row, column]
            left -= 1
            top, start = max(0, row - reach), max(0, column - reach)
            window = taken[top : row + reach + 1, start : column + reach + 1]
            window |= disc[top - row + reach :, start - column + reach :][: window.shape[0], : window.shape[1]]
        return with_sparse(frame, kept)


def _picture(frame: Frame, sparse: np.ndarray) -> np.ndarray:
    """``(H, W)`` float32 whose corners count: the first photo that is known somewhere, else inverse depth."""
    for key, row in frame.fields.items():
        if row.kind == "image" and (frame.maps[key] != row.unknown).any():
            photo = frame.maps[key].astype(np.float32)
            return photo if photo.ndim == 2 else np.ascontiguousarray(photo @ np.asarray(GRAY_WEIGHTS, dtype=np.float32))
    measured = sparse > 0
    if not measured.any():
        return np.zeros(sparse.shape, np.float32)
    rows, columns = distance_transform_edt(~measured, return_distances=False, return_indices=True)
    return np.ascontiguousarray(1 / sparse[rows, columns], dtype=np.float32)
