"""A scan's file to a sparse depth map, with what is known about its camera."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..data.calibration import read_intrinsics
from ..data.camera_file import read_camera
from ..data.cloud_file import CLOUD_SUFFIXES, read_cloud
from ..data.deskew import Motion
from ..data.io import DEPTH_PNG_SCALE, read_depth
from ..errors import ConfigError, DataError
from .scans import ScanList

#: float32 values of one point that a ``.bin`` can have.
_COLUMNS = range(3, 65)
#: Stored values of one metre between which a 16-bit map holds depth at all.
_SCALES = (1.0, 65535.0)


class ScanReader:
    """Reads scans, and knows their camera.

    Args:
        intrinsics: File with the camera matrix of PNG and NPY; it goes before the calibration's.
        calibration: YAML or JSON file of one's own camera, or a folder of KITTI's calibration; clouds are projected with it.
        index: The rectified camera of KITTI's calibration.
        depth_scale: Stored value of one metre in depth PNGs.
        bin_columns: float32 values of one point in ``.bin``; known from the name where not given.
        motion: The LiDAR's motion during a turn, undone in clouds; left as it is where not given.

    Raises:
        DataError: A file is missing or broken, or the calibration has no such camera.
        ConfigError: A scale or number of columns that can't be.
    """

    def __init__(
        self,
        intrinsics: str | Path | None = None,
        calibration: str | Path | None = None,
        index: int = 2,
        depth_scale: float = DEPTH_PNG_SCALE,
        bin_columns: int | None = None,
        motion: Motion | None = None,
    ) -> None:
        if not _SCALES[0] <= depth_scale <= _SCALES[1]:
            raise ConfigError(
                f"the depth scale is {depth_scale:g}; expected the stored value of one metre: 256 (KITTI), 1000 (millimetres)."
            )
        if bin_columns is not None and bin_columns not in _COLUMNS:
            raise ConfigError(f"a point of a .bin has {bin_columns} values; expected 4 (KITTI), 5 (nuScenes), or up to 64.")
        self.depth_scale, self.bin_columns, self.motion = depth_scale, bin_columns, motion
        self.camera = None if calibration is None else read_camera(calibration, index)
        self._own = None if intrinsics is None else read_intrinsics(intrinsics)

    @property
    def known(self) -> bool:
        """Whether every scan that can be read has a camera matrix."""
        return self._own is not None or self.camera is not None

    def intrinsics(self, path: Path) -> np.ndarray | None:
        """Camera matrix ``(3, 3)`` of a scan, where it is known."""
        # A cloud is projected with the calibration, into the calibration's image.
        if self._own is None or is_cloud(path):
            return None if self.camera is None else self.camera.intrinsics
        return self._own

    def check(self, scans: ScanList) -> str | None:
        """Say whether the scans can be read with what is known.

        Returns:
            A doubt about the extrinsic, as a sentence, or None.

        Raises:
            DataError: There is a cloud, and no calibration that places it in the image.
        """
        for scan in scans:
            if is_cloud(scan.path):
                if self.camera is None:
                    raise DataError(
                        f"{scan.path} is a LiDAR cloud: give --calib, a YAML or JSON file with image_size, K and "
                        "T_camera_lidar, or a folder with calib_cam_to_cam.txt and calib_velo_to_cam.txt."
                    )
                _ = self.camera.lidar_to_image
                return self.camera.doubt()
        return None

    def unused(self, scans: ScanList, photos: bool, model_reads_photos: bool) -> list[str]:
        """What was given and does nothing for these scans, as sentences."""
        lines = []
        if self.motion is not None and not any(is_cloud(scan.path) for scan in scans):
            lines.append("--deskew does nothing here: there is no LiDAR cloud among the scans, and depth maps hold no times.")
        if photos and not model_reads_photos and not self.known:
            lines.append("--images does nothing here: the model reads no photo, and without a known camera there is no cloud.")
        return lines

    def read(self, path: Path) -> np.ndarray:
        """Sparse depth of a scan, ``(H, W)`` float32 metres, 0 = not measured; clouds are projected.

        Raises:
            DataError: The file is broken, its size is not the calibration's, or a cloud does not fall into the image.
        """
        if is_cloud(path):
            assert self.camera is not None, "check() comes first"
            points = read_cloud(path, self.bin_columns)
            return self.camera.sparse_depth(points if self.motion is None else self.motion.undo(points))
        depth = read_depth(path, self.depth_scale)
        # A matrix of its own may belong to a crop: the calibration says nothing about its size then.
        if self.camera is not None and self._own is None and depth.shape != self.camera.size:
            (height, width), (expected_height, expected_width) = depth.shape, self.camera.size
            raise DataError(
                f"{path} is {width}x{height} and the camera of --calib {expected_width}x{expected_height}: "
                "a cropped or resized map needs its own camera matrix, --intrinsics FILE."
            )
        return depth

    def settings(self) -> dict[str, Any]:
        """What the results depend on, as plain values."""
        camera = self.camera
        return {
            "depth_scale": self.depth_scale,
            "bin_columns": self.bin_columns,
            "deskew": None if self.motion is None else [*self.motion.velocity, *self.motion.turn_rate, self.motion.turn_s],
            "intrinsics": None if self._own is None else self._own.tolist(),
            "calibration": None
            if camera is None
            else {
                "image_size": list(camera.size[::-1]),
                "projection": camera.projection.tolist(),
                "from_lidar": None if camera.from_lidar is None else camera.from_lidar.tolist(),
            },
        }


def is_cloud(path: Path) -> bool:
    """Whether a scan is a cloud of points and no map."""
    return path.suffix.lower() in CLOUD_SUFFIXES
