"""An http server on loopback that serves one file, and misbehaves as a test asks."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

#: How one request is answered.
Answer = Callable[["Handler"], None]


class Server(ThreadingHTTPServer):
    """Serves ``content`` at every path; the first requests are answered by ``script``, and ``always`` by what it names."""

    daemon_threads = True

    def __init__(self, content: bytes) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content = content
        self.etag: str | None = '"first"'
        self.script: list[Answer] = []
        self.always: Answer = ranges
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.sent = 0
        self.gate = threading.Event()

    def url(self, path: str = "/weights.bin") -> str:
        return f"http://127.0.0.1:{self.server_port}{path}"

    def ranges_asked(self) -> list[str | None]:
        return [headers.get("Range") for _, headers in self.requests]

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is no news."""


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.requests.append((self.path, dict(self.headers)))
        (self.server.script.pop(0) if self.server.script else self.server.always)(self)

    def log_message(self, *_: object) -> None:
        pass

    def head(self, status: int, length: int | None, **headers: str) -> None:
        self.send_response(status)
        if length is not None:
            self.send_header("Content-Length", str(length))
        if self.server.etag:
            self.send_header("ETag", self.server.etag)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def body(self, content: bytes) -> None:
        self.server.sent += len(content)
        self.wfile.write(content)
        self.wfile.flush()


def whole(handler: Handler) -> None:
    """The file, whatever part was asked for."""
    handler.head(200, len(handler.server.content))
    handler.body(handler.server.content)


def ranges(handler: Handler, stop: int | None = None) -> None:
    """What was asked for, as RFC 9110 has it: a range of the version that If-Range names, the file where it is another."""
    content = handler.server.content
    asked = re.fullmatch(r"bytes=(\d+)-", handler.headers.get("Range", ""))
    wanted = handler.headers.get("If-Range")
    if asked is None or (wanted is not None and wanted != handler.server.etag):
        handler.head(200, len(content))
        handler.body(content[:stop])
        return
    start = int(asked[1])
    if start >= len(content):
        handler.head(416, 0)
        return
    handler.head(206, len(content) - start, Content_Range=f"bytes {start}-{len(content) - 1}/{len(content)}")
    handler.body(content[start : None if stop is None else start + stop])


def cut(count: int) -> Answer:
    """The right start of an answer, ended after that many bytes."""
    return lambda handler: ranges(handler, count)


def held(count: int) -> Answer:
    """The first bytes, and the rest once the gate is opened."""

    def answer(handler: Handler) -> None:
        handler.head(200, len(handler.server.content))
        handler.body(handler.server.content[:count])
        handler.server.gate.wait(60)
        handler.body(handler.server.content[count:])

    return answer


def status(code: int, content: bytes = b"", **headers: str) -> Answer:
    """An answer that is not the file."""

    def answer(handler: Handler) -> None:
        handler.head(code, len(content), **headers)
        handler.body(content)

    return answer


def says(length: int | None, content: bytes) -> Answer:
    """An answer of 200 that says one length and sends another."""

    def answer(handler: Handler) -> None:
        handler.head(200, length)
        handler.body(content)

    return answer


@contextmanager
def served(content: bytes) -> Iterator[Server]:
    """A server that runs inside the block."""
    server = Server(content)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.gate.set()
        server.shutdown()
        server.server_close()
        thread.join()
