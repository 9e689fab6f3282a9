"""Values of an index entry, from results that `mtdc test` wrote: of the weights that are published, and of other seeds'."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..data.raw_bytes import bytes_of
from ..errors import DataError, did_you_mean
from .index import MEASURED, Expected, OverSeeds

#: What two results must have in common with the entry, as far as they say it: the way of measuring, and the frames.
_WAY = ("clamp_m", "threshold", "hole_filling", "given_points", "averaging")
_FRAMES = ("dataset", "split", "crop", "transforms")


@dataclass(frozen=True)
class _Result:
    """A result's means over frames, their standard deviations, the frames' names, and how it was measured."""

    path: Path
    values: dict[str, float]
    spread: dict[str, float]
    frames: set[str]
    protocol: dict[str, Any]


def expected_values(
    results: Sequence[tuple[Path, str]],
    seed_results: Sequence[tuple[int, Path, str]],
    hashes: Collection[str],
    seed: int,
    protocol: Mapping[str, Any],
    names: Sequence[str],
) -> tuple[Expected, ...]:
    """Values of results, with those over seeds where results of other seeds are of the same words.

    Args:
        results: ``(file, words)`` of the published weights.
        seed_results: ``(seed, file, words)`` of the same training with other seeds.
        hashes: sha256 that the published weights have, stored and as the run's checkpoint.
        seed: Of the published weights.
        protocol: How the entry's values are measured.
        names: Errors that are taken over, where the metric has them.

    Raises:
        DataError: A file is no result, one of other weights, frames or another way of measuring, or a seed stands twice.
    """
    words = [own for _, own in results]
    for own in words:
        if words.count(own) > 1:
            raise DataError(f"--result: two results are called '{own}'; name their frames apart.")
    for _, path, own in seed_results:
        if own not in words:
            raise DataError(f"--seed-result {path}: no --result is called '{own}'.{did_you_mean(own, words)}")
    found = []
    for path, own in results:
        result = _read(path, protocol)
        if result.protocol.get("checkpoint_sha256") not in hashes:
            other = result.protocol.get("checkpoint")
            raise DataError(f"{path}: measured with {other}, which are other weights than those published.")
        taken = [name for name in names if name in result.values]
        values = {name: result.values[name] for name in taken}
        one = Expected(own, len(result.frames), values, {name: result.spread[name] for name in taken})
        others = [(number, _read(file, protocol)) for number, file, said in seed_results if said == own]
        found.append(replace(one, over_seeds=_over_seeds(result, others, seed, hashes, taken)) if others else one)
    return tuple(found)


def _over_seeds(
    result: _Result, others: Sequence[tuple[int, _Result]], seed: int, hashes: Collection[str], names: Sequence[str]
) -> OverSeeds:
    seeds, weights = [seed], set(hashes)
    for number, other in others:
        for key in _FRAMES:
            if other.protocol.get(key) != result.protocol.get(key):
                raise DataError(
                    f"{other.path}: its {key} is {other.protocol.get(key)!r}, and that of {result.path} "
                    f"{result.protocol.get(key)!r}; values over seeds are of the same frames."
                )
        if other.frames != result.frames:
            raise DataError(f"{other.path}: measured on other frames than {result.path}; values over seeds are of the same.")
        digest = str(other.protocol.get("checkpoint_sha256"))
        if number in seeds or digest in weights:
            twice = f"seed {number}" if number in seeds else f"the weights of {other.protocol.get('checkpoint')}"
            raise DataError(f"{other.path}: {twice} stand twice among the results of several seeds.")
        seeds.append(number)
        weights.add(digest)
    table = {name: [one.values[name] for one in (result, *(other for _, other in others))] for name in names}
    order = sorted(seeds)
    mean = {name: float(np.mean(values)) for name, values in table.items()}
    return OverSeeds(order, mean, {name: float(np.std(values, ddof=1)) for name, values in table.items()})


def _read(path: Path, protocol: Mapping[str, Any]) -> _Result:
    try:
        content = json.loads(bytes_of(path, "result").tobytes())
        told, frames = dict(content["protocol"]), dict(content["per_frame"])
        names = [name for name in (*MEASURED, *protocol["units"]) if name in MEASURED or content.get(name) is not None]
        values = {name: float(content[name]) for name in names}
        table = {name: [float(frame[name]) for frame in frames.values()] for name in names}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path}: no result of `mtdc test`: it lacks rmse, mae, protocol or per_frame.") from error
    for key in _WAY:
        if key in told and told[key] != protocol.get(key):
            raise DataError(
                f"{path}: measured with {key}={told[key]!r}, and the config's test_evaluator has {protocol.get(key)!r}; "
                "measure it again with this config."
            )
    finite = len(frames) > 1 and np.isfinite([*values.values(), *(x for row in table.values() for x in row)]).all()
    if not finite:
        raise DataError(f"{path}: needs two frames at the least, with finite values, for a spread.")
    return _Result(path, values, {name: float(np.std(row, ddof=1)) for name, row in table.items()}, set(frames), told)
