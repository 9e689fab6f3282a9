"""The study of auxiliary tasks: runs in processes of their own, goes on where it stopped, tables that are those of its rows."""

import csv
import json
import subprocess
import sys

import pytest


@pytest.fixture(scope="module")
def study(repository):
    sys.path.insert(0, str(repository / "tools"))
    import study

    yield study
    sys.path.remove(str(repository / "tools"))


def command(repository, folder, *more):
    line = [sys.executable, str(repository / "tools" / "study.py"), "--out", str(folder), "--budget", "smoke",
            "--precision", "float32", "--at-once", "1"]  # fmt: skip
    return subprocess.run([*line, *more], capture_output=True, text=True, timeout=300)


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
    from studies.tables import tables

    rows = [
        {"variant": "b", "seed": "0", "rmse": "100", "dense/rmse": "200"},
        {"variant": "b", "seed": "1", "rmse": "110", "dense/rmse": "220"},
        {"variant": "bis", "seed": "0", "rmse": "90", "dense/rmse": "210"},
        {"variant": "bis", "seed": "1", "rmse": "121", "dense/rmse": "220"},
        {"variant": "nearest", "seed": "0", "rmse": "300", "dense/rmse": ""},
    ]
    text = tables(rows)
    assert "| B: depth alone | 2 | 105 ± 7 | 210 ± 14 |" in text
    assert "| B + I + S: the paper's sharing | 2 | +0.0 ± 14.1 | +2.5 ± 3.5 |" in text
    assert "| nearest (no weights) |  | 300 |  |" in text


def test_every_variant_differs_from_its_parent_where_its_title_says(study):
    from studies.auxiliary import VARIANTS

    from mtdc.engine.config import load_config
    from mtdc.model import build_model

    models = {name: build_model(load_config(variant.config).model) for name, variant in VARIANTS.items()}
    tasks = {name: sorted(model.network.tasks) for name, model in models.items()}
    assert tasks["b"] == tasks["b_wide"] == ["depth"]
    assert tasks["bi"] == tasks["bis"] == tasks["bis_no_image_loss"] == ["depth", "image"]
    assert tasks["normals"] == ["depth", "normals"]
    assert tasks["semantics"] == ["depth", "semantics"]
    assert tasks["all"] == ["depth", "image", "normals", "semantics"]
    kept = {name: sum(p.numel() for p in model.strip(("depth",)).parameters()) for name, model in models.items()}
    assert kept["normals"] == kept["semantics"] == kept["bis"] == kept["bis_no_image_loss"]
    assert kept["b"] == kept["bi"] < kept["bis"] <= kept["b_wide"] < 1.2 * kept["bis"]


def test_values_of_two_metrics_of_one_run_stay_apart(repository, tmp_path):
    """Both have an ``rmse``: of the benchmark's truth, and of exact depth behind a prefix."""
    assert command(repository, tmp_path, "--variants", "b", "--seeds", "0").returncode == 0
    result = json.loads((tmp_path / "b_0" / "work" / "result.json").read_text())
    assert {"rmse", "dense/rmse", "dense/edges/mae"} <= set(result["protocol"]["units"])
    for frame in result["per_frame"].values():
        assert frame["rmse"] != frame["dense/rmse"]
