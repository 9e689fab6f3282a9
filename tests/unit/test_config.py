"""Configs: found, changed and checked; every shipped one builds."""

import pytest
import torch
from mmengine.logging import MMLogger
from support import sparse_map

from mtdc import ConfigError
from mtdc.engine.config import config_hash, load_config, set_data_root, shipped_configs
from mtdc.model import build_model

REFERENCE = "aux_image_kitti"


@pytest.mark.parametrize("name", shipped_configs())
def test_every_shipped_config_builds_and_runs(name):
    cfg = load_config(name)
    cfg.model.width = 2
    model = build_model(cfg.model).eval()
    inputs = {"sparse_depth": sparse_map(21, 35)}
    if "image" in model.network.needs:
        inputs["image"] = 255 * torch.rand(2, 3, 21, 35)
    with torch.no_grad():
        assert model(inputs)["depth"].shape == (2, 1, 21, 35)


@pytest.mark.parametrize("name", shipped_configs())
def test_every_shipped_config_opens_with_what_it_is(name, repository):
    lines = (repository / "configs" / f"{name}.py").read_text().splitlines()
    comment = " ".join(line for line in lines[:5] if line.startswith("#"))
    assert len(comment) > 40
    if not name.startswith("classical/"):
        assert "not trained" in comment or "RMSE" in comment
    assert len(lines) <= 45, "a leaf is one screen"


def test_reference_is_the_papers_setup():
    cfg = load_config(REFERENCE)
    assert cfg.train_dataloader.batch_size == 16
    assert cfg.optim_wrapper.optimizer == {"type": "Adam", "lr": 1e-3}
    assert cfg.param_scheduler == [{"type": "StepLR", "by_epoch": True, "step_size": 5, "gamma": 0.5}]
    assert cfg.model.weighting.weights == {"depth": 1.0, "image": 1e-4}
    crop = cfg.train_dataloader.dataset.transforms[0]
    assert (crop["type"], crop["height"], crop["width"]) == ("BottomCrop", 352, 1216)


def parameters(name):
    model = build_model(load_config(name).model)
    return model, sum(p.numel() for p in model.parameters() if p.ndim == 4)


def test_wide_baseline_is_as_large_as_the_stripped_reference():
    reference, _ = parameters(REFERENCE)
    reference.strip()
    left = sum(p.numel() for p in reference.parameters() if p.ndim == 4)
    _, wide = parameters("ablation/b_wide_kitti")
    assert abs(wide / left - 1) < 0.02


def test_variants_differ_from_the_reference_only_where_they_say():
    def difference(name):
        a, b = (_flat(load_config(n).model.to_dict()) for n in (REFERENCE, name))
        return {key for key in a.keys() | b.keys() if a.get(key) != b.get(key)}

    assert difference("ablation/bis_no_image_loss_kitti") == {"weighting.weights.image"}
    assert difference("ablation/bi_kitti") == {"network.sharing.type"}
    assert all(key.startswith(("network.sharing", "network.tasks.image")) for key in difference("ablation/b_kitti"))
    assert all(key.startswith("network.tasks.depth.losses") for key in difference("ablation/bis_l1_kitti"))
    assert difference("inputs/depth_mask_kitti") == {"network.representation.type"}


def _flat(value, prefix=""):
    if isinstance(value, dict):
        return {k: v for key, item in value.items() for k, v in _flat(item, f"{prefix}{key}.").items()}
    return {prefix.rstrip("."): value}


def test_options_change_values_and_misspelt_ones_are_named():
    cfg = load_config(REFERENCE, {"model.width": 4, "train_dataloader.dataset.split": "val", "param_scheduler.0.gamma": 0.1})
    assert cfg.model.width == 4
    assert cfg.train_dataloader.dataset.split == "val"
    assert cfg.param_scheduler[0].gamma == 0.1
    with pytest.raises(ConfigError, match="has no 'modle'. Did you mean 'model'"):
        load_config(REFERENCE, {"modle.width": 4})
    with pytest.raises(ConfigError, match="has no 'train_dataloader.batchsize'. Did you mean 'batch_size'"):
        load_config(REFERENCE, {"train_dataloader.batchsize": 4})
    with pytest.raises(ConfigError, match="is a value and has no keys"):
        load_config(REFERENCE, {"model.width.x": 4})


def test_a_parts_own_key_may_be_new_and_is_checked_when_built():
    cfg = load_config(REFERENCE, {"model.network.encoder.kernel": 4})
    with pytest.raises(ConfigError, match="unexpected key 'kernel'. Did you mean 'kernels'"):
        build_model(cfg.model)


def test_unknown_config_is_named_with_the_nearest(tmp_path):
    with pytest.raises(ConfigError, match="no such config file.*Did you mean 'aux_image_kitti'"):
        load_config("aux_image_kiti")
    broken = tmp_path / "broken.py"
    broken.write_text("model = dict(width=16\n")
    with pytest.raises(ConfigError, match="broken.py: SyntaxError"):
        load_config(broken)
    broken.write_text("import a_package_that_is_not_there\n")
    with pytest.raises(ConfigError, match="a_package_that_is_not_there"):
        load_config(broken)


def test_a_config_of_ones_own_inherits_a_shipped_one(tmp_path):
    own = tmp_path / "own.py"
    own.write_text("_base_ = '{{$MTDC_CONFIGS:configs}}/aux_image_kitti.py'\nmodel = dict(width=2)\n")
    cfg = load_config(own)
    assert cfg.model.width == 2
    assert cfg.model.network.type == "MultiTaskNetwork"


def test_a_config_of_ones_own_switches_on_what_is_off(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text("_base_ = '{{$MTDC_CONFIGS:configs}}/aux_image_kitti.py'\nema = dict(momentum=0.01)\n")
    cfg = load_config(file)
    assert cfg.ema == {"momentum": 0.01} and cfg.compile is None and load_config("aux_image_kitti").ema is None


def test_data_root_reaches_every_data_set():
    cfg = load_config(REFERENCE)
    set_data_root(cfg, "elsewhere")
    assert {cfg[f"{part}_dataloader"].dataset.data_root for part in ("train", "val", "test")} == {"elsewhere"}


def test_hash_is_of_what_a_config_says():
    assert config_hash(load_config(REFERENCE)) == config_hash(load_config(REFERENCE))
    assert config_hash(load_config(REFERENCE)) != config_hash(load_config(REFERENCE, {"model.width": 4}))


def test_a_config_of_ones_own_is_read_in_silence(tmp_path, capsys):
    """Its shipped parent is found by an environment variable, which is nobody's news."""
    file = tmp_path / "mine.py"
    file.write_text("_base_ = '{{$MTDC_CONFIGS:configs}}/aux_image_kitti.py'\n")
    logger = MMLogger.get_instance("heard", log_level="INFO")
    heard: list[str] = []
    logger.handlers[0].emit = lambda record: heard.append(record.getMessage())
    try:
        logger.info("before")  # a logger that has spoken remembers that it may
        load_config(file)
        with pytest.raises(ConfigError):
            load_config(tmp_path / "none.py")
        logger.info("after")
    finally:
        MMLogger._instance_dict.pop("heard")
    told = capsys.readouterr()
    assert not told.out and not told.err
    assert heard == ["before", "after"]
