"""The study of auxiliary tasks: runs in processes of their own, goes on where it stopped, tables that are those of its rows."""

import csv
import json
import subprocess
import sys
import time

import cv2
import numpy as np
import pytest


@pytest.fixture(scope="module")
def study(repository):
    sys.path.insert(0, str(repository / "tools"))
    import study

    yield study
    sys.path.remove(str(repository / "tools"))


def line(repository, folder, *more):
    return [sys.executable, str(repository / "tools" / "study.py"), "--out", str(folder), "--budget", "smoke",
            "--precision", "float32", "--at-once", "1", *more]  # fmt: skip


def command(repository, folder, *more):
    return subprocess.run(line(repository, folder, *more), capture_output=True, text=True, timeout=300)


def test_trains_measures_and_goes_on(repository, tmp_path):
    first = command(repository, tmp_path, "--variants", "b", "--seeds", "0")
    assert first.returncode == 0, first.stderr[-2000:]
    rows = list(csv.DictReader((tmp_path / "runs.csv").open(newline="")))
    assert [row["variant"] for row in rows] == ["b", "nearest", "linear", "morphological"]
    result = json.loads((tmp_path / "b_0" / "work" / "result.json").read_text())
    assert float(rows[0]["dense/rmse"]) == pytest.approx(result["dense/rmse"], abs=0.06)
    assert float(rows[2]["rmse"]) == pytest.approx(result["baselines"]["linear"]["rmse"], abs=0.06)
    assert int(rows[0]["parameters"]) == int(rows[0]["parameters_at_test"])

    second = command(repository, tmp_path, "--variants", "b", "all", "--seeds", "0")
    assert second.returncode == 0, second.stderr[-2000:]
    again = list(csv.DictReader((tmp_path / "runs.csv").open(newline="")))
    assert again[0] == rows[0], "a run that is there is not made again"
    assert [row["variant"] for row in again][:2] == ["b", "all"]
    assert int(again[1]["parameters_at_test"]) < int(again[1]["parameters"])
    assert "image, normals and semantics" in second.stdout

    other = command(repository, tmp_path, "--variants", "b", "--representation", "SparseDepth")
    assert other.returncode == 2
    assert other.stderr.strip().endswith("name that, or another --out.")


def test_tables_are_means_and_changes_of_the_same_seed(study):
    from studies.street import STUDY
    from studies.tables import tables

    rows = [
        {"variant": "b", "seed": "0", "rmse": "100", "dense/rmse": "200"},
        {"variant": "b", "seed": "1", "rmse": "110", "dense/rmse": "220"},
        {"variant": "bis", "seed": "0", "rmse": "90", "dense/rmse": "210"},
        {"variant": "bis", "seed": "1", "rmse": "121", "dense/rmse": "220"},
        {"variant": "nearest", "seed": "0", "rmse": "300", "dense/rmse": ""},
    ]
    text = tables(rows, STUDY)
    assert "| B: depth alone | 2 | 105 ± 7 | 210 ± 14 |" in text
    assert "| B + I + S: the paper's sharing | 2 | +0.0 ± 14.1 | +2.5 ± 3.5 |" in text
    assert "| nearest (no weights) |  | 300 |  |" in text


def models_of_runs(study, name, budget, folder):
    """The model of each variant, from the config that its run gets."""
    from studies.definition import Run

    from mtdc.engine.config import find_config, load_config
    from mtdc.model import build_model

    models, own = {}, study.STUDIES[name]
    for key, variant in own.variants.items():
        base = str(find_config(variant.config).resolve())
        path = folder / f"{key}.py"
        path.write_text(own.config_text(Run(variant, base, budget, folder, 0, "float32", "RelativeFill", key == "b")))
        models[key] = build_model(load_config(path).model)
    return models


