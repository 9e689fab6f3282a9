"""A method without weights in a network's clothes, so that one evaluator and one command serve both.

    depth = method(sparse depth), frame by frame

Shapes      sparse_depth (B, 1, H, W) metres -> depth (B, 1, H, W) metres.
Test time   all of it.
Differs     nothing to train: its task has no head and no loss.
Cost        no parameters; runs on the CPU.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..contracts import Batch, Network, Task, TaskOutput
from ..errors import ConfigError
from ..registry import CLASSICAL, NETWORKS, build
from ..structures import DEPTH


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
        method: Config of the method (``mtdc.classical``).
    """

    def __init__(self, method: Any = None) -> None:
        super().__init__()
        self.method = build(CLASSICAL, {"type": "Nearest"} if method is None else method, "method")
        self.tasks = nn.ModuleDict({"depth": _MeasuredDepth()})  # type: ignore[assignment]

    def outputs(self, inputs: Batch) -> tuple[dict[str, TaskOutput], tuple[Tensor, ...]]:
        """The method's answer, frame by frame."""
        sparse = inputs["sparse_depth"]
        maps = [self.method(frame[0].astype(np.float32)) for frame in sparse.detach().cpu().numpy()]
        depth = torch.from_numpy(np.stack(maps))[:, None].to(sparse.device, torch.float32)
        return {"depth": TaskOutput(depth, {"depth": depth})}, ()

    def strip(self, keep: tuple[str, ...]) -> None:
        """Nothing to drop.

        Raises:
            ConfigError: Something else than depth is to be kept.
        """
        if keep != ("depth",):
            raise ConfigError(f"a method without weights predicts depth alone, not {', '.join(keep)}.")
