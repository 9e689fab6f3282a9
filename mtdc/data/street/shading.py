"""Colour of what rays met: procedural textures, sun, sky light and cast shadow.

Textures are functions of the place on the body and of the body's seed, so that every camera sees the same; fine patterns fade
where they become smaller than a pixel. All formulas hold for one scene's light and for a stack's (``columns.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from functools import cached_property

import torch
from torch import Tensor
from torch.nn import functional

from .caster import GROUND, Hits, cast, surface_normals
from .columns import at_points, each_alone, stacked
from .ground import KERB, ROAD, Ground
from .primitives import Primitives, hash_cells, lengths, pick
from .rays import CameraGrid, SunGrid

#: What the formulas read of a light.
_NUMBERS = ("sun", "ambient", "sky", "road", "side", "lane_marks", "edge_marks", "seed", "wet", "sky_rises", "tint", "slabs",
            "direction")  # fmt: skip
_FLAGS = ("side_green",)
#: A line this far off is none.
_NOWHERE = 1e6


class Texture(IntEnum):
    """Patterns of surfaces."""

    PLAIN = 0
    BRICKS = 1
    LEAVES = 2
    PLASTER = 3
    GLASS = 4
    WINDOWS = 5
    STRIPES = 6
    PAINT = 7


@dataclass(frozen=True)
class Light:
    """Sun, sky and the look of the ground.

    Args:
        azimuth, height: Of the sun, radians: azimuth from y to the right.
        sun, ambient: Brightness of both; an overcast day has little sun.
        sky: Brightness of the sky at the horizon and above, 0..1.
        road, side: Brightness of the carriageway and of what lies beside it.
        side_green: The side is grass.
        lane_marks: Distances from the axis of dashed lines.
        edge_marks: Distances from the axis of lines without gaps.
        seed: Of the ground's patterns.
        wet: How wet the carriageway is, 0 (dry) to 1: it is darker and mirrors, and the LiDAR's grazing shots are lost on it.
    """

    azimuth: float = 0.8
    height: float = 0.7
    sun: float = 0.8
    ambient: float = 0.45
    sky: tuple[float, float] = (0.95, 0.75)
    road: float = 0.3
    side: float = 0.4
    side_green: bool = False
    lane_marks: tuple[float, ...] = (0.0,)
    edge_marks: tuple[float, ...] = ()
    seed: int = 1
    wet: float = 0.0

    def towards_sun(self) -> Tensor:
        """Unit vector, ``(3,)`` float64."""
        azimuth, height = torch.tensor(self.azimuth, dtype=torch.float64), torch.tensor(self.height, dtype=torch.float64)
        return torch.stack((height.cos() * azimuth.sin(), height.cos() * azimuth.cos(), height.sin()))

    @staticmethod
    def stack(lights: Sequence[Light], device: torch.device | str) -> Light:
        """Several lights as one, for rays ``(S, R)``."""
        lanes, edges = (max(len(getattr(light, name)) for light in lights) for name in ("lane_marks", "edge_marks"))
        return stacked([light._with_lines(lanes, edges) for light in lights], _NUMBERS, _FLAGS, device)

    def at(self, which: Tensor) -> Light:
        """For P points that lie in the scenes ``which (P,)`` of the stack."""
        return at_points(self, _NUMBERS, which)

    def _with_lines(self, lanes: int, edges: int) -> Light:
        """With as many lines as other lights have."""
        return replace(
            self,
            lane_marks=self.lane_marks + (_NOWHERE,) * (lanes - len(self.lane_marks)),
            edge_marks=self.edge_marks + (_NOWHERE,) * (edges - len(self.edge_marks)),
        )

    @cached_property
    def sky_rises(self) -> float:
        """What the sky is brighter above than at the horizon."""
        return self.sky[1] - self.sky[0]

    @cached_property
    def tint(self) -> tuple[float, float, float]:
        """Colour of what lies beside the carriageway, RGB."""
        return (0.75, 1.05, 0.45) if self.side_green else (1.0, 0.98, 0.94)

    @cached_property
    def slabs(self) -> bool:
        """Whether the side is paved."""
        return not self.side_green

    @cached_property
    def sunny(self) -> bool:
        """Whether the sun casts shadows: on an overcast day there are none."""
        return self.sun > 0.1

    @cached_property
    def direction(self) -> tuple[float, float, float]:
        """Unit vector towards the sun."""
        x, y, z = self.towards_sun().tolist()
        return x, y, z


def noise(u: Tensor, v: Tensor, seed: Tensor | int, size: float) -> Tensor:
    """Smooth values 0..1 over a lattice of that size (value noise); one seed, or int32 ones."""
    u, v = u / size, v / size
    left, low = torch.floor(u), torch.floor(v)
    part_u, part_v = u - left, v - low
    part_u, part_v = part_u * part_u * (3 - 2 * part_u), part_v * part_v * (3 - 2 * part_v)
    i, j = left.to(torch.int32), low.to(torch.int32)
    seeds = torch.full_like(i, seed) if isinstance(seed, int) else seed
    zero = torch.zeros_like(i)
    bottom = hash_cells(i, j, zero, seeds) * (1 - part_u) + hash_cells(i + 1, j, zero, seeds) * part_u
    top = hash_cells(i, j + 1, zero, seeds) * (1 - part_u) + hash_cells(i + 1, j + 1, zero, seeds) * part_u
    return bottom * (1 - part_v) + top * part_v


def _fraction(value: Tensor) -> Tensor:
    return value - torch.floor(value)


def _pattern(texture: Texture, u: Tensor, v: Tensor, w: Tensor, seed: Tensor, pixel: Tensor) -> Tensor:
    """Factor on a body's colour: ``u, v`` metres along the surface, ``w`` metres up, ``pixel`` metres that a pixel covers."""
    fade = (0.08 / pixel.clamp(min=1e-3)).clamp(max=1)
    stain = 0.85 + 0.3 * noise(u, v, seed, 1.7)
    if texture == Texture.BRICKS:
        row = torch.floor(v / 0.12)
        joint = (_fraction(v / 0.12) < 0.12) | (_fraction(u / 0.28 + 0.5 * row) < 0.05)
        tone = hash_cells(torch.floor(u / 0.28 + 0.5 * row).to(torch.int32), row.to(torch.int32), seed * 0, seed)
        return stain * (1 + fade * (torch.where(joint, 0.25, 0.0) + 0.3 * (tone - 0.5)))
    if texture == Texture.LEAVES:
        i, j, k = (torch.floor(value / 0.13).to(torch.int32) for value in (u, v, w))
        cell = hash_cells(i, j, k, seed)
        return (0.45 + 0.7 * noise(u + w, v, seed, 0.6)) * (1 + fade * 0.9 * (cell - 0.5))
    if texture == Texture.PLASTER:
        return stain * (0.9 + 0.2 * noise(u, v, seed + 7, 0.25))
    if texture == Texture.WINDOWS:
        pane = ((_fraction(u / 2.4) - 0.5).abs() < 0.26) & ((_fraction(w / 3.0) - 0.5).abs() < 0.28)
        return torch.where(pane, 0.35, 1.0) * stain
    if texture == Texture.STRIPES:
        return stain * torch.where(_fraction(u / 0.22) < 0.12, 0.75, 1.0)
    if texture == Texture.PAINT:
        return 0.92 + 0.16 * noise(u, v, seed, 0.8)
    if texture == Texture.GLASS:
        return 0.6 + 0.5 * noise(u, v, seed, 0.9)
    return 0.9 + 0.2 * noise(u, v, seed, 0.4)


