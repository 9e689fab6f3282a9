"""tools/latency.py: errors and times of two methods on two frames, and who beats whom."""

import csv
import json
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch


@pytest.fixture
def tools(repository, monkeypatch):
    """The tools on the import path, as when one of them is run."""
    monkeypatch.syspath_prepend(str(repository / "tools"))
    threads = cv2.getNumThreads()
    import latency
    from benchmarks import peers, references, trade_off, trade_off_page

    yield SimpleNamespace(latency=latency, peers=peers, references=references, trade_off=trade_off, page=trade_off_page)
    cv2.setNumThreads(threads)


def rows(path):
    with path.open(newline="") as file:
        return {row["method"]: row for row in csv.DictReader(file)}


def write(path, metres):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.rint(np.asarray(metres) * 256).astype(np.uint16))


@pytest.fixture
def drive(tmp_path):
    """Two frames in KITTI's folders: points at 10 m in the left half, at 20 m in the right; the truth is 1 m more.

    The last point of the left lies in column 597, the first of the right in 610: columns 604 to 607 of the left half have a
    point of the right for their nearest, and are 9 m wrong.
    """
    sparse, truth = np.zeros((352, 1216)), np.full((352, 1216), 11.0)
    sparse[100:300:4, 2:600:7], sparse[100:300:4, 610:1210:7] = 10, 20
    truth[:, 608:] = 21
    for number in (5, 6):
        for name, metres in (("velodyne_raw", sparse), ("groundtruth", truth)):
            write(tmp_path / f"kitti/val/2011_09_26_drive_0001_sync/proj_depth/{name}/image_02/{number:010d}.png", metres)
    return tmp_path / "kitti"


def call(tools, capsys, *arguments):
    code = tools.latency.main([str(one) for one in arguments])
    return code, capsys.readouterr()


def method(tools, name, rmse, mae, ms, zoo=True):
    return tools.peers.Method(name, rmse, mae, ms, zoo)


def test_equal_is_neither_faster_nor_more_exact(tools):
    peer = method(tools, "peer", 1000, 300, 50)
    ties = [method(tools, "as exact", 1000, 200, 10), method(tools, "as fast", 900, 200, 50)]
    verdict = tools.peers.judge(peer, ties)
    assert verdict.winner is None
    assert (verdict.exact.name, verdict.fast.name) == ("as fast", "as exact")
    assert tools.peers.judge(peer, [method(tools, "a little", 999.9, 300, 49.9)]).winner.name == "a little"


def test_of_several_winners_the_smaller_mae_comes_before_rmse(tools):
    peer = method(tools, "peer", 1000, 300, 50)
    exact, less, worse = (
        method(tools, "exact", 700, 200, 9),
        method(tools, "less", 800, 250, 40),
        method(tools, "worse in MAE", 600, 300, 1),
    )
    assert tools.peers.judge(peer, [worse, less, exact]).winner is exact
    alone = tools.peers.judge(peer, [worse])
    assert alone.winner is worse and "but not in MAE" in tools.peers.sentence(alone)


def test_a_method_without_weights_wins_nothing_and_is_named_where_no_model_does(tools):
    peer = method(tools, "peer", 1000, 300, 50)
    plain = method(tools, "plain", 600, 200, 9, zoo=False)
    assert tools.peers.judge(peer, [plain, method(tools, "zoo", 800, 250, 40)]).winner.name == "zoo"
    verdict = tools.peers.judge(peer, [plain, method(tools, "slow", 800, 250, 100)])
    assert (verdict.winner, verdict.plain, verdict.exact.name, verdict.fast) == (None, plain, "slow", None)
    assert tools.peers.sentence(verdict) == (
        "no model of the zoo. slow: takes 2 times as long, RMSE 200 mm less. Without weights plain: 5.6 times as fast, "
        "RMSE 400 mm less, MAE too (100 mm less)"
    )


