"""Listing of a KITTI-sized tree: empty files in a temporary folder, which is deleted afterwards."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from mtdc.analysis.timing import alternate, spread
from mtdc.data.datasets.kitti import KittiDepthCompletion

from .settings import Settings

WHAT = "Listing of a tree as large as KITTI's training split (138 drives, two cameras), its folders in the system's memory"
COLUMNS = {"inputs": "inputs", "frames": "frames", "seconds": "seconds", "p10": "10 %", "p90": "90 %"}
FRAMES, DRIVES = 85898, 138
QUICK_FRAMES, QUICK_DRIVES = 500, 3
ROUNDS = 5
CAMERAS = (2, 3)
#: The devkit's tree with raw images beside it: sparse depth, ground truth, photo.
PLACES = (
    "train/{drive}/proj_depth/velodyne_raw/image_{camera:02d}",
    "train/{drive}/proj_depth/groundtruth/image_{camera:02d}",
    "kitti_raw/2011_09_26/{drive}/image_{camera:02d}/data",
)


def check(settings: Settings) -> None:
    """Nothing can be wrong."""


def run(settings: Settings) -> dict[str, Any]:
    """Make the tree, list it with and without photos."""
    frames, drives = (QUICK_FRAMES, QUICK_DRIVES) if settings.quick else (FRAMES, DRIVES)
    wanted = {" + ".join(inputs): inputs for inputs in (("sparse_depth",), ("sparse_depth", "image"))}
    with tempfile.TemporaryDirectory(prefix="mtdc_listing_") as folder:
        make_tree(Path(folder), frames, drives)
        found: dict[str, int] = {}

        def listing(name: str) -> None:
            found[name] = len(KittiDepthCompletion(folder, "train", inputs=wanted[name]))

        calls = {name: lambda name=name: listing(name) for name in wanted}
        seconds = alternate(calls, settings.count(ROUNDS, 2), "cpu", "listing")
    rows = []
    for name, times in seconds.items():
        times_spread = spread(times)
        rows.append(
            {"inputs": name, "frames": found[name], "seconds": times_spread["median"],
             "p10": times_spread["p10"], "p90": times_spread["p90"]}
        )  # fmt: skip
    return {"rows": rows, "notes": []}


def make_tree(root: Path, frames: int, drives: int) -> None:
    """Spread the frames evenly over drives and cameras."""
    series = [(f"2011_09_26_drive_{number:04d}_sync", camera) for number in range(1, drives + 1) for camera in CAMERAS]
    for index, (drive, camera) in enumerate(series):
        count = frames // len(series) + (index < frames % len(series))
        for place in PLACES:
            folder = root / place.format(drive=drive, camera=camera)
            folder.mkdir(parents=True)
            for frame in range(5, 5 + count):
                (folder / f"{frame:010d}.png").touch()
