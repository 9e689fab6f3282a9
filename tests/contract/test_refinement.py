"""Every registered refinement keeps the contract."""

import pytest
import torch
from support import SIZES, check_backward, check_bf16, check_copies, named, sparse_map

from mtdc import ConfigError
from mtdc.registry import REFINEMENT, build


def make(name, **cfg):
    return build(REFINEMENT, {"type": name, **cfg}, "refinement", channels={2: 6, 1: 5})


def maps(height, width):
    generator = torch.Generator().manual_seed(1)
    depth = 1 + 50 * torch.rand(2, 1, height, width, generator=generator)
    guidance = {
        2: torch.rand(2, 6, (height + 1) // 2, (width + 1) // 2, generator=generator),
        1: torch.randn(2, 5, height, width, generator=generator),
    }
    return depth, guidance, {"sparse_depth": sparse_map(height, width)}


@pytest.mark.parametrize("name", named(REFINEMENT))
@pytest.mark.parametrize("size", SIZES)
def test_metres_in_metres_out(name, size):
    depth, guidance, inputs = maps(*size)
    refined = make(name)(depth, guidance, inputs)
    assert refined.shape == depth.shape
    assert torch.isfinite(refined).all()


@pytest.mark.parametrize("name", named(REFINEMENT))
def test_zero_steps_is_the_identity(name):
    depth, guidance, inputs = maps(37, 53)
    assert torch.equal(make(name, steps=0)(depth, guidance, inputs), depth)


@pytest.mark.parametrize("name", named(REFINEMENT))
def test_a_constant_map_stays_constant(name):
    depth, guidance, inputs = maps(37, 53)
    depth = torch.full_like(depth, 20.0)
    inputs = {"sparse_depth": torch.where(inputs["sparse_depth"] > 0, 20.0, 0.0)}
    assert torch.allclose(make(name)(depth, guidance, inputs), depth, atol=1e-3)


@pytest.mark.parametrize("name", named(REFINEMENT))
def test_is_a_module(name):
    part = make(name)
    depth, guidance, inputs = maps(21, 33)
    check_backward(part, lambda: part(depth, guidance, inputs))
    check_copies(part, make(name), lambda module: module(depth, guidance, inputs))
    check_bf16(part, lambda: part(depth, guidance, inputs))


@pytest.mark.parametrize("name", named(REFINEMENT))
@pytest.mark.parametrize("size", [(37, 53), (1, 9), (3, 1)])
def test_measured_points_are_kept_to_the_last_bit_where_asked(name, size):
    depth, guidance, inputs = maps(*size)
    sparse = inputs["sparse_depth"]
    refined = make(name, keep_measured=True)(depth, guidance, inputs)
    assert torch.equal(refined[sparse > 0], sparse[sparse > 0])
    assert not torch.equal(refined[sparse == 0], depth[sparse == 0]), "the others are refined"


@pytest.mark.parametrize("name", named(REFINEMENT))
@pytest.mark.parametrize("keep", [False, True])
def test_every_parameter_moves_the_depth(name, keep):
    part = make(name, keep_measured=keep)
    depth, guidance, inputs = maps(21, 33)
    (part(depth, guidance, inputs) - 20).square().mean().backward()
    still = [key for key, value in part.named_parameters() if not value.grad.abs().max() > 0]
    assert not still, f"{still} change nothing"


@pytest.mark.parametrize("name", named(REFINEMENT))
def test_a_negative_number_of_steps_is_refused(name):
    with pytest.raises(ConfigError, match=r"refinement \(\w+\): steps must be a whole number from 0 on, not -1"):
        make(name, steps=-1)
