"""Made-up inputs of a size, to count and to time a network with."""

from __future__ import annotations

import torch
from torch import Tensor

from ..contracts import Network


def example_inputs(network: Network, size: tuple[int, int], device: str = "cpu") -> dict[str, Tensor]:
    """One frame of everything that the network reads: ``{key: (1, C, H, W)}`` of ones, intrinsics ``(1, 3, 3)``."""
    shapes = {"sparse_depth": (1, 1, *size), "image": (1, 3, *size), "intrinsics": (1, 3, 3)}
    return {key: torch.ones(shapes[key], device=device) for key in network.needs}
