"""Measured points held back from the input and scored: judging on real scans that have no ground truth.

    every=k   held(p) = rank of p on a Z-order curve mod k = k // 2          (curve: bits of u and v interleaved)
    share=s   held(p) = with probability s, independently
    lines=k   held(p) = line of p, counted by elevation, mod k = k // 2
    d' = d where not held, else 0        gt = d where held, else 0

Shapes      sparse depth and ground truth (H, W) -> the same; all other maps pass untouched.
Test time   the point of it: every and lines are not random, share follows from the frame's name. Ground truth that is there is
            replaced, so that held-back points alone are scored.
Differs     nothing is taken from a paper. Neighbours on the Z-order curve are neighbours in the picture, so every k-th point is
            spread evenly in both directions, where counting row by row would take whole columns of some scans.
            Held-back points are LiDAR points with all their faults: points of the background seen through the outline of what
            stands before it (the sensor stands beside the camera) count as truth, unless visible=True leaves them out.
Cost        a sort of the points; lines of another sensor than KITTI's: 1 to 2 s a frame, in which its place is found.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import cv2
import numpy as np

from ...contracts import Transform
from ...registry import TRANSFORMS
from ...structures import DEPTH, INTRINSICS, Frame
from ..lidar_lines import lines_of
from ..sparse_points import known_intrinsics, lose, measured_points, sparse_of, with_sparse

#: Around a point nearer ones are looked for so far, pixels; and they are so much nearer, of their depth and metres.
_RADIUS, _RELATIVE_GAP, _GAP_M = 12, 0.1, 1.0
#: In so many of the four quadrants around it a point that is covered has nearer ones: beside an outline it has two.
_QUADRANTS = 3


@TRANSFORMS.register_module()
class HoldBack(Transform):
    """A part of the measured points becomes the ground truth and is taken from the input.

    One of ``every``, ``share`` and ``lines`` says which part; without any it is every second point.

    Args:
        every: One of so many points is held back, evenly spread over the picture.
        share: Probability that a point is held back, each by itself; or (least, greatest), from which each frame's is drawn
            evenly.
        lines: One of so many LiDAR lines is held back.
        step: Degrees between neighbouring lines of a sensor that is not KITTI's: 1.33 for an HDL-32E (nuScenes). Where it
            stands beside the camera is found from each frame's points.
        visible: Points among nearer ones, which the camera probably doesn't see, are held back and not scored.

    Raises:
        ValueError: Two of the three are given, or one that holds back nothing or everything; or a step without lines.
        ConfigError: (when called) Sparse depth is not among the inputs.
        DataError: (when called, with lines) The frame's intrinsics are not known, or its points lie on no lines.
    """

    gives = (DEPTH.target_key,)

    def __init__(
        self,
        every: int | None = None,
        share: float | Sequence[float] | None = None,
        lines: int | None = None,
        step: float | None = None,
        visible: bool = False,
    ) -> None:
        given = [name for name, value in (("every", every), ("share", share), ("lines", lines)) if value is not None]
        if len(given) > 1:
            raise ValueError(f"one of every, share and lines says what is held back, not {' and '.join(given)}")
        for name, count in (("every", every), ("lines", lines)):
            if count is not None and count < 2:
                raise ValueError(f"{name} must be at least 2, so that something is left, not {count}")
        shares = (share, share) if isinstance(share, float | int) else share
        if shares is not None and not (len(shares) == 2 and 0 < shares[0] <= shares[1] < 1):
            raise ValueError(f"share must lie between 0 and 1, or be (least, greatest) there, not {share}")
        if step is not None and (lines is None or not 0 < step < 90):
            raise ValueError(f"step is degrees between lines, above 0 and with lines, not {step}")
        self.every = every if given else 2
        self.share = None if shares is None else (float(shares[0]), float(shares[1]))
        self.lines = lines
        self.step = step
        self.visible = visible
        self.needs = () if lines is None else (INTRINSICS.name,)

    def __call__(self, frame: Frame, generator: np.random.Generator) -> Frame:
        """The frame with fewer points, and the others as its ground truth where that is asked for."""
        sparse = sparse_of(frame, "HoldBack")
        held = self._held(sparse, frame, generator)
        scored = held & ~covered(sparse) if self.visible else held
        thinned = with_sparse(frame, np.where(held, 0, sparse))
        key = DEPTH.target_key
        if key not in frame.maps:
            return thinned
        truth = np.where(scored, sparse, DEPTH.unknown).astype(frame.maps[key].dtype, copy=False)
        return dataclasses.replace(thinned, maps={**thinned.maps, key: truth})

    def _held(self, sparse: np.ndarray, frame: Frame, generator: np.random.Generator) -> np.ndarray:
        measured = sparse > 0
        held = np.zeros_like(measured)
        if self.share is not None:
            low, high = self.share
            # One share needs no draw: the points are those of before shares could be ranges.
            share = low if low == high else generator.uniform(low, high)
            return lose(sparse, generator, lambda depth: np.full(depth.shape, share))[1]
        if self.lines is not None:
            intrinsics = known_intrinsics(frame, "HoldBack")
            name = f"frame {frame.meta.get('sample_id', 'without a name')}"
            number = lines_of(measured_points(sparse, intrinsics), self.step, name)
            held[measured] = number % self.lines == self.lines // 2
            return held
        assert self.every is not None
        rows, columns = np.nonzero(measured)
        rank = np.empty(rows.size, dtype=np.int64)
        rank[np.argsort(_z_order(rows, columns))] = np.arange(rows.size)
        held[measured] = rank % self.every == self.every // 2
        return held


def covered(sparse: np.ndarray) -> np.ndarray:
    """Measured points with nearer ones around them: ``(H, W)`` metres, 0 = none -> bool."""
    depth = np.where(sparse > 0, sparse, np.inf).astype(np.float32)
    window = np.ones((_RADIUS + 1,) * 2, dtype=np.uint8)
    count = np.zeros(sparse.shape, dtype=np.int64)
    for anchor in ((0, 0), (_RADIUS, 0), (0, _RADIUS), (_RADIUS, _RADIUS)):
        near = cv2.erode(depth, window, anchor=anchor, borderType=cv2.BORDER_CONSTANT, borderValue=float("inf"))
        count += sparse - near > np.maximum(_GAP_M, _RELATIVE_GAP * near)
    return np.asarray((sparse > 0) & (count >= _QUADRANTS))


def _z_order(rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Numbers along the Z-order curve, of pixels below 2 ** 31."""
    return (_spread_bits(rows) << np.uint64(1)) | _spread_bits(columns)


def _spread_bits(value: np.ndarray) -> np.ndarray:
    """A zero bit between any two bits."""
    spread = value.astype(np.uint64)
    for shift, mask in (
        (16, 0x0000FFFF0000FFFF), (8, 0x00FF00FF00FF00FF), (4, 0x0F0F0F0F0F0F0F0F), (2, 0x3333333333333333),
        (1, 0x5555555555555555),
    ):  # fmt: skip
        spread = (spread | (spread << np.uint64(shift))) & np.uint64(mask)
    return spread
