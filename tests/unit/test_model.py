"""The model: losses, their weighting, prediction and test-time stripping."""

import copy

import pytest
import torch
from support import check_backward, small_network, sparse_map

from mtdc import ConfigError, DepthSample, Weighting
from mtdc.gradients import feature_gramian as gramian
from mtdc.model import build_model
from mtdc.registry import WEIGHTING
from mtdc.structures import DEPTH, GRAY_IMAGE


def config(**changes):
    weights = {"type": "FixedWeighting", "weights": {"depth": 1.0, "image": 1e-4}}
    return {"type": "MultiTaskModel", "width": 2, "network": small_network(), "weighting": weights, **changes}


def batch(height=32, width=48, frames=2):
    """As the loader hands it over: lists of frames, not yet stacked."""
    sparse = sparse_map(height, width, batch=frames)
    samples = []
    for i in range(frames):
        sample = DepthSample(metainfo={"sample_id": f"frame{i}"})
        sample.gt_depth = sparse_map(height, width, batch=frames, density=0.4, seed=1)[i]
        sample.gt_image = 255 * torch.rand(1, height, width)
        samples.append(sample)
    return {"inputs": {"sparse_depth": list(sparse)}, "data_samples": samples}


def losses_of(model, data):
    data = model.data_preprocessor(data, True)
    return model(**data, mode="loss")


def test_total_is_the_papers_weighted_sum():
    """Eq. 15 with Eqs. 13 and 14 computed by hand from the model's own maps."""
    model = build_model(config())
    data = model.data_preprocessor(batch(), True)
    losses = model(**data, mode="loss")
    total, logged = model.parse_losses(losses)
    model.load_state_dict(model.state_dict())
    maps = model(data["inputs"])
    depth = torch.stack([sample.gt_depth for sample in data["data_samples"]])
    image = torch.stack([sample.gt_image for sample in data["data_samples"]])
    known = depth > 0
    depth_loss = ((maps["depth"] - depth)[known] ** 2).mean()
    image_loss = ((maps["image"] - image) ** 2).mean()
    torch.testing.assert_close(losses["depth"]["l2"], depth_loss)
    torch.testing.assert_close(losses["image"]["l2"], image_loss)
    torch.testing.assert_close(total, depth_loss + 1e-4 * image_loss)
    assert set(logged) == {"loss", "depth/l2", "image/l2", "depth/weight", "image/weight"}
    assert not any(value.requires_grad for value in logged.values())


def test_only_losses_are_trained_and_only_by_their_task():
    """A logged value whose name holds the word loss is not added up."""
    model = build_model(config())
    one = torch.tensor(1.0)
    total, _ = model.parse_losses({"depth": {"l2": one * 2}, "image": {"lossless": one * 30000}})
    assert total == 2 + 3


def test_zero_image_weight_is_training_without_the_image():
    """The control: with w_img = 0 the image decoder gets no gradient, and depth's is that of its own loss."""
    cfg = config(weighting={"type": "FixedWeighting", "weights": {"depth": 1.0, "image": 0.0}})
    model = build_model(cfg)
    total, _ = model.parse_losses(losses_of(model, batch()))
    total.backward()
    assert all((p.grad == 0).all() for p in model.network.tasks["image"].parameters())
    assert any((p.grad != 0).any() for p in model.network.trunks["image"].parameters()), "its trunk feeds depth by the sum"


def test_without_a_label_a_task_costs_nothing():
    model = build_model(config())
    data = batch()
    for sample in data["data_samples"]:
        sample.gt_image = torch.full_like(sample.gt_image, GRAY_IMAGE.unknown)
    losses = losses_of(model, data)
    assert losses["image"]["l2"] == 0
    total, _ = model.parse_losses(losses)
    total.backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


@pytest.mark.parametrize("size", [(32, 48), (37, 53)])
def test_strip_keeps_depth_bit_equal_and_leaves_nothing_dead(size):
    model = build_model(config()).eval()
    for module in model.modules():  # as after training
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.running_var, 0.5, 2)
    inputs = {"sparse_depth": sparse_map(*size)}
    whole = model(inputs)
    before = sum(p.numel() for p in model.parameters())
    assert model.strip() is model
    stripped = model(inputs)
    assert set(stripped) == {"depth"}
    assert torch.equal(stripped["depth"], whole["depth"])
    assert sum(p.numel() for p in model.parameters()) < before
    check_backward(model, lambda: model(inputs))
    assert model.keep == ("depth",)


