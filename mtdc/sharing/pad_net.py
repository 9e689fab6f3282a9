"""PAD-Net's distillation between tasks (Xu et al., CVPR 2018, distillation modules A, B and C).

    after stage m every task predicts a first time, supervised like its last prediction; its features F_t(m) are then exchanged:
    distillation="A"    F'_k = Phi( Cat( F_1 .. F_T ) )
    distillation="B"    F'_k = F_k + sum_(t != k) W_(t,k) F_t
    distillation="C"    F'_k = F_k + sum_(t != k) G_k * (W_(t,k) F_t),    G_k = sigmoid(V_k F_k)

Shapes      {task: (B, C_n, H/s_n, W/s_n)} -> the same keys and shapes; W, V and Phi are 3x3 convolutions that keep them.
Test time   the first predictions go (they are made in training alone), and the other tasks' later stages and heads. Their
            trunks up to stage m can't be dropped: depth reads the features that they end in.
Differs     features in front of the first predictions are exchanged, not maps computed from them; each task has its own trunk
            to stage m, and every task is distilled into, the image as well; W is of a pair of tasks in C too.
Cost        9 C_m^2 weights a pair of tasks (B), and one a task more (C); in training a second head a task.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

import torch
from torch import Tensor, nn

from ..contracts import Sharing
from ..layers.conv import conv_unit
from ..registry import SHARING

DISTILLATIONS = ("A", "B", "C")


class Distillation(nn.Module):
    """What one task makes of all tasks' features.

    Args:
        tasks: Names of all.
        task: Its own name, k.
        width: Channels of the features.
        kind: "A", "B" or "C".
    """

    def __init__(self, tasks: Sequence[str], task: str, width: int, kind: str) -> None:
        super().__init__()
        self.tasks = tuple(tasks)
        self.task = task
        self.others = tuple(other for other in tasks if other != task)
        self.mix: nn.Module | None = conv_unit(len(self.tasks) * width, width) if kind == "A" else None
        self.messages = nn.ModuleDict()
        self.gate: nn.Module | None = None
        if kind != "A":
            self.messages.update({other: nn.Conv2d(width, width, 3, padding=1, bias=False) for other in self.others})
        if kind == "C" and self.others:
            self.gate = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, streams: dict[str, Tensor]) -> Tensor:
        """``{task: (B, C, H, W)}`` to this task's distilled ``(B, C, H, W)``."""
        own = streams[self.task]
        if self.mix is not None:
            mixed: Tensor = self.mix(torch.cat([streams[task] for task in self.tasks], dim=1))
            return mixed
        messages = [self.messages[other](streams[other]) for other in self.others]
        if not messages:
            return own
        total = reduce(torch.add, messages)
        return own + (total if self.gate is None else self.gate(own).sigmoid() * total)


@SHARING.register_module()
class PADNet(Sharing):
    """First predictions after one stage, and an exchange of the features that they are made from.

    Args:
        tasks, strides, widths: Given by the network.
        stage: m, counted from 0.
        distillation: "A", "B" or "C".

    Raises:
        ValueError: A stage that the trunk hasn't, or another distillation.
    """

    def __init__(
        self,
        tasks: Sequence[str],
        strides: Sequence[int],
        widths: Sequence[int],
        stage: int = 1,
        distillation: str = "C",
    ) -> None:
        super().__init__()
        if not 0 <= stage < len(strides):
            raise ValueError(f"stage={stage} is none of the trunk's, 0 to {len(strides) - 1}")
        if distillation not in DISTILLATIONS:
            raise ValueError(f"distillation must be one of {', '.join(DISTILLATIONS)}, not '{distillation}'")
        self.tasks = tuple(tasks)
        self.heads = self.tasks
        self.width = widths[-1]
        self.last = len(strides) - 1
        self.stage = stage
        self.intermediate = stage
        self.distillations = nn.ModuleDict(
            {task: Distillation(self.tasks, task, widths[stage], distillation) for task in self.tasks}
        )

    def trunks(self) -> tuple[str, ...]:
        """One a task."""
        return self.tasks

    def forward(self, n: int, streams: dict[str, Tensor], shared: Tensor | None) -> tuple[dict[str, Tensor], Tensor | None]:
        """The distilled streams after stage m, and the streams as they are elsewhere."""
        if n != self.stage:
            return streams, None
        return {**streams, **{task: self.distillations[task](streams) for task in self.heads}}, None

    def join(self, streams: dict[str, Tensor], shared: Tensor | None) -> dict[str, Tensor]:
        """Each task's own last stream."""
        return {task: streams[task] for task in self.heads}

    def head_channels(self, task: str) -> int:
        """Those of the last stage."""
        return self.width

    def reads(self, task: str) -> dict[str, int]:
        """Its own trunk to the end, the others to stage m."""
        return {other: self.last if other == task else self.stage for other in self.tasks}

    def strip(self, tasks: tuple[str, ...]) -> None:
        """Only these tasks are distilled into."""
        for task in [task for task in self.heads if task not in tasks]:
            del self.distillations[task]
        self.heads = tuple(tasks)
