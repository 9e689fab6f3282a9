"""Smooth l1, also called Huber loss: squared near zero, absolute beyond (Girshick, Fast R-CNN, ICCV 2015, Eq. 3).

    l = 1/N * sum huber(e)          huber(e) = e^2 / (2 beta)  for |e| < beta,  |e| - beta/2  otherwise;  e = pred - target

Shapes      (B, C, H, W), (B, C, H, W), bool (B, 1, H, W) -> scalar.
Test time   dropped.
Differs     beta is in the unit of the prediction, and a parameter; the paper has 1.
Cost        none.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch.nn.functional as functional
from torch import Tensor

from ..contracts import Loss
from ..registry import LOSSES
from .reduction import CONTINUOUS, full_precision, mean_over_valid, positive


def smooth_l1(pred: Tensor, target: Tensor, valid: Tensor, beta: float = 1.0) -> Tensor:
    """Mean of huber(pred - target) over valid pixels."""
    return mean_over_valid(functional.smooth_l1_loss(full_precision(pred), target, reduction="none", beta=beta), valid)


@LOSSES.register_module()
class SmoothL1(Loss):
    """Squared error near zero, absolute error beyond.

    Args:
        beta: Error at which the one becomes the other, in the prediction's unit.
        weight, schedule: See :class:`~mtdc.contracts.Loss`.

    Raises:
        ValueError: A beta that is not positive.
    """

    unit = "u"
    kinds = CONTINUOUS

    def __init__(self, beta: float = 1.0, weight: float = 1.0, schedule: Mapping[str, Any] | None = None) -> None:
        super().__init__(weight, schedule)
        self.beta = positive("beta", beta)

    def forward(self, pred: Tensor, target: Tensor, valid: Tensor, *maps: Tensor) -> Tensor:
        """See :func:`smooth_l1`."""
        return smooth_l1(pred, target, valid, self.beta)
