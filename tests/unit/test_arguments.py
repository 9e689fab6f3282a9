"""Values of configs held against constructors' annotations, and errors put into words without Python's."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import pytest
import torch

from mtdc.arguments import attempt, check_kinds, describe, fits, parameters, reason
from mtdc.errors import ConfigError


@pytest.mark.parametrize(
    ("hint", "right", "wrong"),
    [
        (int, [3, 0, -1], ["3", 1.5, True, None, [3]]),
        (float, [3, 0.5, 1e-3], ["x", True, None, (1.0,)]),
        (bool, [True, False, 0, 1], ["x", 3, None]),
        (str, ["x"], [3, None, ["x"]]),
        (Path | None, ["x", Path("x"), None], [3]),
        (Sequence[int], [[1, 2], (1,), []], [3, "3", [1, "x"], {"a": 1}]),
        (tuple[float, float], [(0.9, 1), [0.9, 0.99]], [(0.9,), 3, (0.9, "x"), None]),
        (Sequence[str], [["a"], "a"], [3, [3]]),
        (list[str] | str | None, ["a", ["a"], None], [3, [3]]),
        (Mapping[str, float], [{"a": 1}, {}], [3, {"a": "x"}]),
        (Literal["a", "b"], ["a"], ["c", 3]),
        (float | torch.Tensor, [0.1], ["abc"]),
        (Any, [3, "x", None], []),
        (torch.nn.Module, ["whatever a config says"], []),
    ],
)
def test_kinds(hint, right, wrong):
    assert all(fits(value, hint) for value in right)
    assert not any(fits(value, hint) for value in wrong)


@pytest.mark.parametrize(
    ("hint", "words"),
    [
        (int, "a whole number"),
        (float | torch.Tensor, "a number"),
        (Sequence[int], "a list of whole numbers"),
        (tuple[float, float], "2 numbers"),
        (dict[str, float] | None, "a dict of numbers or None"),
    ],
)
def test_kinds_in_words(hint, words):
    assert describe(hint) == words


class Base:
    def __init__(self, step_size: int, gamma: float = 0.1) -> None:
        if gamma == 2:
            raise ValueError("gamma is too large")
        self.half = gamma / step_size


class Own(Base):
    def __init__(self, *words, begin: int = 0, **more) -> None:
        super().__init__(*words, **more)


def test_a_constructors_keys_are_found_through_its_bases():
    assert {name: one.annotation for name, one in parameters(Own).items()} == {"begin": int, "step_size": int, "gamma": float}


def test_the_wrong_key_is_named():
    with pytest.raises(ConfigError, match=r"^here.gamma must be a number, such as 0.1, not 'x'.$"):
        check_kinds(Own, {"step_size": 2, "gamma": "x"}, "here")
    for values, said in (
        ({"step_size": 0}, r"^here.step_size=0 is no value that Own can use: something is divided by it.$"),
        ({"step_size": 1, "gamma": 2}, r"^here.gamma=2 is no value that Own can use: gamma is too large.$"),
        ({"gamma": 0.1}, r"^here: missing key 'step_size', a whole number.$"),
    ):
        with pytest.raises(ConfigError, match=said):
            attempt(Own, {"type": "Own", **values}, "here", lambda v: Own(**{k: w for k, w in v.items() if k != "type"}))


def test_an_errors_text_is_kept_where_it_is_for_people():
    assert reason(ValueError("end should be larger than begin.")) == ": end should be larger than begin"
    for error in (
        TypeError("'<=' not supported between instances of 'float' and 'str'"),
        ValueError("could not convert string to float: 'x'"),
        TypeError("f() got an unexpected keyword argument 'x'"),
        KeyError("gamma"),
    ):
        assert reason(error) == ""
