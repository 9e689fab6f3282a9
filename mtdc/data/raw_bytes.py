"""Bytes of files from outside, held against what they claim of themselves before anything is decoded.

A header of a few bytes can ask for gigabytes, and a damaged body can decode to wrong values without a word. So sizes are read
from the header and limited, checksums are compared, and only then a decoder sees the file.
"""

from __future__ import annotations

import io
import math
import stat
import warnings
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..errors import DataError

#: No picture, map or scan of the field is larger; what is, is another kind of file.
LARGEST_FILE_BYTES = 2**30
#: Pixels of the largest picture or map that is decoded (8192x8192); a photo of that size takes 0.8 GB.
LARGEST_IMAGE_PX = 2**26

PNG_START, _JPEG_START = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"
PNG_GRAY, PNG_PALETTE = 0, 3
_PNG_CHUNK_FRAME = 12  # length, kind and checksum
_PNG_HEADER_BYTES = 13
#: Bits a sample that each colour type may have.
_PNG_BITS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
_JPEG_END = b"\xff\xd9"
#: An end mark farther from the end than this belongs to something else (a thumbnail in the header).
_JPEG_TAIL_BYTES = 1024
#: Markers that begin a frame, whose header holds the size; the gaps are tables and extensions.
_JPEG_FRAMES = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_WITHOUT_LENGTH = {0x01, *range(0xD0, 0xD8)}
_JPEG_SCAN = 0xDA


def bytes_of(path: str | Path, kind: str, largest: int = LARGEST_FILE_BYTES) -> np.ndarray:
    """A file's content as uint8.

    Raises:
        DataError: The file is missing, empty, larger than ``largest`` bytes, no regular file or can't be opened.
    """
    try:
        # A pipe would be waited for, and a device has no end.
        status = Path(path).stat()
        if stat.S_ISDIR(status.st_mode):
            raise DataError(f"{kind} {path} can't be opened: it is a folder; expected a file.")
        if not stat.S_ISREG(status.st_mode):
            raise DataError(f"{kind} {path} can't be opened: it is no regular file.")
        if status.st_size > largest:
            raise DataError(
                f"{kind} {path} has {status.st_size} bytes; at most {largest} are read. Is it another kind of file?"
            )
        # Not cv2.imread: it takes a missing file and a broken one for the same, and fails on some file names.
        data = np.fromfile(path, dtype=np.uint8)
    except FileNotFoundError as error:
        raise DataError(f"{kind} {path} does not exist.") from error
    except OSError as error:
        raise DataError(f"{kind} {path} can't be opened: {error.strerror or error}.") from error
    if not data.size:
        raise DataError(f"{kind} {path} is empty (0 bytes).")
    return data


def text_of(path: str | Path, kind: str, largest: int = 2**20) -> str:
    """A small text file.

    Raises:
        DataError: As :func:`bytes_of`, or the file is no text in UTF-8.
    """
    try:
        return bytes_of(path, kind, largest).tobytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"{kind} {path} is no text file.") from error


class PngHeader(NamedTuple):
    """What a PNG says of itself: pixels, bits a sample, and the colour type (0 gray, 2 RGB, 3 palette, 4 and 6 with alpha)."""

    width: int
    height: int
    bits: int
    color_type: int


def png_header(start: bytes) -> PngHeader | None:
    """The header in a file's first bytes, or None where they are not those of a PNG."""
    if not start.startswith(PNG_START) or len(start) < 26 or start[12:16] != b"IHDR":
        return None
    return PngHeader(int.from_bytes(start[16:20], "big"), int.from_bytes(start[20:24], "big"), start[24], start[25])


def check_picture(data: np.ndarray, name: str) -> PngHeader | None:
    """Hold a PNG or JPEG against its own structure: size, order, checksums, end.

    Args:
        data: The file's bytes.
        name: What it is, for messages ("depth PNG FILE").

    Returns:
        The header of a PNG; None for a JPEG.

    Raises:
        DataError: It is neither, is cut short or damaged, or has more than :data:`LARGEST_IMAGE_PX` pixels.
    """
    view = data.data
    start = bytes(view[:8])
    if start == PNG_START:
        return _check_png(view, name)
    if start.startswith(_JPEG_START):
        _check_jpeg(view, name)
        return None
    if start and PNG_START.startswith(start):
        raise _cut_short(view, name)
    raise DataError(f"{name} can't be read: it is no image format that is known (PNG, JPEG).")


