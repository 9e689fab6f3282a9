"""Convolutional spatial propagation (CSPN; Cheng, Wang, Yang, ECCV 2018, Eqs. 1 to 3).

    k'_j    = k_j / sum_j |k_j|                                              8 neighbours, affinities k from the guidance
    H_{t+1} = (1 - sum_j k'_j) H_0 + sum_j k'_j H_t(neighbour j)
    H_{t+1} <- (1 - m) H_{t+1} + m D_s                                       where depth was measured, with keep_measured

Shapes      depth (B, 1, H, W) metres, guidance {1: (B, C, H, W)} -> (B, 1, H, W) metres.
Test time   all of it.
Differs     the centre weighs the first map H_0, as in the public reference, and the measured depth (not H_0) is put back.
Cost        9 * 8 * C weights, and 8 shifted sums of full size a step; training holds 2 maps of full size a step.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from ..contracts import Batch, Refinement
from ..registry import REFINEMENT
from .neighbours import check_steps, ring, split_channels, weighted_sum

NEIGHBOURS = ring(1)
#: Affinities are divided by at least this much, so that all-zero affinities leave the depth as it is.
EPSILON = 1e-6


def propagate(depth: Tensor, affinity: Tensor, steps: int, measured: Tensor | None = None) -> Tensor:
    """Propagation with given affinities.

    Shapes: depth ``(B, 1, H, W)``, affinity ``(B, 8, H, W)`` (not yet normalised; neighbours row by row, without the centre),
    measured ``(B, 1, H, W)`` with 0 = not measured, or None -> ``(B, 1, H, W)``.
    """
    affinity = affinity / affinity.abs().sum(dim=1, keepdim=True).clamp(min=EPSILON)
    first = (1 - affinity.sum(dim=1, keepdim=True)) * depth
    kernel = split_channels(affinity)
    for _ in range(steps):
        depth = first + weighted_sum(depth, kernel, NEIGHBOURS)
        if measured is not None:
            depth = torch.where(measured > 0, measured, depth)
    return depth


@REFINEMENT.register_module()
class CSPN(Refinement):
    """3x3 propagation with affinities predicted from the depth head's last hidden map.

    Args:
        channels: Channels of the guidance by stride (given by the network).
        steps: Propagation steps.
        keep_measured: Put the measured depth back after each step. It is trusted as it is, see-through points included.

    Raises:
        ValueError: Fewer than 0 steps.
    """

    def __init__(self, channels: Mapping[int, int], steps: int = 24, keep_measured: bool = False) -> None:
        super().__init__()
        check_steps(steps)
        self.steps = steps
        self.keep_measured = keep_measured
        self.affinity = nn.Conv2d(channels[1], len(NEIGHBOURS), 3, padding=1)

    def forward(self, depth: Tensor, guidance: Mapping[int, Tensor], inputs: Batch) -> Tensor:
        """See :func:`propagate`."""
        affinity = self.affinity(guidance[1]).float()
        measured = inputs["sparse_depth"] if self.keep_measured else None
        return propagate(depth.float(), affinity, self.steps, measured)
