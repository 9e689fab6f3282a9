"""What `mtdc zoo` and `mtdc download` say of a zoo of one's own, and refuse before anything is fetched."""

import json

import pytest

from mtdc.commands import main
from mtdc.zoo.index import find, package_folder


@pytest.fixture
def own_zoo(tmp_path, monkeypatch):
    """A zoo of one entry, under a name of its own, set by MTDC_ZOO."""
    entry = next(
        one for one in json.loads((package_folder() / "index.json").read_text())["entries"] if one["name"] == "b_street"
    )
    zoo = tmp_path / "my_zoo"
    zoo.mkdir()
    (zoo / "index.json").write_text(json.dumps({"version": 2, "entries": [{**entry, "name": "mine", "card": "cards/mine.md"}]}))
    monkeypatch.setenv("MTDC_ZOO", str(zoo))
    return zoo


def test_the_list_says_which_zoo_a_model_lies_in(own_zoo, capsys):
    assert main(["download", "--list"]) == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert lines["mine"].endswith(f"in {own_zoo / 'weights'}")
    assert lines["unet_street"].endswith("comes with the package")


def test_the_page_is_of_one_zoo_as_its_links_are(own_zoo, capsys, repository):
    assert main(["zoo", "--markdown"]) == 0
    assert capsys.readouterr().out == (repository / "model_zoo.md").read_text()
    assert main(["zoo", "--markdown", "--zoo", str(own_zoo)]) == 0
    page = capsys.readouterr().out
    assert "(cards/mine.md)" in page and "unet_street" not in page
    assert main(["zoo"]) == 0
    assert {"mine", "unet_street"} <= set(capsys.readouterr().out.split())


def test_a_folder_that_takes_no_copy_is_said_before_anything_is_fetched(tmp_path, capsys):
    (tmp_path / "taken").write_text("")
    assert main(["download", "unet_street", "--out", str(tmp_path / "taken")]) == 2
    told = capsys.readouterr().err
    assert f"{tmp_path / 'taken'} is a file" in told and told.count("\n") == 1
    assert main(["download", "unet_street", "--out", str(tmp_path / "new")]) == 0
    assert [path.name for path in (tmp_path / "new").iterdir()] == [find("unet_street").file]


def test_an_address_whose_name_no_terminal_should_see_is_refused(tmp_path, capsys):
    address = "https://host.invalid/%1b%5b2J%0aa.safetensors"
    assert main(["download", address, "--sha256", "0" * 64, "--out", str(tmp_path / "new")]) == 2
    told = capsys.readouterr().err
    assert "the address must end in a file's name that can be printed" in told and told.count("\n") == 1 and "\x1b" not in told
    assert not list(tmp_path.iterdir())