def test_strip_without_sharing_drops_the_whole_image_branch():
    model = build_model(config(network=small_network(sharing={"type": "NoSharing"})))
    model.strip()
    alone = build_model(config(network=small_network(sharing={"type": "NoSharing"}, tasks={"depth": {"type": "DepthTask"}})))
    assert model.state_dict().keys() == alone.state_dict().keys()


def test_strip_can_keep_the_image():
    model = build_model(config()).eval()
    inputs = {"sparse_depth": sparse_map(37, 53)}
    whole = model(inputs)
    model.strip(("image",))
    assert torch.equal(model(inputs)["image"], whole["image"])
    check_backward(model, lambda: model(inputs))


def test_strip_names_a_task_that_is_not_there():
    with pytest.raises(ConfigError, match="can't keep task 'dept'.*Did you mean 'depth'"):
        build_model(config()).strip(("dept",))


def test_predictions_have_the_frames_own_size():
    model = build_model(config()).eval()
    data = batch(frames=1)
    other = batch(37, 53, frames=1)
    data["inputs"]["sparse_depth"] += other["inputs"]["sparse_depth"]
    data["data_samples"] += other["data_samples"]
    with torch.no_grad():
        samples = model.val_step(data)
    assert [tuple(sample.pred_depth.shape) for sample in samples] == [(1, 32, 48), (1, 37, 53)]


def test_depth_starts_near_the_mean_depth():
    cfg = config(network=small_network(tasks={"depth": {"type": "DepthTask", "mean_depth_m": 22.0}}))
    depth = build_model(cfg)({"sparse_depth": sparse_map(64, 96)})["depth"]
    assert abs(depth.mean() - 22) < 1
    assert depth.std() < 2


def test_residual_output_starts_at_the_fill():
    model = build_model(config(network=small_network(representation={"type": "FilledMask"})))
    inputs = {"sparse_depth": sparse_map(64, 96)}
    base = model.network.representation(inputs).base_depth
    assert (model(inputs)["depth"] - base).abs().mean() < 1


def test_eval_clamps_and_training_does_not():
    cfg = config(network=small_network(tasks={"depth": {"type": "DepthTask", "range_m": (14.99, 15.01)}}))
    model = build_model(cfg)
    inputs = {"sparse_depth": sparse_map(32, 48)}
    assert model.train()(inputs)["depth"].std() > 0.01
    assert model.eval()(inputs)["depth"].min() >= 14.99


class MinimumNorm(Weighting):
    """The two-task minimum-norm point: weights from the Gramian alone."""

    def forward(self, losses, gramian):
        (a, b), (c, d) = gramian()
        first = ((d - b) / (a - b - c + d)).clamp(0, 1).float()
        weights = dict(zip(losses, (first, 1 - first), strict=True))
        return sum(weights[task] * loss for task, loss in losses.items()), weights


def test_a_weighting_can_read_gradients():
    """A gradient-based rule gets the Gramian of the tasks' gradients at the encoder's features, and only if it asks."""
    WEIGHTING.register_module(module=MinimumNorm, force=True)
    try:
        model = build_model(config(weighting={"type": "MinimumNorm"}))
    finally:
        WEIGHTING.module_dict.pop("MinimumNorm")
    total, logged = model.parse_losses(losses_of(model, batch()))
    assert torch.isclose(logged["depth/weight"] + logged["image/weight"], torch.tensor(1.0))
    total.backward()
    copy.deepcopy(model)  # nothing of the step's graph stays behind


def test_gramian_by_hand():
    z = torch.tensor([1.0, 2.0], requires_grad=True)
    losses = {"depth": (z * torch.tensor([3.0, 0.0])).sum(), "image": (z * torch.tensor([1.0, -2.0])).sum()}
    assert gramian(losses, (z,)).tolist() == [[9.0, 3.0], [3.0, 5.0]]


def test_fields_say_what_to_load():
    model = build_model(config())
    assert [field.name for field in model.input_fields] == ["sparse_depth"]
    assert model.target_fields == (DEPTH, GRAY_IMAGE)
    model.strip()
    assert model.target_fields == (DEPTH,)


