"""Servers that do what none should: all ends in the file, or in one line; nothing is read without end, no good part is lost."""

import contextlib
import threading
import urllib.request
from dataclasses import replace

import pytest
from download_support import CONTENT, OTHER, SHA256, SIZE, own_cache, part, refused, taken
from file_server import cut, held, says, served, status

from mtdc.errors import DataError
from mtdc.zoo import cache, download


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    return own_cache(tmp_path, monkeypatch)


@pytest.fixture
def server():
    with served(CONTENT) as running:
        yield running


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


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_the_body_of_a_redirect_is_not_read(server, code):
    sent = []
    ended = threading.Event()

    def flood(handler):
        handler.head(code, 2**40, Location="/there.bin")
        with contextlib.suppress(OSError):
            for _ in range(640):
                handler.wfile.write(bytes(100_000))
                sent.append(100_000)
        ended.set()

    server.script = [flood]
    taken(server.url())
    assert [path for path, _ in server.requests] == ["/weights.bin", "/there.bin"]
    assert ended.wait(10)
    assert sum(sent) < 20_000_000, "the system's own buffers hold less"


def test_a_redirect_to_nowhere_is_said(server):
    server.always = status(302, b"Found, but not where.")
    refused(server.url(), "HTTP 302 Found")
    assert len(server.requests) == 1


@pytest.mark.parametrize("port", ["99999", "0" + "9" * 5000, "-1", "\u0661", "http"])
def test_a_redirect_to_a_port_that_is_none_is_said(server, port):
    place = f"http://127.0.0.1:{port}/weights.bin"
    server.always = lambda handler: handler.wfile.write(f"HTTP/1.0 302 Found\r\nLocation: {place}\r\n\r\n".encode())
    text = refused(server.url(), server.url(), "redirects", "127.0.0.1:")
    assert len(text) < 1000
    assert len(server.requests) == 1


@pytest.mark.parametrize("error", [OverflowError("port must be 0-65535"), ValueError("no port")])
def test_what_the_system_says_of_numbers_is_one_line(folder, error):
    def fails():
        raise error

    transfer = download._Transfer("http://host/weights.bin", cache.slot(SHA256, "weights.bin"), SIZE, "weights")
    with pytest.raises(DataError, match=f"from http://host/weights.bin: {error}"):
        transfer._waited(fails)


def test_a_server_s_own_words_are_cut_and_plain(server):
    server.always = lambda handler: handler.wfile.write(b"HTTP/1.0 404 \x1b[2J\x07gone" + b" away" * 10_000 + b"\r\n\r\n")
    text = refused(server.url(), "HTTP 404 [2J gone away")
    assert text.isprintable()
    assert len(text) < 1000
    server.always = lambda handler: handler.wfile.write(b"\x1b\x07\r\n\r\n")
    assert refused(server.url(), "BadStatusLine").isprintable()


#: What is no number of bytes, in a header's own bytes.
NO_LENGTHS = ["9" * 20, "9" * 5000, "\u00b2", "\u0663", "-5", "1e5", "0x10", ""]


@pytest.mark.parametrize("size", [SIZE, None])
@pytest.mark.parametrize("length", NO_LENGTHS)
def test_a_length_that_is_none_is_as_if_there_were_none(server, length, size):
    def answer(handler):
        handler.wfile.write(b"HTTP/1.0 200 OK\r\nX-Length: none\r\n" + f"Content-Length: {length}\r\n\r\n".encode())
        handler.body(CONTENT)

    server.script = [answer]
    taken(server.url(), size)


@pytest.mark.parametrize("size", [SIZE, None])
@pytest.mark.parametrize("length", NO_LENGTHS)
def test_a_range_of_what_is_no_number_is_refused_and_the_part_stays(server, folder, length, size):
    for said in (f"bytes {length}-{SIZE - 1}/{SIZE}", f"bytes 1000-{length}/{SIZE}", f"bytes 1000-{SIZE - 1}/{length}"):
        server.script = [cut(1000)] if not part(folder).exists() else []

        def answer(handler, said=said):
            handler.wfile.write(f"HTTP/1.0 206 Partial Content\r\nContent-Range: {said}\r\n\r\n".encode())
            handler.body(CONTENT[1000:])

        server.script.append(answer)
        refused(server.url(), "HTTP 206", "1000 bytes are kept", size=size)
        assert part(folder).read_bytes() == CONTENT[:1000]


