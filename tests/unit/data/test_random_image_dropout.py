"""Photos that are lost: which, and that a network reads nothing in them."""

import numpy as np
import pytest
import torch

from mtdc.data.transforms.random_image_dropout import RandomImageDropout
from mtdc.errors import ConfigError
from mtdc.inputs.relative_fill import RelativeFill
from mtdc.structures import DEPTH, IMAGE, SPARSE_DEPTH, Frame


def frame_of(photo):
    depth = np.ones(photo.shape[:2], np.float32)
    return Frame(
        {"sparse_depth": depth, "image": photo, "gt_depth": depth, "gt_image": photo},
        {"sparse_depth": SPARSE_DEPTH, "image": IMAGE, "gt_depth": DEPTH, "gt_image": IMAGE},
    )


PHOTO = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)


def test_a_share_of_the_frames_loses_its_photo_whole_and_the_target_stays():
    before, generator, lost = frame_of(PHOTO), np.random.default_rng(5), 0
    for _ in range(2000):
        after = RandomImageDropout(0.3)(before, generator).maps
        gone = not np.array_equal(after["image"], PHOTO)
        assert not gone or (after["image"] == 128).all()
        assert after["image"].dtype == PHOTO.dtype
        assert after["gt_image"] is before.maps["gt_image"]
        lost += gone
    assert lost / 2000 == pytest.approx(0.3, abs=0.04)
    assert np.array_equal(before.maps["image"], PHOTO), "the frame itself stays"


def test_a_network_reads_nothing_in_a_lost_photo():
    photo = RandomImageDropout(1.0)(frame_of(PHOTO), np.random.default_rng(0)).maps["image"]
    image = torch.from_numpy(photo).permute(2, 0, 1)[None].float()
    x = RelativeFill(image=True)({"sparse_depth": torch.ones(1, 1, 6, 8), "image": image}).x
    assert (x[:, -3:] == 0).all()


@pytest.mark.parametrize("probability", [-0.1, 1.1, float("nan")])
def test_no_probability(probability):
    with pytest.raises(ValueError, match="probability must lie in 0..1"):
        RandomImageDropout(probability)


def test_no_photo():
    with pytest.raises(ConfigError, match="RandomImageDropout needs the input 'image', and only sparse_depth are loaded"):
        RandomImageDropout()(Frame({"sparse_depth": PHOTO[..., 0]}, {"sparse_depth": SPARSE_DEPTH}), np.random.default_rng(0))
