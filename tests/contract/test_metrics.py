"""Every registered metric keeps the contract: one entry a sample, counted frames, a stated protocol."""

import json

import pytest
import torch
from mmengine.evaluator import Evaluator
from support import named

from mtdc.registry import METRICS, build
from mtdc.structures import DepthSample


def make(name):
    return build(METRICS, {"type": name}, "evaluator")


def samples(metric, count, shift=0.0):
    """Frames of odd size; the prediction is the truth plus ``shift``."""
    for number in range(count):
        sample = DepthSample(metainfo={"sample_id": f"frame_{number}"})
        for field in metric.targets:
            sample.set_data({field.target_key: truth_of(field, torch.Generator().manual_seed(number))})
        for field in metric.predictions:
            # Depth is measured against dense depth too.
            like = next(row for row in metric.targets if row.kind == field.kind)
            sample.set_data({field.prediction_key: changed(sample.get(like.target_key), field, shift)})
        yield sample


def truth_of(field, generator):
    if field.kind == "labels":
        return torch.randint(0, 2, (7, 9), generator=generator)
    values = 2 + torch.rand(field.channels, 7, 9, generator=generator)
    return values / values.norm(dim=0) if field.kind == "normals" else values


def changed(truth, field, shift):
    """Another answer: shifted; labels one on; normals turned by half a turn about the optical axis."""
    if field.kind == "normals" and shift:
        return truth * torch.tensor((-1.0, -1.0, 1.0)).view(3, 1, 1)
    return truth + (int(shift > 0) if field.kind == "labels" else shift)


def evaluate(metric, frames, size=None):
    frames = list(frames)
    evaluator = Evaluator([metric])
    evaluator.process(frames)
    values = evaluator.evaluate(len(frames) if size is None else size)
    return {key.removeprefix(f"{metric.prefix}/"): value for key, value in values.items()}


@pytest.mark.parametrize("name", named(METRICS))
def test_one_entry_a_sample_in_order(name):
    metric = make(name)
    for sample in samples(metric, 3):
        metric.process(None, [sample.to_dict()])
    assert len(metric.results) == 3
    whole = evaluate(make(name), samples(metric, 3, 0.5))
    padded = evaluate(make(name), [*samples(metric, 3, 0.5), *samples(metric, 1, 0.5)], size=3)
    assert padded == whole


@pytest.mark.parametrize("name", named(METRICS))
def test_the_truth_itself_is_better_than_another_answer(name):
    metric = make(name)
    assert metric.targets
    # As far off as the widest tolerance of any metric, 1.25^3 times the truth.
    exact, wrong = evaluate(metric, samples(metric, 3)), evaluate(metric, samples(metric, 3, 3.0))
    assert exact["frames"] == 3
    errors = [key for key in exact if not key.startswith("frames")]
    assert errors
    assert all(exact[key] != wrong[key] for key in errors)
    assert list(metric.per_frame) == ["frame_0", "frame_1", "frame_2"]


@pytest.mark.parametrize("name", named(METRICS))
def test_frames_without_ground_truth_are_counted(name):
    metric = make(name)
    frames = list(samples(metric, 3, 0.5))
    for field in metric.targets:
        frames[1].set_data({field.target_key: torch.full_like(frames[1].get(field.target_key), field.unknown)})
    values = evaluate(metric, frames)
    assert (values["frames"], values["frames_without_ground_truth"]) == (2, 1)
    assert set(metric.per_frame) == {"frame_0", "frame_2"}
    nothing = evaluate(metric, frames[1:2])
    assert nothing == {"frames": 0, "frames_without_ground_truth": 1}


@pytest.mark.parametrize("name", named(METRICS))
def test_protocol_has_a_unit_for_each_value_and_can_be_written(name):
    metric = make(name)
    values = evaluate(metric, samples(metric, 2, 0.5))
    protocol = json.loads(json.dumps(metric.protocol(), allow_nan=False))
    assert {key for key in values if not key.startswith("frames")} <= set(protocol["units"])
    assert {"threshold", "averaging"} <= set(protocol)


@pytest.mark.parametrize("name", named(METRICS))
def test_samples_are_not_changed(name):
    metric = make(name)
    for sample in samples(metric, 1, 0.5):
        before = {key: value.clone() for key, value in sample.items()}
        evaluate(metric, [sample])
        assert all(torch.equal(value, before[key]) for key, value in sample.items())
