"""What the zoo's index says is true of the files beside it, of its page and of the numbers; and a faulty index is named."""

import hashlib
import json

import pytest
import torch

import mtdc
from mtdc.commands import main
from mtdc.engine.preparation import batches_of
from mtdc.engine.strip import count_parameters
from mtdc.errors import ConfigError, DataError
from mtdc.zoo import embedded, page
from mtdc.zoo.cache import is_whole, slot
from mtdc.zoo.download import file_name
from mtdc.zoo.index import MEASURED, entries, find, package_folder, read_zoo, zoos
from mtdc.zoo.repeating import config_of
from mtdc.zoo.weights import load_model, plain_config, read_description

LARGEST_FILE, LARGEST_ZOO, LARGEST_LOG = 4_000_000, 12_000_000, 100_000
NAMES = [entry.name for entry in entries()]
#: Training frames of data sets that are not drawn.
FRAMES = {"NYUv2": 795}
#: One whose weights lie in the package.
STORED = next(entry.name for entry in entries() if entry.file)


def weights_of(entry):
    """The entry's file; one that has to be fetched, where it is in the cache already: tests fetch nothing."""
    if entry.file is not None:
        return package_folder() / "weights" / entry.file
    path = slot(entry.sha256, file_name(entry.url)).path
    if not is_whole(path, entry.sha256, entry.bytes):
        pytest.skip(f"the weights of {entry.name} are not in the cache: mtdc download {entry.name}")
    return path


@pytest.fixture
def index(tmp_path):
    """A copy of the index to be spoiled: its content, ``STORED`` first, and a function that reads it once it is."""
    content = json.loads((package_folder() / "index.json").read_text())
    content["entries"].sort(key=lambda entry: entry["name"] != STORED)

    def read():
        (tmp_path / "index.json").write_text(json.dumps(content))
        return read_zoo(tmp_path)

    return content, read


@pytest.mark.parametrize("name", NAMES)
def test_a_file_is_the_one_that_the_index_names(name):
    entry = find(name)
    data = weights_of(entry).read_bytes()
    assert (len(data), hashlib.sha256(data).hexdigest()) == (entry.bytes, entry.sha256)
    assert entry.file is None or len(data) <= LARGEST_FILE


def test_the_zoo_is_small_and_holds_nothing_else():
    files = sorted((package_folder() / "weights").iterdir())
    assert [path.name for path in files] == sorted(entry.file for entry in entries() if entry.file)
    assert sum(path.stat().st_size for path in files) <= LARGEST_ZOO


@pytest.mark.parametrize("name", NAMES)
def test_a_file_says_what_the_index_says(name):
    entry = find(name)
    model, description = load_model(weights_of(entry))
    assert (description.name, description.title, description.licence) == (entry.name, entry.title, entry.licence)
    assert description.protocol == entry.protocol
    assert description.training == {key: getattr(entry, key) for key in description.training}
    assert description.training.keys() >= {"config", "data", "seed", "steps", "minutes", "machine"}
    assert count_parameters(model.network) == entry.parameters["test"]
    assert list(model.network.needs) == entry.inputs
    sparse = torch.zeros(1, 1, 32, 48)
    sparse[..., ::5, ::5] = 3.0
    inputs = {"sparse_depth": sparse, "image": torch.full((1, 3, 32, 48), 90.0), "intrinsics": torch.eye(3)[None] * 30}
    with torch.inference_mode():
        assert sorted(model({key: inputs[key] for key in entry.inputs})) == sorted(entry.outputs)


@pytest.mark.parametrize("name", NAMES)
def test_numbers_on_drawn_frames_are_had_again(name):
    entry = find(name)
    model, _ = load_model(weights_of(entry))
    values = embedded.measure(model, entry.embedded.metric, entry.embedded.dataset)
    assert values == pytest.approx(entry.embedded.values, rel=entry.embedded.tolerance)


