"""Curves over a worse input: what is done to the frames, and what the points say."""

import math

import numpy as np
import pytest
from mmengine.config import Config
from support import kitti_tree

from mtdc.analysis.bootstrap import interval
from mtdc.analysis.entries import parse_entries
from mtdc.analysis.frames import Frames, data_config
from mtdc.analysis.predictors import Prediction, Predictor
from mtdc.analysis.robustness import SWEEPS, find_sweeps, fits, measure_step
from mtdc.errors import ConfigError


class Counting(Predictor):
    """Answers with as many metres as the frame has measured points, in hundreds."""

    def __call__(self, item):
        sparse = item["inputs"]["sparse_depth"][0].numpy()
        return Prediction(np.full(sparse.shape, (sparse > 0).sum() / 100, np.float32))


class Stored(Counting):
    computes = False


@pytest.fixture(scope="module")
def cfg(tmp_path_factory):
    tree = kitti_tree(tmp_path_factory.mktemp("tree"), "val", frames=3)
    cfg = data_config(parse_entries(["classical/nearest_kitti"]), data_root=str(tree), split="val")
    cfg.test_dataloader.dataset.transforms = []
    cfg.test_evaluator = {"type": "KittiDepthMetric", "clamp_m": None}
    return cfg


def points_of(frames):
    return [int((item["inputs"]["sparse_depth"] > 0).sum()) for item in frames]


def test_the_first_step_is_the_frame_as_it_is(cfg):
    for sweep in SWEEPS.values():
        assert sweep.degradation(sweep.steps[0]) == ()


def test_dropping_keeps_its_share_and_nested_points(cfg):
    whole = points_of(Frames(cfg))
    maps = {}
    for ratio in (0.25, 0.5, 0.9):
        frames = Frames(cfg, degradation=SWEEPS["drop"].degradation(ratio))
        for before, after in zip(whole, points_of(frames), strict=True):
            assert after == pytest.approx((1 - ratio) * before, abs=4 * math.sqrt(before * ratio * (1 - ratio)))
        maps[ratio] = [item["inputs"]["sparse_depth"].numpy() > 0 for item in frames]
    # A point that is left with fewer is there with more: the curve's steps differ by nothing else.
    for more, fewer in ((0.25, 0.5), (0.5, 0.9)):
        assert all((few <= many).all() for few, many in zip(maps[fewer], maps[more], strict=True))


def test_a_step_measures_what_it_was_given(cfg):
    entry = parse_entries(["classical/nearest_kitti"])[0]
    calls = []
    points = measure_step(
        cfg, [Counting(entry), Stored(entry)], SWEEPS["drop"], 0.5, limit=2, each_frame=lambda: calls.append(1)
    )
    assert len(points) == 1 and len(calls) == 2 and points[0].frames == 2
    frames = Frames(cfg, degradation=SWEEPS["drop"].degradation(0.5), limit=2)
    errors = []
    for item, count in zip(frames, points_of(frames), strict=True):
        truth = item["data_samples"].gt_depth.numpy().astype(np.float64)
        errors.append(1000 * np.abs(np.float32(count / 100) - truth[truth > 0]).mean())
    assert points[0].values["mae"] == pytest.approx(np.mean(errors), rel=1e-6)
    assert points[0].low["mae"] == pytest.approx(min(errors)) and points[0].high["mae"] == pytest.approx(max(errors))
    assert "frames" not in points[0].values


def test_intervals():
    values = np.random.default_rng(1).normal(10, 2, 400)
    low, high = interval(values.tolist())
    # The normal theory's interval of a mean, which the bootstrap tends to.
    half = 1.96 * values.std(ddof=1) / 20
    assert low == pytest.approx(values.mean() - half, abs=0.03) and high == pytest.approx(values.mean() + half, abs=0.03)
    assert all(map(math.isnan, interval([3.0]))) and interval([3.0, 3.0]) == (3.0, 3.0)
    assert interval(values.tolist()) == (low, high)


def test_lines_say_nothing_of_points_drawn_at_random(cfg):
    nyu = Config({"test_dataloader": {"dataset": {"transforms": [{"type": "SamplePoints", "points": 500}]}}})
    assert fits(SWEEPS["lines"], cfg) and not fits(SWEEPS["lines"], nyu) and fits(SWEEPS["drop"], nyu)


def test_unknown_sweeps_are_named():
    with pytest.raises(ConfigError, match="'line'. Did you mean 'lines'"):
        find_sweeps(["drop", "line"])
