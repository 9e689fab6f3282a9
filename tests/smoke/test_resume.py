"""Interrupted training goes on as if it had not stopped: in the middle of an epoch, by iterations, after a validation."""

import json
import shutil
import textwrap
from pathlib import Path

import pytest
import torch
from support import kitti_tree, small_run

from mtdc.commands import main
from mtdc.data.dataset import DepthDataset
from mtdc.engine.checkpoint import AtomicLocalBackend, last_checkpoint, read_checkpoint

#: Nine frames in batches of two, the ninth dropped.
STEPS_PER_EPOCH = 4
MODULE = """
    import torch
    from mmengine.hooks import Hook

    from mtdc import InputRepresentation
    from mtdc.contracts import Prepared


    class DroppedDepth(InputRepresentation):
        unit = "metres"

        def __init__(self):
            super().__init__()
            self.layout = {"sparse_depth": 1}

        def forward(self, inputs):
            return Prepared(torch.nn.functional.dropout(inputs["sparse_depth"], 0.3, self.training), self.layout, None)


    class Stop(Hook):
        priority = "LOWEST"

        def __init__(self, after_step=None, in_validation=None):
            self.after_step, self.in_validation = after_step, in_validation

        def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
            if runner.iter + 1 == self.after_step:
                raise KeyboardInterrupt

        def after_val_iter(self, runner, batch_idx, data_batch=None, outputs=None):
            if runner.iter == self.in_validation:
                raise KeyboardInterrupt
"""
CONFIG = """
    _base_ = '{{$MTDC_CONFIGS:configs}}/aux_image_kitti.py'
    model = dict(network=dict(representation=dict(type='parts_of_test_resume.DroppedDepth')))
    custom_hooks = [dict(type='parts_of_test_resume.Stop', after_step=None, in_validation=None)]
    default_hooks = dict(checkpoint=dict(by_epoch=False, interval=3, max_keep_ckpts=2))
    baselines = None
"""
BY_ITERATIONS = """
    train_cfg = dict(by_epoch=False, max_iters=11, val_interval=6)
    param_scheduler = [dict(type='StepLR', by_epoch=False, step_size=2, gamma=0.8)]
"""
PLATEAU = "ReduceOnPlateauLR', monitor='rmse', rule='greater', patience=0, factor=0.5, threshold=0.5"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Data, and two configs beside a hook that interrupts."""
    root = tmp_path_factory.mktemp("resume")
    kitti_tree(root / "data", "train", frames=9)
    kitti_tree(root / "data", "val", frames=2, drive=2)
    (root / "parts_of_test_resume.py").write_text(textwrap.dedent(MODULE))
    (root / "epochs.py").write_text(textwrap.dedent(CONFIG))
    (root / "iterations.py").write_text(textwrap.dedent(CONFIG + BY_ITERATIONS))
    return root


def train(folder, config, name, *more, **options):
    arguments = ["train", str(folder / config), "--data-root", str(folder / "data"), "--work-dir", str(folder / name), *more]
    if config == "epochs.py":
        options = {"train_cfg.max_epochs": 3, **options}
    choice = small_run(**{"train_dataloader.batch_size": 2, **options})
    return main([*arguments, *(word for word in choice if "max_epochs" not in word or config == "epochs.py")])


def steps(work_dir):
    """What was logged of each step: ``{step: {values}}``; a step that was made twice must have one set."""
    found = {}
    for file in work_dir.glob("*/vis_data/scalars.json"):
        for line in file.read_text().splitlines():
            row = {key: value for key, value in json.loads(line).items() if "time" not in key}
            if "lr" in row:
                found.setdefault(row["step"], set()).add(json.dumps(row, sort_keys=True))
    return found


def same_end(first, second):
    """Weights, optimiser and history of two runs' last checkpoints, and every step's numbers."""
    one, two = (read_checkpoint(last_checkpoint(path)) for path in (first, second))
    assert one["meta"]["iter"] == two["meta"]["iter"] > 0
    assert one["meta"]["position"] == two["meta"]["position"]
    assert all(torch.equal(one["state_dict"][key], two["state_dict"][key]) for key in one["state_dict"])
    for number, state in one["optimizer"]["state"].items():
        assert all(torch.equal(value, two["optimizer"]["state"][number][key]) for key, value in state.items())
    losses = [[checkpoint["message_hub"]["log_scalars"]["train/loss"]["log"] for checkpoint in (one, two)]]
    assert all(torch.equal(a, b) for a, b in losses)
    assert steps(first) == steps(second)
    assert all(len(values) == 1 for values in steps(second).values())
    assert set(steps(second)) == set(range(1, one["meta"]["iter"] + 1))


@pytest.fixture(scope="module")
def whole(folder):
    """The uninterrupted run of each config, without workers."""
    for config in ("epochs.py", "iterations.py"):
        assert train(folder, config, f"whole_{config}") == 0
    return lambda config: folder / f"whole_{config}"


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("config", ["epochs.py", "iterations.py"])
def test_a_run_goes_on_in_the_middle_of_an_epoch_to_the_last_bit(config, workers, folder, whole):
    """Stopped twice: two steps after the checkpoint of step 3, and with that of step 9; an epoch is four steps."""
    name, options = f"parts_{workers}_{config}", {"train_dataloader.num_workers": workers}
    assert train(folder, config, name, **options, **{"custom_hooks.0.after_step": 5}) == 130
    assert last_checkpoint(folder / name).name == "iter_3.pth"
    assert train(folder, config, name, "--resume", **options, **{"custom_hooks.0.after_step": 9}) == 130
    assert last_checkpoint(folder / name).name == "iter_9.pth"
    assert train(folder, config, name, "--resume", **options) == 0
    same_end(whole(config), folder / name)


def test_the_same_command_again_finds_no_other_config(folder, capsys):
    options = {"custom_hooks.0.after_step": 4}
    assert train(folder, "iterations.py", "again", **options) == 130
    capsys.readouterr()
    assert train(folder, "iterations.py", "again", **options) == 2
    error = capsys.readouterr().err
    assert "holds a run up to iteration 3 (iter_3.pth). Go on with it (--resume)" in error


def test_no_frame_is_loaded_again(folder, whole, monkeypatch, capsys):
    loaded = []
    load = DepthDataset.__getitem__
    monkeypatch.setattr(DepthDataset, "__getitem__", lambda self, index: loaded.append(index) or load(self, index))
    for config in ("epochs.py", "iterations.py"):
        loaded.clear()
        assert train(folder, config, f"counted_{config}", **{"custom_hooks.0.after_step": 7}) == 130
        assert train(folder, config, f"counted_{config}", "--resume") == 0
        frames = [index for index in loaded if isinstance(index, tuple)]
        last = read_checkpoint(last_checkpoint(folder / f"counted_{config}"))["meta"]["iter"]
        assert len(frames) == 2 * (7 + last - 6), "7 steps, then the rest after the checkpoint of step 6"
        again = frames[2 * 7 :]
        assert frames[2 * 6 : 2 * 7] == again[:2], "the step after the checkpoint, made twice"
        assert [epoch for _, epoch in again] == [step // STEPS_PER_EPOCH for step in range(6, last) for _ in range(2)]
    del capsys


def test_an_epoch_of_data_is_each_frame_once_also_by_iterations(folder, whole, monkeypatch):
    loaded = []
    load = DepthDataset.__getitem__
    monkeypatch.setattr(DepthDataset, "__getitem__", lambda self, index: loaded.append(index) or load(self, index))
    assert train(folder, "iterations.py", "each_once") == 0
    frames = [index for index in loaded if isinstance(index, tuple)]
    for epoch in (0, 1):
        numbers = [number for number, own in frames if own == epoch]
        assert len(set(numbers)) == len(numbers) == 2 * STEPS_PER_EPOCH
    assert [n for n, epoch in frames if epoch == 0] != [n for n, epoch in frames if epoch == 1], "another order"


@pytest.mark.parametrize(("config", "stop"), [("epochs.py", 12), ("iterations.py", 11)])
def test_a_run_that_stopped_in_its_last_validation_still_has_its_result(config, stop, folder, whole, capsys):
    name = f"validated_{config}"
    assert train(folder, config, name, **{"custom_hooks.0.in_validation": stop}) == 130
    assert last_checkpoint(folder / name).name == f"iter_{stop}.pth"
    assert not (folder / name / "result.json").exists()
    assert train(folder, config, name, "--resume") == 0
    results = [json.loads((path / "result.json").read_text()) for path in (folder / name, whole(config))]
    assert results[0]["per_frame"] == results[1]["per_frame"]
    capsys.readouterr()
    assert train(folder, config, name, "--resume") == 2
    units = "3 of 3 epochs" if config == "epochs.py" else "11 of 11 iterations"
    line = capsys.readouterr().err
    assert f"the run is finished, {units}. To train on: --cfg-options train_cfg.max_" in line


def test_a_schedule_that_waits_for_a_validation_gets_it_after_an_interruption(folder, tmp_path):
    """Stopped in the validation after the checkpoint of step 6: it is made before step 7, as without the interruption."""
    text = CONFIG + BY_ITERATIONS.replace("StepLR', by_epoch=False, step_size=2, gamma=0.8", PLATEAU)
    (folder / "plateau.py").write_text(textwrap.dedent(text))
    options = {"train_cfg.val_interval": 3}
    assert train(folder, "plateau.py", "plateau_whole", **options) == 0
    assert train(folder, "plateau.py", "plateau_parts", **options, **{"custom_hooks.0.in_validation": 6}) == 130
    assert train(folder, "plateau.py", "plateau_parts", "--resume", **options) == 0
    same_end(folder / "plateau_whole", folder / "plateau_parts")
    rates = {json.loads(next(iter(rows)))["lr"] for rows in steps(folder / "plateau_whole").values()}
    assert len(rates) > 1, "the schedule must have acted"


def test_the_rest_of_an_epoch_is_not_guessed(folder, capsys):
    """Another batch size within an epoch is refused; at an epoch's end it is said, and the run goes on."""
    assert train(folder, "epochs.py", "other", **{"custom_hooks.0.after_step": 3}) == 130
    capsys.readouterr()
    assert train(folder, "epochs.py", "other", "--resume", **{"train_dataloader.batch_size": 3}) == 2
    captured = capsys.readouterr()
    assert "3 of 4 batches into an epoch, with batches_per_epoch=4; here it is 3" in captured.err
    assert "train_dataloader.batch_size (2 there, 3 here)" in captured.out
    assert train(folder, "epochs.py", "other", "--resume") == 0
    shutil.rmtree(folder / "other")
    save = {"default_hooks.checkpoint.by_epoch": True, "default_hooks.checkpoint.interval": 1}
    assert train(folder, "epochs.py", "other", **save, **{"train_cfg.max_epochs": 1}) == 0
    assert train(folder, "epochs.py", "other", "--resume", **save, **{"train_dataloader.batch_size": 3}) == 0
    assert read_checkpoint(folder / "other" / "epoch_3.pth")["meta"]["iter"] == 4 + 2 * 3