def _body_colors(primitives: Primitives, which: Tensor, points: Tensor, normal: Tensor, pixel: Tensor) -> Tensor:
    """Colours ``(3, P)`` of points of the bodies ``which (P,)``, without light."""
    half = pick(primitives.half, which)
    local = primitives.local(which, points) * half
    # Along the surface: the level direction, and up (on level faces forward).
    cos, sin = pick(primitives.turn, which)
    across_x = (cos * normal[0] + sin * normal[1]).abs() > (-sin * normal[0] + cos * normal[1]).abs()
    u = torch.where(across_x, local[1], local[0])
    w = local[2] + half[2]
    v = torch.where(normal[2].abs() > 0.8, local[1], w)
    texture, seeds = primitives.texture[which], primitives.seed[which]
    factor = torch.ones_like(u)
    for kind in Texture:
        index = (texture == kind).nonzero()[:, 0]
        if len(index):
            parts = (value[index] for value in (u, v, w, seeds, pixel))
            factor[index] = _pattern(kind, *parts)
    return pick(primitives.color, which) * factor


def _ground_colors(ground: Ground, light: Light, points: Tensor, part: Tensor, pixel: Tensor) -> Tensor:
    """Colours ``(3, P)`` of points of the ground, without light; ``part (P,)`` of it."""
    x, y, _ = points
    d = x - ground.axis_at(y)
    fade = (0.06 / pixel.clamp(min=1e-3)).clamp(max=1)
    grain = (0.85 + 0.3 * noise(x, y, light.seed, 2.5)) * (1 + fade * 0.25 * (noise(x, y, light.seed + 1, 0.07) - 0.5))
    track = 1 - 0.12 * torch.exp(-((d.abs() - ground.half_width / 2).abs() - 0.75).square() / 0.08)
    dashed = _fraction(y / 9.0) < 0.4
    paint = torch.zeros_like(d, dtype=torch.bool)
    for place in light.lane_marks:
        paint |= ((d - place).abs() < 0.07) & dashed
    for place in light.edge_marks:
        paint |= (d - place).abs() < 0.08
    paint &= (y - ground.crossing[0]).abs() > ground.crossing[1] + 1
    road = light.road * grain * track
    road = torch.where(paint & (noise(x, y, light.seed + 2, 0.3) > 0.15), 0.85, road)
    slabs = (_fraction(d / 0.6) < 0.03) | (_fraction(y / 0.6) < 0.03)
    side = light.side * grain * torch.where(slabs & light.slabs, 1 - 0.25 * fade, 1.0)
    if light.side_green:
        grass = side * (0.6 + 0.8 * noise(x, y, light.seed + 3, 0.5))
        side = torch.where(light.slabs | torch.zeros_like(paint), side, grass)
    gray = torch.where(part == ROAD, road, torch.where(part == KERB, 0.55 * grain, side))
    on_side = (part != ROAD) & (part != KERB)
    return torch.stack([torch.where(on_side, tint * side, gray) for tint in light.tint])


