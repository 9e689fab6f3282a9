"""Train a small network to tell real scan patches from the street world's, and print how well it does on unseen ones.

    python tools/street_classifier.py data/street/train --real data/kitti/train

0.5 is perfect: the network can't tell. Whole drives of the real frames are unseen in turn. Two controls are beside it: the real
drive with the most frames against the others, and one half of the world against the other, which has to come out at 0.5.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from mtdc.data.street.classifier import VIEWS, ClassifierOptions, LabelledFrame, Verdict, in_blocks, read_frames, tell_apart
from mtdc.errors import UserError

FOLDS = 3
Sets = tuple[Sequence[LabelledFrame], Sequence[LabelledFrame]]


def comparisons(
    world: Sequence[LabelledFrame], real: Sequence[LabelledFrame], views: Sequence[str]
) -> dict[str, tuple[Sets, str]]:
    """What is told apart: row of the table -> both sets and the view."""
    drives = Counter(frame.group for frame in real)
    # A single drive is cut into parts of neighbours in time.
    unseen = real if len(drives) > 1 else in_blocks(real, min(FOLDS, len(real)))
    rows: dict[str, tuple[Sets, str]] = {f"real, world ({view})": ((unseen, world), view) for view in views}
    if len(drives) > 2:
        (largest, _), *_ = drives.most_common(1)
        own = [frame for frame in real if frame.group == largest]
        others = [frame for frame in real if frame.group != largest]
        if len(own) > 1:
            rows[f"real {largest}, other real ({views[0]})"] = ((in_blocks(own, 2), others), views[0])
    rows[f"world, world ({views[0]})"] = ((world[::2], world[1::2]), views[0])
    return rows


def listed(shares: Mapping[str, float]) -> str:
    """Names and numbers in one cell."""
    return ", ".join(f"{name} {share:.2f}" for name, share in shares.items())


def line(name: str, verdict: Verdict) -> str:
    """A row of the table."""
    first, second = verdict.kinds
    spread = np.std(verdict.accuracy)
    rows = " ".join(f"{share:.2f}" for share in verdict.rows)
    numbers = f"{np.mean(verdict.accuracy):.3f} | {spread:.3f} | {np.mean(verdict.area):.3f} | {rows}"
    return f"| {name} | {numbers} | {listed(first)} | {listed(second)} |\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Read, train, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("world", type=Path, metavar="DIR", help="a split of the street world")
    parser.add_argument("--real", type=Path, required=True, metavar="DIR", help="a split of real drives in KITTI's layout")
    parser.add_argument("--frames", type=int, default=240, help="at most so many of each (default: %(default)s)")
    parser.add_argument("--views", nargs="+", default=["depth"], choices=sorted(VIEWS), help="what is seen (default: depth)")
    parser.add_argument("--steps", type=int, default=ClassifierOptions.steps, help="of training (default: %(default)s)")
    parser.add_argument("--seeds", type=int, default=3, help="trainings of each fold (default: %(default)s)")
    args = parser.parse_args(arguments)
    if args.frames < 1 or args.seeds < 1:
        parser.error(f"--frames {args.frames} --seeds {args.seeds}; expected at least 1 of each")
    torch.set_num_threads(1)
    out = sys.stdout.write
    try:
        world, real = (read_frames(folder, args.frames) for folder in (args.world, args.real))
        out("| first, second set (seen) | accuracy | spread | area | by rows | told right, first set | second set |\n")
        out("|---|---|---|---|---|---|---|\n")
        for name, ((first, second), view) in comparisons(world, real, args.views).items():
            folds = min(FOLDS, *(len({frame.group for frame in frames}) for frames in (first, second)))
            options = ClassifierOptions(steps=args.steps, view=view)
            with tqdm(total=folds * args.seeds, desc=name, unit="training", leave=False) as bar:
                verdict = tell_apart(first, second, options, folds, range(args.seeds), lambda *_: bar.update())
            out(line(name, verdict))
            sys.stdout.flush()
    except UserError as error:
        parser.error(str(error))
    return 0


if __name__ == "__main__":
    sys.exit(main())
