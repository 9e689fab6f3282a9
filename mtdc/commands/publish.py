"""Publish a trained model in a zoo: strip it, store it in half precision, try the stored file, and write it into the index.

    mtdc publish work_dirs/unet_street --zoo my_zoo --name my_street --title "U-Net from a fill" --licence Apache-2.0
        --data "420 frames of the street world" --minutes 30 --machine "1 core of an AMD EPYC"
        --result work_dirs/unet_street/test/result.json "24 frames of KITTI val"

The stored file is loaded back and must predict what the checkpoint does; what it is worth on streets or rooms that the package
draws is measured and written down (--setting; indoors where the config measures with NYUv2DepthMetric). Results of `mtdc test`
with the same weights are added by --result, those of other seeds by --seed-result with the same words:

    --seed-result 1 work_dirs/unet_street_1/test/result.json "24 frames of KITTI val"

What the training logged goes into a CSV beside the card, whose skeleton is written where there is none. The command that
repeats the training is made from the run's config and the shipped one of its name, or given by --command and held against
the run's. --url and --upload leave the file out of the zoo: it is put into a folder, to be uploaded, and fetched at its first
use.
MTDC_ZOO=my_zoo makes `mtdc.load('my_street')` find the model.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
from pathlib import Path

from ..errors import ConfigError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("work_dir", metavar="WORK_DIR", type=Path, help="folder of a run: its config and its checkpoints")
    parser.add_argument("--config", metavar="CONFIG", help="the run's config; default: the one in WORK_DIR")
    parser.add_argument("--checkpoint", metavar="FILE", type=Path, help="the weights; default: WORK_DIR's last checkpoint")
    parser.add_argument(
        "--zoo", metavar="DIR", type=Path, help="folder of the zoo, made where it is missing; default: MTDC_ZOO"
    )
    parser.add_argument("--name", required=True, help="what mtdc.load will call it: small letters, digits, '_' and '-'")
    parser.add_argument("--title", required=True, help="one line on what it is")
    parser.add_argument("--purpose", default="", help="one line on what to take it for")
    parser.add_argument("--licence", required=True, help="under which the weights may be used")
    parser.add_argument("--data", required=True, help="what it saw in training")
    parser.add_argument("--minutes", required=True, type=float, help="what the training took")
    parser.add_argument("--machine", required=True, help="on what")
    parser.add_argument("--result", nargs=2, action="append", default=[], metavar=("RESULT.json", "WORDS"),
                        help="what `mtdc test` measured with these weights, and on which frames; may be repeated")  # fmt: skip
    parser.add_argument("--seed-result", nargs=3, action="append", default=[], metavar=("SEED", "RESULT.json", "WORDS"),
                        help="the same with another seed's weights, on the frames of the --result of these words")  # fmt: skip
    parser.add_argument("--setting", choices=("outdoor", "indoor"),
                        help="where it was trained for; default: what the config's metric says")  # fmt: skip
    parser.add_argument(
        "--command",
        dest="repeating",
        metavar="WORDS",
        help="the command that repeats the training; default: made from the config",
    )
    parser.add_argument("--url", help="folder's address that the file will be fetched from; default: it lies in the zoo")
    parser.add_argument("--upload", metavar="DIR", type=Path, help="with --url: where the file is put, to be uploaded")
    parser.add_argument("--full-precision", action="store_true", help="store float32 instead of float16")
    parser.add_argument("--replace", action="store_true", help="replace the entry of that name")


def run(args: argparse.Namespace) -> int:
    """Publish, and say what was written."""
    from ..zoo.index import INDEX_NAME, WEIGHTS_FOLDER, ZOO_VARIABLE
    from ..zoo.page import drawn_frames, drawn_values
    from ..zoo.publishing import Wanted, publish

    zoo = args.zoo or (Path(os.environ[ZOO_VARIABLE]) if os.environ.get(ZOO_VARIABLE) else None)
    if zoo is None:
        raise ConfigError(f"name the zoo's folder: --zoo DIR, or {ZOO_VARIABLE}=DIR in the environment.")
    if not (math.isfinite(args.minutes) and args.minutes >= 0):
        raise ConfigError(f"--minutes must be a number from 0 on, not {args.minutes:g}.")
    wanted = Wanted(
        name=args.name,
        title=args.title,
        licence=args.licence,
        data=args.data,
        minutes=args.minutes,
        machine=args.machine,
        purpose=args.purpose,
        setting=args.setting,
        command=args.repeating,
        results=tuple((Path(path), words) for path, words in args.result),
        seed_results=tuple((_seed(seed), Path(path), words) for seed, path, words in args.seed_result),
        url=args.url,
        upload=args.upload,
        half=not args.full_precision,
        replace=args.replace,
    )
    entry = publish(args.work_dir, zoo, wanted, args.config, args.checkpoint)
    place = zoo / WEIGHTS_FOLDER / entry.file if entry.file else f"put into {args.upload}, to be uploaded as {entry.url}"
    beside = f", and what the training logged: {entry.log}" if entry.log else ""
    sys.stdout.write(
        f"published {entry.name}: {place} ({entry.bytes / 1e6:.2f} MB, {entry.parameters['test']:,} parameters)\n"
        f"on {drawn_frames(entry)}: {drawn_values(entry)}\n"
        f"again: {entry.command}\n"
        f"written to {zoo / INDEX_NAME}; fill in its card: {entry.card}{beside}\n"
    )
    return 0


def _seed(word: str) -> int:
    if not word.isdecimal():
        raise ConfigError(f"--seed-result begins with the seed, a whole number from 0 on, not '{word}'.")
    return int(word)
