"""Every registered encoder keeps the contract."""

import math

import pytest
import torch
from support import SIZES, check_backward, check_bf16, check_copies, named

from mtdc.registry import ENCODERS, build

#: What x of two channels is made of: late fusion needs a photo beside depth.
LAYOUTS = {"LateFusionEncoder": {"sparse_depth": 1, "image": 1}}


def make(name):
    layout = LAYOUTS.get(name, {"sparse_depth": 1, "mask": 1})
    return build(ENCODERS, {"type": name}, "encoder", in_channels=2, layout=layout, width=2)


@pytest.mark.parametrize("name", named(ENCODERS))
@pytest.mark.parametrize("size", SIZES)
def test_maps_have_the_declared_channels_and_sizes(name, size):
    encoder = make(name)
    height, width = size
    features = encoder(torch.rand(2, 2, height, width))
    assert features.keys() == encoder.channels.keys()
    for stride, value in features.items():
        assert value.shape == (2, encoder.channels[stride], math.ceil(height / stride), math.ceil(width / stride))


@pytest.mark.parametrize("name", named(ENCODERS))
def test_is_a_module(name):
    encoder = make(name)
    x = torch.rand(2, 2, 37, 53)
    check_backward(encoder, lambda: encoder(x))
    check_copies(encoder, make(name), lambda module: module(x))
    check_bf16(encoder, lambda: encoder(x))
