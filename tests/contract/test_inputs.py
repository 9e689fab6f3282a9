"""Every registered input representation keeps the contract."""

import pytest
import torch
from support import SIZES, check_backward, check_bf16, check_copies, check_finite, named, sparse_map

from mtdc.registry import INPUTS, build
from mtdc.structures import INPUT_FIELDS


def make(name):
    return build(INPUTS, {"type": name}, "representation")


def batch(part, height, width, density=0.2):
    inputs = {"sparse_depth": sparse_map(height, width, density=density)}
    if "image" in part.needs:
        inputs["image"] = 255 * torch.rand(2, 3, height, width)
    if "intrinsics" in part.needs:
        inputs["intrinsics"] = torch.tensor([[50.0, 0, width / 2], [0, 50.0, height / 2], [0, 0, 1]]).expand(2, 3, 3)
    return inputs


@pytest.mark.parametrize("name", named(INPUTS))
@pytest.mark.parametrize("size", SIZES)
def test_prepares_what_it_declares(name, size):
    part = make(name)
    assert part.unit, "the unit of x must be stated"
    assert set(part.needs) <= set(INPUT_FIELDS)
    x, layout, base = part(batch(part, *size))
    assert x.shape == (2, part.channels, *size)
    assert sum(layout.values()) == part.channels
    assert base is None or base.shape == (2, 1, *size)
    check_finite((x, base) if base is not None else x)


@pytest.mark.parametrize("name", named(INPUTS))
def test_finite_without_a_point(name):
    part = make(name)
    x, _, base = part(batch(part, 37, 53, density=0))
    check_finite((x, base) if base is not None else x)


@pytest.mark.parametrize("name", named(INPUTS))
def test_reads_no_ground_truth(name):
    part = make(name)
    inputs = batch(part, 32, 48)

    class Guarded(dict):
        def __getitem__(self, key):
            assert key in part.needs, f"{name} reads '{key}', which its needs don't name"
            return super().__getitem__(key)

    part(Guarded(inputs, gt_depth=torch.rand(2, 1, 32, 48)))


@pytest.mark.parametrize("name", named(INPUTS))
def test_is_a_module(name):
    part = make(name)
    inputs = batch(part, 37, 53)

    def call(module):
        prepared = module(inputs)
        return [prepared.x] if prepared.base_depth is None else [prepared.x, prepared.base_depth]

    check_backward(part, lambda: call(part))
    check_copies(part, make(name), call)
    check_bf16(part, lambda: call(part))


@pytest.mark.parametrize("name", named(INPUTS))
def test_is_exported(name):
    part = make(name).eval()
    inputs = batch(part, 32, 48)

    class Wrapped(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.part = part

        def forward(self, inputs):
            return self.part(inputs).x

    exported = torch.export.export(Wrapped(), (inputs,)).module()
    assert torch.equal(exported(inputs), part(inputs).x)


@pytest.mark.parametrize("name", named(INPUTS))
def test_frames_of_a_batch_do_not_mix(name):
    part = make(name).eval()
    inputs = batch(part, 37, 53)
    alone = part({key: value[1:] for key, value in inputs.items()})
    assert torch.equal(part(inputs).x[1:], alone.x)
