"""Gradients of tasks compared: at the features that they share, or at the parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from .errors import ConfigError
from .layers.processes import mean_of_processes


def feature_gramian(losses: Mapping[str, Tensor], features: Sequence[Tensor]) -> Tensor:
    """Inner products of the tasks' gradients with respect to shared features: ``(T, T)`` float64, in the order of ``losses``.

    Of several processes, which hold features of different frames, it is the mean over all.

    Raises:
        ConfigError: The network shares no features, or no loss depends on those that it names.
    """
    rows = [_gradients(loss, features) for loss in losses.values()] if features else []
    if all(gradient is None for row in rows for gradient in row):
        raise ConfigError(
            "this weighting compares gradients at shared features, and the network has none that a loss depends on: set "
            "model.weighting.gramian_at='parameters'."
        )
    return mean_of_processes(inner_products(rows))


def shared_gradients(losses: Mapping[str, Tensor], parameters: Sequence[Tensor]) -> list[list[Tensor | None]]:
    """Each task's gradients at the parameters that at least two tasks reach; where one has a gradient, at all that it reaches.

    Of several processes they are the means.
    """
    wanted = [parameter for parameter in parameters if parameter.requires_grad]
    rows = [_gradients(loss, wanted) for loss in losses.values()]
    # In a compiled network tasks have zeros, and not None, where they don't reach.
    zero = wanted[0].new_zeros((), dtype=torch.float32)
    reached = torch.stack(
        [torch.stack([zero if one is None else one.count_nonzero().clamp(max=1).float() for one in row]) for row in rows]
    )
    reached = (mean_of_processes(reached) > 0).cpu()
    least = min(2, int(reached.any(dim=1).sum()))
    shared = torch.nonzero(reached.sum(dim=0) >= max(1, least)).flatten().tolist()
    kept: list[list[Tensor | None]] = []
    for row, own in zip(rows, reached, strict=True):
        # A task that reaches a parameter in another process alone has zeros here: all processes must take part in the mean.
        gradients = [(row[n], wanted[n]) if own[n] else None for n in shared]
        kept.append(
            [
                None if one is None else mean_of_processes(torch.zeros_like(one[1]) if one[0] is None else one[0])
                for one in gradients
            ]
        )
    return kept


def inner_products(rows: Sequence[Sequence[Tensor | None]]) -> Tensor:
    """``(T, T)`` float64 of T lists of gradients; None is 0."""
    size = len(rows)
    device = next((one.device for row in rows for one in row if one is not None), torch.device("cpu"))
    matrix = torch.zeros(size, size, dtype=torch.float64, device=device)
    for i in range(size):
        for j in range(i, size):
            parts = [
                torch.dot(a.flatten().double(), b.flatten().double())
                for a, b in zip(rows[i], rows[j], strict=True)
                if a is not None and b is not None
            ]
            matrix[i, j] = matrix[j, i] = torch.stack(parts).sum() if parts else 0.0
    return matrix


def gradient_log(losses: Mapping[str, Tensor], parameters: Sequence[Tensor], primary: str) -> dict[str, Tensor]:
    """``<task>/grad_norm`` and ``<task>/grad_cosine`` (to the primary task) at shared parameters, of losses without weights."""
    matrix = inner_products(shared_gradients(losses, parameters))
    names = list(losses)
    lengths = matrix.diagonal().clamp(min=0).sqrt()
    logged = {f"{name}/grad_norm": lengths[i] for i, name in enumerate(names)}
    if primary in names:
        row = names.index(primary)
        product = (lengths * lengths[row]).clamp(min=torch.finfo(torch.float64).tiny)
        logged |= {f"{name}/grad_cosine": matrix[row, i] / product[i] for i, name in enumerate(names) if i != row}
    return logged


def _gradients(loss: Tensor, at: Sequence[Tensor]) -> list[Tensor | None]:
    return list(torch.autograd.grad(loss, at, retain_graph=True, allow_unused=True))
