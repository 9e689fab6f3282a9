"""A zoo of one's own: from a stripped checkpoint, and after a publication that was killed."""

import subprocess
import sys
from pathlib import Path

import pytest
from zoo_support import STREETS, make_run, publish_command, write_log

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
else:  # while that file takes its name
    from pathlib import Path
    def replace(self, to):
        if Path(to).name == at:
            os.kill(os.getpid(), signal.SIGKILL)
        os.replace(self, to)
    Path.replace = replace
main({command!r})
"""


def killed(at, command):
    """Run a command in a process of its own that is killed there."""
    code = KILLED.format(tests=str(Path(__file__).resolve().parents[2]), at=at, command=command)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == -9, done.stderr[-1000:]


def seen(zoo):
    """What a zoo says of its models and shows of them; the weights are those that the index names."""
    (entry,) = read_zoo(zoo).entries.values()
    mtdc.load("mine", "cpu", zoo=zoo)
    return (zoo / "index.json").read_bytes(), *((zoo / path).read_text() for path in (entry.card, entry.log))


@pytest.mark.parametrize("at", ["weights", "index.json"])
def test_what_a_killed_publication_leaves_is_gone_after_the_next(at, tmp_path, capsys):
    work_dir, zoo = make_run(tmp_path / "run"), tmp_path / "zoo"
    write_log(work_dir, [{"lr": 1.0, "loss": 1.0, "step": 10}])
    assert main(publish_command(work_dir, zoo)) == 0
    before = seen(zoo)
    other = make_run(tmp_path / "other", seed=8)
    write_log(other, [{"lr": 1.0, "loss": 2.0, "step": 20}])
    again = publish_command(other, zoo, "--replace")
    killed(at, again)
    assert hidden(zoo), "nothing was half written: the test is none"
    assert seen(zoo) == before
    assert len(list((zoo / "weights").glob("[!.]*"))) == (1 if at == "weights" else 2)
    # The next may be of another model.
    assert main(publish_command(work_dir, zoo, "--name", "another")) == 0, capsys.readouterr().err
    assert hidden(zoo) == []
    entries = read_zoo(zoo).entries
    assert sorted(path.name for path in (zoo / "weights").iterdir()) == sorted(entry.file for entry in entries.values())
    assert "1" in (zoo / entries["mine"].log).read_text().splitlines()[1]
    assert main(again) == 0, capsys.readouterr().err
    entry = read_zoo(zoo).entries["mine"]
    assert (zoo / entry.log).read_text().splitlines()[1:] == ["20,1,2"] and hidden(zoo) == []
    assert not (zoo / "weights" / entries["mine"].file).exists() and (zoo / "weights" / entry.file).exists()


@pytest.mark.parametrize("replaced", [True, False])
def test_log_and_card_of_a_publication_that_was_killed_behind_its_index_come_with_the_next(replaced, tmp_path, capsys):
    work_dir, zoo = make_run(tmp_path / "run"), tmp_path / "zoo"
    write_log(work_dir, [{"lr": 1.0, "loss": 1.0, "step": 10}])
    if replaced:
        assert main(publish_command(work_dir, zoo)) == 0
        write_log(work_dir, [{"lr": 1.0, "loss": 2.0, "step": 20}], "20260102_000000")
        (zoo / "cards" / "mine.md").unlink()
    killed("mine.csv", publish_command(work_dir, zoo, "--replace", "--full-precision"))
    (entry,) = read_zoo(zoo).entries.values()
    mtdc.load("mine", "cpu", zoo=zoo)  # the new one, which is whole
    (zoo / "cards" / ".mine-00000000.tmp.csv").write_text("of other weights")
    assert main(publish_command(work_dir, zoo)) == 2
    assert "--replace" in capsys.readouterr().err
    assert main(publish_command(work_dir, zoo, "--name", "another")) == 0, capsys.readouterr().err
    assert hidden(zoo) == [] and read_zoo(zoo).entries["mine"] == entry
    assert (zoo / entry.log).read_text().splitlines()[-1] == ("20,1,2" if replaced else "10,1,1")
    assert f"# {entry.name}" in (zoo / entry.card).read_text()
    assert len(list((zoo / "weights").iterdir())) == 2


def test_a_publication_for_upload_that_failed_or_was_killed_leaves_no_file(tmp_path, monkeypatch, capsys):
    """The folder may hold files of others, which stay."""
    work_dir, zoo, upload = make_run(tmp_path / "run"), tmp_path / "zoo", tmp_path / "upload"
    upload.mkdir()
    others = {"mine-0123abcd.safetensors", ".other.0123456789ab.safetensors", ".mine.notes.safetensors"}
    for name in others:
        (upload / name).write_bytes(b"")
    command = publish_command(work_dir, zoo, "--url", "https://example.org/weights", "--upload", str(upload))

    def full(*_):
        raise mtdc.DataError("can't write index.json: No space left on device.")

    with monkeypatch.context() as patch:
        patch.setattr(publishing, "write_index", full)
        assert main(command) == 2
    assert "No space left" in capsys.readouterr().err
    assert {path.name for path in upload.iterdir()} == others
    killed("weights", command)
    assert len(list(upload.iterdir())) == len(others) + 1, "nothing was half written: the test is none"
    assert main(command) == 0, capsys.readouterr().err
    (entry,) = read_zoo(zoo).entries.values()
    assert {path.name for path in upload.iterdir()} == {*others, entry.url.rpartition("/")[2]}
    # The same once more, and failing: what the index names stays.
    with monkeypatch.context() as patch:
        patch.setattr(publishing, "write_index", full)
        assert main([*command, "--replace"]) == 2
    assert (upload / entry.url.rpartition("/")[2]).is_file()


HOLDER = "import sys, time, pathlib\nfrom mtdc.engine.folder_lock import held\n"
HOLDER += "with held(pathlib.Path(sys.argv[1])):\n    print('held', flush=True)\n    time.sleep(600)\n"


def test_two_publications_into_one_zoo_are_not_at_once(tmp_path, capsys):
    work_dir, zoo = make_run(tmp_path / "run"), tmp_path / "zoo"
    assert main(publish_command(work_dir, zoo)) == 0
    before = seen_files(zoo)
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(zoo)], stdout=subprocess.PIPE, text=True) as other:
        try:
            assert other.stdout is not None and other.stdout.readline() == "held\n"
            assert main(publish_command(work_dir, zoo, "--name", "another")) == 2
            assert f"{zoo}: another run writes there, process {other.pid}" in capsys.readouterr().err
            assert seen_files(zoo) == before
        finally:
            other.kill()
    assert main(publish_command(work_dir, zoo, "--name", "another")) == 0


def seen_files(zoo):
    """All files of a zoo but for its lock."""
    return {path: path.read_bytes() for path in zoo.rglob("*") if path.is_file() and path.name != ".lock"}


def hidden(zoo):
    """Files that are no part of a zoo, but for its lock."""
    return [path.name for path in zoo.rglob(".*") if path.is_file() and path.name != ".lock"]
