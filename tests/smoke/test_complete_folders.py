"""Long and broken folders: resumed, killed, skipped, and never more than one frame in memory."""

import json
import signal
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path

import cv2
import numpy as np
import pytest
from complete_support import HEIGHT, NETWORK, WIDTH, complete

from mtdc.complete_files import Options, ScanList, ScanReader, complete_files
from mtdc.complete_files.journal import Journal
from mtdc.errors import DataError
from mtdc.infer import Completer

CONFIG = "model = dict(network=dict(type='ClassicalNetwork', method=dict(type='{}')))\n"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "nearest.py"
    path.write_text(CONFIG.format("Nearest"))
    return path


def scans(folder: Path, count: int, height: int = HEIGHT, width: int = WIDTH) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(count):
        generator = np.random.default_rng(index)
        stored = generator.integers(500, 20000, (height, width)) * (generator.random((height, width)) < 0.1)
        stored[height // 2, width // 2] = 5000 + index
        assert cv2.imwrite(str(folder / f"{index:03}.png"), stored.astype(np.uint16))
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def inodes(folder: Path) -> dict[str, int]:
    """A file that is written again is another file."""
    return {path.stem: path.stat().st_ino for path in sorted((folder / "depth").iterdir())}


def test_resume_keeps_what_is_whole_and_does_the_rest(tmp_path, config, capsys):
    folder, out = scans(tmp_path / "scans", 6), tmp_path / "out"
    arguments = (folder, "--model", config, "--out", out)
    broken = (folder / "003.png").read_bytes()
    (folder / "003.png").write_bytes(broken[:40])
    assert complete(*arguments) == 2
    said = capsys.readouterr().err
    assert "003.png" in said and "3 of 6 scans" in said and "go on with --resume" in said and "--skip-broken" in said
    (folder / "003.png").write_bytes(broken)
    before = inodes(out)
    (out / "valid/001.png").unlink()  # one of its results is gone
    assert complete(*arguments, "--resume") == 0
    said = capsys.readouterr().out
    assert "Kept 2 scans" in said and "Completed 4 scans" in said
    after = inodes(out)
    assert {name for name in before if before[name] == after[name]} == {"000", "002"}
    # The same folder as one that was never interrupted.
    assert complete(folder, "--model", config, "--out", tmp_path / "whole") == 0
    ours, whole = contents(out), contents(tmp_path / "whole")
    assert ours.keys() == whole.keys()
    assert all(ours[name] == whole[name] for name in whole if name != "completed.jsonl")
    assert complete(*arguments, "--resume") == 0
    assert "Kept 6 scans" in capsys.readouterr().out
    # Without --resume all of them are done again.
    assert complete(*arguments) == 0
    assert "Completed 6 scans" in capsys.readouterr().out


def test_a_scan_that_changed_is_not_taken_for_the_one_that_was_completed(tmp_path, config, capsys):
    folder, out = scans(tmp_path / "scans", 3), tmp_path / "out"
    assert complete(folder, "--model", config, "--out", out) == 0
    (folder / "002.png").replace(folder / "001.png")
    capsys.readouterr()
    assert complete(folder, "--model", config, "--out", out, "--resume") == 0
    assert "Kept 1 scan " in capsys.readouterr().out
    stored = cv2.imread(str(folder / "001.png"), cv2.IMREAD_UNCHANGED)
    dense = cv2.imread(str(out / "depth/001.png"), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(dense[stored > 0], stored[stored > 0])


def test_moved_folders_are_resumed(tmp_path, config, capsys):
    scans(tmp_path / "here/scans", 3)
    arguments = ("--model", config)
    assert complete(tmp_path / "here/scans", *arguments, "--out", tmp_path / "here/out") == 0
    (tmp_path / "here").rename(tmp_path / "there")
    assert complete(tmp_path / "there/scans", *arguments, "--out", tmp_path / "there/out", "--resume") == 0
    assert "Kept 3 scans" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--depth-scale", 1000), "another depth scale (256.0, now 1000.0)"),
        (("--keep-measured",), "another keep measured (no, now yes)"),
        (("--invalid", "zero"), "another empty invalid (no, now yes)"),
        (("--max-distance", "inf"), "another max distance (none, now inf)"),
        (("--range", 5, 50), "another colour range (none, now [5.0, 50.0])"),
        (("--intrinsics", "K.txt"), "another intrinsics"),
        (("--deskew", 10), "another deskew"),
        (("--model", "other.py"), "another model (nearest.py, now other.py)"),
    ],
)
def test_resume_with_other_settings_is_refused(tmp_path, config, capsys, monkeypatch, more, said):
    monkeypatch.chdir(tmp_path)
    Path("K.txt").write_text("20 20 16 10")
    Path("other.py").write_text(CONFIG.format("Linear"))
    arguments = (scans(tmp_path / "scans", 2), "--model", config, "--out", tmp_path / "out", "--resume")
    assert complete(*arguments) == 0
    before = contents(tmp_path / "out")
    capsys.readouterr()
    # Without --resume too: one folder would hold results of two kinds, with the settings of one.
    for again in (arguments, arguments[:-1]):
        assert complete(*again, *more) == 2
        error = capsys.readouterr().err
        assert said in error and "give another --out" in error and error.count("\n") == 1
        assert contents(tmp_path / "out") == before


