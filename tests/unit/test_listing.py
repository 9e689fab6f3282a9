"""The lists of all parts: whole, true to the constructors, and the page in docs as the code has it."""

import inspect
import json

import pytest
from support import small_network

import mtdc.registry
from mtdc.commands import main
from mtdc.contracts import Refinement
from mtdc.engine.listing import COLUMNS, GIVEN, as_json, as_markdown, as_text, describe_part, registry_names
from mtdc.engine.preparation import build_dataset
from mtdc.model import build_model
from mtdc.registry import REFINEMENT, REGISTRIES


def test_the_page_is_what_the_code_says(repository):
    written = (repository / "docs" / "parts.md").read_text()
    assert written == as_markdown() + "\n", "stale: mtdc list --markdown > docs/parts.md"


def test_every_part_of_every_registry_is_there_with_a_line_on_it():
    listed = json.loads(as_json())
    assert list(listed) == [registry.folder.rpartition(".")[2] for registry in REGISTRIES]
    for registry in REGISTRIES:
        parts = listed[registry.folder.rpartition(".")[2]]
        assert [part["name"] for part in parts] == registry.names()
        assert all(len(part["summary"]) > 10 for part in parts)
    text = as_text()
    assert all(f"\n  {name} " in text for registry in REGISTRIES for name in registry.names())
    assert max(map(len, text.splitlines())) <= COLUMNS


def test_a_part_by_hand():
    (cspn,) = (part for part in json.loads(as_json(["refinement"]))["refinement"] if part["name"] == "CSPN")
    assert "ECCV 2018" in cspn["paper"]
    assert cspn["module"] == "mtdc.refinement.cspn"
    assert cspn["arguments"] == [
        {"name": "steps", "kind": "a whole number", "required": False, "default": 24},
        {"name": "keep_measured", "kind": "True or False", "required": False, "default": False},
    ]


def test_docstrings_and_signatures_are_all_there_is(monkeypatch):
    """A new part is listed without being named anywhere else; an argument without a default says so."""

    class Blur(Refinement):
        """Depth made smooth (not by Nobody, 1999).

        More that isn't listed.
        """

        def __init__(self, channels, radius: int, sigma: float = 1.5) -> None:
            super().__init__()

        def forward(self, depth, guidance, inputs):
            return depth

    monkeypatch.setitem(REFINEMENT.module_dict, "Blur", Blur)
    part = describe_part(REFINEMENT, "Blur")
    assert part.summary == "Depth made smooth (not by Nobody, 1999)."
    assert [(one.name, one.required, one.default) for one in part.arguments] == [("radius", True, None), ("sigma", False, 1.5)]
    assert "radius, sigma=1.5" in as_text(["refinement"])
    assert "**radius**, `sigma=1.5`" in as_markdown(["refinement"])


def test_what_is_given_is_what_build_gives(monkeypatch):
    """The arguments left out of the lists are the contexts that parts are really built with."""
    contexts = {}
    check = mtdc.registry.checked_arguments

    def spy(cls, cfg, where, context):
        (kind,) = (registry.kind for registry in REGISTRIES if issubclass(cls, registry.base))
        contexts.setdefault(kind, set()).update(context)
        return check(cls, cfg, where, context)

    monkeypatch.setattr(mtdc.registry, "checked_arguments", spy)
    network = small_network(refinement={"type": "CSPN"})
    model = build_model({"width": 1, "network": network, "weighting": {"type": "FixedWeighting"}})
    build_dataset({"type": "StreetWorld", "length": 1, "size": (32, 48)}, "data", model, model.target_fields, seed=0)
    assert {kind: names for kind, names in contexts.items() if names} == {kind: set(names) for kind, names in GIVEN.items()}


def test_no_given_argument_is_listed_and_no_other_is_missing():
    for registry in registry_names().values():
        for name in registry.names():
            listed = {one.name for one in describe_part(registry, name).arguments}
            own = inspect.signature(registry.module_dict[name]).parameters
            own = {key for key, one in own.items() if one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)}
            assert listed == own - set(GIVEN.get(registry.kind, ())), name


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("refinements", "'refinements' is no registry. Did you mean 'refinement'?"),
        ("NLSPN", "'NLSPN' is no registry. It is a part: mtdc list refinement."),
    ],
)
def test_a_wrong_name_is_one_line(word, said, capsys):
    assert main(["list", "losses", word]) == 2
    out, err = capsys.readouterr()
    assert (out, err) == ("", f"mtdc list: {said}\n")


def test_the_command_prints_each_form(capsys):
    forms = ([], as_text), (["--json"], as_json), (["--markdown"], as_markdown)
    for options, form in forms:
        assert main(["list", "classical", "trunks", *options]) == 0
        assert capsys.readouterr().out == form(["classical", "trunks"]) + "\n"
