"""Files from the network, a mirror or a disk, into the cache: resumed, limited, and held against their sha256 before use.

``fetch`` is the one way in. The transfer is the standard library's urllib (proxies, certificates, redirects); what is
added is what it lacks: going on with a partial file (RFC 9110, sections 13.1.5 and 14), limits, retries, and an end to waiting
(:mod:`~mtdc.zoo.timed_http`).
"""

from __future__ import annotations

import functools
import hashlib
import http.client
import io
import os
import re
import socket
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from tqdm import tqdm

from .. import __version__
from ..data.io import atomic_path
from ..engine.checkpoint import file_hash
from ..errors import DataError
from .cache import Slot, is_whole, locked, slot
from .sources import MIRROR_VARIABLE, address_of, file_name, mirrored, scheme_of, shown
from .timed_http import TimedHandler

OFFLINE_VARIABLE = "MTDC_OFFLINE"
#: Most bytes of a file whose size is not known.
MOST_BYTES = 2**32
_BLOCK = 1 << 16
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")
#: A number of bytes. What is longer is none, and Python refuses to read thousands of digits.
_LENGTH = re.compile("[0-9]{1,19}")
_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,19})-[0-9]{1,19}/([0-9]{1,19}|\*)")
#: Answers of a server that may be others a moment later.
_PASSING = (408, 425, 429, 500, 502, 503, 504)


@dataclass(frozen=True)
class Limits:
    """Patience with a server.

    Args:
        idle_s: Longest wait for a next byte.
        total_s: Longest time for a file; what has come by then is kept.
        attempts: How often in a row a file is asked for without a new byte before it is given up.
        pause_s: Wait before the next attempt; doubled after each further one without a new byte.
        redirects: Most redirects of one request.
    """

    idle_s: float = 30.0
    total_s: float = 3600.0
    attempts: int = 5
    pause_s: float = 0.5
    redirects: int = 5


LIMITS = Limits()


class _Passing(Exception):
    """What the next attempt may mend: a cut connection, a server that is busy."""


def fetch(url: str, sha256: str, size: int | None = None, *, name: str) -> Path:
    """The file of an address, in the cache; fetched where it isn't there yet, and held against its hash in any case.

    Args:
        url: ``http://``, ``https://``, ``file://``, or a path. ``MTDC_MIRROR``, an address or a folder, takes the place of all
            before the file name; a path stays as it is.
        sha256: Of the file, 64 hexadecimal digits.
        size: Its bytes; no more are taken. None: not known.
        name: What the file is called in messages.

    Returns:
        A path in the cache; the file may be read, and is not to be changed.

    Raises:
        DataError: It can't be fetched or is another file, the cache can't be written, or ``MTDC_OFFLINE`` is set and it is not
            in the cache; the text names the address and says what to do.
    """
    if not _SHA256.fullmatch(sha256):
        raise DataError(f"{name}: its sha256 must be 64 hexadecimal digits, not {sha256!r:.70}.")
    sha256 = sha256.lower()
    place = slot(sha256, file_name(url))
    if is_whole(place.path, sha256, size):
        return place.path
    address = mirrored(url)
    if is_offline():
        found = "another file of that name is" if place.path.exists() else "it is not"
        raise DataError(
            f"can't fetch {name} while {OFFLINE_VARIABLE} is set: {found} in the cache. Unset it, or fetch {address} "
            f"elsewhere, check that its sha256 is {sha256}, and copy it to {place.path}."
        )
    with locked(place, LIMITS.total_s):
        if is_whole(place.path, sha256, size):  # another process has fetched it meanwhile
            return place.path
        try:
            if isinstance(address, Path):
                _copy(address, place, size, name)
            else:
                _Transfer(address, place, size, name).run()
        except OSError as error:
            raise DataError(f"can't write {place.path}: {error.strerror or error}.") from error
    return place.path


def is_offline() -> bool:
    """Whether ``MTDC_OFFLINE`` forbids to fetch anything."""
    return os.environ.get(OFFLINE_VARIABLE, "").strip().lower() not in ("", "0", "false", "no", "off")


def _copy(source: Path, place: Slot, size: int | None, name: str) -> None:
    said = f"can't fetch {name} from {shown(str(source))}"
    if not source.is_file():
        raise DataError(f"{said}: no such file.")
    found = source.stat().st_size
    if size is not None and found != size:
        raise DataError(f"{said}: it has {found} bytes instead of {size}; it is another file.")
    try:
        file: IO[bytes] = source.open("rb")
    except OSError as error:
        raise DataError(f"{said}: {error.strerror or error}.") from error
    digest = hashlib.sha256()
    with file, atomic_path(place.path) as temporary, temporary.open("wb") as target:
        while block := _block_of(file, said):
            digest.update(block)
            target.write(block)
        if digest.hexdigest() != place.sha256:
            raise DataError(_other_file(said, digest.hexdigest(), place.sha256))


