"""Rays against scenes, body by body: each body is met by the rays of its window alone, and the nearest keeps the ray.

Several scenes are cast at once: S grids of rays below each other, each body met by those of its own scene. The nearest is found
by a minimum over 64-bit keys, the ray parameter's bits above the body's number: the bodies' order does not matter, so that the
result is the same to the bit however the work is cut.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .ground import KERB, Ground
from .primitives import MEET, Kind, Primitives, Stencil, hash_cells, is_hole, lengths, normals, pick, turn_into
from .rays import RayGrid

#: Rays that bodies are met with at a time: temporaries stay in a processor's cache, or in a GPU's memory.
_CHUNK, _LARGE_CHUNK = {"cpu": 1 << 16}, 1 << 22
_NONE = torch.iinfo(torch.int64).max
#: Bodies in ``Hits.body``.
GROUND, SKY = -1, -2


@dataclass
class Hits:
    """What the rays of S scenes met, R of each.

    Args:
        t: ``(S, R)`` ray parameter, inf where nothing was met.
        body: ``(S, R)`` int64: number of the body, GROUND or SKY.
        ground: ``(S, R)`` uint8, which part of the ground (``ground.ROAD``, ...); 0 elsewhere.
        points: ``(3, S, R)`` world metres; where nothing was met, the ray's direction.
    """

    t: Tensor
    body: Tensor
    ground: Tensor
    points: Tensor

    def scene_of(self, rays: Tensor) -> Tensor:
        """Scenes of rays that are numbered through all of them: ``(P,)``, or ``(1,)`` for all where there is one scene."""
        return rays.new_zeros(1) if len(self.t) == 1 else rays // self.t.shape[1]


def cast(
    primitives: Primitives, ground: Ground | None, grid: RayGrid, glass_salts: Tensor | None = None, glass_through: float = 0.0
) -> Hits:
    """Nearest meeting of each ray of the grids.

    Args:
        primitives: The bodies of all scenes.
        ground: The ground, a stack for several scenes, or None.
        grid: The rays.
        glass_salts: ``(S,)`` int32. Where they are given, each ray passes each pane of glass with the probability
            ``glass_through``, drawn by a hash of the ray, the body and its scene's number here.
        glass_through: See there.
    """
    scenes = grid.directions.shape[1]
    count = scenes * grid.height * grid.width
    device = grid.directions.device
    keys = torch.full((count,), _NONE, dtype=torch.int64, device=device)
    if len(primitives):
        corners = primitives.corners()
        nearest = grid.nearest(corners, primitives.scene).to(torch.float32)
        # Which rays meet which bodies is laid out on the processor: another device is waited for once, and not body by body.
        windows, order, kinds = (values.cpu() for values in (grid.windows(corners, primitives.scene), nearest, primitives.kind))
        holes = primitives.stencil[0].cpu() != Stencil.SOLID
        axes = primitives.axes()
        for kind in Kind:
            for pierced in (False, True):
                chosen = (kinds == kind) & (holes == pierced)
                chosen &= (windows[:, 1] > windows[:, 0]) & (windows[:, 3] > windows[:, 2])
                index = chosen.nonzero()[:, 0]
                # From near to far: what stands behind is passed over cheaply.
                index = index[torch.argsort(order[index], stable=True)]
                for bodies in _chunks(windows, index, _CHUNK.get(device.type, _LARGE_CHUNK)):
                    number, ray = _rays_of_windows(windows[bodies], grid.width, device)
                    part = bodies.to(device)
                    hidden = keys[ray] >> 32 < nearest[part].view(torch.int32)[number]
                    open_rays = (~hidden).nonzero()[:, 0]
                    window = (number[open_rays], ray[open_rays])
                    _meet(primitives, axes, grid, window, part, kind, pierced, keys, glass_salts, glass_through)
    keys = keys.reshape(scenes, -1)
    met = keys != _NONE
    t = (keys >> 32).to(torch.int32).view(torch.float32)
    t = torch.where(met, t, torch.inf)
    body = torch.where(met, keys & 0xFFFFFFFF, SKY)
    part_of_ground = torch.zeros(t.shape, dtype=torch.uint8, device=device)
    if ground is not None:
        ground_t, what = ground.meet(grid.origins, grid.directions)
        nearer = ground_t < t
        t, body = torch.where(nearer, ground_t, t), torch.where(nearer, GROUND, body)
        part_of_ground = torch.where(nearer, what, 0).to(torch.uint8)
    found = torch.isfinite(t)
    points = torch.where(found, grid.origins + torch.where(found, t, 0.0) * grid.directions, grid.directions)
    return Hits(t, body, part_of_ground, points)


def _chunks(windows: Tensor, chosen: Tensor, size: int) -> list[Tensor]:
    """Bodies in parts of about ``size`` rays."""
    if not len(chosen):
        return []
    area = (windows[chosen, 1] - windows[chosen, 0]) * (windows[chosen, 3] - windows[chosen, 2])
    part = torch.cumsum(area, 0) // size
    return list(torch.split(chosen, torch.unique_consecutive(part, return_counts=True)[1].tolist()))


def _rays_of_windows(windows: Tensor, width: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """All rays of windows ``(N, 4)``: number of the window and number of the ray, each ``(P,)``."""
    heights, widths = windows[:, 1] - windows[:, 0], windows[:, 3] - windows[:, 2]
    line_window = torch.repeat_interleave(torch.arange(len(windows)), heights)
    line = torch.arange(len(line_window)) - (torch.cumsum(heights, 0) - heights)[line_window]
    line_start = (windows[line_window, 0] + line) * width + windows[line_window, 2]
    line_width = widths[line_window]
    before = torch.cumsum(line_width, 0) - line_width
    total = int(line_width.sum())
    start, window, count = (values.to(device) for values in (line_start - before, line_window, line_width))
    ray = torch.repeat_interleave(start, count, output_size=total) + torch.arange(total, device=device)
    return torch.repeat_interleave(window, count, output_size=total), ray


def _meet(
    primitives: Primitives,
    axes: Tensor,
    grid: RayGrid,
    window: tuple[Tensor, Tensor],
    part: Tensor,
    kind: Kind,
    pierced: bool,
    keys: Tensor,
    glass_salts: Tensor | None,
    glass_through: float,
) -> None:
    """Meet some bodies of one kind with the rays of their windows, and lower the keys."""
    number, ray = window
    part_axes, part_centre = axes[:, part], primitives.centre[:, part]
    ray_axes = pick(part_axes, number)
    direction = turn_into(ray_axes, pick(grid.directions.flatten(1), ray))
    if grid.origins.shape[2] == 1:
        origin = pick(turn_into(part_axes, grid.origins[:, primitives.scene[part], 0] - part_centre), number)
    else:
        origin = turn_into(ray_axes, pick(grid.origins.flatten(1), ray) - pick(part_centre, number))
    tapered = kind in (Kind.WEDGE, Kind.CYLINDER)
    taper = pick(primitives.taper[:, part], number) if tapered else primitives.taper[:, :0]
    enter, leave = MEET[kind](origin, direction, taper)
    kept = ((enter <= leave) & (leave > 1e-3) & ((enter > 1e-3) | pierced)).nonzero()[:, 0]
    if not len(kept):
        return
    ray, body, t = ray[kept], part[number[kept]], enter[kept]
    if pierced:
        t = _through_holes(primitives, body, pick(origin, kept), pick(direction, kept), t, leave[kept], kind)
    if glass_salts is not None:
        scene = primitives.scene[body]
        # A ray's number in its own grid: no scene's draws depend on its company.
        ray32 = (ray - scene * (grid.height * grid.width)).to(torch.int32)
        draw = hash_cells(ray32, glass_salts[scene], ray32 >> 16, primitives.seed[body])
        t = torch.where(primitives.glass[body] & (draw < glass_through), torch.inf, t)
    key = torch.where(torch.isfinite(t), (t.view(torch.int32).to(torch.int64) << 32) | body, _NONE)
    keys.scatter_reduce_(0, ray, key, "amin")


def _through_holes(
    primitives: Primitives, body: Tensor, origin: Tensor, direction: Tensor, enter: Tensor, leave: Tensor, kind: Kind
) -> Tensor:
    """The first of both meetings that is no hole; inf where both are."""
    stencil, seed, half = pick(primitives.stencil, body), primitives.seed[body], pick(primitives.half, body)
    flat = kind in (Kind.BOX, Kind.WEDGE)
    t = torch.full_like(enter, torch.inf)
    for meeting in (leave, enter):
        hole = is_hole(stencil, seed, half, origin + meeting * direction, flat)
        t = torch.where((meeting > 1e-3) & ~hole, meeting, t)
    return t


def surface_normals(primitives: Primitives, ground: Ground, hits: Hits, towards: Tensor) -> Tensor:
    """Unit normals, turned to face the rays' origins; 0 where nothing was met.

    Shapes: ``towards (3, S, R)`` directions of the rays -> ``(3, S, R)`` world.
    """
    all_points, body = hits.points.flatten(1), hits.body.flatten()
    result = torch.zeros(all_points.shape, device=body.device)
    on_ground = (body == GROUND).nonzero()[:, 0]
    if len(on_ground):
        points = pick(all_points, on_ground)
        here = ground.at(hits.scene_of(on_ground))
        normal = here.normal(points[0], points[1])
        # A kerb's face stands across the nearest edge; the road's axis is near enough to straight there.
        is_kerb = hits.ground.flatten()[on_ground] == KERB
        along_y = (points[1] - here.crossing[0]).abs() - here.crossing[1]
        at_crossing = (along_y.abs() < 0.02) & (here.crossing[1] > 0)
        bow = -(here.axis[1] + here.axis[2] * points[1])
        across = torch.stack((torch.where(at_crossing, 0.0, 1.0), torch.where(at_crossing, 1.0, bow), torch.zeros_like(bow)))
        across = across / lengths(across)
        result[:, on_ground] = torch.where(is_kerb, across, normal)
    on_body = (body >= 0).nonzero()[:, 0]
    if len(on_body):
        which = body[on_body]
        unit = primitives.local(which, pick(all_points, on_body))
        result[:, on_body] = normals(primitives, which, unit)
    result = result.reshape(towards.shape)
    facing = (result * towards).sum(0, keepdim=True)
    return torch.where(facing > 0, -result, result)
