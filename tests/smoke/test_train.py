"""Training and evaluation from the command line: whole runs on a small generated tree."""

import errno
import json
import os
import resource
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from support import TREE_CROP, kitti_tree, small_run

from mtdc.commands import main
from mtdc.engine.checkpoint import read_checkpoint
from mtdc.engine.config import shipped_configs
from mtdc.visualization.panel import sheet_grid


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp("kitti")
    kitti_tree(root, "train", frames=4)
    return kitti_tree(root, "val", frames=3, drive=2)


def run(command, config, data, folder, *options):
    return main([command, str(config), "--data-root", str(data), "--work-dir", str(folder), *options])


#: One of each kind; tests/smoke/test_configs.py takes training steps with all.
NETWORKS_ON_KITTI = (
    "aux_image_kitti", "ablation/b_kitti", "inputs/filled_mask_kitti", "encoders/timm_kitti", "sharing/cross_stitch_kitti",
    "refinement/nlspn_kitti", "small/aux_image_kitti_small",
)  # fmt: skip


@pytest.mark.parametrize("name", NETWORKS_ON_KITTI)
def test_configs_train_evaluate_and_strip(name, data, tmp_path, capsys):
    assert run("train", name, data, tmp_path / "run", *small_run(**{"train_cfg.max_epochs": 1})) == 0
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["frames"] == 3
    assert result["rmse"] > 0
    assert set(result["baselines"]) == {"nearest", "linear", "morphological"}
    panels = sorted((tmp_path / "run" / "panels" / "epoch_1").glob("*.png"))
    assert [path.stem for path in panels] == sorted(result["per_frame"])
    tiles = 6 if "b_" not in name else 4  # image, reconstruction, sparse, truth, depth, error; without the image task 4
    assert cv2.imread(str(panels[0])).shape[:2] == sheet_grid([TREE_CROP] * tiles).size(tiles)
    config = tmp_path / "run" / f"{name.rpartition('/')[2]}.py"  # as it ran, options included
    checkpoint = tmp_path / "run" / "epoch_1.pth"
    stripped = tmp_path / "stripped.pth"
    assert main(["strip", str(config), str(checkpoint), "--out", str(stripped), "--size", "64", "96"]) == 0
    again = tmp_path / "again.json"
    assert run("test", config, data, tmp_path / "test", "--split", "val", "--out", str(again), str(stripped)) == 0
    evaluated = json.loads(again.read_text())
    assert evaluated["per_frame"] == result["per_frame"]
    assert evaluated["protocol"]["checkpoint"] == "stripped.pth"
    assert "rmse" in capsys.readouterr().out


def weights(folder, epoch):
    return read_checkpoint(folder / f"epoch_{epoch}.pth")["state_dict"]


@pytest.mark.parametrize("workers", [0, 2])
def test_a_resumed_run_is_the_uninterrupted_one_to_the_last_bit(data, tmp_path, workers):
    options = {"train_dataloader.num_workers": workers}
    three = small_run(**options, **{"train_cfg.max_epochs": 3})
    assert run("train", "aux_image_kitti", data, tmp_path / "whole", *three) == 0
    assert run("train", "aux_image_kitti", data, tmp_path / "parts", *small_run(**options, **{"train_cfg.max_epochs": 1})) == 0
    assert run("train", "aux_image_kitti", data, tmp_path / "parts", "--resume", *three) == 0
    whole, parts = weights(tmp_path / "whole", 3), weights(tmp_path / "parts", 3)
    assert all(torch.equal(whole[key], parts[key]) for key in whole)
    first = weights(tmp_path / "whole", 1)
    assert any(not torch.equal(whole[key], first[key]) for key in whole), "training must change something"


def test_workers_do_not_change_what_is_trained(data, tmp_path):
    for workers in (0, 2):
        assert (
            run(
                "train",
                "aux_image_kitti",
                data,
                tmp_path / str(workers),
                *small_run(**{"train_dataloader.num_workers": workers}),
            )
            == 0
        )
    a, b = weights(tmp_path / "0", 2), weights(tmp_path / "2", 2)
    assert all(torch.equal(a[key], b[key]) for key in a)


