"""Complete files and folders of scans: the work of ``mtdc complete``.

What can be wrong before the first scan is completed is said before it: :class:`ScanList` and :class:`ScanReader` check files,
names and calibration, :func:`complete_files` what the model needs. Then one scan after another is read, completed and written.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from ..data.io import read_image, write_cloud, write_depth_png, write_png
from ..data.raw_bytes import bytes_of
from ..engine.folder_lock import held
from ..engine.result import takes_files
from ..errors import ConfigError, DataError
from ..infer import Completed, Completer, check_distance
from ..visualization.cloud import cloud
from ..visualization.colormap import colorize_depth, depth_range, known_depth
from ..visualization.fields import colorize_deviation
from .journal import Journal
from .reader import ScanReader
from .scans import JOURNAL, OUTPUT_FOLDERS, Scan, ScanList, photos_of

__all__ = ["JOURNAL", "Options", "Results", "ScanList", "ScanReader", "complete_files"]

#: Depth below the smallest that a depth PNG can store would read as "none".
_SMALLEST_DEPTH_M = 1 / 256


@dataclass(frozen=True)
class Options:
    """How scans are completed and written.

    Args:
        images: Folder of photos with the scans' names, for models that read one; they also colour the cloud.
        color_range_m: Nearest and farthest depth of the colours; each frame's own where not given.
        keep_measured: Measured pixels come back as they were given.
        max_distance_px: Farther from every measured pixel, a pixel is not valid; from the scan where not given.
        max_deviation_m: A pixel of which the model expects a greater error is not valid; no limit where not given.
        empty_invalid: Pixels that are not valid get depth 0 (none) and black.
        resume: Keep results of an earlier run with the same settings.
        skip_broken: Go on behind a scan that can't be completed.
    """

    images: str | Path | None = None
    color_range_m: tuple[float, float] | None = None
    keep_measured: bool = False
    max_distance_px: float | None = None
    max_deviation_m: float | None = None
    empty_invalid: bool = False
    resume: bool = False
    skip_broken: bool = False


@dataclass(frozen=True)
class Results:
    """What :func:`complete_files` did.

    Args:
        count: Scans that were completed now.
        kept: Scans whose results were there already.
        broken: What was wrong with each scan that was skipped.
        folders: The folders written to.
        unsure: Of the scans completed now, how many have no valid pixel: everywhere a greater error is expected than allowed.
    """

    count: int
    kept: int
    broken: tuple[str, ...]
    folders: tuple[Path, ...]
    unsure: int = 0


def complete_files(completer: Completer, scans: ScanList, reader: ScanReader, options: Options | None = None) -> Results:
    """Complete scans and write ``depth/NAME.png``, ``valid/NAME.png``, ``color/NAME.png``; where the model predicts it
    ``deviation/NAME.png`` and ``deviation_color/NAME.png``; and for a known camera ``cloud/NAME.ply``.

    Depth and deviation are uint16 PNGs, metres * 256, of the scan's size. ``valid`` is 255 where the scan says something about
    a pixel and 0 elsewhere; the cloud holds the valid pixels. One frame is in memory at a time.

    Args:
        completer: What completes them.
        scans: The scans and the folder that results go to.
        reader: What reads them, and knows their camera.
        options: See :class:`Options`.

    Raises:
        ConfigError: The model needs images or intrinsics that were not given, a limit is none or can't be kept, or another run
            writes into the folder.
        DataError: The colour range is not ascending, the folder to be resumed was made with other settings, or a scan or its
            photo is missing or broken; what was written before stays.
    """
    options = options or Options()
    photos = {} if options.images is None else photos_of(scans, Path(options.images))
    _check_options(completer, reader, options)
    reader.check(scans)
    folders = _folders(completer, reader)
    targets = tuple(scans.out / folder for folder in folders)
    for target in targets:
        _check_writable(target)
    with held(scans.out, make=True):  # two runs with one folder would mix results of two settings
        journal = Journal(scans.out, _settings(completer, reader, options), scans, options.resume)
        done, kept, broken, unsure = _complete_all(completer, scans, reader, photos, options, folders, journal)
    return Results(done, kept, tuple(broken), targets, unsure)


def _complete_all(
    completer: Completer,
    scans: ScanList,
    reader: ScanReader,
    photos: Mapping[Path, Path],
    options: Options,
    folders: Sequence[str],
    journal: Journal,
) -> tuple[int, int, list[str], int]:
    """Numbers of scans completed and kept, what was wrong with others, and how many have no valid pixel."""
    done = kept = unsure = 0
    broken: list[str] = []
    try:
        # Without a terminal, or for one scan, a progress bar only clutters.
        for scan in tqdm(scans, desc="complete", unit="scan", disable=None if len(scans) > 1 else True):
            photo = photos.get(scan.path)
            try:
                sources = [_hash(path) for path in (scan.path, photo) if path is not None]
                results = [scan.output(scans.out, folder) for folder in folders]
                if journal.is_whole(scan.name, sources, results):
                    kept += 1
                    continue
                completed, image = _complete(completer, scan, reader, photo, options)
            except DataError as error:
                text = str(error) if str(scan.path) in str(error) else f"{scan.path}: {error}"
                if not options.skip_broken:
                    raise DataError(text + (" --skip-broken leaves such scans out." if len(scans) > 1 else "")) from error
                broken.append(text)
                continue
            journal.begin()
            _write(scan, scans.out, completed, image, reader.intrinsics(scan.path), options)
            journal.add(scan.name, sources, results)
            done += 1
            unsure += not completed.valid.any()
    except DataError as error:
        so_far = f"{done + kept} of {len(scans)} scans were written to {scans.out} before"
        raise DataError(f"{error} ({so_far}{'; go on with --resume' if done + kept else ''}.)") from error
    return done, kept, broken, unsure


def _folders(completer: Completer, reader: ScanReader) -> list[str]:
    """The folders that this model and camera have results for."""
    without = set() if completer.predicts_deviation else {"deviation", "deviation_color"}
    if not reader.known:
        without.add("cloud")
    return [folder for folder in OUTPUT_FOLDERS if folder not in without]


def _check_options(completer: Completer, reader: ScanReader, options: Options) -> None:
    if "image" in completer.needs and options.images is None:
        raise ConfigError("this model reads the photo too: give --images DIR with photos of the scans' names.")
    if "intrinsics" in completer.needs and not reader.known:
        raise ConfigError("this model reads the camera matrix too: give --intrinsics FILE or --calib PATH.")
    if options.color_range_m is not None:
        depth_range(np.empty(0), *options.color_range_m)
    check_distance(options.max_distance_px)
    completer.check_deviation(options.max_deviation_m)


def _hash(path: Path) -> str:
    return hashlib.sha256(bytes_of(path, "scan").data).hexdigest()


def _settings(completer: Completer, reader: ScanReader, options: Options) -> dict[str, Any]:
    return {
        **completer.origin,
        **reader.settings(),
        "images": options.images is not None,
        "colour_range": options.color_range_m,
        "keep_measured": options.keep_measured,
        "max_distance": _plain(options.max_distance_px),
        "max_deviation": _plain(options.max_deviation_m),
        "empty_invalid": options.empty_invalid,
    }


def _plain(limit: float | None) -> float | str | None:
    """A limit as JSON has it, which knows no infinity."""
    return str(limit) if limit == np.inf else limit


def _complete(
    completer: Completer, scan: Scan, reader: ScanReader, photo: Path | None, options: Options
) -> tuple[Completed, np.ndarray | None]:
    sparse_depth = reader.read(scan.path)
    image = None if photo is None else read_image(photo)
    if image is not None and image.shape[:2] != sparse_depth.shape:
        raise DataError(
            f"{scan.path} is {sparse_depth.shape[1]}x{sparse_depth.shape[0]} and its photo {photo} "
            f"{image.shape[1]}x{image.shape[0]}; they must be of the same camera, crop and size."
        )
    completed = completer.complete(
        sparse_depth,
        image,
        reader.intrinsics(scan.path),
        keep_measured=options.keep_measured,
        max_distance_px=options.max_distance_px,
        max_deviation_m=options.max_deviation_m,
    )
    return completed, image


def _write(
    scan: Scan, out: Path, completed: Completed, image: np.ndarray | None, intrinsics: np.ndarray | None, options: Options
) -> None:
    depth, valid, deviation = completed.depth, completed.valid, completed.deviation
    if options.empty_invalid:
        depth = np.where(valid, np.maximum(depth, _SMALLEST_DEPTH_M), 0)
        deviation = None if deviation is None else np.where(valid, np.maximum(deviation, _SMALLEST_DEPTH_M), 0)
    shown = valid & known_depth(depth)
    # Made before anything is written: what fails leaves nothing behind.
    color = colorize_depth(depth, *(options.color_range_m or (None, None)))
    deviation_color = None if deviation is None else colorize_deviation(deviation)
    points = None if intrinsics is None else cloud(depth, intrinsics, image, shown)
    write_depth_png(scan.output(out, "depth"), depth, zero_is_empty=options.empty_invalid)
    write_png(scan.output(out, "valid"), np.where(valid, 255, 0).astype(np.uint8))
    write_png(scan.output(out, "color"), color)
    if deviation is not None and deviation_color is not None:
        write_depth_png(scan.output(out, "deviation"), deviation, zero_is_empty=options.empty_invalid)
        write_png(scan.output(out, "deviation_color"), deviation_color)
    if points is not None:
        properties = None if deviation is None else {"deviation": deviation[shown]}
        write_cloud(scan.output(out, "cloud"), *points, properties)


def _check_writable(folder: Path) -> None:
    """Say now, and without making it, whether the folder can be made and written to."""
    try:
        existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    except OSError as error:
        raise DataError(f"can't write to {folder}: {error.strerror or error}.") from error
    if not existing.is_dir():
        raise DataError(f"can't write to {folder}: {existing} is a file.")
    if not takes_files(existing):
        raise DataError(f"can't write to {folder}: {existing} may not be written to.")
