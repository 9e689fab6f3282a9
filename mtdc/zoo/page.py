"""What is written from a zoo's index: the page ``model_zoo.md``, the list in the terminal, and a card's skeleton."""

from __future__ import annotations

from collections.abc import Sequence

from .index import Expected, ZooEntry

PAGE_HEAD = """# Model zoo

Trained models that come with the package: `mtdc.load('NAME')` in Python, `mtdc complete scan.png --model NAME --out DIR` in the
terminal. How they are stored, published and kept in a zoo of one's own: [docs/zoo.md](docs/zoo.md). Written from
`mtdc/zoo/index.json`: `mtdc zoo --markdown > model_zoo.md`.

"""
WITHOUT_WEIGHTS = """## Without weights

| config | method | RMSE mm | MAE mm | iRMSE 1/km | iMAE 1/km |
|---|---|---|---|---|---|
| `classical/nearest_kitti` | nearest measured pixel | 1325.0 | 351.2 | 2.18 | 1.19 |
| `classical/linear_kitti` | linear interpolation, nearest outside | 1301.7 | 300.9 | 1.77 | 0.79 |
| `classical/morphological_kitti` | closest-surface morphology | 1045.5 | 267.4 | 1.60 | 0.91 |

24 frames of KITTI's drive 2011_09_26_0001 (5 to 16, both cameras), official sparse input and ground truth, bottom crop
352x1216, predictions clamped to 0.9 to 100 m, mean over frames: `mtdc test CONFIG --data-root DATA --split val`. One scene:
the numbers compare methods and are no benchmark result."""


def as_markdown(entries: Sequence[ZooEntry]) -> str:
    """The page ``model_zoo.md``."""
    blocks = [PAGE_HEAD + "\n".join(_table(entries))]
    blocks += ["\n".join(_section(entry)) for entry in entries]
    return "\n\n".join([*blocks, WITHOUT_WEIGHTS])


def _table(entries: Sequence[ZooEntry]) -> list[str]:
    rows = ["| name | what it is | parameters | file | licence | card |", "|---|---|---|---|---|---|"]
    for entry in entries:
        cells = (
            f"`{entry.name}`", _cell(entry.title), f"{entry.parameters['test']:,}", _size(entry.bytes), _cell(entry.licence),
            f"[card]({entry.card})",
        )  # fmt: skip
        rows.append("| " + " | ".join(cells) + " |")
    return rows


def _section(entry: ZooEntry) -> list[str]:
    lines = [f"## `{entry.name}`", "", f"{entry.title}.", ""]
    lines += [f"| frames | number | {_head(entry, 'rmse')} | {_head(entry, 'mae')} |", "|---|---|---|---|"]
    lines += [_row(one) for one in entry.expected]
    tested = " and ".join(f"{name.upper()} {value:.1f}" for name, value in entry.embedded.values.items())
    trained, cost = entry.parameters["train"], f"{entry.minutes:g} minutes of {entry.machine}"
    lines += [
        "",
        f"Means over frames, ± their standard deviation over frames. Metric: {_protocol(entry)}.",
        "",
        f"- Saw: {entry.data}",
        f"- Trained with: `{entry.config}`, seed {entry.seed}, {entry.steps:,} steps, {cost}",
        f"- Parameters: {trained:,} trained, {entry.parameters['test']:,} at test time",
        f"- File: `{entry.file or entry.url}`, {entry.bytes:,} bytes, sha256 `{entry.sha256}`",
        f"- A test measures it again on {entry.embedded.dataset.get('length', '')} streets that the package draws: {tested}",
    ]
    return lines


def _row(one: Expected) -> str:
    cells = (f"{one.values[name]:.1f} ± {one.spread[name]:.1f}" for name in ("rmse", "mae"))
    return "| " + " | ".join((_cell(one.data), str(one.frames), *cells)) + " |"


def _head(entry: ZooEntry, name: str) -> str:
    return f"{name.upper()} {_unit(entry, name)}"


def _unit(entry: ZooEntry, name: str) -> str:
    return str(entry.protocol.get("units", {}).get(name, ""))


def _protocol(entry: ZooEntry) -> str:
    clamp = entry.protocol.get("clamp_m")
    limits = f", predictions limited to {clamp[0]:g} to {clamp[1]:g} m" if clamp else ""
    return f"`{entry.protocol.get('metric', '')}`{limits}"


def as_text(entries: Sequence[ZooEntry]) -> str:
    """The list for a terminal."""
    if not entries:
        return "The zoo is empty."
    width = max(len(entry.name) for entry in entries)
    lines = []
    for entry in entries:
        size = f"{entry.parameters['test'] / 1e6:.2f} M parameters, {_size(entry.bytes)}, {entry.licence}"
        lines += [f"{entry.name:{width}}  {entry.title}", f"{'':{width}}  {size}"]
        for one in entry.expected:
            unit = _unit(entry, "rmse")
            lines.append(f"{'':{width}}  RMSE {one.values['rmse']:.1f}, MAE {one.values['mae']:.1f} {unit}: {one.data}")
    return "\n".join(lines)


def card_skeleton(entry: ZooEntry) -> str:
    """A card to be filled in: what the index can't say."""
    return f"""# {entry.name}

{entry.title}.

```python
import mtdc

depth = mtdc.load("{entry.name}")(sparse_depth)  # (H, W) metres, 0 = not measured -> (H, W) float32 metres
```

## What it saw

{entry.data}

## What it is good at

(to be written: which scenes, sensors, distances; pictures)

## What it is bad at

(to be written: sky, glass, far range, other sensors, fewer points)

## Licence

{entry.licence}
"""


def _size(count: int) -> str:
    return f"{count / 1e6:.2f} MB"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
