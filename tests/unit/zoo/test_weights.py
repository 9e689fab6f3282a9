import json
import math
import resource

import numpy as np
import pytest
import safetensors.torch
import torch
from support import small_network, sparse_map

import mtdc
from mtdc import registry
from mtdc.encoders.residual import ResidualEncoder
from mtdc.engine import tensor_file
from mtdc.engine.config import load_config, shipped_configs
from mtdc.errors import ConfigError, DataError
from mtdc.model import build_model
from mtdc.registry import ENCODERS, registered_parts_only
from mtdc.zoo import weights
from mtdc.zoo.weights import (
    LARGEST_NUMBER,
    Description,
    load_model,
    load_model_config,
    plain_config,
    read_description,
    save_model,
)

CONFIG = {"type": "MultiTaskModel", "width": 2, "network": small_network(), "weighting": {"type": "FixedWeighting"}}


def trained():
    """A small model whose batch norm has seen something, stripped to depth."""
    model = build_model(CONFIG)
    model.train()
    for seed in range(3):
        model({"sparse_depth": sparse_map(32, 48, seed=seed)})
    return model.strip(("depth",)).eval()


def written(path, half=True):
    model = trained()
    save_model(model, CONFIG, path, Description({}, [], name="small", licence="Apache-2.0", stripped=["image"]), half)
    return model


def depth(model, size=(37, 53)):
    with torch.no_grad():
        return model({"sparse_depth": sparse_map(*size)})["depth"]


def change(path, description=None, tensors=None, metadata=None):
    """The file again by safetensors alone, with another description or other tensors."""
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    told = json.loads(content[8 : 8 + length])["__metadata__"]
    said = json.loads(told["description"])
    if description is not None:
        description(said)
    stored = safetensors.torch.load(content)
    if tensors is not None:
        tensors(stored)
    told["description"] = json.dumps(said)
    path.write_bytes(safetensors.torch.save(stored, metadata={**told, **(metadata or {})}))


def refused(path, *words, load=load_model):
    with pytest.raises(DataError) as caught:
        load(path)
    text = str(caught.value)
    assert str(path) in text and "\n" not in text
    for word in words:
        assert word in text, text
    return text


def test_full_precision_comes_back_to_the_bit(tmp_path):
    model = written(tmp_path / "a.safetensors", half=False)
    loaded, description = load_model(tmp_path / "a.safetensors")
    assert torch.equal(depth(model), depth(loaded))
    assert not loaded.training and description.dtype == "float32" and description.keep == ["depth"]


