"""Times that can be compared on a machine that others use too: what is compared takes turns, and medians are taken."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

#: Turns that a call takes however slow it is: fewer have no middle.
LEAST_TURNS = 3


def synchronise(device: str | torch.device) -> None:
    """Wait until a GPU has done what it was given; a processor has."""
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize()


def seconds_of(call: Callable[[], Any], device: str | torch.device) -> float:
    """Wall-clock seconds of one call, its work on a GPU included."""
    synchronise(device)
    start = time.perf_counter()
    call()
    synchronise(device)
    return time.perf_counter() - start


def alternate(
    calls: Mapping[str, Callable[[], Any]], rounds: int, device: str | torch.device, what: str, budget_s: float | None = None
) -> dict[str, list[float]]:
    """Seconds of each call, taken in turns after one call of each to warm up.

    Every second round goes backwards, so that a load that grows or falls steadily favours none.

    Args:
        calls: What is compared, by name.
        rounds: Turns of each.
        device: Where they compute.
        what: For the progress bar.
        budget_s: Seconds that the turns of one call may take together: a slower one is left out of some rounds, spread evenly
            over the run, and takes :data:`LEAST_TURNS` at least. None: every call takes every turn.
    """
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    turns: dict[str, int] = {}
    for name, call in calls.items():
        first = seconds_of(call, device)
        affordable = rounds if budget_s is None else int(budget_s / first) if first > 0 else rounds
        turns[name] = min(rounds, max(LEAST_TURNS, affordable))
    for number in tqdm(range(rounds), desc=what, unit="round", leave=False, disable=None):
        for name in list(calls)[:: 1 if number % 2 == 0 else -1]:
            if (number + 1) * turns[name] // rounds > number * turns[name] // rounds:
                seconds[name].append(seconds_of(calls[name], device))
    return seconds


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median, and the 10 and 90 % quantiles."""
    p10, median, p90 = np.quantile(np.asarray(values, np.float64), (0.1, 0.5, 0.9)).tolist()
    return {"median": median, "p10": p10, "p90": p90}
