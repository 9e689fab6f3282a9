"""A study's rows as tables for people: mean and spread over seeds, and the change against the reference, seed by seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import mean, stdev

from .definition import Columns, Study

Row = Mapping[str, str]


def tables(rows: Sequence[Row], study: Study) -> str:
    """The study's markdown tables, one after the other; those whose columns no row has are left out."""
    parts = [(columns.text, _table(rows, study, columns)) for columns in study.tables]
    return "\n\n".join(f"{text}\n\n{table}" for text, table in parts if table)


def _table(rows: Sequence[Row], study: Study, columns: Columns) -> str:
    variants = study.all_variants
    present = {title: key for title, key in columns.keys.items() if any(row.get(key) for row in rows)}
    lines = []
    for name in dict.fromkeys(row["variant"] for row in rows):
        own = [row for row in rows if row["variant"] == name]
        values = [_changes(rows, own, study, key) if columns.change else _values(own, key) for key in present.values()]
        if any(values):
            title = variants[name].title if name in variants else f"{name} (no weights)"
            cells = " | ".join(_spread(numbers, columns.form) for numbers in values)
            lines.append(f"| {title} | {len(own) if name in variants else ''} | {cells} |")
    if not lines:
        return ""
    return "\n".join(["| | seeds | " + " | ".join(present) + " |", "|---" * (2 + len(present)) + "|", *lines])


def _values(own: Sequence[Row], key: str) -> list[float]:
    return [float(row[key]) for row in own if row.get(key)]


def _changes(rows: Sequence[Row], own: Sequence[Row], study: Study, key: str) -> list[float]:
    """Per cent, for each seed that both the variant and the reference have; the reference itself and others have none."""
    if own[0]["variant"] == study.reference or own[0]["variant"] not in study.all_variants:
        return []
    reference = {row["seed"]: row for row in rows if row["variant"] == study.reference}
    pairs = [(row, reference[row["seed"]]) for row in own if row["seed"] in reference]
    return [100 * (float(row[key]) / float(base[key]) - 1) for row, base in pairs if row.get(key) and base.get(key)]


def _spread(values: Sequence[float], form: str) -> str:
    if not values:
        return ""
    return f"{mean(values):{form}}" + (f" ± {stdev(values):{form.lstrip('+')}}" if len(values) > 1 else "")
