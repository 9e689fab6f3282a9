"""Several processes: torchrun or SLURM, on GPUs (nccl) or on the CPU (gloo); they begin, share and end together."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import torch
from mmengine.dist import all_reduce, all_reduce_params, get_world_size, init_dist
from mmengine.hooks import CheckpointHook, EMAHook, Hook
from mmengine.registry import HOOKS, MODEL_WRAPPERS
from torch import Tensor, nn

from ..errors import UserError
from ..interruption import terminated_as_interrupted

#: Ports that runs under SLURM meet at, one each by job and step: two runs may share a node.
FIRST_PORT, PORTS = 20000, 20000
#: Keys of the group's store: exit code and rank of the first process that ended before its time, and how many have.
_EXIT_CODE, _ENDED = "mtdc/exit_code", "mtdc/ended"
#: How often a process looks whether another has ended, and how long it then has to end what it is in.
_WATCH_S, _GRACE_S = 0.2, 2.0
#: How long the process that keeps the store waits for the others to look into it.
_LINGER_S = 10.0


@contextmanager
def processes(launcher: str) -> Iterator[None]:
    """The process group of a run, ended with it: gloo processes that aren't abort now and then at exit.

    Where one process ends by an error or an interruption, the others end too, with its exit code and without a word: what
    there is to say is said once. A scheduler's SIGTERM ends a run as ctrl-C does.

    Raises:
        UserError: The launcher's environment variables are missing, or another process was killed.
        SystemExit: Another process has ended and says why.
    """
    with terminated_as_interrupted():
        if launcher == "none":
            yield
            return
        store = _start_group(launcher)
        ended, told = threading.Event(), threading.Event()
        try:
            # A failing exchange alone would not do: gloo's connections last as long as their process, nccl waits for minutes.
            watch = threading.Thread(target=_watch, args=(store, ended, told), daemon=True)
            watch.start()
            yield
            torch.distributed.barrier()
            ended.set()
            watch.join()
            torch.distributed.barrier()  # nobody looks into the store any more, which one of the processes takes with it
        except BaseException as error:
            ended.set()
            if threading.current_thread() is threading.main_thread():
                signal.signal(signal.SIGTERM, signal.SIG_IGN)  # torchrun sends it to those that are ending already
            _leave(store, error, told.is_set())
            raise
        finally:
            torch.distributed.destroy_process_group()


def _watch(store: Any, ended: threading.Event, told: threading.Event) -> None:
    """End this process soon after another has ended before its time; ``told`` is set then."""
    while not ended.wait(_WATCH_S):
        try:
            if not store.check([_EXIT_CODE]):
                continue
        except RuntimeError:
            return  # the store is gone with its process: an exchange will fail
        told.set()
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)
        if not ended.wait(_GRACE_S):  # it waits for an exchange, where no signal wakes it
            store.add(_ENDED, 1)
            os._exit(int(store.get(_EXIT_CODE).split()[0]))


def _leave(store: Any, error: BaseException, told: bool) -> None:
    """Tell the others that this process ends; returns in the first alone, which says why.

    Args:
        store: The group's.
        error: Why it ends.
        told: It ends because another has. Where the store is gone by now, with its process, that one has said why.
    """
    rank, code, lost = os.environ["RANK"], _exit_code(error), _is_lost_connection(error)
    first = not told
    with suppress(RuntimeError):  # a store that is gone has told nobody
        winner = store.compare_set(_EXIT_CODE, "", f"{code} {rank}").decode().split()
        code, first = int(winner[0]), winner[1] == rank
        store.add(_ENDED, 1)
    if not first:
        raise SystemExit(code) from error
    if rank == "0" and os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True":
        end = time.monotonic() + _LINGER_S
        while store.add(_ENDED, 0) < int(os.environ["WORLD_SIZE"]) - lost and time.monotonic() < end:
            time.sleep(0.05)
    if lost:
        raise UserError(
            "another process of this run has ended. Where it said nothing above, it was killed (out of memory?). "
            "A training that has written a checkpoint goes on from it with --resume."
        ) from error


def _exit_code(error: BaseException) -> int:
    if isinstance(error, KeyboardInterrupt):
        return 130
    return 2 if isinstance(error, (UserError, OSError)) or _is_lost_connection(error) else 1


def _is_lost_connection(error: BaseException) -> bool:
    return isinstance(error, RuntimeError) and ("gloo" in str(error) or isinstance(error, torch.distributed.DistError))


def _start_group(launcher: str) -> Any:
    """Join the group that a launcher's variables describe; its store."""
    wanted = (
        ("RANK", "WORLD_SIZE", "LOCAL_RANK") if launcher == "pytorch" else ("SLURM_PROCID", "SLURM_NTASKS", "SLURM_NODELIST")
    )
    missing = [name for name in wanted if name not in os.environ]
    if missing:
        starter = "torchrun --nproc-per-node=N" if launcher == "pytorch" else "srun"
        raise UserError(f"--launcher {launcher}: the variable {missing[0]} is not set. Start the command with {starter}.")
    if launcher == "slurm":
        os.environ.update(slurm_variables())
    threads = os.environ.get("OMP_NUM_THREADS") or os.environ.get("SLURM_CPUS_PER_TASK") or "1"
    os.environ.update(OMP_NUM_THREADS=threads, MKL_NUM_THREADS=os.environ.get("MKL_NUM_THREADS") or threads)
    torch.set_num_threads(int(threads))  # torch's default, all cores for each process, lets them wait for each other
    if torch.cuda.is_available():
        init_dist("pytorch", backend="nccl")
    else:
        # mmengine's init_dist sets a CUDA device whatever the backend is, which a CPU build of torch hasn't.
        torch.distributed.init_process_group("gloo")
    return torch.distributed.distributed_c10d._get_default_store()


