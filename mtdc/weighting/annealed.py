"""Auxiliary weights that change in the course of training (Lu et al., CVPR 2020, Eq. 15, with weights of the progress p).

    total = w_primary L_primary + s(p) sum_i w_i L_i          p: share of training done, s: a schedule

Shapes      {task: scalar} -> scalar, {task: scalar}.
Test time   dropped.
Differs     from fixed weights by the factor s; the paper keeps its weights.
Cost        none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor

from ..layers.schedule import build_schedule
from ..registry import WEIGHTING
from .adapter import FactorWeighting, weighted_sum


@WEIGHTING.register_module()
class AnnealedWeighting(FactorWeighting):
    """Fixed weights, with a schedule on those of the auxiliary tasks.

    Args:
        tasks: Given by the model.
        weights: ``{task: weight}``; None is 1 for all.
        primary: The task whose weight stays.
        schedule: ``dict(shape='linear'|'cosine'|'step', start, end, begin, until)`` over shares of training; None falls
            linearly from 1 to 0.

    Raises:
        ValueError: The network has no such primary task, or the schedule can't be.
    """

    def __init__(
        self,
        tasks: Sequence[str],
        weights: Mapping[str, float] | None = None,
        primary: str = "depth",
        schedule: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(tasks, weights)
        self.primary = self.check_primary(primary)
        built = build_schedule({"shape": "linear", "start": 1.0, "end": 0.0} if schedule is None else schedule)
        assert built is not None
        self.schedule = built
        self.progress = 0.0

    def set_progress(self, progress: float) -> None:
        """Share of training that is done, 0..1; said before every step."""
        self.progress = progress

    def forward(self, losses: dict[str, Tensor], gramian: Callable[[], Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """The weighted sum, and the weights of this step."""
        scale = self.schedule(self.progress)
        return weighted_sum(
            losses, {task: factor * (1.0 if task == self.primary else scale) for task, factor in self.factors.items()}
        )
