"""Smooth depth where the photo is smooth (Godard et al., CVPR 2017, Eq. 3; depth divided by its mean as in their later work).

    l = mean |dx D| e^(-s |dx I|) + mean |dy D| e^(-s |dy I|)          D = (1/depth) / mean(1/depth),  I: the photo in 0..1

Shapes      (B, 1, H, W) metres, gt_image (B, 1 or 3, H, W) in 0..255 with -1 = unknown -> scalar.
Test time   dropped.
Differs     target and its mask are not read: every pixel with a photo counts, labelled or not. Pairs with a pixel that has no
            photo (padding, frames without one) don't. The mean is a frame's. Below floor_m the tangent continues 1/depth.
Cost        none; the data set must have photos.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ..contracts import Loss
from ..registry import LOSSES
from ..structures import GRAY_IMAGE
from .reduction import full_precision, inverse_depth, mean_over_valid, neighbour_differences, positive


def edge_aware_smoothness(depth: Tensor, image: Tensor, sharpness: float = 1.0, floor_m: float = 0.5) -> Tensor:
    """Mean differences of normalised inverse depth between neighbours, less where the photo has an edge."""
    known = GRAY_IMAGE.valid(image)
    inverse = inverse_depth(full_precision(depth), floor_m).where(known, 0)
    mean = inverse.sum(dim=(1, 2, 3), keepdim=True) / known.sum(dim=(1, 2, 3), keepdim=True).clamp(min=1)
    normalised = inverse / torch.where(mean > 0, mean, 1)
    depths, photos = neighbour_differences(normalised, known), neighbour_differences(image / 255, known)
    terms = [
        mean_over_valid(change * torch.exp(-sharpness * contrast.mean(dim=1, keepdim=True)), both)
        for (change, both), (contrast, _) in zip(depths, photos, strict=True)
    ]
    return terms[0] + terms[1]


@LOSSES.register_module()
class EdgeAwareSmoothness(Loss):
    """Differences of neighbouring inverse depths, less where the photo has an edge; needs no ground truth.

    Args:
        sharpness: s: how much an edge of the photo excuses an edge of depth; 0 ignores the photo's edges.
        floor_m: Depth in metres below which the tangent continues 1/depth.
        weight, schedule: See :class:`~mtdc.contracts.Loss`.

    Raises:
        ValueError: A negative sharpness, a floor that is not positive.
    """

    unit = "1"
    kinds = ("map", "depth")
    reads = ("gt_image",)
    needs_target = False

    def __init__(
        self,
        sharpness: float = 1.0,
        floor_m: float = 0.5,
        weight: float = 1.0,
        schedule: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(weight, schedule)
        if not sharpness >= 0:
            raise ValueError(f"sharpness must be a number from 0 on, not {sharpness!r}")
        self.sharpness, self.floor_m = sharpness, positive("floor_m", floor_m)

    def forward(self, pred: Tensor, target: Tensor, valid: Tensor, *maps: Tensor) -> Tensor:
        """See :func:`edge_aware_smoothness`; maps: the photo."""
        return edge_aware_smoothness(pred, maps[0], self.sharpness, self.floor_m)
