"""What the zoo's index says is true of the files beside it, of its page and of the numbers; and a faulty index is named."""

import hashlib
import json

import pytest

import mtdc
from mtdc.commands import main
from mtdc.engine.strip import count_parameters
from mtdc.errors import ConfigError, DataError
from mtdc.zoo import embedded
from mtdc.zoo.index import entries, find, package_folder, read_zoo
from mtdc.zoo.weights import load_model

LARGEST_FILE, LARGEST_ZOO = 4_000_000, 12_000_000
NAMES = [entry.name for entry in entries()]


@pytest.fixture
def index(tmp_path):
    """A copy of the index to be spoiled: its content, and a function that reads it once it is."""
    content = json.loads((package_folder() / "index.json").read_text())

    def read():
        (tmp_path / "index.json").write_text(json.dumps(content))
        return read_zoo(tmp_path)

    return content, read


@pytest.mark.parametrize("name", NAMES)
def test_a_file_is_the_one_that_the_index_names(name):
    entry = find(name)
    data = (package_folder() / "weights" / entry.file).read_bytes()
    assert (len(data), hashlib.sha256(data).hexdigest()) == (entry.bytes, entry.sha256)
    assert len(data) <= LARGEST_FILE


def test_the_zoo_is_small_and_holds_nothing_else():
    files = sorted((package_folder() / "weights").iterdir())
    assert [path.name for path in files] == sorted(entry.file for entry in entries())
    assert sum(path.stat().st_size for path in files) <= LARGEST_ZOO


@pytest.mark.parametrize("name", NAMES)
def test_a_file_says_what_the_index_says(name):
    entry = find(name)
    model, description = load_model(package_folder() / "weights" / entry.file)
    assert (description.name, description.title, description.licence) == (entry.name, entry.title, entry.licence)
    assert description.protocol == entry.protocol and description.training["data"] == entry.data
    assert count_parameters(model.network) == entry.parameters["test"]


@pytest.mark.parametrize("name", NAMES)
def test_numbers_on_drawn_streets_are_had_again(name):
    entry = find(name)
    model, _ = load_model(package_folder() / "weights" / entry.file)
    metric = {"type": entry.protocol["metric"], "clamp_m": entry.protocol["clamp_m"]}
    values = embedded.measure(model, metric, entry.embedded.dataset)
    assert values == pytest.approx(entry.embedded.values, rel=entry.embedded.tolerance)


@pytest.mark.parametrize("name", NAMES)
def test_every_entry_has_a_card_and_the_config_is_shipped(name, repository):
    entry = find(name)
    card = (repository / entry.card).read_text()
    assert f"# {name}" in card and "to be written" not in card and entry.licence in card
    assert (repository / "configs" / f"{entry.config}.py").is_file()
    for value in (number for one in entry.expected for number in one.values.values()):
        assert f"{value:.1f}" in card, f"{value:.1f} is not in {entry.card}"


def test_pictures_of_cards_are_small(repository):
    for path in (repository / "docs" / "zoo").glob("*.jpg"):
        assert path.stat().st_size < 150_000


def test_the_page_is_written_from_the_index(repository, capsys):
    assert main(["zoo", "--markdown", "--zoo", str(package_folder())]) == 0
    assert capsys.readouterr().out == (repository / "model_zoo.md").read_text(), "mtdc zoo --markdown > model_zoo.md"


def test_the_list_in_the_terminal(capsys):
    assert main(["zoo"]) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in NAMES) and "MB" in out


FAULTS = {
    "unknown key": (lambda entry: entry.update(licens="MIT"), "unknown key 'licens'. Did you mean 'licence'?"),
    "missing key": (lambda entry: entry.pop("sha256"), "missing key 'sha256'"),
    "kind": (lambda entry: entry.update(bytes="many"), "bytes must be a whole number"),
    "truth for a number": (lambda entry: entry.update(seed=True), "seed must be a whole number"),
    "part of a part": (lambda entry: entry["expected"][0].update(frams=1), "expected[0]: unknown key 'frams'"),
    "values": (lambda entry: entry["expected"][0].update(values={"rmse": "low"}), "expected[0]: values must be"),
    "embedded": (lambda entry: entry["embedded"].pop("tolerance"), "embedded: missing key 'tolerance'"),
    "hash": (lambda entry: entry.update(sha256="ABC"), "64 hexadecimal digits"),
    "nothing to load": (lambda entry: entry.pop("file"), "missing key 'file' or 'url'"),
    "a file outside": (lambda entry: entry.update(file="../../secret.safetensors"), "a path inside the zoo"),
    "a name": (lambda entry: entry.update(name="A B"), "small letters"),
    "no object": (lambda entry: entry.clear(), "missing key 'name'"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_faulty_entry_is_named(index, fault):
    content, read = index
    name = content["entries"][0]["name"]
    act, words = FAULTS[fault]
    act(content["entries"][0])
    with pytest.raises(DataError) as caught:
        read()
    assert words in str(caught.value) and "index.json: entry " in str(caught.value) and "\n" not in str(caught.value)
    if fault not in ("a name", "no object"):
        assert f"entry {name}" in str(caught.value)


def test_faulty_indices_are_named(index, tmp_path):
    content, read = index
    content["entries"].append(content["entries"][0])
    with pytest.raises(DataError, match="two entries are called"):
        read()
    content["version"] = 2
    with pytest.raises(DataError, match="newer mtdc"):
        read()
    (tmp_path / "index.json").write_text('{"version": 1, "entries": [')
    with pytest.raises(DataError, match="no JSON"):
        read_zoo(tmp_path)
    with pytest.raises(DataError, match="a zoo is a folder"):
        read_zoo(tmp_path / "nowhere")


def test_a_name_that_is_none_is_answered_with_the_nearest():
    with pytest.raises(ConfigError, match=r"no model of the zoo \(.*unet_street.*Did you mean 'unet_street'"):
        mtdc.load("unet_stret")
    with pytest.raises(ConfigError, match="Did you mean 'unet_street'"):
        find("unet_stree")
    with pytest.raises(ConfigError, match="is no model of the zoo"):
        mtdc.load("classical/nearest_kitti", zoo=package_folder())


def test_damaged_weights_of_an_entry_are_not_loaded(index, tmp_path):
    index[1]()
    entry = find(NAMES[0])
    with pytest.raises(DataError, match="are not there"):
        mtdc.load(entry.name, zoo=tmp_path)
    data = bytearray((package_folder() / "weights" / entry.file).read_bytes())
    data[-1] ^= 1
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / entry.file).write_bytes(data)
    with pytest.raises(DataError, match="sha256 is another"):
        mtdc.load(entry.name, zoo=tmp_path)
    (tmp_path / "weights" / entry.file).write_bytes(data[:-1])
    with pytest.raises(DataError, match="bytes instead of"):
        mtdc.load(entry.name, zoo=tmp_path)


def test_an_entry_without_a_file_is_fetched(index, tmp_path, monkeypatch):
    content, read = index
    entry = content["entries"][0]
    file = package_folder() / "weights" / entry.pop("file")
    entry["url"] = "https://example.org/weights.safetensors"
    read()
    asked = []

    def fetch(url, sha256, size=None, *, name):
        asked.append((url, sha256, size, name))
        return file

    monkeypatch.setattr("mtdc.zoo.download.fetch", fetch)
    assert "depth" in mtdc.load(entry["name"], zoo=tmp_path).model.network.fields
    assert asked == [(entry["url"], entry["sha256"], entry["bytes"], entry["name"])]
