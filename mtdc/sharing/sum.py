"""Sum sharing, the paper's module with a stream of its own (Lu et al., CVPR 2020, Eqs. 8 to 11 and Fig. 4).

    f_s(1)   = sum_t f_t(1)                                        Eq. 8
    f_s(n)   = sum_t f_t(n) + Phi(f_s(n - 1))      1 < n < N_t     Eq. 9
    f_s(N_t) = Phi(f_s(N_t - 1))                                   Eq. 10
    G_t1     = Cat( f_t(N_t), f_s(N_t) )                           Eq. 11

Shapes      {task: (B, C_n, H/s_n, W/s_n)} -> the same; shared (B, C_n, H/s_n, W/s_n); joined (B, 2 C_N, H/s_N, W/s_N).
Test time   all sharing convolutions, and every other task's trunk except its last stage, which f_s(N_t) doesn't read.
Differs     the sum runs over any number of tasks; Phi enlarges like the trunks do, so that the sums fit.
Cost        at width 16 0.41 M weights, and a decoder with twice the input channels a task.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..contracts import Sharing
from ..layers.conv import upsample_unit
from ..registry import SHARING


@SHARING.register_module()
class SumSharing(Sharing):
    """A shared stream that sums the task streams; the task streams never read it before the end.

    Raises:
        ValueError: Fewer than two stages (Eqs. 8 and 10 would name the same one).
    """

    def __init__(self, tasks: Sequence[str], strides: Sequence[int], widths: Sequence[int]) -> None:
        super().__init__()
        if len(strides) < 2:
            raise ValueError(f"sum sharing needs a trunk of at least two stages, not {len(strides)}")
        #: Tasks whose streams are summed, and those that have a head: the same until strip().
        self.summed = tuple(tasks)
        self.heads = tuple(tasks)
        self.last = len(strides) - 1
        self.width = widths[-1]
        #: Phi of stage n at index n - 1; the first stage has no shared past.
        self.convs = nn.ModuleList(
            upsample_unit(widths[n - 1], widths[n], strides[n - 1] // strides[n]) for n in range(1, len(strides))
        )

    def trunks(self) -> tuple[str, ...]:
        """One a task."""
        return self.summed

    def forward(self, n: int, streams: dict[str, Tensor], shared: Tensor | None) -> tuple[dict[str, Tensor], Tensor | None]:
        """Eqs. 8 to 10: the shared stream after stage n."""
        past = None if shared is None else self.convs[n - 1](shared)
        if n == self.last:
            return streams, past
        total = sum(streams[task] for task in self.summed[1:]) + streams[self.summed[0]]
        return streams, total if past is None else total + past

    def join(self, streams: dict[str, Tensor], shared: Tensor | None) -> dict[str, Tensor]:
        """Each task's own last stream beside the shared one (Eq. 11)."""
        assert shared is not None
        return {task: torch.cat((streams[task], shared), dim=1) for task in self.heads}

    def head_channels(self, task: str) -> int:
        """Twice those of the last stage."""
        return 2 * self.width

    def reads(self, task: str) -> dict[str, int]:
        """Its own trunk to the end, every other one up to the last stage but one."""
        return {other: self.last if other == task else self.last - 1 for other in self.summed}

    def strip(self, tasks: tuple[str, ...]) -> None:
        """Only these tasks keep a head; the sum still runs over all."""
        self.heads = tuple(tasks)
