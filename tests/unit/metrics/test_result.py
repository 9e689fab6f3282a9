"""Results as files and tables."""

import json

import numpy as np

from mtdc.engine.result import format_table, result_dict, save_result

UNITS = {"rmse": "mm", "irmse": "1/km", "silog": "ln", "abs_rel": "ratio"}
VALUES = {"rmse": 1234.5678, "irmse": np.float64(2.17964), "silog": float("nan"), "abs_rel": np.float32(0.0174), "frames": 24}


def test_file_has_values_at_the_top_and_no_bare_nan(tmp_path):
    result = result_dict(VALUES, {"units": UNITS, "clamp_m": (0.9, 100.0)}, {"a": {"rmse": float("inf")}})
    path = tmp_path / "new" / "result.json"
    save_result(path, result)
    text = path.read_text()
    assert "NaN" not in text
    assert "Infinity" not in text
    read = json.loads(text)
    assert list(read) == ["rmse", "irmse", "silog", "abs_rel", "frames", "protocol", "per_frame"]
    assert read["rmse"] == 1234.5678
    assert read["silog"] is None
    assert read["per_frame"] == {"a": {"rmse": None}}
    assert read["protocol"]["clamp_m"] == [0.9, 100]
    assert [entry.name for entry in path.parent.iterdir()] == ["result.json"]


def test_table_is_aligned_and_has_units():
    lines = format_table(result_dict(VALUES, {"units": UNITS}, {})).splitlines()
    assert [line.split() for line in lines] == [
        ["rmse", "1234.57", "mm"],
        ["irmse", "2.180", "1/km"],
        ["silog", "undefined", "ln"],
        ["abs_rel", "0.01740"],
        ["frames", "24"],
    ]
    ends = {line.index(line.split()[1]) + len(line.split()[1]) for line in lines}
    assert len(ends) == 1


def test_table_says_how_it_was_measured():
    protocol = {"units": UNITS, "clamp_m": [0.9, 100.0], "hole_filling": True, "checkpoint": None, "split": "val"}
    rules = [line.split(maxsplit=1) for line in format_table(result_dict(VALUES, protocol, {})).splitlines()[-3:]]
    assert rules == [["clamp_m", "0.9, 100"], ["hole_filling", "yes"], ["split", "val"]]


def test_table_of_a_read_file_is_the_same(tmp_path):
    result = result_dict(VALUES, {"units": UNITS, "clamp_m": (0.9, 100.0)}, {})
    save_result(tmp_path / "result.json", result)
    assert format_table(json.loads((tmp_path / "result.json").read_text())) == format_table(result)


def test_values_that_no_unit_is_known_for_are_shown():
    assert format_table({"normals/angle": 12.34567, "frames": 2}).splitlines()[0].split() == ["normals/angle", "12.35"]
