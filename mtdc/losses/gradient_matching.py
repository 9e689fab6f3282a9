"""Equal differences between neighbours, on several scales (Li and Snavely, CVPR 2018; Ranftl et al., TPAMI 2022).

    l = sum_k [ mean |dx R_k| + mean |dy R_k| ]          R_0 = pred - target,  R_k: every 2^k-th row and column of it

Shapes      (B, C, H, W), (B, C, H, W), bool (B, 1, H, W) -> scalar.
Test time   dropped.
Differs     means are over pairs of which both pixels are known, where the papers divide by the number of known pixels: a sparse
            target isn't weighed down. domain="log" is the first paper's, "inverse" close to the second's.
Cost        none.

With scales=1 it is the gradient-domain l1 of an image: a constant offset of gray costs nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from ..contracts import Loss
from ..errors import did_you_mean
from ..registry import LOSSES
from .reduction import (
    CONTINUOUS,
    full_precision,
    inverse_error,
    log_error,
    mean_over_valid,
    neighbour_differences,
    positive,
)

DOMAINS = ("linear", "log", "inverse")


def gradient_matching(error: Tensor, valid: Tensor, scales: int = 4) -> Tensor:
    """Sum over scales of the mean absolute differences of neighbouring errors."""
    total = error.new_zeros(())
    for step in (2**k for k in range(scales)):
        pairs = neighbour_differences(error[..., ::step, ::step], valid[..., ::step, ::step])
        total = total + sum(mean_over_valid(change, both) for change, both in pairs)
    return total


@LOSSES.register_module()
class GradientMatching(Loss):
    """Differences between neighbours must be the target's, on several scales.

    Args:
        scales: How many, each half as fine as the one before.
        domain: "linear" compares the values, "log" their logarithms, "inverse" 1000/value (1/km); the latter two are for depth.
        floor_m: Depth in metres below which the tangent continues the domain's function.
        weight, schedule: See :class:`~mtdc.contracts.Loss`.

    Raises:
        ValueError: No scale, an unknown domain, a floor that is not positive.
    """

    unit = "u"
    kinds = CONTINUOUS

    def __init__(
        self,
        scales: int = 4,
        domain: str = "linear",
        floor_m: float = 0.5,
        weight: float = 1.0,
        schedule: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(weight, schedule)
        if domain not in DOMAINS:
            raise ValueError(f"domain='{domain}' is not known.{did_you_mean(str(domain), DOMAINS)}")
        if isinstance(scales, bool) or not isinstance(scales, int) or scales < 1:
            raise ValueError(f"scales must be a whole number from 1 on, not {scales!r}")
        self.scales, self.domain, self.floor_m = scales, domain, positive("floor_m", floor_m)
        if domain != "linear":
            self.unit, self.kinds = ("1" if domain == "log" else "1/km"), ("map", "depth")

    def forward(self, pred: Tensor, target: Tensor, valid: Tensor, *maps: Tensor) -> Tensor:
        """See :func:`gradient_matching`."""
        if self.domain == "log":
            error = log_error(pred, target, self.floor_m)
        elif self.domain == "inverse":
            error = inverse_error(pred, target, self.floor_m)
        else:
            error = full_precision(pred) - target
        return gradient_matching(error, valid, self.scales)
