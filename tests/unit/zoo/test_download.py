import hashlib
import io
import logging
import os
import resource
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import replace

import pytest
from download_support import CONTENT, OTHER, SHA256, SIZE, own_cache, part, refused, taken
from file_server import cut, held, says, served, status, whole

from mtdc.commands import main
from mtdc.zoo import cache, download

CHILD = """
import sys
from mtdc.zoo.download import fetch
print(fetch(sys.argv[1], sys.argv[2], int(sys.argv[3]), name="weights"))
"""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    return own_cache(tmp_path, monkeypatch)


@pytest.fixture
def server():
    with served(CONTENT) as running:
        yield running


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


def test_a_connection_that_is_cut_again_and_again_is_asked_as_long_as_bytes_come(server):
    server.always = cut(SIZE // 9)  # ten times, and three attempts are allowed
    taken(server.url())
    assert len(server.requests) == 10
    assert server.sent == SIZE


def test_a_connection_that_brings_no_byte_more_is_given_up_and_the_next_run_goes_on(server, folder):
    server.script = [cut(1000), cut(0), cut(2000)]
    server.always = cut(0)
    refused(server.url(), server.url(), f"cut after 3000 of {SIZE} bytes", "3 attempts", "3000 bytes are kept", "MTDC_MIRROR")
    assert len(server.requests) == 6
    assert part(folder).read_bytes() == CONTENT[:3000]
    server.always = whole
    server.script = [cut(SIZE)]
    taken(server.url())
    assert server.ranges_asked()[-1] == "bytes=3000-"


def test_a_server_that_sends_the_same_start_again_and_again_is_given_up(server, folder):
    server.always = says(SIZE, CONTENT[:1000])  # knows no ranges
    refused(server.url(), f"cut after 1000 of {SIZE} bytes", "3 attempts")
    assert len(server.requests) == 4


def test_the_time_for_a_file_ends_attempts_that_bring_bytes_too(server, monkeypatch):
    monkeypatch.setattr(download, "LIMITS", replace(download.LIMITS, total_s=1.0, pause_s=0.1))
    server.always = cut(10)
    refused(server.url(), "not there after 1 s", "bytes are kept")
    assert 1 < len(server.requests) < 12


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


def test_chunks_are_put_together(server):
    def chunked(handler):
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for start in range(0, SIZE, 70_000):
            piece = CONTENT[start : start + 70_000]
            handler.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        handler.wfile.write(b"0\r\n\r\n")

    server.always = chunked
    taken(server.url())


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
