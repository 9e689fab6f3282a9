"""Cross-stitch units (Misra et al., CVPR 2016, Eq. 1).

    x'_a = sum_b  M[a, b] * x_b          M: (T, T), one a stage; starts at 0.9 on the diagonal, 0.1 / (T - 1) off it; T = 1: 1

Shapes      {task: (B, C, H/s, W/s)} -> the same keys and shapes.
Test time   all trunks, and depth's row alone of the last stage's M. With one_way=True depth reads no other task: the other
            trunks and all of M are dropped by strip().
Differs     a number a pair of tasks or, with per_channel=True, one a channel, as the paper; the units stand after each of the
            trunk's stages; the identity in place of depth's row with one_way=True.
Cost        T * T numbers a stage, C times as many per channel; they want a learning rate of their own (docs/sharing.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

import torch
from torch import Tensor, nn

from ..contracts import Sharing
from ..registry import SHARING
from .mixing import mixing_matrix, primary


@SHARING.register_module()
class CrossStitch(Sharing):
    """Each stream goes on as a learned linear combination of all.

    Args:
        tasks, strides, widths: Given by the network.
        one_way: Depth (the first task, where there is no depth) gives to the others and reads none of them.
        per_channel: One matrix a channel in place of one for all.
    """

    def __init__(
        self,
        tasks: Sequence[str],
        strides: Sequence[int],
        widths: Sequence[int],
        one_way: bool = False,
        per_channel: bool = False,
    ) -> None:
        super().__init__()
        self.tasks = tuple(tasks)
        self.width = widths[-1]
        self.last = len(strides) - 1
        #: The task that reads itself alone.
        self.alone = primary(self.tasks) if one_way else None
        #: Tasks that have a row in each stage's M.
        self.rows = [tuple(task for task in self.tasks if task != self.alone)] * len(strides)
        self.heads = self.tasks
        self.stitches = nn.ParameterList()
        if self.rows[0]:
            matrix = mixing_matrix(len(self.tasks))[[self.tasks.index(task) for task in self.rows[0]]]
            for width in widths:
                self.stitches.append(nn.Parameter(matrix[..., None].repeat(1, 1, width if per_channel else 1)))

    def trunks(self) -> tuple[str, ...]:
        """One a task."""
        return self.tasks

    def forward(self, n: int, streams: dict[str, Tensor], shared: Tensor | None) -> tuple[dict[str, Tensor], Tensor | None]:
        """Eq. 1 on the streams of stage n."""
        mixed = dict(streams)
        for row, task in enumerate(self.rows[n]):
            weights = self.stitches[n][row].to(streams[task].dtype)[..., None, None]
            mixed[task] = reduce(torch.add, [w * streams[other] for w, other in zip(weights, self.tasks, strict=True)])
        return mixed, None

    def join(self, streams: dict[str, Tensor], shared: Tensor | None) -> dict[str, Tensor]:
        """Each task's own last stream."""
        return {task: streams[task] for task in self.heads}

    def head_channels(self, task: str) -> int:
        """Those of the last stage."""
        return self.width

    def reads(self, task: str) -> dict[str, int]:
        """All trunks to the end, or its own alone."""
        return dict.fromkeys((task,) if task == self.alone else self.tasks, self.last)

    def strip(self, tasks: tuple[str, ...]) -> None:
        """Only these tasks keep their row of the last M; no M is left where they read none."""
        self.heads = tuple(tasks)
        left = tuple(task for task in self.rows[self.last] if task in tasks)
        if not left:
            self.rows = [()] * len(self.rows)
            self.stitches = nn.ParameterList()
            return
        kept = [self.rows[self.last].index(task) for task in left]
        self.stitches[self.last] = nn.Parameter(self.stitches[self.last].detach()[kept])
        self.rows[self.last] = left
