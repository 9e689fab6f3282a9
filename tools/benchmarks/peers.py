"""Methods of others, what they reach, and which model of the zoo is both faster and more exact than each."""

from __future__ import annotations

import csv
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mtdc.errors import DataError

#: What others reach on KITTI's frames, with where the numbers come from.
PEERS = Path(__file__).with_name("peers.csv")
#: Said of a peer that no model of the zoo beats.
MISSING = "no model of the zoo"
COLUMNS = ("peer", "licence", "trained_on_kitti", "rmse_mm", "mae_mm", "ms", "reference", "note")


@dataclass(frozen=True)
class Method:
    """One method on the frames of a comparison; None where a number isn't known.

    Args:
        name: What it is called.
        rmse, mae: Millimetres, means over frames.
        ms: Milliseconds of one frame.
        zoo: It is a model of the zoo, and no method without weights.
    """

    name: str
    rmse: float | None = None
    mae: float | None = None
    ms: float | None = None
    zoo: bool = False


@dataclass(frozen=True)
class Peer(Method):
    """A method of others.

    Args:
        licence: Of its code and weights, an SPDX name; "" where nothing is released.
        trained_on_kitti: It saw the frames in training.
        reference: The function of :mod:`benchmarks.references` that is the same method; "" where it can't be had here.
        note: What else is to be known of the numbers.
    """

    licence: str = ""
    trained_on_kitti: bool = False
    reference: str = ""
    note: str = ""


@dataclass(frozen=True)
class Verdict:
    """Whether a peer is beaten; what is None isn't there.

    Args:
        peer: Which.
        winner: The model of the zoo that is faster and of smaller RMSE.
        exact: Without a winner: the fastest model of the zoo among those of smaller RMSE.
        fast: Without a winner: the model of the zoo with the smallest RMSE among those that are faster.
        plain: Without a winner: the method without weights that is faster and of smaller RMSE.
    """

    peer: Method
    winner: Method | None = None
    exact: Method | None = None
    fast: Method | None = None
    plain: Method | None = None


def judge(peer: Method, methods: Sequence[Method]) -> Verdict:
    """Which model of the zoo is both faster and of smaller RMSE than a peer: equal is not better, unknown neither.

    Of several those that have the smaller MAE too come first, then the smallest RMSE. A method without weights wins nothing; it
    is named where no model does.
    """
    exact = [one for one in methods if _less(one.rmse, peer.rmse)]
    fast = [one for one in methods if _less(one.ms, peer.ms)]
    both = sorted((one for one in exact if one in fast), key=lambda one: (not _less(one.mae, peer.mae), _rmse(one)))
    winner = next((one for one in both if one.zoo), None)
    if winner is not None:
        return Verdict(peer, winner)
    return Verdict(
        peer,
        exact=min((one for one in exact if one.zoo), key=_ms, default=None),
        fast=min((one for one in fast if one.zoo), key=_rmse, default=None),
        plain=next(iter(both), None),
    )


def _less(own: float | None, other: float | None) -> bool | None:
    return None if own is None or other is None else own < other


def _ms(method: Method) -> float:
    return math.inf if method.ms is None else method.ms


def _rmse(method: Method) -> float:
    return math.inf if method.rmse is None else method.rmse


def sentence(verdict: Verdict) -> str:
    """The verdict in words: who beats the peer and by how much, or what is missing."""
    peer, winner = verdict.peer, verdict.winner
    if winner is not None:
        return _beats(winner, peer)
    if peer.ms is None and verdict.exact is not None:
        return f"its time isn't known; {verdict.exact.name}: {_error(verdict.exact, peer, 'rmse')}"
    found = [
        f"{one.name}: {_time(one, peer)}, {_error(one, peer, 'rmse')}"
        for one in (verdict.exact, verdict.fast)
        if one is not None
    ]
    plain = f". Without weights {_beats(verdict.plain, peer)}" if verdict.plain is not None else ""
    return f"{MISSING}. {'; '.join(found) or 'None is faster, and none more exact'}{plain}"