@pytest.mark.parametrize("chunk", ["-1", "-5", "f" * 5000, "zz", "\u0663", ""])
def test_chunks_of_no_size_end(server, folder, chunk):
    def answer(handler):
        handler.wfile.write(f"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}\r\n".encode())
        with contextlib.suppress(OSError):
            handler.body(OTHER * 2)

    server.always = answer
    refused(server.url())
    assert not part(folder).exists() or part(folder).stat().st_size <= SIZE


def test_a_chunk_of_negative_size_brings_no_byte_too_many(server):
    def answer(handler):
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n")
        with contextlib.suppress(OSError):
            handler.body(CONTENT + OTHER)

    server.script = [answer]
    taken(server.url())


def begun(server, folder, count=100_000):
    """A part that the next attempt is to go on from."""
    server.script = [cut(count)]
    server.always = cut(0)
    refused(server.url(), f"{count} bytes are kept")
    server.requests.clear()


PAGE = b"<html>Log in to this network</html>" * 100


def kept_beside(folder, count=100_000):
    """The part as it was, and nothing beside it."""
    names = {file.name for file in folder.iterdir()}
    assert names == {f"{SHA256}.part", f"{SHA256}.part.json", f"{SHA256}.lock"}
    assert part(folder).read_bytes() == CONTENT[:count]


@pytest.mark.parametrize("size", [SIZE, None])
@pytest.mark.parametrize("length", [len(PAGE), SIZE, None])
def test_another_page_leaves_the_part(server, folder, length, size):
    begun(server, folder)
    server.always = says(length, PAGE)
    server.etag = '"page"'
    refused(server.url(), "100000 bytes are kept", size=size)
    kept_beside(folder)
    server.always, server.etag = cut(SIZE), '"first"'
    taken(server.url(), size)
    assert server.ranges_asked()[-1] == "bytes=100000-"
    assert server.requests[-1][1]["If-Range"] == '"first"'


def test_another_page_leaves_a_part_that_is_shorter(server, folder):
    begun(server, folder, 100)
    server.always = says(len(PAGE), PAGE)
    refused(server.url(), "another file", "100 bytes are kept", size=None)
    kept_beside(folder, 100)


@pytest.mark.parametrize("size", [SIZE, None])
@pytest.mark.parametrize("length", [SIZE, None])
def test_a_whole_file_is_taken_in_the_part_s_place(server, folder, length, size):
    begun(server, folder)
    server.always = says(length, CONTENT)
    taken(server.url(), size)
    assert server.ranges_asked() == ["bytes=100000-"]


def test_a_part_longer_than_a_file_of_unknown_size_is_no_harm(server, folder):
    folder.mkdir()
    part(folder).write_bytes(OTHER + OTHER)
    server.always = says(SIZE, CONTENT)
    taken(server.url(), size=None)


@pytest.mark.parametrize("length", [SIZE, None])
def test_a_whole_answer_that_is_cut_stays_if_it_is_longer(server, folder, length):
    begun(server, folder)
    server.etag = '"second"'
    server.script = [says(length, CONTENT[:60_000])]
    refused(server.url(), "3 attempts", "100000 bytes are kept")
    kept_beside(folder)
    assert [headers["If-Range"] for _, headers in server.requests] == ['"first"'] * 3
    server.script = [says(length, CONTENT[:150_000])]
    refused(server.url(), "3 attempts", "150000 bytes are kept")
    kept_beside(folder, 150_000)
    assert [headers["If-Range"] for _, headers in server.requests[3:]] == ['"first"'] + ['"second"'] * 3


def test_a_whole_answer_stays_if_the_time_is_over_and_it_is_longer(server, folder, monkeypatch):
    begun(server, folder, 1000)
    monkeypatch.setattr(download, "LIMITS", replace(download.LIMITS, total_s=0.5))
    server.always = held(50_000)
    refused(server.url(), "not there after 0.5 s")
    kept_beside(folder, 50_000)


def test_what_a_killed_process_left_beside_the_part_goes(server, folder):
    begun(server, folder)
    (folder / f"{SHA256}.part.new").write_bytes(PAGE)
    server.always = says(None, CONTENT)
    taken(server.url()).unlink()
    (folder / f"{SHA256}.part.new").write_bytes(PAGE)
    taken(server.url())
