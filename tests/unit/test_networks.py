"""Networks: what the parts are handed, how frames are padded, refinement in its place, and the sharing's own penalty."""

from contextlib import contextmanager

import pytest
import torch
from support import small_network, sparse_map
from torch import nn

from mtdc import ConfigError, DepthSample, InputRepresentation, Refinement, Sharing
from mtdc.contracts import Prepared
from mtdc.model import build_model
from mtdc.registry import NETWORKS, REFINEMENT, SHARING, build
from mtdc.sharing.none import NoSharing

ONE_TASK = {"depth": {"type": "DepthTask", "losses": {"l2": {"type": "L2"}}}}


class RecordingRepresentation(InputRepresentation):
    """Photo and sparse depth as they are; keeps what it was given."""

    unit = "0..255; metres"
    needs = ("sparse_depth", "image", "intrinsics")

    def __init__(self):
        super().__init__()
        self.layout = {"image": 3, "sparse_depth": 1}

    def forward(self, inputs):
        self.given = dict(inputs)
        return Prepared(torch.cat((inputs["image"], inputs["sparse_depth"]), dim=1), self.layout, None)


class RecordingRefinement(Refinement):
    """Depth times a factor; keeps what it was given."""

    def __init__(self, channels, factor=1.0):
        super().__init__()
        self.channels = dict(channels)
        self.factor = factor

    def forward(self, depth, guidance, inputs):
        self.given = (depth, dict(guidance), dict(inputs))
        return depth * self.factor


class PenalisedSharing(NoSharing):
    """No sharing, with a term of its own in the training loss."""

    def __init__(self, tasks, strides, widths):
        super().__init__(tasks, strides, widths)
        self.size = nn.Parameter(torch.tensor(3.0))

    def penalty(self):
        return {"size": 0.5 * self.size**2, "offset": torch.tensor(0.25)}


@contextmanager
def registered(registry, part):
    registry.register_module(module=part)
    try:
        yield
    finally:
        registry.module_dict.pop(part.__name__)


def make(**changes):
    with registered(REFINEMENT, RecordingRefinement), registered(SHARING, PenalisedSharing):
        return build(NETWORKS, small_network(**changes), "network", width=1)


def photo_inputs(height, width):
    return {
        "sparse_depth": sparse_map(height, width, density=0.9),
        "image": 255 * torch.rand(2, 3, height, width),
        "intrinsics": torch.rand(2, 3, 3),
    }


def test_channels_of_a_representation_are_the_sum_of_its_layout():
    representation = RecordingRepresentation()
    assert representation.channels == 3 + 1
    network = make(representation=representation)
    assert network.needs == ("sparse_depth", "image", "intrinsics")
    firsts = [branch[0][0] for branch in network.encoder.branches.values()]
    assert [conv.in_channels for conv in firsts] == [4, 4, 4, 4]
    assert network.eval()(photo_inputs(16, 16))["depth"].shape == (2, 1, 16, 16)


@pytest.mark.parametrize(
    ("size", "padded"), [((37, 53), (48, 64)), ((48, 53), (48, 64)), ((37, 64), (48, 64)), ((1, 1), (16, 16))]
)
def test_the_photo_is_padded_by_its_border_and_depth_by_nothing_measured(size, padded):
    network = make(representation=RecordingRepresentation()).eval()
    inputs = photo_inputs(*size)
    fields = network(inputs)
    assert {name: tuple(value.shape) for name, value in fields.items()} == {"depth": (2, 1, *size), "image": (2, 1, *size)}
    given, (height, width) = network.representation.given, size
    sparse, image = given["sparse_depth"], given["image"]
    assert tuple(sparse.shape[-2:]) == tuple(image.shape[-2:]) == padded
    assert torch.equal(sparse[..., :height, :width], inputs["sparse_depth"])
    assert sparse.count_nonzero() == inputs["sparse_depth"].count_nonzero()
    rows = torch.arange(padded[0]).clamp(max=height - 1)
    columns = torch.arange(padded[1]).clamp(max=width - 1)
    assert torch.equal(image, inputs["image"][:, :, rows][..., columns])
    assert torch.equal(given["intrinsics"], inputs["intrinsics"]), "the padding is at the right and the bottom"


def test_frames_that_fit_are_not_padded():
    network = make(representation=RecordingRepresentation()).eval()
    inputs = photo_inputs(32, 48)
    network(inputs)
    assert all(torch.equal(network.representation.given[key], value) for key, value in inputs.items())


@pytest.mark.parametrize(
    ("training", "factor", "expected"), [(False, 1000.0, 80.0), (False, -1.0, 2.0), (False, 2.0, 30.0), (True, -1.0, -15.0)]
)
def test_depth_is_limited_after_refinement_too(training, factor, expected):
    """A fresh head is near 15 m; refinement multiplies."""
    tasks = {"depth": {"type": "DepthTask", "range_m": (2.0, 80.0)}}
    network = make(tasks=tasks, refinement={"type": "RecordingRefinement", "factor": factor}).train(training)
    nn.init.zeros_(network.tasks["depth"].head.output.weight)
    depth = network({"sparse_depth": sparse_map(21, 33)})["depth"]
    assert torch.equal(depth, torch.full((2, 1, 21, 33), expected))


