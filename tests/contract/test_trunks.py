"""Every registered trunk keeps the contract."""

import pytest
import torch
from support import check_backward, check_bf16, check_copies, named

from mtdc.registry import TRUNKS, build

CHANNELS = ({16: 12}, {2: 3, 4: 5, 8: 7, 16: 9})


def make(name, channels):
    return build(TRUNKS, {"type": name}, "trunk", channels=channels, width=2)


def features(channels, height=64, width=96):
    generator = torch.Generator().manual_seed(0)
    return {s: torch.rand(2, c, height // s, width // s, generator=generator) for s, c in channels.items()}


def run(trunk, maps, until=None):
    stream, streams = None, []
    for n in range(len(trunk.strides) if until is None else until + 1):
        stream = trunk.stage(n, stream, maps)
        streams.append(stream)
    return streams


@pytest.mark.parametrize("name", named(TRUNKS))
@pytest.mark.parametrize("channels", CHANNELS)
def test_stages_have_the_declared_widths_and_strides(name, channels):
    trunk = make(name, channels)
    assert len(trunk.widths) == len(trunk.strides)
    for stream, width, stride in zip(run(trunk, features(channels)), trunk.widths, trunk.strides, strict=True):
        assert stream.shape == (2, width, 64 // stride, 96 // stride)


@pytest.mark.parametrize("name", named(TRUNKS))
@pytest.mark.parametrize("channels", CHANNELS)
def test_is_a_module(name, channels):
    trunk = make(name, channels)
    maps = features(channels)
    check_backward(trunk, lambda: run(trunk, maps)[-1:])
    check_copies(trunk, make(name, channels), lambda module: run(module, maps))
    check_bf16(trunk, lambda: run(trunk, maps))


@pytest.mark.parametrize("name", named(TRUNKS))
def test_keeps_no_state_between_calls(name):
    trunk = make(name, CHANNELS[0]).eval()
    first = features(CHANNELS[0])
    expected = run(trunk, first)[-1]
    run(trunk, features(CHANNELS[0], 32, 32))
    assert torch.equal(run(trunk, first)[-1], expected)


@pytest.mark.parametrize("name", named(TRUNKS))
def test_truncated_trunk_gives_the_same_up_to_its_last_stage(name):
    trunk = make(name, CHANNELS[0]).eval()
    maps = features(CHANNELS[0])
    last = len(trunk.strides) - 2
    expected = run(trunk, maps, until=last)[-1]
    before = sum(p.numel() for p in trunk.parameters())
    trunk.truncate(last)
    assert torch.equal(run(trunk, maps, until=last)[-1], expected)
    assert sum(p.numel() for p in trunk.parameters()) < before
