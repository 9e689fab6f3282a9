"""Losses of depth against their numpy float64 forms, torch's own where it has one, and numbers by hand."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as functional
from support import numpy64

from mtdc.errors import ConfigError
from mtdc.registry import LOSSES, build


def make(name, **cfg):
    return build(LOSSES, {"type": name, **cfg}, "loss")


def maps(height=13, width=17, batch=3, dtype=torch.float32, seed=5):
    """Depths of 1 to 80 metres; a third is known, and all but none in the last frame."""
    generator = torch.Generator().manual_seed(seed)
    pred, target = (1 + 79 * torch.rand(batch, 1, height, width, generator=generator, dtype=torch.float64) for _ in range(2))
    valid = torch.rand(batch, 1, height, width, generator=generator) < 0.35
    valid[-1, :, 2:] = False
    return pred.to(dtype), target.to(dtype), valid


def row(*values, dtype=torch.float64):
    return torch.tensor(values, dtype=dtype).reshape(1, 1, 1, -1)


def known(count):
    return torch.ones(1, 1, 1, count, dtype=torch.bool)


def huber(e, beta):
    return np.where(abs(e) < beta, e**2 / (2 * beta), abs(e) - beta / 2).mean()


def berhu(e, share):
    c = share * abs(e).max()
    return np.where(abs(e) <= c, abs(e), (e**2 + c**2) / (2 * c)).mean()


@pytest.mark.parametrize(
    ("name", "cfg", "form"),
    [
        ("L1", {}, lambda p, t: abs(p - t).mean()),
        ("L2", {}, lambda p, t: ((p - t) ** 2).mean()),
        ("SmoothL1", {}, lambda p, t: huber(p - t, 1.0)),
        ("SmoothL1", {"beta": 7.5}, lambda p, t: huber(p - t, 7.5)),
        ("BerHu", {}, lambda p, t: berhu(p - t, 0.2)),
        ("BerHu", {"share": 0.6}, lambda p, t: berhu(p - t, 0.6)),
        ("InverseL1", {}, lambda p, t: abs(1000 / p - 1000 / t).mean()),
        ("InverseL2", {}, lambda p, t: ((1000 / p - 1000 / t) ** 2).mean()),
        ("LogL1", {}, lambda p, t: abs(np.log(p) - np.log(t)).mean()),
    ],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_equals_its_numpy_form(name, cfg, form, dtype):
    pred, target, valid = maps(dtype=dtype)
    known_pred, known_target = numpy64(pred)[valid.numpy()], numpy64(target)[valid.numpy()]
    value = make(name, **cfg)(pred, target, valid)
    assert value.dtype == dtype
    np.testing.assert_allclose(value.item(), form(known_pred, known_target), rtol=1e-6 if dtype == torch.float32 else 1e-12)


@pytest.mark.parametrize("beta", [0.5, 3.0])
def test_smooth_l1_equals_torch_on_known_pixels(beta):
    pred, target, valid = maps()
    expected = functional.huber_loss(pred[valid].double(), target[valid].double(), delta=beta) / beta
    np.testing.assert_allclose(make("SmoothL1", beta=beta)(pred, target, valid).item(), expected.item(), rtol=1e-6)


def test_berhu_by_hand():
    """Errors 1, -2, 10: c = 2, so 1, 2 and (100 + 4) / 4 = 26."""
    value = make("BerHu")(row(1.0, -2.0, 10.0, 99.0), row(0.0, 0.0, 0.0, 0.0), known(4).index_fill(3, torch.tensor(3), False))
    assert value.item() == pytest.approx(29 / 3)


def test_silog_forgives_a_frames_scale_and_not_a_pixels():
    """d = ln 2 everywhere costs (1 - focus) ln^2 2; d = +-ln 2 costs ln^2 2, whatever the focus."""
    target = row(3.0, 5.0)
    for focus in (0.0, 0.5, 0.85, 1.0):
        loss = make("SILog", focus=focus, scale=1.0, root=False)
        assert loss(2 * target, target, known(2)).item() == pytest.approx((1 - focus) * math.log(2) ** 2, abs=1e-15)
        opposite = loss(target * row(2.0, 0.5), target, known(2)).item()
        assert opposite == pytest.approx(math.log(2) ** 2)


@pytest.mark.parametrize("root", [True, False])
@pytest.mark.parametrize("focus", [0.0, 0.5, 0.85])
def test_silog_equals_its_numpy_form(root, focus):
    """Each frame's own mean of d; frames weigh by their known pixels."""
    pred, target, valid = maps()
    total = count = 0
    for p, t, v in zip(numpy64(pred), numpy64(target), valid.numpy(), strict=True):
        d = np.log(p[v]) - np.log(t[v])
        total, count = total + len(d) * ((d**2).mean() - focus * d.mean() ** 2), count + len(d)
    expected = 10 * (math.sqrt(total / count) if root else total / count)
    value = make("SILog", focus=focus, root=root)(pred, target, valid)
    np.testing.assert_allclose(value.item(), expected, rtol=1e-6)


