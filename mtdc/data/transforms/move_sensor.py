"""Sparse depth as a sensor that has moved or turned gives it, while the calibration says that it has not.

    X = d(u, v) K^-1 (u, v, 1)        X' = R X + t        (u', v', 1) ~ K X'        d'(u', v') = the least z' of a pixel

Shapes      sparse depth (H, W) -> the same; all other maps and the intrinsics pass untouched.
Test time   in the test data's transforms it measures robustness to miscalibration; the axis and the direction follow from the
            frame's name and the seed, so a larger angle turns the same way.
Differs     nothing. Points that leave the image are lost; none come in from outside.
Cost        one projection of the measured points.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.spatial.transform import Rotation

from ...contracts import Transform
from ...geometry import project, splat_nearest
from ...registry import TRANSFORMS
from ...structures import INTRINSICS, Frame
from ..sparse_points import known_intrinsics, measured_points, sparse_of, with_sparse


@TRANSFORMS.register_module()
class MoveSensor(Transform):
    """Turn the measured points about the camera, shift them, and project them again; ground truth is left alone.

    Args:
        rotation: Degrees about an axis that is drawn for each frame; or the rotation vector (x, y, z) itself, degrees, in the
            camera's frame (x right, y down, z forward): a positive y turns points to the right.
        shift: Metres in a direction that is drawn for each frame; or the shift (x, y, z) itself, metres.

    Raises:
        ValueError: Not one or three finite numbers.
        ConfigError: (when called) Sparse depth is not among the inputs.
        DataError: (when called) The frame's intrinsics are not known.
    """

    needs = (INTRINSICS.name,)

    def __init__(self, rotation: float | Sequence[float] = 0.0, shift: float | Sequence[float] = 0.0) -> None:
        self.rotation = _one_or_three(rotation, "rotation", "degrees")
        self.shift = _one_or_three(shift, "shift", "metres")

    def __call__(self, frame: Frame, generator: np.random.Generator) -> Frame:
        """The frame with moved points; the nearest of a pixel is kept."""
        sparse, intrinsics = sparse_of(frame, "MoveSensor"), known_intrinsics(frame, "MoveSensor")
        # Both are drawn in any case, so that a shift goes the same way with and without a rotation beside it.
        axis, direction = (vector / np.linalg.norm(vector) for vector in generator.normal(size=(2, 3)))
        turn = axis * self.rotation if self.rotation.ndim == 0 else self.rotation
        shift = direction * self.shift if self.shift.ndim == 0 else self.shift
        moved = Rotation.from_rotvec(turn, degrees=True).apply(measured_points(sparse, intrinsics)) + shift
        return with_sparse(frame, splat_nearest(*project(moved, intrinsics), *frame.size))


def _one_or_three(value: float | Sequence[float], name: str, unit: str) -> np.ndarray:
    numbers = np.asarray(value, dtype=np.float64)
    if numbers.shape not in ((), (3,)) or not np.isfinite(numbers).all():
        raise ValueError(f"{name} must be one number or (x, y, z) in {unit}, not {value}")
    return numbers
