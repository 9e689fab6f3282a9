"""Cut a trained model down to what depth needs at test time, and say what that saves.

    mtdc strip aux_image_kitti work_dirs/aux_image_kitti/epoch_30.pth --out depth_only.pth

Depth is the same to the last bit. The written checkpoint is loaded like any other, with the same config. Without a checkpoint
the parameters and multiply-accumulates (MACs) of the config are counted, and nothing is written.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from .train import add_options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("config", metavar="CONFIG", help="config file, or the name of a shipped config")
    parser.add_argument("checkpoint", metavar="CHECKPOINT", type=Path, nargs="?", help="weights to strip")
    parser.add_argument("--keep", nargs="+", metavar="TASK", help="tasks to keep; default: those not for training only")
    parser.add_argument("--out", type=Path, metavar="FILE", help="where the stripped checkpoint goes")
    parser.add_argument("--size", type=int, nargs=2, default=(352, 1216), metavar=("H", "W"), help="where MACs are counted")
    add_options(parser)


def run(args: argparse.Namespace) -> int:
    """Strip, count, write."""
    from ..engine.config import load_config
    from ..engine.strip import strip_report

    cfg = load_config(args.config, args.cfg_options)
    sys.stdout.write(strip_report(cfg.model, args.checkpoint, args.keep, args.out, tuple(args.size)) + "\n")
    return 0