@dataclass(frozen=True)
class Shadows:
    """What the suns of S scenes see of the first 45 m.

    Args:
        grid: The suns' rays.
        nearest: ``(S, R)`` distance at which each of them ends.
        sunny: ``(S,)`` bool, whether the sun casts shadows.
        scene: ``(V,)`` the scene that each of V views sees; None: view n sees scene n.
    """

    grid: SunGrid
    nearest: Tensor
    sunny: Tensor
    scene: Tensor | None = None

    def reached(self, points: Tensor, view: Tensor) -> Tensor:
        """Whether the sun reaches points, softened over the map's pixels: ``(3, P)`` of the views ``(P,)`` -> ``(P,)`` 0..1."""
        grid, flat, scene = self.grid, self.nearest.flatten(), view if self.scene is None else self.scene[view]
        column, row, distance = grid.locate(points, scene)
        first = scene * (grid.height * grid.width)
        total = torch.zeros_like(distance)
        for right in (0, 1):
            for down in (0, 1):
                i, j = torch.floor(row).long() + down, torch.floor(column).long() + right
                outside = (i < 0) | (i >= grid.height) | (j < 0) | (j >= grid.width)
                cell = first + i.clamp(0, grid.height - 1) * grid.width + j.clamp(0, grid.width - 1)
                weight = ((row - torch.floor(row)) - (1 - down)).abs() * ((column - torch.floor(column)) - (1 - right)).abs()
                total = total + weight * (outside | (flat[cell] > distance - 0.3)).float()
        return torch.where(self.sunny[scene], total, 1.0)


def shadow_maps(primitives: Primitives, lights: Sequence[Light], rays: tuple[int, int] = (256, 256)) -> Shadows:
    """Maps of shadows of the scenes in the stack."""
    suns = torch.stack([light.towards_sun() for light in lights])
    along = [32.0 * max(0.5, height) + 6 for height in suns[:, 2].tolist()]
    device = primitives.centre.device
    grid = SunGrid(suns, torch.tensor([0.0, 18.0, 0.0]), (32.0, along), *rays, device=device)
    sunny = torch.tensor([light.sunny for light in lights], device=device)
    return Shadows(grid, cast(primitives, None, grid).t, sunny)


