"""Frames of several data sets in one training: drawn streets beside recorded frames, one sensor beside another.

    an epoch = every frame of each part, times[part] times

Shapes      those of the parts; frames of different sizes need a crop to one size.
Test time   not meant for it: measure each data set by itself.
Differs     nothing is taken from a paper.
Cost        that of the parts.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any, ClassVar

from ...contracts import Transform
from ...errors import ConfigError, did_you_mean
from ...registry import DATASETS, build
from ...structures import DEPTH, SPARSE_DEPTH, Field, Frame
from ..dataset import DepthDataset


@DATASETS.register_module()
class MixedFrames(DepthDataset):
    """All frames of several data sets, those of a part repeated where they are few.

    A repeated frame takes other random choices each time, as in another epoch.

    Args:
        parts: Configs of data sets by name, as in ``dict(street=dict(type="StreetWorld", ...), mine=dict(type="Folder",
            ...))``. A part that is None is left out. The part named ``street`` is where the config's ``street`` is drawn.
        times: How often the frames of a part come in an epoch, by its name; once where not given.
        transforms: Applied to the frames of all parts, after the parts' own.
        inputs, targets, seed: As in every data set. Parts draw random choices of their own.

    Raises:
        ConfigError: No part, a part that can't be built, ``times`` of a part that is not there, or a count below 1.
    """

    METAINFO: ClassVar[dict[str, Any]] = {"dataset": "mixed"}

    def __init__(
        self,
        parts: Mapping[str, Mapping[str, Any] | None],
        times: Mapping[str, int] | None = None,
        inputs: Sequence[Field | str] = (SPARSE_DEPTH,),
        targets: Sequence[Field] = (DEPTH,),
        transforms: Sequence[Mapping[str, Any] | Transform] = (),
        seed: int = 0,
    ) -> None:
        super().__init__(inputs, targets, (), seed)
        kept = {name: part for name, part in parts.items() if part is not None}
        if not kept:
            raise ConfigError(
                "MixedFrames: parts is empty; name a data set, as in dict(mine=dict(type='Folder', data_root=...))."
            )
        times = dict(times or {})
        for name, count in times.items():
            if name not in parts:
                raise ConfigError(f"MixedFrames: times has '{name}', and parts don't.{did_you_mean(name, kept)}")
            if isinstance(count, bool) or not isinstance(count, int) or count < 1:
                raise ConfigError(f"MixedFrames: times['{name}'] must be a whole number from 1 on, not {count!r}.")
        self.parts: dict[str, DepthDataset] = {}
        for place, (name, part) in enumerate(kept.items()):
            own = {**part, "transforms": [*(part.get("transforms") or ()), *transforms]}
            self.parts[name] = build(DATASETS, own, f"parts.{name}", inputs=inputs, targets=targets, seed=seed + place)
        self.wants_intrinsics = any(part.wants_intrinsics for part in self.parts.values())
        self.times = {name: times.get(name, 1) for name in self.parts}
        #: Number of frames up to and with each part.
        self._ends = list(accumulate(len(part) * self.times[name] for name, part in self.parts.items()))

    def __len__(self) -> int:
        return self._ends[-1]

    def sample_id(self, index: int) -> str:
        """The part, the frame's own name, and from the second time on which time it is."""
        name, number, turn = self._place(index)
        return f"{name}_{self.parts[name].sample_id(number)}{f'_{turn}' if turn else ''}"

    def count(self, row: Field) -> int:
        """Number of frames that are stored with a known map of a field."""
        return sum(part.count(row) * self.times[name] for name, part in self.parts.items())

    def known(self, row: Field) -> int:
        """Number of frames that come with a field, stored or made by a transform of their part."""
        return sum(part.known(row) * self.times[name] for name, part in self.parts.items())

    def load(self, index: int) -> Frame:
        """The frame of the part."""
        name, number, _ = self._place(index)
        return self.parts[name].load(number)

    def __getitem__(self, index: int | tuple[int, int]) -> dict[str, Any]:
        """The part's own item, named by this data set."""
        number, epoch = index if isinstance(index, tuple) else (index, 0)
        if not -len(self) <= number < len(self):
            raise IndexError(f"frame {number} of a data set with {len(self)} frames")
        number %= len(self)
        name, own, turn = self._place(number)
        item = self.parts[name][(own, epoch * self.times[name] + turn) if isinstance(index, tuple) else own]
        item["data_samples"].set_metainfo({"sample_id": self.sample_id(number)})
        return item

    def _place(self, index: int) -> tuple[str, int, int]:
        """Part, number in the part, and which time it is."""
        place = bisect_right(self._ends, index)
        name = list(self.parts)[place]
        turn, number = divmod(index - (self._ends[place - 1] if place else 0), len(self.parts[name]))
        return name, number, turn
