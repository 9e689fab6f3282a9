"""Image, normals and semantics: numbers worked out by hand, and torchmetrics' for likeness."""

import math

import numpy as np
import pytest
import torch
from mmengine.evaluator import Evaluator

from mtdc.compatibility import mend_torchvision
from mtdc.errors import ConfigError, DataError
from mtdc.metrics.image import ImageMetric
from mtdc.metrics.normals import NormalsMetric
from mtdc.metrics.semantics import SemanticsMetric


def frame(name, field, prediction, truth):
    return {"sample_id": name, f"pred_{field}": torch.as_tensor(prediction), f"gt_{field}": torch.as_tensor(truth)}


def evaluate(metric, frames):
    evaluator = Evaluator([metric])
    for one in frames:  # as batches of one
        evaluator.process([one])
    return evaluator.evaluate(len(frames))


def photos(generator, channels=1, size=(19, 23)):
    truth = torch.rand(channels, *size, generator=generator) * 255
    return (truth + 20 * torch.randn(truth.shape, generator=generator)).clamp(0, 255), truth


@pytest.mark.parametrize("channels", [1, 3])
def test_likeness_of_images_is_torchmetrics(channels):
    mend_torchvision()
    from torchmetrics.functional import image as functional

    pairs = [photos(torch.Generator().manual_seed(number), channels) for number in range(3)]
    values = evaluate(ImageMetric(channels), [frame(str(i), "image", *pair) for i, pair in enumerate(pairs)])
    doubles = [(prediction[None].double(), truth[None].double()) for prediction, truth in pairs]
    noise = [functional.peak_signal_noise_ratio(*pair, data_range=255.0).item() for pair in doubles]
    assert values["image/psnr"] == pytest.approx(np.mean(noise), rel=1e-6)
    maps = [
        functional.structural_similarity_index_measure(*pair, data_range=255.0, return_full_image=True)[1] for pair in doubles
    ]
    # At the border, where its windows mirror the photo, torchmetrics counts too.
    inner = [whole[..., 5:-5, 5:-5].mean().item() for whole in maps]
    assert values["image/ssim"] == pytest.approx(np.mean(inner), rel=1e-6)
    assert (values["image/frames"], values["image/frames_without_ground_truth"]) == (3, 0)


def test_unknown_pixels_of_an_image_do_not_count():
    """16 off at every known pixel: 20 log10(255 / 16); a column that is unknown leaves no window of 11 x 11 whole."""
    truth = torch.full((1, 12, 13), 100.0)
    prediction = truth + 16
    truth[..., 6] = -1
    prediction[..., 6] = 255
    values = evaluate(ImageMetric(), [frame("a", "image", prediction, truth), frame("b", "image", truth, truth * 0 - 1)])
    assert values["image/psnr"] == pytest.approx(20 * math.log10(255 / 16))
    assert "image/ssim" not in values
    assert (values["image/frames"], values["image/frames_without_ground_truth"]) == (1, 1)


def turned(angles_deg, lengths=1.0):
    """Vectors that are turned from (0, 0, -1) about the x axis."""
    angles = torch.deg2rad(torch.as_tensor(angles_deg, dtype=torch.float64))
    return lengths * torch.stack((0 * angles, angles.sin(), -angles.cos())).view(3, 1, -1)


def test_angles_of_normals_by_hand():
    """Angles 0, 5, 20, 25, 100 in two frames, one pixel unknown: mean 30, median 20, shares 2/5, 3/5, 4/5."""
    facing = turned(torch.zeros(3))
    unknown = facing.clone()
    unknown[..., 2] = 0
    frames = [
        frame("a", "normals", turned([0.0, 5.0, 20.0]), facing),
        frame("b", "normals", turned([25.0, 100.0, 170.0]), unknown),
        frame("c", "normals", facing, 0 * facing),
    ]
    values = evaluate(NormalsMetric(), frames)
    assert values["normals/mean_angle_deg"] == pytest.approx(30, abs=1e-6)
    assert values["normals/median_angle_deg"] == pytest.approx(20, abs=0.05)
    shares = [values[f"normals/within_{name}_deg"] for name in ("11_25", "22_5", "30")]
    assert shares == [2 / 5, 3 / 5, 4 / 5]
    assert (values["normals/frames"], values["normals/frames_without_ground_truth"]) == (2, 1)


