"""The wheel alone, away from the checkout: index, weights and configs are in it, and a model is loaded and completes a scan."""

import importlib.util
import subprocess
import sys
import zipfile

import pytest

PROGRAM = """
import sys
from pathlib import Path
wheel, checkout = sys.argv[1:]
sys.path[:] = [wheel, *(path for path in sys.path if path and Path(path).resolve() != Path(checkout).resolve())]
# An editable install may offer the checkout by a finder of its own.
sys.meta_path[:] = [finder for finder in sys.meta_path if "editable" not in getattr(finder, "__module__", "")]
import numpy as np, torch, mtdc
torch.set_num_threads(1)
assert Path(mtdc.__file__).resolve().is_relative_to(Path(wheel).resolve()), mtdc.__file__
sparse_depth = np.zeros((40, 61), dtype=np.float32)
sparse_depth[12::3, ::2] = 12.0
completer = mtdc.load("unet_street")
depth = completer(sparse_depth)
from mtdc.engine.config import shipped_configs
sys.stdout.write(f"{depth.shape} {float(np.median(depth[12:])):.1f} {len(shipped_configs()) > 50} {completer.origin['config']}")
"""


@pytest.fixture(scope="module")
def unpacked(repository, tmp_path_factory):
    """The built wheel's content in a folder of its own."""
    if importlib.util.find_spec("hatchling") is None:
        pytest.skip("no hatchling to build the wheel with: pip install hatchling")
    folder = tmp_path_factory.mktemp("wheel")
    done = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=repository, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(next(folder.glob("mtdc-*.whl"))) as archive:
        archive.extractall(folder / "content")
    return folder / "content"


def test_the_wheel_holds_the_zoo(unpacked, repository):
    for path in [repository / "mtdc/zoo/index.json", *(repository / "mtdc/zoo/weights").iterdir()]:
        assert (unpacked / path.relative_to(repository)).read_bytes() == path.read_bytes()


def test_a_model_is_loaded_away_from_the_checkout(unpacked, repository, tmp_path):
    """In an empty folder, in isolated mode, with the wheel's content and the installed dependencies alone on the path."""
    done = subprocess.run(
        [sys.executable, "-I", "-c", PROGRAM, str(unpacked), str(repository)], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    shape, median, configs, name = done.stdout.rsplit(" ", 3)
    assert (shape, configs, name) == ("(40, 61)", "True", "unet_street")
    assert float(median) == pytest.approx(12.0, abs=1.0)
    assert not list(tmp_path.iterdir())