@pytest.mark.parametrize(("name", "budget"), [("street", "cpu"), ("nyuv2", "half")])
def test_every_variant_differs_from_its_parent_where_its_title_says(study, tmp_path, name, budget):
    models = models_of_runs(study, name, budget, tmp_path)
    tasks = {key: sorted(model.network.tasks) for key, model in models.items()}
    assert tasks["b"] == tasks["b_wide"] == ["depth"]
    assert tasks["bi"] == tasks["bis"] == ["depth", "image"]
    assert tasks["normals"] == ["depth", "normals"]
    assert tasks["semantics"] == ["depth", "semantics"]
    assert tasks["all"] == ["depth", "image", "normals", "semantics"]
    kept = {key: sum(p.numel() for p in model.strip(("depth",)).parameters()) for key, model in models.items()}
    assert kept["normals"] == kept["semantics"] == kept["bis"]
    assert kept["b"] == kept["bi"] < kept["bis"] <= kept["b_wide"] < 1.2 * kept["bis"]
    if name == "street":
        assert tasks["bis_no_image_loss"] == ["depth", "image"]
        assert kept["bis_no_image_loss"] == kept["bis"]


def test_values_of_two_metrics_of_one_run_stay_apart(repository, tmp_path):
    """Both have an ``rmse``: of the benchmark's truth, and of exact depth behind a prefix."""
    assert command(repository, tmp_path, "--variants", "b", "--seeds", "0").returncode == 0
    result = json.loads((tmp_path / "b_0" / "work" / "result.json").read_text())
    assert {"rmse", "dense/rmse", "dense/edges/mae"} <= set(result["protocol"]["units"])
    for frame in result["per_frame"].values():
        assert frame["rmse"] != frame["dense/rmse"]


# ---- NYUv2


def rooms(root, train=5, val=2):
    """Frames as the folder tree has them: floor, wall and a box, noise over them, and photos and classes to match."""
    rng = np.random.default_rng(0)
    for split, count in (("train", train), ("val", val)):
        for number in range(count):
            depth = np.full((480, 640), 3000 + 200 * number, np.uint16)
            depth[300:] = np.linspace(3000, 1200, 180)[:, None]
            depth[200:350, 100 : 300 + 20 * number] = 1500
            label = np.where(depth == 1500, 40, np.where(np.arange(480)[:, None] >= 300, 2, 1)).astype(np.uint8)
            label[:20] = 0  # of no class
            photo = (5 * label[..., None] + rng.integers(0, 30, (480, 640, 3))).astype(np.uint8)
            depth += rng.integers(0, 9, depth.shape, np.uint16)
            for folder, picture in (("depth", depth), ("label", label), ("rgb", photo)):
                path = root / split / folder / f"{number:04d}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                assert cv2.imwrite(str(path), picture)
    return root


def indoor(tmp_path, *more):
    return (tmp_path / "out", "--study", "nyuv2", "--data-root", str(tmp_path / "nyuv2"), *more)


def test_indoor_study_is_stopped_and_goes_on(repository, tmp_path):
    rooms(tmp_path / "nyuv2")
    arguments = indoor(tmp_path, "--variants", "b", "all", "--seeds", "0")
    stopped = subprocess.Popen(line(repository, *arguments), stderr=subprocess.PIPE, text=True)
    until = time.monotonic() + 120
    while not (tmp_path / "out/b_0/work").is_dir() and time.monotonic() < until:
        time.sleep(0.05)
    stopped.terminate()  # as by Ctrl-C
    assert stopped.communicate(timeout=120)[1].strip().endswith("study: interrupted; call it again to go on.")
    assert stopped.returncode == 130
    assert not (tmp_path / "out/runs.csv").exists()

    done = command(repository, *arguments)
    assert done.returncode == 0, done.stderr[-2000:]
    rows = list(csv.DictReader((tmp_path / "out/runs.csv").open(newline="")))
    assert [row["variant"] for row in rows] == ["b", "all", "nearest", "linear"]
    assert rows[0]["steps"] == "2", "five frames are two whole batches of two"
    result = json.loads((tmp_path / "out/b_0/work/result.json").read_text())
    assert float(rows[0]["delta1"]) == pytest.approx(result["delta1"], abs=6e-5)
    assert result["frames"] == 2
    assert 0 <= float(rows[1]["semantics/miou"]) <= 1
    assert "classes, mIoU" in done.stdout


