"""Hooks of a run: random numbers that a resume repeats, and panels as files and in TensorBoard."""

import itertools
import json
import sys
import textwrap
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from support import DRIVE, TREE_CROP, TREE_SIZE, kitti_tree, small_run

from mtdc.commands import main
from mtdc.data.io import read_image
from mtdc.engine.checkpoint import read_checkpoint
from mtdc.engine.hooks import IterationSeedHook, _other_tiles
from mtdc.structures import DEPTH, DEPTH_CONFIDENCE, GRAY_IMAGE, DepthSample
from mtdc.visualization.fields import colorize_deviation
from mtdc.visualization.panel import sheet_grid


def drawn(seed, iteration, rank, batch_idx=0, data_batch=None, before=0):
    """What torch draws after the hook, with another state of its generator before."""
    torch.manual_seed(before)
    torch.rand(before)
    runner = SimpleNamespace(seed=seed, iter=iteration, rank=rank)
    IterationSeedHook().before_train_iter(runner, batch_idx=batch_idx, data_batch=data_batch)
    return tuple(torch.rand(4).tolist())


def test_numbers_of_a_step_depend_on_seed_iteration_and_rank():
    triples = list(itertools.product((0, 1, 2, 10), repeat=3))
    numbers = {triple: drawn(*triple) for triple in triples}
    assert len(set(numbers.values())) == len(triples)
    assert len({values[0] for values in numbers.values()}) == len(triples)


def test_numbers_of_a_step_depend_on_nothing_else():
    """Not on what was drawn before, nor on the place in the epoch, nor on the frames."""
    expected = drawn(3, 7, 1)
    others = [
        drawn(3, 7, 1, before=5),
        drawn(3, 7, 1, batch_idx=4),
        drawn(3, 7, 1, data_batch={"inputs": torch.ones(2)}),
    ]
    assert others == [expected] * 3


DROPOUT = """
    import torch

    from mtdc import InputRepresentation
    from mtdc.contracts import Prepared


    class DroppedDepth(InputRepresentation):
        unit = "metres"

        def __init__(self, probability=0.5):
            super().__init__()
            self.layout = {"sparse_depth": 1}
            self.probability = probability

        def forward(self, inputs):
            x = torch.nn.functional.dropout(inputs["sparse_depth"], self.probability, self.training)
            return Prepared(x, self.layout, None)
"""
CONFIG = """
    _base_ = '{{$MTDC_CONFIGS:configs}}/aux_image_kitti.py'
    model = dict(network=dict(representation=dict(type='dropped_depth_of_test_hooks.DroppedDepth')))
    baselines = None
    custom_hooks = [dict(type='PlainCheckpointHook'), dict(type='IterationSeedHook')]
"""


def test_a_resumed_training_with_dropout_is_the_uninterrupted_one_to_the_last_bit(tmp_path):
    (tmp_path / "dropped_depth_of_test_hooks.py").write_text(textwrap.dedent(DROPOUT))
    config = tmp_path / "dropout_kitti.py"
    config.write_text(textwrap.dedent(CONFIG))
    kitti_tree(tmp_path / "data", "train", frames=4)
    kitti_tree(tmp_path / "data", "val", frames=1, drive=2)

    def train(folder, epochs, *more, **options):
        arguments = ["train", str(config), "--data-root", str(tmp_path / "data"), "--work-dir", str(tmp_path / folder), *more]
        assert main([*arguments, *small_run(**{"train_cfg.max_epochs": epochs, **options})]) == 0

    def weights(folder, epoch):
        return read_checkpoint(tmp_path / folder / f"epoch_{epoch}.pth")["state_dict"]

    train("whole", 2)
    train("parts", 1)
    train("parts", 2, "--resume")
    whole, parts = weights("whole", 2), weights("parts", 2)
    assert all(torch.equal(whole[key], parts[key]) for key in whole)
    train("dry", 1, **{"model.network.representation.probability": 0.0})
    dry, wet = weights("dry", 1), weights("whole", 1)
    assert any(not torch.equal(dry[key], wet[key]) for key in dry), "dropout must matter here"


def trained_with_panels(folder):
    """Two epochs with a validation after each; the run's folder and its panels, as ``{(epoch, sample): path}``."""
    kitti_tree(folder / "data", "train", frames=2)
    kitti_tree(folder / "data", "val", frames=3, drive=2)
    arguments = ["train", "aux_image_kitti", "--data-root", str(folder / "data"), "--work-dir", str(folder / "run")]
    options = small_run(**{"train_cfg.val_interval": 1, "custom_hooks.2.frames": 2, "baselines": None})
    assert main([*arguments, *options]) == 0
    paths = sorted((folder / "run" / "panels").glob("*/*.png"))
    return folder / "run", {(int(path.parent.name.removeprefix("epoch_")), path.stem): path for path in paths}


