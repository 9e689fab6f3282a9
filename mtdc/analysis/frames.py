"""The frames that several models are judged on: one data set, which loads what any of them reads and what is measured."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config

from ..data.dataset import DepthDataset
from ..engine.config import require, set_data_root
from ..engine.logs import without_warnings
from ..engine.preparation import seed_of, unique
from ..errors import ConfigError, DataError
from ..registry import DATASETS, build
from ..structures import DENSE_DEPTH, DEPTH, GRAY_IMAGE, SEMANTICS, SPARSE_DEPTH, Field
from .entries import Entry

#: Targets that are loaded where the data set has them.
OPTIONAL = (DENSE_DEPTH, SEMANTICS, GRAY_IMAGE)


def data_config(
    entries: Sequence[Entry], given: Config | None = None, data_root: str | None = None, split: Any = None
) -> Config:
    """The config whose test data all entries are judged on: the given one, else the first entry's that has one.

    Raises:
        ConfigError: All entries are folders and no config is given, or the config has no test data.
    """
    own = next((entry.config for entry in entries if entry.config is not None), None)
    cfg = copy.deepcopy(given if given is not None else own)
    if cfg is None:
        raise ConfigError("folders of predictions alone don't say which frames they are of: name a config with --data.")
    if data_root is not None:
        set_data_root(cfg, data_root)
    require(cfg, "test_dataloader", "test_evaluator", "randomness")
    if split:
        cfg.test_dataloader.dataset.split = split
    return cfg


class Frames:
    """Frames of a config's test data, one at a time, always the same.

    Args:
        cfg: As :func:`data_config` gives it.
        inputs: What the judged models read.
        degradation: Configs of transforms that come after the data set's own: fewer lines, dropped points.
        limit: So many frames, spread evenly over the split; None: all.
        extra: Also load photo, labels and dense depth where the data set has them; else ground truth alone.

    Raises:
        ConfigError: The limit is no number of frames. DataError: There is no frame, or none has ground truth.
    """

    def __init__(
        self,
        cfg: Config,
        inputs: Sequence[Field] = (SPARSE_DEPTH,),
        degradation: Sequence[Mapping[str, Any]] = (),
        limit: int | None = None,
        extra: bool = False,
    ) -> None:
        if limit is not None and limit < 1:
            raise ConfigError(f"--frames {limit}: expected 1 or more.")
        self.cfg = cfg
        self.degradation = tuple(dict(one) for one in degradation)
        self._inputs = unique((SPARSE_DEPTH, *inputs))
        data = self._build((DEPTH,))
        if len(data) == 0:
            raise DataError("test_dataloader: the data set has no frame.")
        if not data.known(DEPTH):
            root = cfg.test_dataloader.dataset.get("data_root")
            raise DataError(f"split '{data.split}' of {root} has no ground truth, so nothing can be measured.")
        if extra:
            # Nobody asked for these: that some or all frames lack them is nothing to say.
            with without_warnings():
                offered = self._build((DEPTH, *OPTIONAL))
                there = tuple(row for row in OPTIONAL if offered.known(row))
                data = self._build((DEPTH, *there)) if there else data
        self.data = data
        count = len(data) if limit is None else min(limit, len(data))
        #: Numbers of the frames in the data set.
        self.numbers = [round(i * (len(data) - 1) / max(count - 1, 1)) for i in range(count)]

    def _build(self, targets: Sequence[Field]) -> DepthDataset:
        cfg = copy.deepcopy(dict(self.cfg.test_dataloader.dataset))
        cfg["transforms"] = [*(cfg.get("transforms") or ()), *self.degradation]
        data: DepthDataset = build(
            DATASETS, cfg, "test_dataloader.dataset", inputs=self._inputs, targets=tuple(targets), seed=seed_of(self.cfg)
        )
        return data

    def has(self, row: Field) -> bool:
        """Whether frames carry a target."""
        return any(target == row for target in self.data.targets)

    @property
    def root(self) -> Path:
        """Folder of the data set."""
        return Path(self.cfg.test_dataloader.dataset.get("data_root", ""))

    @property
    def names(self) -> list[str]:
        """Each frame's name."""
        return [self.data.sample_id(number) for number in self.numbers]

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """``{"inputs": {key: tensor}, "data_samples": DepthSample}`` of one frame, not batched."""
        item: dict[str, Any] = self.data[self.numbers[index]]
        return item

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return (self[index] for index in range(len(self)))
