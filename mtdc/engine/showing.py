"""What a config builds, in a few lines; and for two configs what really differs between them."""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from mmengine.config import Config
from torch import nn

from ..arguments import parameters
from ..contracts import Loss, Network
from ..model import MultiTaskModel, build_model
from ..registry import REGISTRIES
from .config import settings
from .listing import GIVEN
from .strip import check_size, count_macs, count_parameters

#: Columns of a value; a longer one goes on in the next line.
VALUE_COLUMNS = 42


class Cost(NamedTuple):
    """Trainable numbers of each part, of the whole network, and its MACs for one frame."""

    parts: dict[str, int]
    parameters: int
    macs: int


class Shown(NamedTuple):
    """A built config: what network and parts are called, its cost in training and stripped, lines on inputs and losses."""

    network: str
    types: dict[str, str]
    train: Cost
    test: Cost
    facts: dict[str, str]
    settings: dict[str, Any]


def show(cfg: Config, size: tuple[int, int]) -> str:
    """One config: parts, parameters at train and at test, MACs, inputs, tasks with losses and weights.

    Raises:
        ConfigError: The size is none, or the config can't be built.
    """
    shown = inspect_config(cfg, size)
    rows: list[tuple[str, ...]] = [("part", "type", "parameters", "at test")]
    rows += [(name, kind, *_pair(name, shown)) for name, kind in shown.types.items()]
    rows.append(("network", shown.network, f"{shown.train.parameters:,}", f"{shown.test.parameters:,}"))
    rows.append((f"MACs at {size[0]}x{size[1]}", "", f"{shown.train.macs:,}", f"{shown.test.macs:,}"))
    column = max(map(len, shown.facts))
    facts = [f"{name:{column}}  {text}" for name, text in shown.facts.items()]
    return "\n".join([*_table(rows, texts=2), "", *facts])


def compare(cfgs: tuple[Config, Config], names: tuple[str, str], size: tuple[int, int]) -> str:
    """Two configs: the settings that differ, defaults filled in, and their costs side by side.

    Raises:
        ConfigError: The size is none, or a config can't be built.
    """
    one, other = (inspect_config(cfg, size) for cfg in cfgs)
    changes = list(differences(one.settings, other.settings))
    if not changes:
        return f"{names[0]} and {names[1]} don't differ in model, training, training data or metrics."
    rows: list[tuple[str, ...]] = [("differs", *names)]
    for key, a, b in changes:
        rows += itertools.zip_longest((key,), _wrapped(a), _wrapped(b), fillvalue="")
    lines = _table(rows, texts=3)
    costs: list[tuple[str, ...]] = [("parameters", f"{names[0]}", "at test", f"{names[1]}", "at test")]
    for name in {**one.types, **other.types}:
        cost = (*_pair(name, one), *_pair(name, other))
        if cost[:2] != cost[2:]:
            costs.append((name, *cost))
    both = (one.train, one.test, other.train, other.test)
    costs.append(("network", *(f"{cost.parameters:,}" for cost in both)))
    costs.append((f"MACs at {size[0]}x{size[1]}", *(f"{cost.macs:,}" for cost in both)))
    return "\n".join([*lines, "", *_table(costs, texts=1)])


def inspect_config(cfg: Config, size: tuple[int, int]) -> Shown:
    """Build a config's model and strip it.

    Raises:
        ConfigError: The size is none, or the config can't be built.
    """
    check_size(size)
    model = build_model(cfg.model)
    facts, tasks = _facts(model), tuple(model.network.tasks)
    types = {name: type(part).__name__ for name, part in _parts(model.network)}
    train = _cost(model.network, size)
    kept = tuple(model.strip().network.tasks)
    dropped = [name for name in tasks if name not in kept]
    facts["at test"] = f"kept {', '.join(kept)}" + (f"; dropped {', '.join(dropped)}" if dropped else "")
    return Shown(type(model.network).__name__, types, train, _cost(model.network, size), facts, resolved(cfg, tasks))


def _parts(network: Network) -> Iterator[tuple[str, nn.Module]]:
    """The network's parts, those of a dict of modules each by its name."""
    for name, part in network.named_children():
        if isinstance(part, nn.ModuleDict):
            yield from ((f"{name}.{key}", one) for key, one in part.items())
        else:
            yield name, part


def _cost(network: Network, size: tuple[int, int]) -> Cost:
    counted = {name: sum(parameter.numel() for parameter in part.parameters()) for name, part in _parts(network)}
    return Cost(counted, count_parameters(network), count_macs(network, size))


def _facts(model: MultiTaskModel) -> dict[str, str]:
    """Inputs, targets, and each task's losses with their weights."""
    needs = [row.name for row in model.input_fields]
    more = [row.name for row in model.training_input_fields if row.name not in needs]
    facts = {"inputs": ", ".join(needs) + (f"; in training {', '.join(more)} too" if more else "")}
    facts["targets"] = ", ".join(row.target_key for row in model.target_fields)
    if model.weighting is not None:
        learned = sum(parameter.numel() for parameter in model.weighting.parameters())
        facts["weighting"] = type(model.weighting).__name__ + (f", {learned:,} parameters" if learned else "")
    weights = getattr(model.weighting, "factors", None)
    for name, task in model.network.tasks.items():
        losses = " + ".join(_loss(term, loss) for term, loss in task.losses.items()) or "no loss"
        weight = f"{weights[name]:g} x ({losses})" if isinstance(weights, Mapping) and name in weights else losses
        facts[f"tasks.{name}"] = weight
    return facts


