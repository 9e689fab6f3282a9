"""No sharing beyond the encoder: B with one task, B + I with two (Lu et al., CVPR 2020, Table 2).

    G_t1(f_0) = f_t(N_t)          for each task t

Shapes      {task: (B, C, H/s, W/s)} -> the same keys and shapes.
Test time   only depth's trunk and head: the others are dropped by strip().
Differs     nothing.
Cost        none.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from ..contracts import Sharing
from ..registry import SHARING


@SHARING.register_module()
class NoSharing(Sharing):
    """Each task keeps its stream to itself."""

    def __init__(self, tasks: Sequence[str], strides: Sequence[int], widths: Sequence[int]) -> None:
        super().__init__()
        self.tasks = tuple(tasks)
        self.width = widths[-1]
        self.last = len(strides) - 1

    def trunks(self) -> tuple[str, ...]:
        """One a task."""
        return self.tasks

    def forward(self, n: int, streams: dict[str, Tensor], shared: Tensor | None) -> tuple[dict[str, Tensor], Tensor | None]:
        """The streams as they are."""
        return streams, None

    def join(self, streams: dict[str, Tensor], shared: Tensor | None) -> dict[str, Tensor]:
        """Each task's own last stream."""
        return {task: streams[task] for task in self.tasks}

    def head_channels(self, task: str) -> int:
        """Those of the task's last stage."""
        return self.width

    def reads(self, task: str) -> dict[str, int]:
        """Its own trunk, to the end."""
        return {task: self.last}

    def strip(self, tasks: tuple[str, ...]) -> None:
        """Forget the other tasks; there is no parameter to drop."""
        self.tasks = tuple(tasks)
