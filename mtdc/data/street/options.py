"""What a street world can be asked for."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ...errors import ConfigError, did_you_mean
from .layouts import LAYOUTS
from .lidar import LidarOptions

#: Metres from KITTI's left colour camera (2) to its right one (3), along the image's x axis.
BASELINE_M = 0.5327
TRUTHS = ("filtered", "raw", "dense", "off")


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
        filter_share: Part of the frames whose filtered truth is filtered; the others' is raw.
        scan_share: Part of the frames whose truth ("filtered" or "raw") is what scans alone tell: kept where the frame's own
            scan agrees, whatever the camera sees, and always filtered. Near surfaces then reach a pixel or two further.
        grow: Pixels by which truth grows over steps (0 or 1).
        grow_share: Part of the frames whose truth grows.
        edge_band: Pixels around the camera's depth steps within which accumulated truth is replaced by what the camera sees.
        truth_from: Row above which there is no truth, as a part of the height.
        cameras: Of KITTI's colour cameras, 2 (left) and 3 (right); both see the same street.
        one_camera: Each street is seen by one of the cameras, drawn anew for each.
        wet: Probability that the carriageway is wet.
    """

    size: tuple[int, int] = (352, 1216)
    intrinsics: tuple[float, float, float, float] | None = None
    camera_height: float = 1.65
    lidar: LidarOptions = field(default_factory=LidarOptions)
    layouts: tuple[str, ...] | None = None
    truth: str = "filtered"
    filter_share: float = 1.0
    scan_share: float = 0.0
    grow: int = 0
    grow_share: float = 1.0
    edge_band: int = 0
    truth_from: float = 0.18
    cameras: tuple[int, ...] = (2,)
    one_camera: bool = False
    wet: float = 0.0

    def __post_init__(self) -> None:
        height, width = self.size
        if not (8 <= height <= 8192 and 8 <= width <= 8192):
            raise ConfigError(f"street: size={tuple(self.size)}; expected (H, W) of 8 to 8192 pixels.")
        for name in self.layouts or ():
            if name not in LAYOUTS:
                raise ConfigError(f"street: layouts has '{name}'.{did_you_mean(name, LAYOUTS)}")
        if self.layouts is not None and not self.layouts:
            raise ConfigError("street: layouts is empty; leave it out to draw from all.")
        if self.intrinsics is not None and (len(self.intrinsics) != 4 or min(self.intrinsics[:2]) <= 0):
            raise ConfigError(f"street: intrinsics={self.intrinsics}; expected fx, fy, cx, cy in pixels.")
        if tuple(self.cameras) not in ((2,), (3,), (2, 3)):
            raise ConfigError(f"street: cameras={tuple(self.cameras)}; expected (2,), (3,) or (2, 3).")
        for name in ("filter_share", "scan_share", "grow_share", "wet"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"street: {name}={getattr(self, name)}; expected a part of the frames, 0 to 1.")
        self._check_truth()

    def _check_truth(self) -> None:
        if self.truth not in TRUTHS:
            raise ConfigError(f"street: truth='{self.truth}'.{did_you_mean(self.truth, TRUTHS)}")
        if self.grow not in (0, 1):
            raise ConfigError(f"street: grow={self.grow}; expected 0 or 1 pixels.")
        if not 0 <= self.edge_band <= 64:
            raise ConfigError(f"street: edge_band={self.edge_band}; expected 0 to 64 pixels.")
        # An option that would do nothing is a mistake about what the truth will be.
        if self.grow_share < 1 and not self.grow:
            raise ConfigError(f"street: grow_share={self.grow_share} without growing truth; say grow=1 as well.")
        if self.filter_share < 1 and self.truth != "filtered":
            raise ConfigError(f"street: filter_share={self.filter_share} with truth='{self.truth}'; expected truth='filtered'.")
        for name in ("edge_band", "grow", "scan_share"):
            if getattr(self, name) and self.truth in ("dense", "off"):
                raise ConfigError(
                    f"street: {name}={getattr(self, name)} with truth='{self.truth}'; expected truth='filtered' or 'raw'."
                )

    def camera_matrix(self) -> np.ndarray:
        """K ``(3, 3)`` float64, of both cameras."""
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

    def cameras_of(self, seed: int, number: int) -> tuple[int, ...]:
        """The cameras that see a frame's street."""
        if not self.one_camera:
            return tuple(self.cameras)
        return (self.cameras[int(Choices.draw(seed, number).camera * len(self.cameras))],)


@dataclass(frozen=True)
class Choices:
    """Numbers in [0, 1) that decide a frame's options, apart from its street: no option changes what else is drawn.

    Args:
        wet, wetness: Whether, and how much.
        noise: Of the LiDAR's noise.
        grow, filter: Of the truth.
        camera: Of the cameras.
        scans: Whether the truth is of scans alone.
    """

    wet: float
    wetness: float
    noise: float
    grow: float
    filter: float
    camera: float
    scans: float

    @staticmethod
    def draw(seed: int, number: int) -> Choices:
        """Those of a frame."""
        return Choices(*np.random.default_rng([seed, number, 7]).random(7).tolist())
