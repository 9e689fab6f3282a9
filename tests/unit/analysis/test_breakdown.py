"""Errors by region against numbers counted by hand, scipy and the metric's own; edges against a world whose steps are known."""

import numpy as np
import pytest
import torch
from scipy import stats

from mtdc.analysis.breakdown import GROUPS, Breakdown
from mtdc.analysis.entries import parse_entries
from mtdc.analysis.frames import Frames, data_config
from mtdc.analysis.measuring import Measures
from mtdc.analysis.predictors import Prediction, make_predictor
from mtdc.data.street import StreetOptions, draw_frame
from mtdc.errors import DataError
from mtdc.metrics.regions import INDOOR_BANDS_M, depth_edges, distance_to_given, edges_between_known, given_bands
from mtdc.structures import DepthSample


def item(truth, sparse=None, labels=None, dense=None, name="a"):
    truth = np.asarray(truth, dtype=np.float32)
    sample = DepthSample(metainfo={"sample_id": name})
    sample.set_field(torch.from_numpy(truth)[None], "gt_depth")
    if labels is not None:
        sample.set_field(torch.tensor(labels), "gt_semantics")
    if dense is not None:
        sample.set_field(torch.tensor(dense, dtype=torch.float32)[None], "gt_dense_depth")
    sparse = truth if sparse is None else np.asarray(sparse, dtype=np.float32)
    return {"inputs": {"sparse_depth": torch.from_numpy(sparse)[None]}, "data_samples": sample}


def answer(depth):
    return Prediction(np.asarray(depth, dtype=np.float32))


def rows_of(breakdown):
    return {(row.group, row.region): row for row in breakdown.table()}


def test_sums_run_over_the_pixels_of_all_frames():
    breakdown = Breakdown(classes=("road", "traffic light"))
    breakdown.add(item([[10, 10, 0, 45]], labels=[[0, 1, 0, 255]]), answer([[11, 10, 50, 43]]))
    breakdown.add(item([[30, 10, 85, 0]], labels=[[0, 0, 1, 1]], name="b"), answer([[33, 10, 85, 7]]))
    rows = rows_of(breakdown)
    # Errors in metres: 1, 0, -2 in the first frame and 3, 0, 0 in the second; the pixels without truth count nowhere.
    assert rows["all", "all"].rmse_mm == pytest.approx(1000 * np.sqrt((1 + 4 + 9) / 6))
    assert rows["all", "all"].mae_mm == pytest.approx(1000 * 6 / 6)
    assert (rows["all", "all"].pixels, rows["all", "all"].frames) == (6, 2)
    near = rows["distance", "0_20m"]
    assert (near.rmse_mm, near.mae_mm, near.pixels, near.frames) == (pytest.approx(1000 * np.sqrt(1 / 3)), 1000 / 3, 3, 2)
    middle = rows["distance", "40_60m"]
    assert (middle.rmse_mm, middle.pixels, middle.frames, middle.low_mm, middle.high_mm) == (2000, 1, 1, None, None)
    assert rows["distance", "80m_on"].rmse_mm == 0
    assert ("distance", "60_80m") not in rows, "a region without a pixel has no row"
    # Road: 1 m, 3 m and 0; a label without a class (255) is of none.
    assert rows["class", "road"].rmse_mm == pytest.approx(1000 * np.sqrt(10 / 3))
    assert (rows["class", "traffic_light"].rmse_mm, rows["class", "traffic_light"].pixels) == (0, 2)


def test_each_group_holds_each_known_pixel_once_and_stands_in_its_place():
    generator = np.random.default_rng(0)
    shape = (45, 61)
    truth = np.where(generator.random(shape) < 0.4, generator.uniform(1, 120, shape), 0)
    sparse = np.where(generator.random(shape) < 0.01, truth, 0)
    breakdown = Breakdown(classes=[f"c{i}" for i in range(5)])
    breakdown.add(item(truth, sparse, generator.integers(0, 5, shape)), answer(truth + 1))
    table = breakdown.table()
    groups = [row.group for row in table]
    assert groups == sorted(groups, key=GROUPS.index) and set(groups) == set(GROUPS)
    for group in GROUPS:
        rows = [row for row in table if row.group == group]
        assert sum(row.pixels for row in rows) == (truth > 0).sum(), group
        assert all(row.rmse_mm == pytest.approx(1000, rel=1e-5) for row in rows)
    assert [row.region for row in table if row.group == "class"] == ["c0", "c1", "c2", "c3", "c4"]


