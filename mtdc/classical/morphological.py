"""Closest-surface fill by morphology on inverse depth, after the idea of IP-Basic (Ku, Harakeh, Waslander, CRV 2018).

    g = close(dilate(1 / sparse))        where g is still empty: g = dilate(g) with growing windows        depth = 1 / smooth(g)

In inverse depth a dilation, which is a running maximum, lets the nearer surface win: background seen through or past an object
is covered with it. What the largest window leaves empty above a column's topmost value takes that value; the windows then grow
on until nothing is empty.

Shapes      (H, W) float32 metres, any size and density, 0 = not measured -> the same, every pixel answered.
Test time   no weights. Measured pixels do not come back as they were. An empty map gives zeros.
Differs     from IP-Basic: true inverse depth, so that twice the depth gives twice the answer; windows grow until all is filled.
Cost        no parameters; about 15 ms for 352 x 1216 on one CPU core.
"""

from __future__ import annotations

import cv2
import numpy as np

from ..contracts import Completion
from ..registry import CLASSICAL


@CLASSICAL.register_module()
class Morphological(Completion):
    """Nearer surface wins: dilation, closing, growing windows, topmost values upwards, median and Gaussian smoothing.

    The defaults were chosen on a KITTI training drive (64-beam LiDAR, 352 x 1216), not on a validation frame.

    Args:
        dilation: Size of the diamond that spreads each measured point first; odd, pixels.
        closing: Size of the square that closes gaps between spread points; odd, 1 = off.
        window: First size of the square that fills what is still empty; odd, at least 3.
        growth: Factor from one window to the next, above 1.
        largest_window: Beyond this window a column's topmost value is first extended to the image's top.
        median: Size of the median filter: 1 (off), 3 or 5.
        sigma: Standard deviation of the Gaussian in pixels; 0 = off.

    Raises:
        ValueError: A size is even or too small, ``growth`` is not above 1, or ``sigma`` is negative.
    """

    keeps_measured = False

    def __init__(
        self,
        dilation: int = 5,
        closing: int = 5,
        window: int = 5,
        growth: float = 1.5,
        largest_window: int = 63,
        median: int = 5,
        sigma: float = 0.85,
    ) -> None:
        for name, size, least in (("dilation", dilation, 1), ("closing", closing, 1), ("window", window, 3)):
            if size % 2 != 1 or size < least:
                raise ValueError(f"{name}={size!r} must be an odd number of pixels, {least} or more")
        if median not in (1, 3, 5):
            raise ValueError(f"median={median!r} must be 1 (off), 3 or 5")
        if not growth > 1:
            raise ValueError(f"growth={growth!r} must be above 1, or the windows never grow")
        if not sigma >= 0:
            raise ValueError(f"sigma={sigma!r} must be 0 (off) or more pixels")
        self.dilation = dilation
        self.closing = closing
        self.window = window
        self.growth = growth
        self.largest_window = largest_window
        self.median = median
        self.sigma = sigma

    def __call__(self, sparse_depth: np.ndarray) -> np.ndarray:
        """``(H, W)`` float32 metres, 0 = not measured -> ``(H, W)`` float32 metres."""
        measured = np.isfinite(sparse_depth) & (sparse_depth > 0)
        if not measured.any():
            return np.zeros(sparse_depth.shape, dtype=np.float32)
        inverse = np.zeros(sparse_depth.shape, dtype=np.float32)
        inverse[measured] = 1 / sparse_depth[measured]
        inverse = cv2.dilate(inverse, _diamond(self.dilation))
        inverse = cv2.morphologyEx(inverse, cv2.MORPH_CLOSE, _square(self.closing))
        inverse = self._fill(inverse)
        if self.median > 1:
            inverse = cv2.medianBlur(inverse, self.median)
        if self.sigma > 0:
            inverse = cv2.GaussianBlur(inverse, (0, 0), self.sigma, borderType=cv2.BORDER_REPLICATE)
        return 1 / inverse

    def _fill(self, inverse: np.ndarray) -> np.ndarray:
        """Answer every pixel that is still 0; at least one is not."""
        # A window of this size sees the whole image from each of its pixels.
        whole = 2 * max(inverse.shape) + 1
        size, extended = self.window, False
        while (inverse == 0).any():
            if size > self.largest_window and not extended:
                inverse, extended = _extend_upwards(inverse), True
                continue
            inverse = np.where(inverse == 0, cv2.dilate(inverse, _square(min(size, whole))), inverse)
            size = max(size + 2, int(size * self.growth) | 1)
        return inverse


def _extend_upwards(inverse: np.ndarray) -> np.ndarray:
    """Each column's topmost value in all rows above it; empty columns stay empty."""
    topmost = (inverse > 0).argmax(axis=0)
    values = inverse[topmost, np.arange(inverse.shape[1])]
    return np.where(np.arange(inverse.shape[0])[:, None] < topmost, values, inverse)


def _diamond(size: int) -> np.ndarray:
    offsets = np.abs(np.arange(size) - size // 2)
    return (offsets[:, None] + offsets <= size // 2).astype(np.uint8)


def _square(size: int) -> np.ndarray:
    return np.ones((size, size), dtype=np.uint8)
