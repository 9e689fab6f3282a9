"""Compare a folder of depth PNGs with a folder of ground truth, as KITTI's own program does.

Both are searched for 16-bit PNGs (metres * 256, 0 = none), folders below included. Files are paired by their relative names,
else by the drive, frame and camera in KITTI's names. No limits and no crop; holes of a prediction are filled by the benchmark's
rule; the mean is over frames. RMSE and MAE are printed in mm, iRMSE and iMAE in 1/km.

    mtdc evaluate val_selection_cropped/groundtruth_depth my_predictions --out result.json
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("ground_truth", metavar="GROUND_TRUTH_DIR", type=Path, help="folder of ground truth PNGs")
    parser.add_argument("prediction", metavar="PREDICTION_DIR", type=Path, help="folder of predicted PNGs")
    parser.add_argument("--out", type=Path, metavar="RESULT.json", help="also write the numbers, of each frame too, as JSON")


def run(args: argparse.Namespace) -> int:
    """Compare, print the table, and write the JSON where asked."""
    from ..engine.folders import compare_folders
    from ..engine.result import check_writable, format_table, save_result

    if args.out is not None:
        check_writable(args.out)
    result = compare_folders(args.ground_truth, args.prediction)
    report = format_table(result)
    if args.out is not None:
        save_result(args.out, result)
        report += f"\nwritten to {args.out}\n"
    sys.stdout.write(report)
    return 0
