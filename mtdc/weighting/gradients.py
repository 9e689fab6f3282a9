"""Weights from the inner products of the tasks' gradients, by torchjd's weightings: PCGrad (Yu et al., NeurIPS 2020, Alg. 1),
GradVac (Wang et al., ICLR 2021), CAGrad (Liu et al., NeurIPS 2021, Eq. 3), Nash-MTL (Navon et al., ICML 2022), MGDA (Desideri
2012; Sener and Koltun, NeurIPS 2018), IMTL-G (Liu et al., ICLR 2021), UPGrad (Quinton and Rey, 2024), DualProj (Lopez-Paz and
Ranzato, NeurIPS 2017), Aligned-MTL (Senushkin et al., CVPR 2023), FairGrad (Ban and Ji, ICML 2024).

    G_ij = < dL_i/dz, dL_j/dz >,    total = sum_i w_i(G) L_i          one ordinary backward pass follows

Shapes      {task: scalar} -> scalar, {task: scalar}; G (T, T).
Test time   dropped.
Differs     the update of shared weights is the papers'; w_i scales task i's own head too, which the papers leave alone. z is
            the encoder's output, unless gramian_at="parameters".
Cost        a backward pass from each loss to the encoder's output a step, or through the network at "parameters"; Nash-MTL,
            CAGrad and FairGrad solve a small problem on the processor.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..registry import WEIGHTING
from .adapter import GradientRule, torchjd_part


class _Adapted(GradientRule):
    """A rule without a state: torchjd's weighting of a name."""

    name: str

    def arguments(self) -> dict[str, Any]:
        """Arguments of torchjd's constructor."""
        return {}

    def _check(self) -> None:
        """Refuse at once what torchjd refuses.

        Raises:
            ValueError: An argument, or a package that is not installed.
        """
        torchjd_part("aggregation", self.name, **self.arguments())

    def rule(self, matrix: Tensor, tasks: list[int]) -> Tensor:
        """torchjd's weights."""
        weights: Tensor = torchjd_part("aggregation", self.name, **self.arguments())(matrix)
        return weights


@WEIGHTING.register_module()
class PCGrad(_Adapted):
    """Gradient surgery (Yu et al., NeurIPS 2020, Alg. 1): of two gradients that conflict each loses its part along the
    other, in random order.

    Args:
        tasks, weights, normalize, gramian_at, seed: As in every rule of gradients (docs/weighting.md).
    """

    name = "PCGradWeighting"


@WEIGHTING.register_module()
class MGDA(_Adapted):
    """The shortest convex combination of the gradients (Desideri 2012; Sener and Koltun, NeurIPS 2018). It favours the
    shortest gradient: consider ``normalize``.

    Args:
        tasks, weights, normalize, gramian_at, seed: As in every rule of gradients (docs/weighting.md).
    """

    name = "MGDAWeighting"


@WEIGHTING.register_module()
class IMTLG(_Adapted):
    """Impartial learning by gradients (Liu et al., ICLR 2021): the sum has equal projections on all gradients' directions.

    Args:
        tasks, weights, normalize, gramian_at, seed: As in every rule of gradients (docs/weighting.md).
    """

    name = "IMTLGWeighting"


@WEIGHTING.register_module()
class UPGrad(_Adapted):
    """Each gradient is projected on the cone of directions that harm no task, and the projections are added (Quinton and
    Rey, 2024).

    Args:
        tasks, weights, normalize, gramian_at, seed: As in every rule of gradients (docs/weighting.md).
    """

    name = "UPGradWeighting"


@WEIGHTING.register_module()
class DualProj(_Adapted):
    """The mean gradient, projected on the cone of directions that harm no task (gradient episodic memory) (Lopez-Paz and
    Ranzato, NeurIPS 2017).

    Args:
        tasks, weights, normalize, gramian_at, seed: As in every rule of gradients (docs/weighting.md).
    """

    name = "DualProjWeighting"


@WEIGHTING.register_module()
class AlignedMTL(_Adapted):
    """Gradients made orthogonal and equally long, so that none dominates and none conflicts (Senushkin et al., CVPR 2023).

    Args:
        tasks, weights, normalize, gramian_at, seed: As in every rule of gradients (docs/weighting.md).
    """

    name = "AlignedMTLWeighting"


@WEIGHTING.register_module()
class CAGrad(_Adapted):
    """The direction near the mean gradient that helps the worst task most (Liu et al., NeurIPS 2021, Eq. 3).

    Args:
        tasks, weights, normalize, gramian_at, seed: As in every rule of gradients (docs/weighting.md).
        c: Radius around the mean gradient, as a share of its length; 0 is the mean.

    Raises:
        ValueError: A negative radius, or its solver is not installed.
    """

    name = "CAGradWeighting"

    def __init__(
        self,
        tasks: Sequence[str],
        weights: Mapping[str, float] | None = None,
        normalize: bool = False,
        gramian_at: str = "features",
        seed: int = 0,
        c: float = 0.4,
    ) -> None:
        super().__init__(tasks, weights, normalize, gramian_at, seed)
        if c < 0:
            raise ValueError(f"c must be 0 or more, not {c}")
        self.c = c
        self._check()

    def arguments(self) -> dict[str, Any]:
        """The radius."""
        return {"c": self.c}


