"""Models as ONNX graphs: every model of the zoo, sizes and gaps that the example hasn't, and what can't be exported."""

import hashlib
import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from support import small_network, sparse_map
from zoo_support import MODEL, make_run, photo_model

import mtdc
from mtdc import Completer
from mtdc.commands import main
from mtdc.errors import ConfigError, DataError
from mtdc.layers.fill import closest_surface_fill
from mtdc.model import build_model
from mtdc.zoo import onnx_export
from mtdc.zoo.index import entries, locate
from mtdc.zoo.onnx_export import export_onnx

onnx = pytest.importorskip("onnx", reason="pip install '.[onnx]'")
onnxruntime = pytest.importorskip("onnxruntime", reason="pip install '.[onnx]'")

#: Runs a script where neither torch nor mtdc can be imported.
WITHOUT_TORCH = """
import runpy, sys
class Refused:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "mtdc", "cv2", "onnx"):
            raise ImportError(f"{name} must not be imported")
sys.meta_path.insert(0, Refused())
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def opened(path):
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def photo(height, width, batch=2):
    return 255 * torch.rand(batch, 3, height, width, generator=torch.Generator().manual_seed(1))


def check_against_torch(session, model, sizes, densities=(0.05,)):
    """Depth within a millimetre of the network in float32, and the expected error too, or within a thousandth of it."""
    names = [output.name for output in session.get_outputs()]
    for height, width in sizes:
        for density in densities:
            inputs = {"sparse_depth": sparse_map(height, width, density=density), "image": photo(height, width)}
            inputs = {key: inputs[key] for key in model.network.needs}
            with torch.no_grad():
                expected = model.network.eval()(inputs)
            found = session.run(names, {key: value.numpy() for key, value in inputs.items()})
            for name, field in zip(names, found, strict=True):
                known = expected[name].numpy()
                scale = np.maximum(known, 1) if name == "depth_confidence" else 1
                assert (np.abs(field - known) / scale).max() <= 1e-3, (height, width, density, name)


@pytest.mark.parametrize("entry", entries(), ids=lambda entry: entry.name)
def test_every_model_of_the_zoo_is_exported(entry, tmp_path, capsys):
    path = tmp_path / "graph.onnx"
    assert main(["export", entry.name, "--out", str(path)]) == 0
    assert "largest difference to PyTorch" in capsys.readouterr().out
    session = opened(path)
    assert [one.name for one in session.get_inputs()] == entry.inputs
    assert [one.name for one in session.get_outputs()] == entry.outputs
    assert [one.shape[0] for one in session.get_inputs()] == ["batch"] * len(entry.inputs)
    assert session.get_inputs()[0].shape[2:] == ["height", "width"]
    about = session.get_modelmeta().custom_metadata_map
    zoo, _ = locate(entry.name)
    assert about["sha256"] == hashlib.sha256(zoo.weights(entry).read_bytes()).hexdigest()
    assert (about["name"], about["mtdc"]) == (entry.name, mtdc.__version__)
    assert "metres" in json.loads(about["units"])["depth"]
    assert about["not_measured"] == "0" and int(about["largest_side"]) == 32768
    assert json.loads(about["range_m"]) == ([0.1, 10.0] if entry.setting == "indoor" else [0.9, 100.0])
    assert list(tmp_path.iterdir()) == [path]
    model = mtdc.load(entry.name, device="cpu").model
    check_against_torch(session, model, [(5, 3), (61, 47), (130, 270)], densities=(0.002, 0.05))


@pytest.mark.parametrize(
    "cfg",
    [
        photo_model(uncertainty="laplace"),
        {**MODEL, "network": small_network(representation={"type": "RelativeFill", "image": True})},
        {**MODEL, "network": {"type": "NormalizedConvNetwork"}},
        {**MODEL, "network": small_network(refinement={"type": "NLSPN", "steps": 2})},
        {**MODEL, "network": small_network(refinement={"type": "CSPN", "steps": 2})},
    ],
    ids=["photo and deviation", "relative fill and photo", "normalized convolutions", "NLSPN", "CSPN"],
)
def test_other_networks_are_exported(cfg, tmp_path):
    model = build_model({key: value for key, value in cfg.items() if key != "weighting"}).eval().strip(("depth",))
    done = export_onnx(model, tmp_path / "graph.onnx", "mine", None)
    session = opened(tmp_path / "graph.onnx")
    assert done.inputs == model.network.needs
    uncertain = "uncertainty" in str(cfg)
    assert [one.name for one in session.get_outputs()] == ["depth", "depth_confidence"][: 1 + uncertain]
    check_against_torch(session, model, [(7, 90), (71, 33)])


class _Fill(torch.nn.Module):
    def forward(self, sparse_depth):
        return closest_surface_fill(sparse_depth)


def test_the_exported_fill_reaches_across_maps_of_any_size(tmp_path):
    """One point in a corner fills a map a hundred times as large as the example, and an odd small one."""
    axes = {0: "batch", 2: "height", 3: "width"}
    torch.onnx.export(
        _Fill(), (torch.zeros(2, 1, 40, 56),), str(tmp_path / "fill.onnx"), dynamo=False,
        input_names=["sparse"], output_names=["filled"], dynamic_axes={"sparse": axes, "filled": axes}, opset_version=18,
    )  # fmt: skip
    session = opened(tmp_path / "fill.onnx")
    for height, width in ((1, 1), (3, 13), (40, 56), (9, 4001), (3001, 17), (700, 900)):
        sparse = np.zeros((1, 1, height, width), dtype=np.float32)
        sparse[0, 0, -1, 0] = 7.0
        np.testing.assert_allclose(session.run(None, {"sparse": sparse})[0], 7.0, atol=1e-4)


def test_a_run_of_ones_own_is_exported_with_its_checkpoint(tmp_path):
    work_dir = make_run(tmp_path / "run")
    path = tmp_path / "graph.onnx"
    assert main(["export", str(work_dir / "mine.py"), "--checkpoint", str(work_dir / "epoch_2.pth"), "--out", str(path)]) == 0
    about = opened(path).get_modelmeta().custom_metadata_map
    assert about["name"] == "mine"
    assert about["sha256"] == hashlib.sha256((work_dir / "epoch_2.pth").read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["classical/nearest_kitti", "--out", "x.onnx"], "no weights"),
        (["unet_street", "--out", "x.pt"], "must end in .onnx"),
        (["unet_street", "--out", "x.onnx", "--opset", "9"], "from 16 to 20"),
        (["unet_stret", "--out", "x.onnx"], "Did you mean 'unet_street'?"),
    ],
)
def test_what_cannot_be_exported_is_told_in_one_line(words, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["export", *words]) == 2
    told = capsys.readouterr().err
    assert message in told
    assert told.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("package", ["onnx", "onnxruntime"])
def test_a_missing_package_is_named_with_its_extra(package, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ConfigError, match=rf"{package} .*pip install '\.\[onnx\]'"):
        export_onnx(build_model(MODEL).strip(("depth",)), tmp_path / "x.onnx", "mine", None)
    assert not list(tmp_path.iterdir())


def test_a_graph_that_differs_is_not_written_and_the_old_file_stays(tmp_path, monkeypatch):
    """The example's size is built into the graph: what the comparison is there to find."""
    path = tmp_path / "graph.onnx"
    path.write_bytes(b"mine")
    model = build_model({**MODEL, "network": small_network(representation={"type": "FilledMask"})}).eval().strip(("depth",))
    monkeypatch.setattr("mtdc.layers.fill.LARGEST_EXPORTED", 64)
    with pytest.raises(DataError, match="differs from PyTorch by"):
        export_onnx(model, path, "mine", None)
    assert path.read_bytes() == b"mine"
    assert list(tmp_path.iterdir()) == [path]


