"""Every registered weighting keeps the contract."""

import copy
import io

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
def test_goes_on_from_its_state_as_if_it_had_not_stopped(name):
    """Ten steps, and ten steps that are put into a file after the fifth: the same weights to the last bit."""

    def step(weighting, n):
        values = {
            "depth": torch.tensor(4.0 / (n + 1), requires_grad=True),
            "image": torch.tensor(900.0 - 40 * n, requires_grad=True),
        }
        tilt = 0.3 * (-1) ** n
        return weighting(values, lambda: torch.tensor([[2.0, tilt], [tilt, 1.0 + n]], dtype=torch.float64))[1]

    whole = make(name)
    for n in range(5):
        step(whole, n)
    file = io.BytesIO()
    torch.save(whole.state_dict(), file)
    file.seek(0)
    resumed = make(name)
    resumed.load_state_dict(torch.load(file, weights_only=True), strict=True)
    torch.rand(7)  # what others draw must not matter
    for n in range(5, 10):
        expected, found = step(whole, n), step(resumed, n)
        assert all(torch.equal(expected[task], found[task]) for task in expected), n


@pytest.mark.parametrize("name", named(WEIGHTING))
def test_a_task_without_a_gradient_harms_nothing(name):
    """A batch without a label: its loss is 0, and so is its gradient."""
    values = {"depth": torch.tensor(4.0, requires_grad=True), "image": torch.tensor(0.0, requires_grad=True)}
    total, weights = make(name)(values, lambda: torch.tensor([[2.0, 0.0], [0.0, 0.0]], dtype=torch.float64))
    assert torch.isfinite(total)
    assert all(torch.isfinite(weight) and weight >= 0 for weight in weights.values())
    assert weights["depth"] > 0


@pytest.mark.parametrize("name", named(WEIGHTING))
def test_draws_disturb_nobody(name):
    weighting = make(name)
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    weighting(losses(), gramian)
    assert torch.equal(torch.rand(4), expected)


@pytest.mark.parametrize("name", named(WEIGHTING))
def test_three_tasks(name):
    values = {**losses(), "normals": torch.tensor(0.3, requires_grad=True)}
    generator = torch.Generator().manual_seed(1)
    gradients = torch.randn(3, 40, generator=generator, dtype=torch.float64)
    total, weights = make(name, tuple(values))(values, lambda: gradients @ gradients.T)
    assert set(weights) == set(values)
    assert torch.isfinite(total)


@pytest.mark.parametrize("name", named(WEIGHTING))
def test_one_task(name):
    total, _ = make(name, ("depth",))({"depth": torch.tensor(4.0, requires_grad=True)}, lambda: gramian()[:1, :1])
    assert torch.isfinite(total)
    assert total.requires_grad