def test_settings_that_a_checkpoint_overrules_are_said(folder, whole, capsys):
    shutil.copytree(whole("iterations.py"), folder / "changed")
    capsys.readouterr()
    more = {"train_cfg.max_iters": 12, "optim_wrapper.optimizer.lr": 0.5, "param_scheduler.0.gamma": 0.1}
    assert train(folder, "iterations.py", "changed", "--resume", **more) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "config differs" in line]
    for words in ("lr (0.001 there, 0.5 here)", "gamma (0.8 there, 0.1 here)", "max_iters (11 there, 12 here)"):
        assert words in line
    (row,) = steps(folder / "changed")[12]
    assert json.loads(row)["lr"] == pytest.approx(1e-3 * 0.8**5), "the checkpoint's rate and schedule go on"


def test_one_whole_checkpoint_and_the_best_are_there_at_every_instant(folder, monkeypatch):
    """Looked at before and after every write and removal of a file, in a run that is stopped and gone on with."""
    options = {"default_hooks.checkpoint.max_keep_ckpts": 1, "default_hooks.checkpoint.save_best": "rmse"}
    options |= {"train_cfg.val_interval": 3}
    work_dir, seen = folder / "kept", []

    def look():
        last = last_checkpoint(work_dir)
        if seen or last is not None:
            seen.append(read_checkpoint(last)["meta"]["iter"])
            best = read_checkpoint(last)["message_hub"]["runtime_info"].get("best_ckpt")
            assert best is None or read_checkpoint(work_dir / Path(best).name)

    put, unlink = AtomicLocalBackend.put, Path.unlink
    monkeypatch.setattr(AtomicLocalBackend, "put", lambda self, *words: (look(), put(self, *words), look()))
    monkeypatch.setattr(Path, "unlink", lambda path, **words: (look(), unlink(path, **words), look()))
    assert train(folder, "iterations.py", "kept_whole", **options) == 0
    assert train(folder, "iterations.py", "kept", **options, **{"custom_hooks.0.in_validation": 6}) == 130
    shutil.copy(work_dir / "iter_6.pth", work_dir / "iter_3.pth")  # as if killed before the old one was removed
    shutil.copy(next(work_dir.glob("best_*")), work_dir / "best_rmse_iter_1.pth")
    shutil.copytree(work_dir, folder / "elsewhere")
    assert train(folder, "iterations.py", "kept", "--resume", **options) == 0
    assert seen == sorted(seen) and set(seen) == {3, 6, 9, 11}
    names = [sorted(path.name for path in folder.joinpath(name).glob("*.pth")) for name in ("kept", "kept_whole")]
    assert names[0] == names[1] and len(names[0]) == 2
    same_end(folder / "kept_whole", work_dir)
    before = {path.name: path.read_bytes() for path in work_dir.iterdir() if path.is_file()}
    assert train(folder, "iterations.py", "elsewhere", "--resume", **options) == 0
    assert {path.name: path.read_bytes() for path in work_dir.iterdir() if path.is_file()} == before, "a copy leaves it alone"


def test_text_in_a_checkpoint_is_not_run(folder, whole):
    """mmengine runs ``meta['config']`` as a config file when it resumes."""
    shutil.copytree(whole("iterations.py"), folder / "hostile")
    path = last_checkpoint(folder / "hostile")
    checkpoint = torch.load(path, weights_only=True)
    mark = folder / "executed"
    checkpoint["meta"]["config"] = f"open({str(mark)!r}, 'w').close()\n"
    torch.save(checkpoint, path)
    assert train(folder, "iterations.py", "hostile", "--resume", **{"train_cfg.max_iters": 12}) == 0
    assert not mark.exists()
