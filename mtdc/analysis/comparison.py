"""Many models on the same frames: accuracy, size, latency and memory in one table, and which differences are real."""

from __future__ import annotations

import copy
import functools
import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from mmengine.config import Config
from tqdm import tqdm

from .. import __version__
from ..engine.strip import count_macs, count_parameters
from ..errors import ConfigError, did_you_mean
from ..model import build_model, find_device
from ..structures import SPARSE_DEPTH
from .bootstrap import Difference, paired_differences
from .entries import Entry
from .frames import Frames
from .machine import describe
from .measuring import Measures, rises
from .memory import inference_bytes
from .predictors import ModelPredictor, Predictor, make_predictor
from .timing import alternate, spread

#: Rounds of timing; each model completes one frame in each.
ROUNDS = 15


@dataclass
class Costs:
    """What a model costs; None where it isn't known.

    Args:
        parameters_train, parameters_test: Trainable numbers before and after stripping.
        macs: Multiply-accumulates of one frame at test time.
        ms: ``{"median", "p10", "p90"}`` milliseconds of one frame.
        memory_bytes: Peak of one frame's inference beyond what is held before.
    """

    parameters_train: int | None = None
    parameters_test: int | None = None
    macs: int | None = None
    ms: dict[str, float] | None = None
    memory_bytes: int | None = None


@dataclass
class Comparison:
    """What was compared.

    Args:
        metric: The one that is tested and ranked by.
        means: ``{model: {metric: value}}``.
        per_frame: ``{model: {frame: {metric: value}}}``.
        costs: By model.
        differences: Of all pairs, in the tested metric.
        drawn: What the bootstrap drew, "frames" or "drives".
        protocol: How depth was measured; ``units`` among it.
        machine: Where it ran, threads among it.
        size: (H, W) of the frame that was timed.
    """

    metric: str
    means: dict[str, dict[str, float]]
    per_frame: dict[str, dict[str, dict[str, float]]]
    costs: dict[str, Costs]
    differences: list[Difference]
    drawn: str
    protocol: dict[str, Any]
    machine: dict[str, Any]
    size: tuple[int, int]

    @property
    def ranked(self) -> list[str]:
        """Models, the best in the tested metric first."""

        def place(name: str) -> float:
            value = self.means[name].get(self.metric, math.nan)
            return math.inf if math.isnan(value) else -value if rises(self.metric) else value

        return sorted(self.means, key=place)


def compare(
    entries: Sequence[Entry],
    cfg: Config,
    *,
    texts: Sequence[str],
    metric: str = "rmse",
    limit: int | None = None,
    device: str | None = None,
    seed: int = 0,
    costs: bool = True,
) -> Comparison:
    """Evaluate models on the test data of a config.

    Args:
        entries: The models, and ``texts`` as the command named each.
        metric: Tested for real differences.
        limit: So many frames, spread over the split.
        device: Where networks run.
        seed: Of the bootstrap.
        costs: Also count, time and weigh the models.

    Raises:
        ConfigError, DataError: A model, the data or the metric are not what they should be; before the first frame.
    """
    transforms = cfg.test_dataloader.dataset.get("transforms") or ()
    predictors = [make_predictor(entry, transforms, device) for entry in entries]
    frames = Frames(cfg, [row for one in predictors for row in one.inputs], limit=limit)
    for predictor in predictors:
        predictor.check(frames.names)
    protocol = Measures(cfg, frames.data.metainfo).protocol()
    if metric not in protocol["units"]:
        raise ConfigError(f"--metric {metric} isn't measured here.{did_you_mean(metric, protocol['units'])}")
    means, per_frame = _measure(predictors, cfg, frames)
    pairs = list(itertools.combinations(means, 2))
    values = {name: {frame: own[metric] for frame, own in rows.items()} for name, rows in per_frame.items()}
    differences, drawn = paired_differences(values, pairs, seed)
    measured = min(len(rows) for rows in per_frame.values())
    protocol |= {"dataset": frames.data.METAINFO["dataset"], "split": frames.data.split, "frames": measured}
    item = frames[0]
    size = tuple(item["inputs"][SPARSE_DEPTH.name].shape[-2:])
    found = {name: Costs() for name in means}
    if costs:
        found |= _costs(predictors, item, dict(zip(means, texts, strict=True)))
    machine = describe(find_device(device).type) | {"threads": torch.get_num_threads(), "mtdc": __version__}
    return Comparison(metric, means, per_frame, found, differences, drawn, protocol, machine, (size[0], size[1]))


def _measure(
    predictors: Sequence[Predictor], cfg: Config, frames: Frames
) -> tuple[dict[str, dict[str, float]], dict[str, dict[str, dict[str, float]]]]:
    measures = {one.name: Measures(cfg, frames.data.metainfo, one.name) for one in predictors}
    for item in tqdm(frames, unit="frame", total=len(frames), desc="frames"):
        for predictor in predictors:
            measures[predictor.name].add(item, predictor(item))
    means, per_frame = {}, {}
    for name, one in measures.items():
        values, per_frame[name] = one.finish()
        means[name] = {key: value for key, value in values.items() if any(key in own for own in per_frame[name].values())}
    return means, per_frame


def _costs(predictors: Sequence[Predictor], item: dict[str, Any], texts: Mapping[str, str]) -> dict[str, Costs]:
    """Of the models that compute; they take turns on the same frame, so that a busy machine is busy for all."""
    models = [predictor for predictor in predictors if isinstance(predictor, ModelPredictor)]
    if not models:
        return {}
    device = models[0].device
    size = tuple(item["inputs"][SPARSE_DEPTH.name].shape[-2:])
    calls = {predictor.name: functools.partial(predictor, item) for predictor in models}
    seconds = alternate(calls, ROUNDS, device, "timing")
    found = {}
    for predictor in tqdm(models, desc="memory", unit="model", leave=False, disable=None):
        cfg = predictor.entry.config
        network = copy.deepcopy(predictor.model).cpu().network
        found[predictor.name] = Costs(
            parameters_train=None if cfg is None else count_parameters(build_model(cfg.model).network),
            parameters_test=count_parameters(network),
            macs=count_macs(network, (size[0], size[1])),
            ms=spread([1000 * one for one in seconds[predictor.name]]),
            memory_bytes=inference_bytes(texts[predictor.name], item, device, torch.get_num_threads()),
        )
    return found