def test_half_precision_halves_matrices_and_leaves_statistics(tmp_path):
    model = written(tmp_path / "a.safetensors")
    stored = safetensors.torch.load_file(tmp_path / "a.safetensors")
    for name, value in model.state_dict().items():
        if "running_" in name or value.ndim < 2:
            assert torch.equal(stored[name], value), name
        else:
            assert stored[name].dtype == torch.float16, name
    loaded, description = load_model(tmp_path / "a.safetensors")
    assert description.dtype == "float16"
    assert all(value.dtype == torch.float32 for value in loaded.parameters())
    assert torch.allclose(depth(model), depth(loaded), rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("scale", [1e-7, 1e5, 1.0])
def test_half_precision_is_left_where_it_would_cost(scale):
    """Below 6e-5 float16 has fewer digits the smaller a number is, and above 65504 none."""
    value = scale * torch.linspace(0.5, 1.0, 64).reshape(8, 8)
    stored = tensor_file.stored_half(value)
    assert stored.dtype == (torch.float16 if scale == 1.0 else torch.float32)
    assert torch.allclose(stored.float(), value, rtol=1e-3, atol=0)


def test_the_same_model_gives_the_same_bytes(tmp_path):
    model = trained()
    for name in ("a", "b"):
        save_model(model, CONFIG, tmp_path / f"{name}.safetensors")
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


def test_a_file_says_what_it_is(tmp_path):
    written(tmp_path / "a.safetensors")
    description = read_description(tmp_path / "a.safetensors")
    assert (description.name, description.licence, description.stripped) == ("small", "Apache-2.0", ["image"])
    assert "weighting" not in description.model and "losses" not in description.model["network"]["tasks"]["depth"]
    assert description.mtdc


def test_only_a_stripped_model_with_finite_weights_is_written(tmp_path):
    with pytest.raises(ConfigError, match="strip"):
        save_model(build_model(CONFIG), CONFIG, tmp_path / "a.safetensors")
    model = trained()
    next(model.parameters()).data[0] = math.nan
    with pytest.raises(DataError, match="NaN"):
        save_model(model, CONFIG, tmp_path / "a.safetensors")
    assert not list(tmp_path.iterdir())


def test_pretrained_weights_are_not_asked_for_again():
    cfg = {"network": {"encoder": {"type": "TimmBackbone", "name": "resnet18.a1_in1k", "pretrained": True, "weights": "x.pth"}}}
    assert plain_config(cfg) == {"network": {"encoder": {"type": "TimmBackbone", "name": "resnet18.a1_in1k"}}}


PARTS = {
    "a dotted path": lambda model: model["network"].update(type="os.path.join"),
    "a class of another package": lambda model: model["network"]["encoder"].update(type="torch.nn.Conv2d"),
    "a part of another kind": lambda model: model["network"]["encoder"].update(type="DepthTask"),
    "an unknown part": lambda model: model["network"]["encoder"].update(type="MultiKernelEncodr"),
    "imports": lambda model: model.update(custom_imports={"imports": ["os"]}),
    "a file": lambda model: model["network"]["encoder"].update(name="/etc/passwd"),
    "a hub": lambda model: model["network"].update(
        encoder={"type": "TimmBackbone", "name": "hf-hub:someone/model", "out_indices": [0]}
    ),
    "weights of its own": lambda model: model["network"]["encoder"].update(weights="other"),
    "a download": lambda model: model["network"]["encoder"].update(pretrained=True),
    "no model": lambda model: model.clear(),
    "a value of another kind": lambda model: model.update(width="wide"),
    "a huge width": lambda model: model.update(width=10**9),
    "a huge number": lambda model: model["network"]["tasks"]["depth"].update(range_m=[0.9, 1e300]),
    "a huge negative number": lambda model: model["network"]["tasks"]["depth"].update(range_m=[-1.1e9, 80.0]),
    "thousands of values": lambda model: model.update(width=[1] * 5000),
    "a deep nest": lambda model: model.update(network=json.loads('{"a":' * 40 + "1" + "}" * 40)),
}


#: What is refused by its look, before anything is built.
SAID = {
    "a dotted path": "is no name of a registered part",
    "a class of another package": "is no name of a registered part",
    "a file": "looks like a file or an address",
    "a hub": "looks like a file or an address",
    "weights of its own": "would load another file",
    "a download": "would load another file",
    "a huge width": "is larger than",
    "a huge number": "model.network.tasks.depth.range_m[1]=1e+300 is no number up to 1e+09",
    "a huge negative number": "is no number up to 1e+09",
    "thousands of values": "more than 4096 values",
    "a deep nest": "nested deeper",
}


@pytest.mark.parametrize("part", PARTS)
def test_a_config_names_registered_parts_alone(tmp_path, part):
    path = tmp_path / "a.safetensors"
    written(path)
    change(path, description=lambda said: PARTS[part](said["model"]))
    refused(path, "its description can't be built", SAID.get(part, ""))


def test_numbers_that_are_none_are_refused_and_small_ones_are_not(tmp_path):
    path = tmp_path / "a.safetensors"
    written(path)
    change(path, description=lambda said: said["model"]["network"]["tasks"]["depth"].update(range_m=[1e-12, 1e9]))
    model, _ = load_model(path)
    assert torch.isfinite(depth(model)).all()
    content = path.read_bytes()
    path.write_bytes(content.replace(b"1000000000.0", b"1e9999999999"))  # infinite, for whoever reads JSON
    assert path.read_bytes() != content
    refused(path, "range_m[1]=inf is no number")
    assert [fault.split("=")[1] for fault in weights._faults({"width": math.nan})] == ["nan is no number up to 1e+09"]


@pytest.mark.parametrize(("gpu", "units", "device", "expected"), [
    (True, False, "cpu", torch.float32), (True, False, torch.device("cpu"), torch.float32), (True, True, "cpu", torch.bfloat16),
    (True, False, "cuda:1", torch.bfloat16), (True, False, None, torch.bfloat16), (False, True, None, torch.bfloat16),
    (False, False, None, torch.float32), (False, False, "cpu", torch.float32),
])  # fmt: skip
def test_bfloat16_is_for_the_device_that_has_units_for_it(tmp_path, monkeypatch, gpu, units, device, expected):
    """A GPU beside it makes no processor faster."""
    path = tmp_path / "a.safetensors"
    model = trained()
    save_model(model, {**CONFIG, "precision": "bfloat16"}, path)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: units, raising=False)
    assert load_model(path, device)[0].precision == expected
    assert build_model(load_model_config(path, device)).precision == expected
    if device is not None and torch.device(device).type == "cpu":
        assert mtdc.load(path, device).model.precision == expected


