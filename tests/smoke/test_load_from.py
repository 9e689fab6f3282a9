"""Training on from weights that are there: a stripped file in a whole model, and scans of one's own without ground truth."""

import shutil

import cv2
import numpy as np
import pytest
import torch
from support import small_network

from mtdc.commands import main
from mtdc.engine.checkpoint import load_weights, read_checkpoint, save_weights, start_from
from mtdc.errors import DataError
from mtdc.model import build_model
from mtdc.zoo.index import find, package_folder

MODEL = {"type": "MultiTaskModel", "width": 2, "network": small_network(), "weighting": {"type": "FixedWeighting"}}


def model(seed, **changes):
    torch.manual_seed(seed)
    return build_model({**MODEL, **changes})


@pytest.fixture
def stripped(tmp_path):
    """The checkpoint of a model with an image task, cut down to depth."""
    save_weights(model(1).strip(("depth",)), tmp_path / "depth.pth")
    return tmp_path / "depth.pth"


def test_a_whole_model_takes_what_a_stripped_file_has_and_keeps_its_tasks(stripped):
    started, fresh = model(2), model(2).state_dict()
    begun = start_from(started, stripped)
    given = read_checkpoint(stripped)["state_dict"]
    assert started.keep is None and list(started.network.tasks) == ["depth", "image"] and started.weighting is not None
    for key, value in started.state_dict().items():
        assert torch.equal(value, fresh[key] if key in begun else given[key]), key
    assert any(".image." in key for key in begun) and not any(".tasks.depth." in key for key in begun)


def test_a_stripped_file_of_another_network_is_refused_and_nothing_taken(stripped):
    wider = model(2, width=3)
    before = {key: value.clone() for key, value in wider.state_dict().items()}
    with pytest.raises(DataError, match="made with another config"):
        start_from(wider, stripped)
    assert all(torch.equal(value, before[key]) for key, value in wider.state_dict().items())
    assert wider.keep is None


def test_a_whole_checkpoint_is_taken_whole(tmp_path):
    save_weights(model(1), tmp_path / "whole.pth")
    started, loaded = model(2), model(3)
    assert start_from(started, tmp_path / "whole.pth") == []
    load_weights(loaded, tmp_path / "whole.pth")
    assert all(torch.equal(value, loaded.state_dict()[key]) for key, value in started.state_dict().items())


def test_a_model_of_the_zoo_is_trained_further_on_scans_alone(tmp_path, monkeypatch, capsys):
    """As docs/howto/own_scans.md says; without a step nothing of the weights is another."""
    monkeypatch.chdir(tmp_path)
    entry = find("unet_street_lines")
    shutil.copy(package_folder() / "weights" / entry.file, "zoo.safetensors")
    rng = np.random.default_rng(0)
    for split in ("train", "test"):
        (tmp_path / "mine" / split / "depth").mkdir(parents=True)
        for name in "abcdef":
            depth = np.where(rng.random((272, 400)) < 0.05, rng.integers(1000, 9000, (272, 400)), 0).astype(np.uint16)
            cv2.imwrite(f"mine/{split}/depth/{name}.png", depth)
    words = ["train", "unet_own_scans", "--data-root", "mine", "--work-dir", "run", "--cfg-options"]
    options = ["train_dataloader.dataset.split=train", "load_from=zoo.safetensors", "train_cfg.max_iters=1"]
    options += ["model.precision=float32", "model.channels_last=False", "train_dataloader.batch_size=2"]
    assert main([*words, *options, "optim_wrapper.optimizer.lr=0.0", "optim_wrapper.optimizer.weight_decay=0.0"]) == 0, (
        capsys.readouterr().err
    )
    before = read_checkpoint(tmp_path / "zoo.safetensors")["state_dict"]
    after = read_checkpoint(tmp_path / "run/iter_1.pth")["state_dict"]
    learnt = [key for key in before if "running_" not in key and "num_batches" not in key]
    assert before.keys() == after.keys() and all(torch.equal(before[key], after[key]) for key in learnt)
    assert main([*words[:4], "--work-dir", "moved", "--cfg-options", *options]) == 0
    moved = read_checkpoint(tmp_path / "moved/iter_1.pth")["state_dict"]
    assert any(not torch.equal(before[key], moved[key]) for key in learnt)
    assert main(["test", "unet_own_scans", "run/iter_1.pth", "--data-root", "mine", "--split", "test"]) == 0
    assert main(["train", "unet_street_tiny", "--work-dir", "other", "--cfg-options", *options[1:2], "street=None"]) == 2
