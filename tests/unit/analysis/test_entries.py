"""Each form in which a command names a model."""

import cv2
import numpy as np
import pytest
import torch

import mtdc
from mtdc.analysis.entries import parse_entries
from mtdc.analysis.predictors import make_predictor
from mtdc.errors import ConfigError, DataError
from mtdc.structures import DepthSample

NEAREST, LINEAR = "classical/nearest_kitti", "classical/linear_kitti"


def depth_png(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), np.full((4, 5), 2560, np.uint16))
    return path


@pytest.fixture
def files(tmp_path, monkeypatch, repository):
    """A folder to stand in, with a config of one's own, weights and a folder of predictions."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs" / "lr=0.1").mkdir(parents=True)
    text = (repository / "configs" / "classical" / "nearest_kitti.py").read_text()
    text = text.replace("'../_base_", f"'{repository.as_posix()}/configs/_base_")
    for name in ("own.py", "runs/lr=0.1/own.py", "lr=0.1.py", "a:b.py"):
        (tmp_path / name).write_text(text)
    for name in ("own.pth", "runs/lr=0.1/epoch_3.pth", "runs/epoch_3.pth"):
        (tmp_path / name).write_bytes(b"x")
    depth_png(tmp_path / "predictions" / "deep" / "a.png")
    return tmp_path


def parts(text):
    entry = parse_entries([text])[0]
    config = None if entry.config is None else entry.config.filename.rpartition("/")[2]
    return entry.name, config, entry.checkpoint and entry.checkpoint.as_posix(), entry.folder and entry.folder.as_posix()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (NEAREST, ("nearest_kitti", "nearest_kitti.py", None, None)),
        ("own.py", ("own", "own.py", None, None)),
        ("./own.py:own.pth", ("own", "own.py", "own.pth", None)),
        ("mine=own.py:own.pth", ("mine", "own.py", "own.pth", None)),
        (f"mine v1.2={NEAREST}", ("mine v1.2", "nearest_kitti.py", None, None)),
        ("runs/lr=0.1/own.py", ("own", "own.py", None, None)),
        ("runs/lr=0.1/own.py:runs/lr=0.1/epoch_3.pth", ("own", "own.py", "runs/lr=0.1/epoch_3.pth", None)),
        ("own.py:runs/lr=0.1/epoch_3.pth", ("own", "own.py", "runs/lr=0.1/epoch_3.pth", None)),
        ("mine=runs/lr=0.1/own.py:own.pth", ("mine", "own.py", "own.pth", None)),
        ("lr=0.1.py", ("lr=0.1", "lr=0.1.py", None, None)),
        ("lr=0.1.py:own.pth", ("lr=0.1", "lr=0.1.py", "own.pth", None)),
        ("a:b.py", ("a:b", "a:b.py", None, None)),
        ("a:b.py:own.pth", ("a:b", "a:b.py", "own.pth", None)),
        ("predictions", ("predictions", None, None, "predictions")),
        ("predictions/", ("predictions", None, None, "predictions")),
        ("theirs=predictions", ("theirs", None, None, "predictions")),
    ],
)
def test_each_form(files, text, expected):
    assert parts(text) == expected


def test_the_folder_one_stands_in_has_its_name(files, monkeypatch):
    monkeypatch.chdir(files / "predictions")
    assert parts(".")[0] == "predictions"


def test_configs_of_one_name_are_told_apart_by_their_weights(files):
    names = [entry.name for entry in parse_entries(["own.py:own.pth", "own.py:runs/epoch_3.pth", NEAREST])]
    # No longer than they have to be.
    assert names == [f"own {files.name}-own", "own runs-epoch_3", "nearest_kitti"]
    assert [entry.name for entry in parse_entries(["one=own.py", "own.py"])] == ["one", "own"]


def test_names_that_occur_twice_are_refused_with_a_way_out(files):
    for texts in ([NEAREST, NEAREST], [f"x={NEAREST}", f"x={LINEAR}"], ["own.py:own.pth"] * 2):
        with pytest.raises(ConfigError, match="2 entries are called") as caught:
            parse_entries(texts)
        advice = str(caught.value).split("as in ")[1].rstrip(".")
        assert len(parse_entries([advice, texts[1]])) == 2, "what it proposes works"


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        ("classical/nearest_kiti", ConfigError, "Did you mean 'classical/nearest_kitti'"),
        ("mine=classical/nearest_kiti", ConfigError, "Did you mean 'classical/nearest_kitti'"),
        ("own.py:missing.pth", DataError, r"missing\.pth: no such checkpoint, as named by 'own\.py:missing\.pth'"),
        ("own.py:runs", DataError, "runs: no such checkpoint"),
        ("mine=", ConfigError, "names nothing"),
        ("=own.py", ConfigError, r"gives no name; expected NAME=own\.py"),
        ("", ConfigError, "names nothing"),
        ("runs", DataError, "runs holds no PNG; expected a folder of depth PNGs"),
    ],
)
def test_what_is_wrong_is_named(files, text, error, words):
    with pytest.raises(error, match=words):
        parse_entries([text])


def test_hidden_pictures_are_no_predictions(files):
    depth_png(files / "mac" / "._a.png")
    with pytest.raises(DataError, match="holds no PNG"):
        parse_entries(["mac"])
    with pytest.raises(ConfigError, match="nothing to judge"):
        parse_entries([])


def test_a_name_alone_is_a_model_of_the_zoo_first():
    """As for `mtdc.load`: with a checkpoint the same word is a config."""
    entry, method = parse_entries(["unet_street", "classical/nearest_kitti"])
    assert entry.described and entry.name == "unet_street" and entry.checkpoint.suffix == ".safetensors"
    assert entry.config.model.network.encoder.type == "ResidualEncoder"
    assert not method.described and method.checkpoint is None
    [file] = parse_entries([f"mine={entry.checkpoint}"])
    assert file.described and file.name == "mine"


def test_a_model_of_the_zoo_answers_as_it_does_when_loaded():
    entry = parse_entries(["unet_street"])[0]
    sparse = torch.zeros(1, 64, 96)
    sparse[:, 20::4, ::3] = 10 + torch.rand(1, 11, 32, generator=torch.Generator().manual_seed(0))
    item = {"inputs": {"sparse_depth": sparse}, "data_samples": DepthSample(metainfo={"sample_id": "a"})}
    answer = make_predictor(entry, device="cpu")(item).depth
    np.testing.assert_array_equal(answer, mtdc.load("unet_street", device="cpu")(sparse[0].numpy()))
