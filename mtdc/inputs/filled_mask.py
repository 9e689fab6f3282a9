"""A dense fill beside mask and sparse depth, with the fill as the depth that the network corrects.

    fill = smoothed closest-surface fill of the sparse depth (torch)          x = [ fill, mask, sparse depth ]
    depth = fill + network's residual

Shapes      sparse_depth (B, 1, H, W) metres -> x (B, 3, H, W), base_depth (B, 1, H, W) metres.
Test time   all of it.
Differs     from the paper's raw input: the network starts from a dense guess and predicts its error.
Cost        two more input channels of the first layer, some twenty poolings.
"""

from __future__ import annotations

import torch

from ..contracts import Batch, InputRepresentation, Prepared
from ..layers.fill import closest_surface_fill, smooth
from ..registry import INPUTS


@INPUTS.register_module()
class FilledMask(InputRepresentation):
    """Closest-surface fill, mask and sparse depth; depth is predicted as a residual on the fill."""

    unit = "metres; 0 or 1; metres"

    def __init__(self) -> None:
        super().__init__()
        self.layout = {"filled_depth": 1, "mask": 1, "sparse_depth": 1}

    def forward(self, inputs: Batch) -> Prepared:
        """Fill, mask and map, with the fill as base depth."""
        sparse = inputs["sparse_depth"]
        # The max-filters' fill is blocky; a small average takes a good part of its error away before anything is learned.
        filled = smooth(closest_surface_fill(sparse))
        x = torch.cat((filled, (sparse > 0).to(sparse.dtype), sparse), dim=1)
        return Prepared(x, self.layout, filled)
