"""Binary cross entropy of a probability, over known pixels.

    l = -1/N * sum [ t log p + (1 - t) log(1 - p) ]          p clamped to [eps, 1 - eps]

Shapes      (B, C, H, W) probabilities, (B, C, H, W) in 0..1, bool (B, 1, H, W) -> scalar.
Test time   dropped.
Differs     the clamp keeps the gradient finite where a sigmoid has saturated in half precision.
Cost        none.
"""

from __future__ import annotations

from torch import Tensor

from ..contracts import Loss
from ..registry import LOSSES
from .reduction import full_precision, mean_over_valid

#: Smallest probability that is told from 0, so that the logarithm stays above -14.
EPSILON = 1e-6


def binary_cross_entropy(pred: Tensor, target: Tensor, valid: Tensor) -> Tensor:
    """Mean of -(t log p + (1 - t) log(1 - p)) over valid pixels; float32 inside, also under autocast."""
    pred = full_precision(pred).clamp(EPSILON, 1 - EPSILON)
    return mean_over_valid(-(target * pred.log() + (1 - target) * (1 - pred).log()), valid)


@LOSSES.register_module()
class BinaryCrossEntropy(Loss):
    """Binary cross entropy of a probability."""

    unit = "nat"
    kinds = ("map", "image")

    def forward(self, pred: Tensor, target: Tensor, valid: Tensor, *maps: Tensor) -> Tensor:
        """See :func:`binary_cross_entropy`."""
        return binary_cross_entropy(pred, target, valid)