def differences(values, mask, axis):
    """Absolute differences of neighbours along an axis where both are known, as one list."""
    first, second = [np.take(values, range(i, values.shape[axis] - 1 + i), axis) for i in (0, 1)]
    a, b = [np.take(mask, range(i, mask.shape[axis] - 1 + i), axis) for i in (0, 1)]
    return abs(second - first)[np.broadcast_to(a & b, first.shape)]


def mean(values):
    return values.mean() if values.size else 0.0


@pytest.mark.parametrize("domain", ["linear", "log", "inverse"])
@pytest.mark.parametrize("scales", [1, 4, 6])
def test_gradient_matching_equals_its_numpy_form(domain, scales):
    function = {"linear": lambda x: x, "log": np.log, "inverse": lambda x: 1000 / x}[domain]
    pred, target, valid = maps(21, 30)
    error, mask = function(numpy64(pred)) - function(numpy64(target)), valid.numpy()
    expected = 0
    for step in (2**k for k in range(scales)):
        for axis in (2, 3):
            expected += mean(differences(error[..., ::step, ::step], mask[..., ::step, ::step], axis))
    value = make("GradientMatching", scales=scales, domain=domain)(pred, target, valid)
    np.testing.assert_allclose(value.item(), expected, rtol=1e-6)


def test_gradient_matching_by_hand():
    """Errors 0 2 | 1 unknown: one pair across of 2, one down of 1; an offset changes nothing."""
    error = torch.tensor([[0.0, 2.0], [1.0, 50.0]]).reshape(1, 1, 2, 2)
    valid = torch.tensor([[1, 1], [1, 0]]).bool().reshape(1, 1, 2, 2)
    for offset in (0.0, 7.0):
        assert make("GradientMatching")(error + offset, torch.zeros_like(error), valid).item() == 3.0


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("sharpness", [0.0, 1.0, 10.0])
def test_edge_aware_smoothness_equals_its_numpy_form(channels, sharpness):
    depth, _, _ = maps(14, 19)
    image = torch.rand(3, channels, 14, 19, generator=torch.Generator().manual_seed(1)) * 255
    image[0, :, :, 12:] = -1  # padding
    image[2] = -1  # a frame without a photo
    seen = numpy64(image).max(axis=1, keepdims=True) >= 0
    inverse = 1 / numpy64(depth)
    disparity = np.stack([d / d[s].mean() if s.any() else d for d, s in zip(inverse, seen, strict=True)])
    expected = 0
    for axis in (2, 3):
        change = abs(np.diff(disparity, axis=axis))
        contrast = abs(np.diff(numpy64(image) / 255, axis=axis)).mean(axis=1, keepdims=True)
        both = np.minimum(*(np.take(seen, range(i, seen.shape[axis] - 1 + i), axis) for i in (0, 1)))
        expected += (change * np.exp(-sharpness * contrast))[both].mean()
    nothing = torch.zeros_like(depth)
    value = make("EdgeAwareSmoothness", sharpness=sharpness)(depth, nothing, nothing.bool(), image)
    np.testing.assert_allclose(value.item(), expected, rtol=1e-6)


def test_edge_aware_smoothness_by_hand():
    """Inverse depths 1 and 3 over their mean: a step of 1, damped by e^-1 where the photo goes from black to white."""
    depth, image = row(1.0, 1 / 3), row(0.0, 255.0)
    loss = make("EdgeAwareSmoothness", floor_m=0.1)
    assert loss(depth, depth, known(2), image).item() == pytest.approx(math.exp(-1))
    assert loss(depth, depth, known(2), torch.full_like(image, 9)).item() == pytest.approx(1)
    assert loss(7 * depth, depth, known(2), image).item() == pytest.approx(math.exp(-1)), "scale costs nothing"