def test_a_used_work_folder_says_what_it_holds(data, tmp_path, capsys):
    one, folder = small_run(**{"train_cfg.max_epochs": 1}), tmp_path / "run"
    assert run("train", "aux_image_kitti", data, folder, *one) == 0
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    def refused(*arguments):
        capsys.readouterr()
        assert run("train", "aux_image_kitti", data, *arguments) == 2
        (line,) = capsys.readouterr().err.strip().splitlines()
        return line

    line = refused(folder, *one)
    assert f"{folder} holds a run up to epoch 1 (epoch_1.pth). Go on with it (--resume)" in line
    assert "(--overwrite)" in line
    line = refused(folder, *small_run(**{"optim_wrapper.optimizer.lr": 0.5}))
    assert "epoch_1.pth), of another config: optim_wrapper.optimizer.lr (0.001 there, 0.5 here)" in line
    assert "train_cfg.max_epochs (1 there, 2 here)" in line
    assert "no checkpoint to go on from. Start the run without --resume" in refused(tmp_path / "new", "--resume", *one)
    assert "the run is finished, 1 of 1 epochs" in refused(folder, "--resume", *one)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before, "nothing was touched"
    cut = folder / "epoch_1.pth"
    cut.write_bytes(cut.read_bytes()[:2000])
    assert "holds epoch_1.pth, which can't be gone on from. Remove it and start again (--overwrite)" in refused(folder, *one)


def test_overwriting_removes_the_earlier_run_and_nothing_else(data, tmp_path):
    folder = tmp_path / "run"
    assert run("train", "aux_image_kitti", data, folder, *small_run()) == 0
    (folder / "notes.txt").write_text("mine")
    (folder / "depth_only.pth").write_bytes(b"weights of somebody's own")
    half = folder / ".epoch_3.0123456789ab.tmp.pth"
    half.write_bytes(b"half")
    shorter = small_run(**{"train_cfg.max_epochs": 1})
    assert run("train", "aux_image_kitti", data, folder, "--overwrite", *shorter, "baselines=None") == 0
    assert sorted(path.name for path in folder.glob("*.pth")) == ["depth_only.pth", "epoch_1.pth"]
    assert not half.exists()
    assert not (folder / "panels" / "epoch_2").exists()
    assert "baselines" not in json.loads((folder / "result.json").read_text())
    assert (folder / "notes.txt").read_text() == "mine"
    assert len(list(folder.glob("*/*.log"))) == 2, "the logs of both"


def test_the_console_shows_progress_and_the_log_everything(data, tmp_path, capsys):
    assert run("train", "aux_image_kitti", data, tmp_path / "run", *small_run(baselines=None)) == 0
    shown = capsys.readouterr().out
    (log,) = (tmp_path / "run").glob("*/*.log")
    for words in ("System environment", "Hooks will be executed", "Config:\nbaselines = None"):
        assert words in log.read_text()
        assert words not in shown
    assert shown.count("Epoch(train)") == 4
    assert "eta: " in shown
    assert len(shown.splitlines()) < 60