def _loss(term: str, loss: Loss) -> str:
    name = type(loss).__name__
    factor = "" if loss.weight == 1 else f"{loss.weight:g} "
    label = "" if name.lower() == term.replace("_", "") else f"{term}="
    schedule = loss.schedule
    change = "" if schedule is None else f" ({schedule.shape} {schedule.start:g} to {schedule.end:g})"
    return f"{factor}{label}{name}{change}"


def resolved(cfg: Config, tasks: tuple[str, ...]) -> dict[str, Any]:
    """A config's settings as nested dicts, with the defaults of our parts, and without what no task of it reads.

    Args:
        cfg: The config.
        tasks: The tasks of the model that it builds.
    """
    nested: dict[str, Any] = {}
    for key, value in settings(cfg).items():
        *parents, last = key.split(".")
        at = nested
        for parent in parents:
            if not isinstance(at.get(parent), dict):
                at[parent] = {}
            at = at[parent]
        at[last] = value
    model = _with_defaults({"type": MultiTaskModel.__name__, **(nested.get("model") or {})})
    weighting = model.get("weighting")
    if isinstance(weighting, dict) and isinstance(weighting.get("weights"), dict):
        weighting["weights"] = {task: weight for task, weight in weighting["weights"].items() if task in tasks}
    dataset = _with_defaults((nested.get("train_dataloader") or {}).get("dataset") or {})
    evaluator = nested.get("val_evaluator")
    result = {**nested, "model": model, "train_dataloader": {**nested.get("train_dataloader", {}), "dataset": dataset}}
    return {**result, "val_evaluator": _with_defaults(evaluator) if isinstance(evaluator, dict) else evaluator}


def _with_defaults(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    filled = {key: _with_defaults(item) for key, item in value.items()}
    found = [registry for registry in REGISTRIES if isinstance(value.get("type"), str) and value["type"] in registry.names()]
    known: dict[str, Any] = {"MultiTaskModel": MultiTaskModel}
    given: tuple[str, ...] = ()
    if len(found) == 1:
        known, given = found[0].module_dict, GIVEN.get(found[0].kind, ())
    if isinstance(value.get("type"), str) and value["type"] in known:
        for key, one in parameters(known[value["type"]]).items():
            if key not in given and one.default is not one.empty:
                filled.setdefault(key, _as_settings(one.default))
    return filled


def _as_settings(value: Any) -> Any:
    """A default as ``settings`` has it: lists are dicts by place."""
    if isinstance(value, (list, tuple)) and value:
        return {str(place): _as_settings(item) for place, item in enumerate(value)}
    if isinstance(value, (list, tuple)):
        return []
    return {str(key): _as_settings(item) for key, item in value.items()} if isinstance(value, Mapping) else value


def differences(one: Any, other: Any, key: str = "") -> Iterator[tuple[str, Any, Any]]:
    """``(dotted key, first value, second value)`` where two resolved settings differ; what is missing is None.

    A part of another type, or one that only one of them has, is one difference and not one an argument; so is a list.
    """
    alike = isinstance(one, dict) and isinstance(other, dict) and one.get("type") == other.get("type")
    if not alike or _is_list(one) or _is_list(other):
        if one != other:
            yield key, one, other
        return
    for name in {**one, **other}:
        yield from differences(one.get(name), other.get(name), f"{key}.{name}" if key else name)


def _is_list(value: dict[str, Any]) -> bool:
    """Whether a dict of settings was a list of plain values: lists of parts are compared part by part."""
    return bool(value) and all(key.isdigit() and not isinstance(item, dict) for key, item in value.items())


def _wrapped(value: Any) -> list[str]:
    """A value in one cell's lines; None as -."""
    return textwrap.wrap("-" if value is None else _written(value), VALUE_COLUMNS, break_long_words=False) or [""]


def _written(value: Any) -> str:
    """A part as ``Type(argument=value)``, without arguments that are at their defaults."""
    if not isinstance(value, dict):
        return str(value)
    if value and all(key.isdigit() for key in value):
        return f"[{', '.join(map(_written, value.values()))}]"
    kind = value.get("type")
    defaults = _with_defaults({"type": kind})
    own = {key: item for key, item in value.items() if key != "type" and item is not None and item != defaults.get(key)}
    inside = ", ".join(f"{key}={_written(item)}" for key, item in own.items())
    return f"{kind}({inside})" if kind and inside else str(kind) if kind else f"({inside})"


def _pair(name: str, shown: Shown) -> tuple[str, str]:
    """A part's parameters at train and at test; - where it isn't there."""
    counted = (shown.train.parts.get(name), shown.test.parts.get(name))
    return tuple("-" if number is None else f"{number:,}" for number in counted)  # type: ignore[return-value]


def _table(rows: list[tuple[str, ...]], texts: int) -> list[str]:
    """Rows in columns; the first ``texts`` are text, the others numbers."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [f"{cell:{'<' if i < texts else '>'}{widths[i]}}" for i, cell in enumerate(row)]
        lines.append("  ".join(cells).rstrip())
    return lines
