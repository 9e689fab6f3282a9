"""Complete files and folders of scans: the work of ``mtdc complete``.

What can be wrong before the first scan is completed is said before it: :class:`ScanList` and :class:`Camera` check files, names
and calibration, :func:`complete_files` what the model needs. Then one scan after another is read, completed and written.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from .data.calibration import read_calibration, read_intrinsics
from .data.io import is_depth_png, read_depth, read_image, read_velodyne, write_cloud, write_depth_png, write_png
from .data.maps import IMAGE_SUFFIXES
from .errors import ConfigError, DataError
from .infer import Completer
from .visualization.cloud import cloud, evidence_mask
from .visualization.colormap import colorize_depth, depth_range

VELODYNE_SUFFIX = ".bin"
SUFFIXES = (".png", ".npy", VELODYNE_SUFFIX)
KINDS = "16-bit depth .png (metres * 256), .npy (float metres) or velodyne .bin"
OUTPUT_FOLDERS = ("depth", "color", "cloud")


@dataclass(frozen=True)
class Scan:
    """One file to complete, and the name that its results get."""

    path: Path
    name: str

    def output(self, out: Path, folder: str) -> Path:
        """Where a result goes; ``folder`` is one of :data:`OUTPUT_FOLDERS`."""
        return out / folder / (self.name + (".ply" if folder == "cloud" else ".png"))


class ScanList:
    """The scans among files and folders, each with a name of its own.

    A result is named after its file; where two files have the same name, all are named by their path below the folder that
    they have in common, joined with "_". Folders are searched to their ends, also through links; hidden files, photos (8-bit
    and colour PNGs) and earlier results (in the three folders of ``out``) are left out there.

    Args:
        inputs: Files and folders.
        out: The folder that results go to.

    Raises:
        DataError: A path is missing or a file of another kind, a folder holds no scan, two results would have one name, or a
            result would overwrite a scan.
    """

    def __init__(self, inputs: Sequence[str | Path], out: Path) -> None:
        self.out = out
        #: Files in the folders that are no scans, or are earlier results.
        self.ignored = 0
        #: 8-bit and colour PNGs in the folders.
        self.photos = 0
        found: dict[Path, Path] = {}
        for item in map(Path, inputs):
            for path in self._below(item) if item.is_dir() else [_checked_file(item)]:
                found.setdefault(path.resolve(), path)
        if not found:
            raise DataError("nothing to complete was given.")
        self.scans = _named(list(found.values()))
        for scan in self.scans:
            for folder in OUTPUT_FOLDERS:
                target = scan.output(out, folder)
                if target.resolve() in found:
                    raise DataError(f"the result {target} would overwrite a scan of that name: give another --out.")

    def __len__(self) -> int:
        return len(self.scans)

    def __iter__(self) -> Iterator[Scan]:
        return iter(self.scans)

    def _below(self, folder: Path) -> list[Path]:
        own = {(self.out / name).resolve() for name in OUTPUT_FOLDERS}
        scans, photos, others, visited = [], 0, 0, set()
        for current, folders, files in os.walk(folder, followlinks=True):
            real = Path(current).resolve()
            # A link to a folder above would be walked for ever.
            if real in visited or real in own:
                others += len(files) if real in own else 0
                folders.clear()
                continue
            visited.add(real)
            folders.sort()
            for name in sorted(files):
                if name.startswith("."):
                    continue
                path = Path(current, name)
                if path.suffix.lower() not in SUFFIXES:
                    others += 1
                elif path.suffix.lower() == ".png" and not is_depth_png(path):
                    photos += 1
                else:
                    scans.append(path)
        self.ignored += others
        self.photos += photos
        if not scans:
            raise DataError(
                f"folder {folder} holds no scan ({photos} 8-bit or colour PNGs, {others} other files or earlier results); "
                f"looked for {KINDS}."
            )
        return scans


def _checked_file(path: Path) -> Path:
    if not path.exists():
        raise DataError(f"{path} does not exist; expected a scan or a folder of scans.")
    if path.suffix.lower() not in SUFFIXES:
        raise DataError(f"{path} ends in '{path.suffix}'; expected {KINDS}, or a folder of them.")
    return path


def _named(paths: list[Path]) -> list[Scan]:
    names = [path.stem for path in paths]
    if _repeated(names):
        absolute = [path.absolute() for path in paths]
        common = os.path.commonpath([path.parent for path in absolute])
        names = ["_".join(path.relative_to(common).with_suffix("").parts) for path in absolute]
    repeated = _repeated(names)
    if repeated:
        same = [str(path) for path, name in zip(paths, names, strict=True) if name.lower() == repeated]
        raise DataError(f"{' and '.join(same[:2])} would both be written as '{repeated}': complete them into different --out.")
    return [Scan(path, name) for path, name in zip(paths, names, strict=True)]


def _repeated(names: list[str]) -> str | None:
    # Lower case: some file systems take a.png and A.png for one file.
    name, count = Counter(name.lower() for name in names).most_common(1)[0]
    return name if count > 1 else None


class Camera:
    """What is known about the camera of the scans.

    Args:
        intrinsics: File with the camera matrix of PNG and NPY; it goes before the calibration's.
        calibration: KITTI calibration folder (``calib_cam_to_cam.txt``; for velodyne scans also ``calib_velo_to_cam.txt``).
        index: The rectified camera that velodyne scans are projected into.

    Raises:
        DataError: A file is missing or broken, or the calibration has no such camera.
    """

    def __init__(self, intrinsics: str | Path | None = None, calibration: str | Path | None = None, index: int = 2) -> None:
        self.index = index
        self.calibration = None if calibration is None else read_calibration(calibration)
        self._calibrated = None if self.calibration is None else self.calibration.intrinsics(index)
        self._own = None if intrinsics is None else read_intrinsics(intrinsics)
        #: ``(H, W)`` that PNG and NPY must have. A matrix of its own may belong to a crop: the calibration says nothing then.
        self._size = None if self.calibration is None or self._own is not None else self.calibration.size(index)

    @property
    def known(self) -> bool:
        """Whether every scan that can be read has a camera matrix."""
        return self._own is not None or self._calibrated is not None

    def intrinsics(self, path: Path) -> np.ndarray | None:
        """Camera matrix ``(3, 3)`` of a scan, where it is known."""
        # A velodyne scan is projected with the calibration, into the calibration's image.
        if self._own is None or path.suffix.lower() == VELODYNE_SUFFIX:
            return self._calibrated
        return self._own

    def check(self, scans: ScanList) -> None:
        """Say whether the scans can be read with what is known.

        Raises:
            DataError: A velodyne scan, and no calibration that places it in the image.
        """
        for scan in scans:
            if scan.path.suffix.lower() == VELODYNE_SUFFIX:
                if self.calibration is None:
                    raise DataError(
                        f"{scan.path} is a velodyne scan: give --calib DIR with calib_cam_to_cam.txt and calib_velo_to_cam.txt."
                    )
                _ = self.calibration.camera(self.index).lidar_to_image
                return

    def read(self, path: Path) -> np.ndarray:
        """Sparse depth of a scan, ``(H, W)`` float32 metres, 0 = not measured; velodyne points are projected.

        Raises:
            DataError: The file is broken, or its size is not the calibration's.
        """
        if path.suffix.lower() == VELODYNE_SUFFIX:
            assert self.calibration is not None, "check() comes first"
            return self.calibration.camera(self.index).sparse_depth(read_velodyne(path))
        depth = read_depth(path)
        if self._size is not None and depth.shape != self._size:
            (height, width), (expected_height, expected_width) = depth.shape, self._size
            raise DataError(
                f"{path} is {width}x{height} and camera {self.index} of --calib {expected_width}x{expected_height}: "
                "a cropped or resized map needs its own camera matrix, --intrinsics FILE."
            )
        return depth


@dataclass(frozen=True)
class Results:
    """What :func:`complete_files` wrote."""

    count: int
    folders: tuple[Path, ...]


def complete_files(
    completer: Completer,
    scans: ScanList,
    camera: Camera,
    images: str | Path | None = None,
    color_range_m: tuple[float, float] | None = None,
) -> Results:
    """Complete scans and write ``depth/NAME.png``, ``color/NAME.png`` and, for a known camera, ``cloud/NAME.ply``.

    Depth is a uint16 PNG, metres * 256, of the scan's size, every pixel answered. The cloud holds the pixels between the
    topmost and the lowest measured point around their column.

    Args:
        completer: What completes them.
        scans: The scans and the folder that results go to.
        camera: What is known about their camera.
        images: Folder of photos with the scans' names, for models that read one; they also colour the cloud.
        color_range_m: Nearest and farthest depth of the colours; each frame's own where not given.

    Returns:
        How many scans were completed, and the folders written to.

    Raises:
        ConfigError: The model needs images or intrinsics that were not given.
        DataError: The colour range is not ascending, or a scan or its photo is missing or broken; what was written before
            stays.
    """
    photos = {} if images is None else _photos(scans, Path(images))
    if "image" in completer.needs and images is None:
        raise ConfigError("this model reads the photo too: give --images DIR with photos of the scans' names.")
    if "intrinsics" in completer.needs and not camera.known:
        raise ConfigError("this model reads the camera matrix too: give --intrinsics FILE or --calib DIR.")
    if color_range_m is not None:
        depth_range(np.empty(0), *color_range_m)
    camera.check(scans)
    folders = OUTPUT_FOLDERS if camera.known else OUTPUT_FOLDERS[:2]
    targets = tuple(scans.out / folder for folder in folders)
    for target in targets:
        _check_writable(target)
    done = 0
    try:
        # Without a terminal, or for one scan, a progress bar only clutters.
        for scan in tqdm(scans, desc="complete", unit="scan", disable=None if len(scans) > 1 else True):
            _complete(completer, scan, camera, photos.get(scan.path), scans.out, color_range_m)
            done += 1
    except DataError as error:
        path = str(scans.scans[done].path)
        text = str(error) if path in str(error) else f"{path}: {error}"
        raise DataError(f"{text} ({done} of {len(scans)} scans were written to {scans.out} before.)") from error
    return Results(len(scans), targets)


def _complete(
    completer: Completer, scan: Scan, camera: Camera, photo: Path | None, out: Path, color_range_m: tuple[float, float] | None
) -> None:
    sparse_depth = camera.read(scan.path)
    image = None if photo is None else read_image(photo)
    if image is not None and image.shape[:2] != sparse_depth.shape:
        raise DataError(
            f"{scan.path} is {sparse_depth.shape[1]}x{sparse_depth.shape[0]} and its photo {photo} "
            f"{image.shape[1]}x{image.shape[0]}; they must be of the same camera, crop and size."
        )
    intrinsics = camera.intrinsics(scan.path)
    depth = completer(sparse_depth, image=image, intrinsics=intrinsics)
    color = colorize_depth(depth, *(color_range_m or (None, None)))
    points = None if intrinsics is None else cloud(depth, intrinsics, image, evidence_mask(sparse_depth))
    # Written together, and the folders made by it: a scan that fails leaves nothing behind.
    write_depth_png(scan.output(out, "depth"), depth)
    write_png(scan.output(out, "color"), color)
    if points is not None:
        write_cloud(scan.output(out, "cloud"), *points)


def _photos(scans: ScanList, folder: Path) -> dict[Path, Path]:
    if not folder.is_dir():
        raise DataError(f"images {folder} is no folder; expected photos (.png, .jpg) with the scans' names.")
    repeated = _repeated([scan.path.stem for scan in scans])
    if repeated:
        raise DataError(f"several scans are called '{repeated}': their photos in {folder} can't be told apart.")
    known = {path.stem: path for path in sorted(folder.iterdir()) if path.suffix.lower() in IMAGE_SUFFIXES}
    for scan in scans:
        if scan.path.stem not in known:
            raise DataError(
                f"images {folder} holds no photo {scan.path.stem}.png or .jpg for {scan.path} ({len(known)} photos)."
            )
    return {scan.path: known[scan.path.stem] for scan in scans}


def _check_writable(folder: Path) -> None:
    """Say now, and without making it, whether the folder can be made and written to."""
    try:
        existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    except OSError as error:
        raise DataError(f"can't write to {folder}: {error.strerror or error}.") from error
    if not existing.is_dir():
        raise DataError(f"can't write to {folder}: {existing} is a file.")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise DataError(f"can't write to {folder}: {existing} may not be written to.")
