"""The wheel in an empty environment: what it says it needs is all it needs, and a model is loaded and completes a scan."""

import importlib.metadata
import importlib.util
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement

PROGRAM = """
import sys
from pathlib import Path
import numpy as np, torch, mtdc
torch.set_num_threads(1)
assert Path(mtdc.__file__).is_relative_to(Path(sys.prefix)), mtdc.__file__
sparse_depth = np.zeros((40, 61), dtype=np.float32)
sparse_depth[12::3, ::2] = 12.0
completer = mtdc.load("unet_street")
depth = completer(sparse_depth)
from mtdc.engine.config import shipped_configs
sys.stdout.write(f"{depth.shape} {float(np.median(depth[12:])):.1f} {len(shipped_configs()) > 50} {completer.origin['config']}")
"""


def needed(wheel):
    """Distributions that the wheel's Requires-Dist name, and those that these name: without extras, as `pip install` has it."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        lines = archive.read(name).decode().splitlines()
    wanted = [Requirement(line.partition(":")[2]) for line in lines if line.startswith("Requires-Dist:")]
    found = {}
    while wanted:
        one = wanted.pop()
        if (one.marker and not one.marker.evaluate({"extra": ""})) or one.name in found:
            continue
        found[one.name] = importlib.metadata.distribution(one.name)
        assert one.specifier.contains(found[one.name].version, prereleases=True), one
        wanted += [Requirement(text) for text in found[one.name].requires or ()]
    return found.values()


@pytest.fixture(scope="module")
def wheel(repository, tmp_path_factory):
    """The wheel, built from the checkout."""
    if importlib.util.find_spec("hatchling") is None:
        pytest.skip("no hatchling to build the wheel with: pip install hatchling")
    folder = tmp_path_factory.mktemp("wheel")
    done = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=repository, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return next(folder.glob("mtdc-*.whl"))


@pytest.fixture(scope="module")
def empty_environment(wheel, tmp_path_factory):
    """A new virtual environment with the wheel in it, and links to the distributions that it needs; returns its python."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    done = subprocess.run([python, "-m", "pip", "install", "--no-deps", "--no-index", wheel], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (packages,) = folder.glob("lib/python*/site-packages")
    for one in needed(wheel):
        assert one.files, f"{one.name} says nothing of its files"
        for top in {file.parts[0] for file in one.files if ".." not in file.parts and not file.is_absolute()}:
            source = Path(str(one.locate_file(top)))
            if source.exists() and top != "__pycache__" and not (packages / top).exists():
                (packages / top).symlink_to(source)
    return python


def test_the_wheel_holds_the_zoo(wheel, repository):
    with zipfile.ZipFile(wheel) as archive:
        for path in [repository / "mtdc/zoo/index.json", *(repository / "mtdc/zoo/weights").iterdir()]:
            assert archive.read(str(path.relative_to(repository))) == path.read_bytes()


def test_a_model_is_loaded_in_an_empty_environment(empty_environment, tmp_path):
    done = subprocess.run([empty_environment, "-I", "-c", PROGRAM], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    shape, median, configs, name = done.stdout.rsplit(" ", 3)
    assert (shape, configs, name) == ("(40, 61)", "True", "unet_street")
    assert float(median) == pytest.approx(12.0, abs=1.0)
    assert not list(tmp_path.iterdir())


def test_its_command_lists_the_zoo_there(empty_environment, tmp_path):
    done = subprocess.run([empty_environment.with_name("mtdc"), "zoo"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0 and "unet_street_lines" in done.stdout, done.stderr


def test_nothing_but_what_the_wheel_needs_is_there(empty_environment):
    """pytest is no dependency: an environment that has it proves nothing."""
    done = subprocess.run([empty_environment, "-I", "-c", "import pytest"], capture_output=True, text=True)
    assert done.returncode == 1 and "No module named 'pytest'" in done.stderr