def test_a_result_that_was_damaged_is_made_again(tmp_path, config, capsys):
    arguments = (scans(tmp_path / "scans", 3), "--model", config, "--out", tmp_path / "out", "--resume")
    assert complete(*arguments) == 0
    before = contents(tmp_path / "out")
    (tmp_path / "out/depth/001.png").write_bytes(before["depth/001.png"][:100])
    capsys.readouterr()
    assert complete(*arguments) == 0
    assert "Kept 2 scans" in capsys.readouterr().out
    after = contents(tmp_path / "out")
    assert all(after[name] == before[name] for name in before if name != "completed.jsonl")


def test_an_empty_path_is_not_the_current_folder(tmp_path, config, capsys, monkeypatch):
    monkeypatch.chdir(scans(tmp_path / "scans", 1))
    for arguments in (("", "--model", config, "--out", "out"), (".", "--model", config, "--out", "")):
        with pytest.raises(SystemExit) as ended:
            complete(*arguments)
        assert ended.value.code == 2 and "is a shell variable not set?" in capsys.readouterr().err
    assert [path.name for path in Path.cwd().iterdir()] == ["000.png"]


def test_resume_where_nothing_says_how_it_was_made(tmp_path, config, capsys):
    arguments = (scans(tmp_path / "scans", 2), "--model", config, "--out", tmp_path / "out")
    assert complete(*arguments) == 0
    for text, said in (("{", "settings.json is damaged"), (None, "results and no settings.json")):
        (tmp_path / "out/settings.json").unlink()
        if text:
            (tmp_path / "out/settings.json").write_text(text)
        capsys.readouterr()
        assert complete(*arguments, "--resume") == 2
        assert said in capsys.readouterr().err


def test_broken_scans_are_skipped_and_named_at_the_end(tmp_path, config, capsys):
    folder, out = scans(tmp_path / "scans", 5), tmp_path / "out"
    (folder / "001.png").write_bytes((folder / "001.png").read_bytes()[:50])
    assert cv2.imwrite(str(folder / "003.png"), np.zeros((4, 5), np.uint16))
    assert complete(folder, "--model", config, "--out", out, "--skip-broken") == 1
    said = capsys.readouterr()
    assert "Completed 3 scans" in said.out
    lines = said.err.splitlines()
    assert "2 scans of 5 could not be completed: " in lines[0] and len(lines) == 1
    first, _, second = lines[0].rpartition("; ")
    assert "001.png" in first and "003.png" in second and "no measured point" in second
    assert sorted(path.stem for path in (out / "depth").iterdir()) == ["000", "002", "004"]


def test_nothing_is_written_where_every_scan_is_broken(tmp_path, config, capsys):
    assert cv2.imwrite(str(tmp_path / "empty.png"), np.zeros((4, 5), np.uint16))
    assert complete(tmp_path / "empty.png", "--model", config, "--out", tmp_path / "out", "--skip-broken") == 1
    assert not (tmp_path / "out").exists()


def test_killed_again_and_again_and_resumed(tmp_path, config):
    """SIGKILL at other moments of a run; whatever is under a result's name is whole at any time."""
    folder, out = scans(tmp_path / "scans", 16, 200, 300), tmp_path / "out"
    command = [sys.executable, "-c", "import sys; from mtdc.commands import main; sys.exit(main())"]
    command += ["complete", str(folder), "--model", str(config), "--out", str(out), "--resume"]
    done, kills = 0, 0
    for extra in (0.05, 0.2):
        run = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        # Imports take seconds: the clock starts with the first new result.
        while run.poll() is None and len(list((out / "depth").glob("[0-9]*.png"))) <= done:
            time.sleep(0.005)
        time.sleep(extra)
        if run.poll() is None:
            run.send_signal(signal.SIGKILL)
            kills += 1
        run.wait()
        done = len(list((out / "depth").glob("[0-9]*.png")))
        for path in out.rglob("[0-9]*.png"):
            assert cv2.imread(str(path), cv2.IMREAD_UNCHANGED) is not None
    assert kills
    (out / "depth/015.png").unlink(missing_ok=True)  # however far the last run came, something is left to do
    (out / "completed.jsonl").open("a").write('{"name": "015", "sour')  # half a line
    assert complete(folder, "--model", config, "--out", out, "--resume") == 0
    assert complete(folder, "--model", config, "--out", tmp_path / "whole") == 0
    ours, whole = contents(out), contents(tmp_path / "whole")
    assert ours.keys() == whole.keys()  # and nothing half-written is left
    assert all(ours[name] == whole[name] for name in whole if name != "completed.jsonl")
    assert sorted(set(ours["completed.jsonl"].splitlines())) == whole["completed.jsonl"].splitlines()


