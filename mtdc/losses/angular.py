"""Angle between surface normals, the quantity that their benchmarks measure (Fouhey et al., ICCV 2013).

    l = 1/N * sum angle(n, n*)          angle = atan2(|n x n*|, n . n*),  radians, 0..pi

Shapes      unit vectors (B, 3, H, W) twice, bool (B, 1, H, W) -> scalar.
Test time   dropped.
Differs     atan2 in place of arccos, whose gradient is infinite where the normals agree, and which loses half the digits there.
Cost        none.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..contracts import Loss
from ..registry import LOSSES
from .reduction import full_precision, mean_over_valid


def angular(pred: Tensor, target: Tensor, valid: Tensor) -> Tensor:
    """Mean angle over valid pixels, radians; 0 is its gradient where the directions agree or are opposite."""
    # Of an unknown normal, which is zero, both arguments are 0, and torch's gradient there is 0.
    pred = full_precision(pred)
    sine = torch.linalg.vector_norm(torch.linalg.cross(pred, target, dim=1), dim=1, keepdim=True)
    return mean_over_valid(torch.atan2(sine, (pred * target).sum(dim=1, keepdim=True)), valid)


@LOSSES.register_module()
class Angular(Loss):
    """Angle between predicted and true normal."""

    unit = "rad"
    kinds = ("normals",)

    def forward(self, pred: Tensor, target: Tensor, valid: Tensor, *maps: Tensor) -> Tensor:
        """See :func:`angular`."""
        return angular(pred, target, valid)
