"""Multi-task attention network, MTAN (Liu, Johns and Davison, CVPR 2019, Eqs. 1 and 2; decoder side).

    a_t(1) = h_t( p(1) )                             p(n): the one trunk's stream after stage n
    a_t(n) = h_t( Cat( p(n), Phi(g_t(n - 1)) ) )     1 < n;  h: 1x1 unit, 1x1 convolution, batch norm, sigmoid
    g_t(n) = a_t(n) * p(n)                           element by element
    G_t    = g_t(N)

Shapes      {"shared": (B, C_n, H/s_n, W/s_n)} -> the same; all tasks' g side by side, (B, T C_n, H/s_n, W/s_n).
Test time   the trunk, Phi, which all tasks use, and depth's own masks: task branches read the trunk and never write it, so the
            other tasks' go.
Differs     masks stand at the trunk's stages, not in the encoder; a mask reads the map that it masks, where the paper's reads
            one from the middle of the block; Phi is the trunk's kind of enlarging unit.
Cost        9 C_(n-1) C_n weights a stage, and 3 C_n^2 a task and stage (2 C_1^2 at the first).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..contracts import Sharing
from ..layers.conv import conv_unit, upsample_unit
from ..registry import SHARING

#: Name of the one trunk.
TRUNK = "shared"


@SHARING.register_module()
class MTAN(Sharing):
    """One trunk, and a chain of attention masks a task that selects from it."""

    def __init__(self, tasks: Sequence[str], strides: Sequence[int], widths: Sequence[int]) -> None:
        super().__init__()
        self.heads = tuple(tasks)
        self.width = widths[-1]
        self.last = len(strides) - 1
        #: Phi of stage n at index n - 1, which all tasks use, and each task's h of stage n at index n.
        self.convs = nn.ModuleList(
            upsample_unit(widths[n - 1], widths[n], strides[n - 1] // strides[n]) for n in range(1, len(strides))
        )
        self.masks: Any = nn.ModuleDict(
            {task: nn.ModuleList(_mask(width * (1 + (n > 0)), width) for n, width in enumerate(widths)) for task in self.heads}
        )

    def trunks(self) -> tuple[str, ...]:
        """One for all."""
        return (TRUNK,)

    def forward(self, n: int, streams: dict[str, Tensor], shared: Tensor | None) -> tuple[dict[str, Tensor], Tensor | None]:
        """The trunk's stream as it is, and beside it all tasks' attended ones."""
        stream = streams[TRUNK]
        read = [stream] * len(self.heads)
        if shared is not None:
            past = shared.chunk(len(self.heads), dim=1)
            read = [torch.cat((stream, self.convs[n - 1](before)), dim=1) for before in past]
        attended = [self.masks[task][n](maps) * stream for task, maps in zip(self.heads, read, strict=True)]
        return streams, torch.cat(attended, dim=1)

    def join(self, streams: dict[str, Tensor], shared: Tensor | None) -> dict[str, Tensor]:
        """Each task's own last attended stream."""
        assert shared is not None
        return dict(zip(self.heads, shared.chunk(len(self.heads), dim=1), strict=True))

    def head_channels(self, task: str) -> int:
        """Those of the last stage."""
        return self.width

    def reads(self, task: str) -> dict[str, int]:
        """The one trunk, to the end."""
        return {TRUNK: self.last}

    def strip(self, tasks: tuple[str, ...]) -> None:
        """Only these tasks keep their masks."""
        for task in [task for task in self.heads if task not in tasks]:
            del self.masks[task]
        self.heads = tuple(tasks)


def _mask(in_channels: int, width: int) -> nn.Sequential:
    """h: ``(B, in_channels, H, W)`` to a mask ``(B, width, H, W)`` in 0..1."""
    last = nn.Conv2d(width, width, 1, bias=False)
    return nn.Sequential(conv_unit(in_channels, width, kernel_size=1), last, nn.BatchNorm2d(width), nn.Sigmoid())
