"""Random wrong points among the measured ones.

    d'(u, v) ~ U(nearest, farthest) with probability ratio, else d(u, v)        (independently for each measured point)

Shapes      sparse depth (H, W) -> the same; all other maps pass untouched.
Test time   in the test data's transforms it measures robustness to outliers: of two ratios the greater one spoils the same
            points, to the same depths, and more.
Differs     nothing; points seen past an edge, the outliers that LiDARs beside cameras make, are SeeThrough's.
Cost        two random numbers a measured point.
"""

from __future__ import annotations

import numpy as np

from ...contracts import Transform
from ...registry import TRANSFORMS
from ...structures import Frame
from ..sparse_points import lose, sparse_of, with_sparse


@TRANSFORMS.register_module()
class SparseOutliers(Transform):
    """Replace a part of the measured depths by random ones.

    Args:
        ratio: Probability that a point is wrong, 0..1.
        nearest: Least wrong depth, metres.
        farthest: Greatest wrong depth, metres.

    Raises:
        ValueError: A ratio outside 0..1, or depths that are not positive and ascending.
        ConfigError: (when called) Sparse depth is not among the inputs.
    """

    def __init__(self, ratio: float = 0.01, nearest: float = 1.0, farthest: float = 80.0) -> None:
        if not 0 <= ratio <= 1:
            raise ValueError(f"ratio must lie in 0..1, not {ratio}")
        if not 0 < nearest <= farthest:
            raise ValueError(f"nearest and farthest must be positive metres in ascending order, not {nearest} and {farthest}")
        self.ratio = ratio
        self.nearest = nearest
        self.farthest = farthest

    def __call__(self, frame: Frame, generator: np.random.Generator) -> Frame:
        """The frame with wrong points; as many points as before."""
        sparse = sparse_of(frame, "SparseOutliers")
        kept, wrong = lose(sparse, generator, lambda depth: np.full(depth.shape, self.ratio))
        anything = np.zeros_like(sparse)
        anything[sparse > 0] = generator.uniform(self.nearest, self.farthest, np.count_nonzero(sparse))
        return with_sparse(frame, np.where(wrong, anything, kept))
