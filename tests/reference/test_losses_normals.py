"""Losses of normals and labels: angles by construction, scipy's softmax, torch's own."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as functional
from scipy.spatial.transform import Rotation
from scipy.special import log_softmax
from support import numpy64

from mtdc import ConfigError
from mtdc.registry import LOSSES, TASKS, build


def make(name, **cfg):
    return build(LOSSES, {"type": name, **cfg}, "loss")


def vectors(angles, dtype=torch.float64):
    """A target, and the same turned by the angles (degrees) around an axis at right angles to it."""
    generator = np.random.default_rng(2)
    target = generator.normal(size=(len(angles), 3))
    target /= np.linalg.norm(target, axis=1, keepdims=True)
    axis = np.cross(target, generator.normal(size=3))
    axis /= np.linalg.norm(axis, axis=1, keepdims=True)
    pred = Rotation.from_rotvec(axis * np.radians(angles)[:, None]).apply(target)
    return [torch.from_numpy(v.T.reshape(1, 3, 1, -1)).to(dtype) for v in (pred, target)]


ANGLES = (0.01, 5.0, 45.0, 90.0, 135.0, 179.9)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_angles_by_construction(dtype):
    pred, target = vectors(ANGLES, dtype)
    valid = torch.ones(1, 1, 1, len(ANGLES), dtype=torch.bool)
    assert make("Angular")(pred, target, valid).item() == pytest.approx(np.radians(ANGLES).mean(), rel=1e-6)
    assert make("Cosine")(pred, target, valid).item() == pytest.approx((1 - np.cos(np.radians(ANGLES))).mean(), rel=1e-6)


def test_a_small_angle_keeps_its_digits():
    """Where arccos of a float32 would say 0 or 0.02 degrees."""
    pred, target = vectors((0.01,), torch.float32)
    value = make("Angular")(pred, target, torch.ones(1, 1, 1, 1, dtype=torch.bool))
    assert math.degrees(value.item()) == pytest.approx(0.01, rel=1e-3)


def test_length_does_not_matter_to_the_angle():
    pred, target = vectors(ANGLES)
    valid = torch.ones(1, 1, 1, len(ANGLES), dtype=torch.bool)
    torch.testing.assert_close(make("Angular")(7 * pred, target, valid), make("Angular")(pred, target, valid))


@pytest.mark.parametrize("name", ["Angular", "Cosine"])
@pytest.mark.parametrize("sign", [1, -1])
def test_agreeing_and_opposite_normals_have_a_finite_gradient(name, sign):
    target = torch.tensor([0.0, 0.6, -0.8]).reshape(1, 3, 1, 1)
    pred = (sign * target).requires_grad_()
    value = make(name)(pred, target, torch.ones(1, 1, 1, 1, dtype=torch.bool))
    value.backward()
    expected = {("Angular", 1): 0, ("Angular", -1): math.pi, ("Cosine", 1): 0, ("Cosine", -1): 2}
    assert value.item() == pytest.approx(expected[name, sign], abs=1e-6)
    assert torch.isfinite(pred.grad).all()


@pytest.mark.parametrize("name", ["Angular", "Cosine"])
def test_unknown_normals_are_left_out(name):
    """They are zero vectors, which have no angle."""
    pred, target = vectors(ANGLES)
    valid = torch.tensor([True, True, False, True, False, True]).reshape(1, 1, 1, 6)
    pred[..., 4] = 0
    pred.requires_grad_()
    value = make(name)(pred, target.where(valid, 0), valid)
    value.backward()
    angles = np.radians([a for a, v in zip(ANGLES, valid.flatten().tolist(), strict=True) if v])
    assert value.item() == pytest.approx(angles.mean() if name == "Angular" else (1 - np.cos(angles)).mean())
    assert torch.isfinite(pred.grad).all()
    assert (pred.grad[..., [2, 4]] == 0).all()


@pytest.mark.parametrize("name", ["Angular", "Cosine"])
def test_gradients_are_those_of_the_value(name):
    pred, target = vectors(ANGLES[1:-1])
    valid = torch.ones(1, 1, 1, 4, dtype=torch.bool)
    assert torch.autograd.gradcheck(lambda p: make(name)(p, target, valid), pred.requires_grad_())


def scores(classes=5, height=7, width=9, dtype=torch.float32):
    generator = torch.Generator().manual_seed(4)
    values = 4 * torch.randn(2, classes, height, width, generator=generator, dtype=torch.float64)
    labels = torch.randint(0, classes, (2, height, width), generator=generator)
    labels[:, :2] = 255
    return values.to(dtype), labels, labels != 255


@pytest.mark.parametrize("weights", [None, (1.0, 0.0, 2.5, 0.3, 1.0)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_cross_entropy_equals_scipy_and_torch(weights, dtype):
    """The unknown label is 255, which is no class: it is left out, and weights are normalised by the known pixels' own."""
    logits, labels, valid = scores(dtype=dtype)
    loss = make("CrossEntropy", class_weights=weights)(logits, labels, valid)
    each = log_softmax(numpy64(logits), axis=1)
    known = labels[valid].numpy()
    frame, y, x = np.nonzero(valid.numpy())
    factors = np.ones(len(known)) if weights is None else np.array(weights)[known]
    np.testing.assert_allclose(loss.item(), -np.average(each[frame, known, y, x], weights=factors), rtol=1e-6)
    tensor = None if weights is None else torch.tensor(weights, dtype=torch.float64)
    torchs = functional.cross_entropy(logits.double(), labels, tensor, ignore_index=255)
    np.testing.assert_allclose(loss.item(), torchs.item(), rtol=1e-6)


