"""Files of depth completion: depth PNGs, photos, labels, LiDAR scans, point clouds; read with care, written whole.

Reading raises :class:`~mtdc.errors.DataError` with one line that names the file, what was found and what was expected. Writing
goes through :func:`atomic_path`: a reader never sees half a file, and an interrupted run leaves the old one.
"""

from __future__ import annotations

import json
import math
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ..errors import DataError
from .raw_bytes import PNG_GRAY, PNG_PALETTE, bytes_of, check_picture, png_header, read_npy

#: Stored value of one metre in a depth PNG (KITTI's convention).
DEPTH_PNG_SCALE = 256.0
#: No depth sensor of the field sees farther (metres); more is nearly always millimetres.
FARTHEST_DEPTH_M = 1000.0
#: A PNG's bytes up to bits a sample and colour type.
_PNG_HEADER_BYTES = 26


# ---- Reading


def read_depth_png(path: str | Path, scale: float = DEPTH_PNG_SCALE) -> np.ndarray:
    """Depth of a uint16 PNG, metres times 256.

    Args:
        path: The file.
        scale: Stored value of one metre, where it is another maker's (1000: millimetres).

    Returns:
        ``(H, W)`` float32 metres along the optical axis, 0 = none.

    Raises:
        DataError: The file is missing, broken, 8-bit, or has colour channels.
    """
    stored = _decode(bytes_of(path, "depth PNG"), f"depth PNG {path}", cv2.IMREAD_UNCHANGED)
    if stored.ndim != 2:
        raise DataError(
            f"depth PNG {path} has {stored.shape[2]} channels; expected one (uint16, metres * 256). "
            "Is it a photo or a colour map?"
        )
    if stored.dtype != np.uint16:
        raise DataError(
            f"depth PNG {path} is {8 * stored.itemsize}-bit; expected 16-bit (metres * 256). It was probably saved through a "
            "program that keeps 8 bits only, which loses the depth."
        )
    return stored.astype(np.float32) / np.float32(scale)


def read_depth(path: str | Path, scale: float = DEPTH_PNG_SCALE) -> np.ndarray:
    """Depth of a ``.png`` (uint16, metres * 256) or ``.npy`` (float metres, 2-D).

    Args:
        path: The file.
        scale: Stored value of one metre in a PNG, where it is another maker's.

    Returns:
        ``(H, W)`` float32 metres, 0 = none.

    Raises:
        DataError: Another suffix or shape, a broken file, NaN, infinite or negative values, or values that can't be metres.
    """
    suffix = Path(path).suffix.lower()
    if suffix == ".png":
        return read_depth_png(path, scale)
    if suffix != ".npy":
        raise DataError(
            f"depth file {path} ends in '{suffix}'; expected .png (uint16, metres * 256) or .npy (float metres, 2-D)."
        )
    return check_depth(read_npy(path, "depth file"), f"depth file {path}")


def check_depth(depth: np.ndarray, name: str) -> np.ndarray:
    """One depth map in metres, 0 = none, from wherever it came.

    Args:
        depth: ``(H, W)`` floats.
        name: What it is, for messages.

    Returns:
        The same as contiguous float32.

    Raises:
        DataError: Another shape or type, no pixel, NaN, infinite or negative values, or values that can't be metres.
    """
    if depth.ndim != 2 or not depth.size:
        hint = " Take one frame, without batch and channel axes." if depth.ndim > 2 and 1 in depth.shape else ""
        raise DataError(f"{name} has the shape {depth.shape}; expected one map (H, W) of metres.{hint}")
    if not np.issubdtype(depth.dtype, np.floating):
        raise DataError(
            f"{name} holds {depth.dtype}; expected floats in metres: divide the values of a KITTI depth PNG by 256, "
            "millimetres by 1000."
        )
    unknown = int(np.count_nonzero(~np.isfinite(depth)))
    if unknown:
        raise DataError(f"{name} holds {unknown} values that are NaN or infinite; expected metres with 0 = none.")
    low, high = float(depth.min()), float(depth.max())
    if low < 0:
        hint = " Are these points? Clouds are read from .bin, .ply and .pcd." if depth.shape[1] <= 6 < depth.shape[0] else ""
        raise DataError(f"{name} holds negative depth ({low:g}); expected metres with 0 = none.{hint}")
    if high > FARTHEST_DEPTH_M:
        raise DataError(
            f"{name} holds depth up to {high:g}, which is no distance in metres: divide millimetres by 1000 (then up to "
            f"{high / 1000:.4g} m), the values of a KITTI depth PNG by {DEPTH_PNG_SCALE:g} ({high / DEPTH_PNG_SCALE:.4g} m)."
        )
    return np.ascontiguousarray(depth, dtype=np.float32)


def is_depth_png(path: str | Path) -> bool:
    """Whether a file can be a depth PNG, by its header alone: False for 8-bit and colour PNGs.

    True for a file that can't be opened or is no PNG: reading it says what is wrong with it.
    """
    if not Path(path).is_file():
        return True  # a pipe would be waited for
    try:
        with Path(path).open("rb") as file:
            header = png_header(file.read(_PNG_HEADER_BYTES))
    except OSError:
        return True
    return header is None or (header.bits, header.color_type) == (16, PNG_GRAY)


