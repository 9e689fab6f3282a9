"""From a work folder to a zoo of one's own, and what is refused on the way."""

import json
import shutil

import numpy as np
import pytest
import torch
from support import sparse_map
from zoo_support import MODEL, STREETS, make_run, publish_command, write_log

import mtdc
from mtdc.commands import main
from mtdc.engine.checkpoint import file_hash
from mtdc.engine.runs import evaluate
from mtdc.model import build_model
from mtdc.zoo import embedded, publishing
from mtdc.zoo.index import read_zoo


@pytest.fixture(autouse=True)
def _small_streets(monkeypatch):
    monkeypatch.setitem(embedded.FRAMES, "outdoor", STREETS)


@pytest.fixture
def work_dir(tmp_path):
    return make_run(tmp_path / "run")


def completed(completer):
    return completer(sparse_map(32, 48, batch=1)[0, 0])


def content(zoo):
    """All files of a zoo but for its lock."""
    return {path: path.read_bytes() for path in zoo.rglob("*") if path.is_file() and path.name != ".lock"}


def test_a_published_model_is_loaded_by_its_name(work_dir, tmp_path, monkeypatch, capsys):
    zoo = tmp_path / "zoo"
    assert main(publish_command(work_dir, zoo)) == 0, capsys.readouterr().err
    (entry,) = read_zoo(zoo).entries.values()
    assert (entry.seed, entry.steps, entry.config) == (3, 20, "mine")
    assert entry.parameters["test"] < entry.parameters["train"]  # the image task is left out
    assert entry.sha256 == file_hash(zoo / "weights" / entry.file)
    assert "to be written" in (zoo / entry.card).read_text()
    original = mtdc.Completer.load(work_dir / "mine.py", work_dir / "epoch_2.pth", "cpu")
    assert np.allclose(completed(mtdc.load("mine", "cpu", zoo=zoo)), completed(original), rtol=2e-2)
    with pytest.raises(mtdc.ConfigError, match="no model of the zoo"):
        mtdc.load("mine")
    monkeypatch.setenv("MTDC_ZOO", str(zoo))
    assert np.array_equal(completed(mtdc.load("mine", "cpu")), completed(mtdc.load("mine", "cpu", zoo=zoo)))
    assert main(["zoo"]) == 0
    out = capsys.readouterr().out
    assert "A small one" in out and "unet_street" in out
    shutil.rmtree(zoo)
    assert main(["zoo"]) == 2
    assert "index.json: no such file" in capsys.readouterr().err


def test_a_weights_file_stands_for_a_checkpoint(work_dir, tmp_path):
    """The config's own network, whole, is stripped as the file is."""
    from mtdc.engine.config import load_config

    zoo = tmp_path / "zoo"
    assert main(publish_command(work_dir, zoo, "--full-precision")) == 0
    (file,) = (zoo / "weights").glob("*.safetensors")
    cfg = load_config(work_dir / "mine.py")
    found = [evaluate(cfg, path, tmp_path / path.stem)["rmse"] for path in (file, work_dir / "epoch_2.pth")]
    assert found[0] == pytest.approx(found[1], rel=1e-6)


def test_nothing_is_overwritten_unasked(work_dir, tmp_path, capsys):
    zoo = tmp_path / "zoo"
    assert main(publish_command(work_dir, zoo)) == 0
    before = (zoo / "index.json").read_bytes()
    (zoo / "cards" / "mine.md").write_text("written by hand")
    assert main(publish_command(work_dir, zoo)) == 2
    assert "--replace" in capsys.readouterr().err and (zoo / "index.json").read_bytes() == before
    assert main(publish_command(work_dir, zoo, "--replace", "--full-precision")) == 0
    assert [entry.file for entry in read_zoo(zoo).entries.values()] == [path.name for path in (zoo / "weights").iterdir()]
    assert (zoo / "index.json").read_bytes() != before
    assert (zoo / "cards" / "mine.md").read_text() == "written by hand"


def test_a_failure_leaves_the_zoo_as_it_was(work_dir, tmp_path, monkeypatch, capsys):
    zoo = tmp_path / "zoo"
    assert main(publish_command(work_dir, zoo)) == 0
    before = content(zoo)
    load = publishing.load_model

    def damaged(path):
        model, description = load(path)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.mul_(1.5)
        return model, description

    monkeypatch.setattr(publishing, "load_model", damaged)
    assert main(publish_command(work_dir, zoo, "--replace")) == 2
    assert "loaded back, it predicts depth that differs" in capsys.readouterr().err
    assert content(zoo) == before