def test_a_missing_mae_is_no_better_mae_and_a_missing_time_beats_nobody(tools):
    unknown = tools.peers.judge(method(tools, "peer", 1000, None, 50), [method(tools, "own", 900, 100, 10)])
    assert unknown.winner.name == "own"
    assert tools.peers.sentence(unknown) == "own: 5 times as fast, RMSE 100 mm less, MAE unknown"
    own = tools.peers.judge(method(tools, "peer", 1000, 300, 50), [method(tools, "own", 900, None, 10)])
    assert own.winner.name == "own" and tools.peers.sentence(own).endswith("MAE unknown")
    untimed = tools.peers.judge(method(tools, "peer", 1000, 300, None), [method(tools, "own", 900, 200, 10)])
    assert untimed.winner is None and "time isn't known; own: RMSE 100 mm less" in tools.peers.sentence(untimed)
    assert tools.peers.judge(method(tools, "peer", 1000, 300, 50), [method(tools, "own", None, 200, None)]).winner is None


def test_what_is_missing_is_the_fastest_of_the_more_exact_and_the_most_exact_of_the_faster(tools):
    peer = method(tools, "peer", 1000, 300, 50)
    others = [method(tools, "a", 990, 1, 100), method(tools, "b", 900, 1, 200), method(tools, "c", 1100, 1, 10),
              method(tools, "d", 1200, 1, 5)]  # fmt: skip
    verdict = tools.peers.judge(peer, others)
    assert (verdict.winner, verdict.exact.name, verdict.fast.name) == (None, "a", "c")
    assert tools.peers.sentence(verdict) == (
        "no model of the zoo. a: takes 2 times as long, RMSE 10 mm less; c: 5 times as fast, RMSE 100 mm more"
    )
    assert "None is faster" in tools.peers.sentence(tools.peers.judge(peer, [method(tools, "e", 1001, 1, 51)]))


def test_the_plot_names_the_peers_that_no_model_of_the_zoo_beats(tools, monkeypatch):
    """Text of the plot is drawn as outlines: it is read where it is set."""
    from matplotlib.axes import Axes

    titles = []
    monkeypatch.setattr(Axes, "set_title", lambda axes, text, **_: titles.append(text))

    def measured(name, kind, rmse, ms):
        return SimpleNamespace(name=name, kind=kind, values={"rmse": rmse, "mae": 1.0}, ms={"median": ms})

    peers = [tools.peers.Peer(name, rmse, 2.0, ms) for name, rmse, ms in (("slow", 900, 90), ("quick", 900, 9))]
    own = [measured("network", "zoo", 800, 30), measured("fill", "classical", 850, 5)]
    tools.page.plot(own, peers, 2)
    assert titles == ["No model of the zoo is both faster and more exact than: quick."]
    tools.page.plot(own, peers[:1], 2)
    assert len(titles) == 1


def test_times_of_peers_are_measured_here_or_follow_the_median_of_those_that_are(tools):
    def peer(name, ms, reference=""):
        return tools.peers.Peer(name, 1, 1, ms, reference=reference)

    peers = [peer("x", 10, "one"), peer("y", 100, "two"), peer("z", 1000, "three"), peer("w", 7), peer("v", None)]
    measured = {"one": 20.0, "two": 150.0, "three": 9000.0}
    ratios, factor = tools.peers.machine_factor(peers, measured)
    assert (ratios, factor) == ({"one": 2.0, "two": 1.5, "three": 9.0}, 2.0)
    assert [one.ms for one in tools.peers.on_this_machine(peers, measured)] == [20.0, 150.0, 9000.0, 14.0, None]
    assert [one.ms for one in tools.peers.on_this_machine(peers, {})] == [10, 100, 1000, 7, None]


def test_the_table_of_peers_is_read_and_its_references_are_there(tools):
    peers = {one.name: one for one in tools.peers.read_peers()}
    assert len(peers) == 14
    fast = peers["IP-Basic fast+gauss"]
    assert (fast.licence, fast.trained_on_kitti, fast.rmse, fast.mae, fast.ms) == ("MIT", False, 1049, 267, 9.3)
    assert sum(one.trained_on_kitti for one in peers.values()) == 4
    assert {one.reference for one in peers.values()} - {""} == set(tools.references.REFERENCES)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("a,MIT,maybe,1,1,1,,", "line 3: trained_on_kitti is 'maybe'"),
        ("a,MIT,no,x,1,1,,", "line 3: rmse_mm is 'x'"),
        ("a,MIT,no,1,1,-2,,", "line 3: ms is '-2'"),
        ("a,MIT,no,1,1", "line 3: 5 values; expected 8"),
    ],
)
def test_a_broken_table_names_its_line(tools, tmp_path, line, said):
    from mtdc.errors import DataError

    path = tmp_path / "peers.csv"
    path.write_text("# where from\n" + ",".join(tools.peers.COLUMNS) + f"\n{line}\n")
    with pytest.raises(DataError, match=said):
        tools.peers.read_peers(path)


