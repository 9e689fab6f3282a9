"""Multi-kernel Inception encoder F (Lu et al., CVPR 2020, section 3.2 and Fig. 3).

    f_0 = Cat( branch_3(x), branch_5(x), branch_7(x), branch_9(x) )          each branch: kernel k, down to stride 16

Shapes      x (B, C, H, W) -> {16: (B, sum of the branches' last channels, ceil(H/16), ceil(W/16))}; with every_stride also the
            branches' earlier layers, concatenated, under 2, 4 and 8.
Test time   all of it.
Differs     the paper leaves layers and channels open; chosen: four stride-2 conv units a branch, 1, 2, 4, 8 times the width.
Cost        at width 16 and one input channel 1.77 M weights: sum of k^2 = 164, times 10,768.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from ..contracts import Encoder
from ..layers.conv import conv_unit
from ..registry import ENCODERS


@ENCODERS.register_module()
class MultiKernelEncoder(Encoder):
    """Parallel branches of one kernel size each, concatenated at the last stride.

    Args:
        in_channels, layout, width: Given by the network.
        kernels: Kernel size of each branch, odd.
        multiples: Channels of a branch's layers, as multiples of the width.
        strides: Stride of each layer, 1 or 2.
        every_stride: Also give the map of each earlier stride, for trunks with skip connections.

    Raises:
        ValueError: No kernel, an even or repeated one, a multiple below 1, or as many multiples as strides are not given.
    """

    def __init__(
        self,
        in_channels: int,
        layout: Mapping[str, int],
        width: int,
        kernels: Sequence[int] = (3, 5, 7, 9),
        multiples: Sequence[int] = (1, 2, 4, 8),
        strides: Sequence[int] = (2, 2, 2, 2),
        every_stride: bool = False,
    ) -> None:
        super().__init__()
        even = [kernel for kernel in kernels if kernel % 2 == 0]
        if even:
            raise ValueError(f"kernels must be odd, so that branches stay aligned; found {even[0]}")
        if not kernels or len(set(kernels)) != len(kernels):
            raise ValueError(f"kernels must name at least one size and each once, not {tuple(kernels)}")
        if min(multiples, default=0) < 1:
            raise ValueError(f"multiples must be 1 or more, not {tuple(multiples)}")
        if len(multiples) != len(strides):
            raise ValueError(f"multiples ({len(multiples)}) and strides ({len(strides)}) must have the same length")
        self.branches = nn.ModuleDict()
        for kernel in kernels:
            sizes = [in_channels, *(multiple * width for multiple in multiples)]
            units = [conv_unit(a, b, kernel, stride) for a, b, stride in zip(sizes, sizes[1:], strides, strict=False)]
            self.branches[f"kernel{kernel}"] = nn.Sequential(*units)
        #: Stride after each layer; of layers of one stride the last one's map is given.
        self.strides = [math.prod(strides[: n + 1]) for n in range(len(strides))]
        at_stride = dict(zip(self.strides, multiples, strict=True))
        given = at_stride if every_stride else [self.strides[-1]]
        self.channels = {stride: len(kernels) * at_stride[stride] * width for stride in given}

    def forward(self, x: Tensor) -> dict[int, Tensor]:
        """The concatenated branches, under their stride."""
        maps: dict[int, list[Tensor]] = {stride: [] for stride in self.channels}
        for branch in self.branches.values():
            stream, layers = x, {}
            for stride, layer in zip(self.strides, cast(nn.Sequential, branch), strict=True):
                stream = layers[stride] = layer(stream)
            for stride in maps:
                maps[stride].append(layers[stride])
        return {stride: torch.cat(branches, dim=1) for stride, branches in maps.items()}
