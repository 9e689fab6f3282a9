"""From a work folder to an entry of a zoo: stripped, stored, loaded back, compared, measured, hashed, written down.

Nothing that others load changes before the new file has been tried; the index is written last, so that a run that is stopped
leaves the zoo as it was.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config

from ..data.io import atomic_path
from ..data.raw_bytes import bytes_of
from ..engine.checkpoint import file_hash, last_checkpoint, load_weights
from ..engine.config import find_config, load_config, require
from ..engine.folder_lock import held
from ..engine.result import takes_files
from ..engine.runs import of_depth
from ..engine.strip import count_parameters
from ..engine.tensor_file import SUFFIX
from ..errors import ConfigError, DataError
from ..metrics import DepthMetric
from ..model import MultiTaskModel, build_model
from ..registry import METRICS, build
from .embedded import DATASET, TOLERANCE, depths, measure
from .index import INDEX_NAME, NAME, WEIGHTS_FOLDER, Embedded, Expected, ZooEntry, package_folder, read_zoo, write_index
from .page import card_skeleton
from .weights import Description, load_model, save_model

#: How far predictions of the stored weights may lie from the checkpoint's: the mean over pixels of |a - b| / b.
PREDICTION_TOLERANCE = 2e-3
KEEP = ("depth",)


@dataclass(frozen=True)
class Wanted:
    """What a person says about a model that is published.

    Args:
        name: What ``mtdc.load`` will call it.
        title, licence, data: One line on what it is, its licence, and what it saw.
        minutes, machine: What its training cost.
        results: ``(file, words)``: results of ``mtdc test`` on data that the words name.
        half: Store weights in half precision where that costs nothing.
        replace: Another entry of that name is replaced.
    """

    name: str
    title: str
    licence: str
    data: str
    minutes: float
    machine: str
    results: tuple[tuple[Path, str], ...] = ()
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
        ConfigError: The name is taken or no name, or the config measures no depth.
        DataError: A file is missing or faulty, results are of other weights, or the stored weights predict something else.
    """
    if not NAME.fullmatch(wanted.name):
        raise ConfigError(f"--name must be small letters, digits, '_' and '-', not '{wanted.name}'.")
    checkpoint = checkpoint or last_checkpoint(work_dir)
    if checkpoint is None:
        raise DataError(f"{work_dir}: no checkpoint in it; name a work folder of `mtdc train`, or --checkpoint FILE.")
    cfg = load_config(config or _config_in(work_dir))
    metric_cfg = _metric(cfg)
    with held(zoo, make=True):
        entries = read_zoo(zoo).entries if (zoo / INDEX_NAME).is_file() else {}
        if wanted.name in entries and not wanted.replace:
            raise ConfigError(f"{zoo} has a '{wanted.name}' already: add --replace to put this one in its place.")
        if zoo.exists() and not takes_files(zoo):
            raise DataError(f"--zoo {zoo} can't be written.")
        entry, file = _store(cfg, metric_cfg, checkpoint, zoo, wanted)
        old = entries.get(wanted.name)
        root = _card_root(zoo)
        if not (root / entry.card).exists():  # a card that someone has written stays
            with atomic_path(root / entry.card) as temporary:
                temporary.write_text(card_skeleton(entry), encoding="utf-8")
        file.replace(zoo / WEIGHTS_FOLDER / str(entry.file))
        write_index(zoo, [*(one for name, one in entries.items() if name != wanted.name), entry])
        if old is not None and old.file not in (None, entry.file):
            (zoo / WEIGHTS_FOLDER / str(old.file)).unlink(missing_ok=True)
    return entry


