"""Rooms of planes and boxes, drawn on demand: frames of NYUv2's size and camera that need no data set.

    t(ray) = min(first meeting with each box, meeting with the room's walls from inside)      t along the optical axis: depth

Shapes      sparse_depth, gt_depth (1, H, W) metres, whole until a transform draws points (SamplePoints); image (3, H, W) RGB
            0..255; intrinsics (3, 3) pixels.
Test time   the same frames in every run: they follow from the split, the seed and their number.
Differs     from a photographed room in nearly everything: no cloth, no clutter, no holes, no noise. It tells whether weights
            compute what they should (the zoo's check of a file), and measures no quality: a method that is best here need not
            be best in a room. To train on, it is too poor.
Cost        some 0.2 s of one core for a frame of 228x304.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ...contracts import Transform
from ...errors import ConfigError
from ...geometry import back_project
from ...registry import DATASETS
from ...structures import DEPTH, SPARSE_DEPTH, Field, Frame
from ..listed import WholeDepthDataset
from ..maps import gray_of
from ..street.rays import rotation

#: Focal length over width of NYUv2's camera in the window of 304x228.
_FOCAL = 259.4 / 304
#: What every pixel's colour keeps in the dark, and where the light comes from: above, from the left, from behind the camera.
_AMBIENT, _LIGHT = 0.45, np.array([-0.37, -0.56, 0.74])
#: Walls stand at least this far from the camera, and nothing is nearer.
_NEAREST_M = 0.5
_TINY = 1e-12


@DATASETS.register_module()
class DrawnRooms(WholeDepthDataset):
    """Rooms with boxes in them: all within 10 m, dense depth, a shaded photo. A check of weights and no measure of quality.

    Args:
        length: Frames, each of a room of its own.
        size: (H, W) in pixels; the field of view across stays NYUv2's.
        split: Rooms of one split never occur in another.
        world_seed: Seed of the rooms; ``seed`` is the transforms' alone.
        inputs, targets, transforms, seed: As in every data set; a transform has to draw the sparse depth.

    Raises:
        ConfigError: No frame, no size, or an input that isn't drawn.
    """

    METAINFO: ClassVar[dict[str, Any]] = {"dataset": "drawn_rooms"}

    def __init__(
        self,
        length: int,
        size: Sequence[int] = (228, 304),
        split: str = "train",
        world_seed: int = 0,
        inputs: Sequence[Field | str] = (SPARSE_DEPTH,),
        targets: Sequence[Field] = (DEPTH,),
        transforms: Sequence[Mapping[str, Any] | Transform] = (),
        seed: int = 0,
    ) -> None:
        super().__init__(inputs, targets, transforms, seed)
        if length < 1:
            raise ConfigError(f"DrawnRooms: length={length}; expected at least 1.")
        if len(size) != 2 or min(size) < 1:
            raise ConfigError(f"DrawnRooms: size={tuple(size)}; expected (H, W), both at least 1.")
        self.length, self.size, self.split = length, (int(size[0]), int(size[1])), split
        self.world_seed = [world_seed, zlib.crc32(split.encode())]
        for row in self.inputs:
            if row.name in self.rows and not _is_drawn(row):
                raise ConfigError(f"DrawnRooms has no map of the input '{row.name}'; it has sparse_depth, image, intrinsics.")

    def __len__(self) -> int:
        return self.length

    def sample_id(self, index: int) -> str:
        """The split and the number."""
        return f"{self.split}_room_{index:06d}"

    def count(self, row: Field) -> int:
        """All frames for what is drawn, none for others."""
        return len(self) if _is_drawn(row) else 0

    @property
    def intrinsics(self) -> np.ndarray:
        """``(3, 3)`` K, pixels."""
        height, width = self.size
        focal = _FOCAL * width
        return np.array([[focal, 0, (width - 1) / 2], [0, focal, (height - 1) / 2], [0, 0, 1]])

    def load(self, index: int) -> Frame:
        """The room of that number, as its camera sees it."""
        rng = np.random.default_rng([*self.world_seed, index])
        room, position = _draw_room(rng), np.array([0.0, 0.0, rng.uniform(1.1, 1.6)])
        pose = rotation(*rng.uniform((-0.5, -0.05, -0.05), (0.5, 0.3, 0.05))).numpy()
        depth, photo = _seen(room, position, pose, self.size, self.intrinsics)
        maps = {key: _converted(row, depth, photo) for key, row in self.rows.items()}
        return Frame(maps, dict(self.rows), self.intrinsics if self.wants_intrinsics else None)


def _is_drawn(row: Field) -> bool:
    return row.name in (SPARSE_DEPTH.name, DEPTH.name) or (row.name == "image" and row.kind == "image")


def _converted(row: Field, depth: np.ndarray, photo: np.ndarray) -> np.ndarray:
    if not _is_drawn(row):
        return row.empty(*depth.shape)
    if row.kind == "depth":
        return depth.copy()
    return gray_of(photo) if row.channels == 1 else photo.copy()


@dataclass(frozen=True, eq=False)
class _Room:
    """Boxes in metres (x to the right, y ahead, z up), each turned about the vertical; the first is the room, seen from inside.

    Args:
        centre, half: ``(N, 3)``.
        turn: ``(N,)`` radians, counter-clockwise seen from above.
        color: ``(N, 3)`` RGB 0..1.
        period: ``(N,)`` metres of the stripes on its faces.
    """

    centre: np.ndarray
    half: np.ndarray
    turn: np.ndarray
    color: np.ndarray
    period: np.ndarray


def _draw_room(rng: np.random.Generator) -> _Room:
    """A room of 3 to 6 m by 4 to 8 m around the camera's place at x = y = 0, with furniture before its walls and on it."""
    across, ahead, height = rng.uniform(3.0, 6.0), rng.uniform(3.0, 6.5), rng.uniform(2.3, 3.2)
    behind, aside = rng.uniform(1.0, 1.5), rng.uniform(-0.25, 0.25) * across
    rows = [_row((aside, (ahead - behind) / 2, height / 2), (across / 2, (ahead + behind) / 2, height / 2), 0.0, rng)]
    for _ in range(int(rng.integers(4, 9))):
        half = rng.uniform((0.15, 0.15, 0.2), (0.7, 0.5, 0.9))
        x, y = aside + rng.uniform(-0.45, 0.45) * across, rng.uniform(1.6, ahead)
        turn = rng.uniform(-0.6, 0.6)
        rows.append(_row((x, y, half[2]), half, turn, rng))
        if rng.random() < 0.6:  # a thing on top
            small = rng.uniform((0.05, 0.05, 0.05), (0.15, 0.15, 0.2))
            rows.append(_row((x, y, 2 * half[2] + small[2]), small, turn + rng.uniform(-1, 1), rng))
    for _ in range(int(rng.integers(1, 4))):  # pictures, shelves and windowsills on the far wall
        half = rng.uniform((0.2, 0.02, 0.1), (0.6, 0.2, 0.4))
        rows.append(
            _row((aside + rng.uniform(-0.4, 0.4) * across, ahead - half[1], rng.uniform(1.2, height - 0.5)), half, 0, rng)
        )
    return _Room(*(np.array(column, dtype=np.float64) for column in zip(*rows, strict=True)))


