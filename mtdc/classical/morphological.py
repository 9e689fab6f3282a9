"""Closest-surface fill by morphology on inverse depth, after the idea of IP-Basic (Ku, Harakeh, Waslander, CRV 2018).

    g = close(dilate(1 / sparse))        where g is still empty: g = dilate(g), window by window        depth = smooth(1 / g)

In inverse depth a dilation, which is a running maximum, lets the nearer surface win: background seen through or past an object
is covered with it. After the first window each column's topmost value is extended upwards; then come the large window, and
doubled ones until nothing is empty.

Shapes      (H, W) float32 metres, any size and density, 0 = not measured -> the same, every pixel answered.
Test time   no weights. Measured pixels do not come back as they were. An empty map gives zeros.
Differs     from IP-Basic ("fast" with Gaussian): true inverse depth, so that twice the depth gives twice the answer, where the
            fill is the same since max-filters see only the order of depths; windows that double until all is filled.
Cost        no parameters; some ten morphological filters.
"""

from __future__ import annotations

import cv2
import numpy as np

from ..contracts import Completion
from ..layers.morphology import diamond, extend_upwards, square
from ..layers.pixels import measured_pixels
from ..registry import CLASSICAL


@CLASSICAL.register_module()
class Morphological(Completion):
    """Nearer surface wins: dilation, closing, window, topmost values upwards, large windows, median and Gaussian smoothing.

    The defaults are the published ones.

    Args:
        dilation: Size of the diamond that spreads each measured point first; odd, pixels.
        closing: Size of the square that closes gaps between spread points; odd, 1 = off.
        window: Size of the square that fills small gaps; odd, at least 3.
        large_window: Size of the square that fills what is empty after topmost values were extended; odd, at least 3. It is
            doubled until nothing is empty.
        median: Size of the median filter: 1 (off), 3 or 5.
        sigma: Standard deviation of the Gaussian in pixels; 0 = off.

    Raises:
        ValueError: A size is even or too small, or ``sigma`` is negative.
    """

    keeps_measured = False

    def __init__(
        self,
        dilation: int = 5,
        closing: int = 5,
        window: int = 7,
        large_window: int = 31,
        median: int = 5,
        sigma: float = 1.1,
    ) -> None:
        sizes = (("dilation", dilation, 1), ("closing", closing, 1), ("window", window, 3), ("large_window", large_window, 3))
        for name, size, least in sizes:
            if size % 2 != 1 or size < least:
                raise ValueError(f"{name}={size!r} must be an odd number of pixels, {least} or more")
        if median not in (1, 3, 5):
            raise ValueError(f"median={median!r} must be 1 (off), 3 or 5")
        if not sigma >= 0:
            raise ValueError(f"sigma={sigma!r} must be 0 (off) or more pixels")
        self.dilation = dilation
        self.closing = closing
        self.window = window
        self.large_window = large_window
        self.median = median
        self.sigma = sigma

    def __call__(self, sparse_depth: np.ndarray, image: np.ndarray | None = None) -> np.ndarray:
        """``(H, W)`` float32 metres, 0 = not measured -> ``(H, W)`` float32 metres."""
        measured = measured_pixels(sparse_depth)
        if not measured.any():
            return np.zeros(sparse_depth.shape, dtype=np.float32)
        inverse = np.zeros(sparse_depth.shape, dtype=np.float32)
        inverse[measured] = 1 / sparse_depth[measured]
        inverse = cv2.dilate(inverse, diamond(self.dilation))
        inverse = cv2.morphologyEx(inverse, cv2.MORPH_CLOSE, square(self.closing))
        depth = 1 / self._fill(inverse)
        # Smoothed in metres, as the published method does: its inversion is linear, so its filters average depth.
        if self.median > 1:
            depth = cv2.medianBlur(depth, self.median)
        if self.sigma > 0:
            depth = cv2.GaussianBlur(depth, (0, 0), self.sigma, borderType=cv2.BORDER_REPLICATE)
        return depth

    def _fill(self, inverse: np.ndarray) -> np.ndarray:
        """Answer every pixel that is still 0; at least one is not."""
        inverse = np.where(inverse == 0, cv2.dilate(inverse, square(self.window)), inverse)
        inverse = extend_upwards(inverse)
        # A window of this size sees the whole image from each of its pixels.
        whole = 2 * max(inverse.shape) + 1
        size = self.large_window
        while (inverse == 0).any():
            inverse = np.where(inverse == 0, cv2.dilate(inverse, square(min(size, whole))), inverse)
            size = 2 * size + 1
        return inverse
