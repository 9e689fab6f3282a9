"""What the propagations share: neighbours on the pixel grid, and their weighted sum without a copy of the map for each."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as functional
from torch import Tensor, nn

#: Spread of the first weights: the published code starts at zero, which leaves some without a gradient at first.
INIT_STD = 1e-4


def ring(radius: int) -> tuple[tuple[int, int], ...]:
    """Offsets (row, column) at a chessboard distance, row by row: 8, 16, 24 of them for 1, 2, 3."""
    reach = range(-radius, radius + 1)
    return tuple((i, j) for i in reach for j in reach if max(abs(i), abs(j)) == radius)


def weighted_sum(depth: Tensor, affinities: Sequence[Tensor], offsets: Sequence[tuple[int, int]]) -> Tensor:
    """``sum_j affinity_j * depth(pixel + offset_j)``; outside the map a neighbour is the border pixel itself.

    Shapes: depth and each affinity ``(B, 1, H, W)`` -> the same. Shifted maps are views of one padded map, so that training
    holds that one a call, and not one a neighbour.
    """
    height, width = depth.shape[-2:]
    reach = max(max(abs(i), abs(j)) for i, j in offsets)
    padded = functional.pad(depth, (reach,) * 4, mode="replicate")
    total = depth.new_zeros(())
    for affinity, (i, j) in zip(affinities, offsets, strict=True):
        total = total + affinity * padded[..., reach + i : reach + i + height, reach + j : reach + j + width]
    return total


def split_channels(maps: Tensor) -> tuple[Tensor, ...]:
    """``(B, C, H, W)`` to C maps ``(B, 1, H, W)``; their gradients are stacked once, not added up as C full tensors."""
    return maps.split(1, dim=1)


def prediction(in_channels: int, out_channels: int) -> nn.Conv2d:
    """A 3x3 convolution whose output starts near zero, with a gradient for every weight."""
    conv = nn.Conv2d(in_channels, out_channels, 3, padding=1)
    nn.init.normal_(conv.weight, std=INIT_STD)
    assert conv.bias is not None
    nn.init.zeros_(conv.bias)
    return conv


def check_steps(steps: int) -> None:
    """Refuse a negative number of steps.

    Raises:
        ValueError: It is negative.
    """
    if steps < 0:
        raise ValueError(f"steps must be a whole number from 0 on, not {steps}")
