"""A rectified camera that LiDAR points are projected into.

A LiDAR point X (metres, LiDAR frame) is seen at ``y = P [R | t] X``: ``u = y1 / y3``, ``v = y2 / y3``, depth ``y3``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import DataError
from ..geometry import project, splat_nearest

#: Fewer points in the image than this part of the scan are looked at twice. A camera of 10 degrees before a LiDAR that turns
#: sees some 2 %.
_FEW = 0.005
#: The inverse of an extrinsic is named when it brings this many times as many points into the image.
_FAR_MORE = 5
#: Cosine above which two directions are called the same: 60 degrees apart at most.
_SAME_DIRECTION = 0.5


@dataclass(frozen=True, eq=False)
class PinholeCamera:
    """One rectified camera, its image, and its place beside the LiDAR.

    Args:
        name: The file that it was read from, for messages.
        projection: ``P``, ``(3, 4)`` float64: camera frame (x right, y down, z forward, metres) to pixels times depth.
        size: ``(H, W)`` of the image.
        from_lidar: ``[R | t]``, ``(4, 4)`` float64: LiDAR frame to camera frame; None where it is not known.
        lidar_missing: What is missing then, for messages.
    """

    name: str
    projection: np.ndarray
    size: tuple[int, int]
    from_lidar: np.ndarray | None = None
    lidar_missing: str = ""

    @property
    def intrinsics(self) -> np.ndarray:
        """K, ``(3, 3)`` float64, pixels of the whole image."""
        return self.projection[:, :3].copy()

    @property
    def lidar_to_image(self) -> np.ndarray:
        """``P [R | t]``, ``(3, 4)``: homogeneous LiDAR points (metres) to pixels times depth.

        Raises:
            DataError: The LiDAR's place is not known.
        """
        return self.projection @ self._extrinsic()

    def sparse_depth(self, points: np.ndarray) -> np.ndarray:
        """Sparse depth of a scan, the nearest point of a pixel kept.

        Shapes: ``(N, 3)`` or more columns, LiDAR frame, metres -> ``(H, W)`` float32 metres, 0 = no point.

        Raises:
            DataError: The LiDAR's place is not known, or no point falls into the image, or the inverse of the extrinsic
                brings far more points into it.
        """
        points = np.asarray(points, dtype=np.float64)[:, :3]
        pixels, depth = project(points, self.lidar_to_image)
        inside = self._inside(pixels, depth)
        if inside < max(1, _FEW * len(points)):
            self._check_inverse(points, inside)
        return splat_nearest(pixels, depth, *self.size)

    def doubt(self) -> str | None:
        """One sentence where the LiDAR's z axis points aside in the image and the inverse would turn it up, else None."""
        if self.from_lidar is None:
            return None
        up, up_of_inverse = -self.from_lidar[1, 2], -self.from_lidar[2, 1]
        if up > _SAME_DIRECTION or up_of_inverse <= _SAME_DIRECTION:
            return None
        return (
            f"{self.name}: the LiDAR's z axis does not point up in the image, and with the inverse it would. Is the extrinsic "
            "that of camera points to the LiDAR? Expected is LiDAR points to the camera."
        )

    def _extrinsic(self) -> np.ndarray:
        if self.from_lidar is None:
            raise DataError(self.lidar_missing or f"{self.name} does not say where the LiDAR is.")
        return self.from_lidar

    def _inside(self, pixels: np.ndarray, depth: np.ndarray) -> int:
        height, width = self.size
        with np.errstate(invalid="ignore"):
            within = ((pixels > -0.5) & (pixels < (width - 0.5, height - 0.5))).all(axis=1)
        return int(np.count_nonzero(within & (depth > 0)))

    def _check_inverse(self, points: np.ndarray, inside: int) -> None:
        inverse = self._inside(*project(points, self.projection @ np.linalg.inv(self._extrinsic())))
        height, width = self.size
        found = f"{self.name}: {inside or 'none'} of {len(points)} points falls into the {width}x{height} image"
        if inverse >= max(1, _FAR_MORE * inside):
            raise DataError(
                f"{found}; with the inverse of the extrinsic {inverse} would: it is probably that of camera points to the "
                "LiDAR; expected is LiDAR points to the camera."
            )
        if not inside:
            raise DataError(
                f"{found}; expected an extrinsic that takes LiDAR points to the camera (x right, y down, z forward, metres)."
            )
