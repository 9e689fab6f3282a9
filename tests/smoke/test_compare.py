"""`mtdc compare` from the command line: one table in three forms, against other ways to its numbers."""

import csv
import json
import sys

import cv2
import pytest
import torch
from support import kitti_tree

from mtdc.analysis.comparison import Comparison, Costs
from mtdc.analysis.comparison_report import as_text, differences_table, notes, plot_png
from mtdc.analysis.entries import parse_entries
from mtdc.analysis.frames import Frames, data_config
from mtdc.analysis.memory import inference_bytes
from mtdc.commands import main
from mtdc.data.dataset import DepthDataset
from mtdc.engine.checkpoint import save_weights
from mtdc.engine.config import load_config
from mtdc.model import build_model

NEAREST, LINEAR = "classical/nearest_kitti", "classical/linear_kitti"
WHOLE = ["--data", NEAREST, "--cfg-options", "test_dataloader.dataset.transforms=[]"]


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    return kitti_tree(tmp_path_factory.mktemp("tree"), "val", frames=3)


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    folder = tmp_path_factory.mktemp("network")
    config = folder / "small.py"
    config.write_text("_base_ = '{{$MTDC_CONFIGS:configs}}/aux_image_kitti.py'\nmodel = dict(width=2)\n")
    torch.manual_seed(0)
    save_weights(build_model(load_config(config).model), folder / "untrained.pth")
    return f"{config}:{folder / 'untrained.pth'}"


@pytest.fixture(scope="module")
def compared(tree, network, tmp_path_factory):
    folder = tmp_path_factory.mktemp("compared")
    saved = folder / "saved"
    test = ["test", NEAREST, "--data-root", str(tree), "--split", "val", "--work-dir", str(folder / "test")]
    assert main([*test, "--save-depth", str(saved), "--cfg-options", "test_dataloader.dataset.transforms=[]"]) == 0
    loaded = []
    original = DepthDataset.__getitem__

    def counted(self, index):
        loaded.append(index)
        return original(self, index)

    DepthDataset.__getitem__ = counted
    try:
        models = [NEAREST, LINEAR, f"png={saved}", network]
        assert main(["compare", *models, "--data-root", str(tree), "--out", str(folder / "out"), "--split", "val", *WHOLE]) == 0
    finally:
        DepthDataset.__getitem__ = original
    return folder, json.loads((folder / "out" / "comparison.json").read_text()), loaded


def test_numbers_are_those_of_test(compared):
    folder, found, _ = compared
    result = json.loads((folder / "test" / "result.json").read_text())
    for metric in ("rmse", "mae", "irmse", "imae"):
        assert found["models"]["nearest_kitti"][metric] == pytest.approx(result[metric], rel=1e-9)
    frames = {name: values["rmse"] for name, values in found["models"]["nearest_kitti"]["per_frame"].items()}
    assert frames == {name: pytest.approx(values["rmse"]) for name, values in result["per_frame"].items()}
    # The folder's maps are rounded to 1/256 m.
    assert found["models"]["png"]["rmse"] == pytest.approx(result["rmse"], rel=1e-2)


def test_each_frame_is_loaded_once_for_all_models(compared):
    _, _, loaded = compared
    assert loaded == [0, 1, 2, 0]  # and the first one again, to be timed


def test_costs_are_those_of_the_model(compared, network):
    _, found, _ = compared
    costs = {name: one["costs"] for name, one in found["models"].items()}
    whole = build_model(load_config(network.partition(":")[0]).model)
    counted = sum(parameter.numel() for parameter in whole.parameters())
    assert costs["small"]["parameters_train"] == counted
    assert costs["small"]["parameters_test"] == sum(p.numel() for p in whole.strip(("depth",)).parameters()) < counted
    assert costs["small"]["macs"] > 1e6 and costs["nearest_kitti"]["macs"] == 0
    assert 0 < costs["linear_kitti"]["ms"]["p10"] <= costs["linear_kitti"]["ms"]["median"] <= costs["linear_kitti"]["ms"]["p90"]
    assert set(costs["png"].values()) == {None}


def test_the_forms_agree(compared):
    folder, found, _ = compared
    page = (folder / "out" / "comparison.md").read_text()
    for name, one in found["models"].items():
        row = next(line for line in page.splitlines() if line.startswith(f"| {name} |"))
        assert f"| {one['rmse']:.1f} | {one['mae']:.1f} |" in row
    order = [line.split(" | ")[0][2:] for line in page.splitlines()[2:6]]
    assert order == list(found["models"]) == sorted(order, key=lambda name: found["models"][name]["rmse"])
    assert len(found["differences"]) == 6
    pair = next(one for one in found["differences"] if {one["first"], one["second"]} == {"nearest_kitti", "linear_kitti"})
    sign = 1 if pair["first"] == "nearest_kitti" else -1
    gap = found["models"]["nearest_kitti"]["rmse"] - found["models"]["linear_kitti"]["rmse"]
    assert pair["mean"] == pytest.approx(sign * gap)
    picture = cv2.imread(str(folder / "out" / "accuracy_latency.png"))
    assert picture is not None and picture.std() > 5


