"""Where `mtdc test` writes, and which weights a name stands for."""

import json
import shutil
from pathlib import Path

import pytest
from support import kitti_tree

from mtdc.commands import main
from mtdc.engine.checkpoint import save_weights
from mtdc.engine.config import load_config
from mtdc.model import build_model
from mtdc.zoo.index import find, package_folder

NAME = "unet_street"
#: For small frames, in this process.
SMALL = ("--cfg-options", "test_dataloader.num_workers=0", "test_dataloader.dataset.transforms=[]")


@pytest.fixture
def measured(tmp_path, monkeypatch):
    """Runs `mtdc test` in an empty folder on a small tree of KITTI's form; returns the result's values of each frame."""
    monkeypatch.delenv("MTDC_ZOO", raising=False)
    tree = kitti_tree(tmp_path / "kitti", "val", frames=2)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")

    def run(*arguments, result):
        words = ["test", *map(str, arguments), "--data-root", str(tree), "--split", "val", *SMALL]
        assert main(words) == 0
        return json.loads((tmp_path / "here" / result).read_text())["per_frame"]

    return run


def names(folder):
    return sorted(path.name for path in Path(folder).iterdir())


def zoo_files():
    return names(package_folder() / "weights")


def test_a_model_of_the_zoo_is_measured_with_its_weights_and_writes_where_a_run_does(measured, tmp_path, monkeypatch):
    before = zoo_files()
    by_name = measured(NAME, result=f"work_dirs/{NAME}/test/result.json")
    assert zoo_files() == before
    assert names(".") == ["work_dirs"] and len(by_name) == 2
    # The same weights as a file, which lies where nothing is to be written.
    (tmp_path / "cache").mkdir()
    weights = tmp_path / "cache" / "weights.safetensors"
    shutil.copy(package_folder() / "weights" / find(NAME).file, weights)
    shutil.rmtree("work_dirs")
    assert measured(NAME, weights, result=f"work_dirs/{NAME}/test/result.json") == by_name
    assert names(tmp_path / "cache") == ["weights.safetensors"]
    # A name of one's own for the log.
    measured(NAME, "--work-dir", "mine", result="mine/result.json")


def test_a_checkpoint_of_a_run_is_measured_in_the_runs_folder(measured, tmp_path):
    config = tmp_path / "small.py"
    config.write_text("_base_ = '{{$MTDC_CONFIGS:configs}}/aux_image_kitti.py'\nmodel = dict(width=2)\n")
    (tmp_path / "run").mkdir()
    save_weights(build_model(load_config(config).model), tmp_path / "run/epoch_1.pth")
    assert measured(config, tmp_path / "run/epoch_1.pth", result="../run/test/result.json")
    assert names(".") == []


def test_a_zoos_model_whose_config_is_elsewhere_is_one_line(tmp_path, monkeypatch, capsys):
    entry = json.loads((package_folder() / "index.json").read_text())
    (one,) = (value for value in entry["entries"] if value["name"] == NAME)
    (tmp_path / "zoo/weights").mkdir(parents=True)
    shutil.copy(package_folder() / "weights" / one["file"], tmp_path / "zoo/weights")
    index = {"version": entry["version"], "entries": [{**one, "name": "mine", "config": "of_its_author.py"}]}
    (tmp_path / "zoo/index.json").write_text(json.dumps(index))
    monkeypatch.setenv("MTDC_ZOO", str(tmp_path / "zoo"))
    monkeypatch.chdir(tmp_path)
    assert main(["test", "mine", "--data-root", "data"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "mine" in said and "'of_its_author.py'" in said and str(one["file"]) in said
    assert names(".") == ["zoo"]
