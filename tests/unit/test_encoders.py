"""What encoders do beyond their contract: backbones of several families, weights from a file, fusion with a photo."""

import math

import pytest
import torch
from safetensors.torch import save_file
from support import sparse_map

from mtdc import ConfigError
from mtdc.model import build_model
from mtdc.registry import ENCODERS, build

#: One of each family, the smallest.
FAMILIES = (
    "resnet10t", "convnext_atto", "efficientnet_lite0", "mobilenetv3_small_050", "pvt_v2_b0", "swin_s3_tiny_224",
    "mambaout_femto",
)  # fmt: skip


def backbone(name="resnet10t", channels=2, **options):
    return build(
        ENCODERS, {"type": "TimmEncoder", "name": name, **options}, "encoder", in_channels=channels, layout={"x": channels}
    )


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_gives_maps_of_the_declared_sizes(name):
    encoder = backbone(name).eval()
    assert sorted(encoder.channels) == list(encoder.channels)
    with torch.no_grad():
        maps = encoder(torch.rand(1, 2, 45, 71))
    for stride, channels in encoder.channels.items():
        assert maps[stride].shape == (1, channels, math.ceil(45 / stride), math.ceil(71 / stride))


def test_backbones_weights_come_from_a_file_without_code(tmp_path):
    torch.manual_seed(0)
    first = backbone(channels=3)
    file = tmp_path / "resnet10t.safetensors"
    whole = {**first.backbone.state_dict(), "fc.weight": torch.zeros(10, 512), "fc.bias": torch.zeros(10)}
    save_file(whole, file)
    second = backbone(channels=3, weights=str(file))
    assert all(torch.equal(a, b) for a, b in zip(first.state_dict().values(), second.state_dict().values(), strict=True))
    one = backbone(channels=1, weights=str(file))  # timm sums the stem's kernels over colours
    stem = next(iter(first.backbone.state_dict()))
    assert torch.allclose(
        one.backbone.state_dict()[stem], first.backbone.state_dict()[stem].sum(dim=1, keepdim=True), atol=1e-6
    )


def test_weights_of_another_backbone_are_refused(tmp_path):
    """timm itself leaves weights that it doesn't find as they were drawn, without a word."""
    state = backbone(channels=3).backbone.state_dict()
    other = {
        "junk": {"unrelated.weight": torch.zeros(2)},
        "part": {key: value for key, value in state.items() if not key.startswith("layer3")},
        "wide": {key: torch.zeros(3, 3) if key == "layer2.0.conv1.weight" else value for key, value in state.items()},
        "more": {**state, "layer9.weight": torch.zeros(2)},
    }
    for name, tensors in other.items():
        save_file(tensors, tmp_path / f"{name}.safetensors")
    for name, text in (
        ("junk", "has no such tensor"),
        ("part", "'layer3"),
        ("wide", r"\(3, 3\) there"),
        ("more", "no 'layer9"),
    ):
        with pytest.raises(ConfigError, match=f"are not of 'resnet10t'.*{text}"):
            backbone(channels=3, weights=str(tmp_path / f"{name}.safetensors"))


def test_wrong_backbones_are_named(tmp_path):
    with pytest.raises(ConfigError, match="encoder.*timm has no model 'resnet1o'|timm has no model 'resnet1o'"):
        backbone("resnet1o")
    with pytest.raises(ConfigError, match="no such file"):
        backbone(weights=str(tmp_path / "none.safetensors"))
    pickle = tmp_path / "weights.pth"
    torch.save({}, pickle)
    with pytest.raises(ConfigError, match="expected a .safetensors file"):
        backbone(weights=str(pickle))
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(b"no tensors")
    with pytest.raises(ConfigError, match="the file is broken"):
        backbone(weights=str(broken))
    with pytest.raises(ConfigError, match="takes images of one size alone"):
        backbone("maxvit_pico_rw_256")
    with pytest.raises(ConfigError, match="unexpected keyword argument 'colour'"):
        backbone("convnext_atto", options={"colour": 1})
    with pytest.raises(ConfigError, match="give one of them"):
        backbone(weights="a.safetensors", pretrained=True)


def network(representation, encoder, **trunk):
    return {
        "network": {
            "type": "MultiTaskNetwork",
            "representation": {"type": representation},
            "encoder": encoder,
            "trunk": {"type": "TransposedConvTrunk", **trunk},
            "sharing": {"type": "SumSharing"},
            "tasks": {"depth": {"type": "DepthTask", "losses": {"l1": {"type": "L1"}}}, "image": {"type": "ImageTask"}},
        },
        "width": 1,
    }


DEEP = {"strides": (16, 8, 4, 2), "multiples": (8, 4, 2, 2), "skips": "where_present"}


