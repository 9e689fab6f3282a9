"""A zoo of one's own: from a stripped checkpoint, and after a publication that was killed."""

import subprocess
import sys
from pathlib import Path

import pytest
from zoo_support import STREETS, make_run, publish_command

import mtdc
from mtdc.commands import main
from mtdc.engine.tensor_file import read_description
from mtdc.zoo import publishing
from mtdc.zoo.index import read_zoo


@pytest.fixture(autouse=True)
def _small_streets(monkeypatch):
    monkeypatch.setitem(publishing.FRAMES, "outdoor", STREETS)


def test_a_stripped_checkpoint_is_published_as_the_whole_one(tmp_path):
    work_dir = make_run(tmp_path / "run")
    stripped = tmp_path / "depth_only.pth"
    assert main(["strip", str(work_dir / "mine.py"), str(work_dir / "epoch_2.pth"), "--out", str(stripped)]) == 0
    assert main(publish_command(work_dir, tmp_path / "whole")) == 0
    assert main(publish_command(work_dir, tmp_path / "stripped", "--checkpoint", str(stripped))) == 0
    entries = [read_zoo(tmp_path / name).entries["mine"] for name in ("whole", "stripped")]
    assert entries[0].parameters == entries[1].parameters
    assert entries[1].parameters["train"] > entries[1].parameters["test"]  # the image task was trained too
    files = [tmp_path / name / "weights" / str(one.file) for name, one in zip(("whole", "stripped"), entries, strict=True)]
    assert [read_description(file)["stripped"] for file in files] == [["image"], ["image"]]


KILLED = """
import os, signal, sys
sys.path.insert(0, {tests!r})
from zoo_support import STREETS
from mtdc.commands import main
from mtdc.zoo import publishing
publishing.FRAMES["outdoor"] = STREETS
at = {at!r}
if at == "weights":  # while the stored file is tried
    publishing.load_model = lambda path: os.kill(os.getpid(), signal.SIGKILL)
else:  # while the index is written
    from pathlib import Path
    def replace(self, to):
        if Path(to).name == "index.json":
            os.kill(os.getpid(), signal.SIGKILL)
        os.replace(self, to)
    Path.replace = replace
main({command!r})
"""


@pytest.mark.parametrize("at", ["weights", "index"])
def test_what_a_killed_publication_leaves_is_gone_after_the_next(at, tmp_path, capsys):
    work_dir, zoo = make_run(tmp_path / "run"), tmp_path / "zoo"
    assert main(publish_command(work_dir, zoo)) == 0
    before = (zoo / "index.json").read_bytes()
    tests, again = str(Path(__file__).resolve().parents[2]), publish_command(work_dir, zoo, "--replace", "--full-precision")
    code = KILLED.format(tests=tests, at=at, command=again)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == -9, done.stderr[-1000:]
    assert hidden(zoo), "nothing was half written: the test is none"
    assert (zoo / "index.json").read_bytes() == before
    mtdc.load("mine", "cpu", zoo=zoo)
    assert main(again) == 0, capsys.readouterr().err
    assert hidden(zoo) == []
    (entry,) = read_zoo(zoo).entries.values()
    assert [path.name for path in (zoo / "weights").iterdir()] == [entry.file]


def hidden(zoo):
    """Files that are no part of a zoo, but for its lock."""
    return [path.name for path in zoo.rglob(".*") if path.is_file() and path.name != ".lock"]
