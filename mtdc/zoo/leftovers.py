"""Files of a zoo that wait for its index, and those that a publication left which was killed; the zoo's lock is held.

A model's log and card have the same names before and after a replacement. So they wait under hidden names, which tell of which
weights they are, until the index names these weights. Killed before, the zoo is as it was; killed after, the next publication
puts them in their places.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from ..engine.tensor_file import SUFFIX
from .index import NAME, WEIGHTS_FOLDER, ZooEntry
from .sources import file_name

#: Digits of a file's sha256 in its name, and random ones in that of a file which is being tried.
DIGITS, HALF_MADE_DIGITS = 8, 12
_WAITING = re.compile(rf"\.({NAME.pattern})-([0-9a-f]{{{DIGITS}}})\.tmp\.(md|csv)")
_WEIGHTS = re.compile(rf"{NAME.pattern}-[0-9a-f]{{{DIGITS}}}{re.escape(SUFFIX)}")


def weights_name(name: str, sha256: str) -> str:
    """What a published weights file is called."""
    return f"{name}-{sha256[:DIGITS]}{SUFFIX}"


def half_made(name: str, digits: str) -> str:
    """What a weights file is called while it is tried."""
    return f".{name}.{digits}{SUFFIX}"


def remove_half_made(folder: Path, name: str) -> None:
    """Remove what a killed publication of that name was trying, in a folder that other files may lie in."""
    for file in folder.glob(half_made(name, "?" * HALF_MADE_DIGITS)):
        file.unlink(missing_ok=True)


def waiting(path: Path, sha256: str) -> Path:
    """Where a log (``.csv``) or card (``.md``) waits until the index names the weights that it belongs to."""
    return path.with_name(f".{path.stem}-{sha256[:DIGITS]}.tmp{path.suffix}")


def settle(zoo: Path, root: Path, cards: Path, entries: Mapping[str, ZooEntry]) -> None:
    """Put what waits for the index in its place where that names its weights, and remove all else that is half made.

    Args:
        zoo: The zoo's folder.
        root: What the entries' cards and logs are relative to.
        cards: The folder that they lie in.
        entries: What the index holds.
    """
    for file in cards.glob(".*.tmp.*"):
        target = _place(file, root, entries)
        if target is None:
            file.unlink(missing_ok=True)
        else:
            file.replace(target)
    for folder, pattern in ((zoo / WEIGHTS_FOLDER, f".*{SUFFIX}"), (zoo, ".*.tmp.*")):
        for file in folder.glob(pattern):
            file.unlink(missing_ok=True)


def _place(file: Path, root: Path, entries: Mapping[str, ZooEntry]) -> Path | None:
    """Where a waiting file belongs; None where it belongs nowhere: of other weights, or a card where someone wrote one."""
    match = _WAITING.fullmatch(file.name)
    entry = entries.get(match[1]) if match else None
    if match is None or entry is None or not entry.sha256.startswith(match[2]):
        return None
    if match[3] == "md":
        return None if (root / entry.card).exists() else root / entry.card
    return None if entry.log is None else root / entry.log


def remove_unnamed(zoo: Path, entries: Mapping[str, ZooEntry]) -> None:
    """Remove weights that were put into the zoo by a publication which was killed before the index named them.

    What is called otherwise than a published file is someone's own, and stays.
    """
    folder = zoo / WEIGHTS_FOLDER
    named = [path for entry in entries.values() if entry.file is not None and (path := folder / entry.file).exists()]
    addressed = {file_name(entry.url) for entry in entries.values() if entry.url is not None}
    for file in folder.glob(f"*{SUFFIX}"):
        if not _WEIGHTS.fullmatch(file.name) or file.is_symlink() or not file.is_file():
            continue
        # By what the file is, not by its path alone: an entry may name it through a link.
        if file.name not in addressed and not any(file.samefile(path) for path in named):
            file.unlink(missing_ok=True)
