"""A method without weights in a network's clothes, so that one evaluator and one command serve both.

    depth = method(sparse depth) or, where it reads the photo, method(sparse depth, image), frame by frame

Shapes      sparse_depth (B, 1, H, W) metres, maybe image (B, 3, H, W) 0..255 -> depth (B, 1, H, W) metres.
Test time   all of it.
Differs     nothing to train: its task has no head and no loss.
Cost        no parameters; runs on the CPU.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..contracts import Batch, Completion, Network, Task, TaskOutput
from ..errors import ConfigError
from ..registry import CLASSICAL, NETWORKS, build
from ..structures import DEPTH, IMAGE, SPARSE_DEPTH


class _MeasuredDepth(Task):
    """Depth that comes as it is: no head, no loss."""

    field = DEPTH

    def __init__(self) -> None:
        nn.Module.__init__(self)
        self.losses = nn.ModuleDict()


@NETWORKS.register_module()
class ClassicalNetwork(Network):
    """Completion without weights as a network with the one task ``depth``.

    Args:
        method: Config of the method (``mtdc.classical``); what it needs, the network needs.

    Raises:
        ConfigError: The method needs something else than sparse depth and the photo.
    """

    def __init__(self, method: Any = None) -> None:
        super().__init__()
        self.method: Completion = build(CLASSICAL, {"type": "Nearest"} if method is None else method, "method")
        self.needs = self.method.needs
        others = [key for key in self.needs if key not in (SPARSE_DEPTH.name, IMAGE.name)]
        if others:
            raise ConfigError(
                f"method ({type(self.method).__name__}) needs '{others[0]}'; a method without weights is given sparse_depth "
                "and, where it needs it, image."
            )
        self.tasks = nn.ModuleDict({"depth": _MeasuredDepth()})  # type: ignore[assignment]

    def outputs(self, inputs: Batch) -> tuple[dict[str, TaskOutput], tuple[Tensor, ...]]:
        """The method's answer, frame by frame."""
        sparse = inputs["sparse_depth"]
        frames: list[tuple[np.ndarray, ...]] = [(frame[0],) for frame in _as_numpy(sparse)]
        if IMAGE.name in self.needs and IMAGE.name in inputs:
            photos = _as_numpy(inputs[IMAGE.name])
            frames = [(*frame, photo.transpose(1, 2, 0)) for frame, photo in zip(frames, photos, strict=True)]
        maps = [self.method(*frame) for frame in frames]
        depth = torch.from_numpy(np.stack(maps))[:, None].to(sparse.device, torch.float32)
        return {"depth": TaskOutput(depth, {"depth": depth})}, ()

    def strip(self, keep: tuple[str, ...]) -> None:
        """Nothing to drop.

        Raises:
            ConfigError: Something else than depth is to be kept.
        """
        if keep != ("depth",):
            raise ConfigError(f"a method without weights predicts depth alone, not {', '.join(keep)}.")


def _as_numpy(maps: Tensor) -> np.ndarray:
    array: np.ndarray = maps.detach().cpu().numpy().astype(np.float32)
    return array
