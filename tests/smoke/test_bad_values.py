"""Values that mmengine or torch would meet in the middle of a run: refused in one line before it, which names the key."""

import re
from pathlib import Path

import pytest
from support import kitti_tree, small_run

from mtdc.commands import main

#: What nobody who wrote a config should have to read.
PYTHON = re.compile(r"Traceback|'(int|float|str|NoneType)'|<class|not supported|__init__|\w+Error")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return kitti_tree(tmp_path_factory.mktemp("kitti"), "train", frames=4)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("param_scheduler.0.step_size=0", "param_scheduler[0].step_size=0"),
        ("param_scheduler.0.step_size=x", "param_scheduler[0].step_size must be a whole number, not 'x'"),
        ("param_scheduler.0.gamma=x", "param_scheduler[0].gamma must be a number, such as 0.1, not 'x'"),
        ("param_scheduler.0.gamma=-1 param_scheduler.0.step_size=1", "param_scheduler[0].gamma=-1"),
        ("param_scheduler.0.begin=5 param_scheduler.0.end=3", "param_scheduler[0].begin=5 must be before end=3"),
        ("param_scheduler.0.begin=50", "begin=50 must be before the end of training, which has 1 epochs"),
        ("param_scheduler.0.by_epoch=False param_scheduler.0.begin=50", "the end of training, which has 2 iterations"),
        ("param_scheduler.0.type=ReduceOnPlateauLR", "unexpected key 'step_size'"),
        ("optim_wrapper.optimizer.lr=abc", "optim_wrapper.optimizer.lr must be a number, such as 0.001, not 'abc'"),
        ("optim_wrapper.optimizer.lr=-1", "optim_wrapper.optimizer.lr=-1"),
        ("optim_wrapper.optimizer.betas=3", "optim_wrapper.optimizer.betas must be 2 numbers, such as (0.9, 0.999)"),
        ("optim_wrapper.optimizer.betas=(0.9,2)", "optim_wrapper.optimizer.betas=(0.9, 2)"),
        ("optim_wrapper.optimizer=3", "optim_wrapper.optimizer must be a dict"),
        ("optim_wrapper.paramwise_cfg=3", "optim_wrapper.paramwise_cfg must be None or a dict"),
        ("optim_wrapper.paramwise_cfg.custom_keys=3", "paramwise_cfg={'custom_keys': 3}"),
        ("optim_wrapper.clip_grad.max_norm=1 optim_wrapper.clip_grad.norm_type=x", "optim_wrapper.clip_grad.norm_type='x'"),
        ("optim_wrapper.clip_grad.max_norm=1 optim_wrapper.clip_grad.foreach=x", "clip_grad.foreach must be True or False"),
        ("compile.backend=aot_eager compile.dynamic=x", "compile.dynamic must be True or False"),
        ("compile.mode=foo", "compile.mode='foo' is no value that compile can use: Unrecognized mode=foo"),
        ("compile.options=3", "compile.options must be a dict"),
        ("train_cfg.dynamic_intervals=5", "train_cfg.dynamic_intervals must be a list of"),
        ("train_cfg.by_epoch=x", "train_cfg.by_epoch must be True or False, not 'x'"),
        ("train_cfg.type=Foo", "train_cfg.type='Foo' is not a known training loop"),
        ("train_cfg.type=3", "train_cfg must be a dict with a 'type'"),
        ("train_dataloader.drop_last=x", "train_dataloader.drop_last must be True or False, not 'x'"),
        ("train_dataloader.persistent_workers=x", "train_dataloader.persistent_workers must be True or False, not 'x'"),
        ("train_dataloader.sampler.shuffle=x", "train_dataloader.sampler.shuffle must be True or False, not 'x'"),
        ("train_dataloader.sampler.seed=x", "train_dataloader.sampler.seed must be a whole number or None, not 'x'"),
        ("custom_hooks.0.history=x", "custom_hooks[0].history must be a whole number, such as 1000, not 'x'"),
        ("custom_hooks.2.frames=x", "custom_hooks[2].frames must be a whole number, such as 4, not 'x'"),
        ("custom_hooks.0.type=foo.Bar", "custom_hooks[0].type='foo.Bar' is not known"),
        ("custom_hooks.0=3", "--cfg-options custom_hooks.0=3: a part can't be replaced by a value"),
        ("default_hooks.logger.ignore_last=x", "default_hooks.logger.ignore_last must be True or False, not 'x'"),
        ("default_hooks.checkpoint.save_best=3", "default_hooks.checkpoint.save_best must be a word or a list of words"),
        ("default_hooks.checkpoint.by_epoch=x", "default_hooks.checkpoint.by_epoch must be True or False"),
        ("default_hooks.checkpoint.save_optimizer=x", "default_hooks.checkpoint.save_optimizer must be True or False"),
        ("train_dataloader.timeout=-1", "train_dataloader.timeout=-1 is no value that DataLoader can use"),
        ("train_dataloader.prefetch_factor=0", "train_dataloader.prefetch_factor must be a whole number from 1 on, not 0"),
        ("randomness.deterministic=x", "randomness.deterministic must be True or False, not 'x'"),
        ("load_from=3", "load_from must be the path of a checkpoint or None, not 3"),
        ("load_from=nowhere.pth", "nowhere.pth: no such checkpoint file"),
        ("log_processor.window_size=x", "log_processor.window_size must be a whole number from 1 on, not 'x'"),
        ("log_processor.windowsize=5", "unexpected key 'windowsize'. Did you mean 'window_size'"),
        ("env_cfg.cudnn_benchmark=x", "env_cfg.cudnn_benchmark must be True or False, not 'x'"),
        ("visualizer.type=Visualizer visualizer.vis_backends=3", "visualizer.vis_backends must be a list, not 3"),
        ("log_procesor.window_size=5", "the config has no 'log_procesor'"),
        ("model.type=3", "model.type='3' is not a known model"),
        ("model.precision=3", "model.precision='3' is not known"),
        ("model.network.tasks.depth.losses.l2.weight=x", "model.network.tasks.depth.losses.l2.weight must be a number"),
        ("model.network.tasks.depth.range_m=3", "model.network.tasks.depth.range_m must be a list of numbers or None"),
        ("model.network.encoder.kernels=(3,x)", "model.network.encoder.kernels must be a list of whole numbers"),
        ("model.weighting.weights=3", "model.weighting.weights must be a dict of numbers"),
        ("train_dataloader.dataset.transforms.0.height=x", "train_dataloader.dataset.transforms[0].height must be a whole"),
        ("train_dataloader.dataset.cameras=3", "train_dataloader.dataset.cameras must be a list of whole numbers"),
    ],
)  # fmt: skip
def test_a_value_that_would_fail_later(data, tmp_path, monkeypatch, capfd, options, said):
    monkeypatch.chdir(tmp_path)
    changes = {"train_cfg.max_epochs": 1, "val_dataloader": None, "model.precision": "float32", "model.channels_last": False}
    words = [word for word in small_run(**changes) if not word.startswith("val_dataloader.")]
    assert main(["train", "aux_image_kitti", "--data-root", str(data), "--work-dir", "run", *words, *options.split()]) == 2
    error = capfd.readouterr().err
    (line,) = [line for line in error.splitlines() if line.strip()]
    assert said in line
    assert not PYTHON.search(line.removeprefix("mtdc train: "))
    assert not Path("run").exists()


