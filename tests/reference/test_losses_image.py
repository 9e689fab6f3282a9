"""Structural similarity and the gradient loss of images, against scipy's filters and torchmetrics."""

import numpy as np
import pytest
import torch
from scipy.ndimage import correlate1d
from support import numpy64

from mtdc.compatibility import mend_torchvision
from mtdc.losses.ssim import ssim_map
from mtdc.registry import LOSSES, build


def make(name, **cfg):
    return build(LOSSES, {"type": name, **cfg}, "loss")


def photos(height=29, width=37, channels=1, noise=30.0):
    """A smooth picture with texture in 0..255, and the same with noise."""
    generator = torch.Generator().manual_seed(7)
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    base = 128 + 90 * torch.sin(rows / 4) * torch.cos(columns / 5)
    target = (base + 20 * torch.rand(2, channels, height, width, generator=generator)).clamp(0, 255)
    pred = (target + noise * torch.randn(target.shape, generator=generator)).clamp(0, 255)
    return pred, target, torch.ones(2, 1, height, width, dtype=torch.bool)


def numpy_ssim(x, y, window, sigma, value_range=255.0):
    """Eq. 13 of the paper for one map, with scipy's filter; windows that lie inside."""
    places = np.arange(window) - (window - 1) / 2
    weights = np.ones(window) if sigma is None else np.exp(-(places**2) / (2 * sigma**2))
    weights /= weights.sum()
    inside = slice(window // 2, -(window // 2))

    def mean(values):
        return correlate1d(correlate1d(values, weights, axis=0), weights, axis=1)[inside, inside]

    mx, my = mean(x), mean(y)
    vx, vy, cxy = mean(x * x) - mx**2, mean(y * y) - my**2, mean(x * y) - mx * my
    c1, c2 = (0.01 * value_range) ** 2, (0.03 * value_range) ** 2
    return (2 * mx * my + c1) * (2 * cxy + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2))


@pytest.mark.parametrize("noise", [0.5, 30.0])
@pytest.mark.parametrize(("window", "sigma"), [(11, 1.5), (3, None), (7, 0.8)])
def test_ssim_equals_its_numpy_form(window, sigma, noise):
    pred, target, valid = photos(channels=3, noise=noise)
    expected = np.mean(
        [
            numpy_ssim(x, y, window, sigma)
            for x, y in zip(numpy64(pred.flatten(0, 1)), numpy64(target.flatten(0, 1)), strict=True)
        ]
    )
    value = ssim_map(pred, target, window=window, sigma=sigma)
    assert value.shape == (2, 3, 29 - window + 1, 37 - window + 1)
    np.testing.assert_allclose(value.double().mean().item(), expected, atol=1e-6)
    l1 = abs(numpy64(pred) - numpy64(target)).mean() / 255
    loss = make("SSIM", window=window, sigma=sigma)(pred, target, valid)
    np.testing.assert_allclose(loss.item(), 0.85 * (1 - expected) / 2 + 0.15 * l1, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("window", "sigma"), [(11, 1.5), (3, None)])
def test_ssim_equals_torchmetrics(window, sigma):
    """In windows that lie inside the map; at its border torchmetrics mirrors the photo."""
    mend_torchvision()
    from torchmetrics.functional.image import structural_similarity_index_measure

    pred, target, _ = photos()
    options = {"gaussian_kernel": sigma is not None, "kernel_size": window, "sigma": sigma or 1.5}
    _, whole = structural_similarity_index_measure(
        pred.double(), target.double(), data_range=255.0, return_full_image=True, **options
    )
    inside = whole[..., window // 2 : -(window // 2), window // 2 : -(window // 2)]
    torch.testing.assert_close(ssim_map(pred, target, window=window, sigma=sigma).double(), inside, rtol=0, atol=1e-5)
    exact = ssim_map(pred.double(), target.double(), window=window, sigma=sigma)
    torch.testing.assert_close(exact, inside, rtol=0, atol=1e-9)


def test_ssim_keeps_its_digits_under_autocast():
    """Variances as differences of bf16 means would be noise."""
    pred, target, valid = photos(noise=5.0)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = make("SSIM")(pred, target, valid)
    assert torch.equal(value, make("SSIM")(pred, target, valid))


@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
def test_windows_with_an_unknown_pixel_are_left_out(share):
    """The right part is unknown: windows of 3 x 3 count up to its border, l1 up to the border itself."""
    pred, target, valid = photos(12, 20)
    valid[..., 13:] = False
    other = target.where(valid, -1)
    value = make("SSIM", share=share, window=3, sigma=None)(pred, other, valid)
    similar = [numpy_ssim(x, y, 3, None)[:, :11] for x, y in zip(numpy64(pred)[:, 0], numpy64(target)[:, 0], strict=True)]
    l1 = abs(numpy64(pred) - numpy64(target))[..., :13].mean() / 255
    np.testing.assert_allclose(value.item(), share * (1 - np.mean(similar)) / 2 + (1 - share) * l1, rtol=1e-5)


def test_equal_images_cost_nothing_and_have_a_gradient():
    """Flat ones too, whose variances are 0."""
    for image in (photos()[1], torch.full((2, 1, 15, 15), 255.0), torch.zeros(2, 1, 15, 15)):
        pred = image.clone().requires_grad_()
        value = make("SSIM")(pred, image, torch.ones_like(image, dtype=torch.bool))
        value.backward()
        assert abs(value.item()) < 1e-6
        assert torch.isfinite(pred.grad).all()


def test_an_inverted_picture_is_worse_than_a_flat_one():
    _, target, valid = photos()
    loss = make("SSIM", share=1.0)
    inverted, flat = loss(255 - target, target, valid), loss(torch.full_like(target, 128), target, valid)
    assert inverted > flat > 0.2
    assert inverted <= 1


def test_gradient_of_ssim_is_that_of_the_value():
    pred, target, valid = (value[:1, :, :7, :8] for value in photos())
    loss = make("SSIM", window=3, sigma=1.0)
    assert torch.autograd.gradcheck(lambda p: 255 * loss(p, target.double(), valid), pred.double().requires_grad_(), atol=1e-6)


def test_gradient_loss_of_an_image_is_l1_of_its_differences():
    """GradientMatching(scales=1): a constant offset of gray costs nothing."""
    pred, target, valid = photos(channels=3)
    error = numpy64(pred) - numpy64(target)
    expected = abs(np.diff(error, axis=3)).mean() + abs(np.diff(error, axis=2)).mean()
    loss = make("GradientMatching", scales=1)
    np.testing.assert_allclose(loss(pred, target, valid).item(), expected, rtol=1e-6)
    assert loss(target + 20, target, valid).item() < 1e-4