@contextmanager
def largest_file(size):
    """No file of this process grows beyond a size, as on a disk that is full then."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_ends_a_training_with_one_line_and_keeps_the_last_checkpoint(data, tmp_path, capsys):
    one = small_run(**{"train_cfg.max_epochs": 1, "baselines": None})
    assert run("train", "aux_image_kitti", data, tmp_path / "run", *one) == 0
    before = (tmp_path / "run" / "epoch_1.pth").read_bytes()
    more = small_run(**{"train_cfg.max_epochs": 2, "baselines": None, "default_hooks.checkpoint.max_keep_ckpts": 1})
    capsys.readouterr()
    for size, file in ((len(before) // 2, "epoch_2.pth"), (6000, ".log")):
        with largest_file(size):
            assert run("train", "aux_image_kitti", data, tmp_path / "run", "--resume", *more) == 2
        (line,) = capsys.readouterr().err.strip().splitlines()
        assert line.startswith("mtdc train: can't write ")
        assert f"{file}: File too large." in line
        assert (tmp_path / "run" / "epoch_1.pth").read_bytes() == before
        assert [path.name for path in (tmp_path / "run").rglob("*.pth")] == ["epoch_1.pth"], "nothing half-written"
    assert run("train", "aux_image_kitti", data, tmp_path / "run", "--resume", *more) == 0
    assert [path.name for path in (tmp_path / "run").rglob("*.pth")] == ["epoch_2.pth"]


@pytest.mark.parametrize("where", ["panels", "result.json"])
def test_a_place_that_stops_taking_files_is_named(where, data, tmp_path, capsys):
    """A file where a folder of the run is to be, and a folder where its result is to be."""
    (tmp_path / "run").mkdir()
    if where == "panels":
        (tmp_path / "run" / where).write_text("")
    else:
        (tmp_path / "run" / where).mkdir()
    assert run("train", "aux_image_kitti", data, tmp_path / "run", *small_run(**{"train_cfg.max_epochs": 1})) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith(f"mtdc train: can't write {tmp_path / 'run' / where}")
    assert read_checkpoint(tmp_path / "run" / "epoch_1.pth")["meta"]["epoch"] == 1


def test_depth_that_finds_no_place_is_named(data, tmp_path, capsys, monkeypatch):
    write = Path.write_bytes

    def full(path, content):
        if path.suffix == ".png":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(path, content)

    monkeypatch.setattr(Path, "write_bytes", full)
    options = ["--split", "val", "--save-depth", str(tmp_path / "p"), "--cfg-options", "test_dataloader.dataset.transforms=[]"]
    assert run("test", "classical/nearest_kitti", data, tmp_path / "t", *options, "test_dataloader.num_workers=0") == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith(f"mtdc test: can't write {tmp_path / 'p'}")
    assert line.endswith(".png: No space left on device.")
    assert not list((tmp_path / "p").iterdir())


@pytest.mark.parametrize(
    "name", [name for name in shipped_configs() if name.startswith("classical/") and name.endswith("kitti")]
)
def test_methods_without_weights_are_evaluated_by_the_same_command(name, data, tmp_path):
    saved = tmp_path / "depth"
    height, width = TREE_CROP
    options = [f"test_dataloader.dataset.transforms.0.{key}={value}" for key, value in (("height", height), ("width", width))]
    assert (
        run("test", name, data, tmp_path / "test", "--split", "val", "--save-depth", str(saved), "--cfg-options", *options) == 0
    )
    result = json.loads((tmp_path / "test" / "result.json").read_text())
    assert "baselines" not in result
    files = sorted(saved.glob("*.png"))
    assert [path.stem for path in files] == sorted(result["per_frame"])
    for path in files:
        depth = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        assert depth.dtype == np.uint16
        assert depth.shape == TREE_CROP
        assert depth.min() > 0
    assert result["protocol"]["crop"] == f"bottom {height}x{width}"
    assert result["protocol"]["checkpoint"] is None


def test_saved_depth_evaluates_to_the_same_numbers(data, tmp_path):
    """mtdc test on maps and mtdc evaluate on the PNGs that it saved: the same frames, up to the PNG's rounding."""
    assert run("test", "classical/nearest_kitti", data, tmp_path / "t", "--split", "val", "--save-depth", str(tmp_path / "p"),
               "--cfg-options", "test_dataloader.dataset.transforms=[]") == 0  # fmt: skip
    truth = data / "val" / "2011_09_26_drive_0002_sync" / "proj_depth" / "groundtruth"
    assert main(["evaluate", str(truth), str(tmp_path / "p"), "--out", str(tmp_path / "e.json")]) == 0
    maps, files = (json.loads(path.read_text()) for path in (tmp_path / "t" / "result.json", tmp_path / "e.json"))
    assert files["frames"] == maps["frames"] == 3
    assert files["rmse"] == pytest.approx(maps["rmse"], rel=2e-3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "aux_image_kiti"], "Did you mean 'aux_image_kitti'"),
        (["train", "aux_image_kitti", "--data-root", "no/such/folder"], "no/such/folder"),
        (["train", "aux_image_kitti", "--cfg-options", "modle.width=3"], "Did you mean 'model'"),
        (["train", "classical/nearest_kitti"], "nothing to train"),
        (["test", "aux_image_kitti"], "name the checkpoint"),
        (["test", "aux_image_kitti", "no.pth"], "no.pth: no such checkpoint"),
        (["strip", "aux_image_kitti", "--out", "x.pth"], "--out needs a CHECKPOINT"),
        (["train", "aux_image_kitti", "--launcher", "pytorch"], "torchrun"),
        (["train", "aux_image_kitti", "--cfg-options", "model.width"], "takes KEY=VALUE"),
        (["train", "aux_image_kitti", "--cfg-options", "model.width=0"], "model.width must be a whole number from 1 on"),
        (["train", "aux_image_kitti", "--cfg-options", "model.width=abc"], "model.width must be a whole number from 1 on"),
        (
            ["train", "aux_image_kitti", "--cfg-options", "model.network.encoder.kernels=3"],
            "model.network.encoder.kernels must be a list of whole numbers",
        ),
        (
            ["train", "aux_image_kitti", "--cfg-options", "model.network.tasks.depth.range_m=5"],
            "tasks.depth.range_m must be a list of numbers",
        ),
        (
            ["train", "aux_image_kitti", "--cfg-options", "model.weighting.weights.depth=-1"],
            "the weight of 'depth' is negative",
        ),
        (["strip", "aux_image_kitti", "--size", "0", "0"], "--size"),
        (["strip", "aux_image_kitti", "--keep", "dept"], "Did you mean 'depth'"),
    ],
)
def test_mistakes_end_in_one_line_and_exit_code_2(arguments, message, tmp_path, repository):
    done = subprocess.run([sys.executable, "-m", "mtdc", *arguments], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert len([line for line in done.stderr.strip().splitlines() if not line.startswith(("usage:", " "))]) == 1
    assert not list(tmp_path.iterdir()), "nothing half-written is left"


def test_a_missing_system_library_of_opencv_is_said(tmp_path):
    """As on a server: importing cv2 fails for want of libGL."""
    (tmp_path / "cv2.py").write_text(
        "raise ImportError('libGL.so.1: cannot open shared object file: No such file or directory')"
    )
    done = subprocess.run(
        [sys.executable, "-m", "mtdc", "test", "classical/nearest_kitti"],
        cwd=tmp_path, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 2
    assert "libGL.so.1" in done.stderr
    assert "opencv-python-headless" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_more_frames_than_there_are_in_a_batch_is_said(data, tmp_path, capsys):
    assert run("train", "aux_image_kitti", data, tmp_path / "run", *small_run(**{"train_dataloader.batch_size": 50})) == 2
    assert "4 frames are fewer than batch_size=50" in capsys.readouterr().err


def test_baselines_of_a_training_are_the_same_numbers_as_their_own_evaluation(data, tmp_path):
    assert run("train", "small/filled_mask_kitti_small", data, tmp_path / "run", *small_run(**{"train_cfg.max_epochs": 1})) == 0
    trained = json.loads((tmp_path / "run" / "result.json").read_text())
    height, width = TREE_CROP
    options = [f"test_dataloader.dataset.transforms.0.{key}={value}" for key, value in (("height", height), ("width", width))]
    for name, values in trained["baselines"].items():
        folder = tmp_path / name
        assert run("test", f"classical/{name}_kitti", data, folder, "--split", "val", "--cfg-options", *options) == 0
        alone = json.loads((folder / "result.json").read_text())
        assert values == {key: alone[key] for key in values}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"optim_wrapper.optimizer.type": "Adamm"}, "optim_wrapper.optimizer.type='Adamm' is not a known optimiser. Did"),
        ({"optim_wrapper.optimizer.lr": -1}, "optim_wrapper.optimizer.lr=-1 is no value that Adam can use"),
        ({"optim_wrapper.optimizer.momentun": 0.9}, "unexpected key 'momentun'"),
        ({"train_dataloader.sampler.type": "EpochSamplr"}, "Did you mean 'EpochSampler'"),
        ({"train_dataloader.batch_size": 0}, "train_dataloader.batch_size must be a whole number from 1 on"),
        ({"default_hooks.logger.intervall": 3}, "unexpected key 'intervall'. Did you mean 'interval'"),
        ({"default_hooks.logger.type": "LogerHook"}, "Did you mean 'LoggerHook'"),
        ({"default_hooks.checkpoint.save_best": "rmsee"}, "save_best='rmsee' is not measured. Did you mean 'rmse'"),
        ({"default_hooks.checkpoint.save_best": "frames"}, "default_hooks.checkpoint.save_best='frames' is not measured"),
        ({"default_hooks.checkpoint.out_dir": "x"}, "default_hooks.checkpoint.out_dir: checkpoints are in the work folder"),
        ({"default_hooks.checkpoint.save_best": "rmse", "val_dataloader": None}, "save_best needs a validation"),
        ({"train_dataloader.sampler.type": "DefaultSampler"}, "doesn't tell epochs apart"),
        ({"train_cfg.max_iters": 10}, "train_cfg has by_epoch=True and max_iters"),
        ({"train_cfg.by_epoch": False}, "train_cfg: missing key 'max_iters'"),
        ({"train_cfg.max_epoch": 3}, "train_cfg: unexpected key 'max_epoch'. Did you mean 'max_epochs'"),
        ({"train_cfg.by_epoch": False, "train_cfg.max_iters": 9}, "set default_hooks.checkpoint.by_epoch=False"),
        (
            {"train_cfg.by_epoch": False, "train_cfg.max_iters": 9, "default_hooks.checkpoint.by_epoch": False},
            "param_scheduler[0] epochs, so that it would never step",
        ),
        ({"param_scheduler.0.gama": 0.1}, "unexpected key 'gama'. Did you mean 'gamma'"),
        ({"param_scheduler.0.type": "StepLr"}, "Did you mean 'StepLR'"),
        ({"train_cfg.max_epochs": 0}, "train_cfg.max_epochs must be a whole number from 1 on"),
        ({"train_cfg.max_epochs": "abc"}, "train_cfg.max_epochs must be"),
        ({"val_evaluator.clamp_m": 5}, "val_evaluator[0].clamp_m must be 2 numbers or None"),
        ({"model.network.tasks.depth": None}, "measures 'depth', which the network doesn't predict"),
        ({"model.network.tasks.depth.losses.l2": None}, "model.network.tasks.depth has no loss"),
        ({"randomness.seed": None}, "randomness.seed must be a whole number"),
    ],
)  # fmt: skip
def test_every_word_of_the_reference_config_is_checked_before_training(change, message, data, tmp_path, capsys):
    assert run("train", "aux_image_kitti", data, tmp_path / "run", *small_run(**change)) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert len(captured.err.strip().splitlines()) == 1
    assert not (tmp_path / "run").exists(), "nothing is left of a run that did not start"