def test_two_runs_with_one_folder_are_not_at_once(tmp_path, config, capsys):
    """Otherwise results of two settings would stand beside one settings.json."""
    folder, out = scans(tmp_path / "scans", 2), tmp_path / "out"
    assert complete(folder, "--model", config, "--out", out) == 0
    before = contents(out)
    holder = "import sys, time, pathlib\nfrom mtdc.engine.folder_lock import held\n"
    holder += "with held(pathlib.Path(sys.argv[1])):\n    print('held', flush=True)\n    time.sleep(600)\n"
    with subprocess.Popen([sys.executable, "-c", holder, str(out)], stdout=subprocess.PIPE, text=True) as other:
        try:
            assert other.stdout is not None and other.stdout.readline() == "held\n"
            assert complete(folder, "--model", config, "--out", out, "--keep-measured") == 2
            assert f"{out}: another run writes there, process {other.pid}" in capsys.readouterr().err
            assert {name: data for name, data in contents(out).items() if name != ".lock"} == before
        finally:
            other.kill()
    assert complete(folder, "--model", config, "--out", out, "--resume") == 0
    assert "Kept 2 scans" in capsys.readouterr().out


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_notes_on_a_full_disk_end_with_one_line(tmp_path):
    found = ScanList([scans(tmp_path / "scans", 1)], tmp_path)
    (tmp_path / "completed.jsonl").symlink_to("/dev/full")
    with pytest.raises(DataError, match=r"can't write .*completed.jsonl: No space left on device\.$"):
        Journal(tmp_path, {}, found, resume=False).add("000", ["hash"], [])


def test_memory_does_not_grow_with_the_folder(tmp_path, config):
    def peak(count: int) -> int:
        found = ScanList([scans(tmp_path / f"scans{count}", count, 64, 96)], tmp_path / f"out{count}")
        tracemalloc.start()
        complete_files(completer, found, ScanReader(), Options())
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    completer = Completer.load(config, device="cpu")
    peak(2)  # what is made once is made
    short, long = peak(20), peak(200)
    # 180 depth maps of 64x96 alone would be 4.4 MB; what may stay is a line of text a scan.
    assert long - short < 500_000


def test_earlier_results_elsewhere_in_the_folder_are_no_scans(tmp_path, config, capsys):
    folder = scans(tmp_path / "scans", 2)
    (tmp_path / "K.txt").write_text("20 20 16 10")
    arguments = (folder, "--model", config, "--intrinsics", tmp_path / "K.txt")
    assert complete(*arguments, "--out", folder / "first") == 0
    capsys.readouterr()
    assert complete(*arguments, "--out", tmp_path / "second") == 0
    said = capsys.readouterr().out
    assert "Completed 2 scans" in said and "Ignored 10 files" in said  # 8 results, settings.json, completed.jsonl


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (64, 64), (65, 67), (375, 1242)])
def test_a_network_completes_any_size(tmp_path, size):
    from mtdc.engine.checkpoint import save_weights
    from mtdc.engine.config import load_config
    from mtdc.model import build_model

    (tmp_path / "network.py").write_text(NETWORK)
    save_weights(build_model(load_config(tmp_path / "network.py").model), tmp_path / "weights.pth")
    folder = scans(tmp_path / "scans", 1, *size)
    arguments = ("--model", tmp_path / "network.py", "--checkpoint", tmp_path / "weights.pth", "--out", tmp_path / "out")
    assert complete(folder, *arguments) == 0
    for kind in ("depth", "valid", "color"):
        assert cv2.imread(str(tmp_path / f"out/{kind}/000.png"), cv2.IMREAD_UNCHANGED).shape[:2] == size
    assert json.loads((tmp_path / "out/settings.json").read_text())["checkpoint"]
    # Other weights are other settings.
    save_weights(build_model(load_config(tmp_path / "network.py").model), tmp_path / "weights.pth")
    assert complete(folder, *arguments, "--resume") == 2
