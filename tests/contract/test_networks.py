"""Every registered network keeps the contract."""

import pytest
import torch
from support import SIZES, check_backward, check_bf16, check_copies, named, small_network, sparse_map

from mtdc.registry import NETWORKS, build

#: What a network can't be built without; a network that isn't here needs nothing but its type.
REQUIRED = {"MultiTaskNetwork": small_network()}


def make(name):
    return build(NETWORKS, REQUIRED.get(name, {"type": name}), "network", width=2)


def batch(network, height, width, density=0.2):
    inputs = {"sparse_depth": sparse_map(height, width, density=density)}
    if "image" in network.needs:
        inputs["image"] = 255 * torch.rand(2, 3, height, width)
    return inputs


@pytest.mark.parametrize("name", named(NETWORKS))
@pytest.mark.parametrize("size", [*SIZES, (5, 3)])
def test_predicts_its_fields_at_any_size(name, size):
    network = make(name).eval()
    fields = network(batch(network, *size))
    for task, field in network.fields.items():
        assert field.name == task
        assert fields[task].shape == (2, field.channels, *size)
        assert torch.isfinite(fields[task]).all()


@pytest.mark.parametrize("name", named(NETWORKS))
def test_finite_without_a_point(name):
    network = make(name).eval()
    assert torch.isfinite(network(batch(network, 37, 53, density=0))["depth"]).all()


@pytest.mark.parametrize("name", named(NETWORKS))
def test_is_a_module(name):
    network = make(name)
    inputs = batch(network, 37, 53)
    check_backward(network, lambda: network(inputs))
    check_copies(network, make(name), lambda module: module(inputs))
    check_bf16(network, lambda: network(inputs))


@pytest.mark.parametrize("name", named(NETWORKS))
def test_stripped_network_gives_the_same_depth(name):
    network = make(name).eval()
    inputs = batch(network, 37, 53)
    expected = network(inputs)["depth"]
    network.strip(("depth",))
    fields = network(inputs)
    assert set(fields) == {"depth"}
    assert torch.equal(fields["depth"], expected)
    check_backward(network, lambda: network(inputs))
