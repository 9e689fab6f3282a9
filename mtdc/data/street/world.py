"""One frame of the street world: a drawn street, its cameras and LiDAR, and all that a network may read or be compared with."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ...errors import ConfigError, did_you_mean
from .caster import GROUND, Hits, cast, surface_normals
from .ground import ROAD
from .layouts import Scene, draw_scene
from .lidar import ScanPose, beams, mounted, scan, sparse_depth
from .options import BASELINE_M, Choices, StreetOptions
from .rays import CameraGrid, SunGrid, rotation
from .shading import shade, shadow_map, with_wet_mirror
from .truth import make_truth, with_edge_band

#: Changes whenever a frame of the same seed would come out otherwise.
WORLD_VERSION = 3
#: The maps of a frame.
MAPS = ("sparse_depth", "truth", "dense", "image", "normals", "semantics")
_SCANS_EACH_SIDE = 5
#: Standard deviations of the poses that scans along the path are laid together with.
_POSE_NOISE_M, _POSE_NOISE_DEG = 0.05, 0.2
_FARTHEST_M = 250.0
#: The least wetness of a wet carriageway.
_WET = 0.5


@dataclass
class StreetFrame:
    """A drawn frame.

    Args:
        maps: By name: ``sparse_depth``, ``truth``, ``dense`` ``(H, W)`` float32 metres (0 = none); ``image`` ``(H, W, 3)``
            uint8 RGB; ``normals`` ``(H, W, 3)`` float32 camera frame (0 = none); ``semantics`` ``(H, W)`` uint8 Cityscapes
            train ids (255 = none).
        intrinsics: ``(3, 3)`` float64.
        layout: Kind of street.
        camera: The camera that it is seen by, 2 or 3.
    """

    maps: dict[str, np.ndarray]
    intrinsics: np.ndarray
    layout: str
    camera: int = 2


class _Street:
    """A street with its car placed: what all its cameras share."""

    def __init__(self, options: StreetOptions, seed: int, number: int, device: torch.device | str) -> None:
        rng = np.random.default_rng([seed, number, WORLD_VERSION])
        self.options, self.device = options, device
        self.choices = choices = Choices.draw(seed, number)
        scene = draw_scene(rng, options.layouts)
        wet = _WET + (1 - _WET) * choices.wetness if choices.wet < options.wet else 0.0
        self.scene: Scene = replace(scene, light=replace(scene.light, wet=wet), primitives=scene.primitives.to(device))
        self.seed = int(rng.integers(1 << 62))
        self.generator = torch.Generator().manual_seed(self.seed)
        yaw = -self.scene.ground.heading_at(0.0) + float(rng.normal(0, 0.012))
        self.pose = rotation(yaw, float(rng.normal(0, 0.006)), float(rng.normal(0, 0.006)))
        base = float(self.scene.ground.surface(torch.zeros(1), torch.zeros(1))[0])
        self.position = torch.tensor([0.0, 0.0, base + options.camera_height + float(rng.normal(0, 0.02))], dtype=torch.float64)
        self.speed = float(rng.uniform(3, 14))
        self.lidar = options.lidar.drawn(choices.noise)
        self.jitter = torch.from_numpy(rng.normal(0, 1, 3)) * self.lidar.mount_noise
        self.bias = torch.from_numpy(rng.normal(0, 1, len(beams(self.lidar)[0]))) * self.lidar.ring_bias
        self._own: Tensor | None = None
        self._along: list[Tensor] | None = None
        self._shadow: tuple[SunGrid, Tensor] | None = None

    def camera(self, number: int) -> CameraGrid:
        """KITTI's colour camera 2, or 3 to its right."""
        right = self.pose[:, 0] * (BASELINE_M if number == 3 else 0.0)
        matrix = torch.from_numpy(self.options.camera_matrix())
        return CameraGrid(matrix, *self.options.size, self.pose, self.position + right, self.device)

    @property
    def own_scan(self) -> Tensor:
        """Points of the frame's own scan, ``(3, N)`` world."""
        if self._own is None:
            self._own = self._scan_at(0.0, exact=True)
        return self._own

    @property
    def scans_along(self) -> list[Tensor]:
        """Points of the scans made along the way, where the accumulation believes that they lie."""
        if self._along is None:
            _ = self.own_scan  # drawn first, whichever is asked for first
            self._along = [self._scan_at(0.1 * k) for k in range(-_SCANS_EACH_SIDE, _SCANS_EACH_SIDE + 1) if k]
        return self._along

    @property
    def shadow(self) -> tuple[SunGrid, Tensor] | None:
        """The map of shadows; None where the sky is overcast."""
        if self._shadow is None and self.scene.light.sun > 0.1:
            self._shadow = shadow_map(self.scene.primitives, self.scene.light)
        return self._shadow

    def _scan_at(self, seconds: float, exact: bool = False) -> Tensor:
        """A scan made at another time on the way, as it is laid into the frame."""
        pose, position = mounted(self.pose, self.position, self.lidar, self.jitter)
        ahead = self.pose[:, 2] * torch.tensor([1.0, 1.0, 0.0], dtype=torch.float64)
        velocity = ahead / ahead.norm() * self.speed
        road = self.scene.ground
        if exact:
            moved = seen_position = position
            seen_pose = pose
        else:
            moved = position + velocity * seconds
            # The car follows the road: over hills, and round bends.
            y = float(moved[1])
            place = torch.tensor([float(moved[0]), y])
            rise = float(road.height(place[:1], place[1:])[0] - road.height(torch.zeros(1), torch.zeros(1))[0])
            moved = moved + torch.tensor([0.0, 0.0, rise], dtype=torch.float64)
            noise = torch.randn(6, generator=self.generator, dtype=torch.float64)
            seen_position = moved + _POSE_NOISE_M * noise[:3]
            seen_pose = pose @ rotation(0, 0, 0).T @ rotation(*(math.radians(_POSE_NOISE_DEG) * noise[3:]).tolist())
        made = ScanPose(pose, moved, velocity, seconds)
        result = scan(self.scene, made, self.lidar, self.generator, self.bias, device=self.device)
        change = (seen_pose @ pose.T).to(result.points)
        return change @ (result.points - moved.to(result.points)[:, None]) + seen_position.to(result.points)[:, None]


