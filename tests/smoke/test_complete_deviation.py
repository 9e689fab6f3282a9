"""What a model expects of its own error, from its head to the files of `mtdc complete`."""

import json
import re
import subprocess
import sys

import cv2
import numpy as np
import pytest
import torch
from complete_support import HEIGHT, INTRINSICS, NETWORK, WIDTH, complete, files, refused, sparse, write
from plyfile import PlyData

from mtdc.data.cloud_file import read_cloud
from mtdc.engine.checkpoint import save_weights
from mtdc.engine.config import load_config
from mtdc.infer import Completer
from mtdc.model import build_model

FOLDERS = ["color", "depth", "deviation", "deviation_color", "valid"]


@pytest.fixture
def model(tmp_path):
    """Arguments that name an untrained network which expects errors."""
    config, weights = tmp_path / "laplace.py", tmp_path / "laplace.pth"
    config.write_text(NETWORK.replace("type='DepthTask'", "type='DepthTask', uncertainty='laplace'"))
    torch.manual_seed(1)
    made = build_model(load_config(config).model)
    with torch.no_grad():
        # What an untrained head answers is nearly the same everywhere.
        for parameter in made.network.tasks["depth"].head.parameters():
            parameter.mul_(1.5)
    save_weights(made, weights)
    return ("--model", config, "--checkpoint", weights)


def predicted(model, stored):
    """Depth and deviation as the network itself gives them, without what completes scans."""
    net = build_model(load_config(model[1]).model)
    net.load_state_dict(torch.load(model[3], weights_only=True)["state_dict"])
    with torch.no_grad():
        fields = net.eval().network({"sparse_depth": torch.from_numpy(stored.astype(np.float32) / 256)[None, None]})
    return fields["depth"][0, 0].numpy(), fields["depth_confidence"][0, 0].numpy()


def png(path):
    return cv2.imread(str(path), cv2.IMREAD_UNCHANGED)


def test_written_deviation_is_the_networks_for_scans_of_several_sizes(tmp_path, model, capsys):
    sizes = {"a": (HEIGHT, WIDTH), "b": (40, 17), "c": (33, 64)}
    for seed, (name, size) in enumerate(sizes.items()):
        write(tmp_path / f"scans/{name}.png", sparse(seed, *size))
    assert complete(tmp_path / "scans", *model, "--out", tmp_path / "out") == 0
    assert "No deviation" not in capsys.readouterr().out
    assert files(tmp_path / "out") == [f"{folder}/{name}.png" for folder in FOLDERS for name in sizes]
    for seed, (name, size) in enumerate(sizes.items()):
        _, deviation = predicted(model, sparse(seed, *size))
        assert deviation.max() > 2 * deviation.min() and deviation.min() > 1 / 256 and deviation.max() < 255
        written = png(tmp_path / f"out/deviation/{name}.png")
        assert written.dtype == np.uint16 and written.shape == size
        np.testing.assert_allclose(written / 256, deviation, atol=0.5 / 256 + 1e-4)
        shown = png(tmp_path / f"out/deviation_color/{name}.png")
        assert shown.dtype == np.uint8 and shown.shape == (*size, 3) and shown.any(axis=2).all()


def test_the_clouds_points_carry_the_deviation_of_their_pixels(tmp_path, model):
    stored = sparse()
    scan = write(tmp_path / "scan.png", stored)
    (tmp_path / "k.txt").write_text(INTRINSICS)
    assert complete(scan, *model, "--out", tmp_path / "out", "--intrinsics", tmp_path / "k.txt") == 0
    depth, deviation = predicted(model, stored)
    vertices = PlyData.read(str(tmp_path / "out/cloud/scan.ply"))["vertex"]
    columns = np.rint(vertices["x"] / vertices["z"] * 20 + 16).astype(int)
    rows = np.rint(vertices["y"] / vertices["z"] * 20 + 10).astype(int)
    assert len(rows) == np.count_nonzero(png(tmp_path / "out/valid/scan.png")) > 100
    np.testing.assert_allclose(vertices["z"], depth[rows, columns], rtol=1e-4)
    np.testing.assert_allclose(vertices["deviation"], deviation[rows, columns], rtol=1e-4)
    assert {vertices[channel].dtype for channel in ("red", "green", "blue")} == {np.dtype("u1")}
    assert read_cloud(tmp_path / "out/cloud/scan.ply").shape == (len(rows), 3)  # our own reader takes it back


