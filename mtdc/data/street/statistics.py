"""What sparse maps and ground truth look like in numbers: to hold the street world against real frames.

All numbers are of KITTI's lower middle (352x1216); a frame is a sparse map and, where there is one, its truth, both ``(H, W)``
metres with 0 = none. A row of the table is the mean over frames.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from scipy import ndimage

#: Rows of the table: name, and the range of each number over three sets of real frames (one date, three drives).
BANDS: dict[str, tuple[tuple[float, float], ...]] = {
    "sparse density, %": ((3.79, 4.37),),
    "density of rows 96-127 / 128- / 160- / 192- / 224- / 256- / 288- / 320-, %": (
        (1.1, 3.4), (5.3, 5.6), (5.8, 7.1), (5.8, 8.8), (5.6, 8.8), (4.9, 6.2), (5.0, 5.5), (4.8, 5.1),
    ),
    "first row with a return, columns' 10 / 50 / 90 %": ((82, 120), (117, 134), (171, 179)),
    "empty pixels below it, %": ((92.6, 94.2),),
    "distance to the nearest point there, 50 / 90 / 99 %, px": ((1.4, 2.0), (3.2, 5.5), (5.2, 18.7)),
    "depth 5 / 25 / 50 / 75 / 95 / 99 %, m": ((3.9, 6.3), (5.7, 9.1), (7.2, 14), (10, 23), (26, 45), (44, 65)),
    "step to the next point in line > .1 / .5 / 1 / 3 / 10 m, %": ((15, 25), (4.5, 7.1), (2.8, 5.0), (1.6, 3.2), (0.44, 1.4)),
    "step to the next line > .5 / 1 / 3 / 10 m, %": ((21, 49), (12, 25), (4.5, 10), (1.3, 3.2)),
    "next point in line after 1 / 2 / 3 / 4 / 5-6 / > 6 px, %": (
        (9, 10), (31, 34), (43, 46), (9, 11), (0.7, 1.4), (1.8, 3.3),
    ),
    "gap > 6 px at 0-10 / 10-20 / 20-40 / 40-80 m, %": ((0.7, 2.9), (1.7, 3.4), (2.0, 5.7), (6.6, 12)),
    "line spacing at rows 120 / 160 / 200 / 240 / 280 / 320, px": ((5, 5), (4, 5), (4, 4.8), (5, 6.5), (7, 7), (7, 7.7)),
    "> 1 m and > 10 % behind the minimum of 7x7 / 15x5, %": ((4.6, 6.7), (8.2, 14)),
    "> 3 m and > 30 % behind it, 7x7 / 15x5, %": ((1.3, 3.6), (2.4, 5.3)),
    "nearer on both sides in line (4 px) / above and below (8 px), %": ((0.33, 1.3), (0.67, 1.7)),
    "truth density, %": ((20.4, 24.6),),
    "sparse points that have truth, suspects / others, %": ((16, 41), (64, 98)),
    "truth neighbours in a row differ by > .5 / 1 / 3 m, %": ((0.3, 4.3), (0.05, 1.7), (0.0, 0.55)),
    "nearest fill behind / before truth by > 1 m and 10 %, %": ((1.15, 1.36), (0.0, 0.58)),
    "nearest fill RMSE / MAE, mm": ((1265, 1880), (148, 351)),
    "nearest fill's squared error at 0-10 / 10-20 / 20-40 / 40+ m, %": ((0, 70), (14, 43), (10, 45), (1, 40)),
}  # fmt: skip
_HEIGHT, _WIDTH = 352, 1216


def crop(depth: np.ndarray) -> np.ndarray:
    """The lower middle, 352x1216, of a map that is at least as large; smaller ones are left whole."""
    height, width = depth.shape
    left = max(0, (width - _WIDTH) // 2)
    return depth[max(0, height - _HEIGHT) :, left : left + _WIDTH]


def frame_statistics(sparse: np.ndarray, truth: np.ndarray | None = None) -> dict[str, list[float]]:
    """The table's numbers of one frame; NaN where there is nothing to count."""
    sparse = crop(sparse)
    numbers = [*_coverage(sparse), *_lines(sparse), *_behind(sparse)]
    if truth is not None:
        numbers += _truth(sparse, crop(truth))
    of_truth = [name for name in BANDS if "truth" in name or name.startswith("nearest fill")]
    names = [name for name in BANDS if truth is not None or name not in of_truth]
    return dict(zip(names, numbers, strict=True))


