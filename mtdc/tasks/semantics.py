"""Semantic classes as an auxiliary task (labels of the paper's Fig. 8b: Cityscapes' classes; Cordts et al., CVPR 2016).

    class = argmax_k raw_k

Shapes      stream (B, C, H/s, W/s) -> raw (B, K, H, W) -> scores (B, K, H, W) in training, else class indices
            (B, H, W).
Test time   dropped by strip(), with what only it reads.
Differs     nothing is taken from a paper but the classes.
Cost        the decoder, with K channels.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from ..contracts import Batch, Task
from ..registry import TASKS
from ..structures import CITYSCAPES_CLASSES, SEMANTICS


@TASKS.register_module()
class SemanticsTask(Task):
    """The class of each pixel.

    Args:
        in_channels, stride, width: Given by the network.
        losses: ``{term: loss config}``; they are handed the scores.
        classes: K, how many classes there are; a label of K or more other than 255 (unknown) is an error of the data.
        upsampling: "transposed_conv" or "sub_pixel": how the head gets to full resolution.

    Raises:
        ValueError: Fewer than two classes, or more than labels of 8 bits can name; a loss with another number of class weights.
    """

    field = SEMANTICS
    train_only = True

    def __init__(
        self,
        in_channels: int,
        stride: int,
        width: int,
        losses: Mapping[str, Any] | None = None,
        classes: int = len(CITYSCAPES_CLASSES),
        upsampling: str = "transposed_conv",
    ) -> None:
        if not 2 <= classes <= int(SEMANTICS.unknown):
            raise ValueError(f"classes must be 2 to {int(SEMANTICS.unknown)}, not {classes}")
        self.field = dataclasses.replace(SEMANTICS, classes=classes)
        super().__init__(in_channels, stride, width, losses, upsampling, raw_channels=classes)
        self.classes = classes
        for term, loss in self.losses.items():
            weights = getattr(loss, "class_weights", None)
            if weights is not None and len(weights) != classes:
                raise ValueError(f"losses.{term}.class_weights has {len(weights)} entries, and there are {classes} classes")

    def decode(self, raw: Tensor, base: Tensor | None) -> dict[str, Tensor]:
        """``{"semantics": ...}``: scores ``(B, K, H, W)`` in training, class indices ``(B, H, W)`` in eval mode."""
        return {"semantics": raw if self.training else raw.argmax(dim=1)}

    def loss(self, raw: Tensor, fields: dict[str, Tensor], batch: Batch) -> dict[str, Tensor]:
        """``{term: scalar}`` of the scores."""
        return super().loss(raw, {**fields, "semantics": raw}, batch)