def test_what_is_compared_has_gaps_and_sizes_of_all_kinds():
    sparse = [case["sparse_depth"] for case in onnx_export._cases(("sparse_depth",))]
    assert {one.shape[0] for one in sparse} == {1, 2}
    assert any(not one.any() for one in sparse), "an empty map"
    assert any(one.any() and not one[..., 40:].any() for one in sparse), "a map that is measured at its edge alone"
    assert any(one.shape[-2:] == (1, 1) for one in sparse)
    assert max(one.shape[-1] for one in sparse) > 2 * onnx_export._EXAMPLE_SIZE[1]


def test_a_runtime_that_is_too_old_for_the_opset_is_told(tmp_path, monkeypatch):
    def old(*_):
        raise RuntimeError("Unsupported model IR version: 99")

    monkeypatch.setattr(onnx_export, "_session", old)
    with pytest.raises(ConfigError, match="mine can't be exported with opset 18 and onnxruntime .*IR version: 99"):
        export_onnx(build_model(MODEL).strip(("depth",)), tmp_path / "x.onnx", "mine", None)
    assert not list(tmp_path.iterdir())


def test_an_interrupted_export_leaves_nothing(tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(onnx_export, "_compared", interrupted)
    with pytest.raises(KeyboardInterrupt):
        export_onnx(build_model(MODEL).strip(("depth",)), tmp_path / "x.onnx", "mine", None)
    assert not list(tmp_path.iterdir())


def test_the_example_needs_neither_torch_nor_this_package(tmp_path, repository):
    completer = Completer.load("unet_street", device="cpu")
    completer.model.precision = torch.float32
    sparse = sparse_map(75, 131, batch=1, density=0.05)[0, 0].numpy()
    np.save(tmp_path / "sparse.npy", sparse)
    assert main(["export", "unet_street", "--out", str(tmp_path / "graph.onnx")]) == 0
    script = repository / "docs" / "howto" / "onnx_inference.py"
    words = [str(script), "graph.onnx", "sparse.npy", "depth.npy"]
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, *words], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    depth = np.load(tmp_path / "depth.npy")
    assert (depth.shape, depth.dtype) == ((75, 131), np.float32)
    assert np.abs(depth - completer(sparse)).max() <= 1e-3

    # What is wrong is one line, or how it is called.
    np.save(tmp_path / "millimetres.npy", 1000 * sparse)
    for given, said in (
        (["graph.onnx"], "python onnx_inference.py unet_street.onnx sparse.npy depth.npy"),
        (["none.onnx", "sparse.npy", "depth.npy"], "none.onnx: no such file."),
        (["graph.onnx", "none.npy", "depth.npy"], "none.npy: no such file."),
        (["graph.onnx", "millimetres.npy", "depth.npy"], "millimetres.npy: expected (H, W) metres (not millimetres)"),
    ):
        done = subprocess.run([sys.executable, str(script), *given], cwd=tmp_path, capture_output=True, text=True, timeout=120)
        assert done.returncode == 1 and said in done.stderr and "Traceback" not in done.stderr, done.stderr

    export_onnx(build_model(photo_model()).strip(("depth",)), tmp_path / "graph.onnx", "mine", None)
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, *words], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )  # fmt: skip
    assert done.returncode == 1 and done.stderr.startswith("graph.onnx reads sparse_depth and image: give"), done.stderr
