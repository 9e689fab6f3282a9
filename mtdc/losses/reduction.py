"""The mean over known pixels that every loss ends with."""

from __future__ import annotations

from torch import Tensor


def mean_over_valid(values: Tensor, valid: Tensor) -> Tensor:
    """Mean of ``values (B, C, H, W)`` where ``valid (B, 1, H, W)``; 0 with a graph, never NaN, where nothing is valid.

    The count is the whole batch's, so that a frame weighs by its known pixels. Values come in float32 at least: a sum over a
    frame overflows half precision.
    """
    mask = valid.expand_as(values)
    return values.where(mask, 0).sum() / mask.sum().clamp(min=1)
