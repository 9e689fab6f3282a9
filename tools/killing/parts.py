"""Parts of the training that is killed: random numbers in the network, and checkpoints that are long in the writing."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import torch
from mmengine.hooks import Hook
from torch import Tensor

from mtdc import InputRepresentation
from mtdc.contracts import Batch, Prepared


class DroppedDepth(InputRepresentation):
    """Sparse depth with a third of its points dropped anew at each step."""

    unit = "metres"

    def __init__(self) -> None:
        super().__init__()
        self.layout = {"sparse_depth": 1}

    def forward(self, inputs: Batch) -> Prepared:
        """The points that are left."""
        kept: Tensor = torch.nn.functional.dropout(inputs["sparse_depth"], 1 / 3, self.training)
        return Prepared(kept, self.layout, None)


class SlowWrites(Hook):
    """Writes every file in pieces with pauses between them, so that a kill hits the writing now and then.

    Args:
        pieces: Number of pieces.
        pause_s: Pause after each, in seconds.
    """

    def __init__(self, pieces: int, pause_s: float) -> None:
        self.pieces, self.pause_s = pieces, pause_s

    def before_run(self, runner: Any) -> None:
        """From here on, in this process."""

        def write_slowly(path: Path, data: Any) -> int:
            view = memoryview(data)
            step = -(-len(view) // self.pieces)
            with path.open("wb", buffering=0) as file:
                for start in range(0, len(view), step):
                    file.write(view[start : start + step])
                    time.sleep(self.pause_s)
            return len(view)

        Path.write_bytes = write_slowly  # type: ignore[method-assign]
