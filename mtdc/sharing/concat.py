"""Concatenation in place of the paper's sum: a control for it (after Lu et al., CVPR 2020, Eqs. 8 to 11).

    at="stages"    f_s(1)   = W_1 Cat_t f_t(1)                              in place of Eq. 8
                   f_s(n)   = W_n Cat( f_1(n) .. f_T(n), Phi(f_s(n - 1)) )  in place of Eq. 9, 1 < n < N_t
                   f_s(N_t) = Phi(f_s(N_t - 1))                             Eq. 10
                   G_t1     = Cat( f_t(N_t), f_s(N_t) )                     Eq. 11
    at="join"      G_t1     = Cat( f_t(N_t), f_other(N_t) ... )             nothing is exchanged before the end

Shapes      {task: (B, C_n, H/s_n, W/s_n)} -> the same; joined (B, 2 C_N, H/s_N, W/s_N), at the join (B, T C_N, ..).
Test time   "stages": as the sum, all sharing convolutions and the other trunks except their last stage. "join": all trunks
            whole; only the other heads go.
Differs     W is a 1x1 convolution with batch norm and LeakyReLU where the paper adds; the sum is the W of identities.
Cost        "stages": the sum's and (T + 1) C_n^2 weights a stage. "join": none, and decoders with T times the input channels.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..contracts import Sharing
from ..layers.conv import conv_unit, upsample_unit
from ..registry import SHARING

PLACES = ("stages", "join")


@SHARING.register_module()
class ConcatSharing(Sharing):
    """The tasks' streams side by side: mixed by a 1x1 convolution after each stage, or as they are before the heads.

    Args:
        tasks, strides, widths: Given by the network.
        at: "stages" or "join".

    Raises:
        ValueError: Another place, or "stages" with a trunk of fewer than two.
    """

    def __init__(self, tasks: Sequence[str], strides: Sequence[int], widths: Sequence[int], at: str = "stages") -> None:
        super().__init__()
        if at not in PLACES:
            raise ValueError(f"at must be one of {', '.join(PLACES)}, not '{at}'")
        #: Tasks whose streams are joined, and those that have a head: the same until strip().
        self.joined = tuple(tasks)
        self.heads = tuple(tasks)
        self.last = len(strides) - 1
        self.width = widths[-1]
        #: Phi of stage n at index n - 1, and W of stage n at index n; both empty where everything happens at the join.
        self.convs = nn.ModuleList()
        self.mixes = nn.ModuleList()
        if at == "join":
            return
        if self.last < 1:
            raise ValueError(
                f"concatenation at the stages needs a trunk of at least two, not {len(strides)}; at='join' needs one"
            )
        for n in range(1, len(strides)):
            self.convs.append(upsample_unit(widths[n - 1], widths[n], strides[n - 1] // strides[n]))
        for n in range(self.last):
            self.mixes.append(conv_unit((len(self.joined) + (n > 0)) * widths[n], widths[n], kernel_size=1))

    def trunks(self) -> tuple[str, ...]:
        """One a task."""
        return self.joined

    def forward(self, n: int, streams: dict[str, Tensor], shared: Tensor | None) -> tuple[dict[str, Tensor], Tensor | None]:
        """The task streams as they are, and the shared one after stage n."""
        if not self.mixes:
            return streams, None
        past = None if shared is None else self.convs[n - 1](shared)
        if n == self.last:
            return streams, past
        parts = [streams[task] for task in self.joined]
        return streams, self.mixes[n](torch.cat(parts if past is None else [*parts, past], dim=1))

    def join(self, streams: dict[str, Tensor], shared: Tensor | None) -> dict[str, Tensor]:
        """Each task's own last stream, beside the shared one or all the others."""
        joined = {}
        for task in self.heads:
            others = [streams[other] for other in self.joined if other != task] if shared is None else [shared]
            joined[task] = torch.cat([streams[task], *others], dim=1)
        return joined

    def head_channels(self, task: str) -> int:
        """Twice those of the last stage, or as many times as there are tasks."""
        return (2 if self.mixes else len(self.joined)) * self.width

    def reads(self, task: str) -> dict[str, int]:
        """All trunks: its own to the end, the others to the last stage that is concatenated."""
        others = self.last - 1 if self.mixes else self.last
        return {other: self.last if other == task else others for other in self.joined}

    def strip(self, tasks: tuple[str, ...]) -> None:
        """Only these tasks keep a head; all streams are still joined."""
        self.heads = tuple(tasks)
