"""tools/robustness.py: a row a model and case, none measured twice."""

import csv

import cv2
import numpy as np
import pytest


@pytest.fixture
def robustness(repository, capsys, monkeypatch):
    monkeypatch.syspath_prepend(str(repository / "tools"))
    import robustness as tool

    def call(*arguments):
        code = tool.main([str(one) for one in arguments])
        return code, capsys.readouterr()

    return call


@pytest.fixture
def folder(tmp_path):
    """A plane at 10 m: whatever is held back of it is known exactly."""
    (tmp_path / "scans/depth").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for number in range(2):
        stored = np.where(rng.random((40, 60)) < 0.3, 2560, 0).astype(np.uint16)
        cv2.imwrite(str(tmp_path / f"scans/depth/{number}.png"), stored)
    return tmp_path / "scans"


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_rows_are_measured_once_and_a_plane_is_completed_without_error(robustness, folder, tmp_path, monkeypatch):
    out = tmp_path / "out.csv"
    common = ("--data", "classical/linear_held_back", "--data-root", folder, "--curves", "drop", "--out", out)
    assert robustness("near=classical/nearest_kitti", *common)[0] == 0
    first = rows(out)
    assert [row["step"] for row in first] == ["0", "0.25", "0.5", "0.75", "0.9", "0.97"]
    assert {(row["model"], row["data"], row["frames"], row["rmse_mm"]) for row in first} == {("near", "scans", "2", "0")}
    # An interrupted run: the file lacks the last case. Values that are there stay as they are.
    lines = out.read_text().splitlines()
    lines[1] = lines[1].replace(",2,0,", ",2,7,")
    out.write_text("\n".join(lines[:-1]) + "\n")
    assert robustness("near=classical/nearest_kitti", "line=classical/linear_kitti", *common)[0] == 0
    again = rows(out)
    assert len(again) == 12 and [row["rmse_mm"] for row in again].count("7") == 1
    assert len({(row["model"], row["step"]) for row in again}) == 12
    _, said = robustness("near=classical/nearest_kitti", *common, "--table", "drop")
    assert "every row is there already" in said.err
    assert said.out.splitlines()[2] == "| near | 7 / 0 | 0 / 0 | 0 / 0 | 0 / 0 | 0 / 0 | 0 / 0 |"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "nothing to do"),
        (("--table", "lines"), "holds no rows of the curve 'lines'"),
        (("classical/nearest_kitti", "--curves", "line"), "Did you mean 'lines'?"),
        (("classical/nearest_kitti", "--cfg-options", "a=1"), "--data; name that one too"),
        (("--table", "as_is", "--plot", "x.svg"), "--plot draws a curve"),
    ],
)
def test_what_can_not_be_done_is_said_in_one_line(robustness, tmp_path, arguments, said):
    code, told = robustness(*arguments, "--out", tmp_path / "none.csv")
    assert code == 2 and said in told.err and told.err.count("\n") == 1


def test_a_table_of_something_else_is_not_overwritten(robustness, tmp_path):
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    code, told = robustness("classical/nearest_kitti", "--out", tmp_path / "other.csv")
    assert code == 2 and "is another table" in told.err
    assert (tmp_path / "other.csv").read_text() == "a,b\n1,2\n"
