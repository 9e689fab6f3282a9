"""Colours of the photo: each amount alone, against what its equation says."""

import numpy as np
import pytest

from mtdc.data.transforms.color_jitter import ColorJitter
from mtdc.errors import ConfigError
from mtdc.structures import DEPTH, IMAGE, SPARSE_DEPTH, Frame

NOTHING = {"brightness": 0.0, "contrast": 0.0, "saturation": 0.0}
WEIGHTS = np.array([0.299, 0.587, 0.114])  # ITU-R 601


def frame_of(photo):
    depth = np.ones(photo.shape[:2], np.float32)
    return Frame(
        {"sparse_depth": depth, "image": photo, "gt_depth": depth},
        {"sparse_depth": SPARSE_DEPTH, "image": IMAGE, "gt_depth": DEPTH},
    )


def jittered(photo, seed=0, **amounts):
    return ColorJitter(**{**NOTHING, **amounts})(frame_of(photo), np.random.default_rng(seed)).maps["image"]


@pytest.fixture
def photo():
    """Values of which no amount below reaches 0 or 255."""
    return np.random.default_rng(1).uniform(100, 150, (31, 40, 3)).astype(np.float32)


def test_nothing_changes_nothing(photo):
    np.testing.assert_allclose(jittered(photo), photo, atol=1e-3)


def test_brightness_is_one_factor_and_evenly_drawn(photo):
    factors = []
    for seed in range(400):
        ratio = jittered(photo, seed, brightness=0.4) / photo
        assert np.ptp(ratio) < 1e-4
        factors.append(ratio.mean())
    assert 0.6 <= min(factors) < 0.62 and 1.38 < max(factors) <= 1.4
    assert np.mean(factors) == pytest.approx(1, abs=0.04)


def test_contrast_spreads_around_the_mean_gray_value(photo):
    new = jittered(photo, 3, contrast=0.5)
    mean = (photo @ WEIGHTS).mean()
    factor = (new - mean) / (photo - mean)
    known = np.abs(photo - mean) > 5
    assert np.ptp(factor[known]) < 1e-2 and abs(factor[known].mean() - 1) > 0.05
    assert (new @ WEIGHTS).mean() == pytest.approx(mean, abs=0.01)


def test_saturation_and_gray_photos_keep_each_pixels_gray_value(photo):
    gray = photo @ WEIGHTS
    new = jittered(photo, 3, saturation=0.5)
    np.testing.assert_allclose(new @ WEIGHTS, gray, atol=0.05)
    assert np.abs(new - photo).max() > 1
    without = jittered(photo, grayscale=1.0)
    np.testing.assert_allclose(without, np.repeat(gray[..., None], 3, axis=2), atol=0.05)
    share = np.mean([np.ptp(jittered(photo, seed, grayscale=0.3)[0, 0]) < 0.1 for seed in range(300)])
    assert share == pytest.approx(0.3, abs=0.08)


def test_hue_turns_red_by_as_many_degrees():
    """Red is 0 degrees, yellow 60, green 120."""
    red = np.zeros((4, 4, 3), np.float32)
    red[..., 0] = 240
    for seed in range(5):
        turn = 180 * np.random.default_rng(seed).uniform(-1, 1, size=4)[3]
        value = jittered(red, seed, hue=0.5)[0, 0]
        degrees = {
            0: (60 * (value[1] - value[2]) / 240) % 360,
            1: 120 + 60 * (value[2] - value[0]) / 240,
            2: 240 + 60 * (value[0] - value[1]) / 240,
        }
        assert degrees[int(np.argmax(value))] == pytest.approx(turn % 360, abs=0.5)
        assert value.max() == pytest.approx(240, abs=0.5) and value.min() == pytest.approx(0, abs=0.5)


def test_a_blur_spreads_a_point_by_at_most_its_sigma():
    point = np.zeros((61, 61, 3), np.float32)
    point[30, 30] = 255
    across = np.arange(61) - 30
    sigmas = []
    for seed in range(40):
        row = jittered(point, seed, blur=4.0)[..., 0].astype(float)
        assert row.sum() == pytest.approx(255, rel=1e-2)
        sigmas.append(np.sqrt((row.sum(axis=0) * across**2).sum() / row.sum()))
    assert max(sigmas) <= 4.05 and max(sigmas) > 3 and min(sigmas) < 1


def test_noise_and_bytes(photo):
    grain = [np.std(jittered(np.full((60, 60, 3), 128, np.float32), seed, noise=10.0) - 128) for seed in range(40)]
    assert max(grain) < 10.5 and max(grain) > 8 and min(grain) < 2
    dark = jittered(np.zeros((20, 20, 3), np.uint8), noise=50.0)
    assert dark.dtype == np.uint8 and dark.max() < 255 and (dark == 0).mean() > 0.4  # below 0 is 0, and never wraps to 255
    bright = jittered(np.full((20, 20, 3), 250, np.float32), 1, brightness=1.0, noise=50.0)
    assert bright.dtype == np.float32 and bright.min() >= 0 and bright.max() <= 255


def test_the_rest_stays_and_a_frame_without_photo_is_refused(photo):
    before = frame_of(photo)
    after = ColorJitter()(before, np.random.default_rng(0))
    assert after.maps["sparse_depth"] is before.maps["sparse_depth"] and after.maps["gt_depth"] is before.maps["gt_depth"]
    del before.maps["image"]
    with pytest.raises(ConfigError, match="ColorJitter needs the input 'image'"):
        ColorJitter()(before, np.random.default_rng(0))


@pytest.mark.parametrize("amount", [{"brightness": -0.1}, {"contrast": 1.1}, {"hue": 0.6}, {"noise": float("nan")}])
def test_amounts_outside_their_bounds_are_refused(amount):
    with pytest.raises(ValueError, match=f"{next(iter(amount))} must be 0 to"):
        ColorJitter(**amount)
