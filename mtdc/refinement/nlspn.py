"""Non-local spatial propagation (NLSPN; Park et al., ECCV 2020, sections 3 and 4).

    p_j     = pixel + grid_j + o_j                            8 neighbours: places in a 3x3 window, moved by learned offsets
    a_j     = c(p_j) tanh(k_j) / g                            c: confidence of the first map, 0..1; g: learned, starts at 4
    w_j     = a_j / max(1, sum_l |a_l|)
    H_{t+1} = (1 - sum_j w_j) H_t + sum_j w_j H_t(p_j)        H between pixels: bilinear
    H_{t+1} <- (1 - m) H_{t+1} + m D_s                        where depth was measured, with keep_measured

Shapes      depth (B, 1, H, W) metres, guidance {1: (B, C, H, W)} -> (B, 1, H, W) metres.
Test time   all of it.
Differs     a neighbour outside the map is the border's value, where the paper's deformable convolution reads 0. Measured depth
            is put back after each step, so that it is kept in the result too. Depth below 0 is the depth task's to limit.
Cost        9 * 25 * C weights, and 8 bilinear samples of full size a step; training holds 9 maps of full size a step.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as functional
from torch import Tensor, nn

from ..contracts import Batch, Refinement
from ..registry import REFINEMENT
from .neighbours import check_steps, prediction, ring

NEIGHBOURS = ring(1)
#: First g: half the number of neighbours, so that affinities of half their greatest size already fill the bound.
GAMMA_START = 0.5 * len(NEIGHBOURS)
#: The least g can become: tanh is divided by it.
GAMMA_MIN = 1e-3


def sampling_grid(offsets: Tensor) -> Tensor:
    """Where each neighbour is read, in the coordinates of ``grid_sample`` (borders of the map at -1 and 1).

    Shapes: ``(B, 16, H, W)`` pixels, (row, column) of each neighbour -> ``(B, 8 H, W, 2)``, neighbour by neighbour.
    """
    batch, _, height, width = offsets.shape
    places = torch.tensor(NEIGHBOURS, dtype=offsets.dtype, device=offsets.device)
    rows = torch.arange(height, dtype=offsets.dtype, device=offsets.device)[:, None]
    columns = torch.arange(width, dtype=offsets.dtype, device=offsets.device)
    moved = offsets.unflatten(1, (len(NEIGHBOURS), 2)) + places[:, :, None, None]
    y = (2 * (moved[:, :, 0] + rows) + 1) / height - 1
    x = (2 * (moved[:, :, 1] + columns) + 1) / width - 1
    return torch.stack((x, y), dim=-1).reshape(batch, len(NEIGHBOURS) * height, width, 2)


def sample(maps: Tensor, grid: Tensor) -> Tensor:
    """A map at all neighbours: ``(B, 1, H, W)`` -> ``(B, 8, H, W)``, bilinear, the border's value outside."""
    values = functional.grid_sample(maps, grid, mode="bilinear", padding_mode="border", align_corners=False)
    return values.reshape(maps.shape[0], len(NEIGHBOURS), *maps.shape[-2:])


def propagate(
    depth: Tensor,
    affinity: Tensor,
    offsets: Tensor,
    confidence: Tensor,
    gamma: Tensor,
    steps: int,
    measured: Tensor | None = None,
) -> Tensor:
    """Propagation with given affinities.

    Shapes: depth and confidence ``(B, 1, H, W)``, affinity ``(B, 8, H, W)`` (k: neighbours row by row, without the centre),
    offsets ``(B, 16, H, W)`` pixels, (row, column) of each neighbour, gamma a scalar, measured ``(B, 1, H, W)`` with 0 = not
    measured, or None -> ``(B, 1, H, W)``.
    """
    grid = sampling_grid(offsets)
    weights = affinity.tanh() / gamma.clamp(min=GAMMA_MIN) * sample(confidence, grid)
    weights = weights / weights.abs().sum(dim=1, keepdim=True).clamp(min=1)
    centre = 1 - weights.sum(dim=1, keepdim=True)
    for _ in range(steps):
        depth = centre * depth + (weights * sample(depth, grid)).sum(dim=1, keepdim=True)
        if measured is not None:
            depth = torch.where(measured > 0, measured, depth)
    return depth


@REFINEMENT.register_module()
class NLSPN(Refinement):
    """Propagation from 8 neighbours whose places are learned for each pixel, from the depth head's last hidden map.

    Args:
        channels: Channels of the guidance by stride (given by the network).
        steps: Propagation steps.
        keep_measured: Put the measured depth back after each step. It is trusted as it is, see-through points included.

    Raises:
        ValueError: Fewer than 0 steps.
    """

    def __init__(self, channels: Mapping[int, int], steps: int = 18, keep_measured: bool = False) -> None:
        super().__init__()
        check_steps(steps)
        self.steps = steps
        self.keep_measured = keep_measured
        self.affinity = prediction(channels[1], len(NEIGHBOURS))
        self.offsets = prediction(channels[1], 2 * len(NEIGHBOURS))
        self.confidence = prediction(channels[1], 1)
        self.gamma = nn.Parameter(torch.tensor(GAMMA_START))

    def forward(self, depth: Tensor, guidance: Mapping[int, Tensor], inputs: Batch) -> Tensor:
        """See :func:`propagate`."""
        hidden = guidance[1]
        confidence = self.confidence(hidden).float().sigmoid()
        measured = inputs["sparse_depth"] if self.keep_measured else None
        return propagate(
            depth.float(),
            self.affinity(hidden).float(),
            self.offsets(hidden).float(),
            confidence,
            self.gamma,
            self.steps,
            measured,
        )
