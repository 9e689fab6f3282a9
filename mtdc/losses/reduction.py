"""What losses are made of: means over known pixels, differences of neighbours, and depth in other domains."""

from __future__ import annotations

import torch
from torch import Tensor

from ..structures import Kind

#: Kinds of fields whose values can be subtracted from each other: all but labels.
CONTINUOUS: tuple[Kind, ...] = ("map", "image", "depth", "normals")

#: 1/m to 1/km, the unit of the benchmark.
PER_KILOMETRE = 1000.0


def mean_over_valid(values: Tensor, valid: Tensor) -> Tensor:
    """Mean of ``values (B, C, H, W)`` where ``valid (B, 1, H, W)``; 0 with a graph, never NaN, where nothing is valid.

    The count is the whole batch's, so that a frame weighs by its known pixels. Values come in float32 at least: a sum over a
    frame overflows half precision.
    """
    mask = valid.expand_as(values)
    return values.where(mask, 0).sum() / mask.sum().clamp(min=1)


def full_precision(values: Tensor) -> Tensor:
    """Half precision to float32; float32 and float64 as they are."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


def neighbour_differences(values: Tensor, valid: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Absolute differences along rows, then along columns, each with where both pixels are valid.

    Shapes: ``(B, C, H, W)``, ``(B, 1, H, W)`` -> ``(B, C, H, W - 1)`` with its mask, and ``(B, C, H - 1, W)`` with its own.
    """
    across = (values[..., 1:] - values[..., :-1]).abs()
    down = (values[..., 1:, :] - values[..., :-1, :]).abs()
    return [(across, valid[..., 1:] & valid[..., :-1]), (down, valid[..., 1:, :] & valid[..., :-1, :])]


def inverse_depth(depth: Tensor, floor: float) -> Tensor:
    """1 / depth from ``floor`` on, and the tangent there below it: finite, and with a gradient, at and below zero.

    A depth that is linear in training may be negative; a clamp would leave it there for good.
    """
    above = depth.clamp(min=floor)
    return 1 / above + (above - depth) / floor**2


def log_depth(depth: Tensor, floor: float) -> Tensor:
    """ln(depth) from ``floor`` on, and the tangent there below it, as in :func:`inverse_depth`."""
    above = depth.clamp(min=floor)
    return above.log() - (above - depth) / floor


def inverse_error(pred: Tensor, target: Tensor, floor_m: float = 0.5) -> Tensor:
    """1/pred - 1/target in 1/km."""
    return PER_KILOMETRE * (inverse_depth(full_precision(pred), floor_m) - inverse_depth(target, floor_m))


def log_error(pred: Tensor, target: Tensor, floor_m: float = 0.5) -> Tensor:
    """Ln pred - ln target."""
    return log_depth(full_precision(pred), floor_m) - log_depth(target, floor_m)


def positive(name: str, value: float) -> float:
    """A parameter that must be above 0.

    Raises:
        ValueError: It isn't.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value > 0:
        raise ValueError(f"{name} must be a number above 0, not {value!r}")
    return value
