"""Sparsity-invariant encoder: convolutions over observed values alone, with their mask (Uhrig et al., 3DV 2017, Eqs. 2 to 4).

    (x, o)_{l+1} = lrelu( SparseConv_l(x_l, o_l) )          o_0 = the mask of measured pixels; see layers/sparse_conv.py

Shapes      x (B, C, H, W) with a channel "mask" -> {2: (B, c_0, H/2, W/2), 4: ..., 8: ..., 16: ...},
            c_k = multiples[k] * width.
Test time   all of it.
Differs     from the paper's network of one resolution: strides, so that trunks can follow; the first layers keep its large
            kernels. The mask is full after a few layers, as in the paper.
Cost        at width 16 and three input channels 0.4 M weights, and a pooling a layer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor, nn
from torch.nn import functional

from ..contracts import Encoder
from ..layers.conv import NEGATIVE_SLOPE
from ..layers.sparse_conv import Sparse, SparsityInvariantConv, mask_channel, measured
from ..registry import ENCODERS


@ENCODERS.register_module()
class SparsityInvariantEncoder(Encoder):
    """One sparsity-invariant convolution of stride 2 a level.

    Args:
        in_channels, layout, width: Given by the network; the layout needs a channel "mask", or the one channel "sparse_depth",
            whose measured pixels are those above 0.
        kernels: Kernel size of each level, odd.
        multiples: Channels of each level as multiples of the width.

    Raises:
        ValueError: The layout has no mask, an even kernel, or as many multiples as kernels are not given.
    """

    def __init__(
        self,
        in_channels: int,
        layout: Mapping[str, int],
        width: int,
        kernels: Sequence[int] = (11, 7, 5, 3),
        multiples: Sequence[int] = (1, 2, 4, 8),
    ) -> None:
        super().__init__()
        if len(kernels) != len(multiples) or not kernels:
            raise ValueError(f"kernels ({len(kernels)}) and multiples ({len(multiples)}) must have the same length")
        if any(kernel % 2 == 0 for kernel in kernels):
            raise ValueError(f"kernels must be odd, so that masks stay aligned; found {tuple(kernels)}")
        self.mask_channel = mask_channel(layout)
        sizes = [in_channels, *(multiple * width for multiple in multiples)]
        self.convs = nn.ModuleList(
            SparsityInvariantConv(a, b, kernel, 2) for a, b, kernel in zip(sizes, sizes[1:], kernels, strict=False)
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(size) for size in sizes[1:])
        self.channels = {2 ** (level + 1): size for level, size in enumerate(sizes[1:])}

    def forward(self, x: Tensor) -> dict[int, Tensor]:
        """The values of each level, under its stride."""
        sparse = Sparse(x, measured(x, self.mask_channel))
        features = {}
        for stride, conv, norm in zip(self.channels, self.convs, self.norms, strict=True):
            values, known = conv(sparse)
            sparse = Sparse(functional.leaky_relu(norm(values), NEGATIVE_SLOPE), known)
            features[stride] = sparse.values
        return features
