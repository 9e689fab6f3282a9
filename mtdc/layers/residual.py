"""Residual block of two 3x3 convolutions (He et al., CVPR 2016, Fig. 2), with the zoo's conv unit inside."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from .conv import NEGATIVE_SLOPE, conv_unit


class ResidualBlock(nn.Module):
    """``(B, C, H, W)`` to the same: ``lrelu(x + norm(conv(unit(x))))``.

    Args:
        channels: C.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = conv_unit(channels, channels)
        self.second = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(channels)
        nn.init.kaiming_normal_(self.second.weight, a=NEGATIVE_SLOPE)

    def forward(self, x: Tensor) -> Tensor:
        """The block's output."""
        return functional.leaky_relu(x + self.norm(self.second(self.first(x))), NEGATIVE_SLOPE)