def test_rows_are_eight_bands_of_the_height():
    # 10 rows: 8 r // 10 is 0 0 1 2 3 4 4 5 6 7.
    truth = np.full((10, 2), 10.0)
    breakdown = Breakdown()
    breakdown.add(item(truth), answer(truth + np.arange(10.0)[:, None]))
    bands = [(row.region, row.mae_mm, row.pixels) for row in breakdown.table() if row.group == "row"]
    assert bands == [
        ("0-1", 500, 4), ("2", 2000, 2), ("3", 3000, 2), ("4", 4000, 2), ("5-6", 5500, 4), ("7", 7000, 2), ("8", 8000, 2),
        ("9", 9000, 2),
    ]  # fmt: skip
    # Frames of another height: by share of the height, of which rows are named no more.
    tall = np.full((16, 2), 10.0)
    breakdown.add(item(tall, name="b"), answer(tall))
    bands = [(row.region, row.pixels) for row in breakdown.table() if row.group == "row"]
    assert bands[0] == ("0-12.5 %", 4 + 4)
    assert bands[-1] == ("87.5-100 %", 2 + 4)


def test_a_picture_of_fewer_rows_than_bands_has_rows_of_its_own():
    breakdown = Breakdown()
    breakdown.add(item(np.full((3, 4), 5.0)), answer(np.full((3, 4), 5.0)))
    assert [row.region for row in breakdown.table() if row.group == "row"] == ["0", "1", "2"]


def test_distance_to_given_points():
    sparse = np.zeros((1, 80))
    sparse[0, 0] = 7.0
    truth, error = np.full((1, 80), 10.0), np.arange(80.0)[None]
    breakdown = Breakdown()
    breakdown.add(item(truth, sparse), answer(truth + error))
    found = {row.region: (row.mae_mm / 1000, row.pixels) for row in breakdown.table() if row.group == "given"}
    # Along one row the distance is the column, and so is the error.
    bounds = {"0": (0, 0), "1": (1, 1), "2": (2, 2), "3-4": (3, 4), "5-8": (5, 8), "9-16": (9, 16), "17-32": (17, 32)}
    bounds["over 32"] = (33, 79)
    assert found == {name: (pytest.approx((low + high) / 2), high - low + 1) for name, (low, high) in bounds.items()}
    assert list(found) == list(bounds)


def test_a_diagonal_neighbour_is_two_pixels_away_and_without_points_all_are_far():
    sparse = np.zeros((3, 3))
    sparse[1, 1] = 1.0
    bands = given_bands(distance_to_given(sparse))
    assert bands["1"].sum() == 4
    assert bands["2"].sum() == 4, "the corners, 1.41 pixels away"
    assert given_bands(distance_to_given(np.zeros((2, 2))))["over 32"].all()


def test_predictions_are_filled_and_limited_as_the_metric_does_it():
    truth = np.full((2, 4), 50.0)
    holes = np.array([[40, 0, 60, 200], [40, 0, 60, 200]])
    breakdown = Breakdown(clamp_m=(0.9, 100.0), fill_holes=True)
    breakdown.add(item(truth), answer(holes))
    # The hole becomes the nearer of its row's neighbours, 40 m: errors of 10, 10, 10 and 50 m.
    assert rows_of(breakdown)["all", "all"].mae_mm == pytest.approx(1000 * (10 + 10 + 10 + 50) / 4)
    breakdown = Breakdown()
    breakdown.add(item(truth), answer(holes))
    assert rows_of(breakdown)["all", "all"].mae_mm == pytest.approx(1000 * (10 + 50 + 10 + 150) / 4)


