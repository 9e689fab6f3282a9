"""Convolutions that know where their input is empty: sparsity-invariant and normalized."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
import torch.nn.functional as functional
from torch import Tensor, nn

#: Added to the sum of confidences, in float32.
EPSILON = 1e-8
#: Confidences below this are 0. They are nothing beside EPSILON, and what they shrink to with each layer, denormal numbers,
#: takes processors many times as long to multiply.
LEAST_CONFIDENCE = 1e-20


class Sparse(NamedTuple):
    """A map and how far each of its values is known.

    Shapes: ``values (B, C, H, W)``; ``known (B, 1 or C, H, W)``: 0 or 1 for a mask, 0..1 for a confidence.
    """

    values: Tensor
    known: Tensor


class SparsityInvariantConv(nn.Module):
    """Sparsity-invariant convolution with mask propagation (Uhrig et al., 3DV 2017, Eqs. 2 and 3).

        y(u) = sum_j o(u+j) x(u+j) w(j) / max(1, sum_j o(u+j)) + b,      o'(u) = max_j o(u+j)          o: mask of one channel

    ``Sparse (B, in, H, W)`` to ``(B, out, ceil(H / stride), ceil(W / stride))`` and its mask.

    Args:
        in_channels, out_channels: C before and after.
        kernel_size: Odd.
        stride: Of the convolution and of the mask.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, stride: int = 1) -> None:
        super().__init__()
        self.kernel_size, self.stride = kernel_size, stride
        self.conv = nn.Conv2d(in_channels, out_channels, kernel_size, stride, kernel_size // 2, bias=False)
        self.bias = nn.Parameter(torch.zeros(out_channels))
        # The mean over observed values stands where a sum would: weights are larger than usual by the window's size.
        nn.init.normal_(self.conv.weight, std=kernel_size * (2 / in_channels) ** 0.5)

    def forward(self, sparse: Sparse) -> Sparse:
        """Values normalised by the number of observed ones, and where there was any."""
        mask = sparse.known.to(sparse.values.dtype)
        size, padding = self.kernel_size, self.kernel_size // 2
        total = self.conv(sparse.values * mask)
        window = mask.new_ones(1, 1, size, size)
        count = functional.conv2d(mask, window, stride=self.stride, padding=padding)
        # Where nothing is observed the sum is 0 too; an epsilon would be 0 itself in half precision.
        values = total / count.to(total.dtype).clamp(min=1) + self.bias.view(1, -1, 1, 1).to(total.dtype)
        return Sparse(values, functional.max_pool2d(mask, size, self.stride, padding))


class NormalizedConv(nn.Module):
    """Normalized convolution with confidence propagation (Eldesokey, Felsberg, Khan, TPAMI 2020, Eqs. 4 and 7).

        y = sum_j x c g(w_j) / (sum_j c g(w_j) + eps) + b,       c' = sum_j c g(w_j) / sum_j g(w_j),          g = softplus

    ``Sparse (B, in, H, W)`` with a confidence a channel, to ``(B, out, ceil(H / stride), ceil(W / stride))`` and its own.
    Computed in float32: confidences far from any point are smaller than half precision can hold.

    Args:
        in_channels, out_channels: C before and after.
        kernel_size: Odd.
        stride: Of the convolution.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, stride: int = 1) -> None:
        super().__init__()
        self.kernel_size, self.stride = kernel_size, stride
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels, kernel_size, kernel_size))
        self.bias = nn.Parameter(torch.zeros(out_channels))
        nn.init.normal_(self.weight, mean=2.0, std=(2 / (kernel_size**2 * in_channels)) ** 0.5)

    def forward(self, sparse: Sparse) -> Sparse:
        """Values averaged by confidence and applicability, and the confidence that is left."""
        with torch.autocast(sparse.values.device.type, enabled=False):
            # Applied here and not written into the weights: there it would be applied again with every step.
            applicability = functional.softplus(self.weight.float())
            confidence = sparse.known.float()
            stride, padding = self.stride, self.kernel_size // 2
            total = functional.conv2d(sparse.values.float() * confidence, applicability, None, stride, padding)
            share = functional.conv2d(confidence, applicability, None, stride, padding)
            values = total / (share + EPSILON) + self.bias.view(1, -1, 1, 1)
            known = share / applicability.sum(dim=(1, 2, 3)).view(1, -1, 1, 1)
            return Sparse(values, torch.where(known > LEAST_CONFIDENCE, known, 0))


def mask_channel(layout: Mapping[str, int]) -> int:
    """Number of the channel that says where depth was measured: "mask", else "sparse_depth", which is above 0 there.

    Raises:
        ValueError: There is neither.
    """
    for name in ("mask", "sparse_depth"):
        if layout.get(name) == 1:
            names = list(layout)
            return sum(layout[before] for before in names[: names.index(name)])
    has = ", ".join(layout)
    raise ValueError(f"it needs a representation with the channel 'mask' or 'sparse_depth'; this one has {has}")


def measured(x: Tensor, channel: int) -> Tensor:
    """``(B, C, H, W) -> (B, 1, H, W)``: 1 where the mask's channel is above 0."""
    return torch.gt(x[:, channel : channel + 1], 0).to(x.dtype)