def test_one_model_alone(tree, tmp_path, capsys, monkeypatch):
    """No pair, no costs, no matplotlib: the table is made, and an older picture doesn't stay beside it."""
    out = tmp_path / "out"
    out.mkdir()
    (out / "accuracy_latency.png").write_bytes(b"old")
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert main(["compare", NEAREST, "--data-root", str(tree), "--split", "val", "--out", str(out), "--no-costs", *WHOLE]) == 0
    told = capsys.readouterr().out
    assert "Intervals" not in told and "3 frames with ground truth" in told and "no accuracy_latency.png" in told
    assert {path.name for path in out.iterdir()} == {"comparison.json", "comparison.md", "per_frame.csv"}
    with (out / "per_frame.csv").open(newline="") as file:
        frames = {row["frame"]: float(row["rmse"]) for row in csv.DictReader(file)}
    found = json.loads((out / "comparison.json").read_text())["models"]["nearest_kitti"]
    assert sum(frames.values()) / 3 == pytest.approx(found["rmse"], rel=1e-5) and len(frames) == 3


def test_answers_that_are_no_numbers_are_refused(tree, tmp_path, capsys):
    part = tmp_path / "broken_fill.py"
    part.write_text(
        "import numpy as np\nfrom mtdc import Completion\n\n\nclass Broken(Completion):\n"
        "    keeps_measured = False\n\n    def __call__(self, sparse_depth):\n"
        "        return np.full_like(sparse_depth, np.nan)\n"
    )
    config = tmp_path / "broken.py"
    config.write_text(
        "_base_ = '{{$MTDC_CONFIGS:configs}}/classical/nearest_kitti.py'\n"
        "model = dict(network=dict(method=dict(_delete_=True, type='broken_fill.Broken')))\n"
    )
    assert main(["compare", NEAREST, str(config), "--data-root", str(tree), "--split", "val", "--no-costs", *WHOLE]) == 2
    assert "broken answers frame" in capsys.readouterr().err


def test_memory_grows_with_what_a_model_needs(tree):
    """The nearest fill of a frame 100 times as large needs its index maps, and no more than a few of them."""
    item = Frames(data_config(parse_entries([NEAREST]), load_config(NEAREST, {"test_dataloader.dataset.transforms": []}),
                              str(tree), "val"), limit=1)[0]  # fmt: skip
    large = {"inputs": {"sparse_depth": torch.nn.functional.pad(item["inputs"]["sparse_depth"], (0, 1400, 0, 900))},
             "data_samples": item["data_samples"]}  # fmt: skip
    small, big = (inference_bytes(NEAREST, one, "cpu", 1) for one in (item, large))
    if small is None:
        pytest.skip("this system doesn't tell a process's peak")
    pixels = large["inputs"]["sparse_depth"].numel()
    # Two index maps of int32, the filled map and a mask: 13 bytes a pixel at least, 100 at most.
    assert 13 * pixels < big < 100 * pixels and small < big / 4


def comparison(metric="rmse", **values):
    means = {name: {metric: value} for name, value in values.items()}
    units = {metric: "ratio" if metric.startswith("delta") else "mm"}
    protocol = {"units": units, "frames": 1, "dataset": "d", "split": "s"}
    costs = {name: Costs() for name in values}
    return Comparison(metric, means, {name: {} for name in values}, costs, [], "frames", protocol, {}, (2, 3))


def test_more_is_better_of_some_metrics():
    assert comparison(a=3, b=1, c=2).ranked == ["b", "c", "a"]
    assert comparison("delta1", a=0.3, b=0.1, c=0.2).ranked == ["a", "c", "b"]
    for metric in ("rmse", "delta1"):  # what isn't known comes last
        assert comparison(metric, a=float("nan"), b=0.1).ranked == ["b", "a"]
    assert "more is better" in notes(comparison("delta1", a=1))[0]


def test_without_costs_and_pairs():
    one = comparison(a=12.34)
    assert plot_png(one) is None and differences_table(one)[1] == []
    assert "12.3" in as_text(one) and "Costs" not in as_text(one)


def test_mistakes_are_said_before_any_work(tree, tmp_path, capsys, network):
    common = ["--data-root", str(tree), "--split", "val", "--out", str(tmp_path / "out")]
    (tmp_path / "file").write_text("")
    cases = [
        ([NEAREST, "--metric", "rsme"], "--metric rsme isn't measured here. Did you mean 'rmse'?"),
        ([NEAREST, network.partition(":")[0]], "name the checkpoint"),
        ([NEAREST, f"{NEAREST}:{network.rpartition(':')[2]}"], "leave the checkpoint away"),
        (["fusion/early_kitti:none.pth"], "none.pth"),
        ([NEAREST, "--threads", "0"], "--threads 0: expected 1 or more"),
        ([NEAREST, "--out", str(tmp_path / "file" / "x")], "file"),
    ]
    for arguments, text in cases:
        assert main(["compare", *common, *arguments]) == 2, arguments
        told = capsys.readouterr().err
        assert text in told and told.count("\n") == 1, told
    assert not (tmp_path / "out").exists()
