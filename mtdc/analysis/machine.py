"""The machine that numbers are of."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

import torch


def usable_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def describe(device: str) -> dict[str, Any]:
    """Processor, cores, bf16 units, torch, GPU, and what else the machine was busy with.

    ``load`` is the mean number of running processes of the last minute, before this one counted for much; None where the
    system doesn't say, as ``avx512_bf16``.
    """
    name, flags = _processor()
    return {
        "processor": name,
        "cores": usable_cores(),
        "avx512_bf16": None if flags is None else "avx512_bf16" in flags,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "gpu": torch.cuda.get_device_name() if device == "cuda" else None,
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
    }


def sentence(machine: dict[str, Any]) -> str:
    """The machine in one line."""
    units = {True: "with AVX512-bf16", False: "without AVX512-bf16", None: "AVX512-bf16 unknown"}[machine["avx512_bf16"]]
    load = "unknown" if machine["load"] is None else f"{machine['load']:g}"
    cores = f"{machine['cores']} core" + "s" * (machine["cores"] != 1)
    return (
        f"{machine['processor']}, {cores}, {units}; {machine['gpu'] or 'no GPU used'}; torch {machine['torch']}; "
        f"load before the start {load}"
    )


def _processor() -> tuple[str, set[str] | None]:
    """Name and instruction sets; Linux alone names the latter in a file."""
    file = Path("/proc/cpuinfo")
    if not file.is_file():
        return platform.processor() or platform.machine(), None
    entries = dict(line.split(":", 1) for line in file.read_text().splitlines() if ":" in line)
    found = {key.strip(): value.strip() for key, value in entries.items()}
    flags = found.get("flags")
    return found.get("model name") or platform.machine(), None if flags is None else set(flags.split())
