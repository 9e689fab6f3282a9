"""The frames of trainings that are killed, or gone on with from a damaged checkpoint."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mtdc.data.io import write_depth_png, write_png

SIZE, FRAMES = (36, 70), {"train": 9, "val": 2}


def write_frames(root: Path) -> None:
    """Small frames in KITTI's folders: a slope, every eighth of its points measured, and a gray photo."""
    generator = np.random.default_rng(0)
    for drive, (split, frames) in enumerate(FRAMES.items(), start=1):
        base = root / split / f"2011_09_26_drive_{drive:04d}_sync"
        for number in range(frames):
            depth = np.linspace(60, 4, SIZE[0])[:, None] + generator.uniform(0, 8, SIZE)
            name = f"image_02/{number:010d}.png"
            measured = depth * (generator.random(SIZE) < 1 / 8)
            write_depth_png(base / "proj_depth/velodyne_raw" / name, measured, zero_is_empty=True)
            write_depth_png(base / "proj_depth/groundtruth" / name, depth)
            gray = np.repeat((4 * depth).astype(np.uint8)[..., None], 3, axis=2)
            write_png(base / "image_02/data" / f"{number:010d}.png", gray)
