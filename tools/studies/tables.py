"""The study's rows as tables for people: mean and spread over seeds, and the gain over the reference, seed by seed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import mean, stdev

from .auxiliary import ALL_VARIANTS, REFERENCE, VARIANTS

Row = Mapping[str, str]
#: Columns of the first table: heading, and key of the CSV file.
ERRORS = {
    "RMSE": "rmse",
    "MAE": "mae",
    "dense RMSE": "dense/rmse",
    "dense MAE": "dense/mae",
    "at edges, RMSE": "dense/edges/rmse",
    "off edges, RMSE": "dense/off_edges/rmse",
}
BANDS = ("0_20m", "20_40m", "40_60m", "60_80m")
#: Classes of the paper's Fig. 8b and the others that the street world shows.
CLASSES = (
    "road", "sidewalk", "car", "person", "bicycle", "pole", "traffic_sign", "vegetation", "building", "wall", "fence",
    "terrain",
)  # fmt: skip


def tables(rows: Sequence[Row]) -> str:
    """Four markdown tables: errors, gain over the reference, by distance, by class; millimetres."""
    bands = {band.replace("_", "-"): f"dense/{band}/rmse" for band in BANDS}
    classes = {name.replace("_", " "): f"dense/{name}/rmse" for name in CLASSES}
    return "\n\n".join(
        (
            "Mean and standard deviation over seeds, mm:\n\n" + _table(rows, ERRORS, _spread),
            f"Change against {VARIANTS[REFERENCE].title.split(':')[0]}, the same seed, per cent (negative is better), mean and "
            "standard deviation over seeds:\n\n" + _table(rows, ERRORS, _change(rows)),
            "RMSE by true distance, dense truth, mm:\n\n" + _table(rows, bands, _spread),
            "RMSE by class, dense truth, mm:\n\n" + _table(rows, classes, _spread),
        )
    )


def _table(rows: Sequence[Row], columns: Mapping[str, str], cell: Callable[[Sequence[Row], str], str]) -> str:
    present = {title: key for title, key in columns.items() if any(row.get(key) for row in rows)}
    lines = ["| | seeds | " + " | ".join(present) + " |", "|---" * (2 + len(present)) + "|"]
    for name in dict.fromkeys(row["variant"] for row in rows):
        own = [row for row in rows if row["variant"] == name]
        title = ALL_VARIANTS[name].title if name in ALL_VARIANTS else f"{name} (no weights)"
        cells = [cell(own, key) for key in present.values()]
        if any(cells):
            lines.append(f"| {title} | {len(own) if name in ALL_VARIANTS else ''} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _spread(own: Sequence[Row], key: str) -> str:
    values = [float(row[key]) for row in own if row.get(key)]
    if not values:
        return ""
    return f"{mean(values):.0f}" + (f" ± {stdev(values):.0f}" if len(values) > 1 else "")


def _change(rows: Sequence[Row]) -> Callable[[Sequence[Row], str], str]:
    reference = {row["seed"]: row for row in rows if row["variant"] == REFERENCE}

    def cell(own: Sequence[Row], key: str) -> str:
        pairs = [(row, reference[row["seed"]]) for row in own if row["variant"] in ALL_VARIANTS and row["seed"] in reference]
        changes = [100 * (float(row[key]) / float(base[key]) - 1) for row, base in pairs if row.get(key) and base.get(key)]
        if not changes or own[0]["variant"] == REFERENCE:
            return ""
        return f"{mean(changes):+.1f}" + (f" ± {stdev(changes):.1f}" if len(changes) > 1 else "")

    return cell
