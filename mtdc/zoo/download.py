"""Files from the network, a mirror or a disk, into the cache: resumed, limited, and held against their sha256 before use.

``fetch`` is the one way in. The transfer is the standard library's urllib (proxies, certificates, redirects); what is
added is what it lacks: going on with a partial file (RFC 9110, sections 13.1.5 and 14), limits, retries, and an end to waiting
(:mod:`~mtdc.zoo.timed_http`).
"""

from __future__ import annotations

import functools
import hashlib
import http.client
import os
import re
import socket
import ssl
import time
import urllib.error
import urllib.parse
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
from .timed_http import TimedHandler

MIRROR_VARIABLE, OFFLINE_VARIABLE = "MTDC_MIRROR", "MTDC_OFFLINE"
#: Most bytes of a file whose size is not known.
MOST_BYTES = 2**32
_BLOCK = 1 << 16
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")
_CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")
#: Answers of a server that may be others a moment later.
_PASSING = (408, 425, 429, 500, 502, 503, 504)


@dataclass(frozen=True)
class Limits:
    """Patience with a server.

    Args:
        idle_s: Longest wait for a next byte.
        total_s: Longest time for a file; what has come by then is kept.
        attempts: How often a file is asked for before it is given up.
        pause_s: Wait before the second attempt; doubled before each further one.
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


def file_name(url: str) -> str:
    """The file name that an address ends in; '' where it ends in none."""
    if _scheme(url) is None:
        return Path(url).name
    path = re.split(r"[?#]", url.partition("://")[2])[0].partition("/")[2]
    return urllib.parse.unquote(path).replace("\\", "/").rpartition("/")[2]


def mirrored(url: str) -> str | Path:
    """Where a file is really fetched from: an address, or a path on this machine.

    Raises:
        DataError: The address is of another kind, or has no file name to look for at the mirror.
    """
    mirror = os.environ.get(MIRROR_VARIABLE)
    if not mirror or _scheme(url) is None:
        return _address(url)
    name = file_name(url)
    if name in ("", ".", ".."):
        raise DataError(f"{url}: it ends in no file name to look for at {MIRROR_VARIABLE}={mirror}.")
    if _scheme(mirror) is None:
        return Path(mirror).expanduser() / name
    return _address(f"{mirror.rstrip('/')}/{urllib.parse.quote(name)}")


def _scheme(url: str) -> str | None:
    scheme, colon, _ = url.partition("://")
    return scheme.lower() if colon and scheme.isalnum() else None


def _address(url: str) -> str | Path:
    scheme = _scheme(url)
    if scheme is None:
        return Path(url).expanduser()
    # What a browser would mend: blanks and letters beyond ASCII.
    url = urllib.parse.quote(url, safe="%/:=&?~#+!$,;'@()*[]")
    try:
        parts = urllib.parse.urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise DataError(f"{url}: no address: {error}.") from error
    if scheme == "file" and host in (None, "localhost"):
        return Path(urllib.request.url2pathname(parts.path))
    if scheme not in ("http", "https") or not host:
        raise DataError(f"{url}: expected an address http://, https:// or file:///, or a path.")
    return parts._replace(fragment="").geturl()


def _copy(source: Path, place: Slot, size: int | None, name: str) -> None:
    if not source.is_file():
        raise DataError(f"can't fetch {name} from {source}: no such file.")
    found = source.stat().st_size
    if size is not None and found != size:
        raise DataError(f"can't fetch {name} from {source}: it has {found} bytes instead of {size}; it is another file.")
    try:
        file: IO[bytes] = source.open("rb")
    except OSError as error:
        raise DataError(f"can't fetch {name} from {source}: {error.strerror or error}.") from error
    digest = hashlib.sha256()
    with file, atomic_path(place.path) as temporary, temporary.open("wb") as target:
        while block := file.read(_BLOCK):
            digest.update(block)
            target.write(block)
        if digest.hexdigest() != place.sha256:
            raise DataError(_other_file(name, str(source), digest.hexdigest(), place.sha256))


def _other_file(name: str, address: str, found: str, wanted: str) -> str:
    return (
        f"can't fetch {name} from {address}: its sha256 is {found} instead of {wanted}; it is another file, and nothing of it "
        "was kept. Ask who runs that place, or name another one with " + MIRROR_VARIABLE + "=URL or DIR."
    )


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Redirects to http and https alone, and never from the second to the first."""

    max_redirections = LIMITS.redirects
    # Python 3.10 doesn't know 308.
    http_error_308 = urllib.request.HTTPRedirectHandler.http_error_302

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        before, after = _scheme(req.full_url), _scheme(newurl)
        if after not in ("http", "https") or (before, after) == ("https", "http"):
            raise DataError(f"{req.full_url}: it redirects to {newurl}, which is not as safe; nothing was taken from there.")
        return super().redirect_request(req, fp, 307 if code == 308 else code, msg, headers, newurl)