def shade(
    primitives: Primitives,
    ground: Ground,
    light: Light,
    grid: CameraGrid,
    hits: Hits,
    normal: Tensor,
    shadows: Shadows | None = None,
) -> Tensor:
    """Colours of the cameras' rays: ``(3, S, R)`` RGB 0..1."""
    slant = grid.directions[2] / lengths(grid.directions)
    up = (0.5 + 2.5 * slant).clamp(0, 1)
    sky = light.sky[0] + light.sky_rises * up
    cloud = 0.1 * (noise(grid.directions[0] * 4 / (up + 0.3), slant * 18, light.seed + 9, 1.0) - 0.5)
    color = torch.stack([(sky + cloud) * tint for tint in (0.92, 0.97, 1.04)]).flatten(1)
    points, body, distance = hits.points.flatten(1), hits.body.flatten(), hits.t.flatten()
    normal = normal.flatten(1)
    pixel = distance / float(grid.intrinsics[0, 0])
    on_body, on_ground = (body >= 0).nonzero()[:, 0], (body == GROUND).nonzero()[:, 0]
    if len(on_body):
        parts = (pick(points, on_body), pick(normal, on_body), pixel[on_body])
        color[:, on_body] = _body_colors(primitives, body[on_body], *parts)
    if len(on_ground):
        which = hits.scene_of(on_ground)
        part = hits.ground.flatten()[on_ground]
        parts = (pick(points, on_ground), part, pixel[on_ground])
        color[:, on_ground] = _ground_colors(ground.at(which), light.at(which), *parts)
    lit = torch.cat((on_body, on_ground))
    view = hits.scene_of(lit)
    here = light.at(view)
    normal = pick(normal, lit)
    x, y, z = here.direction
    facing = (normal[0] * x + normal[1] * y + normal[2] * z).clamp(min=0)
    if shadows is not None:
        facing = facing * shadows.reached(pick(points, lit) + 0.05 * normal, view)
    sky_light = here.ambient * (0.7 + 0.3 * normal[2])
    haze = (1 - torch.exp(-distance[lit] / 450.0)) * 0.7
    color[:, lit] = pick(color, lit) * (sky_light + here.sun * facing) * (1 - haze) + haze * here.sky[0]
    return color.clamp(0, 1).reshape(hits.points.shape)


def with_wet_mirror(
    color: Tensor,
    primitives: Primitives,
    grounds: Sequence[Ground],
    light: Light,
    grid: CameraGrid,
    hits: Hits,
    part: int = 4,
) -> Tensor:
    """Wet carriageways: darker, and over them what a mirror in their plane below the camera would show.

    The mirrored view is cast once with every ``part``-th pixel a side and read smoothly: rough wet asphalt blurs it anyway.

    Shapes: ``color (3, S, R)`` of the cameras' rays -> the same; as it was where ``light.wet`` is 0.
    """
    mirror, ground = _mirrored(grounds, grid, part), Ground.stack(grounds, grid.directions.device)
    seen = cast(primitives, None, mirror)
    normal = surface_normals(primitives, ground, seen, mirror.directions)
    picture = shade(primitives, ground, light, mirror, seen, normal)
    picture = picture.transpose(0, 1).reshape(-1, 3, mirror.height, mirror.width)
    size = (mirror.height * part, mirror.width * part)
    picture = functional.interpolate(picture, size, mode="bilinear")[..., : grid.height, : grid.width]
    picture = picture.transpose(0, 1).reshape(color.shape)
    road = (hits.ground == ROAD).float()
    slant = (-grid.directions[2] / lengths(grid.directions)).clamp(0, 1)
    # Schlick's form of Fresnel's reflection at water; puddles and drier tracks in patches.
    patches = 0.1 + 0.6 * noise(hits.points[0], hits.points[1], light.seed + 4, 3.1)
    strength = light.wet * road * patches * (0.02 + 0.98 * each_alone(lambda x: x.pow(5), 1 - slant))
    return color * (1 - 0.5 * light.wet * road) * (1 - strength) + strength * picture


def _mirrored(grounds: Sequence[Ground], grid: CameraGrid, part: int) -> CameraGrid:
    """The cameras below the carriageways that see what these mirror, with every ``part``-th pixel."""
    poses, positions = [], []
    for ground, pose, position in zip(grounds, grid.poses, grid.positions, strict=True):
        slope = torch.tensor([0.0, -ground.slope, 1.0], dtype=torch.float64)
        up = slope / slope.norm()
        flip = torch.eye(3, dtype=torch.float64) - 2 * up[:, None] * up
        x, y = (position[i : i + 1].to(torch.float32) for i in (0, 1))
        below = torch.cat((position[:2], ground.height(x, y).to(torch.float64)))
        poses.append(flip @ pose)
        positions.append(below + flip @ (position - below))
    height, width = -(-grid.height // part), -(-grid.width // part)
    matrix = grid.intrinsics.clone()
    matrix[:2] /= part
    matrix[:2, 2] += 0.5 / part - 0.5
    return CameraGrid(matrix, height, width, torch.stack(poses), torch.stack(positions), device=grid.directions.device)