def read_image(path: str | Path) -> np.ndarray:
    """A PNG or JPEG photo, pixels as stored (an orientation tag is ignored: depth maps have none).

    Returns:
        ``(H, W, 3)`` float32 RGB 0..255.

    Raises:
        DataError: The file is missing or broken.
    """
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    return _decode(bytes_of(path, "image"), f"image {path}", flags)[..., ::-1].astype(np.float32)


def read_labels(path: str | Path) -> np.ndarray:
    """Class indices of an 8-bit or 16-bit gray PNG.

    Returns:
        ``(H, W)`` int64.

    Raises:
        DataError: The file is missing or broken, or is a colour picture of classes.
    """
    return read_raw_png(path, channels=1, kind="label file").astype(np.int64)


def read_raw_png(path: str | Path, channels: int = 1, kind: str = "map") -> np.ndarray:
    """Stored values of an 8-bit or 16-bit PNG: ``(H, W)`` for one channel, ``(H, W, 3)`` in RGB order for three.

    Raises:
        DataError: The file is missing, broken or no PNG, uses a palette or fewer than 8 bits, or has other channels.
    """
    data = bytes_of(path, kind)
    header = check_picture(data, f"{kind} {path}")
    if header is None:
        raise DataError(f"{kind} {path} is no PNG; expected an 8- or 16-bit PNG (other formats change values).")
    if header.color_type == PNG_PALETTE or header.bits < 8:
        found = "a palette PNG" if header.color_type == PNG_PALETTE else f"a {header.bits}-bit PNG"
        raise DataError(f"{kind} {path} is {found}, whose stored values are lost on reading; save the values as 8-bit gray.")
    stored = _decode(data, f"{kind} {path}", cv2.IMREAD_UNCHANGED)
    found_channels = 1 if stored.ndim == 2 else stored.shape[2]
    if found_channels != channels:
        hint = " Is it a picture of classes for people?" if channels == 1 else ""
        raise DataError(f"{kind} {path} has {found_channels} channels; expected {channels}.{hint}")
    return stored if channels == 1 else stored[..., ::-1]


def read_velodyne(path: str | Path, columns: int = 4) -> np.ndarray:
    """A LiDAR scan of KITTI's raw data (``velodyne_points/data/*.bin``).

    Points with NaN or infinity are beams without an echo, and are left out.

    Args:
        path: The file.
        columns: float32 values of one point, where another maker's are more (nuScenes: 5).

    Returns:
        ``(N, columns)`` float32: x forward, y left, z up in metres, reflectance as stored (KITTI: 0..1).

    Raises:
        DataError: The file is missing, its length is no multiple of one point's bytes, no point is left, or coordinates
            can't be metres.
    """
    data = bytes_of(path, "LiDAR scan")
    if data.size % (4 * columns):
        raise DataError(
            f"LiDAR scan {path} has {data.size} bytes, no multiple of {4 * columns} ({columns} float32 a point); it is "
            "probably cut short."
        )
    points = data.view("<f4").astype(np.float32).reshape(-1, columns)
    points = points[np.isfinite(points).all(axis=1)]
    if not len(points):
        raise DataError(
            f"LiDAR scan {path} holds no point with coordinates: all {data.size // (4 * columns)} are NaN or infinite."
        )
    farthest = float(np.abs(points[:, :3]).max())
    if farthest > FARTHEST_DEPTH_M:
        raise DataError(
            f"LiDAR scan {path} holds coordinates up to {farthest:.3g}, which are no metres: expected {columns} float32 a "
            "point (x, y, z, reflectance ..). Has each point more numbers, or are they millimetres?"
        )
    return points


def _decode(data: np.ndarray, name: str, flags: int) -> np.ndarray:
    is_png = check_picture(data, name) is not None
    with _quiet_opencv():
        try:
            image = cv2.imdecode(data, flags)
        except cv2.error:
            image = None
    if image is None:
        raise DataError(f"{name} can't be read: it is a damaged {'PNG' if is_png else 'JPEG'}; copy it again.")
    return np.asarray(image)


