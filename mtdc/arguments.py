"""Values of a config held against what a constructor says it takes, and errors of its own put into words for a person."""

from __future__ import annotations

import collections.abc
import inspect
import math
import numbers
import re
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from .errors import ConfigError, UserError

#: Words of Python's in an error's text: it then says nothing to someone who wrote a config.
_PYTHONS = re.compile(
    r"<class|<function|\bobject\b|\bargument|__|\bint\b|\bfloat\b|\bstr\b|NoneType|subscript|iterable|isinstance|\bindex\b|"
    r"unpack|Tensor|tensor|attribute|concatenate|convert|instances of|modulo|division|literal"
)
_SEQUENCES = (list, tuple, set, frozenset, collections.abc.Sequence, collections.abc.Iterable, collections.abc.Collection)
_MAPPINGS = (dict, collections.abc.Mapping, collections.abc.MutableMapping)
_WORDS = {int: "a whole number", float: "a number", bool: "True or False", str: "a word", type(None): "None", Path: "a path"}
_PLURALS = {int: "whole numbers", float: "numbers", bool: "True or False", str: "words"}


def parameters(cls: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """What a constructor takes by name, through the base classes that it hands the rest to; a function's own as they are."""
    found: dict[str, inspect.Parameter] = {}
    functions = (
        [vars(base)["__init__"] for base in inspect.getmro(cls) if "__init__" in vars(base)] if inspect.isclass(cls) else [cls]
    )
    for function in functions:
        try:
            own = inspect.signature(function).parameters
        except (TypeError, ValueError):  # built in
            break
        hints = _hints(function)
        for name, parameter in own.items():
            if name != "self" and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
                hint = hints.get(name, bool if isinstance(parameter.default, bool) else Any)
                found.setdefault(name, parameter.replace(annotation=hint))
        if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in own.values()):
            break
    return found


def _hints(function: Any) -> dict[str, Any]:
    try:
        return typing.get_type_hints(function)
    except Exception:  # names that are imported for type checkers alone
        return {}


def check_kinds(cls: Callable[..., Any], values: Mapping[str, Any], where: str) -> None:
    """Refuse values of another kind than a constructor's annotations name.

    Raises:
        ConfigError: The key, the value and what is expected, with the default where there is one.
    """
    known = parameters(cls)
    for key, value in values.items():
        parameter = known.get(key)
        if parameter is None or value is parameter.default or fits(value, parameter.annotation):
            continue
        raise ConfigError(f"{where}.{key} must be {wanted(parameter)}, not {value!r}.")


def wanted(parameter: inspect.Parameter) -> str:
    """What a parameter takes, in words, with its default as an example."""
    example = parameter.default
    words = describe(parameter.annotation)
    if example is parameter.empty or example is None or isinstance(example, bool):
        return words
    return f"{words}, such as {example!r}"


def fits(value: Any, hint: Any) -> bool:
    """Whether a value of a config is of an annotation's kind; kinds that no config can write fit everything."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return any(fits(value, one) for one in inner)
    if origin is typing.Literal:
        return value in inner
    kind = origin or hint
    if kind is bool:
        return isinstance(value, bool) or value in (0, 1)
    if kind is int:
        return isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if kind is float:
        return isinstance(value, numbers.Real) and not isinstance(value, bool)
    if kind in (str, type(None), Tensor):
        return isinstance(value, kind)
    if kind is Path:
        return isinstance(value, (str, Path))
    if kind in _MAPPINGS:
        return isinstance(value, Mapping) and (len(inner) != 2 or all(fits(item, inner[1]) for item in value.values()))
    if kind in _SEQUENCES:
        return _fits_sequence(value, kind, inner)
    return True


def _fits_sequence(value: Any, kind: Any, inner: tuple[Any, ...]) -> bool:
    if isinstance(value, (str, bytes, Mapping)) or not isinstance(value, (Sequence, set, frozenset)):
        return isinstance(value, str) and kind not in (list, tuple, set, frozenset) and inner in ((), (str,), (Any,))
    if kind is tuple and inner and inner[-1] is not Ellipsis:
        return len(value) == len(inner) and all(fits(item, one) for item, one in zip(value, inner, strict=True))
    return not inner or all(fits(item, inner[0]) for item in value)


def describe(hint: Any) -> str:
    """An annotation in words."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        words = list(dict.fromkeys(describe(one) for one in inner if one is not Tensor))
        return " or ".join(words)
    if origin is typing.Literal:
        return " or ".join(repr(one) for one in inner)
    kind = origin or hint
    if kind in _MAPPINGS:
        return "a dict" + (f" of {_PLURALS[inner[1]]}" if len(inner) == 2 and inner[1] in _PLURALS else "")
    if kind in _SEQUENCES:
        if kind is tuple and inner and inner[-1] is not Ellipsis:
            return f"{len(inner)} {_PLURALS.get(_first(inner[0]), 'values')}"
        return "a list" + (f" of {_PLURALS[_first(inner[0])]}" if inner and _first(inner[0]) in _PLURALS else "")
    return _WORDS.get(kind, "another value")


def _first(hint: Any) -> Any:
    return typing.get_args(hint)[0] if typing.get_origin(hint) in (typing.Union, types.UnionType) else hint


def reason(error: BaseException) -> str:
    """An error's own text as ': text', where it is one for people; else ''."""
    if isinstance(error, ZeroDivisionError):
        return ": something is divided by it"
    text = " ".join(str(error).split()).rstrip(".")
    return f": {text}" if text and not isinstance(error, KeyError) and not _PYTHONS.search(text) else ""


def attempt(cls: Callable[..., Any], values: Mapping[str, Any], where: str, call: Callable[[dict[str, Any]], Any]) -> Any:
    """Do with a part's values what a run will do with them.

    Args:
        cls: The part's constructor.
        values: The part's config, ``type`` included.
        where: The part's place in the config.
        call: Builds and tries the part; told a config.

    Raises:
        ConfigError: It failed; the text names those values without which it does not.
    """
    try:
        return call(dict(values))
    except UserError:
        raise
    except Exception as error:  # of torch, of mmengine or of a user's own part
        known = parameters(cls)
        keys = [key for key in values if key != "type"]
        guilty = [key for key in keys if _works(call, {k: v for k, v in values.items() if k != key})]
        guilty = guilty or [key for key in keys if key in known and known[key].default is inspect.Parameter.empty] or keys
        missing = [key for key, one in known.items() if one.default is one.empty and key in str(error) and key not in values]
        if missing and isinstance(error, TypeError):
            raise ConfigError(f"{where}: missing key '{missing[0]}', {wanted(known[missing[0]])}.") from error
        name = values.get("type", getattr(cls, "__name__", "torch"))
        if len(guilty) == 1 and guilty[0] in known:
            key = guilty[0]
            say = reason(error) or f"; expected {wanted(known[key])}"
            raise ConfigError(f"{where}.{key}={values[key]!r} is no value that {name} can use{say}.") from error
        given = ", ".join(f"{key}={values[key]!r}" for key in guilty)
        raise ConfigError(f"{where} ({name}) can't be used with {given or 'no value'}{reason(error)}.") from error


def _works(call: Callable[[dict[str, Any]], Any], values: dict[str, Any]) -> bool:
    try:
        call(values)
    except Exception:
        return False
    return True


def is_usable_rate(value: Any) -> bool:
    """Whether a number can be a learning rate."""
    return isinstance(value, (int, float)) and math.isfinite(value) and value >= 0
