"""Multi-kernel Inception encoder F (Lu et al., CVPR 2020, section 3.2 and Fig. 3).

    f_0 = Cat( branch_3(x), branch_5(x), branch_7(x), branch_9(x) )          each branch: kernel k, down to stride 16

Shapes      x (B, C, H, W) -> {16: (B, sum of the branches' last channels, ceil(H/16), ceil(W/16))}.
Test time   all of it.
Differs     the paper leaves layers and channels open; chosen: four stride-2 conv units a branch, 1, 2, 4, 8 times the width.
Cost        at width 16 and one input channel 1.77 M weights: sum of k^2 = 164, times 10,768.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

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
        stride = 1
        for step in strides:
            stride *= step
        self.stride = stride
        self.channels = {stride: len(kernels) * multiples[-1] * width}

    def forward(self, x: Tensor) -> dict[int, Tensor]:
        """The concatenated branches, under their stride."""
        return {self.stride: torch.cat([branch(x) for branch in self.branches.values()], dim=1)}
