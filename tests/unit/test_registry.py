"""Registries: one folder, one base class, one contract test, one docs page each; and parts from outside the package."""

import importlib
import inspect
import sys
from pathlib import Path

import pytest

from mtdc import ConfigError, Sharing, contracts
from mtdc.registry import LOSSES, REGISTRIES, SHARING, TASKS, build

HEADINGS = ("Shapes", "Test time", "Differs", "Cost")
#: Registries whose modules open with citation, equation and the four headings (data sets and transforms have other pages).
COMPONENTS = [registry for registry in REGISTRIES if not registry.folder.startswith("data.")]


@pytest.mark.parametrize("registry", REGISTRIES, ids=lambda registry: registry.folder)
def test_folder_base_class_contract_test_and_docs_page_belong_together(registry, repository):
    name = registry.folder.rpartition(".")[2]
    importlib.import_module(f"mtdc.{registry.folder}")
    assert registry.names(), "a registry without parts"
    assert registry.base is not None
    assert (repository / "tests" / "contract" / f"test_{name}.py").is_file()
    assert (repository / "docs" / f"{name}.md").is_file()
    page = (repository / "docs" / f"{name}.md").read_text()
    for part in registry.names():
        assert f"`{part}`" in page, f"docs/{name}.md doesn't list {part}"
    for part, cls in registry.module_dict.items():
        assert issubclass(cls, registry.base)
        assert cls.__module__.startswith(f"mtdc.{registry.folder}."), f"{part} lives outside its room"


def test_every_registry_folder_is_listed_and_every_base_in_contracts_has_one(repository):
    folders = {registry.folder for registry in REGISTRIES}
    kinds = {path.name.removeprefix("test_").removesuffix(".py") for path in (repository / "tests/contract").glob("test_*.py")}
    assert kinds == {folder.rpartition(".")[2] for folder in folders}
    bases = {registry.base for registry in REGISTRIES}
    for name, cls in vars(contracts).items():
        if inspect.isclass(cls) and cls.__module__ == contracts.__name__ and name not in ("Prepared", "TaskOutput"):
            assert cls in bases, f"contracts.{name} has no registry"


@pytest.mark.parametrize("registry", COMPONENTS, ids=lambda registry: registry.folder)
def test_component_files_open_with_the_four_headings(registry):
    registry.import_folder()
    for name, cls in registry.module_dict.items():
        text = sys.modules[cls.__module__].__doc__ or ""
        lines = text.splitlines()
        for heading in HEADINGS:
            assert any(line.startswith(heading) for line in lines), f"{name}: no heading '{heading}' in its file's docstring"


@pytest.mark.parametrize("registry", REGISTRIES, ids=lambda registry: registry.folder)
def test_no_part_takes_keyword_catch_alls(registry):
    registry.import_folder()
    for name, cls in registry.module_dict.items():
        kinds = {parameter.kind for parameter in inspect.signature(cls).parameters.values()}
        assert inspect.Parameter.VAR_KEYWORD not in kinds, f"{name} takes **kwargs"


def test_a_part_of_another_kind_is_refused():
    with pytest.raises(TypeError, match="doesn't derive from Loss"):
        LOSSES.register_module(module=Sharing)
    with pytest.raises(ConfigError, match="is no sharing: it doesn't derive from mtdc.Sharing"):
        build(SHARING, {"type": "mtdc.losses.l2.L2"}, "sharing", tasks=("depth",), strides=(2,), widths=(3,))


def write_module(folder: Path, name: str, text: str, monkeypatch) -> None:
    (folder / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.delitem(sys.modules, name, raising=False)


def test_dotted_path_to_a_class_of_ones_own(tmp_path, monkeypatch):
    write_module(tmp_path, "outside_loss", "from mtdc.losses.l2 import L2\n\nclass Mine(L2):\n    pass\n", monkeypatch)
    assert type(build(LOSSES, {"type": "outside_loss.Mine"}, "loss")).__name__ == "Mine"
    with pytest.raises(ConfigError, match="module 'outside_loss' has no 'Mien'. Did you mean 'Mine'"):
        build(LOSSES, {"type": "outside_loss.Mien"}, "loss")
    with pytest.raises(ConfigError, match="'nowhere.Mine' is not a known loss"):
        build(LOSSES, {"type": "nowhere.Mine"}, "loss")


def test_the_true_cause_of_a_failing_import_is_raised(tmp_path, monkeypatch):
    write_module(tmp_path, "outside_broken", "import a_package_that_is_not_there\n", monkeypatch)
    with pytest.raises(ModuleNotFoundError, match="a_package_that_is_not_there"):
        build(LOSSES, {"type": "outside_broken.Mine"}, "loss")


def test_an_installed_package_offers_parts_by_entry_point(tmp_path, monkeypatch):
    write_module(tmp_path, "outside_package", "from mtdc.losses.l1 import L1\n\nclass Offered(L1):\n    pass\n", monkeypatch)
    info = tmp_path / "outside_package-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: outside-package\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[mtdc.components]\nOffered = outside_package:Offered\n")
    assert type(build(LOSSES, {"type": "Offered"}, "loss")).__name__ == "Offered"


def test_an_instance_is_passed_through():
    loss = build(LOSSES, {"type": "L2"}, "loss")
    assert build(LOSSES, loss, "loss") is loss


def test_missing_key_is_named():
    with pytest.raises(ConfigError, match=r"head \(DepthTask\): missing key 'in_channels'"):
        build(TASKS, {"type": "DepthTask"}, "head")
