"""The process that reads broken files: with little memory of its own, so that a reader that asks for much is caught."""

from __future__ import annotations

import os
import resource
import shutil
import sys
import time
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random

from . import mutations, targets

_MB = 1 << 20


def content_of(target: targets.Target, reader: str, seed: int, index: int) -> bytes:
    """The broken file of that number."""
    return target.broken(Random(f"{seed}/{reader}/{index}"))


def work(parent: Connection, folder: str, readers: list[str], seed: int, first: int, last: int, memory_mb: int) -> None:
    """Read inputs ``first`` to ``last - 1``; one message an input, ``(index, outcome, text, seconds, megabytes)``.

    The file is in ``folder/<reader>`` before it is read, so that it is still there when this process is not.
    """
    import torch

    torch.set_num_threads(1)
    os.chdir(folder)
    known = targets.all_targets(Path(folder))
    paths = {}
    for name in readers:
        place = Path(folder, name)
        place.mkdir(exist_ok=True)
        paths[name] = known[name].prepare(place)
        for content in known[name].seeds:
            paths[name].write_bytes(content)
            if targets.try_reader(known[name], paths[name]) != "read":
                raise RuntimeError(f"{name} does not read a valid file")
    limit = _virtual_bytes() + memory_mb * _MB
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    started_with = _peak_mb()
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # libpng and libjpeg complain there on their own
    parent.send(("ready", "", "", 0.0, 0.0))
    for index in range(first, last):
        name = readers[index % len(readers)]
        path = paths[name]
        path.write_bytes(content_of(known[name], name, seed, index))
        start, text = time.perf_counter(), ""
        try:
            outcome = targets.try_reader(known[name], path)
        except targets.Finding as finding:
            outcome, text = "finding", str(finding)
        if Path(mutations.MARKER).exists():
            shutil.rmtree(mutations.MARKER) if Path(mutations.MARKER).is_dir() else Path(mutations.MARKER).unlink()
            outcome, text = "finding", "code in the file was run"
        parent.send((index, outcome, text, time.perf_counter() - start, _peak_mb() - started_with))


def _peak_mb() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / _MB if sys.platform == "darwin" else peak / 1024


def _virtual_bytes() -> int:
    statm = Path("/proc/self/statm")
    return int(statm.read_text().split()[0]) * resource.getpagesize() if statm.is_file() else 1 << 40
