"""Sluice networks (Ruder et al., arXiv 1705.08142, 2017; "Latent multi-task architecture learning", AAAI 2019).

    x'_(a,i) = sum_(b,j) alpha[(a,i), (b,j)] * x_(b,j)     x_(a,1) .. x_(a,S): the channels of x_a in S subspaces
    G_a      = sum_n beta_a(n) P_a(n) x'_a(n)              layers mixed before the head
    penalty  = w mean_(n,a,i<j) || X_(a,i) X_(a,j)^T ||_F^2 / (channels of a subspace)^2     orthogonal subspaces

Shapes      {task: (B, C_n, H/s_n, W/s_n)} -> the same; the sums over layers side by side, (B, T C_N, H/s_n, W/s_n).
Test time   all trunks; of the last stage's alpha depth's rows alone, and depth's own beta and P. The penalty and the other
            tasks' beta and P go.
Differs     layers have different sizes here: P is a 1x1 convolution and a repetition of pixels, the identity at the last layer.
            X holds a subspace's maps as rows of unit length, over batch and pixels, so that scale can't shrink the penalty,
            where the paper multiplies the subspaces' weight matrices as they are: trunks are exchangeable here, and theirs
            are not the sharing's to see. alpha and beta start at 0.9 for what is one's own
            (the last layer), as cross-stitch.
Cost        (S T)^2 numbers a stage; P has C_n C_N weights a task and stage; the penalty is computed in training alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from itertools import combinations
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..contracts import Sharing
from ..registry import SHARING
from .mixing import StageSum, mixing_matrix


@SHARING.register_module()
class Sluice(Sharing):
    """Subspaces of all streams mixed after each stage, and all stages mixed before each head.

    Args:
        tasks, strides, widths: Given by the network.
        subspaces: S, parts that a stream's channels are split into.
        orthogonality: w, weight of the penalty; 0 leaves it out.

    Raises:
        ValueError: Channels of a stage that S doesn't divide, or a negative weight.
    """

    def __init__(
        self,
        tasks: Sequence[str],
        strides: Sequence[int],
        widths: Sequence[int],
        subspaces: int = 2,
        orthogonality: float = 0.01,
    ) -> None:
        super().__init__()
        if subspaces < 1 or any(width % subspaces for width in widths):
            raise ValueError(f"subspaces={subspaces} must divide the channels of every stage, {', '.join(map(str, widths))}")
        if not orthogonality >= 0:
            raise ValueError(f"orthogonality must be 0 or more, not {orthogonality}")
        self.tasks = tuple(tasks)
        self.heads = self.tasks
        self.width = widths[-1]
        self.last = len(strides) - 1
        self.subspaces = subspaces
        self.orthogonality = orthogonality
        #: Tasks that have rows in each stage's alpha.
        self.rows = [self.tasks] * len(strides)
        self.alphas = nn.ParameterList(nn.Parameter(mixing_matrix(subspaces * len(self.tasks))) for _ in strides)
        beta = mixing_matrix(len(strides))[-1]
        self.betas = nn.ParameterDict({task: nn.Parameter(beta.clone()) for task in self.tasks})
        self.sums = nn.ModuleDict({task: StageSum(strides, widths) for task in self.tasks})
        #: The penalty of each stage of the last forward in training, until penalty() hands it on.
        self._overlaps: list[Tensor] = []

    def __getstate__(self) -> dict[str, Any]:
        """Without the penalty of a step that is under way: tensors of a graph can't be copied."""
        return {**self.__dict__, "_overlaps": []}

    def trunks(self) -> tuple[str, ...]:
        """One a task."""
        return self.tasks

    def forward(self, n: int, streams: dict[str, Tensor], shared: Tensor | None) -> tuple[dict[str, Tensor], Tensor | None]:
        """The streams with their subspaces mixed; beside them the sums over the layers so far, one task after the other."""
        parts = [part for task in self.tasks for part in streams[task].chunk(self.subspaces, dim=1)]
        if n == 0:
            self._overlaps = []
        if self.training and self.orthogonality > 0 and self.subspaces > 1:
            self._overlaps.append(self._overlap(parts))
        alpha = self.alphas[n].to(parts[0].dtype)
        mixed = dict(streams)
        for row, task in enumerate(self.rows[n]):
            own = [
                reduce(torch.add, [weight * part for weight, part in zip(weights, parts, strict=True)])
                for weights in alpha[row * self.subspaces : (row + 1) * self.subspaces]
            ]
            mixed[task] = torch.cat(own, dim=1)
        past = [None] * len(self.heads) if shared is None else shared.chunk(len(self.heads), dim=1)
        totals = [
            self.sums[task](n, self.betas[task][n].to(mixed[task].dtype) * mixed[task], before)
            for task, before in zip(self.heads, past, strict=True)
        ]
        return mixed, torch.cat(totals, dim=1)

    def _overlap(self, parts: Sequence[Tensor]) -> Tensor:
        """Mean squared cosine between maps of different subspaces of one task, 0..1, in float32."""
        with torch.autocast(parts[0].device.type, enabled=False):
            rows = [functional.normalize(part.float().transpose(0, 1).flatten(1), dim=1) for part in parts]
            values = [
                (rows[first + i] @ rows[first + j].T).square().mean()
                for first in range(0, len(rows), self.subspaces)
                for i, j in combinations(range(self.subspaces), 2)
            ]
        return torch.stack(values).mean()

    def join(self, streams: dict[str, Tensor], shared: Tensor | None) -> dict[str, Tensor]:
        """Each task's sum over the layers."""
        assert shared is not None
        return dict(zip(self.heads, shared.chunk(len(self.heads), dim=1), strict=True))

    def head_channels(self, task: str) -> int:
        """Those of the last stage."""
        return self.width

    def reads(self, task: str) -> dict[str, int]:
        """All trunks, to the end."""
        return dict.fromkeys(self.tasks, self.last)

    def strip(self, tasks: tuple[str, ...]) -> None:
        """Only these tasks keep their rows of the last alpha, their beta and their P."""
        kept = [self.rows[self.last].index(task) for task in tasks]
        alpha = self.alphas[self.last].detach().unflatten(0, (-1, self.subspaces))[kept].flatten(0, 1)
        self.alphas[self.last] = nn.Parameter(alpha)
        self.rows[self.last] = tuple(tasks)
        for task in [task for task in self.heads if task not in tasks]:
            del self.betas[task], self.sums[task]
        self.heads = tuple(tasks)

    def penalty(self) -> dict[str, Tensor]:
        """``orthogonality``: of the last forward in training; nothing where there was none."""
        overlaps, self._overlaps = self._overlaps, []
        return {"orthogonality": self.orthogonality * torch.stack(overlaps).mean()} if overlaps else {}
