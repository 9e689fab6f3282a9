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
from mtdc.zoo.weights import load_model_config

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

    def run(*arguments, result, options=()):
        words = ["test", *map(str, arguments), "--data-root", str(tree), "--split", "val", *SMALL, *options]
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
    # The config leaves precision and layout to the machine that trains.
    described = load_model_config(weights)
    options = [f"model.{key}={described[key]}" for key in ("precision", "channels_last")]
    assert measured(NAME, weights, result=f"work_dirs/{NAME}/test/result.json", options=options) == by_name
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


def zoo_of(folder, monkeypatch, name=NAME, **changes):
    """A zoo of one's own, named by MTDC_ZOO, with a model of the package's as 'mine'; returns the weights file's name."""
    content = json.loads((package_folder() / "index.json").read_text())
    (entry,) = (value for value in content["entries"] if value["name"] == name)
    (folder / "weights").mkdir(parents=True)
    shutil.copy(package_folder() / "weights" / entry["file"], folder / "weights")
    content["entries"] = [{**entry, "name": "mine", **changes}]
    (folder / "index.json").write_text(json.dumps(content))
    monkeypatch.setenv("MTDC_ZOO", str(folder))
    return entry["file"]


def test_a_weights_file_alone_is_told_the_config_that_it_needs(capsys):
    weights = package_folder() / "weights" / find("b_street").file
    assert main(["test", str(weights), "--data-root", "nowhere"]) == 2
    told = capsys.readouterr().err
    assert f"as in `mtdc test ablation/b_street_wide {weights}`" in told and told.count("\n") == 1


def test_a_zoos_model_whose_config_is_elsewhere_is_one_line(tmp_path, monkeypatch, capsys):
    file = zoo_of(tmp_path / "zoo", monkeypatch, config="of_its_author.py")
    monkeypatch.chdir(tmp_path)
    assert main(["test", "mine", "--data-root", "data"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "mine" in said and "'of_its_author.py'" in said and file in said
    assert names(".") == ["zoo"]


@pytest.mark.parametrize("form", ["{}", "{}/theirs.py", "theirs.py", "theirs", "../configs/unet_street"])
def test_no_config_runs_that_an_index_names_and_that_is_not_shipped(form, tmp_path, monkeypatch, capsys):
    """A config is a program, and an index from elsewhere is data."""
    (tmp_path / "theirs.py").write_text(f"import pathlib\npathlib.Path({str(tmp_path / 'ran')!r}).touch()\nmodel = dict()\n")
    zoo_of(tmp_path / "zoo", monkeypatch, config=form.format(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert main(["test", "mine", "--data-root", "data"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "which is not shipped; name a config that it fits: mtdc test CONFIG" in said
    assert names(".") == ["theirs.py", "zoo"]


def test_a_file_of_the_shipped_configs_name_is_not_taken_for_it(measured):
    Path(NAME).write_text("not a config")
    assert measured(NAME, result=f"work_dirs/{NAME}/test/result.json")


def test_the_network_is_the_one_that_the_weights_file_describes(measured, tmp_path, monkeypatch, capsys):
    """Whatever became of the config since, or whichever an index names; options change data and measuring alone."""
    tiny = measured("unet_street_tiny", result="work_dirs/unet_street_tiny/test/result.json")
    file = zoo_of(tmp_path / "zoo", monkeypatch, "unet_street_tiny", config=NAME)
    assert measured("mine", result="work_dirs/mine/test/result.json") == tiny
    protocol = json.loads(Path("work_dirs/mine/test/result.json").read_text())["protocol"]
    assert (protocol["config"], protocol["checkpoint"]) == (f"{NAME}.py", file)
    assert main(["test", "mine", "--data-root", "data", "--cfg-options", "model.width=8"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "--cfg-options model.width" in said
    assert f"mtdc test {NAME} {tmp_path / 'zoo/weights' / file} --cfg-options model.width=8" in said
