"""Where a file is fetched from: addresses, mirrors, paths of this machine; and names in the cache."""

import logging
import traceback

import pytest
from download_support import CONTENT, OTHER, SHA256, SIZE, own_cache, refused, taken
from file_server import served, status

from mtdc.errors import DataError
from mtdc.zoo.cache import slot
from mtdc.zoo.download import fetch
from mtdc.zoo.sources import shown


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    return own_cache(tmp_path, monkeypatch)


@pytest.fixture
def server():
    with served(CONTENT) as running:
        yield running


def test_nobody_listening_and_a_name_that_is_none_are_one_line():
    refused("http://127.0.0.1:9/weights.bin", "http://127.0.0.1:9/weights.bin", "3 attempts")
    for address in ("ftp://host/x.bin", "http:///x.bin", "http://host:port/x.bin", "file://host/x.bin", "http://[::1/x.bin"):
        refused(address, address.partition("/x")[0])


def test_a_mirror_takes_the_place_of_all_before_the_file_name(server, tmp_path, monkeypatch):
    monkeypatch.setenv("MTDC_MIRROR", server.url("/our/mirror/"))
    taken("https://host.invalid/deep/my weights.bin?download=true")
    assert [path for path, _ in server.requests] == ["/our/mirror/my%20weights.bin"]


def test_a_mirror_may_be_a_folder(tmp_path, monkeypatch):
    (tmp_path / "my weights.bin").write_bytes(CONTENT)
    monkeypatch.setenv("MTDC_MIRROR", str(tmp_path))
    taken("https://host.invalid/deep/my%20weights.bin")
    refused("https://host.invalid/deep/", "MTDC_MIRROR", "no file name", sha256="0" * 64)
    refused("https://host.invalid/..", "MTDC_MIRROR", "no file name", sha256="0" * 64)
    refused("https://host.invalid/deep/%2e%2e%2fother.bin", tmp_path / "other.bin", sha256="0" * 64)


@pytest.mark.parametrize("form", ["path", "file"])
def test_files_of_this_machine(tmp_path, folder, form):
    source = tmp_path / "my weights.bin"
    address = str(source) if form == "path" else source.as_uri()
    refused(address, source, "no such file")
    source.write_bytes(CONTENT[:-1])
    refused(address, source, f"{SIZE - 1} bytes instead of {SIZE}")
    source.write_bytes(OTHER)
    refused(address, source, "another file")
    assert [file.name for file in folder.iterdir() if file.suffix != ".lock"] == []
    source.write_bytes(CONTENT)
    assert taken(address) != source


@pytest.mark.parametrize(
    ("mirror", "asked"),
    [
        ("/our/mirror?token=1", "/our/mirror/my%20weights.bin?token=1"),
        ("/our/mirror/?token=a/b&key=%20", "/our/mirror/my%20weights.bin?token=a/b&key=%20"),
        ("?token=1", "/my%20weights.bin?token=1"),
    ],
)
def test_a_mirror_s_query_stays_behind_the_file_name(server, monkeypatch, mirror, asked):
    monkeypatch.setenv("MTDC_MIRROR", server.url(mirror))
    taken("https://host.invalid/deep/my weights.bin?download=true")
    assert [path for path, _ in server.requests] == [asked]


@pytest.mark.parametrize("mirror", ["/our/mirror#part", "/our/mirror?token=1#part", "#"])
def test_a_mirror_has_no_fragment(server, monkeypatch, mirror):
    monkeypatch.setenv("MTDC_MIRROR", server.url(mirror))
    refused("https://host.invalid/weights.bin", f"MTDC_MIRROR={server.url(mirror.partition('#')[0])}#", "%23")
    assert not server.requests


SECRETS = [
    "http://someone:hidden@host.invalid/deep/weights.bin",
    "https://hidden@host.invalid/weights.bin?download=true",
    "HTTP://some one:hid@hidden@host.invalid:80/weights.bin",
    "http://someone:hidden%40host.invalid/weights.bin",
    "ftp://someone:hidden@host.invalid/weights.bin",
    "file://someone:hidden@host.invalid/weights.bin",
    "http://someone:hidden@host.invalid:none/weights.bin",
    "http://someone:hidden/more@host.invalid/weights.bin",
    "http://someone:hidden@[::1/weights.bin",
    "git+http://someone:hidden@host.invalid/weights.bin",
    "http://someone:hidden@host.invalid",
]


