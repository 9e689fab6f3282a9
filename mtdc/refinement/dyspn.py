"""Dynamic spatial propagation (DySPN; Lin et al., AAAI 2022, and IEEE TCSVT 2023).

    a_j     = k_j / max(1, sum_l |k_l|)                       48 neighbours in a 7x7 window: rings 1, 2, 3 pixels away
    w_j(t)  = s_r(t) a_j                                      s in 0..1: attention of step t to the ring r that j is in
    H_{t+1} = (1 - sum_j w_j(t)) (s_0(t) H_0 + (1 - s_0(t)) H_t) + sum_j w_j(t) H_t(neighbour j)
    H_{t+1} <- (1 - m c) H_{t+1} + m c D_s                    where depth was measured; c: learned confidence, or 1 to keep it

Shapes      depth (B, 1, H, W) metres, guidance {1: (B, C, H, W)} -> (B, 1, H, W) metres.
Test time   all of it.
Differs     the attention of all steps is predicted at once from the guidance, not step by step. s_0 stands for the paper's
            suppression of diffusion: how much of the first map comes back. Affinities are divided by their sum only where that
            is above 1, so that the module starts near the identity.
Cost        9 * (48 + 4 * steps + 1) * C weights, and 48 shifted sums of full size a step. Training holds the 48 affinities once
            and 18 maps of full size a step: neighbours are views, not a (B, 48, H, W) copy.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from ..contracts import Batch, Refinement
from ..registry import REFINEMENT
from .neighbours import check_steps, prediction, ring, split_channels, weighted_sum

RINGS = tuple(ring(radius) for radius in (1, 2, 3))
NEIGHBOURS = tuple(offset for offsets in RINGS for offset in offsets)
#: Maps of attention a step: to the first map, and to each ring.
ATTENTIONS = 1 + len(RINGS)
#: First value of c before its sigmoid: 0.02, so that six steps move depth by a tenth of the way to what was measured.
CONFIDENCE_START = -4.0


def propagate(
    depth: Tensor,
    affinity: Tensor,
    attention: Tensor,
    measured: Tensor,
    confidence: Tensor | None = None,
) -> Tensor:
    """Propagation with given affinities, one step for each entry of the attention.

    Shapes: depth ``(B, 1, H, W)``; affinity ``(B, 48, H, W)`` (k: ring by ring, each row by row); attention
    ``(B, steps, 4, H, W)`` in 0..1 (s_0, then the rings'); measured ``(B, 1, H, W)`` with 0 = not measured; confidence
    ``(B, 1, H, W)`` in 0..1, or None to keep what was measured -> ``(B, 1, H, W)``.
    """
    first = depth
    bound = torch.linalg.vector_norm(affinity, ord=1, dim=1, keepdim=True).clamp(min=1)
    kernels = affinity.split([len(offsets) for offsets in RINGS], dim=1)
    # The attention scales a ring as a whole: sums over rings are all that a step needs, and no weight of its own a neighbour.
    sums = [kernel.sum(dim=1, keepdim=True) for kernel in kernels]
    neighbours = [split_channels(kernel) for kernel in kernels]
    for now in attention.unbind(dim=1):
        to_first, *to_rings = split_channels(now)
        scales = [one / bound for one in to_rings]
        total = sum(scale * one for scale, one in zip(scales, sums, strict=True))
        spread = [
            scale * weighted_sum(depth, kernel, offsets)
            for scale, kernel, offsets in zip(scales, neighbours, RINGS, strict=True)
        ]
        depth = (1 - total) * torch.lerp(depth, first, to_first) + sum(spread)
        back = measured if confidence is None else torch.lerp(depth, measured, confidence)
        depth = torch.where(measured > 0, back, depth)
    return depth


@REFINEMENT.register_module()
class DySPN(Refinement):
    """7x7 propagation whose rings are weighed anew at each step, from the depth head's last hidden map.

    Args:
        channels: Channels of the guidance by stride (given by the network).
        steps: Propagation steps.
        keep_measured: Put the measured depth back as it is after each step, see-through points included; otherwise as far as a
            learned confidence says.

    Raises:
        ValueError: Fewer than 0 steps.
    """

    def __init__(self, channels: Mapping[int, int], steps: int = 6, keep_measured: bool = False) -> None:
        super().__init__()
        check_steps(steps)
        self.steps = steps
        self.affinity = prediction(channels[1], len(NEIGHBOURS))
        # One step's attention at least, so that a network of zero steps can be built.
        self.attention = prediction(channels[1], max(1, steps) * ATTENTIONS)
        self.confidence = None if keep_measured else prediction(channels[1], 1)
        if self.confidence is not None:
            assert self.confidence.bias is not None
            torch.nn.init.constant_(self.confidence.bias, CONFIDENCE_START)

    def forward(self, depth: Tensor, guidance: Mapping[int, Tensor], inputs: Batch) -> Tensor:
        """See :func:`propagate`."""
        hidden = guidance[1]
        attention = self.attention(hidden).float().sigmoid().unflatten(1, (-1, ATTENTIONS))[:, : self.steps]
        confidence = None if self.confidence is None else self.confidence(hidden).float().sigmoid()
        return propagate(depth.float(), self.affinity(hidden).float(), attention, inputs["sparse_depth"], confidence)
