"""Random size of the scene: all depths times one factor, drawn evenly in its logarithm.

    log s ~ U(log low, log high)        depth' = s * depth        for sparse depth and ground truth alike

Shapes      (H, W[, C]) -> the same; photo, normals, labels and intrinsics pass untouched.
Test time   leave it out of the test data's transforms.
Differs     from a zoom, which resizes the picture and divides depth: here the world around the camera grows, every point along
            its ray, so that pixels and intrinsics stay true.
Cost        one product a depth map.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ...contracts import Transform
from ...registry import TRANSFORMS
from ...structures import Frame
from ..moves import scale_depths


@TRANSFORMS.register_module()
class RandomDepthScale(Transform):
    """Multiply every depth map of the frame by one random factor.

    Args:
        factor: Least and greatest factor.

    Raises:
        ValueError: Factors that are not positive or not in ascending order.
        ConfigError: (when called) A depth map whose "unknown" is not 0.
    """

    def __init__(self, factor: Sequence[float] = (0.8, 1.25)) -> None:
        low, high = factor
        if not 0 < low <= high:
            raise ValueError(f"factor must be (least, greatest) and positive, not {tuple(factor)}")
        self.factor = (float(low), float(high))

    def __call__(self, frame: Frame, generator: np.random.Generator) -> Frame:
        """The frame of a larger or smaller world; "unknown" stays unknown."""
        low, high = self.factor
        factor = math.exp(generator.uniform(math.log(low), math.log(high)))
        return scale_depths(frame, factor, "RandomDepthScale")
