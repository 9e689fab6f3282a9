"""Measure training, loading, inference and the street world on this machine (docs/benchmarks.md).

    python tools/benchmark.py
    python tools/benchmark.py inference --config aux_image_kitti --config my_config.py --out inference.json

PART is any of step, loading, listing, inference, world, budget; all of them if none is named.
"""

from __future__ import annotations

import argparse
import importlib
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure; a mistake of the user's ends as one line on stderr and exit code 2."""
    args = _parser().parse_args(arguments)
    if args.device == "cpu":
        # The engine takes a GPU wherever torch sees one, so torch, imported below, must see none.
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    from mtdc.errors import UserError

    try:
        return _measure(args)
    except UserError as error:
        sys.stderr.write(f"benchmark: {error}\n")
        return 2
    except OSError as error:
        if error.filename is None:
            raise
        sys.stderr.write(f"benchmark: {error.filename}: {error.strerror}.\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write("benchmark: interrupted; parts that were finished are written.\n")
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="benchmark", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("parts", nargs="*", metavar="PART", help="what to measure (default: everything)")
    add(
        "--config",
        action="append",
        default=[],
        metavar="CONFIG",
        help="config to measure, once or more (default: the parts' own)",
    )
    add("--device", choices=("cpu", "cuda"), help="where networks run (default: a GPU where there is one)")
    add("--threads", type=int, default=2, metavar="N", help="threads of torch (default: %(default)s)")
    add("--size", type=int, nargs=2, metavar=("H", "W"), help="pixels of a frame (default: 352 1216; for step the config's)")
    add(
        "--batch",
        type=int,
        metavar="N",
        help="frames of a training step (default: the config's, on a processor as many as fit)",
    )
    add("--workers", type=int, nargs="+", default=[0, 1, 2], metavar="N", help="loader workers to compare (default: 0 1 2)")
    add("--rounds", type=int, metavar="N", help="repetitions of what is compared (default: the parts' own)")
    add("--seed", type=int, default=0, metavar="N", help="seed of weights and streets (default: %(default)s)")
    add("--quick", action="store_true", help="tiny sizes, to try the command: the numbers mean nothing")
    add("--out", type=Path, metavar="FILE", help="JSON file to write")
    add("--markdown", type=Path, metavar="FILE", help="Markdown file to write, or to write into between its two marks")
    return parser


def _measure(args: argparse.Namespace) -> int:
    import torch
    from benchmarks import PARTS, report

    from mtdc.analysis import machine
    from mtdc.compatibility import mend_torchvision
    from mtdc.errors import ConfigError, did_you_mean

    for name in args.parts:
        if name not in PARTS:
            raise ConfigError(f"'{name}' is no part of the benchmark.{did_you_mean(name, PARTS)}")
    if args.device == "cuda" and not torch.cuda.is_available():
        raise ConfigError("--device cuda: torch sees no GPU here.")
    device = args.device or ("cuda" if torch.cuda.is_available() else "cpu")
    mend_torchvision()
    modules = {name: importlib.import_module(f"benchmarks.{name}") for name in PARTS if name in (args.parts or PARTS)}
    settings = _settings(args, device)
    settings.check()
    report.check_files(args.out, args.markdown)
    for module in modules.values():
        module.check(settings)
    torch.set_num_threads(args.threads)
    columns = {name: module.COLUMNS for name, module in modules.items()}
    results: dict[str, Any] = {
        "command": _command(args), "seed": args.seed, "threads": args.threads, "device": device, "quick": args.quick,
        "machine": machine.describe(device), "parts": {},
    }  # fmt: skip
    sys.stdout.write(f"{machine.sentence(results['machine'])}\n{results['command']}, seed {args.seed}\n\n")
    for name, module in modules.items():
        sys.stderr.write(f"measuring {name} ...\n")
        results["parts"][name] = part = {"what": module.WHAT, **module.run(settings)}
        sys.stdout.write(report.console_text(name, part, columns[name]))
        sys.stdout.flush()
        report.write(results, columns, args.out, args.markdown)
    return 0


def _settings(args: argparse.Namespace, device: str) -> Any:
    from benchmarks.settings import Settings

    return Settings(
        configs=tuple(args.config), device=device, threads=args.threads, seed=args.seed,
        size=None if args.size is None else tuple(args.size), batch=args.batch, workers=tuple(dict.fromkeys(args.workers)),
        rounds=args.rounds, quick=args.quick,
    )  # fmt: skip


def _command(args: argparse.Namespace) -> str:
    """The command that measures the same, without where it writes."""
    from benchmarks.settings import label

    words = ["python", "tools/benchmark.py", *args.parts]
    for config in args.config:
        words += ["--config", label(config)]
    standard = vars(_parser().parse_args([]))
    for name in ("device", "threads", "size", "batch", "workers", "rounds", "seed"):
        value = getattr(args, name)
        if value != standard[name]:
            words += [f"--{name}", *map(str, value if isinstance(value, list) else [value])]
    return shlex.join(words + ["--quick"] * args.quick)


if __name__ == "__main__":
    sys.exit(main())
