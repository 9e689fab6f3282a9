"""Rain on a LiDAR (Goodin, Carruth, Doude and Hudson, Electronics 2019: Predicting the influence of rain on LIDAR in ADAS).

    alpha = 0.01 rate^0.6        lost where rho / r^2 exp(-2 alpha r) < 0.9 / reach^2
    of the lost, the part ``spurious`` returns from s in [nearest, r) with density ~ exp(-2 alpha s)
    d' = d + 0.02 d (1 - exp(-rate))^2 n,        n ~ N(0, 1), for the others

Shapes      sparse depth (H, W) -> the same; all other maps pass untouched, the photo too.
Test time   in the test data's transforms it measures robustness: in heavier rain the same points are lost, and more.
Differs     the paper knows each surface's reflectivity, which depth maps don't: it is drawn (0.05 to 0.9). Spurious returns are
            added. A wet road, which mirrors shots away, is not part of it.
Cost        four random numbers a measured point.
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
class Rain(Transform):
    """Lose points to rain, far and dark ones first, put some of them near by, and spread the ranges of the others.

    Args:
        rate: Millimetres an hour: 2.5 is light, 25 heavy rain; 0 changes nothing.
        spurious: Part of the lost points that return from drops, 0..1.
        reach: Greatest range of the sensor in clear air, metres.
        nearest: Least range that it reports, metres.

    Raises:
        ValueError: A negative rate, a range that is not positive, or a part outside 0..1.
        ConfigError: (when called) Sparse depth is not among the inputs.
    """

    def __init__(self, rate: float = 25.0, spurious: float = 0.1, reach: float = 120.0, nearest: float = 0.9) -> None:
        if not rate >= 0:
            raise ValueError(f"rate must be at least 0 mm an hour, not {rate}")
        check_weather(spurious, reach, nearest)
        self.rate = rate
        self.spurious = spurious
        self.reach = reach
        self.nearest = nearest

    def __call__(self, frame: Frame, generator: np.random.Generator) -> Frame:
        """The frame in rain."""
        sparse = sparse_of(frame, "Rain")
        spread = 0.02 * (1 - math.exp(-self.rate)) ** 2
        factor = np.zeros(sparse.shape)
        factor[sparse > 0] = np.maximum(1 + spread * generator.normal(size=np.count_nonzero(sparse)), 0.01)
        wet = scattered(sparse, 0.01 * self.rate**0.6, self.spurious, self.reach, self.nearest, generator)
        # A drop is where it is; surfaces are seen through rain.
        return with_sparse(frame, np.where(wet == sparse, wet * factor, wet))