def test_a_module_beside_the_file_is_not_imported(tmp_path, monkeypatch):
    (tmp_path / "evil.py").write_text(f"import pathlib\npathlib.Path({str(tmp_path / 'ran')!r}).touch()\nclass Part: pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    path = tmp_path / "a.safetensors"
    written(path)
    change(path, description=lambda said: said["model"]["network"].update(type="evil.Part"))
    refused(path, "evil.Part")
    assert not (tmp_path / "ran").exists()


def test_registered_parts_alone_are_looked_up_inside(tmp_path):
    """The look-up itself refuses, whatever the check of names before it lets through."""
    with registered_parts_only(), pytest.raises(ConfigError, match="no registered encoder"):
        ENCODERS.find("mtdc.encoders.residual.ResidualEncoder", "encoder")
    assert ENCODERS.find("mtdc.encoders.residual.ResidualEncoder", "encoder")


def test_no_installed_package_s_part_is_loaded(tmp_path, monkeypatch):
    """Entry points are code of other packages: a config may name them, and a file may not."""
    loaded = []

    class Entry:
        name = "Evil"

        def load(self):
            loaded.append(self.name)
            return ResidualEncoder

    monkeypatch.setattr(registry, "entry_points", lambda group: [Entry()])
    path = tmp_path / "a.safetensors"
    written(path)
    change(path, description=lambda said: said["model"]["network"]["encoder"].update(type="Evil"))
    refused(path, "Evil")
    assert not loaded
    assert ENCODERS.find("Evil", "encoder") is ResidualEncoder and loaded == ["Evil"], "the test's entry point is none"


def test_large_tables_beside_the_weights_are_refused(tmp_path, monkeypatch):
    path = tmp_path / "a.safetensors"
    model = build_model({**CONFIG, "network": small_network(representation={"type": "FilledMask"})}).strip(("depth",)).eval()
    model.network.register_buffer("table", torch.zeros(1000), persistent=False)
    monkeypatch.setattr(weights, "_LARGEST_TABLES", 999)
    with pytest.raises(DataError, match="would hold 1000 numbers beside its weights; at most 999"):
        weights._check_tables(model, path)


TENSORS = {
    "missing": (lambda t: t.pop("network.encoder.weight_gone", t.pop(sorted(t)[0])), "lacks"),
    "besides": (lambda t: t.update(more=torch.zeros(2)), "has besides more"),
    "NaN": (lambda t: t[sorted(k for k in t if t[k].ndim == 4)[0]].fill_(math.nan), "NaN"),
    "infinity": (lambda t: t[sorted(k for k in t if t[k].ndim == 4)[0]].fill_(math.inf), "NaN or infinity"),
    "shape": (lambda t: t.update({(k := sorted(k for k in t if t[k].ndim == 4)[0]): t[k][:1].clone()}), "where the model has"),
    "whole numbers": (lambda t: t.update({sorted(t)[0]: torch.zeros(3, dtype=torch.int8)}), "stored as 'I8'"),
}


@pytest.mark.parametrize("fault", TENSORS)
def test_tensors_of_another_network_are_named(tmp_path, fault):
    path = tmp_path / "a.safetensors"
    written(path)
    act, words = TENSORS[fault]
    change(path, tensors=act)
    refused(path, words)


DESCRIPTIONS = {
    "newer": (lambda said: said.update(version=2), "made by a newer mtdc"),
    "no version": (lambda said: said.pop("version"), "version"),
    "version of another kind": (lambda said: said.update(version="1"), "version"),
    "unknown key": (lambda said: said.update(licens="MIT"), "unknown key 'licens'. Did you mean 'licence'?"),
    "missing key": (lambda said: said.pop("keep"), "missing key 'keep'"),
    "kind": (lambda said: said.update(keep="depth"), "keep must be a list of words"),
    "unknown task": (lambda said: said.update(keep=["dept"]), "dept"),
    "no task": (lambda said: said.update(keep=[]), "no task"),
}


@pytest.mark.parametrize("fault", DESCRIPTIONS)
def test_a_faulty_description_is_named(tmp_path, fault):
    path = tmp_path / "a.safetensors"
    written(path)
    act, words = DESCRIPTIONS[fault]
    change(path, description=act)
    refused(path, words)


def test_files_that_are_none(tmp_path):
    path = tmp_path / "a.safetensors"
    refused(path)
    for content in (b"", b"\x00", b"PK\x03\x04 a zip archive, perhaps", np.random.default_rng(0).bytes(5000)):
        path.write_bytes(content)
        refused(path)
    path.write_bytes(safetensors.torch.save({"weight": torch.zeros(2)}))
    refused(path, "Weights of other makers")
    torch.save({"state_dict": {}}, path)
    refused(path, "no weights file of mtdc")


def test_a_file_cut_short_anywhere_is_refused(tmp_path):
    path = tmp_path / "a.safetensors"
    written(path)
    content = path.read_bytes()
    for length in (0, 4, 8, 9, 200, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:length])
        refused(path)
        refused(path, load=read_description)
    path.write_bytes(content + b"\0")
    refused(path)


