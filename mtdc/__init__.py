"""mtdc: the component zoo for multi-task depth completion."""

from typing import TYPE_CHECKING, Any

from .contracts import (
    Batch,
    Completion,
    Encoder,
    InputRepresentation,
    Loss,
    Network,
    Prepared,
    Refinement,
    Sharing,
    Task,
    TaskOutput,
    Transform,
    Trunk,
    Weighting,
)
from .errors import ConfigError, DataError, UserError
from .structures import DepthSample, Field, Frame

if TYPE_CHECKING:
    from .infer import Completer, load

__version__ = "0.1.0"
__all__ = [
    "Batch",
    "Completer",
    "Completion",
    "ConfigError",
    "DataError",
    "DepthSample",
    "Encoder",
    "Field",
    "Frame",
    "InputRepresentation",
    "Loss",
    "Network",
    "Prepared",
    "Refinement",
    "Sharing",
    "Task",
    "TaskOutput",
    "Transform",
    "Trunk",
    "UserError",
    "Weighting",
    "load",
]


def __getattr__(name: str) -> Any:
    """``mtdc.Completer`` and ``mtdc.load`` bring the training engine along, and are imported when they are asked for."""
    if name in ("Completer", "load"):
        from . import infer

        return getattr(infer, name)
    raise AttributeError(f"module 'mtdc' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
