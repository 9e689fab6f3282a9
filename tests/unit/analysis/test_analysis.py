"""The analysis as a whole, on depth maps made for it."""

import re
import shutil

import numpy as np
import pytest
import torch
from support import kitti_tree

from mtdc.analysis.analysis import Options, _panel, analyze
from mtdc.analysis.entries import parse_entries
from mtdc.analysis.frames import data_config
from mtdc.analysis.predictors import Prediction
from mtdc.analysis.report import number, render, shown_region
from mtdc.data.io import read_depth_png, write_depth_png
from mtdc.engine.config import load_config
from mtdc.structures import DepthSample
from mtdc.visualization.fields import colorize_deviation

ERRORS_M = (0.5, 14.0, 6.0)


@pytest.fixture(scope="module")
def analysis(tmp_path_factory):
    """Answers to three frames in two folders: the truth with holes and an error for each frame, and twice that error."""
    tree = kitti_tree(tmp_path_factory.mktemp("tree"), "val", frames=len(ERRORS_M))
    folders = [tmp_path_factory.mktemp("near") / name for name in ("once", "twice")]
    for times, folder in enumerate(folders, start=1):
        for path, error in zip(sorted(tree.rglob("groundtruth/*/*.png")), ERRORS_M, strict=True):
            answer = read_depth_png(path) + times * error
            answer[:, 40:44] = 0  # holes, which the benchmark fills from their neighbours
            folder.mkdir(exist_ok=True)
            write_depth_png(folder / f"2011_09_26_drive_0001_sync_image_02_{path.name}", answer, zero_is_empty=True)
    given = load_config("classical/nearest_kitti", {"test_dataloader.dataset.transforms": []})
    entries = parse_entries([str(folder) for folder in folders])
    return analyze(entries, data_config(entries, given, str(tree), "val"), Options(worst=2, features=False))


def test_worst_frames_come_first(analysis):
    for judged in analysis.models:
        assert [name[-10:] for name, _, _ in judged.worst] == ["0000000001", "0000000002"]
        errors = {name: values["rmse"] for name, values in judged.per_frame.items()}
        assert [error for _, error, _ in judged.worst] == sorted(errors.values(), reverse=True)[:2]


def test_the_panel_of_a_model_that_expects_errors_shows_them():
    depth = torch.full((1, 20, 30), 10.0)
    item = {"inputs": {"sparse_depth": depth}, "data_samples": DepthSample(gt_depth=depth)}
    plain, expecting = (_panel(item, Prediction(depth[0].numpy() + 1, one)) for one in (None, np.full((20, 30), 10.0)))
    yellow = colorize_deviation(np.full((1, 1), 10.0))[0, 0]
    count = [int((sheet == yellow).all(axis=2).sum()) for sheet in (plain, expecting)]
    assert count[0] == 0 and count[1] >= 20 * 30


def test_regions_are_of_the_answers_that_the_metric_sees(analysis):
    """Holes filled, values clamped: else the sums by region would be of other errors than the mean over frames."""
    for judged in analysis.models:
        whole = next(row for row in judged.breakdown if row.group == "all")
        squares = [values["rmse"] ** 2 for values in judged.per_frame.values()]
        # The tree's frames have ground truth at the same number of pixels.
        assert whole.rmse_mm == pytest.approx(np.sqrt(np.mean(squares)), rel=1e-6)


def test_the_best_of_each_column_is_marked(analysis):
    page = render(analysis)
    once, twice = analysis.models
    best, other = (number(judged.means["rmse"]) for judged in (once, twice))
    assert re.search(rf'class="best">{re.escape(best)} \[', page) and not re.search(
        rf'class="best">{re.escape(other)} \[', page
    )


def test_without_curves_nothing_is_said_of_them(analysis):
    assert analysis.points == [] and "With a worse sensor" not in render(analysis)


def test_a_missing_answer_is_named_before_any_work(analysis, tmp_path):
    tree = kitti_tree(tmp_path, "val", frames=2)
    folder = tmp_path / "maps"
    folder.mkdir()
    first = min(tree.rglob("groundtruth/*/*.png"))
    shutil.copy(first, folder / f"2011_09_26_drive_0001_sync_image_02_{first.name}")
    entries = parse_entries([str(folder)])
    cfg = data_config(entries, load_config("classical/nearest_kitti"), str(tree), "val")
    with pytest.raises(Exception, match="no file fits frame 2011_09_26_drive_0001_sync_image_02_0000000001"):
        analyze(entries, cfg, Options())


def test_names_for_people():
    assert shown_region("0_20m") == "0–20 m" and shown_region("80m_on") == "over 80 m" and shown_region("0.5_1m") == "0.5–1 m"
    assert shown_region("traffic_sign") == "traffic sign"
    assert [number(value) for value in (1234.5, 851.49, 12.345, 0.976, 0.0317, 0.0)] == [
        "1234", "851.5", "12.3", "0.976", "0.0317", "0",
    ]  # fmt: skip
