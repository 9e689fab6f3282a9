"""Errors that a person can mend: the command line prints them as one line and exits with 2."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """Something outside the program is wrong: a file, a folder, a config. The text says which one and what to do."""


class ConfigError(UserError):
    """A config names an unknown part or key, or gives a part a value it can't take."""


class DataError(UserError):
    """A file or folder is missing, unreadable, or holds something else than expected."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """' Did you mean 'Nearest'?', or the list of known words where none is near, or '' where none is known."""
    words = sorted(set(known))
    lowered = {candidate.lower(): candidate for candidate in words}
    near = difflib.get_close_matches(word.lower(), lowered, n=1, cutoff=0.6)
    if near:
        return f" Did you mean '{lowered[near[0]]}'?"
    return f" Known: {', '.join(words)}." if words else ""
