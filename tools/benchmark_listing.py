"""Time the listing of a KITTI-sized tree: empty files in a temporary folder, which is deleted afterwards."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from mtdc.data.datasets.kitti import KittiDepthCompletion

DRIVES = 138  # as many as KITTI's training split has
CAMERAS = (2, 3)
#: The devkit's tree with raw images beside it: sparse depth, ground truth, photo.
PLACES = (
    "train/{drive}/proj_depth/velodyne_raw/image_{camera:02d}",
    "train/{drive}/proj_depth/groundtruth/image_{camera:02d}",
    "kitti_raw/2011_09_26/{drive}/image_{camera:02d}/data",
)


def make_tree(root: Path, frames: int) -> None:
    """Spread the frames evenly over drives and cameras."""
    series = [(f"2011_09_26_drive_{number:04d}_sync", camera) for number in range(1, DRIVES + 1) for camera in CAMERAS]
    for index, (drive, camera) in enumerate(series):
        count = frames // len(series) + (index < frames % len(series))
        for place in PLACES:
            folder = root / place.format(drive=drive, camera=camera)
            folder.mkdir(parents=True)
            for frame in range(5, 5 + count):
                (folder / f"{frame:010d}.png").touch()


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the tree, list it, report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=85898, help="frames in the tree (default: KITTI's training split)")
    args = parser.parse_args(arguments)
    if args.frames < 1:
        parser.error(f"--frames must be at least 1, not {args.frames}")
    with tempfile.TemporaryDirectory(prefix="mtdc_listing_") as folder:
        make_tree(Path(folder), args.frames)
        for inputs in (("sparse_depth",), ("sparse_depth", "image")):
            start = time.perf_counter()
            data = KittiDepthCompletion(folder, "train", inputs=inputs)
            seconds = time.perf_counter() - start
            sys.stdout.write(f"{' + '.join(inputs)}: {len(data)} frames listed in {seconds:.2f} s\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
