"""Left-right flip of the whole frame with a probability.

    u -> W - 1 - u        cx -> W - 1 - cx        n_x -> -n_x

Shapes      (H, W[, C]) -> the same.
Test time   leave it out of the test data's transforms.
Differs     from some published code, which moves cx to W - cx: one pixel off where the first pixel's centre is 0.
Cost        none: the maps are views, normals are copied.
"""

from __future__ import annotations

import numpy as np

from ...contracts import Transform
from ...registry import TRANSFORMS
from ...structures import Frame
from ..moves import flip_frame


@TRANSFORMS.register_module()
class RandomFlip(Transform):
    """Mirror maps, normals and intrinsics left to right.

    Args:
        probability: Of a flip, 0..1.

    Raises:
        ValueError: A probability outside 0..1.
    """

    def __init__(self, probability: float = 0.5) -> None:
        if not 0 <= probability <= 1:
            raise ValueError(f"probability must lie in 0..1, not {probability}")
        self.probability = probability

    def __call__(self, frame: Frame, generator: np.random.Generator) -> Frame:
        """The frame, mirrored or as it was."""
        return flip_frame(frame) if generator.random() < self.probability else frame
