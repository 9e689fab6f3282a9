"""Sparse depth beside the photo: early fusion (Lu et al., CVPR 2020, Fig. 2c; Ma and Karaman, ICRA 2018).

    x = Cat( sparse depth, mask, (image - 128) / 64 )

Shapes      sparse_depth (B, 1, H, W) metres, image (B, 3, H, W) RGB 0..255 -> x (B, 5, H, W), or (B, 3, H, W) with gray.
Test time   all of it: a network of this input needs the photo.
Differs     from the papers: the mask, which tells "not measured" from "near".
Cost        four more input channels of the first layer.
"""

from __future__ import annotations

import torch

from ..contracts import Batch, InputRepresentation, Prepared
from ..layers.photo import photo_channels, photo_size
from ..registry import INPUTS


@INPUTS.register_module()
class SparseDepthImage(InputRepresentation):
    """Depth, mask and the photo's channels.

    Args:
        gray: The photo's gray value (ITU-R 601) instead of its colours.
    """

    unit = "metres; 0 or 1; 64 gray values about 128"
    needs = ("sparse_depth", "image")

    def __init__(self, gray: bool = False) -> None:
        super().__init__()
        self.gray = gray
        self.layout = {"sparse_depth": 1, "mask": 1, "image": photo_size(gray)}

    def forward(self, inputs: Batch) -> Prepared:
        """Map, mask and photo."""
        sparse = inputs["sparse_depth"]
        x = torch.cat((sparse, (sparse > 0).to(sparse.dtype), photo_channels(inputs["image"], self.gray)), dim=1)
        return Prepared(x, self.layout, None)
