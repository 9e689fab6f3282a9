"""The order of frames in an epoch, with the epoch's number at each frame."""

from __future__ import annotations

from collections.abc import Iterator

from mmengine.dataset import DefaultSampler
from mmengine.registry import DATA_SAMPLERS


@DATA_SAMPLERS.register_module()
class EpochSampler(DefaultSampler):  # type: ignore[misc]  # mmengine has no types
    """mmengine's ``DefaultSampler`` that yields ``(index, epoch)``.

    The epoch travels with the index to whichever worker loads the frame, so random choices differ between epochs and are the
    same for any number of workers, processes and after a resume. (A worker by itself knows no epoch.)
    """

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return ((index, self.epoch) for index in super().__iter__())
