"""Fixed weights (Lu et al., CVPR 2020, Eq. 15).

    total = sum_i w_i L_i          the paper: 1 for depth, 1e-4 for the gray image in 0..255

Shapes      {task: scalar} -> scalar, {task: scalar}.
Test time   dropped.
Differs     nothing.
Cost        none.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from ..registry import WEIGHTING
from .adapter import FactorWeighting, weighted_sum


@WEIGHTING.register_module()
class FixedWeighting(FactorWeighting):
    """One constant a task.

    Args:
        tasks: Names of the network's tasks (given by the model).
        weights: ``{task: weight}``; None weighs every task 1. A task without a weight is an error, a weight without a task
            is not: a config that removes a task need not touch the weights.

    Raises:
        ValueError: A task has no weight, or a weight is negative.
    """

    def forward(self, losses: dict[str, Tensor], gramian: Callable[[], Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """The weighted sum and the constants."""
        return weighted_sum(losses, self.factors)