def test_cross_entropy_by_hand():
    """Scores ln 3 and 0: the classes are three to one, ln 4/3 and ln 4."""
    logits = torch.tensor([math.log(3), 0.0]).reshape(1, 2, 1, 1).expand(1, 2, 1, 2)
    labels = torch.tensor([0, 1]).reshape(1, 1, 2)
    valid = torch.ones_like(labels, dtype=torch.bool)
    assert make("CrossEntropy")(logits, labels, valid).item() == pytest.approx((math.log(4 / 3) + math.log(4)) / 2)
    weighted = make("CrossEntropy", class_weights=(3.0, 1.0))(logits, labels, valid)
    assert weighted.item() == pytest.approx((3 * math.log(4 / 3) + math.log(4)) / 4)


@pytest.mark.parametrize("weights", [None, (1.0, 0.0, 2.5, 0.3, 1.0)])
def test_cross_entropy_of_every_second_row_and_column(weights):
    """Equal to scipy's of those pixels, and no other pixel gets a gradient."""
    logits, labels, valid = scores()
    logits.requires_grad_()
    loss = make("CrossEntropy", class_weights=weights, every=2)(logits, labels, valid)
    loss.backward()
    terms = []
    for frame, row, column in np.ndindex(labels.shape):
        label = int(labels[frame, row, column])
        if row % 2 == 0 and column % 2 == 0 and label != 255:
            surprise = -log_softmax(numpy64(logits.detach()[frame, :, row, column]))[label]
            terms.append((surprise, 1.0 if weights is None else weights[label]))
    expected = sum(surprise * factor for surprise, factor in terms) / sum(factor for _, factor in terms)
    np.testing.assert_allclose(loss.item(), expected, rtol=1e-6)
    assert (logits.grad[:, :, 1::2] == 0).all()
    assert (logits.grad[:, :, :, 1::2] == 0).all()
    with pytest.raises(ConfigError, match="every must be 1 or more, not 0"):
        make("CrossEntropy", every=0)


@pytest.mark.parametrize("weights", [None, (0.0, 1.0)])
def test_only_unknown_labels_or_weightless_ones_cost_nothing(weights):
    logits = torch.randn(1, 2, 2, 2, requires_grad=True)
    labels = torch.full((1, 2, 2), 255 if weights is None else 0)
    value = make("CrossEntropy", class_weights=weights)(logits, labels, labels != 255)
    value.backward()
    assert value == 0
    assert (logits.grad == 0).all()


@pytest.mark.parametrize("count", [3, 5])
def test_class_weights_are_as_many_as_classes(count):
    losses = {"ce": {"type": "CrossEntropy", "class_weights": [1.0] * count}}
    with pytest.raises(ConfigError, match=f"losses.ce.class_weights has {count} entries, and there are 4 classes"):
        build(TASKS, {"type": "SemanticsTask", "classes": 4, "losses": losses}, "task", in_channels=2, stride=1, width=1)
