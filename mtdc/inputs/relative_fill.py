"""Two fills and the measured points as ratios to a smoothed fill, so that a step looks alike at 5 m and at 50 m.

    f = smoothed closest-surface fill,  n = the same unsmoothed,  g = farthest-surface fill,  d = sparse depth,  m = mask
    x = [ ln f,  n / f - 1,  ln(g / f),  m,  m ln(d / f),  f / 20 m ]          depth = f + network's residual

Shapes      sparse_depth (B, 1, H, W) metres -> x (B, 6, H, W), base_depth f (B, 1, H, W) metres.
Test time   all of it.
Differs     from a fill in metres beside the map: near silhouettes the network sees both surfaces that it has to choose from.
Cost        five more input channels of the first layer, some twenty poolings.
"""

from __future__ import annotations

import torch

from ..contracts import Batch, InputRepresentation, Prepared
from ..layers.fill import closest_surface_fill, farthest_surface_fill, smooth
from ..layers.photo import photo_channels
from ..registry import INPUTS

#: Nearer than this nothing is measured; a map without any point has a fill of 0, whose logarithm must stay finite.
NEAREST_M = 0.5
#: Scale of the one channel in metres.
SCALE_M = 20.0


@INPUTS.register_module()
class RelativeFill(InputRepresentation):
    """Near and far fill and the measured points, relative to the fill that depth is a residual on.

    Args:
        image: Also give the photo's three channels, for networks that have it at test time too.
    """

    unit = "natural logarithm; ratio; natural logarithm; 0 or 1; natural logarithm; 20 metres; 64 gray values about 128"

    def __init__(self, image: bool = False) -> None:
        super().__init__()
        names = ("log_fill", "near_step", "far_step", "mask", "sparse_step", "fill")
        self.layout = dict.fromkeys(names, 1) | ({"image": 3} if image else {})
        self.needs = ("sparse_depth", "image") if image else ("sparse_depth",)

    def forward(self, inputs: Batch) -> Prepared:
        """Ratios to the fill, with the fill as base depth."""
        sparse = inputs["sparse_depth"]
        near = closest_surface_fill(sparse)
        far = torch.maximum(farthest_surface_fill(sparse), near)
        base = smooth(near)
        fill = base.clamp(min=NEAREST_M)
        mask = (sparse > 0).to(sparse.dtype)
        channels = [
            fill.log(),
            near.clamp(min=NEAREST_M) / fill - 1,
            (far.clamp(min=NEAREST_M) / fill).log(),
            mask,
            mask * (sparse.clamp(min=NEAREST_M) / fill).log(),
            fill / SCALE_M,
        ]
        if "image" in self.layout:
            channels.append(photo_channels(inputs["image"], gray=False))
        return Prepared(torch.cat(channels, dim=1), self.layout, base)
