"""The bodies of a street and where rays meet them.

A body is upright: it is turned about the vertical alone. In its own frame, divided by its half sizes, it is a unit box
``|x|, |y|, |z| <= 1``, a wedge (a box whose upper end is drawn in: cabins, roofs), a unit ball, or a cylinder about z whose
radius may shrink towards the top. A stencil lets rays through by the place where they meet the surface and by nothing else, so
that camera and LiDAR see the same leaves: hashed cells (foliage) or a regular grid of holes (windows, slats, mesh).

World frame: x right, y forward, z up, metres.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from enum import IntEnum

import torch
from torch import Tensor

_TINY = 1e-9


class Kind(IntEnum):
    """Shapes of bodies."""

    BOX = 0
    WEDGE = 1
    BALL = 2
    CYLINDER = 3


class Stencil(IntEnum):
    """Ways to let rays through."""

    SOLID = 0
    HASH = 1
    GRID = 2


@dataclass
class Primitives:
    """N bodies as columns.

    Args:
        kind: ``(N,)`` int64, :class:`Kind`.
        centre: ``(3, N)`` metres.
        half: ``(3, N)`` half sizes in metres along the body's own axes.
        turn: ``(2, N)`` cosine and sine of the angle from world x to the body's x, counter-clockwise seen from above.
        taper: ``(3, N)`` part by which the upper end is drawn in: at +x, at -x, at both y (cylinder: the first, of the radius).
        stencil: ``(5, N)``: :class:`Stencil`, then for HASH (cell in metres, solid part, -, -), for GRID (period along the
            face, period upwards, part of each that is open).
        velocity: ``(2, N)`` metres a second along x and y.
        color: ``(3, N)`` RGB 0..1.
        texture: ``(N,)`` int64, :class:`~mtdc.data.street.shading.Texture`.
        label: ``(N,)`` int64, Cityscapes train id.
        glass: ``(N,)`` bool.
        seed: ``(N,)`` int32, one for each body.
        scene: ``(N,)`` int64, the scene of a stack that the body stands in; 0 where there is one.
    """

    kind: Tensor
    centre: Tensor
    half: Tensor
    turn: Tensor
    taper: Tensor
    stencil: Tensor
    velocity: Tensor
    color: Tensor
    texture: Tensor
    label: Tensor
    glass: Tensor
    seed: Tensor
    scene: Tensor

    def __len__(self) -> int:
        return len(self.kind)

    def to(self, device: torch.device | str) -> Primitives:
        """The same bodies on another device."""
        return Primitives(**{f.name: getattr(self, f.name).to(device) for f in fields(self)})

    @staticmethod
    def stack(scenes: Sequence[Primitives]) -> Primitives:
        """Bodies of several scenes, one scene's after another's."""
        names = [f.name for f in fields(Primitives)]
        together = {name: torch.cat([getattr(one, name) for one in scenes], dim=-1) for name in names}
        counts = torch.tensor([len(one) for one in scenes])
        return Primitives(**{**together, "scene": torch.repeat_interleave(torch.arange(len(scenes)), counts)})

    def at(self, seconds: float) -> Primitives:
        """The same bodies at another time: those that move are moved."""
        if seconds == 0 or not len(self):
            return self
        move = torch.cat((self.velocity * seconds, torch.zeros_like(self.velocity[:1])))
        return replace(self, centre=self.centre + move)

    def corners(self) -> Tensor:
        """Corners of the bodies' boxes, ``(N, 8, 3)`` world metres; corner bits 4, 2, 1 are +x, +y, +z of the body."""
        signs = torch.tensor([[(i >> 2 & 1), (i >> 1 & 1), i & 1] for i in range(8)], device=self.half.device) * 2.0 - 1
        local = signs[None] * self.half.T[:, None]
        cos, sin = self.turn[0][:, None], self.turn[1][:, None]
        x = cos * local[..., 0] - sin * local[..., 1]
        y = sin * local[..., 0] + cos * local[..., 1]
        return torch.stack((x, y, local[..., 2]), dim=-1) + self.centre.T[:, None]

    def axes(self) -> Tensor:
        """``(5, N)``: world to unit frame; x' = a x + b y, y' = c x + d y, z' = e z."""
        cos, sin = self.turn
        return torch.stack((cos / self.half[0], sin / self.half[0], -sin / self.half[1], cos / self.half[1], 1 / self.half[2]))

    def local(self, which: Tensor, points: Tensor) -> Tensor:
        """World points ``(3, R)`` in the unit frames of the bodies ``which (R,)``."""
        return turn_into(pick(self.axes(), which), points - pick(self.centre, which))


def pick(table: Tensor, which: Tensor) -> Tensor:
    """Columns ``(C, N)`` by number: ``(C, R)``; on a processor in a third of the time of ``table[:, which]``."""
    return table.index_select(1, which)


