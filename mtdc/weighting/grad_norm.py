"""GradNorm: weights that let tasks train at similar rates (Chen et al., ICML 2018, Eqs. 1 and 2, Alg. 1).

    minimise over w   sum_i | G_i - mean(G) r_i^alpha |          G_i = w_i |g_i|,   r_i = (L_i / L_i(0)) / mean of the same
    then w <- T w / sum w

Shapes      {task: scalar} -> scalar, {task: scalar}.
Test time   dropped.
Differs     gradients at the encoder's output, the last that all tasks share, unless gramian_at="parameters". The step of w is
            divided by the mean of |g|, so that the rate doesn't depend on the losses' units.
Cost        a backward pass from each loss to the encoder's output a step.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from ..layers.processes import mean_of_processes
from ..registry import WEIGHTING
from .adapter import NO_GRADIENT, FactorWeighting, weighted_sum

#: No weight falls below this: one of 0 would never come back.
LEAST_WEIGHT = 1e-4


@WEIGHTING.register_module()
class GradNorm(FactorWeighting):
    """Learned weights that balance the lengths of gradients by how far each task has come.

    Args:
        tasks: Given by the model.
        weights: ``{task: factor}`` in front of the rule; None is 1 for all. Losses of very different units want them.
        alpha: How strongly a task that is behind is helped; 0 makes all gradients equally long.
        rate: Step of the weights.
        gramian_at: "features" or "parameters": where gradients are measured.

    Raises:
        ValueError: A rate that is not positive, or another place.
    """

    def __init__(
        self,
        tasks: Sequence[str],
        weights: Mapping[str, float] | None = None,
        alpha: float = 1.5,
        rate: float = 0.025,
        gramian_at: str = "features",
    ) -> None:
        super().__init__(tasks, weights)
        if rate <= 0:
            raise ValueError(f"rate must be above 0, not {rate}")
        if gramian_at not in ("features", "parameters"):
            raise ValueError(f"gramian_at must be 'features' or 'parameters', not '{gramian_at}'")
        self.alpha, self.rate, self.gramian_at = alpha, rate, gramian_at
        self.learned: Tensor
        self.first: Tensor
        self.register_buffer("learned", torch.ones(len(self.tasks), dtype=torch.float64))
        #: L_i(0); 0 until the task had a loss.
        self.register_buffer("first", torch.zeros(len(self.tasks), dtype=torch.float64))

    def forward(self, losses: dict[str, Tensor], gramian: Callable[[], Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """The sum of the losses with the weights learned so far; then one step of the weights."""
        factors = self.factor_vector()
        learned = self.learned.cpu()
        result = weighted_sum(losses, dict(zip(self.tasks, (learned * factors).tolist(), strict=True)))
        lengths = self.ordered(losses, gramian).diagonal().clamp(min=0).sqrt()
        values = mean_of_processes(torch.stack([losses[task].detach().double() for task in self.tasks])).cpu() * factors
        self._step(learned, lengths, values)
        return result

    def _step(self, learned: Tensor, lengths: Tensor, values: Tensor) -> None:
        first = self.first.cpu()
        first = torch.where(first > 0, first, values)
        self.first = first.to(self.first.device)
        present = (lengths > NO_GRADIENT * lengths.max()) & (first > 0)
        if int(present.sum()) < 2 or not torch.isfinite(lengths).all():
            return  # one task has nothing to be balanced with
        norms = learned[present] * lengths[present]
        ratio = values[present] / first[present]
        target = norms.mean() * (ratio / ratio.mean()) ** self.alpha
        slope = torch.sign(norms - target) * lengths[present] / lengths[present].mean()
        learned = learned.clone()
        learned[present] = (learned[present] - self.rate * slope).clamp(min=LEAST_WEIGHT)
        self.learned = (len(self.tasks) * learned / learned.sum()).to(self.learned.device)
