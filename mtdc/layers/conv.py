"""The conv unit of the zoo and its up-sampling twin.

conv (no bias) - batch norm - LeakyReLU(0.2), as in self-supervised sparse-to-dense (Ma et al., ICRA 2019), Kaiming-initialised.
"""

from __future__ import annotations

from torch import nn

NEGATIVE_SLOPE = 0.2


def conv_unit(in_channels: int, out_channels: int, kernel_size: int = 3, stride: int = 1) -> nn.Sequential:
    """``(B, in, H, W) -> (B, out, ceil(H / stride), ceil(W / stride))`` for odd kernels."""
    conv = nn.Conv2d(in_channels, out_channels, kernel_size, stride, padding=kernel_size // 2, bias=False)
    return _unit(conv, out_channels)


def upsample_unit(in_channels: int, out_channels: int, factor: int) -> nn.Sequential:
    """``(B, in, H, W) -> (B, out, factor H, factor W)``: a 3x3 transposed convolution for 2, a 3x3 convolution for 1.

    Raises:
        ValueError: Another factor.
    """
    if factor == 1:
        return conv_unit(in_channels, out_channels)
    if factor != 2:
        raise ValueError(f"one stage can keep the size or double it, not multiply it by {factor}")
    conv = nn.ConvTranspose2d(in_channels, out_channels, 3, stride=2, padding=1, output_padding=1, bias=False)
    return _unit(conv, out_channels)


def _unit(conv: nn.Conv2d | nn.ConvTranspose2d, channels: int) -> nn.Sequential:
    nn.init.kaiming_normal_(conv.weight, a=NEGATIVE_SLOPE)
    return nn.Sequential(conv, nn.BatchNorm2d(channels), nn.LeakyReLU(NEGATIVE_SLOPE, inplace=True))
