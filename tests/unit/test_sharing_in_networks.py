"""Every sharing in a whole network: what it trains, what strip() leaves of it, and first predictions."""

from contextlib import contextmanager

import pytest
import torch
from support import check_backward, named, small_network, sparse_map
from torch import nn

from mtdc import ConfigError, DepthSample, Field, Task
from mtdc.model import build_model
from mtdc.registry import NETWORKS, SHARING, TASKS, build
from mtdc.sharing.hard import HardSharing
from mtdc.tasks.depth import DepthTask


class HeightTask(Task):
    """A third task, for networks of three."""

    field = Field("height", 2, "metres", -1.0, "depth")


@contextmanager
def height_task():
    TASKS.register_module(module=HeightTask)
    try:
        yield
    finally:
        TASKS.module_dict.pop("HeightTask")


TASK_CONFIGS = {
    "depth": {"type": "DepthTask", "losses": {"l2": {"type": "L2"}}},
    "image": {"type": "ImageTask", "upsampling": "sub_pixel", "losses": {"l1": {"type": "L1"}}},
    "height": {"type": "HeightTask", "losses": {"l1": {"type": "L1"}}},
}
SHARINGS = [{"type": name} for name in named(SHARING)] + [
    {"type": "ConcatSharing", "at": "join"},
    {"type": "CrossStitch", "one_way": True},
    {"type": "CrossStitch", "per_channel": True},
    {"type": "Sluice", "subspaces": 1},
    {"type": "Sluice", "subspaces": 4, "orthogonality": 0.0},
    {"type": "NDDR", "shortcut": True},
    {"type": "PADNet", "stage": 0, "distillation": "A"},
    {"type": "PADNet", "stage": 2, "distillation": "B"},
]
SHAPES = {
    "the paper's": {},
    "skips": {
        "trunk": {"type": "TransposedConvTrunk", "skips": True},
        "encoder": {"type": "MultiKernelEncoder", "every_stride": True},
    },
    "three stages": {"trunk": {"type": "TransposedConvTrunk", "strides": (8, 4, 2), "multiples": (4, 8, 4)}},
}


def label(value):
    """As a test's name: "CrossStitch one_way=True"."""
    if not isinstance(value, dict):
        return None
    return " ".join([value["type"], *(f"{key}={item}" for key, item in value.items() if key != "type")])


def sharing_model(sharing, tasks, precision="float32", **changes):
    with height_task():
        network = small_network(sharing=sharing, tasks={name: TASK_CONFIGS[name] for name in tasks}, **changes)
        return build_model({"width": 1, "network": network, "weighting": {"type": "FixedWeighting"}, "precision": precision})


def training_batch(height=21, width=37):
    samples = []
    for i in range(2):
        sample = DepthSample(metainfo={"sample_id": str(i)})
        sample.gt_depth = sparse_map(height, width, seed=1)[i]
        sample.gt_image, sample.gt_height = 255 * torch.rand(1, height, width), torch.rand(2, height, width)
        samples.append(sample)
    return {"sparse_depth": sparse_map(height, width)}, samples


def trained(model):
    """Gradients of one training step, by name."""
    total, logged = model.train().parse_losses(model(*training_batch(), mode="loss"))
    model.zero_grad()
    total.backward()
    return total, logged


