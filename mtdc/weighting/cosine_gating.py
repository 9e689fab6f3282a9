"""Gating by the cosine to the primary task's gradient (Du et al., arXiv 1812.02224, 2018, Eqs. 2 and 3).

    w_i = f_i max(0, cos(g_primary, g_i))          hard: f_i where the cosine is not negative, else 0;  the primary's is f

Shapes      {task: scalar} -> scalar, {task: scalar}.
Test time   dropped.
Differs     for any number of auxiliary tasks, each gated on its own; gradients at the encoder's output, unless
            gramian_at="parameters", and the gate scales the task's own head too.
Cost        a backward pass from each loss to the encoder's output a step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from ..registry import WEIGHTING
from .adapter import GradientRule


@WEIGHTING.register_module()
class PrimaryCosineGating(GradientRule):
    """Auxiliary tasks train shared weights as far as they point where the primary task points.

    Args:
        tasks: Given by the model.
        weights: ``{task: factor}`` f; None is 1 for all.
        primary: The task that the others must not harm.
        hard: All or nothing.
        gramian_at: "features" or "parameters": where gradients are compared.

    Raises:
        ValueError: The network has no such primary task.
    """

    def __init__(
        self,
        tasks: Sequence[str],
        weights: Mapping[str, float] | None = None,
        primary: str = "depth",
        hard: bool = False,
        gramian_at: str = "features",
    ) -> None:
        super().__init__(tasks, weights, gramian_at=gramian_at)
        self.primary, self.hard = self.check_primary(primary), hard

    def rule(self, matrix: Tensor, tasks: list[int]) -> Tensor:
        """The gates."""
        primary = self.tasks.index(self.primary)
        if primary not in tasks:  # without a gradient of its own there is nothing to compare with
            return torch.ones(len(tasks), dtype=matrix.dtype)
        row = tasks.index(primary)
        lengths = matrix.diagonal().sqrt()
        cosine = matrix[row] / (lengths * lengths[row])
        gates = (cosine >= 0).to(matrix.dtype) if self.hard else cosine.clamp(min=0)
        gates[row] = 1
        return gates