def _store(cfg: Config, metric_cfg: Any, checkpoint: Path, zoo: Path, wanted: Wanted) -> tuple[ZooEntry, Path]:
    """The entry, and its weights under a name that nobody looks for yet."""
    model = build_model(cfg.model)
    meta = load_weights(model, checkpoint)
    if not any(True for _ in model.parameters()):
        raise ConfigError(f"{cfg.filename}: this config's method has no weights, so there is nothing to publish.")
    whole, tasks = count_parameters(model.network), tuple(model.network.tasks)
    model.strip(KEEP).eval()
    seed, steps = (cfg.get("randomness") or {}).get("seed"), meta.get("iter")
    entry = ZooEntry(
        name=wanted.name,
        title=wanted.title,
        config=Path(cfg.filename).stem,
        sha256="",
        bytes=0,
        licence=wanted.licence,
        data=wanted.data,
        protocol=_protocol(metric_cfg),
        expected=(),
        embedded=Embedded(DATASET, {}, TOLERANCE),
        parameters={"train": whole, "test": count_parameters(model.network)},
        minutes=wanted.minutes,
        machine=wanted.machine,
        seed=seed if isinstance(seed, int) else 0,
        steps=steps if isinstance(steps, int) else 0,
        card=_card(zoo, wanted.name),
    )
    description = Description(
        {},
        [],
        name=entry.name,
        title=entry.title,
        licence=entry.licence,
        stripped=[name for name in tasks if name not in KEEP],
        protocol=entry.protocol,
        training={key: getattr(entry, key) for key in ("config", "data", "seed", "steps", "minutes", "machine")},
    )
    file = zoo / WEIGHTS_FOLDER / f".{wanted.name}.{secrets.token_hex(6)}{SUFFIX}"
    try:
        save_model(model, cfg.model, file, description, wanted.half)
        digest = file_hash(file)
        expected = _expected(wanted.results, {digest, file_hash(checkpoint)})
        stored, _ = load_model(file)
        check_predictions(model, stored, file)
        values = measure(stored, metric_cfg, DATASET)
        entry = replace(
            entry,
            file=f"{wanted.name}-{digest[:8]}{SUFFIX}",
            sha256=digest,
            bytes=file.stat().st_size,
            expected=expected,
            embedded=Embedded(DATASET, values, TOLERANCE),
        )
    except BaseException:
        file.unlink(missing_ok=True)
        raise
    return entry, file


def check_predictions(model: MultiTaskModel, stored: MultiTaskModel, path: Path) -> float:
    """Hold what stored weights predict on embedded frames against the original's; returns the mean relative difference.

    Raises:
        DataError: They differ by more than ``PREDICTION_TOLERANCE``.
    """
    pairs = zip(depths(model, DATASET), depths(stored, DATASET), strict=True)
    difference = float(np.mean([np.mean(np.abs(new - old) / np.maximum(old, 1e-3)) for old, new in pairs]))
    if not difference <= PREDICTION_TOLERANCE:
        raise DataError(
            f"{path.name}: loaded back, it predicts depth that differs by {difference:.2%} on average; at most "
            f"{PREDICTION_TOLERANCE:.2%} is taken. Publish with --full-precision."
        )
    return difference


def _config_in(work_dir: Path) -> str:
    if not work_dir.is_dir():
        raise DataError(f"{work_dir}: no such folder; name a work folder of `mtdc train`.")
    found = sorted(work_dir.glob("*.py"))
    if len(found) != 1:
        raise ConfigError(f"{work_dir} has {len(found)} configs in it (*.py); name the run's with --config FILE.")
    return str(find_config(found[0]))


def _metric(cfg: Config) -> Any:
    require(cfg, "test_evaluator", "model")
    found = of_depth(cfg.test_evaluator)
    if not found:
        raise ConfigError(f"{cfg.filename}: its test_evaluator measures no depth; a zoo's models complete depth.")
    return dict(found[0])


def _protocol(metric_cfg: Mapping[str, Any]) -> dict[str, Any]:
    metric: DepthMetric = build(METRICS, metric_cfg, "test_evaluator")
    told = {"metric": metric_cfg["type"], **metric.protocol()}
    plain: dict[str, Any] = json.loads(json.dumps(told))
    return plain


def _expected(results: Sequence[tuple[Path, str]], hashes: set[str]) -> tuple[Expected, ...]:
    """Values of results that `mtdc test` wrote of these weights.

    Raises:
        DataError: A file is no result, or one of other weights.
    """
    found = []
    for path, words in results:
        try:
            result = json.loads(bytes_of(path, "result").tobytes())
            told, frames = result["protocol"], result["per_frame"].values()
            values = {key: float(result[key]) for key in ("rmse", "mae")}
            spread = {key: float(np.std([float(frame[key]) for frame in frames], ddof=1)) for key in values}
            count = int(result["frames"])
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataError(f"{path}: no result of `mtdc test`: it lacks rmse, mae, frames, protocol or per_frame.") from error
        if told.get("checkpoint_sha256") not in hashes:
            raise DataError(f"{path}: measured with {told.get('checkpoint')}, which are other weights than those published.")
        if not np.isfinite([*values.values(), *spread.values()]).all():
            raise DataError(f"{path}: needs two frames at the least, with finite values, for a spread.")
        found.append(Expected(words, count, values, spread))
    return tuple(found)


def _card_root(zoo: Path) -> Path:
    return package_folder().parents[1] if _is_package(zoo) else zoo


def _card(zoo: Path, name: str) -> str:
    return f"docs/zoo/{name}.md" if _is_package(zoo) else f"cards/{name}.md"


def _is_package(zoo: Path) -> bool:
    return zoo.resolve() == package_folder().resolve()
