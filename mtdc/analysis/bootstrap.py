"""Which differences between models are real: paired bootstrap over frames, or over drives (Efron and Tibshirani, 1993).

    d_i = error of one model on frame i - error of the other        mean of d, and the 2.5 and 97.5 % quantiles of the means
                                                                    of ``RESAMPLES`` draws with replacement

Both models are measured on the same frames, so that what makes a frame hard leaves d. Frames of one drive are alike, and
drawing them one by one makes the interval too narrow: where names tell enough drives, whole drives are drawn.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import stats

from ..engine.pairing import kitti_identity

RESAMPLES = 10_000
#: Of an interval that stands beside a single number: draws, their seed, and how many are made at once, so that thousands of
#: frames fit into memory.
INTERVAL_RESAMPLES, INTERVAL_SEED, BATCH = 2000, 0, 100
#: From so many drives on, drives are drawn in place of frames: fewer can't tell a spread.
LEAST_DRIVES = 10
#: Draws at a time; more would only cost memory.
_CHUNK = 500


@dataclass(frozen=True)
class Difference:
    """Mean difference of two models, first minus second.

    Args:
        first, second: The models.
        mean: In the metric's unit; below 0 the first has less.
        low, high: 95 % interval of the mean.
        real: The interval holds no 0.
    """

    first: str
    second: str
    mean: float
    low: float
    high: float

    @property
    def real(self) -> bool:
        """Whether the interval leaves 0 out; never with a single group, which has no interval."""
        return self.low > 0 or self.high < 0


def drives_of(frames: Sequence[str]) -> list[str] | None:
    """The drive of each frame, where all names tell one."""
    drives = [kitti_identity(Path(frame)).drive for frame in frames]
    return None if any(drive is None for drive in drives) else [str(drive) for drive in drives]


def groups_of(frames: Sequence[str]) -> tuple[np.ndarray, str]:
    """Number of the group that each frame is drawn with, and what the groups are: "frames", or "drives" if they are enough."""
    drives = drives_of(frames)
    if drives is not None and len(set(drives)) >= LEAST_DRIVES:
        return np.unique(drives, return_inverse=True)[1].reshape(-1), "drives"
    return np.arange(len(frames)), "frames"


def paired_differences(
    values: Mapping[str, Mapping[str, float]], pairs: Sequence[tuple[str, str]], seed: int = 0
) -> tuple[list[Difference], str]:
    """Differences of pairs of models, all from the same draws, and what was drawn: "frames" or "drives".

    Args:
        values: ``{model: {frame: error}}``; only frames that all models have are compared.
        pairs: ``(first, second)``.
        seed: Of the draws.

    Raises:
        ValueError: There is no common frame.
    """
    frames = [frame for frame in next(iter(values.values())) if all(frame in own for own in values.values())]
    if not frames:
        raise ValueError("no frame was measured for all models")
    groups, drawn = groups_of(frames)
    counts = np.bincount(groups)
    differences = np.array([[values[a][frame] - values[b][frame] for frame in frames] for a, b in pairs])
    sums = (
        np.stack([np.bincount(groups, row, minlength=len(counts)) for row in differences])
        if len(pairs)
        else np.empty((0, len(counts)))
    )
    means = _resampled(sums, counts, seed) if len(counts) > 1 else np.full((len(pairs), 1), math.nan)
    found = []
    for (first, second), row, drawn_means in zip(pairs, differences, means, strict=True):
        low, high = np.quantile(drawn_means, (0.025, 0.975))
        found.append(Difference(first, second, float(row.mean()), float(low), float(high)))
    return found, drawn


def _resampled(sums: np.ndarray, counts: np.ndarray, seed: int) -> np.ndarray:
    """Means of each row over groups drawn with replacement: ``(pairs, RESAMPLES)``."""
    generator = np.random.default_rng(seed)
    means = []
    for start in range(0, RESAMPLES, _CHUNK):
        chosen = generator.integers(len(counts), size=(min(_CHUNK, RESAMPLES - start), len(counts)))
        means.append(sums[:, chosen].sum(axis=2) / counts[chosen].sum(axis=1))
    return np.concatenate(means, axis=1)


def interval(values: Sequence[float]) -> tuple[float, float]:
    """A 95 % interval of the mean over frames, by the bootstrap's percentiles (Efron, Annals of Statistics 1979)."""
    if len(values) < 2:
        return float("nan"), float("nan")
    if np.ptp(values) == 0:
        return float(values[0]), float(values[0])
    bounds = stats.bootstrap(
        (np.asarray(values, dtype=np.float64),),
        np.mean,
        n_resamples=INTERVAL_RESAMPLES,
        batch=BATCH,
        method="percentile",
        random_state=INTERVAL_SEED,
    ).confidence_interval
    return float(bounds.low), float(bounds.high)
