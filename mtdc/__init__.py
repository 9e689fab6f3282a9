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
    from .infer import Completer

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
]


def __getattr__(name: str) -> Any:
    """``mtdc.Completer`` brings the training engine along, and is imported when it is asked for."""
    if name == "Completer":
        from .infer import Completer

        return Completer
    raise AttributeError(f"module 'mtdc' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
