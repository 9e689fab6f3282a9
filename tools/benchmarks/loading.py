"""Frames a second of the data loader beside those that a training step consumes.

Streets are written to a temporary folder in KITTI's layout, and read through the config's loader and transforms. The step is
the engine's, measured in the same run at the same size, with frames in memory.
"""

from __future__ import annotations

import copy
import functools
import tempfile
from collections.abc import Callable, Iterable
from typing import Any

from mmengine.config import Config
from mmengine.runner import Runner
from torch.utils.data import Dataset
from tqdm import tqdm

from mtdc.analysis.timing import alternate, spread
from mtdc.data.street.writer import write_street
from mtdc.engine.config import set_data_root
from mtdc.engine.preparation import build_dataset, loader
from mtdc.model import build_model

from . import step
from .settings import Settings, shown_size

WHAT = (
    "Frames a second that the data loader reads (KITTI's layout, depth and photo PNGs, the config's transforms) against those "
    "that a training step of the engine consumes; above 1 the loader keeps up"
)
COLUMNS = {
    "config": "config",
    "size": "size",
    "workers": "workers",
    "loader_frames_s": "loader frames/s",
    "p10": "10 %",
    "p90": "90 %",
    "step_frames_s": "step frames/s",
    "ratio": "ratio",
}
CONFIGS = ("aux_image_street",)
#: Frames on disk, and frames of one timed pass over them.
FRAMES, PASS = 12, 72
ROUNDS = 5
STEP_ROUNDS, STEP_BLOCK = 3, 3
_SPLIT = "train"


class Repeated(Dataset[dict[str, Any]]):
    """A data set repeated until it has a length: a pass is then long enough to time."""

    def __init__(self, data: Any, length: int) -> None:
        self.data, self.length = data, length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: tuple[int, int] | int) -> dict[str, Any]:
        """The frame of a number, random choices as in its epoch."""
        number, epoch = index if isinstance(index, tuple) else (index, 0)
        item: dict[str, Any] = self.data[number % len(self.data), epoch]
        return item


def check(settings: Settings) -> None:
    """Refuse configs that can't be trained.

    Raises:
        ConfigError: What a config lacks, or a faulty part.
    """
    step.check(settings)


def run(settings: Settings) -> dict[str, Any]:
    """Write streets, then measure each config."""
    size, rows = settings.frame_size(), []
    frames = 2 if settings.quick else FRAMES
    with tempfile.TemporaryDirectory(prefix="mtdc_loading_") as folder:
        with tqdm(desc="drawing streets", unit="frame", total=frames, leave=False, disable=None) as bar:
            write_street(folder, frames, settings.seed, _SPLIT, settings.street(), progress=lambda *_: bar.update())
        for name, cfg in settings.load(CONFIGS).items():
            trained = step.measure(cfg, settings, size, settings.count(STEP_ROUNDS, 1), STEP_BLOCK)
            consumed = 1000 * trained["batch"] / trained["engine_ms"]
            for workers, rates in _read(cfg, settings, folder, size).items():
                rate = spread(rates)
                rows.append(
                    {
                        "config": name,
                        "size": shown_size(size),
                        "workers": workers,
                        "loader_frames_s": rate["median"],
                        "p10": rate["p10"],
                        "p90": rate["p90"],
                        "step_frames_s": consumed,
                        "step_batch": trained["batch"],
                        "step_precision": trained["precision"],
                        "ratio": rate["median"] / consumed,
                    }
                )
    return {"rows": rows, "notes": []}


def _read(cfg: Config, settings: Settings, folder: str, size: tuple[int, int]) -> dict[int, list[float]]:
    """Frames a second of passes over the streets, by number of workers."""
    cfg = copy.deepcopy(cfg)
    dataset = cfg.train_dataloader.dataset
    if "data_root" in dataset:
        set_data_root(cfg, folder)
        dataset.split = _SPLIT
    elif dataset.type == "StreetWorld":
        dataset["size"] = size  # it draws while it loads
    for transform in dataset.get("transforms", ()):
        if {"height", "width"} <= transform.keys():
            transform["height"], transform["width"] = size
    batch = settings.training_batch(cfg, size)
    cfg.train_dataloader.batch_size = batch
    model = build_model(cfg.model)
    data = build_dataset(dataset, "train_dataloader.dataset", model, model.target_fields, settings.seed)
    length = max(batch, (8 if settings.quick else PASS) // batch * batch)
    calls: dict[str, Callable[[], None]] = {}
    for workers in settings.workers:
        cfg.train_dataloader.num_workers = workers
        described = {**loader(cfg, "train_dataloader", data), "dataset": Repeated(data, length)}
        frames = Runner.build_dataloader(described, seed=settings.seed)
        calls[str(workers)] = functools.partial(_exhaust, frames)
    seconds = alternate(calls, settings.count(ROUNDS, 2), "cpu", "loading")
    return {int(workers): [length / one for one in times] for workers, times in seconds.items()}


def _exhaust(batches: Iterable[Any]) -> None:
    for _ in batches:
        pass
