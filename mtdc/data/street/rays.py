"""Regular grids of rays, and the window of a grid that a body can fill.

A grid's rays are numbered row by row. A camera's directions have length 1 along its optical axis, so that the ray parameter is
depth; a LiDAR's and the sun's have unit length, so that it is range.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

#: Pairs of corners (numbered as in ``Primitives.corners``) that an edge joins.
_EDGES = [(a, a | bit) for a in range(8) for bit in (1, 2, 4) if not a & bit]
_NEAREST = 0.05


class RayGrid(ABC):
    """S grids of ``height x width`` rays each, one for each scene of a stack; together ``S x height`` rows.

    Args:
        origins: ``(3, S, 1)`` for all rays of a grid, or ``(3, S, R)``, world metres.
        directions: ``(3, S, R)``.
    """

    height: int
    width: int
    origins: Tensor
    directions: Tensor

    @abstractmethod
    def windows(self, corners: Tensor, scene: Tensor) -> Tensor:
        """Windows that hold all rays that may meet a box: ``(N, 8, 3)`` corners and each box's scene ``(N,)`` -> ``(N, 4)``
        int64, top, bottom, left, right (bottom and right are the first outside); rows count through all grids."""

    @abstractmethod
    def nearest(self, corners: Tensor, scene: Tensor) -> Tensor:
        """No ray meets a box before this parameter: ``(N, 8, 3)`` corners, ``(N,)`` -> ``(N,)``."""

    def _clip(self, rows: tuple[Tensor, Tensor], columns: tuple[Tensor, Tensor], seen: Tensor, scene: Tensor) -> Tensor:
        """Windows from inclusive bounds in rows and columns of the scene's grid."""
        row = torch.stack((rows[0].floor(), rows[1].ceil() + 1)).clamp(0, self.height)
        column = torch.stack((columns[0].floor(), columns[1].ceil() + 1)).clamp(0, self.width)
        windows = torch.stack((row[0], row[1], column[0], column[1]), dim=1).to(torch.int64)
        windows[:, :2] += scene[:, None] * self.height
        return torch.where(seen[:, None], windows, 0)


def turned(turns: Tensor, vectors: Tensor) -> Tensor:
    """Vectors of each scene turned by its own rotation: ``(S, 3, 3)`` and ``(3, S, ...)`` -> ``(3, S, ...)``.

    Sums are written out: a product of matrices may be rounded otherwise by size, or on a GPU to ten bits.
    """
    x, y, z = vectors
    table = turns.permute(1, 2, 0).reshape(3, 3, -1, *(1,) * (x.dim() - 1))
    return torch.stack([row[0] * x + row[1] * y + row[2] * z for row in table])


