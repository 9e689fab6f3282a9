"""Stored files to maps in the unit of their row of the field table."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..errors import DataError
from ..layers.photo import GRAY_WEIGHTS
from ..structures import SPARSE_DEPTH, Field
from .io import read_depth, read_image, read_labels, read_raw_png
from .raw_bytes import read_npy

#: Suffixes that a field's file may have, the first one preferred where a folder holds several.
MAP_SUFFIXES = (".png", ".npy")
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg")
#: How far from 1 the length of a stored normal may be (float16 and rounding).
_NORMAL_TOLERANCE = 0.01


def gray_of(color: np.ndarray) -> np.ndarray:
    """0.299 R + 0.587 G + 0.114 B (ITU-R 601), not rounded: ``(H, W, 3)`` RGB -> ``(H, W)``, same range."""
    return np.asarray(color @ np.asarray(GRAY_WEIGHTS, dtype=color.dtype))


def read_map(path: Path, row: Field) -> np.ndarray:
    """A file as the map that its row describes: ``(H, W)`` or ``(H, W, C)``, float32, labels int64.

    - ``image``: PNG or JPEG, 0..255, in colour or, for a row of one channel, gray.
    - ``labels``: gray PNG of class indices.
    - ``depth``: 16-bit PNG times ``scale_to_unit``, or ``.npy`` in metres.
    - ``normals``: PNG with v = round(max * (n + 1) / 2), all channels 0 = unknown; or ``.npy`` of unit vectors.
    - ``map``: 8- or 16-bit PNG times ``scale_to_unit``, where a stored value equal to ``unknown`` stays so; or
      ``.npy`` in the field's unit.

    Raises:
        DataError: The file is missing, broken, has other channels than the row, or values that can't be.
    """
    if row.kind == "image":
        color = read_image(path)
        return gray_of(color) if row.channels == 1 else color
    if row.kind == "labels":
        return _known_labels(read_labels(path), path, row)
    if row.kind == "depth" and (path.suffix.lower() == ".npy" or row.scale_to_unit == SPARSE_DEPTH.scale_to_unit):
        return read_depth(path)
    if path.suffix.lower() == ".npy":
        return _read_array(path, row)
    stored = read_raw_png(path, row.channels, kind=row.name)
    if row.kind == "normals":
        return _decode_normals(stored)
    if row.kind == "depth" and stored.dtype != np.uint16:
        raise DataError(f"{row.name} {path} is 8-bit; expected a 16-bit PNG of depth times {1 / row.scale_to_unit:g}.")
    values = stored.astype(np.float32) * np.float32(row.scale_to_unit)
    empty = stored == row.unknown
    if empty.ndim == 3:
        empty = empty.all(axis=2)
    values[empty] = row.unknown
    return values


def _known_labels(labels: np.ndarray, path: Path, row: Field) -> np.ndarray:
    if row.classes is not None:
        strange = labels[(labels >= row.classes) & (labels != int(row.unknown))]
        if strange.size:
            raise DataError(
                f"{row.name} {path} holds class {strange[0]}; expected 0 to {row.classes - 1}, or {int(row.unknown)} = "
                "unknown. Are these other ids (Cityscapes' label ids instead of its train ids), or has the task more classes?"
            )
    return labels


def _decode_normals(stored: np.ndarray) -> np.ndarray:
    vectors = stored.astype(np.float32) * np.float32(2 / np.iinfo(stored.dtype).max) - 1
    vectors /= np.maximum(np.linalg.norm(vectors, axis=2, keepdims=True), 1e-6)
    vectors[(stored == 0).all(axis=2)] = 0
    return vectors


def _read_array(path: Path, row: Field) -> np.ndarray:
    values = read_npy(path, row.name)
    if values.ndim not in (2, 3) or not values.size or (values.shape[2:] or (1,)) != (row.channels,):
        expected = "(H, W)" if row.channels == 1 else f"(H, W, {row.channels})"
        raise DataError(f"{row.name} {path} holds the shape {values.shape}; expected {expected}.")
    if values.dtype.kind == "c":
        raise DataError(f"{row.name} {path} holds {values.dtype}; expected real numbers.")
    values = values[..., 0] if values.ndim == 3 and row.channels == 1 else values
    with np.errstate(over="ignore", invalid="ignore"):  # what float32 can't hold is refused as infinite
        values = values.astype(np.float32)
    if not np.isfinite(values).all():
        raise DataError(f"{row.name} {path} holds NaN or infinite values; write {row.unknown:g} where a value is unknown.")
    if row.kind == "normals":
        with np.errstate(over="ignore"):
            length = np.linalg.norm(values, axis=2)
        off = length[(length > 0) & (np.abs(length - 1) > _NORMAL_TOLERANCE)]
        if off.size:
            raise DataError(f"{row.name} {path} holds vectors of length {off[0]:.3g}; expected unit vectors, all 0 = unknown.")
    return values
