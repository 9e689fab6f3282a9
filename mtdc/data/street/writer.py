"""The street world on disk, in KITTI's devkit layout: made once, in parallel, and finished where it was cut short.

    <split>/world.json                                                 options, seed, version, frames asked for and finished
    <split>/2011_09_26_drive_9000_sync/calib_{cam_to_cam,velo_to_cam}.txt
    .../proj_depth/{velodyne_raw,groundtruth}/image_02/<frame>.png     uint16, metres * 256, 0 = none
    .../image_02/data/<frame>.png                                      RGB
    .../image_03/...                                                   the same, seen by the right camera, where it is asked for
    .../proj_depth/{dense,normals,semantics}/image_02/<frame>.png      on request; docs/street.md

Every file is written whole, and a frame's sparse map last: the reader lists sparse maps, so that it never sees half a frame.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from ...errors import ConfigError, DataError, did_you_mean
from ..calibration import CAMERA_FILE, VELODYNE_FILE
from ..io import atomic_path, write_depth_png, write_json, write_png
from .lidar import camera_from_sensor
from .options import BASELINE_M, StreetOptions
from .world import WORLD_VERSION, StreetFrame, draw_frames

#: Name of the one drive, in KITTI's pattern; no drive of KITTI's has this number.
DRIVE = "2011_09_26_drive_9000_sync"
#: What is written on request, each to a folder of its name.
EXTRA = ("dense", "normals", "semantics")
_STATE = "world.json"
#: Frames that a GPU draws at once.
_BATCH = 16
#: Calls it with the number of frames done and of frames to do.
Progress = Callable[[int, int], None]


def split_seed(seed: int, split: str) -> int:
    """Seed of a split's frames: splits of one world share no street."""
    return zlib.crc32(f"{split}/{seed}".encode())


def frame_files(folder: Path, number: int, extra: Sequence[str] = (), camera: int = 2) -> dict[str, Path]:
    """Files of a frame by map, under the folder of its split; the sparse map last."""
    drive, name, side = folder / DRIVE, f"{number:010d}.png", f"image_{camera:02d}"
    depth = drive / "proj_depth"
    files = {"image": drive / side / "data" / name, "truth": depth / "groundtruth" / side / name}
    files |= {kind: depth / kind / side / name for kind in extra}
    return {**files, "sparse_depth": depth / "velodyne_raw" / side / name}


def write_street(
    root: str | Path,
    frames: int,
    seed: int = 0,
    split: str = "train",
    options: StreetOptions | None = None,
    extra: Sequence[str] = (),
    processes: int | None = None,
    progress: Progress | None = None,
    device: str = "cpu",
    batch: int | None = None,
) -> int:
    """Write the first ``frames`` frames (streets) of a split; those that are there already are kept.

    Args:
        root: The data root; the split becomes a folder in it.
        frames: Number of frames that the split has in the end.
        seed: The world's seed.
        split: Folder's name; each split has streets of its own.
        options: What frames look like.
        extra: Of "dense", "normals", "semantics".
        processes: Processes that draw, or, where a GPU draws, threads that write; None is one for each core this process may
            use.
        progress: Called after each frame.
        device: Where rays are cast. A GPU's frames differ from a processor's in rounding alone.
        batch: Frames that a GPU draws at once; None is 16.

    Returns:
        Number of frames that were drawn now.

    Raises:
        ConfigError: Wrong arguments.
        DataError: The folder holds a world with other options, or can't be written.
    """
    options = options or StreetOptions()
    _check_arguments(frames, split, extra, processes)
    _check_device(device, batch)
    folder = Path(root).expanduser() / split
    state = _open_state(folder, _description(options, seed, split, extra), frames)
    _write_calibration(folder / DRIVE, options)
    own_seed = split_seed(seed, split)
    missing = _missing(folder, frames, extra, options, own_seed)
    if missing:
        write_json(folder / _STATE, {**state, "finished": frames - len(missing)})
    jobs = [(folder, options, own_seed, number, tuple(extra), cameras) for number, cameras in missing.items()]
    count = processes or len(_cores())
    drawn = _run(jobs, count) if torch.device(device).type == "cpu" else _run_batches(jobs, device, batch or _BATCH, count)
    for done, _ in enumerate(drawn, start=1):
        if progress is not None:
            progress(done, len(jobs))
    total = state["frames"]
    write_json(folder / _STATE, {**state, "finished": total - len(_missing(folder, total, extra, options, own_seed))})
    return len(jobs)


