"""Which files are completed, what their results are called, and which photo belongs to which."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..data.cloud_file import CLOUD_SUFFIXES
from ..data.io import is_depth_png
from ..data.maps import IMAGE_SUFFIXES
from ..errors import DataError

SUFFIXES = (".png", ".npy", *CLOUD_SUFFIXES)
KINDS = "16-bit depth .png, .npy (float metres), or a LiDAR cloud (.bin, .ply, .pcd)"
OUTPUT_FOLDERS = ("depth", "valid", "color", "deviation", "deviation_color", "cloud")
#: Beside the results: one line for each whole one. A folder that holds it is a folder of results.
JOURNAL = "completed.jsonl"


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
    and colour PNGs) and earlier results (in the folders of ``out``, or beside their journal) are left out there.

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
            earlier = real in own or (real.name in OUTPUT_FOLDERS and (real.parent / JOURNAL).is_file())
            if real in visited or earlier:
                others += len(files) if earlier else 0
                folders.clear()
                continue
            visited.add(real)
            folders.sort()
            for name in sorted(files):
                if name.startswith("."):
                    continue
                path = Path(current, name)
                # A pipe would be waited for; a link to nowhere is a scan that is missing.
                special = path.exists() and not path.is_file()
                if path.suffix.lower() not in SUFFIXES or special:
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
    names = [_stem(path) for path in paths]
    if _repeated(names):
        absolute = [path.absolute() for path in paths]
        common = os.path.commonpath([path.parent for path in absolute])
        names = ["_".join((*path.relative_to(common).parts[:-1], _stem(path))) for path in absolute]
    repeated = _repeated(names)
    if repeated:
        same = [str(path) for path, name in zip(paths, names, strict=True) if name.lower() == repeated]
        raise DataError(f"{' and '.join(same[:2])} would both be written as '{repeated}': complete them into different --out.")
    return [Scan(path, name) for path, name in zip(paths, names, strict=True)]


def _stem(path: Path) -> str:
    # nuScenes' scans are called NAME.pcd.bin.
    return path.stem.removesuffix(".pcd")


def _repeated(names: list[str]) -> str | None:
    # Lower case: some file systems take a.png and A.png for one file.
    name, count = Counter(name.lower() for name in names).most_common(1)[0]
    return name if count > 1 else None


def photos_of(scans: ScanList, folder: Path) -> dict[Path, Path]:
    """The photo of each scan, by its name.

    Raises:
        DataError: The folder is missing, several scans have one name, or a scan has no photo.
    """
    if not folder.is_dir():
        raise DataError(f"images {folder} is no folder; expected photos (.png, .jpg) with the scans' names.")
    repeated = _repeated([_stem(scan.path) for scan in scans])
    if repeated:
        raise DataError(f"several scans are called '{repeated}': their photos in {folder} can't be told apart.")
    known = {path.stem: path for path in sorted(folder.iterdir()) if path.suffix.lower() in IMAGE_SUFFIXES}
    for scan in scans:
        if _stem(scan.path) not in known:
            raise DataError(
                f"images {folder} holds no photo {_stem(scan.path)}.png or .jpg for {scan.path} ({len(known)} photos)."
            )
    return {scan.path: known[_stem(scan.path)] for scan in scans}
