"""Cosine distance of surface normals (Eigen and Fergus, ICCV 2015, Eq. 2; as 1 - n . n* in the field since).

    l = 1/N * sum ( 1 - pred . target )          N: how many pixels have a known normal

Shapes      unit vectors (B, 3, H, W) twice, bool (B, 1, H, W) -> scalar in 0..2.
Test time   dropped.
Differs     1 - the mean of the cosine, so that a perfect answer has loss 0.
Cost        none.
"""

from __future__ import annotations

from torch import Tensor

from ..contracts import Loss
from ..registry import LOSSES
from .reduction import full_precision, mean_over_valid


def cosine(pred: Tensor, target: Tensor, valid: Tensor) -> Tensor:
    """Mean of 1 - pred . target over valid pixels; both are unit vectors."""
    product = (full_precision(pred) * target).sum(dim=1, keepdim=True)
    return mean_over_valid(1 - product, valid)


@LOSSES.register_module()
class Cosine(Loss):
    """One minus the cosine of the angle between predicted and true normal."""

    unit = "1"
    kinds = ("normals",)

    def forward(self, pred: Tensor, target: Tensor, valid: Tensor, *maps: Tensor) -> Tensor:
        """See :func:`cosine`."""
        return cosine(pred, target, valid)
