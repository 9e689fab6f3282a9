"""Random numbers of a training step: the same after a resume, whatever was drawn before."""

import itertools
import textwrap
from types import SimpleNamespace

import torch
from support import kitti_tree, small_run

from mtdc.commands import main
from mtdc.engine.checkpoint import read_checkpoint
from mtdc.engine.hooks import IterationSeedHook


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
