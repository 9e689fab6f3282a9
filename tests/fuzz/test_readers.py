"""Broken files to every reader: a right result or one line, never another error, code that runs, or memory without end.

``tools/fuzz.py`` is the long form, in a process of its own with limits.
"""

import importlib
import json
import multiprocessing
import os
import signal
import sys
import time
from pathlib import Path
from random import Random

import numpy as np
import pytest
import torch

from mtdc.errors import DataError

hypothesis = pytest.importorskip("hypothesis")
TOOLS = str(Path(__file__).resolve().parents[2] / "tools")
READERS = (
    "depth_png", "photo_png", "photo_jpeg", "labels_png", "normals_png", "depth_npy", "normals_npy", "velodyne", "ply", "pcd",
    "cameras", "velodyne_to_camera", "camera_yaml", "camera_json", "intrinsics", "intrinsics_npy", "checkpoint",
    "weights", "hdf5", "resume",
)  # fmt: skip
#: A checkpoint takes ten times as long as the others, and a run that goes on a thousand times.
EXAMPLES = dict.fromkeys(READERS, 250) | {"checkpoint": 80, "resume": 20}


@pytest.fixture(scope="module")
def fuzzing():
    """The tool's modules, as when it is run."""
    sys.path.insert(0, TOOLS)
    yield {name: importlib.import_module(f"fuzzing.{name}") for name in ("targets", "mutations")} | {
        "fuzz": importlib.import_module("fuzz")
    }
    sys.path.remove(TOOLS)


@pytest.fixture(scope="module")
def targets(fuzzing, tmp_path_factory):
    return fuzzing["targets"].all_targets(tmp_path_factory.mktemp("seeds"))


def test_every_reader_is_fuzzed(targets):
    assert tuple(targets) == READERS


@pytest.mark.parametrize("name", READERS)
def test_valid_files_are_read(fuzzing, targets, tmp_path, name):
    path = targets[name].prepare(tmp_path)
    for content in targets[name].seeds:
        path.write_bytes(content)
        assert fuzzing["targets"].try_reader(targets[name], path) == "read"


@pytest.mark.parametrize("name", READERS)
def test_broken_files_are_read_rightly_or_refused_with_one_line(fuzzing, targets, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    target, path = targets[name], targets[name].prepare(tmp_path)
    outcomes = set()

    @hypothesis.settings(max_examples=EXAMPLES[name], derandomize=True, deadline=None, database=None)
    @hypothesis.given(random=hypothesis.strategies.randoms(use_true_random=False))
    def check(random):
        path.write_bytes(target.broken(random))
        outcomes.add(fuzzing["targets"].try_reader(target, path))
        assert not Path(fuzzing["mutations"].MARKER).exists(), "code in the file was run"

    check()
    assert "refused" in outcomes


def test_the_same_number_breaks_a_file_the_same_way(targets):
    for target in targets.values():
        assert target.broken(Random("0/1")) == target.broken(Random("0/1"))


@pytest.mark.parametrize(
    ("read", "said"),
    [
        (lambda path: [][1], "IndexError"),
        (lambda path: np.float32(1e30) * np.float32(1e30), "RuntimeWarning"),
        (lambda path: raise_(DataError("some file is broken.")), "does not name the file"),
        (lambda path: raise_(DataError(f"{path} " + "x" * 2000)), "no line"),
    ],
)
def test_what_a_reader_must_not_do_is_found(fuzzing, tmp_path, read, said):
    targets = fuzzing["targets"]
    target = targets.Target("a.bin", (b"0",), read, fuzzing["mutations"].ANY)
    with pytest.raises(targets.Finding, match=said):
        targets.try_reader(target, tmp_path / "a.bin")


def raise_(error):
    raise error


def test_the_pickles_are_live(fuzzing, targets, tmp_path, monkeypatch):
    """Loaded without care, some of the broken checkpoints do run code: the others are refused for a reason."""
    monkeypatch.chdir(tmp_path)
    marker = Path(fuzzing["mutations"].MARKER)
    for number in range(200):
        content = fuzzing["mutations"].checkpoint_pickle(Random(number), targets["checkpoint"].seeds[0])
        if b"mkdir" not in content:
            continue
        Path("a.pth").write_bytes(content)
        torch.load("a.pth", weights_only=False)
        assert marker.is_dir()
        return
    pytest.fail("no pickle that makes a folder among 200")


def test_a_wrong_result_is_found(fuzzing, targets, tmp_path, monkeypatch):
    path = targets["depth_png"].prepare(tmp_path)
    path.write_bytes(targets["depth_png"].seeds[0])
    read = fuzzing["targets"].files.read_depth
    monkeypatch.setattr(fuzzing["targets"].files, "read_depth", lambda path: read(path) - 1)
    with pytest.raises(fuzzing["targets"].Finding, match="a wrong result"):
        fuzzing["targets"].try_reader(targets["depth_png"], path)


def test_the_long_form(fuzzing, tmp_path, capsys):
    out = tmp_path / "fuzz.json"
    arguments = ["--inputs", "40", "--reader", "depth_npy", "--reader", "velodyne", "--out", str(out)]
    assert fuzzing["fuzz"].main([*arguments, "--keep", str(tmp_path / "kept")]) == 0
    said = capsys.readouterr().out
    assert "40 files, seed 0" in said and "0 did harm" in said
    assert not (tmp_path / "kept").exists()
    assert fuzzing["fuzz"].main(["--reader", "velodine"]) == 2
    assert "Did you mean 'velodyne'?" in capsys.readouterr().err


def test_a_file_that_kills_or_stops_the_process_is_kept_and_the_next_one_read(fuzzing, tmp_path, monkeypatch, capsys):
    def work(parent, folder, readers, seed, first, last, memory_mb):
        parent.send(("ready", "", "", 0.0, 0.0))
        for index in range(first, last):
            Path(folder, "velodyne").mkdir(exist_ok=True)
            Path(folder, "velodyne", "scan.bin").write_text(f"input {index}")
            if index == 2:
                os.kill(os.getpid(), signal.SIGKILL)
            if index == 4:
                time.sleep(60)
            parent.send((index, "refused", "", 0.0, 1.0))

    monkeypatch.setattr(importlib.import_module("fuzzing.child"), "work", work)
    forking = multiprocessing.get_context("fork")  # a process started anew would not know the function above
    monkeypatch.setattr(multiprocessing, "get_context", lambda method: forking)
    kept, out = tmp_path / "kept", tmp_path / "fuzz.json"
    arguments = ["--inputs", "6", "--reader", "velodyne", "--seconds", "1", "--keep", str(kept), "--out", str(out)]
    assert fuzzing["fuzz"].main(arguments) == 1
    assert {path.name: path.read_text() for path in kept.iterdir()} == {
        "velodyne_0_2.bin": "input 2", "velodyne_0_4.bin": "input 4"
    }  # fmt: skip
    result = json.loads(out.read_text())
    assert result["readers"]["velodyne"] == {"inputs": 6, "read": 0, "refused": 4, "findings": 2, "slowest_ms": 1000.0}
    assert [found["what"] for found in result["findings"]] == ["the process died (exit code -9)", "no answer within 1 s"]
    assert "2 did harm" in capsys.readouterr().out
