"""Encoders with a map at every stride, skip connections and the sub-pixel head, against equations written out by hand."""

import pytest
import torch
from support import small_network
from torch.nn import functional

from mtdc.layers.decoder import Decoder
from mtdc.model import build_model
from mtdc.registry import ENCODERS, TRUNKS, build

UNET = {
    "representation": {"type": "FilledMask"},
    "encoder": {"type": "ResidualEncoder"},
    "trunk": {"type": "TransposedConvTrunk", "strides": (8, 4, 2), "multiples": (6, 4, 2), "skips": True},
}


def encoder_of(**cfg):
    return build(ENCODERS, cfg, "encoder", in_channels=2, layout={"sparse_depth": 1, "mask": 1}, width=2)


def randomised(module, seed=0):
    """In eval mode, with batch norms that change something."""
    generator = torch.Generator().manual_seed(seed)
    for name, value in (*module.named_parameters(), *module.named_buffers()):
        if value.is_floating_point():
            value.data = torch.rand(value.shape, generator=generator, dtype=value.dtype) * 0.5 + (0.5 if "var" in name else 0)
    return module.double().eval()


def unit(x, weights, prefix, stride=1, kernel=3):
    """Convolution, batch norm in eval mode, leaky rectifier, from a state_dict."""
    x = functional.conv2d(x, weights[f"{prefix}.0.weight"], stride=stride, padding=kernel // 2)
    return functional.leaky_relu(norm(x, weights, f"{prefix}.1"), 0.2)


def norm(x, weights, prefix):
    mean, var, scale, offset = (
        weights[f"{prefix}.{key}"][:, None, None] for key in ("running_mean", "running_var", "weight", "bias")
    )
    return (x - mean) / (var + 1e-5).sqrt() * scale + offset


def test_residual_encoder_follows_its_equations():
    encoder = randomised(encoder_of(type="ResidualEncoder", multiples=(1, 2), blocks=(1, 2)))
    weights = encoder.state_dict()
    x = torch.rand(1, 2, 8, 12, dtype=torch.float64)
    # Space to depth: channel c at (2 i + a, 2 j + b) becomes channel 4 c + 2 a + b at (i, j).
    packed = torch.stack([x[:, c, a::2, b::2] for c in (0, 1) for a in (0, 1) for b in (0, 1)], dim=1)

    def block(y, prefix):
        inner = functional.conv2d(unit(y, weights, f"{prefix}.first"), weights[f"{prefix}.second.weight"], padding=1)
        return functional.leaky_relu(y + norm(inner, weights, f"{prefix}.norm"), 0.2)

    first = block(unit(packed, weights, "levels.0.0"), "levels.0.1")
    second = block(block(unit(first, weights, "levels.1.0", stride=2), "levels.1.1"), "levels.1.2")
    features = encoder(x)
    assert list(features) == [2, 4]
    torch.testing.assert_close(features[2], first, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(features[4], second, rtol=1e-10, atol=1e-10)


def test_residual_encoder_repeats_the_last_row_and_column_of_odd_sizes():
    encoder = randomised(encoder_of(type="ResidualEncoder"))
    x = torch.rand(1, 2, 7, 11, dtype=torch.float64)
    even = torch.cat((x, x[..., -1:, :]), dim=-2)
    even = torch.cat((even, even[..., -1:]), dim=-1)
    for stride, value in encoder(x).items():
        torch.testing.assert_close(value, encoder(even)[stride])


@pytest.mark.parametrize(
    ("cfg", "text"),
    [
        ({"multiples": ()}, "multiples must be 1 or more"),
        ({"multiples": (2, 0)}, "multiples must be 1 or more"),
        ({"multiples": (1, 2), "blocks": (1,)}, "must have the same length"),
    ],
)
def test_residual_encoder_refuses(cfg, text):
    with pytest.raises(Exception, match=text):
        encoder_of(type="ResidualEncoder", **cfg)


def test_multi_kernel_encoder_gives_its_layers_at_every_stride():
    plain = encoder_of(type="MultiKernelEncoder", kernels=(3, 5), multiples=(1, 2, 3), strides=(2, 1, 2)).eval()
    every = encoder_of(type="MultiKernelEncoder", kernels=(3, 5), multiples=(1, 2, 3), strides=(2, 1, 2), every_stride=True)
    every.load_state_dict(plain.state_dict())
    every.eval()
    assert plain.channels == {4: 12} and every.channels == {2: 8, 4: 12}
    x = torch.rand(1, 2, 16, 24)
    features = every(x)
    assert torch.equal(features[4], plain(x)[4])
    weights = plain.state_dict()
    layers = []
    for kernel in (3, 5):
        y = unit(x, weights, f"branches.kernel{kernel}.0", 2, kernel)
        layers.append(unit(y, weights, f"branches.kernel{kernel}.1", 1, kernel))
    torch.testing.assert_close(features[2], torch.cat(layers, dim=1))


def trunk_of(channels, **cfg):
    return build(TRUNKS, {"type": "TransposedConvTrunk", **cfg}, "trunk", channels=channels, width=2)


def test_a_skip_joins_the_stage_with_the_encoders_map():
    trunk = randomised(trunk_of({4: 3, 8: 5}, strides=(4, 4), multiples=(2, 1), skips=True))
    maps = {4: torch.rand(1, 3, 6, 8, dtype=torch.float64), 8: torch.rand(1, 5, 3, 4, dtype=torch.float64)}
    weights = trunk.state_dict()
    up = trunk.stages[0](maps[8])
    expected = unit(torch.cat((up, maps[4]), dim=1), weights, "joins.0")
    first = trunk.stage(0, None, maps)
    torch.testing.assert_close(first, expected)
    # The second stage keeps the stride, whose map the first has read already.
    torch.testing.assert_close(trunk.stage(1, first, maps), unit(first, weights, "stages.1"))


def test_truncated_trunk_drops_its_joins():
    trunk = trunk_of({2: 3, 4: 3, 8: 5}, strides=(4, 2, 2), multiples=(2, 1, 1), skips=True)
    trunk.truncate(0)
    assert {name.split(".")[0] + "." + name.split(".")[1] for name, _ in trunk.named_parameters()} == {"stages.0", "joins.0"}


def test_skips_without_a_map_are_refused():
    with pytest.raises(Exception, match="skips need an encoder with a map at stride 8; this one has strides 16"):
        trunk_of({16: 4}, skips=True)


@pytest.mark.parametrize("stride", [1, 2, 4])
def test_sub_pixel_head_rearranges_channels_into_pixels(stride):
    head = randomised(Decoder(3, stride, 4, 2, "sub_pixel"))
    assert head.hidden_channels == 2
    weights = head.state_dict()
    stream = torch.rand(1, 3, 4, 5, dtype=torch.float64)
    small = unit(stream, weights, "hidden.0")
    hidden = torch.zeros(1, 2, 4 * stride, 5 * stride, dtype=torch.float64)
    for channel in range(2):
        for a in range(stride):
            for b in range(stride):
                hidden[:, channel, a::stride, b::stride] = small[:, channel * stride**2 + a * stride + b]
    output = functional.conv2d(hidden, weights["output.weight"], weights["output.bias"], padding=1)
    for found, expected in zip(head(stream), (output, hidden), strict=True):
        torch.testing.assert_close(found, expected)


def test_unknown_upsampling_is_refused():
    with pytest.raises(ValueError, match="upsampling must be one of transposed_conv, sub_pixel"):
        Decoder(3, 2, 4, 1, "bilinear")


@pytest.mark.parametrize("sharing", ["NoSharing", "SumSharing"])
def test_stripped_network_with_skips_keeps_depth_to_the_bit(sharing):
    tasks = {
        "depth": {"type": "DepthTask", "upsampling": "sub_pixel", "losses": {"l2": {"type": "L2"}}},
        "image": {"type": "ImageTask", "upsampling": "sub_pixel", "losses": {"l2": {"type": "L2"}}},
    }
    network = small_network(**UNET, sharing={"type": sharing}, tasks=tasks)
    weights = {"type": "FixedWeighting", "weights": {"depth": 1.0, "image": 1.0}}
    model = build_model({"type": "MultiTaskModel", "width": 2, "network": network, "weighting": weights}).eval()
    inputs = {"sparse_depth": torch.rand(1, 1, 37, 53) * (torch.rand(1, 1, 37, 53) < 0.1) * 50}
    before = model.network(inputs)["depth"]
    model.network.strip(("depth",))
    after = model.network(inputs)
    assert list(after) == ["depth"] and torch.equal(after["depth"], before)
    model.network.train()
    model.network(inputs)["depth"].sum().backward()
    assert all(p.grad is not None for p in model.network.parameters())
