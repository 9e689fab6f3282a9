"""What is written from a zoo's index: the page ``model_zoo.md``, the list in the terminal, and a card's skeleton."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import NamedTuple

from .embedded import DEVIATION
from .index import MEASURED, Expected, Setting, ZooEntry

PAGE_HEAD = """# Model zoo

Trained models that come with the package: `mtdc.load('NAME')` in Python, `mtdc complete scan.png --model NAME --out DIR` in the
terminal. How they are stored, published and kept in a zoo of one's own: [docs/zoo.md](docs/zoo.md). Written from
`mtdc/zoo/index.json`: `mtdc zoo --markdown > model_zoo.md`.

Values are of the checkpoints before their weights were stored in half precision: means over frames, ± the standard deviation
over frames. Stored files differ by up to 0.3 mm, and by up to 1 mm where they compute in bfloat16. Where a row says *seeds*,
values are means over trainings with those seeds, ± the standard deviation over seeds. What a model is good and bad at is on its
card."""
WITHOUT_WEIGHTS = """## Without weights

| config | method | RMSE mm | MAE mm | iRMSE 1/km | iMAE 1/km |
|---|---|---|---|---|---|
| `classical/nearest_kitti` | nearest measured pixel | 1325.0 | 351.2 | 2.18 | 1.19 |
| `classical/linear_kitti` | linear interpolation, nearest outside | 1301.7 | 300.9 | 1.77 | 0.79 |
| `classical/morphological_kitti` | closest-surface morphology | 1045.5 | 267.4 | 1.60 | 0.91 |

24 frames of KITTI's drive 2011_09_26_0001 (5 to 16, both cameras), official sparse input and ground truth, bottom crop
352x1216, predictions clamped to 0.9 to 100 m, mean over frames: `mtdc test CONFIG --data-root DATA --split val`. One scene:
the numbers compare methods and are no benchmark result.

| config | method | RMSE m | MAE m | REL | delta1 |
|---|---|---|---|---|---|
| `classical/nearest_nyuv2` | nearest measured pixel | 0.2470 | 0.0993 | 0.0369 | 0.9695 |
| `classical/linear_nyuv2` | linear interpolation, nearest outside | 0.1916 | 0.0849 | 0.0317 | 0.9754 |
| `classical/natural_neighbor_nyuv2` | natural neighbour interpolation | 0.1826 | 0.0833 | 0.0311 | 0.9780 |
| `classical/colorization_nyuv2` | colorization, with the photo | 0.1669 | 0.0839 | 0.0323 | 0.9837 |

