import contextlib
import hashlib
import io
import logging
import os
import random
import resource
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from contextlib import contextmanager
from dataclasses import replace

import pytest
from file_server import cut, held, says, served, status, whole

from mtdc.commands import main
from mtdc.errors import DataError
from mtdc.zoo import cache, download
from mtdc.zoo.download import fetch

CONTENT = random.Random(0).randbytes(300_001)
SIZE = len(CONTENT)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
OTHER = random.Random(1).randbytes(SIZE)

CHILD = """
import sys
from mtdc.zoo.download import fetch
print(fetch(sys.argv[1], sys.argv[2], int(sys.argv[3]), name="weights"))
"""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """An empty cache of the test's own, no proxy, and little patience."""
    for name in ("MTDC_MIRROR", "MTDC_OFFLINE", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MTDC_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(download, "LIMITS", replace(download.LIMITS, idle_s=20.0, attempts=3, pause_s=0.0))
    return tmp_path / "cache"


@pytest.fixture
def server():
    with served(CONTENT) as running:
        yield running


def taken(url, size=SIZE, sha256=SHA256):
    path = fetch(url, sha256, size, name="weights")
    assert path.read_bytes() == CONTENT
    left = {file.name for file in path.parent.iterdir()}
    assert left <= {path.name, f"{SHA256}.lock"}, "a part was left beside the file"
    return path


def refused(url, *words, size=SIZE, sha256=SHA256):
    with pytest.raises(DataError) as caught:
        fetch(url, sha256, size, name="weights")
    text = str(caught.value)
    assert "\n" not in text
    for word in words:
        assert str(word) in text, text
    return text


def part(folder):
    return folder / f"{SHA256}.part"


@pytest.mark.parametrize("size", [SIZE, None])
def test_a_file_is_fetched_once(server, folder, size):
    path = taken(server.url(), size)
    assert path == folder / f"{SHA256}.bin"
    assert taken(server.url(), size) == path
    assert len(server.requests) == 1


def test_a_hash_may_be_written_in_capitals_and_must_be_one(server):
    taken(server.url(), sha256=SHA256.upper())
    refused(server.url(), "weights", "64 hexadecimal digits", sha256="abc")


@pytest.mark.parametrize("size", [SIZE, None])
def test_a_connection_that_is_cut_once_goes_on_where_it_stopped(server, size):
    server.script = [cut(100_000)]
    taken(server.url(), size)
    assert server.ranges_asked() == [None, "bytes=100000-"]
    assert server.requests[1][1]["If-Range"] == '"first"'
    assert server.sent == SIZE


def test_a_connection_that_is_always_cut_is_given_up_and_the_next_run_goes_on(server, folder):
    server.always = cut(1000)
    refused(server.url(), server.url(), f"cut after 3000 of {SIZE} bytes", "3 attempts", "3000 bytes are kept", "MTDC_MIRROR")
    assert part(folder).read_bytes() == CONTENT[:3000]
    server.always = whole
    server.script = [cut(SIZE)]
    taken(server.url())
    assert server.ranges_asked()[-1] == "bytes=3000-"


def test_a_server_that_knows_no_ranges_sends_the_whole_file_again(server):
    server.script, server.always = [cut(70_000)], whole
    taken(server.url())
    assert server.ranges_asked() == [None, "bytes=70000-"]


def test_a_range_that_is_refused_makes_it_start_again(server):
    server.script = [cut(70_000), status(416)]
    taken(server.url())
    assert server.ranges_asked() == [None, "bytes=70000-", None]


def test_a_range_that_was_not_asked_for_is_not_taken(server):
    def another(handler):
        handler.head(206, SIZE - 10, Content_Range=f"bytes 10-{SIZE - 1}/{SIZE}")  # and no body: its head must be enough

    server.script = [cut(70_000), another]
    taken(server.url())
    assert server.ranges_asked() == [None, "bytes=70000-", None]


def test_a_file_that_changed_between_two_parts_is_fetched_anew(server):
    right, server.content = CONTENT, OTHER

    def changes(handler):
        cut(70_000)(handler)
        server.content, server.etag = right, '"second"'

    server.script = [changes]
    taken(server.url())
    assert server.ranges_asked() == [None, "bytes=70000-"]  # answered by the whole file, as If-Range asks
    assert server.requests[1][1]["If-Range"] == '"first"'


@pytest.mark.parametrize("etag", ['"second"', None])
def test_a_changed_file_whose_server_ignores_if_range_is_fetched_anew(server, etag):
    server.content = OTHER

    def changes(handler):
        cut(70_000)(handler)
        server.content = CONTENT

    def rest(handler):
        server.etag = etag
        handler.head(206, SIZE - 70_000, Content_Range=f"bytes 70000-{SIZE - 1}/{SIZE}")
        if etag is None:  # only the hash can tell; else the head must be enough
            handler.body(CONTENT[70_000:])

    server.script = [changes, rest]
    taken(server.url())
    assert server.ranges_asked() == [None, "bytes=70000-", None]


def test_a_damaged_part_is_dropped(server, folder):
    folder.mkdir()
    part(folder).write_bytes(OTHER[:1000])
    taken(server.url())
    assert server.ranges_asked() == ["bytes=1000-", None]


def test_a_part_that_is_complete_needs_no_server(folder):
    folder.mkdir()
    part(folder).write_bytes(CONTENT)
    taken("http://127.0.0.1:9/weights.bin")


def test_a_part_longer_than_the_file_is_dropped(server, folder):
    folder.mkdir()
    part(folder).write_bytes(CONTENT + b"more")
    taken(server.url())
    assert server.ranges_asked() == [None]


def test_a_wrong_file_is_never_kept(server, folder):
    server.content = OTHER
    refused(server.url(), server.url(), hashlib.sha256(OTHER).hexdigest(), SHA256, "another file")
    assert [file.name for file in folder.iterdir() if file.suffix != ".lock"] == []
    assert len(server.requests) == 1  # asking again would give the same


@pytest.mark.parametrize("length", [SIZE + 5, SIZE - 5, 0])
def test_a_length_that_is_not_the_file_s_is_refused_before_a_byte_is_taken(server, folder, length):
    server.always = says(length, CONTENT)
    refused(server.url(), f"{length} bytes instead of {SIZE}")
    assert not part(folder).exists()


def test_no_more_bytes_are_taken_than_the_file_has(server, folder):
    server.always = says(None, CONTENT + OTHER * 20)
    taken(server.url())


def test_lengths_that_lie_about_a_file_of_unknown_size(server, folder):
    server.always = says(SIZE - 5, CONTENT)
    refused(server.url(), "another file", size=None)
    server.always = says(SIZE + 5, CONTENT)
    taken(server.url(), size=None)  # the hash knows better where it ends
    server.always = says(download.MOST_BYTES + 1, b"")
    refused(server.url("/huge.other"), f"has {download.MOST_BYTES + 1} bytes", size=None, sha256="0" * 64)


def test_a_file_of_unknown_size_has_a_limit_without_a_length_too(server, monkeypatch, folder):
    monkeypatch.setattr(download, "MOST_BYTES", 1000)
    server.always = says(None, CONTENT)
    refused(server.url(), "another file", size=None)
    assert not part(folder).exists()


def test_what_a_server_refuses_is_said(server):
    server.always = status(404, b"no such thing")
    refused(server.url(), server.url(), "HTTP 404 Not Found", "MTDC_MIRROR")
    assert len(server.requests) == 1


def test_a_busy_server_is_asked_again(server):
    server.script = [status(500), status(503)]
    taken(server.url())
    assert len(server.requests) == 3


def test_a_server_that_stays_busy_is_given_up(server):
    server.always = status(500)
    refused(server.url(), "HTTP 500", "3 attempts")
    assert len(server.requests) == 3


def test_a_server_that_falls_silent_is_left(server, monkeypatch):
    monkeypatch.setattr(download, "LIMITS", replace(download.LIMITS, idle_s=0.2))
    server.script = [held(50_000)]
    taken(server.url())
    assert server.ranges_asked() == [None, "bytes=50000-"]
    assert not server.gate.is_set()


def test_a_server_that_drips_is_left_when_the_time_is_over(server, folder, monkeypatch):
    monkeypatch.setattr(download, "LIMITS", replace(download.LIMITS, total_s=1.0))

    def drips(handler):
        handler.head(200, SIZE)
        for number in range(2000):
            handler.body(CONTENT[number : number + 1])
            if server.gate.wait(0.05):
                return

    server.always = drips
    refused(server.url(), "not there after 1 s", "bytes are kept")
    kept = part(folder).read_bytes()
    assert 0 < len(kept) < 2000
    assert kept == CONTENT[: len(kept)]


DRIPPED = {
    "status line": b"HTTP/1.0 200 " + b"O" * 4000,
    "one header": b"HTTP/1.0 200 OK\r\nX-Padding: " + b"a" * 4000,
    "many headers": b"HTTP/1.0 200 OK\r\n" + b"X: y\r\n" * 4000,
    "redirect's headers": b"HTTP/1.0 302 Found\r\nLocation: /elsewhere\r\nX-Padding: " + b"a" * 4000,
    "chunk's size": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"0" * 4000,
    "trailers": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n" + b"X: y\r\n" * 4000,
}


@pytest.mark.parametrize("where", DRIPPED)
@pytest.mark.parametrize("size", [SIZE, None])
def test_a_server_that_drips_elsewhere_than_in_the_file_is_left_as_well(server, monkeypatch, where, size):
    """Each byte comes long before the wait for one is over, and the answer would take minutes."""
    monkeypatch.setattr(download, "LIMITS", replace(download.LIMITS, total_s=0.6, attempts=1))
    content = DRIPPED[where]
    # What stands before the long part comes at once.
    start = len(content) - 4000 if content.endswith((b"O" * 4000, b"a" * 4000, b"0" * 4000)) else content.index(b"X: y")
    ended = threading.Event()

    def drips(handler):
        with contextlib.suppress(OSError):
            handler.wfile.write(content[:start])
            for number in range(start, len(content)):
                handler.wfile.write(content[number : number + 1])
                if server.gate.wait(0.05):
                    return
        ended.set()

    server.always = drips
    refused(server.url(), "not there after 0.6 s", size=size)
    assert len(server.requests) == 1
    assert ended.wait(10), "the connection was left open"


def test_chunks_are_put_together(server):
    def chunked(handler):
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for start in range(0, SIZE, 70_000):
            piece = CONTENT[start : start + 70_000]
            handler.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        handler.wfile.write(b"0\r\n\r\n")

    server.always = chunked
    taken(server.url())


def test_nobody_listening_and_a_name_that_is_none_are_one_line():
    refused("http://127.0.0.1:9/weights.bin", "http://127.0.0.1:9/weights.bin", "3 attempts")
    for address in ("ftp://host/x.bin", "http:///x.bin", "http://host:port/x.bin", "file://host/x.bin", "http://[::1/x.bin"):
        refused(address, address.partition("/x")[0])


def test_redirects_are_followed_to_another_host_and_with_the_range(server):
    with served(CONTENT) as first:
        first.script = [status(302, Location=server.url("/there.bin"))]
        first.always = status(308, Location=server.url("/there.bin"))
        server.script = [cut(90_000)]
        taken(first.url())
    assert [path for path, _ in server.requests] == ["/there.bin", "/there.bin"]
    assert server.ranges_asked() == [None, "bytes=90000-"]


@pytest.mark.parametrize("target", ["/weights.bin", "file:///etc/passwd", "ftp://127.0.0.1/x", "http://[::1/x"])
def test_redirects_in_a_loop_or_to_a_file_end(server, target):
    server.always = status(302, Location=target)
    refused(server.url(), server.url())
    assert len(server.requests) < 10


def test_a_long_chain_of_redirects_ends(server):
    server.always = lambda handler: status(301, Location=f"{handler.path}x")(handler)
    refused(server.url(), "redirect")
    assert len(server.requests) == download.LIMITS.redirects + 1


def test_redirects_never_go_from_https_to_http():
    handler = download._Redirects()
    secure = urllib.request.Request("https://host/weights.bin", headers={"Range": "bytes=5-"})
    with pytest.raises(DataError, match="http://host/weights.bin"):
        handler.redirect_request(secure, None, 302, "Found", {}, "http://host/weights.bin")
    onward = handler.redirect_request(secure, None, 302, "Found", {}, "https://other/weights.bin")
    assert onward.full_url == "https://other/weights.bin"
    assert onward.headers["Range"] == "bytes=5-"


def test_a_proxy_of_the_environment_is_used(server, monkeypatch):
    monkeypatch.setenv("http_proxy", server.url(""))
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    taken("http://host.invalid/weights.bin")
    assert server.requests[0][0] == "http://host.invalid/weights.bin"


@contextmanager
def child(server, folder, received):
    """A process that fetches, and has so many bytes."""
    server.script = [held(received)]
    command = [sys.executable, "-c", CHILD, server.url(), SHA256, str(SIZE)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            until = time.monotonic() + 120
            while not (part(folder).is_file() and part(folder).stat().st_size == received):
                assert process.poll() is None, process.stderr.read()
                assert time.monotonic() < until
                time.sleep(0.02)
            yield process
        finally:
            process.kill()


def test_of_two_processes_one_fetches_and_the_other_waits(server, folder, caplog):
    class Opens(logging.Handler):
        def emit(self, record):
            server.gate.set()

    waits = Opens()
    logging.getLogger(cache.__name__).addHandler(waits)
    try:
        with child(server, folder, 50_000) as process:
            path = taken(server.url())
            assert process.communicate(timeout=60)[0].strip() == str(path)
            assert process.returncode == 0
    finally:
        logging.getLogger(cache.__name__).removeHandler(waits)
    assert "another process fetches" in caplog.text
    assert len(server.requests) == 1


def test_a_process_that_is_killed_leaves_a_part_that_the_next_goes_on_from(server, folder):
    with child(server, folder, 50_000) as process:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert not (folder / f"{SHA256}.bin").exists()
    taken(server.url())
    assert server.ranges_asked() == [None, "bytes=50000-"]


@pytest.mark.parametrize("damage", ["same size", "cut"])
def test_a_file_that_was_damaged_in_the_cache_is_fetched_again(server, damage):
    path = taken(server.url())
    path.write_bytes(OTHER if damage == "same size" else CONTENT[:-1])
    os.utime(path, ns=(1, 1))
    taken(server.url())
    assert len(server.requests) == 2


def test_a_file_in_the_cache_is_hashed_once_a_process(server, monkeypatch):
    taken(server.url())
    hashed = []
    real = cache.file_hash
    monkeypatch.setattr(cache, "_hashed", set())
    monkeypatch.setattr(cache, "file_hash", lambda path: hashed.append(path) or real(path))
    for _ in range(3):
        taken(server.url())
    assert len(hashed) == 1


def test_a_cache_that_can_t_be_written_is_said(server, folder, monkeypatch):
    folder.write_text("a file where a folder is expected")
    refused(server.url(), folder, "MTDC_CACHE")
    assert not server.requests


@pytest.mark.parametrize("local", [False, True])
def test_a_full_disk_is_said_and_what_came_is_kept(server, folder, tmp_path, local):
    (tmp_path / "weights.bin").write_bytes(CONTENT)
    source = str(tmp_path / "weights.bin") if local else server.url()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))  # the system itself refuses to write on
    try:
        refused(source, f"can't write {folder}", "File too large")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not (folder / f"{SHA256}.bin").exists()
    assert part(folder).exists() is not local
    taken(source)
    if not local:
        assert server.ranges_asked() == [None, "bytes=100000-"]


