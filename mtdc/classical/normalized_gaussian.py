"""Normalised convolution with a Gaussian (Knutsson and Westin, CVPR 1993, eq. 4), on wider scales where it sees no point.

    depth = (g * (c sparse)) / (g * c)          c: 1 where measured, else 0; g: Gaussian, cut off at three standard deviations

Where no point is within reach, the standard deviation is doubled, again and again.

Shapes      (H, W) float32 metres, any size, 0 = not measured -> the same, every pixel answered.
Test time   no weights. Measured pixels do not come back as they were: they are averaged too. An empty map gives zeros.
Differs     from the paper: certainty is 0 or 1, the basis is a constant, the applicability a Gaussian and not (1 - r)^a; scales
            are doubled.
Cost        no parameters; two separable convolutions a scale.
"""

from __future__ import annotations

import cv2
import numpy as np

from ..contracts import Completion
from ..layers.pixels import measured_pixels
from ..registry import CLASSICAL


@CLASSICAL.register_module()
class NormalizedGaussian(Completion):
    """Mean of the measured pixels around, weighed by a Gaussian of the distance.

    Args:
        sigma: Standard deviation of the finest scale, pixels.

    Raises:
        ValueError: ``sigma`` is not above 0.
    """

    keeps_measured = False

    def __init__(self, sigma: float = 2.0) -> None:
        if not 0 < sigma < np.inf:
            raise ValueError(f"sigma={sigma!r} must be above 0 pixels")
        self.sigma = sigma

    def __call__(self, sparse_depth: np.ndarray, image: np.ndarray | None = None) -> np.ndarray:
        """``(H, W)`` float32 metres, 0 = not measured -> ``(H, W)`` float32 metres."""
        measured = measured_pixels(sparse_depth)
        depth = np.zeros(sparse_depth.shape)
        if not measured.any():
            return depth.astype(np.float32)
        certainty = measured.astype(np.float64)
        weighed = np.where(measured, sparse_depth, 0).astype(np.float64)
        empty = np.ones(sparse_depth.shape, dtype=bool)
        sigma = self.sigma
        while empty.any():
            total, weight = _blur(weighed, sigma), _blur(certainty, sigma)
            answered = empty & (weight > 0)
            depth[answered] = total[answered] / weight[answered]
            empty &= ~answered
            sigma *= 2
        return depth.astype(np.float32)


def _blur(values: np.ndarray, sigma: float) -> np.ndarray:
    # A window of twice the image sees the whole of it from each pixel; nothing stands outside of the image.
    reach = min(int(np.ceil(3 * sigma)), max(values.shape))
    blurred: np.ndarray = cv2.GaussianBlur(values, (2 * reach + 1, 2 * reach + 1), sigma, borderType=cv2.BORDER_CONSTANT)
    return blurred
