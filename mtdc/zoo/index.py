"""The zoo's index: which models there are, where their weights lie, and what they are worth.

A zoo is a folder with ``index.json`` and, below ``weights/``, the files that entries name. The package carries one; a user's
own is named by ``MTDC_ZOO`` (looked into first) or by an argument (looked into alone).
"""

from __future__ import annotations

import importlib.resources
import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ..arguments import fits
from ..data.io import write_json
from ..data.raw_bytes import bytes_of
from ..engine.checkpoint import file_hash
from ..engine.tensor_file import SUFFIX
from ..errors import ConfigError, DataError, did_you_mean
from .addresses import file_fault, leads_outside
from .sources import own_path
from .strict import from_json, numbers, texts, to_json

ZOO_VARIABLE = "MTDC_ZOO"
INDEX_NAME, WEIGHTS_FOLDER = "index.json", "weights"
#: Version of the index's form.
VERSION = 2
#: Where a model was trained for; settings differ in what is measured.
Setting = Literal["outdoor", "indoor"]
_LARGEST_INDEX_BYTES = 2**24
NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")
_SHA256 = re.compile(r"[0-9a-f]{64}")
#: No number of an index is larger, either way: bytes, steps, millimetres.
MOST = 1e15
#: Errors that every entry has.
MEASURED = ("rmse", "mae")


@dataclass(frozen=True)
class OverSeeds:
    """The same training with several seeds, the published one among them, on the same frames.

    Args:
        seeds: The seeds.
        values: Of each error, the mean over seeds of its mean over frames.
        spread: The standard deviation over seeds of that mean.
    """

    seeds: list[int]
    values: dict[str, float]
    spread: dict[str, float]


@dataclass(frozen=True)
class Expected:
    """Values that were measured once, with the published weights.

    Args:
        data: Which frames, in words.
        frames: How many.
        values: ``{"rmse": .., "mae": .., ..}`` in the metric's units, means over frames.
        spread_over_frames: Of each, the standard deviation over frames.
        over_seeds: The same with several seeds; None where there is one.
    """

    data: str
    frames: int
    values: dict[str, float]
    spread_over_frames: dict[str, float]
    over_seeds: OverSeeds | None = None


@dataclass(frozen=True)
class Embedded:
    """Values on frames that the package draws itself, computed in float32 from the file's weights: they can be had again.

    They are a check of the file, and no measure of quality.

    Args:
        dataset: Config of the data set.
        metric: Config of the metric.
        values: ``{"rmse": .., "mae": ..}`` in the metric's units; with a predicted deviation its mean, mm, too.
        tolerance: Largest relative difference; processors round differently.
    """

    dataset: dict[str, Any]
    metric: dict[str, Any]
    values: dict[str, float]
    tolerance: float


@dataclass(frozen=True)
class ZooEntry:
    """One model of a zoo.

    Args:
        name: What ``mtdc.load`` calls it.
        title: One line on what it is.
        purpose: One line on what to take it for.
        setting: Where it was trained for.
        inputs: What it reads at test time: ``sparse_depth``, and maybe ``image`` and ``intrinsics``.
        outputs: What it gives: ``depth``, and ``depth_confidence`` where it predicts its own deviation.
        config: Name of the shipped config that it was trained with, or of its author's file.
        command: The command that repeats the training.
        sha256, bytes: Of the weights file.
        licence: Under which the weights may be used.
        data: What it saw in training.
        protocol: How values are measured: metric, clamp, crop.
        expected: Values measured once.
        embedded: Values that a test measures again.
        parameters: ``{"train": .., "test": ..}``: numbers that are trained, and that are left at test time.
        minutes, machine, precision: What the training cost, on what, and what it computed in.
        seed, steps: Of the training.
        card: Its page, relative to the repository or the zoo's folder.
        log: What the training logged, a CSV beside the card; None where there is none.
        file: The weights file, relative to the zoo's ``weights/``; None where it has to be fetched.
        url: Where the file is fetched from (http://, https://, file://); None where it lies in the zoo.
    """

    name: str
    title: str
    purpose: str
    setting: Setting
    inputs: list[str]
    outputs: list[str]
    config: str
    command: str
    sha256: str
    bytes: int
    licence: str
    data: str
    protocol: dict[str, Any]
    expected: tuple[Expected, ...]
    embedded: Embedded
    parameters: dict[str, int]
    minutes: float
    machine: str
    precision: str
    seed: int
    steps: int
    card: str
    log: str | None = None
    file: str | None = None
    url: str | None = None


