"""Print the table of sparse-map statistics for folders of frames in KITTI's layout, side by side with the range of real frames.

    python tools/street_statistics.py data/street/train data/kitti/train/2011_09_26_drive_9999_sync

A folder is a split or a drive; a number outside the range of the real sets (widened by 5 %) is marked with a star.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from mtdc.data.io import read_depth_png
from mtdc.data.street.statistics import BANDS, inside_band, table


def frames_of(folder: Path, limit: int) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
    """Sparse maps under a folder with their truth where there is one."""
    for path in sorted(folder.rglob("velodyne_raw/image_0*/*.png"))[:limit]:
        truth = Path(str(path).replace("velodyne_raw", "groundtruth"))
        yield read_depth_png(path), read_depth_png(truth) if truth.is_file() else None


def number(value: float) -> str:
    """Two significant digits or a whole number."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}" if abs(value) >= 10 else f"{value:.2g}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Read, count, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path, metavar="DIR", help="a split or a drive in KITTI's layout")
    parser.add_argument("--frames", type=int, default=1000, help="at most so many of each folder (default: %(default)s)")
    args = parser.parse_args(arguments)
    tables = {}
    for folder in args.folders:
        tables[folder] = table(frames_of(folder, args.frames))
        if not tables[folder]:
            parser.error(f"{folder} holds no frames: looked for velodyne_raw/image_0x/*.png in it and below.")
    out = sys.stdout.write
    out("| | " + " | ".join(folder.name for folder in args.folders) + " | real frames |\n")
    out("|---" * (len(tables) + 2) + "|\n")
    hits = dict.fromkeys(tables, 0)
    counted = dict.fromkeys(tables, 0)
    for name, band in BANDS.items():
        cells = []
        for folder, rows in tables.items():
            numbers = rows.get(name)
            if numbers is None:
                cells.append("")
                continue
            inside = inside_band(name, numbers)
            hits[folder] += sum(inside)
            counted[folder] += len(inside)
            cells.append(" ".join(number(x) + ("" if ok else "*") for x, ok in zip(numbers, inside, strict=True)))
        ranges = " ".join(f"{low:g}-{high:g}" for low, high in band)
        out(f"| {name} | " + " | ".join(cells) + f" | {ranges} |\n")
    out("| numbers inside | " + " | ".join(f"{hits[f]} of {counted[f]}" for f in tables) + " | |\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