#: First and last of three validation frames, after each of two epochs.
EXPECTED_PANELS = {(epoch, f"{DRIVE.format(2)}_image_02_{number:010d}") for epoch in (1, 2) for number in (0, 2)}


def test_panels_and_losses_are_in_tensorboard_where_it_is_installed(tmp_path):
    event_accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    run, panels = trained_with_panels(tmp_path)
    assert set(panels) == EXPECTED_PANELS
    (file,) = run.rglob("events.out.tfevents*")
    board = event_accumulator.EventAccumulator(str(file), size_guidance={"images": 0, "scalars": 0}).Reload()
    shown = {(image.step, tag): image for tag in board.Tags()["images"] for image in board.Images(tag)}
    assert {(epoch, tag.removeprefix("panel/")) for epoch, tag in shown} == EXPECTED_PANELS
    height, width = sheet_grid([TREE_CROP] * 6).size(6)
    for (epoch, tag), image in shown.items():
        assert (image.height, image.width) == (height, width)
        stored = cv2.imread(str(panels[epoch, tag.removeprefix("panel/")]))
        np.testing.assert_array_equal(cv2.imdecode(np.frombuffer(image.encoded_image_string, np.uint8), 1), stored)
    for name in ("loss", "depth/l2", "image/l2"):
        values = [event.value for event in board.Scalars(name)]
        assert len(values) == 2 and min(values) > 0, name
    metric = {event.step: event.value for event in board.Scalars("rmse")}
    assert set(metric) == {1, 2}, "a panel stands at the step of the numbers that belong to it"
    assert metric[2] == pytest.approx(json.loads((run / "result.json").read_text())["rmse"], rel=1e-5)


@pytest.mark.parametrize("missing", ["tensorboard", "torch.utils.tensorboard"])
def test_a_run_without_tensorboard_has_its_panels_as_files(missing, tmp_path, monkeypatch):
    """Not installed at all, or installed and broken."""
    for name in [name for name in sys.modules if name.startswith(("tensorboard", "torch.utils.tensorboard"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)
    run, panels = trained_with_panels(tmp_path)
    assert set(panels) == EXPECTED_PANELS
    assert not list(run.rglob("events.out.tfevents*"))


def test_a_panel_holds_the_frame_that_was_validated(tmp_path):
    """Its tiles, cut out again: the photo of the file, its points, and a depth that the truth does not have."""
    _, panels = trained_with_panels(tmp_path)
    sheet, grid = read_image(panels[2, f"{DRIVE.format(2)}_image_02_{2:010d}"]), sheet_grid([TREE_CROP] * 6)
    drive = tmp_path / "data/val" / DRIVE.format(2)

    def tile(index):
        row, column = grid.corner(index)
        whole = sheet[row : row + grid.cell[0], column : column + grid.cell[1]]
        return whole[:: grid.factor, :: grid.factor]

    height, width = TREE_CROP
    left = (TREE_SIZE[1] - width) // 2
    photo = cv2.imread(str(drive / "image_02/data/0000000002.png"))[-height:, left : left + width, ::-1]
    np.testing.assert_allclose(tile(0), photo, atol=1)  # gray, so the mean of three equal channels
    points = cv2.imread(str(drive / "proj_depth/velodyne_raw/image_02/0000000002.png"), cv2.IMREAD_UNCHANGED)
    points = points[-height:, left : left + width] > 0
    np.testing.assert_array_equal((tile(2) > 0).any(axis=2), points)
    np.testing.assert_array_equal(tile(2)[points], tile(3)[points])  # both in one colour scale
    truth, prediction, error = (tile(i).astype(int) for i in (3, 4, 5))
    assert (prediction.sum(axis=2) > 0).all() and np.abs(prediction - truth).mean() > 10
    assert ((error.sum(axis=2) > 0) == (truth.sum(axis=2) > 0)).mean() > 0.98
    assert np.abs(tile(1) - tile(0)).mean() > 10, "the reconstruction of a network that saw two frames"


def test_an_expected_error_is_shown_beside_the_depth_that_it_is_of():
    depth = SimpleNamespace(field=DEPTH, extra_fields=(DEPTH_CONFIDENCE,))
    image = SimpleNamespace(field=GRAY_IMAGE, extra_fields=())
    runner = SimpleNamespace(model=SimpleNamespace(network=SimpleNamespace(tasks={"depth": depth, "image": image})))
    sample = DepthSample(pred_depth=torch.full((1, 2, 3), 8.0), pred_depth_confidence=torch.full((1, 2, 3), 0.5))
    (tile,) = _other_tiles(runner, sample)
    np.testing.assert_array_equal(tile.picture, colorize_deviation(np.full((2, 3), 0.5)))
    depth.extra_fields = ()
    assert _other_tiles(runner, sample) == []
