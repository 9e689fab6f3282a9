"""Small rotation in the image plane: the camera rolled about its optical axis (Ma and Karaman, ICRA 2018: 5 degrees).

    a ~ U(-degrees, degrees)        (u', v', 1) ~ K R_z(a) K^-1 (u, v, 1)        n' = R_z(a) n        d' = d, K' = K

Shapes      (H, W[, C]) -> the same; corners that come in from outside are unknown.
Test time   leave it out of the test data's transforms.
Differs     published code turns about the image's centre: off the principal point that is no camera's motion. Photos are
            interpolated linearly; all else takes the nearest pixel, so of scattered points some 10 % are lost or doubled.
Cost        one gather a map.
"""

from __future__ import annotations

import numpy as np

from ...contracts import Transform
from ...registry import TRANSFORMS
from ...structures import INTRINSICS, Frame
from ..moves import rotate_frame
from ..sparse_points import known_intrinsics


@TRANSFORMS.register_module()
class RandomRotation(Transform):
    """Turn the frame about the principal point by a random angle.

    Args:
        degrees: Greatest angle to either side, 0..45.

    Raises:
        ValueError: An angle outside 0..45.
        DataError: (when called) The frame's intrinsics are not known.
    """

    needs = (INTRINSICS.name,)

    def __init__(self, degrees: float = 5.0) -> None:
        if not 0 <= degrees <= 45:
            raise ValueError(f"degrees must lie in 0..45, not {degrees}")
        self.degrees = degrees

    def __call__(self, frame: Frame, generator: np.random.Generator) -> Frame:
        """The frame as a rolled camera sees it."""
        known_intrinsics(frame, "RandomRotation")
        return rotate_frame(frame, generator.uniform(-self.degrees, self.degrees))
