"""Files of ``torch.save``, looked through before torch loads them: whole, as large as they say, and plain values alone.

torch's ``weights_only=True`` runs no code from a file. What it leaves to its caller is held here: checksums (torch skips
them), entries that unpack to far more than the file's size, and pickles that ask for memory instead of holding tensors.
"""

from __future__ import annotations

import pickletools
import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch

from ..errors import DataError

#: What a pickle of plain values and tensors names. Storages and number types ("torch FloatStorage") come besides.
_NAMES = {
    "collections OrderedDict",
    "torch Size",
    "torch device",
    "torch._utils _rebuild_parameter",
    "torch._utils _rebuild_tensor_v2",
    "torch.storage UntypedStorage",
}
_READ_BYTES = 1 << 20


def load_archive(path: Path) -> Any:
    """What a file of ``torch.save`` holds, on the CPU; nothing in it is executed.

    Raises:
        DataError: The file is missing, cut short, damaged, no file of ``torch.save``, or holds more than plain values and
            tensors.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such checkpoint file.")
    try:
        with zipfile.ZipFile(path) as archive:
            _check_entries(archive, path)
            _check_pickle(archive, path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about files of other makers, which are refused
            return torch.load(path, map_location="cpu", weights_only=True)
    except DataError:
        raise
    except Exception as error:  # zipfile, pickle and torch raise what they like at a file that is none
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise DataError(
            f"{path}: not a checkpoint, or not a whole one ({reason}); name another .pth file that `mtdc train` wrote."
        ) from error


def _check_entries(archive: zipfile.ZipFile, path: Path) -> None:
    entries = archive.infolist()
    size = path.stat().st_size
    packed = [entry.filename for entry in entries if entry.compress_type != zipfile.ZIP_STORED]
    if packed or sum(entry.file_size for entry in entries) > size:
        raise DataError(f"{path}: not a checkpoint: it is a packed zip file, and torch.save packs nothing.")
    names = [entry.filename for entry in entries]
    if len(set(names)) < len(names):
        raise DataError(f"{path}: not a whole checkpoint: it holds two entries of one name.")
    for entry in entries:
        with archive.open(entry) as stream:
            while stream.read(_READ_BYTES):
                pass  # the end compares the checksum


def _check_pickle(archive: zipfile.ZipFile, path: Path) -> None:
    pickles = [name for name in archive.namelist() if name.rpartition("/")[2] == "data.pkl"]
    if len(pickles) != 1:
        raise DataError(f"{path}: not a checkpoint: it holds {len(pickles)} entries 'data.pkl'; torch.save writes one.")
    for opcode, argument, _ in pickletools.genops(archive.read(pickles[0])):
        if opcode.name == "GLOBAL" and not _is_plain(str(argument)):
            raise DataError(
                f"{path}: not a checkpoint that is safe to load: it holds '{str(argument)[:80].replace(' ', '.')}', and those "
                "of mtdc hold tensors, numbers and words alone. Nothing of it was loaded."
            )


def _is_plain(name: str) -> bool:
    module, _, word = name.partition(" ")
    return name in _NAMES or (module == "torch" and (word.endswith("Storage") or _is_dtype(word)))


def _is_dtype(word: str) -> bool:
    return isinstance(getattr(torch, word, None), torch.dtype)