#: In place of tools/train.py: b_1 fails once after a checkpoint, bi_0 once before its first.
TRAINING = """
import json, sys
from pathlib import Path

run, work = Path(sys.argv[1]).parent, Path(sys.argv[3])
with (run.parent / "calls.txt").open("a") as file:
    file.write(" ".join((run.name, *sys.argv[4:])) + "\\n")
first = not work.exists()
work.mkdir(exist_ok=True)
if first and run.name == "b_1":
    (work / "last_checkpoint").touch()
if first and run.name in ("b_1", "bi_0"):
    sys.exit(1)
(work / "result.json").write_text(json.dumps({"rmse": 100.04 + int(run.name[-1]), "baselines": {"linear": {"rmse": 200.0}}}))
"""


def test_a_run_that_failed_goes_on_and_those_before_it_are_kept(study, tmp_path, monkeypatch, capsys):
    rooms(tmp_path / "nyuv2", train=2, val=1)
    (tmp_path / "train.py").write_text(TRAINING)
    monkeypatch.setattr(study, "TOOLS", tmp_path)
    arguments = [str(word) for word in indoor(tmp_path, "--variants", "b", "bi", "--seeds", "0", "1")]
    arguments = ["--out", *arguments, "--budget", "smoke", "--at-once", "1"]
    calls = tmp_path / "out/calls.txt"

    assert study.main(arguments) == 2
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert "bi, seed 0: the run ended with 1" in said
    assert str(tmp_path / "out/bi_0/output.log") in said
    assert calls.read_text().splitlines() == ["b_0", "bi_0"]
    assert [row["variant"] for row in study.read_rows(tmp_path / "out/runs.csv")] == ["b", "linear"]

    assert study.main(arguments) == 2
    assert calls.read_text().splitlines()[2:] == ["bi_0 --overwrite", "b_1"]
    assert study.main(arguments) == 0
    assert calls.read_text().splitlines()[4:] == ["b_1 --resume", "bi_1"]
    rows = [(row["variant"], row["seed"], row["rmse"]) for row in study.read_rows(tmp_path / "out/runs.csv")]
    assert rows == [
        ("b", "0", "100.0"),
        ("b", "1", "101.0"),
        ("bi", "0", "100.0"),
        ("bi", "1", "101.0"),
        ("linear", "0", "200.0"),
    ]
    assert "| B: depth alone | 2 | 100.5 ± 0.7 |" in capsys.readouterr().out

    assert study.main([*arguments, "--precision", "float32"]) == 2
    assert study.main([*arguments, "--table"]) == 0
    assert len(calls.read_text().splitlines()) == 6


def test_indoor_frames_are_those_of_the_reader_at_half_size(study, tmp_path):
    """Through files: depth, classes and camera exactly, photos and normals to what 8 bits hold."""
    from mtdc.data.datasets.folder import Folder
    from mtdc.data.datasets.nyuv2 import NYUv2
    from mtdc.structures import DEPTH, NORMALS, RGB_IMAGE, SEMANTICS

    source, own = rooms(tmp_path / "nyuv2", train=2, val=1), study.STUDIES["nyuv2"]
    own.prepare(source, tmp_path, "half", None)
    common = {"inputs": ("sparse_depth", "intrinsics"), "targets": (DEPTH, RGB_IMAGE, NORMALS, SEMANTICS)}
    points = {"type": "SamplePoints", "points": 125, "fixed": True}
    written = Folder(own.prepared(source, tmp_path, "half"), "val", transforms=[points], **common)
    read = NYUv2(source, "val", transforms=[{"type": "Resize", "scale": 0.5}, points], **common)
    assert len(written) == len(read) == 1
    one, other = written[0], read[0]
    assert one["inputs"]["sparse_depth"].shape == (1, 114, 152)
    assert int((one["inputs"]["sparse_depth"] > 0).sum()) == 125
    for key in ("sparse_depth", "intrinsics"):
        assert (one["inputs"][key] == other["inputs"][key]).all(), key
    for key, most in (("gt_depth", 0), ("gt_semantics", 0), ("gt_image", 0.5), ("gt_normals", 0.01)):
        difference = (one["data_samples"].get(key) - other["data_samples"].get(key)).abs().max()
        assert difference <= most, key