class _Transfer:
    """One file over http."""

    def __init__(self, url: str, place: Slot, size: int | None, name: str) -> None:
        self.url, self.place, self.size, self.name = url, place, size, name
        self.deadline = time.monotonic() + LIMITS.total_s
        self.opener = urllib.request.build_opener(_Redirects(), TimedHandler(self._patience))

    def run(self) -> None:
        """Fetch, as often as it takes and is allowed, and make the part the file."""
        reason = ""
        for attempt in range(LIMITS.attempts):
            if attempt:
                time.sleep(min(LIMITS.pause_s * 2 ** (attempt - 1), self._left()))
            resumed = self.place.received > 0
            if not self._is_complete():
                try:
                    resumed = self._request()
                except _Passing as error:
                    self._left()
                    reason = str(error)
                    continue
            found = file_hash(self.place.part)
            if found == self.place.sha256:
                self.place.finish()
                return
            self.place.drop()
            if not resumed:
                raise DataError(_other_file(self.name, self.url, found, self.place.sha256))
            reason = "the rest did not fit the part that was there"
        raise self._failed(f"{reason} ({LIMITS.attempts} attempts)")

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
            if not offset:
                self.place.begin(self.url, _validator(response))
            self._receive(response, offset, total if self.size is None else self.size)
        return offset > 0

    def _answer(self, request: urllib.request.Request, received: int) -> Any:
        try:
            return self._waited(lambda: self.opener.open(request, timeout=self._patience()))
        except urllib.error.HTTPError as error:
            with error:
                if error.code == 416 and received:
                    self.place.drop()
                    raise _Passing("the server has no such part of the file (HTTP 416)") from error
                said = f"HTTP {error.code} {error.reason}"
                if error.code in _PASSING:
                    raise _Passing(f"the server answers {said}") from error
                raise self._failed(f"the server answers {' '.join(said.split())}") from error

    def _offset(self, response: Any, received: int, validator: str | None) -> tuple[int, int | None]:
        """Where the answer's bytes belong, and the whole file's size where the server says it."""
        if response.status == 200:  # whole: the server knows no ranges, or has another version than the part is of
            length = response.headers.get("Content-Length", "")
            return 0, int(length) if length.isdecimal() else None
        match = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
        if response.status != 206 or match is None:
            raise self._failed(f"the server answers HTTP {response.status}, and not with the file")
        now = _validator(response)
        if int(match[1]) != received or not received or (validator and now and now != validator):
            self.place.drop()
            raise _Passing("the file changed at the server between two parts")
        return received, None if match[2] == "*" else int(match[2])

    def _receive(self, response: Any, offset: int, total: int | None) -> None:
        most = MOST_BYTES if total is None else total
        with (
            self.place.part.open("ab", buffering=0) as file,
            tqdm(total=total, initial=offset, desc=self.name, unit="B", unit_scale=True, leave=False, disable=None) as bar,
        ):
            while offset < most:
                block = self._waited(functools.partial(response.read1, min(_BLOCK, most - offset)))
                if not block:
                    break
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
            said = " ".join(str(getattr(cause, "strerror", None) or cause or type(cause).__name__).split())
            if isinstance(cause, (ssl.SSLCertVerificationError, socket.gaierror)):
                raise self._failed(said) from error
            raise _Passing(said) from error
        except ValueError as error:  # a redirect to what is no address
            raise self._failed(str(error)) from error

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
            f"can't fetch {self.name} from {self.url}: {reason}.{kept} Try again, name another place with "
            f"{MIRROR_VARIABLE}=URL or DIR, or copy the file to {self.place.path} by hand."
        )


def _validator(response: Any) -> str | None:
    """What names the version of an answer's file: a strong ETag, else its date."""
    etag = response.headers.get("ETag", "")
    return etag if etag.startswith('"') else response.headers.get("Last-Modified")


def _write_all(file: Any, block: bytes) -> None:
    view = memoryview(block)
    while view:
        view = view[file.write(view) :]
