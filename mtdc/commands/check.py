"""Check a folder of your own frames, and say in words what is wrong with it.

    mtdc check DIR
    mtdc check DIR --split val --depth-scale 1000

DIR holds depth/ (16-bit PNG, or .npy in metres) and, where there are any, gt/, image/, label/, normals/ and intrinsics.txt.
Files of one frame have one name. Every file is opened. Exit code 0: it can be used; 2: something must be mended.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path

from ..errors import ConfigError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("folder", metavar="DIR", type=Path, help="folder that holds depth/, or the splits")
    parser.add_argument("--split", metavar="NAME", help="folder in DIR that holds depth/")
    parser.add_argument("--depth-scale", type=float, default=256.0, metavar="N", help="stored value of one metre in depth PNGs")


def run(args: argparse.Namespace) -> int:
    """Check and print."""
    from ..data.folder_check import check_folder

    if not args.depth_scale > 0:
        raise ConfigError(f"--depth-scale {args.depth_scale:g} must be positive: 256 as KITTI's PNGs, 1000 for millimetres.")
    report = check_folder(args.folder, args.split, args.depth_scale, _shown)
    lines = [f"{report.frames} frames: " + ", ".join(f"{folder}/ {count}" for folder, count in report.counts.items())]
    lines += [f"wrong: {text}" for text in report.faults] + [f"note: {text}" for text in report.notes]
    lines += ["Nothing is wrong." if not report.faults else f"{len(report.faults)} things to mend."]
    sys.stdout.write("\n".join(lines) + "\n")
    return 2 if report.faults else 0


def _shown(names: Iterable[str]) -> Iterable[str]:
    from tqdm import tqdm

    bar: Iterable[str] = tqdm(names, unit="frame", disable=None, leave=False)
    return bar
