"""`mtdc analyze` from the command line: its numbers against other ways to them, and its page in a real browser."""

import csv
import json
import re
import shutil
import subprocess

import numpy as np
import pytest
import torch
from support import kitti_tree

from mtdc.analysis import plots
from mtdc.commands import main
from mtdc.data.io import read_depth_png, write_depth_png
from mtdc.engine.checkpoint import save_weights
from mtdc.engine.config import load_config
from mtdc.model import build_model

NEAREST, LINEAR = "classical/nearest_kitti", "classical/linear_kitti"
WHOLE = ["--data", NEAREST, "--cfg-options", "test_dataloader.dataset.transforms=[]"]
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")
#: Put at the end of a copy of the page: what its images became, and what it asked the network for.
PROBE = """<script>
addEventListener('load', () => {
  const images = [...document.images];
  const asked = performance.getEntriesByType('resource').map(one => one.name).filter(name => !name.startsWith('data:'));
  document.body.setAttribute('data-probe', JSON.stringify({
    images: images.length, broken: images.filter(one => !one.naturalWidth).map(one => one.alt), asked,
    tables: document.querySelectorAll('table').length,
    wide: document.documentElement.scrollWidth - document.documentElement.clientWidth,
    dead: [...document.querySelectorAll('nav a')].filter(one => !document.querySelector(one.hash)).map(one => one.hash),
  }));
});
</script>"""


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    return kitti_tree(tmp_path_factory.mktemp("tree"), "val", frames=3)


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    """``CONFIG:CHECKPOINT`` of an untrained B + I + S that expects errors: with confidence and task streams."""
    folder = tmp_path_factory.mktemp("network")
    config = folder / "expecting.py"
    config.write_text(
        "_base_ = '{{$MTDC_CONFIGS:configs}}/aux_image_kitti.py'\n"
        "model = dict(width=2, network=dict(tasks=dict(depth=dict(\n"
        "    uncertainty='laplace', losses=dict(_delete_=True, nll=dict(type='LaplaceNLL'))))))\n"
    )
    torch.manual_seed(0)
    save_weights(build_model(load_config(config).model), folder / "untrained.pth")
    return f"{config}:{folder / 'untrained.pth'}"


@pytest.fixture(scope="module")
def report(tree, network, tmp_path_factory):
    """A report on two methods, a folder of the first one's depth maps, and a network."""
    folder = tmp_path_factory.mktemp("report")
    saved = folder / "saved"
    test = ["test", NEAREST, "--data-root", str(tree), "--split", "val", "--work-dir", str(folder / "test")]
    assert main([*test, "--save-depth", str(saved), "--cfg-options", "test_dataloader.dataset.transforms=[]"]) == 0
    models = [NEAREST, f"a<b={LINEAR}", f"png={saved}", network]
    out = folder / "out"
    assert (
        main(["analyze", *models, "--data-root", str(tree), "--split", "val", "--out", str(out), "--worst", "1", *WHOLE]) == 0
    )
    return out, json.loads((folder / "test" / "result.json").read_text())


def test_overall_is_what_test_measures(report):
    out, result = report
    measured = {(row["model"], row["metric"]): float(row["mean"]) for row in rows(out / "overall.csv")}
    for metric in ("rmse", "mae", "irmse", "abs_rel"):
        assert measured["nearest_kitti", metric] == pytest.approx(result[metric], abs=1e-3)
    assert {model for model, _ in measured} == {"nearest_kitti", "a<b", "png", "expecting"}
    # The folder holds the same maps, rounded to 1/256 m.
    assert measured["png", "rmse"] == pytest.approx(result["rmse"], rel=1e-2)
    frames = {row["frame"]: float(row["rmse"]) for row in rows(out / "per_frame.csv") if row["model"] == "nearest_kitti"}
    assert frames == {name: pytest.approx(values["rmse"], abs=1e-3) for name, values in result["per_frame"].items()}


def test_breakdown_adds_up(report, tree):
    """Regions of a group have all pixels between them, and their squared errors are the whole's."""
    out, _ = report
    found = [row for row in rows(out / "breakdown.csv") if row["model"] == "nearest_kitti"]
    whole = next(row for row in found if row["group"] == "all")
    truths = [read_depth_png(path) for path in sorted(tree.rglob("groundtruth/*/*.png"))]
    assert int(whole["pixels"]) == sum(int((truth > 0).sum()) for truth in truths)
    for group in ("distance", "row", "given", "edge"):
        parts = [row for row in found if row["group"] == group]
        assert sum(int(row["pixels"]) for row in parts) == int(whole["pixels"]), group
        squares = sum(int(row["pixels"]) * float(row["rmse_mm"]) ** 2 for row in parts)
        assert squares == pytest.approx(int(whole["pixels"]) * float(whole["rmse_mm"]) ** 2, rel=1e-4), group
    # A measured point is given back as it was, and was true.
    assert float(next(row for row in found if row["group"] == "given")["rmse_mm"]) == pytest.approx(0, abs=4)