131 frames of NYUv2 (`val`), 500 points, 228x304, the given points scored too, mean over frames. All ten methods:
[docs/classical.md](docs/classical.md)."""
_DRAWN = {"StreetWorld": "streets", "DrawnRooms": "rooms"}


class Column(NamedTuple):
    """How an error is printed: its head, the unit that the index has it in, the factor from there, digits after the point."""

    head: str
    unit: str
    factor: float
    decimals: int


#: What is reported in a setting, as its papers print it.
COLUMNS: dict[Setting, dict[str, Column]] = {
    "outdoor": {
        "rmse": Column("RMSE mm", "mm", 1.0, 1),
        "mae": Column("MAE mm", "mm", 1.0, 1),
        "irmse": Column("iRMSE 1/km", "1/km", 1.0, 2),
        "imae": Column("iMAE 1/km", "1/km", 1.0, 2),
    },
    "indoor": {
        "rmse": Column("RMSE m", "mm", 1e-3, 4),
        "mae": Column("MAE m", "mm", 1e-3, 4),
        "abs_rel": Column("REL", "ratio", 1.0, 4),
        "delta1": Column("delta1", "ratio", 1.0, 4),
    },
}


def as_markdown(entries: Sequence[ZooEntry]) -> str:
    """The page ``model_zoo.md``: a table for each setting, with the photo and without, and below it its models."""
    blocks = [PAGE_HEAD]
    for title, group in groups(entries):
        blocks += [f"## {title}", "\n".join(_table(group)), *("\n".join(_section(entry)) for entry in group)]
    return "\n\n".join([*blocks, WITHOUT_WEIGHTS])


def groups(entries: Sequence[ZooEntry]) -> list[tuple[str, list[ZooEntry]]]:
    """Models that can be compared: by setting, and by whether they read the photo; groups without any are left out."""
    found = []
    for setting in COLUMNS:
        for photo in (False, True):
            group = [one for one in entries if one.setting == setting and ("image" in one.inputs) == photo]
            if group:
                found.append((f"{setting.capitalize()}, {'with the photo' if photo else 'depth only'}", group))
    return found


def number(entry: ZooEntry, name: str, value: float) -> str:
    """An error of an entry as the page and the card print it."""
    column = _column(entry, name)
    return f"{column.factor * value:.{column.decimals}f}"


def _column(entry: ZooEntry, name: str) -> Column:
    unit = str(entry.protocol.get("units", {}).get(name, ""))
    usual = COLUMNS[entry.setting].get(name)
    return usual if usual is not None and unit in (usual.unit, "") else Column(f"{name.upper()} {unit}".strip(), unit, 1.0, 4)


def _table(group: Sequence[ZooEntry]) -> list[str]:
    heads = [_column(group[0], name).head for name in MEASURED]
    rows = [_line("name", "what for", "frames", *heads, "parameters", "file", "licence", "card"), "|" + "---|" * 9]
    for entry in group:
        first = entry.expected[0] if entry.expected else None
        measured = (
            [first.data, *(number(entry, name, first.values[name]) for name in MEASURED)]
            if first
            else ["not measured"] + ["–"] * 2
        )
        file = _size(entry.bytes) + (", fetched" if entry.file is None else "")
        test = f"{entry.parameters['test']:,}"
        rows.append(
            _line(
                f"`{entry.name}`", entry.purpose or entry.title, *measured, test, file, entry.licence, f"[card]({entry.card})"
            )
        )
    return rows


def _section(entry: ZooEntry) -> list[str]:
    again = f"; again: `{entry.command}`" + (f"; what it logged: [{entry.name}.csv]({entry.log})" if entry.log else "")
    what = f"- Trained with: `{entry.config}`, seed {entry.seed}, {entry.steps:,} steps in {entry.precision}, "
    lines = [f"### `{entry.name}`", "", _sentence(entry.title), ""]
    lines += [*results_table(entry), "", f"Metric: {_protocol(entry)}.", ""] if entry.expected else []
    lines += [f"- For: {entry.purpose}"] if entry.purpose else []
    return [
        *lines,
        f"- Reads {_words(entry.inputs)}; gives {_words(entry.outputs)}",
        f"- Saw: {entry.data}",
        f"{what}{_cost(entry)}{again}",
        f"- Parameters: {entry.parameters['train']:,} trained, {entry.parameters['test']:,} at test time",
        f"- File: `{entry.file or entry.url}`, {entry.bytes:,} bytes, sha256 `{entry.sha256}`",
        f"- A test measures it again on {drawn_frames(entry)}: {drawn_values(entry)}",
    ]


def drawn_frames(entry: ZooEntry) -> str:
    """The embedded frames in words."""
    drawn = _DRAWN.get(str(entry.embedded.dataset.get("type")), "frames")
    return f"{entry.embedded.dataset.get('length', '')} {drawn} that the package draws"


def drawn_values(entry: ZooEntry) -> str:
    """What was measured on the embedded frames."""
    return ", ".join(_tested(entry, name, value) for name, value in entry.embedded.values.items())


def results_table(entry: ZooEntry) -> list[str]:
    """What was measured, a row for each data set, and one below it where several seeds were trained."""
    usual = COLUMNS[entry.setting]
    names = [*MEASURED, *(n for n in usual if n not in MEASURED and any(n in one.values for one in entry.expected))]
    rows = [_line("frames", "number", *(_column(entry, name).head for name in names)), "|" + "---|" * (2 + len(names))]
    for one in entry.expected:
        rows.append(_line(one.data, str(one.frames), *_cells(entry, names, one.values, one.spread_over_frames)))
        if one.over_seeds is not None:
            seeds = ", ".join(map(str, one.over_seeds.seeds))
            words = f"the same, {len(one.over_seeds.seeds)} *seeds* ({seeds})"
            rows.append(_line(words, str(one.frames), *_cells(entry, names, one.over_seeds.values, one.over_seeds.spread)))
    return rows


def _cells(entry: ZooEntry, names: Sequence[str], values: Mapping[str, float], spread: Mapping[str, float]) -> list[str]:
    return [f"{number(entry, n, values[n])} ± {number(entry, n, spread[n])}" if n in values else "–" for n in names]


def _tested(entry: ZooEntry, name: str, value: float) -> str:
    if name == DEVIATION:
        return f"mean predicted deviation {value:.1f} mm"
    head, _, unit = _column(entry, name).head.partition(" ")
    return f"{head} {number(entry, name, value)} {unit}".strip()


def _words(names: Sequence[str]) -> str:
    told = {"image": "the photo", "depth_confidence": "the standard deviation that it expects of it"}
    return " and ".join(told.get(name, name.replace("_", " ")) for name in names)


def _cost(entry: ZooEntry) -> str:
    return f"{entry.minutes:g} minute{'' if entry.minutes == 1 else 's'} of {entry.machine}"


def _protocol(entry: ZooEntry) -> str:
    clamp = entry.protocol.get("clamp_m")
    limits = f", predictions limited to {clamp[0]:g} to {clamp[1]:g} m" if clamp else ""
    return f"`{entry.protocol.get('metric', '')}`{limits}"


def as_text(entries: Sequence[ZooEntry]) -> str:
    """The list for a terminal."""
    if not entries:
        return "The zoo is empty."
    width = max(len(entry.name) for entry in entries)
    lines: list[str] = []
    for title, group in groups(entries):
        lines += ["", title] if lines else [title]
        for entry in group:
            fetched = ", fetched at the first use" if entry.file is None else ""
            size = f"{entry.parameters['test'] / 1e6:.2f} M parameters, {_size(entry.bytes)}{fetched}, {entry.licence}"
            own = [
                size,
                *([f"for {entry.purpose}"] if entry.purpose else []),
                *(_measured(entry, one) for one in entry.expected),
            ]
            lines += [f"  {entry.name:{width}}  {entry.title}", *(f"  {'':{width}}  {text}" for text in own)]
    return "\n".join(lines)


def _measured(entry: ZooEntry, one: Expected) -> str:
    told = ", ".join(_tested(entry, name, one.values[name]) for name in MEASURED)
    if one.over_seeds is not None:  # one of several trainings may be the luckiest
        means = ", ".join(_tested(entry, name, one.over_seeds.values[name]) for name in MEASURED)
        told += f" ({len(one.over_seeds.seeds)} seeds on average {means})"
    return f"{told}: {one.data}"


def card_skeleton(entry: ZooEntry) -> str:
    """A card to be filled in: what the index says, and places for what it can't say."""
    arguments = ", ".join(("sparse_depth", *(f"{key}={key}" for key in entry.inputs if key != "sparse_depth")))
    shapes = "# (H, W) metres, 0 = not measured -> (H, W) float32 metres"
    photo = "; image (H, W, 3) RGB, 0..255" if "image" in entry.inputs else ""
    log = f" What it logged: [{PurePosixPath(entry.log).name}]({PurePosixPath(entry.log).name})." if entry.log else ""
    purpose = _sentence(f"For {entry.purpose}") if entry.purpose else "(to be written: what to take it for)"
    again = f"Again: `{entry.command}`.{log}"
    worth = "\n".join(results_table(entry)) if entry.expected else "(to be written: values on named frames)"
    return f"""# {entry.name}

{_sentence(entry.title)}

```python
import mtdc

depth = mtdc.load("{entry.name}")({arguments})  {shapes}{photo}
```

{purpose} It reads {_words(entry.inputs)} and gives {_words(entry.outputs)}.

## What it saw

{_sentence(entry.data)} {entry.steps:,} steps, seed {entry.seed}, {entry.precision}, {_cost(entry)}.
{again}

## What it is worth

{worth}

Metric: {_protocol(entry)}. ± is the standard deviation over frames, in rows of several seeds that over seeds.

## What it is good at

(to be written: which scenes, sensors, distances; pictures)

## What it is bad at

(to be written: sky, glass, far range, other sensors, fewer points)

## Licence

{entry.licence}
"""


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _size(count: int) -> str:
    return f"{count / 1e6:.2f} MB"


def _line(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
