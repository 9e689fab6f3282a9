"""What cameras see of placed streets: the maps of several frames, drawn as one.

Rays of all streets and views lie in one stack, so that a batch takes about as many operations as a frame: a GPU is then given
large pieces of work instead of many small ones. On a processor, which waits for memory and not for orders, each scan and each
view is a stack of its own; the maps are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from .builder import ROAD as ROAD_LABEL
from .builder import SIDEWALK, TERRAIN
from .builder import SKY as SKY_LABEL
from .caster import GROUND, Hits, cast, surface_normals
from .columns import each_alone
from .ground import ROAD, Ground
from .lidar import Scans, scan, sparse_depth
from .placed import LaidScan, PlacedStreet
from .primitives import Primitives
from .rays import CameraGrid, turned
from .shading import Light, Shadows, shade, shadow_maps, with_wet_mirror
from .truth import make_truth, with_edge_band

#: The maps of a frame.
MAPS = ("sparse_depth", "truth", "dense", "image", "normals", "semantics")
#: Rays of a stack; what they meet and are coloured by takes some 400 bytes of a device's memory each.
_STACK, _LARGE_STACK = {"cpu": 1 << 16}, 1 << 23
_FARTHEST_M = 250.0


def stack_size(device: torch.device | str) -> int:
    """Rays that are drawn at a time, if there are several scenes to draw."""
    return _STACK.get(torch.device(device).type, _LARGE_STACK)


class Streets:
    """Streets that are drawn together: what all their cameras share.

    Args:
        streets: Of the same options.
        wanted: Maps that will be asked for.
        device: Where rays are cast.
    """

    def __init__(self, streets: Sequence[PlacedStreet], wanted: Collection[str], device: torch.device | str) -> None:
        self.streets, self.device = streets, torch.device(device)
        self.options = streets[0].options
        #: Whether the truth is made of scans.
        self.accumulates = "truth" in wanted and self.options.truth in ("filtered", "raw")

    @cached_property
    def scans(self) -> Scans:
        """Each frame's own scan and after it, where truth is made of scans, those along the way; each lies where the
        accumulation believes it to: points ``(3, F, K, R)`` world."""
        laid = [street.scans(self.accumulates) for street in self.streets]
        every = [one for street in laid for one in street]
        rays = every[0].job.turn.draws[0].numel()
        size = max(1, stack_size(self.device) // rays)
        found = [self._cast_stack(every[first : first + size]) for first in range(0, len(every), size)]
        points, returned = torch.cat([one.points for one in found], dim=1), torch.cat([one.returned for one in found])
        shape = (len(laid), len(laid[0]), rays)
        return Scans(points.reshape(3, *shape), returned.reshape(shape))

    def _cast_stack(self, laid: list[LaidScan]) -> Scans:
        found = scan([one.job for one in laid], self.device)
        turns = torch.stack([one.turn for one in laid]).to(found.points)
        made, believed = (
            torch.stack(places).T[..., None].to(found.points)
            for places in ([one.job.where.position for one in laid], [one.believed for one in laid])
        )
        return Scans(turned(turns, found.points - made) + believed, found.returned)

    @cached_property
    def shadows(self) -> Shadows | None:
        """Maps of shadows; None where all skies are overcast."""
        lights = [street.scene.light for street in self.streets]
        if not any(light.sunny for light in lights):
            return None
        bodies = Primitives.stack([street.scene.primitives for street in self.streets]).to(self.device)
        return shadow_maps(bodies, lights)


class Views:
    """Streets, each through one camera; maps are made on demand and share the cameras' rays.

    Args:
        streets: The streets.
        seen: Number of the street among these, and camera, of each view.
    """

    def __init__(self, streets: Streets, seen: Sequence[tuple[int, int]]) -> None:
        self.streets, self.seen, self.options, device = streets, seen, streets.options, streets.device
        self.placed = [streets.streets[number] for number, _ in seen]
        self.which = torch.tensor([number for number, _ in seen], device=device)
        scenes = [street.scene for street in self.placed]
        self.bodies = Primitives.stack([scene.primitives for scene in scenes]).to(device)
        self.grounds = [scene.ground for scene in scenes]
        self.ground = Ground.stack(self.grounds, device)
        self.light = Light.stack([scene.light for scene in scenes], device)
        eyes = torch.stack([street.eye(camera) for street, (_, camera) in zip(self.placed, seen, strict=True)])
        poses = torch.stack([street.pose for street in self.placed])
        matrix = torch.from_numpy(self.options.camera_matrix())
        self.camera = CameraGrid(matrix, *self.options.size, poses, eyes, device)
        self.shape = (len(seen), *self.options.size)

    @cached_property
    def hits(self) -> Hits:
        """What the cameras' rays meet."""
        return cast(self.bodies, self.ground, self.camera)

    @cached_property
    def normals(self) -> Tensor:
        """Normals of what they meet, ``(3, V, R)`` world."""
        return surface_normals(self.bodies, self.ground, self.hits, self.camera.directions)

    @cached_property
    def dense(self) -> Tensor:
        """What the cameras see, ``(V, H, W)`` metres."""
        t = self.hits.t.reshape(self.shape)
        return torch.where(t < _FARTHEST_M, t, 0.0)

    @cached_property
    def scans(self) -> Tensor:
        """Sparse maps of the streets' scans, the own one first: ``(V, K, H, W)`` metres."""
        scans = self.streets.scans
        return sparse_depth(scans.points[:, self.which], scans.returned[self.which], self.camera)

    def truth(self) -> Tensor:
        """Ground truth of the options' kind, ``(V, H, W)`` metres."""
        options, dense = self.options, self.dense
        first = round(options.truth_from * self.camera.height)
        below = torch.arange(self.camera.height, device=dense.device)[:, None] >= first
        if options.truth == "off":
            return torch.zeros_like(dense)
        if options.truth == "dense":
            return torch.where(below, dense, 0.0)
        choices = [street.choices for street in self.placed]
        grow = torch.tensor([options.grow > 0 and choice.grow < options.grow_share for choice in choices])
        filtered = torch.tensor([options.truth == "filtered" and choice.filter < options.filter_share for choice in choices])
        of_scans = torch.tensor([choice.scans < options.scan_share for choice in choices])
        found = make_truth(self.scans, dense, grow, filtered, of_scans)
        if options.edge_band:
            found = with_edge_band(found, dense, options.edge_band, options.lidar.farthest)
        # Truth that the own scan contradicts from the front was seen before something in motion came.
        sparse = self.scans[:, 0]
        found = torch.where((sparse > 0) & (found > sparse + 1.0), 0.0, found)
        return torch.where(below, found, 0.0)

    def image(self) -> Tensor:
        """Photos, ``(V, H, W, 3)`` uint8 RGB."""
        shadows = self.streets.shadows
        shadows = None if shadows is None else replace(shadows, scene=self.which)
        color = shade(self.bodies, self.ground, self.light, self.camera, self.hits, self.normals, shadows)
        if any(street.scene.light.wet for street in self.placed):
            color = with_wet_mirror(color, self.bodies, self.grounds, self.light, self.camera, self.hits)
        grain = torch.stack([street.grain(camera) for street, (_, camera) in zip(self.placed, self.seen, strict=True)])
        # Cameras store light by a curve, so that dark parts keep their structure.
        curve = each_alone(lambda x: x.pow(1 / 1.5), color.transpose(0, 1).clamp(min=0))
        values = curve * 255 + 1.6 * grain[:, None].to(color)
        picture = values.round().clamp(0, 255).to(torch.uint8)
        return picture.transpose(1, 2).reshape(*self.shape, 3)

    def camera_normals(self) -> Tensor:
        """Normals in the cameras' frames, ``(V, H, W, 3)``."""
        # Added to 0, so that no zero has a sign.
        local = (0.0 + turned(self.camera.poses.mT.to(self.normals), self.normals)) * (self.dense.flatten(1) > 0)
        return local.permute(1, 2, 0).reshape(*self.shape, 3)

    def semantics(self) -> Tensor:
        """Classes, ``(V, H, W)`` uint8."""
        hits, bodies = self.hits, self.bodies
        label = torch.full_like(hits.body, SKY_LABEL)
        if len(bodies):
            label = torch.where(hits.body >= 0, bodies.label[hits.body.clamp(min=0)], label)
        sides = [TERRAIN if street.scene.light.side_green else SIDEWALK for street in self.placed]
        side = torch.tensor(sides, device=label.device)[:, None]
        label = torch.where(hits.body == GROUND, torch.where(hits.ground == ROAD, ROAD_LABEL, side), label)
        return label.to(torch.uint8).reshape(self.shape)

    def maps(self, wanted: Collection[str]) -> dict[str, np.ndarray]:
        """Maps by name, those of all views one after another."""
        makers: dict[str, Callable[[], Tensor]] = {
            "sparse_depth": lambda: self.scans[:, 0],
            "truth": self.truth,
            "dense": lambda: self.dense,
            "image": self.image,
            "normals": self.camera_normals,
            "semantics": self.semantics,
        }
        return {name: makers[name]().cpu().numpy() for name in MAPS if name in wanted}
