"""The report's numbers as CSV files: one row a number, names in words, units in the head."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ..data.io import atomic_path
from .analysis import Analysis

#: Decimals of numbers in files: a thousandth of a millimetre.
DECIMALS = 3


def csv_tables(analysis: Analysis) -> dict[str, tuple[Sequence[str], list[Sequence[Any]]]]:
    """``{file name: (columns, rows)}``; one without rows has nothing to say."""
    units = analysis.protocol.get("units", {})
    tables: dict[str, tuple[Sequence[str], list[Sequence[Any]]]] = {
        "overall.csv": (
            ("model", "metric", "unit", "mean", "low_95", "high_95", "frames"),
            [
                (one.name, name, units.get(name, ""), value, *one.intervals[name], len(one.per_frame))
                for one in analysis.models
                for name, value in one.means.items()
            ],
        ),
        "per_frame.csv": _per_frame(analysis),
        "breakdown.csv": (
            ("model", "group", "region", "rmse_mm", "mae_mm", "low_95", "high_95", "pixels", "frames"),
            [
                (one.name, row.group, row.region, row.rmse_mm, row.mae_mm, row.low_mm, row.high_mm, row.pixels, row.frames)
                for one in analysis.models
                for row in one.breakdown
            ],
        ),
        "robustness.csv": (
            ("sweep", "step", "model", "metric", "unit", "mean", "low_95", "high_95", "frames"),
            [
                (p.sweep, f"{p.step:g}", p.model, name, units.get(name, ""), value, p.low[name], p.high[name], p.frames)
                for p in analysis.points
                for name, value in p.values.items()
            ],
        ),
    }
    tables |= _calibration(analysis)
    return tables


def _per_frame(analysis: Analysis) -> tuple[Sequence[str], list[Sequence[Any]]]:
    every = (values for one in analysis.models for values in one.per_frame.values())
    names = list(dict.fromkeys(name for values in every for name in values))
    rows: list[Sequence[Any]] = [
        (one.name, frame, *(values.get(name) for name in names))
        for one in analysis.models
        for frame, values in one.per_frame.items()
    ]
    return ("model", "frame", *names), rows


def _calibration(analysis: Analysis) -> dict[str, tuple[Sequence[str], list[Sequence[Any]]]]:
    curves: list[Sequence[Any]] = []
    bins: list[Sequence[Any]] = []
    for one in analysis.models:
        if one.calibration is None:
            continue
        c = one.calibration.curves()
        curves += [(one.name, *row) for row in zip(c.fractions, c.rmse_mm, c.oracle_mm, c.random_mm, strict=True)]
        bins += [(one.name, *row) for row in one.calibration.reliability().rows()]
    return {
        "sparsification.csv": (("model", "removed", "rmse_mm", "oracle_mm", "random_mm"), curves),
        "reliability.csv": (("model", "expected_mm", "observed_rmse_mm", "pixels"), bins),
    }


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write a table whole or not at all; what is unknown stays empty."""
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([_cell(value) for value in row] for row in rows)


def _cell(value: Any) -> Any:
    if value is None or value != value:
        return ""
    return (
        f"{value:.{DECIMALS}f}".rstrip("0").rstrip(".")
        if isinstance(value, float) and abs(value) >= 1
        else (f"{value:.6g}" if isinstance(value, float) else value)
    )
