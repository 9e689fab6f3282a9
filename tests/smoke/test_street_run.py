"""The main job without a data set: streets drawn, trained on, evaluated beside methods without weights, pictured."""

import json

from mtdc.commands import main

SMALL = [
    "street.size=(96,320)", "street.splits.train=4", "street.splits.val=2", "street.processes=1", "model.width=1",
    "model.precision=float32", "model.channels_last=False", "train_dataloader.batch_size=2", "train_dataloader.num_workers=0",
    "val_dataloader.num_workers=0", "train_cfg.max_epochs=1", "default_hooks.logger.interval=1",
]  # fmt: skip


def run(folder, *options):
    return main(["train", "aux_image_street", "--data-root", str(folder / "street"), "--work-dir", str(folder / "run"),
                 "--cfg-options", *SMALL, *options])  # fmt: skip


def test_one_command_makes_its_data_trains_and_compares(tmp_path, capsys):
    assert run(tmp_path, "street.siz=(96,320)") == 2
    assert run(tmp_path) == 0
    out = capsys.readouterr().out
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["frames"] == 2
    assert result["protocol"]["split"] == "val"
    assert set(result["baselines"]) == {"nearest", "linear", "morphological"}
    assert all(values["frames"] == 2 and values["rmse"] > 0 for values in result["baselines"].values())
    picture = out.strip().splitlines()[-1].removeprefix("a picture of it: ")
    assert (tmp_path / "run" / "panels").as_posix() in picture
    for split, frames in (("train", 4), ("val", 2)):
        for kind in ("velodyne_raw", "groundtruth"):
            assert len(list((tmp_path / "street" / split).glob(f"*/proj_depth/{kind}/image_02/*.png"))) == frames

    # A second run draws nothing again; a world of another size is not mixed in.
    files = {path: path.stat().st_mtime_ns for path in (tmp_path / "street").rglob("*.png")}
    (tmp_path / "run").rename(tmp_path / "first")
    assert run(tmp_path) == 0
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "street").rglob("*.png")} == files
    again = json.loads((tmp_path / "run" / "result.json").read_text())
    assert again["per_frame"] == result["per_frame"], "the same seed on the same frames gives the same numbers"
    (tmp_path / "run").rename(tmp_path / "second")
    assert run(tmp_path, "street.size=(96,288)") == 2
    assert "one folder holds one world" in capsys.readouterr().err


def test_a_wrong_config_is_refused_before_anything_is_drawn(tmp_path, capsys):
    assert run(tmp_path, "optim_wrapper.optimizer.type=AdamX") == 2
    assert "is not a known optimiser" in capsys.readouterr().err
    assert run(tmp_path, "model.precision=auto", "val_evaluator.clamp_m=3") == 2
    assert not list(tmp_path.iterdir())
