"""From a folder of one's own frames to a trained model in a zoo of one's own; own_folder.md explains it step by step.

    python own_folder.py
    python own_folder.py --data my_drive --config my_config.py --name my_drive --licence CC-BY-4.0

Without --data a few streets are drawn into my_frames/. Run again, or after an interruption, it goes on where it stopped.
Written are work_dirs/NAME/ (the training), my_zoo/ (index, weights, card) and completed_own/ (a frame completed by its model).
"""
# ruff: noqa: T201 (a tutorial speaks to a person)

import argparse
import hashlib
import json
import platform
import shlex
import sys
from pathlib import Path

import numpy as np

import mtdc
from mtdc.commands import main as mtdc_command
from mtdc.data.folder_layout import folder_root, frame_intrinsics, intrinsics_file, list_frames
from mtdc.data.io import atomic_path, read_depth, read_image, write_depth_png, write_png
from mtdc.data.street import LidarOptions, StreetOptions, draw_frame
from mtdc.engine.checkpoint import last_checkpoint
from mtdc.engine.run_log import read_log
from mtdc.zoo.embedded import measure
from mtdc.zoo.index import NAME, read_zoo

#: Frames of the drawn folder, and what they look like: small, and scanned by a LiDAR of 16 lines.
SPLITS = {"train": 12, "val": 3}
STREET = StreetOptions(size=(96, 320), lidar=LidarOptions(lines=16))
#: How far a value may lie from the index's: stored weights are rounded to half precision.
TOLERANCE = 0.01
#: Stored value of one metre in depth PNGs, where nothing else is said.
KITTI_SCALE = 256.0
#: What a metric's unit is of a metre.
PER_METRE = {"mm": 1000.0, "m": 1.0}


def draw_frames(folder):
    """Draw streets as a folder of one's own: depth/, gt/ and image/ with files of the same names, and intrinsics.txt."""
    for left in folder.rglob(".*.tmp.*"):  # of a run that was killed
        left.unlink()
    for seed, (split, count) in enumerate(SPLITS.items()):
        for number in range(count):
            name, place = f"{number:03d}.png", folder / split
            if (place / "depth" / name).exists():
                continue
            maps = draw_frame(STREET, seed, number, ("sparse_depth", "truth", "image")).maps
            write_png(place / "image" / name, maps["image"])  # 8-bit RGB
            write_depth_png(place / "gt" / name, maps["truth"], zero_is_empty=True)  # 16 bit: metres * 256, 0 = not known
            # Last, as a frame is there when its sparse depth is.
            write_depth_png(place / "depth" / name, maps["sparse_depth"], zero_is_empty=True)
        with atomic_path(folder / split / "intrinsics.txt") as temporary:
            np.savetxt(temporary, STREET.camera_matrix())


def run(*words):
    """Run a command of mtdc's, as a terminal would; the script ends with it where it fails."""
    words = [str(word) for word in words]
    print(f"\n$ mtdc {shlex.join(words)}", flush=True)
    status = mtdc_command(words)
    if status:
        sys.exit(status)


def check(args):
    """Say what is wrong before there is work to be lost."""
    if not NAME.fullmatch(args.name):
        raise mtdc.ConfigError(f"--name must be small letters, digits, '_' and '-', not '{args.name}'.")
    for split in SPLITS:
        run("check", args.data, "--split", split, "--depth-scale", f"{args.depth_scale:g}")
    count = sum("depth" in files for _, files in list_frames(folder_root(args.data, "val")))
    if count < 2:
        raise mtdc.DataError(f"{args.data / 'val'}: {count} frames have a file in gt/; to measure needs two at the least.")


def hold_to_one_origin(args, work):
    """A name stands for one folder and one config: what was made of others is neither gone on with nor replaced."""
    note, index = work / "made_from.json", args.zoo / "index.json"
    config = hashlib.sha256(args.config.read_bytes()).hexdigest()
    origin = {"data": str(args.data.resolve()), "depth_scale": args.depth_scale, "config_sha256": config}
    if note.is_file():
        known = json.loads(note.read_text(encoding="utf-8"))
        for key in origin:
            if known.get(key) != origin[key]:
                raise mtdc.ConfigError(
                    f"{work} was trained with {key} {known.get(key)}, and now it is {origin[key]}; give another --name, or "
                    f"remove {work} to train again."
                )
    elif work.exists() or (index.is_file() and args.name in read_zoo(args.zoo).entries):
        place = work if work.exists() else index
        raise mtdc.ConfigError(f"{place} has a '{args.name}' already, and not of this script's; give another --name.")
    with atomic_path(note) as temporary:
        temporary.write_text(json.dumps(origin), encoding="utf-8")


def train(args, work):
    """Train, or go on with a training that was interrupted; what is trained already stays. Returns its last checkpoint."""
    if (work / "result.json").is_file():
        print(f"\ntrained already: {work} (remove it to train again)")
    else:
        resume = ["--resume"] if last_checkpoint(work) else []
        scales = [f"{part}_dataloader.dataset.depth_scale={args.depth_scale:g}" for part in ("train", "val", "test")]
        options = ["--cfg-options", *scales] if args.depth_scale != KITTI_SCALE else []
        run("train", args.config, "--data-root", args.data, "--work-dir", work, *resume, *options)
    return last_checkpoint(work)


