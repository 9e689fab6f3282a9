"""What an output folder says of itself: with which settings it was made, and which results are whole.

``settings.json`` is written before the first result, and one line of ``completed.jsonl`` after all results of a scan, with the
sha256 of the files that they were made from and of what was made. So a result is taken for whole only if its line, its files
and its scan are there and belong together, whenever the run was ended, and wherever scans and folder are by then. A folder
holds results of one kind of settings.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ..data.io import atomic_path, write_json
from ..data.raw_bytes import text_of
from ..errors import DataError
from .scans import JOURNAL, OUTPUT_FOLDERS, ScanList

SETTINGS = "settings.json"
#: Said in the settings, and no reason to refuse: two configs of one content are one model.
_NOT_COMPARED = ("config",)


class Entry(NamedTuple):
    """A completed scan: hashes of what it was made from, and of what was made."""

    sources: list[str]
    results: list[str]


class Journal:
    """Reads the notes of a folder and goes on writing them.

    Args:
        out: The output folder.
        settings: What the results depend on, as plain values.
        scans: The scans to be completed.
        resume: Keep the results that are whole.

    Raises:
        DataError: The folder was made with other settings, or does not say with which.
    """

    def __init__(self, out: Path, settings: Mapping[str, Any], scans: ScanList, resume: bool) -> None:
        self.out = out
        # Through JSON: what is read back compares equal.
        self.settings = json.loads(json.dumps(settings))
        self._resume = resume
        self._whole: dict[str, Entry] = {}
        self._begun = False
        if (out / SETTINGS).exists():
            self._compare(_settings_of(out))
            self._whole = _lines_of(out / JOURNAL)
        elif resume and any(scan.output(out, "depth").exists() for scan in scans):
            raise DataError(f"{out} holds results and no {SETTINGS} to go on with; leave --resume out to do all of them again.")

    def is_whole(self, name: str, sources: Sequence[str], results: Sequence[Path]) -> bool:
        """Whether a scan's results are there as they were written, made from files of these hashes."""
        entry = self._whole.get(name)
        if not self._resume or entry is None or entry.sources != list(sources):
            return False
        return all(path.is_file() for path in results) and entry.results == hashes(results)

    def add(self, name: str, sources: Sequence[str], results: Sequence[Path]) -> None:
        """Note that all results of a scan are written.

        Raises:
            DataError: The line can't be written.
        """
        try:
            with (self.out / JOURNAL).open("a", encoding="utf-8") as file:
                file.write(_line(name, Entry(list(sources), hashes(results))))
        except OSError as error:
            raise DataError(f"can't write {self.out / JOURNAL}: {error.strerror or error}.") from error

    def begin(self) -> None:
        """Write the settings and what is whole so far, before the first result."""
        if self._begun:
            return
        self._begun = True
        for folder in OUTPUT_FOLDERS:
            for left in (self.out / folder).glob(".*.tmp.*"):
                left.unlink(missing_ok=True)
        # First the lines, then the settings: a line never stands beside settings that it wasn't made with.
        with atomic_path(self.out / JOURNAL) as temporary:
            temporary.write_text("".join(_line(*item) for item in self._whole.items()), encoding="utf-8")
        write_json(self.out / SETTINGS, self.settings)

    def _compare(self, earlier: Mapping[str, Any]) -> None:
        for key in self.settings.keys() | earlier.keys():
            if key not in _NOT_COMPARED and self.settings.get(key) != earlier.get(key):
                renamed = earlier.get("config") != self.settings.get("config")
                told = "config" if renamed and key in ("model", "checkpoint") else key  # a name says more than a hash
                was, now = (_short(_name(told, values.get(told))) for values in (earlier, self.settings))
                differ = "" if was == now else f" ({was}, now {now})"
                raise DataError(
                    f"{self.out} was completed with another {key.replace('_', ' ')}{differ}: give another --out, or remove "
                    "that folder to do all of it again."
                )


def _settings_of(out: Path) -> dict[str, Any]:
    try:
        earlier = json.loads(text_of(out / SETTINGS, "settings"))
    except (ValueError, RecursionError):
        earlier = None
    if not isinstance(earlier, dict):
        raise DataError(f"{out / SETTINGS} is damaged, or not of `mtdc complete`: give another --out, or remove that file.")
    return earlier


def hashes(paths: Sequence[Path]) -> list[str]:
    """sha256 of files."""
    return [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]


def _lines_of(path: Path) -> dict[str, Entry]:
    if not path.is_file():
        return {}
    with path.open(encoding="utf-8", errors="replace") as file:
        return dict(entry for entry in map(_entry, file) if entry)


def _entry(line: str) -> tuple[str, Entry] | None:
    # The last line of a run that was killed may be half a line: its scan is done again.
    try:
        entry = json.loads(line)
        return str(entry["name"]), Entry(*([str(word) for word in entry[key]] for key in Entry._fields))
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


def _line(name: str, entry: Entry) -> str:
    return json.dumps({"name": name, **entry._asdict()}) + "\n"


def _name(key: str, value: Any) -> Any:
    return Path(value).name if key == "config" and isinstance(value, str) else value


def _short(value: Any) -> str:
    text = "none" if value is None else "yes" if value is True else "no" if value is False else str(value)
    return text if len(text) <= 40 else text[:12] + ".."
