"""A street with its car placed: all that chance decides of a frame, before a ray is cast. All of it on the processor."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from .layouts import Scene, draw_scene
from .lidar import ScanJob, ScanPose, Turn, beams, mounted
from .options import BASELINE_M, Choices, StreetOptions
from .rays import rotation

#: Changes whenever a frame of the same seed would come out otherwise.
WORLD_VERSION = 3
_SCANS_EACH_SIDE = 5
#: Standard deviations of the poses that scans along the path are laid together with.
_POSE_NOISE_M, _POSE_NOISE_DEG = 0.05, 0.2
#: The least wetness of a wet carriageway.
_WET = 0.5


@dataclass(frozen=True)
class LaidScan:
    """A scan, and where the accumulation believes that it was made: p -> ``turn (p - made) + believed``.

    Args:
        job: The scan.
        turn: ``(3, 3)`` float64.
        believed: ``(3,)`` world metres.
    """

    job: ScanJob
    turn: Tensor
    believed: Tensor


class PlacedStreet:
    """Frame ``number`` of a world: scene, car, sensor.

    Args:
        options: What frames look like.
        seed: The world's seed.
        number: The frame's number.
    """

    def __init__(self, options: StreetOptions, seed: int, number: int) -> None:
        rng = np.random.default_rng([seed, number, WORLD_VERSION])
        self.options = options
        self.choices = choices = Choices.draw(seed, number)
        scene = draw_scene(rng, options.layouts)
        wet = _WET + (1 - _WET) * choices.wetness if choices.wet < options.wet else 0.0
        self.scene: Scene = replace(scene, light=replace(scene.light, wet=wet))
        self.seed = int(rng.integers(1 << 62))
        yaw = -self.scene.ground.heading_at(0.0) + float(rng.normal(0, 0.012))
        self.pose = rotation(yaw, float(rng.normal(0, 0.006)), float(rng.normal(0, 0.006)))
        base = float(self.scene.ground.surface(torch.zeros(1), torch.zeros(1))[0])
        self.position = torch.tensor([0.0, 0.0, base + options.camera_height + float(rng.normal(0, 0.02))], dtype=torch.float64)
        self.speed = float(rng.uniform(3, 14))
        self.lidar = options.lidar.drawn(choices.noise)
        self.jitter = torch.from_numpy(rng.normal(0, 1, 3)) * self.lidar.mount_noise
        self.bias = torch.from_numpy(rng.normal(0, 1, len(beams(self.lidar)[0]))) * self.lidar.ring_bias

    def eye(self, camera: int) -> Tensor:
        """Place of KITTI's colour camera 2, or of 3 to its right; both look along ``pose``."""
        return self.position + self.pose[:, 0] * (BASELINE_M if camera == 3 else 0.0)

    def grain(self, camera: int) -> Tensor:
        """The camera's noise ``(H * W,)``: each sensor has its own, whatever else was drawn before."""
        height, width = self.options.size
        generator = torch.Generator().manual_seed(self.seed + camera - 2)
        return torch.randn(1, height * width, generator=generator)[0]

    def scans(self, along: bool) -> list[LaidScan]:
        """The frame's own scan, and after it those made along the way."""
        generator = torch.Generator().manual_seed(self.seed)
        found = [self._scan_at(0.0, generator, exact=True)]
        if along:
            found += [self._scan_at(0.1 * k, generator) for k in range(-_SCANS_EACH_SIDE, _SCANS_EACH_SIDE + 1) if k]
        return found

    def _scan_at(self, seconds: float, generator: torch.Generator, exact: bool = False) -> LaidScan:
        """A scan made at another time on the way, as it is laid into the frame."""
        pose, position = mounted(self.pose, self.position, self.lidar, self.jitter)
        ahead = self.pose[:, 2] * torch.tensor([1.0, 1.0, 0.0], dtype=torch.float64)
        velocity = ahead / ahead.norm() * self.speed
        road = self.scene.ground
        if exact:
            moved = believed = position
            believed_pose = pose
        else:
            moved = position + velocity * seconds
            # The car follows the road: over hills, and round bends.
            y = float(moved[1])
            place = torch.tensor([float(moved[0]), y])
            rise = float(road.height(place[:1], place[1:])[0] - road.height(torch.zeros(1), torch.zeros(1))[0])
            moved = moved + torch.tensor([0.0, 0.0, rise], dtype=torch.float64)
            noise = torch.randn(6, generator=generator, dtype=torch.float64)
            believed = moved + _POSE_NOISE_M * noise[:3]
            believed_pose = pose @ rotation(0, 0, 0).T @ rotation(*(math.radians(_POSE_NOISE_DEG) * noise[3:]).tolist())
        made = ScanPose(pose, moved, velocity, seconds)
        job = ScanJob(self.scene, made, self.lidar, self.bias, Turn.draw(self.lidar, generator))
        return LaidScan(job, believed_pose @ pose.T, believed)
