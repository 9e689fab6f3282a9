"""Hooks of a run: seeds that a resumed run repeats, and predictions written as they are made."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.registry import HOOKS

from ..data.io import write_depth_png, write_png
from ..errors import DataError
from ..structures import DEPTH, GRAY_IMAGE, DepthSample, Field
from ..visualization.fields import field_tiles
from ..visualization.panel import Tile, sample_panel
from .loops import progress_name

PANEL_FOLDER = "panels"


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
class PanelHook(Hook):
    """Pictures at validation: photo and its reconstruction, sparse input, ground truth, depth and its error, and of every
    other task ground truth and prediction, one sheet a frame.

    They are written as ``WORK_DIR/panels/epoch_<n>/<sample>.png`` (``iter_<n>`` in a training by iterations), and shown in
    TensorBoard where that is installed.

    Args:
        frames: How many frames, spread evenly over the validation set.
    """

    def __init__(self, frames: int = 4) -> None:
        self.frames = frames

    def after_val_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Sequence[DepthSample] | None = None
    ) -> None:
        """Draw the batch's first frame, if it is one of the chosen."""
        total = len(runner.val_dataloader)
        count = min(self.frames, total)
        chosen = {round(i * (total - 1) / max(count - 1, 1)) for i in range(count)}
        if not outputs or batch_idx not in chosen or not is_main_process():
            return
        sample = outputs[0]
        sheet = sample_panel(
            _array(data_batch["inputs"]["sparse_depth"][0])[0],
            _array(sample.pred_depth)[0],
            ground_truth=_array(sample.gt_depth)[0],
            image=_photo(sample, "gt_image"),
            reconstruction=_photo(sample, "pred_image"),
            others=_other_tiles(runner, sample),
        )
        name = f"{sample.sample_id}.png"
        progress = progress_name(runner)
        write_png(Path(runner.work_dir) / PANEL_FOLDER / progress / name, sheet)
        # mmengine's local backend would write a second copy of the file.
        board = runner.visualizer.get_backend("TensorboardVisBackend")
        if board is not None:
            board.add_image(f"panel/{sample.sample_id}", sheet, step=int(progress.rpartition("_")[2]))


def _array(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().float().cpu().numpy()


def _other_tiles(runner: Any, sample: DepthSample) -> list[Tile]:
    """Pictures of what is predicted beside depth and image, which the sheet has places of their own for."""
    model = runner.model.module if is_model_wrapper(runner.model) else runner.model
    rows: list[Field] = [row for task in model.network.tasks.values() for row in (task.field, *task.extra_fields)]
    tiles = []
    for row in rows:
        prediction, truth = sample.get(row.prediction_key), sample.get(row.target_key)
        if row.name not in (DEPTH.name, GRAY_IMAGE.name) and prediction is not None:
            tiles += field_tiles(row, _array(prediction), None if truth is None else _array(truth))
    return tiles


def _photo(sample: DepthSample, key: str) -> np.ndarray | None:
    """``(H, W, C)`` in 0..255, or None where the sample has none."""
    photo = sample.get(key)
    return None if photo is None or (photo < 0).all() else _array(photo).transpose(1, 2, 0)


@HOOKS.register_module()
class SaveDepthHook(Hook):
    """Writes each predicted depth map as a KITTI PNG, named by its sample."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)

    def check(self) -> None:
        """Make the folder before any frame is predicted.

        Raises:
            DataError: It holds depth maps already: two runs' maps would be taken for one.
        """
        if any(self.folder.glob("*.png")):
            raise DataError(f"--save-depth {self.folder}: the folder holds PNGs already. Name a new one, or empty it.")
        self.folder.mkdir(parents=True, exist_ok=True)

    def after_test_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Sequence[DepthSample] | None = None
    ) -> None:
        """Write the batch's maps."""
        for sample in outputs or ():
            write_depth_png(self.folder / f"{sample.sample_id}.png", sample.pred_depth[0].float().cpu().numpy())
