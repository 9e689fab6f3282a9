"""How good normals from depth are: those fitted to a street world's depth beside the exact ones, frame by frame.

    python tools/street_normals.py --frames 10

Exact depth at every pixel, and depth as the benchmark's ground truth has it: scans of several frames together, cleaned. A
normal counts as masked where depth is known and the fit is not trusted.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import numpy as np
import torch

from mtdc.data.street import StreetOptions, draw_frame
from mtdc.geometry import normals_from_depth
from mtdc.metrics.normals import NormalsMetric


def main(arguments: Sequence[str] | None = None) -> int:
    """Draw, fit, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=10, metavar="N", help="streets (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of the world (default: %(default)s)")
    parser.add_argument("--size", type=int, nargs=2, default=(192, 640), metavar=("H", "W"), help="pixels (default: 192 640)")
    args = parser.parse_args(arguments)
    options = StreetOptions(size=tuple(args.size))
    columns = ("depth", "known pixels %", "masked %", "mean deg", "median deg", "< 11.25", "< 22.5", "< 30")
    sys.stdout.write(f"| {' | '.join(columns)} |\n{'|---' * len(columns)}|\n")
    for title, name in (("exact", "dense"), ("ground truth", "truth")):
        metric, known, masked, pixels = NormalsMetric(), 0, 0, 0
        for number in range(args.frames):
            drawn = draw_frame(options, args.seed, number, (name, "normals"))
            depth = torch.from_numpy(drawn.maps[name])[None, None]
            fitted = normals_from_depth(depth, torch.from_numpy(drawn.intrinsics)[None])[0]
            found = (fitted != 0).any(dim=0)
            exact = torch.from_numpy(drawn.maps["normals"]).permute(2, 0, 1) * found
            known, masked = known + int((depth > 0).sum()), masked + int(((depth[0, 0] > 0) & ~found).sum())
            pixels += depth.numel()
            metric.process(None, [{"pred_normals": fitted, "gt_normals": exact, "sample_id": str(number)}])
        values = metric.compute_metrics(metric.results)
        numbers = [100 * known / pixels, 100 * masked / known, *(values[key] for key in list(values)[:5])]
        sys.stdout.write(f"| {title} | " + " | ".join(f"{number:.3g}" for number in np.asarray(numbers)) + " |\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