def test_results_of_other_weights_are_refused(work_dir, tmp_path, capsys):
    from mtdc.engine.config import load_config
    from mtdc.engine.result import save_result

    result = evaluate(load_config(work_dir / "mine.py"), work_dir / "epoch_2.pth", tmp_path / "test")
    save_result(tmp_path / "result.json", result)
    assert main(publish_command(work_dir, tmp_path / "zoo", "--result", str(tmp_path / "result.json"), "two streets")) == 0
    (expected,) = read_zoo(tmp_path / "zoo").entries["mine"].expected
    frames = [frame["rmse"] for frame in result["per_frame"].values()]
    assert expected.frames == 2 and expected.values["rmse"] == pytest.approx(sum(frames) / 2)
    assert expected.spread_over_frames["rmse"] == pytest.approx(abs(frames[0] - frames[1]) / 2**0.5)
    result["protocol"]["checkpoint_sha256"] = "0" * 64
    save_result(tmp_path / "result.json", result)
    (tmp_path / "other.json").write_text(json.dumps({"rmse": 1}))
    for name, words in (("result", "other weights"), ("other", "no result of"), ("missing", "missing.json")):
        assert main(publish_command(work_dir, tmp_path / "new", "--result", str(tmp_path / f"{name}.json"), "streets")) == 2
        assert words in capsys.readouterr().err
    assert not (tmp_path / "new" / "index.json").exists()