def lengths(vectors: Tensor) -> Tensor:
    """Lengths of columns ``(3, R)``; torch's norm over the first axis takes many times as long on a processor."""
    x, y, z = vectors
    return (x * x + y * y + z * z).sqrt()


def largest_axis(vectors: Tensor) -> Tensor:
    """Number of the component of columns ``(3, R)`` with the largest size, the first of equal ones: ``(R,)``."""
    x, y, z = vectors.abs()
    return torch.where((x >= y) & (x >= z), 0, torch.where(y >= z, 1, 2))


def turn_into(axes: Tensor, vectors: Tensor) -> Tensor:
    """Vectors ``(3, R)`` of the world in unit frames, ``axes (5, R)``."""
    x, y, z = vectors
    return torch.stack((axes[0] * x + axes[1] * y, axes[2] * x + axes[3] * y, axes[4] * z))


def _divisor(value: Tensor) -> Tensor:
    """The value, never nearly 0."""
    return torch.where(value.abs() < _TINY, torch.full_like(value, _TINY), value)


def meet_box(origin: Tensor, direction: Tensor, taper: Tensor) -> tuple[Tensor, Tensor]:
    """Where rays enter and leave the unit box (slabs); its taper is not looked at.

    Shapes: ``(3, R)`` in unit frames -> two ``(R,)`` ray parameters; a ray that misses leaves before it enters.
    """
    inverse = 1 / _divisor(direction)
    low, high = (-1 - origin) * inverse, (1 - origin) * inverse
    near, far = torch.minimum(low, high), torch.maximum(low, high)
    return torch.maximum(torch.maximum(near[0], near[1]), near[2]), torch.minimum(torch.minimum(far[0], far[1]), far[2])


def wedge_planes(taper: Tensor) -> list[tuple[Tensor, Tensor, Tensor, Tensor]]:
    """The six planes ``n . x <= m`` of wedges: ``taper (3, R)`` -> (nx, ny, nz, m), each broadcastable to ``(R,)``."""
    zero = torch.zeros_like(taper[0])
    one = zero + 1
    front, back, side = taper / 2
    return [
        (one, zero, front, 1 - front),
        (-one, zero, back, 1 - back),
        (zero, one, side, 1 - side),
        (zero, -one, side, 1 - side),
        (zero, zero, one, one),
        (zero, zero, -one, one),
    ]


def meet_wedge(origin: Tensor, direction: Tensor, taper: Tensor) -> tuple[Tensor, Tensor]:
    """Where rays enter and leave a wedge; shapes as in :func:`meet_box`."""
    enter = torch.full_like(origin[0], -torch.inf)
    leave = torch.full_like(origin[0], torch.inf)
    for nx, ny, nz, limit in wedge_planes(taper):
        along = _divisor(nx * direction[0] + ny * direction[1] + nz * direction[2])
        t = (limit - (nx * origin[0] + ny * origin[1] + nz * origin[2])) / along
        enter = torch.where(along < 0, torch.maximum(enter, t), enter)
        leave = torch.where(along > 0, torch.minimum(leave, t), leave)
    return enter, leave


