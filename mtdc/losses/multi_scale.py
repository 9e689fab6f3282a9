"""Another loss on a pyramid of means over known pixels: what is wrong over wide areas counts on every level.

    l = sum_k decay^k L(P_k pred, P_k target) / sum_k decay^k          P_k: mean over the known pixels of blocks of 2^k x 2^k

Shapes      (B, C, H, W), (B, C, H, W), bool (B, 1, H, W) -> scalar; blocks at the right and lower border may be smaller.
Test time   dropped.
Differs     prediction and target are averaged over the same pixels, the known ones, so that equal maps stay equal; a block is
            known where one of its pixels is. Networks with outputs on several scales are another thing.
Cost        a third of the loss again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch.nn.functional as functional
from torch import Tensor

from ..contracts import Loss
from ..registry import LOSSES, build
from .reduction import full_precision, positive


def block_means(values: Tensor, valid: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Means over the valid pixels of blocks, and which blocks have one.

    Shapes: ``(B, C, H, W)``, ``(B, 1, H, W)`` -> ``(B, C, ceil(H/size), ceil(W/size))`` and the same with one channel, bool.
    """
    total = functional.avg_pool2d(values.where(valid, 0), size, ceil_mode=True)
    share = functional.avg_pool2d(valid.to(values.dtype), size, ceil_mode=True)
    return total / share.where(share > 0, 1), share > 0


@LOSSES.register_module()
class MultiScale(Loss):
    """A loss on several scales.

    Args:
        loss: Config of the loss; one that reads further maps, or labels, can't be taken.
        scales: How many levels, the full size included.
        decay: Weight of a level over that of the next finer one.
        weight, schedule: See :class:`~mtdc.contracts.Loss`; the inner loss's own count too.

    Raises:
        ValueError: A loss that can't be taken, no level, a decay that is not positive.
    """

    unit = "of its loss"

    def __init__(
        self,
        loss: Mapping[str, Any],
        scales: int = 4,
        decay: float = 1.0,
        weight: float = 1.0,
        schedule: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(weight, schedule)
        self.loss: Loss = build(LOSSES, loss, "loss")
        if self.loss.reads or self.loss.kinds == ("labels",):
            raise ValueError(f"{type(self.loss).__name__} can't be computed on means: it reads labels or further maps")
        if isinstance(scales, bool) or not isinstance(scales, int) or scales < 1:
            raise ValueError(f"scales must be a whole number from 1 on, not {scales!r}")
        self.scales, self.decay = scales, positive("decay", decay)
        self.unit, self.kinds = self.loss.unit, self.loss.kinds

    def forward(self, pred: Tensor, target: Tensor, valid: Tensor, *maps: Tensor) -> Tensor:
        """The weighted mean of the levels' losses."""
        pred = full_precision(pred)
        total = pred.new_zeros(())
        for level in range(self.scales):
            coarse, known = block_means(pred, valid, 2**level)
            coarse_target, _ = block_means(target, valid, 2**level)
            total = total + self.decay**level * self.loss(coarse, coarse_target, known)
        return self.loss.factor * total / sum(self.decay**level for level in range(self.scales))
