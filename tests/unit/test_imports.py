"""Imports go down only: the rooms of docs/architecture.md, held by the imports that the code has."""

import ast
from pathlib import Path

import pytest

PARTS = ("inputs", "encoders", "trunks", "sharing", "tasks", "refinement", "losses", "weighting", "networks", "classical")
#: What stands below everything that is registered.
GROUND = {"errors", "structures", "geometry", "layers", "registry", "contracts"}
#: Room -> rooms that it may import. A room may import itself.
ALLOWED = {
    "errors": set(),
    "structures": set(),
    "geometry": set(),
    "layers": {"errors"},
    "compatibility": set(),
    "interruption": set(),
    "arguments": {"errors"},
    "registry": {"errors", "arguments"},
    "contracts": {"errors", "structures", "layers", "registry"},
    **dict.fromkeys(PARTS, GROUND),
    "encoders": GROUND | {"compatibility"},
    "data": GROUND,
    "metrics": GROUND,
    "gradients": {"errors", "layers"},
    "model": GROUND | {"data", "gradients"},
    "visualization": GROUND | {"data"},
    "engine": GROUND | {"arguments", "data", "metrics", "model", "visualization", "compatibility", "interruption"},
    "zoo": GROUND | {"arguments", "data", "metrics", "model", "engine", "visualization"},
    "infer": GROUND | {"data", "model", "engine", "visualization", "zoo"},
    "complete_files": GROUND | {"data", "model", "engine", "visualization", "infer"},
    "analysis": GROUND | {"data", "metrics", "model", "visualization", "engine", "zoo"},
    "commands": {"errors", "interruption", "engine", "infer", "complete_files", "data", "analysis", "zoo"},
    "__init__": GROUND | {"infer"},
    "__main__": {"commands"},
}


def rooms_imported(path: Path, package: Path) -> set[str]:
    """First-level rooms of mtdc that a file imports, relative or absolute, at its top or inside a function."""
    parts = ("mtdc", *path.relative_to(package).with_suffix("").parts)
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name.split(".") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            start = list(parts[: len(parts) - node.level]) if node.level else []
            module = start + (node.module.split(".") if node.module else [])
            names = [module] if len(module) > 1 else [[*module, alias.name] for alias in node.names]
        else:
            continue
        found |= {name[1] for name in names if name[0] == "mtdc" and len(name) > 1}
    return found


def files(repository):
    package = repository / "mtdc"
    return [(path, path.relative_to(package).with_suffix("").parts[0]) for path in sorted(package.rglob("*.py"))]


def test_every_room_has_a_rule(repository):
    assert {room for _, room in files(repository)} == set(ALLOWED)


def test_imports_go_down_only(repository):
    wrong = []
    for path, room in files(repository):
        imported = rooms_imported(path, repository / "mtdc") - {room}
        # `from mtdc import Task` in the package itself would hide what is imported.
        imported.discard("__version__")
        known = {name for name in imported if name in ALLOWED}
        wrong += [f"{path.relative_to(repository)} imports mtdc.{name}" for name in sorted(known - ALLOWED[room])]
        wrong += [f"{path.relative_to(repository)} imports names from mtdc itself: {sorted(imported - known)}"] * bool(
            imported - known
        )
    assert not wrong, "\n".join(wrong)


def test_parts_of_one_room_import_only_helpers_of_their_own_room(repository):
    """Siblings meet through build(): no registered part imports another."""
    from mtdc.registry import REGISTRIES

    for registry in REGISTRIES:
        registry.import_folder()
        modules = {cls.__module__ for cls in registry.module_dict.values()}
        for module in modules:
            path = repository.joinpath(*module.split(".")).with_suffix(".py")
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.ImportFrom) and node.level == 1 and node.module:
                    sibling = f"{module.rpartition('.')[0]}.{node.module}"
                    assert sibling not in modules, f"{module} imports its sibling {sibling}"


@pytest.mark.parametrize("room", ["errors", "structures", "geometry", "layers", "registry", "contracts"])
def test_the_ground_stands_alone(room, repository):
    """The rules themselves have no circle: whatever a ground room may import lies below it."""
    order = ["errors", "arguments", "structures", "geometry", "layers", "registry", "contracts"]
    assert all(order.index(name) < order.index(room) for name in ALLOWED[room])