def test_median_of_many_normals_is_numpys():
    angles = np.random.default_rng(0).gamma(2.0, 12.0, 4001).clip(0, 180)
    metric = NormalsMetric()
    values = evaluate(metric, [frame("a", "normals", turned(angles, lengths=3.0), turned(0 * angles))])
    assert values["normals/mean_angle_deg"] == pytest.approx(angles.mean(), abs=1e-6)
    assert values["normals/median_angle_deg"] == pytest.approx(np.median(angles), abs=0.05)
    assert values["normals/within_22_5_deg"] == np.mean(angles < 22.5)
    assert metric.per_frame["a"]["mean_angle_deg"] == pytest.approx(angles.mean(), abs=1e-6)


def test_a_normal_without_a_length_counts_as_a_right_angle():
    values = evaluate(NormalsMetric(), [frame("a", "normals", torch.zeros(3, 1, 4), turned(torch.zeros(4)))])
    assert values["normals/mean_angle_deg"] == 90


def labels(*rows):
    return torch.tensor(rows, dtype=torch.int64)


def test_intersection_over_union_by_hand():
    """Three classes of four. Pixels (truth, answer): 00 00 01 11 11 12; IoU 2/3, 2/4, 0/1; right 4/6."""
    frames = [
        frame("a", "semantics", labels([0, 0, 3]), labels([0, 0, 255])),
        frame("b", "semantics", labels([1, 1, 1, 2]), labels([0, 1, 1, 1])),
        frame("c", "semantics", labels([0, 0]), labels([255, 255])),
    ]
    values = evaluate(SemanticsMetric(classes=4), frames)
    assert values["semantics/miou"] == pytest.approx((2 / 3 + 2 / 4 + 0) / 3)
    assert values["semantics/pixel_accuracy"] == pytest.approx(4 / 6)
    assert (values["semantics/frames"], values["semantics/frames_without_ground_truth"]) == (2, 1)


def test_intersection_over_union_is_torchmetrics():
    mend_torchvision()
    from torchmetrics import functional

    generator = torch.Generator().manual_seed(0)
    truth = torch.randint(0, 5, (4, 17, 9), generator=generator)
    answer = truth.where(
        torch.rand(truth.shape, generator=generator) < 0.6, torch.randint(0, 5, truth.shape, generator=generator)
    )
    values = evaluate(SemanticsMetric(classes=5), [frame(str(i), "semantics", answer[i], truth[i]) for i in range(4)])
    theirs = functional.jaccard_index(answer, truth, "multiclass", num_classes=5).item()
    assert values["semantics/miou"] == pytest.approx(theirs, rel=1e-6)


@pytest.mark.parametrize("which", ["prediction", "ground truth"])
def test_a_class_that_there_is_not_is_named(which):
    good, odd = labels([0, 1, 2]), labels([0, 1, 3])
    pair = (odd, good) if which == "prediction" else (good, odd)
    with pytest.raises(DataError, match=rf"seven: the {which} of semantics has the class 3; expected 0 to 2"):
        SemanticsMetric(classes=3).process(None, [frame("seven", "semantics", *pair)])


@pytest.mark.parametrize(
    ("metric", "field", "shape"),
    [(ImageMetric(), "image", (1, 5, 6)), (NormalsMetric(), "normals", (3, 5, 6)), (SemanticsMetric(), "semantics", (5, 6))],
)
def test_other_sizes_and_missing_predictions_are_named(metric, field, shape):
    truth = torch.zeros(shape)
    with pytest.raises(DataError, match=f"a: the predicted {field} is .*, its ground truth"):
        metric.process(None, [frame("a", field, truth[..., :-1], truth)])
    with pytest.raises(ConfigError, match=f"needs 'pred_{field}'"):
        metric.process(None, [{"sample_id": "a", f"gt_{field}": truth}])
