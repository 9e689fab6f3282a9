"""Noise of measured ranges, which grows with range.

    d' = d + (noise + growth * d) * n,        n ~ N(0, 1) for each measured point

Shapes      sparse depth (H, W) -> the same; all other maps pass untouched.
Test time   in the test data's transforms it measures robustness to noise; n follows from the frame's name and the seed, so a
            larger noise moves the same points farther the same way.
Differs     along the ray a slanted range is longer than depth (by 1.3 at 40 degrees); the noise is taken of depth. The defaults
            are those of a KITTI scan inside one ring: 1 cm at 8 m, 2.6 cm at 60 m.
Cost        one random number a measured point.
"""

from __future__ import annotations

import numpy as np

from ...contracts import Transform
from ...registry import TRANSFORMS
from ...structures import Frame
from ..sparse_points import sparse_of, with_sparse

#: Metres below which no noise takes a point: it stays measured.
_NEAREST = 0.01


@TRANSFORMS.register_module()
class SparseNoise(Transform):
    """Add zero-mean noise to every measured depth; ground truth is left alone.

    Args:
        noise: Standard deviation at the camera, metres.
        growth: What a metre of depth adds to it, metres per metre.

    Raises:
        ValueError: A negative value.
        ConfigError: (when called) Sparse depth is not among the inputs.
    """

    def __init__(self, noise: float = 0.008, growth: float = 0.0003) -> None:
        if noise < 0 or growth < 0:
            raise ValueError(f"noise and growth must be at least 0, not {noise} and {growth}")
        self.noise = noise
        self.growth = growth

    def __call__(self, frame: Frame, generator: np.random.Generator) -> Frame:
        """The frame with noisy points: as many as before."""
        sparse = sparse_of(frame, "SparseNoise")
        measured = sparse > 0
        depth = sparse[measured].astype(np.float64)
        noisy = sparse.copy()
        noisy[measured] = np.maximum(depth + (self.noise + self.growth * depth) * generator.normal(size=depth.size), _NEAREST)
        return with_sparse(frame, noisy)