def told(call):
    """All that a failed call says: its message, and the errors that a traceback shows with it."""
    with pytest.raises(DataError) as caught:
        call()
    return str(caught.value), "".join(traceback.format_exception(caught.value, limit=0))


@pytest.mark.parametrize("address", SECRETS)
@pytest.mark.parametrize("role", ["address", "mirror", "redirect"])
def test_a_password_is_refused_and_never_said(server, folder, monkeypatch, caplog, address, role):
    caplog.set_level(logging.DEBUG)
    asked = address
    if role == "mirror":
        monkeypatch.setenv("MTDC_MIRROR", address)
        asked = "https://elsewhere.invalid/weights.bin"
    if role == "redirect":
        server.always = status(302, Location=address.replace(" ", "%20"))
        asked = server.url()
    message, shown_with_it = told(lambda: fetch(asked, SHA256, SIZE, name="weights"))
    assert ":/***@" in message.replace("//", "/") or role == "redirect", message
    assert "hidden" not in message + shown_with_it + caplog.text
    assert "someone" not in message
    assert not any("hidden" in file.read_text() for file in folder.glob("*"))


def test_a_password_is_hidden_in_other_messages_too(server, monkeypatch):
    monkeypatch.setenv("MTDC_MIRROR", "http://someone:hidden@host.invalid")
    for address in ("http://someone:hidden@host.invalid/", "http://other.invalid/"):
        message, shown_with_it = told(lambda address=address: fetch(address, SHA256, name="weights"))
        assert "no file name" in message
        assert "hidden" not in message + shown_with_it
    monkeypatch.setenv("MTDC_OFFLINE", "1")
    message, shown_with_it = told(lambda: fetch("http://host.invalid/weights.bin", SHA256, name="weights"))
    assert "hidden" not in message + shown_with_it


@pytest.mark.parametrize(
    "text",
    [
        "http://host/@scope/a@b.bin",
        "https://host:80/x?mail=a@b",
        "file:///home/a@b/x",
        "/home/a@b/x",
        "C:\\a@b",
        "me@host: gone",
    ],
)
def test_other_signs_at_are_left(text):
    assert shown(text) == text


@pytest.mark.parametrize("role", ["MTDC_CACHE", "MTDC_MIRROR", "address"])
def test_a_home_folder_that_is_none_is_said(server, monkeypatch, role):
    asked = server.url()
    if role == "address":
        asked = "~nosuchuser/weights.bin"
        refused(asked, "~nosuchuser/weights.bin:", "~nosuchuser is known")
    else:
        monkeypatch.setenv(role, "~nosuchuser/folder")
        refused(asked, f"{role}=~nosuchuser/folder:", "~nosuchuser is known")
    assert not server.requests


@pytest.mark.parametrize("role", ["MTDC_CACHE", "MTDC_MIRROR", "address"])
def test_a_home_folder_is_found(server, tmp_path, monkeypatch, role):
    home = tmp_path / "home"
    home.mkdir()
    (home / "weights.bin").write_bytes(CONTENT)
    monkeypatch.setenv("HOME", str(home))
    if role != "address":
        monkeypatch.setenv(role, "~/cache" if role == "MTDC_CACHE" else "~")
    path = taken("~/weights.bin" if role == "address" else server.url())
    assert path.is_relative_to(home) is (role == "MTDC_CACHE")


@pytest.mark.parametrize("suffix", [".lock", ".part", ".LOCK", ".Part", ".json", ".new", ".bin", ".part.json", ".part.new"])
def test_no_file_in_the_cache_is_named_like_the_cache_s_own(server, folder, suffix):
    place = slot(SHA256, f"weights{suffix}")
    own = [place.part, place.version, place.beside, folder / f"{SHA256}.lock"]
    assert place.path.name.lower() not in [file.name.lower() for file in own]
    assert taken(server.url(f"/weights{suffix}")) == place.path
    assert taken(server.url(f"/weights{suffix}")) == place.path
    assert len(server.requests) == 1