def test_deepcopy_and_state_dict():
    model = build_model(config()).eval()
    inputs = {"sparse_depth": sparse_map(32, 48)}
    other = build_model(config()).eval()
    other.load_state_dict(model.state_dict(), strict=True)
    assert torch.equal(model(inputs)["depth"], other(inputs)["depth"])
    assert torch.equal(model(inputs)["depth"], copy.deepcopy(model)(inputs)["depth"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"widht": 3}, r"model \(MultiTaskModel\): unexpected key 'widht'. Did you mean 'width'"),
        ({"network": small_network(sharing={"type": "SumSharin"})},
         r"model.network.sharing.type='SumSharin' is not a known sharing. Did you mean 'SumSharing'"),
        ({"network": small_network(encoder={"type": "MultiKernelEncoder", "kernel": 3})},
         r"model.network.encoder \(MultiKernelEncoder\): unexpected key 'kernel'. Did you mean 'kernels'.*Accepts: \(kernels="),
        ({"network": small_network(tasks={"depth": {"type": "DepthTask", "losses": {"l2": {"type": "L22"}}}})},
         r"model.network.tasks.depth.losses.l2.type='L22' is not a known loss"),
        ({"network": small_network(tasks={"dept": {"type": "DepthTask"}})}, "predicts 'depth' and must have that name"),
        ({"network": small_network(tasks={"depth": None})}, "no task"),
        ({"network": small_network(encoder={"type": "MultiKernelEncoder", "width": 3})}, "'width' is given by the surrounding"),
        ({"network": small_network(encoder={"type": "MultiKernelEncoder", "kernels": (3, 4)})}, "encoder.*kernels must be odd"),
        ({"network": small_network(encoder="MultiKernelEncoder")}, "model.network.encoder must be a dict with a 'type'"),
        ({"weighting": {"type": "FixedWeighting", "weights": {"depth": 1}}}, "no entry for task 'image'"),
        ({"network": small_network(trunk={"type": "TransposedConvTrunk", "strides": (4, 2), "multiples": (4, 2)})},
         "model.network.trunk.*must go down from the encoder's 16"),
    ],
)  # fmt: skip
def test_each_misspelt_word_is_named(change, message):
    with pytest.raises(ConfigError, match=message):
        build_model(config(**change))


def test_predictions_and_targets_of_a_padded_batch_fit_each_other():
    """Frames of two sizes in one batch: the metric compares maps of the frame's own size."""
    model = build_model(config()).eval()
    data, other = batch(frames=1), batch(37, 53, frames=1)
    target = data["data_samples"][0].gt_depth.clone()
    data["inputs"]["sparse_depth"] += other["inputs"]["sparse_depth"]
    data["data_samples"] += other["data_samples"]
    with torch.no_grad():
        small, large = model.val_step(data)
    assert torch.equal(small.gt_depth, target)
    assert small.pred_depth.shape == small.gt_depth.shape
    assert large.pred_depth.shape == large.gt_depth.shape


@pytest.mark.parametrize("channels_last", [False, True])
def test_bf16_and_memory_layout_change_rounding_and_nothing_else(channels_last):
    plain = build_model(config()).eval()
    quick = build_model(config(precision="bfloat16", channels_last=channels_last)).eval()
    quick.load_state_dict(plain.state_dict(), strict=True)
    inputs = {"sparse_depth": sparse_map(64, 96)}
    a, b = plain(inputs)["depth"], quick(inputs)["depth"]
    assert b.dtype == torch.float32
    assert not torch.equal(a, b)
    assert (a - b).abs().max() < 0.5
    quick.train()
    total, logged = quick.parse_losses(losses_of(quick, batch()))
    total.backward()
    assert logged["depth/l2"].dtype == torch.float32
    assert all(torch.isfinite(p.grad).all() for p in quick.parameters())
    if channels_last:
        weight = quick.network.encoder.branches["kernel3"][1][0].weight
        assert weight.is_contiguous(memory_format=torch.channels_last)


def test_channels_last_alone_is_the_same_to_rounding():
    plain, other = build_model(config()).eval(), build_model(config(channels_last=True)).eval()
    other.load_state_dict(plain.state_dict(), strict=True)
    inputs = {"sparse_depth": sparse_map(37, 53)}
    torch.testing.assert_close(plain(inputs)["depth"], other(inputs)["depth"], atol=1e-4, rtol=1e-5)
