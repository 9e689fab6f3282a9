"""JSON objects from files, held against a dataclass: what is unknown, missing or of another kind is named."""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from ..arguments import fits, parameters, wanted
from ..errors import DataError, did_you_mean

T = TypeVar("T")


def from_json(cls: type[T], value: Any, where: str) -> T:
    """An instance of a dataclass from a JSON object.

    Args:
        cls: The dataclass; its annotations say what each key holds.
        value: The object.
        where: The file, and the place in it, for messages.

    Raises:
        DataError: It is no object, has an unknown key, lacks one, or a value is of another kind; the text names it.
    """
    if not isinstance(value, Mapping):
        raise DataError(f"{where} is {_short(value)}; expected an object with {', '.join(parameters(cls))}.")
    known = parameters(cls)
    for key in value:
        if key not in known:
            raise DataError(f"{where}: unknown key {key!r:.60}.{did_you_mean(key, known)}")
    for key, one in known.items():
        if key not in value:
            if one.default is one.empty:
                raise DataError(f"{where}: missing key '{key}', {wanted(one)}.")
        elif not fits(value[key], one.annotation) or isinstance(value[key], bool) is not (one.annotation in (bool, "bool")):
            raise DataError(f"{where}: {key} must be {wanted(one)}, not {_short(value[key])}.")
    return cls(**value)


def to_json(value: Any) -> dict[str, Any]:
    """A dataclass as a JSON object, and those in it; what they have by default is left out."""
    fields = dataclasses.fields(value)
    return {field.name: _json(own) for field in fields if (own := getattr(value, field.name)) is not field.default}


def texts(value: Any) -> Iterator[tuple[str, str]]:
    """All words of a nest of JSON, each with its place in it; the keys of an object come before what they hold."""
    return ((place, leaf) for place, leaf in _leaves(value) if isinstance(leaf, str))


def numbers(value: Any) -> Iterator[tuple[str, float]]:
    """All numbers of a nest of JSON, each with its place in it."""
    return ((place, leaf) for place, leaf in _leaves(value) if isinstance(leaf, (int, float)) and not isinstance(leaf, bool))


def _leaves(value: Any) -> Iterator[tuple[str, Any]]:
    left = deque([("", value)])  # no recursion: a file may be nested as deep as its reader takes it
    while left:
        place, one = left.popleft()
        if isinstance(one, dict):
            for key, item in one.items():
                yield f"{place}, a key" if place else "a key", key
                left.append((f"{place}, {key}" if place else key, item))
        elif isinstance(one, (list, tuple)):
            left += [(f"{place}[{number}]", item) for number, item in enumerate(one)]
        else:
            yield place, one


def _json(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return to_json(value)
    return [_json(item) for item in value] if isinstance(value, (list, tuple)) else value


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