def test_curves_start_at_the_frames_as_they_are_and_leave_folders_out(report):
    out, result = report
    points = rows(out / "robustness.csv")
    assert {row["model"] for row in points} == {"nearest_kitti", "a<b", "expecting"}
    for sweep, first in (("drop", "0"), ("lines", "64")):
        own = {row["step"]: float(row["mean"]) for row in points
               if (row["sweep"], row["model"], row["metric"]) == (sweep, "nearest_kitti", "rmse")}  # fmt: skip
        assert own[first] == pytest.approx(result["rmse"], abs=1e-3)
    dropped = {
        row["step"]: row for row in points if (row["sweep"], row["model"], row["metric"]) == ("drop", "nearest_kitti", "mae")
    }
    assert float(dropped["0.97"]["mean"]) > 1.5 * float(dropped["0.25"]["mean"])
    assert all(float(row["low_95"]) <= float(row["mean"]) <= float(row["high_95"]) for row in dropped.values())


def test_the_page_needs_nothing_else(report):
    out, _ = report
    page = (out / "report.html").read_text()
    assert not re.search(r"(src|href)=\"(?!data:|#)", page)
    assert "a&lt;b" in page and "a<b" not in page
    assert "png can't be computed again" in page.replace("&#39;", "'")


def browser():
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip(f"no browser here (looked for {', '.join(BROWSERS)})")
    return found


def test_the_page_opens_in_a_browser(report, tmp_path):
    """All pictures are decoded, nothing is fetched, no link is dead, nothing is wider than the window."""
    out, _ = report
    command = browser()
    page = tmp_path / "page.html"
    page.write_text((out / "report.html").read_text().replace("</body>", PROBE + "</body>"))
    switches = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
                "--disable-background-networking", "--disable-component-update", "--window-size=1280,900",
                f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=20000", "--dump-dom")  # fmt: skip
    done = subprocess.run([command, *switches, page.as_uri()], capture_output=True, text=True, timeout=120)
    probe = re.search(r'data-probe="([^"]*)"', done.stdout)
    assert probe, done.stderr[-2000:]
    seen = json.loads(probe.group(1).replace("&quot;", '"'))
    assert seen["images"] == page.read_text().count("<img ") > 8
    assert seen["broken"] == [] and seen["asked"] == [] and seen["dead"] == []
    assert seen["wide"] <= 0
    assert seen["tables"] >= 8


def test_mistakes_are_said_before_any_work(tree, tmp_path, capsys, monkeypatch):
    folder = tmp_path / "maps"
    folder.mkdir()
    write_depth_png(folder / "other.png", np.ones((8, 8), np.float32))
    common = ["--data-root", str(tree), "--split", "val", "--out", str(tmp_path / "out")]
    cases = [
        ([NEAREST, "--curves", "drops"], "no robustness curve is called 'drops'. Did you mean 'drop'?"),
        ([str(folder)], "name a config with --data"),
        ([f"png={folder}", *WHOLE], "no file fits frame"),
        ([NEAREST, "--frames", "0"], "--frames 0: expected 1 or more"),
        ([NEAREST, "--device", "gpu"], "device 'gpu' can't be used here"),
        ([NEAREST, "--cfg-options", "test_dataloader.batch_size=1"], "name that one too"),
        ([NEAREST, NEAREST], "2 entries are called 'nearest_kitti'"),
        (["classical/neares_kitti"], "nearest_kitti"),
    ]
    for arguments, text in cases:
        assert main(["analyze", *arguments, *common]) == 2, arguments
        told = capsys.readouterr().err
        assert text in told and told.count("\n") == 1, told
    assert not (tmp_path / "out").exists()

    def missing():
        raise plots.ConfigError("the report's plots need matplotlib (no module); install mtdc[plots].")

    monkeypatch.setattr(plots, "check_matplotlib", missing)
    assert main(["analyze", NEAREST, *common]) == 2
    assert "install mtdc[plots]" in capsys.readouterr().err


def test_confidence_and_features_are_shown_where_a_model_has_them(report):
    out, _ = report
    page = (out / "report.html").read_text()
    assert {row["model"] for row in rows(out / "sparsification.csv")} == {"expecting"}
    assert "What the confidence is worth" in page and page.count("within 1 σ") == 1
    assert "first channels of each stream" in page and "Features: none of nearest_kitti, a&lt;b, png" in page


def test_files_of_an_earlier_analysis_do_not_stay(tree, tmp_path):
    for name in ("robustness.csv", "sparsification.csv", "mine.csv"):
        (tmp_path / name).write_text("of an earlier one\n")
    assert (
        main(["analyze", NEAREST, "--data-root", str(tree), "--split", "val", "--out", str(tmp_path), "--curves", *WHOLE]) == 0
    )
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"report.html", "overall.csv", "per_frame.csv", "breakdown.csv", "mine.csv"}
