"""Fetch trained models, or other files, so that they are there when they are needed.

    mtdc download --list
    mtdc download unet_street
    mtdc download --all --out DIR
    mtdc download https://HOST/weights.safetensors --sha256 HASH

Files come into the cache (MTDC_CACHE=DIR; the platform's folder for caches), each held against its sha256; a download that was
cut goes on where it stopped. MTDC_MIRROR=URL or DIR names another place to fetch from, MTDC_OFFLINE=1 forbids to fetch.
DIR of --out serves as such a mirror.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from ..errors import ConfigError, DataError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("names", nargs="*", metavar="NAME", help="models of the zoo; or, with --sha256, one address or path")
    parser.add_argument("--all", action="store_true", help="all models of the zoo")
    parser.add_argument("--zoo", metavar="DIR", help="this zoo alone: a folder with index.json")
    parser.add_argument("--sha256", metavar="HASH", help="sha256 of the file at the address")
    parser.add_argument("--out", metavar="DIR", type=Path, help="copy the files there too, by their own names")
    parser.add_argument("--list", action="store_true", help="print the models, and where each one's weights are; fetch nothing")


def run(args: argparse.Namespace) -> int:
    """Fetch, or list."""
    if args.list and (args.names or args.all or args.sha256 or args.out):
        raise ConfigError("--list prints all models and fetches nothing: give it alone, or with --zoo.")
    if args.list:
        for line in _listed(args.zoo):
            sys.stdout.write(line + "\n")
        return 0
    if args.all and args.names:
        raise ConfigError(f"--all fetches every model: leave out {args.names[0]!r}, or --all.")
    if args.out is not None:
        from ..engine.result import check_writable

        check_writable(args.out / "file")
    if args.sha256 and len(args.names) != 1:
        raise ConfigError(f"--sha256 goes with one address, not with {len(args.names)}.")
    if not args.names and not args.all:
        raise ConfigError("name what to fetch: models (mtdc download --list prints them), --all, or an address with --sha256.")
    for title, path, name in _fetched_address(args) if args.sha256 else _fetched(args):
        kept = path if args.out is None else _copied(path, args.out / name)
        sys.stdout.write(f"{title}: {kept} ({path.stat().st_size / 1e6:.2f} MB)\n")
    return 0


def _fetched(args: argparse.Namespace) -> Iterator[tuple[str, Path, str]]:
    from ..zoo import index
    from ..zoo.sources import file_name, shown

    for name in args.names:
        if "://" in name:
            raise ConfigError(f"{shown(name)}: an address needs --sha256 HASH, which the file is held against.")
    names = args.names or [entry.name for entry in index.entries(args.zoo)]
    # All names first: a misspelt one is told before anything is fetched.
    for zoo, entry in [index.locate(name, args.zoo) for name in dict.fromkeys(names)]:
        own_name = Path(entry.file).name if entry.file is not None else file_name(str(entry.url))
        yield entry.name, zoo.weights(entry), own_name or f"{entry.name}.safetensors"


def _fetched_address(args: argparse.Namespace) -> Iterator[tuple[str, Path, str]]:
    from ..zoo.addresses import name_fault
    from ..zoo.download import fetch, file_name

    fault = name_fault(args.names[0])
    if fault is not None:
        raise ConfigError(f"the address {fault}.")
    name = file_name(args.names[0]) or args.sha256
    yield name, fetch(args.names[0], args.sha256, name=name), name


def _copied(source: Path, target: Path) -> Path:
    from ..data.io import atomic_path
    from ..engine.checkpoint import file_hash

    if target.exists() or target.is_symlink():
        if target.is_file() and file_hash(target) == file_hash(source):
            return target
        raise DataError(f"{target}: something else of that name is there; move it away, or name another --out.")
    with atomic_path(target) as temporary:
        shutil.copyfile(source, temporary)
    return target


def _listed(folder: str | None) -> Iterator[str]:
    from ..zoo import index
    from ..zoo.cache import is_whole, slot
    from ..zoo.download import file_name

    entries = index.entries(folder)
    own = {entry.name: zoo.folder for zoo in reversed(index.zoos(folder)) for entry in zoo.entries.values()}
    width = max((len(entry.name) for entry in entries), default=0)
    for entry in entries:
        carried = own[entry.name] == index.package_folder()
        where = "comes with the package" if carried else f"in {own[entry.name] / index.WEIGHTS_FOLDER}"
        if entry.file is None:
            place = slot(entry.sha256, file_name(str(entry.url)))
            where = f"in the cache: {place.path}" if is_whole(place.path, entry.sha256, entry.bytes) else f"at {entry.url}"
        yield f"{entry.name:<{width}}  {entry.bytes / 1e6:7.2f} MB  {where}"
