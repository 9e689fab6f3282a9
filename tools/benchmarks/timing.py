"""Times that can be compared on a machine that others use too: what is compared takes turns, and medians are taken."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

#: Side of the square matrices whose product measures a machine: large enough that memory doesn't limit it.
SIDES = {"cpu": 2048, "cuda": 8192}
QUICK_SIDE = 128


def synchronise(device: str) -> None:
    """Wait until a GPU has done what it was given; a processor has."""
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize()


def seconds_of(call: Callable[[], Any], device: str) -> float:
    """Wall-clock seconds of one call, its work on a GPU included."""
    synchronise(device)
    start = time.perf_counter()
    call()
    synchronise(device)
    return time.perf_counter() - start


def alternate(calls: Mapping[str, Callable[[], Any]], rounds: int, device: str, what: str) -> dict[str, list[float]]:
    """Seconds of each call, taken in turns after one call of each to warm up.

    Every second round goes backwards, so that a load that grows or falls steadily favours none.
    """
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for call in calls.values():
        call()
    for number in tqdm(range(rounds), desc=what, unit="round", leave=False, disable=None):
        for name in list(calls)[:: 1 if number % 2 == 0 else -1]:
            seconds[name].append(seconds_of(calls[name], device))
    return seconds


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median, and the 10 and 90 % quantiles."""
    p10, median, p90 = np.quantile(np.asarray(values, np.float64), (0.1, 0.5, 0.9)).tolist()
    return {"median": median, "p10": p10, "p90": p90}


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