def _roots(a: Tensor, half_b: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """Both roots of ``a t^2 + 2 b t + c``, the smaller first; (inf, -inf) where there is none."""
    discriminant = half_b * half_b - a * c
    root = discriminant.clamp(min=0).sqrt()
    a = _divisor(a)
    first, second = (-half_b - root) / a, (-half_b + root) / a
    miss = discriminant <= 0
    return (
        torch.where(miss, torch.inf, torch.minimum(first, second)),
        torch.where(miss, -torch.inf, torch.maximum(first, second)),
    )


def meet_ball(origin: Tensor, direction: Tensor, taper: Tensor) -> tuple[Tensor, Tensor]:
    """Where rays enter and leave the unit ball; shapes as in :func:`meet_box`."""
    return _roots((direction * direction).sum(0), (origin * direction).sum(0), (origin * origin).sum(0) - 1)


def meet_cylinder(origin: Tensor, direction: Tensor, taper: Tensor) -> tuple[Tensor, Tensor]:
    """Where rays enter and leave a cylinder of radius ``1 - taper[0] (z + 1) / 2``; shapes as in :func:`meet_box`."""
    shrink = taper[0] / 2
    radius = 1 - shrink - shrink * origin[2]
    slope = -shrink * direction[2]
    a = direction[0] * direction[0] + direction[1] * direction[1] - slope * slope
    half_b = origin[0] * direction[0] + origin[1] * direction[1] - radius * slope
    c = origin[0] * origin[0] + origin[1] * origin[1] - radius * radius
    near, far = _roots(a, half_b, c)
    # A ray steeper than the cone's side is inside it beyond the roots: rare for thin upright poles, and taken for a miss.
    near = torch.where(a > 0, near, torch.inf)
    inverse = 1 / _divisor(direction[2])
    low, high = (-1 - origin[2]) * inverse, (1 - origin[2]) * inverse
    return torch.maximum(near, torch.minimum(low, high)), torch.minimum(far, torch.maximum(low, high))


MEET = {Kind.BOX: meet_box, Kind.WEDGE: meet_wedge, Kind.BALL: meet_ball, Kind.CYLINDER: meet_cylinder}


def hash_cells(x: Tensor, y: Tensor, z: Tensor, seed: Tensor) -> Tensor:
    """A number in [0, 1) for each integer cell and seed: int32 tensors of one shape; the same on every device."""
    value = x * 73856093 ^ y * 19349663 ^ z * 83492791 ^ seed * 668265263
    value = (value ^ (value >> 15 & 0x1FFFF)) * 0x2C1B3C6D
    value = (value ^ (value >> 12 & 0xFFFFF)) * 0x297A2D39
    return ((value ^ (value >> 15 & 0x1FFFF)) & 0xFFFFFF).to(torch.float32) / 16777216.0


def is_hole(stencil: Tensor, seed: Tensor, half: Tensor, unit: Tensor, flat: bool) -> Tensor:
    """Whether the stencil lets rays through at points of the surface.

    Args:
        stencil: ``(5, R)`` as in :class:`Primitives`.
        seed: ``(R,)`` int32.
        half: ``(3, R)`` metres.
        unit: ``(3, R)`` points in unit frames.
        flat: The surface is a box's, with faces across the axes.
    """
    metres = unit * half
    if flat:
        # The coordinate across the face is rounded to one side or the other of a cell: take it out.
        axis = largest_axis(unit)
        side = torch.gather(unit, 0, axis[None])[0] > 0
        cell_metres = torch.stack([torch.where(axis == i, 0.0, metres[i]) for i in range(3)])
        face = (axis * 2 + side).to(torch.int32)
    else:
        cell_metres, face = metres, torch.zeros_like(seed)
        axis = torch.zeros_like(seed, dtype=torch.int64)
    cells = torch.floor(cell_metres / stencil[1].clamp(min=1e-3) + 0.5).to(torch.int32)
    open_hash = hash_cells(cells[0], cells[1], cells[2] + face * 977, seed) >= stencil[2]
    along = torch.where(axis == 0, metres[1], metres[0])
    above = metres[2] + half[2]
    u, v = along / stencil[1].clamp(min=1e-3), above / stencil[2].clamp(min=1e-3)
    open_grid = ((u - torch.floor(u) - 0.5).abs() < stencil[3] / 2) & ((v - torch.floor(v) - 0.5).abs() < stencil[4] / 2)
    return torch.where(stencil[0] == Stencil.HASH, open_hash, open_grid & (axis < 2) & (stencil[0] == Stencil.GRID))


def _box_normals(unit: Tensor, taper: Tensor) -> Tensor:
    axis = largest_axis(unit)
    return torch.stack([torch.where(axis == i, unit[i].sign(), 0.0) for i in range(3)])


def _wedge_normals(unit: Tensor, taper: Tensor) -> Tensor:
    nearest, normal = torch.full_like(unit[0], -torch.inf), torch.zeros_like(unit)
    for nx, ny, nz, limit in wedge_planes(taper):
        beyond = nx * unit[0] + ny * unit[1] + nz * unit[2] - limit
        better = beyond > nearest
        nearest = torch.where(better, beyond, nearest)
        normal = torch.where(better, torch.stack((nx, ny, nz)), normal)
    return normal


def _ball_normals(unit: Tensor, taper: Tensor) -> Tensor:
    return unit


def _cylinder_normals(unit: Tensor, taper: Tensor) -> Tensor:
    radius = 1 - taper[0] / 2 * (1 + unit[2])
    zero = torch.zeros_like(radius)
    side = torch.stack((unit[0], unit[1], radius * taper[0] / 2))
    cap = torch.stack((zero, zero, unit[2].sign()))
    level = (unit[0] ** 2 + unit[1] ** 2).sqrt()
    return torch.where((1 - unit[2].abs()) < (radius - level).abs(), cap, side)


_NORMALS = {
    Kind.BOX: _box_normals,
    Kind.WEDGE: _wedge_normals,
    Kind.BALL: _ball_normals,
    Kind.CYLINDER: _cylinder_normals,
}


def normals(primitives: Primitives, which: Tensor, unit: Tensor) -> Tensor:
    """Outward unit normals, world frame.

    Shapes: bodies ``(R,)`` and surface points in their unit frames ``(3, R)`` -> ``(3, R)``.
    """
    kind = primitives.kind.index_select(0, which)
    local = torch.empty_like(unit)
    for shape, direction in _NORMALS.items():
        chosen = (kind == shape).nonzero()[:, 0]
        if len(chosen):
            local[:, chosen] = direction(pick(unit, chosen), pick(primitives.taper, which[chosen]))
    local = local / pick(primitives.half, which)
    local = local / lengths(local).clamp(min=1e-12)
    cos, sin = pick(primitives.turn, which)
    return torch.stack((cos * local[0] - sin * local[1], sin * local[0] + cos * local[1], local[2]))
