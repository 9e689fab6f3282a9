"""Regular grids of rays, and the window of a grid that a body can fill.

A grid's rays are numbered row by row. A camera's directions have length 1 along its optical axis, so that the ray parameter is
depth; a LiDAR's and the sun's have unit length, so that it is range.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

#: Pairs of corners (numbered as in ``Primitives.corners``) that an edge joins.
_EDGES = [(a, a | bit) for a in range(8) for bit in (1, 2, 4) if not a & bit]
_NEAREST = 0.05


class RayGrid(ABC):
    """``height x width`` rays.

    Args:
        origins: ``(3, 1)`` for all rays, or ``(3, R)``, world metres.
        directions: ``(3, R)``.
    """

    height: int
    width: int
    origins: Tensor
    directions: Tensor

    @abstractmethod
    def windows(self, corners: Tensor) -> Tensor:
        """Windows that hold all rays that may meet a box: ``(N, 8, 3)`` corners -> ``(N, 4)`` int64, top, bottom, left, right
        (bottom and right are the first outside)."""

    @abstractmethod
    def nearest(self, corners: Tensor) -> Tensor:
        """No ray meets a box before this parameter: ``(N, 8, 3)`` corners -> ``(N,)``."""

    def _clip(self, low_row: Tensor, high_row: Tensor, low_column: Tensor, high_column: Tensor, seen: Tensor) -> Tensor:
        """Windows from inclusive bounds in rows and columns."""
        rows = torch.stack((low_row.floor(), high_row.ceil() + 1)).clamp(0, self.height)
        columns = torch.stack((low_column.floor(), high_column.ceil() + 1)).clamp(0, self.width)
        windows = torch.stack((rows[0], rows[1], columns[0], columns[1]), dim=1).to(torch.int64)
        return torch.where(seen[:, None], windows, 0)


def rotation(yaw: float, pitch: float, roll: float) -> Tensor:
    """World from camera, ``(3, 3)`` float64: columns are the camera's x (right), y (down), z (forward) in the world.

    Radians; yaw turns right, pitch looks down, roll lowers the right side.
    """
    cy, sy, cp, sp, cr, sr = (
        float(f(torch.tensor(a, dtype=torch.float64))) for a in (yaw, pitch, roll) for f in (torch.cos, torch.sin)
    )
    level = torch.tensor([[1, 0, 0], [0, 0, 1], [0, -1, 0]], dtype=torch.float64)
    turn_yaw = torch.tensor([[cy, sy, 0], [-sy, cy, 0], [0, 0, 1]], dtype=torch.float64)
    turn_pitch = torch.tensor([[1, 0, 0], [0, cp, sp], [0, -sp, cp]], dtype=torch.float64)
    turn_roll = torch.tensor([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]], dtype=torch.float64)
    return turn_yaw @ level @ turn_pitch @ turn_roll


def _clipped_edges(points: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """Ends of the boxes' edges in front of ``points[axis] = nearest``: ``(N, 8, 3) -> (N, 24, 3)``, and which there are."""
    edges = torch.tensor(_EDGES, device=points.device)
    first, second = points[:, edges[:, 0]], points[:, edges[:, 1]]
    a, b = first[..., axis], second[..., axis]
    part = ((_NEAREST - a) / torch.where((b - a).abs() < 1e-9, 1e-9, b - a)).clamp(0, 1)[..., None]
    cut = first + part * (second - first)
    ends = torch.cat(
        (torch.where((a < _NEAREST)[..., None], cut, first), torch.where((b < _NEAREST)[..., None], cut, second)), dim=1
    )
    kept = ((a >= _NEAREST) | (b >= _NEAREST)).repeat(1, 2)
    return ends, kept


def _span(values: Tensor, kept: Tensor) -> tuple[Tensor, Tensor]:
    low = torch.where(kept, values, torch.inf).amin(1)
    high = torch.where(kept, values, -torch.inf).amax(1)
    seen = kept.any(1)
    return torch.where(seen, low, 0), torch.where(seen, high, 0)