def test_a_config_that_can_not_be_evaluated_is_said(tmp_path, capsys):
    own = tmp_path / "own.py"
    own.write_text("model = dict(network=dict(type='ClassicalNetwork'))\n")
    assert main(["test", str(own), "--split", "val"]) == 2
    assert "own.py: the config has no 'test_dataloader'" in capsys.readouterr().err


def test_a_copied_run_goes_on_with_its_own_checkpoint(data, tmp_path):
    assert run("train", "aux_image_kitti", data, tmp_path / "run", *small_run(**{"train_cfg.max_epochs": 1})) == 0
    shutil.copytree(tmp_path / "run", tmp_path / "copy")
    shutil.rmtree(tmp_path / "run")
    assert run("train", "aux_image_kitti", data, tmp_path / "copy", "--resume", *small_run()) == 0
    assert (tmp_path / "copy" / "epoch_2.pth").is_file()
    assert not (tmp_path / "run").exists()


def test_a_truncated_last_checkpoint_falls_back_to_the_whole_one_before(data, tmp_path):
    assert run("train", "aux_image_kitti", data, tmp_path / "whole", *small_run(**{"train_cfg.max_epochs": 3})) == 0
    assert run("train", "aux_image_kitti", data, tmp_path / "cut", *small_run()) == 0
    last = tmp_path / "cut" / "epoch_2.pth"
    last.write_bytes(last.read_bytes()[:1000])
    assert run("train", "aux_image_kitti", data, tmp_path / "cut", "--resume", *small_run(**{"train_cfg.max_epochs": 3})) == 0
    a, b = weights(tmp_path / "whole", 3), weights(tmp_path / "cut", 3)
    assert all(torch.equal(a[key], b[key]) for key in a)


