"""One run at a time in a work folder: another one is told who is there, and a killed run leaves the folder free."""

import errno
import fcntl
import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest
from support import kitti_tree, small_run

from mtdc.commands import main
from mtdc.engine import folder_lock
from mtdc.engine.folder_lock import LOCK_NAME, held
from mtdc.errors import ConfigError

MODULE = """
    import time
    from pathlib import Path

    from mmengine.hooks import Hook


    class Wait(Hook):
        priority = "LOWEST"

        def __init__(self, after_step=None):
            self.after_step = after_step

        def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
            if runner.iter + 1 == self.after_step:
                Path("waits").touch()
                time.sleep(600)
"""
CONFIG = """
    _base_ = '{{$MTDC_CONFIGS:configs}}/aux_image_kitti.py'
    custom_hooks = [dict(type='parts_of_test_folder_lock.Wait', after_step=None)]
    default_hooks = dict(checkpoint=dict(by_epoch=False, interval=1))
    val_dataloader = None
    baselines = None
"""
HOLDER = "import sys, time, pathlib\nfrom mtdc.engine.folder_lock import held\n"
HOLDER += "with held(pathlib.Path(sys.argv[1])):\n    print('held', flush=True)\n    time.sleep(600)\n"


def words(*more, **changes):
    options = small_run(**{"train_cfg.max_epochs": 1, "model.precision": "float32", "model.channels_last": False, **changes})
    options = [word for word in options if not word.startswith("val_dataloader.")]
    return ["train", "config.py", "--data-root", "data", "--work-dir", "run", *more, *options]


def wait_for(condition, process, seconds=90):
    end = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, "the process ended"
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.05)


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("workers", [0, 2])
def test_a_second_run_is_told_of_the_first_and_a_killed_one_leaves_the_folder_free(tmp_path, monkeypatch, capfd, workers):
    monkeypatch.chdir(tmp_path)
    kitti_tree(tmp_path / "data", "train", frames=6)
    (tmp_path / "parts_of_test_folder_lock.py").write_text(textwrap.dedent(MODULE))
    (tmp_path / "config.py").write_text(textwrap.dedent(CONFIG))
    changes = {"train_dataloader.num_workers": workers, "train_dataloader.persistent_workers": False}
    command = [sys.executable, "-m", "mtdc", *words(**changes, **{"custom_hooks.0.after_step": 2})]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    first = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, start_new_session=True)
    try:
        wait_for((tmp_path / "waits").exists, first)
        before = contents(tmp_path / "run")
        assert tmp_path.joinpath("run", "iter_1.pth").is_file()
        for option in ([], ["--resume"], ["--overwrite"]):
            capfd.readouterr()
            assert main(words(*option)) == 2
            (line,) = capfd.readouterr().err.splitlines()[-1:]
            assert f"run: another run writes there, process {first.pid} on " in line
        assert contents(tmp_path / "run") == before
        # The command's own process alone: its loader workers, which live on for a while, hold nothing.
        os.kill(first.pid, signal.SIGKILL)
        first.wait()
        assert main(words("--resume")) == 0
        assert (tmp_path / "run" / "iter_3.pth").is_file()
        assert not (tmp_path / "run" / LOCK_NAME).exists()
    finally:
        if first.poll() is None:
            os.killpg(first.pid, signal.SIGKILL)


def test_the_lock_ends_with_its_process_or_its_block(tmp_path):
    other = subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    try:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(ConfigError, match=f"another run writes there, process {other.pid} on "), held(tmp_path):
            pass
        moved = tmp_path.rename(tmp_path.with_name(f"{tmp_path.name}_moved"))
        with pytest.raises(ConfigError, match="another run writes there"), held(moved):
            pass
        other.kill()
        other.wait()
        assert (moved / LOCK_NAME).is_file()
        with held(moved), held(moved):  # within one run, as its parts do
            assert (moved / LOCK_NAME).is_file()
        assert list(moved.iterdir()) == []
    finally:
        other.kill()
        other.stdout.close()


def test_other_processes_of_a_run_hold_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(folder_lock, "is_main_process", lambda: False)
    with held(tmp_path / "new", make=True):
        assert not (tmp_path / "new").exists()


def test_a_folder_that_is_made_for_nothing_goes(tmp_path):
    with held(tmp_path / "new", make=True):
        assert (tmp_path / "new" / LOCK_NAME).is_file()
    assert list(tmp_path.iterdir()) == []
    with held(tmp_path / "new", make=True):
        (tmp_path / "new" / "log").touch()
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["log"]


def test_a_file_system_without_locks_is_written_to_all_the_same(tmp_path, monkeypatch):
    def lockf(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "lockf", lockf)
    with held(tmp_path):
        assert list(tmp_path.iterdir()) == []