class CameraGrid(RayGrid):
    """A pinhole camera's rays through its pixels' centres; the ray parameter is depth.

    Args:
        intrinsics: ``(3, 3)`` K, pixels, centre of the first pixel at (0, 0).
        height, width: Size in pixels.
        pose: World from camera, ``(3, 3)``.
        position: ``(3,)`` world metres.
        device: Where the rays lie.
    """

    def __init__(
        self, intrinsics: Tensor, height: int, width: int, pose: Tensor, position: Tensor, device: torch.device | str = "cpu"
    ) -> None:
        self.height, self.width = height, width
        self.intrinsics = intrinsics.to(torch.float64)
        self.pose = pose.to(torch.float64)
        self.position = position.to(torch.float64)
        turn = (self.pose @ torch.linalg.inv(self.intrinsics)).to(device)
        columns = torch.arange(width, dtype=torch.float64, device=device)
        rows = torch.arange(height, dtype=torch.float64, device=device)
        rays = (turn[:, 0, None] * columns)[:, None] + (turn[:, 1, None] * rows + turn[:, 2, None])[:, :, None]
        self.directions = rays.reshape(3, -1).to(torch.float32)
        self.origins = self.position[:, None].to(torch.float32).to(device)

    def project(self, points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Columns, rows and depth of world points ``(3, R)``; points behind the camera have depth <= 0."""
        local = self.pose.T.to(points) @ (points - self.position.to(points)[:, None])
        image = self.intrinsics.to(points) @ local
        depth = local[2]
        safe = torch.where(depth > 1e-6, depth, 1.0)
        return image[0] / safe, image[1] / safe, depth

    def windows(self, corners: Tensor) -> Tensor:
        """The boxes' outlines, clipped in front of the camera."""
        local = (corners - self.position.to(corners)) @ self.pose.to(corners)
        ends, kept = _clipped_edges(local, axis=2)
        image = ends @ self.intrinsics.T.to(corners)
        depth = image[..., 2].clamp(min=_NEAREST / 2)
        left, right = _span(image[..., 0] / depth, kept)
        top, bottom = _span(image[..., 1] / depth, kept)
        return self._clip(top, bottom, left, right, kept.any(1))

    def nearest(self, corners: Tensor) -> Tensor:
        """Depth of the boxes' first corner."""
        return ((corners - self.position.to(corners)) @ self.pose[:, 2].to(corners)).amin(1).clamp(min=0)


class SunGrid(RayGrid):
    """Parallel rays of the sun over a rectangle of the ground, for a map of shadows; the ray parameter is distance from a
    plane.

    Args:
        towards_sun: ``(3,)`` unit vector.
        centre: ``(3,)`` middle of the rectangle.
        reach: Half side in metres across the sun's direction, to the right and along the rest.
        height, width: Rays.
        device: Where the rays lie.
    """

    def __init__(
        self,
        towards_sun: Tensor,
        centre: Tensor,
        reach: tuple[float, float],
        height: int,
        width: int,
        device: torch.device | str,
    ) -> None:
        self.height, self.width = height, width
        sun = towards_sun.to(torch.float64)
        right = torch.linalg.cross(torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64), sun)
        right = right / right.norm()
        up = torch.linalg.cross(sun, right)
        self.frame = torch.stack((right, up, -sun)).to(torch.float32).to(device)
        self.start = (centre.to(torch.float64) + 150 * sun).to(torch.float32).to(device)
        self.scale = (width / (2 * reach[0]), height / (2 * reach[1]))
        rows, columns = torch.meshgrid(torch.arange(height, device=device), torch.arange(width, device=device), indexing="ij")
        x = ((columns + 0.5) / self.scale[0] - reach[0]).reshape(-1)
        y = ((rows + 0.5) / self.scale[1] - reach[1]).reshape(-1)
        self.reach = reach
        self.origins = self.start[:, None] + self.frame[0][:, None] * x + self.frame[1][:, None] * y
        self.directions = self.frame[2][:, None].expand(3, height * width)

    def locate(self, points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Column, row and distance of world points ``(3, R)``."""
        local = self.frame @ (points - self.start[:, None])
        return (local[0] + self.reach[0]) * self.scale[0] - 0.5, (local[1] + self.reach[1]) * self.scale[1] - 0.5, local[2]

    def windows(self, corners: Tensor) -> Tensor:
        """The boxes' shadows."""
        columns, rows, _ = self.locate(corners.reshape(-1, 3).T)
        columns, rows = columns.reshape(-1, 8), rows.reshape(-1, 8)
        seen = torch.ones(len(corners), dtype=torch.bool, device=corners.device)
        return self._clip(rows.amin(1), rows.amax(1), columns.amin(1), columns.amax(1), seen)

    def nearest(self, corners: Tensor) -> Tensor:
        """Distance of the boxes' first corner."""
        return ((corners - self.start) @ self.frame[2]).amin(1).clamp(min=0)


@dataclass
class ScanPattern:
    """Directions of a spinning LiDAR's shots.

    Args:
        elevations: ``(rings,)`` radians, in decreasing order; up is positive.
        heights: ``(rings,)`` metres of each ring's optical centre above the sensor's origin.
        phases: ``(rings,)`` azimuth of each ring's first shot, as a part of a step.
        step: Azimuth between shots, radians.
        reach: Largest azimuth to each side, radians.
        jitter: ``(rings, shots)`` departure of each shot's azimuth, as a part of a step (at most 1); None is none.
    """

    elevations: Tensor
    heights: Tensor
    phases: Tensor
    step: float
    reach: float
    jitter: Tensor | None = None

    @property
    def shots(self) -> int:
        """Shots of each ring."""
        return int(2 * self.reach / self.step) + 1


class ScanGrid(RayGrid):
    """Shots of a spinning LiDAR: rows are rings, columns azimuth steps from left to right; the ray parameter is range.

    Args:
        pattern: Where the shots go.
        pose: World from sensor, ``(3, 3)``; the sensor's frame is a camera's (x right, y down, z forward).
        position: ``(3,)`` of the sensor's origin, world metres.
        drift: ``(3,)`` metres a second that the sensor moves while it turns (0 where the motion is undone).
        turn_seconds: Time of one turn; the shot straight ahead has time 0.
        device: Where the rays lie.
    """

    def __init__(
        self,
        pattern: ScanPattern,
        pose: Tensor,
        position: Tensor,
        drift: Tensor | None = None,
        turn_seconds: float = 0.1,
        device: torch.device | str = "cpu",
    ) -> None:
        self.pattern = pattern
        self.height = len(pattern.elevations)
        self.width = pattern.shots
        self.pose, self.position = pose.to(torch.float32).to(device), position.to(torch.float32).to(device)
        columns = torch.arange(self.width, dtype=torch.float64)
        turned = columns + pattern.phases[:, None].double()
        if pattern.jitter is not None:
            turned = turned + pattern.jitter.double().clamp(-1, 1)
        azimuth = turned * pattern.step - pattern.reach
        elevation = pattern.elevations[:, None].double().expand_as(azimuth)
        local = torch.stack((elevation.cos() * azimuth.sin(), -elevation.sin(), elevation.cos() * azimuth.cos())).reshape(3, -1)
        start = torch.zeros_like(local)
        start[1] = -pattern.heights[:, None].double().expand_as(azimuth).reshape(-1)
        pose64 = pose.to(torch.float64)
        origins = pose64 @ start + position.to(torch.float64)[:, None]
        #: Seconds of each shot after the one straight ahead; the sensor turns clockwise, from left to right.
        self.seconds = (azimuth / (2 * torch.pi) * turn_seconds).reshape(-1).to(torch.float32).to(device)
        self.motion = 0.0
        if drift is not None:
            origins = origins + drift.to(torch.float64)[:, None] * self.seconds.double().cpu()
            self.motion = float(drift.norm()) * turn_seconds * pattern.reach / (2 * torch.pi)
        self.directions = (pose64 @ local).to(torch.float32).to(device)
        self.origins = origins.to(torch.float32).to(device)
        #: Increasing, for searching.
        self._rising = (-pattern.elevations).to(torch.float32).to(device)
        self._offset = float(pattern.heights.mean())
        self._spread = float((pattern.heights - pattern.heights.mean()).abs().max()) + self.motion + 0.01

    def windows(self, corners: Tensor) -> Tensor:
        """Azimuths of the boxes' corners, and elevations bounded by the box's least and greatest distance."""
        local = (corners - self.position.to(corners)) @ self.pose.to(corners)
        ends, kept = _clipped_edges(local, axis=2)
        x, z = ends[..., 0], ends[..., 2].clamp(min=_NEAREST / 2)
        nearest = self._level_distance(corners).clamp(min=0.2)
        slack = self._spread / nearest
        left, right = _span(torch.atan2(x, z), kept)
        # A body in motion or a moving sensor is met a little beside its corners.
        low = (left - slack + self.pattern.reach) / self.pattern.step - 2
        high = (right + slack + self.pattern.reach) / self.pattern.step + 1
        up = -local[..., 1] - self._offset
        top, bottom = up.amax(1) + self._spread, up.amin(1) - self._spread
        farthest = torch.hypot(local[..., 0], local[..., 2]).amax(1)
        top = torch.atan2(top, torch.where(top > 0, nearest, farthest))
        bottom = torch.atan2(bottom, torch.where(bottom > 0, farthest, nearest))
        first = torch.searchsorted(self._rising, (-top).contiguous()) - 1
        last = torch.searchsorted(self._rising, (-bottom).contiguous(), right=True)
        return self._clip(first.float(), last.float(), low, high, kept.any(1))

    def nearest(self, corners: Tensor) -> Tensor:
        """Distance seen from above, less what the shots' origins differ."""
        return (self._level_distance(corners) - self._spread - 0.05).clamp(min=0)

    def _level_distance(self, corners: Tensor) -> Tensor:
        """Distance from the sensor's axis to the boxes, seen from above: exact for upright boxes."""
        centre = corners.mean(1)
        along, across = (corners[:, 4] - corners[:, 0])[:, :2], (corners[:, 2] - corners[:, 0])[:, :2]
        delta = (self.position.to(corners) - centre)[:, :2]
        total = torch.zeros_like(delta[:, 0])
        for side in (along, across):
            length = side.norm(dim=1).clamp(min=1e-6)
            outside = ((delta * side).sum(1).abs() / length - length / 2).clamp(min=0)
            total = total + outside * outside
        return total.sqrt()
