"""From a raw KITTI scan to a coloured point cloud of completed depth; scan_to_cloud.md explains it step by step.

    python scan_to_cloud.py
    python scan_to_cloud.py 2011_09_26/2011_09_26_drive_0001_sync/velodyne_points/data/0000000005.bin --speed 12.7
    python scan_to_cloud.py scan.bin --calib calibration --photo scan.jpg --out completed_scan

Without a scan a street is drawn and scanned. Calibration and photo are looked for where KITTI's raw data has them. Written are
NAME_sparse.png, NAME_depth.png, NAME_depth.npy, NAME_valid.png, NAME_sheet.png, NAME_cloud.ply and, where the model says which
error it expects, NAME_deviation.png; each whole or not at all.
"""
# ruff: noqa: T201 (a tutorial speaks to a person)

import argparse
import sys
from pathlib import Path

import numpy as np

import mtdc
from mtdc.data.camera_file import read_camera
from mtdc.data.cloud_file import read_cloud
from mtdc.data.deskew import Motion
from mtdc.data.io import atomic_path, read_depth, read_image, write_cloud, write_depth_png, write_png
from mtdc.data.street import StreetOptions
from mtdc.data.street.lidar import mounted
from mtdc.data.street.placed import PlacedStreet
from mtdc.data.street.views import Streets
from mtdc.data.street.writer import DRIVE, frame_files, split_seed, write_street
from mtdc.engine.result import check_writable
from mtdc.visualization.cloud import cloud
from mtdc.visualization.panel import sample_panel

#: Metres between which errors are told apart.
RANGES_M = ((0, 20), (20, 40), (40, 80))
#: What is written, each with the scan's name before it.
RESULTS = ("sparse.png", "depth.png", "depth.npy", "valid.png", "deviation.png", "sheet.png", "cloud.ply")
#: Where a street is drawn, and which.
DRAWN, SPLIT, SEED = Path("drawn_scan"), "street", 0


def draw_scan(folder):
    """Draw a street into a folder as KITTI's raw data has it: calibration, photo and scan. Returns the scan's path."""
    for left in folder.rglob(".*.tmp.*"):  # of a run that was killed
        left.unlink()
    options = StreetOptions(truth="dense", cameras=(2, 3))
    path = folder / SPLIT / DRIVE / "velodyne_points" / "data" / "0000000000.bin"
    write_street(folder, frames=1, seed=SEED, split=SPLIT, options=options, processes=1)
    if not path.exists():
        street = PlacedStreet(options, split_seed(SEED, SPLIT), 0)
        scans = Streets([street], ("sparse_depth",), "cpu").scans
        echoes = scans.points[:, 0, 0, scans.returned[0, 0]].double()  # (3, N), metres in the world
        pose, origin = mounted(street.pose, street.position, street.lidar, street.jitter)
        right, down, ahead = (pose.T @ (echoes - origin[:, None])).numpy()
        points = np.stack((ahead, -right, -down, np.zeros_like(ahead)), axis=1)  # KITTI's axes, and no reflectance
        with atomic_path(path) as temporary:
            points.astype("<f4").tofile(temporary)
    return path


def find_calibration(scan):
    """The nearest folder above a scan that holds a calibration."""
    if not scan.is_file():
        raise mtdc.DataError(f"scan {scan} does not exist.")
    found = [folder for folder in scan.absolute().parents if (folder / "calib_cam_to_cam.txt").is_file()]
    if not found:
        raise mtdc.DataError(f"no calib_cam_to_cam.txt lies above {scan}: name its folder, or a camera file, with --calib.")
    return found[0]


def find_photo(scan, camera):
    """The photo of a scan in KITTI's raw data, DRIVE/image_02/data/NAME.png or .jpg, or None."""
    folder = scan.absolute().parent.parent.parent / f"image_{camera:02d}" / "data"
    return next((path for path in (folder / f"{scan.stem}{end}" for end in (".png", ".jpg")) if path.is_file()), None)


def project(scan, camera, speed):
    """Sparse depth of a scan in the camera's picture, (H, W) metres, 0 = not measured."""
    points = read_cloud(scan)  # (N, 3) metres: x ahead, y left, z up
    if speed:
        points = Motion((speed, 0.0, 0.0), (0.0, 0.0, 0.0)).undo(points)
    sparse = camera.sparse_depth(points)
    measured = sparse[sparse > 0]
    print(f"{len(points)} points, {measured.size} pixels measured: {measured.size / sparse.size:.1%} of the picture")
    print(f"depth from {measured.min():.1f} to {measured.max():.1f} m, half of it nearer than {np.median(measured):.1f} m")
    return sparse


def hold_back(completer, sparse, photo, intrinsics):
    """Complete without a tenth of the points, and say how far off depth is where they were."""
    held = (np.random.default_rng(0).random(sparse.shape) < 0.1) & (sparse > 0)
    depth = completer(np.where(held, 0, sparse).astype(np.float32), photo, intrinsics)
    for near, far in RANGES_M:
        there = held & (sparse >= near) & (sparse < far)
        if there.any():
            error = np.abs(depth - sparse)[there]
            print(f"{near} to {far} m: half within {np.median(error):.2f} m, mean {error.mean():.2f} m ({error.size} points)")