def test_indoor_choices_are_made_on_training_frames(study, tmp_path):
    """With the budget "choose" no validation frame is read, and none that is measured is trained on."""
    source, own = rooms(tmp_path / "nyuv2", train=10, val=1), study.STUDIES["nyuv2"]
    for path in (source / "val").rglob("*.png"):
        path.unlink()
    own.prepare(source, tmp_path, "choose", None)
    root = own.prepared(source, tmp_path, "choose")
    names = {split: {path.stem for path in (root / split / "depth").iterdir()} for split in ("train", "val")}
    assert names["val"] == {"0000", "0008"}
    assert names["train"] == {f"{number:04d}" for number in range(10)} - names["val"]
    assert own.steps("choose", root) == own.budgets["choose"].epochs * 2


def test_indoor_preparation_goes_on_and_refuses_another_source(study, tmp_path):
    from mtdc.errors import DataError

    source, own = rooms(tmp_path / "nyuv2", train=3, val=1), study.STUDIES["nyuv2"]
    own.prepare(source, tmp_path, "half", None)
    root = own.prepared(source, tmp_path, "half")
    state = json.loads((root / "prepared.json").read_text())
    assert state.pop("frames") == {"train": 3, "val": 1}
    # As it is when the preparation is stopped after the first frame.
    (root / "prepared.json").write_text(json.dumps(state))
    kept = root / "train/depth/0000.npy"
    before = kept.stat().st_mtime_ns
    for number in (1, 2):
        (root / f"train/depth/{number:04d}.npy").unlink()
    own.prepare(source, tmp_path, "half", None)
    assert sorted(path.name for path in (root / "train/depth").iterdir()) == ["0000.npy", "0001.npy", "0002.npy"]
    assert kept.stat().st_mtime_ns == before
    with pytest.raises(DataError, match="another --out"):
        own.prepare(rooms(tmp_path / "other", 1, 1), tmp_path, "half", None)


def test_indoor_preparation_ends_at_a_broken_frame(study, tmp_path):
    from mtdc.errors import DataError

    source, own = rooms(tmp_path / "nyuv2", train=24, val=1), study.STUDIES["nyuv2"]
    (source / "train/depth/0001.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"0001\.png"):
        own.prepare(source, tmp_path, "half", None)
    root = own.prepared(source, tmp_path, "half")
    assert len(list((root / "train").glob("depth/*.npy"))) < 24 - 1, "the others are not written first"
    assert "frames" not in json.loads((root / "prepared.json").read_text())


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--study", "nyuv2"), "name its folder with --data-root"),
        (("--study", "nyuv2", "--data-root", "nowhere"), "nowhere does not exist"),
        (("--variants", "bis_stron"), "Did you mean 'bis_strong'?"),
        (("--study", "nyuv2", "--data-root", ".", "--variants", "bis_strong"), "the study nyuv2 has no bis_strong"),
    ],
)
def test_mistakes_are_said_in_one_line(repository, tmp_path, more, said):
    done = command(repository, tmp_path / "out", *more)
    assert done.returncode == 2
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("study: ")
    assert said in last
