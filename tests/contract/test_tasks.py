"""Every registered task keeps the contract."""

import pytest
import torch
from support import check_backward, check_bf16, check_copies, named

from mtdc.registry import TASKS, build
from mtdc.structures import Field

SIZES = {"in_channels": 6, "stride": 2, "width": 2}


def make(name):
    kind = build(TASKS, {"type": name}, "task", **SIZES).field.kind
    loss = {"type": "CrossEntropy" if kind == "labels" else "L2"}
    return build(TASKS, {"type": name, "losses": {"term": loss}}, "task", **SIZES)


def unknown_target(field, height, width):
    shape = (2, height, width) if field.kind == "labels" else (2, field.channels, height, width)
    return torch.full(shape, field.unknown, dtype=field.dtype)


@pytest.mark.parametrize("name", named(TASKS))
def test_field_states_its_unit(name):
    field = make(name).field
    assert isinstance(field, Field)
    assert field.unit
    assert field.name.islower()


@pytest.mark.parametrize("name", named(TASKS))
@pytest.mark.parametrize("half_size", [(16, 24), (19, 27)])
def test_decodes_to_full_size(name, half_size):
    task = make(name)
    raw, hidden = task(torch.rand(2, 6, *half_size))
    size = (2 * half_size[0], 2 * half_size[1])
    assert raw.shape[-2:] == size
    assert hidden.shape == (2, task.head.hidden_channels, *size)
    fields = task.decode(raw, None)
    assert fields[task.field.name].shape[-2:] == size


@pytest.mark.parametrize("name", named(TASKS))
def test_is_a_module(name):
    task = make(name)
    stream = torch.rand(2, 6, 19, 27)
    check_backward(task, lambda: task.decode(task(stream)[0], None))
    check_copies(task, make(name), lambda module: module.decode(module(stream)[0], None))
    check_bf16(task, lambda: task.decode(task(stream)[0].float(), None))


@pytest.mark.parametrize("name", named(TASKS))
def test_extreme_outputs_decode_to_finite_values_in_eval(name):
    task = make(name).eval()
    raw = torch.tensor([-1e4, 0.0, 1e4]).expand(1, task.head.output.out_channels, 2, 3)
    assert torch.isfinite(task.decode(raw, None)[task.field.name]).all()


@pytest.mark.parametrize("name", named(TASKS))
def test_unknown_target_gives_zero_and_a_finite_gradient(name):
    task = make(name)
    raw, _ = task(torch.rand(2, 6, 8, 9))
    batch = {task.field.target_key: unknown_target(task.field, 16, 18)}
    terms = task.loss(raw, task.decode(raw, None), batch)
    assert set(terms) == {"term"}
    total = sum(terms.values())
    assert total == 0
    total.backward()
    assert all(torch.isfinite(p.grad).all() for p in task.parameters() if p.grad is not None)


@pytest.mark.parametrize("name", named(TASKS))
def test_known_target_gives_a_loss_that_falls(name):
    task = make(name)
    stream = torch.rand(2, 6, 8, 9)
    with torch.no_grad():
        target = task.decode(task(stream)[0] + 0.3, None)[task.field.name]
        if task.field.kind == "labels":
            target = torch.ones(2, 16, 18, dtype=torch.int64)
    optimiser = torch.optim.Adam(task.parameters(), lr=1e-2)
    values = []
    for _ in range(12):
        raw, _ = task(stream)
        loss = sum(task.loss(raw, task.decode(raw, None), {task.field.target_key: target}).values())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        values.append(loss.item())
    assert values[-1] < 0.5 * values[0]
