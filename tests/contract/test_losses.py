"""Every registered loss keeps the contract; the numbers of each are checked in tests/reference."""

import copy
from typing import get_args

import pytest
import torch
import torch.nn.functional as functional
from support import check_bf16, named

from mtdc.registry import LOSSES, build
from mtdc.structures import Kind

#: What a loss can't be built without.
CONFIGS = {"MultiScale": {"loss": {"type": "L1"}}, "PerFrame": {"loss": {"type": "L1"}}}
CLASSES = 4


def make(name, **cfg):
    return build(LOSSES, {"type": name, **CONFIGS.get(name, {}), **cfg}, "loss")


def maps(loss, height=19, width=23, channels=1):
    """Prediction, target, mask and further maps of a kind that the loss can compare."""
    generator = torch.Generator().manual_seed(3)

    def rand(*shape):
        return torch.rand(2, *shape, height, width, generator=generator)

    if "map" in loss.kinds:
        pred, target, valid = rand(channels) * 0.8 + 0.1, rand(channels), rand(1) < 0.4
    elif "labels" in loss.kinds:
        pred, target, valid = rand(CLASSES), (rand() * CLASSES).long(), rand() < 0.4
    else:
        pred, target = (functional.normalize(rand(3) - 0.5, dim=1) for _ in range(2))
        valid = rand(1) < 0.4
    further = {"gt_image": 255 * rand(1), "depth_confidence": rand(channels) + 1, "sparse_depth": rand(1)}
    return pred.requires_grad_(), target, valid, [further[key] for key in loss.reads]


def pixels(mask, values):
    """A mask of pixels, with the channels of the values."""
    return (mask if mask.ndim == 4 else mask.unsqueeze(1)).expand_as(values)


def with_target():
    return [name for name in named(LOSSES) if LOSSES.find(name, "loss").needs_target]


@pytest.mark.parametrize("name", named(LOSSES))
def test_states_unit_and_kinds_and_gives_a_scalar(name):
    loss = make(name)
    assert loss.unit
    assert loss.kinds and set(loss.kinds) <= set(get_args(Kind))
    pred, target, valid, further = maps(loss)
    value = loss(pred, target, valid, *further)
    assert value.shape == ()
    assert value != 0
    value.backward()
    assert torch.isfinite(pred.grad).all()
    assert (pred.grad != 0).any()


@pytest.mark.parametrize("name", with_target())
def test_pixels_that_are_not_valid_do_not_count(name):
    loss = make(name)
    pred, target, valid, further = maps(loss)
    labels = not target.is_floating_point()
    other = target.where(pixels(valid, target) if not labels else valid, torch.full_like(target, 255 if labels else 1e6))
    assert torch.equal(loss(pred, target, valid, *further), loss(pred, other, valid, *further))
    loss(pred, other, valid, *further).backward()
    assert (pred.grad[~pixels(valid, pred)] == 0).all()
    assert torch.isfinite(pred.grad).all()


@pytest.mark.parametrize("name", with_target())
def test_nothing_valid_gives_zero_with_a_graph(name):
    loss = make(name)
    pred, target, valid, further = maps(loss)
    value = loss(pred, target, torch.zeros_like(valid), *further)
    assert value == 0
    value.backward()
    assert (pred.grad == 0).all()


@pytest.mark.parametrize("name", sorted(set(named(LOSSES)) - set(with_target())))
def test_a_loss_that_needs_no_target_reads_none(name):
    loss = make(name)
    pred, target, valid, further = maps(loss)
    nothing = loss(pred, torch.zeros_like(target), torch.zeros_like(valid), *further)
    assert torch.equal(loss(pred, target, valid, *further), nothing)
    assert nothing > 0


@pytest.mark.parametrize("name", with_target())
def test_a_frame_without_labels_changes_nothing(name):
    """Means are over the batch's known pixels: a frame that has none leaves the value as it is."""
    loss = make(name)
    pred, target, valid, further = maps(loss)
    first = loss(pred[:1], target[:1], valid[:1], *(value[:1] for value in further))
    valid = valid & torch.tensor([True, False]).reshape(2, *[1] * (valid.ndim - 1))
    torch.testing.assert_close(loss(pred, target, valid, *further), first)


@pytest.mark.parametrize("name", named(LOSSES))
def test_runs_in_bf16(name):
    loss = make(name)
    pred, target, valid, further = maps(loss)
    check_bf16(loss, lambda: loss(pred.bfloat16(), target, valid, *further))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = loss(pred.bfloat16(), target, valid, *further)
    assert value.dtype == torch.float32, "sums over a frame overflow half precision"
    assert torch.isclose(value, loss(pred.bfloat16().float(), target, valid, *further), rtol=1e-5)


@pytest.mark.parametrize("name", named(LOSSES))
@pytest.mark.parametrize("value", [0.0, -1e4, 1e4])
def test_a_prediction_that_is_far_off_has_a_finite_gradient(name, value):
    """A linear output may be anything at the start of training, negative depths too."""
    loss = make(name)
    pred, target, valid, further = maps(loss)
    pred = torch.full_like(pred, value).requires_grad_()
    result = loss(pred, target, valid, *further)
    assert torch.isfinite(result)
    result.backward()
    assert torch.isfinite(pred.grad).all()


@pytest.mark.parametrize("name", [name for name in named(LOSSES) if "map" in make(name).kinds or "normals" in make(name).kinds])
def test_a_perfect_prediction_has_a_finite_gradient(name):
    loss = make(name)
    pred, target, valid, further = maps(loss)
    pred = target.clone().requires_grad_()
    result = loss(pred, target, valid, *further)
    result.backward()
    assert torch.isfinite(result)
    assert torch.isfinite(pred.grad).all()


@pytest.mark.parametrize("name", named(LOSSES))
@pytest.mark.parametrize("size", [(1, 1), (1, 7), (3, 2)])
def test_maps_of_any_size(name, size):
    loss = make(name)
    pred, target, valid, further = maps(loss, *size)
    value = loss(pred, target, torch.ones_like(valid), *further)
    value.backward()
    assert torch.isfinite(value)
    assert torch.isfinite(pred.grad).all()


@pytest.mark.parametrize("name", named(LOSSES))
def test_more_channels_weight_schedule_and_deepcopy(name):
    loss = make(name, weight=0.5, schedule={"start": 0.0, "end": 1.0})
    pred, target, valid, further = maps(loss, channels=3)
    assert torch.equal(copy.deepcopy(loss)(pred, target, valid, *further), loss(pred, target, valid, *further))
    loss.set_progress(0.5)
    assert loss.factor == 0.25
    assert make(name).state_dict().keys() == loss.state_dict().keys()
