"""What a training on all of KITTI costs: memory of a step, multiply-accumulates, hours.

One training step is made at two batch sizes, so that memory splits into what is there whatever the batch is and what each frame
adds. On a GPU the peak is its allocator's; on a processor the memory of all tensors is followed from their making to their end.
"""

from __future__ import annotations

import copy
import tempfile
import weakref
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from mtdc.analysis.timing import seconds_of, spread
from mtdc.engine.precision import resolve
from mtdc.engine.strip import count_parameters
from mtdc.model import build_model

from . import step
from .settings import Settings, shown_size
from .streets import MemoryStreets

WHAT = (
    "A training on all of KITTI: the step's memory and time, measured, and the hours of as many frames as the config's epochs "
    "have, without loading and validation"
)
COLUMNS = {
    "config": "config",
    "size": "size",
    "precision": "precision",
    "parameters": "parameters",
    "gmacs": "GMACs a frame",
    "fixed_mb": "MB at any batch",
    "frame_mb": "MB more a frame",
    "batch": "batch of the config",
    "batch_gb": "GB at it",
    "completion_mb": "MB to complete a frame",
    "measured_batch": "measured at batch",
    "frame_ms": "ms a frame",
    "steps": "steps",
    "hours": "hours",
}
CONFIGS = ("aux_image_kitti",)
#: Frames of KITTI's training split.
KITTI_FRAMES = 85898
STEPS, WARM_STEPS = 3, 1
#: Published peaks of dense products, TFLOP/s (a multiply-accumulate is two operations): bfloat16, and TF32, in which torch
#: computes convolutions of float32 unless it is told otherwise.
GPUS = {
    "RTX 3090": {"float32": 35.6, "bfloat16": 71.0},
    "RTX 4090": {"float32": 82.6, "bfloat16": 165.0},
    "A100": {"float32": 156.0, "bfloat16": 312.0},
    "H100 SXM": {"float32": 494.0, "bfloat16": 989.0},
}
#: Part of a peak that a network of few channels reaches: a guess from below and from above.
EFFICIENCY = (0.1, 0.4)


def check(settings: Settings) -> None:
    """Refuse configs that can't be trained.

    Raises:
        ConfigError: What a config lacks, or a faulty part.
    """
    step.check(settings)


def run(settings: Settings) -> dict[str, Any]:
    """Measure each config."""
    rows = [{"config": name, **_measure(cfg, settings)} for name, cfg in settings.load(CONFIGS).items()]
    return {"rows": rows, "notes": [_estimate(row) for row in rows] if settings.device == "cpu" else []}


