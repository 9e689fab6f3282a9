"""Where files are fetched from: which addresses and paths are taken, where a mirror keeps a file, how messages name them."""

from __future__ import annotations

import os
import re
import urllib.parse
import urllib.request
from pathlib import Path

from ..errors import DataError

MIRROR_VARIABLE = "MTDC_MIRROR"
#: What stands before an address's host: a user, mostly with a password. urllib takes the host's %40 for an @ as well.
_USER = re.compile(r"(\w\w:/+)[^/?#]*(?:@|%40)", re.IGNORECASE)


def shown(text: str) -> str:
    """A text for messages: ``***`` stands in the place of the user and password of every address in it."""
    return _USER.sub(r"\1***@", text)


def own_path(text: str, said: str) -> Path:
    """A path as its user wrote it, with ``~`` for a home folder.

    Args:
        text: The path.
        said: What names it in messages.

    Raises:
        DataError: There is no such home folder.
    """
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise DataError(f"{said}: no home folder {Path(text).parts[0]} is known; write the folder's whole path.") from error


def scheme_of(url: str) -> str | None:
    """What stands before ``://``, in small letters; None for a path."""
    scheme, colon, _ = url.partition("://")
    return scheme.lower() if colon and scheme.isalnum() else None


def file_name(url: str) -> str:
    """The file name that an address ends in; '' where it ends in none."""
    if scheme_of(url) is None:
        return Path(url).name
    path = re.split(r"[?#]", url.partition("://")[2])[0].partition("/")[2]
    return urllib.parse.unquote(path).replace("\\", "/").rpartition("/")[2]


def mirrored(url: str) -> str | Path:
    """Where a file is really fetched from: an address, or a path on this machine.

    Raises:
        DataError: The address or the mirror's is of another kind, or there is no file name to look for at the mirror.
    """
    mirror = os.environ.get(MIRROR_VARIABLE)
    if not mirror or scheme_of(url) is None:
        return address_of(url)
    name = file_name(url)
    if name in ("", ".", ".."):
        raise DataError(f"{shown(url)}: it ends in no file name to look for at {MIRROR_VARIABLE}={shown(mirror)}.")
    if scheme_of(mirror) is None:
        return own_path(mirror, f"{MIRROR_VARIABLE}={shown(mirror)}") / name
    place, mark, _ = mirror.partition("#")
    if mark:
        raise DataError(
            f"{MIRROR_VARIABLE}={shown(place)}#...: no server is asked for what follows '#'. Leave it out, or write %23 where "
            "that sign is part of a folder's name."
        )
    folder, mark, query = place.partition("?")  # a token, say, which the mirror wants with every file
    return address_of(f"{folder.rstrip('/')}/{urllib.parse.quote(name)}{mark}{query}")


def address_of(url: str) -> str | Path:
    """An address that can be asked, well written; or a path on this machine.

    Raises:
        DataError: It is neither, or has a user or a password in it, which the text doesn't repeat.
    """
    scheme = scheme_of(url)
    if scheme is None:
        return own_path(url, shown(url))
    if shown(url) != url:
        raise DataError(
            f"{shown(url)}: an address with a user or a password in it is not asked. Take it out; where the place wants it, "
            f"fetch the file by other means and name its folder with {MIRROR_VARIABLE}=DIR."
        )
    try:
        # What a browser would mend: blanks and letters beyond ASCII.
        quoted = urllib.parse.quote(url, safe="%/:=&?~#+!$,;'@()*[]")
        parts = urllib.parse.urlsplit(quoted)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        # A password with a / in it is taken for host and port, and named in the error.
        reason = "" if "@" in url else f": {error}"
        raise DataError(f"{re.sub('//.*@', '//***@', url)}: no address{reason}.") from None
    if scheme == "file" and host in (None, "localhost"):
        return Path(urllib.request.url2pathname(parts.path))
    if scheme not in ("http", "https") or not host:
        raise DataError(f"{quoted}: expected an address http://, https:// or file:///, or a path.")
    return parts._replace(fragment="").geturl()
