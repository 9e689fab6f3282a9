"""mtdc: the component zoo for multi-task depth completion."""

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

__version__ = "0.1.0"
__all__ = [
    "Batch",
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
