"""One's own camera, and the LiDAR's place beside it, in one plain YAML or JSON file:

    image_size: [1242, 375]                          # width, height in pixels
    K: [721.5, 0, 609.6, 0, 721.5, 172.9, 0, 0, 1]   # row by row; or fx, fy, cx, cy; or {fx: .., fy: .., cx: .., cy: ..}
    rotation: [0, -1, 0, 0, 0, -1, 1, 0, 0]          # row by row: x_camera = rotation x_lidar + translation
    translation: [-0.004, -0.076, -0.272]            # metres

``T_camera_lidar``, 4x4, stands for the last two. The camera frame is x right, y down, z forward. Nothing in the file is
executed; what is not understood is refused with the key that was probably meant.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import yaml  # type: ignore[import-untyped]

from ..errors import DataError, did_you_mean
from .calibration import FARTHEST_MOUNT_M, check_image_size, check_intrinsics, read_calibration, rotation_fault
from .pinhole import PinholeCamera
from .raw_bytes import text_of

SUFFIXES = (".yaml", ".yml", ".json")
KEYS = ("image_size", "K", "T_camera_lidar", "rotation", "translation", "distortion")
EXPECTED = {
    "image_size": "[width, height] in pixels",
    "K": "9 numbers row by row, or fx, fy, cx, cy, in pixels",
    "T_camera_lidar": "4x4 numbers that take LiDAR points to the camera, metres",
    "rotation": "3x3 numbers that take LiDAR points to the camera",
    "translation": "3 numbers in metres",
    "distortion": "numbers that are all 0",
}
#: Other makers' words, and what they are here.
_OTHER_WORDS = {
    "camera_matrix": "K", "intrinsics": "K", "intrinsic": "K", "camera_intrinsics": "K", "fx": "K", "P": "K",
    "image_width": "image_size", "image_height": "image_size", "width": "image_size", "height": "image_size",
    "resolution": "image_size", "extrinsic": "T_camera_lidar", "extrinsics": "T_camera_lidar", "T_cam_lidar": "T_camera_lidar",
    "T_velo_cam": "T_camera_lidar", "Tr_velo_to_cam": "T_camera_lidar", "R": "rotation", "quaternion": "rotation",
    "T": "translation", "t": "translation", "distortion_coefficients": "distortion", "D": "distortion",
    "dist_coeffs": "distortion",
}  # fmt: skip
_INVERSE_WORDS = ("T_lidar_camera", "T_lidar_cam", "T_camera_to_lidar", "T_cam_to_lidar", "T_cam_velo", "camera_to_lidar")
_MOST_NUMBERS = 64


def read_camera(path: str | Path, index: int = 2) -> PinholeCamera:
    """A camera from a YAML or JSON file, or from a folder of KITTI's calibration.

    Args:
        path: ``.yaml``, ``.yml`` or ``.json`` file (see the module), or a folder with ``calib_cam_to_cam.txt`` and, to place
            LiDAR points, ``calib_velo_to_cam.txt``.
        index: Rectified camera of KITTI's calibration.

    Raises:
        DataError: The file is missing or broken, or holds another key or value than expected; the text names it.
    """
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        return read_calibration(path).camera(index)
    values = _read_mapping(path)
    _check_keys(path, values)
    size = _image_size(path, values)
    projection = np.zeros((3, 4))
    projection[:, :3] = _intrinsics(path, values, size)
    missing = f"{path} does not say where the LiDAR is; expected 'T_camera_lidar', or 'rotation' and 'translation'."
    return PinholeCamera(str(path), projection, size, _extrinsic(path, values), missing)


def _read_mapping(path: Path) -> Mapping[str, Any]:
    text = text_of(path, "camera file")
    if "!!opencv" in text or text.startswith("%YAML:"):
        raise DataError(f"camera file {path} is in OpenCV's own YAML; write plain lists with the keys {', '.join(KEYS)}.")
    try:
        if path.suffix.lower() == ".json":
            values = json.loads(text, object_pairs_hook=_without_repeats)
        else:
            values = yaml.safe_load(text)
            _check_repeats(yaml.compose(text, Loader=yaml.SafeLoader))
    except (yaml.YAMLError, ValueError, RecursionError, AttributeError, TypeError, OverflowError) as error:
        kind = "JSON" if path.suffix.lower() == ".json" else "plain YAML"
        # Python's own words about its depth of calls say nothing of the file.
        what = (
            "lists or keys inside each other without end" if isinstance(error, RecursionError) else " ".join(str(error).split())
        )
        raise DataError(f"camera file {path} is no {kind}: {what[:200]}.") from error
    if not isinstance(values, Mapping):
        raise DataError(f"camera file {path} holds {type(values).__name__}; expected 'key: value' lines: {', '.join(KEYS)}.")
    return values


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object; of a key that stands twice, json itself keeps the last value in silence."""
    values = dict(pairs)
    if len(values) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"key '{next(key for key in keys if keys.count(key) > 1)}' stands there twice")
    return values


