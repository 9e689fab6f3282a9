"""Normalized-convolution encoder with confidence propagation (Eldesokey, Felsberg, Khan, TPAMI 2020, Eqs. 4 and 7).

    (x, c)_{l+1} = NConv_l(x_l, c_l)          c_0 = the mask of measured pixels; see layers/sparse_conv.py

Shapes      x (B, C, H, W) with a channel "mask" -> {2: (B, 2 m_0, H/2, W/2), 4: ..., 8: ..., 16: ...}:
            m_k = multiples[k] * width values, and as many confidences.
Test time   all of it.
Differs     from the paper's network of one output: levels of stride 2 with several channels, whose confidences the trunks read
            too. Values are averages of what was measured; there is no nonlinearity, as in the paper.
Cost        at width 16 and three input channels 0.4 M weights; float32, two convolutions a level.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from ..contracts import Encoder
from ..layers.sparse_conv import NormalizedConv, Sparse, mask_channel, measured
from ..registry import ENCODERS


@ENCODERS.register_module()
class NormalizedConvEncoder(Encoder):
    """One normalized convolution of stride 2 a level.

    Args:
        in_channels, layout, width: Given by the network; the layout needs a channel "mask", or the one channel "sparse_depth",
            whose measured pixels are those above 0.
        kernels: Kernel size of each level, odd.
        multiples: Values of each level as multiples of the width; there are as many confidences.

    Raises:
        ValueError: The layout has no mask, an even kernel, or as many multiples as kernels are not given.
    """

    def __init__(
        self,
        in_channels: int,
        layout: Mapping[str, int],
        width: int,
        kernels: Sequence[int] = (5, 5, 3, 3),
        multiples: Sequence[int] = (1, 2, 4, 8),
    ) -> None:
        super().__init__()
        if len(kernels) != len(multiples) or not kernels:
            raise ValueError(f"kernels ({len(kernels)}) and multiples ({len(multiples)}) must have the same length")
        if any(kernel % 2 == 0 for kernel in kernels):
            raise ValueError(f"kernels must be odd, so that confidences stay aligned; found {tuple(kernels)}")
        self.mask_channel = mask_channel(layout)
        sizes = [in_channels, *(multiple * width for multiple in multiples)]
        self.convs = nn.ModuleList(
            NormalizedConv(a, b, kernel, 2) for a, b, kernel in zip(sizes, sizes[1:], kernels, strict=False)
        )
        self.channels = {2 ** (level + 1): 2 * size for level, size in enumerate(sizes[1:])}

    def forward(self, x: Tensor) -> dict[int, Tensor]:
        """Values and confidences of each level, under its stride."""
        sparse = Sparse(x, measured(x, self.mask_channel).expand_as(x))
        features = {}
        for stride, conv in zip(self.channels, self.convs, strict=True):
            sparse = conv(sparse)
            features[stride] = torch.cat(sparse, dim=1)
        return features