def test_without_photos_smoothness_is_zero_with_a_graph():
    depth = row(1.0, 2.0, -3.0).requires_grad_()
    value = make("EdgeAwareSmoothness")(depth, depth, known(3), row(-1.0, -1.0, -1.0))
    assert value == 0
    value.backward()
    assert (depth.grad == 0).all()


@pytest.mark.parametrize("inner", ["L1", "L2"])
@pytest.mark.parametrize(("scales", "decay"), [(1, 1.0), (3, 0.5), (6, 2.0)])
def test_multi_scale_equals_its_numpy_form(inner, scales, decay):
    pred, target, valid = maps(13, 18)
    p, t, v = numpy64(pred)[:, 0], numpy64(target)[:, 0], valid.numpy()[:, 0]
    levels = []
    for size in (2**k for k in range(scales)):
        errors = []
        for frame in range(len(p)):
            for y in range(0, 13, size):
                for x in range(0, 18, size):
                    block = (frame, slice(y, y + size), slice(x, x + size))
                    if v[block].any():
                        errors.append(p[block][v[block]].mean() - t[block][v[block]].mean())
        errors = np.array(errors)
        levels.append(abs(errors).mean() if inner == "L1" else (errors**2).mean())
    weights = decay ** np.arange(scales)
    loss = make("MultiScale", loss={"type": inner, "weight": 3.0}, scales=scales, decay=decay)
    np.testing.assert_allclose(loss(pred, target, valid).item(), 3 * np.average(levels, weights=weights), rtol=1e-6)


def test_a_schedule_inside_multi_scale_counts():
    loss = make("MultiScale", loss={"type": "L1", "schedule": {"start": 1.0, "end": 0.0}})
    pred, target, valid = maps()
    whole = loss(pred, target, valid)
    for module in loss.modules():
        module.set_progress(0.75)
    torch.testing.assert_close(loss(pred, target, valid), whole / 4)


@pytest.mark.parametrize("inner", ["L1", "L2"])
def test_each_frame_weighs_the_same_however_much_of_it_is_known(inner):
    """By hand: errors of 1 m on 6 pixels, of 4 m on one, and a frame without truth. The first is no six times the second."""
    pred = torch.tensor([11.0, 14.0, 90.0]).reshape(3, 1, 1, 1).expand(3, 1, 2, 3)
    valid = torch.zeros(3, 1, 2, 3, dtype=torch.bool)
    valid[0], valid[1, 0, 0, 2] = True, True
    loss = make("PerFrame", loss={"type": inner, "weight": 3.0, "schedule": {"start": 1.0, "end": 0.0}})
    expected = 3 * ((1 + 4) / 2 if inner == "L1" else (1 + 16) / 2)
    assert loss(pred, torch.full_like(pred, 10.0), valid).item() == pytest.approx(expected)
    for module in loss.modules():
        module.set_progress(0.75)
    assert loss(pred, torch.full_like(pred, 10.0), valid).item() == pytest.approx(expected / 4)


def test_per_frame_hands_on_further_maps_and_refuses_a_loss_without_target():
    pred, target, valid = maps()
    spread = 1 + target / 80
    loss = make("PerFrame", loss={"type": "LaplaceNLL"})
    each = [make("LaplaceNLL")(*(value[n : n + 1] for value in (pred, target, valid, spread))) for n in range(len(pred))]
    torch.testing.assert_close(loss(pred, target, valid, spread), torch.stack(each).mean())
    with pytest.raises(ConfigError, match="EdgeAwareSmoothness reads no target"):
        make("PerFrame", loss={"type": "EdgeAwareSmoothness"})