@pytest.mark.parametrize("name", NAMES)
def test_every_entry_has_a_card_and_the_config_is_shipped(name, repository):
    entry = find(name)
    card = (repository / entry.card).read_text()
    assert f"# {name}" in card and "to be written" not in card and entry.licence in card
    assert (repository / "configs" / f"{entry.config}.py").is_file()
    for text in (page.number(entry, key, one.values[key]) for one in entry.expected for key in MEASURED):
        assert text in card, f"{text} is not in {entry.card}"


@pytest.mark.parametrize("name", NAMES)
def test_every_entry_says_how_it_is_had_again(name, repository):
    """The command trains the entry's config with the entry's seed; what it logged is beside the card, where there is a log."""
    entry = find(name)
    assert entry.purpose and entry.machine and entry.precision
    assert entry.command.split("&&")[-1].split()[:3] == ["mtdc", "train", entry.config]
    assert config_of(entry.command).randomness.seed == entry.seed
    if entry.log is not None:
        lines = (repository / entry.log).read_text().splitlines()
        assert lines[0].startswith("step,learning_rate,loss") and len({line.count(",") for line in lines}) == 1
        assert int(lines[-1].split(",")[0]) <= entry.steps
        assert (repository / entry.log).stat().st_size <= LARGEST_LOG


@pytest.mark.parametrize("name", NAMES)
def test_the_config_of_today_trains_the_published_network(name):
    """As long as the published one took, to the step."""
    entry = find(name)
    cfg = config_of(entry.command)
    described, trained = (plain_config(model) for model in (read_description(weights_of(entry)).model, cfg.model))
    for key, value in trained.items():
        if value == "auto":  # chosen by the machine, and no other network
            trained[key] = described.get(key)
    assert described == trained, f"configs/{entry.config}.py is of another network than {entry.file}: publish it anew"
    data = cfg.train_dataloader.dataset
    frames = FRAMES[data.type] if cfg.get("street") is None else cfg.street.splits[data.split] * len(data.cameras)
    steps = cfg.train_cfg.max_epochs * batches_of({**cfg.train_dataloader, "dataset": range(frames)})
    assert entry.steps == steps, f"configs/{entry.config}.py trains {steps} steps: publish {name} anew"


def test_pictures_of_cards_are_small(repository):
    for path in (repository / "docs" / "zoo").glob("*.jpg"):
        assert path.stat().st_size < 150_000


def test_the_page_is_written_from_the_index(repository, capsys):
    assert main(["zoo", "--markdown", "--zoo", str(package_folder())]) == 0
    assert capsys.readouterr().out == (repository / "model_zoo.md").read_text(), "mtdc zoo --markdown > model_zoo.md"


def test_methods_without_weights_have_the_numbers_of_their_own_page(repository):
    measured = (repository / "docs" / "classical.md").read_text().splitlines()
    rows = [line.split("|")[1:-1] for line in page.WITHOUT_WEIGHTS.splitlines() if line.startswith("| `")]
    assert len(rows) == 7
    for config, _, *numbers in rows:
        kind = config.strip(" `").removeprefix("classical/").rpartition("_")[0].replace("_", "")
        tables = ([cell.strip() for cell in line.split("|")] for line in measured if line.lower().startswith(f"| `{kind}`"))
        (cells,) = (row for row in tables if numbers[0].strip() in row)
        start = cells.index(numbers[0].strip())
        assert cells[start : start + 4] == [number.strip() for number in numbers]


def test_the_list_in_the_terminal(capsys):
    assert main(["zoo"]) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in NAMES) and "MB" in out


def fetched(entry, url):
    """The entry with an address instead of a file."""
    entry.pop("file")
    entry["url"] = url


