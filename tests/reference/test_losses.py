"""Losses against their numpy float64 forms, and against torch's own where it has one."""

import numpy as np
import pytest
import torch
import torch.nn.functional as functional
from support import numpy64

from mtdc.losses.binary_cross_entropy import binary_cross_entropy
from mtdc.losses.l1 import l1
from mtdc.losses.l2 import l2


def maps():
    generator = torch.Generator().manual_seed(5)
    pred = 80 * torch.rand(3, 1, 13, 17, generator=generator, dtype=torch.float64)
    target = 80 * torch.rand(3, 1, 13, 17, generator=generator, dtype=torch.float64)
    return pred.float(), target.float(), torch.rand(3, 1, 13, 17, generator=generator) < 0.3


@pytest.mark.parametrize(
    ("loss", "form"),
    [(l2, lambda e: (e**2).mean()), (l1, lambda e: np.abs(e).mean())],
)
def test_equals_its_numpy_form(loss, form):
    pred, target, valid = maps()
    error = (numpy64(pred) - numpy64(target))[valid.numpy()]
    np.testing.assert_allclose(loss(pred, target, valid).item(), form(error), rtol=1e-6)


def test_mean_is_over_the_pixels_of_the_batch():
    """Two frames with one and three known pixels: every pixel weighs the same, not every frame."""
    pred = torch.tensor([[2.0, 0, 0, 0], [1.0, 1.0, 1.0, 0]]).reshape(2, 1, 2, 2)
    valid = torch.tensor([[1, 0, 0, 0], [1, 1, 1, 0]]).bool().reshape(2, 1, 2, 2)
    assert l2(pred, torch.zeros_like(pred), valid).item() == (4 + 1 + 1 + 1) / 4
    assert l1(pred, torch.zeros_like(pred), valid).item() == (2 + 1 + 1 + 1) / 4


def test_binary_cross_entropy_equals_torch():
    pred, target, valid = (value if value.dtype == torch.bool else value / 80 for value in maps())
    expected = functional.binary_cross_entropy(pred[valid].double(), target[valid].double())
    np.testing.assert_allclose(binary_cross_entropy(pred, target, valid).item(), expected.item(), rtol=1e-6)


def test_binary_cross_entropy_of_a_saturated_probability_is_finite():
    pred = torch.tensor([0.0, 1.0]).reshape(1, 1, 1, 2).requires_grad_()
    value = binary_cross_entropy(pred, 1 - pred.detach(), torch.ones(1, 1, 1, 2, dtype=torch.bool))
    value.backward()
    assert torch.isfinite(value)
    assert torch.isfinite(pred.grad).all()
