"""Inference of one frame: whole and stripped, precisions and memory layouts, against the machine's own matrix products."""

from __future__ import annotations

import functools
from typing import Any

import torch
from mmengine.config import Config
from torch import Tensor

from mtdc.analysis.timing import alternate, spread
from mtdc.data.datasets.street import StreetWorld
from mtdc.engine.strip import count_macs, count_parameters
from mtdc.model import MultiTaskModel, build_model

from .products import Multiplication, multiplications
from .settings import Settings, shown_size

WHAT = (
    "Inference of one frame; 'ideal' is the time that the machine's matrix products of the same precision, measured in turns "
    "with the network, would need for as many multiply-accumulates (MACs)"
)
COLUMNS = {
    "config": "config",
    "network": "network",
    "parameters": "parameters",
    "gmacs": "GMACs",
    "precision": "precision",
    "channels_last": "channels last",
    "ms": "ms",
    "p10": "10 %",
    "p90": "90 %",
    "times_ideal": "times the ideal",
}
CONFIGS = ("aux_image_kitti", "aux_image_street")
ROUNDS = 11
VARIANTS = [(precision, channels_last) for precision in ("float32", "bfloat16") for channels_last in (False, True)]


def check(settings: Settings) -> None:
    """Refuse configs whose model can't be built.

    Raises:
        ConfigError: A faulty part.
    """
    for cfg in settings.load(CONFIGS).values():
        build_model(cfg.model)


def run(settings: Settings) -> dict[str, Any]:
    """Measure each config, everything of one in turns."""
    rows, notes, rates = [], [], {}
    products = multiplications(settings.device, settings.quick)
    for name, cfg in settings.load(CONFIGS).items():
        measured, rates[name] = _measure(cfg, settings, products, name)
        rows += [{"config": name, **row} for row in measured]
        speeds = " and ".join(f"{rate['median'] / 1e9:.3g} in {precision}" for precision, rate in rates[name].items())
        notes.append(f"{name}: frames of {shown_size(settings.frame_size())}; matrix products made {speeds} GMACs a second")
    return {"rows": rows, "notes": notes, "multiply_accumulates_per_s": rates}


def _measure(
    cfg: Config, settings: Settings, products: dict[str, Multiplication], name: str
) -> tuple[list[dict[str, Any]], dict[str, dict[str, float]]]:
    """Rows of a config, and what the matrix products made meanwhile."""
    size = settings.frame_size()
    rows: dict[str, dict[str, Any]] = {}
    calls: dict[str, Any] = dict(products)
    for stripped in (False, True):
        costs: tuple[int, int] | None = None
        for precision, channels_last in VARIANTS:
            torch.manual_seed(settings.seed)
            model = build_model({**cfg.model, "precision": precision, "channels_last": channels_last}).eval()
            if stripped:
                model.strip()
            if costs is None:
                costs = count_parameters(model.network), count_macs(model.network, size)
            key = f"{'stripped' if stripped else 'whole'} {precision} {channels_last}"
            rows[key] = {
                "network": "stripped" if stripped else "whole", "size": shown_size(size), "parameters": costs[0],
                "macs": costs[1], "gmacs": costs[1] / 1e9, "precision": precision, "channels_last": channels_last,
            }  # fmt: skip
            calls[key] = functools.partial(_predict, model.to(settings.device), _frame(model, size, settings))
    seconds = alternate(calls, settings.count(ROUNDS, 2), settings.device, name)
    rates = {precision: product.rate(seconds[precision]) for precision, product in products.items()}
    for key, row in rows.items():
        milliseconds = spread([1000 * one for one in seconds[key]])
        row |= {"ms": milliseconds["median"], "p10": milliseconds["p10"], "p90": milliseconds["p90"]}
        # A method without weights has no multiply-accumulates to compare with.
        ideal = 1000 * row["macs"] / rates[row["precision"]]["median"]
        row |= {"ideal_ms": ideal, "times_ideal": row["ms"] / ideal if ideal else None}
    return list(rows.values()), rates


def _frame(model: MultiTaskModel, size: tuple[int, int], settings: Settings) -> dict[str, Tensor]:
    """A street as a batch of one: methods without weights depend on where points are."""
    sample = _drawn(tuple(row.name for row in model.input_fields), size, settings.seed)
    return {key: value.unsqueeze(0).to(settings.device) for key, value in sample.items()}


@functools.lru_cache(maxsize=1)
def _drawn(inputs: tuple[str, ...], size: tuple[int, int], seed: int) -> dict[str, Tensor]:
    drawn: dict[str, Tensor] = StreetWorld(1, size, world_seed=seed, inputs=inputs, targets=())[0]["inputs"]
    return drawn


def _predict(model: MultiTaskModel, inputs: dict[str, Tensor]) -> None:
    with torch.inference_mode():
        model(inputs)
