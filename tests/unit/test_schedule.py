"""Weights that change with training: values by hand, and that a run tells every part how far it is."""

import math
import shutil
import textwrap
from types import SimpleNamespace

import pytest
import torch
from support import kitti_tree, small_network, small_run

from mtdc import ConfigError, Loss
from mtdc.commands import main
from mtdc.engine.progress import ProgressHook
from mtdc.layers.schedule import Schedule, build_schedule
from mtdc.model import build_model
from mtdc.registry import LOSSES, build


@pytest.mark.parametrize(
    ("cfg", "expected"),
    [
        ({}, {0: 0, 0.25: 0.25, 0.5: 0.5, 1: 1}),
        ({"start": 2.0, "end": -2.0}, {0: 2, 0.25: 1, 0.5: 0, 1: -2}),
        ({"begin": 0.2, "until": 0.6, "start": 1, "end": 3}, {0: 1, 0.2: 1, 0.3: 1.5, 0.6: 3, 0.9: 3}),
        ({"shape": "cosine"}, {0: 0, 1 / 3: 0.25, 0.5: 0.5, 2 / 3: 0.75, 1: 1}),
        ({"shape": "cosine", "start": 1.0, "end": 0.0, "until": 0.5}, {0: 1, 0.125: (1 + math.sqrt(0.5)) / 2, 0.5: 0, 0.7: 0}),
        ({"shape": "step", "begin": 0.5, "start": 1.0, "end": 0.1}, {0: 1, 0.499: 1, 0.5: 0.1, 1: 0.1}),
        ({"shape": "step", "start": 1.0, "end": 0.1}, {0: 0.1, 1: 0.1}),
        ({"shape": "step", "begin": 1.0}, {0: 0, 0.99: 0, 1: 1}),
    ],
)
def test_values_by_hand(cfg, expected):
    schedule = build_schedule(cfg)
    for progress, value in expected.items():
        assert schedule(progress) == pytest.approx(value, abs=1e-12), progress


@pytest.mark.parametrize(
    ("cfg", "words"),
    [
        ({"shape": "cosin"}, "Did you mean 'cosine'"),
        ({"stop": 1.0}, "unexpected key 'stop'"),
        ({"start": "1"}, "schedule.start must be a finite number, not '1'"),
        ({"end": math.inf}, "schedule.end"),
        ({"begin": 0.6, "until": 0.5}, "begin=0.6, until=0.5"),
        ({"begin": 0.5, "until": 0.5}, "begin=0.5, until=0.5"),
        ({"until": 20}, "shares of training"),
        ({"shape": "step", "begin": -0.1}, "begin=-0.1"),
        ({"shape": "step", "until": 0.5}, "a step has none"),
        (0.5, "schedule must be"),
    ],
)
def test_what_a_config_gets_wrong_is_said_with_its_place(cfg, words):
    with pytest.raises(ConfigError, match=r"losses\.l1[ .]") as error:
        build(LOSSES, {"type": "L1", "schedule": cfg}, "losses.l1")
    assert words in str(error.value)


def test_a_loss_follows_its_schedule_and_keeps_its_weight():
    loss = build(LOSSES, {"type": "L1", "weight": 4.0, "schedule": {"start": 0.5, "end": 1.0}}, "loss")
    factors = []
    for progress in (0.0, 0.5, 1.0):
        loss.set_progress(progress)
        factors.append(loss.factor)
    assert factors == [2.0, 3.0, 4.0]
    assert not loss.state_dict(), "a schedule has no state: a resume computes it from the step"
    plain = build(LOSSES, {"type": "L1", "weight": 4.0}, "loss")
    plain.set_progress(0.5)
    assert plain.factor == 4.0


def test_a_schedule_object_is_taken_as_it_is():
    schedule = Schedule()
    assert build_schedule(schedule) is schedule
    assert build_schedule(None) is None


def test_the_model_tells_every_part_that_listens():
    depth = {"type": "DepthTask", "losses": {"l1": {"type": "L1"}, "l2": {"type": "L2"}}}
    model = build_model({"width": 1, "network": small_network(tasks={"depth": depth})})
    assert model.progress == 0
    model.set_progress(0.75)
    losses = [module for module in model.modules() if isinstance(module, Loss)]
    assert len(losses) == 2
    assert [loss.progress for loss in losses] == [0.75, 0.75]
    assert model.progress == 0.75


CONFIG = """
    _base_ = '{{$MTDC_CONFIGS:configs}}/aux_image_kitti.py'
    model = dict(network=dict(tasks=dict(image=dict(losses=dict(l2=dict(
        weight=2.0, schedule=dict(start=1.0, end=0.0)))))))
    baselines = None
    ema = dict(momentum=0.1)
    optim_wrapper = dict(accumulative_counts=3)
    custom_hooks = [dict(type='spy_of_test_schedule.Spy', file=None)]
    default_hooks = dict(checkpoint=dict(by_epoch=False, interval=1, max_keep_ckpts=-1))
"""


@pytest.mark.parametrize("wrap", [lambda model: model, torch.nn.DataParallel])
def test_the_hook_finds_the_model_in_its_wrapper(wrap):
    model = build_model({"width": 1, "network": small_network()})
    runner = SimpleNamespace(model=wrap(model), iter=3, max_iters=12)
    ProgressHook().before_train_iter(runner, batch_idx=0)
    assert model.progress == 0.25


def test_a_run_tells_how_far_it_is_and_a_resumed_one_too(tmp_path):
    """Six steps: the weight of the image's loss falls by a sixth of 2 a step; a run resumed after step 4 ends the same.

    With averaged weights, and in the middle of a window of accumulated gradients.
    """
    kitti_tree(tmp_path / "data", "train", frames=6)
    kitti_tree(tmp_path / "data", "val", frames=1, drive=2)
    (tmp_path / "scheduled.py").write_text(textwrap.dedent(CONFIG))
    spy = """
        from mmengine.hooks import Hook


        class Spy(Hook):
            def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
                model = runner.model
                factor = model.network.tasks["image"].losses["l2"].factor
                with open(self.file, "a") as file:
                    file.write(f"{runner.iter} {model.progress} {factor}\\n")

            def __init__(self, file):
                self.file = file
    """
    (tmp_path / "spy_of_test_schedule.py").write_text(textwrap.dedent(spy))

    def train(folder, *more):
        arguments = ["train", str(tmp_path / "scheduled.py"), "--data-root", str(tmp_path / "data")]
        options = small_run(**{"custom_hooks.0.file": tmp_path / f"{folder}.txt"})
        assert main([*arguments, "--work-dir", str(tmp_path / folder), *more, *options]) == 0

    def told(folder):
        return [[float(word) for word in line.split()] for line in (tmp_path / f"{folder}.txt").read_text().splitlines()]

    train("whole")
    assert told("whole") == [[i, pytest.approx(i / 6), pytest.approx(2 - 2 * i / 6)] for i in range(6)]
    (tmp_path / "parts").mkdir()
    shutil.copy(tmp_path / "whole" / "iter_4.pth", tmp_path / "parts")
    (tmp_path / "parts" / "last_checkpoint").write_text(str(tmp_path / "parts" / "iter_4.pth"))
    train("parts", "--resume")
    assert told("parts") == told("whole")[4:]
    final = [torch.load(tmp_path / run / "iter_6.pth", weights_only=False)["state_dict"] for run in ("whole", "parts")]
    assert all(torch.equal(final[0][key], final[1][key]) for key in final[0])
