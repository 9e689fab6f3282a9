"""Stripping: what goes, and what the report counts, by hand for the width-1 network."""

import pytest
import torch
from support import named, small_network

from mtdc import ConfigError
from mtdc.engine.strip import count_macs, count_parameters, strip_report
from mtdc.model import build_model
from mtdc.registry import SHARING

#: (H, W), which every stride divides, and one that is padded to (48, 64) inside.
SIZE, ODD_SIZE, PADDED_SIZE = (32, 48), (37, 53), (48, 64)


def config(sharing="NoSharing", **changes):
    weights = {"type": "FixedWeighting", "weights": {"depth": 1.0, "image": 1e-4}}
    return {"width": 1, "network": small_network(sharing={"type": sharing}), "weighting": weights, **changes}


def encoder_macs(height, width):
    """Four branches of 1 -> 1 -> 2 -> 4 -> 8 channels, each layer at half the size."""
    pixels = height * width
    layers = 1 * 1 * pixels // 4 + 1 * 2 * pixels // 16 + 2 * 4 * pixels // 64 + 4 * 8 * pixels // 256
    return (3 * 3 + 5 * 5 + 7 * 7 + 9 * 9) * layers


def stage_macs(height, width):
    """32 -> 16 -> 8 -> 4 channels by transposed convolutions from 1/16, each weight used once an input pixel; 4 -> 4 at 1/2."""
    pixels = height * width
    return [9 * 32 * 16 * pixels // 256, 9 * 16 * 8 * pixels // 64, 9 * 8 * 4 * pixels // 16, 9 * 4 * 4 * pixels // 4]


def decoder_macs(height, width, in_channels):
    """Transposed to full size with 4 channels, a convolution, and the output's single channel."""
    pixels = height * width
    return 9 * in_channels * 4 * pixels // 4 + 9 * 4 * 4 * pixels + 9 * 4 * 1 * pixels


def branch_macs(height, width):
    return sum(stage_macs(height, width)) + decoder_macs(height, width, 4)


def encoder_parameters():
    weights = (3 * 3 + 5 * 5 + 7 * 7 + 9 * 9) * (1 * 1 + 1 * 2 + 2 * 4 + 4 * 8)
    return weights + 4 * 2 * (1 + 2 + 4 + 8)  # batch norm: scale and offset


def branch_parameters():
    trunk = 9 * (32 * 16 + 16 * 8 + 8 * 4 + 4 * 4) + 2 * (16 + 8 + 4 + 4)
    return trunk + 9 * (4 * 4 + 4 * 4) + 2 * (4 + 4) + 9 * 4 * 1 + 1


@pytest.mark.parametrize(("size", "computed"), [(SIZE, SIZE), (ODD_SIZE, PADDED_SIZE), ((16, 96), (16, 96))])
def test_multiply_accumulates_by_hand(size, computed):
    network = build_model(config()).network
    assert count_macs(network, size) == encoder_macs(*computed) + 2 * branch_macs(*computed)
    assert count_parameters(network) == encoder_parameters() + 2 * branch_parameters()


def test_multiply_accumulates_of_sum_sharing_by_hand():
    """The shared stream's three convolutions are those of stages 2 to 4, and each decoder reads twice the channels.

    Without the image its decoder and the last stage of its trunk are gone, and the sharing stays.
    """
    stages = stage_macs(*SIZE)
    whole = encoder_macs(*SIZE) + 2 * sum(stages) + sum(stages[1:]) + 2 * decoder_macs(*SIZE, 8)
    model = build_model(config("SumSharing"))
    assert count_macs(model.network, SIZE) == whole
    model.strip()
    assert count_macs(model.network, SIZE) == whole - stages[-1] - decoder_macs(*SIZE, 8)


def sharing_parameters():
    """Sharing with its options: what it has beside encoder, trunks and heads, and what is left of everything for depth.

    Two tasks, streams of 16, 8, 4 and 4 channels. Convolutions without bias; batch norm has two numbers a channel.
    """
    first_stages = 9 * (32 * 16 + 16 * 8) + 2 * (16 + 8)
    last_stage = 9 * 4 * 4 + 2 * 4
    trunk = first_stages + 9 * 8 * 4 + 2 * 4 + last_stage
    head = branch_parameters() - trunk
    wide_head = head + 9 * 4 * 4  # reads 8 channels
    enlarging = 9 * (16 * 8 + 8 * 4 + 4 * 4) + 2 * (8 + 4 + 4)
    concat = enlarging + (2 * 16 * 16 + 32) + (3 * 8 * 8 + 16) + (3 * 4 * 4 + 8)
    nddr = (2 * 16 * 16 + 32) + (2 * 8 * 8 + 16) + 2 * (2 * 4 * 4 + 8)  # a task
    masks = (2 * 16 * 16 + 64) + (3 * 8 * 8 + 32) + 2 * (3 * 4 * 4 + 16)  # a task
    layers = 4 + 4 * (16 + 8 + 4)  # a task's beta and P
    distillation = 2 * 9 * 8 * 8 + 8  # a task's W and V, which has a bias
    first_head = 9 * (8 * 4 + 4 * 4 + 4 * 4) + 3 * 8 + 9 * 4 + 1  # from 1/4: two transposed convolutions, two convolutions
    return {
        ("HardSharing",): (trunk + 2 * head, trunk + head),
        ("ConcatSharing",): (2 * (trunk + wide_head) + concat, 2 * trunk + wide_head + concat - last_stage),
        ("ConcatSharing", "at", "join"): (2 * (trunk + wide_head), 2 * trunk + wide_head),
        ("CrossStitch",): (2 * (trunk + head) + 4 * 4, 2 * trunk + head + 3 * 4 + 2),
        ("CrossStitch", "per_channel", True): (
            2 * (trunk + head) + 4 * (16 + 8 + 4 + 4),
            2 * trunk + head + 4 * (16 + 8 + 4) + 2 * 4,
        ),
        ("CrossStitch", "one_way", True): (2 * (trunk + head) + 4 * 2, trunk + head),
        ("Sluice",): (2 * (trunk + head) + 4 * 16 + 2 * layers, 2 * trunk + head + 3 * 16 + 8 + layers),
        ("NDDR",): (2 * (trunk + head) + 2 * nddr, 2 * trunk + head + 2 * nddr - (2 * 4 * 4 + 8)),
        ("NDDR", "shortcut", True): (
            2 * (trunk + head) + 2 * (nddr + 4 * (16 + 8 + 4 + 4)),
            2 * trunk + head + 2 * nddr - (2 * 4 * 4 + 8) + 4 * (16 + 8 + 4 + 4),
        ),
        ("MTAN",): (trunk + 2 * head + enlarging + 2 * masks, trunk + head + enlarging + masks),
        ("PADNet",): (2 * (trunk + head + distillation + first_head), trunk + head + first_stages + distillation),
    }


@pytest.mark.parametrize("sharing", sharing_parameters())
def test_parameters_of_every_sharing_by_hand(sharing):
    name, *options = sharing
    network = small_network(sharing={"type": name, **dict([options] if options else [])})
    model = build_model(config(network=network))
    whole, stripped = sharing_parameters()[sharing]
    assert count_parameters(model.network) == encoder_parameters() + whole
    assert count_parameters(model.strip().network) == encoder_parameters() + stripped


def test_counting_leaves_the_network_as_it_was():
    network = build_model(config()).network.train()
    state = {key: value.clone() for key, value in network.state_dict().items()}
    count_macs(network, SIZE)
    assert network.training
    assert all(torch.equal(value, state[key]) for key, value in network.state_dict().items())


def test_report_counts_before_and_after():
    lines = strip_report(config(), None, ("depth",), None, SIZE).splitlines()
    assert lines[0].split() == ["parameters", "MACs", "at", "32x48"]
    alone = (encoder_parameters() + branch_parameters(), encoder_macs(*SIZE) + branch_macs(*SIZE))
    whole = (alone[0] + branch_parameters(), alone[1] + branch_macs(*SIZE))
    rows = {name: tuple(int(number.replace(",", "")) for number in numbers) for name, *numbers in map(str.split, lines[1:])}
    assert rows == {"whole": whole, "stripped": alone}


@pytest.mark.parametrize("keep", [("depth",), ("image",), ("depth", "image")])
@pytest.mark.parametrize("sharing", named(SHARING))
def test_weighting_and_every_loss_go(keep, sharing):
    losses = {"l1": {"type": "L1"}, "l2": {"type": "L2"}}
    tasks = {"depth": {"type": "DepthTask", "losses": losses}, "image": {"type": "ImageTask", "losses": losses}}
    model = build_model(config(network=small_network(sharing={"type": sharing}, tasks=tasks)))
    assert model.strip(keep) is model
    assert model.weighting is None
    assert set(model.network.tasks) == set(keep)
    assert [len(task.losses) for task in model.network.tasks.values()] == [0] * len(keep)
    assert not [type(m).__name__ for m in model.modules() if type(m).__name__ in ("L1", "L2", "FixedWeighting")]
    assert model.keep == keep
    with pytest.raises(ConfigError, match="can be evaluated, not trained"):
        model.parse_losses({"depth": {"l2": torch.tensor(1.0)}})
