"""Errors of inverse depth, as KITTI's iMAE and iRMSE measure them: near errors count more.

    l1 = 1/N * sum |e|,  l2 = 1/N * sum e^2          e = 1000 (1/pred - 1/target), in 1/km for depths in metres

Shapes      (B, 1, H, W), (B, 1, H, W) metres, bool (B, 1, H, W) -> scalar.
Test time   dropped.
Differs     below floor_m the tangent takes the place of 1/depth, for prediction and target alike: a linear output may be
            negative in training, where 1/depth has the wrong sign and no clamp would let it return.
Cost        none.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from ..contracts import Loss
from ..registry import LOSSES
from .reduction import inverse_error, mean_over_valid, positive


class _InverseDepthLoss(Loss):
    """What both share.

    Args:
        floor_m: Depth in metres below which the tangent continues 1/depth; choose it below the nearest target.
        weight, schedule: See :class:`~mtdc.contracts.Loss`.

    Raises:
        ValueError: A floor that is not positive.
    """

    kinds = ("map", "depth")

    def __init__(self, floor_m: float = 0.5, weight: float = 1.0, schedule: Mapping[str, Any] | None = None) -> None:
        super().__init__(weight, schedule)
        self.floor_m = positive("floor_m", floor_m)


@LOSSES.register_module()
class InverseL1(_InverseDepthLoss):
    """Mean absolute error of inverse depth, 1/km.

    Args:
        floor_m: Depth in metres below which the tangent continues 1/depth; choose it below the nearest target.
        weight, schedule: See :class:`~mtdc.contracts.Loss`.
    """

    unit = "1/km"

    def forward(self, pred: Tensor, target: Tensor, valid: Tensor, *maps: Tensor) -> Tensor:
        """Mean of |1/pred - 1/target|."""
        return mean_over_valid(inverse_error(pred, target, self.floor_m).abs(), valid)


@LOSSES.register_module()
class InverseL2(_InverseDepthLoss):
    """Mean squared error of inverse depth, 1/km^2.

    Args:
        floor_m: Depth in metres below which the tangent continues 1/depth; choose it below the nearest target.
        weight, schedule: See :class:`~mtdc.contracts.Loss`.
    """

    unit = "1/km^2"

    def forward(self, pred: Tensor, target: Tensor, valid: Tensor, *maps: Tensor) -> Tensor:
        """Mean of (1/pred - 1/target)^2."""
        return mean_over_valid(inverse_error(pred, target, self.floor_m).square(), valid)
