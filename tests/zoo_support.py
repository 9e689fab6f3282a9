"""A run's folder to publish from, and the command that publishes it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from support import small_network, sparse_map

from mtdc.engine.checkpoint import save_weights
from mtdc.model import build_model

MODEL = {"type": "MultiTaskModel", "width": 2, "network": small_network(), "weighting": {"type": "FixedWeighting"}}
#: Small frames to measure on.
STREETS = {"type": "StreetWorld", "length": 2, "size": [32, 96], "split": "zoo", "fresh": False, "truth": "dense"}
ROOMS = {
    "type": "DrawnRooms",
    "length": 2,
    "size": [40, 56],
    "split": "zoo",
    "transforms": [{"type": "SamplePoints", "points": 100, "fixed": True}],
}
KITTI = {"type": "KittiDepthMetric", "clamp_m": (0.9, 100.0)}


def photo_model(**depth: Any) -> dict[str, Any]:
    """A model that reads the photo at test time; ``depth`` are keys of its one task."""
    task = {"type": "DepthTask", "losses": {"l2": {"type": "L2"}}, **depth}
    parts = {"representation": {"type": "SparseDepthImage"}, "sharing": {"type": "NoSharing"}, "tasks": {"depth": task}}
    return {**MODEL, "network": small_network(**parts)}


def make_run(
    folder: Path, model: dict[str, Any] = MODEL, evaluator: Any = KITTI, seed: int = 3, dataset: dict[str, Any] = STREETS
) -> Path:
    """A run's folder: its config and a checkpoint."""
    folder.mkdir(parents=True)
    data = {**dataset, "split": "val", "transforms": dataset.get("transforms", [])}
    loader = {"batch_size": 1, "num_workers": 0, "dataset": data, "sampler": {"type": "DefaultSampler", "shuffle": False}}
    content = {
        "model": model, "test_evaluator": evaluator, "randomness": {"seed": seed}, "test_dataloader": loader, "test_cfg": {}
    }  # fmt: skip
    (folder / "mine.py").write_text("".join(f"{key} = {value!r}\n" for key, value in content.items()))
    torch.manual_seed(seed)
    built = build_model(model).train()
    built({"sparse_depth": sparse_map(32, 48), "image": 255 * torch.rand(2, 3, 32, 48)})
    save_weights(built, folder / "epoch_2.pth", {"iter": 20, "epoch": 2})
    return folder


def write_log(folder: Path, rows: list[dict[str, Any]], start: str = "20260101_000000") -> None:
    """What a training logs, a line for each of its rows."""
    file = folder / start / "vis_data" / "scalars.json"
    file.parent.mkdir(parents=True)
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))


def publish_command(work_dir: Path, zoo: Path, *more: str) -> list[str]:
    """The command line that publishes a run as 'mine'."""
    told = {"name": "mine", "title": "A small one", "licence": "MIT", "data": "nothing", "minutes": "1", "machine": "a laptop"}
    words = [word for key, value in told.items() for word in (f"--{key}", value)]
    return ["publish", str(work_dir), "--zoo", str(zoo), *words, *more]