@contextmanager
def _quiet_opencv() -> Iterator[None]:
    """Keep OpenCV's warnings off stderr: what is wrong is said once, by the DataError."""
    logging = getattr(getattr(cv2, "utils", None), "logging", None)
    if logging is None:
        yield
        return
    level = logging.getLogLevel()
    logging.setLogLevel(logging.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        logging.setLogLevel(level)


# ---- Writing


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """A temporary file in the folder of ``path`` that takes its place when the block ends, and vanishes when it raises.

    The folder is made where it is missing; the suffix is kept, as some writers look at it.

    Raises:
        DataError: The folder or file can't be written, or the disk is full.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.stem}.{secrets.token_hex(6)}.tmp{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            raise DataError(f"can't write {path}: it is a folder.")
        # Not tempfile.mkstemp: its files are readable by their owner alone, and stay so after the replacement.
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    except OSError as error:
        raise DataError(f"can't write {path}: {error.strerror or error}.") from error
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        if error.filename not in (None, str(temporary), temporary):
            raise  # of another file, which its own message names
        raise DataError(f"can't write {path}: {error.strerror or error}.") from error
    finally:
        temporary.unlink(missing_ok=True)


def write_depth_png(path: str | Path, depth: np.ndarray, zero_is_empty: bool = False) -> None:
    """``(H, W)`` metres as KITTI's uint16 PNG, ``max(1, round(256 d))``, at most 65535.

    A prediction answers every pixel, so 0 m becomes the smallest depth: the benchmark would take a stored 0 for a hole.

    Args:
        path: File to write.
        depth: ``(H, W)`` metres.
        zero_is_empty: 0 is stored as 0 = none, as in sparse maps and ground truth.

    Raises:
        DataError: NaN, infinite or negative values, or another shape.
    """
    depth = np.asarray(depth)
    if depth.ndim != 2 or not depth.size:
        raise DataError(f"can't write {path}: depth has shape {depth.shape}; expected (H, W).")
    depth = depth.astype(np.float64)
    if not np.isfinite(depth).all():
        count = int(np.count_nonzero(~np.isfinite(depth)))
        raise DataError(f"can't write {path}: depth holds {count} values that are NaN or infinite; expected finite metres.")
    if depth.min() < 0:
        raise DataError(f"can't write {path}: depth holds negative values ({depth.min():g}); expected metres.")
    stored = np.clip(np.floor(depth * DEPTH_PNG_SCALE + 0.5), 1, np.iinfo(np.uint16).max).astype(np.uint16)
    if zero_is_empty:
        stored[depth == 0] = 0
    _write_encoded(path, stored)


def write_png(path: str | Path, image: np.ndarray) -> None:
    """``(H, W, 3)`` uint8 RGB, or ``(H, W)`` uint8 gray, as a PNG.

    Raises:
        DataError: Another shape or type.
    """
    image = np.asarray(image)
    if (image.ndim != 2 and image.shape[2:] != (3,)) or image.dtype != np.uint8 or not image.size:
        raise DataError(f"can't write {path}: the picture is {image.dtype} {image.shape}; expected uint8 (H, W, 3) or (H, W).")
    _write_encoded(path, np.ascontiguousarray(image[..., ::-1] if image.ndim == 3 else image))


def _write_encoded(path: str | Path, image: np.ndarray) -> None:
    if Path(path).suffix.lower() != ".png":
        raise DataError(f"can't write {path}: its name must end in .png.")
    encoded = cv2.imencode(".png", image)[1]
    with atomic_path(path) as temporary:
        temporary.write_bytes(encoded.tobytes())  # numpy's tofile doesn't say why it failed


def write_cloud(
    path: str | Path,
    points: np.ndarray,
    colors: np.ndarray | None = None,
    properties: Mapping[str, np.ndarray] | None = None,
) -> None:
    """Points as binary little-endian PLY.

    Args:
        path: File to write.
        points: ``(N, 3)`` metres.
        colors: ``(N, 3)`` uint8 RGB, or None.
        properties: Further numbers of each point, ``(N,)`` by their name in the file, stored as float32.

    Raises:
        DataError: Other shapes or types.
    """
    from plyfile import PlyData, PlyElement

    points = np.asarray(points)
    if points.ndim != 2 or points.shape[1] != 3:
        raise DataError(f"can't write {path}: points have shape {points.shape}; expected (N, 3).")
    names = [("x", "<f4"), ("y", "<f4"), ("z", "<f4")]
    if colors is not None:
        colors = np.asarray(colors)
        if colors.shape != points.shape or colors.dtype != np.uint8:
            raise DataError(f"can't write {path}: colors are {colors.dtype} {colors.shape}; expected uint8 {points.shape}.")
        names += [("red", "u1"), ("green", "u1"), ("blue", "u1")]
    columns = [*points.T, *(() if colors is None else colors.T)]
    for name, values in (properties or {}).items():
        if np.shape(values) != (len(points),):
            raise DataError(f"can't write {path}: {name} has shape {np.shape(values)}; expected ({len(points)},).")
        names.append((name, "<f4"))
        columns.append(np.asarray(values))
    vertices = np.empty(len(points), dtype=names)
    for (name, _), values in zip(names, columns, strict=True):
        vertices[name] = values
    with atomic_path(path) as temporary:
        PlyData([PlyElement.describe(vertices, "vertex")], text=False, byte_order="<").write(str(temporary))


def write_json(path: str | Path, obj: Any) -> None:
    """Any nest of dicts, lists, numbers, numpy values and paths as JSON; NaN and infinity become null, as JSON has neither."""
    text = json.dumps(_plain(obj), indent=2, allow_nan=False, ensure_ascii=False) + "\n"
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set):
        return [_plain(item) for item in value]
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, Path):
        return str(value)
    return None if isinstance(value, float) and not math.isfinite(value) else value