class _View:
    """A street through one camera; maps are made on demand and share the camera's rays."""

    def __init__(self, street: _Street, number: int) -> None:
        self.street, self.number = street, number
        self.scene, self.options = street.scene, street.options
        self.camera = street.camera(number)
        self._hits: Hits | None = None
        self._normals: Tensor | None = None

    @property
    def hits(self) -> Hits:
        if self._hits is None:
            self._hits = cast(self.scene.primitives, self.scene.ground, self.camera)
        return self._hits

    @property
    def normals(self) -> Tensor:
        if self._normals is None:
            self._normals = surface_normals(self.scene.primitives, self.scene.ground, self.hits, self.camera.directions)
        return self._normals

    def dense(self) -> Tensor:
        t = self.hits.t.reshape(self.camera.height, self.camera.width)
        return torch.where(t < _FARTHEST_M, t, 0.0)

    def sparse(self) -> Tensor:
        return sparse_depth(self.street.own_scan, self.camera)

    def truth(self) -> Tensor:
        options, choices, dense = self.options, self.street.choices, self.dense()
        first = round(options.truth_from * self.camera.height)
        below = torch.arange(self.camera.height, device=dense.device)[:, None] >= first
        if options.truth == "off":
            return torch.zeros_like(dense)
        if options.truth == "dense":
            return torch.where(below, dense, 0.0)
        sparse = self.sparse()
        scans = [sparse_depth(points, self.camera) for points in self.street.scans_along]
        grow = options.grow if choices.grow < options.grow_share else 0
        filtered = options.truth == "filtered" and choices.filter < options.filter_share
        found = make_truth(scans, dense, sparse, grow, filtered)
        if options.edge_band:
            found = with_edge_band(found, dense, options.edge_band, options.lidar.farthest)
        # Truth that the own scan contradicts from the front was seen before something in motion came.
        found = torch.where((sparse > 0) & (found > sparse + 1.0), 0.0, found)
        return torch.where(below, found, 0.0)

    def image(self) -> np.ndarray:
        scene, size = self.scene, (self.camera.height, self.camera.width)
        color = shade(scene.primitives, scene.ground, scene.light, self.camera, self.hits, self.normals, self.street.shadow)
        if scene.light.wet:
            color = with_wet_mirror(color, scene.primitives, scene.ground, scene.light, self.camera, self.hits)
        # Each camera's sensor has grain of its own, whatever else was drawn before.
        generator = torch.Generator().manual_seed(self.street.seed + self.number - 2)
        grain = torch.randn(1, size[0] * size[1], generator=generator).to(color)
        # Cameras store light by a curve, so that dark parts keep their structure.
        values = color.clamp(min=0).pow(1 / 1.5) * 255 + 1.6 * grain
        picture = values.round().clamp(0, 255).to(torch.uint8).reshape(3, *size)
        return picture.permute(1, 2, 0).cpu().numpy()

    def camera_normals(self) -> np.ndarray:
        turned = self.camera.pose.T.to(self.normals) @ self.normals
        turned = turned * (self.dense().reshape(-1) > 0)
        return turned.T.reshape(self.camera.height, self.camera.width, 3).cpu().numpy()

    def semantics(self) -> np.ndarray:
        hits, bodies = self.hits, self.scene.primitives
        label = torch.full_like(hits.body, 10)
        if len(bodies):
            label = torch.where(hits.body >= 0, bodies.label[hits.body.clamp(min=0)], label)
        side = 9 if self.scene.light.side_green else 1
        label = torch.where(hits.body == GROUND, torch.where(hits.ground == ROAD, 0, side), label)
        return label.to(torch.uint8).reshape(self.camera.height, self.camera.width).cpu().numpy()

    def frame(self, wanted: Collection[str]) -> StreetFrame:
        makers = {
            "sparse_depth": lambda: self.sparse().cpu().numpy(),
            "truth": lambda: self.truth().cpu().numpy(),
            "dense": lambda: self.dense().cpu().numpy(),
            "image": self.image,
            "normals": self.camera_normals,
            "semantics": self.semantics,
        }
        maps = {name: makers[name]() for name in MAPS if name in wanted}
        return StreetFrame(maps, self.options.camera_matrix(), self.scene.layout, self.number)