def _beats(winner: Method, peer: Method) -> str:
    mae = {None: "MAE unknown", True: "MAE too", False: "but not in MAE"}[_less(winner.mae, peer.mae)]
    return f"{winner.name}: {_time(winner, peer)}, {_error(winner, peer, 'rmse')}, {mae}{_mae(winner, peer)}"


def _time(own: Method, other: Method) -> str:
    if own.ms is None or other.ms is None:
        return "time unknown"
    return f"{_ratio(other.ms / own.ms)} as fast" if own.ms < other.ms else f"takes {_ratio(own.ms / other.ms)} as long"


def _ratio(value: float) -> str:
    return f"{value:.0f} times" if value >= 100 else f"{value:.2g} times"


def _error(own: Method, other: Method, name: str) -> str:
    mine, theirs = getattr(own, name), getattr(other, name)
    if mine is None or theirs is None:
        return f"{name.upper()} unknown"
    return f"{name.upper()} {abs(mine - theirs):.0f} mm {'less' if mine < theirs else 'more'}"


def _mae(own: Method, other: Method) -> str:
    if own.mae is None or other.mae is None:
        return ""
    return f" ({abs(own.mae - other.mae):.0f} mm {'less' if own.mae < other.mae else 'more'})"


def machine_factor(peers: Sequence[Peer], measured: Mapping[str, float]) -> tuple[dict[str, float], float | None]:
    """How many times as long this machine takes: by reference, milliseconds here over the peer's own figure; and their median.

    Args:
        peers: With their own figures.
        measured: ``{reference: milliseconds here}``.
    """
    ratios = {one.reference: measured[one.reference] / one.ms for one in peers if one.reference in measured and one.ms}
    return ratios, statistics.median(ratios.values()) if ratios else None


def on_this_machine(peers: Sequence[Peer], measured: Mapping[str, float]) -> list[Peer]:
    """The peers with the time that they take here: as measured, where they can be had, or else their own times the factor."""
    _, factor = machine_factor(peers, measured)
    return [
        replace(one, ms=measured.get(one.reference, None if one.ms is None else one.ms * (1.0 if factor is None else factor)))
        for one in peers
    ]


def read_peers(path: Path = PEERS) -> list[Peer]:
    """The table of peers, in its order.

    Raises:
        DataError: It is missing or another table, or a value is no number; the text names the line.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file; expected a table with the columns {', '.join(COLUMNS)}.")
    lines = path.read_text(encoding="utf-8").splitlines()
    numbered = [(number, line) for number, line in enumerate(lines, 1) if line.strip() and not line.startswith("#")]
    table = list(csv.reader(line for _, line in numbered))
    if not table or tuple(table[0]) != COLUMNS:
        raise DataError(f"{path} is another table; its columns should be {', '.join(COLUMNS)}.")
    return [_peer(row, f"{path}, line {number}") for (number, _), row in zip(numbered[1:], table[1:], strict=True)]


def _peer(row: Sequence[str], where: str) -> Peer:
    if len(row) != len(COLUMNS):
        raise DataError(f"{where}: {len(row)} values; expected {len(COLUMNS)}: {', '.join(COLUMNS)}.")
    name, licence, trained, rmse, mae, ms, reference, note = row
    if trained not in ("yes", "no"):
        raise DataError(f"{where}: trained_on_kitti is '{trained}'; expected yes or no.")
    numbers = {key: _number(text, f"{where}: {key}_mm") for key, text in (("rmse", rmse), ("mae", mae))}
    return Peer(
        name, **numbers, ms=_number(ms, f"{where}: ms"), licence=licence, trained_on_kitti=trained == "yes",
        reference=reference, note=note,
    )  # fmt: skip


def _number(text: str, where: str) -> float | None:
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value < float("inf"):
        raise DataError(f"{where} is '{text}'; expected a number above 0, or nothing.")
    return value
