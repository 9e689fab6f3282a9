"""Frames a second of the street world: on one core, on all, on a GPU; and what it asks of a GPU, counted without one."""

from __future__ import annotations

import functools
import multiprocessing
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import torch
from tqdm import tqdm

from mtdc.analysis.machine import usable_cores
from mtdc.analysis.timing import seconds_of, spread
from mtdc.data.street import StreetOptions, draw_frame, draw_frames

from . import played
from .settings import Settings, shown_size

WHAT = "Frames of the street world, each another street; aims on one core at 352x1216: 0.5 s, and 1.5 s with accumulated truth"
COLUMNS = {
    "maps": "maps",
    "where": "where",
    "batch": "at once",
    "frames": "frames",
    "frames_s": "frames/s",
    "seconds": "s a frame",
    "p10": "10 %",
    "p90": "90 %",
    "operations": "operations a frame",
    "waits": "waits a frame",
}
#: What is drawn, by what it is called.
WANTED = {
    "scan, camera depth, image": ("sparse_depth", "dense", "image"),
    "the same with accumulated truth": ("sparse_depth", "dense", "image", "truth"),
}
FRAMES = 12
#: Frames drawn at once: where operations are counted, and on a GPU.
COUNTED, ON_GPU = (1, 8), (1, 4, 16)
WARM_SIZE = (32, 96)


def check(settings: Settings) -> None:
    """Nothing more can be wrong than the size, which the settings checked."""


def run(settings: Settings) -> dict[str, Any]:
    """Draw the same streets with and without truth, in turns."""
    frames, options = settings.count(FRAMES, 2), settings.street()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        rows = _one_by_one(options, settings.seed, frames)
        if usable_cores() > 1:
            rows += _in_parallel(options, settings.seed, frames)
        if settings.device != "cpu":
            rows += _on_gpu(options, settings.seed, frames, settings.device, (1, 2) if settings.quick else ON_GPU)
        rows += _counted(options, settings.seed, (1, 2) if settings.quick else COUNTED)
    finally:
        torch.set_num_threads(threads)
    rows = [{"size": shown_size(options.size), **row} for row in rows]
    notes = [
        f"Frames of {shown_size(options.size)}",
        "Operations are the kernels that a GPU would be given, waits the times that the processor would wait for it: both are "
        "counted on a played device, where nothing is timed",
    ]
    if settings.device == "cpu":
        notes.append("Frames a second on a GPU are not measured here")
    return {"rows": rows, "notes": notes}


def _one_by_one(options: StreetOptions, seed: int, frames: int) -> list[dict[str, Any]]:
    """One frame after another on one core, the first not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in WANTED}
    for number in tqdm(range(frames + 1), desc="world, 1 core", unit="frame", leave=False, disable=None):
        for name, wanted in WANTED.items():
            draw = functools.partial(draw_frame, options, seed, number, wanted)
            seconds[name].append(seconds_of(draw, "cpu"))
    return [_row(name, "1 core", 1, times[1:]) for name, times in seconds.items()]


def _on_gpu(options: StreetOptions, seed: int, frames: int, device: str, batches: Sequence[int]) -> list[dict[str, Any]]:
    """At least as many frames on a GPU, in batches of several sizes, the first of each not counted."""
    rows = []
    for name, wanted in WANTED.items():
        for batch in tqdm(batches, desc="world, GPU", unit="size", leave=False, disable=None):
            seconds = []
            for first in range(0, frames + batch, batch):
                draw = functools.partial(draw_frames, options, seed, range(first, first + batch), wanted, device)
                seconds.append(seconds_of(draw, device) / batch)
            rows.append(_row(name, "1 GPU", batch, seconds[1:]))
    return rows


def _row(name: str, where: str, batch: int, seconds: Sequence[float]) -> dict[str, Any]:
    """A row from the seconds a frame of several batches."""
    one = spread(seconds)
    return {
        "maps": name, "where": where, "batch": batch, "frames": batch * len(seconds), "frames_s": len(seconds) / sum(seconds),
        "seconds": one["median"], "p10": one["p10"], "p90": one["p90"],
    }  # fmt: skip


def _counted(options: StreetOptions, seed: int, batches: Sequence[int]) -> list[dict[str, Any]]:
    """What a GPU is asked for by the same frames, drawn in batches of several sizes."""
    rows, frames = [], max(batches)
    for name, wanted in WANTED.items():
        for batch in tqdm(batches, desc="world, operations", unit="size", leave=False, disable=None):
            with played.played_device() as asked:
                for first in range(0, frames, batch):
                    draw_frames(options, seed, range(first, first + batch), wanted, played.NAME)
            row = {"maps": name, "where": "a GPU, counted", "batch": batch, "frames": frames}
            rows.append({**row, "operations": asked.operations / frames, "waits": asked.waits / frames})
    return rows


def _in_parallel(options: StreetOptions, seed: int, frames: int) -> list[dict[str, Any]]:
    """As many frames a core on all cores at once."""
    cores, rows = usable_cores(), []
    # Started afresh: a process forked from one whose threads have worked may wait for them for ever.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(cores, mp_context=context, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        # Enough small frames that every process has started and drawn one before the clock runs.
        warm = functools.partial(_draw, StreetOptions(size=WARM_SIZE), seed, ("sparse_depth", "dense"))
        list(pool.map(warm, range(4 * cores)))
        for name, wanted in WANTED.items():
            draw = functools.partial(_draw, options, seed, wanted)
            start = time.perf_counter()
            list(pool.map(draw, range(frames * cores)))
            seconds = time.perf_counter() - start
            total = frames * cores
            row = {"maps": name, "where": f"{cores} cores", "batch": 1, "frames": total}
            rows.append({**row, "frames_s": total / seconds, "seconds": seconds / total})
    return rows


def _draw(options: StreetOptions, seed: int, wanted: tuple[str, ...], number: int) -> None:
    draw_frame(options, seed, number, wanted)