@dataclass(frozen=True)
class Zoo:
    """A folder with an index.

    Args:
        folder: The folder.
        entries: Its models, by name.
    """

    folder: Path
    entries: dict[str, ZooEntry]

    def weights(self, entry: ZooEntry) -> Path:
        """The entry's weights file, fetched where it is not in the zoo, and held against size and hash.

        Raises:
            DataError: The file is missing, another one, or can't be fetched.
        """
        if entry.file is None:
            from .download import fetch

            return fetch(str(entry.url), entry.sha256, entry.bytes, name=entry.name)
        path = self.folder / WEIGHTS_FOLDER / entry.file
        if not path.is_file():
            raise DataError(f"{path}: the weights of '{entry.name}' are not there, as {self.folder / INDEX_NAME} says.")
        size = path.stat().st_size
        if size != entry.bytes or file_hash(path) != entry.sha256:
            found = f"it has {size} bytes instead of {entry.bytes}" if size != entry.bytes else "its sha256 is another"
            raise DataError(
                f"{path}: not the weights of '{entry.name}' that {self.folder / INDEX_NAME} names: {found}. Install or copy "
                "the zoo again, or publish them again."
            )
        return path


def package_folder() -> Path:
    """The folder of the zoo that the package carries."""
    return Path(str(importlib.resources.files("mtdc"))) / "zoo"


def zoo_folder(folder: str | Path) -> Path:
    """A zoo's folder as it is named, ``~`` being the home folder.

    Raises:
        DataError: ``~`` or ``~user`` stands for no folder here.
    """
    return own_path(str(folder), f"{folder}, the zoo's folder ({ZOO_VARIABLE}, --zoo)")


def read_zoo(folder: str | Path) -> Zoo:
    """A zoo's index, checked key by key.

    Raises:
        DataError: There is none, or it is faulty; the text names the entry and the key.
    """
    folder = zoo_folder(folder)
    path = folder / INDEX_NAME
    if not path.is_file():
        raise DataError(f"{path}: no such file; a zoo is a folder with {INDEX_NAME}, as `mtdc publish --zoo DIR` makes it.")
    try:
        content = json.loads(bytes_of(path, "index", _LARGEST_INDEX_BYTES).tobytes(), parse_constant=_refused)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: no JSON: {' '.join(str(error).split())[:120]}.") from error
    if not isinstance(content, dict) or set(content) != {"version", "entries"} or not isinstance(content["entries"], list):
        raise DataError(f"{path}: expected an object with 'version' and a list 'entries'.")
    if content["version"] != VERSION:
        newer = isinstance(content["version"], int) and content["version"] > VERSION
        raise DataError(
            f"{path}: version {content['version']!r:.40}; this mtdc reads version {VERSION}."
            f"{' It was made by a newer mtdc: update it.' if newer else ' Publish its models again.'}"
        )
    entries: dict[str, ZooEntry] = {}
    for number, value in enumerate(content["entries"]):
        name = value.get("name") if isinstance(value, dict) else None
        known = isinstance(name, str) and NAME.fullmatch(name)
        entry = _entry(value, f"{path}: entry {name if known else number}")
        if entry.name in entries:
            raise DataError(f"{path}: two entries are called '{entry.name}'.")
        entries[entry.name] = entry
    return Zoo(folder, entries)


def write_index(folder: Path, entries: Sequence[ZooEntry]) -> None:
    """Write a zoo's index, entries by name, whole or not at all."""
    content = [to_json(entry) for entry in sorted(entries, key=lambda one: one.name)]
    write_json(folder / INDEX_NAME, {"version": VERSION, "entries": content})


def zoos(zoo: str | Path | None = None) -> list[Zoo]:
    """The zoos to look into, in order: the one that is named alone; else that of ``MTDC_ZOO`` and the package's.

    Raises:
        DataError: A zoo that is named is none.
    """
    if zoo is not None:
        return [read_zoo(zoo)]
    own = os.environ.get(ZOO_VARIABLE)
    return [*([read_zoo(own)] if own else []), read_zoo(package_folder())]


def entries(zoo: str | Path | None = None) -> list[ZooEntry]:
    """All models that can be named, by name; of one name the first zoo's."""
    found: dict[str, ZooEntry] = {}
    for one in zoos(zoo):
        for name, entry in one.entries.items():
            found.setdefault(name, entry)
    return [found[name] for name in sorted(found)]


def find(name: str, zoo: str | Path | None = None) -> ZooEntry:
    """The entry of that name.

    Raises:
        ConfigError: There is none; the nearest is said.
    """
    return locate(name, zoo)[1]


def locate(name: str, zoo: str | Path | None = None) -> tuple[Zoo, ZooEntry]:
    """The entry of that name, and the zoo that it is of.

    Raises:
        ConfigError: There is none; the nearest is said.
    """
    searched = zoos(zoo)
    for one in searched:
        if name in one.entries:
            return one, one.entries[name]
    known = [name for one in searched for name in one.entries]
    raise ConfigError(f"'{name}' is no model of the zoo.{did_you_mean(name, known) or ' It is empty.'}")


