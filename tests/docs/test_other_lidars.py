"""What cards and the page on robustness say of other LiDARs is what was measured: robustness.csv."""

import csv

import pytest

from mtdc.zoo.index import package_folder, read_zoo

#: Head of a card's first column.
COLUMN = "returns held back, RMSE / MAE in mm"
OUTDOOR = [name for name, entry in read_zoo(package_folder()).entries.items() if entry.setting == "outdoor"]


@pytest.fixture(scope="module")
def measured(repository):
    with (repository / "docs/robustness.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    shown = {(row["model"], row["curve"], row["data"], row["step"]): row for row in rows}
    assert len(shown) == len(rows)
    return {key: f"{float(row['rmse_mm']):.0f} / {float(row['mae_mm']):.0f}" for key, row in shown.items()}


def table(text, first):
    """Heads and rows of the Markdown table whose first column has that head."""
    lines = text[text.index(f"| {first} |") :].partition("\n\n")[0].splitlines()
    heads, _, *rows = [[cell.strip(" `") for cell in line.strip("|").split("|")] for line in lines]
    return heads[1:], {name: cells for name, *cells in rows}


@pytest.mark.parametrize("name", OUTDOOR)
def test_a_card_says_what_was_measured_on_other_lidars(repository, measured, name):
    heads, rows = table((repository / f"docs/zoo/{name}.md").read_text(), COLUMN)
    assert len(heads) == 4 and {name, "unet_street_lines", "natural neighbour"} <= set(rows)
    for method, cells in rows.items():
        assert cells == [measured[method, "as_is", data, "0"] for data in heads]


def test_the_page_on_robustness_says_what_was_measured(repository, measured):
    page = (repository / "docs/robustness.md").read_text()
    parts = page.split("\n## ")
    curves = {"lines": parts[1], "drop": parts[2], "as_is": parts[3]}
    for curve, part in curves.items():
        heads, rows = table(part, "RMSE / MAE, mm")
        assert set(OUTDOOR) <= set(rows)
        for method, cells in rows.items():
            keys = [(data, "0") if curve == "as_is" else ("KITTI 0001", data) for data in heads]
            assert cells == [measured[(method, curve, *key)] for key in keys]
