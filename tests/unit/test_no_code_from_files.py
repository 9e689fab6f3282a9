"""No file that is loaded executes code, the user's own config aside: how the package may read files, held by its source."""

import ast

import pytest

#: Loaders, and the argument that makes them safe; None where nothing does.
LOADERS = {
    "torch.load": ("weights_only", True),
    "np.load": ("allow_pickle", False),
    "numpy.load": ("allow_pickle", False),
    "torch.jit.load": None,
    "torch.hub.load": None,
    "torch.package.PackageImporter": None,
    "yaml.load": None,
    "yaml.load_all": None,
    "yaml.full_load": None,
    "yaml.unsafe_load": None,
    "pickle.load": None,
    "pickle.loads": None,
    "pickle.Unpickler": None,
    "marshal.load": None,
    "marshal.loads": None,
    "shelve.open": None,
    "joblib.load": None,
    "Config.fromstring": None,
    "mmengine.load": None,
    "eval": None,
    "exec": None,
    "compile": None,
}
#: The user's own config, which is Python.
CONFIG_READERS = {"mtdc/engine/config.py": {"Config.fromfile"}}


def dotted(node):
    parts = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([getattr(node, "id", "?"), *reversed(parts)])


def faults(source):
    """Calls in a module's source that may run what a file holds, with their lines."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module in {"pickle", "marshal", "shelve", "joblib", "dill"}:
            found.append((node.lineno, f"from {node.module}"))
        if isinstance(node, ast.ImportFrom) and node.module in {"torch", "numpy", "yaml"}:
            found += [(node.lineno, f"{node.module}.{name.name}") for name in node.names if name.name.startswith("load")]
        if not isinstance(node, ast.Call):
            continue
        name = dotted(node.func)
        if name == "Config.fromfile":
            found.append((node.lineno, name))
        if name in LOADERS:
            safe = LOADERS[name]
            given = {word.arg: getattr(word.value, "value", None) for word in node.keywords}
            if safe is None or given.get(safe[0]) is not safe[1]:
                found.append((node.lineno, name))
    return found


@pytest.mark.parametrize("folder", ["mtdc", "tools"])
def test_no_module_runs_what_a_file_holds(repository, folder):
    wrong = []
    for path in sorted((repository / folder).rglob("*.py")):
        name = path.relative_to(repository).as_posix()
        allowed = CONFIG_READERS.get(name, set())
        wrong += [f"{name}:{line} {call}" for line, call in faults(path.read_text(encoding="utf-8")) if call not in allowed]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    "source",
    [
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "torch.load(path, weights_only=flag)",
        "np.load(path)",
        "np.load(path, allow_pickle=True)",
        "yaml.load(text, Loader=yaml.Loader)",
        "yaml.load(text, Loader=yaml.SafeLoader)",
        "pickle.load(file)",
        "eval(text)",
        "from pickle import loads",
        "from torch import load",
        "Config.fromstring(text, '.py')",
    ],
)
def test_what_is_not_safe_is_seen(source):
    assert faults(source)


@pytest.mark.parametrize(
    "source",
    [
        "torch.load(path, map_location='cpu', weights_only=True)",
        "np.load(path, allow_pickle=False)",
        "yaml.safe_load(text)",
        "model.eval()",
        "re.compile('a')",
        "torch.compile(model)",
    ],
)
def test_what_is_safe_is_left_alone(source):
    assert not faults(source)
