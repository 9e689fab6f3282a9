"""Errors of the logarithm of depth: relative errors, and those but for a common scale (Eigen et al., NeurIPS 2014, Eq. 4).

    l1 = 1/N * sum |d|          silog = scale * sqrt(mean d^2 - focus (mean d)^2)          d = ln pred - ln target

Shapes      (B, 1, H, W), (B, 1, H, W) metres, bool (B, 1, H, W) -> scalar.
Test time   dropped.
Differs     (mean d) is a frame's, as the scale is; frames weigh by their known pixels; root and factor are the form that became
            usual later, root=False is the paper's. Below floor_m the tangent continues the logarithm: a linear output may be
            negative in training.
Cost        none.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ..contracts import Loss
from ..registry import LOSSES
from .reduction import log_error, mean_over_valid, positive


def silog(
    pred: Tensor,
    target: Tensor,
    valid: Tensor,
    focus: float = 0.85,
    scale: float = 10.0,
    root: bool = True,
    floor_m: float = 0.5,
) -> Tensor:
    """Scale-invariant logarithmic error; a prediction that is the target exactly has a gradient of 0."""
    d = log_error(pred, target, floor_m).where(valid, 0)
    known = valid.sum(dim=(1, 2, 3))
    mean = d.sum(dim=(1, 2, 3)) / (known * d.shape[1]).clamp(min=1)
    # Around the frame's mean, not as a difference of two sums: nothing cancels. mean d^2 = var d + (mean d)^2.
    spread = mean_over_valid((d - mean[:, None, None, None]).square(), valid)
    common = (mean.square() * known).sum() / known.sum().clamp(min=1)
    value = spread + (1 - focus) * common
    if root:
        # The root's gradient is infinite at 0: it is taken elsewhere alone.
        above = value > 0
        value = torch.where(above, value, 1).sqrt().where(above, value)
    return scale * value


@LOSSES.register_module()
class LogL1(Loss):
    """Mean absolute difference of the depths' natural logarithms: 0.01 is an error of 1 %.

    Args:
        floor_m: Depth in metres below which the tangent continues the logarithm; choose it below the nearest target.
        weight, schedule: See :class:`~mtdc.contracts.Loss`.

    Raises:
        ValueError: A floor that is not positive.
    """

    unit = "1"
    kinds = ("map", "depth")

    def __init__(self, floor_m: float = 0.5, weight: float = 1.0, schedule: Mapping[str, Any] | None = None) -> None:
        super().__init__(weight, schedule)
        self.floor_m = positive("floor_m", floor_m)

    def forward(self, pred: Tensor, target: Tensor, valid: Tensor, *maps: Tensor) -> Tensor:
        """Mean of |ln pred - ln target|."""
        return mean_over_valid(log_error(pred, target, self.floor_m).abs(), valid)


@LOSSES.register_module()
class SILog(Loss):
    """Scale-invariant logarithmic error.

    Args:
        focus: How much of a frame's common scale error is forgiven: 0 none, 1 all of it (0.5 in the paper).
        scale: Factor of the whole.
        root: False leaves out the square root, as the paper does.
        floor_m: Depth in metres below which the tangent continues the logarithm; choose it below the nearest target.
        weight, schedule: See :class:`~mtdc.contracts.Loss`.

    Raises:
        ValueError: A focus outside 0..1, a scale or floor that is not positive.
    """

    unit = "1"
    kinds = ("map", "depth")

    def __init__(
        self,
        focus: float = 0.85,
        scale: float = 10.0,
        root: bool = True,
        floor_m: float = 0.5,
        weight: float = 1.0,
        schedule: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(weight, schedule)
        if not 0 <= focus <= 1:
            raise ValueError(f"focus must be a number from 0 to 1, not {focus!r}")
        self.focus, self.root = focus, root
        self.scale, self.floor_m = positive("scale", scale), positive("floor_m", floor_m)

    def forward(self, pred: Tensor, target: Tensor, valid: Tensor, *maps: Tensor) -> Tensor:
        """See :func:`silog`."""
        return silog(pred, target, valid, self.focus, self.scale, self.root, self.floor_m)