def _block_of(file: IO[bytes], said: str) -> bytes:
    """The file's next block; what can't be read is said of the source, and not of the cache."""
    try:
        return file.read(_BLOCK)
    except OSError as error:
        raise DataError(f"{said}: it can't be read: {error.strerror or error}.") from error


def _other_file(said: str, found: str, wanted: str) -> str:
    return (
        f"{said}: its sha256 is {found} instead of {wanted}; it is another file, and nothing of it "
        "was kept. Ask who runs that place, or name another one with " + MIRROR_VARIABLE + "=URL or DIR."
    )


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Redirects to http and https alone, and never from the second to the first."""

    max_redirections = LIMITS.redirects

    def http_error_302(self, req: Any, fp: Any, code: int, msg: str, headers: Any) -> Any:
        """Called by urllib for a redirect. The answer's body, which may be endless, is dropped: urllib would read it whole."""
        if "location" in headers or "uri" in headers:
            fp.close()
            fp = io.BytesIO()
        return super().http_error_302(req, fp, code, msg, headers)

    # urllib's own names still mean its own method; Python 3.10 doesn't know 308.
    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        said = f"{req.full_url:.300}: it redirects to"
        before, after = scheme_of(req.full_url), scheme_of(newurl)
        if after not in ("http", "https") or (before, after) == ("https", "http"):
            raise DataError(f"{said} {shown(newurl):.300}, which is not as safe; nothing was taken from there.")
        try:
            address_of(newurl)
        except DataError as error:
            raise DataError(f"{said} what can't be asked: {error!s:.400}") from None
        return super().redirect_request(req, fp, 307 if code == 308 else code, msg, headers, newurl)


