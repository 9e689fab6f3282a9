"""Results as a table on the console, as JSON, and as Markdown between two marks."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mtdc.analysis.machine import sentence
from mtdc.data.io import atomic_path, write_json
from mtdc.engine.result import check_writable
from mtdc.errors import DataError

START, END = "<!-- benchmark: start -->", "<!-- benchmark: end -->"


def check_files(out: Path | None, markdown: Path | None) -> None:
    """Refuse before the work what could not be written after it.

    Raises:
        DataError: A file can't be written, or the Markdown file is somebody's text without the marks.
    """
    for option, path, suffix in (("--out", out, ".json"), ("--markdown", markdown, ".md")):
        if path is None:
            continue
        check_writable(path, option, f"benchmark{suffix}")
    if markdown is not None and markdown.is_file():
        _around(markdown)


def write(
    results: Mapping[str, Any], columns: Mapping[str, Mapping[str, str]], out: Path | None, markdown: Path | None
) -> None:
    """Write what is measured so far, each file whole or not at all."""
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        write_json(out, results)
    if markdown is not None:
        write_between(markdown, markdown_text(results, columns))


def write_between(path: Path, text: str) -> None:
    """Put a text between the marks of a Markdown file, which is made where there is none."""
    before, after = _around(path) if path.is_file() else ("", "\n")
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as temporary:
        temporary.write_text(f"{before}{START}\n{text}{END}{after}", encoding="utf-8")


def _around(path: Path) -> tuple[str, str]:
    """What stands before and after the marks of a file."""
    # A mark is a line of its own: a page may speak of them.
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    words = [line.strip() for line in lines]
    if START not in words or END not in words[words.index(START) :]:
        raise DataError(
            f"--markdown {path} exists and has no '{START}' and '{END}' to write between. Add them, or name a new file."
        )
    first = words.index(START)
    last = words.index(END, first)
    return "".join(lines[:first]), "\n" + "".join(lines[last + 1 :])


def markdown_text(results: Mapping[str, Any], columns: Mapping[str, Mapping[str, str]]) -> str:
    """All parts as Markdown tables, with machine and command above."""
    lines = [f"{sentence(results['machine'])}.", "", f"`{results['command']}`, seed {results['seed']}", ""]
    for name, part in results["parts"].items():
        heads = columns[name]
        lines += [f"### {name}", "", f"{part['what']}.", "", f"| {' | '.join(heads.values())} |", "|---" * len(heads) + "|"]
        lines += [f"| {' | '.join(cells)} |" for cells in _cells(part["rows"], heads)]
        lines += ["", *(f"{note}.\n" for note in part["notes"])]
    return "\n".join(lines)


def console_text(name: str, part: Mapping[str, Any], heads: Mapping[str, str]) -> str:
    """One part as an aligned table."""
    rows = [list(heads.values()), *_cells(part["rows"], heads)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(heads))]
    table = ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    return "\n".join([textwrap.fill(f"{name}: {part['what']}", 120), *table, *part["notes"]]) + "\n\n"


def _cells(rows: Sequence[Mapping[str, Any]], heads: Mapping[str, str]) -> list[list[str]]:
    return [[_text(row.get(key)) for key in heads] for row in rows]


def _text(value: Any) -> str:
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if not isinstance(value, float):
        return str(value)
    # Three digits are more than repeated runs agree in.
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"
