"""HDF5 files, which need the package h5py; MATLAB's .mat files of version 7.3 are such."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DataError, did_you_mean


@contextmanager
def open_hdf5(path: Path, kind: str) -> Iterator[Any]:
    """An HDF5 file to read from, closed afterwards: none is kept open, as loader workers must not share one.

    Raises:
        DataError: h5py is not installed, or the file is missing, damaged or another format.
    """
    try:
        import h5py  # type: ignore[import-untyped]
    except ModuleNotFoundError as error:
        raise DataError(f"{kind} {path} is HDF5, and the package h5py that reads it is missing: pip install h5py.") from error
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        what = "does not exist" if not path.exists() else "is no HDF5 file, or damaged or cut short; copy it again"
        raise DataError(f"{kind} {path} {what}.") from error
    with file:
        yield file


def read_entry(file: Any, key: str, where: str, at: int | None = None) -> np.ndarray:
    """An array of an open file, whole or its entry ``at`` along the first axis.

    Raises:
        DataError: There is none of that name, or its bytes are damaged; ``where`` names the file.
    """
    try:
        found = file.get(key)
        if found is None or not hasattr(found, "shape"):
            raise DataError(f"{where} has no array '{key}'.{did_you_mean(key, map(str, file))}")
        return np.asarray(found[()] if at is None else found[at])
    except DataError:
        raise
    except Exception as error:  # the library meets broken bytes with whatever they lead it to
        raise DataError(f"{where}: the array '{key}' can't be read ({' '.join(str(error).split())[:120]}).") from error