def test_references_fill_as_their_papers_say(tools):
    """A ramp is linear: interpolation gives it back inside the hull; the nearest pixel's depth outside."""
    ramp = 10 + np.arange(30, dtype=np.float32)[None] * np.ones((20, 1), np.float32)
    sparse = np.zeros_like(ramp)
    sparse[2:18:5, 3:28:6] = ramp[2:18:5, 3:28:6]
    linear = tools.references.scipy_linear(sparse)
    assert np.allclose(linear[2:17, 3:27], ramp[2:17, 3:27], atol=1e-3)
    assert linear[0, 0] == ramp[2, 3] == 13
    nearest = tools.references.scipy_nearest(sparse)
    assert (nearest[3, 4], nearest[19, 29]) == (13, 37)
    for name in ("inpaint_ns", "inpaint_telea"):
        filled = tools.references.REFERENCES[name](sparse)
        assert filled.dtype == np.float32 and np.isfinite(filled).all()
        assert np.allclose(filled[sparse > 0], sparse[sparse > 0], atol=1 / 256)
        assert 10 < filled[10, 15] < 40


def test_two_methods_on_two_frames(tools, drive, tmp_path, capsys, monkeypatch):
    """The nearest point is 1 m wrong in 1212 columns and 9 m in 4."""
    few = {name: tools.references.REFERENCES[name] for name in ("scipy_nearest",)}
    monkeypatch.setattr(tools.references, "REFERENCES", few)
    out, page, plot = (tmp_path / "new" / f"l.{end}" for end in ("csv", "md", "svg"))
    arguments = ("near=classical/nearest_kitti", "classical/morphological_kitti", "--data-root", drive, "--threads", 1,
                 "--rounds", 2, "--out", out, "--markdown", page, "--plot", plot)  # fmt: skip
    code, said = call(tools, capsys, *arguments)
    assert code == 0, said.err
    found = rows(out)
    near = found["near"]
    assert (near["kind"], near["frames"]) == ("classical", "2")
    for own in (near, found["scipy_nearest"]):
        assert float(own["mae_mm"]) == pytest.approx(1000 * (1212 + 4 * 9) / 1216, abs=0.1)
        assert float(own["rmse_mm"]) == pytest.approx(1000 * ((1212 + 4 * 81) / 1216) ** 0.5, abs=0.1)
    assert float(near["p10_ms"]) <= float(near["ms"]) <= float(near["p90_ms"])
    assert found["NCNN-conf L1"]["trained_on_kitti"] == "yes" and found["NCNN-conf L1"]["listed_ms"] == "1038"
    timed = found["nearest neighbour"]
    assert (timed["ms"], timed["listed_ms"]) == (found["scipy_nearest"]["ms"], "27")
    factor = float(timed["ms"]) / 27
    assert float(found["NConv depth"]["ms"]) == pytest.approx(838 * factor, rel=1e-3)
    text = page.read_text()
    assert str(tmp_path) not in text + plot.read_text() + out.read_text()
    verdicts = text[text.index("### The peers") :]
    assert sum(verdicts.count(word) for word in ("| no model of the zoo. ", "time isn't known")) == 14
    assert "python tools/latency.py near=classical/nearest_kitti" in text
    assert plot.read_text().startswith("<?xml") and not list(out.parent.glob("*.part"))


