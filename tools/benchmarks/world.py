"""Frames a second of the street world: on one core, on all, on a GPU."""

from __future__ import annotations

import functools
import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import torch
from tqdm import tqdm

from mtdc.data.street import StreetOptions, draw_frame

from .machine import usable_cores
from .settings import Settings, shown_size
from .timing import seconds_of, spread

WHAT = "Frames of the street world, each another street; aims on one core at 352x1216: 0.5 s, and 1.5 s with accumulated truth"
COLUMNS = {
    "maps": "maps",
    "where": "where",
    "frames": "frames",
    "frames_s": "frames/s",
    "seconds": "s a frame",
    "p10": "10 %",
    "p90": "90 %",
}
#: What is drawn, by what it is called.
WANTED = {
    "scan, camera depth, image": ("sparse_depth", "dense", "image"),
    "the same with accumulated truth": ("sparse_depth", "dense", "image", "truth"),
}
FRAMES = 12
WARM_SIZE = (32, 96)


def check(settings: Settings) -> None:
    """Nothing more can be wrong than the size, which the settings checked."""


def run(settings: Settings) -> dict[str, Any]:
    """Draw the same streets with and without truth, in turns."""
    frames, options = settings.count(FRAMES, 2), settings.street()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        rows = _one_by_one(options, settings.seed, frames, "cpu", "1 core")
        if usable_cores() > 1:
            rows += _in_parallel(options, settings.seed, frames)
        if settings.device != "cpu":
            rows += _one_by_one(options, settings.seed, frames, settings.device, "1 GPU, one frame after another")
    finally:
        torch.set_num_threads(threads)
    rows = [{"size": shown_size(options.size), **row} for row in rows]
    return {"rows": rows, "notes": [f"Frames of {shown_size(options.size)}"]}


def _one_by_one(options: StreetOptions, seed: int, frames: int, device: str, where: str) -> list[dict[str, Any]]:
    """One frame after another in this process, the first not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in WANTED}
    for number in tqdm(range(frames + 1), desc=f"world, {where}", unit="frame", leave=False, disable=None):
        for name, wanted in WANTED.items():
            draw = functools.partial(draw_frame, options, seed, number, wanted, device)
            seconds[name].append(seconds_of(draw, device))
    rows = []
    for name, times in seconds.items():
        counted = times[1:]
        one = spread(counted)
        rows.append(
            {"maps": name, "where": where, "frames": frames, "frames_s": frames / sum(counted),
             "seconds": one["median"], "p10": one["p10"], "p90": one["p90"]}
        )  # fmt: skip
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
            row = {"maps": name, "where": f"{cores} cores", "frames": total}
            rows.append({**row, "frames_s": total / seconds, "seconds": seconds / total})
    return rows


def _draw(options: StreetOptions, seed: int, wanted: tuple[str, ...], number: int) -> None:
    draw_frame(options, seed, number, wanted)
