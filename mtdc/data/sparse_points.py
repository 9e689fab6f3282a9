"""What transforms of the sparse depth share: finding it, putting another in its place, and its points in space."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from ..errors import ConfigError, DataError
from ..geometry import back_project
from ..structures import SPARSE_DEPTH, Frame


def sparse_of(frame: Frame, transform: str) -> np.ndarray:
    """The frame's sparse depth, ``(H, W)`` metres, 0 = not measured; not to be written into.

    Raises:
        ConfigError: It is not among the inputs.
    """
    key = SPARSE_DEPTH.name
    if key not in frame.maps:
        raise ConfigError(f"{transform} needs the input '{key}', and only {', '.join(frame.maps)} are loaded.")
    return frame.maps[key]


def with_sparse(frame: Frame, sparse: np.ndarray) -> Frame:
    """The frame with another sparse depth, in the old one's type; all else is the same."""
    old = frame.maps[SPARSE_DEPTH.name]
    return dataclasses.replace(frame, maps={**frame.maps, SPARSE_DEPTH.name: sparse.astype(old.dtype, copy=False)})


def known_intrinsics(frame: Frame, transform: str) -> np.ndarray:
    """K, ``(3, 3)`` pixels.

    Raises:
        DataError: The frame has none, or it is not known (NaN).
    """
    if frame.intrinsics is None or not np.isfinite(frame.intrinsics).all():
        name = frame.meta.get("sample_id", "without a name")
        raise DataError(
            f"frame {name} has no known intrinsics, and {transform} works in space; expected the camera's K "
            "(focal lengths and principal point in pixels) in the data set's calibration files."
        )
    return frame.intrinsics


def measured_points(sparse: np.ndarray, intrinsics: np.ndarray) -> np.ndarray:
    """Points of all measured pixels, row by row, in the camera's frame: ``(H, W)`` metres -> ``(N, 3)`` metres."""
    return back_project(sparse, intrinsics)[sparse > 0]


def ascending(
    value: float | Sequence[float], name: str, least: float, most: float = float("inf"), unit: str = ""
) -> tuple[float, float]:
    """One number, or (least, greatest), as the two ends of a range.

    Raises:
        ValueError: Not one or two numbers, outside ``least`` to ``most``, or not ascending.
    """
    ends = tuple(value) if isinstance(value, Sequence) else (value, value)
    if len(ends) != 2 or not least <= ends[0] <= ends[1] <= most:
        limits = f"in {least:g}..{most:g}" if np.isfinite(most) else f"at least {least:g}"
        raise ValueError(f"{name} must be {limits}{' ' + unit if unit else ''}, or (least, greatest) there, not {value}")
    return float(ends[0]), float(ends[1])


def lose(
    sparse: np.ndarray, generator: np.random.Generator, chance: Callable[[np.ndarray], np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """A copy without the points that chance takes, and which pixels they were.

    One random number is drawn for each measured point whatever the chances are, so that of two chances the greater one loses
    the same points and more.

    Shapes: ``chance`` maps ``(N,)`` metres to ``(N,)`` probabilities of loss -> ``(H, W)`` metres and bool.
    """
    measured = sparse > 0
    lost = np.zeros_like(measured)
    lost[measured] = generator.random(np.count_nonzero(measured)) < chance(sparse[measured])
    return np.where(lost, 0, sparse), lost