def test_bands_are_the_callers_or_the_protocols():
    depth = [[0.5, 1.5, 5.0, 9.0]]
    indoors, outdoors = ["0_1m", "1_2m", "4_6m", "8m_on"], ["0_20m"]
    cases = [
        ({"bands_m": INDOOR_BANDS_M}, indoors),
        ({"clamp_m": (0.1, 10.0)}, indoors),
        ({"clamp_m": (0.9, 100.0)}, outdoors),
        ({}, outdoors),
        ({"bands_m": (0, 5), "clamp_m": (0.1, 10.0)}, ["0_5m", "5m_on"]),
    ]
    for options, expected in cases:
        breakdown = Breakdown(**options)
        breakdown.add(item(depth), answer(depth))
        assert [row.region for row in breakdown.table() if row.group == "distance"] == expected
    with pytest.raises(ValueError, match="must rise"):
        Breakdown(bands_m=(0, 3, 2))


def test_intervals_are_scipys_and_the_same_each_time():
    generator = np.random.default_rng(1)
    frames = [generator.normal(0, 1 + number % 3, (4, 3 + number)) for number in range(12)]
    tables = []
    for _ in range(2):
        breakdown = Breakdown()
        for number, error in enumerate(frames):
            breakdown.add(item(np.full(error.shape, 30.0), name=str(number)), answer(30 + error))
        tables.append(breakdown.table())
    assert tables[0] == tables[1]
    row = tables[0][0]

    def rmse(squared, count):
        return 1000 * np.sqrt(squared.sum() / count.sum())

    sums = np.array([[np.sum(error**2), error.size] for error in frames]).T
    expected = stats.bootstrap(
        tuple(sums), rmse, paired=True, vectorized=False, n_resamples=5000, method="percentile", random_state=3
    ).confidence_interval
    assert row.rmse_mm == pytest.approx(rmse(*sums), rel=1e-4)
    # Two draws of a bootstrap differ by a few percent of the interval's width.
    width = expected.high - expected.low
    assert (row.low_mm, row.high_mm) == (
        pytest.approx(expected.low, abs=0.08 * width),
        pytest.approx(expected.high, abs=0.08 * width),
    )


def test_frames_alike_have_an_interval_of_no_width():
    breakdown = Breakdown()
    for name in "ab":
        breakdown.add(item([[10.0, 20.0]], name=name), answer([[11.0, 21.0]]))
    row = breakdown.table()[0]
    assert (row.low_mm, row.high_mm) == (pytest.approx(1000), pytest.approx(1000))


def test_frames_without_ground_truth_add_nothing_and_wrong_sizes_are_named():
    breakdown = Breakdown()
    breakdown.add(item(np.zeros((2, 3))), answer(np.ones((2, 3))))
    assert breakdown.table() == []
    with pytest.raises(DataError, match=r"frame7.*\(2, 2\).*\(2, 3\)"):
        breakdown.add(item(np.ones((2, 3)), name="frame7"), answer(np.ones((2, 2))))
    with pytest.raises(DataError, match=r"a has no 'gt_dense_depth'"):
        Breakdown(truth="dense").add(item(np.ones((2, 3))), answer(np.ones((2, 3))))
    with pytest.raises(ValueError, match="'depth' or 'dense'"):
        Breakdown(truth="sparse")


def test_dense_depth_finds_edges_and_is_measured_only_where_asked():
    dense = np.full((21, 40), 30.0)
    dense[:, 20:] = 10.0
    truth = np.zeros_like(dense)
    truth[::2, ::16] = dense[::2, ::16]
    answered = np.full_like(dense, 33.0)
    breakdown, whole = Breakdown(), Breakdown(truth="dense")
    for one in (breakdown, whole):
        one.add(item(truth, dense=dense), answer(answered))
    rows = rows_of(breakdown)
    # Columns 0, 16 and 32 in 11 rows, too far apart to tell a step, which is between columns 19 and 20.
    assert not edges_between_known(truth).any()
    assert (rows["all", "all"].pixels, rows["edge", "edge"].pixels, rows["edge", "away"].pixels) == (33, 11, 22)
    assert rows["edge", "edge"].mae_mm == pytest.approx(3000)
    assert rows["edge", "away"].mae_mm == pytest.approx((3000 + 23_000) / 2)
    rows = rows_of(whole)
    assert (rows["all", "all"].pixels, rows["edge", "edge"].pixels) == (21 * 40, 21 * 8)
    assert rows["all", "all"].mae_mm == pytest.approx((3000 + 23_000) / 2)


