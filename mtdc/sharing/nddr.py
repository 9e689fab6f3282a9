"""Neural discriminative dimensionality reduction, NDDR-CNN (Gao et al., CVPR 2019, section 3).

    x'_a = BN( W_a Cat( x_1 .. x_T ) )          W_a: 1x1 convolution, starts at 0.9 I on x_a and 0.1 / (T - 1) I on the others
    with shortcut=True   G_a = W Cat( up(x'_a(1)) .. up(x'_a(N)) )

Shapes      {task: (B, C, H/s, W/s)} -> the same keys and shapes; with the shortcut also (B, T C_N, H/s_n, W/s_n), all tasks'.
Test time   all trunks and each task's W; of the last stage depth's W alone, and depth's shortcut.
Differs     the layers stand after each of the trunk's stages; the shortcut enlarges by repeating pixels.
Cost        T^2 C_n^2 weights a stage, and with the shortcut T C_n C_N more; they want a learning rate of their own
            (docs/sharing.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..contracts import Sharing
from ..registry import SHARING
from .mixing import StageSum, mixing_matrix


@SHARING.register_module()
class NDDR(Sharing):
    """All streams side by side, reduced to each task's own channels by a 1x1 convolution and batch norm after each stage.

    Args:
        tasks, strides, widths: Given by the network.
        shortcut: The heads read the outputs of all stages, not of the last alone.
    """

    def __init__(self, tasks: Sequence[str], strides: Sequence[int], widths: Sequence[int], shortcut: bool = False) -> None:
        super().__init__()
        self.tasks = tuple(tasks)
        self.heads = self.tasks
        self.width = widths[-1]
        self.last = len(strides) - 1
        matrix = mixing_matrix(len(self.tasks))
        #: By stage and task.
        self.layers: Any = nn.ModuleList(
            nn.ModuleDict({task: _layer(row, width) for task, row in zip(self.tasks, matrix, strict=True)}) for width in widths
        )
        self.shortcuts = nn.ModuleDict()
        if shortcut:
            self.shortcuts.update({task: StageSum(strides, widths, project_last=True) for task in self.tasks})

    def trunks(self) -> tuple[str, ...]:
        """One a task."""
        return self.tasks

    def forward(self, n: int, streams: dict[str, Tensor], shared: Tensor | None) -> tuple[dict[str, Tensor], Tensor | None]:
        """The reduced streams; beside them, with the shortcut, the sums over the stages so far, one task after the other."""
        stacked = torch.cat([streams[task] for task in self.tasks], dim=1)
        reduced = {**streams, **{task: layer(stacked) for task, layer in self.layers[n].items()}}
        if not self.shortcuts:
            return reduced, None
        past = [None] * len(self.heads) if shared is None else shared.chunk(len(self.heads), dim=1)
        totals = [self.shortcuts[task](n, reduced[task], before) for task, before in zip(self.heads, past, strict=True)]
        return reduced, torch.cat(totals, dim=1)

    def join(self, streams: dict[str, Tensor], shared: Tensor | None) -> dict[str, Tensor]:
        """Each task's own last stream, or its sum over the stages."""
        if shared is None:
            return {task: streams[task] for task in self.heads}
        return dict(zip(self.heads, shared.chunk(len(self.heads), dim=1), strict=True))

    def head_channels(self, task: str) -> int:
        """Those of the last stage."""
        return self.width

    def reads(self, task: str) -> dict[str, int]:
        """All trunks, to the end."""
        return dict.fromkeys(self.tasks, self.last)

    def strip(self, tasks: tuple[str, ...]) -> None:
        """Only these tasks keep their layer at the last stage, and their shortcut."""
        for task in [task for task in self.heads if task not in tasks]:
            del self.layers[self.last][task]
            if self.shortcuts:
                del self.shortcuts[task]
        self.heads = tuple(tasks)


def _layer(row: Tensor, width: int) -> nn.Sequential:
    """1x1 convolution and batch norm from all streams to one, starting at that row of the mixing matrix."""
    conv = nn.Conv2d(len(row) * width, width, 1, bias=False)
    with torch.no_grad():
        conv.weight.copy_(torch.cat([weight * torch.eye(width) for weight in row], dim=1)[..., None, None])
    return nn.Sequential(conv, nn.BatchNorm2d(width))