@pytest.mark.parametrize("value", ["1", "true"])
def test_offline_only_the_cache_is_used(server, folder, monkeypatch, value):
    monkeypatch.setenv("MTDC_OFFLINE", value)
    refused(server.url(), "weights", "MTDC_OFFLINE", server.url(), SHA256, folder / f"{SHA256}.bin")
    assert not server.requests
    folder.mkdir()
    (folder / f"{SHA256}.bin").write_bytes(CONTENT)  # by hand, as the message says
    taken(server.url())
    (folder / f"{SHA256}.bin").write_bytes(OTHER)
    os.utime(folder / f"{SHA256}.bin", ns=(1, 1))
    refused(server.url(), "another file of that name is in the cache")
    monkeypatch.setenv("MTDC_OFFLINE", "0")
    taken(server.url())


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


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("stream", [Terminal, io.StringIO])
def test_progress_is_shown_on_a_terminal_alone(server, monkeypatch, stream):
    monkeypatch.setattr(sys, "stderr", stream())
    taken(server.url())
    assert ("weights" in sys.stderr.getvalue()) is (stream is Terminal)


def test_the_command_fetches_an_address_and_copies_it(server, tmp_path, capsys):
    arguments = ["download", server.url(), "--sha256", SHA256, "--out", str(tmp_path / "out")]
    for _ in range(2):
        assert main(arguments) == 0
        assert str(tmp_path / "out" / "weights.bin") in capsys.readouterr().out
    assert (tmp_path / "out" / "weights.bin").read_bytes() == CONTENT
    (tmp_path / "out" / "weights.bin").write_bytes(b"mine")
    assert main(arguments) == 2
    assert "weights.bin" in capsys.readouterr().err
    assert (tmp_path / "out" / "weights.bin").read_bytes() == b"mine"


def test_the_command_knows_the_zoo(tmp_path, capsys):
    assert main(["download", "--list"]) == 0
    assert "unet_street " in capsys.readouterr().out
    assert main(["download", "unet_street", "--out", str(tmp_path / "out")]) == 0
    (copied,) = (tmp_path / "out").iterdir()
    assert copied.stat().st_size > 1e6
    for arguments in (["unet_stret"], [], ["--all", "unet_street"], ["http://host/x.bin"], ["a", "b", "--sha256", SHA256]):
        assert main(["download", *arguments]) == 2
        (line,) = capsys.readouterr().err.strip().splitlines()
        assert line.startswith("mtdc download: ")