def _missing(
    folder: Path, frames: int, extra: Sequence[str], options: StreetOptions, own_seed: int
) -> dict[int, tuple[int, ...]]:
    """Frames that lack a file, and of which cameras."""

    def lacks(number: int, camera: int) -> bool:
        return not all(path.is_file() for path in frame_files(folder, number, extra, camera).values())

    found = {n: tuple(c for c in options.cameras_of(own_seed, n) if lacks(n, c)) for n in range(frames)}
    return {number: cameras for number, cameras in found.items() if cameras}


def street_state(folder: str | Path) -> dict[str, Any] | None:
    """What ``world.json`` of a split's folder says: "frames" asked for, "finished", "seed", ...; None where there is none.

    Raises:
        DataError: The file is broken.
    """
    path = Path(folder) / _STATE
    if not path.is_file():
        return None
    try:
        state = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(state["frames"], int) or not isinstance(state["finished"], int):
            raise KeyError("frames")
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{path} is no description of a street world ({error}); delete the folder and make the world again."
        ) from error
    return dict(state)


def _check_arguments(frames: int, split: str, extra: Sequence[str], processes: int | None) -> None:
    if frames < 1:
        raise ConfigError(f"street: frames={frames}; expected at least 1.")
    if processes is not None and processes < 1:
        raise ConfigError(f"street: processes={processes}; expected at least 1.")
    if not split or Path(split).name != split or split.startswith("."):
        raise ConfigError(f"street: split='{split}'; expected the name of a folder, as 'train'.")
    for name in extra:
        if name not in EXTRA:
            raise ConfigError(f"street: no extra map '{name}'.{did_you_mean(name, EXTRA)}")


def _check_device(device: str, batch: int | None) -> None:
    try:
        kind = torch.device(device).type
    except RuntimeError as error:
        raise ConfigError(f"street: device='{device}'; expected 'cpu' or 'cuda'.") from error
    if kind == "cuda" and not torch.cuda.is_available():
        raise ConfigError(f"street: device='{device}', and torch sees no GPU here; leave it out to draw on the processor.")
    if batch is not None and batch < 1:
        raise ConfigError(f"street: batch={batch}; expected at least 1.")
    if batch is not None and kind == "cpu":
        raise ConfigError(f"street: batch={batch} on a processor, which draws frame by frame; say device='cuda' as well.")


def _description(options: StreetOptions, seed: int, split: str, extra: Sequence[str]) -> dict[str, Any]:
    plain = json.loads(json.dumps(asdict(options)))
    return {"world_version": WORLD_VERSION, "seed": seed, "split": split, "extra": sorted(extra), "options": plain}


def _open_state(folder: Path, wanted: dict[str, Any], frames: int) -> dict[str, Any]:
    """The description that the folder has from now on, compared with the one it may have."""
    found = street_state(folder)
    if found is None:
        if (folder / DRIVE).exists():
            raise DataError(
                f"{folder / DRIVE} exists without {_STATE}: it was not made by this command. Choose another folder."
            )
        return {**wanted, "frames": frames, "finished": 0}
    # An option that is newer than the folder is, in a world of the same version, at the default that changes nothing.
    defaults = _flat(json.loads(json.dumps(asdict(StreetOptions()))), "options.")
    for key, value in _flat(wanted).items():
        before = _flat(found).get(key, defaults.get(key))
        if before != value:
            raise DataError(
                f"{folder} holds a street world with {key}={before}, not {value}; one folder holds one world. Choose another "
                "folder, or delete this one."
            )
    return {**wanted, "frames": max(frames, found["frames"]), "finished": found["finished"]}