class _Transfer:
    """One file over http."""

    def __init__(self, url: str, place: Slot, size: int | None, name: str) -> None:
        self.url, self.place, self.size, self.name = url, place, size, name
        self._said = f"can't fetch {name} from {url}"
        self.deadline = time.monotonic() + LIMITS.total_s
        self.opener = urllib.request.build_opener(_Redirects(), TimedHandler(self._patience))

    def run(self) -> None:
        """Fetch, as often as it takes and is allowed, and make the part the file."""
        reason, fruitless, furthest = "", 0, self.place.received
        while fruitless < LIMITS.attempts:
            if reason:
                time.sleep(min(LIMITS.pause_s * 2 ** max(0, fruitless - 1), self._left()))
            try:
                if self._attempt():
                    return
                reason = "the rest did not fit the part that was there"
            except _Passing as error:
                self._left()
                reason = str(error)
            # Bytes that were there before are not new: a server that makes it start again and again is given up.
            fruitless = 0 if self.place.received > furthest else fruitless + 1
            furthest = max(furthest, self.place.received)
        raise self._failed(f"{reason} ({LIMITS.attempts} attempts without a new byte)")

    def _attempt(self) -> bool:
        """Ask once for what is missing; whether the file is there now. If not, what had come was no part of it, and is gone."""
        resumed = self.place.received > 0
        if not self._is_complete():
            resumed = self._request()
        found = file_hash(self.place.part)
        if found == self.place.sha256:
            self.place.finish()
            return True
        self.place.drop()
        if not resumed:
            raise DataError(_other_file(self._said, found, self.place.sha256))
        return False

    def _is_complete(self) -> bool:
        """Whether the part needs no byte more, as after a kill just before its end."""
        received = self.place.received
        if self.size is None:
            return received > 0 and file_hash(self.place.part) == self.place.sha256
        if received > self.size:
            self.place.drop()
        return received == self.size

    def _request(self) -> bool:
        """Ask once for what is missing and append it; returns whether a part was there that it was appended to."""
        received = self.place.received
        headers = {"User-Agent": f"mtdc/{__version__}", "Accept-Encoding": "identity"}
        validator = self.place.validator(self.url)
        if received:
            headers["Range"] = f"bytes={received}-"
            if validator:
                headers["If-Range"] = validator
        response = self._answer(urllib.request.Request(self.url, headers=headers), received)
        with response:
            offset, total = self._offset(response, received, validator)
            if self.size is not None and total not in (None, self.size):
                raise self._failed(f"the server's file has {total} bytes instead of {self.size}; it is another file")
            if total is not None and total > MOST_BYTES:
                raise self._failed(f"the server's file has {total} bytes; without a known size at most {MOST_BYTES} are taken")
            most = total if self.size is None else self.size
            if received and not offset:
                self._receive_beside(response, most)
            else:
                if not received:
                    self.place.begin(self.url, _validator(response))
                self._receive(response, self.place.part, offset, most)
        return offset > 0

    def _answer(self, request: urllib.request.Request, received: int) -> Any:
        try:
            return self._waited(lambda: self.opener.open(request, timeout=self._patience()))
        except urllib.error.HTTPError as error:
            with error:
                if error.code == 416 and received:
                    self.place.drop()
                    raise _Passing("the server has no such part of the file (HTTP 416)") from error
                said = f"HTTP {error.code} {_one_line(error.reason)}"
                if error.code in _PASSING:
                    raise _Passing(f"the server answers {said}") from error
                # Not from the error: its text may name an address with a password.
                raise self._failed(f"the server answers {said}") from None

    def _offset(self, response: Any, received: int, validator: str | None) -> tuple[int, int | None]:
        """Where the answer's bytes belong, and the whole file's size where the server says it."""
        if response.status == 200:  # whole: the server knows no ranges, or has another version than the part is of
            length = response.headers.get("Content-Length", "")
            return 0, int(length) if _LENGTH.fullmatch(length) else None
        match = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
        if response.status != 206 or match is None:
            raise self._failed(f"the server answers HTTP {response.status}, and not with the file")
        now = _validator(response)
        if int(match[1]) != received or not received or (validator and now and now != validator):
            self.place.drop()
            raise _Passing("the file changed at the server between two parts")
        return received, None if match[2] == "*" else int(match[2])

    def _receive_beside(self, response: Any, total: int | None) -> None:
        """Take a whole answer while there is a part. It may be anything, as the page of a network that wants a login first: the
        part stays until the answer has proved to be the file, or was cut and is longer.
        """
        beside = self.place.beside
        beside.unlink(missing_ok=True)  # of a process that was killed
        try:
            self._receive(response, beside, 0, total)
            found = file_hash(beside)
            if found != self.place.sha256:
                beside.unlink()
                raise self._failed(f"the sha256 of its answer is {found} instead of {self.place.sha256}; it is another file")
            self.place.exchange(self.url, _validator(response))
        finally:
            if beside.is_file():
                if beside.stat().st_size > self.place.received:
                    self.place.exchange(self.url, _validator(response))
                beside.unlink(missing_ok=True)

    def _receive(self, response: Any, target: Path, offset: int, total: int | None) -> None:
        most = MOST_BYTES if total is None else total
        with (
            target.open("ab", buffering=0) as file,
            tqdm(total=total, initial=offset, desc=self.name, unit="B", unit_scale=True, leave=False, disable=None) as bar,
        ):
            while offset < most:
                block = self._waited(functools.partial(response.read1, min(_BLOCK, most - offset)))
                if not block:
                    break
                block = block[: most - offset]  # a chunk of negative size gives more than was asked for
                _write_all(file, block)
                offset += len(block)
                bar.update(len(block))
        if total is not None and offset < total:
            raise _Passing(f"the connection was cut after {offset} of {total} bytes")

    def _waited(self, call: Callable[[], Any]) -> Any:
        """What a call to the network gives; its errors told from those of the disk."""
        try:
            return call()
        except (urllib.error.HTTPError, DataError):
            raise
        except (OSError, http.client.HTTPException) as error:
            cause = getattr(error, "reason", error)
            if isinstance(cause, TimeoutError):
                raise _Passing(f"no answer for {LIMITS.idle_s:g} s") from error
            said = _one_line(getattr(cause, "strerror", None) or cause) or type(cause).__name__
            if isinstance(cause, (ssl.SSLCertVerificationError, socket.gaierror)):
                raise self._failed(said) from error
            raise _Passing(said) from error
        except (ValueError, OverflowError) as error:  # a redirect to what is no address, or to a port that is none
            raise self._failed(_one_line(error)) from error

    def _left(self) -> float:
        """Seconds that are left for the file."""
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise self._failed(f"it is not there after {LIMITS.total_s:g} s")
        return left

    def _patience(self) -> float:
        """Seconds that the next byte is waited for."""
        return max(0.01, min(LIMITS.idle_s, self._left()))

    def _failed(self, reason: str) -> DataError:
        received = self.place.received
        kept = f" {received} bytes are kept: the next try goes on from there." if received else ""
        return DataError(
            f"{self._said}: {reason}.{kept} Try again, name another place with "
            f"{MIRROR_VARIABLE}=URL or DIR, or copy the file to {self.place.path} by hand."
        )


def _validator(response: Any) -> str | None:
    """What names the version of an answer's file: a strong ETag, else its date."""
    etag = response.headers.get("ETag", "")
    return etag if etag.startswith('"') else response.headers.get("Last-Modified")


def _one_line(words: Any) -> str:
    """A server's own words for a message: they may be long, of many lines, and hold what moves a terminal's cursor."""
    text = "".join(sign if sign.isprintable() else " " for sign in shown(str(words)))
    return " ".join(text.split())[:300]


def _write_all(file: Any, block: bytes) -> None:
    view = memoryview(block)
    while view:
        view = view[file.write(view) :]
