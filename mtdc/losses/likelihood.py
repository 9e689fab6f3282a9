"""Negative log likelihood of an error with a predicted spread (Kendall and Gal, NeurIPS 2017, Eq. 5; with Laplace's law too).

    Laplace:   l = 1/N * sum [ |e| / b + ln 2b ],  b = s / sqrt 2          Gauss:   l = 1/N * sum [ e^2 / s^2 + ln s^2 ] / 2

Shapes      pred, target, standard deviation s (B, C, H, W) in one unit, bool (B, 1, H, W) -> scalar, which may be negative.
Test time   dropped; the standard deviation is a prediction of its own.
Differs     the standard deviation is read in physical units, as the task exports it; the network predicts its logarithm. The
            constant ln(2 pi) / 2 of Gauss's law is left out, as in the paper.
Cost        one more channel of the head.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from ..contracts import Loss
from ..registry import LOSSES
from .reduction import full_precision, mean_over_valid


def _spread(deviation: Tensor) -> Tensor:
    """The standard deviation, kept above what float32 can divide by."""
    return full_precision(deviation).clamp(min=1e-6)


def laplace_nll(pred: Tensor, target: Tensor, valid: Tensor, deviation: Tensor) -> Tensor:
    """Mean of |e| / b + ln 2b over valid pixels, b = deviation / sqrt 2."""
    b = _spread(deviation) / math.sqrt(2)
    return mean_over_valid((full_precision(pred) - target).abs() / b + (2 * b).log(), valid)


def gaussian_nll(pred: Tensor, target: Tensor, valid: Tensor, deviation: Tensor) -> Tensor:
    """Mean of (e^2 / s^2 + ln s^2) / 2 over valid pixels, s = deviation."""
    s = _spread(deviation)
    return mean_over_valid(((full_precision(pred) - target) / s).square() / 2 + s.log(), valid)


class _Likelihood(Loss):
    def __init__(
        self, deviation: str = "depth_confidence", weight: float = 1.0, schedule: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(weight, schedule)
        self.reads = (deviation,)


@LOSSES.register_module()
class LaplaceNLL(_Likelihood):
    """Likelihood of Laplace's law: absolute errors over a predicted spread.

    Args:
        deviation: Name of the task's output that is the standard deviation.
        weight, schedule: See :class:`~mtdc.contracts.Loss`.
    """

    unit = "nat"
    kinds = ("map", "depth")
    reads = ("depth_confidence",)

    def forward(self, pred: Tensor, target: Tensor, valid: Tensor, *maps: Tensor) -> Tensor:
        """See :func:`laplace_nll`; maps: the standard deviation."""
        return laplace_nll(pred, target, valid, maps[0])


@LOSSES.register_module()
class GaussianNLL(_Likelihood):
    """Likelihood of Gauss's law: squared errors over a predicted variance.

    Args:
        deviation: Name of the task's output that is the standard deviation.
        weight, schedule: See :class:`~mtdc.contracts.Loss`.
    """

    unit = "nat"
    kinds = ("map", "depth")
    reads = ("depth_confidence",)

    def forward(self, pred: Tensor, target: Tensor, valid: Tensor, *maps: Tensor) -> Tensor:
        """See :func:`gaussian_nll`; maps: the standard deviation."""
        return gaussian_nll(pred, target, valid, maps[0])
