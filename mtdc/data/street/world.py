"""One frame of the street world: a drawn street, a camera, a LiDAR, and all that a network may read or be compared with."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from ...errors import ConfigError, did_you_mean
from .caster import GROUND, Hits, cast, surface_normals
from .ground import ROAD
from .layouts import LAYOUTS, Scene, draw_scene
from .lidar import LidarOptions, ScanPose, beams, mounted, scan, sparse_depth
from .rays import CameraGrid, rotation
from .shading import shade
from .truth import make_truth

#: Changes whenever a frame of the same seed would come out otherwise.
WORLD_VERSION = 2
#: The maps of a frame.
MAPS = ("sparse_depth", "truth", "dense", "image", "normals", "semantics")
_SCANS_EACH_SIDE = 5
#: Standard deviations of the poses that scans along the path are laid together with.
_POSE_NOISE_M, _POSE_NOISE_DEG = 0.05, 0.2
_FARTHEST_M = 250.0


@dataclass(frozen=True)
class StreetOptions:
    """What frames look like; the same options, seed and frame number give the same frame.

    Args:
        size: (H, W) in pixels.
        intrinsics: fx, fy, cx, cy in pixels of that size; None is KITTI's camera cut to its lower middle (or, for narrower
            images, scaled to keep KITTI's field of view).
        camera_height: Metres above the road.
        lidar: The LiDAR.
        layouts: Names of the streets to draw from; None is all by their shares.
        truth: "filtered", "raw" (no occlusion filter), "dense" (what the camera sees, down to the truth's first row) or "off".
        grow: Pixels by which truth grows over steps (0 or 1).
        truth_from: Row above which there is no truth, as a part of the height.
    """

    size: tuple[int, int] = (352, 1216)
    intrinsics: tuple[float, float, float, float] | None = None
    camera_height: float = 1.65
    lidar: LidarOptions = field(default_factory=LidarOptions)
    layouts: tuple[str, ...] | None = None
    truth: str = "filtered"
    grow: int = 0
    truth_from: float = 0.18

    def __post_init__(self) -> None:
        height, width = self.size
        if not (8 <= height <= 8192 and 8 <= width <= 8192):
            raise ConfigError(f"street: size={tuple(self.size)}; expected (H, W) of 8 to 8192 pixels.")
        if self.truth not in ("filtered", "raw", "dense", "off"):
            raise ConfigError(f"street: truth='{self.truth}'.{did_you_mean(self.truth, ('filtered', 'raw', 'dense', 'off'))}")
        if self.grow not in (0, 1):
            raise ConfigError(f"street: grow={self.grow}; expected 0 or 1 pixels.")
        for name in self.layouts or ():
            if name not in LAYOUTS:
                raise ConfigError(f"street: layouts has '{name}'.{did_you_mean(name, LAYOUTS)}")
        if self.layouts is not None and not self.layouts:
            raise ConfigError("street: layouts is empty; leave it out to draw from all.")
        if self.intrinsics is not None and (len(self.intrinsics) != 4 or min(self.intrinsics[:2]) <= 0):
            raise ConfigError(f"street: intrinsics={self.intrinsics}; expected fx, fy, cx, cy in pixels.")

    def camera_matrix(self) -> np.ndarray:
        """K ``(3, 3)`` float64."""
        height, width = self.size
        if self.intrinsics is not None:
            fx, fy, cx, cy = self.intrinsics
        else:
            # Wide images are KITTI's own pixels; smaller ones see as much through fewer.
            scale = min(1.0, width / 1216)
            fx = fy = 721.5377 * scale
            cx = (609.5593 - 13 + 0.5) * scale - 0.5 + max(0, width - 1216) / 2
            cy = (172.8540 - 375 + 0.5) * scale - 0.5 + height
        return np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1.0]])


@dataclass
class StreetFrame:
    """A drawn frame.

    Args:
        maps: By name: ``sparse_depth``, ``truth``, ``dense`` ``(H, W)`` float32 metres (0 = none); ``image`` ``(H, W, 3)``
            uint8 RGB; ``normals`` ``(H, W, 3)`` float32 camera frame (0 = none); ``semantics`` ``(H, W)`` uint8 Cityscapes
            train ids (255 = none).
        intrinsics: ``(3, 3)`` float64.
        layout: Kind of street.
    """

    maps: dict[str, np.ndarray]
    intrinsics: np.ndarray
    layout: str


class _Frame:
    """A street with its camera and LiDAR placed; maps are made on demand and share the camera's rays."""

    def __init__(self, options: StreetOptions, seed: int, number: int, device: torch.device | str) -> None:
        rng = np.random.default_rng([seed, number, WORLD_VERSION])
        self.options, self.device = options, device
        self.scene: Scene = draw_scene(rng, options.layouts)
        self.generator = torch.Generator().manual_seed(int(rng.integers(1 << 62)))
        yaw = -self.scene.ground.heading_at(0.0) + float(rng.normal(0, 0.012))
        self.pose = rotation(yaw, float(rng.normal(0, 0.006)), float(rng.normal(0, 0.006)))
        base = float(self.scene.ground.surface(torch.zeros(1), torch.zeros(1))[0])
        self.position = torch.tensor([0.0, 0.0, base + options.camera_height + float(rng.normal(0, 0.02))], dtype=torch.float64)
        self.speed = float(rng.uniform(3, 14))
        self.jitter = torch.from_numpy(rng.normal(0, 1, 3)) * options.lidar.mount_noise
        self.bias = torch.from_numpy(rng.normal(0, 1, len(beams(options.lidar)[0]))) * options.lidar.ring_bias
        matrix = torch.from_numpy(options.camera_matrix())
        self.camera = CameraGrid(matrix, *options.size, self.pose, self.position, device)
        self._hits: Hits | None = None
        self._normals: Tensor | None = None

    @property
    def hits(self) -> Hits:
        if self._hits is None:
            self._hits = cast(self.scene.primitives.to(self.device), self.scene.ground, self.camera)
        return self._hits

    @property
    def normals(self) -> Tensor:
        if self._normals is None:
            bodies = self.scene.primitives.to(self.device)
            self._normals = surface_normals(bodies, self.scene.ground, self.hits, self.camera.directions)
        return self._normals

    def dense(self) -> Tensor:
        t = self.hits.t.reshape(self.camera.height, self.camera.width)
        return torch.where(t < _FARTHEST_M, t, 0.0)

    def sparse(self) -> Tensor:
        return self._scan_at(0.0, exact=True)

    def _scan_at(self, seconds: float, exact: bool = False) -> Tensor:
        """A scan made at another time on the way, as the frame's camera places it."""
        pose, position = mounted(self.pose, self.position, self.options.lidar, self.jitter)
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
        result = scan(self.scene, made, self.options.lidar, self.generator, self.bias, device=self.device)
        # Where the accumulation believes that the points lie.
        change = (seen_pose @ pose.T).to(result.points)
        points = change @ (result.points - moved.to(result.points)[:, None]) + seen_position.to(result.points)[:, None]
        return sparse_depth(points, self.camera)

    def truth(self, sparse: Tensor, dense: Tensor) -> Tensor:
        options = self.options
        first = round(options.truth_from * self.camera.height)
        below = torch.arange(self.camera.height, device=dense.device)[:, None] >= first
        if options.truth == "off":
            return torch.zeros_like(dense)
        if options.truth == "dense":
            return torch.where(below, dense, 0.0)
        steps = [k for k in range(-_SCANS_EACH_SIDE, _SCANS_EACH_SIDE + 1) if k]
        scans = [self._scan_at(0.1 * k) for k in steps]
        found = make_truth(scans, dense, sparse, options.grow, options.truth == "filtered")
        # Truth that the own scan contradicts from the front was seen before something in motion came.
        found = torch.where((sparse > 0) & (found > sparse + 1.0), 0.0, found)
        return torch.where(below, found, 0.0)

    def image(self) -> np.ndarray:
        color = shade(
            self.scene.primitives.to(self.device), self.scene.ground, self.scene.light, self.camera, self.hits, self.normals
        )
        grain = torch.randn(1, self.camera.height * self.camera.width, generator=self.generator).to(color)
        # Cameras store light by a curve, so that dark parts keep their structure.
        values = color.clamp(min=0).pow(1 / 1.5) * 255 + 1.6 * grain
        picture = values.round().clamp(0, 255).to(torch.uint8).reshape(3, self.camera.height, self.camera.width)
        return picture.permute(1, 2, 0).cpu().numpy()

    def camera_normals(self) -> np.ndarray:
        turned = self.pose.T.to(self.normals) @ self.normals
        turned = turned * (self.dense().reshape(-1) > 0)
        return turned.T.reshape(self.camera.height, self.camera.width, 3).cpu().numpy()

    def semantics(self) -> np.ndarray:
        hits, bodies = self.hits, self.scene.primitives.to(self.device)
        label = torch.full_like(hits.body, 10)
        label = torch.where(hits.body >= 0, bodies.label[hits.body.clamp(min=0)], label)
        side = 9 if self.scene.light.side_green else 1
        label = torch.where(hits.body == GROUND, torch.where(hits.ground == ROAD, 0, side), label)
        return label.to(torch.uint8).reshape(self.camera.height, self.camera.width).cpu().numpy()


def draw_frame(
    options: StreetOptions,
    seed: int,
    number: int,
    wanted: Collection[str] = MAPS,
    device: torch.device | str = "cpu",
) -> StreetFrame:
    """Frame ``number`` of the world with that seed.

    The same arguments give the same maps, to the bit on one device; a map does not depend on which others are wanted.

    Raises:
        ConfigError: ``wanted`` names a map that there is not.
    """
    for name in wanted:
        if name not in MAPS:
            raise ConfigError(f"the street world has no map '{name}'.{did_you_mean(name, MAPS)}")
    with torch.no_grad():
        frame = _Frame(options, seed, number, device)
        state = frame.generator.get_state()
        maps: dict[str, np.ndarray] = {}
        if {"sparse_depth", "truth"} & set(wanted):
            sparse = frame.sparse()
            maps["sparse_depth"] = sparse.cpu().numpy()
            if "truth" in wanted:
                maps["truth"] = frame.truth(sparse, frame.dense()).cpu().numpy()
        if "dense" in wanted:
            maps["dense"] = frame.dense().cpu().numpy()
        if "image" in wanted:
            frame.generator.set_state(state)
            maps["image"] = frame.image()
        if "normals" in wanted:
            maps["normals"] = frame.camera_normals()
        if "semantics" in wanted:
            maps["semantics"] = frame.semantics()
    return StreetFrame(
        {name: maps[name] for name in MAPS if name in maps and name in wanted}, options.camera_matrix(), frame.scene.layout
    )