def test_what_cannot_be_published_is_said(work_dir, tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("MTDC_ZOO", raising=False)
    faults = [
        (publish_command(work_dir, tmp_path / "zoo", "--name", "My Model"), "small letters"),
        (publish_command(tmp_path / "nowhere", tmp_path / "zoo"), "no checkpoint in it"),
        (publish_command(work_dir, tmp_path / "zoo", "--minutes", "nan"), "--minutes"),
        (publish_command(work_dir, tmp_path / "zoo", "--title", "two\nlines"), "--title must be one line"),
        (publish_command(work_dir, tmp_path / "zoo", "--command", "mtdc train\nmine"), "--command must be one line"),
        (publish_command(work_dir, tmp_path / "zoo", "--result", "result.json", "a\rb"), "--result must be one line"),
        (
            publish_command(work_dir, "~nosuchuser/zoo"),
            "no home folder ~nosuchuser is known",
        ),
        ([word for word in publish_command(work_dir, "Z") if word not in ("--zoo", "Z")], "MTDC_ZOO"),
        (publish_command(work_dir, tmp_path / "zoo", "--config", "classical/nearest_kitti"), "made with another config"),
    ]
    for command, words in faults:
        assert main(command) == 2
        assert words in capsys.readouterr().err
    (work_dir / "other.py").write_text("")
    assert main(publish_command(work_dir, tmp_path / "zoo")) == 2
    assert "2 configs" in capsys.readouterr().err


URLS = {
    "": "must be an address http://",
    "weights": "must be an address http://",
    "ftp://example.org/weights": "must be an address http://",
    "https://": "must name a host",
    "https:///weights": "must name a host",
    "https://example.org:port/weights": "must be an address, not",
    "https://[1/weights": "must be an address, not",
    "https://example.org/weights?version=1": "nothing from '?' or '#' on",
    "https://example.org/weights?": "nothing from '?' or '#' on",
    "https://example.org/weights#new": "nothing from '?' or '#' on",
    "https://me:secret@example.org/weights": "no user name and no password",
    "https://me@example.org/weights": "no user name and no password",
    "https://example.org/my weights": "no blank",
    " https://example.org/weights": "must be an address http://",
    "https://example.org/weights\n": "one line of text",
    "file://": "a path of this machine",
    "file:///": "a path of this machine",
    "file://host/weights": "a path of this machine",
}


@pytest.mark.parametrize("url", URLS)
def test_an_address_that_no_file_could_be_fetched_from_is_refused_before_any_work(url, tmp_path, capsys):
    """The work folder is looked into later: it isn't there."""
    command = publish_command(tmp_path / "nowhere", tmp_path / "zoo", f"--url={url}", "--upload", str(tmp_path / "upload"))
    assert main(command) == 2
    said = capsys.readouterr().err
    assert "--url must" in said and URLS[url] in said and said.count("\n") == 1 and "secret" not in said
    assert not list(tmp_path.iterdir())


def test_a_zoo_in_the_home_folder(work_dir, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("MTDC_ZOO", "~/zoo")
    monkeypatch.chdir(tmp_path)
    assert main([word for word in publish_command(work_dir, "Z") if word not in ("--zoo", "Z")]) == 0
    assert list(read_zoo(tmp_path / "zoo").entries) == ["mine"] and not (tmp_path / "~").exists()
    assert mtdc.load("mine", "cpu").needs


def test_weights_that_no_entry_names_go_and_others_stay(work_dir, tmp_path):
    zoo = tmp_path / "zoo"
    weights = zoo / "weights"
    weights.mkdir(parents=True)
    lost, mine = weights / "lost-0123abcd.safetensors", weights / "mine-0123abcd.safetensors"
    for file in (lost, mine):
        file.write_bytes(b"")
    assert main(publish_command(work_dir, zoo)) == 0
    assert lost.exists() and mine.exists(), "without an index they may be anyone's"
    # One that an entry names through a link, one by its address, and others that are called otherwise.
    index = json.loads((zoo / "index.json").read_text())
    published = index["entries"][0]
    linked, addressed = weights / "linked-0123abcd.safetensors", weights / "addressed-0123abcd.safetensors"
    linked.write_bytes((weights / published["file"]).read_bytes())
    (weights / "of_mine.safetensors").symlink_to(linked.name)
    others = [weights / name for name in ("lost.safetensors", "lost-0123ABCD.safetensors", "lost-0123abcd.pth", "lost-0123abc")]
    for file in (addressed, *others):
        file.write_bytes(b"")
    index["entries"] += [
        {**published, "name": "linked", "file": "of_mine.safetensors"},
        {**published, "name": "addressed", "file": None, "url": addressed.as_uri()},
    ]
    (zoo / "index.json").write_text(json.dumps(index))
    upload = tmp_path / "upload"
    upload.mkdir()
    (upload / lost.name).write_bytes(b"")
    address = ("--url", "https://example.org/weights", "--upload", str(upload))
    assert main(publish_command(work_dir, zoo, "--name", "other", *address)) == 0
    assert not lost.exists() and not mine.exists()
    expected = [weights / published["file"], linked, addressed, weights / "of_mine.safetensors", *others]
    assert sorted(weights.iterdir()) == sorted(expected)
    assert (upload / lost.name).exists() and len(list(upload.iterdir())) == 2


def test_an_index_that_cannot_be_written_leaves_the_zoo_as_it_was(work_dir, tmp_path, monkeypatch, capsys):
    zoo = tmp_path / "zoo"
    write_log(work_dir, [{"lr": 1.0, "loss": 1.0, "step": 10}])
    assert main(publish_command(work_dir, zoo)) == 0
    before = content(zoo)
    write_log(work_dir, [{"lr": 1.0, "loss": 2.0, "step": 20}], "20260102_000000")

    def full(*_):
        raise mtdc.DataError("can't write index.json: No space left on device.")

    monkeypatch.setattr(publishing, "write_index", full)
    # Other weights, and the same once more: their log is there, and stays as it was.
    for words in (("--full-precision",), ()):
        assert main(publish_command(work_dir, zoo, "--replace", *words)) == 2
        assert "No space left" in capsys.readouterr().err
        assert content(zoo) == before
    assert main(publish_command(work_dir, tmp_path / "new")) == 2
    assert content(tmp_path / "new") == {}


def test_no_entry_is_written_that_could_not_be_read(work_dir, tmp_path, capsys):
    """Its config's name is in the index too."""
    (work_dir / "mine.py").rename(work_dir / "mi\tne.py")
    assert main(publish_command(work_dir, tmp_path / "zoo")) == 2
    assert "entry mine: config must be one line of printable text, not 'mi\\tne'" in capsys.readouterr().err
    assert content(tmp_path / "zoo") == {}


def test_numbers_are_taken_in_float32(work_dir):
    """bfloat16 rounds otherwise on every kind of processor."""
    model = build_model({**MODEL, "precision": "bfloat16"}).strip(("depth",))
    metric = {"type": "KittiDepthMetric"}
    plain = build_model(MODEL).strip(("depth",))
    plain.load_state_dict(model.state_dict())
    assert embedded.measure(model, metric, STREETS) == embedded.measure(plain, metric, STREETS)
    assert model.precision == torch.bfloat16