def _row(
    centre: Sequence[float], half: np.ndarray | Sequence[float], turn: float, rng: np.random.Generator
) -> tuple[Sequence[float], Sequence[float] | np.ndarray, float, np.ndarray, float]:
    return centre, half, turn, rng.uniform(0.25, 0.95, 3), rng.uniform(0.1, 0.6)


def _seen(
    room: _Room, position: np.ndarray, pose: np.ndarray, size: tuple[int, int], intrinsics: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Depth ``(H, W)`` float32 metres and photo ``(H, W, 3)`` float32, 0..255, of a camera; ``pose``: world from camera."""
    rays = back_project(np.ones(size), intrinsics) @ pose.T
    depth, color = np.full(size, np.inf), np.zeros((*size, 3))
    for number in range(len(room.turn)):
        met, along, normal = _meet_box(room, number, position, rays, inside=number == 0)
        nearer = (met > _NEAREST_M) & (met < depth)
        depth[nearer] = met[nearer]
        stripes = np.floor(along.sum(axis=-1) / room.period[number]) % 2
        brightness = _AMBIENT + (1 - _AMBIENT) * np.clip(normal @ _LIGHT, 0, 1)
        shade = brightness * (0.8 + 0.2 * stripes)
        color[nearer] = (shade[..., None] * room.color[number])[nearer]
    return depth.astype(np.float32), np.round(255 * color).astype(np.float32)


def _meet_box(
    room: _Room, number: int, position: np.ndarray, rays: np.ndarray, inside: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where rays enter a box, or leave it from inside: ray parameter (inf: nowhere), place on the face, normal to the room."""
    cos, sin = np.cos(room.turn[number]), np.sin(room.turn[number])
    to_box = np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]])
    origin, direction = to_box @ (position - room.centre[number]), rays @ to_box.T
    direction = np.where(np.abs(direction) < _TINY, _TINY, direction)
    half = room.half[number]
    ends = np.stack(((-half - origin) / direction, (half - origin) / direction))
    near, far = ends.min(axis=0), ends.max(axis=0)
    enter, leave = near.max(axis=-1), far.min(axis=-1)
    met = leave if inside else np.where((enter <= leave) & (enter > 0), enter, np.inf)
    axis = far.argmin(axis=-1) if inside else near.argmax(axis=-1)
    face = np.eye(3)[axis]
    place = (origin + np.where(np.isfinite(met), met, 0.0)[..., None] * direction) * (1 - face)
    return met, place, -(np.sign(direction) * face) @ to_box
