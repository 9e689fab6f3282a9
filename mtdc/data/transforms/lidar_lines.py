"""Sparse depth of a LiDAR with fewer lines: every k-th by elevation (as in KITTI's tests with 32, 16 and 8 lines).

    e = elevation of d(u, v) K^-1 (u, v, 1) as the beams' origin sees it        line = peak of the histogram of e
    d'(u, v) = d(u, v) where line mod (of / lines) = (of / lines) // 2, else 0

Shapes      sparse depth (H, W) -> the same; all other maps pass untouched.
Test time   nothing is random: a frame has one answer. 64 lines of 64 is the frame itself.
Differs     from bins of equal elevation as the camera sees it: the beams of an HDL-64 start 28 and 19 cm above the camera, on
            a sensor that is rolled by 0.6 degrees, so that such bins mix neighbouring lines, and take rows.
            A dense map has no lines: there those pixels are kept that ``lines`` beams, spread evenly, would hit.
Cost        a histogram of the points' elevations, some 80 ms for a KITTI frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ...contracts import Transform
from ...registry import TRANSFORMS
from ...structures import INTRINSICS, Frame
from ..lidar_lines import KITTI_MOUNT, KITTI_STEP, elevations, line_numbers, sharpest
from ..sparse_points import known_intrinsics, measured_points, sparse_of, with_sparse

#: Degrees from the first to the last beam of the sensors that ``of`` lines are spread over: an HDL-64's.
_FIELD = 64 * KITTI_STEP
#: From this part of measured pixels on a map counts as dense: a LiDAR's 64 lines fill 6 %.
_DENSE = 0.25


@TRANSFORMS.register_module()
class LidarLines(Transform):
    """Keep every k-th LiDAR line of the sparse depth.

    Args:
        lines: Lines that the sensor would have: 64, 32, 16, 8 or 4 of 64; or several numbers, from which each frame's is drawn.
        of: Lines that it has, a multiple of it.
        above: Metres of the beams' origin above the camera; or of the upper and of the lower block.
        roll: Degrees by which the sensor's right side is the higher one in the camera's picture.
        pitch: Degrees that it looks down against the camera. The defaults are KITTI's.

    Raises:
        ValueError: Numbers of lines that are below 1 or don't divide, or not one or two heights.
        ConfigError: (when called) Sparse depth is not among the inputs.
        DataError: (when called) The frame's intrinsics are not known.
    """

    needs = (INTRINSICS.name,)

    def __init__(
        self,
        lines: int | Sequence[int] = 16,
        of: int = 64,
        above: float | Sequence[float] = KITTI_MOUNT.above,
        roll: float = KITTI_MOUNT.roll,
        pitch: float = KITTI_MOUNT.pitch,
    ) -> None:
        self.lines = (lines,) if isinstance(lines, int) else tuple(lines)
        if not self.lines or any(not 1 <= number <= of or of % number for number in self.lines):
            raise ValueError(f"lines must divide of={of}, so that every k-th line is kept, not {lines}")
        heights = tuple(above) if isinstance(above, Sequence) else (above, above)
        if len(heights) != 2:
            raise ValueError(f"above must be one height or (upper block's, lower block's) in metres, not {above}")
        self.of = of
        self.mount = replace(KITTI_MOUNT, above=heights, roll=roll, pitch=pitch)

    def __call__(self, frame: Frame, generator: np.random.Generator) -> Frame:
        """The frame with fewer lines."""
        sparse, intrinsics = sparse_of(frame, "LidarLines"), known_intrinsics(frame, "LidarLines")
        lines = self.lines[0] if len(self.lines) == 1 else int(generator.choice(self.lines))
        measured = sparse > 0
        if not measured.any():
            return frame
        dense = measured.mean() >= _DENSE
        if lines == self.of and not dense:
            return frame
        points = measured_points(sparse, intrinsics)
        seen = elevations(points, self.mount) if dense else sharpest(points, self.mount, _FIELD / self.of)
        kept = np.zeros_like(measured)
        kept[measured] = self._near_beams(seen, lines, float(intrinsics[1, 1])) if dense else self._every_kth(seen, lines)
        return with_sparse(frame, np.where(kept, sparse, 0))

    def _every_kth(self, seen: np.ndarray, lines: int) -> np.ndarray:
        every = self.of // lines
        return np.asarray(line_numbers(seen, _FIELD / self.of) % every == every // 2)

    def _near_beams(self, seen: np.ndarray, lines: int, focal: float) -> np.ndarray:
        lowest, highest = seen.min(), seen.max()
        step = max((highest - lowest) / lines, 1e-6)
        beam = np.floor((highest - seen) / step).clip(0, lines - 1) + 0.5
        return np.asarray(np.abs(highest - beam * step - seen) <= 0.5 * np.degrees(1 / focal))
