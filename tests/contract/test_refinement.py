"""Every registered refinement keeps the contract."""

import pytest
import torch
from support import SIZES, check_backward, check_bf16, check_copies, named, sparse_map

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
