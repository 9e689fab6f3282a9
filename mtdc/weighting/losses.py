"""Weights from the losses' values alone, by torchjd's scalarizers: uncertainty (Kendall, Gal, Cipolla, CVPR 2018), IMTL-L (Liu
et al., ICLR 2021), DWA (Liu, Johns, Davison, CVPR 2019, Eq. 7), random (Lin et al., TMLR 2022), geometric mean (Chennupati et
al., CVPRW 2019).

    uncertainty     w_i = e^{-s_i} / 2,  s_i learned from  sum_i ( e^{-s_i} L_i + s_i ) / 2
    IMTL-L          w_i = e^{s_i},       s_i learned from  sum_i ( e^{s_i} L_i - s_i )
    DWA             w = T softmax(r / temperature),  r_i = mean of L_i in the last period / in the one before
    random          w = softmax of T normal numbers, drawn anew each step
    geometric mean  w_i = g / (T L_i),  g = (product of L_i)^(1/T)

Shapes      {task: scalar} -> scalar, {task: scalar}.
Test time   dropped.
Differs     DWA's periods are numbers of steps and not epochs, so that a training by iterations has them too.
Cost        none; the first two learn a number a task, which should not decay (docs/weighting.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from ..registry import WEIGHTING
from .adapter import LossRule, torchjd_part

#: Losses below this are taken for it, where a rule divides by them or takes their logarithm.
LEAST_LOSS = 1e-12


@WEIGHTING.register_module()
class UncertaintyWeighting(LossRule):
    """Learned task uncertainty (Kendall, Gal, Cipolla, CVPR 2018): losses are divided by a variance that is learned with
    them.

    Args:
        tasks: Given by the model.
        weights: ``{task: factor}`` in front of the rule; None is 1 for all.
    """

    def __init__(self, tasks: Sequence[str], weights: Mapping[str, float] | None = None) -> None:
        super().__init__(tasks, weights)
        self.scalarizer = torchjd_part("scalarization", "UW", shape=len(self.tasks))

    def scalar(self, values: Tensor) -> Tensor:
        """See the module."""
        scalar: Tensor = self.scalarizer(values)
        return scalar


@WEIGHTING.register_module()
class IMTLL(LossRule):
    """Impartial learning by losses (Liu et al., ICLR 2021): learned scales that make the scaled losses alike.

    Args:
        tasks: Given by the model.
        weights: ``{task: factor}`` in front of the rule; None is 1 for all.
    """

    def __init__(self, tasks: Sequence[str], weights: Mapping[str, float] | None = None) -> None:
        super().__init__(tasks, weights)
        self.scalarizer = torchjd_part("scalarization", "IMTLL", shape=len(self.tasks))

    def scalar(self, values: Tensor) -> Tensor:
        """See the module."""
        scalar: Tensor = self.scalarizer(values)
        return scalar


@WEIGHTING.register_module()
class RandomWeighting(LossRule):
    """Random weights that add up to 1, drawn anew each step; the same on all processes and in a resumed run (Lin et al.,
    TMLR 2022).

    Args:
        tasks: Given by the model.
        weights: ``{task: factor}`` in front of the rule; None is 1 for all.
        seed: Of the draws.
    """

    def __init__(self, tasks: Sequence[str], weights: Mapping[str, float] | None = None, seed: int = 0) -> None:
        super().__init__(tasks, weights, seed)
        self.scalarizer = torchjd_part("scalarization", "Random")

    def scalar(self, values: Tensor) -> Tensor:
        """See the module."""
        # Drawn on the processor, so that all devices draw alike.
        scalar: Tensor = self.scalarizer(values.cpu())
        return scalar.to(values.device)


@WEIGHTING.register_module()
class GeometricMean(LossRule):
    """The geometric mean of the losses (Chennupati et al., CVPRW 2019): a loss weighs by the share that it lost.

    Args:
        tasks: Given by the model.
        weights: ``{task: factor}`` in front of the rule; they scale the total alone.
    """

    def __init__(self, tasks: Sequence[str], weights: Mapping[str, float] | None = None) -> None:
        super().__init__(tasks, weights)
        self.scalarizer = torchjd_part("scalarization", "GeometricMean")

    def scalar(self, values: Tensor) -> Tensor:
        """See the module; a loss of 0 (no label in the batch) takes no part."""
        present = values.detach() > LEAST_LOSS
        return self.scalarizer(values[present]) if present.any() else values.sum()


@WEIGHTING.register_module()
class DWA(LossRule):
    """Dynamic weight average (Liu, Johns, Davison, CVPR 2019, Eq. 7): a task whose loss falls slowly weighs more.

    Args:
        tasks: Given by the model.
        weights: ``{task: factor}`` in front of the rule; they are the weights of the first two periods.
        temperature: Greater is more even.
        period: Steps that a loss is averaged over.

    Raises:
        ValueError: A temperature that is not positive, or a period below 1.
    """

    def __init__(
        self,
        tasks: Sequence[str],
        weights: Mapping[str, float] | None = None,
        temperature: float = 2.0,
        period: int = 100,
    ) -> None:
        super().__init__(tasks, weights)
        if period < 1:
            raise ValueError(f"period must be 1 or more steps, not {period}")
        self.period, self.temperature = period, temperature
        torchjd_part("scalarization", "DWA", temperature=temperature)  # refuses what it can't take
        self.total: Tensor
        self.history: Tensor
        self.periods: Tensor
        # torchjd keeps these out of its state; a resumed run needs them.
        self.register_buffer("total", torch.zeros(len(self.tasks), dtype=torch.float64))
        self.register_buffer("history", torch.ones(2, len(self.tasks), dtype=torch.float64))
        self.register_buffer("periods", torch.zeros((), dtype=torch.int64))

    def scalar(self, values: Tensor) -> Tensor:
        """See the module."""
        rule = torchjd_part("scalarization", "DWA", temperature=self.temperature)
        if self.periods >= 2:
            rule._previous_averages = [one.to(values) for one in self.history.clamp(min=LEAST_LOSS)]
        scalar: Tensor = rule(values)
        self.total += values.detach().to(self.total)
        if (int(self.steps) + 1) % self.period == 0:
            self.history = torch.stack((self.history[1], self.total / self.period))
            self.total = torch.zeros_like(self.total)
            self.periods += 1
        return scalar
