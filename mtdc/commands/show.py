"""Print what a config builds: its parts with their parameters in training and at test time, multiply-accumulates (MACs),
inputs, tasks with their losses and weights. For two configs: what really differs, with defaults filled in, and both costs.

    mtdc show aux_image_street
    mtdc show aux_image_street ablation/b_street

"At test" is what ``mtdc strip`` leaves. MACs are those of convolutions and matrix products, for one frame.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from .train import add_options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("config", metavar="CONFIG", help="config file, or the name of a shipped config")
    parser.add_argument("other", metavar="CONFIG", nargs="?", help="a second one, to compare it with")
    parser.add_argument("--size", type=int, nargs=2, default=(352, 1216), metavar=("H", "W"), help="where MACs are counted")
    add_options(parser)


def run(args: argparse.Namespace) -> int:
    """Print one config, or what differs between two; options are put over both."""
    from ..engine.config import load_config
    from ..engine.showing import compare, show

    size = (args.size[0], args.size[1])
    cfg = load_config(args.config, args.cfg_options)
    if args.other is None:
        report = show(cfg, size)
    else:
        names = (Path(args.config).stem, Path(args.other).stem)
        same = names[0] == names[1]
        report = compare((cfg, load_config(args.other, args.cfg_options)), (args.config, args.other) if same else names, size)
    sys.stdout.write(report + "\n")
    for name in filter(None, (args.config, args.other)):
        _name_the_zoos(name)
    return 0


def _name_the_zoos(name: str) -> None:
    """Say it where a model of the package's zoo has a config's name and was trained with another."""
    from ..zoo.index import entries, package_folder

    config = next((entry.config for entry in entries(package_folder()) if entry.name == name), name)
    if config != name:
        sys.stderr.write(f"mtdc show: this is the config '{name}'; the zoo's model of that name was trained with '{config}'.\n")
