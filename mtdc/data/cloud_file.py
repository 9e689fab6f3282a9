"""LiDAR clouds of several makers behind one function: KITTI's and nuScenes' ``.bin``, PLY, PCD.

PCD is read here, in its three forms ``ascii``, ``binary`` and ``binary_compressed`` (LZF): a library for it would bring
pydantic and a compiled module along for some fifty lines, and trusts the sizes that a broken file claims.
"""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np

from ..errors import DataError, did_you_mean
from .io import read_velodyne
from .raw_bytes import bytes_of

CLOUD_SUFFIXES = (".bin", ".ply", ".pcd")
#: Values of one point in a ``.bin``: x, y, z, reflectance; nuScenes (``.pcd.bin``) adds the ring.
BIN_COLUMNS, NUSCENES_SUFFIX, NUSCENES_COLUMNS = 4, ".pcd.bin", 5
#: Half of a scan's points farther than this (metres) are no scan in metres.
_FARTHEST_MEDIAN_M = 500.0
_LARGEST_HEADER_BYTES = 65_536
_PCD_TYPES = {
    ("F", 4): "<f4", ("F", 8): "<f8", ("I", 1): "i1", ("I", 2): "<i2", ("I", 4): "<i4", ("I", 8): "<i8",
    ("U", 1): "u1", ("U", 2): "<u2", ("U", 4): "<u4", ("U", 8): "<u8",
}  # fmt: skip


