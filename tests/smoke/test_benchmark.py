"""The benchmark at tiny sizes: every part runs, compares like with like, and says what it measured on what."""

import importlib
import json
import math
import subprocess
import sys

import numpy as np
import pytest
import torch

PARTS = ("step", "loading", "listing", "inference", "world", "budget")


@pytest.fixture(scope="module", autouse=True)
def tools(repository):
    """The tools on the import path, as when one of them is run."""
    folder = str(repository / "tools")
    sys.path.insert(0, folder)
    yield
    sys.path.remove(folder)


def tool(name):
    return importlib.import_module(name)


def benchmark(*arguments):
    return tool("benchmark").main([str(word) for word in arguments])


@pytest.fixture(scope="module")
def quick(tools, tmp_path_factory):
    """Everything measured once: the JSON, and the Markdown file."""
    folder = tmp_path_factory.mktemp("benchmark")
    out, markdown = folder / "new" / "result.json", folder / "table.md"
    assert benchmark("--quick", "--threads", 1, "--out", out, "--markdown", markdown) == 0
    text = out.read_text()
    assert str(folder) not in text + markdown.read_text()
    return json.loads(text), markdown


def numbers(rows):
    return [value for row in rows for value in row.values() if isinstance(value, (int, float)) and not isinstance(value, bool)]


def test_every_part_is_measured_with_its_machine_and_command(quick):
    results, _ = quick
    assert tuple(results["parts"]) == PARTS
    assert results["command"] == "python tools/benchmark.py --threads 1 --quick"
    assert (results["seed"], results["threads"], results["quick"]) == (0, 1, True)
    assert results["machine"]["torch"] == torch.__version__
    assert results["machine"]["cores"] >= 1
    assert {"processor", "avx512_bf16", "gpu", "load"} <= results["machine"].keys()
    for name, part in results["parts"].items():
        assert part["rows"], name
        heads = tool(f"benchmarks.{name}").COLUMNS
        assert set(heads) <= {key for row in part["rows"] for key in row}, f"{name} has a column that no row fills"
        for value in numbers([{key: value for key, value in row.items() if key != "workers"} for row in part["rows"]]):
            assert math.isfinite(value)
            assert value > 0


def test_engine_and_bare_loop_make_the_same_step(quick):
    for row in quick[0]["parts"]["step"]["rows"]:
        assert row["first_loss_engine"] == pytest.approx(row["first_loss_bare"], rel=1e-5)
        assert row["ratio"] == pytest.approx(np.median(row["ratios"]))
        assert row["ratio_p10"] <= row["ratio"] <= row["ratio_p90"]


def test_loading_is_compared_with_the_step_of_its_config(quick):
    rows = quick[0]["parts"]["loading"]["rows"]
    assert [row["workers"] for row in rows] == [0, 1, 2]
    for row in rows:
        assert row["ratio"] == pytest.approx(row["loader_frames_s"] / row["step_frames_s"])


def test_listing_finds_the_frames_that_were_made(quick):
    assert [row["frames"] for row in quick[0]["parts"]["listing"]["rows"]] == [500, 500]


def test_batches_of_streets_ask_a_gpu_for_less(quick):
    rows = [row for row in quick[0]["parts"]["world"]["rows"] if "operations" in row]
    assert [row["batch"] for row in rows] == [1, 2, 1, 2]
    for alone, pair in (rows[:2], rows[2:]):
        assert alone["maps"] == pair["maps"] and "frames_s" not in alone
        assert 1.4 * pair["operations"] < alone["operations"] and 1.4 * pair["waits"] < alone["waits"]


def test_inference_compares_every_form_with_the_machine(quick):
    part = quick[0]["parts"]["inference"]
    for config in ("aux_image_kitti", "aux_image_street"):
        rows = [row for row in part["rows"] if row["config"] == config]
        forms = {(row["network"], row["precision"], row["channels_last"]) for row in rows}
        assert len(forms) == len(rows) == 8
        (whole,) = {(row["parameters"], row["macs"]) for row in rows if row["network"] == "whole"}
        (stripped,) = {(row["parameters"], row["macs"]) for row in rows if row["network"] == "stripped"}
        assert stripped[0] < whole[0]
        assert stripped[1] < whole[1]
        for row in rows:
            rate = part["multiply_accumulates_per_s"][config][row["precision"]]["median"]
            assert row["times_ideal"] == pytest.approx(row["ms"] / 1000 * rate / row["macs"])


def test_budget_counts_a_step_and_the_frames_of_a_run(quick):
    part = quick[0]["parts"]["budget"]
    (row,) = part["rows"]
    assert (row["config"], row["batch"], row["measured_batch"]) == ("aux_image_kitti", 16, 2)
    assert row["steps"] == 85898 // 16 * 30 == 161040
    assert row["hours"] == pytest.approx(row["frame_ms"] * 85888 * 30 / 3.6e6)
    # Weights and Adam's two moments are there at any batch, gradients at most.
    assert 3 * 4 * row["parameters"] <= row["fixed_mb"] * 1e6 <= 5 * 4 * row["parameters"]
    assert row["batch_gb"] == pytest.approx((row["fixed_mb"] + 16 * row["frame_mb"]) / 1000)
    assert 4 * 0.9 * row["parameters"] < row["completion_mb"] * 1e6 < row["fixed_mb"] * 1e6 + row["frame_mb"] * 1e6
    inference = next(other for other in quick[0]["parts"]["inference"]["rows"] if other["config"] == "aux_image_kitti")
    assert 2.5 < row["gmacs"] / inference["gmacs"] < 3.5  # backward computes two gradients of each layer
    assert "estimated and not measured" in part["notes"][0]


