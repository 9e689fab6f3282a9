"""Sparse depth and its mask: tells "not measured" from "very near".

    x = [ sparse depth, mask ]          mask = 1 where depth was measured

Shapes      sparse_depth (B, 1, H, W) metres -> x (B, 2, H, W).
Test time   all of it.
Differs     from the paper's raw input by the mask channel.
Cost        one more input channel of the first layer.
"""

from __future__ import annotations

import torch

from ..contracts import Batch, InputRepresentation, Prepared
from ..registry import INPUTS


@INPUTS.register_module()
class SparseDepthMask(InputRepresentation):
    """The sparse depth map in metres beside its 0/1 mask."""

    unit = "metres; 0 or 1"

    def __init__(self) -> None:
        super().__init__()
        self.layout = {"sparse_depth": 1, "mask": 1}

    def forward(self, inputs: Batch) -> Prepared:
        """Map and mask."""
        sparse = inputs["sparse_depth"]
        return Prepared(torch.cat((sparse, (sparse > 0).to(sparse.dtype)), dim=1), self.layout, None)