def test_any_flipped_byte_of_the_header_is_refused_or_harmless(tmp_path):
    path = tmp_path / "a.safetensors"
    written(path)
    content = path.read_bytes()
    length = 8 + int.from_bytes(content[:8], "little")
    generator = np.random.default_rng(0)
    for place in generator.integers(0, length, 60):
        broken = bytearray(content)
        broken[place] ^= 1 << int(generator.integers(8))
        path.write_bytes(bytes(broken))
        try:
            load_model(path)
        except DataError as error:
            assert "\n" not in str(error)


def test_a_header_of_a_gigabyte_takes_no_memory(tmp_path):
    path = tmp_path / "a.safetensors"
    with path.open("wb") as file:  # a hole on the disk
        file.write((2**30 - 100).to_bytes(8, "little") + b"{")
        file.truncate(2**30)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(DataError, match="its header claims"):
        read_description(path)
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024 < 200
    path.write_bytes((2**40).to_bytes(8, "little") + b'{"a": 1}')
    refused(path, "its header claims")


def test_an_enormous_network_takes_no_memory(tmp_path):
    """At this width the network would have weights of many GB."""
    path = tmp_path / "a.safetensors"
    written(path)
    change(path, description=lambda said: said["model"].update(width=LARGEST_NUMBER))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refused(path, "where the model has")
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024 < 200


def test_a_network_of_endless_parts_is_not_built(tmp_path, monkeypatch):
    monkeypatch.setattr(weights, "_MOST_MODULES", 300)
    path = tmp_path / "a.safetensors"
    written(path)
    blocks = {"type": "ResidualEncoder", "blocks": [LARGEST_NUMBER] * 4}
    change(path, description=lambda said: said["model"]["network"].update(encoder=blocks))
    refused(path, "more than 300 modules")


FAMILIES = ("encoders/", "fusion/", "refinement/", "inputs/", "unet")


def test_shipped_configs_can_be_put_into_a_file():
    """No shipped model needs what a file may not hold, and each is built without memory."""
    names = [name for name in shipped_configs() if name.startswith(FAMILIES)]
    assert len(names) > 10
    for name in names:
        model = plain_config(load_config(name).model)
        assert not list(weights._faults(model)), name
        with torch.device("meta"), registered_parts_only():
            state = build_model(model).state_dict()
        assert all(value.device.type == "meta" for value in state.values()), name


def test_nothing_is_left_where_writing_fails(tmp_path, monkeypatch):
    path = tmp_path / "a.safetensors"
    written(path)
    before = path.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    with pytest.raises(DataError, match="No space left"):
        written(path)
    assert path.read_bytes() == before and [one.name for one in tmp_path.iterdir()] == ["a.safetensors"]
