"""The frames that models are judged on: which, with what, and what is said about them."""

import copy
import logging
import shutil

import numpy as np
import pytest
import torch
from support import TREE_CROP, TREE_SIZE, kitti_tree

from mtdc.analysis.entries import parse_entries
from mtdc.analysis.frames import Frames, data_config
from mtdc.data.io import write_depth_png
from mtdc.engine.config import load_config
from mtdc.errors import ConfigError, DataError
from mtdc.structures import DENSE_DEPTH, DEPTH, GRAY_IMAGE, IMAGE, SEMANTICS, SPARSE_DEPTH

FRAMES = 7


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    return kitti_tree(tmp_path_factory.mktemp("tree"), "val", frames=FRAMES)


def config(root, crop=TREE_CROP):
    cfg = data_config(parse_entries(["classical/nearest_kitti"]), data_root=str(root), split="val")
    cfg.test_dataloader.dataset.transforms = [{"type": "BottomCrop", "height": crop[0], "width": crop[1]}]
    return cfg


def folder(root, kind):
    return next(root.glob("val/*_sync")) / "proj_depth" / kind / "image_02"


def test_the_data_are_those_of_the_first_config_or_the_given_one(tmp_path):
    entries = parse_entries(["classical/linear_nyuv2", "classical/nearest_kitti"])
    cfg = data_config(entries)
    assert (cfg.test_dataloader.dataset.type, cfg.test_evaluator.type) == ("NYUv2", "NYUv2DepthMetric")
    given = load_config("classical/nearest_kitti")
    before = copy.deepcopy(given.to_dict())
    cfg = data_config(entries, given, data_root=str(tmp_path), split="train")
    dataset = cfg.test_dataloader.dataset
    assert (dataset.type, dataset.data_root, dataset.split) == ("KittiDepthCompletion", str(tmp_path), "train")
    assert given.to_dict() == before, "the given config is not changed"
    assert entries[0].config.test_dataloader.dataset.type == "NYUv2"


def test_folders_alone_name_no_data(tmp_path):
    write_depth_png(tmp_path / "a.png", np.full((3, 4), 5.0, np.float32))
    entries = parse_entries([str(tmp_path)])
    with pytest.raises(ConfigError, match="name a config with --data"):
        data_config(entries)
    assert data_config(entries, load_config("classical/nearest_kitti")).test_evaluator.type == "KittiDepthMetric"
    cfg = load_config("classical/nearest_kitti")
    cfg.pop("test_evaluator")
    with pytest.raises(ConfigError, match="test_evaluator"):
        data_config(entries, cfg)


def test_only_targets_that_are_there_are_loaded(tree, tmp_path):
    frames = Frames(config(tree), extra=True)
    assert [row.name for row in frames.data.targets] == ["depth", "image"], "the tree has photos, no labels, no dense depth"
    assert (frames.has(DEPTH), frames.has(GRAY_IMAGE), frames.has(SEMANTICS), frames.has(DENSE_DEPTH)) == (1, 1, 0, 0)
    bare = Frames(config(tree))
    assert [row.name for row in bare.data.targets] == ["depth"]
    assert set(bare[0]["inputs"]) == {"sparse_depth"}
    assert set(Frames(config(tree), [IMAGE, SPARSE_DEPTH, IMAGE])[0]["inputs"]) == {"sparse_depth", "image"}

    root = tmp_path / "more"
    shutil.copytree(tree, root)
    dense = folder(root, "dense")
    dense.mkdir(parents=True)
    write_depth_png(dense / f"{3:010d}.png", np.full(TREE_SIZE, 12.0, np.float32))
    frames = Frames(config(root), extra=True)
    assert frames.has(DENSE_DEPTH), "one frame has it"
    assert frames[3]["data_samples"].gt_dense_depth.unique().tolist() == [12.0]
    assert not frames[2]["data_samples"].gt_dense_depth.any(), "unknown in the others"


def test_a_limit_spreads_over_the_split(tree):
    cfg = config(tree)
    for limit, expected in ((None, range(7)), (99, range(7)), (7, range(7)), (2, (0, 6)), (3, (0, 3, 6)), (1, (0,))):
        frames = Frames(cfg, limit=limit)
        assert frames.numbers == list(expected)
        assert len(frames) == len(list(frames)) == len(expected)
        names = [f"2011_09_26_drive_0001_sync_image_02_{number:010d}" for number in expected]
        assert frames.names == names == [item["data_samples"].sample_id for item in frames]
    for limit in range(1, FRAMES + 1):
        assert len(set(Frames(cfg, limit=limit).numbers)) == limit
    with pytest.raises(ConfigError, match="--frames 0: expected 1 or more"):
        Frames(cfg, limit=0)


def test_a_degradation_comes_after_the_transforms_and_touches_the_input_alone(tree):
    cfg = config(tree)
    drop = {"type": "RandomPointDropout", "ratio": 0.5}
    clean, worse, again = Frames(cfg), Frames(cfg, degradation=[drop]), Frames(cfg, degradation=[drop], limit=3)
    for before, after in zip(clean, worse, strict=True):
        given, left = before["inputs"]["sparse_depth"], after["inputs"]["sparse_depth"]
        assert given.shape == left.shape == (1, *TREE_CROP)
        assert 0.3 < (left > 0).sum() / (given > 0).sum() < 0.7
        assert torch.equal(left[left > 0], given[left > 0])
        assert torch.equal(before["data_samples"].gt_depth, after["data_samples"].gt_depth)
    assert torch.equal(again[1]["inputs"]["sparse_depth"], worse[3]["inputs"]["sparse_depth"]), "by name, not by number"
    assert torch.equal(worse[3]["inputs"]["sparse_depth"], worse[3]["inputs"]["sparse_depth"])
    assert cfg.test_dataloader.dataset.transforms == config(tree).test_dataloader.dataset.transforms


def test_without_ground_truth_nothing_can_be_measured(tree, tmp_path):
    root = tmp_path / "none"
    shutil.copytree(tree, root)
    shutil.rmtree(folder(root, "groundtruth").parent)
    for extra in (False, True):
        with pytest.raises(DataError, match=r"split 'val' of .* has no ground truth"):
            Frames(config(root), extra=extra)


def test_what_was_asked_for_and_lacks_is_said_and_nothing_else(tree, tmp_path, caplog):
    with caplog.at_level(logging.INFO, logger="mtdc"):
        Frames(config(tree), extra=True)
    assert not caplog.records, "nobody asked for labels"
    root = tmp_path / "some"
    shutil.copytree(tree, root)
    (folder(root, "groundtruth") / f"{2:010d}.png").unlink()
    with caplog.at_level(logging.INFO, logger="mtdc"):
        frames = Frames(config(root), extra=True)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "6 frames have a file of the target 'depth' and 1 have none" in caplog.text
    assert not frames[2]["data_samples"].gt_depth.any()
    # What others say is heard as before.
    logging.getLogger("mtdc").warning("after")
    assert "after" in caplog.text


def test_real_frames_as_they_are(shared):
    cfg = data_config(parse_entries(["classical/nearest_kitti"]), data_root=str(shared / "data" / "kitti"), split="val")
    frames = Frames(cfg, limit=3, extra=True)
    assert len(frames) == 3
    assert frames[1]["data_samples"].gt_depth.shape == (1, 352, 1216)
    assert frames.root == shared / "data" / "kitti"
