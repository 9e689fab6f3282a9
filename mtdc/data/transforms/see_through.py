"""Points of the background inside the picture of what stands before it, as a sensor beside the camera sees them.

    b(u, v) = max of the measured depths within radius px
    d'(u, v) = b(u, v) with probability ratio where b - d > max(gap, 0.1 d), else d(u, v)

Shapes      sparse depth (H, W) -> the same; all other maps pass untouched.
Test time   in the test data's transforms it measures robustness to see-through points: of two ratios the greater one spoils
            the same points and more.
Differs     from MoveSensor, which makes such points by geometry and moves all others with them: here the rest is exact. For an
            HDL-64 on KITTI's car the background of a thing at 5 m shows up to 36 px inside its outline.
Cost        one dilation of the map and one random number a measured point.
"""

from __future__ import annotations

import cv2
import numpy as np

from ...contracts import Transform
from ...registry import TRANSFORMS
from ...structures import Frame
from ..sparse_points import lose, sparse_of, with_sparse

#: Share of its depth that the background lies behind a point at least.
_RELATIVE_GAP = 0.1


@TRANSFORMS.register_module()
class SeeThrough(Transform):
    """Replace points near an outline by the background beside it.

    Args:
        ratio: Probability that a point beside an outline shows the background, 0..1.
        radius: How far from the outline, pixels.
        gap: How far behind the background is at least, metres.

    Raises:
        ValueError: A ratio outside 0..1, a radius below 1 or a negative gap.
        ConfigError: (when called) Sparse depth is not among the inputs.
    """

    def __init__(self, ratio: float = 0.2, radius: int = 10, gap: float = 1.0) -> None:
        if not 0 <= ratio <= 1:
            raise ValueError(f"ratio must lie in 0..1, not {ratio}")
        if radius < 1 or gap < 0:
            raise ValueError(f"radius must be at least 1 pixel and gap at least 0 m, not {radius} and {gap}")
        self.ratio = ratio
        self.radius = radius
        self.gap = gap

    def __call__(self, frame: Frame, generator: np.random.Generator) -> Frame:
        """The frame with points seen past edges; as many points as before."""
        sparse = sparse_of(frame, "SeeThrough")
        disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * self.radius + 1,) * 2)
        behind = np.asarray(cv2.dilate(np.ascontiguousarray(sparse, dtype=np.float32), disc))
        beside = behind - sparse > np.maximum(self.gap, _RELATIVE_GAP * sparse)
        _, drawn = lose(sparse, generator, lambda depth: np.full(depth.shape, self.ratio))
        return with_sparse(frame, np.where(drawn & beside, behind, sparse))
