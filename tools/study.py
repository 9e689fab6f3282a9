"""Train a study of auxiliary tasks: variants times seeds, one row of a CSV file a run.

    python tools/study.py --out work_dirs/study                      # two hours on two cores; call it again to go on
    python tools/study.py --out work_dirs/study --budget gpu         # larger, where there is a GPU
    python tools/study.py --out work_dirs/raw --representation SparseDepth
    python tools/study.py --out work_dirs/study --table              # the tables of what is there
    python tools/study.py --study nyuv2 --data-root data/nyuv2 --out work_dirs/indoor

Each run is `tools/train.py` of a config that is written into the run's folder, in a process of its own. A run that was cut
short goes on with --resume; a run that is in the CSV file is not made again. The street study (the default) is measured on test
streets that no training saw: against the benchmark's kind of truth, and against exact depth at every pixel, by class, by
distance and at depth edges. The study on NYUv2 trains on the frames of its training split and is measured on its validation
split.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from studies import STUDIES, Study
from studies.definition import REPRESENTATIONS, Run

TOOLS = Path(__file__).resolve().parent
#: Columns before the measured values.
HEAD = ("variant", "seed", "budget", "parameters", "parameters_at_test", "steps", "minutes", "precision", "representation")


class Runs:
    """The runs of one study: its folder, its CSV file, and the processes that are alive."""

    def __init__(self, study: Study, args: argparse.Namespace, budget: str, threads: int) -> None:
        self.study, self.budget, self.threads = study, budget, threads
        self.precision, self.representation = args.precision, args.representation
        self.folder = args.out.resolve()
        self.data_root = (args.data_root or self.folder / "data").expanduser().resolve()
        self.prepared = study.prepared(self.data_root, self.folder, budget)
        self.table = self.folder / "runs.csv"
        self._lock = threading.Lock()
        self._alive: set[subprocess.Popen[bytes]] = set()
        self.stopped = False

    def done(self) -> dict[tuple[str, int], dict[str, str]]:
        """Finished runs by variant and seed."""
        return {(row["variant"], int(row["seed"])): row for row in read_rows(self.table)}

    def write_config(self, name: str, seed: int) -> Path:
        """The config of one run, in its folder."""
        from mtdc.engine.config import find_config

        variant, config = self.study.all_variants[name], self.folder / f"{name}_{seed}" / "run.py"
        config.parent.mkdir(parents=True, exist_ok=True)
        base = str(find_config(variant.config).resolve())
        first = name == self.study.reference and seed == 0
        run = Run(variant, base, self.budget, self.prepared, seed, self.precision, self.representation, first)
        config.write_text(self.study.config_text(run))
        return config

    def prepare(self, name: str, seed: int) -> None:
        """The data of all runs, by the config of one of them."""
        self.study.prepare(self.data_root, self.folder, self.budget, self.write_config(name, seed))

    def train(self, name: str, seed: int) -> dict[str, Any]:
        """One run to its end; its row.

        Raises:
            RuntimeError: It failed; the text says where its output is.
        """
        from mtdc.data.io import write_json

        config = self.write_config(name, seed)
        run = config.parent
        work = run / "work"
        command = [sys.executable, str(TOOLS / "train.py"), str(config), "--work-dir", str(work)]
        if (work / "last_checkpoint").is_file():
            command.append("--resume")
        elif work.is_dir():
            command.append("--overwrite")
        clock = run / "minutes.json"
        before = json.loads(clock.read_text()) if clock.is_file() else 0.0
        start = time.monotonic()
        environment = {**os.environ, "OMP_NUM_THREADS": str(self.threads), "PYTHONUNBUFFERED": "1"}
        with (run / "output.log").open("ab") as log:
            with self._lock:
                if self.stopped:  # since this call began
                    raise RuntimeError(f"{name}, seed {seed}: the study was stopped.")
                process = subprocess.Popen(command, stdout=log, stderr=log, env=environment, start_new_session=True)
                self._alive.add(process)
            code = process.wait()
            with self._lock:
                self._alive.discard(process)
        minutes = before + (time.monotonic() - start) / 60
        write_json(clock, minutes)
        if code:
            raise RuntimeError(f"{name}, seed {seed}: the run ended with {code}; its output is in {run / 'output.log'}.")
        return self._row(name, seed, minutes, json.loads((work / "result.json").read_text()))

    def _row(self, name: str, seed: int, minutes: float, result: dict[str, Any]) -> dict[str, Any]:
        from mtdc.engine.config import load_config
        from mtdc.model import build_model

        model = build_model(load_config(self.folder / f"{name}_{seed}" / "run.py").model)
        whole = sum(parameter.numel() for parameter in model.parameters())
        kept = sum(parameter.numel() for parameter in model.strip(("depth",)).parameters())
        steps = self.study.steps(self.budget, self.prepared)
        values = (name, seed, self.budget, whole, kept, steps, round(minutes, 2), self.precision, self.representation)
        return dict(zip(HEAD, values, strict=True)) | measured(result)

    def add(self, rows: Sequence[dict[str, Any]]) -> None:
        """Put rows into the CSV file, which is written whole or not at all; columns are those that any row has."""
        from mtdc.data.io import atomic_path

        with self._lock:
            old = [row for row in read_rows(self.table) if all(_key(row) != _key(new) for new in rows)]
            order = list(self.study.all_variants)
            every = sorted([*old, *rows], key=lambda row: ([*order, row["variant"]].index(row["variant"]), int(row["seed"])))
            columns = list(dict.fromkeys(key for row in every for key in row))
            with atomic_path(self.table) as path, path.open("w", newline="") as file:
                writer = csv.DictWriter(file, columns, lineterminator="\n")
                writer.writeheader()
                writer.writerows(every)

    def stop(self) -> None:
        """End the processes that are alive; each has its last checkpoint."""
        with self._lock:
            self.stopped = True
            for process in self._alive:
                os.killpg(process.pid, signal.SIGTERM)


def measured(result: dict[str, Any]) -> dict[str, Any]:
    """The numbers of a result, rounded to a tenth of a millimetre."""
    return {
        key: round(value, 1 if value > 10 else 4)
        for key, value in result.items()
        if isinstance(value, float) and not key.endswith("frames_without_ground_truth")
    }


def read_rows(table: Path) -> list[dict[str, str]]:
    """Rows of a study's CSV file; none where there is no file."""
    if not table.is_file():
        return []
    with table.open(newline="") as file:
        return list(csv.DictReader(file))


