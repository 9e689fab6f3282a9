"""Whether a model's confidence is worth anything: sparsification and reliability of its expected error.

Sparsification (Ilg et al., ECCV 2018; Poggi et al., CVPR 2020): the pixels with the largest expected error are taken away,
share by share, and the RMSE of the rest is measured,

    rmse(f) = sqrt( sum of e^2 over the (1 - f) N pixels of least expected error / ((1 - f) N) )

beside an oracle that takes away the largest true errors and a random order, whose RMSE stays in expectation what it was. Each
frame's curves are divided by its RMSE, and the mean over frames is taken;

    AUSE = integral of model - oracle,    AURG = integral of random - model        over f, from 0 to ``LAST``, by trapezia

Pixels of the same expected error leave in random order: where a share ends between them, their mean squared error stands for
each (the expectation of the sum), so that the order of pixels in memory changes nothing.

Reliability: pixels in bins by expected error; a model that knows its error has in each bin an RMSE of sqrt(mean s^2), with s
the standard deviation that it expects.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import integrate

from ..errors import DataError
from .breakdown import depth_errors
from .predictors import Prediction

#: Steps of the curves: shares of pixels that are taken away.
STEPS = 50
LAST = (STEPS - 1) / STEPS
#: Bins of the reliability table; their number where the deviations allow as many.
BINS = 20
#: Fine bins by the logarithm of the deviation, from which those are put together: 2 % wide, 0.01 mm to 10 km.
_FINE_M = np.geomspace(1e-5, 1e4, 1047)


@dataclass(frozen=True)
class Curves:
    """Sparsification curves, means over frames.

    Args:
        fractions: Shares of pixels taken away.
        rmse_mm, oracle_mm, random_mm: RMSE of the rest in the model's order, the oracle's and a random one.
        relative, oracle_relative: Each frame's first two divided by its RMSE; random is 1 throughout.
        frames: How many the means are of.
    """

    fractions: np.ndarray
    rmse_mm: np.ndarray
    oracle_mm: np.ndarray
    random_mm: np.ndarray
    relative: np.ndarray
    oracle_relative: np.ndarray
    frames: int


@dataclass(frozen=True)
class Reliability:
    """Expected against observed error.

    Args:
        expected_mm: Of each bin sqrt(mean s^2), s the expected standard deviation; rising.
        observed_mm: RMSE of the bin's pixels.
        pixels: How many these are.
        within: Shares of all pixels whose error is at most one and two deviations.
    """

    expected_mm: np.ndarray
    observed_mm: np.ndarray
    pixels: np.ndarray
    within: tuple[float, float]

    def rows(self) -> list[tuple[float, float, int]]:
        """``(expected_mm, observed_mm, pixels)`` of each bin."""
        columns = (self.expected_mm.tolist(), self.observed_mm.tolist(), self.pixels.tolist())
        return list(zip(*columns, strict=True))


class Calibration:
    """Sparsification curves and reliability of one model, frame by frame.

    Args:
        clamp_m: Predictions are limited to this range first, as the metric does it; None: not at all.
    """

    def __init__(self, clamp_m: tuple[float, float] | None = None) -> None:
        self.clamp_m = clamp_m
        self._curves: list[np.ndarray] = []
        #: Sums of s^2 and e^2, and pixels, of each fine bin.
        self._fine = np.zeros((3, len(_FINE_M) + 1))
        self._within = np.zeros(2)

    def add(self, item: Mapping[str, Any], prediction: Prediction) -> None:
        """Measure one frame; one without ground truth adds nothing.

        Raises:
            ValueError: The model expects no error.
            DataError: Sizes differ, or an expected error is negative or no number.
        """
        if prediction.deviation is None:
            raise ValueError("the prediction has no expected error")
        error, truth = depth_errors(item, prediction, self.clamp_m)
        name = item["data_samples"].sample_id
        if prediction.deviation.shape != truth.shape:
            raise DataError(f"{name}: the expected error is {prediction.deviation.shape}, its ground truth {truth.shape}.")
        known = truth > 0
        if not known.any():
            return
        deviation, error = prediction.deviation[known].astype(np.float64), np.abs(error[known])
        wrong = ~(np.isfinite(deviation) & (deviation >= 0))
        if wrong.any():
            raise DataError(
                f"{name}: {int(wrong.sum())} of {wrong.size} expected errors are negative or no numbers, as "
                f"{deviation[wrong][0]}; expected standard deviations in metres."
            )
        squared = error**2
        self._curves.append(np.stack((_sparsified(squared, deviation), _sparsified(squared, error))))
        place = np.searchsorted(_FINE_M, deviation)
        for row, weights in zip(self._fine, (deviation**2, squared, None), strict=True):
            row += np.bincount(place, weights, minlength=row.size)
        self._within += (error <= deviation).sum(), (error <= 2 * deviation).sum()

    def curves(self) -> Curves:
        """Means over the frames so far.

        Raises:
            ValueError: No frame with ground truth was added.
        """
        curves = self._all()
        full = curves[:, :1, :1]
        # A frame without any error has no curve relative to it.
        relative = (curves / np.where(full > 0, full, np.nan))[full[:, 0, 0] > 0]
        model, oracle = relative.mean(axis=0) if len(relative) else np.full((2, STEPS), np.nan)
        rmse, best = 1000 * curves.mean(axis=0)
        return Curves(np.arange(STEPS) / STEPS, rmse, best, np.full(STEPS, rmse[0]), model, oracle, len(curves))

    @property
    def ause(self) -> float:
        """Area between the model's curve and the oracle's, relative to the RMSE; 0 is best."""
        c = self.curves()
        return float(integrate.trapezoid(c.relative - c.oracle_relative, c.fractions))

    @property
    def aurg(self) -> float:
        """Area between a random order's curve and the model's, relative to the RMSE; 0: the confidence is worth nothing."""
        c = self.curves()
        return float(integrate.trapezoid(1 - c.relative, c.fractions))

    def reliability(self) -> Reliability:
        """Bins of about equal count by expected error, over all frames.

        Raises:
            ValueError: No frame with ground truth was added.
        """
        self._all()
        pixels = self._fine[2]
        total = pixels.sum()
        # Each fine bin goes where its middle pixel lies in the order of all.
        middle = (np.cumsum(pixels) - pixels / 2) / total
        coarse = np.minimum((middle * BINS).astype(int), BINS - 1)
        variance, squared, count = (np.bincount(coarse, row, minlength=BINS) for row in self._fine)
        filled = count > 0
        variance, squared, count = variance[filled], squared[filled], count[filled]
        first, second = (float(share) for share in self._within / total)
        return Reliability(
            1000 * np.sqrt(variance / count), 1000 * np.sqrt(squared / count), count.astype(np.int64), (first, second)
        )

    def _all(self) -> np.ndarray:
        if not self._curves:
            raise ValueError("no frame with ground truth was added")
        return np.stack(self._curves)


def _sparsified(squared: np.ndarray, order: np.ndarray) -> np.ndarray:
    """RMSE in metres of what is left of a frame's pixels, for each share taken away, the largest of ``order`` first."""
    values, group, counts = np.unique(order, return_inverse=True, return_counts=True)
    sums = np.bincount(group.reshape(-1), squared, minlength=len(values))
    kept = squared.size * (1 - np.arange(STEPS) / STEPS)
    # Between the ends of groups of equal order the expected sum grows evenly.
    left = np.interp(kept, np.concatenate(([0], np.cumsum(counts))), np.concatenate(([0.0], np.cumsum(sums))))
    rmse: np.ndarray = np.sqrt(left / kept)
    return rmse
