"""What the parts of a benchmark are told, and the configs that they measure."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mmengine.config import Config

from mtdc.data.street import LidarOptions, StreetOptions
from mtdc.engine.config import config_folder, find_config, load_config
from mtdc.errors import ConfigError
from mtdc.model import AUTO

#: (H, W) of KITTI's benchmark crop.
KITTI_SIZE = (352, 1216)
QUICK_SIZE, QUICK_LINES = (48, 160), 8
#: On a processor a batch has at most as many pixels as two frames of KITTI's, which a laptop's memory holds.
CPU_BATCH_PIXELS = 2 * KITTI_SIZE[0] * KITTI_SIZE[1]


@dataclass(frozen=True)
class Settings:
    """What every part is told.

    Args:
        configs: Config files or names; empty: each part's own choice.
        device: "cpu" or "cuda".
        threads: Threads of torch's operations.
        seed: Seed of weights, streets and order.
        size: (H, W) of frames; None: each part's own choice.
        batch: Frames of a training step; None: the config's.
        workers: Numbers of loader workers to compare.
        rounds: Repetitions of everything that is compared; None: each part's own choice.
        quick: Tiny sizes, to try the command and not to measure.
    """

    configs: tuple[str, ...] = ()
    device: str = "cpu"
    threads: int = 2
    seed: int = 0
    size: tuple[int, int] | None = None
    batch: int | None = None
    workers: tuple[int, ...] = (0, 1, 2)
    rounds: int | None = None
    quick: bool = False

    def check(self) -> None:
        """Refuse numbers that can't be.

        Raises:
            ConfigError: The option, what it is and what it may be.
        """
        for option, value in (("threads", self.threads), ("batch", self.batch), ("rounds", self.rounds)):
            if value is not None and value < 1:
                raise ConfigError(f"--{option} must be at least 1, not {value}.")
        if self.seed < 0:
            raise ConfigError(f"--seed must be a whole number from 0 on, not {self.seed}.")
        if min(self.workers) < 0:
            raise ConfigError(f"--workers must be whole numbers from 0 on, not {min(self.workers)}.")
        self.street()

    def frame_size(self) -> tuple[int, int]:
        """Size of the frames of the parts that don't follow a config: KITTI's."""
        return self.size or (QUICK_SIZE if self.quick else KITTI_SIZE)

    def street(self) -> StreetOptions:
        """The streets of the parts that draw or write some."""
        lidar = LidarOptions(lines=QUICK_LINES) if self.quick else LidarOptions()
        return StreetOptions(size=self.frame_size(), lidar=lidar)

    def count(self, usual: int, quick: int) -> int:
        """How often something is repeated."""
        return self.rounds or (quick if self.quick else usual)

    def load(self, defaults: tuple[str, ...]) -> dict[str, Config]:
        """The configs to measure by the name they are shown under: those that were asked for, else the part's own.

        Raises:
            ConfigError: There is no such config; the nearest name is said.
        """
        loaded = {}
        for name in self.configs or defaults:
            cfg = load_config(name)
            if self.quick:
                cfg.model.width = 1
                cfg.model.update({key: plain for key, plain in (("precision", "float32"), ("channels_last", False))
                                  if cfg.model.get(key) == AUTO})  # fmt: skip
            loaded[label(name)] = cfg
        return loaded

    def training_size(self, cfg: Config) -> tuple[int, int]:
        """Size of the frames that a config trains on: that of its last crop, of its streets, or KITTI's."""
        if self.size is not None or self.quick:
            return self.frame_size()
        dataset = cfg.train_dataloader.dataset
        crops = [step for step in dataset.get("transforms", ()) if {"height", "width"} <= step.keys()]
        if crops:
            return crops[-1]["height"], crops[-1]["width"]
        height, width = (cfg.get("street") or {}).get("size") or dataset.get("size") or KITTI_SIZE
        return height, width

    def training_batch(self, cfg: Config, size: tuple[int, int]) -> int:
        """Frames of a training step: as asked for, else the config's, on a processor as many as fit."""
        if self.batch is not None:
            return self.batch
        own: int = cfg.train_dataloader.batch_size
        if self.quick:
            return min(own, 2)
        return own if self.device != "cpu" else max(1, min(own, CPU_BATCH_PIXELS // (size[0] * size[1])))


def label(name: str) -> str:
    """The name under which a config is shown: a shipped one's own, another file's without its folders."""
    path, folder = find_config(name).resolve(), config_folder().resolve()
    if path.is_relative_to(folder):
        return path.relative_to(folder).with_suffix("").as_posix()
    return Path(name).stem


def shown_size(size: tuple[int, int]) -> str:
    """Height by width in words."""
    return f"{size[0]}x{size[1]}"