def test_pixels_above_the_limit_are_left_out(tmp_path, model, capsys):
    stored = sparse()
    scan = write(tmp_path / "scan.png", stored)
    (tmp_path / "k.txt").write_text(INTRINSICS)
    depth, deviation = predicted(model, stored)
    assert complete(scan, *model, "--out", tmp_path / "all", "--intrinsics", tmp_path / "k.txt") == 0
    before = png(tmp_path / "all/valid/scan.png") > 0
    limit = float(np.median(deviation[before]))
    more = ("--max-deviation", limit, "--invalid", "zero", "--intrinsics", tmp_path / "k.txt")
    assert complete(scan, *model, "--out", tmp_path / "sure", *more) == 0
    sure = before & (deviation <= limit)
    doubtful = np.isclose(deviation, limit, rtol=1e-4)  # at the limit itself rounding decides
    valid = png(tmp_path / "sure/valid/scan.png") > 0
    assert "No valid pixel" not in capsys.readouterr().out
    assert 0.3 < sure.sum() / before.sum() < 0.7
    np.testing.assert_array_equal(valid[~doubtful], sure[~doubtful])
    for folder, values in (("depth", depth), ("deviation", deviation)):
        written = png(tmp_path / f"sure/{folder}/scan.png")
        assert not written[~valid].any()
        np.testing.assert_allclose(written[valid] / 256, values[valid], atol=0.5 / 256 + 1e-4)
    for folder in ("color", "deviation_color"):
        np.testing.assert_array_equal(png(tmp_path / f"sure/{folder}/scan.png").any(axis=2), valid)
    points = PlyData.read(str(tmp_path / "sure/cloud/scan.ply"))["vertex"]
    assert len(points) == valid.sum() and points["deviation"].max() <= limit


def test_a_frame_without_any_sure_pixel_is_written_all_the_same(tmp_path, model, capsys):
    scan = write(tmp_path / "scan.png", sparse())
    (tmp_path / "k.txt").write_text(INTRINSICS)
    more = ("--max-deviation", 0, "--invalid", "zero", "--intrinsics", tmp_path / "k.txt")
    assert complete(scan, *model, "--out", tmp_path / "out", *more) == 0
    assert "No valid pixel in 1 scan: " in capsys.readouterr().out
    assert len(PlyData.read(str(tmp_path / "out/cloud/scan.ply"))["vertex"]) == 0
    assert not any(png(tmp_path / f"out/{folder}/scan.png").any() for folder in FOLDERS)


def test_a_model_without_it_says_so_in_one_line(tmp_path, capsys):
    scan = write(tmp_path / "scan.png", sparse())
    arguments = (scan, "--model", "classical/nearest_kitti", "--out", tmp_path / "out")
    said = refused(capsys, *arguments, "--max-deviation", 0.5)
    assert "0.5 m" in said and "doesn't predict it" in said
    broken = tmp_path / "broken.png"
    broken.write_bytes(scan.read_bytes()[:50])
    assert "doesn't predict it" in refused(capsys, broken, *arguments[1:], "--max-deviation", 0.5)  # before a scan is read
    assert not (tmp_path / "out").exists()
    assert complete(*arguments) == 0
    assert capsys.readouterr().out.count("No deviation: this model doesn't predict the error of its depth.\n") == 1
    assert files(tmp_path / "out") == ["color/scan.png", "depth/scan.png", "valid/scan.png"]


@pytest.mark.parametrize("limit", ["-1", "nan"])
def test_a_limit_that_is_none_is_refused_before_any_work(tmp_path, model, capsys, limit):
    scan = write(tmp_path / "scan.png", sparse())
    said = refused(capsys, scan, *model, "--out", tmp_path / "out", f"--max-deviation={limit}")
    assert re.search(rf"largest deviation is {limit}.*0 or more metres", said)
    assert not (tmp_path / "out").exists()


