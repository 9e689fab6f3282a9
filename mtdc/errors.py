"""Errors that a person can mend: the command line prints them as one line and exits with 2."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable


class UserError(Exception):
    """Something outside the program is wrong: a file, a folder, a config. The text says which one and what to do, in one line.

    Line breaks and control characters, which may come from file names or files, are not handed on. torch raises a data loader
    worker's error again in the main process, with the worker's printed traceback for a text; of that the error's own text is
    kept.
    """

    def __init__(self, text: str = "") -> None:
        super().__init__(_one_line(_own_text(text, type(self).__name__)))


class ConfigError(UserError):
    """A config names an unknown part or key, or gives a part a value it can't take."""


class DataError(UserError):
    """A file or folder is missing, unreadable, or holds something else than expected."""


def _own_text(text: str, name: str) -> str:
    """What an error of that name said, where the text is a traceback of it as torch's ``ExceptionWrapper`` sends it."""
    if not text.startswith(f"Caught {name} in ") or "\nOriginal Traceback" not in text:
        return text
    # The last one: its causes stand above it.
    return re.split(rf"^(?:[\w.]+\.)?{name}: ", text, flags=re.MULTILINE)[-1].strip()


def _one_line(text: str) -> str:
    if text.isprintable():
        return text
    text = " ".join(text.splitlines())
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """' Did you mean 'Nearest'?', or the list of known words where none is near, or '' where none is known."""
    words = sorted(set(known))
    lowered = {candidate.lower(): candidate for candidate in words}
    near = difflib.get_close_matches(str(word).lower(), lowered, n=1, cutoff=0.6)
    if near:
        return f" Did you mean '{lowered[near[0]]}'?"
    return f" Known: {', '.join(words)}." if words else ""