@WEIGHTING.register_module()
class FairGrad(_Adapted):
    """The fair resource allocation of the update's length among tasks (Ban and Ji, ICML 2024).

    Args:
        tasks, weights, normalize, gramian_at, seed: As in every rule of gradients (docs/weighting.md).
        alpha: Fairness; 1 is the proportional fairness of Nash-MTL, greater cares more for the worst task.

    Raises:
        ValueError: An alpha that is not positive, or its solver is not installed.
    """

    name = "FairGradWeighting"

    def __init__(
        self,
        tasks: Sequence[str],
        weights: Mapping[str, float] | None = None,
        normalize: bool = False,
        gramian_at: str = "features",
        seed: int = 0,
        alpha: float = 1.0,
    ) -> None:
        super().__init__(tasks, weights, normalize, gramian_at, seed)
        if alpha <= 0:
            raise ValueError(f"alpha must be above 0, not {alpha}")
        self.alpha = alpha
        self._check()

    def arguments(self) -> dict[str, Any]:
        """The fairness."""
        return {"alpha": self.alpha}

    @property
    def degree(self) -> float:
        """From its equation, G w = w^(-1/alpha)."""
        return -2 * self.alpha / (1 + self.alpha)


@WEIGHTING.register_module()
class GradVac(GradientRule):
    """Gradient vaccine (Wang et al., ICLR 2021): gradients less alike than they usually are get a part of each other, in
    random order.

    Args:
        tasks, weights, normalize, gramian_at, seed: As in every rule of gradients (docs/weighting.md).
        beta: How fast the usual likeness follows the present one, 0..1.
    """

    def __init__(
        self,
        tasks: Sequence[str],
        weights: Mapping[str, float] | None = None,
        normalize: bool = False,
        gramian_at: str = "features",
        seed: int = 0,
        beta: float = 0.5,
    ) -> None:
        super().__init__(tasks, weights, normalize, gramian_at, seed)
        self.beta = beta
        torchjd_part("aggregation", "GradVacWeighting", beta=beta)
        self.likeness: Tensor
        #: Mean cosine of each pair, which torchjd keeps out of its state; a resumed run needs it.
        self.register_buffer("likeness", torch.zeros(len(self.tasks), len(self.tasks), dtype=torch.float64))

    def rule(self, matrix: Tensor, tasks: list[int]) -> Tensor:
        """torchjd's weights, from and to the buffer."""
        rule = torchjd_part("aggregation", "GradVacWeighting", beta=self.beta)
        index = torch.tensor(tasks)
        state = self.likeness.cpu()
        rule._phi_t, rule._state_key = state[index][:, index], (len(tasks), matrix.dtype)
        weights: Tensor = rule(matrix)
        state = state.clone()
        state[index[:, None], index[None, :]] = rule._phi_t.double()
        self.likeness = state.to(self.likeness.device)
        return weights


@WEIGHTING.register_module()
class NashMTL(GradientRule):
    """The Nash bargaining solution (Navon et al., ICML 2022): tasks agree on the update that G w = 1 / w. The losses' units
    don't matter to it.

    Args:
        tasks, weights, gramian_at: As in every rule of gradients (docs/weighting.md).
        max_norm: Greatest length of the combined gradient, which is the root of the number of tasks; 0 doesn't limit it.
        iterations: Of its solver, each from the one before; the first is from the weights of the last step.

    Raises:
        ValueError: Its solver is not installed, or a number that it can't take.
    """

    def __init__(
        self,
        tasks: Sequence[str],
        weights: Mapping[str, float] | None = None,
        gramian_at: str = "features",
        max_norm: float = 1.0,
        iterations: int = 20,
    ) -> None:
        # With gradients of length 1 the equation has the same solution, and torchjd's solver finds it for any lengths.
        super().__init__(tasks, weights, normalize=True, gramian_at=gramian_at)
        if max_norm < 0:
            raise ValueError(f"max_norm must be 0 or more, not {max_norm}")
        self.max_norm, self.iterations = max_norm, iterations
        self._solver(len(self.tasks))
        self.last: Tensor
        #: Weights of the last step, where the solver starts: torchjd keeps them out of its state.
        self.register_buffer("last", torch.ones(len(self.tasks), dtype=torch.float64))

    def _solver(self, tasks: int) -> Any:
        options = {"max_norm": 0.0, "update_weights_every": 1, "optim_niter": self.iterations}
        return torchjd_part("aggregation", "NashMTL", n_tasks=tasks, **options).weighting

    def rule(self, matrix: Tensor, tasks: list[int]) -> Tensor:
        """torchjd's weights, scaled so that they solve the equation, then limited."""
        weights = torch.ones(1, dtype=torch.float64) if len(tasks) == 1 else self._solve(matrix, tasks)
        length = len(tasks) ** 0.5
        scale = min(length, self.max_norm) if self.max_norm > 0 else length
        return weights * scale / (weights @ matrix @ weights).sqrt()

    def _solve(self, matrix: Tensor, tasks: list[int]) -> Tensor:
        solver, index = self._solver(len(tasks)), torch.tensor(tasks)
        state = self.last.cpu().clone()
        solver.prvs_alpha = state[index].numpy()
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*parameterized problem that is not DPP")  # it could be faster
            found: Tensor = solver(square_root(matrix))  # it wants gradients: any with these inner products serve
        state[index] = torch.from_numpy(np.asarray(solver.prvs_alpha, dtype=np.float64))
        self.last = state.to(self.last.device)
        return found


def square_root(matrix: Tensor) -> Tensor:
    """Vectors, as rows, with these inner products: ``(t, t)`` symmetric, not negative -> ``(t, t)``."""
    values, vectors = torch.linalg.eigh(matrix)
    return vectors * values.clamp(min=0).sqrt()