def test_resume_and_load_from_are_strict(data, tmp_path, capsys):
    assert run("train", "aux_image_kitti", data, tmp_path / "run", *small_run(**{"train_cfg.max_epochs": 1})) == 0
    wider = small_run(**{"model.width": 3})
    assert run("train", "aux_image_kitti", data, tmp_path / "run", "--resume", *wider) == 2
    assert "made with another config" in capsys.readouterr().err
    own = tmp_path / "own.py"
    own.write_text(
        f"_base_ = '{{{{$MTDC_CONFIGS:configs}}}}/aux_image_kitti.py'\nload_from = r'{tmp_path / 'run' / 'epoch_1.pth'}'\n"
    )
    assert run("train", own, data, tmp_path / "own", *wider) == 2
    assert "made with another config" in capsys.readouterr().err
    assert run("train", own, data, tmp_path / "own", *small_run(**{"train_cfg.max_epochs": 1})) == 0


def test_one_config_has_one_hash_however_it_is_run(data, tmp_path):
    """The shipped config with options, what the run wrote of it, other loader settings, another folder."""
    assert run("train", "aux_image_kitti", data, tmp_path / "run", *small_run(**{"train_cfg.max_epochs": 1})) == 0
    written = tmp_path / "run" / "aux_image_kitti.py"
    trained = json.loads((tmp_path / "run" / "result.json").read_text())["protocol"]
    checkpoint = str(tmp_path / "run" / "epoch_1.pth")
    out = tmp_path / "r.json"
    assert run("test", written, data, tmp_path / "t", checkpoint, "--split", "val", "--out", str(out),
               "--cfg-options", "test_dataloader.num_workers=1") == 0  # fmt: skip
    tested = json.loads(out.read_text())["protocol"]
    assert tested["config_sha256"] == trained["config_sha256"]
    assert tested["split"] == trained["split"] == "val"
    assert tested["transforms"] == [{"type": "BottomCrop", "height": TREE_CROP[0], "width": TREE_CROP[1]}]
    other = run(
        "train", "aux_image_kitti", data, tmp_path / "other", *small_run(**{"train_cfg.max_epochs": 1, "model.width": 3})
    )
    assert other == 0
    assert json.loads((tmp_path / "other" / "result.json").read_text())["protocol"]["config_sha256"] != trained["config_sha256"]


def test_depth_is_not_saved_beside_other_depth(data, tmp_path, capsys):
    options = ["--split", "val", "--save-depth", str(tmp_path / "p"), "--cfg-options", "test_dataloader.dataset.transforms=[]"]
    assert run("test", "classical/nearest_kitti", data, tmp_path / "t", *options) == 0
    assert run("test", "classical/nearest_kitti", data, tmp_path / "t", *options) == 2
    assert "the folder holds PNGs already" in capsys.readouterr().err


def test_unwritable_places_are_said_before_the_work(data, tmp_path, capsys):
    file = tmp_path / "file"
    file.write_text("")
    assert run("test", "classical/nearest_kitti", data, tmp_path / "t", "--out", str(file / "r.json")) == 2
    assert "can't be written" in capsys.readouterr().err
    assert run("train", "aux_image_kitti", data, file, *small_run()) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1