def _check_repeats(node: yaml.Node | None) -> None:
    """Refuse a YAML file with a key twice, of which PyYAML keeps the last in silence."""
    if isinstance(node, yaml.MappingNode):
        _without_repeats([(str(key.value), None) for key, _ in node.value])


def _check_keys(path: Path, values: Mapping[str, Any]) -> None:
    for key in values:
        if key in KEYS:
            continue
        if key in _INVERSE_WORDS:
            raise DataError(
                f"camera file {path}: '{key}' is the inverse of what is expected: give T_camera_lidar, its inverse."
            )
        meant = _OTHER_WORDS.get(str(key))
        hint = f" Use '{meant}': {EXPECTED[meant]}." if meant else did_you_mean(str(key), KEYS)
        raise DataError(f"camera file {path}: unknown key '{str(key)[:60]}'.{hint}")
    for key in ("image_size", "K"):
        if key not in values:
            raise DataError(f"camera file {path} has no key '{key}'; expected {EXPECTED[key]}.")
    if "distortion" in values and np.any(_numbers(path, values, "distortion", None)):
        raise DataError(
            f"camera file {path}: 'distortion' is not 0; a lens is not undone here. Rectify the photos first, and give "
            "the K of the rectified image."
        )


def _numbers(path: Path, values: Mapping[str, Any], key: str, counts: tuple[int, ...] | None) -> np.ndarray:
    """The numbers under a key, in whatever nest of lists they stand, as a flat float64 array."""
    expected = f"camera file {path}: '{key}' must be {EXPECTED[key]}"
    numbers: list[float] = []
    try:
        for item in _leaves(values[key]):
            if isinstance(item, bool) or not isinstance(item, int | float | str):
                raise DataError(f"{expected}, and holds {str(item)[:60]!r}.")
            # YAML takes 7.2e2 for a word, as it wants a sign in the exponent.
            numbers.append(float(item))
            if len(numbers) > _MOST_NUMBERS:
                raise DataError(f"{expected}, and holds more than {_MOST_NUMBERS} numbers.")
    except (ValueError, OverflowError, RecursionError) as error:
        found = "lists inside each other without end" if isinstance(error, RecursionError) else repr(str(item)[:60])
        raise DataError(f"{expected}, and holds {found}.") from error
    array = np.array(numbers, dtype=np.float64)
    if counts is not None and array.size not in counts:
        raise DataError(f"{expected}, and holds {array.size} numbers.{_count_hint(key, array.size)}")
    if not np.isfinite(array).all():
        raise DataError(f"{expected}, and holds NaN or infinity.")
    return array


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, list):
        for item in value:
            yield from _leaves(item)
    else:
        yield value


def _count_hint(key: str, count: int) -> str:
    if key == "rotation":
        kinds = {4: "A quaternion", 3: "Angles or a rotation vector"}
        return f" {kinds[count]} must be turned into a matrix first (scipy's Rotation does it)." if count in kinds else ""
    if key == "K" and count == 12:
        return " 12 numbers are a projection matrix: keep its first three columns."
    return ""