def _check_png(view: memoryview, name: str) -> PngHeader:
    position = len(PNG_START)
    header, has_pixels = None, False
    while True:
        length = int.from_bytes(view[position : position + 4], "big")
        end = position + _PNG_CHUNK_FRAME + length
        if end > len(view):
            raise _cut_short(view, name)
        kind = bytes(view[position + 4 : position + 8])
        if zlib.crc32(view[position + 4 : end - 4]) != int.from_bytes(view[end - 4 : end], "big"):
            raise DataError(f"{name} can't be read: it is a damaged PNG (checksum at byte {position}); copy it again.")
        if (kind == b"IHDR") != (header is None):
            raise DataError(f"{name} can't be read: it is a damaged PNG (header at byte {position}).")
        if header is None:
            header = _checked_header(view, length, name)
        has_pixels = has_pixels or kind == b"IDAT"
        if kind == b"IEND" and has_pixels:
            return header
        position = end


def _checked_header(view: memoryview, length: int, name: str) -> PngHeader:
    header = png_header(bytes(view[:26]))
    # Behind the colour type: packing and filtering, of which there is one each, and whether rows are interlaced.
    rest = bytes(view[26:29])
    known = header is not None and header.bits in _PNG_BITS.get(header.color_type, ()) and rest in (bytes(3), bytes((0, 0, 1)))
    if header is None or not known or length != _PNG_HEADER_BYTES:
        raise DataError(f"{name} can't be read: it is a damaged PNG (header that no PNG has).")
    _check_size(header.width, header.height, name)
    return header


def _check_jpeg(view: memoryview, name: str) -> None:
    if _JPEG_END not in bytes(view[-_JPEG_TAIL_BYTES:]):
        raise _cut_short(view, name)
    position, found = 2, False
    while position + 4 <= len(view):
        if view[position] != 0xFF:
            break
        marker = view[position + 1]
        if marker == 0xFF:  # fill byte
            position += 1
            continue
        if marker in _JPEG_WITHOUT_LENGTH:
            position += 2
            continue
        if marker in _JPEG_FRAMES and position + 9 <= len(view):
            height, width = (int.from_bytes(view[at : at + 2], "big") for at in (position + 5, position + 7))
            _check_size(width, height, name)
            found = True
        if marker == _JPEG_SCAN:
            break
        position += 2 + int.from_bytes(view[position + 2 : position + 4], "big")
    if not found:
        raise DataError(f"{name} can't be read: it is a damaged JPEG (no frame header); copy it again.")


def _check_size(width: int, height: int, name: str) -> None:
    if not width or not height:
        raise DataError(f"{name} has {width}x{height} pixels (width x height).")
    if width * height > LARGEST_IMAGE_PX:
        raise DataError(
            f"{name} says that it is {width}x{height} (width x height); at most {LARGEST_IMAGE_PX} pixels are read. "
            "Is it damaged?"
        )


def _cut_short(view: memoryview, name: str) -> DataError:
    return DataError(f"{name} is cut short ({len(view)} bytes, no end mark); copy it again.")


def read_npy(path: str | Path, kind: str) -> np.ndarray:
    """The array of a ``.npy`` file: numbers alone, nothing in it is executed.

    Raises:
        DataError: The file is missing, cut short or damaged, holds objects or several arrays, or other values than numbers.
    """
    data = bytes_of(path, kind)
    if data[:4].tobytes() == b"PK\x03\x04":
        raise DataError(f"{kind} {path} holds several arrays (.npz); expected one array: save it with numpy.save.")
    file = io.BytesIO(data)  # type: ignore[arg-type]  # an array is a buffer
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about old headers: they are read all the same
            version = np.lib.format.read_magic(file)
            read_header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}[version]
            shape, _, dtype = read_header(file)
            claimed = math.prod(shape) * dtype.itemsize
            plain = dtype.kind in "biufc" and dtype.subdtype is None
            if not plain or min(shape, default=0) < 0:
                raise ValueError("objects" if dtype.hasobject else f"{dtype} of shape {shape}")
    except Exception as error:  # whatever numpy's parser says of a header that is none
        reason = " ".join(str(error).split())[:120]
        raise DataError(f"{kind} {path} can't be read as a plain .npy array of numbers ({reason}).") from error
    left = data.size - file.tell()
    if claimed != left:
        raise DataError(
            f"{kind} {path} holds {left} bytes of values and says {shape} of {dtype}, which are {claimed}; "
            f"it is {'cut short' if left < claimed else 'damaged'}: copy it again."
        )
    file.seek(0)
    array: np.ndarray = np.load(file, allow_pickle=False)
    return array
