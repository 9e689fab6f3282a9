"""Complete your own sparse depth.

INPUT is a 16-bit depth PNG (metres * 256, 0 = not measured), an NPY file (float metres, 2-D), a velodyne scan (.bin, with
--calib), or a folder of them, where photos (8-bit and colour PNGs) are skipped. Written for each: DIR/depth/NAME.png (metres *
256), DIR/color/NAME.png (near warm, far cool), and where the camera is known (--intrinsics or --calib) DIR/cloud/NAME.ply.

    mtdc complete scans/ --model classical/nearest_kitti --out completed
    mtdc complete 0000000005.bin --calib 2011_09_26 --model classical/nearest_kitti --out completed
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("inputs", nargs="+", metavar="INPUT", help="depth PNG, NPY, velodyne .bin, or a folder of them")
    parser.add_argument("--model", required=True, metavar="CONFIG", help="a config file or the name of a shipped config")
    parser.add_argument("--checkpoint", metavar="FILE", help="trained weights (not for methods without weights)")
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder that results are written to")
    parser.add_argument(
        "--intrinsics", metavar="FILE", help="camera matrix of PNG and NPY, in pixels: 9 numbers row by row, or fx fy cx cy"
    )
    parser.add_argument("--calib", metavar="DIR", help="KITTI calibration: calib_cam_to_cam.txt and calib_velo_to_cam.txt")
    parser.add_argument("--camera", type=int, default=2, metavar="N", help="rectified camera of --calib (default: %(default)s)")
    parser.add_argument("--images", metavar="DIR", help="photos with the scans' names; they colour the clouds")
    parser.add_argument("--range", nargs=2, type=float, metavar=("NEAR", "FAR"),
                        help="depths in metres of the warmest and the coolest colour (default: each frame's own)")  # fmt: skip
    parser.add_argument("--device", metavar="NAME", help="cpu or cuda (default: cuda where there is one)")


def run(args: argparse.Namespace) -> int:
    """Check everything, then complete and write; the last line says what was written."""
    # Imported here: the help text needs no engine.
    from ..complete_files import Camera, ScanList, complete_files
    from ..infer import Completer

    scans = ScanList(args.inputs, args.out)
    camera = Camera(args.intrinsics, args.calib, args.camera)
    completer = Completer.load(args.model, args.checkpoint, args.device)
    results = complete_files(completer, scans, camera, args.images, args.range and tuple(args.range))
    if scans.ignored:
        _say(f"Ignored {scans.ignored} file{'s' * (scans.ignored > 1)} of other kinds or earlier results in the folders.")
    if scans.photos:
        _say(f"Skipped {scans.photos} photo{'s' * (scans.photos > 1)} (8-bit or colour PNG) in the folders.")
    if not camera.known:
        _say("No point clouds: the camera is not known (--intrinsics FILE or --calib DIR).")
    _say(f"Completed {results.count} scan{'s' * (results.count > 1)}: {', '.join(map(str, results.folders))}")
    return 0


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
