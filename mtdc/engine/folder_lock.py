"""One run at a time in a work folder: the kernel keeps the lock as long as its process lives, however it ends."""

from __future__ import annotations

import errno
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from mmengine.dist import is_main_process

from ..errors import ConfigError, DataError

LOCK_NAME = ".lock"
#: What a file system says that keeps no locks (some network drives): a run goes without.
_WITHOUT_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL}
_TAKEN = {errno.EACCES, errno.EAGAIN}
#: Folders that this process holds, by device and inode: a lock of its own would not stop it, and is lost with any of its files.
_held: set[tuple[int, int]] = set()


@contextmanager
def held(work_dir: Path, make: bool = False) -> Iterator[None]:
    """Hold a work folder for this run; may be nested. Of several processes of a run the first holds it.

    Loader workers inherit nothing of it, so that they keep no folder which their run has left.

    Args:
        work_dir: The folder. Where it isn't there yet, nobody can be writing into it, and nothing is held.
        make: Make it where it is missing.

    Raises:
        ConfigError: Another process holds it; the text says which.
        DataError: The lock's file can't be written.
    """
    made = make and is_main_process() and not work_dir.exists()
    if made:
        work_dir.mkdir(parents=True, exist_ok=True)
    if not is_main_process() or not work_dir.is_dir():
        yield
        return
    status = work_dir.stat()
    folder = (status.st_dev, status.st_ino)
    if folder in _held:
        yield
        return
    descriptor = _take(work_dir)
    _held.add(folder)
    try:
        yield
    finally:
        _held.discard(folder)
        if descriptor is not None:
            _release(work_dir / LOCK_NAME, descriptor)
        if made:
            with suppress(OSError):  # a run that was refused leaves no empty folder
                work_dir.rmdir()


def _take(work_dir: Path) -> int | None:
    """The open file that carries the lock; None where the file system keeps none."""
    import fcntl  # not on every system that imports this module

    path = work_dir / LOCK_NAME
    while True:
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise DataError(f"can't write {path}: {error.strerror}.") from error
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            said = _owner(descriptor)
            os.close(descriptor)
            if error.errno in _TAKEN:
                raise ConfigError(
                    f"{work_dir}: another run writes there{said}. Wait for its end, or name another folder."
                ) from None
            if error.errno in _WITHOUT_LOCKS:
                path.unlink(missing_ok=True)
                return None
            raise DataError(f"can't lock {path}: {error.strerror}.") from error
        if _is_file(path, descriptor):
            break
        os.close(descriptor)  # the run before removed it in between
    about = {"process": os.getpid(), "host": socket.gethostname(), "since": time.strftime("%Y-%m-%d %H:%M:%S")}
    with suppress(OSError):  # a full disk: the lock holds without its words
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(about).encode(), 0)
    return descriptor


def _owner(descriptor: int) -> str:
    """Who holds the lock, as far as its file says."""
    about: Any = None
    with suppress(OSError, ValueError):
        about = json.loads(os.pread(descriptor, 1000, 0))
    if not isinstance(about, dict) or "process" not in about:
        return ""
    return f", process {about['process']} on {about.get('host')} since {about.get('since')}"


def _is_file(path: Path, descriptor: int) -> bool:
    """Whether an open file still is the one of that name."""
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _release(path: Path, descriptor: int) -> None:
    with suppress(OSError):  # the folder was moved, or made read-only, meanwhile
        if _is_file(path, descriptor):
            path.unlink()  # before the lock goes: who opened the file already sees that it has no name
    os.close(descriptor)