def minutes_of(work):
    """What a training took, by its log: the same whenever it is asked."""
    log = read_log(work)
    steps = sorted(log)
    return sum((step - before) * log[step]["time"] for before, step in zip([0, *steps], steps, strict=False)) / 60


def publish(args, work, stripped):
    """Put the stripped model into the zoo, with what is measured of it on the frames that it was not trained on."""
    config = work / args.config.name
    result = work / "test" / "result.json"
    run("test", config, stripped, "--out", result)
    run(
        "publish", work, "--checkpoint", stripped, "--zoo", args.zoo, "--name", args.name, "--title", args.title,
        "--licence", args.licence, "--data", f"train/ of {args.data}", "--minutes", f"{minutes_of(work):.1f}",
        "--machine", platform.machine(), "--result", result, f"val/ of {args.data}", "--replace",
    )  # fmt: skip


def frames_of(args):
    """Each frame of val/: its name, what a model may read (sparse depth, photo, K), the truth; None where there is none."""
    root = folder_root(args.data, "val")
    for name, files in list_frames(root):
        sparse = read_depth(files["sparse_depth"], args.depth_scale)
        photo = read_image(files["image"]) if "image" in files else None
        intrinsics = frame_intrinsics(root, name, sparse.shape) if intrinsics_file(root, name) else None
        truth = read_depth(files["depth"], args.depth_scale) if "depth" in files else None
        yield name, (sparse, photo, intrinsics), truth


def complete(args, completer):
    """Complete the first frame of val/, to a depth PNG and a mask of the pixels to be believed."""
    name, inputs, _ = next(frames_of(args))
    completed = completer.complete(*inputs)
    for left in args.out.glob(".*.tmp.*"):
        left.unlink()
    write_png(args.out / f"{name}_valid.png", np.where(completed.valid, 255, 0).astype(np.uint8))
    write_depth_png(args.out / f"{name}_depth.png", completed.depth)
    print(f"\ncompleted {name} by '{args.name}' of {args.zoo}: {args.out / f'{name}_depth.png'}")


def rmse_of(args, completer, clamp_m):
    """RMSE on val/ in metres, the mean over frames: by numpy, apart from what the index's value was made with."""
    errors = []
    for _, inputs, truth in frames_of(args):
        if truth is not None and truth.any():
            depth = np.clip(completer(*inputs), *clamp_m).astype(np.float64)
            errors.append(np.sqrt(np.mean(np.square(depth - truth)[truth > 0])))
    return np.mean(errors)


def check_entry(args, completer):
    """Hold the published file and its values against what the index says."""
    entries = json.loads((args.zoo / "index.json").read_text(encoding="utf-8"))["entries"]
    (entry,) = (one for one in entries if one["name"] == args.name)
    file, embedded = args.zoo / "weights" / entry["file"], entry["embedded"]
    compare(file, "sha256", hashlib.sha256(file.read_bytes()).hexdigest(), entry["sha256"])

    unit = entry["protocol"]["units"]["rmse"]
    rmse = PER_METRE[unit] * rmse_of(args, completer, entry["protocol"].get("clamp_m") or (0, np.inf))
    compare(file, f"RMSE on val/, {unit},", rmse, entry["expected"][0]["values"]["rmse"], TOLERANCE)
    rmse = measure(completer.model, embedded["metric"], embedded["dataset"])["rmse"]
    compare(file, f"RMSE on drawn streets, {unit},", rmse, embedded["values"]["rmse"], embedded["tolerance"])


def compare(file, what, found, said, tolerance=None):
    """Say that two values agree, or end the script where they don't."""
    if found != said if tolerance is None else not abs(found - said) <= tolerance * said:
        raise mtdc.DataError(f"{file}: its {what} is {found}, and the index says {said}.")
    found, said = (value[:16] + ".." if tolerance is None else f"{value:.1f}" for value in (found, said))
    print(f"{what} {found}, as the index says: {said}")


def arguments():
    """What the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with train/ and val/; default: streets are drawn into my_frames/")
    parser.add_argument("--depth-scale", type=float, default=KITTI_SCALE, help="stored value of one metre in its depth PNGs")
    config = Path(__file__).with_name("own_folder_config.py")
    parser.add_argument("--config", type=Path, default=config, help="how it is trained; default: the file beside this script")
    parser.add_argument("--name", default="my_model", help="what mtdc.load will call it")
    parser.add_argument("--title", default="A model of my own frames", help="one line on what it is")
    parser.add_argument("--licence", default="all rights reserved", help="under which the weights may be used")
    parser.add_argument("--zoo", type=Path, default=Path("my_zoo"), help="folder of the zoo")
    parser.add_argument("--out", type=Path, default=Path("completed_own"), help="folder of the completed frame")
    return parser.parse_args()


def main(args):
    """All steps, one after another."""
    if args.data is None:
        args.data = Path("my_frames")
        draw_frames(args.data)
    work = Path("work_dirs") / args.name
    check(args)
    hold_to_one_origin(args, work)
    checkpoint = train(args, work)
    stripped = work / "depth_only.pth"
    run("strip", work / args.config.name, checkpoint, "--out", stripped)
    publish(args, work, stripped)
    completer = mtdc.load(args.name, "cpu", zoo=args.zoo)
    complete(args, completer)
    check_entry(args, completer)


if __name__ == "__main__":
    try:
        main(arguments())
    except mtdc.UserError as error:
        sys.exit(f"own_folder.py: {error}")
