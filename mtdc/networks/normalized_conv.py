"""Unguided network of normalized convolutions (Eldesokey, Felsberg, Khan, TPAMI 2020, Fig. 4: NConv-CNN with depth alone).

    down:  the most confident of four pixels, c / 4        up: nearest, Cat(finer, coarser), NConv        last: NConv 1x1

Shapes      sparse_depth (B, 1, H, W) metres -> depth (B, 1, H, W) metres, any size.
Test time   all of it.
Differs     applicability is made positive in each forward pass and never written into the weights; denormal confidences are cut
            off, and depth is clamped to the range in eval mode.
Cost        481 weights at two channels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as functional
from torch import Tensor, nn

from ..contracts import Batch, Network, Task, TaskOutput
from ..errors import ConfigError
from ..layers.sparse_conv import NormalizedConv, Sparse
from ..registry import NETWORKS, config_path
from ..structures import DEPTH


class _AveragedDepth(Task):
    """Depth that the convolutions give in metres: no head, no offset."""

    field = DEPTH

    def __init__(self, losses: Mapping[str, Any] | None, range_m: Sequence[float] | None) -> None:
        super().__init__(in_channels=1, stride=1, width=1, losses=losses)
        self.head = nn.Identity()  # type: ignore[assignment]
        self.range_m = None if range_m is None else (float(range_m[0]), float(range_m[1]))

    def decode(self, raw: Tensor, base: Tensor | None) -> dict[str, Tensor]:
        """``{"depth": (B, 1, H, W)}`` in metres, in the range in eval mode."""
        low, high = self.range_m or (0.0, float("inf"))
        return {"depth": raw if self.training else raw.clamp(low, high)}


@NETWORKS.register_module()
class NormalizedConvNetwork(Network):
    """Averages of measured depth, weighed by learned kernels and propagated confidence, coarse to fine.

    Args:
        tasks: ``{"depth": dict(losses={term: loss config}, range_m=(0.9, 100.0))}``: losses, and least and greatest depth at
            test time in metres (None: not clamped).
        channels: Values of each inner map.
        levels: Times that the map is halved.

    Raises:
        ConfigError: Another task than depth, or another key of it.
        ValueError: No channel, a negative number of levels, or a range that is not ascending.
    """

    shares_features = False

    def __init__(self, tasks: Mapping[str, Any] | None = None, channels: int = 2, levels: int = 3) -> None:
        super().__init__()
        if channels < 1 or levels < 0:
            raise ValueError(f"channels must be 1 or more and levels 0 or more, not {channels} and {levels}")
        named = {name: cfg for name, cfg in (tasks or {"depth": {}}).items() if cfg is not None}
        if list(named) != ["depth"]:
            raise ConfigError(f"tasks: this network predicts depth alone, not {', '.join(named) or 'nothing'}.")
        cfg = dict(named["depth"])
        losses, range_m = cfg.pop("losses", None), cfg.pop("range_m", (0.9, 100.0))
        if cfg:
            raise ConfigError(f"tasks.depth: unexpected key '{next(iter(cfg))}'. Accepts: losses, range_m.")
        if range_m is not None and not 0 <= range_m[0] < range_m[1]:
            raise ValueError(f"tasks.depth.range_m must be (least, greatest) in metres, not {tuple(range_m)}")
        with config_path("tasks"), config_path("depth"):
            self.tasks = nn.ModuleDict({"depth": _AveragedDepth(losses, range_m)})  # type: ignore[assignment]
        self.levels = levels
        self.first = NormalizedConv(1, channels, 5)
        #: The same at every scale.
        self.inner = nn.ModuleList(NormalizedConv(channels, channels, 5) for _ in range(2))
        self.up = nn.ModuleList(NormalizedConv(2 * channels, channels, 3) for _ in range(levels))
        self.last = NormalizedConv(channels, 1, 1)

    def outputs(self, inputs: Batch) -> tuple[dict[str, TaskOutput], tuple[Tensor, ...]]:
        """Depth at the size of the input; no features are shared."""
        depth = inputs["sparse_depth"].float()
        height, width = depth.shape[-2:]
        side = 2**self.levels
        depth = functional.pad(depth, (0, -width % side, 0, -height % side))
        sparse = Sparse(depth, torch.gt(depth, 0).to(depth.dtype))
        sparse = self._within_scale(self.first(sparse))
        finer = []
        for _ in range(self.levels):
            finer.append(sparse)
            sparse = self._within_scale(halve(sparse))
        for conv in self.up:
            sparse = conv(join(finer.pop(), sparse))
        raw = self.last(sparse).values[..., :height, :width]
        return {"depth": TaskOutput(raw, self.tasks["depth"].decode(raw, None))}, ()

    def _within_scale(self, sparse: Sparse) -> Sparse:
        for conv in self.inner:
            sparse = conv(sparse)
        return sparse

    def strip(self, keep: tuple[str, ...]) -> None:
        """Nothing to drop.

        Raises:
            ConfigError: Something else than depth is to be kept.
        """
        if keep != ("depth",):
            raise ConfigError(f"this network predicts depth alone, not {', '.join(keep)}.")


def halve(sparse: Sparse) -> Sparse:
    """The most confident of each four pixels; its confidence is divided by four, as the other three may know nothing."""
    known, where = functional.max_pool2d(sparse.known, 2, return_indices=True)
    values = sparse.values.flatten(2).gather(2, where.flatten(2)).view_as(known)
    return Sparse(values, known / 4)


def join(finer: Sparse, coarser: Sparse) -> Sparse:
    """The coarser map enlarged by repetition beside the finer one."""
    enlarged = (functional.interpolate(part, scale_factor=2.0, mode="nearest") for part in coarser)
    return Sparse(*(torch.cat(pair, dim=1) for pair in zip(finer, enlarged, strict=True)))
