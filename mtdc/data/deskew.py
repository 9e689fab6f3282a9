"""The sensor's own motion during one turn of a LiDAR, undone.

A LiDAR that turns measures each direction at another time. Seen from above it turns clockwise, the scan is stamped when it
looks ahead (x), and a point at azimuth a was measured at

    t = -a / (2 pi) * turn_s,        a = atan2(y, x) in (-pi, pi]

With the sensor's velocity v and turn rate w held constant over the turn, the point as it would have been seen at t = 0 is

    X_0 = exp([w]x t) X + v t
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from ..errors import ConfigError

#: Seconds of one turn of KITTI's LiDAR.
TURN_S = 0.1037
#: Faster than this (m/s) is nearly always km/h.
_FASTEST_M_S = 70.0
#: Quicker than this (rad/s) is nearly always degrees per second.
_QUICKEST_RAD_S = 3.5


@dataclass(frozen=True)
class Motion:
    """How the LiDAR moves during one turn, in its own frame (x forward, y left, z up).

    Args:
        velocity: m/s.
        turn_rate: rad/s about the three axes; the last is the yaw rate, positive to the left.
        turn_s: Seconds of one turn.

    Raises:
        ConfigError: Not three numbers each, values that no vehicle reaches, or a turn that takes no time.
    """

    velocity: tuple[float, float, float]
    turn_rate: tuple[float, float, float] = (0.0, 0.0, 0.0)
    turn_s: float = TURN_S

    def __post_init__(self) -> None:
        for name, value, most, unit, hint in (
            ("velocity", self.velocity, _FASTEST_M_S, "m/s", "divide km/h by 3.6"),
            ("turn rate", self.turn_rate, _QUICKEST_RAD_S, "rad/s", "multiply degrees by pi / 180"),
        ):
            if len(value) != 3 or not np.isfinite(value).all():
                raise ConfigError(f"deskewing: the {name} is {value}; expected three finite numbers in {unit}.")
            if np.abs(value).max() > most:
                raise ConfigError(f"deskewing: the {name} is {np.abs(value).max():g} {unit}, more than {most:g}: {hint}.")
        if not 0 < self.turn_s <= 1:
            raise ConfigError(
                f"deskewing: one turn takes {self.turn_s:g} s; expected seconds above 0 and up to 1 (10 Hz: 0.1)."
            )

    def undo(self, points: np.ndarray) -> np.ndarray:
        """Points as seen when the LiDAR looked ahead: ``(N, 3)`` or more columns, metres, to ``(N, 3)`` float64."""
        points = np.asarray(points, dtype=np.float64)[:, :3]
        seconds = -np.arctan2(points[:, 1], points[:, 0]) / (2 * np.pi) * self.turn_s
        moved = seconds[:, None] * np.asarray(self.velocity, dtype=np.float64)
        if any(self.turn_rate):
            points = Rotation.from_rotvec(seconds[:, None] * np.asarray(self.turn_rate, dtype=np.float64)).apply(points)
        turned: np.ndarray = points + moved
        return turned