def road_and_box(generator, share, noise):
    """A road seen at a grazing angle with a box on it, known at a share of the pixels, with noise relative to the depth."""
    depth = np.repeat((1200 / (np.arange(60) + 15.0))[:, None], 120, axis=1)
    depth[10:45, 50:80] = 12.0
    noisy = depth * (1 + noise * generator.standard_normal(depth.shape))
    return depth, np.where(generator.random(depth.shape) < share, noisy, 0.0)


@pytest.mark.parametrize(("share", "noise"), [(1.0, 0.0), (0.5, 0.005), (0.25, 0.015)])
def test_steps_between_known_pixels_are_found_and_a_grazing_road_is_none(share, noise):
    depth, truth = road_and_box(np.random.default_rng(2), share, noise)
    exact, found = depth_edges(depth), edges_between_known(truth)
    # The box's sides, where the road is far behind it: each known pixel beside the step is at an edge.
    beside = np.zeros(depth.shape, dtype=bool)
    beside[12:40, 49:51] = beside[12:40, 79:81] = True
    known = truth > 0
    assert found[beside & known].mean() > 0.95
    away = depth_edges(depth, radius_px=12)
    assert found[known & ~away].mean() < 0.01, "noise and slope alone are no edges"
    road = depth.copy()
    road[10:45, 50:80] = (1200 / (np.arange(60) + 15.0))[10:45, None]
    road = np.where(known, road * (truth / np.where(known, depth, 1)), 0.0)
    assert edges_between_known(road)[known].mean() < 0.01
    overlap = (found & exact)[known].sum() / (found | exact)[known].sum()
    assert overlap > (0.95 if share == 1 else 0.5)


def test_no_pair_of_known_pixels_has_no_edge():
    for truth in (np.zeros((5, 7)), np.eye(7) * 3, np.full((1, 1), 4.0)):
        assert not edges_between_known(truth).any()


def test_edges_of_the_streets_semi_dense_truth_lie_at_those_of_its_dense_depth():
    overlap = []
    for number in (21, 22):
        maps = draw_frame(StreetOptions(size=(176, 608), truth="filtered"), 7, number).maps
        truth, dense = (np.squeeze(np.asarray(maps[key], dtype=np.float64)) for key in ("truth", "dense"))
        known = truth > 0
        assert 0.1 < known.mean() < 0.6, "semi-dense"
        found = edges_between_known(truth)
        near, far = depth_edges(dense), depth_edges(dense, radius_px=8)
        assert (found & far)[known].sum() > 0.8 * found[known].sum()
        overlap.append((found & near)[known].sum() / (found | near)[known].sum())
    assert np.mean(overlap) > 0.35


def test_the_sum_over_all_is_the_metrics_on_real_frames(shared):
    entry = parse_entries(["classical/nearest_kitti"])[0]
    cfg = data_config([entry], data_root=str(shared / "data" / "kitti"), split="val")
    predictor, measures = make_predictor(entry), Measures(cfg)
    breakdown, frames = Breakdown(clamp_m=(0.9, 100.0), fill_holes=True), Frames(cfg, limit=2, extra=True)
    for one in frames:
        prediction = predictor(one)
        measures.add(one, prediction)
        breakdown.add(one, prediction)
    rows, (_, per_frame) = rows_of(breakdown), measures.finish()
    sparse = [one["inputs"]["sparse_depth"] for one in frames]
    assert rows["all", "all"].pixels == sum(int((one["data_samples"].gt_depth > 0).sum()) for one in frames)
    assert rows["given", "0"].pixels == sum(
        int(((one["data_samples"].gt_depth > 0) & (given > 0)).sum()) for one, given in zip(frames, sparse, strict=True)
    )
    # Frames of about as many pixels: the RMSE over all lies between theirs.
    lowest, highest = sorted(values["rmse"] for values in per_frame.values())
    assert lowest <= rows["all", "all"].rmse_mm <= highest
    assert rows["given", "0"].rmse_mm < rows["given", "3-4"].rmse_mm < rows["given", "9-16"].rmse_mm
    assert rows["edge", "edge"].rmse_mm > 2 * rows["edge", "away"].rmse_mm
    assert 0.05 < rows["edge", "edge"].pixels / rows["all", "all"].pixels < 0.25
