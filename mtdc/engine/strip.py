"""What a model costs before and after it is stripped for test time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from ..contracts import Network
from ..errors import ConfigError
from ..model import build_model
from .checkpoint import load_weights, save_weights
from .examples import example_inputs


def count_parameters(network: Network) -> int:
    """Trainable numbers, batch norm's included."""
    return sum(parameter.numel() for parameter in network.parameters())


def count_macs(network: Network, size: tuple[int, int]) -> int:
    """Multiply-accumulates of convolutions and matrix products for one frame of that size."""
    inputs = example_inputs(network, size)
    training = network.training
    network.eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(inputs)
    network.train(training)
    return counter.get_total_flops() // 2


def check_size(size: tuple[int, int]) -> None:
    """Refuse a size of no pixel.

    Raises:
        ConfigError: Height or width is below 1.
    """
    if min(size) < 1:
        raise ConfigError(f"--size must be two whole numbers from 1 on, not {size[0]} {size[1]}.")


def strip_report(
    model_cfg: Mapping[str, Any], checkpoint: Path | None, keep: Sequence[str] | None, out: Path | None, size: tuple[int, int]
) -> str:
    """Strip the model that a config describes, with its weights if given, and tell parameters and MACs before and after.

    Raises:
        ConfigError: A file to write is named, and no checkpoint to strip; or the size is none.
    """
    check_size(size)
    if out is not None and checkpoint is None:
        raise ConfigError("--out needs a CHECKPOINT to strip: without weights there is nothing to write.")
    model = build_model(model_cfg)
    meta = load_weights(model, checkpoint) if checkpoint is not None else {}
    rows = [("whole", count_parameters(model.network), count_macs(model.network, size))]
    model.strip(keep)
    rows.append(("stripped", count_parameters(model.network), count_macs(model.network, size)))
    lines = [f"{'':10}{'parameters':>14}{f'MACs at {size[0]}x{size[1]}':>22}"]
    lines += [f"{name:10}{parameters:>14,}{macs:>22,}" for name, parameters, macs in rows]
    if out is not None:
        save_weights(model, out, {key: meta[key] for key in ("epoch", "iter", "seed") if key in meta})
        lines.append(f"written to {out}")
    return "\n".join(lines)
