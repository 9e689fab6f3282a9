"""Late fusion: an encoder for depth and one for the photo, joined stride by stride (Lu et al., CVPR 2020, Fig. 2d; FuseNet:
Hazirbas et al., ACCV 2016).

    f_s = Phi( Cat( depth_s, image_s ) )          Phi: a 1x1 conv unit to the depth encoder's channels

Shapes      x (B, C, H, W) with channels "image" -> the depth encoder's strides and channels.
Test time   all of it.
Differs     the figure shows no layers; chosen: concatenation and a 1x1 unit at every stride that both have.
Cost        both encoders, and a product of channels a stride.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ..contracts import Encoder
from ..layers.conv import conv_unit
from ..registry import ENCODERS, build

#: The part of a layout that the photo's encoder reads.
PHOTO = "image"


@ENCODERS.register_module()
class LateFusionEncoder(Encoder):
    """Two encoders, each of its own part of the input.

    Args:
        in_channels, layout, width: Given by the network; the layout needs channels "image" beside others.
        depth: Config of the encoder of everything but the photo.
        image: Config of the photo's encoder; None: the same as ``depth``.

    Raises:
        ValueError: The layout has no photo, or nothing else, or the photo's encoder lacks one of depth's strides, or goes on to
            coarser ones, which nothing would read.
    """

    def __init__(self, in_channels: int, layout: Mapping[str, int], width: int, depth: Any = None, image: Any = None) -> None:
        super().__init__()
        self.layout = dict(layout)
        others = {name: size for name, size in layout.items() if name != PHOTO}
        if PHOTO not in layout or not others:
            has = ", ".join(layout)
            raise ValueError(
                f"late fusion needs a representation with 'image' beside depth, as SparseDepthImage; this one has {has}"
            )
        depth = {"type": "ResidualEncoder"} if depth is None else depth
        image = depth if image is None else image
        photo = {PHOTO: layout[PHOTO]}
        self.depth: Encoder = build(ENCODERS, depth, "depth", in_channels=sum(others.values()), layout=others, width=width)
        self.image: Encoder = build(ENCODERS, image, "image", in_channels=layout[PHOTO], layout=photo, width=width)
        self.channels = dict(self.depth.channels)
        missing = [stride for stride in self.channels if stride not in self.image.channels]
        if missing:
            raise ValueError(f"the photo's encoder has no map at stride {missing[0]}; it has {sorted(self.image.channels)}")
        if max(self.image.channels) > max(self.channels):
            raise ValueError(
                f"the photo's encoder goes on to stride {max(self.image.channels)} and depth's to {max(self.channels)}: the "
                "rest of it would never be read"
            )
        self.joins = nn.ModuleDict(
            {str(s): conv_unit(size + self.image.channels[s], size, 1) for s, size in self.channels.items()}
        )

    def forward(self, x: Tensor) -> dict[int, Tensor]:
        """The joined maps, under their strides."""
        parts = dict(zip(self.layout, x.split(list(self.layout.values()), dim=1), strict=True))
        photo = parts.pop(PHOTO)
        depth, image = self.depth(torch.cat(list(parts.values()), dim=1)), self.image(photo)
        return {stride: self.joins[str(stride)](torch.cat((value, image[stride]), dim=1)) for stride, value in depth.items()}
