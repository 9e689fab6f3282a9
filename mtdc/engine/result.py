"""A measurement as a dict, as a file, and as a table for people."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..data.io import write_json
from ..errors import DataError

RESULT_NAME = "result.json"
#: Digits after the point by unit; anything else is shown with four significant digits.
_DECIMALS = {"mm": 2, "1/km": 3, "m": 4, "ln": 5, "ratio": 5}


def result_dict(values: Mapping[str, Any], protocol: Mapping[str, Any], per_frame: Mapping[str, Any]) -> dict[str, Any]:
    """One measurement: the values at the top level, then ``protocol`` and ``per_frame``.

    Args:
        values: ``{"rmse": ..., "frames": ...}`` as a metric returns them.
        protocol: How it was measured: the metric's ``protocol()`` with whatever else is known (crop, config, hashes, split).
        per_frame: ``{sample id: {"rmse": ...}}``.

    Numbers that are not finite stay here, and become null in the file: JSON has no word for them.
    """
    return {**values, "protocol": dict(protocol), "per_frame": dict(per_frame)}


def format_table(result: Mapping[str, Any]) -> str:
    """The values of a result with their units, aligned, and below them how they were measured."""
    protocol = result.get("protocol", {})
    units = protocol.get("units", {})
    others = result.get("baselines", {})
    names = [name for name in result if name not in ("protocol", "per_frame", "baselines")]
    rows = [(name, _number(result[name], units.get(name)), _unit(units.get(name))) for name in names]
    rules = [(name, _text(value)) for name, value in protocol.items() if name != "units" and value is not None]
    first = max((len(name) for name, *_ in (*rows, *rules)), default=0)
    second = max((len(number) for _, number, _ in rows), default=0)
    lines = [f"{name:<{first}}  {number:>{second}}  {unit}".rstrip() for name, number, unit in rows]
    if others:
        lines += ["", *_comparison(result, others, units)]
    if rules:
        lines += ["", *(f"{name:<{first}}  {text}" for name, text in rules)]
    return "\n".join(lines) + "\n"


def _comparison(result: Mapping[str, Any], others: Mapping[str, Any], units: Mapping[str, str]) -> list[str]:
    """The network beside methods without weights on the same frames, one line each."""
    columns = [name for name in ("rmse", "mae", "irmse", "imae") if name in result]
    width = max(len(name) for name in ("this network", *others))
    heads = [f"{name} {_unit(units.get(name))}".strip() for name in columns]
    lines = [" ".join([f"{'':<{width}}", *(f"{head:>12}" for head in heads)])]
    for name, values in (("this network", result), *others.items()):
        numbers = (_number(values.get(column), units.get(column)) for column in columns)
        lines.append(" ".join([f"{name:<{width}}", *(f"{number:>12}" for number in numbers)]))
    return lines


def check_writable(path: Path, option: str = "--out", example: str = "result.json") -> None:
    """Refuse before the work what would fail after it.

    Args:
        path: The file to be written.
        option: The command's option that names it, for messages.
        example: A file name for it, for messages.

    Raises:
        DataError: A result can't be written there.
    """
    if path.is_dir():
        raise DataError(f"{option} {path} is a folder; expected a file name such as {path / example}.")
    parent = next(folder for folder in path.absolute().parents if folder.exists())
    if not parent.is_dir() or not takes_files(parent):
        raise DataError(f"{option} {path} can't be written: {parent} is {'not writable' if parent.is_dir() else 'a file'}.")


def takes_files(folder: Path) -> bool:
    """Whether a folder takes a new file: tried, as the permissions of ``/proc`` and of network drives don't tell all."""
    try:
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".mtdc_"):
            return True
    except OSError:
        return False


def save_result(path: str | Path, result: Mapping[str, Any]) -> None:
    """Write a result as JSON, whole or not at all; values that are not finite become null.

    Raises:
        DataError: The file can't be written.
    """
    write_json(path, result)


def _number(value: Any, unit: str | None) -> str:
    if isinstance(value, (int, str)):
        return str(value)
    if value is None or not math.isfinite(value):
        return "undefined"
    return f"{value:.{_DECIMALS[unit]}f}" if unit in _DECIMALS else f"{value:.4g}"


def _unit(unit: str | None) -> str:
    return "" if unit in (None, "ratio") else str(unit)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return ", ".join(_text(item) for item in value)
    if isinstance(value, Mapping):
        return ", ".join(f"{key}={_text(item)}" for key, item in value.items())
    return f"{value:g}" if isinstance(value, float) else str(value)
