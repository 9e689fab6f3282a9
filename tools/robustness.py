"""Measure many models as the sensor gets worse, one row of a CSV file a model and case (docs/robustness.md).

    python tools/robustness.py classical/linear_kitti unet_street:epoch_38.pth --data-root data/kitti --out kitti.csv
    python tools/robustness.py classical/linear_kitti --data classical/linear_held_back --data-root DIR --curves --out a.csv
    python tools/robustness.py --out kitti.csv --table lines --plot lines.svg

Models are named as in `mtdc analyze`, which draws such curves for a few of them into a report; this is for many models and long
runs: a case's rows are written when they are measured, and a row that is in the file is not measured again. Where
several runs write into one file --title says which rows belong together. `--curves` without names measures the frames as they
are. With --table or --plot and no models, nothing is measured.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

#: What tells two rows apart.
KEY = ("data", "curve", "step", "model")
#: What is kept of each measurement, beside its interval.
METRICS = ("rmse", "mae")
COLUMNS = (*KEY, "frames", *(f"{name}{end}_mm" for name in METRICS for end in ("", "_low", "_high")))
#: The case of frames as they are.
PLAIN = "as_is"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what is missing; a mistake of the user's ends as one line on stderr and exit code 2."""
    args = _parser().parse_args(arguments)
    from mtdc.errors import UserError

    try:
        return _run(args)
    except UserError as error:
        sys.stderr.write(f"robustness: {error}\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write(f"robustness: interrupted; what was measured is in {args.out}. The same command goes on.\n")
        return 130


def _parser() -> argparse.ArgumentParser:
    from mtdc.commands.train import add_options

    parser = argparse.ArgumentParser(
        prog="robustness", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("models", metavar="[NAME=]CONFIG[:CHECKPOINT]", nargs="*", help="configs and their weights")
    add("--out", type=Path, required=True, metavar="FILE", help="CSV file, written to and gone on with")
    add("--data", metavar="CONFIG", help="config whose test data are used; default: the first model's")
    add("--data-root", metavar="DIR", help="folder of the data set; default: the config's data_root")
    add("--split", metavar="NAME", help="split to measure on; default: the config's")
    add("--title", metavar="NAME", help="what the rows' column `data` says; default: the data root's name")
    add("--frames", type=int, metavar="N", help="so many frames, spread over the split; default: all")
    add("--curves", nargs="*", default=["drop", "lines"], metavar="NAME", help="drop, lines, or none (default: both)")
    add("--device", metavar="NAME", help="where networks run; default: a GPU where there is one")
    add("--table", metavar="CURVE", help="print a Markdown table of a curve: drop, lines, as_is")
    add("--plot", type=Path, metavar="FILE", help="draw --table's curve as SVG")
    add_options(parser)
    return parser


def _run(args: argparse.Namespace) -> int:
    from mtdc.engine.result import check_writable
    from mtdc.errors import ConfigError

    if not args.models and not args.table:
        raise ConfigError("nothing to do: name a CONFIG[:CHECKPOINT], or --table CURVE of what is measured.")
    if args.plot is not None and (not args.table or args.table == PLAIN):
        raise ConfigError("--plot draws a curve; name it: --table drop or --table lines.")
    check_writable(args.out, example="robustness.csv")
    rows = read_rows(args.out)
    if args.models:
        rows = _measure(args, rows)
    if args.table:
        chosen = [row for row in rows if row["curve"] == args.table and args.title in (None, row["data"])]
        if not chosen:
            there = ", ".join(dict.fromkeys(row["curve"] for row in rows)) or "no row"
            raise ConfigError(f"{args.out} holds no rows of the curve '{args.table}'; it holds {there}.")
        sys.stdout.write(table(chosen))
        if args.plot is not None:
            _draw(chosen, args.plot)
    return 0


def _measure(args: argparse.Namespace, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    from tqdm import tqdm

    from mtdc.analysis.entries import parse_entries
    from mtdc.analysis.frames import Frames, data_config
    from mtdc.analysis.predictors import make_predictor
    from mtdc.analysis.robustness import Sweep, find_sweeps, measure_step
    from mtdc.engine.config import load_config
    from mtdc.errors import ConfigError

    sweeps = find_sweeps(args.curves) or [Sweep(PLAIN, "", (0,), lambda step: ())]
    entries = parse_entries(args.models)
    for entry in entries:
        if entry.folder is not None:
            raise ConfigError(f"{entry.name} is a folder: maps that are there can't be computed again from a worse input.")
    given = None if args.data is None else load_config(args.data, args.cfg_options)
    if given is None and args.cfg_options:
        raise ConfigError("--cfg-options changes the config of --data; name that one too.")
    cfg = data_config(entries, given, args.data_root, args.split)
    predictors = [make_predictor(entry, device=args.device) for entry in entries]
    frames = Frames(cfg, [row for predictor in predictors for row in predictor.inputs], limit=args.frames)
    title = args.title or frames.root.resolve().name
    done = {tuple(row[key] for key in KEY) for row in rows}
    cases = []
    for sweep, step in [(one, step) for one in sweeps for step in one.steps]:
        missing = [one for one in predictors if (title, sweep.name, f"{step:g}", one.name) not in done]
        cases += [(sweep, step, missing)] if missing else []
    if not cases:
        sys.stderr.write(f"{args.out}: every row is there already.\n")
    bar = tqdm(total=len(cases) * len(frames), unit="frame", disable=None)
    for sweep, step, missing in cases:
        bar.set_description(f"{sweep.name} {step:g}")
        # All models in one pass: a frame and what is done to it are made once.
        rows += [_row(title, point) for point in measure_step(cfg, missing, sweep, step, args.frames, bar.update)]
        write_rows(args.out, rows)
    bar.close()
    return rows


def _row(title: str, point: Any) -> dict[str, Any]:
    row = dict(zip(KEY, (title, point.sweep, f"{point.step:g}", point.model), strict=True)) | {"frames": point.frames}
    for name in METRICS:
        row |= {f"{name}_mm": point.values[name], f"{name}_low_mm": point.low[name], f"{name}_high_mm": point.high[name]}
    return row


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Rows of the CSV file; none where there is no file.

    Raises:
        DataError: It is another kind of table.
    """
    from mtdc.errors import DataError

    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        if tuple(reader.fieldnames or ()) != COLUMNS:
            raise DataError(f"{path} is another table; its columns should be {', '.join(COLUMNS)}. Give another --out.")
        return list(reader)


def write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """All rows, whole or not at all."""
    from mtdc.analysis.tables import write_csv

    write_csv(path, COLUMNS, [[_number(row[name]) for name in COLUMNS] for row in rows])


def _number(value: Any) -> Any:
    """A tenth of a millimetre is finer than anything that is measured here."""
    return round(value, 1) if isinstance(value, float) else value


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Markdown: a row a model, a column a step (or a set of frames, of the plain case), RMSE / MAE in millimetres."""
    across = "data" if all(row["curve"] == PLAIN for row in rows) else "step"
    steps = list(dict.fromkeys(row[across] for row in rows))
    lines = [f"| RMSE / MAE, mm | {' | '.join(steps)} |", "|---" * (len(steps) + 1) + "|"]
    for model in dict.fromkeys(row["model"] for row in rows):
        cells = {
            row[across]: f"{float(row['rmse_mm']):.0f} / {float(row['mae_mm']):.0f}" for row in rows if row["model"] == model
        }
        lines.append(f"| {model} | {' | '.join(cells.get(step, '') for step in steps)} |")
    return "\n".join(lines) + "\n"


def _draw(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    from mtdc.analysis import plots
    from mtdc.analysis.robustness import SWEEPS
    from mtdc.data.io import atomic_path

    plots.check_matplotlib()
    series = []
    for number, model in enumerate(dict.fromkeys(row["model"] for row in rows)):
        own = [row for row in rows if row["model"] == model]
        x, y, low, high = (
            [float(row[name] or "nan") for row in own] for name in ("step", "rmse_mm", "rmse_low_mm", "rmse_high_mm")
        )
        # Colours and markers come again from the ninth on: those lines are dashed.
        series.append(plots.Series(model, x, y, low, high, number, dashed=number >= len(plots.COLORS)))
    curve = rows[0]["curve"]
    lined = curve == "lines"
    text = plots.lines(series, SWEEPS[curve].axis, "RMSE, mm", logarithmic=lined, reverse=lined)
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
