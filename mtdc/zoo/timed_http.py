"""urllib's connections with one limit for a whole answer: headers, chunks and trailers count like the file's own bytes."""

from __future__ import annotations

import functools
import http.client
import io
import urllib.request
from collections.abc import Callable
from typing import Any


class _TimedReads(io.RawIOBase):
    """A socket's bytes; how long each next one is waited for, ``left`` says, or raises.

    A socket's own time-out starts anew with every byte: a server that sends one now and then, in its headers or between chunks,
    where http.client reads until a line is whole, would never be left.
    """

    def __init__(self, sock: Any, left: Callable[[], float]) -> None:
        self._file, self._socket, self._left_s = sock.makefile("rb", buffering=0), sock, left

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> Any:
        self._socket.settimeout(self._left_s())
        return self._file.readinto(buffer)

    def close(self) -> None:
        self._file.close()
        super().close()


class _Response(http.client.HTTPResponse):
    """An answer that is read through :class:`_TimedReads`."""

    def __init__(self, sock: Any, *arguments: Any, left: Callable[[], float], **named: Any) -> None:
        super().__init__(sock, *arguments, **named)
        self.fp.close()
        self.fp = io.BufferedReader(_TimedReads(sock, left))


class TimedHandler(urllib.request.HTTPHandler, urllib.request.HTTPSHandler):
    """Opens both kinds of addresses with urllib, and reads their answers in time.

    Args:
        left: Seconds that the next byte is waited for; asked before every wait. What it raises ends the reading.
    """

    def __init__(self, left: Callable[[], float]) -> None:
        super().__init__()
        self._left = left

    def http_open(self, req: Any) -> Any:
        """Called by urllib for ``http://``."""
        return self.do_open(self._connection(http.client.HTTPConnection), req)

    def https_open(self, req: Any) -> Any:
        """Called by urllib for ``https://``."""
        return self.do_open(self._connection(http.client.HTTPSConnection), req)

    def _connection(self, kind: Any) -> Any:
        def make(host: str, **options: Any) -> Any:
            connection = kind(host, **options)
            connection.response_class = functools.partial(_Response, left=self._left)
            return connection

        return make
