"""Mean absolute error over known pixels (the l1 variant of Lu et al., CVPR 2020, Table 1).

    l = 1/N * || Psi * (pred - target) ||_1          Psi: where the target is known, N: how many pixels that is

Shapes      (B, C, H, W), (B, C, H, W), bool (B, 1, H, W) -> scalar.
Test time   dropped.
Differs     N counts the batch's pixels, as in L2.
Cost        none.
"""

from __future__ import annotations

from torch import Tensor

from ..contracts import Loss
from ..registry import LOSSES
from .reduction import CONTINUOUS, full_precision, mean_over_valid


def l1(pred: Tensor, target: Tensor, valid: Tensor) -> Tensor:
    """Mean of |pred - target| over valid pixels."""
    return mean_over_valid((full_precision(pred) - target).abs(), valid)


@LOSSES.register_module()
class L1(Loss):
    """Mean absolute error over known pixels."""

    unit = "u"
    kinds = CONTINUOUS

    def forward(self, pred: Tensor, target: Tensor, valid: Tensor, *maps: Tensor) -> Tensor:
        """See :func:`l1`."""
        return l1(pred, target, valid)
