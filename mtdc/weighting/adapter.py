"""What rules share: prior factors, draws that can be repeated, and adapters of torchjd (Valentin Quinton, Pierre Rey et al.).

A rule adapted here sees tasks in alphabetical order, so that their order in a config doesn't matter, after each loss was
multiplied by its factor. Where several processes train, all see the same numbers: means of losses, or of inner products.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from ..contracts import Weighting
from ..layers.processes import mean_of_processes

#: A task whose gradient is shorter than this part of the longest has none: a frame without its label, a weight of 0.
NO_GRADIENT = 1e-12


class FactorWeighting(Weighting):
    """A rule with a constant factor a task in front of it.

    Args:
        tasks: Names of the network's tasks (given by the model).
        weights: ``{task: factor}``; None is 1 for all. A task without a factor is an error, a factor without a task is not.

    Raises:
        ValueError: A task has no factor, or a factor is negative.
    """

    def __init__(self, tasks: Sequence[str], weights: Mapping[str, float] | None = None) -> None:
        super().__init__()
        missing = [task for task in tasks if weights is not None and task not in weights]
        if missing:
            raise ValueError(f"weights has no entry for task '{missing[0]}'; it has {sorted(weights or {})}")
        negative = [task for task, weight in (weights or {}).items() if weight < 0]
        if negative:
            raise ValueError(f"the weight of '{negative[0]}' is negative: its loss would be made large")
        self.tasks = tuple(sorted(tasks))
        self.factors = {task: 1.0 if weights is None else float(weights[task]) for task in self.tasks}

    def check_primary(self, primary: str) -> str:
        """The primary task's name.

        Raises:
            ValueError: The network has no such task.
        """
        if primary not in self.tasks:
            raise ValueError(f"primary='{primary}' is no task of the network; it has {', '.join(self.tasks)}")
        return primary

    def factor_vector(self) -> Tensor:
        """Factors in the order of ``tasks``, float64."""
        return torch.tensor([self.factors[task] for task in self.tasks], dtype=torch.float64)

    def ordered(self, losses: Mapping[str, Tensor], gramian: Callable[[], Tensor]) -> Tensor:
        """The inner products in the order of ``tasks``, of losses times their factors, on the processor: ``(T, T)`` float64."""
        names = list(losses)
        order = [names.index(task) for task in self.tasks]
        factors = self.factor_vector()
        matrix = gramian().detach().cpu().double()[order][:, order]
        return matrix * factors[:, None] * factors[None, :]


def weighted_sum(losses: Mapping[str, Tensor], weights: Mapping[str, float]) -> tuple[Tensor, dict[str, Tensor]]:
    """Total and weights as tensors, summed in one order whatever the order of the dict: the same to the last bit."""
    tensors = {task: loss.new_tensor(weights[task]) for task, loss in losses.items()}
    start = next(iter(losses.values())).new_zeros(())
    total = sum((tensors[task] * losses[task] for task in sorted(losses)), start=start)
    return total, tensors


@contextmanager
def repeatable_draws(seed: int, step: int) -> Iterator[None]:
    """Random numbers of the processor that depend on seed and step alone; whoever draws outside is not disturbed."""
    with torch.random.fork_rng(devices=[]):
        number = int(np.random.SeedSequence([seed, step]).generate_state(1, np.uint64)[0] >> np.uint64(1))
        torch.default_generator.manual_seed(number)
        yield


class LossRule(FactorWeighting):
    """A rule that reads the losses' values, by a scalarizer of torchjd.

    The weights are the derivatives of its scalar with respect to the losses, at their mean over processes; what it learns is
    trained by the same scalar.
    """

    def __init__(self, tasks: Sequence[str], weights: Mapping[str, float] | None = None, seed: int = 0) -> None:
        super().__init__(tasks, weights)
        self.seed = seed
        self.steps: Tensor
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    @abstractmethod
    def scalar(self, values: Tensor) -> Tensor:
        """``(T,)`` losses times their factors, in the order of ``tasks``, to the scalar."""

    def forward(self, losses: dict[str, Tensor], gramian: Callable[[], Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """The sum of the losses with the rule's weights."""
        stacked = torch.stack([losses[task].detach().float() for task in self.tasks])
        values = mean_of_processes(stacked) * self.factor_vector().to(stacked)
        values.requires_grad_()
        with torch.enable_grad(), repeatable_draws(self.seed, int(self.steps)):
            scalar = self.scalar(values)
            (derivative,) = torch.autograd.grad(scalar, values, retain_graph=True)
        self.steps += 1
        found = (derivative.double() * self.factor_vector().to(derivative.device)).tolist()
        total, tensors = weighted_sum(losses, dict(zip(self.tasks, found, strict=True)))
        if any(parameter.requires_grad for parameter in self.parameters()):
            # The rule's own parameters learn from the scalar; its value is not added to the total.
            total = total + (scalar - scalar.detach())
        return total, tensors


