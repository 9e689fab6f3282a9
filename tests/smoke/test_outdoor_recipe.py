"""Drawn streets and recorded scans in one training, with the recorded photos and without: the recipes of unet_outdoor."""

import cv2
import numpy as np
import pytest
import torch

from mtdc.commands import main
from mtdc.engine.checkpoint import read_checkpoint
from mtdc.engine.config import load_config
from mtdc.engine.preparation import build_dataset
from mtdc.model import build_model

SIZE = (272, 400)
#: Part of the pixels that a recorded scan measures.
POINTS = 0.1


@pytest.fixture
def recorded(tmp_path, monkeypatch):
    """A plain folder of four scans with photos and dense depth that agrees with the scans."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for kind in ("depth", "image", "gt"):
        (tmp_path / "mine" / kind).mkdir(parents=True)
    for name in "abcd":
        dense = rng.integers(1000, 9000, SIZE).astype(np.uint16)
        cv2.imwrite(f"mine/gt/{name}.png", dense)
        cv2.imwrite(f"mine/depth/{name}.png", np.where(rng.random(SIZE) < POINTS, dense, 0).astype(np.uint16))
        cv2.imwrite(f"mine/image/{name}.png", rng.integers(0, 256, (*SIZE, 3), dtype=np.uint8))


OPTIONS = {
    "street.splits.train": 2, "street.splits.val": 1, "train_dataloader.dataset.parts.kitti": None,
    "train_dataloader.dataset.times.ddad": 2, "train_dataloader.dataset.parts.ddad.data_root": "mine",
    "train_dataloader.num_workers": 0, "train_dataloader.persistent_workers": False, "baselines": None,
    "model.precision": "float32", "model.channels_last": False, "model.width": 2,
    "train_cfg.max_epochs": 1, "train_cfg.val_interval": 1,
}  # fmt: skip


def test_streets_and_scans_train_in_one_run(recorded, capsys):
    words = ["train", "ablation/unet_image_outdoor", "--work-dir", "run", "--cfg-options"]
    assert main([*words, *(f"{key}={value}" for key, value in OPTIONS.items())]) == 0, capsys.readouterr().err
    assert read_checkpoint("run/epoch_1.pth")["state_dict"]
    photos: dict[str, list[bool]] = {"street": [], "ddad": []}
    for part, inputs in items_of("ablation/unet_image_outdoor"):
        photos[part].append(bool((inputs["image"] == 128).all()))
    assert all(photos["street"]), "a drawn photo teaches nothing about real ones"
    assert 0 < sum(photos["ddad"]) < len(photos["ddad"])
    assert all("image" not in inputs for _, inputs in items_of("ablation/unet_outdoor"))


def items_of(config):
    """Part and inputs of each frame of the third epoch, from the streets that the run has drawn."""
    cfg = load_config(config, OPTIONS)
    model = build_model(cfg.model)
    dataset = build_dataset(cfg.train_dataloader.dataset, "train", model, model.target_fields, 0, model.training_input_fields)
    assert len(dataset) == 2 + 2 * 4
    for number in range(len(dataset)):
        item = dataset[(number, 3)]
        sparse, truth = item["inputs"]["sparse_depth"], item["data_samples"].gt_depth
        assert sparse.shape == truth.shape == (1, 256, 384)
        part = item["data_samples"].sample_id.split("_")[0]
        if part == "ddad":
            given = sparse > 0
            assert (truth > 0).all() and torch.equal(sparse[given], truth[given]), "both are of the same crop, mirror and scale"
            assert 0 < given.float().mean() < 0.92 * POINTS, "fewer points than the dense depth was made from"
        yield part, item["inputs"]