def test_resuming_makes_again_what_lacks_its_deviation_and_keeps_the_rest(tmp_path, model, capsys):
    for seed in range(4):
        write(tmp_path / f"scans/{seed}.png", sparse(seed))
    arguments = (tmp_path / "scans", *model, "--out", tmp_path / "out")
    assert complete(*arguments) == 0
    whole = {name: (tmp_path / "out" / name).read_bytes() for name in files(tmp_path / "out")}
    (tmp_path / "out/deviation/1.png").unlink()
    (tmp_path / "out/deviation_color/2.png").write_bytes(b"half")
    kept = {name: (tmp_path / "out/deviation" / name).stat().st_ino for name in ("0.png", "3.png")}
    capsys.readouterr()
    assert complete(*arguments, "--resume") == 0
    said = capsys.readouterr().out
    assert "Kept 2 scans" in said and "Completed 2 scans" in said
    assert {name: (tmp_path / "out" / name).read_bytes() for name in files(tmp_path / "out")} == whole
    assert {name: (tmp_path / "out/deviation" / name).stat().st_ino for name in kept} == kept
    # Another limit makes other results.
    assert complete(*arguments, "--resume", "--max-deviation", 2) == 2
    assert "another max deviation (none, now 2.0)" in capsys.readouterr().err


def test_results_of_a_version_without_deviations_are_completed(tmp_path, model, capsys):
    """Its settings know no limit, and its journal no files of a deviation."""
    scan = write(tmp_path / "scan.png", sparse())
    arguments = (scan, *model, "--out", tmp_path / "out")
    assert complete(*arguments) == 0
    for folder in ("deviation", "deviation_color"):
        (tmp_path / f"out/{folder}/scan.png").unlink()
    settings = json.loads((tmp_path / "out/settings.json").read_text())
    del settings["max_deviation"]
    (tmp_path / "out/settings.json").write_text(json.dumps(settings))
    line = json.loads((tmp_path / "out/completed.jsonl").read_text())
    line["results"] = line["results"][:3]
    (tmp_path / "out/completed.jsonl").write_text(json.dumps(line) + "\n")
    assert complete(*arguments, "--resume") == 0
    assert "Completed 1 scan:" in capsys.readouterr().out
    assert png(tmp_path / "out/deviation/scan.png") is not None


def test_killed_while_a_scans_results_are_written(tmp_path, model):
    """Killed between depth/ and deviation/ of the second scan: it is done again, and the first is kept."""
    for seed in range(2):
        write(tmp_path / f"scans/{seed}.png", sparse(seed))
    arguments = ["complete", tmp_path / "scans", *model, "--out", tmp_path / "out", "--resume"]
    killed = (
        "import os, signal, sys, mtdc.complete_files as work\n"
        "write = work.write_depth_png\n"
        "def stop(path, *more, **named):\n"
        "    if path.parent.name == 'deviation' and path.stem == '1':\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "    write(path, *more, **named)\n"
        "work.write_depth_png = stop\n"
        "from mtdc.commands import main\n"
        "main(sys.argv[1:])\n"
    )
    command = [sys.executable, "-c", killed, *map(str, arguments)]
    assert subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == -9
    assert (tmp_path / "out/depth/1.png").exists() and not (tmp_path / "out/deviation/1.png").exists()
    first = (tmp_path / "out/deviation/0.png").stat().st_ino
    assert complete(*arguments[1:]) == 0
    assert (tmp_path / "out/deviation/0.png").stat().st_ino == first
    np.testing.assert_allclose(
        png(tmp_path / "out/deviation/1.png") / 256, predicted(model, sparse(1))[1], atol=0.5 / 256 + 1e-4
    )
    assert len(files(tmp_path / "out")) == 2 * len(FOLDERS)


def test_python_gives_the_same_numbers(tmp_path, model):
    stored = sparse()
    depth, deviation = predicted(model, stored)
    completer = Completer.load(model[1], model[3], device="cpu")
    completed = completer.complete(stored.astype(np.float32) / 256, max_deviation_m=float(np.median(deviation)))
    np.testing.assert_allclose(completed.deviation, deviation, rtol=1e-4)
    np.testing.assert_allclose(completed.depth, depth, rtol=1e-4)
    assert completed.deviation.dtype == np.float32
    assert not completed.valid[deviation > 1.001 * np.median(deviation)].any() and completed.valid.any()
    assert completer.predicts_deviation
