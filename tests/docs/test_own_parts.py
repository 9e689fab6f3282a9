"""The page on a loss and a sharing of one's own: every block as it stands there, run in an empty folder."""

import json
import re
import subprocess
import sys

import pytest
from support import kitti_tree, small_run

FILES = ["check.py", "focal.py", "lend.py", "lend_kitti.py", "sky.py", "sky_kitti.py"]


@pytest.fixture(scope="module")
def folder(repository, tmp_path_factory):
    """Both pages' files, and a data set with masks of the sky."""
    folder = tmp_path_factory.mktemp("own")
    for page in ("custom_task.md", "own_parts.md"):
        text = (repository / "docs" / page).read_text()
        named = re.findall(r"^`(\w+\.py)`[^\n]*:\n\n```python\n(.*?)```", text, flags=re.DOTALL | re.MULTILINE)
        assert len(named) == text.count("```python"), "a block without a file's name"
        for name, code in named:
            (folder / name).write_text(code)
    assert sorted(path.name for path in folder.iterdir()) == FILES
    kitti_tree(folder / "data", "train", mask_folder="sky")
    kitti_tree(folder / "data", "val", frames=2, drive=2)
    return folder


@pytest.fixture
def run(repository, folder):
    """Run a script there in a process of its own: nothing of this test's imports may help it find the parts."""

    def started(*words):
        script = folder / words[0] if words[0] in FILES else repository / "tools" / words[0]
        done = subprocess.run(
            [sys.executable, str(script), *words[1:]], cwd=folder, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout

    return started


def test_the_check_of_the_page_passes_and_finds_a_broken_promise(run, folder):
    run("check.py")
    code = (folder / "lend.py").read_text()
    broken = code.replace("{**streams, **lent}", "{**lent, 'depth': sum(lent.values()) + streams['depth']}")
    assert broken != code
    try:
        (folder / "lend.py").write_text(broken)
        with pytest.raises(AssertionError, match=r"KeyError|depth reads what reads\(\) leaves out"):
            run("check.py")
    finally:
        (folder / "lend.py").write_text(code)


def test_show_names_the_changes_of_the_page(run):
    size = ["--size", "64", "96", "--cfg-options", "model.width=2"]
    assert "0.5 x (Focal)" in run("show.py", "lend_kitti.py", *size, "model.weighting.weights.sky=0.5")
    lines = [" ".join(line.split()) for line in run("show.py", "sky_kitti.py", "lend_kitti.py", *size).splitlines()]
    start = lines.index("differs sky_kitti lend_kitti")
    assert lines[start + 1 : lines.index("", start)] == [
        "model.network.sharing SumSharing lend.LendSharing",
        "model.network.tasks.sky.losses.bce BinaryCrossEntropy -",
        "model.network.tasks.sky.losses.focal - focal.Focal(gamma=2.0)",
    ]
    (image,) = (line.split() for line in lines if line.startswith("trunks.sky"))
    assert image[-1] == "-", "at test time nothing is left of the sky"


def test_training_runs_with_both(run, folder):
    run("train.py", "lend_kitti.py", "--data-root", "data", "--work-dir", "run", *small_run())
    (log,) = (folder / "run").glob("*/vis_data/scalars.json")
    steps = [line for line in map(json.loads, log.read_text().splitlines()) if "sky/focal" in line]
    assert len(steps) == 4
    # Where the sky is as likely as not, at first: (1 - 1/2)^2 ln 2.
    assert steps[0]["sky/focal"] == pytest.approx(0.25 * 0.6931, rel=0.05)
    assert "sky/bce" not in steps[0]
