"""Depth as metres, inverse depth or its logarithm, and the deviation that is predicted of it."""

import math

import pytest
import torch
from support import small_network, sparse_map

from mtdc import ConfigError, DepthSample
from mtdc.model import build_model
from mtdc.registry import TASKS, build

DOMAINS = ("metric", "inverse", "log")


def make(**cfg):
    return build(TASKS, {"type": "DepthTask", **cfg}, "task", in_channels=3, stride=2, width=1)


def row(*values):
    return torch.tensor(values).reshape(1, 1, 1, -1)


def test_log_output_by_hand():
    """depth = 15 e^raw without a fill; 10 tanh(raw/10) bounds what is far out."""
    depth = make(output="log").decode(row(0.0, 0.01, -0.01, 2.0), None)["depth"]
    far = 15 * math.exp(10 * math.tanh(0.2))
    torch.testing.assert_close(depth, row(15.0, 15 * math.exp(0.01), 15 * math.exp(-0.01), far), rtol=1e-6, atol=0)


def test_log_output_is_a_factor_on_the_fill():
    depth = make(output="log").decode(row(0.0, 0.01, 0.0), row(4.0, 40.0, 0.0))["depth"]
    torch.testing.assert_close(depth, row(4.0, 40 * math.exp(0.01), 15.0), rtol=1e-6, atol=0)


def test_inverse_output_by_hand():
    """15/depth = softplus(z + raw), where softplus(z) = 15/base: linear for near depth, an exponential for far."""
    task = make(output="inverse")
    depth = task.decode(row(0.0, 1.0, -1.0), None)["depth"]
    offset = math.log(math.e - 1)
    expected = [15 / math.log1p(math.exp(offset + raw)) for raw in (0.0, 1.0, -1.0)]
    torch.testing.assert_close(depth, row(*expected), rtol=1e-6, atol=0)
    near = task.decode(row(0.0, 2.0), row(0.5, 0.5))["depth"]
    torch.testing.assert_close(15 / near, row(30.0, 32.0), rtol=1e-6, atol=0)


@pytest.mark.parametrize("output", DOMAINS)
def test_a_residual_of_zero_is_the_fill(output):
    base = row(0.3, 1.0, 4.0, 15.0, 80.0, 500.0, 3000.0)
    depth = make(output=output).decode(torch.zeros_like(base), base)["depth"]
    torch.testing.assert_close(depth, base, rtol=1e-4, atol=0)


@pytest.mark.parametrize("output", ["inverse", "log"])
def test_a_frame_without_points_starts_at_the_mean_depth(output):
    """Its fill is 0 everywhere, from where no factor leads away."""
    depth = make(output=output, mean_depth_m=9.0).decode(row(0.0, 0.5), row(0.0, 0.0))["depth"]
    assert depth[..., 0].item() == pytest.approx(9.0)
    assert depth[..., 1].item() != pytest.approx(9.0)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("uncertainty", [None, "laplace", "gaussian"])
@pytest.mark.parametrize("output", ["inverse", "log"])
def test_positive_and_finite_whatever_the_head_says(output, uncertainty, training):
    task = make(output=output, uncertainty=uncertainty, range_m=None).train(training)
    raw = row(-1e30, -1e4, -50.0, 0.0, 50.0, 1e4, 1e30).repeat(1, 1 if uncertainty is None else 2, 1, 1).requires_grad_()
    for base in (None, row(0.0, 1e-3, 1.0, 20.0, 90.0, 1e4, 1e5)):
        fields = task.decode(raw, base)
        for value in fields.values():
            assert torch.isfinite(value).all()
            assert (value > 0).all()
        (gradient,) = torch.autograd.grad(sum(value.sum() for value in fields.values()), raw)
        assert torch.isfinite(gradient).all()


@pytest.mark.parametrize("output", DOMAINS)
def test_range_holds_at_test_time_alone(output):
    raw = row(-30.0, 0.0, 30.0)
    task = make(output=output, range_m=(2.0, 80.0))
    assert not ((task.decode(raw, None)["depth"] >= 2) & (task.decode(raw, None)["depth"] <= 80)).all()
    depth = task.eval().decode(raw, None)["depth"]
    assert sorted(depth.flatten().tolist()) == pytest.approx([2.0, 15.0, 80.0])


@pytest.mark.parametrize(("law", "factor"), [("laplace", math.sqrt(2)), ("gaussian", 1.0)])
@pytest.mark.parametrize(("output", "scales"), [("metric", (15.0, 15.0)), ("log", (15.0, 15 * math.exp(0.02)))])
def test_deviation_by_hand(output, scales, law, factor):
    """Of the mean depth where the output is metres, of the depth where it is a ratio; in metres both."""
    raw = torch.cat([row(0.0, 0.02), row(0.0, -0.03)], dim=1)
    deviation = make(output=output, uncertainty=law).decode(raw, None)["depth_confidence"]
    expected = row(factor * scales[0], factor * scales[1] * math.exp(-0.03))
    torch.testing.assert_close(deviation, expected, rtol=1e-5, atol=0)