@pytest.mark.parametrize(
    ("tasks", "shape"),
    [
        (("depth",), "skips"),
        (("image", "depth"), "the paper's"),
        (("depth", "image"), "three stages"),
        (("depth", "image", "height"), "skips"),
    ],
)
@pytest.mark.parametrize("sharing", SHARINGS, ids=label)
def test_every_sharing_trains_and_strips_in_a_network(sharing, tasks, shape):
    """Through trunks and heads: no parameter without a gradient in training; depth alone is the same, with none without one."""
    model = sharing_model(sharing, tasks, **SHAPES[shape])
    total, _ = trained(model)
    assert torch.isfinite(total)
    dead = [name for name, p in model.named_parameters() if p.grad is None or not torch.isfinite(p.grad).all()]
    assert not dead, f"no gradient reaches {dead}"
    nn.init.normal_(model.network.tasks["depth"].head.output.weight)
    network, (inputs, _) = model.network.eval(), training_batch()
    expected = network(inputs)
    assert {name: value.shape[1] for name, value in expected.items()} == {n: model.network.fields[n].channels for n in tasks}
    whole = sum(p.numel() for p in network.parameters())
    model.strip(("depth",))
    assert torch.equal(network(inputs)["depth"], expected["depth"])
    check_backward(network, lambda: network(inputs))
    network.eval()
    assert torch.isfinite(network(inputs)["depth"]).all()
    assert len(tasks) == 1 or sum(p.numel() for p in network.parameters()) < whole


@pytest.mark.parametrize("sharing", SHARINGS, ids=label)
def test_stripping_in_two_steps_is_stripping_at_once(sharing):
    """Any tasks can be kept, in any order; a stripped model's weights load strictly into one that is stripped alike."""
    tasks = ("depth", "image", "height")
    model, fresh = sharing_model(sharing, tasks), sharing_model(sharing, tasks)
    trained(model)
    network, (inputs, _) = model.network.eval(), training_batch()
    expected = network(inputs)
    model.strip(("height", "depth"))
    assert all(torch.equal(network(inputs)[name], expected[name]) for name in ("height", "depth"))
    model.strip(("height",))
    assert torch.equal(network(inputs)["height"], expected["height"])
    fresh.strip(("height",)).load_state_dict(model.state_dict(), strict=True)
    assert torch.equal(fresh.network.eval()(inputs)["height"], expected["height"])


@pytest.mark.parametrize("sharing", SHARINGS, ids=label)
def test_every_sharing_trains_in_bfloat16_and_channels_last(sharing):
    model = sharing_model(sharing, ("depth", "image"), precision="bfloat16")
    model.network.to(memory_format=torch.channels_last)
    model.channels_last = True
    trained(model)
    assert all(torch.isfinite(p.grad).all() for p in model.parameters())
    single = sharing_model(sharing, ("depth", "image"))
    single.load_state_dict(model.state_dict())
    inputs, _ = training_batch()
    half, full = (m.eval()(inputs)["image"] for m in (model, single))
    torch.testing.assert_close(half, full, atol=2.0, rtol=0.02)


def test_what_is_left_of_the_other_trunks():
    """How many stages of depth's and of the image's trunk are left for depth."""
    left = {}
    for sharing in SHARINGS:
        network = sharing_model(sharing, ("depth", "image")).network
        network.strip(("depth",))
        left[label(sharing)] = {name: len(trunk.stages) for name, trunk in network.trunks.items()}
    own, shared, both = {"depth": 4}, {"shared": 4}, {"depth": 4, "image": 4}
    assert left == {
        "NoSharing": own,
        "HardSharing": shared,
        "MTAN": shared,
        "SumSharing": {"depth": 4, "image": 3},
        "ConcatSharing": {"depth": 4, "image": 3},
        "ConcatSharing at=join": both,
        "CrossStitch": both,
        "CrossStitch one_way=True": own,
        "CrossStitch per_channel=True": both,
        "NDDR": both,
        "NDDR shortcut=True": both,
        "Sluice": both,
        "Sluice subspaces=1": both,
        "Sluice subspaces=4 orthogonality=0.0": both,
        "PADNet": {"depth": 4, "image": 2},
        "PADNet stage=0 distillation=A": {"depth": 4, "image": 1},
        "PADNet stage=2 distillation=B": {"depth": 4, "image": 3},
    }
    one_way = sharing_model({"type": "CrossStitch", "one_way": True}, ("depth", "image")).network
    one_way.strip(("depth",))
    assert list(one_way.trunks) == ["depth"]
    assert not list(one_way.sharing.parameters())


