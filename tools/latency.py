"""Measure error against latency on real frames, with the methods of others in the same table and plot (docs/latency.md).

    python tools/latency.py --data-root data/kitti --out docs/latency.csv --markdown docs/latency.md --plot docs/latency.svg
    python tools/latency.py unet_street near=classical/nearest_kitti --data-root data/kitti --frames 2 --out two.csv

Models are named as in `mtdc compare`; without any, all of the zoo that these frames suit, and all methods without
weights. An interrupted run leaves OUT.part; the same command goes on from it, and times all methods in one go at the end.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

#: Config whose test data and metric are used: KITTI's bottom crop and the benchmark's metric, clamped.
DATA = "classical/linear_kitti"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure; a mistake of the user's ends as one line on stderr and exit code 2."""
    args = _parser().parse_args(arguments)
    from mtdc.errors import UserError

    try:
        return _run(args)
    except UserError as error:
        sys.stderr.write(f"latency: {error}\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write("latency: interrupted; errors that were measured are kept. The same command goes on.\n")
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="latency", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("models", metavar="[NAME=]CONFIG[:CHECKPOINT]", nargs="*", help="what to measure (default: zoo and methods)")
    add("--data-root", metavar="DIR", help="folder of KITTI's frames (default: the config's data_root)")
    add("--split", default="val", metavar="NAME", help="split to measure on (default: %(default)s)")
    add("--frames", type=int, metavar="N", help="so many frames, spread over the split; default: all")
    add("--threads", type=int, default=2, metavar="N", help="threads of torch and OpenCV (default: %(default)s)")
    add("--rounds", type=int, default=15, metavar="N", help="turns of each method; slow ones take fewer (default: %(default)s)")
    add("--out", type=Path, required=True, metavar="FILE", help="CSV file to write")
    add("--markdown", type=Path, metavar="FILE", help="Markdown file to write, or to write into between its two marks")
    add("--plot", type=Path, metavar="FILE", help="SVG file to draw")
    return parser


def _run(args: argparse.Namespace) -> int:
    import cv2
    import torch
    from benchmarks import report, trade_off, trade_off_page
    from benchmarks.peers import read_peers
    from benchmarks.references import REFERENCES, ReferencePredictor

    from mtdc.analysis import machine, plots
    from mtdc.analysis.frames import Frames, data_config
    from mtdc.analysis.predictors import make_predictor
    from mtdc.data.io import atomic_path
    from mtdc.engine.config import load_config
    from mtdc.engine.result import check_writable

    _check(args)
    check_writable(args.out, example="latency.csv")
    report.check_files(None, args.markdown)
    if args.plot is not None:
        plots.check_matplotlib()
        check_writable(args.plot, "--plot", "latency.svg")
    described = machine.describe("cpu")
    described["threads"] = args.threads
    if trade_off_page.busy(described):
        sys.stderr.write(f"latency: {trade_off_page.BUSY}\n")
    torch.set_num_threads(args.threads)
    cv2.setNumThreads(args.threads)
    peers = read_peers()
    entries = trade_off.find_entries(args.models, tuple(REFERENCES))
    cfg = data_config(entries, load_config(DATA), args.data_root, args.split)
    predictors = [*(make_predictor(one, device="cpu") for one in entries), *map(ReferencePredictor, REFERENCES)]
    frames = Frames(cfg, [row for one in predictors for row in one.inputs], limit=args.frames)
    errors = trade_off.Errors(args.out.with_name(f"{args.out.name}.part"), cfg, frames)
    measured = trade_off.measure(predictors, errors, frames, args.rounds)
    text = trade_off_page.markdown(measured, peers, described, _command(args))
    if args.plot is not None:
        drawn = trade_off_page.plot(measured, peers, args.threads)
        args.plot.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(args.plot) as temporary:
            temporary.write_text(drawn, encoding="utf-8")
    trade_off_page.write_table(args.out, measured, peers, len(frames))
    if args.markdown is not None:
        report.write_between(args.markdown, text)
    errors.forget()
    sys.stdout.write(text)
    return 0


def _check(args: argparse.Namespace) -> None:
    from mtdc.errors import ConfigError

    for name in ("threads", "rounds"):
        if getattr(args, name) < 1:
            raise ConfigError(f"--{name} {getattr(args, name)}: expected 1 or more.")


def _command(args: argparse.Namespace) -> str:
    """The command that measures the same, without where data lie and results go."""
    words = ["python", "tools/latency.py", *args.models]
    for name, usual in (("split", "val"), ("frames", None), ("threads", 2), ("rounds", 15)):
        if getattr(args, name) != usual:
            words += [f"--{name}", str(getattr(args, name))]
    return shlex.join(words)


if __name__ == "__main__":
    sys.exit(main())
