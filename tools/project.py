"""Project LiDAR clouds into a camera: a plain folder of sparse depth (docs/datasets.md), for test, train and judge alike.

    python tools/project.py scans/ --calib camera.yaml --out mine
    python tools/project.py 0000000005.bin --calib 2011_09_26 --out mine --images image_02/data

Clouds (.bin, .ply, .pcd) are read and projected as `mtdc complete` does it; camera.yaml says image_size, K and T_camera_lidar
(docs/complete.md). Written are DIR/depth/NAME.png (16-bit, metres * 256, 0 = none), DIR/intrinsics.txt and, with --images,
links to the photos of the same names in DIR/image.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path


def main(arguments: Sequence[str] | None = None) -> int:
    """Project and write; a mistake of the user's ends as one line on stderr and exit code 2."""
    args = _parser().parse_args(arguments)
    from mtdc.errors import UserError

    try:
        return _project(args)
    except UserError as error:
        sys.stderr.write(f"project: {error}\n")
        return 2
    except OSError as error:
        if error.filename is None:
            raise
        sys.stderr.write(f"project: {error.filename}: {error.strerror}.\n")
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="project", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("clouds", nargs="+", type=Path, metavar="CLOUD", help="LiDAR cloud (.bin, .ply, .pcd), or a folder of them")
    add("--calib", required=True, metavar="PATH", help="camera's YAML or JSON file, or a folder of KITTI's calibration")
    add("--camera", type=int, default=2, metavar="N", help="rectified camera of KITTI's (default: %(default)s)")
    add("--out", type=Path, required=True, metavar="DIR", help="folder to write; one camera's alone")
    add("--images", type=Path, metavar="DIR", help="photos with the clouds' names")
    add("--bin-columns", type=int, metavar="N", help="float32 values of one point of a .bin (default: 4; 5 for .pcd.bin)")
    add("--deskew", type=float, metavar="SPEED", help="undo the LiDAR's motion: its speed in m/s along its x axis")
    add("--yaw-rate", type=float, default=0.0, metavar="RATE", help="with --deskew: rad/s, positive to the left")
    return parser


def _project(args: argparse.Namespace) -> int:
    import numpy as np
    from tqdm import tqdm

    from mtdc.complete_files import ScanList, ScanReader
    from mtdc.complete_files.reader import is_cloud
    from mtdc.complete_files.scans import photos_of
    from mtdc.data.deskew import TURN_S, Motion
    from mtdc.data.io import atomic_path, write_depth_png
    from mtdc.errors import DataError

    scans = ScanList(args.clouds, args.out)
    maps = [scan.path for scan in scans if not is_cloud(scan.path)]
    if maps:
        raise DataError(f"{maps[0]} is a map of depth already; expected LiDAR clouds (.bin, .ply, .pcd).")
    turn = (0.0, 0.0, args.yaw_rate)
    motion = None if args.deskew is None else Motion((args.deskew, 0.0, 0.0), turn, TURN_S)
    reader = ScanReader(calibration=args.calib, index=args.camera, bin_columns=args.bin_columns, motion=motion)
    doubt = reader.check(scans)
    if doubt:
        sys.stdout.write(f"Look at the results with care: {doubt}\n")
    photos = {} if args.images is None else photos_of(scans, args.images)
    assert reader.camera is not None
    matrix = reader.camera.intrinsics
    written = args.out / "intrinsics.txt"
    if written.is_file():
        _check_same_camera(written, matrix)
    (args.out / "depth").mkdir(parents=True, exist_ok=True)
    with atomic_path(written) as temporary:
        np.savetxt(temporary, matrix)
    for scan in tqdm(scans, desc="project", unit="scan", disable=None):
        write_depth_png(args.out / "depth" / f"{scan.name}.png", reader.read(scan.path), zero_is_empty=True)
        photo = photos.get(scan.path)
        if photo is not None:
            link = args.out / "image" / f"{scan.name}{photo.suffix}"
            link.parent.mkdir(exist_ok=True)
            if not link.exists():
                link.symlink_to(photo.resolve())
    sys.stdout.write(f"Projected {len(scans)} clouds into {args.out}; mtdc check {args.out} looks through it.\n")
    return 0


def _check_same_camera(path: Path, matrix: object) -> None:
    import numpy as np

    from mtdc.data.calibration import read_intrinsics
    from mtdc.errors import DataError

    if not np.allclose(read_intrinsics(path), np.asarray(matrix), rtol=1e-6):
        raise DataError(f"{path} is of another camera; expected one camera a folder: give another --out.")


if __name__ == "__main__":
    sys.exit(main())
