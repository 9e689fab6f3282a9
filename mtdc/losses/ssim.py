"""Structural similarity with l1 (Wang et al., TIP 2004, Eq. 13; mixed as in Godard et al., CVPR 2017, Eq. 2).

    l = a (1 - SSIM) / 2 + (1 - a) |e| / R
    SSIM = (2 mx my + C1)(2 cxy + C2) / ((mx^2 + my^2 + C1)(vx + vy + C2))          C1 = (0.01 R)^2,  C2 = (0.03 R)^2

Shapes      (B, C, H, W) twice in 0..R, bool (B, 1, H, W) -> scalar.
Test time   dropped.
Differs     windows count where they lie inside the map and every pixel of theirs is known; the l1 part is the mean over all
            known pixels. R is 255 here, where the paper of the mix has 1.
Cost        a filter of five maps.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as functional
from torch import Tensor

from ..contracts import Loss
from ..registry import LOSSES
from .reduction import full_precision, mean_over_valid, positive

#: Of the paper's window: 11 x 11, circular-symmetric Gaussian.
SIGMA = 1.5


def _filter(values: Tensor, window: int, sigma: float | None) -> Tensor:
    """Weighted means of windows that lie inside: ``(N, 1, H, W) -> (N, 1, H - window + 1, W - window + 1)``."""
    places = torch.arange(window, dtype=values.dtype, device=values.device) - (window - 1) / 2
    weights = torch.ones_like(places) if sigma is None else torch.exp(-(places**2) / (2 * sigma**2))
    weights = weights / weights.sum()
    # A half-precision product would leave two digits of a variance.
    with torch.autocast(values.device.type, enabled=False):
        return functional.conv2d(functional.conv2d(values, weights.view(1, 1, 1, -1)), weights.view(1, 1, -1, 1))


def ssim_map(x: Tensor, y: Tensor, value_range: float = 255.0, window: int = 11, sigma: float | None = SIGMA) -> Tensor:
    """Structural similarity of every window inside the map: ``(B, C, H, W)`` twice to ``(B, C, H - w + 1, W - w + 1)``."""
    batch, channels, height, width = x.shape
    # Variances don't change with an offset, and lose fewer digits around 0.
    a, b = x / value_range - 0.5, y / value_range - 0.5
    moments = torch.cat([a, b, a * a, b * b, a * b]).reshape(-1, 1, height, width)
    filtered = _filter(moments, window, sigma)[:, 0].unflatten(0, (5, batch, channels))
    mean_a, mean_b, square_a, square_b, product = filtered
    variances = square_a - mean_a**2 + square_b - mean_b**2
    covariance = product - mean_a * mean_b
    mean_x, mean_y, c1, c2 = mean_a + 0.5, mean_b + 0.5, 0.01**2, 0.03**2
    likeness = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    return likeness / ((mean_x**2 + mean_y**2 + c1) * (variances.clamp(min=0) + c2))


def ssim_l1(
    pred: Tensor,
    target: Tensor,
    valid: Tensor,
    share: float = 0.85,
    value_range: float = 255.0,
    window: int = 11,
    sigma: float | None = SIGMA,
) -> Tensor:
    """The mix of structural similarity over known windows and l1 over known pixels."""
    pred = full_precision(pred).where(valid, 0)
    target = target.to(pred.dtype).where(valid, 0)
    loss = (1 - share) * mean_over_valid((pred - target).abs() / value_range, valid)
    if min(pred.shape[-2:]) < window:
        return loss
    unknown = functional.max_pool2d((~valid).to(pred.dtype), window, 1)
    return loss + share * mean_over_valid((1 - ssim_map(pred, target, value_range, window, sigma)) / 2, unknown == 0)


@LOSSES.register_module()
class SSIM(Loss):
    """Structural similarity with l1, for images.

    Args:
        share: a: part of the structural similarity; the rest is l1.
        value_range: R: greatest value less the least, 255 for 8-bit images.
        window: Rows and columns of the window, odd; 11 in the paper, 3 in many of its uses.
        sigma: Of the window's Gaussian, in pixels; None weighs all its pixels alike.
        weight, schedule: See :class:`~mtdc.contracts.Loss`.

    Raises:
        ValueError: A share outside 0..1, an even window, a range or sigma that is not positive.
    """

    unit = "1"
    kinds = ("map", "image")

    def __init__(
        self,
        share: float = 0.85,
        value_range: float = 255.0,
        window: int = 11,
        sigma: float | None = SIGMA,
        weight: float = 1.0,
        schedule: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(weight, schedule)
        if not 0 <= share <= 1:
            raise ValueError(f"share must be a number from 0 to 1, not {share!r}")
        if isinstance(window, bool) or not isinstance(window, int) or window < 3 or window % 2 == 0:
            raise ValueError(f"window must be an odd number from 3 on, not {window!r}")
        self.share, self.window = share, window
        self.value_range = positive("value_range", value_range)
        self.sigma = None if sigma is None else positive("sigma", sigma)

    def forward(self, pred: Tensor, target: Tensor, valid: Tensor, *maps: Tensor) -> Tensor:
        """See :func:`ssim_l1`."""
        return ssim_l1(pred, target, valid, self.share, self.value_range, self.window, self.sigma)
