"""What tasks' streams and the shared one hold after the last stage (Lu et al., CVPR 2020, Fig. 5)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from torch import Tensor

from ..contracts import Sharing
from ..visualization.fields import colorize_map
from ..visualization.panel import Tile, panel
from .predictors import ModelPredictor

#: Channels of each stream that are drawn, as in the paper's figure.
CHANNELS = 2
SHARED = "shared"


def last_features(predictor: ModelPredictor, item: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Features of one frame after the last stage's sharing: ``{task: (C, h, w)}``, and ``"shared"`` where there are such.

    Empty for networks that have no streams. A stripped model has no more than what its depth needs.
    """
    sharing = getattr(predictor.model.network, "sharing", None)
    if not isinstance(sharing, Sharing):
        return {}
    seen: dict[str, np.ndarray] = {}

    def keep(module: Any, arguments: tuple[Any, ...], output: tuple[dict[str, Tensor], Tensor | None]) -> None:
        streams, shared = output
        every = {**streams, **({} if shared is None else {SHARED: shared})}
        seen.update({name: value[0].detach().float().cpu().numpy() for name, value in every.items()})

    handle = sharing.register_forward_hook(keep)
    try:
        predictor.run(item)
    finally:
        handle.remove()
    return seen


def feature_sheet(features: Mapping[str, np.ndarray], channels: int = CHANNELS) -> np.ndarray:
    """The first channels of each stream, each from its own 1st to its 99th percentile: ``(H, W, 3)`` uint8 RGB."""
    tiles = []
    for name, maps in features.items():
        for number, values in enumerate(maps[:channels], start=1):
            low, high = np.percentile(values, (1, 99))
            tiles.append(Tile(f"{name}, channel {number} of {len(maps)}", colorize_map(values, float(low), float(high))))
    return panel(tiles)