@pytest.mark.parametrize("deviation", [0.3, 2.0])
def test_likelihoods_equal_torchs_distributions(deviation):
    pred, target, valid = maps()
    spread = deviation * (0.5 + maps(seed=9)[0] / 80)
    p, t, s = (value[valid].double() for value in (pred, target, spread))
    laplace = -torch.distributions.Laplace(p, s / math.sqrt(2)).log_prob(t).mean()
    gauss = -torch.distributions.Normal(p, s).log_prob(t).mean() - math.log(2 * math.pi) / 2
    np.testing.assert_allclose(make("LaplaceNLL")(pred, target, valid, spread).item(), laplace.item(), rtol=1e-6)
    np.testing.assert_allclose(make("GaussianNLL")(pred, target, valid, spread).item(), gauss.item(), rtol=1e-6)
    torch_gauss = functional.gaussian_nll_loss(p, t, s**2)
    np.testing.assert_allclose(make("GaussianNLL")(pred, target, valid, spread).item(), torch_gauss.item(), rtol=1e-6)


@pytest.mark.parametrize("name", ["LaplaceNLL", "GaussianNLL"])
def test_the_likeliest_deviation_is_that_of_the_errors(name):
    """An error of 3 m: Laplace's best b is 3, a deviation of 3 sqrt 2; Gauss's best deviation is 3."""
    deviation = torch.linspace(0.5, 8.0, 751, dtype=torch.float64)
    values = torch.stack([make(name)(row(13.0), row(10.0), known(1), row(s)) for s in deviation.tolist()])
    best = 3 * math.sqrt(2) if name == "LaplaceNLL" else 3
    assert deviation[values.argmin()].item() == pytest.approx(best, abs=0.006)


SMOOTH = {
    "L2": {}, "InverseL2": {"floor_m": 5.0}, "SILog": {}, "SmoothL1": {"beta": 5.0}, "GaussianNLL": {}, "LaplaceNLL": {},
    "EdgeAwareSmoothness": {}, "GradientMatching": {"domain": "log"}, "LogL1": {}, "MultiScale": {"loss": {"type": "L2"}},
    "PerFrame": {"loss": {"type": "L2"}},
}  # fmt: skip


@pytest.mark.parametrize("name", SMOOTH)
def test_gradients_are_those_of_the_value(name):
    """Also of a negative depth, where the tangent continues logarithm and inverse."""
    loss = make(name, **SMOOTH[name])
    pred, target, valid = maps(5, 6, dtype=torch.float64)
    pred[0, 0, :2] = torch.tensor([-7.0, -0.3, 0.1, 0.4, 0.45, -2.0])
    further = {"gt_image": 10 * pred, "depth_confidence": 1 + target / 80}
    inputs = [further[key].clone().requires_grad_(key == "depth_confidence") for key in loss.reads]
    assert torch.autograd.gradcheck(
        lambda p, *m: loss(p, target, valid, *m), (pred.requires_grad_(), *inputs), atol=1e-3, rtol=1e-4
    )


@pytest.mark.parametrize("name", ["L1", "L2", "SmoothL1", "BerHu", "InverseL1", "InverseL2", "LogL1", "SILog", "MultiScale"])
@pytest.mark.parametrize("depth", [-1000.0, -0.5, 0.0, 0.2])
def test_a_depth_that_is_too_small_is_drawn_up(name, depth):
    """Below zero too, where the inverse has the wrong sign and the logarithm none."""
    pred = torch.full((1, 1, 2, 2), depth).requires_grad_()
    cfg = {"loss": {"type": "InverseL1"}} if name == "MultiScale" else {}
    value = make(name, **cfg)(pred, torch.full((1, 1, 2, 2), 20.0), torch.ones(1, 1, 2, 2, dtype=torch.bool))
    value.backward()
    assert (pred.grad < 0).all()


def test_frames_of_real_truth(shared):
    """A real frame with a prediction 10 % too deep: relative errors are known without a loss."""
    from mtdc.data.io import read_depth_png

    file = min((shared / "data" / "kitti").rglob("groundtruth/image_02/*.png"))
    target = torch.from_numpy(read_depth_png(file))[None, None]
    valid = target > 0
    assert 0 < valid.float().mean() < 1
    assert make("LogL1")(1.1 * target, target, valid).item() == pytest.approx(math.log(1.1), rel=1e-5)
    assert make("SILog", focus=1.0)(1.1 * target, target, valid).item() == pytest.approx(0, abs=1e-4)
    inverse = (1000 / target[valid].double()).mean().item()
    assert make("InverseL1")(1.1 * target, target, valid).item() == pytest.approx(inverse * (1 - 1 / 1.1), rel=1e-5)
