"""Another loss frame by frame: a frame with few known pixels weighs as much as one with many.

    l = 1/|K| * sum_{n in K} L(pred_n, target_n)          K: frames of the batch that have a known pixel

Shapes      those of its loss -> scalar.
Test time   dropped.
Differs     nothing is taken from a paper. A loss by itself is a mean over the batch's pixels, so that in a batch of dense rooms
            and of scans whose truth covers a fifth of the picture the scans hardly count.
Cost        its loss once a frame, on smaller maps.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ..contracts import Loss
from ..registry import LOSSES, build


@LOSSES.register_module()
class PerFrame(Loss):
    """The mean over frames of a loss.

    Args:
        loss: Config of the loss; one that reads no target can't be taken.
        weight, schedule: See :class:`~mtdc.contracts.Loss`; the inner loss's own count too.

    Raises:
        ValueError: A loss that reads no target, for which all frames weigh the same anyway.
    """

    unit = "of its loss"

    def __init__(self, loss: Mapping[str, Any], weight: float = 1.0, schedule: Mapping[str, Any] | None = None) -> None:
        super().__init__(weight, schedule)
        self.loss: Loss = build(LOSSES, loss, "loss")
        if not self.loss.needs_target:
            raise ValueError(f"{type(self.loss).__name__} reads no target: there are no known pixels that frames differ in")
        self.unit, self.kinds, self.reads = self.loss.unit, self.loss.kinds, self.loss.reads

    def forward(self, pred: Tensor, target: Tensor, valid: Tensor, *maps: Tensor) -> Tensor:
        """The mean over frames that have a known pixel; 0 with a graph where none has."""
        known = valid.flatten(1).any(dim=1).nonzero().flatten().tolist() or [0]
        values = [self.loss(*(each[n : n + 1] for each in (pred, target, valid, *maps))) for n in known]
        return self.loss.factor * torch.stack(values).mean()
