"""Where a model fails: its errors by distance, class, image row, nearness to a measured point, and at depth edges.

    rmse(R) = sqrt( sum e^2 / N ),  mae(R) = sum |e| / N          sums over the pixels of region R in all frames, N: how many

The regions are those of :mod:`mtdc.metrics.regions`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from ..errors import DataError
from ..metrics.functional import interpolate_background
from ..metrics.regions import (
    BANDS_M,
    INDOOR_BANDS_M,
    class_regions,
    depth_edges,
    distance_bands,
    distance_to_given,
    edges_between_known,
    error_sums,
    given_bands,
)
from ..structures import DENSE_DEPTH, DEPTH, SEMANTICS, SPARSE_DEPTH, Field
from .bootstrap import BATCH, INTERVAL_RESAMPLES, INTERVAL_SEED
from .predictors import Prediction

#: Names of the groups, in the order of the table.
GROUPS = ("all", "distance", "class", "row", "given", "edge")
#: Bands of equal height that a picture's rows are put in.
ROW_BANDS = 8
#: Greatest limit of predictions, in metres, by which a protocol is one for rooms.
ROOM_M = 20.0
#: Squared error, absolute error and pixels of one frame's part of a region.
_Sums = tuple[float, float, int]


@dataclass(frozen=True)
class Row:
    """Errors of one region, over all frames.

    Args:
        group, region: Which; ``group`` is one of :data:`GROUPS`.
        rmse_mm, mae_mm: Over the region's pixels in all frames.
        pixels: How many these are.
        frames: Frames that have any of them.
        low_mm, high_mm: 95 % interval of the RMSE, from those frames drawn again; None where there is one frame alone.
    """

    group: str
    region: str
    rmse_mm: float
    mae_mm: float
    pixels: int
    frames: int
    low_mm: float | None
    high_mm: float | None


def depth_errors(
    item: Mapping[str, Any],
    prediction: Prediction,
    clamp_m: tuple[float, float] | None = None,
    fill_holes: bool = False,
    truth: Field = DEPTH,
) -> tuple[np.ndarray, np.ndarray]:
    """Error and ground truth of one frame: two ``(H, W)`` float64 maps in metres, truth 0 = unknown, where the error is 0.

    Raises:
        DataError: The answer and the ground truth differ in size, or the frame has no such ground truth.
    """
    sample = item["data_samples"]
    stored = sample.get(truth.target_key)
    if stored is None:
        raise DataError(f"{sample.sample_id} has no '{truth.target_key}' to measure against.")
    known_depth = stored[0].numpy().astype(np.float64)
    answer = prediction.depth.astype(np.float64)
    if answer.shape != known_depth.shape:
        raise DataError(f"{sample.sample_id}: the depth is {answer.shape}, its ground truth {known_depth.shape}.")
    if fill_holes:
        answer = interpolate_background(answer)
    if clamp_m is not None:
        answer = np.clip(answer, *clamp_m)
    return np.where(known_depth > 0, answer - known_depth, 0.0), known_depth


class Breakdown:
    """Sums of squared and absolute error by region, for one model.

    Args:
        classes: Names of the data set's classes, where its frames have labels; None: no group "class".
        clamp_m: Predictions are limited to this range first, as the metric does it; None: not at all.
        fill_holes: Fill pixels that the prediction leaves at 0 first, as KITTI's benchmark does.
        bands_m: Bounds of the distance bands in metres; the last has no end. None: those of a room where predictions are
            limited to ``ROOM_M`` or less, else those of a street.
        truth: "depth": errors against the ground truth; "dense": against the depth of every pixel, in frames that have it.
    """

    def __init__(
        self,
        classes: Sequence[str] | None = None,
        clamp_m: tuple[float, float] | None = None,
        fill_holes: bool = False,
        bands_m: Sequence[float] | None = None,
        truth: str = "depth",
    ) -> None:
        if truth not in ("depth", "dense"):
            raise ValueError(f"truth='{truth}'; expected 'depth' or 'dense'")
        if bands_m is None:
            bands_m = INDOOR_BANDS_M if clamp_m is not None and clamp_m[1] <= ROOM_M else BANDS_M
        if list(bands_m) != sorted(set(bands_m)) or not len(bands_m):
            raise ValueError(f"bands_m={tuple(bands_m)} must rise")
        self.classes = None if classes is None else tuple(classes)
        self.clamp_m, self.fill_holes = clamp_m, fill_holes
        self.bands_m = tuple(float(bound) for bound in bands_m)
        self.truth = DENSE_DEPTH if truth == "dense" else DEPTH
        self._sums: dict[tuple[str, str], list[_Sums]] = {}
        self._heights: set[int] = set()

    def add(self, item: Mapping[str, Any], prediction: Prediction) -> None:
        """Measure one frame; one without ground truth adds nothing.

        Args:
            item: As :class:`~mtdc.analysis.frames.Frames` gives it.
            prediction: Its answer.

        Raises:
            DataError: The answer has another size than the ground truth.
        """
        error, truth = depth_errors(item, prediction, self.clamp_m, self.fill_holes, self.truth)
        known = truth > 0
        if not known.any():
            return
        self._heights.add(truth.shape[0])
        error = error[known]
        for group, regions in self._regions(item, truth, known).items():
            for name, region in regions.items():
                sums = error_sums(error, region)
                if sums[2]:
                    self._sums.setdefault((group, name), []).append(sums)

    def _regions(self, item: Mapping[str, Any], truth: np.ndarray, known: np.ndarray) -> dict[str, dict[str, np.ndarray]]:
        """Which of the known pixels, in their order, belong to each region of each group."""
        sample = item["data_samples"]
        dense, labels = sample.get(DENSE_DEPTH.target_key), sample.get(SEMANTICS.target_key)
        edges = edges_between_known(truth) if dense is None else depth_edges(dense[0].numpy())
        edges = edges[known]
        bands = np.nonzero(known)[0] * ROW_BANDS // truth.shape[0]
        distance = distance_to_given(item["inputs"][SPARSE_DEPTH.name][0].numpy())[known]
        return {
            "all": {"all": np.ones(edges.shape, dtype=bool)},
            "distance": distance_bands(truth[known], self.bands_m),
            "class": {} if self.classes is None or labels is None else class_regions(labels.numpy()[known], self.classes),
            "row": {str(band): bands == band for band in range(ROW_BANDS)},
            "given": given_bands(distance),
            "edge": {"edge": edges, "away": ~edges},
        }

    def table(self) -> list[Row]:
        """A row for each region that has a pixel; groups in the order of :data:`GROUPS`, regions in their natural one."""
        return [
            _row(group, self._row_name(int(name)) if group == "row" else name, self._sums[group, name])
            for group in GROUPS
            for name in self._names(group)
        ]

    def _names(self, group: str) -> list[str]:
        order = {
            "all": ["all"],
            "distance": list(distance_bands(np.zeros(0), self.bands_m)),
            "class": [name.replace(" ", "_") for name in self.classes or ()],
            "row": [str(band) for band in range(ROW_BANDS)],
            "given": list(given_bands(np.zeros(0))),
            "edge": ["edge", "away"],
        }
        return [name for name in order[group] if (group, name) in self._sums]

    def _row_name(self, band: int) -> str:
        """Rows of a band, first and last; percent of the height where frames differ in it."""
        if len(self._heights) > 1:
            return f"{100 * band / ROW_BANDS:g}-{100 * (band + 1) / ROW_BANDS:g} %"
        height = next(iter(self._heights))
        first, last = -(-band * height // ROW_BANDS), -(-(band + 1) * height // ROW_BANDS) - 1
        return f"{first}-{last}" if first < last else f"{first}"


def _row(group: str, region: str, frames: Sequence[_Sums]) -> Row:
    squared, absolute, pixels = np.asarray(frames, dtype=np.float64).T
    low, high = (None, None) if len(frames) < 2 else _interval(squared, pixels)
    return Row(
        group,
        region,
        rmse_mm=1000 * math.sqrt(squared.sum() / pixels.sum()),
        mae_mm=1000 * float(absolute.sum() / pixels.sum()),
        pixels=int(pixels.sum()),
        frames=len(frames),
        low_mm=low,
        high_mm=high,
    )


def _interval(squared: np.ndarray, pixels: np.ndarray) -> tuple[float, float]:
    """95 % interval of the RMSE in mm, by the bootstrap's percentiles over frames (Efron, Annals of Statistics 1979)."""
    bounds = stats.bootstrap(
        (squared, pixels),
        lambda s, n, axis: 1000 * np.sqrt(s.sum(axis=axis) / n.sum(axis=axis)),
        paired=True,
        vectorized=True,
        n_resamples=INTERVAL_RESAMPLES,
        batch=BATCH,
        method="percentile",
        random_state=INTERVAL_SEED,
    ).confidence_interval
    return float(bounds.low), float(bounds.high)
