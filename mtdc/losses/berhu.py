"""Reverse Huber loss: absolute near zero, squared beyond (Laina et al., 3DV 2016).

    l = 1/N * sum berhu(e)          berhu(e) = |e|  for |e| <= c,  (e^2 + c^2) / (2c)  otherwise;  c = share * max |e|

Shapes      (B, C, H, W), (B, C, H, W), bool (B, 1, H, W) -> scalar.
Test time   dropped.
Differs     the maximum is over the known pixels of the batch that one process has; no gradient goes through c.
Cost        none.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ..contracts import Loss
from ..registry import LOSSES
from .reduction import CONTINUOUS, full_precision, mean_over_valid, positive


def berhu(pred: Tensor, target: Tensor, valid: Tensor, share: float = 0.2) -> Tensor:
    """Mean of berhu(pred - target) over valid pixels."""
    error = (full_precision(pred) - target).abs().where(valid, 0)
    c = share * error.detach().amax()
    # Where all errors are 0, c is 0 too, and the branch that divides by it is not taken; its gradient must be finite still.
    squared = (error.square() + c.square()) / (2 * c.clamp(min=torch.finfo(error.dtype).tiny ** 0.5))
    return mean_over_valid(error.where(error <= c, squared), valid)


@LOSSES.register_module()
class BerHu(Loss):
    """Absolute error up to a share of the batch's greatest, squared error beyond.

    Args:
        share: c over the greatest absolute error.
        weight, schedule: See :class:`~mtdc.contracts.Loss`.

    Raises:
        ValueError: A share that is not positive.
    """

    unit = "u"
    kinds = CONTINUOUS

    def __init__(self, share: float = 0.2, weight: float = 1.0, schedule: Mapping[str, Any] | None = None) -> None:
        super().__init__(weight, schedule)
        self.share = positive("share", share)

    def forward(self, pred: Tensor, target: Tensor, valid: Tensor, *maps: Tensor) -> Tensor:
        """See :func:`berhu`."""
        return berhu(pred, target, valid, self.share)
