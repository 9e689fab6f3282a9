"""Training that is killed, also while it writes a checkpoint, loses nothing; the long form is tools/kill_test.py."""

import json
import os
import shutil
import subprocess
import sys

import pytest
import torch

from mtdc.engine.checkpoint import last_checkpoint


def kill_test(repository, folder, *words):
    return subprocess.run(
        [sys.executable, str(repository / "tools" / "kill_test.py"), "--out", str(folder / "kills.json"), *map(str, words)],
        cwd=folder, capture_output=True, text=True, check=False, timeout=280, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip


@pytest.fixture(scope="module")
def killed(repository, tmp_path_factory):
    folder = tmp_path_factory.mktemp("killed")
    done = kill_test(repository, folder, "--kills", 3, "--seed", 3)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_a_killed_training_ends_as_one_that_was_left_alone(killed):
    found = json.loads((killed / "kills.json").read_text())
    kills = [kill for run in found["runs"] for kill in run["kills"]]
    assert len(kills) >= 3
    writes = [kill["in_a_write"] for kill in kills if kill["how"] == "while a file is written"]
    assert writes and any(writes), "with this seed some are to fall into the writing of a checkpoint"
    assert all(run["differences"] == [] for run in found["runs"])
    assert "seed" in found and found["machine"]


def test_it_goes_on_where_it_stopped_and_only_with_its_own_seed(killed, repository):
    before = json.loads((killed / "kills.json").read_text())
    again = kill_test(repository, killed, "--kills", 3, "--seed", 3)
    assert again.returncode == 0
    assert json.loads((killed / "kills.json").read_text())["runs"] == before["runs"]
    assert f"all{len(before['runs']):>33}" in again.stdout
    other = kill_test(repository, killed, "--kills", 3, "--seed", 2)
    assert other.returncode == 2
    assert "was begun with 3" in other.stderr


def test_what_would_be_lost_is_seen(killed, repository, tmp_path, monkeypatch):
    """The comparison itself: a weight, a step's loss, a checkpoint too many."""
    monkeypatch.syspath_prepend(str(repository / "tools"))
    from killing.compare import differences

    reference = next((killed / "kills.work" / "reference").iterdir())
    assert differences(reference, reference) == []

    def changed(name):
        shutil.copytree(reference, tmp_path / name)
        return tmp_path / name

    run = changed("weight")
    path = last_checkpoint(run)
    checkpoint = torch.load(path, weights_only=True)
    weight = next(iter(checkpoint["state_dict"].values()))
    weight.view(-1)[0] += 1e-6
    torch.save(checkpoint, path)
    assert any("state_dict" in text for text in differences(reference, run))

    run = changed("step")
    (log,) = run.glob("*/vis_data/scalars.json")
    row = json.loads(log.read_text().splitlines()[0])
    log.write_text(log.read_text() + json.dumps({**row, "loss": row["loss"] + 1e-6}) + "\n" + '{"torn')
    assert differences(reference, run) == ["step 1 was logged otherwise"]

    run = changed("left")
    shutil.copy(last_checkpoint(run), run / "iter_1.pth")
    assert any("left are" in text for text in differences(reference, run))
