"""Which line of a LiDAR a measured pixel was made by, from its elevation as the beams' origin sees it.

    X_s = R^T (X - o)        elevation = atan2(-y_s, |(x_s, z_s)|)        X = d K^-1 (u, v, 1), o = (right, -above, -behind)

On one line elevations differ by the rounding to pixels alone, some 0.04 degrees for KITTI, and from line to line by 0.3 and
more; so their histogram has a peak a line. Rows won't do: from a camera the ring of a beam is a curve, and jumps at edges.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.optimize import minimize
from scipy.spatial.transform import Rotation

from ..errors import DataError

#: Bins of the histogram and standard deviation of its smoothing, as parts of the mean step between lines.
_BIN, _SMOOTH = 1 / 20, 1 / 8
#: A valley between two lines is at most this part of the lower of its two peaks.
_VALLEY = 0.8
#: Degrees by which a frame's roll may differ from the mount's: the car's motion is taken out of scans, and calibrations differ.
_ROLLS = (-0.2, -0.1, 0.0, 0.1, 0.2)
#: Mean degrees from line to line of KITTI's HDL-64.
KITTI_STEP = 26.9 / 64
#: A sensor that is looked for: bounds of its place in metres (right, above, behind) and of its pitch and roll in degrees; where
#: the search starts (above, behind), and its first steps.
_BOUNDS = ((-1.0, 1.0), (-0.5, 1.5), (-1.0, 2.0), (-6.0, 6.0), (-6.0, 6.0))
_STARTS = tuple((above, behind) for above in (0.0, 0.3, 0.6) for behind in (0.0, 0.4, 0.8))
_FIRST_STEPS = (0.1, 0.1, 0.2, 2.0, 1.0)
#: Lines are there where points lie this close to theirs, and lines so evenly, as parts of the step.
_THICKNESS, _UNEVEN, _MOST = 1 / 8, 0.1, 75


@dataclass(frozen=True)
class Mount:
    """Where a LiDAR's beams start and how it is turned, against the camera.

    Args:
        right: Metres of the sensor's axis right of the camera.
        above: Metres of the beams' origins above it, of the upper and of the lower block.
        behind: Metres behind it.
        pitch: Degrees that the sensor looks down against the camera.
        roll: Degrees by which its right side is the higher one.
        blocks: Elevation between the two blocks, degrees.
    """

    right: float
    above: tuple[float, float]
    behind: float
    pitch: float
    roll: float
    blocks: float


#: KITTI's, as measured on a scan: an HDL-64 whose upper block's beams leave 20 cm above its origin, the lower one's 12 cm.
KITTI_MOUNT = Mount(right=0.058, above=(0.279, 0.195), behind=0.272, pitch=0.6, roll=0.605, blocks=-8.87)


def elevations(points: np.ndarray, mount: Mount) -> np.ndarray:
    """Elevations of points as their beams' origins see them: ``(N, 3)`` metres in the camera's frame -> ``(N,)`` degrees."""
    sensor = Rotation.from_euler("zx", (-mount.roll, -mount.pitch), degrees=True)
    upper, lower = (_elevation(sensor.inv().apply(points - (mount.right, -above, -mount.behind))) for above in mount.above)
    return np.where(upper > mount.blocks, upper, lower)


def _elevation(points: np.ndarray) -> np.ndarray:
    return np.degrees(np.arctan2(-points[:, 1], np.hypot(points[:, 0], points[:, 2])))


def sharpest(points: np.ndarray, mount: Mount, step: float) -> np.ndarray:
    """Elevations at the roll near the mount's at which their histogram is the sharpest: ``(N, 3)`` metres -> degrees.

    Args:
        points: Measured points in the camera's frame.
        mount: Where the sensor should be.
        step: Mean step between lines, degrees.
    """
    tried = [elevations(points, replace(mount, roll=mount.roll + off)) for off in _ROLLS]

    def sharpness(degrees: np.ndarray) -> float:
        counts = np.bincount(np.floor((degrees.max() - degrees) / (step / 14)).astype(np.int64)).astype(np.float64)
        return float((counts**2).sum())

    return max(tried, key=sharpness)


def line_numbers(degrees: np.ndarray, step: float) -> np.ndarray:
    """Number of each point's line, 0 = the highest that is seen, from the peaks of the elevations' histogram.

    Args:
        degrees: ``(N,)`` elevations.
        step: Mean step between lines, degrees.
    """
    if not degrees.size:
        return np.zeros(0, dtype=np.int64)
    top, width = degrees.max() + step, step * _BIN
    bins = np.floor((top - degrees) / width).astype(np.int64)
    counts = gaussian_filter1d(np.bincount(bins, minlength=bins.max() + 1 + round(1 / _BIN)).astype(np.float64), _SMOOTH / _BIN)
    borders = _valleys(counts)
    return np.searchsorted(borders, bins, side="right")


def _valleys(counts: np.ndarray) -> np.ndarray:
    """Bins of the lowest counts between two peaks that both stand out of it."""
    borders: list[int] = []
    peak, lowest, where = 0.0, np.inf, 0
    for place, count in enumerate(counts):
        if count > peak and lowest == np.inf:
            peak = count
        elif count < lowest and count < peak:
            lowest, where = count, place
        elif count > lowest and lowest <= _VALLEY * min(peak, count):
            borders.append(where)
            peak, lowest = count, np.inf
        elif count > peak:
            # A shoulder and no valley: the line goes on, and its peak is here.
            peak, lowest = count, np.inf
    return np.asarray(borders, dtype=np.int64)


def lines_of(points: np.ndarray, step: float | None, name: str) -> np.ndarray:
    """Number of each point's line, 0 = the highest: ``(N, 3)`` metres in the camera's frame -> ``(N,)``.

    Args:
        points: Measured points.
        step: Mean degrees between lines of a sensor whose place is then found from the points; None: KITTI's, in its place.
        name: The frame, for messages.

    Raises:
        DataError: The points lie on no lines that are so far apart.
    """
    if not len(points):
        return np.zeros(0, dtype=np.int64)
    if step is None:
        return line_numbers(sharpest(points, KITTI_MOUNT, KITTI_STEP), KITTI_STEP)
    seen = elevations(points, find_mount(points, step))
    numbers = line_numbers(seen, step)
    inside = [seen[numbers == number] for number in np.unique(numbers)]
    # Of most lines: at the scan's ends some hold a few points alone.
    thickness = float(np.percentile([part.std() for part in inside], _MOST))
    gaps = -np.diff([part.mean() for part in inside])
    gap = float(np.median(gaps)) if len(gaps) else float("nan")
    even = bool(len(gaps)) and float(np.percentile(np.abs(gaps - step), _MOST)) <= _UNEVEN * step
    if not (even and thickness <= _THICKNESS * step):
        raise DataError(
            f"{name}: its {len(points)} points lie on no lines {step:g} degrees apart ({len(inside)} found, {gap:.2f} degrees "
            f"apart and {thickness:.2f} thick); name the sensor's own step, or hold back points with every=N."
        )
    return numbers


def find_mount(points: np.ndarray, step: float) -> Mount:
    """Where a sensor with one block of beams stands: there the histogram of elevations is the sharpest.

    Nelder and Mead's search (The Computer Journal 1965) from several starts; the same for the same points.

    Args:
        points: ``(N, 3)`` metres in the camera's frame.
        step: Mean degrees between neighbouring lines.
    """
    edges = np.arange(-90, 90, step * _BIN)

    def mount(place: np.ndarray) -> Mount:
        right, above, behind, pitch, roll = map(float, place)
        return Mount(right, (above, above), behind, pitch, roll, blocks=-90.0)

    def blur(place: np.ndarray) -> float:
        counts = np.histogram(elevations(points, mount(place)), edges)[0].astype(np.float64)
        return -float((gaussian_filter1d(counts, _SMOOTH / _BIN / 2) ** 2).sum())

    found = []
    for above, behind in _STARTS:
        start = np.array((0.0, above, behind, 0.0, 0.0))
        simplex = np.vstack((start, start + np.diag(_FIRST_STEPS)))
        options = {"initial_simplex": simplex, "maxiter": 250}
        found.append(minimize(blur, start, method="Nelder-Mead", bounds=_BOUNDS, options=options))
    return mount(min(found, key=lambda one: float(one.fun)).x)