def test_held_memory_is_counted_as_by_hand():
    x, memory = torch.ones(1000, requires_grad=True), tool("benchmarks.budget").HeldMemory
    with memory([x]) as held:
        doubled = x * 2
        y = doubled.relu()
        view = y.view(10, 100)
        assert held.level == 3 * 4000  # a view has no memory of its own
        del doubled
        assert held.level == 2 * 4000  # relu keeps its result for the backward pass, and the product nothing
        y.sum().backward()
        assert x.grad is not None
        del y, view
        assert held.level == 2 * 4000
        assert held.highest == 4 * 4000 + 4 + 4  # x, y, its gradient and that of the product; the sum and its gradient


def test_hours_on_a_gpu_follow_from_its_peak():
    """72e9 operations a frame, 1000 frames a second of an hour: the work of one hour at 40 % of 180 TFLOP/s."""
    budget = tool("benchmarks.budget")
    row = {"config": "c", "gmacs": 36.0, "steps": 3600 * 500, "batch": 2, "precision": "float32"}
    assert budget.GPUS["A100"]["float32"] == 156.0
    assert f"A100 {180 / 156:.2g} to {4 * 180 / 156:.2g}" in budget._estimate(row)


def test_markdown_is_written_between_its_marks(quick, tmp_path):
    written = quick[1].read_text()
    for part in PARTS:
        assert written.count(f"### {part}\n") == 1
    page = tmp_path / "page.md"
    mine = "# Mine\n\nBetween `<!-- benchmark: start -->` and `<!-- benchmark: end -->` stand numbers.\n\n"
    page.write_text(f"{mine}{written}\nAfter it.\n")
    assert benchmark("listing", "--quick", "--markdown", page) == 0
    changed = page.read_text()
    assert changed.startswith(f"{mine}<!-- benchmark: start -->\n")
    assert changed.endswith("<!-- benchmark: end -->\n\nAfter it.\n")
    assert "### listing\n" in changed
    assert "### step" not in changed
    assert "`python tools/benchmark.py listing --quick`" in changed


def test_products_count_as_by_hand():
    """Three by three: nine sums of three products."""
    product = tool("benchmarks.products").Multiplication(3, torch.float32)
    assert product.macs == 27
    product()
    assert np.allclose(product.out.numpy(), product.a.numpy() @ product.b.numpy(), atol=1e-5)
    assert product.rate([0.5, 0.5, 0.25])["median"] == 54


def test_what_is_compared_takes_turns(monkeypatch):
    from mtdc.analysis import timing

    clock, calls = [0.0], []

    def work(name, seconds):
        calls.append(name)
        clock[0] += seconds

    monkeypatch.setattr(timing.time, "perf_counter", lambda: clock[0])
    seconds = timing.alternate({"a": lambda: work("a", 1.0), "b": lambda: work("b", 3.0)}, 3, "cpu", "turns")
    assert "".join(calls) == "ab" + "ab" + "ba" + "ab"
    assert seconds == {"a": [1.0] * 3, "b": [3.0] * 3}


def test_a_block_is_compared_with_its_neighbours():
    """The first block of the engine warms up: 2 against (1 + 3) / 2, and 4 against (3 + 1) / 2."""
    assert tool("benchmarks.step")._between([9.0, 2.0, 4.0], [1.0, 3.0, 1.0]) == [1.0, 2.0]


def test_sizes_follow_the_config_and_batches_fit_a_processor():
    settings = tool("benchmarks.settings").Settings
    loaded = settings().load(("aux_image_kitti", "aux_image_street"))
    kitti, street = loaded["aux_image_kitti"], loaded["aux_image_street"]
    assert (settings().training_size(kitti), settings().training_size(street)) == ((352, 1216), (192, 640))
    assert settings(size=(100, 300)).training_size(kitti) == (100, 300)
    assert [settings().training_batch(cfg, size) for cfg, size in ((kitti, (352, 1216)), (street, (192, 640)))] == [2, 4]
    assert settings(device="cuda").training_batch(kitti, (352, 1216)) == 16
    assert settings(batch=7).training_batch(kitti, (352, 1216)) == 7


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["step", "inferense"], "'inferense' is no part of the benchmark. Did you mean 'inference'?"),
        (["step", "--config", "aux_image_kiti"], "Did you mean 'aux_image_kitti'"),
        (["loading", "--config", "classical/nearest_kitti"], "nothing to train"),
        (["world", "--threads", "0"], "--threads must be at least 1, not 0"),
        (["world", "--rounds", "-1"], "--rounds must be at least 1, not -1"),
        (["loading", "--workers", "1", "-2"], "--workers must be whole numbers from 0 on, not -2"),
        (["world", "--size", "4", "4"], "size=(4, 4); expected (H, W) of 8 to 8192 pixels"),
        (["world", "--out", "."], "--out . is a folder"),
        (["world", "--markdown", "mine.md"], "--markdown mine.md exists and has no '<!-- benchmark: start -->'"),
    ],
)
def test_mistakes_end_in_one_line_before_anything_is_measured(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.md").write_text("mine\n")
    assert benchmark(*arguments) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert len(captured.err.strip().splitlines()) == 1
    assert not captured.out
    assert (tmp_path / "mine.md").read_text() == "mine\n"


def test_a_gpu_that_is_not_there_is_said(capsys, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert benchmark("world", "--device", "cuda") == 2
    assert "torch sees no GPU" in capsys.readouterr().err


def test_the_command_runs_from_any_folder(repository, tmp_path):
    command = [sys.executable, str(repository / "tools" / "benchmark.py"), "listing", "--quick"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "500" in done.stdout
    assert not list(tmp_path.iterdir())
