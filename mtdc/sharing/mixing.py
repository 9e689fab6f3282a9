"""What sharing modules that mix streams have in common: first weights, and the sum over a trunk's stages."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

#: First weight of a stream on itself; what is missing to 1 is spread over the others.
OWN_WEIGHT = 0.9


def mixing_matrix(size: int) -> Tensor:
    """``(size, size)``: 0.9 on the diagonal and 0.1 / (size - 1) off it, so that rows sum to 1; a lone stream has weight 1."""
    if size == 1:
        return torch.ones(1, 1)
    matrix = torch.full((size, size), (1 - OWN_WEIGHT) / (size - 1))
    return matrix.fill_diagonal_(OWN_WEIGHT)


def primary(tasks: Sequence[str]) -> str:
    """Depth, or the first task where there is no depth."""
    return "depth" if "depth" in tasks else tasks[0]


class StageSum(nn.Module):
    """The streams of all stages, brought to the last one's size and channels, and added up stage by stage.

        y(n) = P_n f(n) + up(y(n - 1))          P_n: 1x1 convolution without bias; up: each pixel repeated

    This is a 1x1 convolution on the concatenation of all stages' enlarged maps, without ever holding them together.

    Args:
        strides, widths: Of the trunk's stages.
        project_last: P_N is a convolution too, not the identity.
    """

    def __init__(self, strides: Sequence[int], widths: Sequence[int], project_last: bool = False) -> None:
        super().__init__()
        self.factors = [1, *(before // after for before, after in pairwise(strides))]
        self.projections = nn.ModuleList()
        for width in widths:
            projection = nn.Conv2d(width, widths[-1], 1, bias=False)
            nn.init.normal_(projection.weight, std=sum(widths) ** -0.5)  # as one convolution that reads all stages together
            self.projections.append(projection)
        if not project_last:
            self.projections[-1] = nn.Identity()

    def forward(self, n: int, stream: Tensor, past: Tensor | None) -> Tensor:
        """``(B, C_n, H, W)`` and y(n - 1), None before the first stage, to y(n) ``(B, C_N, H, W)``."""
        total: Tensor = self.projections[n](stream)
        if past is None:
            return total
        return total + (functional.interpolate(past, scale_factor=self.factors[n]) if self.factors[n] > 1 else past)
