"""Multi-scale closest-surface fill by morphology, after the idea of IP-Basic (Ku, Harakeh, Waslander, CRV 2018).

    g = close(max over bins of dilate_bin(1 / sparse))     where g is empty: g = dilate(g)     depth = bilateral(1 / g)

Near points are spread wide and far ones little, since a far surface is smaller in the image: a bin of depths has a window
of its own. Gaps below each column's topmost value are filled by windows, what then is empty by the nearest answer; a
bilateral filter in metres smooths and keeps edges.

Shapes      (H, W) float32 metres, any size and density, 0 = not measured -> the same, every pixel answered.
Test time   no weights. Measured pixels do not come back as they were. An empty map gives zeros.
Differs     from IP-Basic (multi-scale with bilateral): true inverse depth, where max-filters see the same order; what that
            leaves empty takes the nearest answer, and medians and smoothing see the whole map. Bins are in metres, so twice
            the depth does not give twice the answer.
Cost        no parameters; some fifteen morphological filters and a bilateral one.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import cv2
import numpy as np

from ..contracts import Completion
from ..layers.morphology import cross, square
from ..layers.pixels import measured_pixels, nearest_measured
from ..registry import CLASSICAL

#: Sizes of the windows that fill what small gaps leave, in their order.
_FILLS = (5,) * 6
#: Size of the window of both medians and of the bilateral filter, pixels.
_SMOOTHING = 5


@CLASSICAL.register_module()
class MultiScaleMorphological(Completion):
    """Nearer surface wins, spread by windows that depend on depth; bilateral smoothing keeps its edges.

    The defaults are the published ones.

    Args:
        limits_m: Upper limits of the depth bins but the last, metres, rising.
        windows: Size of each bin's cross, from the nearest bin to the farthest; odd, pixels; one more than limits.
        closing: Size of the square that closes gaps between spread points; odd, 1 = off.
        window: Size of the square that fills gaps below each column's topmost value; odd, at least 3.
        sigma: Standard deviation of the bilateral filter's distance, pixels.
        sigma_m: Standard deviation of its difference in depth, metres.

    Raises:
        ValueError: Limits don't rise, a size is even or too small, or a deviation is not above 0.
    """

    keeps_measured = False
    knows_metres = True

    def __init__(
        self,
        limits_m: Sequence[float] = (15.0, 30.0),
        windows: Sequence[int] = (7, 5, 3),
        closing: int = 5,
        window: int = 9,
        sigma: float = 2.0,
        sigma_m: float = 0.5,
    ) -> None:
        if len(windows) != len(limits_m) + 1:
            raise ValueError(
                f"windows={windows!r} must have one size for each bin: {len(limits_m) + 1} for limits_m={limits_m!r}"
            )
        if not all(near < far for near, far in pairwise((0.0, *limits_m, np.inf))):
            raise ValueError(f"limits_m={limits_m!r} must rise, from above 0 metres")
        sizes = [("windows", size, 1) for size in windows] + [("closing", closing, 1), ("window", window, 3)]
        for name, size, least in sizes:
            if size % 2 != 1 or size < least:
                raise ValueError(f"{name}: {size!r} must be an odd number of pixels, {least} or more")
        for name, deviation in (("sigma", sigma), ("sigma_m", sigma_m)):
            if not 0 < deviation < np.inf:
                raise ValueError(f"{name}={deviation!r} must be above 0")
        self.limits_m = tuple(limits_m)
        self.windows = tuple(windows)
        self.closing = closing
        self.window = window
        self.sigma = sigma
        self.sigma_m = sigma_m

    def __call__(self, sparse_depth: np.ndarray, image: np.ndarray | None = None) -> np.ndarray:
        """``(H, W)`` float32 metres, 0 = not measured -> ``(H, W)`` float32 metres."""
        measured = measured_pixels(sparse_depth)
        if not measured.any():
            return np.zeros(sparse_depth.shape, dtype=np.float32)
        inverse = self._spread(sparse_depth, measured)
        inverse = cv2.morphologyEx(inverse, cv2.MORPH_CLOSE, square(self.closing))
        settled = np.where(inverse > 0, cv2.medianBlur(inverse, _SMOOTHING), 0)
        # The median takes lone points away; a map that holds nothing else keeps them.
        inverse = settled if settled.any() else inverse
        depth = 1 / cv2.medianBlur(self._fill(inverse), _SMOOTHING)
        smooth: np.ndarray = cv2.bilateralFilter(depth, _SMOOTHING, self.sigma_m, self.sigma, borderType=cv2.BORDER_REPLICATE)
        return smooth

    def _spread(self, sparse_depth: np.ndarray, measured: np.ndarray) -> np.ndarray:
        """Each bin's points dilated by its own window; where bins meet, the nearer one stands. Inverse depth."""
        inverse = np.zeros(sparse_depth.shape, dtype=np.float32)
        inverse[measured] = 1 / sparse_depth[measured]
        spread = np.zeros_like(inverse)
        for near, far, window in zip((0.0, *self.limits_m), (*self.limits_m, np.inf), self.windows, strict=True):
            inside = measured & (sparse_depth > near) & (sparse_depth <= far)
            spread = np.maximum(spread, cv2.dilate(np.where(inside, inverse, 0), cross(window)))
        return spread

    def _fill(self, inverse: np.ndarray) -> np.ndarray:
        """Answer every pixel that is still 0; at least one is not."""
        # Only below each column's topmost value: above it windows would spread near surfaces over what lies behind them.
        below = np.logical_or.accumulate(inverse > 0, axis=0)
        for size in (self.window, *_FILLS):
            inverse = np.where(below & (inverse == 0), cv2.dilate(inverse, square(size)), inverse)
        return nearest_measured(inverse, inverse > 0)
