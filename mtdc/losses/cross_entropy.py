"""Cross entropy of class scores, over known pixels.

    l = sum w[y] ( -log softmax(scores)[y] ) / sum w[y]          sums over known pixels, y: the pixel's class, w: its weight

With every = n the sums are over known pixels of every n-th row and column.

Shapes      scores (B, K, H, W), class indices (B, H, W), bool (B, H, W) -> scalar.
Test time   dropped.
Differs     nothing; unknown pixels (255) are left out by the mask.
Cost        no parameters. Of 40 classes at full size it can cost more than the rest of a step: every=2 takes a quarter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as functional
from torch import Tensor

from ..contracts import Loss
from ..registry import LOSSES
from .reduction import full_precision

IGNORE = -100


def cross_entropy(scores: Tensor, labels: Tensor, valid: Tensor, class_weights: Tensor | None = None) -> Tensor:
    """Weighted mean of the negative log probability of the true class; 0 with a graph where nothing is known."""
    scores = full_precision(scores)
    class_weights = None if class_weights is None else class_weights.to(scores.dtype)
    marked = labels.where(valid, IGNORE)
    total = functional.cross_entropy(scores, marked, class_weights, ignore_index=IGNORE, reduction="sum")
    if class_weights is None:
        share = valid.sum().to(scores.dtype)
    else:
        share = class_weights[labels.where(valid, 0)].where(valid, 0).sum()
    return total / torch.where(share > 0, share, 1)


@LOSSES.register_module()
class CrossEntropy(Loss):
    """Cross entropy of the scores of classes.

    Args:
        weight, schedule: As in every loss.
        class_weights: One factor a class, in their order; None weighs all alike.
        every: n, where only every n-th row and column shall count.

    Raises:
        ValueError: A class weight is negative, or all are 0; ``every`` is below 1.
    """

    unit = "nat"
    kinds = ("labels",)

    def __init__(
        self,
        weight: float = 1.0,
        schedule: Mapping[str, Any] | None = None,
        class_weights: Sequence[float] | None = None,
        every: int = 1,
    ) -> None:
        super().__init__(weight, schedule)
        if every < 1:
            raise ValueError(f"every must be 1 or more, not {every}")
        self.every = every
        if class_weights is not None and (min(class_weights) < 0 or sum(class_weights) == 0):
            raise ValueError(f"class_weights must be 0 or more, and not all 0; found {tuple(class_weights)}")
        self.class_weights: Tensor | None
        weights = None if class_weights is None else torch.tensor([float(one) for one in class_weights])
        # Not in the checkpoint: it is of the config, and a stripped model has none.
        self.register_buffer("class_weights", weights, persistent=False)

    def forward(self, pred: Tensor, target: Tensor, valid: Tensor, *maps: Tensor) -> Tensor:
        """See :func:`cross_entropy`."""
        rare = slice(None, None, self.every)
        return cross_entropy(pred[..., rare, rare], target[..., rare, rare], valid[..., rare, rare], self.class_weights)