def table(frames: Iterable[tuple[np.ndarray, np.ndarray | None]]) -> dict[str, list[float]]:
    """Mean of each number over frames."""
    collected: dict[str, list[list[float]]] = {}
    for sparse, truth in frames:
        for name, numbers in frame_statistics(sparse, truth).items():
            collected.setdefault(name, []).append(numbers)
    result = {}
    for name, rows in collected.items():
        values = np.asarray(rows, dtype=np.float64)
        known = np.isfinite(values)
        total = np.where(known, values, 0).sum(0)
        result[name] = [float(t / n) if n else float("nan") for t, n in zip(total, known.sum(0), strict=True)]
    return result


def inside_band(name: str, numbers: Sequence[float], slack: float = 0.05) -> list[bool]:
    """Which numbers of a row lie in the real range, widened by a part of its ends."""
    return [low * (1 - slack) <= x <= high * (1 + slack) for x, (low, high) in zip(numbers, BANDS[name], strict=True)]


def _share(mask: np.ndarray, among: int | None = None) -> float:
    count = mask.size if among is None else among
    return 100 * float(np.count_nonzero(mask)) / count if count else float("nan")


def _coverage(sparse: np.ndarray) -> list[list[float]]:
    known = sparse > 0
    rows = [_share(known[r : r + 32]) for r in range(96, 352, 32)]
    has = known.any(0)
    first = known.argmax(0)[has]
    below = (np.arange(len(sparse))[:, None] >= known.argmax(0)) & has
    distance = ndimage.distance_transform_edt(~known)[below]
    depth = sparse[known]
    if not depth.size:
        nothing = float("nan")
        return [[0.0], rows, [nothing] * 3, [nothing], [nothing] * 3, [nothing] * 6]
    return [
        [_share(known)],
        rows,
        np.percentile(first, (10, 50, 90)).tolist(),
        [_share(~known & below, int(below.sum()))],
        np.percentile(distance, (50, 90, 99)).tolist(),
        np.percentile(depth, (5, 25, 50, 75, 95, 99)).tolist(),
    ]


def _next_in_line(sparse: np.ndarray, reach: int = 12) -> tuple[np.ndarray, np.ndarray]:
    """For each point the distance in columns to the next one to the right, in its row or one beside it, and that one's depth.

    Two ``(H, W)``; distance ``reach + 1`` where there is none.
    """
    padded = np.pad(sparse, ((1, 1), (0, reach)))
    height, width = sparse.shape
    distance = np.full(sparse.shape, reach + 1)
    depth = np.zeros_like(sparse)
    for step in range(reach, 0, -1):
        for row in (0, 2, 1):
            other = padded[row : row + height, step : step + width]
            distance, depth = np.where(other > 0, step, distance), np.where(other > 0, other, depth)
    return distance, depth


def _next_line(sparse: np.ndarray, nearest: int = 2, farthest: int = 12) -> tuple[np.ndarray, np.ndarray]:
    """The same downwards: at least ``nearest`` rows below, in the column or one beside it."""
    padded = np.pad(sparse, ((0, farthest), (1, 1)))
    height, width = sparse.shape
    distance = np.zeros(sparse.shape)
    depth = np.zeros_like(sparse)
    for step in range(farthest, nearest - 1, -1):
        for column in (0, 2, 1):
            other = padded[step : step + height, column : column + width]
            distance, depth = np.where(other > 0, step, distance), np.where(other > 0, other, depth)
    return distance, depth