@pytest.mark.parametrize(
    ("representation", "encoder", "trunk"),
    [
        ("SparseDepth", {"type": "TimmEncoder", "name": "resnet10t"}, {**DEEP, "skips": True}),
        ("SparseDepthMask", {"type": "TimmEncoder", "name": "convnext_atto"}, DEEP),
        ("SparseDepthMask", {"type": "SparsityInvariantEncoder"}, {"skips": True}),
        ("FilledMask", {"type": "NormalizedConvEncoder"}, {"skips": True}),
        ("SparseDepthImage", {"type": "MultiKernelEncoder"}, {}),
        ("SparseDepthImage", {"type": "LateFusionEncoder"}, {"skips": True}),
    ],
)
def test_whole_network_with_every_encoder(representation, encoder, trunk):
    model = build_model(network(representation, encoder, **trunk)).eval()
    inputs = {"sparse_depth": sparse_map(45, 71), "image": 255 * torch.rand(2, 3, 45, 71)}
    inputs = {key: inputs[key] for key in model.network.needs}
    with torch.no_grad():
        depth = model(inputs)["depth"]
    assert depth.shape == (2, 1, 45, 71)
    assert torch.isfinite(depth).all()
    model.train()
    model(inputs)["depth"].sum().backward()
    assert all(p.grad is None or torch.isfinite(p.grad).all() for p in model.parameters())


def test_skips_where_present_are_those_that_the_encoder_has():
    model = build_model(network("SparseDepth", {"type": "TimmEncoder", "name": "convnext_atto"}, **DEEP))
    assert sorted(model.network.trunks["depth"].joins) == ["0", "1", "2"], "strides 16, 8 and 4, and none at 2"
    with pytest.raises(ConfigError, match="a map at stride 2"):
        build_model(network("SparseDepth", {"type": "TimmEncoder", "name": "convnext_atto"}, **{**DEEP, "skips": True}))
    with pytest.raises(ConfigError, match="skips must be True, False or 'where_present'"):
        build_model(network("SparseDepth", {"type": "MultiKernelEncoder"}, skips="all"))


def test_late_fusion_hands_each_encoder_its_own_part():
    layout = {"sparse_depth": 1, "image": 3, "mask": 1}
    cfg = {"type": "LateFusionEncoder", "image": {"type": "ResidualEncoder", "blocks": (0, 0, 0, 0)}}
    encoder = build(ENCODERS, cfg, "encoder", in_channels=5, layout=layout, width=2).eval()
    x = torch.rand(1, 5, 32, 48)
    seen = {}
    encoder.depth.register_forward_pre_hook(lambda module, arguments: seen.update(depth=arguments[0]))
    encoder.image.register_forward_pre_hook(lambda module, arguments: seen.update(image=arguments[0]))
    encoder(x)
    assert torch.equal(seen["image"], x[:, 1:4])
    assert torch.equal(seen["depth"], x[:, [0, 4]])
    deep = {"type": "LateFusionEncoder", "image": {"type": "TimmEncoder", "name": "resnet10t"}}
    with pytest.raises(ConfigError, match="would never be read"):
        build(ENCODERS, deep, "encoder", in_channels=5, layout=layout, width=2)
    for part, text in (({"image": 3}, "beside depth"), ({"mask": 1}, "beside depth")):
        with pytest.raises(ConfigError, match=text):
            build(ENCODERS, {"type": "LateFusionEncoder"}, "encoder", in_channels=3, layout=part, width=2)


def test_the_default_trunk_names_the_strides_that_fit_a_backbone():
    with pytest.raises(ConfigError, match=r"as \(16, 8, 4, 2\) with as many multiples"):
        build_model(network("SparseDepth", {"type": "TimmEncoder", "name": "resnet10t"}))


def test_a_network_of_normalized_convolutions_averages():
    """Where all that is measured is equal it answers that value, before any training."""
    torch.manual_seed(0)
    model = build_model(
        {
            "network": {"type": "NormalizedConvNetwork", "tasks": {"depth": {"losses": {"l1": {"type": "L1"}}}}},
            "weighting": {"type": "FixedWeighting"},
        }
    )
    # By hand: 5x5 from 1 to 2, two 5x5 from 2 to 2, three 3x3 from 4 to 2, 1x1 from 2 to 1, each with biases.
    assert sum(p.numel() for p in model.parameters()) == 52 + 2 * 102 + 3 * 74 + 3
    inputs = {"sparse_depth": 20.0 * (sparse_map(37, 53) > 0)}
    depth = model(inputs)["depth"]
    assert depth.shape == (2, 1, 37, 53)
    assert (depth - 20).abs().median() < 0.1, "an average of equal values is that value before any training"
