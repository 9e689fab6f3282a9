"""Frames to a batch on the model's device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.model import BaseDataPreprocessor
from mmengine.registry import MODELS
from torch import Tensor
from torch.nn import functional

from ..errors import DataError
from ..structures import DEPTH, GRAY_IMAGE, INPUT_FIELDS, INTRINSICS, NORMALS, SEMANTICS, DepthSample

#: What stands in padding, for samples that don't say it themselves.
_UNKNOWN = {key: row.unknown for key, row in INPUT_FIELDS.items()}
_UNKNOWN |= {row.target_key: row.unknown for row in (DEPTH, GRAY_IMAGE, NORMALS, SEMANTICS)}
_TARGET_START = "gt_"


@MODELS.register_module()
class BatchPreprocessor(BaseDataPreprocessor):  # type: ignore[misc]  # mmengine has no types
    """Stack inputs, and pad frames of different sizes at the right and the bottom with each field's "unknown".

    ``{'inputs': {key: [(C, H, W), ...]}, 'data_samples': [DepthSample, ...]}`` -> ``{'inputs': {key: (B, C, H, W)},
    'data_samples': [...]}`` on the device. Samples come back as new ones whose ``gt_*`` have the padded size and whose metainfo
    ``pad_lrtb`` (left, right, top, bottom; pixels) says what was added; :func:`unpad` takes it off a prediction. Inputs
    that are batched tensors, and ``data_samples`` of None, pass as they are.
    """

    def forward(self, data: Mapping[str, Any], training: bool = False) -> dict[str, Any]:
        """The batch on the device.

        Raises:
            DataError: A map has to be padded and its "unknown" is not known.
        """
        data = self.cast_data(data)
        inputs, samples = data["inputs"], data.get("data_samples")
        lists = {key: value for key, value in inputs.items() if not isinstance(value, Tensor)}
        if not lists:
            return {"inputs": dict(inputs), "data_samples": samples}
        sizes = [_frame_size(lists, i) for i in range(len(next(iter(lists.values()))))]
        height, width = max(size[0] for size in sizes), max(size[1] for size in sizes)
        batch = {
            key: value if isinstance(value, Tensor) else self._stack(key, value, samples, height, width)
            for key, value in inputs.items()
        }
        if samples is not None:
            samples = [_pad_sample(sample, size, height, width) for sample, size in zip(samples, sizes, strict=True)]
        return {"inputs": batch, "data_samples": samples}

    @staticmethod
    def _stack(key: str, maps: Sequence[Tensor], samples: Sequence[DepthSample] | None, height: int, width: int) -> Tensor:
        if key == INTRINSICS.name:
            return torch.stack(list(maps))
        sources: Sequence[DepthSample | None] = samples if samples is not None else [None] * len(maps)
        return torch.stack([_pad(value, key, sample, height, width) for value, sample in zip(maps, sources, strict=True)])


def unpad(tensor: Tensor, sample: DepthSample) -> Tensor:
    """A map of the padded size cut back to its frame's own: ``(..., H + top + bottom, W + left + right) -> (..., H, W)``."""
    left, right, top, bottom = sample.metainfo.get("pad_lrtb", (0, 0, 0, 0))
    return tensor[..., top : tensor.shape[-2] - bottom, left : tensor.shape[-1] - right]


def _frame_size(lists: Mapping[str, Sequence[Tensor]], index: int) -> tuple[int, int]:
    for key, maps in lists.items():
        if key != INTRINSICS.name:
            height, width = maps[index].shape[-2:]
            return height, width
    raise DataError(f"a batch with no map: its inputs are {', '.join(lists)}.")


def _pad_sample(sample: DepthSample, size: tuple[int, int], height: int, width: int) -> DepthSample:
    left, right, top, bottom = sample.metainfo.get("pad_lrtb", (0, 0, 0, 0))
    more_right, more_bottom = width - size[1], height - size[0]
    padded: DepthSample = sample.new(
        metainfo={**sample.metainfo, "pad_lrtb": (left, right + more_right, top, bottom + more_bottom)}
    )
    for key, value in sample.items():
        if key.startswith(_TARGET_START) and isinstance(value, Tensor):
            value = _pad(value, key, sample, height, width)
        padded.set_field(value, key)
    return padded


def _pad(value: Tensor, key: str, sample: DepthSample | None, height: int, width: int) -> Tensor:
    right, bottom = width - value.shape[-1], height - value.shape[-2]
    if not right and not bottom:
        return value
    own = {} if sample is None else sample.metainfo.get("unknown", {})
    unknown = own.get(key, _UNKNOWN.get(key))
    if unknown is None:
        raise DataError(f"frames of different sizes need padding, and the 'unknown' of '{key}' is not known; use batch_size=1.")
    return functional.pad(value, (0, right, 0, bottom), value=unknown)