def slurm_variables() -> dict[str, str]:
    """What torch's env:// initialisation reads, from SLURM's variables; an address and a port that are set stay.

    Raises:
        UserError: ``scontrol``, which knows the nodes' names, is missing or fails.
    """
    nodes = os.environ.get("SLURM_STEP_NODELIST", os.environ["SLURM_NODELIST"])
    job, step = (int(os.environ.get(name, "0")) for name in ("SLURM_JOB_ID", "SLURM_STEP_ID"))
    local = int(os.environ.get("SLURM_LOCALID", "0"))
    if torch.cuda.is_available():
        local %= torch.cuda.device_count()  # where each task sees one GPU, that is number 0 to all of them
    return {
        "MASTER_ADDR": os.environ.get("MASTER_ADDR") or _first_node(nodes),
        "MASTER_PORT": os.environ.get("MASTER_PORT") or str(FIRST_PORT + (job * 16 + step) % PORTS),
        "RANK": os.environ["SLURM_PROCID"],
        "WORLD_SIZE": os.environ["SLURM_NTASKS"],
        "LOCAL_RANK": str(local),
    }


def _first_node(nodes: str) -> str:
    if not set(nodes) & set("[,"):
        return nodes
    try:
        listed = subprocess.run(["scontrol", "show", "hostnames", nodes], capture_output=True, text=True, check=True)
        return listed.stdout.split()[0]
    except (OSError, subprocess.CalledProcessError, IndexError) as error:
        raise UserError(
            f"--launcher slurm: `scontrol show hostnames {nodes}` does not name the nodes ({error}). "
            "Set MASTER_ADDR to the first of them."
        ) from error


@HOOKS.register_module()
class ShareBuffersHook(Hook):  # type: ignore[misc]  # mmengine has no types
    """Processes average what batch norm measured, each on its own frames, before they evaluate and before they save.

    mmengine's own hook leaves out the averaged weights' (EMA) values and checkpoints inside an epoch: the process that writes
    those would save its own values, and a resumed run would go on with them in all processes.
    """

    def __init__(self) -> None:
        self._shared = False

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        """From here on they differ again."""
        self._shared = False

    def after_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Share where a checkpoint follows."""
        if any(self._saves(runner, hook) for hook in runner.hooks if isinstance(hook, CheckpointHook)):
            self._share(runner)

    def after_train_epoch(self, runner: Any) -> None:
        """Share: a checkpoint may follow."""
        self._share(runner)

    def before_val_epoch(self, runner: Any) -> None:
        """Share, if that was not done since the last step."""
        self._share(runner)

    @staticmethod
    def _saves(runner: Any, hook: Any) -> bool:
        if hook.by_epoch:
            return False
        return hook.every_n_train_iters(runner, hook.interval) or (hook.save_last and hook.is_last_train_iter(runner))

    def _share(self, runner: Any) -> None:
        if self._shared or get_world_size() == 1:
            return
        models = [runner.model, *(hook.ema_model.module for hook in runner.hooks if isinstance(hook, EMAHook))]
        buffers = [buffer for model in models for buffer in model.buffers() if buffer.is_floating_point()]
        if buffers:
            all_reduce_params(buffers, op="mean")
        self._shared = True


class _Sum(torch.autograd.Function):
    """Sum of a tensor over all processes; so is its gradient."""

    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        total = value.clone()
        all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].contiguous().clone()
        all_reduce(total)
        return total


class SharedBatchNorm2d(nn.BatchNorm2d):
    """Batch norm over the frames of all processes, on any device: in training mean and variance are the global batch's.

    In evaluation, and in a single process, it is torch's. (torch's ``SyncBatchNorm`` computes on GPUs alone.)
    """

    @torch.compiler.disable
    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, H, W)`` to the same."""
        if not self.training or get_world_size() == 1:
            return super().forward(x)
        values = x.float()
        count = values.new_tensor([values.numel() / values.shape[1]])
        sums = _Sum.apply(torch.cat((values.sum((0, 2, 3)), count)))
        number = sums[-1].detach()
        mean = sums[:-1] / number
        centred = values - mean[:, None, None]
        variance = _Sum.apply(centred.square().sum((0, 2, 3))) / number
        self._note(mean.detach(), variance.detach() * number / (number - 1))
        scale = torch.rsqrt(variance + self.eps) * self.weight
        return (centred * scale[:, None, None] + self.bias[:, None, None]).to(x.dtype)

    def _note(self, mean: Tensor, variance: Tensor) -> None:
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked.add_(1)
        factor = 1 / int(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean, factor)
        self.running_var.lerp_(variance, factor)


def share_batch_norm(model: nn.Module) -> None:
    """Make every batch norm of a model one over all processes, in place; weights and their names stay."""
    if torch.cuda.is_available():
        nn.SyncBatchNorm.convert_sync_batchnorm(model)
        return
    for module in model.modules():
        if type(module) is nn.BatchNorm2d:
            module.__class__ = SharedBatchNorm2d


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
