"""Hooks of a run: seeds that a resumed run repeats, and predictions written as they are made."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.hooks import Hook
from mmengine.registry import HOOKS

from ..data.io import write_depth_png
from ..structures import DepthSample


@HOOKS.register_module()
class IterationSeedHook(Hook):
    """Seeds torch before every training step by (seed, iteration, rank): no state to store, and a resumed run repeats it.

    Data sets seed each sample by (seed, sample, epoch) themselves.
    """

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        """Seed dropout and the like."""
        words = np.random.SeedSequence([runner.seed, runner.iter, runner.rank]).generate_state(1)
        torch.manual_seed(int(words[0]))


@HOOKS.register_module()
class SaveDepthHook(Hook):
    """Writes each predicted depth map as a KITTI PNG, named by its sample."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)

    def before_test(self, runner: Any) -> None:
        """Make the folder before any frame is predicted."""
        self.folder.mkdir(parents=True, exist_ok=True)

    def after_test_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Sequence[DepthSample] | None = None
    ) -> None:
        """Write the batch's maps."""
        for sample in outputs or ():
            write_depth_png(self.folder / f"{sample.sample_id}.png", sample.pred_depth[0].float().cpu().numpy())