def judge_mask(completed, truth):
    """Where the true depth is known: how good it is inside the mask, and outside."""
    for name, where in (("valid", completed.valid), ("not valid", ~completed.valid)):
        known = where & (truth > 0)
        if known.any():
            print(f"{name}: mean error {np.abs(completed.depth - truth)[known].mean():.2f} m ({known.sum()} pixels)")


def judge_deviation(completed):
    """Where the model says which error it expects of its depth: how large that is at the pixels that are kept."""
    if completed.deviation is not None and completed.valid.any():
        half, most = np.percentile(completed.deviation[completed.valid], (50, 90))
        print(f"the model expects errors of up to {half:.2f} m at half of the valid pixels, up to {most:.2f} m at nine in ten")


def write_results(out, name, sparse, completed, photo, intrinsics):
    """Write all results of a scan, the cloud last. Those of an earlier run go first, so that never two runs' lie together."""
    shown = completed.valid & (completed.depth > 0)
    points, colors = cloud(completed.depth, intrinsics, photo, shown)
    sheet = sample_panel(sparse, np.where(shown, completed.depth, 0), image=photo)
    deviation = {} if completed.deviation is None else {"deviation": completed.deviation[shown]}
    paths = {kind: out / f"{name}_{kind}" for kind in RESULTS}
    for path in paths.values():
        for old in (path, *out.glob(f".{path.stem}.*.tmp{path.suffix}")):
            old.unlink(missing_ok=True)
    write_depth_png(paths["sparse.png"], sparse, zero_is_empty=True)  # metres * 256, 0 = not measured
    write_depth_png(paths["depth.png"], completed.depth)
    with atomic_path(paths["depth.npy"]) as temporary:
        np.save(temporary, completed.depth)  # metres, not rounded
    write_png(paths["valid.png"], np.where(completed.valid, 255, 0).astype(np.uint8))
    if completed.deviation is not None:
        write_depth_png(paths["deviation.png"], completed.deviation)  # metres * 256 too
    write_png(paths["sheet.png"], sheet)
    write_cloud(paths["cloud.ply"], points, colors, deviation)
    print(f"{len(points)} points, coloured by {'depth' if photo is None else 'the photo'}: {paths['cloud.ply']}")


def arguments():
    """What the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scan", nargs="?", type=Path, help="raw scan (.bin, .ply, .pcd); default: a street is drawn")
    parser.add_argument("--calib", type=Path, help="folder of KITTI's calibration, or a camera file (YAML, JSON)")
    parser.add_argument("--camera", type=int, default=2, help="rectified camera of KITTI's: 2 (left) or 3 (default: 2)")
    parser.add_argument("--photo", type=Path, help="the camera's photo")
    parser.add_argument("--speed", type=float, default=0.0, help="m/s ahead while the LiDAR turned (default: 0)")
    parser.add_argument("--model", default="unet_street", help="a name of the zoo, or a method without weights")
    parser.add_argument(
        "--max-deviation", type=float, help="leave out pixels of which the model expects a larger error, metres"
    )
    parser.add_argument("--out", type=Path, default=Path("completed_scan"), help="folder of the results")
    args = parser.parse_args()
    if args.scan is None and (args.calib or args.photo):
        parser.error("--calib and --photo belong to a scan: name its file")
    return args


def main(args):
    """All steps, one after another."""
    check_writable(args.out / RESULTS[-1])  # now, and not when all is computed
    drawn = args.scan is None
    scan = draw_scan(DRAWN) if drawn else args.scan
    camera = read_camera(args.calib or find_calibration(scan), args.camera)
    path = args.photo or find_photo(scan, args.camera)
    photo = None if path is None else read_image(path)
    if photo is not None and photo.shape[:2] != camera.size:
        raise mtdc.DataError(f"photo {path} is {photo.shape[:2]} and the camera's picture {camera.size} (rows, columns).")
    completer = mtdc.load(args.model)
    if photo is None and "image" in completer.needs:
        raise mtdc.DataError(f"{args.model} reads the photo too: name it with --photo FILE.")

    sparse = project(scan, camera, args.speed)
    completed = completer.complete(sparse, photo, camera.intrinsics, max_deviation_m=args.max_deviation)
    print(f"{completed.valid.mean():.0%} of the pixels are valid; elsewhere depth is a guess")
    judge_deviation(completed)
    hold_back(completer, sparse, photo, camera.intrinsics)
    if drawn:
        judge_mask(completed, read_depth(frame_files(DRAWN / SPLIT, 0, camera=args.camera)["truth"]))
    write_results(args.out, scan.stem, sparse, completed, photo, camera.intrinsics)


if __name__ == "__main__":
    try:
        main(arguments())
    except mtdc.UserError as error:
        sys.exit(f"scan_to_cloud.py: {error}")