def _image_size(path: Path, values: Mapping[str, Any]) -> tuple[int, int]:
    width, height = _numbers(path, values, "image_size", (2,)).tolist()
    if width % 1 or height % 1:
        raise DataError(f"camera file {path}: 'image_size' must be {EXPECTED['image_size']}, not {width:g}, {height:g}.")
    check_image_size(width, height, f"camera file {path}: 'image_size' ({EXPECTED['image_size']})")
    return int(height), int(width)


def _intrinsics(path: Path, values: Mapping[str, Any], size: tuple[int, int]) -> np.ndarray:
    given = values["K"]
    if isinstance(given, Mapping):
        names = ("fx", "fy", "cx", "cy")
        if set(given) != set(names):
            found = ", ".join(str(name)[:20] for name in given)
            raise DataError(f"camera file {path}: 'K' as names must have fx, fy, cx and cy, and has {found or 'none'}.")
        given = [given[name] for name in names]
    numbers = _numbers(path, {"K": given}, "K", (4, 9))
    if numbers.size == 4:
        fx, fy, cx, cy = numbers
        numbers = np.array([fx, 0, cx, 0, fy, cy, 0, 0, 1])
    matrix = check_intrinsics(numbers.reshape(3, 3), f"camera file {path}: 'K'")
    (height, width), (cx, cy) = size, matrix[:2, 2]
    # A crop may leave its centre outside; sides in the wrong order are recognised by fitting the other way round.
    if not (0 <= cx < width and 0 <= cy < height) and 0 <= cx < height and 0 <= cy < width:
        raise DataError(
            f"camera file {path}: the centre of 'K' ({cx:g}, {cy:g}) lies outside an image {width} wide and {height} high; "
            "'image_size' is [width, height] and was probably written the other way round."
        )
    return matrix


def _extrinsic(path: Path, values: Mapping[str, Any]) -> np.ndarray | None:
    apart = [key for key in ("rotation", "translation") if key in values]
    if "T_camera_lidar" in values:
        if apart:
            raise DataError(f"camera file {path} has 'T_camera_lidar' and '{apart[0]}' too; give one of them.")
        numbers = _numbers(path, values, "T_camera_lidar", (12, 16))
        transform = np.eye(4)
        transform[: numbers.size // 4] = numbers.reshape(-1, 4)
        key = "T_camera_lidar"
    elif len(apart) == 2:
        transform = np.eye(4)
        transform[:3, :3] = _numbers(path, values, "rotation", (9,)).reshape(3, 3)
        transform[:3, 3] = _numbers(path, values, "translation", (3,))
        key = "rotation"
    elif apart:
        other = "translation" if apart == ["rotation"] else "rotation"
        raise DataError(f"camera file {path} has '{apart[0]}' and no '{other}'; expected {EXPECTED[other]}.")
    else:
        return None
    _check_rigid(path, key, transform)
    return transform


def _check_rigid(path: Path, key: str, transform: np.ndarray) -> None:
    name = f"camera file {path}: '{key}'"
    if not np.allclose(transform[3], (0, 0, 0, 1), atol=1e-9):
        hint = " It is probably transposed." if np.allclose(transform[:3, 3], 0) else ""
        raise DataError(f"{name} must end with the row 0 0 0 1, not {transform[3].tolist()}.{hint}")
    rotation, distance = transform[:3, :3], float(np.linalg.norm(transform[:3, 3]))
    fault = rotation_fault(rotation)
    if fault:
        raise DataError(f"{name} {fault}")
    if distance > FARTHEST_MOUNT_M:
        place = "T_camera_lidar" if key == "T_camera_lidar" else "translation"
        raise DataError(
            f"camera file {path}: '{place}' puts the LiDAR {distance:g} m from the camera; expected metres, and "
            "millimetres were probably meant: divide by 1000."
        )
