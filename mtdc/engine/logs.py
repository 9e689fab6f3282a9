"""What a run says: everything in its log file, what a person waits for on the console, and one line where it can't write."""

from __future__ import annotations

import errno
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.runner import Runner

from ..data.io import atomic_path
from ..errors import DataError

#: Errors of a disk, whichever file met them.
DISK_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO}
#: Notes that mmengine makes of its own older names, and of the run's.
_NOISE = ('"FileClient" will be deprecated', '"HardDiskBackend" is the alias', "Distributed training is not used", "Exp name:")


class DescribedConfig(Config):  # type: ignore[misc]  # mmengine has no types
    """A run's config, whose text is made once: mmengine formats it anew for each checkpoint, which takes half a second."""

    @property
    def pretty_text(self) -> str:
        """The config as a config file."""
        content = repr(self._cfg_dict)
        if content not in _texts:
            _texts.clear()
            _texts[content] = super().pretty_text
        return _texts[content]


_texts: dict[str, str] = {}


class QuietRunner(Runner):  # type: ignore[misc]  # mmengine has no types
    """mmengine's Runner, whose tables of the environment, the config and the hooks go to the log file alone."""

    def build_logger(self, *args: Any, **kwargs: Any) -> logging.Logger:
        """The run's logger; a log that can't be written ends the run, where logging prints a traceback for each line."""
        logger: logging.Logger = super().build_logger(*args, **kwargs)
        for handler in logger.handlers:
            if isinstance(handler, logging.FileHandler):
                handler.handleError = lambda record, path=handler.baseFilename: _refuse(path)  # type: ignore[method-assign,misc]
            else:
                handler.addFilter(_for_console)
        return logger

    def dump_config(self) -> None:
        """Write the config into the work folder, whole."""
        if self.rank == 0:
            name = Path(self.cfg.filename).name if self.cfg.filename is not None else f"{self.timestamp}.py"
            with atomic_path(Path(self.work_dir) / name) as temporary:
                self.cfg.dump(temporary)


@contextmanager
def warnings_after() -> Iterator[None]:
    """The package's warnings are said when the block has ended; where it ends by an error, that alone is said."""
    kept: list[logging.LogRecord] = []
    logger = logging.getLogger("mtdc")

    def keep(record: logging.LogRecord) -> bool:
        kept.append(record)
        return False

    logger.addFilter(keep)
    try:
        yield
    finally:
        logger.removeFilter(keep)
    for record in kept:
        logger.handle(record)


@contextmanager
def without_warnings() -> Iterator[None]:
    """The package's warnings are not said: for looking whether a data set has something that nobody asked for."""
    logger = logging.getLogger("mtdc")

    def drop(record: logging.LogRecord) -> bool:
        return False

    logger.addFilter(drop)
    try:
        yield
    finally:
        logger.removeFilter(drop)


def _for_console(record: logging.LogRecord) -> bool:
    text = record.getMessage()
    return not text.startswith(_NOISE) and (record.levelno > logging.INFO or "\n" not in text.strip())


def _refuse(path: str) -> None:
    """Called where a line could not be written, with that error under way."""
    error = sys.exc_info()[1]
    if not isinstance(error, OSError):
        raise
    raise DataError(f"can't write {path}: {error.strerror or error}.") from error


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """A run that writes into a folder.

    Raises:
        DataError: The disk is full, or no longer there; which file met it mmengine's own writers don't say.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in DISK_ERRORS:
            raise
        raise DataError(f"can't write {error.filename or f'in {folder}'}: {error.strerror}.") from error
