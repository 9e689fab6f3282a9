"""Street frames that are drawn once and kept in memory: training steps without loading."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from mtdc.data.dataset import DepthDataset
from mtdc.data.datasets.street import StreetWorld
from mtdc.structures import DEPTH, SPARSE_DEPTH, Field, Frame


class MemoryStreets(DepthDataset):
    """A few drawn frames, repeated; every target that a network asks for has a map, if only of "unknown".

    Args:
        length: Frames of an epoch.
        frames: Frames that differ.
        size: (H, W) in pixels.
        inputs, targets, seed: As in every data set; the seed is the streets' too.
    """

    METAINFO: ClassVar[dict[str, Any]] = {"dataset": "street"}

    def __init__(
        self,
        length: int,
        frames: int,
        size: Sequence[int],
        inputs: Sequence[Field | str] = (SPARSE_DEPTH,),
        targets: Sequence[Field] = (DEPTH,),
        seed: int = 0,
    ) -> None:
        super().__init__(inputs, targets, seed=seed)
        self.length = length
        self.streets = StreetWorld(frames, size, world_seed=seed, fresh=False, inputs=inputs, targets=targets, seed=seed)
        self.samples = [self.streets[number] for number in range(frames)]

    def __len__(self) -> int:
        return self.length

    def sample_id(self, index: int) -> str:
        """The street's."""
        return self.streets.sample_id(index % len(self.samples))

    def load(self, index: int) -> Frame:
        """The street's maps."""
        return self.streets.load(index % len(self.samples))

    def __getitem__(self, index: int | tuple[int, int]) -> dict[str, Any]:
        """A kept sample, the same in every epoch."""
        number = index[0] if isinstance(index, tuple) else index
        return self.samples[int(number) % len(self.samples)]