def draw_views(
    options: StreetOptions,
    seed: int,
    number: int,
    wanted: Collection[str] = MAPS,
    device: torch.device | str = "cpu",
    cameras: Sequence[int] | None = None,
) -> dict[int, StreetFrame]:
    """Frame ``number`` of the world with that seed, by camera.

    The same arguments give the same maps, to the bit on one device; a map does not depend on which others are wanted.

    Args:
        options: What frames look like.
        seed: The world's seed.
        number: The frame's number.
        wanted: Of ``MAPS``; others are not computed.
        device: Where rays are cast.
        cameras: Of 2 and 3; None is those that the options give the frame.

    Raises:
        ConfigError: ``wanted`` names a map that there is not, or ``cameras`` another camera.
    """
    for name in wanted:
        if name not in MAPS:
            raise ConfigError(f"the street world has no map '{name}'.{did_you_mean(name, MAPS)}")
    seen_by = tuple(cameras or options.cameras_of(seed, number))
    if not set(seen_by) <= {2, 3}:
        raise ConfigError(f"street: no camera {seen_by}; expected 2 (left), 3 (right) or both.")
    with torch.no_grad():
        street = _Street(options, seed, number, device)
        return {camera: _View(street, camera).frame(wanted) for camera in seen_by}


def draw_frame(
    options: StreetOptions,
    seed: int,
    number: int,
    wanted: Collection[str] = MAPS,
    device: torch.device | str = "cpu",
    camera: int | None = None,
) -> StreetFrame:
    """One view of a frame: of the camera named, or the first that the options give the frame; see :func:`draw_views`.

    Raises:
        ConfigError: ``wanted`` names a map that there is not.
    """
    cameras = options.cameras_of(seed, number)[:1] if camera is None else (camera,)
    return draw_views(options, seed, number, wanted, device, cameras)[cameras[0]]