def _flat(nested: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in nested.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat


def _write_calibration(drive: Path, options: StreetOptions) -> None:
    """Calibration in KITTI's form: camera 2 is the reference, and nothing is left to rectify."""
    height, width = options.size
    matrix = options.camera_matrix()
    # What camera 3 sees of a point lies to the left of what camera 2 sees of it.
    right_camera = np.array([[-matrix[0, 0] * BASELINE_M], [0], [0]])
    right, above, behind = options.lidar.mount
    # KITTI's LiDAR frame is x forward, y left, z up.
    turn = camera_from_sensor(options.lidar).numpy() @ np.array([[0, -1, 0], [0, 0, -1], [1, 0, 0]])
    camera = {
        "R_rect_00": np.eye(3).ravel(),
        "S_rect_02": (width, height),
        "P_rect_02": np.hstack((matrix, np.zeros((3, 1)))).ravel(),
        "S_rect_03": (width, height),
        "P_rect_03": np.hstack((matrix, right_camera)).ravel(),
    }
    files: dict[str, dict[str, Any]] = {
        CAMERA_FILE: camera,
        VELODYNE_FILE: {"R": turn.ravel(), "T": (right, -above, -behind)},
    }
    for name, values in files.items():
        text = "".join(f"{key}: {' '.join(f'{float(v):.9e}' for v in numbers)}\n" for key, numbers in values.items())
        with atomic_path(drive / name) as temporary:
            temporary.write_text(text, encoding="utf-8")


def _cores() -> list[int]:
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def _run(jobs: list[tuple[Any, ...]], processes: int) -> Iterator[int]:
    """Draw all jobs; yields as they end."""
    processes = min(processes, len(jobs))
    if processes <= 1:
        # One process is one core, as in the pool: threads gain little here and wait for each other on a busy machine.
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            for job in jobs:
                yield _write_frame(*job)
        finally:
            torch.set_num_threads(threads)
        return
    # Forked workers need no guard in the caller's script; elsewhere than on Linux a fork is not safe.
    context = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
    with ProcessPoolExecutor(processes, mp_context=context, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        futures = [pool.submit(_write_frame, *job) for job in jobs]
        try:
            for future in as_completed(futures):
                yield future.result()
        except BrokenProcessPool as error:
            raise DataError(
                "a process that draws the street world was killed, probably for lack of memory; run the same command again "
                "with fewer processes: it goes on where it stopped."
            ) from error
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _run_batches(jobs: list[tuple[Any, ...]], device: str, batch: int, threads: int) -> Iterator[int]:
    """Draw all jobs on a GPU, several at once; yields as they are written."""
    with ThreadPoolExecutor(threads) as pool:
        for first in range(0, len(jobs), batch):
            folders, options, seeds, numbers, extras, cameras = zip(*jobs[first : first + batch], strict=True)
            wanted = ("sparse_depth", "truth", "image", *extras[0])
            frames = draw_frames(options[0], seeds[0], numbers, wanted, device, cameras)
            yield from pool.map(_write_views, folders, numbers, extras, frames)


def _write_frame(
    folder: Path, options: StreetOptions, seed: int, number: int, extra: tuple[str, ...], cameras: tuple[int, ...]
) -> int:
    wanted = ("sparse_depth", "truth", "image", *extra)
    (views,) = draw_frames(options, seed, [number], wanted, cameras=[cameras])
    return _write_views(folder, number, extra, views)


def _write_views(folder: Path, number: int, extra: tuple[str, ...], views: Mapping[int, StreetFrame]) -> int:
    for camera, frame in views.items():
        _write_view(frame_files(folder, number, extra, camera), frame.maps)
    return number


def _write_view(files: dict[str, Path], maps: dict[str, np.ndarray]) -> None:
    for name, path in files.items():
        if name == "image":
            write_png(path, maps[name])
        elif name == "normals":
            write_png(path, encode_normals(maps[name]))
        elif name == "semantics":
            encoded = cv2.imencode(".png", maps[name])[1]
            with atomic_path(path) as temporary:
                encoded.tofile(temporary)
        else:
            write_depth_png(path, maps[name], zero_is_empty=True)


def encode_normals(normals: np.ndarray) -> np.ndarray:
    """Unit vectors ``(H, W, 3)`` as 8-bit colours, v = round(255 (n + 1) / 2); unknown is black."""
    known = np.abs(normals).max(axis=2, keepdims=True) > 0
    return np.where(known, np.round((normals + 1) * 127.5), 0).astype(np.uint8)
