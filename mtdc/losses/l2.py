"""Mean squared error over known pixels (Lu et al., CVPR 2020, Eqs. 13 and 14).

    l = 1/N * || Psi * (pred - target) ||_2^2          Psi: where the target is known, N: how many pixels that is

Shapes      (B, C, H, W), (B, C, H, W), bool (B, 1, H, W) -> scalar.
Test time   dropped.
Differs     the paper doesn't say whether N counts a frame's or the batch's pixels: the batch's here.
Cost        none.
"""

from __future__ import annotations

from torch import Tensor

from ..contracts import Loss
from ..registry import LOSSES
from .reduction import CONTINUOUS, full_precision, mean_over_valid


def l2(pred: Tensor, target: Tensor, valid: Tensor) -> Tensor:
    """Mean of (pred - target)^2 over valid pixels."""
    return mean_over_valid((full_precision(pred) - target).square(), valid)


@LOSSES.register_module()
class L2(Loss):
    """Mean squared error over known pixels."""

    unit = "u^2"
    kinds = CONTINUOUS

    def forward(self, pred: Tensor, target: Tensor, valid: Tensor, *maps: Tensor) -> Tensor:
        """See :func:`l2`."""
        return l2(pred, target, valid)
