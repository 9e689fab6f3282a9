"""From a work folder to an entry of a zoo: stripped, stored, loaded back, compared, measured, hashed, written down.

Nothing that others load changes before the new file has been tried. The index is written when all else is there, log and card
under names that nobody looks for: a run that is stopped leaves the zoo as it was, and what it has made is gone after the next
(:mod:`~mtdc.zoo.leftovers`).
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config

from ..data.io import atomic_path
from ..engine.checkpoint import file_hash, last_checkpoint, load_weights
from ..engine.config import find_config, load_config, require
from ..engine.folder_lock import held
from ..engine.precision import chosen
from ..engine.preparation import seed_of
from ..engine.result import takes_files
from ..engine.runs import of_depth
from ..engine.strip import count_parameters
from ..engine.tensor_file import SUFFIX
from ..errors import ConfigError, DataError
from ..metrics import DepthMetric
from ..model import MultiTaskModel, build_model
from ..registry import METRICS, build
from ..structures import DEPTH
from .addresses import folder_fault
from .embedded import FRAMES, TOLERANCE, measure, predictions
from .index import (
    INDEX_NAME,
    MEASURED,
    NAME,
    WEIGHTS_FOLDER,
    Embedded,
    Setting,
    ZooEntry,
    check_entry,
    package_folder,
    read_zoo,
    write_index,
    zoo_folder,
)
from .leftovers import HALF_MADE_DIGITS, half_made, remove_half_made, remove_unnamed, settle, waiting, weights_name
from .page import COLUMNS, card_skeleton
from .repeating import config_name, repeating_command
from .results import expected_values
from .training_log import write_training_log
from .weights import Description, load_model, save_model

#: How far predictions of the stored weights may lie from the checkpoint's: the mean over pixels of |a - b| / b.
PREDICTION_TOLERANCE = 2e-3
KEEP = ("depth",)
#: What the file itself says of its training.
_TRAINING = ("config", "command", "data", "seed", "steps", "minutes", "machine", "precision")


@dataclass(frozen=True)
class Wanted:
    """What a person says about a model that is published.

    Args:
        name: What ``mtdc.load`` will call it.
        title, licence, data: One line on what it is, its licence, and what it saw.
        minutes, machine: What its training cost.
        purpose: One line on what to take it for.
        setting: Where it was trained for; None: indoors where its metric is NYUv2's, else outdoors.
        command: The command that repeats its training; None: made from its config.
        results: ``(file, words)``: results of ``mtdc test`` on data that the words name.
        seed_results: ``(seed, file, words)``: the same of the same training with other seeds.
        url: Address of the folder that its file will be fetched from; None: it lies in the zoo.
        upload: Folder that the file is put into then, to be uploaded.
        half: Store weights in half precision where that costs nothing.
        replace: Another entry of that name is replaced.
    """

    name: str
    title: str
    licence: str
    data: str
    minutes: float
    machine: str
    purpose: str = ""
    setting: Setting | None = None
    command: str | None = None
    results: tuple[tuple[Path, str], ...] = ()
    seed_results: tuple[tuple[int, Path, str], ...] = ()
    url: str | None = None
    upload: Path | None = None
    half: bool = True
    replace: bool = False


def publish(work_dir: Path, zoo: Path, wanted: Wanted, config: str | None = None, checkpoint: Path | None = None) -> ZooEntry:
    """Publish the model of a work folder in a zoo, which is made where it is missing.

    Args:
        work_dir: Folder of the run.
        zoo: Folder of the zoo.
        wanted: What is said about it.
        config: The run's config; the one in the work folder, if not given.
        checkpoint: The weights; the work folder's last checkpoint, if not given.

    Raises:
        ConfigError: The name is taken or no name, the config measures no depth, or the command trains something else.
        DataError: A file is missing or faulty, results are of other weights, or the stored weights predict something else.
    """
    if not NAME.fullmatch(wanted.name):
        raise ConfigError(f"--name must be small letters, digits, '_' and '-', not '{wanted.name}'.")
    for option, text in _told(wanted):
        if not text.isprintable():
            raise ConfigError(f"{option} must be one line of text, not {text!r:.60}.")
    if (wanted.url is None) is not (wanted.upload is None):
        raise ConfigError("--url and --upload belong together: where the file will be fetched from, and where it is put now.")
    fault = None if wanted.url is None else folder_fault(wanted.url)
    if fault is not None:
        raise ConfigError(f"--url {fault}.")
    zoo = zoo_folder(zoo)
    checkpoint = checkpoint or last_checkpoint(work_dir)
    if checkpoint is None:
        raise DataError(f"{work_dir}: no checkpoint in it; name a work folder of `mtdc train`, or --checkpoint FILE.")
    cfg = load_config(config or _config_in(work_dir))
    chosen(cfg.model, work_dir)
    metric_cfg = _metric(cfg)
    wanted = replace(wanted, command=repeating_command(cfg, wanted.command))
    with held(zoo, make=True):
        entries = _entries(zoo)
        if wanted.name in entries and not wanted.replace:
            raise ConfigError(f"{zoo} has a '{wanted.name}' already: add --replace to put this one in its place.")
        if zoo.exists() and not takes_files(zoo):
            raise DataError(f"--zoo {zoo} can't be written.")
        _settle(zoo, entries)
        if entries:  # without an index nobody knows whose the weights are that lie there
            remove_unnamed(zoo, entries)
        folder = wanted.upload or zoo / WEIGHTS_FOLDER
        remove_half_made(folder, wanted.name)
        there = {path.name for path in folder.glob(f"*{SUFFIX}")}
        entry, file = _store(cfg, metric_cfg, checkpoint, folder, wanted)
        try:
            entry = _with_log_and_card(entry, work_dir, zoo)
            check_entry(entry, f"{zoo / INDEX_NAME}: entry {entry.name}")
            file.replace(folder / _file_name(entry))
            write_index(zoo, list({**entries, entry.name: entry}.values()))
        except BaseException:
            file.unlink(missing_ok=True)
            named = _entries(zoo)  # where ctrl-C came just behind the writing, the new entry is there
            if _file_name(entry) not in {*there, *map(_file_name, named.values())}:
                (folder / _file_name(entry)).unlink(missing_ok=True)
            _settle(zoo, {} if named == entries else named)
            raise
        _settle(zoo, {**entries, entry.name: entry})
        _remove_replaced(entries.get(wanted.name), entry, zoo)
    return entry


def _told(wanted: Wanted) -> list[tuple[str, str]]:
    """What a person says in words, each with its option."""
    told = [(f"--{key}", getattr(wanted, key)) for key in ("title", "purpose", "licence", "data", "machine")]
    told += [("--command", wanted.command or ""), *(("--result", words) for _, words in wanted.results)]
    return told + [("--seed-result", words) for _, _, words in wanted.seed_results]


def _entries(zoo: Path) -> dict[str, ZooEntry]:
    """What the zoo's index holds; nothing, where there is none yet."""
    return read_zoo(zoo).entries if (zoo / INDEX_NAME).is_file() else {}


