"""Raw sparse depth (Lu et al., CVPR 2020, section 3.1): the map itself, empty pixels 0, in metres.

    x = sparse depth

Shapes      sparse_depth (B, 1, H, W) metres -> x (B, 1, H, W).
Test time   all of it.
Differs     nothing.
Cost        none.
"""

from __future__ import annotations

from ..contracts import Batch, InputRepresentation, Prepared
from ..registry import INPUTS


@INPUTS.register_module()
class SparseDepth(InputRepresentation):
    """The sparse depth map in metres, 0 where nothing was measured."""

    unit = "metres"

    def __init__(self) -> None:
        super().__init__()
        self.layout = {"sparse_depth": 1}

    def forward(self, inputs: Batch) -> Prepared:
        """The map as it is."""
        return Prepared(inputs["sparse_depth"], self.layout, None)
