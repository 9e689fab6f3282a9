"""Several models measured alike: against the numbers of a whole evaluation, and by hand."""

import numpy as np
import pytest
import torch
from mmengine.config import Config
from support import TREE_CROP, kitti_tree

from mtdc.analysis.entries import parse_entries
from mtdc.analysis.frames import Frames, data_config
from mtdc.analysis.measuring import Measures
from mtdc.analysis.predictors import Prediction, make_predictor
from mtdc.engine.runs import evaluate
from mtdc.structures import DepthSample


def item(truth, name, given=None):
    truth = torch.tensor(truth, dtype=torch.float32)[None]
    sample = DepthSample(metainfo={"sample_id": name})
    sample.set_field(truth, "gt_depth")
    given = truth if given is None else torch.tensor(given, dtype=torch.float32)[None]
    return {"inputs": {"sparse_depth": given}, "data_samples": sample}


def answer(depth):
    return Prediction(np.asarray(depth, dtype=np.float32))


def test_means_and_frames_counted_by_hand():
    measures = Measures(Config({"test_evaluator": {"type": "KittiDepthMetric", "clamp_m": (0.9, 100.0)}}))
    measures.add(item([[10.0, 20.0, 0.0]], "a"), answer([[11.0, 18.0, 70.0]]))
    measures.add(item([[50.0, 0.0]], "b"), answer([[300.0, 1.0]]))
    measures.add(item([[0.0, 0.0]], "c"), answer([[3.0, 1.0]]))
    means, per_frame = measures.finish()
    assert set(per_frame) == {"a", "b"}, "a frame without ground truth has no value"
    assert per_frame["a"]["mae"] == pytest.approx(1500)
    assert per_frame["a"]["rmse"] == pytest.approx(1000 * np.sqrt(5 / 2))
    assert per_frame["b"]["rmse"] == pytest.approx(50_000), "predictions are limited to 100 m"
    assert means["rmse"] == pytest.approx((1000 * np.sqrt(2.5) + 50_000) / 2)
    assert (means["frames"], means["frames_without_ground_truth"]) == (2, 1)
    assert measures.protocol()["units"]["rmse"] == "mm"


def test_metrics_that_read_the_given_points_get_them():
    evaluator = {"type": "NYUv2DepthMetric", "score_given": False, "clamp_m": None}
    measures = Measures(Config({"test_evaluator": evaluator}))
    measures.add(item([[2.0, 4.0]], "a", given=[[2.0, 0.0]]), answer([[3.0, 4.5]]))
    assert measures.finish()[0]["mae"] == pytest.approx(500)


def test_depth_alone_is_measured_and_names_keep_their_prefix():
    evaluators = [
        {"type": "KittiDepthMetric", "clamp_m": None},
        {"type": "ImageMetric"},
        {"type": "ErrorSides", "prefix": "sides", "clamp_m": None},
    ]
    measures = Measures(Config({"test_evaluator": evaluators}))
    measures.add(item([[10.0, 20.0]], "a"), answer([[11.0, 18.0]]))
    means, per_frame = measures.finish()
    assert means["rmse"] == per_frame["a"]["rmse"] == pytest.approx(1000 * np.sqrt(2.5))
    assert any(name.startswith("sides/") for name in means)
    assert not any(name.startswith("image/") for name in means)


def test_class_names_are_the_data_sets():
    evaluator = {"type": "DepthByRegion", "truth": "depth", "classes": True, "clamp_m": None}
    measures = Measures(Config({"test_evaluator": evaluator}), {"classes": ("bed", "night stand")})
    one = item([[10.0, 20.0]], "a")
    one["data_samples"].set_field(torch.tensor([[1, 0]]), "gt_semantics")
    measures.add(one, answer([[11.0, 18.0]]))
    means = measures.finish()[0]
    assert (means["night_stand/mae"], means["bed/mae"]) == (pytest.approx(1000), pytest.approx(2000))


def test_the_numbers_are_those_of_an_evaluation(tmp_path):
    root = kitti_tree(tmp_path / "tree", "val", frames=3)
    cfg = data_config(parse_entries(["classical/linear_kitti"]), data_root=str(root), split="val")
    cfg.test_dataloader.num_workers = 0
    cfg.test_dataloader.persistent_workers = False
    cfg.test_dataloader.dataset.transforms = [{"type": "BottomCrop", "height": TREE_CROP[0], "width": TREE_CROP[1]}]
    predictor, frames = make_predictor(parse_entries(["classical/linear_kitti"])[0]), Frames(cfg)
    measures = Measures(cfg, frames.data.metainfo)
    for one in frames:
        measures.add(one, predictor(one))
    means, per_frame = measures.finish()
    result = evaluate(cfg, None, tmp_path / "work")
    for name in ("rmse", "mae", "irmse", "silog"):
        assert means[name] == pytest.approx(result[name], rel=1e-5)
    assert set(per_frame) == set(result["per_frame"])
    for frame, values in per_frame.items():
        assert values["rmse"] == pytest.approx(result["per_frame"][frame]["rmse"], rel=1e-5)
