"""A training with every kind of depth loss at once: a schedule, a photo that no task predicts, a deviation, a pyramid."""

import json
import shutil
import textwrap

import numpy as np
import pytest
from support import kitti_tree, small_run

from mtdc.commands import main

CONFIG = """
    _base_ = '{{$MTDC_CONFIGS:configs}}/aux_image_kitti.py'
    baselines = None
    model = dict(network=dict(tasks=dict(
        image=None,
        depth=dict(output='inverse', uncertainty='laplace', losses=dict(
            l2=None,
            nll=dict(type='LaplaceNLL'),
            smooth=dict(type='EdgeAwareSmoothness', weight=0.1, schedule=dict(shape='step', begin=0.5, start=1.0, end=0.0)),
            pyramid=dict(type='MultiScale', loss=dict(type='InverseL1'), weight=0.5))))))
"""


def test_trains_and_is_evaluated(tmp_path):
    kitti_tree(tmp_path / "data", "train", frames=4)
    kitti_tree(tmp_path / "data", "val", frames=2, drive=2)
    (tmp_path / "losses.py").write_text(textwrap.dedent(CONFIG))
    arguments = [
        "train",
        str(tmp_path / "losses.py"),
        "--data-root",
        str(tmp_path / "data"),
        "--work-dir",
        str(tmp_path / "run"),
    ]
    assert main([*arguments, *small_run(**{"train_cfg.max_epochs": 2})]) == 0
    (log,) = (tmp_path / "run").glob("*/vis_data/scalars.json")
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    steps = [line for line in lines if "depth/nll" in line]
    assert len(steps) == 4
    assert all(np.isfinite(list(step.values())).all() for step in steps)
    smooth = [step["depth/smooth"] for step in steps]
    assert min(smooth[:2]) > 0, "the photo is loaded though no task predicts it"
    assert smooth[2:] == [0, 0], "the schedule ends it after half of the training"
    sums = [step["depth/nll"] + step["depth/smooth"] + step["depth/pyramid"] for step in steps]
    # mmengine logs the mean of the last steps' losses.
    assert [step["loss"] for step in steps] == pytest.approx(np.cumsum(sums) / range(1, 5), rel=1e-4)
    assert json.loads((tmp_path / "run" / "result.json").read_text())["frames"] == 2


def test_a_loss_that_reads_photos_is_refused_where_there_are_none(tmp_path, capsys):
    """It would be 0 throughout, and nobody would know."""
    kitti_tree(tmp_path / "data", "train", frames=2)
    for folder in (tmp_path / "data").rglob("image_02/data"):
        shutil.rmtree(folder)
    (tmp_path / "losses.py").write_text(textwrap.dedent(CONFIG))
    arguments = [
        "train",
        str(tmp_path / "losses.py"),
        "--data-root",
        str(tmp_path / "data"),
        "--work-dir",
        str(tmp_path / "run"),
    ]
    assert main([*arguments, *small_run()]) == 2
    said = capsys.readouterr().err
    assert "no training frame has 'gt_image', which the loss 'smooth' of task 'depth' reads" in said
    assert "model.network.tasks.depth.losses.smooth=None" in said
    assert not (tmp_path / "run").exists()