def read_cloud(path: str | Path, bin_columns: int | None = None) -> np.ndarray:
    """The points of a scan; those that are no measurement (NaN, infinite, or the origin itself) are left out.

    Args:
        path: ``.bin`` (float32), ``.ply`` (ascii, binary of either byte order) or ``.pcd`` (ascii, binary, compressed), with
            fields x, y and z of any type at any place.
        bin_columns: Values of one point in a ``.bin``; 5 for nuScenes' ``.pcd.bin`` and else 4, where not given.

    Returns:
        ``(N, 3)`` float64, metres, the LiDAR's own frame.

    Raises:
        DataError: The file is missing or broken, has no x, y and z, holds no point, or values that can't be metres.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix == ".bin":
        nuscenes = path.name.lower().endswith(NUSCENES_SUFFIX)
        columns = bin_columns or (NUSCENES_COLUMNS if nuscenes else BIN_COLUMNS)
        points = read_velodyne(path, columns)[:, :3].astype(np.float64)
    elif suffix == ".ply":
        points = _read_ply(path)
    elif suffix == ".pcd":
        points = _read_pcd(path)
    else:
        raise DataError(f"cloud {path} ends in '{suffix}'; expected {', '.join(CLOUD_SUFFIXES)}.")
    with np.errstate(over="ignore"):
        distance = np.linalg.norm(points, axis=1)
    measured = np.isfinite(distance) & (distance > 0)
    if not measured.any():
        raise DataError(f"cloud {path} holds no measured point ({len(points)} points, all NaN, infinite or 0 0 0).")
    median = float(np.median(distance[measured]))
    if median > _FARTHEST_MEDIAN_M:
        raise DataError(
            f"cloud {path}: half of its points lie farther than {median:.3g} m, which no LiDAR sees: divide millimetres "
            "by 1000; points on a map must be brought into the LiDAR's frame."
        )
    return points[measured]


def _columns(path: Path, names: tuple[str, ...], values: dict[str, np.ndarray]) -> np.ndarray:
    lowered = {name.lower(): name for name in names}
    for axis in "xyz":
        if axis not in lowered:
            raise DataError(f"cloud {path} has no field '{axis}'.{did_you_mean(axis, names)}")
    with np.errstate(invalid="ignore"):  # about NaN that a float32 may hold in two ways
        return np.stack([np.asarray(values[lowered[axis]], dtype=np.float64).reshape(-1) for axis in "xyz"], axis=1)


# ---- PLY


def _rows_left(content: bytes) -> bytes:
    """The rows of a PLY text file behind those that its header counts."""
    header, _, body = content.partition(b"end_header")
    counted = sum(int(count) for count in re.findall(rb"element\s+\S+\s+(\d+)", header))
    rows = [line for line in body.splitlines() if line.strip()]
    return b"\n".join(rows[counted:])


def _read_ply(path: Path) -> np.ndarray:
    from plyfile import PlyData

    content = bytes_of(path, "cloud").tobytes()
    if not content.startswith(b"ply"):
        raise DataError(f"cloud {path} is no PLY file (it does not begin with 'ply').")
    # Before anything is allocated: an element takes a byte at least.
    header = content[: content.find(b"end_header") % _LARGEST_HEADER_BYTES]
    claimed = max((int(count) for count in re.findall(rb"element\s+\S+\s+(\d+)", header)), default=0)
    if claimed > len(content):
        raise DataError(f"cloud {path} says it holds {claimed} elements in {len(content)} bytes; it is probably cut short.")
    try:
        stream = io.BytesIO(content)
        data = PlyData.read(stream, mmap=False)
    except Exception as error:  # a parser of other people's files: whatever it stumbles over, the file is broken
        raise DataError(f"cloud {path} is a damaged PLY file ({' '.join(str(error).split())[:120]}).") from error
    # Of a text file the parser closes the stream; a row is a line there.
    rest = _rows_left(content) if stream.closed else stream.read().strip()
    if rest:
        raise DataError(
            f"cloud {path} goes on for {len(rest)} bytes behind what its header counts ({claimed} elements at most): the count "
            "is wrong, or something was added; write it again."
        )
    if "vertex" not in data:
        found = ", ".join(element.name for element in data.elements) or "none"
        raise DataError(f"cloud {path} has no element 'vertex' (elements: {found}).")
    vertices = data["vertex"]
    names = tuple(item.name for item in vertices.properties)
    try:
        return _columns(path, names, {name: vertices[name] for name in names if name.lower() in "xyz"})
    except (TypeError, ValueError) as error:
        raise DataError(f"cloud {path}: x, y and z of a PLY vertex must be numbers, and one is a list.") from error


# ---- PCD


def _read_pcd(path: Path) -> np.ndarray:
    header, body = _pcd_header(path, bytes_of(path, "cloud").tobytes())
    layout, count = _pcd_layout(path, header)
    form = header["DATA"][0].lower()
    if form == "ascii":
        return _pcd_ascii(path, body, layout, count)
    if form == "binary":
        dtype = np.dtype([(f"{index}", kind, (size,)) for index, (_, kind, size) in enumerate(layout)])
        if len(body) < count * dtype.itemsize:
            raise DataError(
                f"cloud {path} has {len(body)} bytes of points; its header says {count} points of {dtype.itemsize} bytes. "
                "It is probably cut short."
            )
        points = np.frombuffer(body, dtype, count)
        values = {name: points[f"{index}"] for index, (name, _, size) in enumerate(layout) if size == 1}
        return _columns(path, tuple(values), values)
    if form == "binary_compressed":
        return _pcd_compressed(path, body, layout, count)
    known = did_you_mean(form, ("ascii", "binary", "binary_compressed"))
    raise DataError(f"cloud {path}: DATA is '{form[:30]}'.{known}")


def _pcd_header(path: Path, content: bytes) -> tuple[dict[str, list[str]], bytes]:
    header: dict[str, list[str]] = {}
    start = 0
    while "DATA" not in header:
        end = content.find(b"\n", start, _LARGEST_HEADER_BYTES)
        if end < 0:
            raise DataError(f"cloud {path} is no PCD file, or its header is cut short (no line DATA).")
        words = content[start:end].decode("latin-1").split()
        start = end + 1
        if words and not words[0].startswith("#"):
            header[words[0].upper()] = words[1:]
    for key in ("FIELDS", "SIZE", "TYPE", "DATA"):
        if not header.get(key):
            raise DataError(f"cloud {path}: the PCD header has no line {key}.")
    return header, content[start:]


def _pcd_layout(path: Path, header: dict[str, list[str]]) -> tuple[list[tuple[str, str, int]], int]:
    """Name, type and values of each field, and the number of points."""
    names = header["FIELDS"]
    try:
        sizes = [int(word) for word in header["SIZE"]]
        counts = [int(word) for word in header.get("COUNT", ["1"] * len(names))]
        points = int(header["POINTS"][0]) if header.get("POINTS") else int(header["WIDTH"][0]) * int(header["HEIGHT"][0])
    except (ValueError, KeyError, IndexError) as error:
        raise DataError(
            f"cloud {path}: SIZE, COUNT, WIDTH, HEIGHT or POINTS of the PCD header is missing or no number."
        ) from error
    types = [word.upper() for word in header["TYPE"]]
    if not len(names) == len(sizes) == len(types) == len(counts):
        raise DataError(f"cloud {path}: FIELDS, SIZE, TYPE and COUNT of the PCD header differ in length.")
    if points < 0 or min(counts) < 0 or max(counts) > _LARGEST_HEADER_BYTES:
        raise DataError(f"cloud {path}: the PCD header counts {points} points with {counts} values a field.")
    for name, kind, size in zip(names, types, sizes, strict=True):
        if (kind, size) not in _PCD_TYPES:
            raise DataError(f"cloud {path}: field '{name[:30]}' has type {kind[:10]} of {size} bytes, which PCD does not know.")
    kinds = [_PCD_TYPES[key] for key in zip(types, sizes, strict=True)]
    return [field for field in zip(names, kinds, counts, strict=True) if field[2]], points


def _pcd_ascii(path: Path, body: bytes, layout: list[tuple[str, str, int]], count: int) -> np.ndarray:
    width = sum(size for *_, size in layout)
    words = body.split()
    if len(words) < count * width:
        raise DataError(
            f"cloud {path} holds {len(words)} numbers; its header says {count} points of {width}. It is probably cut short."
        )
    starts = np.cumsum([0] + [size for *_, size in layout]).tolist()
    values = {}
    try:
        for (name, _, size), start in zip(layout, starts, strict=False):
            if size == 1 and name.lower() in ("x", "y", "z"):
                values[name] = np.array([float(word) for word in words[start : count * width : width]])
    except ValueError as error:
        wrong = next(word for word in words[: count * width] if not _is_number(word))
        raise DataError(f"cloud {path}: a coordinate is '{wrong[:30].decode('latin-1')}', which is no number.") from error
    names = tuple(name for name, _, size in layout if size == 1)
    return _columns(path, names, values)


def _is_number(word: bytes) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _pcd_compressed(path: Path, body: bytes, layout: list[tuple[str, str, int]], count: int) -> np.ndarray:
    expected = count * sum(np.dtype(kind).itemsize * size for _, kind, size in layout)
    packed_size, size = np.frombuffer(body[:8].ljust(8, b"\0"), "<u4").tolist()
    if size != expected or len(body) < 8 + packed_size:
        raise DataError(
            f"cloud {path}: its compressed part has {max(len(body) - 8, 0)} bytes for {size} bytes of points; its header says "
            f"{packed_size} bytes for {expected}. It is probably cut short."
        )
    unpacked = unpack_lzf(body[8 : 8 + packed_size], size)
    if unpacked is None:
        raise DataError(f"cloud {path}: its compressed points are damaged.")
    values, start = {}, 0
    # Compressed points are stored field by field, not point by point.
    for name, kind, values_a_point in layout:
        if values_a_point == 1:
            values[name] = np.frombuffer(unpacked, kind, count, start)
        start += count * values_a_point * np.dtype(kind).itemsize
    return _columns(path, tuple(values), values)


def unpack_lzf(packed: bytes, size: int) -> bytes | None:
    """LZF's inverse: literal runs (control below 32) and copies of what came before; None where the bytes are damaged."""
    out = bytearray()
    at, end = 0, len(packed)
    while at < end:
        control = packed[at]
        at += 1
        if control < 32:
            out += packed[at : at + control + 1]
            at += control + 1
        else:
            length = control >> 5
            if length == 7 and at < end:
                length += packed[at]
                at += 1
            if at >= end:
                return None
            start = len(out) - ((control & 31) << 8) - packed[at] - 1
            at += 1
            length += 2
            if start < 0:
                return None
            if start + length <= len(out):
                out += out[start : start + length]
            else:  # the copy reads what it writes: a pattern that repeats
                pattern = bytes(out[start:])
                out += (pattern * (length // len(pattern) + 1))[:length]
        if len(out) > size:
            return None
    return bytes(out) if at == end and len(out) == size else None
