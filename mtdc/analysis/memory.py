"""How much memory a model's inference needs beside what it holds already: measured in a process of its own.

    python -m mtdc.analysis.memory MODEL FRAME.npz DEVICE THREADS        prints bytes

On a GPU torch's allocator knows its peak. On Linux the kernel keeps a process's peak of resident memory and sets it back when
asked; that of a second frame, less what was resident before it, is what inference needs. Elsewhere nothing is said.
"""

from __future__ import annotations

import ctypes
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..structures import DepthSample
from .entries import parse_entries
from .predictors import make_predictor

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
#: Longest time that the process may take, seconds.
PATIENCE_S = 600


def inference_bytes(text: str, item: dict[str, Any], device: str | torch.device, threads: int) -> int | None:
    """Peak of one frame's inference, in bytes, beyond what the process held before it; None where that can't be measured.

    Args:
        text: The model, as the command names it.
        item: A frame.
        device: Where it runs.
        threads: Threads of torch.
    """
    if torch.device(device).type != "cuda" and not (sys.platform == "linux" and _CLEAR.exists()):
        return None
    # A fresh process: this one has held other models, and its allocator gives little back.
    with tempfile.TemporaryDirectory(prefix="mtdc_") as folder:
        frame = Path(folder) / "frame.npz"
        np.savez(frame, **{key: value.numpy() for key, value in item["inputs"].items()})
        command = [sys.executable, "-m", __name__, text, str(frame), str(device), str(threads)]
        with suppress(subprocess.TimeoutExpired, ValueError, IndexError):
            done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
            return int(done.stdout.split()[-1])
    return None  # it was killed, perhaps for its memory


def _measure(text: str, frame: Path, device: str, threads: int) -> int:
    torch.set_num_threads(threads)
    with np.load(frame, allow_pickle=False) as stored:
        inputs = {key: torch.from_numpy(stored[key]) for key in stored.files}
    item = {"inputs": inputs, "data_samples": DepthSample(metainfo={"sample_id": frame.stem})}
    predictor = make_predictor(parse_entries([text])[0], (), device)
    predictor(item)  # libraries set up what they keep
    if torch.device(device).type == "cuda":
        torch.cuda.reset_peak_memory_stats()
        held: int = torch.cuda.memory_allocated()
        predictor(item)
        return int(torch.cuda.max_memory_allocated()) - held
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)  # what the first frame's maps left in the heap would hide the second's
    _CLEAR.write_text("5")
    before = _status("VmRSS")
    predictor(item)
    return max(0, _status("VmHWM") - before)


def _status(name: str) -> int:
    line = next(line for line in _STATUS.read_text().splitlines() if line.startswith(f"{name}:"))
    return int(line.split()[1]) * 1024


if __name__ == "__main__":
    model, stored_frame, where, count = sys.argv[1:]
    sys.stdout.write(f"\n{_measure(model, Path(stored_frame), where, int(count))}\n")
