"""Hard sharing: one trunk serves all tasks, which part at their heads (Caruana, Machine Learning 1997, section 2).

    G_t1(f_0) = f(N)              for every task t, one f for all

Shapes      {"shared": (B, C, H/s, W/s)} -> the same; joined (B, C_N, H/s_N, W/s_N), the same map for each task.
Test time   the trunk and depth's head: the other heads are dropped by strip().
Differs     convolutions in place of fully connected layers.
Cost        none; one trunk in place of one a task.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from ..contracts import Sharing
from ..registry import SHARING

#: Name of the one trunk.
TRUNK = "shared"


@SHARING.register_module()
class HardSharing(Sharing):
    """One trunk for all tasks."""

    def __init__(self, tasks: Sequence[str], strides: Sequence[int], widths: Sequence[int]) -> None:
        super().__init__()
        self.tasks = tuple(tasks)
        self.width = widths[-1]
        self.last = len(strides) - 1

    def trunks(self) -> tuple[str, ...]:
        """One for all."""
        return (TRUNK,)

    def forward(self, n: int, streams: dict[str, Tensor], shared: Tensor | None) -> tuple[dict[str, Tensor], Tensor | None]:
        """The stream as it is."""
        return streams, None

    def join(self, streams: dict[str, Tensor], shared: Tensor | None) -> dict[str, Tensor]:
        """The trunk's last stream, for each task."""
        return dict.fromkeys(self.tasks, streams[TRUNK])

    def head_channels(self, task: str) -> int:
        """Those of the last stage."""
        return self.width

    def reads(self, task: str) -> dict[str, int]:
        """The one trunk, to the end."""
        return {TRUNK: self.last}

    def strip(self, tasks: tuple[str, ...]) -> None:
        """Forget the other tasks; there is no parameter to drop."""
        self.tasks = tuple(tasks)