def _measure(cfg: Config, settings: Settings) -> dict[str, Any]:
    cfg = copy.deepcopy(cfg)
    size = settings.training_size(cfg)
    with tempfile.TemporaryDirectory(prefix="mtdc_budget_") as folder:
        resolve(cfg.model, Path(folder), resume=False)
    completion = _completion_bytes(cfg, settings, size)  # first: a GPU's allocator counts whatever is there
    large = max(2, settings.training_batch(cfg, size))
    peaks = {batch: Step(cfg, settings, size, batch).peak_bytes() for batch in (large // 2, large)}
    measured = Step(cfg, settings, size, large)
    macs = measured.macs() / large
    seconds = [seconds_of(measured, settings.device) for _ in range(WARM_STEPS + settings.count(STEPS, 1))][WARM_STEPS:]
    a_frame = (peaks[large] - peaks[large // 2]) / (large - large // 2)
    fixed = peaks[large] - large * a_frame
    batch = cfg.train_dataloader.batch_size
    epochs = cfg.train_cfg.get("max_epochs")
    steps = KITTI_FRAMES // batch * epochs if epochs else cfg.train_cfg.max_iters
    frame_s = spread(seconds)["median"] / large
    return {
        "size": shown_size(size),
        "precision": cfg.model.get("precision", "float32"),
        "parameters": count_parameters(measured.bare.model.network),
        "gmacs": macs / 1e9,
        "fixed_mb": fixed / 1e6,
        "frame_mb": a_frame / 1e6,
        "batch": batch,
        "batch_gb": (fixed + batch * a_frame) / 1e9,
        "completion_mb": completion / 1e6,
        "measured_batch": large,
        "frame_ms": 1000 * frame_s,
        "steps": steps,
        "hours": steps * batch * frame_s / 3600,
    }


def _completion_bytes(cfg: Config, settings: Settings, size: tuple[int, int]) -> int:
    """Most memory held at a time while the stripped model completes one frame, weights and frame included."""
    model = build_model(cfg.model).eval().strip().to(settings.device)
    frame = MemoryStreets(1, 1, size, model.input_fields, (), settings.seed)[0]["inputs"]
    inputs = {key: value.unsqueeze(0).to(settings.device) for key, value in frame.items()}
    with torch.inference_mode():
        return _peak_bytes(lambda: model(inputs), [*model.parameters(), *model.buffers(), *inputs.values()], settings.device)


def _peak_bytes(call: Callable[[], Any], held: list[Tensor], device: str) -> int:
    """Most memory in tensors at a time during a call; ``held`` are those that are there already."""
    if device != "cpu":
        torch.cuda.reset_peak_memory_stats()
        call()
        torch.cuda.synchronize()
        return torch.cuda.max_memory_allocated()
    with HeldMemory(held) as memory:
        call()
    return memory.highest


def _estimate(row: dict[str, Any]) -> str:
    """Hours on GPUs that were not measured: multiply-accumulates over published peaks."""
    work = 2 * row["gmacs"] * 1e9 * row["steps"] * row["batch"] / 3600
    low, high = EFFICIENCY
    hours = [
        f"{name} {work / high / peak[row['precision']] / 1e12:.2g} to {work / low / peak[row['precision']] / 1e12:.2g}"
        for name, peak in GPUS.items()
        if row["precision"] in peak
    ]
    return (
        f"{row['config']}: estimated and not measured, hours on one GPU at {100 * low:.0f} to {100 * high:.0f} % of its "
        f"published peak: {', '.join(hours)}. On a machine with a GPU this part measures it"
    )


class Step:
    """A training step of a config on street frames in memory.

    Args:
        cfg: A config that trains, its precision known.
        settings: Device and seed.
        size: (H, W) of frames.
        batch: Frames of a step.
    """

    def __init__(self, cfg: Config, settings: Settings, size: tuple[int, int], batch: int) -> None:
        self.device = settings.device
        torch.manual_seed(settings.seed)
        model = build_model(cfg.model).to(self.device)
        frames = MemoryStreets(batch, batch, size, model.input_fields, model.target_fields, settings.seed)
        self.bare = step.BareLoop(model, cfg, pseudo_collate([frames[number] for number in range(batch)]))

    def __call__(self) -> None:
        """Make a step."""
        self.bare.run(1)

    def macs(self) -> int:
        """Multiply-accumulates of convolutions and matrix products, forward and backward."""
        with FlopCounterMode(display=False) as counter:
            self()
        return counter.get_total_flops() // 2

    def peak_bytes(self) -> int:
        """Most memory that torch held at a time during a step, with weights, gradients, optimiser and the batch itself."""
        self()  # the optimiser's state and the gradients are made by the first step
        return _peak_bytes(self, self._held(), self.device)

    def _held(self) -> list[Tensor]:
        """Weights, gradients, running values, optimiser state and batch: what is there between two steps."""
        state = [value for values in self.bare.optimiser.state.values() for value in values.values()]
        parameters = list(self.bare.model.parameters())
        tensors = [*parameters, *(p.grad for p in parameters), *self.bare.model.buffers(), *state, *self.bare.batch.values()]
        return [tensor for tensor in tensors if isinstance(tensor, Tensor)]


class HeldMemory(TorchDispatchMode):
    """Follows the memory of all tensors that operations return, from their making to their end, on any device.

    What an operation needs for itself alone is not seen.

    Args:
        tensors: Those that are there already.
    """

    def __init__(self, tensors: Iterable[Tensor] = ()) -> None:
        super().__init__()
        self.level = self.highest = 0
        self._seen: set[int] = set()
        for tensor in tensors:
            self._see(tensor)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Note what an operation makes."""
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor):
                self._see(leaf)
        return result

    def _see(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        key, size = storage._cdata, storage.nbytes()
        if key in self._seen:
            return
        self._seen.add(key)
        weakref.finalize(storage, self._gone, key, size)
        self.level += size
        self.highest = max(self.highest, self.level)

    def _gone(self, key: int, size: int) -> None:
        self._seen.discard(key)
        self.level -= size