class GradientRule(FactorWeighting):
    """A rule that reads the inner products of the tasks' gradients, by a weighting of torchjd.

    Args:
        tasks: Given by the model.
        weights: ``{task: factor}`` in front of the rule; None is 1 for all.
        normalize: Let the rule see gradients of length 1, and divide its weights by their lengths: rules that favour the
            shortest or the longest gradient then don't depend on the losses' units.
        gramian_at: "features" (the encoder's output: cheap) or "parameters" (all that two tasks share: exact, as dear as a
            backward pass for each task).
        seed: Of random draws.
    """

    def __init__(
        self,
        tasks: Sequence[str],
        weights: Mapping[str, float] | None = None,
        normalize: bool = False,
        gramian_at: str = "features",
        seed: int = 0,
    ) -> None:
        super().__init__(tasks, weights)
        if gramian_at not in ("features", "parameters"):
            raise ValueError(f"gramian_at must be 'features' or 'parameters', not '{gramian_at}'")
        self.normalize, self.gramian_at, self.seed = normalize, gramian_at, seed
        self.steps: Tensor
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    @property
    def degree(self) -> float:
        """How weights change where all gradients are k times as long: by ``k ** degree``."""
        return 0.0

    @abstractmethod
    def rule(self, matrix: Tensor, tasks: list[int]) -> Tensor:
        """Weights ``(t,)`` from ``(t, t)`` inner products, 1 in the mean of their diagonal, of the tasks of these numbers."""

    def forward(self, losses: dict[str, Tensor], gramian: Callable[[], Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """The sum of the losses with the rule's weights; tasks without a gradient don't take part."""
        matrix = self.ordered(losses, gramian)
        squared = matrix.diagonal().clone()
        if not torch.isfinite(matrix).all():
            present: list[int] = []  # a diverged step, which the engine names; no rule can say anything
        else:
            present = [i for i in range(len(squared)) if squared[i] > NO_GRADIENT**2 * squared.max() and squared[i] > 0]
        found = torch.ones(len(self.tasks), dtype=torch.float64)
        if present:
            part = matrix[present][:, present]
            # Gradients at features are short (losses are means over pixels), and torchjd takes what is shorter than a fixed
            # number for zero: its rules see gradients of about length 1, and the length comes back in their weights.
            lengths = part.diagonal().sqrt() if self.normalize else part.diagonal().mean().sqrt().expand(len(present))
            with torch.no_grad(), repeatable_draws(self.seed, int(self.steps)):
                own = self.rule(part / lengths[:, None] / lengths[None, :], present).double()
            found[present] = own * lengths ** (-1.0 if self.normalize else self.degree)
        self.steps += 1
        factors = self.factor_vector()
        return weighted_sum(losses, dict(zip(self.tasks, (found * factors).tolist(), strict=True)))


def torchjd_part(kind: str, name: str, **arguments: Any) -> Any:
    """A weighting or a scalarizer of torchjd.

    Raises:
        ValueError: A package that it needs is not installed, or an argument can't be; in the words of torchjd.
    """
    import importlib

    module = importlib.import_module(f"torchjd.{kind}")
    try:
        return cast(Any, getattr(module, name))(**arguments)
    except ImportError as error:
        raise ValueError(f"{' '.join(str(error).split())} Or: pip install '.[weighting]'.") from error
