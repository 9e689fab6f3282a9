"""Crops, flips and resizes of whole frames: maps, intrinsics and metainfo together.

The metainfo says how the maps came from the stored frame: its window ``crop_xywh`` (its own pixels, from the top left) was
resized by ``scale`` (x, y) and then, with ``flip``, mirrored left to right. ``rotation_deg``, where a frame has been turned, is
the sum of its angles, clockwise; the others then say what the frame would be without.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import cv2
import numpy as np

from ..errors import ConfigError, DataError
from ..geometry import crop_intrinsics, flip_intrinsics, resize_intrinsics
from ..structures import Field, Frame


def start_view(meta: Mapping[str, Any], size: tuple[int, int]) -> dict[str, Any]:
    """Metainfo with the view of an untouched frame of size (H, W), where ``meta`` doesn't say otherwise."""
    height, width = size
    untouched = {
        "ori_shape": size,
        "crop_xywh": (0, 0, width, height),
        "scale": (1.0, 1.0),
        "flip": False,
        "pad_lrtb": (0, 0, 0, 0),
    }
    return {**untouched, **meta}


def _moved(frame: Frame, move: Callable[[np.ndarray, Field], np.ndarray], intrinsics: np.ndarray | None, **meta: Any) -> Frame:
    maps = {key: move(array, frame.fields[key]) for key, array in frame.maps.items()}
    return Frame(maps, dict(frame.fields), intrinsics, {**start_view(frame.meta, frame.size), **meta})


def check_window(frame: Frame, height: int, width: int, transform: str) -> None:
    """Refuse a frame that is smaller than the window a transform wants.

    Raises:
        DataError: It is; the text names the frame, both sizes and the transform.
    """
    if frame.size[0] < height or frame.size[1] < width:
        name, (rows, columns) = frame.meta.get("sample_id", "without a name"), frame.size
        raise DataError(
            f"frame {name} is {columns}x{rows} (width x height), smaller than {transform}'s {width}x{height}; "
            "choose a smaller crop or leave it away."
        )


def crop_frame(frame: Frame, left: int, top: int, height: int, width: int) -> Frame:
    """The window of ``height`` x ``width`` pixels whose first pixel is (left, top)."""
    view = start_view(frame.meta, frame.size)
    (x, y, _, _), (scale_x, scale_y) = view["crop_xywh"], view["scale"]
    from_left = frame.size[1] - width - left if view["flip"] else left
    window = (x + from_left / scale_x, y + top / scale_y, width / scale_x, height / scale_y)
    return _moved(
        frame,
        lambda array, row: array[top : top + height, left : left + width],
        None if frame.intrinsics is None else crop_intrinsics(frame.intrinsics, left, top),
        crop_xywh=tuple(int(value) if float(value).is_integer() else value for value in window),
    )


def flip_frame(frame: Frame) -> Frame:
    """The frame in a mirror, left to right; the camera frame is mirrored with it, so normals change the sign of x."""

    def flip(array: np.ndarray, row: Field) -> np.ndarray:
        flipped = array[:, ::-1]
        return flipped * np.array((-1, 1, 1), dtype=array.dtype) if row.kind == "normals" else flipped

    view = start_view(frame.meta, frame.size)
    intrinsics = None if frame.intrinsics is None else flip_intrinsics(frame.intrinsics, frame.size[1])
    return _moved(frame, flip, intrinsics, flip=not view["flip"])


def resize_frame(frame: Frame, height: int, width: int) -> Frame:
    """The frame in another size. Photos are interpolated, all else takes the nearest pixel; depth values stay as they are."""
    old_height, old_width = frame.size
    scale_x, scale_y = width / old_width, height / old_height
    # The stored pixel in which a new pixel's centre lies; cv2.INTER_NEAREST takes the one of the new pixel's corner.
    columns = np.floor((np.arange(width) + 0.5) / scale_x).astype(np.int64).clip(0, old_width - 1)
    rows = np.floor((np.arange(height) + 0.5) / scale_y).astype(np.int64).clip(0, old_height - 1)
    shrinks = height <= old_height and width <= old_width

    def resize(array: np.ndarray, row: Field) -> np.ndarray:
        if row.interpolated:
            interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
            photo = np.asarray(cv2.resize(np.ascontiguousarray(array), (width, height), interpolation=interpolation))
            # A mixture of "unknown" and colour would pass for a colour. (Black is both, and needs no care.)
            if row.unknown < 0 and (array == row.unknown).any():
                unknown = (array == row.unknown).astype(np.float32)
                photo[cv2.resize(unknown, (width, height), interpolation=interpolation) > 0] = row.unknown
            return photo
        return np.asarray(array[rows[:, None], columns[None, :]])

    intrinsics = None if frame.intrinsics is None else resize_intrinsics(frame.intrinsics, scale_x, scale_y)
    before = start_view(frame.meta, frame.size)["scale"]
    return _moved(frame, resize, intrinsics, scale=(before[0] * scale_x, before[1] * scale_y))


def scale_depths(frame: Frame, factor: float, transform: str) -> Frame:
    """All depth maps of the frame times a factor; "unknown" stays unknown.

    Raises:
        ConfigError: A depth map whose "unknown" is not 0, which the factor would make a depth.
    """
    depths = {key: row for key, row in frame.fields.items() if row.kind == "depth"}
    for key, row in depths.items():
        if row.unknown != 0:
            raise ConfigError(f"{transform} can't scale '{key}', whose unknown is {row.unknown:g}; expected 0 for a depth.")
    maps = {key: array * array.dtype.type(factor) if key in depths else array for key, array in frame.maps.items()}
    return dataclasses.replace(frame, maps=maps)


def rotate_frame(frame: Frame, degrees: float) -> Frame:
    """The frame of a camera that is rolled about its optical axis: the picture turns clockwise about the principal point.

    Depth and K stay, as the axis does; normals turn with the picture. Pixels from outside are unknown. The frame has its K.
    """
    if frame.intrinsics is None:
        raise DataError(f"frame {frame.meta.get('sample_id', 'without a name')} has no intrinsics; expected K to rotate it.")
    angle = np.radians(degrees)
    roll = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    # Where a pixel of the new frame lies in the old one.
    back = frame.intrinsics @ roll.T @ np.linalg.inv(frame.intrinsics)
    rows, columns = np.mgrid[: frame.size[0], : frame.size[1]].astype(np.float64)
    source_u = back[0, 0] * columns + back[0, 1] * rows + back[0, 2]
    source_v = back[1, 0] * columns + back[1, 1] * rows + back[1, 2]
    nearest_u, nearest_v = np.rint(source_u).astype(np.int64), np.rint(source_v).astype(np.int64)
    inside = (nearest_u >= 0) & (nearest_u < frame.size[1]) & (nearest_v >= 0) & (nearest_v < frame.size[0])

    def rotate(array: np.ndarray, row: Field) -> np.ndarray:
        turned = np.full_like(array, row.unknown)
        turned[inside] = array[nearest_v[inside], nearest_u[inside]]
        if row.interpolated:
            photo = cv2.remap(
                np.ascontiguousarray(array),
                source_u.astype(np.float32),
                source_v.astype(np.float32),
                cv2.INTER_LINEAR,
                borderMode=cv2.BORDER_REPLICATE,
            )
            known = turned != row.unknown
            return np.where(known, photo, turned).astype(array.dtype)
        return (turned @ roll.T).astype(array.dtype) if row.kind == "normals" else turned

    total = frame.meta.get("rotation_deg", 0.0) + degrees
    return _moved(frame, rotate, frame.intrinsics.copy(), rotation_deg=total)
