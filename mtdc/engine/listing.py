"""Every part of every registry in a few lines, read from its docstrings and its constructor: nothing is kept twice."""

from __future__ import annotations

import inspect
import json
import re
import sys
import textwrap
from collections.abc import Sequence
from typing import Any, NamedTuple

from ..arguments import describe, parameters
from ..errors import ConfigError, did_you_mean
from ..registry import REGISTRIES, ComponentRegistry

#: What the surrounding part says to a constructor, so that a config can't (the contexts of ``build``).
GIVEN = {
    "encoder": ("in_channels", "layout", "width"),
    "trunk": ("channels", "width"),
    "sharing": ("tasks", "strides", "widths"),
    "task": ("in_channels", "stride", "width"),
    "weighting": ("tasks",),
    "refinement": ("channels",),
    "network": ("width",),
    "data set": ("inputs", "targets", "seed"),
}
#: Citations stand in the title of a part's file, in brackets, and have a year.
_CITATION = re.compile(r"\(([^()]*\b(?:19|20)\d\d\b[^()]*)\)")
#: Columns of the printed list.
COLUMNS = 120
PAGE_HEAD = """# Parts

Every part that a config can name, by registry: what it is, where it comes from, and what its config sets, with defaults. An
argument in **bold** has none and must be set. Written from the code: `mtdc list --markdown > docs/parts.md`; in the terminal,
`mtdc list` or `mtdc list refinement`. A part's file opens with its equation, its shapes, what is left at test time, where it
differs from the paper and what it costs.
"""


class Argument(NamedTuple):
    """One argument of a part's config; ``default`` is None and ``required`` True where it must be set."""

    name: str
    kind: str
    required: bool
    default: Any


class Part(NamedTuple):
    """One part: its short name, a line on what it is, its citation or "", its module, and what a config sets."""

    name: str
    summary: str
    paper: str
    module: str
    arguments: tuple[Argument, ...]


def registry_names() -> dict[str, ComponentRegistry]:
    """The registries by the name of their folder and page ("refinement", "datasets")."""
    return {registry.folder.rpartition(".")[2]: registry for registry in REGISTRIES}


def list_parts(registry: ComponentRegistry) -> list[Part]:
    """All parts of a registry, by name."""
    return [describe_part(registry, name) for name in registry.names()]


def describe_part(registry: ComponentRegistry, name: str) -> Part:
    """One part, from its docstrings and signature."""
    cls = registry.find(name, registry.kind)
    title = _first_paragraph(sys.modules[cls.__module__].__doc__)
    summary = _first_paragraph(cls.__doc__)
    # A module of several parts cites all their papers in its title, and each part its own.
    citations = dict.fromkeys(_CITATION.findall(summary) or _CITATION.findall(title))
    arguments = tuple(
        Argument(key, describe(one.annotation), one.default is one.empty, None if one.default is one.empty else one.default)
        for key, one in parameters(cls).items()
        if key not in GIVEN.get(registry.kind, ())
    )
    return Part(name, summary, "; ".join(citations), cls.__module__, arguments)


def selected(names: Sequence[str]) -> dict[str, ComponentRegistry]:
    """The registries of these names, or all.

    Raises:
        ConfigError: There is none of that name; where it is a part's, its registry is said.
    """
    known = registry_names()
    for name in names:
        if name not in known:
            home = [folder for folder, registry in known.items() if name in registry.names()]
            hint = f" It is a part: mtdc list {home[0]}." if home else did_you_mean(name, known)
            raise ConfigError(f"'{name}' is no registry.{hint}")
    return {name: known[name] for name in names or known}


def as_text(names: Sequence[str] = ()) -> str:
    """The list for a terminal."""
    blocks = []
    for folder, registry in selected(names).items():
        parts = list_parts(registry)
        lines = textwrap.wrap(f"{folder}: {_bare(_first_paragraph(inspect.getdoc(registry.base)))}", COLUMNS)
        column = max((len(part.name) for part in parts), default=0) + 4
        for part in parts:
            texts = [_bare(part.summary), part.paper, ", ".join(f"{one.name}{_default(one)}" for one in part.arguments)]
            rows = [row for text in texts for row in textwrap.wrap(text, COLUMNS - column)]
            lines += [f"  {part.name if number == 0 else '':{column - 2}}{row}" for number, row in enumerate(rows)]
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)


def as_json(names: Sequence[str] = ()) -> str:
    """``{registry: [{name, summary, paper, module, arguments: [{name, kind, required, default}]}]}``."""
    content = {
        folder: [{**part._asdict(), "arguments": [one._asdict() for one in part.arguments]} for part in list_parts(registry)]
        for folder, registry in selected(names).items()
    }
    return json.dumps(content, indent=2, default=repr, ensure_ascii=False)


def as_markdown(names: Sequence[str] = ()) -> str:
    """The page ``docs/parts.md``."""
    blocks = [PAGE_HEAD]
    for folder, registry in selected(names).items():
        parts, base = list_parts(registry), registry.base  # a folder's own base class is there once the folder is imported
        said = f"`{base.__module__}.{base.__name__}`: " if base is not None else ""
        rows = [f"## [{folder}]({folder}.md)", "", f"{said}{_plain(_first_paragraph(inspect.getdoc(base)))}", ""]
        rows += ["| type | what it is | source | arguments |", "|---|---|---|---|"]
        for part in parts:
            arguments = ", ".join(
                f"**{one.name}**" if one.required else f"`{one.name}{_default(one)}`" for one in part.arguments
            )
            cells = (f"`{part.name}`", _plain(part.summary), _plain(part.paper), arguments.replace("|", "\\|"))
            rows.append("| " + " | ".join(cells) + " |")
        blocks.append("\n".join(rows) + "\n")
    return "\n".join(blocks).rstrip("\n")


def _first_paragraph(text: str | None) -> str:
    return " ".join(inspect.cleandoc(text or "").split("\n\n")[0].split())


def _default(argument: Argument) -> str:
    return "" if argument.required else f"={argument.default!r}"


def _bare(text: str) -> str:
    """Docstring markup left out."""
    return re.sub(r":\w+:`~?(?:[\w.]*\.)?(\w+)`", r"\1", text).replace("``", "")


def _plain(text: str) -> str:
    """Docstring markup as Markdown, in a cell of a table."""
    text = re.sub(r":\w+:`~?(?:[\w.]*\.)?(\w+)`", r"`\1`", text).replace("``", "`")
    return text.replace("|", "\\|")
