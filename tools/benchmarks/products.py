"""Work whose multiply-accumulates are known: what else is measured is held against how fast the machine does that."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from mtdc.analysis.timing import spread

#: Side of the square matrices whose product measures a machine: large enough that memory doesn't limit it.
SIDES = {"cpu": 2048, "cuda": 8192}
QUICK_SIDE = 128


class Multiplication:
    """A product of two square matrices: work whose multiply-accumulates are known.

    Args:
        side: Rows and columns of the matrices.
        dtype: Their type.
        device: Where they are.
    """

    def __init__(self, side: int, dtype: torch.dtype, device: str = "cpu") -> None:
        generator = torch.Generator().manual_seed(0)
        self.a, self.b = (torch.randn(side, side, generator=generator).to(device, dtype) for _ in range(2))
        self.out = torch.empty_like(self.a)
        #: Multiply-accumulates of one product.
        self.macs = side**3

    def __call__(self) -> None:
        """Multiply once."""
        torch.mm(self.a, self.b, out=self.out)

    def rate(self, seconds: Sequence[float]) -> dict[str, float]:
        """Multiply-accumulates a second from the times of single products: median, and the 10 and 90 % quantiles."""
        return spread([self.macs / one for one in seconds])


def multiplications(device: str, quick: bool) -> dict[str, Multiplication]:
    """The products by name of the precision that networks compute in."""
    side = QUICK_SIDE if quick else SIDES[torch.device(device).type]
    return {name: Multiplication(side, getattr(torch, name), device) for name in ("float32", "bfloat16")}
