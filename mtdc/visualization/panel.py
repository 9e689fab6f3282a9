"""Titled pictures of one frame on one sheet."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from ..errors import DataError
from .colormap import ERROR_BOUNDS, ERROR_UNIT_M, colorize_depth, colorize_error, depth_range, enlarge_points, error_colors

#: Sheets are shown about so wide (a README's column, a TensorBoard card): smaller pictures are enlarged to it, and captions
#: are as high as can be read there.
SHOWN_WIDTH = 900
_SHOWN_BAR, _SHOWN_LETTER, _SHOWN_GAP = 24, 12, 4
#: Points of a sparse map are enlarged where fewer of its pixels have one: denser ones would run together.
ENLARGED_BELOW = 0.06
#: Width to height that the arrangement in columns comes as near as it can.
_ASPECT = 1.6
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_WHITE = (255, 255, 255)


@dataclass(frozen=True)
class Legend:
    """What the colours of a picture mean, drawn beside its title.

    Args:
        low: Words at the first colour's side (ASCII).
        colors: ``(N, 3)`` uint8 RGB.
        high: Words at the last colour's side.
    """

    low: str
    colors: np.ndarray
    high: str


@dataclass(frozen=True)
class Tile:
    """A picture with its title.

    Args:
        title: ASCII.
        picture: ``(H, W)`` gray or ``(H, W, 3)`` RGB, 0..255 of any type.
        legend: What its colours mean.
    """

    title: str
    picture: np.ndarray
    legend: Legend | None = None


def as_rgb(image: np.ndarray, name: str = "image") -> np.ndarray:
    """A gray ``(H, W)`` or ``(H, W, 1)`` or RGB ``(H, W, 3)`` picture, 0..255 of any type, as ``(H, W, 3)`` uint8.

    Raises:
        DataError: Another shape.
    """
    if image.ndim == 2:
        image = image[..., None]
    if image.ndim != 3 or image.shape[2] not in (1, 3):
        raise DataError(f"{name} must be (H, W) or (H, W, 3), 0..255, not of shape {tuple(image.shape)}.")
    if image.dtype != np.uint8:
        image = np.rint(np.clip(np.nan_to_num(image), 0, 255)).astype(np.uint8)
    return np.ascontiguousarray(np.broadcast_to(image, (*image.shape[:2], 3)))


@dataclass(frozen=True)
class SheetGrid:
    """Where the pictures of a sheet lie, in its pixels.

    Args:
        columns: Pictures side by side.
        factor: Whole number of times that each pixel is enlarged.
        bar: Height of the title above each picture.
        gap: Black between columns, and below each picture.
        cell: (H, W) of each enlarged picture's place: the largest's.
    """

    columns: int
    factor: int
    bar: int
    gap: int
    cell: tuple[int, int]

    def corner(self, index: int) -> tuple[int, int]:
        """Row and column of a picture's first pixel."""
        row, column = divmod(index, self.columns)
        return row * (self.bar + self.cell[0] + self.gap) + self.bar, column * (self.cell[1] + self.gap)

    def size(self, count: int) -> tuple[int, int]:
        """(H, W) of a sheet with so many pictures."""
        row, _ = self.corner(count - 1)
        return row + self.cell[0] + self.gap, self.columns * (self.cell[1] + self.gap) - self.gap


