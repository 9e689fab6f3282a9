"""Every registered loss keeps the contract; the numbers of each are checked in tests/reference."""

import pytest
import torch
from support import check_bf16, named

from mtdc.registry import LOSSES, build


def make(name, **cfg):
    return build(LOSSES, {"type": name, **cfg}, "loss")


def maps(height=9, width=11, channels=1):
    generator = torch.Generator().manual_seed(3)
    pred = torch.rand(2, channels, height, width, generator=generator) * 0.8 + 0.1
    target = torch.rand(2, channels, height, width, generator=generator)
    valid = torch.rand(2, 1, height, width, generator=generator) < 0.4
    return pred.requires_grad_(), target, valid


@pytest.mark.parametrize("name", named(LOSSES))
def test_states_unit_and_gives_a_scalar(name):
    loss = make(name)
    assert loss.unit
    pred, target, valid = maps()
    value = loss(pred, target, valid)
    assert value.shape == ()
    assert value > 0
    value.backward()
    assert torch.isfinite(pred.grad).all()
    assert (pred.grad != 0).any()


@pytest.mark.parametrize("name", named(LOSSES))
def test_pixels_that_are_not_valid_do_not_count(name):
    loss = make(name)
    pred, target, valid = maps()
    other = torch.where(valid, target, 1e6)
    assert torch.equal(loss(pred, target, valid), loss(pred, other, valid))
    loss(pred, target, valid).backward()
    assert (pred.grad[~valid] == 0).all()


@pytest.mark.parametrize("name", named(LOSSES))
def test_nothing_valid_gives_zero_with_a_graph(name):
    loss = make(name)
    pred, target, valid = maps()
    value = loss(pred, target, torch.zeros_like(valid))
    assert value == 0
    value.backward()
    assert (pred.grad == 0).all()


@pytest.mark.parametrize("name", named(LOSSES))
def test_runs_in_bf16(name):
    loss = make(name)
    pred, target, valid = maps()
    check_bf16(loss, lambda: loss(pred.bfloat16(), target, valid))
    value = loss(pred.bfloat16(), target, valid)
    assert value.dtype == torch.float32, "sums over a frame overflow half precision"
    assert torch.isclose(value, loss(pred, target, valid), rtol=2e-2)


@pytest.mark.parametrize("name", named(LOSSES))
def test_more_channels_and_deepcopy(name):
    import copy

    loss = make(name, weight=0.5)
    pred, target, valid = maps(channels=3)
    assert torch.equal(copy.deepcopy(loss)(pred, target, valid), loss(pred, target, valid))
    assert loss.weight == 0.5
    assert make(name).state_dict().keys() == loss.state_dict().keys()
