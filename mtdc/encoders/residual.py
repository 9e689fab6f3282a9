"""Residual encoder with a map at every stride, for trunks with skip connections (U-Net: Ronneberger et al., MICCAI 2015; the
block: He et al., CVPR 2016, Fig. 2).

    x_0 = Phi(unshuffle_2(x)),   x_{k+1} = blocks(Phi(x_k)),   block(x) = lrelu(x + norm(conv(Phi(x))))

Shapes      x (B, C, H, W) -> {2: (B, c_0, H/2, W/2), 4: (B, c_1, H/4, W/4), ...}, c_k = multiples[k] * width.
Test time   all of it.
Differs     from both: space-to-depth (Shi et al., CVPR 2016) instead of a strided first layer, so that no measured point is
            averaged away and nothing runs at full resolution; leaky rectifiers.
Cost        at width 16 and three input channels 1.0 M weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor, nn
from torch.nn import functional

from ..contracts import Encoder
from ..layers.conv import conv_unit
from ..layers.residual import ResidualBlock
from ..registry import ENCODERS


@ENCODERS.register_module()
class ResidualEncoder(Encoder):
    """Space-to-depth, then levels of residual blocks, each at half the size of the one before.

    Args:
        in_channels, layout, width: Given by the network.
        multiples: Channels of each level as multiples of the width; the first level has stride 2.
        blocks: Residual blocks of each level.

    Raises:
        ValueError: No level, a multiple below 1, or as many block counts as levels are not given.
    """

    def __init__(
        self,
        in_channels: int,
        layout: Mapping[str, int],
        width: int,
        multiples: Sequence[int] = (2, 4, 6, 8),
        blocks: Sequence[int] = (1, 1, 1, 1),
    ) -> None:
        super().__init__()
        if min(multiples, default=0) < 1:
            raise ValueError(f"multiples must be 1 or more, not {tuple(multiples)}")
        if len(blocks) != len(multiples):
            raise ValueError(f"blocks ({len(blocks)}) and multiples ({len(multiples)}) must have the same length")
        sizes = [multiple * width for multiple in multiples]
        self.channels = {2 ** (level + 1): size for level, size in enumerate(sizes)}
        self.levels = nn.ModuleList()
        before = 4 * in_channels
        for level, (size, count) in enumerate(zip(sizes, blocks, strict=True)):
            down = conv_unit(before, size, 3, 1 if level == 0 else 2)
            self.levels.append(nn.Sequential(down, *(ResidualBlock(size) for _ in range(count))))
            before = size

    def forward(self, x: Tensor) -> dict[int, Tensor]:
        """The map of each level, under its stride."""
        height, width = x.shape[-2:]
        # An odd side is extended by its last row or column: every map then has ceil(H / stride) rows.
        x = functional.pad(x, (0, width % 2, 0, height % 2), mode="replicate")
        x = functional.pixel_unshuffle(x, 2)
        features = {}
        for stride, level in zip(self.channels, self.levels, strict=True):
            x = level(x)
            features[stride] = x
        return features
