"""The decoder at the end of a task: from its last stream to full resolution (G_d2 and G_r2 of Lu et al., CVPR 2020, Eq. 12).

The paper's text leaves its layers open. Chosen here: transposed convolutions to full size, one convolution there to sharpen
edges, and a linear 3x3 convolution. Or, at a tenth of the cost, a convolution at the stream's own size whose channels are
rearranged into the pixels (sub-pixel convolution: Shi et al., CVPR 2016), and the same linear convolution.
"""

from __future__ import annotations

from torch import Tensor, nn

from .conv import conv_unit, upsample_unit

#: Hidden channels as a multiple of the network's width: 64 at the reference width of 16.
HIDDEN_MULTIPLE = 4
#: How a decoder gets to full resolution.
UPSAMPLING = ("transposed_conv", "sub_pixel")
#: Spread of the last layer's first weights: the output starts at its offset, yet every parameter has a gradient.
OUTPUT_INIT_STD = 1e-3


class Decoder(nn.Module):
    """``(B, in_channels, H/stride, W/stride) -> (B, out_channels, H, W)``, linear, starting near zero.

    Args:
        in_channels: Channels of the task's last stream.
        stride: Its stride, a power of two.
        width: The network's width; hidden maps have four times as many channels.
        out_channels: Channels of the output.
        upsampling: "transposed_conv" or "sub_pixel" (hidden maps then have half the width's channels).

    Raises:
        ValueError: A stride that is no power of two, or another way of upsampling.
    """

    def __init__(
        self, in_channels: int, stride: int, width: int, out_channels: int, upsampling: str = "transposed_conv"
    ) -> None:
        super().__init__()
        if stride < 1 or stride & (stride - 1):
            raise ValueError(f"the last stream's stride must be a power of two, not {stride}")
        if upsampling not in UPSAMPLING:
            raise ValueError(f"upsampling must be one of {', '.join(UPSAMPLING)}, not '{upsampling}'")
        if upsampling == "sub_pixel":
            self.hidden_channels = max(1, width // 2)
            self.hidden = nn.Sequential(conv_unit(in_channels, self.hidden_channels * stride**2), nn.PixelShuffle(stride))
        else:
            self.hidden_channels = HIDDEN_MULTIPLE * width
            self.hidden = self._transposed(in_channels, stride)
        self.output = nn.Conv2d(self.hidden_channels, out_channels, 3, padding=1)
        nn.init.normal_(self.output.weight, std=OUTPUT_INIT_STD)
        assert self.output.bias is not None
        nn.init.zeros_(self.output.bias)

    def _transposed(self, channels: int, stride: int) -> nn.Sequential:
        layers: list[nn.Module] = []
        while stride > 1:
            layers.append(upsample_unit(channels, self.hidden_channels, 2))
            channels, stride = self.hidden_channels, stride // 2
        layers.append(conv_unit(channels, self.hidden_channels))
        return nn.Sequential(*layers)

    def forward(self, stream: Tensor) -> tuple[Tensor, Tensor]:
        """The raw output ``(B, out_channels, H, W)`` and the last hidden map ``(B, hidden_channels, H, W)``."""
        hidden = self.hidden(stream)
        return self.output(hidden), hidden
