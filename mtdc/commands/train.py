"""Train a config.

    mtdc train aux_image_kitti --data-root data/kitti

Writes checkpoints, the log, the config as it ran and, where the config evaluates, result.json into the work folder. An
interrupted run goes on with --resume, to the same weights as if it had not stopped.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import ConfigError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("config", metavar="CONFIG", help="config file, or the name of a shipped config")
    parser.add_argument("--work-dir", type=Path, metavar="DIR", help="where the run writes; default work_dirs/CONFIG")
    parser.add_argument("--data-root", metavar="DIR", help="folder of the data set; default: the config's data_root")
    again = parser.add_mutually_exclusive_group()
    again.add_argument("--resume", action="store_true", help="go on from the last checkpoint in the work folder")
    again.add_argument("--overwrite", action="store_true", help="start again: remove an earlier run from the work folder")
    add_options(parser)
    add_launcher(parser)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare --cfg-options, which every command with a config shares."""
    from mmengine.config import DictAction

    class Options(DictAction):  # type: ignore[misc]  # mmengine has no types
        """``KEY=VALUE`` pairs; a word that is none is said, instead of mmengine's traceback."""

        def __call__(self, parser: Any, namespace: Any, values: Any, option_string: Any = None) -> None:
            for word in values:
                if "=" not in word:
                    parser.error(f"--cfg-options takes KEY=VALUE, as in model.width=8, not '{word}'")
            try:
                super().__call__(parser, namespace, values, option_string)
            except (ValueError, RecursionError, AssertionError):
                parser.error(f"--cfg-options can't read {' '.join(values)}: values are numbers, words, [lists] and (tuples)")

    parser.add_argument("--cfg-options", nargs="+", action=Options, metavar="KEY=VALUE", help="as in model.width=8")


def told_command(name: str) -> str:
    """The command line as it was given, for reports that say how to have their numbers again."""
    words = sys.argv[1:]
    return shlex.join(["mtdc", name, *(words[1:] if words[:1] == [name] else words)])


def add_launcher(parser: argparse.ArgumentParser) -> None:
    """Declare how processes are started, which train and test share."""
    parser.add_argument("--launcher", choices=("none", "pytorch", "slurm"), default="none", help="for several processes")


def work_folder(config: str, given: Path | None) -> Path:
    """The work folder of a config: the given one, or work_dirs/ and the config's name."""
    return given if given is not None else Path("work_dirs") / Path(config).stem


def run(args: argparse.Namespace) -> int:
    """Train."""
    from ..engine.distributed import processes

    with processes(args.launcher):  # around everything: a mistake that all processes see is said by one of them
        _train(args)
    return 0


def _train(args: argparse.Namespace) -> None:
    from ..engine.config import load_config, set_data_root
    from ..engine.folder_lock import held

    cfg = load_config(args.config, args.cfg_options)
    if args.data_root:
        set_data_root(cfg, args.data_root)
    folder = work_folder(args.config, args.work_dir)
    with held(folder):  # also while it is looked into: another run's files come and go
        _train_in(cfg, folder, args)


def _train_in(cfg: Any, folder: Path, args: argparse.Namespace) -> None:
    from mmengine.dist import barrier, is_main_process

    from ..engine.checkpoint import last_checkpoint
    from ..engine.loops import plain_train_cfg
    from ..engine.resuming import describe_run
    from ..engine.runs import train

    if isinstance(cfg.get("train_cfg"), Mapping):
        cfg.train_cfg = plain_train_cfg(cfg.train_cfg)  # as checkpoints have it
    found = "" if args.resume or args.overwrite else describe_run(cfg, folder)
    if found:
        first = "Go on with it (--resume), remove" if last_checkpoint(folder) else "Remove"
        raise ConfigError(
            f"{folder} holds {found}. {first} it and start again (--overwrite), or name another folder (--work-dir)."
        )
    barrier()  # all have looked into the folder before one writes there
    try:
        result = train(cfg, folder, args.launcher, args.resume, args.overwrite)
    except KeyboardInterrupt as error:
        raise (KeyboardInterrupt("Go on with --resume.") if last_checkpoint(folder) else error) from None
    if result is not None and is_main_process():
        from .test import report

        report(result, folder / "result.json")
        panels = sorted((folder / "panels").glob("*/*.png"), key=lambda path: path.stat().st_mtime)
        if panels:
            sys.stdout.write(f"a picture of it: {panels[-1]}\n")