def _settle(zoo: Path, entries: Mapping[str, ZooEntry]) -> None:
    root = _card_root(zoo)
    settle(zoo, root, (root / _beside(zoo, "any", "md")).parent, entries)


def _with_log_and_card(entry: ZooEntry, work_dir: Path, zoo: Path) -> ZooEntry:
    """The entry with the places of its card and log, which wait beside them for the index."""
    root, log = _card_root(zoo), _beside(zoo, entry.name, "csv")
    entry = replace(entry, card=_beside(zoo, entry.name, "md"))
    if write_training_log(work_dir, waiting(root / log, entry.sha256)):
        entry = replace(entry, log=log)
    if not (root / entry.card).exists():  # a card that someone has written stays
        with atomic_path(waiting(root / entry.card, entry.sha256)) as temporary:
            temporary.write_text(card_skeleton(entry), encoding="utf-8")
    return entry


def _remove_replaced(old: ZooEntry | None, entry: ZooEntry, zoo: Path) -> None:
    """Remove the files of a replaced entry that the new one doesn't name."""
    if old is not None and old.file not in (None, entry.file):
        (zoo / WEIGHTS_FOLDER / str(old.file)).unlink(missing_ok=True)
    if old is not None and old.log not in (None, entry.log):
        (_card_root(zoo) / str(old.log)).unlink(missing_ok=True)


