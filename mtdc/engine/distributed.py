"""Several processes: torchrun or SLURM, on GPUs (nccl) or on the CPU (gloo)."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from mmengine.dist import init_dist
from mmengine.registry import MODEL_WRAPPERS

from ..errors import UserError

DEFAULT_PORT = "29500"


@contextmanager
def processes(launcher: str) -> Iterator[None]:
    """The process group of a run, ended with it: gloo processes that aren't abort now and then at exit.

    Raises:
        UserError: The launcher's environment variables are missing.
    """
    if launcher == "none":
        yield
        return
    wanted = (
        ("RANK", "WORLD_SIZE", "LOCAL_RANK") if launcher == "pytorch" else ("SLURM_PROCID", "SLURM_NTASKS", "SLURM_NODELIST")
    )
    missing = [name for name in wanted if name not in os.environ]
    if missing:
        starter = "torchrun --nproc-per-node=N" if launcher == "pytorch" else "srun"
        raise UserError(f"--launcher {launcher}: the variable {missing[0]} is not set. Start the command with {starter}.")
    if torch.cuda.is_available():
        init_dist(launcher, backend="nccl")
    else:
        # mmengine's init_dist sets a CUDA device whatever the backend is, which a CPU build of torch hasn't.
        if launcher == "slurm":
            _slurm_environment()
        torch.distributed.init_process_group("gloo")
    try:
        yield
    finally:
        torch.distributed.destroy_process_group()


def _slurm_environment() -> None:
    """What torch's env:// initialisation reads, from SLURM's variables."""
    nodes = os.environ["SLURM_NODELIST"]
    listed = subprocess.run(["scontrol", "show", "hostnames", nodes], capture_output=True, text=True, check=True)
    os.environ.setdefault("MASTER_ADDR", listed.stdout.split()[0])
    os.environ.setdefault("MASTER_PORT", DEFAULT_PORT)
    os.environ["RANK"] = os.environ["SLURM_PROCID"]
    os.environ["WORLD_SIZE"] = os.environ["SLURM_NTASKS"]
    os.environ["LOCAL_RANK"] = os.environ.get("SLURM_LOCALID", "0")


@MODEL_WRAPPERS.register_module()
class NoWrapper:
    """The model as it is: a method without weights has no gradient to exchange. (mmengine asks for a class.)"""

    def __new__(cls, module: torch.nn.Module) -> torch.nn.Module:  # type: ignore[misc]
        """The module itself."""
        return module


def wrapper_config(trainable: bool) -> dict[str, Any]:
    """How mmengine wraps a model for several processes.

    Every parameter has a gradient at every step (a task without a label costs 0 with a graph), so none is looked for; a CPU
    has no device ids.
    """
    if not trainable:
        return {"type": "NoWrapper"}
    config: dict[str, Any] = {"type": "MMDistributedDataParallel", "broadcast_buffers": False}
    if not torch.cuda.is_available():
        config["device_ids"] = None
    return config
