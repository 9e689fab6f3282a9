"""Where models fail, and how they take a worse sensor: one HTML report that needs no network, and its numbers as CSV.

    mtdc analyze aux_image_kitti:epoch_30.pth classical/linear_kitti --data-root data/kitti --split val --out report
    mtdc analyze theirs=their_predictions ours=aux_image_kitti:epoch_30.pth --data aux_image_kitti --out report

Each model is a CONFIG[:CHECKPOINT], a model of the zoo, or a folder of depth PNGs that something else wrote; NAME= before it is
what the report calls it. All are judged on the same frames: the test data of --data, else of the first config. In the report:
errors by distance, class, image row, distance to the nearest measured point and at depth edges; curves over dropped points and
fewer LiDAR lines; what a predicted confidence is worth; the worst frames; features of task streams.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from .train import add_options, told_command

if TYPE_CHECKING:
    from ..analysis.analysis import Analysis

REPORT = "report.html"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("models", metavar="[NAME=]CONFIG[:CHECKPOINT]", nargs="+", help="a config and its weights, or a folder")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help=f"folder for {REPORT} and the CSV files")
    parser.add_argument("--data", metavar="CONFIG", help="config whose test data are used; default: the first model's")
    parser.add_argument("--data-root", metavar="DIR", help="folder of the data set; default: the config's data_root")
    parser.add_argument("--split", metavar="NAME", help="split to judge on; default: the config's")
    parser.add_argument("--frames", type=int, metavar="N", help="so many frames, spread over the split; default: all")
    parser.add_argument(
        "--curves", nargs="*", default=["drop", "lines"], metavar="NAME", help="of drop, lines; none: --curves (default: both)"
    )
    parser.add_argument("--curve-frames", type=int, metavar="N", help="frames of each step of a curve; default: as --frames")
    parser.add_argument("--worst", type=int, default=3, metavar="N", help="frames with pictures, of each model (default: 3)")
    parser.add_argument("--device", metavar="NAME", help="where networks run; default: a GPU where there is one")
    add_options(parser)


def run(args: argparse.Namespace) -> int:
    """Analyze, and write the report."""
    from ..analysis.analysis import Options, analyze
    from ..analysis.entries import parse_entries
    from ..analysis.frames import data_config
    from ..analysis.plots import check_matplotlib
    from ..analysis.report import render
    from ..analysis.robustness import find_sweeps
    from ..analysis.tables import csv_tables, write_csv
    from ..data.io import atomic_path
    from ..engine.config import load_config
    from ..engine.result import check_writable
    from ..errors import ConfigError

    for name, value, least in (
        ("--frames", args.frames, 1),
        ("--curve-frames", args.curve_frames, 1),
        ("--worst", args.worst, 0),
    ):
        if value is not None and value < least:
            raise ConfigError(f"{name} {value}: expected {least} or more.")
    check_matplotlib()
    sweeps = tuple(find_sweeps(args.curves))
    entries = parse_entries(args.models)
    given = None if args.data is None else load_config(args.data, args.cfg_options)
    cfg = data_config(entries, given, args.data_root, args.split)
    if args.data is None and args.cfg_options:
        raise ConfigError("--cfg-options changes the config of --data; name that one too.")
    check_writable(args.out / REPORT)
    analysis = analyze(entries, cfg, Options(args.frames, sweeps, args.curve_frames, args.worst, device=args.device))
    page = render(analysis, told_command("analyze"))
    written = 0
    for name, (columns, rows) in csv_tables(analysis).items():
        if rows:
            write_csv(args.out / name, columns, rows)
            written += 1
        else:  # an earlier analysis' beside these would mislead
            (args.out / name).unlink(missing_ok=True)
    with atomic_path(args.out / REPORT) as temporary:
        temporary.write_text(page, encoding="utf-8")
    sys.stdout.write(f"{_summary(analysis)}\nwritten to {args.out / REPORT}, with {written} CSV files beside it\n")
    return 0


def _summary(analysis: Analysis) -> str:
    """A line a model, and what was left out."""
    from ..analysis.analysis import RANKED_BY
    from ..analysis.report import number

    units = analysis.protocol.get("units", {})
    width = max(len(one.name) for one in analysis.models)
    lines = []
    for one in analysis.models:
        shown = [f"{name} {number(one.means[name])} {units.get(name, '')}" for name in (RANKED_BY, "mae") if name in one.means]
        lines.append("  ".join((f"{one.name:<{width}}", *shown)))
    return "\n".join([*lines, *(f"note: {note}" for note in analysis.notes)])
