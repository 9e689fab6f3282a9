"""Many models on the same frames: accuracy, size, latency and memory in one table, and which differences are real.

    mtdc compare classical/linear_kitti unet_street:epoch_38.pth --data-root data/kitti --split val
    mtdc compare a=mine:a.pth b=mine:b.pth theirs=their_predictions --data mine --out compared

Each model is a CONFIG[:CHECKPOINT], a model of the zoo, or a folder of depth PNGs that something else wrote, of which only
accuracy is known; NAME= before it is what the table calls it. All are judged on the test data of --data, else of the first
config, by its metrics. With --out the same table is written as Markdown and JSON, with every frame's values, and a plot of
accuracy against latency.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from .train import add_options, told_command

if TYPE_CHECKING:
    from ..analysis.comparison import Comparison

TABLE, NUMBERS, FRAMES, PLOT = "comparison.md", "comparison.json", "per_frame.csv", "accuracy_latency.png"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add = parser.add_argument
    add("models", metavar="[NAME=]CONFIG[:CHECKPOINT]", nargs="+", help="a config and its weights, or a folder")
    add("--out", type=Path, metavar="DIR", help=f"folder for {TABLE}, {NUMBERS}, {FRAMES} and {PLOT}")
    add("--data", metavar="CONFIG", help="config whose test data are used; default: the first model's")
    add("--data-root", metavar="DIR", help="folder of the data set; default: the config's data_root")
    add("--split", metavar="NAME", help="split to judge on; default: the config's")
    add("--frames", type=int, metavar="N", help="so many frames, spread over the split; default: all")
    add("--metric", default="rmse", metavar="NAME", help="tested for real differences, and ranked by (default: rmse)")
    add("--no-costs", action="store_true", help="accuracy alone: nothing is timed or weighed")
    add("--threads", type=int, metavar="N", help="threads of torch; default: all cores")
    add("--device", metavar="NAME", help="where networks run; default: a GPU where there is one")
    add("--seed", type=int, default=0, metavar="N", help="of the bootstrap (default: 0)")
    add_options(parser)


def run(args: argparse.Namespace) -> int:
    """Compare, print, and write where asked."""
    import torch

    from ..analysis import comparison_report
    from ..analysis.comparison import compare
    from ..analysis.entries import parse_entries
    from ..analysis.frames import data_config
    from ..engine.config import load_config
    from ..engine.result import check_writable
    from ..errors import ConfigError

    for name, value, least in (("--frames", args.frames, 1), ("--threads", args.threads, 1), ("--seed", args.seed, 0)):
        if value is not None and value < least:
            raise ConfigError(f"{name} {value}: expected {least} or more.")
    if args.data is None and args.cfg_options:
        raise ConfigError("--cfg-options changes the config of --data; name that one too.")
    entries = parse_entries(args.models)
    given = None if args.data is None else load_config(args.data, args.cfg_options)
    cfg = data_config(entries, given, args.data_root, args.split)
    if args.out is not None:
        check_writable(args.out / NUMBERS)
    if args.threads is not None:
        torch.set_num_threads(args.threads)
    found = compare(
        entries, cfg, texts=args.models, metric=args.metric, limit=args.frames, device=args.device, seed=args.seed,
        costs=not args.no_costs,
    )  # fmt: skip
    report = comparison_report.as_text(found)
    if args.out is not None:
        report += _write(found, args.out)
    sys.stdout.write(report)
    return 0


def _write(found: Comparison, folder: Path) -> str:
    """All forms of a comparison; a line on what was written."""
    from ..analysis import comparison_report
    from ..analysis.plots import check_matplotlib
    from ..analysis.tables import write_csv
    from ..data.io import atomic_path, write_json
    from ..errors import ConfigError

    command = told_command("compare")
    write_json(folder / NUMBERS, comparison_report.as_json(found, command))
    write_csv(folder / FRAMES, *comparison_report.per_frame_table(found))
    contents: dict[str, bytes | None] = {TABLE: comparison_report.as_markdown(found, command).encode()}
    left_out = ""
    try:
        check_matplotlib()
        contents[PLOT] = comparison_report.plot_png(found)
    except ConfigError as error:
        contents[PLOT] = None
        left_out = f"no {PLOT}: {error}\n"
    for name, content in contents.items():
        if content is None:
            (folder / name).unlink(missing_ok=True)  # an earlier comparison's beside these numbers would mislead
            continue
        with atomic_path(folder / name) as temporary:
            temporary.write_bytes(content)
    written = (NUMBERS, FRAMES, *(name for name, content in contents.items() if content is not None))
    return f"written to {folder}: {', '.join(written)}\n{left_out}"