def test_an_interrupted_run_goes_on_and_what_changed_is_measured_again(tools, drive, tmp_path, capsys, monkeypatch):
    few = {name: tools.references.REFERENCES[name] for name in ("scipy_nearest",)}
    monkeypatch.setattr(tools.references, "REFERENCES", few)
    out = tmp_path / "l.csv"
    arguments = ("near=classical/nearest_kitti", "morph=classical/morphological_kitti", "--data-root", drive, "--rounds", 1,
                 "--threads", 1, "--out", out)  # fmt: skip

    def interrupted(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(tools.trade_off, "alternate", interrupted)
        code, said = call(tools, capsys, *arguments)
    part = out.with_name("l.csv.part")
    assert code == 130 and "The same command goes on" in said.err and not out.exists()
    content = json.loads(part.read_text())
    assert list(content["methods"]) == ["near", "morph", "scipy_nearest"]
    near, morph = content["methods"]["near"], content["methods"]["morph"]
    measured = [frame["rmse"] for frame in near["frames"].values()]
    assert len(measured) == 2
    near["frames"][next(iter(near["frames"]))]["rmse"] = 77.0
    morph["identity"] = "another config"
    for frame in morph["frames"].values():
        frame["rmse"] = 78.0
    part.write_text(json.dumps(content))
    assert call(tools, capsys, *arguments)[0] == 0
    found = rows(out)
    assert float(found["near"]["rmse_mm"]) == pytest.approx((77 + measured[1]) / 2, abs=1e-3)
    assert float(found["morph"]["rmse_mm"]) > 500
    assert not part.exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("near=classical/nearest_kitti", "--rounds", 0), "--rounds 0: expected 1 or more"),
        (("scipy_linear=classical/linear_kitti",), "'scipy_linear' is the name of a reference"),
        (("classical/nearst_kitti",), "Did you mean"),
        (("near=classical/nearest_kitti", "--frames", -1), "--frames -1"),
    ],
)
def test_what_can_not_be_done_is_said_in_one_line(tools, drive, tmp_path, capsys, arguments, said):
    code, told = call(tools, capsys, *arguments, "--data-root", drive, "--out", tmp_path / "none.csv")
    assert code == 2 and said in told.err
    assert len([line for line in told.err.splitlines() if tools.page.BUSY not in line]) == 1


def test_everything_is_measured_by_default(tools):
    """Models that read what the frames have, and every method without weights; what a model of photos takes is not limited."""
    names = tools.trade_off.default_models()
    assert "unet_street" in names and "total generalized variation=classical/total_generalized_variation_kitti" in names
    assert not [name for name in names if "nyuv2" in name or "held_back" in name]


def test_a_machine_is_busy_where_others_take_more_than_half_of_its_cores(tools):
    assert not tools.page.busy({"load": 1.0, "cores": 2}) and tools.page.busy({"load": 1.1, "cores": 2})
    assert not tools.page.busy({"load": None, "cores": 2})


def test_slow_calls_take_fewer_turns_spread_over_the_run(monkeypatch):
    from mtdc.analysis import timing

    clock, calls = [0.0], []

    def work(name, seconds):
        calls.append(name)
        clock[0] += seconds

    monkeypatch.setattr(timing.time, "perf_counter", lambda: clock[0])
    given = {"a": lambda: work("a", 1.0), "b": lambda: work("b", 2.0), "c": lambda: work("c", 90.0)}
    seconds = timing.alternate(given, 9, "cpu", "turns", budget_s=10.0)
    assert {name: len(values) for name, values in seconds.items()} == {"a": 9, "b": 5, "c": 3}
    # After the warm-up: the slowest one in the third and ninth round, which go forwards; the sixth goes backwards.
    rounds = "".join(calls[3:]).split("c")
    assert [part.count("a") for part in rounds] == [3, 2, 4, 0]


def test_a_tiny_model_has_a_limit_of_its_own(tools):
    limit = tools.trade_off._limit

    def predictor(name, inputs, trained=True, published=True):
        from mtdc.analysis.predictors import ModelPredictor

        one = object.__new__(ModelPredictor)
        one.name, one.entry = name, SimpleNamespace(checkpoint="w" if trained else None, described=published)
        one.inputs = tuple(SimpleNamespace(name=key) for key in inputs)
        one.model = SimpleNamespace(channels_last=True, computed_precision=lambda device: torch.bfloat16)
        return one

    assert limit(predictor("unet_street", ["sparse_depth"])) == 200
    assert limit(predictor("unet_street_tiny", ["sparse_depth"])) == 40
    assert limit(predictor("unet_image_street", ["sparse_depth", "image"])) is None
    assert limit(predictor("nearest", ["sparse_depth"], trained=False, published=False)) is None
    own = predictor("mine", ["sparse_depth"], published=False)
    assert (tools.trade_off._kind(own), limit(own)) == ("own", None), "a checkpoint of one's own is no model of the zoo"
    assert tools.trade_off._precision(own) == "bfloat16, channels last"
    assert tools.trade_off._precision(predictor("unet_street", ["sparse_depth"])) == "bfloat16, channels last"
