"""The picture and the tables of a model's card, on frames that the package draws and no training saw.

    python tools/zoo_card.py unet_street --picture docs/zoo/unet_street.jpg
    python tools/zoo_card.py unet_nyuv2 --picture docs/zoo/unet_nyuv2.jpg

Streets, 352x1216, with exact depth everywhere, for scans of 64, 32, 16 and 8 lines; rooms, 228x304, with 50 to 5000 points.
Errors are of all pixels of all frames together, against true depth within 80 m and below row 140 on streets (above it the scan
has no points), everywhere in rooms. Beside the model: methods without weights. The picture is of the last frame.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

import mtdc
from mtdc import Completer
from mtdc.data.io import atomic_path
from mtdc.engine.preparation import build_dataset, unique
from mtdc.errors import DataError, UserError
from mtdc.structures import DEPTH, IMAGE, SPARSE_DEPTH
from mtdc.visualization.fields import deviation_tile
from mtdc.visualization.panel import sample_panel

#: Below this row of a street a scan of 64 lines has points.
FIRST_ROW = 140
FARTHEST_M = 80.0
#: Metres and share by which neighbouring pixels differ at a step, and how far its surroundings reach in pixels.
STEP_M, STEP_SHARE, STEP_PX = 1.0, 0.1, 2
#: Pixels that a card's picture is wide at most.
WIDTH = 1200
#: Suffixes that a picture may have.
PICTURES = (".jpg", ".png")
DISTANCES = {"streets": (0, 20, 40, 80), "rooms": (0, 3, 6, 10)}
LINES = (64, 32, 16, 8)
POINTS = (5000, 500, 200, 50)
OTHERS = {
    "streets": ("classical/morphological_kitti", "classical/natural_neighbor_kitti"),
    "rooms": ("classical/linear_nyuv2", "classical/natural_neighbor_nyuv2"),
}


class Errors:
    """Sums of absolute and squared errors in metres, by region."""

    def __init__(self) -> None:
        self.sums: dict[str, np.ndarray] = {}

    def add(self, region: str, error: np.ndarray) -> None:
        """Errors of the region's pixels in one frame."""
        added = np.array([error.size, np.abs(error).sum(dtype=float), np.square(error).sum(dtype=float)])
        self.sums[region] = self.sums.get(region, 0) + added

    def words(self, region: str) -> str:
        """RMSE / MAE in metres, or a dash where the region is empty."""
        count, absolute, squared = self.sums.get(region, np.zeros(3))
        return f"{np.sqrt(squared / count):.2f} / {absolute / count:.2f}" if count else "-"


def frames(kind: str, sensor: int, count: int, completer: Completer) -> Iterator[dict[str, np.ndarray]]:
    """Maps of drawn frames as arrays: ``sparse_depth``, ``gt_depth`` and ``image``."""
    data: dict[str, Any] = {"length": count, "split": "card"}
    if kind == "streets":
        lidar = {} if sensor == LINES[0] else {"lidar": {"lines": sensor}}
        data |= {"type": "StreetWorld", "size": (352, 1216), "fresh": False, "truth": "dense", **lidar}
    else:
        data |= {"type": "DrawnRooms", "transforms": [{"type": "SamplePoints", "points": sensor, "fixed": True}]}
    drawn = build_dataset(data, "dataset", completer.model, unique([DEPTH]), seed=0, inputs=(SPARSE_DEPTH, IMAGE))
    for index in range(count):
        item = drawn[index]
        maps = {key: item["inputs"][key].numpy() for key in ("sparse_depth", "image")}
        truth = item["data_samples"].get(DEPTH.target_key)[0].numpy()
        yield {"sparse_depth": maps["sparse_depth"][0], "image": maps["image"].transpose(1, 2, 0), "gt_depth": truth}


