"""Evaluate a config on a data set, with the benchmark's own metrics.

    mtdc test aux_image_kitti work_dirs/aux_image_kitti/epoch_30.pth --data-root data/kitti --split val
    mtdc test classical/nearest_kitti --data-root data/kitti --split val
    mtdc test unet_street --data-root data/kitti --split val

Prints a table and writes the same numbers, each frame's and the protocol as JSON. Methods without weights take no checkpoint,
and neither do models of the zoo, which have theirs: their weights file describes the network, and data and metric are those of
the shipped config that they were trained with.

    mtdc test aux_image_kitti epoch_30.pth --data-root data/kitti --submission submission.zip

completes KITTI's 1,000 test frames, which have no public ground truth, and zips them as its server wants them. The archive is
checked before it takes its name; run again after an interruption, the command goes on.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from ..errors import ConfigError
from .train import add_launcher, add_options, work_folder


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("config", metavar="CONFIG", help="config file, name of a shipped config, or model of the zoo")
    parser.add_argument("checkpoint", metavar="CHECKPOINT", type=Path, nargs="?", help="weights, where the method has any")
    parser.add_argument("--data-root", metavar="DIR", help="folder of the data set; default: the config's data_root")
    parser.add_argument("--split", metavar="NAME", help="split to evaluate on; default: the config's")
    parser.add_argument("--out", type=Path, metavar="RESULT.json", help="where the result goes; default WORK_DIR/result.json")
    parser.add_argument(
        "--save-depth", type=Path, metavar="DIR", help="write predictions, as large as evaluated (cropped), as KITTI PNGs"
    )
    parser.add_argument(
        "--submission", type=Path, metavar="OUT.zip", help="complete KITTI's test frames for its server; nothing is measured"
    )
    parser.add_argument(
        "--allow-partial", action="store_true", help="with --submission: another number of frames than 1,000, to try it"
    )
    parser.add_argument(
        "--work-dir",
        type=Path,
        metavar="DIR",
        help="where the log goes; default: test/ in the folder of the checkpoint's run, or in work_dirs/NAME",
    )
    add_options(parser)
    add_launcher(parser)


def run(args: argparse.Namespace) -> int:
    """Evaluate, or make a submission."""
    from ..engine.distributed import processes

    with processes(args.launcher):  # around everything: a mistake that all processes see is said by one of them
        _test(args)
    return 0


def _test(args: argparse.Namespace) -> None:
    from ..engine.config import load_config, require, set_data_root

    cfg = _of_zoo(args) if args.checkpoint is None else None
    if cfg is None:
        cfg = load_config(args.config, args.cfg_options)
    if args.data_root:
        set_data_root(cfg, args.data_root)
    require(cfg, "test_dataloader")
    folder = args.work_dir if args.work_dir is not None else _run_folder(args.config, args.checkpoint) / "test"
    if args.submission is None:
        _measure(args, cfg, folder)
    else:
        _submit(args, cfg, folder)


def _of_zoo(args: argparse.Namespace) -> Any:
    """The config to measure a zoo's model with, whose weights become the checkpoint; None where the zoo has no such name.

    The weights file describes the network; data and metric are of the shipped config that it was trained with.
    """
    from ..engine.config import config_folder, load_config, shipped_configs
    from ..engine.tensor_file import SUFFIX, read_description
    from ..zoo.index import find, find_weights
    from ..zoo.weights import load_model_config

    if Path(args.config).suffix == SUFFIX:
        trained_with = read_description(args.config).get("training", {}).get("config")
        config = trained_with if trained_with in shipped_configs() else "CONFIG"
        raise ConfigError(
            f"{args.config}: a weights file says nothing of the data to measure on; name a config before it, as in "
            f"`mtdc test {config} {args.config}`."
        )
    weights = find_weights(args.config)
    if weights is None:
        return None
    config = find(args.config).config
    if config not in shipped_configs():  # a config is a program: an index, which may be anyone's, names none of its own
        raise ConfigError(
            f"{args.config}: the zoo's model was trained with the config '{config}', which is not shipped; name a config that "
            f"it fits: mtdc test CONFIG {weights}"
        )
    options = args.cfg_options or {}
    for key in options:
        if key.partition(".")[0] == "model":
            raise ConfigError(
                f"--cfg-options {key}: the weights of '{args.config}' describe their network, which no option changes; name a "
                f"config to change: mtdc test {config} {weights} --cfg-options {key}={options[key]}"
            )
    # By its path: a file of that name in this folder is not meant.
    cfg = load_config(config_folder() / f"{config}.py", options)
    cfg.model = load_model_config(weights)
    args.checkpoint = weights
    return cfg


def _run_folder(config: str, checkpoint: Path | None) -> Path:
    """Where a run's files are: beside its checkpoint; a published weights file lies in a zoo or a cache and is of no run."""
    from ..engine.tensor_file import SUFFIX

    return work_folder(config, None) if checkpoint is None or checkpoint.suffix == SUFFIX else checkpoint.parent


def _measure(args: argparse.Namespace, cfg: Any, folder: Path) -> None:
    from mmengine.dist import is_main_process

    from ..engine.result import check_writable, save_result
    from ..engine.runs import RESULT_NAME, evaluate

    if args.allow_partial:
        raise ConfigError("--allow-partial belongs to --submission.")
    if args.split:
        cfg.test_dataloader.dataset.split = args.split
    out = args.out if args.out is not None else folder / RESULT_NAME
    check_writable(out)
    result = evaluate(cfg, args.checkpoint, folder, args.save_depth, args.launcher)
    if is_main_process():
        save_result(out, result)
        report(result, out)


def _submit(args: argparse.Namespace, cfg: Any, folder: Path) -> None:
    from ..engine import submission

    for option, value in (("--out", args.out), ("--save-depth", args.save_depth)):
        if value is not None:
            raise ConfigError(
                f"{option} and --submission don't go together: nothing is measured, and the archive holds the maps."
            )
    cfg.test_dataloader.dataset.split = args.split or submission.SPLIT
    made = submission.make_submission(cfg, args.checkpoint, folder, args.submission, args.allow_partial, args.launcher)
    if made is not None:
        sys.stdout.write(f"{submission.describe(made)}\n")


def report(result: dict[str, Any], path: Path) -> None:
    """The table for people, and where the numbers are."""
    from ..engine.result import format_table

    sys.stdout.write(f"{format_table(result)}\nwritten to {path}\n")
