"""A number that changes in the course of training: for weights of losses, of tasks, and whatever else is annealed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ..errors import did_you_mean

SHAPES = ("linear", "cosine", "step")


class Schedule:
    """``start`` before, ``end`` after, and between them a line, half a cosine wave or a step.

        value(p) = start + (end - start) shape((p - begin) / (until - begin))          p: share of training done, 0..1

    Args:
        shape: "linear", "cosine", or "step", which jumps at ``begin``.
        start, end: First and last value.
        begin, until: Shares of training between which the value changes; a step has no ``until``.

    Raises:
        ValueError: An unknown shape, or a number that can't be.
    """

    def __init__(
        self, shape: str = "linear", start: float = 0.0, end: float = 1.0, begin: float = 0.0, until: float | None = None
    ) -> None:
        if shape not in SHAPES:
            raise ValueError(f"schedule.shape='{shape}' is not known.{did_you_mean(str(shape), SHAPES)}")
        if shape == "step" and until is not None:
            raise ValueError(f"schedule.until={until!r}: a step has none, it jumps at begin={begin!r}")
        until = 1.0 if until is None else until
        numbers = {"start": start, "end": end, "begin": begin, "until": until}
        for name, value in numbers.items():
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
                raise ValueError(f"schedule.{name} must be a finite number, not {value!r}")
        ordered = 0 <= begin <= until <= 1 if shape == "step" else 0 <= begin < until <= 1
        if not ordered:
            raise ValueError(f"schedule needs 0 <= begin < until <= 1, shares of training, not begin={begin}, until={until}")
        self.shape, self.start, self.end, self.begin, self.until = shape, start, end, begin, until

    def __call__(self, progress: float) -> float:
        """The value at a share of training, 0..1."""
        if self.shape == "step":
            return self.end if progress >= self.begin else self.start
        share = min(max((progress - self.begin) / (self.until - self.begin), 0.0), 1.0)
        if self.shape == "cosine":
            share = 0.5 - 0.5 * math.cos(math.pi * share)
        return self.start + (self.end - self.start) * share


def build_schedule(cfg: Mapping[str, Any] | Schedule | None) -> Schedule | None:
    """The schedule that a config dict describes: ``dict(shape='linear', start=0.0, end=1.0, begin=0.0, until=0.5)``.

    Raises:
        ValueError: It is no dict, has an unknown key, or one of what :class:`Schedule` refuses.
    """
    if cfg is None or isinstance(cfg, Schedule):
        return cfg
    known = ("shape", "start", "end", "begin", "until")
    if not isinstance(cfg, Mapping):
        raise ValueError(f"schedule must be None or a dict such as dict(shape='linear', start=0.0, end=1.0), not {cfg!r}")
    for key in cfg:
        if key not in known:
            raise ValueError(f"schedule: unexpected key '{key}'.{did_you_mean(str(key), known)}")
    return Schedule(**cfg)
