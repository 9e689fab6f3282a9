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

CAMERA_FILE = "calib_cam_to_cam.txt"
VELODYNE_FILE = "calib_velo_to_cam.txt"
#: A focal length below this many pixels is no pixel value.
_SMALLEST_FOCAL_PX = 2.0


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
            DataError: The file has no such camera.
        """
        return self._value(CAMERA_FILE, f"P_rect_{camera:02d}", 12).reshape(3, 4)

    def intrinsics(self, camera: int) -> np.ndarray:
        """K of a rectified camera, ``(3, 3)`` float64, pixels of the whole image.

        Raises:
            DataError: The file has no such camera.
        """
        return self.projection(camera)[:, :3].copy()

    def size(self, camera: int) -> tuple[int, int]:
        """``(H, W)`` of the rectified image.

        Raises:
            DataError: The file has no such camera.
        """
        width, height = self._value(CAMERA_FILE, f"S_rect_{camera:02d}", 2)
        return round(float(height)), round(float(width))

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
        rectification[:3, :3] = self._value(CAMERA_FILE, "R_rect_00", 9).reshape(3, 3)
        transform[:3, :3] = self._value(VELODYNE_FILE, "R", 9).reshape(3, 3)
        transform[:3, 3] = self._value(VELODYNE_FILE, "T", 3)
        return PinholeCamera(name, self.projection(camera), self.size(camera), rectification @ transform)

    def _value(self, file: str, key: str, count: int) -> np.ndarray:
        values = self.cameras if file == CAMERA_FILE else self.velodyne
        if values is None:
            raise DataError(f"{self.folder / file} does not exist.")
        if key not in values:
            known = [name for name in values if name.rpartition("_")[0] == key.rpartition("_")[0]]
            raise DataError(f"{self.folder / file} has no key '{key}'. Keys like it: {', '.join(sorted(known)) or 'none'}.")
        if values[key].size != count:
            raise DataError(f"{self.folder / file}: key '{key}' has {values[key].size} numbers; expected {count}.")
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
    values = {}
    for line in _text_of(path, "calibration").splitlines():
        # The first colon alone ends the key: calib_time's value holds colons, and is no number.
        key, _, text = line.partition(":")
        try:
            values[key.strip()] = np.array([float(word) for word in text.split()])
        except ValueError:
            continue
    if not any(array.size for array in values.values()):
        raise DataError(f"calibration {path} holds no line 'key: numbers'.")
    return values


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
    if path.suffix.lower() == ".npy":
        numbers = _numbers_of_npy(path)
    else:
        text = _text_of(path, "intrinsics")
        try:
            numbers = np.array([float(word) for word in text.replace(",", " ").replace("[", " ").replace("]", " ").split()])
        except ValueError as error:
            raise DataError(
                f"intrinsics {path} holds words ({error}); expected 9 numbers row by row, or fx fy cx cy."
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
    return matrix


def _numbers_of_npy(path: Path) -> np.ndarray:
    try:
        matrix = np.load(path, allow_pickle=False)
    except FileNotFoundError as error:
        raise DataError(f"intrinsics {path} does not exist.") from error
    except (ValueError, OSError, EOFError) as error:
        raise DataError(f"intrinsics {path} can't be read as a plain .npy array ({error}).") from error
    if getattr(matrix, "shape", None) != (3, 3) or not np.issubdtype(matrix.dtype, np.number):
        raise DataError(f"intrinsics {path} holds {getattr(matrix, 'shape', type(matrix).__name__)}; expected numbers (3, 3).")
    return np.asarray(matrix, dtype=np.float64).reshape(-1)


def _text_of(path: Path, kind: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise DataError(f"{kind} {path} does not exist.") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{kind} {path} is no text file.") from error
    except OSError as error:
        raise DataError(f"{kind} {path} can't be opened: {error.strerror or error}.") from error