def _store(cfg: Config, metric_cfg: dict[str, Any], checkpoint: Path, folder: Path, wanted: Wanted) -> tuple[ZooEntry, Path]:
    """The entry, and its weights in a folder under a name that nobody looks for yet."""
    model = build_model(cfg.model)
    # Of the model that was trained: a checkpoint that is stripped already strips it.
    whole, tasks = count_parameters(model.network), tuple(model.network.tasks)
    meta = load_weights(model, checkpoint)
    if not any(True for _ in model.parameters()):
        raise ConfigError(f"{cfg.filename}: this config's method has no weights, so there is nothing to publish.")
    model.strip(KEEP).eval()
    steps = meta.get("iter")
    setting = wanted.setting or ("indoor" if metric_cfg["type"] == "NYUv2DepthMetric" else "outdoor")
    rows = [row.name for task in model.network.tasks.values() for row in (task.field, *task.extra_fields)]
    entry = ZooEntry(
        name=wanted.name,
        title=wanted.title,
        purpose=wanted.purpose,
        setting=setting,
        inputs=list(model.network.needs),
        outputs=rows,
        config=config_name(cfg),
        command=str(wanted.command),
        sha256="",
        bytes=0,
        licence=wanted.licence,
        data=wanted.data,
        protocol=_protocol(metric_cfg),
        expected=(),
        embedded=Embedded(FRAMES[setting], metric_cfg, {}, TOLERANCE),
        parameters={"train": whole, "test": count_parameters(model.network)},
        minutes=wanted.minutes,
        machine=wanted.machine,
        precision=str(cfg.model.get("precision", "float32")),
        seed=seed_of(cfg),
        steps=steps if isinstance(steps, int) else 0,
        card="",
    )
    description = Description(
        {},
        [],
        name=entry.name,
        title=entry.title,
        licence=entry.licence,
        stripped=[name for name in tasks if name not in KEEP],
        protocol=entry.protocol,
        training={key: getattr(entry, key) for key in _TRAINING},
    )
    file = folder / half_made(wanted.name, secrets.token_hex(HALF_MADE_DIGITS // 2))
    try:
        save_model(model, cfg.model, file, description, wanted.half)
        return _tried(entry, file, model, checkpoint, wanted), file
    except BaseException:
        file.unlink(missing_ok=True)
        raise


def _tried(entry: ZooEntry, file: Path, model: MultiTaskModel, checkpoint: Path, wanted: Wanted) -> ZooEntry:
    """The entry with what the stored file is and is worth: loaded back, compared with the model, measured."""
    digest = file_hash(file)
    weights, names = {digest, file_hash(checkpoint)}, tuple(COLUMNS[entry.setting])
    expected = expected_values(wanted.results, wanted.seed_results, weights, entry.seed, entry.protocol, names)
    stored, _ = load_model(file)
    check_predictions(model, stored, file, entry.embedded.dataset)
    values = measure(stored, entry.embedded.metric, entry.embedded.dataset)
    name = weights_name(wanted.name, digest)
    return replace(
        entry,
        file=name if wanted.url is None else None,
        url=None if wanted.url is None else f"{wanted.url.rstrip('/')}/{name}",
        sha256=digest,
        bytes=file.stat().st_size,
        expected=expected,
        embedded=replace(entry.embedded, values=values),
    )


def _file_name(entry: ZooEntry) -> str:
    return entry.file or str(entry.url).rpartition("/")[2]


def check_predictions(model: MultiTaskModel, stored: MultiTaskModel, path: Path, dataset: Mapping[str, Any]) -> float:
    """Hold what stored weights predict on embedded frames against the original's; returns depth's mean relative difference.

    Raises:
        DataError: Depth, or the deviation that is predicted with it, differs by more than ``PREDICTION_TOLERANCE``.
    """
    pairs = list(zip(predictions(model, dataset), predictions(stored, dataset), strict=True))
    differences = {}
    for name in pairs[0][0]:
        relative = (np.abs(new[name] - old[name]) / np.maximum(old[name], 1e-3) for old, new in pairs)
        difference = differences[name] = float(np.mean([one.mean() for one in relative]))
        if not difference <= PREDICTION_TOLERANCE:
            raise DataError(
                f"{path.name}: loaded back, it predicts {name} that differs by {difference:.2%} on average; at most "
                f"{PREDICTION_TOLERANCE:.2%} is taken. Publish with --full-precision."
            )
    return differences[DEPTH.name]


def _config_in(work_dir: Path) -> str:
    if not work_dir.is_dir():
        raise DataError(f"{work_dir}: no such folder; name a work folder of `mtdc train`.")
    found = sorted(work_dir.glob("*.py"))
    if len(found) != 1:
        raise ConfigError(f"{work_dir} has {len(found)} configs in it (*.py); name the run's with --config FILE.")
    return str(find_config(found[0]))


def _metric(cfg: Config) -> dict[str, Any]:
    """The first metric of the config's test_evaluator that measures depth's errors, as plain values."""
    require(cfg, "test_evaluator", "model")
    for one in of_depth(cfg.test_evaluator):
        metric: DepthMetric = build(METRICS, one, "test_evaluator")
        if set(MEASURED) <= set(metric.protocol().get("units", {})):
            plain: dict[str, Any] = json.loads(json.dumps(dict(one)))
            return plain
    raise ConfigError(f"{cfg.filename}: its test_evaluator measures no depth (rmse, mae); a zoo's models complete depth.")


def _protocol(metric_cfg: Mapping[str, Any]) -> dict[str, Any]:
    metric: DepthMetric = build(METRICS, metric_cfg, "test_evaluator")
    told = {"metric": metric_cfg["type"], **metric.protocol()}
    plain: dict[str, Any] = json.loads(json.dumps(told))
    return plain


def _card_root(zoo: Path) -> Path:
    return package_folder().parents[1] if _is_package(zoo) else zoo


def _beside(zoo: Path, name: str, suffix: str) -> str:
    """Place of a model's card, or of a file beside it."""
    return f"{'docs/zoo' if _is_package(zoo) else 'cards'}/{name}.{suffix}"


def _is_package(zoo: Path) -> bool:
    return zoo.resolve() == package_folder().resolve()
