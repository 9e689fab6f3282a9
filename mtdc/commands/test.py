"""Evaluate a config on a data set, with the benchmark's own metrics.

    mtdc test aux_image_kitti work_dirs/aux_image_kitti/epoch_30.pth --data-root data/kitti --split val
    mtdc test classical/nearest_kitti --data-root data/kitti --split val

Prints a table and writes the same numbers, each frame's and the protocol as JSON. Methods without weights take no checkpoint.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from .train import add_launcher, add_options, work_folder


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("config", metavar="CONFIG", help="config file, or the name of a shipped config")
    parser.add_argument("checkpoint", metavar="CHECKPOINT", type=Path, nargs="?", help="weights, where the method has any")
    parser.add_argument("--data-root", metavar="DIR", help="folder of the data set; default: the config's data_root")
    parser.add_argument("--split", metavar="NAME", help="split to evaluate on; default: the config's")
    parser.add_argument("--out", type=Path, metavar="RESULT.json", help="where the result goes; default WORK_DIR/result.json")
    parser.add_argument(
        "--save-depth", type=Path, metavar="DIR", help="write predictions, as large as evaluated (cropped), as KITTI PNGs"
    )
    parser.add_argument("--work-dir", type=Path, metavar="DIR", help="where the log goes; default: test/ beside the checkpoint")
    add_options(parser)
    add_launcher(parser)


def run(args: argparse.Namespace) -> int:
    """Evaluate."""
    from ..engine.config import load_config, require, set_data_root
    from ..engine.distributed import processes
    from ..engine.result import check_writable, save_result
    from ..engine.runs import RESULT_NAME, evaluate

    cfg = load_config(args.config, args.cfg_options)
    if args.data_root:
        set_data_root(cfg, args.data_root)
    require(cfg, "test_dataloader")
    if args.split:
        cfg.test_dataloader.dataset.split = args.split
    run_folder = work_folder(args.config, None) if args.checkpoint is None else args.checkpoint.parent
    folder = args.work_dir if args.work_dir is not None else run_folder / "test"
    out = args.out if args.out is not None else folder / RESULT_NAME
    check_writable(out)
    with processes(args.launcher):
        from mmengine.dist import is_main_process

        result = evaluate(cfg, args.checkpoint, folder, args.save_depth, args.launcher)
        main = is_main_process()
    if main:
        save_result(out, result)
        report(result, out)
    return 0


def report(result: dict[str, Any], path: Path) -> None:
    """The table for people, and where the numbers are."""
    from ..engine.result import format_table

    sys.stdout.write(f"{format_table(result)}\nwritten to {path}\n")
