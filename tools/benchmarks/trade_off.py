"""Error against latency: what ``tools/latency.py`` measures, with what it goes on from when it was interrupted."""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.config import Config
from tqdm import tqdm

from mtdc import __version__
from mtdc.analysis.entries import Entry, parse_entries
from mtdc.analysis.frames import Frames
from mtdc.analysis.measuring import Measures
from mtdc.analysis.predictors import ModelPredictor, Predictor
from mtdc.analysis.timing import alternate, spread
from mtdc.data.io import write_json
from mtdc.engine.checkpoint import file_hash
from mtdc.engine.config import config_hash, shipped_configs
from mtdc.errors import ConfigError
from mtdc.structures import IMAGE, INTRINSICS, SPARSE_DEPTH
from mtdc.zoo import index
from mtdc.zoo.index import MEASURED

#: What the frames can give to a model of the zoo.
GIVEN = {row.name for row in (SPARSE_DEPTH, IMAGE, INTRINSICS)}
#: Methods without weights whose configs are of these frames.
CLASSICAL_FOLDER, CLASSICAL_ENDING = "classical/", "_kitti"
#: Seconds that the turns of one method may take: what takes a minute a frame is timed three times, not fifteen.
BUDGET_S = 10.0
#: Milliseconds that a model of the zoo may take which reads depth alone, and one that is called tiny, on two threads of a
#: processor with AVX512-bf16.
LIMIT_MS, TINY_LIMIT_MS = 200.0, 40.0


@dataclass(frozen=True)
class Measured:
    """One method of the package, or a reference.

    Args:
        name: What it is called.
        kind: "zoo", "own" (a config and its checkpoint), "classical" or "reference".
        values: ``{"rmse": .., "mae": ..}``, mm, means over frames.
        ms: ``{"median", "p10", "p90"}`` milliseconds of one frame.
        precision: What its network computes in; "" for what has none.
        limit_ms: What it may take; None where nothing is asked of it.
    """

    name: str
    kind: str
    values: Mapping[str, float]
    ms: Mapping[str, float]
    precision: str = ""
    limit_ms: float | None = None


def default_models() -> list[str]:
    """All models of the zoo that these frames can be given to, and all methods without weights, as commands name them."""
    zoo = [one.name for one in index.entries() if one.setting == "outdoor" and set(one.inputs) <= GIVEN]
    methods = [name for name in shipped_configs() if name.startswith(CLASSICAL_FOLDER) and name.endswith(CLASSICAL_ENDING)]
    return [*zoo, *(f"{_short(name)}={name}" for name in methods)]


def _short(name: str) -> str:
    return name.removeprefix(CLASSICAL_FOLDER).removesuffix(CLASSICAL_ENDING).replace("_", " ")


def find_entries(texts: Sequence[str], references: Sequence[str]) -> list[Entry]:
    """The entries that are judged, by default all.

    Raises:
        ConfigError: A folder is named, whose maps take no time, or a name that a reference has.
    """
    entries = parse_entries(texts or default_models())
    for entry in entries:
        if entry.folder is not None:
            raise ConfigError(f"{entry.name} is a folder: maps that are there already take no time.")
        if entry.name in references:
            raise ConfigError(f"'{entry.name}' is the name of a reference; name the entry otherwise, as in mine={entry.name}.")
    return entries


