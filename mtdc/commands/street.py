"""Make a street world on disk, in KITTI's layout: sparse depth, ground truth, photo, calibration.

    mtdc street data/street --frames 400
    mtdc street data/street --frames 40 --split val --also normals semantics
    mtdc street data/street --frames 400 --cameras 2 3 --one-camera --wet 0.1 --edge-band 6
    mtdc street data/street --frames 20000 --device cuda --batch 16

The result is read as KITTI is (data_root=DIR, split=NAME). The same command run again goes on where it stopped, and --frames
may grow. Each split has streets of its own.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("root", metavar="DIR", type=Path, help="folder that the splits lie in")
    parser.add_argument("--frames", type=int, required=True, metavar="N", help="frames that the split has in the end")
    parser.add_argument("--split", default="train", metavar="NAME", help="folder of the split (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="the world's seed (default: %(default)s)")
    parser.add_argument("--size", type=int, nargs=2, default=(352, 1216), metavar=("H", "W"), help="pixels (default: 352 1216)")
    parser.add_argument("--intrinsics", type=float, nargs=4, metavar=("FX", "FY", "CX", "CY"),
                        help="camera in pixels of that size (default: KITTI's)")  # fmt: skip
    parser.add_argument("--layouts", nargs="+", metavar="NAME", help="kinds of streets (default: all)")
    parser.add_argument("--cameras", type=int, nargs="+", default=(2,), choices=(2, 3), metavar="N",
                        help="2 (left), 3 (right) or both (default: 2)")  # fmt: skip
    parser.add_argument("--one-camera", action="store_true", help="each street is seen by one of the cameras, half by each")
    parser.add_argument("--wet", type=float, default=0.0, metavar="P", help="part of the streets that are wet (default: 0)")
    parser.add_argument("--lines", type=int, default=64, metavar="N", help="LiDAR lines (default: the HDL-64 as measured)")
    parser.add_argument("--mount-noise", type=float, default=0.0, metavar="M",
                        help="standard deviation of the LiDAR's mount from frame to frame, metres (default: 0)")  # fmt: skip
    parser.add_argument("--noise-factor", type=float, nargs=2, default=(1.0, 1.0), metavar=("LOW", "HIGH"),
                        help="factor on the LiDAR's noise from frame to frame (default: 1 1)")  # fmt: skip
    parser.add_argument("--truth", default="filtered", metavar="KIND",
                        help="filtered, raw (keeps what is seen past edges), dense or off (default: %(default)s)")  # fmt: skip
    parser.add_argument("--filter-share", type=float, default=1.0, metavar="P", help="part of the frames with filtered truth")
    parser.add_argument("--scan-share", type=float, default=0.0, metavar="P",
                        help="part of the frames with truth of scans alone, whatever the camera sees (default: 0)")  # fmt: skip
    parser.add_argument("--grow", type=int, default=0, metavar="PX", help="pixels that truth grows over steps: 0 or 1")
    parser.add_argument("--grow-share", type=float, default=1.0, metavar="P", help="part of the frames whose truth grows")
    parser.add_argument("--edge-band", type=int, default=0, metavar="PX", help="dense truth within so many pixels of steps")
    parser.add_argument("--also", nargs="+", default=[], metavar="MAP", help="more maps: dense, normals, semantics")
    parser.add_argument("--processes", type=int, metavar="N",
                        help="processes that draw, or threads that write what a GPU draws (default: one a core)")  # fmt: skip
    parser.add_argument("--device", default="cpu", metavar="NAME", help="cpu or cuda: where rays are cast (default: cpu)")
    parser.add_argument("--batch", type=int, metavar="N", help="frames that a GPU draws at once (default: 16)")


def run(args: argparse.Namespace) -> int:
    """Draw what is missing, with a progress bar."""
    from tqdm import tqdm

    from ..data.street import LidarOptions, StreetOptions
    from ..data.street.writer import DRIVE, write_street

    options = StreetOptions(
        size=tuple(args.size),
        intrinsics=None if args.intrinsics is None else tuple(args.intrinsics),
        lidar=LidarOptions(lines=args.lines, mount_noise=args.mount_noise, noise_factor=tuple(args.noise_factor)),
        layouts=None if args.layouts is None else tuple(args.layouts),
        truth=args.truth,
        filter_share=args.filter_share,
        scan_share=args.scan_share,
        grow=args.grow,
        grow_share=args.grow_share,
        edge_band=args.edge_band,
        cameras=tuple(sorted(set(args.cameras))),
        one_camera=args.one_camera,
        wet=args.wet,
    )
    bar = tqdm(desc="drawing streets", unit="frame", total=0)

    def progress(_: int, total: int) -> None:
        bar.total = total
        bar.update()

    try:
        drawn = write_street(
            args.root, args.frames, args.seed, args.split, options, args.also, args.processes, progress, args.device, args.batch
        )
    finally:
        bar.close()
    kept = args.frames - drawn
    sys.stdout.write(f"{args.root / args.split / DRIVE}: {drawn} frames drawn, {kept} were there already\n")
    return 0
