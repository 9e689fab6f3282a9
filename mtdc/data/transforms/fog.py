"""Fog on a LiDAR (lidar equation with Koschmieder's law; as a fault for LiDAR points: Hahner et al., ICCV 2021).

    alpha = ln(20) / visibility        lost where rho / r^2 exp(-2 alpha r) < 0.9 / reach^2
    of the lost, the part ``spurious`` returns from s in [nearest, r) with density ~ exp(-2 alpha s)

Shapes      sparse depth (H, W) -> the same; all other maps pass untouched, the photo too.
Test time   in the test data's transforms it measures robustness: in denser fog the same points are lost, and more.
Differs     Hahner et al. compare the fog's own return with the surface's, by the measured intensity; depth maps have none, so
            reflectivities are drawn (0.05 to 0.9) and the part of spurious returns is given.
Cost        three random numbers a measured point.
"""

from __future__ import annotations

import math

import numpy as np

from ...contracts import Transform
from ...registry import TRANSFORMS
from ...structures import Frame
from ..sparse_points import sparse_of, with_sparse
from ..weather import check_weather, scattered


@TRANSFORMS.register_module()
class Fog(Transform):
    """Lose points to fog, far and dark ones first, and put some of them near by.

    Args:
        visibility: Meteorological optical range, metres: where a contrast has fallen to 5 %. Fog is below 1000, thick fog
            below 200.
        spurious: Part of the lost points that return from the fog, 0..1.
        reach: Greatest range of the sensor in clear air, metres.
        nearest: Least range that it reports, metres.

    Raises:
        ValueError: A visibility or range that is not positive, or a part outside 0..1.
        ConfigError: (when called) Sparse depth is not among the inputs.
    """

    def __init__(self, visibility: float = 50.0, spurious: float = 0.2, reach: float = 120.0, nearest: float = 0.9) -> None:
        if not visibility > 0:
            raise ValueError(f"visibility must be positive metres, not {visibility}")
        check_weather(spurious, reach, nearest)
        self.extinction = math.log(20) / visibility
        self.spurious = spurious
        self.reach = reach
        self.nearest = nearest

    def __call__(self, frame: Frame, generator: np.random.Generator) -> Frame:
        """The frame in fog."""
        sparse = sparse_of(frame, "Fog")
        return with_sparse(frame, scattered(sparse, self.extinction, self.spurious, self.reach, self.nearest, generator))