def test_an_error_of_known_spread_is_learnt():
    """Targets around 15 m with an error of 0.5 m on the left and 4 m on the right: the deviation says so."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(1, 1, 40, 40, generator=generator) * torch.cat([row(*[0.5] * 20), row(*[4.0] * 20)], dim=3)
    batch = {"gt_depth": 15 + noise}
    task = make(uncertainty="gaussian", losses={"nll": {"type": "GaussianNLL"}})
    raw = torch.zeros(1, 2, 1, 2, requires_grad=True)  # one depth and one deviation for each side
    optimiser = torch.optim.Adam([raw], lr=0.05)
    for _ in range(250):
        wide = raw.repeat_interleave(20, dim=3).expand(1, 2, 40, 40)
        (loss,) = task.loss(wide, task.decode(wide, None), batch).values()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    left, right = task.decode(raw, None)["depth_confidence"].flatten().tolist()
    expected = [math.sqrt(side.square().mean().item()) for side in noise.split(20, dim=3)]
    assert [left, right] == pytest.approx(expected, rel=0.03)


@pytest.mark.parametrize("law", ["laplace", "gaussian"])
@pytest.mark.parametrize("output", DOMAINS)
def test_unknown_truth_gives_zero_and_a_finite_gradient(output, law):
    losses = {name: {"type": name} for name in ("LaplaceNLL", "GaussianNLL", "SILog", "LogL1", "InverseL2", "BerHu")}
    task = make(output=output, uncertainty=law, losses=losses)
    raw = (30 * torch.randn(2, 2, 8, 9)).requires_grad_()
    terms = task.loss(raw, task.decode(raw, None), {"gt_depth": torch.zeros(2, 1, 8, 9)})
    assert [term.item() for term in terms.values()] == [0] * 6
    sum(terms.values()).backward()
    assert torch.isfinite(raw.grad).all()


def network(**depth):
    tasks = {"depth": {"type": "DepthTask", "losses": {"l2": {"type": "L2"}}, **depth}, "image": {"type": "ImageTask"}}
    weighting = {"type": "FixedWeighting", "weights": {"depth": 1.0, "image": 1.0}}
    return {"type": "MultiTaskModel", "width": 2, "network": small_network(tasks=tasks), "weighting": weighting}


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("output", DOMAINS)
def test_deviation_reaches_the_samples_and_survives_strip(output, precision):
    """Odd sizes, padded inside; the deviation has the frame's own size, in float32."""
    torch.manual_seed(0)
    model = build_model({**network(output=output, uncertainty="laplace"), "precision": precision}).eval()
    data = {"inputs": {"sparse_depth": sparse_map(37, 53)}, "data_samples": [DepthSample(), DepthSample()]}
    with torch.no_grad():
        whole = model(**data, mode="predict")
        before = [sample.pred_depth_confidence.clone() for sample in whole]
        model.strip()
        stripped = model(**data, mode="predict")
    for sample, deviation in zip(stripped, before, strict=True):
        assert deviation.shape == (1, 37, 53)
        assert deviation.dtype == torch.float32
        assert (deviation > 0).all()
        assert torch.equal(sample.pred_depth_confidence, deviation)


def test_nothing_changes_for_those_who_ask_for_nothing():
    """Names and shapes of the weights, so that older checkpoints load."""
    plain = make().state_dict()
    assert {key: value.shape for key, value in make(output="log").state_dict().items()} == {
        k: v.shape for k, v in plain.items()
    }
    assert plain["head.output.weight"].shape[0] == 1
    assert make(uncertainty="gaussian").state_dict()["head.output.weight"].shape[0] == 2


@pytest.mark.parametrize(
    ("cfg", "words"),
    [
        ({"output": "metre"}, "output='metre' is not known. Did you mean 'metric'"),
        ({"uncertainty": "laplacian"}, "Did you mean 'laplace'"),
        ({"losses": {"nll": {"type": "LaplaceNLL"}}}, "losses.nll (LaplaceNLL) reads 'depth_confidence'"),
        ({"losses": {"nll": {"type": "LaplaceNLL"}}}, "Set its uncertainty='laplace' or 'gaussian'"),
        ({"losses": {"ssim": {"type": "SSIM"}}}, "losses.ssim (SSIM) compares map, image, and 'depth' is of the kind depth"),
        ({"losses": {"m": {"type": "MultiScale", "loss": {"type": "EdgeAwareSmoothness"}}}}, "further maps"),
        ({"losses": {"m": {"type": "MultiScale", "loss": {"type": "SSIM"}}}}, "compares map, image"),
    ],
)
def test_what_a_config_gets_wrong_is_said_when_it_is_built(cfg, words):
    with pytest.raises(ConfigError) as error:
        make(**cfg)
    assert words in str(error.value)