def test_keys_that_no_shipped_config_has(data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    given = ["train_dataloader.pin_memory=False", "train_dataloader.timeout=0", "randomness.deterministic=False"]
    given += ["log_processor.window_size=5", "env_cfg.cudnn_benchmark=False"]
    changes = {"train_cfg.max_epochs": 1, "val_dataloader": None, "model.precision": "float32", "model.channels_last": False}
    words = [word for word in small_run(**changes) if not word.startswith("val_dataloader.")]
    assert main(["train", "aux_image_kitti", "--data-root", str(data), "--work-dir", "run", *words, *given]) == 0
    written = Path("run/aux_image_kitti.py").read_text()
    assert "window_size=5" in written and "cudnn_benchmark=False" in written


def test_a_name_that_nothing_measures(data, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    kitti_tree(tmp_path / "both", "train", frames=2)
    kitti_tree(tmp_path / "both", "val", frames=2, drive=2)
    for option, said in (
        ("default_hooks.checkpoint.save_best=rmes", "save_best='rmes' is not measured. Did you mean 'rmse'"),
        ("param_scheduler=[] default_hooks.checkpoint.save_best=rmse default_hooks.checkpoint.rule=x", "rule='x'"),
    ):  # fmt: skip
        words = [*small_run(**{"train_cfg.max_epochs": 1}), *option.split()]
        assert main(["train", "aux_image_kitti", "--data-root", "both", "--work-dir", "run", *words]) == 2
        assert said in capfd.readouterr().err
