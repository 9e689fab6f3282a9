"""Frames of the street world: drawn streets, their cameras and LiDAR, and all that a network may read or be compared with."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ...errors import ConfigError, did_you_mean
from .lidar import shots
from .options import StreetOptions
from .placed import WORLD_VERSION, PlacedStreet
from .views import MAPS, Streets, Views, stack_size

__all__ = ["MAPS", "WORLD_VERSION", "StreetFrame", "draw_frame", "draw_frames", "draw_views"]


@dataclass
class StreetFrame:
    """A drawn frame.

    Args:
        maps: By name: ``sparse_depth``, ``truth``, ``dense`` ``(H, W)`` float32 metres (0 = none); ``image`` ``(H, W, 3)``
            uint8 RGB; ``normals`` ``(H, W, 3)`` float32 camera frame (0 = none); ``semantics`` ``(H, W)`` uint8 Cityscapes
            train ids (255 = none).
        intrinsics: ``(3, 3)`` float64.
        layout: Kind of street.
        camera: The camera that it is seen by, 2 or 3.
    """

    maps: dict[str, np.ndarray]
    intrinsics: np.ndarray
    layout: str
    camera: int = 2


def draw_frames(
    options: StreetOptions,
    seed: int,
    numbers: Sequence[int],
    wanted: Collection[str] = MAPS,
    device: torch.device | str = "cpu",
    cameras: Sequence[Sequence[int]] | None = None,
) -> list[dict[int, StreetFrame]]:
    """Frames of the world with that seed, each by camera, drawn together on a GPU.

    The same arguments give the same maps, to the bit on one device; a map depends neither on which others are wanted nor on
    which frames are drawn with it. On a GPU many frames at once take about as many operations as one.

    Args:
        options: What frames look like.
        seed: The world's seed.
        numbers: The frames' numbers.
        wanted: Of ``MAPS``; others are not computed.
        device: Where rays are cast.
        cameras: Of 2 and 3, for each frame; None is those that the options give it.

    Raises:
        ConfigError: ``wanted`` names a map that there is not, or ``cameras`` another camera.
    """
    for name in wanted:
        if name not in MAPS:
            raise ConfigError(f"the street world has no map '{name}'.{did_you_mean(name, MAPS)}")
    seen_by = [tuple(one) for one in cameras or [options.cameras_of(seed, number) for number in numbers]]
    for one in seen_by:
        if not set(one) <= {2, 3}:
            raise ConfigError(f"street: no camera {one}; expected 2 (left), 3 (right) or both.")
    frames: list[dict[int, StreetFrame]] = []
    with torch.no_grad():
        size = max(1, stack_size(device) // _rays(options))
        for first in range(0, len(numbers), size):
            placed = [PlacedStreet(options, seed, number) for number in numbers[first : first + size]]
            frames += _drawn(placed, seen_by[first : first + size], wanted, device)
    return frames


def _rays(options: StreetOptions) -> int:
    """Rays of a frame's largest stack."""
    views = options.size[0] * options.size[1] * len(options.cameras)
    return max(views, 11 * options.lidar.lines * shots(options.lidar))


def _drawn(
    placed: Sequence[PlacedStreet], cameras: Sequence[tuple[int, ...]], wanted: Collection[str], device: torch.device | str
) -> list[dict[int, StreetFrame]]:
    """Streets that are drawn together, by camera."""
    options, streets = placed[0].options, Streets(placed, wanted, device)
    seen = [(number, camera) for number, several in enumerate(cameras) for camera in several]
    size = max(1, stack_size(device) // (options.size[0] * options.size[1]))
    frames: list[dict[int, StreetFrame]] = [{} for _ in placed]
    for first in range(0, len(seen), size):
        part = seen[first : first + size]
        maps = Views(streets, part).maps(wanted)
        for place, (number, camera) in enumerate(part):
            own = {name: values[place] for name, values in maps.items()}
            frames[number][camera] = StreetFrame(own, options.camera_matrix(), placed[number].scene.layout, camera)
    return frames


def draw_views(
    options: StreetOptions,
    seed: int,
    number: int,
    wanted: Collection[str] = MAPS,
    device: torch.device | str = "cpu",
    cameras: Sequence[int] | None = None,
) -> dict[int, StreetFrame]:
    """Frame ``number``, by camera; see :func:`draw_frames`.

    Raises:
        ConfigError: ``wanted`` names a map that there is not, or ``cameras`` another camera.
    """
    return draw_frames(options, seed, [number], wanted, device, [cameras] if cameras else None)[0]


def draw_frame(
    options: StreetOptions,
    seed: int,
    number: int,
    wanted: Collection[str] = MAPS,
    device: torch.device | str = "cpu",
    camera: int | None = None,
) -> StreetFrame:
    """One view of a frame: of the camera named, or the first that the options give the frame; see :func:`draw_frames`.

    Raises:
        ConfigError: ``wanted`` names a map that there is not.
    """
    cameras = options.cameras_of(seed, number)[:1] if camera is None else (camera,)
    return draw_views(options, seed, number, wanted, device, cameras)[cameras[0]]
