"""What rain and fog do to the returns of a LiDAR.

The power that comes back from a surface of reflectivity rho at range r falls by the lidar equation and Beer and Lambert's law
both ways, and a shot is lost where it is less than what a surface of reflectivity 0.9 sends from the sensor's greatest range:

    rho / r^2 * exp(-2 alpha r) < 0.9 / reach^2        (alpha: extinction, 1/m)

Reflectivities are unknown and drawn for each point, from those with which it came back in clear air. Some of the lost shots
return from drops near by: such ranges are drawn with the density exp(-2 alpha s), nearest <= s < r.
"""

from __future__ import annotations

import numpy as np

#: Reflectivity of what stands in streets at 905 nm, from black paint to foliage and signs; the reach is given for the greatest.
REFLECTIVITY = (0.05, 0.9)


def scattered(
    sparse: np.ndarray,
    extinction: float,
    spurious: float,
    reach: float,
    nearest: float,
    generator: np.random.Generator,
) -> np.ndarray:
    """Sparse depth in rain or fog; depth stands for range.

    Args:
        sparse: ``(H, W)`` metres, 0 = not measured.
        extinction: 1/m.
        spurious: Part of the lost shots that return from drops, 0..1.
        reach: Greatest range of the sensor in clear air, metres, at the greatest reflectivity.
        nearest: Least range that it reports, metres.
        generator: Three random numbers are drawn for each point.
    """
    measured = sparse > 0
    ranges = sparse[measured].astype(np.float64)
    of_reflectivity, of_spurious, of_range = generator.random((3, ranges.size))
    least, most = REFLECTIVITY
    # A point beyond the reach was seen: nothing else is known of its surface than that it is of the brightest.
    needed = np.minimum(most * (ranges / reach) ** 2, most)
    darkest = np.maximum(least, needed)
    reflectivity = darkest + of_reflectivity * (most - darkest)
    lost = reflectivity * np.exp(-2 * extinction * ranges) < needed
    returns = lost & (of_spurious < spurious) & (ranges > nearest)
    span = -np.expm1(-2 * extinction * np.maximum(ranges - nearest, 0))
    near = nearest - np.log1p(-of_range * span) / (2 * extinction) if extinction > 0 else ranges
    result = np.zeros_like(sparse)
    result[measured] = np.where(returns, near, np.where(lost, 0, ranges))
    return result


def check_weather(spurious: float, reach: float, nearest: float) -> None:
    """Refuse what no sensor has.

    Raises:
        ValueError: A part outside 0..1, or ranges that are not positive and ascending.
    """
    if not 0 <= spurious <= 1:
        raise ValueError(f"spurious must lie in 0..1, not {spurious}")
    if not 0 < nearest < reach:
        raise ValueError(f"nearest and reach must be positive metres in ascending order, not {nearest} and {reach}")