def _key(row: dict[str, Any]) -> tuple[str, int]:
    return row["variant"], int(row["seed"])


def main(arguments: Sequence[str] | None = None) -> int:
    """Train what is missing, then print the tables; 0 where every run is there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the study")
    parser.add_argument("--study", choices=STUDIES, default="street", help="which one (default: %(default)s)")
    for key, text in (("budget", "how much a run sees"), ("variants", "what is trained")):
        known = "; ".join(f"{name}: {_known(study, key)}" for name, study in STUDIES.items())
        parser.add_argument(f"--{key}", nargs="+" if key == "variants" else None, metavar="NAME", help=f"{text}; {known}")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], metavar="N", help="default: 0 1 2")
    parser.add_argument("--at-once", type=int, metavar="N", help="runs at a time (default: one for each core; 1 on a GPU)")
    parser.add_argument("--precision", default="bfloat16", help="of training (default: %(default)s)")
    parser.add_argument(
        "--representation",
        choices=REPRESENTATIONS,
        default=REPRESENTATIONS[0],
        help="what networks read (default: %(default)s)",
    )
    parser.add_argument(
        "--data-root", type=Path, metavar="DIR", help="NYUv2's folder; where streets are drawn (default: DIR/data of --out)"
    )
    parser.add_argument("--table", action="store_true", help="train nothing; print the tables of what is there")
    args = parser.parse_args(arguments)
    from mtdc.errors import UserError

    try:
        return _study(args)
    except (UserError, RuntimeError) as error:
        sys.stderr.write(f"study: {error}\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write("study: interrupted; call it again to go on.\n")
        return 130


def _study(args: argparse.Namespace) -> int:
    import torch
    from studies.tables import tables

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    at_once = args.at_once or (1 if torch.cuda.is_available() else cores)
    study = STUDIES[args.study]
    budget = _chosen(args, "budget", [args.budget or next(iter(study.budgets))], study.budgets)[0]
    variants = _chosen(args, "variants", args.variants or list(study.variants), study.all_variants)
    if study.reads_data and args.data_root is None and not args.table:
        raise RuntimeError(f"the study {args.study} reads data: name its folder with --data-root.")
    runs = Runs(study, args, budget, max(1, cores // at_once))
    if not args.table:
        args.out.mkdir(parents=True, exist_ok=True)
        _check_same(runs)
        _train_missing(runs, variants, args.seeds, at_once)
    rows = read_rows(runs.table)
    if not rows:
        raise RuntimeError(f"{runs.table} has no run yet; leave --table away to train.")
    sys.stdout.write(tables(rows, study) + "\n")
    missing = [f"{name} {seed}" for name in variants for seed in args.seeds if (name, seed) not in runs.done()]
    if missing:
        sys.stderr.write(f"study: not there yet: {', '.join(missing)}.\n")
    return int(bool(missing))


def _known(study: Study, key: str) -> str:
    if key == "budget":
        return ", ".join(study.budgets)
    return ", ".join(study.variants) + (f" (all are the default), {', '.join(study.probes)}" if study.probes else "")


def _chosen(args: argparse.Namespace, key: str, names: Sequence[str], known: Mapping[str, Any]) -> list[str]:
    from mtdc.errors import ConfigError, did_you_mean

    for name in names:
        if name not in known:
            raise ConfigError(f"the study {args.study} has no {name} among its --{key}.{did_you_mean(name, known)}")
    return list(names)


def _check_same(runs: Runs) -> None:
    for key, own in (("budget", runs.budget), ("representation", runs.representation), ("precision", runs.precision)):
        others = {row.get(key) for row in read_rows(runs.table) if row["variant"] in runs.study.all_variants} - {own}
        if others:
            raise RuntimeError(f"{runs.table} holds runs with --{key} {others.pop()}; name that, or another --out.")


def _train_missing(runs: Runs, variants: Sequence[str], seeds: Sequence[int], at_once: int) -> None:
    from tqdm import tqdm

    done = runs.done()
    # Seed by seed, so that what there is after an interruption compares all variants.
    missing = [(name, seed) for seed in seeds for name in variants if (name, seed) not in done]
    if not missing:
        return
    runs.prepare(*missing[0])
    with ThreadPoolExecutor(at_once) as pool, tqdm(total=len(missing), unit="run") as bar:
        jobs = [pool.submit(_one, runs, name, seed) for name, seed in missing]
        try:
            for job in as_completed(jobs):
                job.result()
                bar.update()
        except BaseException:
            for job in jobs:
                job.cancel()
            runs.stop()
            raise


def _one(runs: Runs, name: str, seed: int) -> None:
    if runs.stopped:
        return
    row = runs.train(name, seed)
    result = json.loads((runs.folder / f"{name}_{seed}" / "work" / "result.json").read_text())
    methods = [
        {**dict.fromkeys(HEAD, ""), "variant": method, "seed": 0, "budget": runs.budget, **measured(values)}
        for method, values in result.get("baselines", {}).items()
    ]
    runs.add([row, *methods])


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: runs are processes of their own, and end with it
    sys.exit(main())