def find_weights(name: str | Path, zoo: str | Path | None = None) -> Path | None:
    """The weights file that a name stands for: itself, where it is one; that of a zoo's model; None where it is neither.

    Raises:
        ConfigError: A zoo is named and has no such model.
        DataError: The weights are missing or damaged, or can't be fetched.
    """
    if Path(name).suffix == SUFFIX:
        return Path(name)
    if zoo is None and not NAME.fullmatch(str(name)):  # a path or a config's name: no zoo is asked
        return None
    if zoo is None and not any(str(name) in one.entries for one in zoos()):
        return None
    found, entry = locate(str(name), zoo)
    return found.weights(entry)


def _expected(value: Any, where: str) -> Expected:
    if isinstance(value, dict) and value.get("over_seeds") is not None:
        value = {**value, "over_seeds": from_json(OverSeeds, value["over_seeds"], f"{where}, over_seeds")}
    found = from_json(Expected, value, where)
    parts = {"values": found.values, "spread_over_frames": found.spread_over_frames}
    if found.over_seeds is not None:
        parts |= {"over_seeds, values": found.over_seeds.values, "over_seeds, spread": found.over_seeds.spread}
    for name, values in parts.items():
        missing = [key for key in (*MEASURED, *found.values) if key not in values]
        if missing:
            raise DataError(f"{where}, {name}: missing key {missing[0]!r:.60}, a number.")
    return found


def _entry(value: Any, where: str) -> ZooEntry:
    entry: dict[str, Any] = dict(value) if isinstance(value, dict) else {}
    # The parts first: what is wrong in them is then said with its place.
    if isinstance(entry.get("expected"), list):
        entry["expected"] = tuple(
            _expected(one, f"{where}, expected[{number}]") for number, one in enumerate(entry["expected"])
        )
    if "embedded" in entry:
        entry["embedded"] = from_json(Embedded, entry["embedded"], f"{where}, embedded")
    found = from_json(ZooEntry, entry if isinstance(value, dict) else value, where)
    check_entry(found, where)
    return found


def check_entry(found: ZooEntry, where: str) -> None:
    """Refuse an entry with values that its kinds alone allow.

    Args:
        found: The entry.
        where: The file, and the place in it, for messages.

    Raises:
        DataError: The text names the key.
    """
    for key, number in numbers(to_json(found)):
        if not abs(number) <= MOST:  # NaN and infinity too, which a file has as 1e999
            raise DataError(f"{where}: {key} must be a number of at most {MOST:g}, not {number!s:.20}.")
    for key, text in texts(to_json(found)):
        if not text.isprintable():  # in a terminal it could move the cursor, or look like a line of the program's own
            raise DataError(f"{where}: {key} must be one line of printable text, not {text!r:.60}.")
    if not NAME.fullmatch(found.name):
        raise DataError(f"{where}: name must be small letters, digits, '_' and '-', not {found.name!r:.60}.")
    if not _SHA256.fullmatch(found.sha256):
        raise DataError(f"{where}: sha256 must be 64 hexadecimal digits, not {found.sha256!r:.70}.")
    if found.bytes < 1:
        raise DataError(f"{where}: bytes must be a whole number from 1 on, not {found.bytes}.")
    if set(found.parameters) != {"train", "test"}:
        raise DataError(f"{where}: parameters must have 'train' and 'test', not {', '.join(found.parameters) or 'nothing'}.")
    units, clamp = found.protocol.get("units", {}), found.protocol.get("clamp_m")
    if not fits(units, dict[str, str]) or not fits(clamp, tuple[float, float] | None):
        raise DataError(f"{where}: protocol must have 'units' as a dict of words, and 'clamp_m' as two numbers or null.")
    for key in MEASURED:
        if key not in found.embedded.values:
            raise DataError(f"{where}, embedded, values: missing key '{key}', a number.")
    if found.file is None and not found.url:
        raise DataError(f"{where}: missing key 'file' or 'url': it says nowhere where its weights are.")
    for key, path in (("file", found.file), ("card", found.card), ("log", found.log)):
        if path is not None and leads_outside(path):
            raise DataError(f"{where}: {key} must be a path inside the zoo, not {path!r:.60}.")
    if found.file is not None and Path(found.file).suffix != SUFFIX:  # by which commands tell it from a checkpoint
        raise DataError(f"{where}: file must end in {SUFFIX}, not {found.file!r:.60}.")
    fault = None if found.url is None else file_fault(found.url)
    if fault is not None:
        raise DataError(f"{where}: url {fault}.")


def _refused(constant: str) -> float:
    raise ValueError(f"{constant} is no number of JSON")
