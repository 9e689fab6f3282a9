"""What is judged, as a command names it: configs with their weights, methods without any, folders of predictions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mmengine.config import Config

from ..engine.config import find_config, load_config, shipped_configs
from ..errors import ConfigError, DataError
from ..zoo.index import find_weights
from ..zoo.weights import read_description


@dataclass(frozen=True, eq=False)
class Entry:
    """One model, or the depth maps of one that ran elsewhere.

    Args:
        name: What tables and plots call it; no two of one comparison have the same.
        config: Its config, as it was trained; None for a folder, and for a weights file whose config isn't here.
        checkpoint: Its weights, where it has any.
        described: The weights file says itself which network it is of: a model of the zoo.
        folder: Depth PNGs (16-bit, metres * 256), one a frame; None for a config.
    """

    name: str
    config: Config | None = None
    checkpoint: Path | None = None
    folder: Path | None = None
    described: bool = False


def parse_entries(texts: Sequence[str]) -> list[Entry]:
    """Read ``[NAME=]CONFIG[:CHECKPOINT]``, ``[NAME=]MODEL`` of the zoo or ``[NAME=]FOLDER`` of prediction PNGs, one word each.

    Without a checkpoint a word is a model of the zoo or its weights file, where there is one, or else a config.

    Without a name an entry is called by its config's name, with the checkpoint's where several share one.

    Raises:
        ConfigError: A config is missing or faulty, or a name occurs twice.
        DataError: A checkpoint is missing, or a folder holds no PNG.
    """
    if not texts:
        raise ConfigError("nothing to judge: name a CONFIG[:CHECKPOINT], or a folder of prediction PNGs.")
    names, entries = [], []
    for text in texts:
        name, entry = _parse(text)
        names.append(name)
        entries.append(entry)
    short = Counter(entry.name for entry in entries)
    called = [name or _longer(entry, short[entry.name] > 1) for name, entry in zip(names, entries, strict=True)]
    for name, count in Counter(called).items():
        if count > 1:
            path = texts[called.index(name)].removeprefix(f"{name}=")
            raise ConfigError(f"{count} entries are called '{name}'; name them apart, as in mine={path}.")
    return [replace(e, name=name) for name, e in zip(called, entries, strict=True)]


def depth_pngs(folder: Path) -> list[Path]:
    """PNGs below a folder of predictions, sorted; not the hidden ones that some systems leave beside them."""
    return [path for path in sorted(folder.rglob("*")) if path.suffix.lower() == ".png" and not path.name.startswith(".")]


def _longer(entry: Entry, shared: bool) -> str:
    if not shared or entry.checkpoint is None or entry.described:
        return entry.name
    return f"{entry.name} {entry.checkpoint.resolve().parent.name}/{entry.checkpoint.stem}".replace("/", "-")


def _parse(text: str) -> tuple[str | None, Entry]:
    """The name that was given, if any, and the entry under the name of its config or folder."""
    name, given, rest = text.partition("=")
    # The sign may belong to a path: runs/lr=0.1/config.py:runs/lr=0.1/epoch_3.pth
    if not given or "/" in name or ":" in name or Path(text).exists() or Path(text.rpartition(":")[0]).is_file():
        name, rest = "", text
    elif not name:
        raise ConfigError(f"'{text}' gives no name; expected NAME={rest or 'CONFIG'}, or leave the '=' away.")
    if not rest:
        raise ConfigError(f"'{text}' names nothing; expected [NAME=]CONFIG[:CHECKPOINT] or [NAME=]FOLDER.")
    if Path(rest).is_dir():
        folder = Path(rest)
        if not depth_pngs(folder):
            raise DataError(f"{folder} holds no PNG; expected a folder of depth PNGs (16-bit, metres * 256), or a config.")
        return name or None, Entry(folder.resolve().name, folder=folder)
    config, colon, weights = rest.rpartition(":")
    # A colon may belong to the path itself.
    if not colon or Path(rest).is_file():
        config, weights = rest, ""
    published = None if weights else find_weights(config)
    if published is not None:
        return name or None, _described(config, published)
    checkpoint = Path(weights) if weights else None
    path = find_config(config)
    if checkpoint is not None and not checkpoint.is_file():
        raise DataError(f"{checkpoint}: no such checkpoint, as named by '{text}'.")
    return name or None, Entry(path.stem, load_config(config), checkpoint)


def _described(name: str, weights: Path) -> Entry:
    """A model of the zoo, with the shipped config that it was trained with where there is such."""
    trained_with = read_description(weights).training.get("config")
    known = isinstance(trained_with, str) and trained_with in shipped_configs()
    return Entry(Path(name).stem, load_config(str(trained_with)) if known else None, weights, described=True)
