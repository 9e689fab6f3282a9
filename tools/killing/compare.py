"""Whether a run that was killed ended as the one that was not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from mtdc.engine.checkpoint import last_checkpoint, read_checkpoint


def logged_steps(work_dir: Path) -> dict[int, set[str]]:
    """Every set of numbers that was logged for a step; one set, where a step that was made again gave the same."""
    found: dict[int, set[str]] = {}
    for file in work_dir.glob("*/vis_data/scalars.json"):
        for line in file.read_text().splitlines():
            try:
                row = json.loads(line)
            except ValueError:  # killed while it was written
                continue
            if "loss" in row:
                values = {key: value for key, value in row.items() if "time" not in key}
                found.setdefault(row["step"], set()).add(json.dumps(values, sort_keys=True))
    return found


def differences(reference: Path, run: Path) -> list[str]:
    """What differs in two finished runs, in words; nothing where they are equal to the last bit."""
    expected, found = last_checkpoint(reference), last_checkpoint(run)
    if expected is None or found is None or expected.name != found.name:
        return [f"the last checkpoint is {found and found.name}, not {expected and expected.name}"]
    texts = _unequal(read_checkpoint(expected), read_checkpoint(found), found.name)
    steps, own_steps = logged_steps(reference), logged_steps(run)
    texts += [
        f"step {step} was logged otherwise"
        for step in sorted(steps.keys() | own_steps.keys())
        if steps.get(step) != own_steps.get(step)
    ]
    names = [sorted(path.name for path in folder.glob("*.pth")) for folder in (reference, run)]
    if names[0] != names[1]:
        texts.append(f"left are {names[1]}, not {names[0]}")
    else:
        for name in names[0]:
            texts += _unequal(*(read_checkpoint(folder / name)["state_dict"] for folder in (reference, run)), name)
    results = [json.loads((folder / "result.json").read_text()) for folder in (reference, run)]
    if results[0]["per_frame"] != results[1]["per_frame"]:
        texts.append("result.json differs")
    return texts


#: What belongs to a start of a run and not to its training.
_OWN = {"time", "experiment_name", "cfg", "train/time", "train/data_time", "val/time", "val/data_time", "best_ckpt"}
#: Written anew at each start, and before each step.
_AT_THE_START = {"epoch", "iter"}


def _unequal(expected: Any, found: Any, where: str) -> list[str]:
    if isinstance(expected, torch.Tensor) and isinstance(found, torch.Tensor):
        return [] if torch.equal(expected, found) else [where]
    if isinstance(expected, dict) and isinstance(found, dict):
        own = _OWN | (_AT_THE_START if where.endswith("runtime_info") else set())
        keys = sorted((expected.keys() | found.keys()) - own, key=str)
        return [text for key in keys for text in _unequal(expected.get(key), found.get(key), f"{where}: {key}")]
    if isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        pairs = zip(expected, found, strict=True)
        return [text for i, (a, b) in enumerate(pairs) for text in _unequal(a, b, f"{where}: {i}")]
    return [] if expected == found else [where]
