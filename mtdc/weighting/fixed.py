"""Fixed weights (Lu et al., CVPR 2020, Eq. 15).

    total = sum_i w_i L_i          the paper: 1 for depth, 1e-4 for the gray image in 0..255

Shapes      {task: scalar} -> scalar, {task: scalar}.
Test time   dropped.
Differs     nothing.
Cost        none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from torch import Tensor

from ..contracts import Weighting
from ..registry import WEIGHTING


@WEIGHTING.register_module()
class FixedWeighting(Weighting):
    """One constant a task.

    Args:
        tasks: Names of the network's tasks (given by the model).
        weights: ``{task: weight}``; None weighs every task 1. A task without a weight is an error, a weight without a task
            is not: a config that removes a task need not touch the weights.

    Raises:
        ValueError: A task has no weight, or a weight is negative.
    """

    def __init__(self, tasks: Sequence[str], weights: Mapping[str, float] | None = None) -> None:
        super().__init__()
        missing = [task for task in tasks if weights is not None and task not in weights]
        if missing:
            raise ValueError(f"weights has no entry for task '{missing[0]}'; it has {sorted(weights or {})}")
        negative = [task for task, weight in (weights or {}).items() if weight < 0]
        if negative:
            raise ValueError(f"the weight of '{negative[0]}' is negative: its loss would be made large")
        self.weights = {task: 1.0 if weights is None else float(weights[task]) for task in tasks}

    def forward(self, losses: dict[str, Tensor], gramian: Callable[[], Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """The weighted sum and the constants."""
        weights = {task: loss.new_tensor(self.weights[task]) for task, loss in losses.items()}
        # Summed in one order whatever the order of the dict, so that the total is the same to the last bit.
        total = sum((weights[task] * losses[task] for task in sorted(losses)), start=next(iter(losses.values())).new_zeros(()))
        return total, weights