FAULTS = {
    "unknown key": (lambda entry: entry.update(licens="MIT"), "unknown key 'licens'. Did you mean 'licence'?"),
    "missing key": (lambda entry: entry.pop("sha256"), "missing key 'sha256'"),
    "kind": (lambda entry: entry.update(bytes="many"), "bytes must be a whole number"),
    "truth for a number": (lambda entry: entry.update(seed=True), "seed must be a whole number"),
    "part of a part": (lambda entry: entry["expected"][0].update(frams=1), "expected[0]: unknown key 'frams'"),
    "values": (lambda entry: entry["expected"][0].update(values={"rmse": "low"}), "expected[0]: values must be"),
    "missing value": (lambda entry: entry["expected"][0]["values"].pop("mae"), "expected[0], values: missing key 'mae'"),
    "spread": (
        lambda entry: entry["expected"][0].update(spread_over_frames={"rmse": 1.0}),
        "expected[0], spread_over_frames: missing key 'mae'",
    ),
    "seeds": (
        lambda entry: entry["expected"][0].update(over_seeds={"seeds": [0, 1], "values": {"rmse": 1.0, "mae": 1.0}}),
        "over_seeds: missing key 'spread'",
    ),
    "setting": (lambda entry: entry.update(setting="indoors"), "setting must be 'outdoor' or 'indoor'"),
    "embedded value": (lambda entry: entry["embedded"]["values"].pop("rmse"), "embedded, values: missing key 'rmse'"),
    "units": (lambda entry: entry["protocol"].update(units=["mm"]), "protocol must have 'units'"),
    "clamp": (lambda entry: entry["protocol"].update(clamp_m=[1.0]), "'clamp_m' as two numbers"),
    "a log outside": (lambda entry: entry.update(log="../log.csv"), "log must be a path inside the zoo"),
    "embedded": (lambda entry: entry["embedded"].pop("tolerance"), "embedded: missing key 'tolerance'"),
    "hash": (lambda entry: entry.update(sha256="ABC"), "64 hexadecimal digits"),
    "nothing to load": (lambda entry: entry.pop("file"), "missing key 'file' or 'url'"),
    "a file outside": (lambda entry: entry.update(file="../../secret.safetensors"), "a path inside the zoo"),
    "a checkpoint": (lambda entry: entry.update(file="weights.pth"), "file must end in .safetensors, not 'weights.pth'"),
    "a drive": (lambda entry: entry.update(file="C:/Windows/weights.safetensors"), "file must be a path inside the zoo"),
    "a drive's folder": (lambda entry: entry.update(card="c:card.md"), "card must be a path inside the zoo"),
    "a line break": (lambda entry: entry.update(title="a\nb"), "title must be one line of printable text"),
    "a terminal's command": (lambda entry: entry.update(purpose="\x1b[2J"), "purpose must be one line of printable text"),
    "a zero": (lambda entry: entry.update(licence="MIT\0"), "licence must be one line of printable text"),
    "data": (lambda entry: entry.update(data="a\rb"), "data must be one line of printable text"),
    "a word inside": (
        lambda entry: entry["expected"][0].update(data="a\nb"),
        "expected[0], data must be one line of printable text",
    ),
    "a key inside": (
        lambda entry: entry["protocol"].update({"a\nb": 1}),
        "protocol, a key must be one line of printable text",
    ),
    "an unknown key of two lines": (lambda entry: entry.update({"a\nb": 1}), "unknown key 'a\\nb'"),
    "no address": (lambda entry: fetched(entry, "weights/a.safetensors"), "url must be an address http://"),
    "another scheme": (lambda entry: fetched(entry, "ftp://example.org/a.safetensors"), "url must be an address http://"),
    "no host": (lambda entry: fetched(entry, "https:///a.safetensors"), "url must name a host"),
    "another machine's file": (lambda entry: fetched(entry, "file://host/a.safetensors"), "url must name a path of this"),
    "a port": (lambda entry: fetched(entry, "https://example.org:x/a.safetensors"), "url must be an address, not"),
    "a secret": (lambda entry: fetched(entry, "https://me:word@example.org/a.safetensors"), "no user name and no password"),
    "no suffix": (lambda entry: fetched(entry, "https://example.org/weights"), "url must end in a file's name with .safe"),
    "a suffix behind the path": (
        lambda entry: fetched(entry, "https://example.org/get?file=a.safetensors"),
        "url must end in a file's name with .safetensors",
    ),
    "a suffix alone": (lambda entry: fetched(entry, "https://example.org/a/.safetensors"), "url must end in a file's name"),
    "a terminal's command in a file's name": (
        lambda entry: fetched(entry, "https://example.org/%1b%5b2J%0aa.safetensors"),
        "url must end in a file's name that can be printed, not '\\x1b[2J\\na.safetensors'",
    ),
    "a zero in a file's name": (lambda entry: fetched(entry, "https://example.org/a%00.safetensors"), "that can be printed"),
    "more bytes than there are": (lambda entry: entry.update(bytes=10**400), "bytes must be a number of at most 1e+15"),
    "a number deep inside": (
        lambda entry: entry["expected"][0]["values"].update(rmse=-1e16),
        "expected[0], values, rmse must be a number of at most 1e+15, not -1e+16",
    ),
    "a name": (lambda entry: entry.update(name="A B"), "small letters"),
    "a name of two lines": (lambda entry: entry.update(name="a\nb"), "name must be one line"),
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
    if fault not in ("a name", "a name of two lines", "no object"):
        assert f"entry {name}" in str(caught.value)


@pytest.mark.parametrize("key", ["minutes", "tolerance"])
def test_a_number_that_overflows_is_refused(index, tmp_path, key):
    """JSON's 1e999 is read as infinity: written again it would be null, and no index of this version."""
    content, read = index
    entry = content["entries"][0]
    (entry if key == "minutes" else entry["embedded"])[key] = 0.123456
    read()
    path = tmp_path / "index.json"
    path.write_text(path.read_text().replace("0.123456", "1e999"))
    with pytest.raises(DataError, match=f"{key} must be a number of at most 1e\\+15, not inf"):
        read_zoo(tmp_path)


def test_faulty_indices_are_named(index, tmp_path):
    content, read = index
    content["entries"].append(content["entries"][0])
    with pytest.raises(DataError, match="two entries are called"):
        read()
    for version, words in ((3, "newer mtdc"), (1, "Publish its models again")):
        content["version"] = version
        with pytest.raises(DataError, match=words):
            read()
    (tmp_path / "index.json").write_text('{"version": 1, "entries": [')
    with pytest.raises(DataError, match="no JSON"):
        read_zoo(tmp_path)
    with pytest.raises(DataError, match="a zoo is a folder"):
        read_zoo(tmp_path / "nowhere")


@pytest.mark.parametrize("url", ["http://example.org/a.safetensors?download=1", "HTTPS://example.org:443/a%20b.safetensors",
                                 "file:///data/a.safetensors", "file://localhost/data/a.safetensors"])  # fmt: skip
def test_addresses_that_an_index_may_name(index, url):
    content, read = index
    fetched(content["entries"][0], url)
    assert read().entries[STORED].url == url


def test_a_zoo_in_the_home_folder(index, tmp_path, monkeypatch):
    index[1]()
    monkeypatch.setenv("HOME", str(tmp_path.parent))
    monkeypatch.setenv("MTDC_ZOO", f"~/{tmp_path.name}")
    assert [zoo.folder for zoo in zoos()] == [tmp_path, package_folder()]
    assert read_zoo(f"~/{tmp_path.name}").folder == tmp_path
    for name in ("~nosuchuser", "~nosuchuser/zoo"):
        monkeypatch.setenv("MTDC_ZOO", name)
        with pytest.raises(DataError, match=f"^{name}, the zoo's folder .MTDC_ZOO, .*: no home folder ~nosuchuser"):
            zoos()


def test_a_name_that_is_none_is_answered_with_the_nearest():
    with pytest.raises(ConfigError, match=r"no model of the zoo, .*Did you mean 'unet_street'"):
        mtdc.load("unet_stret")
    with pytest.raises(ConfigError, match="Did you mean 'unet_street'"):
        find("unet_stree")
    with pytest.raises(ConfigError, match="is no model of the zoo"):
        mtdc.load("classical/nearest_kitti", zoo=package_folder())


def test_damaged_weights_of_an_entry_are_not_loaded(index, tmp_path):
    index[1]()
    entry = find(STORED)
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
