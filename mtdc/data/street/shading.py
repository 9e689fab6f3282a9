"""Colour of what rays met: procedural textures, sun, sky light and cast shadow.

Textures are functions of the place on the body and of the body's seed, so that every camera sees the same; fine patterns fade
where they become smaller than a pixel.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import torch
from torch import Tensor
from torch.nn import functional

from .caster import GROUND, Hits, cast, surface_normals
from .ground import KERB, ROAD, Ground
from .primitives import Primitives, hash_cells, lengths, pick
from .rays import CameraGrid, SunGrid


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


def noise(u: Tensor, v: Tensor, seed: Tensor | int, size: float) -> Tensor:
    """Smooth values 0..1 over a lattice of that size (value noise)."""
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


def _body_colors(primitives: Primitives, hits: Hits, chosen: Tensor, normal: Tensor, pixel: Tensor) -> Tensor:
    which = hits.body[chosen]
    half = pick(primitives.half, which)
    local = primitives.local(which, pick(hits.points, chosen)) * half
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


def _ground_colors(ground: Ground, light: Light, hits: Hits, chosen: Tensor, pixel: Tensor) -> Tensor:
    x, y, _ = pick(hits.points, chosen)
    part = hits.ground[chosen]
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
    side = light.side * grain * torch.where(slabs & (not light.side_green), 1 - 0.25 * fade, torch.ones_like(fade))
    tint = torch.tensor([0.75, 1.05, 0.45] if light.side_green else [1.0, 0.98, 0.94], device=x.device)
    if light.side_green:
        side = side * (0.6 + 0.8 * noise(x, y, light.seed + 3, 0.5))
    gray = torch.where(part == ROAD, road, torch.where(part == KERB, 0.55 * grain, side))
    return torch.where((part == ROAD) | (part == KERB), gray, tint[:, None] * side)


def shadow_map(primitives: Primitives, light: Light, rays: tuple[int, int] = (256, 256)) -> tuple[SunGrid, Tensor]:
    """What the sun sees of the first 45 m: the grid, and the distance at which each of its rays ends."""
    device = primitives.centre.device
    sun = light.towards_sun()
    reach = (32.0, 32.0 * max(0.5, float(sun[2])) + 6)
    grid = SunGrid(sun, torch.tensor([0.0, 18.0, 0.0]), reach, *rays, device=device)
    return grid, cast(primitives, None, grid).t


def shade(
    primitives: Primitives,
    ground: Ground,
    light: Light,
    grid: CameraGrid,
    hits: Hits,
    normal: Tensor,
    shadow: tuple[SunGrid, Tensor] | None = None,
) -> Tensor:
    """Colours of the camera's rays: ``(3, R)`` RGB 0..1; ``shadow`` is what :func:`shadow_map` returns."""
    sun = light.towards_sun().to(torch.float32).to(normal.device)
    slant = grid.directions[2] / lengths(grid.directions)
    up = (0.5 + 2.5 * slant).clamp(0, 1)
    sky = light.sky[0] + (light.sky[1] - light.sky[0]) * up
    cloud = 0.1 * (noise(grid.directions[0] * 4 / (up + 0.3), slant * 18, light.seed + 9, 1.0) - 0.5)
    color = (sky + cloud) * torch.tensor([0.92, 0.97, 1.04], device=normal.device)[:, None]
    pixel = hits.t / float(grid.intrinsics[0, 0])
    on_body, on_ground = (hits.body >= 0).nonzero()[:, 0], (hits.body == GROUND).nonzero()[:, 0]
    if len(on_body):
        color[:, on_body] = _body_colors(primitives, hits, on_body, pick(normal, on_body), pixel[on_body])
    if len(on_ground):
        color[:, on_ground] = _ground_colors(ground, light, hits, on_ground, pixel[on_ground])
    lit = torch.cat((on_body, on_ground))
    normal = pick(normal, lit)
    facing = (normal * sun[:, None]).sum(0).clamp(min=0)
    if shadow is not None:
        facing = facing * _reached(*shadow, pick(hits.points, lit) + 0.05 * normal)
    sky_light = light.ambient * (0.7 + 0.3 * normal[2])
    haze = (1 - torch.exp(-hits.t[lit] / 450.0)) * 0.7
    color[:, lit] = pick(color, lit) * (sky_light + light.sun * facing) * (1 - haze) + haze * light.sky[0]
    return color.clamp(0, 1)


def with_wet_mirror(
    color: Tensor, primitives: Primitives, ground: Ground, light: Light, grid: CameraGrid, hits: Hits, part: int = 4
) -> Tensor:
    """A wet carriageway: darker, and over it what a mirror in its plane below the camera would show.

    The mirrored view is cast once with every ``part``-th pixel a side and read smoothly: rough wet asphalt blurs it anyway.

    Shapes: ``color (3, R)`` of the camera's rays -> the same.
    """
    slope = torch.tensor([0.0, -ground.slope, 1.0], dtype=torch.float64)
    up = slope / slope.norm()
    flip = torch.eye(3, dtype=torch.float64) - 2 * up[:, None] * up
    x, y = (grid.position[i : i + 1].to(torch.float32) for i in (0, 1))
    below = torch.cat((grid.position[:2], ground.height(x, y).to(torch.float64)))
    height, width = -(-grid.height // part), -(-grid.width // part)
    matrix = grid.intrinsics.clone()
    matrix[:2] /= part
    matrix[:2, 2] += 0.5 / part - 0.5
    mirror = CameraGrid(
        matrix, height, width, flip @ grid.pose, below + flip @ (grid.position - below), device=grid.directions.device
    )
    seen = cast(primitives, None, mirror)
    normal = surface_normals(primitives, ground, seen, mirror.directions)
    picture = shade(primitives, ground, light, mirror, seen, normal).reshape(1, 3, height, width)
    size = (height * part, width * part)
    picture = functional.interpolate(picture, size, mode="bilinear")[0, :, : grid.height, : grid.width].reshape(3, -1)
    road = (hits.ground == ROAD).float()
    slant = (-grid.directions[2] / lengths(grid.directions)).clamp(0, 1)
    # Schlick's form of Fresnel's reflection at water; puddles and drier tracks in patches.
    patches = 0.1 + 0.6 * noise(hits.points[0], hits.points[1], light.seed + 4, 3.1)
    strength = light.wet * road * patches * (0.02 + 0.98 * (1 - slant).pow(5))
    return color * (1 - 0.5 * light.wet * road) * (1 - strength) + strength * picture


def _reached(grid: SunGrid, nearest: Tensor, points: Tensor) -> Tensor:
    """Whether the sun reaches points, softened over the map's pixels: ``(3, R) -> (R,)`` 0..1."""
    column, row, distance = grid.locate(points)
    total = torch.zeros_like(distance)
    for right in (0, 1):
        for down in (0, 1):
            i, j = torch.floor(row).long() + down, torch.floor(column).long() + right
            outside = (i < 0) | (i >= grid.height) | (j < 0) | (j >= grid.width)
            cell = i.clamp(0, grid.height - 1) * grid.width + j.clamp(0, grid.width - 1)
            weight = ((row - torch.floor(row)) - (1 - down)).abs() * ((column - torch.floor(column)) - (1 - right)).abs()
            total = total + weight * (outside | (nearest[cell] > distance - 0.3)).float()
    return total