def regions(kind: str, truth: np.ndarray) -> dict[str, np.ndarray]:
    """Masks of the pixels that are scored: all, by distance, and around steps."""
    known = truth > 0
    if kind == "streets":
        known &= (truth <= FARTHEST_M) & (np.arange(len(truth)) >= FIRST_ROW)[:, None]
    masks = {"all": known}
    bounds = DISTANCES[kind]
    for near, far in itertools.pairwise(bounds):
        masks[f"{near} to {far} m"] = known & (truth > near) & (truth <= far)
    step = np.zeros_like(known)
    for axis in (0, 1):
        first, second = truth.take(range(truth.shape[axis] - 1), axis), truth.take(range(1, truth.shape[axis]), axis)
        apart = np.abs(first - second) > np.maximum(STEP_M, STEP_SHARE * np.minimum(first, second))
        pad = [(0, 0), (0, 0)]
        pad[axis] = (0, 1)
        step |= np.pad(apart, pad)
    near_step = cv2.dilate(step.astype(np.uint8), np.ones((2 * STEP_PX + 1,) * 2, np.uint8)) > 0
    return masks | {f"within {STEP_PX} px of a step": known & near_step}


def run(args: argparse.Namespace) -> int:
    """Measure and print."""
    completer = mtdc.load(args.model)
    kind = args.kind or ("rooms" if completer.model.network.tasks["depth"].range_m[1] <= 10 else "streets")
    sensors = LINES if kind == "streets" else POINTS
    usual = sensors[0] if kind == "streets" else 500
    models = {args.model: completer} | {name.rpartition("/")[2]: Completer.load(name) for name in OTHERS[kind]}
    by_sensor = {name: Errors() for name in models}
    by_region = {name: Errors() for name in models}
    names: list[str] = []
    for sensor in sensors:
        for maps in frames(kind, sensor, args.frames, completer):
            masks = regions(kind, maps["gt_depth"])
            for name, model in models.items():
                error = model(maps["sparse_depth"], maps["image"] if "image" in model.needs else None) - maps["gt_depth"]
                by_sensor[name].add(str(sensor), error[masks["all"]])
                for region, mask in masks.items() if sensor == usual else ():
                    by_region[name].add(region, error[mask])
            if sensor == usual:
                names, last = list(masks), maps
    table("lines" if kind == "streets" else "points", [str(sensor) for sensor in sensors], by_sensor)
    table(f"at {usual}", names, by_region)
    if args.picture is not None:
        draw(args.picture, completer, last)
    return 0


def table(title: str, rows: Sequence[str], errors: Mapping[str, Errors]) -> None:
    """A table as Markdown: RMSE / MAE in metres."""
    lines = [f"| {title} | " + " | ".join(errors) + " |", "|---" * (len(errors) + 1) + "|"]
    lines += [f"| {row} | " + " | ".join(one.words(row) for one in errors.values()) + " |" for row in rows]
    sys.stdout.write("\n".join(lines) + "\n\n")


def draw(path: Path, completer: Completer, maps: Mapping[str, np.ndarray]) -> None:
    """Photo, sparse depth, truth, prediction, error, and the deviation where it is predicted."""
    completed = completer.complete(maps["sparse_depth"], maps["image"] if "image" in completer.needs else None)
    others = [] if completed.deviation is None else [deviation_tile(completed.deviation)]
    picture = sample_panel(maps["sparse_depth"], completed.depth, maps["gt_depth"], maps["image"], others=others)
    if picture.shape[1] > WIDTH:
        height = round(picture.shape[0] * WIDTH / picture.shape[1])
        picture = cv2.resize(picture, (WIDTH, height), interpolation=cv2.INTER_AREA)
    encoded, content = cv2.imencode(path.suffix, picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 82])
    if not encoded:
        raise DataError(f"can't write {path}: the picture can't be stored as {path.suffix}.")
    with atomic_path(path) as temporary:
        temporary.write_bytes(content.tobytes())


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the tables and write the picture; a mistake of the user's ends as one line on stderr and exit code 2."""
    parser = argparse.ArgumentParser(prog="zoo_card", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="name in the zoo, or a weights file")
    parser.add_argument("--kind", choices=tuple(DISTANCES), help="frames to draw; default: what the model's range says")
    parser.add_argument("--frames", type=int, default=4, metavar="N", help="frames of each sensor (default: 4)")
    parser.add_argument("--picture", type=Path, metavar="FILE", help="where the picture goes, .jpg or .png")
    args = parser.parse_args(arguments)
    try:
        if args.picture is not None and args.picture.suffix.lower() not in PICTURES:  # said before minutes of measuring
            raise DataError(f"--picture {args.picture}: its name must end in {' or '.join(PICTURES)}.")
        return run(args)
    except UserError as error:
        sys.stderr.write(f"zoo_card: {error}\n")
        return 2


if __name__ == "__main__":
    sys.exit(main())
