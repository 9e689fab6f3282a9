"""KITTI's calibration files and camera matrices of other makers' text files.

A LiDAR point X (metres, LiDAR frame) is seen by camera i at ``y = P_rect_i R_rect_00 T_velo_cam X``: ``u = y1 / y3``,
``v = y2 / y3``, depth ``y3`` (Geiger et al., IJRR 2013, Eqs. 6-8).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import DataError
from .pinhole import PinholeCamera
from .raw_bytes import LARGEST_IMAGE_PX, read_npy, text_of

CAMERA_FILE = "calib_cam_to_cam.txt"
VELODYNE_FILE = "calib_velo_to_cam.txt"
#: A focal length below this many pixels is no pixel value.
_SMALLEST_FOCAL_PX = 2.0
#: No lens and no crop of the field goes beyond this many pixels.
_LARGEST_CAMERA_PX = 1e6
#: How far a rotation written with few digits may be from orthonormal.
_ORTHONORMAL = 1e-3
#: A LiDAR or a second camera farther than this (metres) from its camera is nearly always millimetres.
FARTHEST_MOUNT_M = 20.0


@dataclass(frozen=True, eq=False)
class Calibration:
    """One recording day's calibration; :func:`read_calibration` makes it.

    Args:
        folder: Folder that the files were read from, for messages.
        cameras: Numbers of ``calib_cam_to_cam.txt`` by key.
        velodyne: Numbers of ``calib_velo_to_cam.txt`` by key, or None where there is no such file.
    """

    folder: Path
    cameras: Mapping[str, np.ndarray]
    velodyne: Mapping[str, np.ndarray] | None = None

    def projection(self, camera: int) -> np.ndarray:
        """``P_rect`` of a rectified camera, ``(3, 4)`` float64.

        Raises:
            DataError: The file has no such camera, or its matrix is none in pixels.
        """
        key = f"P_rect_{camera:02d}"
        projection = self._value(CAMERA_FILE, key, 12).reshape(3, 4)
        matrix = check_intrinsics(projection[:, :3], f"{self.folder / CAMERA_FILE}: the first three columns of '{key}'")
        baseline_m = float(np.abs(projection[:, 3]).max() / matrix[0, 0])
        if baseline_m > FARTHEST_MOUNT_M:
            raise DataError(
                f"{self.folder / CAMERA_FILE}: '{key}' puts the camera {baseline_m:g} m from the first one; expected metres."
            )
        return projection

    def intrinsics(self, camera: int) -> np.ndarray:
        """K of a rectified camera, ``(3, 3)`` float64, pixels of the whole image.

        Raises:
            DataError: The file has no such camera.
        """
        return self.projection(camera)[:, :3].copy()

    def size(self, camera: int) -> tuple[int, int]:
        """``(H, W)`` of the rectified image.

        Raises:
            DataError: The file has no such camera, or no size that an image can have.
        """
        width, height = self._value(CAMERA_FILE, f"S_rect_{camera:02d}", 2).round().tolist()
        check_image_size(width, height, f"{self.folder / CAMERA_FILE}: 'S_rect_{camera:02d}'")
        return int(height), int(width)

    def camera(self, camera: int) -> PinholeCamera:
        """A rectified camera, with the LiDAR's place where ``calib_velo_to_cam.txt`` gives it.

        Raises:
            DataError: The file has no such camera, or ``calib_velo_to_cam.txt`` lacks a key.
        """
        name = f"{self.folder} camera {camera}"
        if self.velodyne is None:
            missing = f"{self.folder / VELODYNE_FILE} does not exist; it is needed to place LiDAR points in the image."
            return PinholeCamera(name, self.projection(camera), self.size(camera), None, missing)
        rectification, transform = np.eye(4), np.eye(4)
        rectification[:3, :3] = self._rotation(CAMERA_FILE, "R_rect_00")
        transform[:3, :3] = self._rotation(VELODYNE_FILE, "R")
        transform[:3, 3] = self._value(VELODYNE_FILE, "T", 3)
        if np.abs(transform[:3, 3]).max() > FARTHEST_MOUNT_M:
            raise DataError(
                f"{self.folder / VELODYNE_FILE}: 'T' puts the LiDAR {np.abs(transform[:3, 3]).max():g} m from the camera; "
                "expected metres, and millimetres were probably meant: divide by 1000."
            )
        return PinholeCamera(name, self.projection(camera), self.size(camera), rectification @ transform)

    def _rotation(self, file: str, key: str) -> np.ndarray:
        rotation = self._value(file, key, 9).reshape(3, 3)
        fault = rotation_fault(rotation)
        if fault:
            raise DataError(f"{self.folder / file}: '{key}' {fault}")
        return rotation

    def _value(self, file: str, key: str, count: int) -> np.ndarray:
        values = self.cameras if file == CAMERA_FILE else self.velodyne
        if values is None:
            raise DataError(f"{self.folder / file} does not exist.")
        if key not in values:
            known = [name for name in values if name.rpartition("_")[0] == key.rpartition("_")[0]]
            raise DataError(f"{self.folder / file} has no key '{key}'. Keys like it: {', '.join(sorted(known)) or 'none'}.")
        if values[key].size != count:
            raise DataError(f"{self.folder / file}: key '{key}' has {values[key].size} numbers; expected {count}.")
        if not np.isfinite(values[key]).all():
            raise DataError(f"{self.folder / file}: key '{key}' holds NaN or infinity; expected {count} numbers.")
        return values[key]


def read_calibration(folder: str | Path) -> Calibration:
    """Read ``calib_cam_to_cam.txt`` and, where it lies beside it, ``calib_velo_to_cam.txt``.

    Raises:
        DataError: The folder has no ``calib_cam_to_cam.txt``, or the file holds no calibration.
    """
    folder = Path(folder)
    if folder.name == CAMERA_FILE:
        folder = folder.parent
    cameras = _read_keys(folder / CAMERA_FILE)
    velodyne = _read_keys(folder / VELODYNE_FILE) if (folder / VELODYNE_FILE).is_file() else None
    return Calibration(folder, cameras, velodyne)


def _read_keys(path: Path) -> dict[str, np.ndarray]:
    values: dict[str, np.ndarray] = {}
    for line in text_of(path, "calibration").splitlines():
        # The first colon alone ends the key: calib_time's value holds colons, and is no number.
        key, _, text = line.partition(":")
        key = key.strip()
        try:
            numbers = np.array([float(word) for word in text.split()])
        except ValueError:
            numbers = np.empty(0)  # words; only who asks for this key minds
        if key and key in values and not np.array_equal(values[key], numbers):
            raise DataError(f"calibration {path} has the key '{key[:40]}' twice, with other numbers; which one is right?")
        values[key] = numbers
    if not any(array.size for array in values.values()):
        raise DataError(f"calibration {path} holds no line 'key: numbers'.")
    return values


def rotation_fault(rotation: np.ndarray) -> str | None:
    """What is wrong with a matrix ``(3, 3)`` that should be a rotation, as the end of a sentence, or None."""
    with np.errstate(all="ignore"):
        gram = rotation @ rotation.T
        determinant = float(np.linalg.det(rotation))
        scale = float(np.cbrt(abs(determinant)))
        even = scale > 0 and np.abs(gram / scale**2 - np.eye(3)).max() <= _ORTHONORMAL
    if not np.abs(gram - np.eye(3)).max() <= _ORTHONORMAL:
        hint = f"it is {scale:g} times one" if even else "its rows are not of length 1 and at right angles"
        return f"holds no rotation: {hint}. Were numbers lost, or written in another order or unit?"
    return "mirrors (determinant -1): one row or column has the wrong sign." if determinant < 0 else None


def check_image_size(width: float, height: float, name: str) -> None:
    """Refuse a size that no image has, before a map of it is made.

    Raises:
        DataError: A side below one pixel, or more than ``LARGEST_IMAGE_PX`` pixels.
    """
    if not (width >= 1 and height >= 1 and width * height <= LARGEST_IMAGE_PX):
        raise DataError(f"{name} is {width:g}x{height:g} (width x height); expected 1 to {LARGEST_IMAGE_PX} pixels.")


def read_intrinsics(path: str | Path) -> np.ndarray:
    """A camera matrix from a text or ``.npy`` file, pixels.

    Accepts 9 numbers row by row (one line as in KITTI's ``intrinsics/*.txt``, or three), 4 numbers ``fx fy cx cy``, and a
    ``(3, 3)`` array in ``.npy``.

    Returns:
        ``(3, 3)`` float64.

    Raises:
        DataError: The file is missing, holds other numbers, the identity, or no camera matrix in pixels.
    """
    path = Path(path)
    if path.is_dir() or path.name == CAMERA_FILE:
        raise DataError(
            f"intrinsics {path}: expected a file with one camera matrix (9 numbers, or fx fy cx cy). A drive's calibration "
            "holds several cameras: save the first three columns of P_rect_02 or P_rect_03."
        )
    if path.suffix.lower() in (".yaml", ".yml", ".json"):
        raise DataError(
            f"intrinsics {path}: expected a file with numbers alone; a camera file of YAML or JSON goes to --calib."
        )
    if path.suffix.lower() == ".npy":
        numbers = _numbers_of_npy(path)
    else:
        text = text_of(path, "intrinsics")
        try:
            numbers = np.array([float(word) for word in text.replace(",", " ").replace("[", " ").replace("]", " ").split()])
        except ValueError as error:
            raise DataError(
                f"intrinsics {path} holds words ({str(error)[:80]}); expected 9 numbers row by row, or fx fy cx cy."
            ) from error
    if numbers.size == 4:
        fx, fy, cx, cy = numbers
        matrix = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]], dtype=np.float64)
    elif numbers.size == 9:
        matrix = numbers.reshape(3, 3)
    else:
        hint = " 12 numbers are a projection matrix: keep its first three columns." if numbers.size == 12 else ""
        raise DataError(f"intrinsics {path} holds {numbers.size} numbers; expected 9 row by row, or fx fy cx cy.{hint}")
    return check_intrinsics(matrix, f"intrinsics {path}")


def check_intrinsics(matrix: np.ndarray, name: str) -> np.ndarray:
    """A camera matrix in pixels, from wherever it came.

    Args:
        matrix: ``(3, 3)`` numbers.
        name: What it is, for messages ("intrinsics FILE").

    Returns:
        The same as float64.

    Raises:
        DataError: Another shape or type, NaN, the identity, or no camera matrix in pixels.
    """
    if matrix.shape != (3, 3) or not (np.issubdtype(matrix.dtype, np.floating) or np.issubdtype(matrix.dtype, np.integer)):
        raise DataError(f"{name} must be numbers (3, 3), not {matrix.dtype} of shape {matrix.shape}.")
    with np.errstate(over="ignore", invalid="ignore"):  # numpy warns about some NaN, and what float64 can't hold is infinite
        matrix = matrix.astype(np.float64)
    if not np.isfinite(matrix).all():
        raise DataError(f"{name} hold NaN or infinity; expected a camera matrix in pixels.")
    if np.array_equal(matrix, np.eye(3)):
        raise DataError(f"{name} are the identity, which is no camera; expected focal lengths in pixels.")
    if not np.allclose(matrix[2], (0, 0, 1)) or abs(matrix[1, 0]) > 1e-6:
        raise DataError(f"{name}: found {matrix.tolist()}; expected rows (fx 0 cx), (0 fy cy), (0 0 1). Is it transposed?")
    fx, fy = matrix[0, 0], matrix[1, 1]
    if fx <= 0 or fy <= 0:
        raise DataError(f"{name}: focal lengths {fx:g}, {fy:g}; expected positive pixels.")
    if fx < _SMALLEST_FOCAL_PX or fy < _SMALLEST_FOCAL_PX:
        raise DataError(
            f"{name}: focal lengths {fx:g}, {fy:g} are no pixels. They are probably parts of the image's size: "
            "multiply by width and height."
        )
    if np.abs(matrix).max() > _LARGEST_CAMERA_PX:
        raise DataError(f"{name}: a value of {np.abs(matrix).max():.3g} is no pixel value; expected fx, fy, cx, cy in pixels.")
    return matrix


def _numbers_of_npy(path: Path) -> np.ndarray:
    matrix = read_npy(path, "intrinsics")
    if matrix.shape != (3, 3) or matrix.dtype.kind not in "iuf":
        raise DataError(f"intrinsics {path} holds {matrix.dtype} of the shape {matrix.shape}; expected numbers (3, 3).")
    return matrix.reshape(-1)
