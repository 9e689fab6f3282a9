"""Numbers of several scenes in the place of one scene's: columns that broadcast against the scenes' rays.

The formulas of ground and light read numbers from a dataclass. A stack of S of them is the same dataclass with each number a
column ``(S, 1)``, for rays ``(S, R)``, so that a formula is written once and a batch costs as many operations as a scene.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor

Numbers = TypeVar("Numbers")
_TYPES = {bool: torch.bool, int: torch.int32, float: torch.float32}


def stacked(scenes: Sequence[Numbers], names: Sequence[str], flags: Sequence[str], device: torch.device | str) -> Numbers:
    """One object for all scenes; a single one stays as it is, its numbers plain.

    Args:
        scenes: Objects of one class.
        names: Attributes that are numbers, or tuples of as many numbers in each scene.
        flags: Attributes that say whether something is there at all; true where it is in any scene.
        device: Where columns lie.
    """
    if len(scenes) == 1:
        return scenes[0]
    made = copy.copy(scenes[0])
    # Past the frozen dataclass's own guard: the copy is nobody else's yet.
    vars(made).update({name: _columns([getattr(scene, name) for scene in scenes], device) for name in names})
    vars(made).update({name: any(getattr(scene, name) for scene in scenes) for name in flags})
    return made


def at_points(stack: Numbers, names: Sequence[str], which: Tensor) -> Numbers:
    """The stack with a number for each of P points, which belong to the scenes ``which (P,)``; plain numbers stay."""
    if not any(isinstance(getattr(stack, name), Tensor) for name in names):
        return stack
    made = copy.copy(stack)
    vars(made).update({name: _each(getattr(stack, name), lambda column: column[:, 0][which]) for name in names})
    return made


def _columns(values: Sequence[Any], device: torch.device | str) -> Any:
    if isinstance(values[0], tuple):
        return tuple(_columns(parts, device) for parts in zip(*values, strict=True))
    # Rounded once from what Python computed in double precision, as a plain number is where it meets a tensor.
    return torch.tensor(values, dtype=_TYPES[type(values[0])], device=device)[:, None]


def _each(value: Any, change: Callable[[Tensor], Tensor]) -> Any:
    return tuple(change(part) for part in value) if isinstance(value, tuple) else change(value)


def each_alone(function: Callable[[Tensor], Tensor], values: Tensor) -> Tensor:
    """A function of each element of ``(S, ...)``, to the bit the same for a scene in any company.

    On a processor the last elements of a tensor, fewer than its vectors hold, come from other code, which rounds powers and
    sigmoids otherwise: scenes are given to it one by one.
    """
    if len(values) == 1 or values.device.type != "cpu":
        return function(values)
    return torch.stack([function(one.contiguous()) for one in values])
