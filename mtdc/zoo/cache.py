"""Where fetched files lie: a folder of files named by their sha256, each held against it before it is used.

Beside ``SHA256.safetensors`` lie, while it is fetched, ``SHA256.part`` (what has come so far), ``SHA256.part.json`` (which
version of the file that is, in the server's words), ``SHA256.part.new`` (a whole answer that has yet to prove better than the
part) and ``SHA256.lock`` (held by the one process that fetches it).
"""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import platformdirs
from filelock import FileLock, Timeout

from ..data.io import write_json
from ..engine.checkpoint import file_hash
from ..errors import DataError
from .sources import own_path

CACHE_VARIABLE = "MTDC_CACHE"
_LOGGER = logging.getLogger(__name__)
_SUFFIX = re.compile(r"\.[A-Za-z0-9]{1,16}")
_PART, _LOCK = ".part", ".lock"
#: How long another process may hold a file's lock before a line says that it is waited for.
_QUIET_S = 1.0
#: Files that this process has hashed: path, sha256, and what changes when the file does.
_hashed: set[tuple[str, str, int, int, int]] = set()


@dataclass(frozen=True)
class Slot:
    """The place of one file in the cache.

    Args:
        path: Where the whole file lies.
        sha256: Of the file.
    """

    path: Path
    sha256: str

    @property
    def part(self) -> Path:
        """What has come so far."""
        return self.path.with_name(f"{self.sha256}{_PART}")

    @property
    def version(self) -> Path:
        """Where the part came from, and which version of the file it is of."""
        return self.path.with_name(f"{self.sha256}{_PART}.json")

    @property
    def beside(self) -> Path:
        """A whole answer that came while there was a part, and has yet to prove better."""
        return self.path.with_name(f"{self.sha256}{_PART}.new")

    @property
    def received(self) -> int:
        """Bytes of the part."""
        return self.part.stat().st_size if self.part.is_file() else 0

    def validator(self, url: str) -> str | None:
        """What names the part's version at that address (an ETag or a date); None where it is not known."""
        try:
            stored = json.loads(self.version.read_bytes())
        except (OSError, ValueError):
            return None
        value = stored.get("validator") if isinstance(stored, dict) and stored.get("url") == url else None
        return value if isinstance(value, str) and value.isprintable() else None

    def begin(self, url: str, validator: str | None) -> None:
        """Start an empty part of a file's version."""
        self.drop()
        self._name_version(url, validator)

    def exchange(self, url: str, validator: str | None) -> None:
        """Make what lies beside the part the part, of a version of its own."""
        self.version.unlink(missing_ok=True)  # first: a kill in between must leave no version beside a part of another
        self.beside.replace(self.part)
        self._name_version(url, validator)

    def drop(self) -> None:
        """Remove the part."""
        for file in (self.part, self.version, self.beside):
            file.unlink(missing_ok=True)

    def finish(self) -> None:
        """Make the part, which was held against the hash, the file."""
        with self.part.open("rb+") as file:
            os.fsync(file.fileno())
        self.part.replace(self.path)
        self.drop()  # what is left of it

    def _name_version(self, url: str, validator: str | None) -> None:
        write_json(self.version, {"url": url, "validator": validator})


def cache_folder() -> Path:
    """The folder that fetched files lie in: ``MTDC_CACHE``, or the platform's folder for a user's caches.

    Raises:
        DataError: ``MTDC_CACHE`` begins with a home folder that is none.
    """
    own = os.environ.get(CACHE_VARIABLE)
    return own_path(own, f"{CACHE_VARIABLE}={own}") if own else platformdirs.user_cache_path("mtdc", appauthor=False)


def slot(sha256: str, file_name: str) -> Slot:
    """The place of a file: named by its hash, with the suffix that its own name has, but for the cache's own suffixes."""
    suffix = Path(file_name).suffix
    # In capitals too: some file systems take them for the same.
    if not _SUFFIX.fullmatch(suffix) or suffix.lower() in (_PART, _LOCK):
        suffix = ""
    return Slot(cache_folder() / f"{sha256}{suffix}", sha256)


def is_whole(path: Path, sha256: str, size: int | None = None) -> bool:
    """Whether a file is there and is the one meant; it is hashed once a process, and again when it has changed."""
    try:
        found = path.stat()
        if not path.is_file() or size not in (None, found.st_size):
            return False
        key = (str(path.absolute()), sha256, found.st_size, found.st_mtime_ns, found.st_ino)
        if key not in _hashed:
            if file_hash(path) != sha256:
                return False
            _hashed.add(key)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise DataError(f"can't read {path}: {error.strerror or error}.") from error
    return True


@contextmanager
def locked(place: Slot, wait_s: float) -> Iterator[None]:
    """Hold a file's lock: one process fetches it, others wait. A process that dies lets go of it.

    Raises:
        DataError: The cache's folder can't be written, or another process holds the lock for longer than ``wait_s``.
    """
    file = place.path.with_name(f"{place.sha256}{_LOCK}")
    lock = FileLock(file)
    try:
        place.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=_QUIET_S)
        except Timeout:
            _LOGGER.warning("another process fetches %s: waiting for it", place.path.name)
            lock.acquire(timeout=wait_s)
    except Timeout as error:
        raise DataError(f"{file}: another process has held this lock for {wait_s:g} s; end it and try again.") from error
    except (OSError, NotImplementedError) as error:  # the second: a file system that knows no locks
        reason = (isinstance(error, OSError) and error.strerror) or error
        raise DataError(
            f"can't write the cache {place.path.parent}: {reason}. Name a folder that can be written with {CACHE_VARIABLE}=DIR."
        ) from error
    try:
        yield
    finally:
        lock.release()
