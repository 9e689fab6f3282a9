"""Complete your own sparse depth.

INPUT is a 16-bit depth PNG (metres * 256 or --depth-scale, 0 = not measured), an NPY file (float metres, 2-D), a LiDAR cloud
(.bin, .ply, .pcd; with --calib), or a folder of them, where photos (8-bit and colour PNGs) are skipped. Written for each:
DIR/depth/NAME.png (metres * 256), DIR/valid/NAME.png (255 where the scan says something about a pixel, else 0),
DIR/color/NAME.png (near warm, far cool), where the camera is known (--intrinsics or --calib) DIR/cloud/NAME.ply, and where
the model predicts its own error DIR/deviation/NAME.png (standard deviation, metres * 256) and DIR/deviation_color/NAME.png.

    mtdc complete scans/ --model unet_street --out completed
    mtdc complete 0000000005.bin --calib 2011_09_26 --model classical/nearest_kitti --out completed
    mtdc complete scan.pcd --calib camera.yaml --model classical/nearest_kitti --out completed
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..data.deskew import Motion

#: Broken scans that the last line names.
_BROKEN_NAMED = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument(
        "inputs", nargs="+", type=_named, metavar="INPUT", help="depth PNG, NPY, cloud (.bin, .ply, .pcd), or a folder of them"
    )
    parser.add_argument("--model", required=True, metavar="MODEL",
                        help="a name of the zoo (`mtdc zoo`), a weights file (.safetensors), a config file, or the name of a "
                             "shipped config")  # fmt: skip
    parser.add_argument("--checkpoint", metavar="FILE", help="trained weights of a config (the zoo's models have theirs)")
    parser.add_argument(
        "--out", required=True, type=lambda text: Path(_named(text)), metavar="DIR", help="folder that results are written to"
    )
    parser.add_argument("--device", metavar="NAME", help="cpu or cuda (default: cuda where there is one)")
    _add_camera(parser.add_argument_group("camera and LiDAR"))
    _add_results(parser.add_argument_group("results"))


def _named(text: str) -> str:
    """A path; the empty one, which a shell variable that is not set leaves, would be the current folder."""
    if not text:
        raise argparse.ArgumentTypeError("an empty path; is a shell variable not set?")
    return text


def _add_camera(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--calib", metavar="PATH",
                       help="YAML or JSON file with image_size, K and T_camera_lidar (docs/complete.md); or a folder of "
                            "KITTI's calibration, calib_cam_to_cam.txt and calib_velo_to_cam.txt")  # fmt: skip
    group.add_argument("--camera", type=int, default=2, metavar="N", help="rectified camera of KITTI's (default: %(default)s)")
    group.add_argument(
        "--intrinsics", metavar="FILE", help="camera matrix of PNG and NPY, in pixels: 9 numbers row by row, or fx fy cx cy"
    )
    group.add_argument("--images", metavar="DIR", help="photos with the scans' names; they colour the clouds")
    group.add_argument("--depth-scale", type=float, default=256.0, metavar="N",
                       help="stored value of one metre in input PNGs: 256 (KITTI), 1000 (millimetres), 5000 (TUM) "
                            "(default: %(default)g)")  # fmt: skip
    group.add_argument("--bin-columns", type=int, metavar="N",
                       help="float32 values of one point of a .bin (default: 4, and 5 for nuScenes' .pcd.bin)")  # fmt: skip
    group.add_argument("--deskew", type=float, metavar="SPEED",
                       help="undo the LiDAR's motion during a turn: its speed in m/s along its x axis")  # fmt: skip
    group.add_argument("--yaw-rate", type=float, metavar="RATE", help="with --deskew: rad/s, positive to the left (default: 0)")
    group.add_argument("--turn-time", type=float, metavar="S", help="with --deskew: seconds of one turn (default: 0.1037)")


def _add_results(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--resume", action="store_true", help="keep the results of an interrupted run with the same settings")
    group.add_argument("--skip-broken", action="store_true",
                       help="go on behind a scan that can't be completed, name it at the end, and exit with 1")  # fmt: skip
    group.add_argument("--keep-measured", action="store_true", help="measured pixels keep the depth that was measured")
    group.add_argument("--invalid", choices=("answer", "zero"), default="answer",
                       help="depth where valid/ is 0: the model's answer, or 0 = none (default: %(default)s)")  # fmt: skip
    group.add_argument("--max-distance", type=float, metavar="PX",
                       help="farther than this from every measured pixel a pixel is not valid (default: 4 times the scan's "
                            "typical distance; inf: no limit)")  # fmt: skip
    group.add_argument("--max-deviation", type=float, metavar="METRES",
                       help="a pixel of which the model expects a greater error (standard deviation) is not valid; for models "
                            "that predict it")  # fmt: skip
    group.add_argument("--range", nargs=2, type=float, metavar=("NEAR", "FAR"),
                       help="depths in metres of the warmest and the coolest colour (default: each frame's own)")  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """Check everything, then complete and write; the last line says what was written."""
    # Imported here: the help text needs no engine.
    from ..complete_files import JOURNAL, Options, Results, ScanList, ScanReader, complete_files
    from ..infer import Completer

    scans = ScanList(args.inputs, args.out)
    motion = _motion(args.deskew, args.yaw_rate, args.turn_time)
    reader = ScanReader(args.intrinsics, args.calib, args.camera, args.depth_scale, args.bin_columns, motion)
    completer = Completer.load(args.model, args.checkpoint, args.device)
    options = Options(
        images=args.images,
        color_range_m=args.range and tuple(args.range),
        keep_measured=args.keep_measured,
        max_distance_px=args.max_distance,
        max_deviation_m=args.max_deviation,
        empty_invalid=args.invalid == "zero",
        resume=args.resume,
        skip_broken=args.skip_broken,
    )
    doubt = reader.check(scans)
    if doubt:
        _say(f"Look at the results with care: {doubt}")
    try:
        results: Results = complete_files(completer, scans, reader, options)
    except KeyboardInterrupt as error:
        raise (KeyboardInterrupt("Go on with --resume.") if (args.out / JOURNAL).is_file() else error) from None
    for line in reader.unused(scans, args.images is not None, "image" in completer.needs):
        _say(line)
    if scans.ignored:
        _say(f"Ignored {_count(scans.ignored, 'file')} of other kinds or earlier results in the folders.")
    if scans.photos:
        _say(f"Skipped {_count(scans.photos, 'photo')} (8-bit or colour PNG) in the folders.")
    if not reader.known:
        _say("No point clouds: the camera is not known (--intrinsics FILE or --calib PATH).")
    if not completer.predicts_deviation:
        _say("No deviation: this model doesn't predict the error of its depth.")
    if results.unsure:
        _say(f"No valid pixel in {_count(results.unsure, 'scan')}: the expected error is above --max-deviation everywhere.")
    if results.kept:
        _say(f"Kept {_count(results.kept, 'scan')} that an earlier run completed.")
    _say(f"Completed {_count(results.count, 'scan')}: {', '.join(map(str, results.folders))}")
    if results.broken:
        named = "; ".join(line.rstrip(".") for line in results.broken[:_BROKEN_NAMED])
        more = len(results.broken) - _BROKEN_NAMED
        named += f"; and {more} more" if more > 0 else ""
        sys.stderr.write(
            f"mtdc complete: {_count(len(results.broken), 'scan')} of {len(scans)} could not be completed: {named}.\n"
        )
        return 1
    return 0


def _motion(speed: float | None, yaw_rate: float | None, turn_s: float | None) -> Motion | None:
    from ..data.deskew import TURN_S, Motion
    from ..errors import ConfigError

    if speed is None:
        if yaw_rate is not None or turn_s is not None:
            raise ConfigError("--yaw-rate and --turn-time belong to --deskew SPEED, which is missing.")
        return None
    return Motion((speed, 0.0, 0.0), (0.0, 0.0, yaw_rate or 0.0), TURN_S if turn_s is None else turn_s)


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'s' * (number != 1)}"


def _say(line: str) -> None:
    try:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
    except BrokenPipeError:  # `| head`: what is said is lost, and the scans are completed all the same
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