def test_first_predictions_are_supervised_by_the_tasks_own_losses():
    """After the second stage, at 1/4 with 8 channels, by heads of the tasks' own kinds; in training alone."""
    model = sharing_model({"type": "PADNet"}, ("depth", "image"))
    network = model.network
    seen = {}
    for name, head in network.intermediate.items():
        head.register_forward_hook(lambda module, args, output, name=name: seen.update({name: (args[0], output[0])}))
    inputs, samples = training_batch(32, 48)
    losses = model.train()(inputs, samples, mode="loss")
    assert {task: set(terms) for task, terms in losses.items()} == {
        "depth": {"l2", "intermediate_l2"},
        "image": {"l1", "intermediate_l1"},
    }
    assert {name: tuple(stream.shape) for name, (stream, _) in seen.items()} == dict.fromkeys(("depth", "image"), (2, 8, 8, 12))
    depth, image = (seen[name][1] for name in ("depth", "image"))
    truth = torch.stack([sample.gt_depth for sample in samples])
    error = (15 + 15 * depth - truth)[truth > 0]
    torch.testing.assert_close(losses["depth"]["intermediate_l2"], error.square().mean())
    error = 128 + 64 * image - torch.stack([sample.gt_image for sample in samples])
    torch.testing.assert_close(losses["image"]["intermediate_l1"], error.abs().mean())
    total, logged = model.parse_losses(losses)
    torch.testing.assert_close(total, sum(value for terms in losses.values() for value in terms.values()))
    assert {"depth/intermediate_l2", "image/intermediate_l1"} <= set(logged)

    seen.clear()
    network.eval()(inputs)
    assert not seen, "no first prediction at test time"
    model.strip(("depth",))
    assert not [name for name in network.state_dict() if name.startswith("intermediate")]
    network.train()(inputs)
    assert not seen


class PredictingHardSharing(HardSharing):
    """First predictions from a trunk that is no task's."""

    intermediate = 1


def test_first_predictions_that_can_t_be_are_named():
    with pytest.raises(ConfigError, match="PredictingHardSharing asks for first predictions, and has no trunk for each task"):
        small = PredictingHardSharing(("depth",), (8, 4, 2, 2), (16, 8, 4, 4))
        build(NETWORKS, small_network(sharing=small, tasks={"depth": {"type": "DepthTask"}}), "network", width=1)
    tasks = {"depth": DepthTask(4, 2, 1)}
    with pytest.raises(ConfigError, match=r"network.tasks.depth: first predictions need the task's config"):
        build(NETWORKS, small_network(sharing={"type": "PADNet"}, tasks=tasks), "network", width=1)


def test_first_predictions_lose_the_padding():
    network = sharing_model({"type": "PADNet"}, ("depth",)).network.train()
    outputs, _ = network.outputs(training_batch(21, 37)[0])
    first = outputs["depth"].intermediate
    assert first.raw.shape == first.fields["depth"].shape == (2, 1, 21, 37)
    assert first.intermediate is None
    assert network.eval().outputs(training_batch(21, 37)[0])[0]["depth"].intermediate is None


def test_first_predictions_are_made_before_the_exchange():
    """Depth's first prediction doesn't see the image's stream; its last one does."""
    network = sharing_model({"type": "PADNet"}, ("depth", "image")).network.train()
    nn.init.normal_(network.tasks["depth"].head.output.weight)
    nn.init.normal_(network.intermediate["depth"].head.output.weight)
    inputs, _ = training_batch()
    before = network.outputs(inputs)[0]["depth"]
    nn.init.normal_(network.trunks["image"].stages[0][0].weight)
    after = network.outputs(inputs)[0]["depth"]
    assert torch.equal(after.intermediate.raw, before.intermediate.raw)
    assert not torch.equal(after.raw, before.raw)
