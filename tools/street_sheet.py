"""A contact sheet of the street world: for each frame the photo, sparse depth, ground truth and dense depth.

python tools/street_sheet.py sheet.png --layouts narrow suburb --frames 2
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch

from mtdc.data.io import atomic_path
from mtdc.data.street import StreetOptions, draw_frame
from mtdc.data.street.layouts import LAYOUTS
from mtdc.errors import UserError

NEAR_M, FAR_M = 3.0, 80.0


def colored(depth: np.ndarray, thick: int = 1) -> np.ndarray:
    """Depth as BGR, near warm and far cool, black where there is none; points ``thick`` pixels wide."""
    scale = 1 - np.log(np.clip(depth, NEAR_M, FAR_M) / NEAR_M) / np.log(FAR_M / NEAR_M)
    picture = cv2.applyColorMap((255 * scale).astype(np.uint8), cv2.COLORMAP_TURBO)
    picture[depth <= 0] = 0
    return cv2.dilate(picture, np.ones((thick, thick))) if thick > 1 else picture


def tile(options: StreetOptions, seed: int, number: int, width: int) -> np.ndarray:
    """One frame: four pictures above each other, scaled to a width."""
    maps = draw_frame(options, seed, number, ("image", "sparse_depth", "truth", "dense")).maps
    parts = (maps["image"][..., ::-1], colored(maps["sparse_depth"], 3), colored(maps["truth"], 2), colored(maps["dense"]))
    stacked = np.vstack(parts)
    height = round(stacked.shape[0] * width / stacked.shape[1])
    return np.asarray(cv2.resize(stacked, (width, height), interpolation=cv2.INTER_AREA))


def main(arguments: Sequence[str] | None = None) -> int:
    """Draw and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, metavar="FILE", help="picture to write, .png or .jpg")
    parser.add_argument("--layouts", nargs="+", default=list(LAYOUTS), metavar="NAME", help="kinds of streets (default: all)")
    parser.add_argument("--frames", type=int, default=2, help="frames of each layout (default: %(default)s)")
    parser.add_argument("--columns", type=int, default=2, help="frames beside each other (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="the world's seed (default: %(default)s)")
    parser.add_argument("--size", type=int, nargs=2, default=(352, 1216), metavar=("H", "W"), help="pixels of a frame")
    parser.add_argument("--width", type=int, default=480, help="pixels of one frame in the sheet (default: %(default)s)")
    args = parser.parse_args(arguments)
    torch.set_num_threads(1)
    if args.frames < 1 or args.columns < 1:
        parser.error(f"--frames {args.frames} --columns {args.columns}; expected at least 1 of each")
    if args.out.suffix.lower() not in (".png", ".jpg", ".jpeg"):
        parser.error(f"FILE is {args.out}; expected a name that ends in .png or .jpg")
    try:
        options = [StreetOptions(size=tuple(args.size), layouts=(name,)) for name in args.layouts]
        tiles = [tile(one, args.seed, number, args.width) for one in options for number in range(args.frames)]
        tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % args.columns)
        rows = [np.hstack(tiles[start : start + args.columns]) for start in range(0, len(tiles), args.columns)]
        quality = () if args.out.suffix.lower() == ".png" else (cv2.IMWRITE_JPEG_QUALITY, 80)
        encoded = cv2.imencode(args.out.suffix, np.vstack(rows), quality)[1]
        with atomic_path(args.out) as temporary:
            encoded.tofile(temporary)
    except UserError as error:
        parser.error(str(error))
    sys.stdout.write(f"{args.out}: {len(options)} layouts, {args.frames} frames of each\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
