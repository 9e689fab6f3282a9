"""Every registered weighting keeps the contract."""

import copy

import pytest
import torch
from support import named

from mtdc.registry import WEIGHTING, build


def make(name, tasks=("depth", "image")):
    return build(WEIGHTING, {"type": name}, "weighting", tasks=tasks)


def losses():
    return {"depth": torch.tensor(4.0, requires_grad=True), "image": torch.tensor(900.0, requires_grad=True)}


def gramian():
    return torch.tensor([[2.0, -0.5], [-0.5, 1.0]], dtype=torch.float64)


@pytest.mark.parametrize("name", named(WEIGHTING))
def test_total_is_the_weighted_sum_and_has_a_gradient(name):
    values = losses()
    total, weights = make(name)(values, gramian)
    assert set(weights) == set(values)
    assert torch.isclose(total, sum(weights[task] * values[task] for task in values))
    total.backward()
    for task, value in values.items():
        assert torch.isclose(value.grad, weights[task].detach())


@pytest.mark.parametrize("name", named(WEIGHTING))
def test_order_of_tasks_does_not_matter(name):
    values = losses()
    backwards = dict(reversed(values.items()))
    total, weights = make(name)(values, gramian)
    other, other_weights = make(name, ("image", "depth"))(backwards, lambda: gramian().flip(0, 1))
    assert torch.equal(total, other)
    assert all(torch.equal(weights[task], other_weights[task]) for task in values)


@pytest.mark.parametrize("name", named(WEIGHTING))
def test_state_is_in_the_state_dict(name):
    weighting = make(name)
    weighting(losses(), gramian)
    fresh = make(name)
    fresh.load_state_dict(weighting.state_dict(), strict=True)
    first, second, third = (part(losses(), gramian)[0] for part in (weighting, fresh, copy.deepcopy(weighting)))
    assert torch.equal(first, second)
    assert torch.equal(first, third) or any(True for _ in weighting.buffers())


@pytest.mark.parametrize("name", named(WEIGHTING))
def test_one_task(name):
    total, _ = make(name, ("depth",))({"depth": torch.tensor(4.0, requires_grad=True)}, lambda: gramian()[:1, :1])
    assert torch.isfinite(total)
    assert total.requires_grad
