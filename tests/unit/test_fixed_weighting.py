"""Fixed weights: one total whatever the order; and the Gramian that rules which read gradients are given."""

import itertools

import pytest
import torch

from mtdc import ConfigError
from mtdc.gradients import feature_gramian as gramian
from mtdc.registry import WEIGHTING, build

#: Losses of very different size: a sum in another order rounds differently.
LOSSES = {"depth": 0.1, "image": 12345.678, "normals": 1e-3, "semantics": 2.3, "sky": 77.7, "edges": 1e4 / 3, "flow": 1 / 7}


def total_of(order, weights):
    weighting = build(WEIGHTING, {"type": "FixedWeighting", "weights": weights}, "weighting", tasks=order)
    total, _ = weighting({task: torch.tensor(LOSSES[task]) for task in order}, lambda: None)
    return total


def test_total_is_bit_equal_for_any_order_of_many_tasks():
    weights = {task: 1 / (number + 1) for number, task in enumerate(LOSSES)}
    orders = list(itertools.permutations(LOSSES))[::97]
    plain = {sum(torch.tensor(weights[task]) * torch.tensor(LOSSES[task]) for task in order).item() for order in orders}
    assert len(plain) > 1, "these numbers must be able to show a difference"
    totals = {total_of(order, weights).item() for order in orders}
    assert len(totals) == 1
    exact = sum(weights[task] * LOSSES[task] for task in LOSSES)
    assert totals.pop() == pytest.approx(exact, rel=1e-6)


def test_the_losses_order_does_not_matter_within_one_weighting():
    weighting = build(WEIGHTING, {"type": "FixedWeighting"}, "weighting", tasks=tuple(LOSSES))
    totals = set()
    for order in list(itertools.permutations(LOSSES))[::211]:
        total, weights = weighting({task: torch.tensor(LOSSES[task]) for task in order}, lambda: None)
        totals.add(total.item())
        assert all(weight == 1 for weight in weights.values())
    assert len(totals) == 1


def test_gramian_of_a_feature_that_one_task_does_not_use():
    """Gradients by hand: depth (3, 1 | 2, 5), image (1, -2 | 0, 0)."""
    used = torch.tensor([1.0, 2.0], requires_grad=True)
    other = torch.tensor([[4.0, -1.0]], requires_grad=True)
    losses = {
        "depth": (used * torch.tensor([3.0, 1.0])).sum() + (other * torch.tensor([[2.0, 5.0]])).sum(),
        "image": (used * torch.tensor([1.0, -2.0])).sum(),
    }
    assert gramian(losses, (used, other)).tolist() == [[9 + 1 + 4 + 25, 3 - 2], [3 - 2, 1 + 4]]


def test_gramian_is_in_double_precision():
    """4097^2 = 16785409 is odd and beyond 2^24, where float32 has even numbers alone."""
    feature = torch.tensor([1.0], requires_grad=True)
    matrix = gramian({"depth": (4097 * feature).sum()}, (feature,))
    assert matrix.dtype == torch.float64
    assert matrix.tolist() == [[16785409.0]]


def test_gramian_leaves_the_graph_to_the_backward_that_follows():
    feature = torch.tensor([2.0], requires_grad=True)
    loss = (feature**2).sum()
    gramian({"depth": loss}, (feature,))
    assert feature.grad is None
    loss.backward()
    assert feature.grad.tolist() == [4.0]


def test_gramian_without_shared_features_is_refused():
    with pytest.raises(ConfigError, match="shared features"):
        gramian({"depth": torch.tensor(1.0)}, ())