def sheet_grid(sizes: Sequence[tuple[int, int]]) -> SheetGrid:
    """The arrangement of pictures of these sizes: as many columns as make the sheet neither a strip nor a column."""
    height, width = (max(side) for side in zip(*sizes, strict=True))

    def strangeness(columns: int) -> float:
        rows = -(-len(sizes) // columns)
        return abs(math.log(columns * width / (rows * height) / _ASPECT))

    columns = min(range(1, len(sizes) + 1), key=strangeness)
    # Too narrow by a few pixels is no reason to enlarge.
    factor = max(1, math.ceil(0.9 * SHOWN_WIDTH / (columns * width)))
    scale = max(1.0, columns * width * factor / SHOWN_WIDTH)
    return SheetGrid(columns, factor, round(_SHOWN_BAR * scale), round(_SHOWN_GAP * scale), (height * factor, width * factor))


def panel(tiles: Sequence[Tile]) -> np.ndarray:
    """Titled pictures on one sheet, row by row, as :func:`sheet_grid` arranges them; what is left over is black.

    Captions are legible where the sheet is shown :data:`SHOWN_WIDTH` pixels wide; pictures of small frames are enlarged to
    that by a whole number, each pixel to a square.

    Returns:
        ``(H, W, 3)`` uint8 RGB.

    Raises:
        DataError: No tile, or a picture of another shape.
    """
    if not tiles:
        raise DataError("a panel needs at least one picture.")
    pictures = [as_rgb(tile.picture, tile.title) for tile in tiles]
    grid = sheet_grid([picture.shape[:2] for picture in pictures])
    sheet = np.zeros((*grid.size(len(tiles)), 3), np.uint8)
    for index, (tile, picture) in enumerate(zip(tiles, pictures, strict=True)):
        row, column = grid.corner(index)
        large = picture.repeat(grid.factor, axis=0).repeat(grid.factor, axis=1)
        sheet[row : row + large.shape[0], column : column + large.shape[1]] = large
        sheet[row - grid.bar : row, column : column + grid.cell[1]] = _title_bar(tile, grid.bar, grid.cell[1])
    return sheet


def _title_bar(tile: Tile, height: int, width: int) -> np.ndarray:
    """Title at the left, legend at the right; both shrink where the bar is too short for them."""
    legend = _legend(tile.legend, height) if tile.legend is not None else np.zeros((height, 0, 3), np.uint8)
    title = _words(tile.title, height)
    whole = np.concatenate(
        (title, np.zeros((height, max(0, width - title.shape[1] - legend.shape[1]), 3), np.uint8), legend), 1
    )
    if whole.shape[1] == width:
        return whole
    shrunk = cv2.resize(whole, (width, max(1, height * width // whole.shape[1])), interpolation=cv2.INTER_AREA)
    bar = np.zeros((height, width, 3), np.uint8)
    bar[height - shrunk.shape[0] :] = shrunk
    return bar


def _words(text: str, height: int) -> np.ndarray:
    """White words in a black bar of that height, with some room at both ends."""
    letter = height * _SHOWN_LETTER / _SHOWN_BAR
    thickness = max(1, round(letter / 9))
    scale = cv2.getFontScaleFromHeight(_FONT, round(letter), thickness)
    (width, _), _ = cv2.getTextSize(text, _FONT, scale, thickness)
    room = round(height / 4)
    bar = np.zeros((height, width + 2 * room, 3), np.uint8)
    baseline = round((height + letter) / 2)
    return np.asarray(cv2.putText(bar, text, (room, baseline), _FONT, scale, _WHITE, thickness, cv2.LINE_AA))


def _legend(legend: Legend, height: int) -> np.ndarray:
    margin = round(height / 5)
    swatch = max(1, round(6 * height / len(legend.colors)))
    colors = np.zeros((height, swatch * len(legend.colors), 3), np.uint8)
    colors[margin : height - margin] = legend.colors.repeat(swatch, axis=0)[None]
    return np.concatenate((_words(legend.low, height), colors, _words(legend.high, height)), axis=1)


def sample_panel(
    sparse_depth: np.ndarray,
    prediction: np.ndarray,
    ground_truth: np.ndarray | None = None,
    image: np.ndarray | None = None,
    reconstruction: np.ndarray | None = None,
    near_m: float | None = None,
    far_m: float | None = None,
    others: Sequence[Tile] = (),
) -> np.ndarray:
    """One frame on one sheet: image, reconstruction, sparse depth, ground truth, prediction, error; depths share one range.

    Args:
        sparse_depth: ``(H, W)`` metres, 0 = not measured; its points are enlarged where they are few.
        prediction: ``(H, W)`` metres.
        ground_truth: ``(H, W)`` metres, 0 = unknown. Without it there is no error picture.
        image: ``(H, W)`` or ``(H, W, 3)``, 0..255.
        reconstruction: The predicted image, as ``image``.
        near_m: Warm end of the depth range, and
        far_m: its cool end; from the measured depths of this frame where not given.
        others: Pictures of other tasks, after those of depth.

    Returns:
        ``(H', W', 3)`` uint8 RGB.

    Raises:
        DataError: Maps of other shapes or of different sizes.
    """
    size = tuple(sparse_depth.shape)
    maps = {"prediction": prediction, "ground truth": ground_truth, "image": image, "reconstruction": reconstruction}
    for name, value in maps.items():
        if value is not None and tuple(value.shape[:2]) != size:
            raise DataError(f"the {name} is {tuple(value.shape[:2])} and the sparse depth {size}: sizes must be equal.")
    # Measured depths give the range: a prediction may be anything in the sky.
    measured = sparse_depth if ground_truth is None else np.stack((sparse_depth, ground_truth))
    near_m, far_m = depth_range(measured if (measured > 0).any() else prediction, near_m, far_m)
    scale = colorize_depth(np.geomspace(near_m, far_m, 64)[None], near_m, far_m)[0]
    legend = Legend(f"{near_m:.1f}", scale, f"{far_m:.0f} m" if far_m >= 10 else f"{far_m:.1f} m")
    tiles = [] if image is None else [Tile("image", image)]
    if reconstruction is not None:
        tiles.append(Tile("reconstructed image", reconstruction))
    points = enlarge_points(sparse_depth) if (sparse_depth > 0).mean() < ENLARGED_BELOW else sparse_depth
    tiles.append(Tile("sparse depth", colorize_depth(points, near_m, far_m), legend))
    if ground_truth is not None:
        tiles.append(Tile("ground truth", colorize_depth(enlarge_points(ground_truth), near_m, far_m), legend))
    tiles.append(Tile("predicted depth", colorize_depth(prediction, near_m, far_m), legend))
    if ground_truth is not None:
        tiles.append(_error_tile(prediction, ground_truth))
    return panel([*tiles, *others])


def _error_tile(prediction: np.ndarray, ground_truth: np.ndarray) -> Tile:
    known = ground_truth > 0
    error_m = np.abs(prediction - ground_truth)[known]
    title = f"error, RMSE {np.sqrt(np.square(error_m).mean()):.2f} m" if known.any() else "error, no ground truth"
    low, high = ERROR_BOUNDS[0] * ERROR_UNIT_M, ERROR_BOUNDS[-1] * ERROR_UNIT_M
    legend = Legend(f"<{low:.1g}", error_colors(), f">{high:.0f} m")
    return Tile(title, colorize_error(prediction, ground_truth), legend)