@pytest.mark.parametrize("sharing", ["SumSharing", "NoSharing"])
def test_refinement_is_guided_by_depths_own_stream_and_hidden_map(sharing):
    """The joined stream lies under its stride, the head's last hidden map under 1, with the channels that were announced."""
    network = make(sharing={"type": sharing}, refinement={"type": "RecordingRefinement"}).eval()
    seen = {}
    head = network.tasks["depth"].head
    head.register_forward_pre_hook(lambda module, args: seen.update(stream=args[0]))
    head.hidden.register_forward_hook(lambda module, args, output: seen.update(hidden=output))
    inputs = {"sparse_depth": sparse_map(37, 53)}
    network(inputs)
    depth, guidance, given = network.refinement.given
    assert set(guidance) == {2, 1}
    assert torch.equal(guidance[2], seen["stream"])
    assert torch.equal(guidance[1], seen["hidden"])
    streams = 2 if sharing == "SumSharing" else 1
    assert network.refinement.channels == {2: streams * 4, 1: 4}
    assert guidance[2].shape == (2, streams * 4, 24, 32)
    assert guidance[1].shape == (2, 4, 48, 64)
    assert depth.shape == given["sparse_depth"].shape == (2, 1, 48, 64)
    assert torch.equal(given["sparse_depth"][..., :37, :53], inputs["sparse_depth"])


def test_stripping_to_another_task_drops_the_refinement():
    network = make(refinement={"type": "CSPN"}).eval()
    inputs = {"sparse_depth": sparse_map(37, 53)}
    image = network(inputs)["image"]
    network.strip(("image",))
    assert network.refinement is None
    assert not [name for name in network.state_dict() if name.startswith("refinement")]
    fields = network(inputs)
    assert set(fields) == {"image"}
    assert torch.equal(fields["image"], image)


@pytest.mark.parametrize("keep", [("depth",), ("image", "depth")])
def test_stripping_keeps_the_refinement_with_depth(keep):
    network = make(refinement={"type": "CSPN", "steps": 2}).eval()
    nn.init.normal_(network.refinement.affinity.weight)
    inputs = {"sparse_depth": sparse_map(37, 53)}
    depth = network(inputs)["depth"]
    network.strip(keep)
    assert network.refinement is not None
    assert torch.equal(network(inputs)["depth"], depth)
    network.refinement = None
    assert not torch.equal(network(inputs)["depth"], depth), "the refinement must matter here"


def test_refinement_without_a_depth_task_is_refused():
    with pytest.raises(ConfigError, match="refinement needs the task 'depth'"):
        make(tasks={"image": {"type": "ImageTask"}}, refinement={"type": "CSPN"})


@pytest.mark.parametrize("keep", [("image",), ("depth", "image"), ()])
def test_a_method_without_weights_keeps_depth_and_nothing_else(keep):
    network = build(NETWORKS, {"type": "ClassicalNetwork"}, "network", width=1)
    with pytest.raises(ConfigError, match="predicts depth alone"):
        network.strip(keep)
    network.strip(("depth",))
    assert set(network.fields) == {"depth"}


def test_penalties_of_the_sharing_are_trained_and_logged():
    """0.5 * 3^2 + 0.25 on top of the weighted losses, unweighted; the gradient of the first is 3."""
    assert issubclass(PenalisedSharing, Sharing)
    weighting = {"type": "FixedWeighting", "weights": {"depth": 2.0, "image": 1e-4}}
    with registered(SHARING, PenalisedSharing):
        model = build_model(
            {"width": 1, "network": small_network(sharing={"type": "PenalisedSharing"}), "weighting": weighting}
        )
    one = torch.tensor(1.0)
    terms = {"depth": {"l2": one * 5}, "image": {"l2": one * 20000}, "penalty": model.network.penalty()}
    total, logged = model.parse_losses(terms)
    assert total.item() == pytest.approx(2 * 5 + 2 + 4.5 + 0.25)
    assert logged["loss"].item() == total.item()
    assert {"penalty/size": 4.5, "penalty/offset": 0.25}.items() <= {k: v.item() for k, v in logged.items()}.items()
    assert not any(value.requires_grad for value in logged.values())
    total.backward()
    assert model.network.sharing.size.grad.item() == 3


@pytest.mark.parametrize(("sharing", "extra"), [("PenalisedSharing", 4.75), ("NoSharing", 0.0)])
def test_a_training_step_adds_the_penalty(sharing, extra):
    """Through the model's own losses: total = depth + penalty."""
    network = small_network(sharing={"type": sharing}, tasks=ONE_TASK)
    with registered(SHARING, PenalisedSharing):
        model = build_model({"width": 1, "network": network, "weighting": {"type": "FixedWeighting"}})
    sample = DepthSample(metainfo={"sample_id": "frame"})
    sample.gt_depth = sparse_map(32, 48, batch=1, seed=1)[0]
    losses = model({"sparse_depth": sparse_map(32, 48, batch=1)}, [sample], mode="loss")
    assert set(losses) == ({"depth", "penalty"} if extra else {"depth"})
    total, _ = model.parse_losses(losses)
    torch.testing.assert_close(total, losses["depth"]["l2"] + extra)