def _lines(sparse: np.ndarray) -> list[list[float]]:
    known = sparse > 0
    distance, depth = _next_in_line(sparse)
    inner = known.copy()
    inner[:, -12:] = False
    found = inner & (distance <= 6)
    step = np.abs(depth - sparse)[found]
    down, down_depth = _next_line(sparse)
    below = known & (down > 0)
    down_step = np.abs(down_depth - sparse)[below]
    gaps = distance[inner]
    spacing = []
    for row in (120, 160, 200, 240, 280, 320):
        band = down[row - 10 : row + 10][below[row - 10 : row + 10]]
        spacing.append(float(np.median(band)) if band.size else float("nan"))
    z = sparse[inner]
    return [
        [_share(step > limit) for limit in (0.1, 0.5, 1, 3, 10)],
        [_share(down_step > limit) for limit in (0.5, 1, 3, 10)],
        [_share(gaps == n) for n in (1, 2, 3, 4)] + [_share((gaps == 5) | (gaps == 6)), _share(gaps > 6)],
        [_share((gaps > 6)[(z >= low) & (z < high)]) for low, high in ((0, 10), (10, 20), (20, 40), (40, 80))],
        spacing,
    ]


def _is_behind(value: np.ndarray, near: np.ndarray, metres: float, part: float) -> np.ndarray:
    return (value - near > metres) & (value > (1 + part) * near)


def _least(sparse: np.ndarray, top: int, bottom: int, left: int, right: int) -> np.ndarray:
    """Least depth in a window that reaches so many pixels in each direction (negative: starts later); inf where none."""
    far = np.where(sparse > 0, sparse, np.inf)
    height, width = top + bottom + 1, left + right + 1
    pad = np.pad(far, ((max(top, 0), max(bottom, 0)), (max(left, 0), max(right, 0))), constant_values=np.inf)
    least = np.full(sparse.shape, np.inf)
    for i in range(height):
        for j in range(width):
            start_i, start_j = i + max(top, 0) - top, j + max(left, 0) - left
            view = pad[start_i : start_i + sparse.shape[0], start_j : start_j + sparse.shape[1]]
            least = np.minimum(least, view)
    return least


def _behind(sparse: np.ndarray) -> list[list[float]]:
    known = sparse > 0
    z = sparse[known]
    square, tall = _least(sparse, 3, 3, 3, 3)[known], _least(sparse, 7, 7, 2, 2)[known]
    rows: list[list[float]] = [
        [_share(_is_behind(z, near, metres, part)) for near in (square, tall)] for metres, part in ((1, 0.1), (3, 0.3))
    ]
    left, right = _least(sparse, 1, 1, 4, -1)[known], _least(sparse, 1, 1, -1, 4)[known]
    above, below = _least(sparse, 8, -2, 1, 1)[known], _least(sparse, -2, 8, 1, 1)[known]
    sides = _is_behind(z, left, 1, 0.1) & _is_behind(z, right, 1, 0.1)
    return [*rows, [_share(sides), _share(_is_behind(z, above, 1, 0.1) & _is_behind(z, below, 1, 0.1))]]


def nearest_fill(sparse: np.ndarray) -> np.ndarray:
    """Each pixel's nearest point: ``(H, W)`` -> ``(H, W)``."""
    rows, columns = ndimage.distance_transform_edt(sparse == 0, return_distances=False, return_indices=True)
    return np.asarray(sparse[rows, columns])


def _truth(sparse: np.ndarray, truth: np.ndarray) -> list[list[float]]:
    known, points = truth > 0, sparse > 0
    if not known.any() or not points.any():
        return []
    z = sparse[points]
    suspect = _is_behind(z, _least(sparse, 3, 3, 3, 3)[points], 1, 0.1)
    has = known[points]
    both = known[:, 1:] & known[:, :-1]
    differ = np.abs(truth[:, 1:] - truth[:, :-1])[both]
    target = truth[known].astype(np.float64)
    error = nearest_fill(sparse)[known] - target
    large = (np.abs(error) > 1) & (np.abs(error) > 0.1 * target)
    squared = error**2
    total = squared.sum()
    edges = ((0, 10), (10, 20), (20, 40), (40, np.inf))
    return [
        [_share(known)],
        [_share(has[suspect]), _share(has[~suspect])],
        [_share(differ > limit) for limit in (0.5, 1, 3)],
        [_share(large & (error > 0)), _share(large & (error < 0))],
        [1000 * float(np.sqrt(squared.mean())), 1000 * float(np.abs(error).mean())],
        [100 * float(squared[(target >= low) & (target < high)].sum() / total) if total else 0.0 for low, high in edges],
    ]
