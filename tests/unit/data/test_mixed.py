"""Several data sets in one training: which frames, how often, and that --data-root moves recorded frames and not drawn ones."""

import cv2
import numpy as np
import pytest
import torch
from support import kitti_tree

from mtdc.commands import main
from mtdc.data.datasets.mixed import MixedFrames
from mtdc.engine.config import config_hash, load_config, set_data_root, settings, street_root
from mtdc.errors import ConfigError
from mtdc.structures import DEPTH, GRAY_IMAGE


def folder(root, depths, truth=()):
    """A plain folder of constant maps, by name; truth for some of them."""
    for kind, maps in (("depth", depths), ("gt", {name: depths[name] for name in truth})):
        (root / kind).mkdir(parents=True, exist_ok=True)
        for name, metres in maps.items():
            cv2.imwrite(str(root / kind / f"{name}.png"), np.full((8, 12), metres * 256, np.uint16))
    return {"type": "Folder", "data_root": str(root)}


@pytest.fixture
def parts(tmp_path):
    return {
        "far": folder(tmp_path / "far", {"a": 50, "b": 60, "c": 70}, truth="a"),
        "near": folder(tmp_path / "near", {"a": 5, "b": 6}, truth="ab"),
    }


def depths(data, epoch=0):
    return [round(data[i, epoch]["inputs"]["sparse_depth"].max().item()) for i in range(len(data))]


def test_each_part_comes_as_often_as_asked(parts):
    assert depths(MixedFrames(parts)) == [50, 60, 70, 5, 6]
    data = MixedFrames(parts, times={"near": 2})
    assert depths(data) == [50, 60, 70, 5, 6, 5, 6]
    assert [data.sample_id(i) for i in range(7)] == ["far_a", "far_b", "far_c", "near_a", "near_b", "near_a_1", "near_b_1"]
    assert data[6]["data_samples"].sample_id == "near_b_1"
    assert data[-1]["inputs"]["sparse_depth"].max() == 6
    assert depths(MixedFrames({**parts, "far": None})) == [5, 6]


def test_labels_are_counted_over_all_frames(parts):
    data = MixedFrames(parts, times={"near": 3}, targets=(DEPTH, GRAY_IMAGE))
    assert (data.count(DEPTH), data.known(DEPTH)) == (1 + 3 * 2, 1 + 3 * 2)
    assert data.known(GRAY_IMAGE) == 0


def test_a_repeated_frame_is_not_the_same_crop_and_not_that_of_another_epoch(tmp_path):
    (tmp_path / "depth").mkdir()
    cv2.imwrite(str(tmp_path / "depth/a.png"), np.arange(1, 401, dtype=np.uint16).reshape(20, 20) * 256)
    part = {"type": "Folder", "data_root": str(tmp_path)}
    data = MixedFrames({"mine": part}, times={"mine": 4}, transforms=[{"type": "RandomCrop", "height": 8, "width": 8}])
    crops = [data[i, epoch]["inputs"]["sparse_depth"] for epoch in range(3) for i in range(4)]
    assert len({tuple(crop.flatten().tolist()) for crop in crops}) > 9  # 169 places: hardly two of twelve are one
    assert torch.equal(data[2, 1]["inputs"]["sparse_depth"], crops[6])


def test_parts_have_transforms_of_their_own_before_those_of_all(parts):
    scaled = {**parts["far"], "transforms": [{"type": "RandomDepthScale", "factor": [2.0, 2.0]}]}
    crop = [{"type": "RandomCrop", "height": 4, "width": 4}]
    data = MixedFrames({**parts, "far": scaled}, transforms=crop)
    assert depths(data) == [100, 120, 140, 5, 6]
    assert data[0]["inputs"]["sparse_depth"].shape == data[4]["inputs"]["sparse_depth"].shape == (1, 4, 4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"times": {"nera": 2}}, "Did you mean 'near'"),
        ({"times": {"near": 0}}, r"times\['near'\] must be a whole number from 1 on"),
        ({"times": {"near": True}}, "whole number"),
        ({"parts": {}}, "parts is empty"),
        ({"parts": {"near": {"type": "Foldr"}}}, "parts.near.type='Foldr'.*Did you mean 'Folder'"),
    ],
)
def test_a_mistake_is_named(parts, change, message):
    with pytest.raises(ConfigError, match=message):
        MixedFrames(**{"parts": parts, **change})


CONFIG = """
_base_ = '{{$MTDC_CONFIGS:configs}}/aux_image_street.py'
crop = dict(type='RandomCrop', height=64, width=96)
train_dataloader = dict(batch_size=2, num_workers=0, dataset=dict(
    _delete_=True, type='MixedFrames', transforms=[crop], times=dict(real=2), parts=dict(
        street=dict(type='KittiDepthCompletion', data_root='streets', split='train', cameras=(2,)),
        real=dict(type='KittiDepthCompletion', data_root='data/kitti', split='train', cameras=(2, 3)))))
val_dataloader = dict(num_workers=0, dataset=dict(data_root='streets'))
test_dataloader = dict(num_workers=0, dataset=dict(data_root='data/kitti'))
"""


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "mixed.py"
    path.write_text(CONFIG)
    return path


def test_data_root_is_where_recorded_frames_lie_and_leaves_drawn_ones(config):
    cfg = load_config(str(config))
    before = settings(cfg), config_hash(cfg)
    assert street_root(cfg) == "streets"
    set_data_root(cfg, "elsewhere")
    train = cfg.train_dataloader.dataset.parts
    assert (train.street.data_root, train.real.data_root) == ("streets", "elsewhere")
    assert (cfg.val_dataloader.dataset.data_root, cfg.test_dataloader.dataset.data_root) == ("streets", "elsewhere")
    assert (settings(cfg), config_hash(cfg)) == before, "where files lie is no setting"
    cfg.train_dataloader.dataset.times.real = 3
    assert config_hash(cfg) != before[1]


def test_a_street_without_a_place_is_named(config):
    config.write_text(CONFIG.replace("        street=", "        strt="))
    with pytest.raises(ConfigError, match=r"street is drawn into train_dataloader.dataset.parts.street.data_root"):
        street_root(load_config(str(config)))


def test_a_training_draws_its_streets_and_reads_recorded_frames_beside_them(config, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    kitti_tree(tmp_path / "recorded", "train", frames=2)
    options = [
        "street.size=(96,320)", "street.splits.train=2", "street.splits.val=1", "street.processes=1", "model.width=1",
        "model.precision=float32", "model.channels_last=False", "train_cfg.max_epochs=1", "default_hooks.logger.interval=1",
    ]  # fmt: skip
    assert main(["train", str(config), "--data-root", "recorded", "--work-dir", "run", "--cfg-options", *options]) == 0, (
        capsys.readouterr().err
    )
    assert len(list((tmp_path / "streets/train").glob("*/proj_depth/velodyne_raw/*/*.png"))) == 2
    assert not list((tmp_path / "recorded").glob("*/*9000*")), "nothing is drawn among recorded frames"
    log = next((tmp_path / "run").rglob("vis_data/scalars.json")).read_text()
    # Two streets, and two recorded frames (one camera) twice, in batches of two.
    assert sum('"depth/l2"' in line for line in log.splitlines()) == 3, log
