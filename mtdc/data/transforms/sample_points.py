"""Sparse depth as a number of random pixels of a denser map (Ma and Karaman, ICRA 2018; Lu et al., CVPR 2020, section 4.1).

    d'(u, v) = d(u, v) for n of the known pixels, drawn evenly without replacement, else 0

Shapes      sparse depth (H, W) -> the same; all other maps pass untouched.
Test time   fixed=True: a frame's points follow from its name alone, so they are the same in every run, order, subset of the
            frames and seed, and for every method that is compared.
Differs     exactly n points, where Ma and Karaman keep each pixel with probability n / known: then n only on average.
Cost        one draw of n of the known pixels.
"""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Sequence

import numpy as np

from ...contracts import Transform
from ...errors import ConfigError
from ...registry import TRANSFORMS
from ...structures import SPARSE_DEPTH, Frame


@TRANSFORMS.register_module()
class SamplePoints(Transform):
    """Keep n points of the sparse depth, which data sets with dense depth hand on whole; ground truth is left alone.

    It stands behind crops and resizes, so that n points are left inside the window.

    Args:
        points: n; or (least, greatest), from which each frame's is drawn evenly. A frame with fewer keeps all.
        fixed: The draw depends on the frame's name alone; otherwise on (seed, frame, epoch), as every random change.
        logarithmic: n is drawn evenly in its logarithm: as many frames with 50 to 500 points as with 500 to 5000.

    Raises:
        ValueError: A number below 1, or a range that is not ascending.
        ConfigError: (when called) Sparse depth is not among the inputs.
    """

    def __init__(self, points: int | Sequence[int] = 500, fixed: bool = False, logarithmic: bool = False) -> None:
        low, high = points if isinstance(points, Sequence) else (points, points)
        if not 1 <= low <= high:
            raise ValueError(f"points must be at least 1, or (least, greatest), not {points}")
        self.points = (int(low), int(high))
        self.fixed = fixed
        self.logarithmic = logarithmic

    def __call__(self, frame: Frame, generator: np.random.Generator) -> Frame:
        """The frame with that many points."""
        key = SPARSE_DEPTH.name
        if key not in frame.maps:
            raise ConfigError(f"SamplePoints needs the input '{key}', and only {', '.join(frame.maps)} are loaded.")
        if self.fixed:
            generator = np.random.default_rng(zlib.crc32(str(frame.meta["sample_id"]).encode()))
        dense = frame.maps[key]
        known = np.flatnonzero(dense != SPARSE_DEPTH.unknown)
        count = self._count(generator)
        kept = generator.choice(known, min(count, known.size), replace=False)
        sparse = np.full_like(dense, SPARSE_DEPTH.unknown)
        sparse.reshape(-1)[kept] = dense.reshape(-1)[kept]
        return dataclasses.replace(frame, maps={**frame.maps, key: sparse})

    def _count(self, generator: np.random.Generator) -> int:
        low, high = self.points
        if low == high:
            return low
        if self.logarithmic:
            return min(int(np.exp(generator.uniform(np.log(low), np.log(high + 1)))), high)
        return int(generator.integers(low, high + 1))