class Errors:
    """Errors of methods on the same frames; each frame's is written when it is measured, and not measured again.

    Args:
        path: File that an interrupted run leaves.
        cfg: Whose test data and metric are used.
        frames: The frames.

    Frames, mtdc's version, or a method's config or weights that are others than the file's make it worthless: those methods are
    measured again.
    """

    def __init__(self, path: Path, cfg: Config, frames: Frames) -> None:
        self.path = path
        self._cfg, self._frames = cfg, frames
        setting = {"mtdc": __version__, "frames": frames.names, "data_root": str(frames.root.resolve()),
                   "test_evaluator": config_hash(Config({"test_evaluator": cfg.test_evaluator}))}  # fmt: skip
        self._content: dict[str, Any] = {"setting": setting, "methods": {}}
        found = _read(path)
        if found.get("setting") == setting and isinstance(found.get("methods"), dict):
            self._content["methods"] = found["methods"]

    def of(self, predictor: Predictor) -> dict[str, float]:
        """RMSE and MAE of a method, mm, means over frames; frames that are in the file are taken from there.

        Raises:
            DataError: It answers with values that are no numbers.
        """
        identity, methods = _identity(predictor.entry), self._content["methods"]
        known = methods.get(predictor.name)
        if not (isinstance(known, dict) and known.get("identity") == identity and isinstance(known.get("frames"), dict)):
            known = methods[predictor.name] = {"identity": identity, "frames": {}}
        done: dict[str, dict[str, float | None]] = known["frames"]
        for number, name in enumerate(tqdm(self._frames.names, unit="frame", desc=predictor.name, leave=False, disable=None)):
            if name not in done:
                done[name] = self._of_frame(predictor, number)
                write_json(self.path, self._content)
        return {name: _mean([done[frame][name] for frame in self._frames.names]) for name in MEASURED}

    def _of_frame(self, predictor: Predictor, number: int) -> dict[str, float | None]:
        item = self._frames[number]
        measures = Measures(self._cfg, self._frames.data.metainfo, predictor.name)
        measures.add(item, predictor(item))
        values, _ = measures.finish()
        # JSON has no word for what is no number: a frame without truth.
        return {name: None if math.isnan(values[name]) else values[name] for name in MEASURED}

    def forget(self) -> None:
        """Delete the file: the run is complete."""
        self.path.unlink(missing_ok=True)


def _mean(values: Sequence[float | None]) -> float:
    """Over frames that have the value, as the metric does; NaN where none has."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else math.nan


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _identity(entry: Entry) -> str:
    """What an entry's values depend on."""
    weights = "" if entry.checkpoint is None else file_hash(entry.checkpoint)
    return f"{'' if entry.config is None else config_hash(entry.config)} {weights}".strip()


def measure(predictors: Sequence[Predictor], errors: Errors, frames: Frames, rounds: int) -> list[Measured]:
    """Errors of all methods one after the other, and then their times in turns on the first frame.

    Args:
        predictors: The methods.
        errors: Where errors are kept.
        frames: The frames.
        rounds: Turns of each method; slow ones take fewer.
    """
    values = {one.name: errors.of(one) for one in tqdm(predictors, unit="method", desc="errors", disable=None)}
    item = frames[0]
    calls = {one.name: functools.partial(one, item) for one in predictors}
    seconds = alternate(calls, rounds, "cpu", "timing", BUDGET_S)
    return [
        Measured(
            one.name, _kind(one), values[one.name], spread([1000 * value for value in seconds[one.name]]), _precision(one),
            _limit(one),
        )
        for one in predictors
    ]  # fmt: skip


def _kind(predictor: Predictor) -> str:
    if not isinstance(predictor, ModelPredictor):
        return "reference"
    if predictor.entry.described:
        return "zoo"
    return "classical" if predictor.entry.checkpoint is None else "own"


def _precision(predictor: Predictor) -> str:
    if not isinstance(predictor, ModelPredictor) or _kind(predictor) == "classical":
        return ""
    layout = ", channels last" if predictor.model.channels_last else ""
    return str(predictor.model.computed_precision("cpu")).removeprefix("torch.") + layout


def _limit(predictor: Predictor) -> float | None:
    """Nothing is asked of a method without weights, nor of a model that reads a photo."""
    if _kind(predictor) != "zoo" or {row.name for row in predictor.inputs} != {SPARSE_DEPTH.name}:
        return None
    return TINY_LIMIT_MS if "tiny" in predictor.name else LIMIT_MS
