"""A spinning LiDAR: where its shots go, which come back and how exactly.

The default is the HDL-64 as measured on a real scan: the upper block's 32 beams leave from about 20 cm above the sensor's
origin, the lower block's from about 11 cm, so that their optical centres are 28 and 19 cm above the camera; that, and not the
mount alone, is what moves points behind an edge into the image of what is before it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from ...errors import ConfigError, did_you_mean
from .caster import Hits, cast, surface_normals
from .columns import each_alone
from .ground import ROAD, Ground
from .layouts import Scene
from .primitives import Primitives
from .rays import CameraGrid, ScanGrid, ScanPattern
from .shading import Texture

#: Elevations of the upper block in degrees.
_UPPER = (1.94, 1.57, 1.30, .87, .58, .18, -.09, -.45, -.80, -1.20, -1.49, -1.83, -2.21, -2.55, -2.87, -3.24, -3.54, -3.94,
          -4.22, -4.59, -4.91, -5.25, -5.61, -5.96, -6.33, -6.68, -7.00, -7.29, -7.68, -8.06, -8.31, -8.71)  # fmt: skip
#: Elevations of the lower block: measured down to -15.64, from there on at their mean step, as no camera sees them.
_LOWER = (-9.03, -9.58, -10.07, -10.48, -10.975, -11.61, -12.125, -12.57, -13.05, -13.51, -14.085, -14.615, -15.19,
          *(-15.64 - 0.515 * i for i in range(19)))  # fmt: skip
#: Heights of both blocks' first and last beam above the origin, metres.
_UPPER_HEIGHTS, _LOWER_HEIGHTS = (0.209, 0.196), (0.128, 0.110)
#: Seed of the rings' places on the encoder's grid: a constant of the sensor.
_RING_SEED = 64
#: Azimuth to each side that is cast, degrees.
_REACH = 48.0
#: Paint that is paler than this sends every shot back.
_PALE_PAINT = 0.32
#: Sine of the angle under which a wet carriageway loses half of the shots that a soaked one loses at all.
_WET_SLANT = 0.09


@dataclass(frozen=True)
class LidarOptions:
    """A LiDAR and its mount.

    Args:
        lines: 64 is the measured HDL-64; any other number is spread evenly over ``field``.
        field: Highest and lowest elevation in degrees (not used for 64 lines).
        beam_height: Metres of the optical centres above the sensor's origin (not used for 64 lines).
        step: Azimuth between shots, degrees.
        encoder: Degrees between the azimuths at which shots are fired: one at each step on average, one or two of these apart.
            0 = evenly.
        mount: Metres of the sensor's origin right of, above and behind the camera.
        pitch: Degrees that the sensor looks down against the camera.
        roll: Degrees by which the sensor's right side is the higher one in the camera's picture.
        mount_noise: Standard deviation of the mount from frame to frame, metres.
        noise: Range noise near by, metres; it grows with range.
        ring_bias: Standard deviation of a ring's constant error, metres.
        noise_factor: Least and largest factor on both from frame to frame (evenly in its logarithm).
        nearest, farthest: Ranges that are reported.
        glass_lost, glass_through: Parts of shots at glass that are lost and that pass; the rest returns.
        paint_lost: Part of shots lost at the glossiest black paint; a dark car is seen by few points.
        lost: Part of shots lost for no reason.
        mixed: Part of shots at an edge that fall between both surfaces.
        skew: Rays leave from the moving sensor: over a turn it gets on by a tenth of its speed.
    """

    lines: int = 64
    field: tuple[float, float] = (2.0, -24.9)
    beam_height: float = 0.0
    step: float = 0.1676
    encoder: float = 0.09
    mount: tuple[float, float, float] = (0.058, 0.076, 0.272)
    pitch: float = 0.6
    roll: float = 0.605
    mount_noise: float = 0.0
    noise: float = 0.01
    ring_bias: float = 0.02
    noise_factor: tuple[float, float] = (1.0, 1.0)
    nearest: float = 0.9
    farthest: float = 80.0
    glass_lost: float = 0.8
    glass_through: float = 0.08
    paint_lost: float = 0.9
    lost: float = 0.003
    mixed: float = 0.15
    skew: bool = False

    def __post_init__(self) -> None:
        if self.lines < 1 or not 0 < self.step < 30 or self.field[0] < self.field[1]:
            raise ConfigError(
                f"lidar: lines={self.lines}, step={self.step}, field={self.field}; expected at least one line, a step in "
                "degrees above 0, and the highest elevation before the lowest."
            )
        if not 0 <= self.glass_lost + self.glass_through <= 1:
            raise ConfigError(f"lidar: glass_lost + glass_through = {self.glass_lost + self.glass_through:g}; expected 0 to 1.")
        if not 0 <= self.paint_lost <= 1:
            raise ConfigError(f"lidar: paint_lost={self.paint_lost:g}; expected 0 to 1.")
        if len(self.noise_factor) != 2 or not 0 < self.noise_factor[0] <= self.noise_factor[1]:
            raise ConfigError(f"lidar: noise_factor={self.noise_factor}; expected the least and the largest factor, above 0.")

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> LidarOptions:
        """From a config's dict.

        Raises:
            ConfigError: A key that there is not, or a value that it can't take.
        """
        for key in values:
            if key not in cls.__dataclass_fields__:
                raise ConfigError(f"lidar has no '{key}'.{did_you_mean(key, cls.__dataclass_fields__)}")
        plain: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
        return cls(**plain)

    def drawn(self, choice: float) -> LidarOptions:
        """The sensor of a frame: its noise by a number in [0, 1)."""
        least, largest = self.noise_factor
        factor = least * (largest / least) ** choice
        return replace(self, noise=self.noise * factor, ring_bias=self.ring_bias * factor)


def beams(options: LidarOptions) -> tuple[Tensor, Tensor]:
    """Elevations in radians, highest first, and heights of the optical centres in metres: two ``(lines,)`` float64."""
    if options.lines == 64:
        degrees = torch.tensor((*_UPPER, *_LOWER), dtype=torch.float64)
        heights = torch.cat([torch.linspace(*ends, 32, dtype=torch.float64) for ends in (_UPPER_HEIGHTS, _LOWER_HEIGHTS)])
    else:
        degrees = torch.linspace(*options.field, options.lines, dtype=torch.float64)
        heights = torch.full_like(degrees, options.beam_height)
    return torch.deg2rad(degrees), heights


@dataclass
class Scans:
    """Shots of S turns, R of each.

    Args:
        points: ``(3, S, R)`` world metres; the sensor's place where a shot did not come back.
        returned: ``(S, R)`` bool, whether it did.
    """

    points: Tensor
    returned: Tensor


@dataclass(frozen=True)
class ScanPose:
    """Where and how a scan is made.

    Args:
        pose: World from sensor, ``(3, 3)``.
        position: ``(3,)`` of the sensor's origin.
        velocity: ``(3,)`` of the sensor, metres a second.
        seconds: Time of the scan; moving bodies are where they are then.
    """

    pose: Tensor
    position: Tensor
    velocity: Tensor
    seconds: float = 0.0


def mounted(camera_pose: Tensor, camera_position: Tensor, options: LidarOptions, jitter: Tensor) -> tuple[Tensor, Tensor]:
    """World from sensor and the sensor's origin for a camera's pose; ``jitter (3,)`` metres is added to the mount."""
    right, above, behind = options.mount
    offset = torch.tensor([right, -above, -behind], dtype=torch.float64) + jitter.double()
    pose = camera_pose.double()
    return pose @ camera_from_sensor(options), camera_position.double() + pose @ offset


def camera_from_sensor(options: LidarOptions) -> Tensor:
    """Rotation ``(3, 3)`` from the sensor's axes (right, down, forward) to the camera's."""
    angle, lean = math.radians(options.pitch), math.radians(-options.roll)
    cos, sin = math.cos(angle), math.sin(angle)
    down = torch.tensor([[1, 0, 0], [0, cos, sin], [0, -sin, cos]], dtype=torch.float64)
    cos, sin = math.cos(lean), math.sin(lean)
    return torch.tensor([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]], dtype=torch.float64) @ down


@dataclass(frozen=True)
class Turn:
    """What chance decides in one turn.

    Args:
        phases: ``(lines,)`` azimuth of each ring's first shot, as a part of a step.
        salt: Of the glass that lets shots through.
        draws: ``(4, lines, shots)``: of losses, of mixed points twice, of the range noise (normal).
    """

    phases: Tensor
    salt: int
    draws: Tensor

    @classmethod
    def draw(cls, options: LidarOptions, generator: torch.Generator) -> Turn:
        """The next of a CPU generator."""
        shape = (options.lines, shots(options))
        phases = torch.rand(options.lines, generator=generator, dtype=torch.float64)
        salt = int(torch.randint(1 << 30, (1,), generator=generator))
        even, normal = torch.rand(3, *shape, generator=generator), torch.randn(shape, generator=generator)
        return cls(phases, salt, torch.cat((even, normal[None])))


@dataclass(frozen=True)
class ScanJob:
    """One turn to be cast.

    Args:
        scene: The street, its bodies at time 0.
        where: Pose and time.
        options: The sensor; sensors that are cast at once differ in their noise alone.
        bias: ``(lines,)`` range error of each ring, metres: one sensor has one.
        turn: What chance decided.
    """

    scene: Scene
    where: ScanPose
    options: LidarOptions
    bias: Tensor
    turn: Turn


def shots(options: LidarOptions) -> int:
    """Shots of each ring in a turn, those ahead."""
    return int(2 * math.radians(_REACH) / math.radians(options.step)) + 1


def scan(jobs: Sequence[ScanJob], device: torch.device | str = "cpu") -> Scans:
    """The part ahead of several turns at once.

    Args:
        jobs: The turns.
        device: Where rays are cast.
    """
    options = jobs[0].options
    grid = _grid(jobs, device)
    bodies = Primitives.stack([job.scene.primitives.at(job.where.seconds) for job in jobs]).to(device)
    ground = Ground.stack([job.scene.ground for job in jobs], device)
    salts = torch.tensor([job.turn.salt for job in jobs], dtype=torch.int32, device=device)
    hits = cast(bodies, ground, grid, salts, options.glass_through)
    lost, first, second, normal = torch.stack([job.turn.draws for job in jobs], dim=1).flatten(2).to(device)
    wet = torch.tensor([job.scene.light.wet for job in jobs])[:, None]
    returned = torch.isfinite(hits.t) & (hits.t < options.farthest) & (hits.t > options.nearest)
    returned &= lost >= _lost(bodies, ground, hits, grid, options, wet)
    ranges = _mixed(hits.t, grid, first, second, options)
    noise = torch.tensor([job.options.noise for job in jobs])[:, None].to(device)
    bias = torch.stack([job.bias for job in jobs]).to(ranges).repeat_interleave(grid.width, dim=1)
    ranges = ranges + noise * (1 + (ranges / 25.0).clamp(max=3)) * normal + bias
    return Scans(grid.origins + torch.where(returned, ranges, 0.0) * grid.directions, returned)


def _grid(jobs: Sequence[ScanJob], device: torch.device | str) -> ScanGrid:
    """The shots of several turns."""
    options = jobs[0].options
    elevations, heights = beams(options)
    phases = torch.stack([job.turn.phases for job in jobs])
    pattern = ScanPattern(elevations, heights, phases.to(device), math.radians(options.step), math.radians(_REACH))
    if options.encoder > 0:
        turned = (torch.arange(pattern.shots, device=device) + pattern.phases[..., None]) * options.step
        # Lasers point a little to the left or right of each other, so that the grids of two rings don't line up.
        seeded = torch.Generator().manual_seed(_RING_SEED)
        own = (torch.rand(len(elevations), 1, generator=seeded, dtype=torch.float64) * options.encoder).to(device)
        pattern.jitter = (torch.round((turned - own) / options.encoder) * options.encoder + own - turned) / options.step
    poses, positions, velocities = (
        torch.stack([getattr(job.where, name) for job in jobs]) for name in ("pose", "position", "velocity")
    )
    return ScanGrid(pattern, poses, positions, velocities if options.skew else None, device=device)


def _lost(bodies: Primitives, ground: Ground, hits: Hits, grid: ScanGrid, options: LidarOptions, wet: Tensor) -> Tensor:
    """Probability that a shot does not come back: glass, and dark, grazing and far surfaces; ``wet (S, 1)`` carriageways."""
    on_body = hits.body >= 0
    normal = surface_normals(bodies, ground, hits, grid.directions)
    slant = (normal * grid.directions).sum(0).abs().clamp(min=0.02)
    albedo, glass = torch.full_like(hits.t, 0.3), torch.zeros_like(on_body)
    if len(bodies):
        body = hits.body.clamp(min=0)
        albedo = torch.where(on_body, bodies.color.mean(0)[body], albedo)
        glass = on_body & bodies.glass[body]
    distance = torch.where(torch.isfinite(hits.t), hits.t, 1e3)
    # The light that comes back, against what 80 m and a pale upright wall send.
    strength = (albedo + 0.05) * each_alone(lambda x: x.pow(0.3), slant) / (distance / 80).square().clamp(min=1e-4)
    lost = options.lost + 0.6 * each_alone(torch.sigmoid, (0.28 - strength) * 18)
    dark = on_body & (albedo < 0.1)
    lost = torch.where(dark, lost + 0.08, lost)
    if len(bodies):
        # Gloss sends light on and not back; dark paint has nothing else to send. How glossy differs from body to body.
        painted = on_body & (bodies.texture[body] == Texture.PAINT)
        gloss = 0.5 + 0.5 * (bodies.seed[body] % 1024).to(albedo) / 1024
        dull = options.paint_lost * gloss * (1 - albedo / _PALE_PAINT).clamp(min=0)
        lost = torch.where(painted, torch.maximum(lost, dull), lost)
    if wet.any():
        # Water mirrors grazing light away: from 1.9 m above it, half of what hits the road beyond some 20 m is gone.
        film = wet.to(lost) * each_alone(torch.sigmoid, (_WET_SLANT - slant) / 0.015)
        lost = torch.where(hits.ground == ROAD, torch.maximum(lost, film), lost)
    of_glass = options.glass_lost / max(1 - options.glass_through, 1e-6)
    # What passes was drawn while casting: this is the part of the rest.
    return torch.where(glass, of_glass, lost)


def _mixed(ranges: Tensor, grid: ScanGrid, draw: Tensor, share: Tensor, options: LidarOptions) -> Tensor:
    """Shots at an edge between neighbours of one ring fall between both surfaces now and then."""
    table = ranges.reshape(-1, grid.height, grid.width)
    right = torch.cat((table[..., 1:], table[..., -1:]), dim=-1).reshape(ranges.shape)
    gap = right - ranges
    at_edge = torch.isfinite(gap) & (gap.abs() > 0.15) & (gap.abs() < 3.0) & (draw < options.mixed)
    return torch.where(at_edge, ranges + share * torch.where(at_edge, gap, 0.0), ranges)


def sparse_depth(points: Tensor, returned: Tensor, cameras: CameraGrid) -> Tensor:
    """Sparse depth of scans in the cameras that they belong to.

    They are rounded to pixels and the nearest of a pixel is kept. Nothing is tested against what the camera sees: points seen
    past an edge stay.

    Shapes: ``(3, S, K, N)`` world metres and ``(S, K, N)`` bool, K scans for each of S cameras -> ``(S, K, H, W)`` metres,
    0 = none.
    """
    shape, pixels = returned.shape, cameras.height * cameras.width
    column, row, depth = (values.reshape(shape) for values in cameras.project(points.flatten(2)))
    i, j = torch.round(row).long(), torch.round(column).long()
    inside = returned & (depth > 0.1) & (i >= 0) & (i < cameras.height) & (j >= 0) & (j < cameras.width)
    first = torch.arange(shape[0] * shape[1], device=points.device).reshape(*shape[:2], 1) * pixels
    pixel = torch.where(inside, first + i * cameras.width + j, first)
    image = torch.full((shape[0] * shape[1] * pixels,), torch.inf, device=points.device)
    image.scatter_reduce_(0, pixel.flatten(), torch.where(inside, depth, torch.inf).flatten(), "amin")
    return torch.where(torch.isfinite(image), image, 0.0).reshape(*shape[:2], cameras.height, cameras.width)
