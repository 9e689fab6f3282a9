"""Addresses and paths that an index may name, and the folder's address that `mtdc publish` takes."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath, PureWindowsPath
from urllib.parse import urlsplit

from ..engine.tensor_file import SUFFIX
from .sources import file_name

_START = re.compile(r"(https?|file)://([^/?#]*)", re.IGNORECASE)


def file_fault(url: str) -> str | None:
    """What is wrong with the address of a weights file, in words; None where nothing is.

    It ends in the file's suffix: the cache keeps it, and commands tell a weights file from a checkpoint by it.
    """
    found = _fault(url)
    if found is None:
        found = name_fault(url)
    if found is None and Path(file_name(url)).suffix != SUFFIX:
        found = f"must end in a file's name with {SUFFIX}, not {url!r:.200}"
    return found


def name_fault(url: str) -> str | None:
    """What is wrong with the file's name that an address ends in, in words; None where nothing is.

    What the address holds as %1B or %00 stands in the name as it is, in terminals and on disks.
    """
    if file_name(url).isprintable():
        return None
    return f"must end in a file's name that can be printed, not {file_name(url)!r:.200}"


def folder_fault(url: str) -> str | None:
    """What is wrong with the address of a folder that weights files will lie in, in words; None where nothing is."""
    found = _fault(url)
    if found is None and re.search(r"\s", url):
        found = f"must hold no blank, which an address has as %20, not {url!r:.200}"
    if found is None and re.search(r"[?#]", url):
        found = f"must be a folder's address, which a file's name is put behind: nothing from '?' or '#' on, not {url!r:.200}"
    return found


def leads_outside(path: str) -> bool:
    """Whether a path that is meant inside a folder names something elsewhere, on this system or on another one."""
    # Behind a drive's letter (C:) the rest is of that drive, whatever folder stands before it.
    plain = PurePosixPath(path)
    return plain.is_absolute() or ".." in plain.parts or "\\" in path or bool(PureWindowsPath(path).drive)


def _fault(url: str) -> str | None:
    start = _START.match(url)
    if start is None:
        return f"must be an address http://, https:// or file://, not {url!r:.200}"
    scheme, place = start[1].lower(), start[2]
    if "@" in place:  # said without it: messages are kept in logs
        return "must hold no user name and no password: it is written into the index, which everybody reads"
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        return f"must be an address, not {url!r:.200}: {error}"
    if scheme == "file" and (host not in (None, "localhost") or not parts.path.strip("/")):
        return f"must name a path of this machine behind file://, as file:///data/weights does, not {url!r:.200}"
    if scheme != "file" and not host:
        return f"must name a host behind {scheme}://, not {url!r:.200}"
    if not url.isprintable():
        return f"must be one line of text, not {url!r:.200}"
    return None
