"""Weights files that describe themselves: plain tensors and one JSON text (safetensors), written whole, read without trust.

A file of safetensors has a header of JSON and the tensors' bytes behind it, and no code. Under the header's key
``DESCRIPTION_KEY`` stands one JSON object that says what the tensors belong to; what is in it is the business of ``mtdc.zoo``.
Reading limits the header, so that a file can't ask for more memory than it has bytes itself.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..data.io import atomic_path
from ..data.raw_bytes import LARGEST_FILE_BYTES, bytes_of
from ..errors import DataError

SUFFIX = ".safetensors"
FORMAT_KEY, FORMAT = "format", "mtdc-weights"
DESCRIPTION_KEY = "description"
#: Version of the description's form; a reader refuses those it doesn't know.
VERSION = 1
VERSION_KEY = "version"
#: A header of a thousand tensors and a config takes some 100 kB.
LARGEST_HEADER_BYTES = 2**20
_LENGTH_BYTES = 8
_DTYPES = {"F32", "F16", "BF16", "I64"}


def read_tensor_file(path: str | Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The description and the tensors of a weights file; tensors of half precision come back as float32.

    Raises:
        DataError: The file is missing, cut short, damaged, no weights file of mtdc, or made by a newer mtdc.
    """
    import safetensors.torch

    path = Path(path)
    data = bytes_of(path, "weights file", LARGEST_FILE_BYTES).tobytes()
    description = _description(_header(data[: _LENGTH_BYTES + LARGEST_HEADER_BYTES], len(data), path), path)
    try:
        stored = safetensors.torch.load(data)
    except Exception as error:  # safetensors raises what it likes at a file that is none
        raise _damaged(path, " ".join(str(error).split())[:120] or type(error).__name__) from error
    return description, {name: value.float() if value.is_floating_point() else value for name, value in stored.items()}


def read_description(path: str | Path) -> dict[str, Any]:
    """The description alone; no tensor is read.

    Raises:
        DataError: As in :func:`read_tensor_file`, as far as the header tells.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path}: no such weights file.")
    try:
        with path.open("rb") as file:
            start, size = file.read(_LENGTH_BYTES + LARGEST_HEADER_BYTES), path.stat().st_size
    except OSError as error:
        raise DataError(f"{path}: can't be read: {error.strerror or error}.") from error
    return _description(_header(start, size, path), path)


def write_tensor_file(path: str | Path, tensors: Mapping[str, Tensor], description: Mapping[str, Any]) -> None:
    """Write tensors with their description, whole or not at all; the same content gives the same bytes.

    Raises:
        DataError: The file can't be written, or the description is no JSON or longer than a reader takes.
    """
    import safetensors.torch

    try:
        text = json.dumps({VERSION_KEY: VERSION, **description}, sort_keys=True, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise DataError(f"can't write {path}: its description can't be put as JSON: {error}.") from error
    plain = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
    content = safetensors.torch.save(plain, metadata={FORMAT_KEY: FORMAT, DESCRIPTION_KEY: text})
    content = _sorted_header(content)
    if int.from_bytes(content[:_LENGTH_BYTES], "little") > LARGEST_HEADER_BYTES:
        raise DataError(f"can't write {path}: its header would be larger than {LARGEST_HEADER_BYTES} bytes, which is refused.")
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def _sorted_header(content: bytes) -> bytes:
    """The same file with its header's keys in order: the library writes the metadata in an order that changes by the run."""
    end = _LENGTH_BYTES + int.from_bytes(content[:_LENGTH_BYTES], "little")
    header = json.dumps(json.loads(content[_LENGTH_BYTES:end]), sort_keys=True, separators=(",", ":")).encode()
    header += b" " * (-len(header) % _LENGTH_BYTES)
    return len(header).to_bytes(_LENGTH_BYTES, "little") + header + content[end:]


def _header(start: bytes, size: int, path: Path) -> dict[str, Any]:
    """The header, from the file's first bytes; ``size`` is the whole file's."""
    length = int.from_bytes(start[:_LENGTH_BYTES], "little")
    if size < _LENGTH_BYTES + 2 or start[_LENGTH_BYTES : _LENGTH_BYTES + 1] != b"{":
        raise DataError(
            f"{path}: no weights file of mtdc: it doesn't begin as safetensors do; name one that `mtdc publish` wrote."
        )
    if length > LARGEST_HEADER_BYTES:
        raise DataError(f"{path}: its header claims {length} bytes; at most {LARGEST_HEADER_BYTES} are read. It is damaged.")
    if _LENGTH_BYTES + length > size:
        raise _damaged(path, f"its header claims {length} bytes and the file has {size}")
    header = _json(start[_LENGTH_BYTES : _LENGTH_BYTES + length], "its header", path)
    ends = [0]
    for name, tensor in header.items():
        if name == "__metadata__":
            continue
        kind = tensor.get("dtype") if isinstance(tensor, dict) else None
        if kind not in _DTYPES:
            raise DataError(f"{path}: {name[:60]!r} is stored as {kind!r:.20}; expected one of {', '.join(sorted(_DTYPES))}.")
        offsets = tensor.get("data_offsets")
        if isinstance(offsets, list) and offsets and isinstance(offsets[-1], int):
            ends.append(offsets[-1])
    if _LENGTH_BYTES + length + max(ends) > size:
        raise _damaged(path, f"it has {size} bytes, and its header tells of {_LENGTH_BYTES + length + max(ends)}")
    return header


def _description(header: dict[str, Any], path: Path) -> dict[str, Any]:
    metadata = header.get("__metadata__")
    if not isinstance(metadata, dict) or metadata.get(FORMAT_KEY) != FORMAT:
        raise DataError(
            f"{path}: no weights file of mtdc: its header has no {FORMAT_KEY}={FORMAT!r}. Weights of other makers say nothing "
            "about their network; name a file that `mtdc publish` wrote."
        )
    description = _json(str(metadata.get(DESCRIPTION_KEY, "")).encode(), "its description", path)
    version = description.pop(VERSION_KEY, None)
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise DataError(f"{path}: its description names no {VERSION_KEY} of the form; expected a whole number from 1 on.")
    if version > VERSION:
        raise DataError(
            f"{path}: made by a newer mtdc: form {version} of weights files, and this one reads up to {VERSION}. Update mtdc."
        )
    return description


def _json(text: bytes, what: str, path: Path) -> dict[str, Any]:
    try:
        value = json.loads(text, parse_constant=_refused)
    except (ValueError, RecursionError) as error:
        raise _damaged(path, f"{what} is no JSON") from error
    if not isinstance(value, dict):
        raise _damaged(path, f"{what} is no JSON object")
    return value


def _refused(constant: str) -> float:
    raise ValueError(f"{constant} is no number of JSON")


def _damaged(path: Path, reason: str) -> DataError:
    return DataError(f"{path}: not a whole weights file ({reason}); copy or download it again.")


def stored_half(value: Tensor) -> Tensor:
    """A weight as float16 where that costs nothing, else as it is.

    Tensors of one axis (biases, batch norm's parameters and statistics) stay: they are small, and variances span orders of
    magnitude. A weight that would overflow stays, and one whose rounding error is more than a thousandth of its own norm, as
    where it falls among float16's subnormals.
    """
    if value.dtype != torch.float32 or value.ndim < 2:
        return value
    half = value.to(torch.float16)
    error = torch.linalg.vector_norm(half.double() - value.double())
    # NaN and infinity compare as false, and stay for the check of whoever loads them.
    return half if bool(error <= 1e-3 * torch.linalg.vector_norm(value.double())) else value
