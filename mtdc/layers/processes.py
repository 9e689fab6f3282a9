"""Small numbers that several training processes share."""

from __future__ import annotations

import torch.distributed
from torch import Tensor


def mean_of_processes(values: Tensor) -> Tensor:
    """The mean over all processes of a tensor without a graph; the tensor itself where there is one process."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return values
    total = values.clone()
    torch.distributed.all_reduce(total)
    return total / torch.distributed.get_world_size()
