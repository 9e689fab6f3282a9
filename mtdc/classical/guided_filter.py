"""Guided filter (He, Sun, Tang, TPAMI 2013, eqs. 5, 6 and 9) over the measured pixels alone.

    depth(p) = mean_k (a_k I(p) + b_k)      a_k = cov_k(I, sparse) / (var_k(I) + eps),   b_k = mean_k(sparse) - a_k mean_k(I)

I is the photo's gray value. Moments of a window k are taken over its measured pixels, and the mean over the windows that
hold p counts each as often as it has measured pixels. Where no window around p has any, the radius is doubled, again and
again.

Shapes      (H, W) float32 metres, any size, 0 = not measured, and (H, W, 3) RGB -> (H, W) metres, every pixel answered.
Test time   no weights; reads the photo. Measured pixels do not come back as they were. An empty map gives zeros.
Differs     from the paper: the input is measured at some pixels only, so means are weighed by that; answers are limited to
            the range of what was measured, which a linear function of the photo may leave; radii are doubled.
Cost        no parameters; eight box filters a radius, whose time does not grow with it.
"""

from __future__ import annotations

import cv2
import numpy as np

from ..contracts import Completion
from ..layers.pixels import gray_photo, measured_pixels
from ..registry import CLASSICAL


@CLASSICAL.register_module()
class GuidedFilter(Completion):
    """Depth as a linear function of the photo's gray value in each window, fitted to what was measured there.

    Args:
        radius: Windows have 2 radius + 1 rows and columns on the finest scale; pixels, at least 1.
        eps: What is added to the variance of the gray values (0..1): the larger, the smoother.

    Raises:
        ValueError: ``radius`` is below 1 or ``eps`` is not above 0.
    """

    keeps_measured = False
    needs = ("sparse_depth", "image")

    def __init__(self, radius: int = 4, eps: float = 0.01) -> None:
        if radius < 1:
            raise ValueError(f"radius={radius!r} must be 1 pixel or more")
        if not 0 < eps < np.inf:
            raise ValueError(f"eps={eps!r} must be above 0")
        self.radius = radius
        self.eps = eps

    def __call__(self, sparse_depth: np.ndarray, image: np.ndarray | None = None) -> np.ndarray:
        """``(H, W)`` float32 metres, 0 = not measured, and ``(H, W, 3)`` RGB 0..255 -> ``(H, W)`` float32 metres.

        Raises:
            DataError: The image is missing or of another size.
        """
        gray = gray_photo(image, sparse_depth, "GuidedFilter")
        measured = measured_pixels(sparse_depth)
        depth = np.zeros(sparse_depth.shape)
        if not measured.any():
            return depth.astype(np.float32)
        empty = np.ones(sparse_depth.shape, dtype=bool)
        radius = self.radius
        while empty.any():
            filtered, answered = self._filter(np.where(measured, sparse_depth, 0).astype(np.float64), measured, gray, radius)
            answered &= empty
            depth[answered] = filtered[answered]
            empty &= ~answered
            radius *= 2
        found = sparse_depth[measured]
        return np.clip(depth.astype(np.float32), found.min(), found.max())

    def _filter(self, sparse: np.ndarray, measured: np.ndarray, gray: np.ndarray, radius: int) -> tuple[np.ndarray, np.ndarray]:
        """Filtered depth, and where there is any; ``sparse`` is 0 where not measured."""
        count = np.rint(_box(measured.astype(np.float64), radius))
        guide = gray * measured
        share = 1 / np.maximum(count, 1)
        mean_guide, mean_depth = share * _box(guide, radius), share * _box(sparse, radius)
        variance = np.maximum(share * _box(guide * guide, radius) - mean_guide**2, 0)
        covariance = share * _box(guide * sparse, radius) - mean_guide * mean_depth
        slope = covariance / (variance + self.eps)
        offset = mean_depth - slope * mean_guide
        windows = np.rint(_box(count, radius))
        filtered = (_box(count * slope, radius) * gray + _box(count * offset, radius)) / np.maximum(windows, 1)
        return filtered, windows > 0


def _box(values: np.ndarray, radius: int) -> np.ndarray:
    """Sum over the window around each pixel, nothing outside of the image."""
    size = 2 * min(radius, max(values.shape)) + 1
    total: np.ndarray = cv2.boxFilter(values, -1, (size, size), normalize=False, borderType=cv2.BORDER_CONSTANT)
    return total