def _in_frames(corners: Tensor, positions: Tensor, poses: Tensor, scene: Tensor) -> Tensor:
    """Corners ``(N, 8, 3)`` in the frame (world from frame) of each box's scene."""
    axes = poses.to(corners)[scene]
    x, y, z = (corners - positions.to(corners)[scene][:, None]).unbind(-1)
    return x[..., None] * axes[:, None, 0] + y[..., None] * axes[:, None, 1] + z[..., None] * axes[:, None, 2]


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
    """Rays of pinhole cameras with one K through their pixels' centres; the ray parameter is depth.

    Args:
        intrinsics: ``(3, 3)`` K, pixels, centre of the first pixel at (0, 0).
        height, width: Size in pixels.
        poses: World from camera, ``(S, 3, 3)`` or ``(3, 3)``.
        positions: ``(S, 3)`` or ``(3,)`` world metres.
        device: Where the rays lie.
    """

    def __init__(
        self, intrinsics: Tensor, height: int, width: int, poses: Tensor, positions: Tensor, device: torch.device | str = "cpu"
    ) -> None:
        self.height, self.width = height, width
        self.intrinsics = intrinsics.to(torch.float64)
        self.poses = poses.to(torch.float64).reshape(-1, 3, 3)
        self.positions = positions.to(torch.float64).reshape(-1, 3)
        inverse = torch.linalg.inv(self.intrinsics)
        turn = torch.stack([pose @ inverse for pose in self.poses]).to(device)
        columns = torch.arange(width, dtype=torch.float64, device=device)
        rows = torch.arange(height, dtype=torch.float64, device=device)
        right, down, ahead = turn.permute(2, 1, 0)[..., None, None]
        rays = right * columns + (down * rows[:, None] + ahead)
        self.directions = rays.flatten(2).to(torch.float32).contiguous()
        self.origins = self.positions.T[..., None].to(torch.float32).to(device)
        #: The same in the rays' precision and place.
        self._poses, self._positions = self.poses.to(self.directions), self.positions.to(self.directions)

    def project(self, points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Columns, rows and depth of world points ``(3, S, N)``; points behind the camera have depth <= 0."""
        local = turned(self._poses.mT, points - self._positions.T[..., None])
        (fx, skew, cx), (_, fy, cy), _ = self.intrinsics.tolist()
        depth = local[2]
        safe = torch.where(depth > 1e-6, depth, 1.0)
        return (fx * local[0] + skew * local[1] + cx * depth) / safe, (fy * local[1] + cy * depth) / safe, depth

    def windows(self, corners: Tensor, scene: Tensor) -> Tensor:
        """The boxes' outlines, clipped in front of the camera."""
        local = _in_frames(corners, self._positions, self._poses, scene)
        ends, kept = _clipped_edges(local, axis=2)
        image = ends @ self.intrinsics.T.to(corners)
        depth = image[..., 2].clamp(min=_NEAREST / 2)
        columns, rows = _span(image[..., 0] / depth, kept), _span(image[..., 1] / depth, kept)
        return self._clip(rows, columns, kept.any(1), scene)

    def nearest(self, corners: Tensor, scene: Tensor) -> Tensor:
        """Depth of the boxes' first corner."""
        return _in_frames(corners, self._positions, self._poses, scene)[..., 2].amin(1).clamp(min=0)


class SunGrid(RayGrid):
    """Parallel rays of suns over a rectangle of the ground, for maps of shadows; the ray parameter is distance from a plane.

    Args:
        towards_sun: ``(S, 3)`` or ``(3,)`` unit vectors.
        centre: ``(3,)`` middle of the rectangle.
        reach: Half sides in metres across the sun's direction, to the right and along the rest; the latter one for each sun.
        height, width: Rays.
        device: Where the rays lie.
    """

    def __init__(
        self,
        towards_sun: Tensor,
        centre: Tensor,
        reach: tuple[float, Sequence[float]],
        height: int,
        width: int,
        device: torch.device | str,
    ) -> None:
        self.height, self.width = height, width
        suns = towards_sun.to(torch.float64).reshape(-1, 3)
        right = torch.linalg.cross(torch.tensor([[0.0, 0.0, 1.0]], dtype=torch.float64).expand_as(suns), suns)
        right = right / right.norm(dim=1, keepdim=True)
        up = torch.linalg.cross(suns, right)
        #: Sun's frames from the world, ``(S, 3, 3)``.
        self.frames = torch.stack((right, up, -suns), dim=1).to(torch.float32).to(device)
        self.starts = (centre.to(torch.float64) + 150 * suns).to(torch.float32).to(device)
        along = torch.tensor(reach[1], dtype=torch.float64)[:, None]
        #: Half sides, and rays a metre, ``(S, 1)`` where they differ.
        self.reach = (reach[0], along.to(torch.float32).to(device))
        self.scale = (width / (2 * reach[0]), (height / (2 * along)).to(torch.float32).to(device))
        rows, columns = torch.meshgrid(torch.arange(height, device=device), torch.arange(width, device=device), indexing="ij")
        x = ((columns + 0.5) / self.scale[0] - self.reach[0]).reshape(1, -1)
        y = (rows + 0.5).reshape(1, -1) / self.scale[1] - self.reach[1]
        across, on, away = self.frames.permute(1, 2, 0)[..., None]
        self.origins = self.starts.T[..., None] + across * x + on * y
        self.directions = away.expand(3, len(suns), height * width).contiguous()

    def locate(self, points: Tensor, scene: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Column, row and distance of world points ``(3, P)`` in the maps of the scenes ``(P,)``."""
        which = slice(None) if len(self.starts) == 1 else scene
        x, y, z = points - self.starts.T[:, which]
        local = [row[0] * x + row[1] * y + row[2] * z for row in self.frames.permute(1, 2, 0)[..., which]]
        along, scale = self.reach[1][which, 0], self.scale[1][which, 0]
        return (local[0] + self.reach[0]) * self.scale[0] - 0.5, (local[1] + along) * scale - 0.5, local[2]

    def windows(self, corners: Tensor, scene: Tensor) -> Tensor:
        """The boxes' shadows."""
        columns, rows, _ = self.locate(corners.reshape(-1, 3).T, scene.repeat_interleave(8))
        columns, rows = columns.reshape(-1, 8), rows.reshape(-1, 8)
        seen = torch.ones(len(corners), dtype=torch.bool, device=corners.device)
        return self._clip((rows.amin(1), rows.amax(1)), (columns.amin(1), columns.amax(1)), seen, scene)

    def nearest(self, corners: Tensor, scene: Tensor) -> Tensor:
        """Distance of the boxes' first corner."""
        local = (corners - self.starts[scene][:, None]) * self.frames[scene, 2][:, None]
        return local.sum(2).amin(1).clamp(min=0)


@dataclass
class ScanPattern:
    """Directions of a spinning LiDAR's shots, in S turns.

    Args:
        elevations: ``(rings,)`` radians, in decreasing order; up is positive.
        heights: ``(rings,)`` metres of each ring's optical centre above the sensor's origin.
        phases: ``(S, rings)`` or ``(rings,)`` azimuth of each ring's first shot, as a part of a step.
        step: Azimuth between shots, radians.
        reach: Largest azimuth to each side, radians.
        jitter: ``(S, rings, shots)`` or ``(rings, shots)`` departure of each shot's azimuth, as a part of a step (at most 1);
            None is none.
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

    def azimuths(self, device: torch.device | str) -> Tensor:
        """Of all shots, ``(S, rings, shots)`` radians, float64."""
        shots = torch.arange(self.shots, dtype=torch.float64, device=device)
        turned = shots + self.phases.double().to(device).reshape(-1, len(self.elevations), 1)
        if self.jitter is not None:
            turned = turned + self.jitter.double().to(device).clamp(-1, 1)
        return turned * self.step - self.reach


class ScanGrid(RayGrid):
    """Shots of spinning LiDARs: rows are rings, columns azimuth steps from left to right; the ray parameter is range.

    Args:
        pattern: Where the shots go.
        poses: World from sensor, ``(S, 3, 3)`` or ``(3, 3)``; the sensor's frame is a camera's (x right, y down, z forward).
        positions: ``(S, 3)`` or ``(3,)`` of the sensors' origins, world metres.
        drift: ``(S, 3)`` or ``(3,)`` metres a second that sensors move while they turn; None where the motion is undone.
        turn_seconds: Time of one turn; the shot straight ahead has time 0.
        device: Where the rays lie.
    """

    def __init__(
        self,
        pattern: ScanPattern,
        poses: Tensor,
        positions: Tensor,
        drift: Tensor | None = None,
        turn_seconds: float = 0.1,
        device: torch.device | str = "cpu",
    ) -> None:
        self.pattern = pattern
        self.height, self.width = len(pattern.elevations), pattern.shots
        exact_poses, exact = (values.to(torch.float64).to(device) for values in (poses, positions))
        exact_poses, exact = exact_poses.reshape(-1, 3, 3), exact.reshape(-1, 3)
        azimuth = pattern.azimuths(device).expand(len(exact), -1, -1)
        elevation = pattern.elevations.double().to(device)[:, None]
        level, down = elevation.cos(), -elevation.sin()
        local = torch.stack((level * azimuth.sin(), down.expand_as(azimuth), level * azimuth.cos())).flatten(2)
        heights = pattern.heights.double().to(device).repeat_interleave(self.width)
        origins = exact_poses[:, :, 1].T[..., None] * -heights + exact.T[..., None]
        self.motion = torch.zeros(len(exact), device=device)
        if drift is not None:
            drift = drift.to(torch.float64).reshape(-1, 3)
            # Seconds of each shot after the one straight ahead; the sensor turns clockwise, from left to right.
            seconds = (azimuth / (2 * torch.pi) * turn_seconds).flatten(1).to(torch.float32)
            origins = origins + drift.to(device).T[..., None] * seconds.double()
            fastest = drift.norm(dim=1) * turn_seconds * pattern.reach / (2 * torch.pi)
            self.motion = fastest.to(torch.float32).to(device)
        self.directions = turned(exact_poses, local).to(torch.float32)
        self.origins = origins.to(torch.float32)
        self._poses, self._positions = exact_poses.to(torch.float32), exact.to(torch.float32)
        #: Increasing, for searching.
        self._rising = (-pattern.elevations).to(torch.float32).to(device)
        self._offset = float(pattern.heights.mean())
        self._spread = float((pattern.heights - pattern.heights.mean()).abs().max()) + self.motion + 0.01

    def windows(self, corners: Tensor, scene: Tensor) -> Tensor:
        """Azimuths of the boxes' corners, and elevations bounded by the box's least and greatest distance."""
        local = _in_frames(corners, self._positions, self._poses, scene)
        ends, kept = _clipped_edges(local, axis=2)
        x, z = ends[..., 0], ends[..., 2].clamp(min=_NEAREST / 2)
        nearest = self._level_distance(corners, scene).clamp(min=0.2)
        spread = self._spread[scene]
        slack = spread / nearest
        left, right = _span(torch.atan2(x, z), kept)
        # A body in motion or a moving sensor is met a little beside its corners.
        low = (left - slack + self.pattern.reach) / self.pattern.step - 2
        high = (right + slack + self.pattern.reach) / self.pattern.step + 1
        up = -local[..., 1] - self._offset
        top, bottom = up.amax(1) + spread, up.amin(1) - spread
        farthest = torch.hypot(local[..., 0], local[..., 2]).amax(1)
        top = torch.atan2(top, torch.where(top > 0, nearest, farthest))
        bottom = torch.atan2(bottom, torch.where(bottom > 0, farthest, nearest))
        first = torch.searchsorted(self._rising, (-top).contiguous()) - 1
        last = torch.searchsorted(self._rising, (-bottom).contiguous(), right=True)
        return self._clip((first.float(), last.float()), (low, high), kept.any(1), scene)

    def nearest(self, corners: Tensor, scene: Tensor) -> Tensor:
        """Distance seen from above, less what the shots' origins differ."""
        return (self._level_distance(corners, scene) - self._spread[scene] - 0.05).clamp(min=0)

    def _level_distance(self, corners: Tensor, scene: Tensor) -> Tensor:
        """Distance from the sensor's axis to the boxes, seen from above: exact for upright boxes."""
        centre = corners.mean(1)
        along, across = (corners[:, 4] - corners[:, 0])[:, :2], (corners[:, 2] - corners[:, 0])[:, :2]
        delta = (self._positions.to(corners)[scene] - centre)[:, :2]
        total = torch.zeros_like(delta[:, 0])
        for side in (along, across):
            length = side.norm(dim=1).clamp(min=1e-6)
            outside = ((delta * side).sum(1).abs() / length - length / 2).clamp(min=0)
            total = total + outside * outside
        return total.sqrt()
