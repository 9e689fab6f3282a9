"""The command that a model's entry names trains what was trained."""

import json

import pytest

from mtdc.engine.config import load_config, settings
from mtdc.errors import ConfigError
from mtdc.zoo.repeating import config_name, config_of, repeating_command

CHANGES = {
    "model.width": 5,
    "model.precision": "bfloat16",
    "model.network.tasks.depth.losses.l2": None,
    "model.network.tasks.depth.uncertainty": "laplace",
    "train_dataloader.dataset.transforms.1.probability": 0.25,
    "street.scan_share": 0.3,
    "street.processes": 7,
    "randomness.seed": 2,
    "optim_wrapper.optimizer.lr": 1e-4,
}


@pytest.fixture
def written(tmp_path):
    """A config as a run leaves it in its work folder."""

    def write(name, options):
        cfg = load_config(name, options)
        path = tmp_path / f"{name.rpartition('/')[2]}.py"
        cfg.dump(path)
        return load_config(path)

    return write


def test_what_a_run_changed_is_in_its_command(written):
    """Loading the command's config gives the run's settings again, but for what "auto" chooses anew."""
    cfg = written("unet_street_scans", CHANGES)
    command = repeating_command(cfg)
    assert command.startswith("mtdc train unet_street_scans --cfg-options ") and "processes" not in command
    assert "precision" not in command  # the shipped config says auto, which chooses by the machine
    again = config_of(command)
    assert again.model.precision == "auto" and again.street.scan_share == 0.3
    again.model.precision = "bfloat16"
    assert settings(again) == settings(cfg)


def test_a_run_without_changes_and_one_of_ones_own_config(written, tmp_path):
    cfg = written("fusion/early_street", {})
    assert config_name(cfg) == "fusion/early_street" and repeating_command(cfg) == "mtdc train fusion/early_street"
    assert repeating_command(written("aux_image_nyuv2", {})) == "mtdc train aux_image_nyuv2 --data-root DATA"
    (tmp_path / "my own.py").write_text(f"_base_ = {str(tmp_path / 'early_street.py')!r}\n")
    assert repeating_command(load_config(tmp_path / "my own.py")) == "mtdc train 'my own.py'"


def test_a_command_that_trains_something_else_is_refused(written):
    cfg = written("unet_street_scans", CHANGES)
    command = repeating_command(cfg)
    assert repeating_command(cfg, f"python tools/fetch.py && {command}") == f"python tools/fetch.py && {command}"
    assert repeating_command(cfg, command.replace("mtdc train", "python tools/train.py"))
    wrong = {
        command.replace("randomness.seed=2", "randomness.seed=3"): "randomness.seed would be 3 and was 2",
        command.replace("street.scan_share=0.3", "street.seed=0"): "street.scan_share would be 0.4 and was 0.3",
        "mtdc train unet_street_scans": "model.width would be 16 and was 5",
        "python train_it.py": "trains nothing; expected mtdc train",
        "mtdc train": "required: config",
        "mtdc train unet_stret": "Did you mean 'unet_street'",
        "mtdc train 'unet": "is no command",
        command.replace("model.width", "model.wdth"): "model.width would be 16 and was 5",
        "mtdc train unet_street_scans --cfg-options street.sed=1": "no 'street.sed'",
    }
    for given, words in wrong.items():
        with pytest.raises(ConfigError) as caught:
            repeating_command(cfg, given)
        assert words in str(caught.value), caught.value


def test_a_config_that_no_options_lead_to_asks_for_the_command(written, tmp_path):
    cfg = written("unet_street", {})
    content = (tmp_path / "unet_street.py").read_text()
    last = "dict(\n                probability=0.3,"
    assert json.dumps(content).count("RandomPointDropout") >= 1 and last in content
    changed = content.replace(last, f"dict(type='RandomFlip'),\n            {last}", 1)
    (tmp_path / "unet_street.py").write_text(changed)
    cfg = load_config(tmp_path / "unet_street.py")
    assert len(cfg.train_dataloader.dataset.transforms) == 5
    with pytest.raises(ConfigError, match="Say --command"):
        repeating_command(cfg)
