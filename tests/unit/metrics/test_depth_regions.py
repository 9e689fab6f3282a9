"""Errors by region against numbers counted by hand, and edges against geometry that is known."""

import numpy as np
import pytest
import torch

from mtdc.errors import ConfigError
from mtdc.metrics.depth_regions import DepthByRegion
from mtdc.metrics.regions import depth_edges, distance_bands
from mtdc.structures import DepthSample


def sample(prediction, truth, labels, name="a"):
    maps = {"pred_depth": prediction, "gt_dense_depth": truth}
    found = {key: torch.tensor(value, dtype=torch.float32)[None] for key, value in maps.items()}
    return {**found, "gt_semantics": torch.tensor(labels), "sample_id": name}


def measure(*samples, **options):
    metric = DepthByRegion(**{"covered": False, "max_depth_m": None, **options})
    metric.dataset_meta = {"dataset": "any"}
    metric.process(None, samples)
    return metric.compute_metrics(metric.results), metric


def test_sums_run_over_the_pixels_of_all_frames():
    first = sample([[11.0, 10, 50]], [[10.0, 10, 0]], [[0, 0, 0]])
    second = sample([[33.0, 10, 28]], [[30.0, 10, 25]], [[0, 13, 255]], "b")
    values, metric = measure(first, second)
    # Errors in metres: road 1, 0, 3; car 0; without a label 3. The pixel without truth counts nowhere.
    assert values["rmse"] == pytest.approx(1000 * np.sqrt((1 + 0 + 9 + 0 + 9) / 5))
    assert values["mae"] == pytest.approx(1000 * (1 + 0 + 3 + 0 + 3) / 5)
    assert values["road/rmse"] == pytest.approx(1000 * np.sqrt(10 / 3))
    assert values["road/mae"] == pytest.approx(1000 * 4 / 3)
    assert values["car/rmse"] == 0
    assert values["0_20m/mae"] == pytest.approx(1000 / 3)
    assert values["20_40m/mae"] == pytest.approx(3000)
    assert not any(key.startswith(("40_60m", "80m", "pole", "sky")) for key in values), "regions without a pixel have no value"
    assert metric.per_frame["a"] == {"rmse": pytest.approx(1000 * np.sqrt(1 / 2)), "mae": pytest.approx(500)}


def test_predictions_are_held_in_the_range_first():
    values, _ = measure(sample([[500.0]], [[90.0]], [[0]]))
    assert values["80m_on/mae"] == pytest.approx(10_000)
    values, _ = measure(sample([[500.0]], [[90.0]], [[0]]), clamp_m=None)
    assert values["mae"] == pytest.approx(410_000)


def test_far_pixels_and_rows_above_the_ground_truth_are_not_counted():
    one = sample([[1.0], [11], [12], [95]], [[10.0], [10], [10], [90]], [[0]] * 4)
    one["gt_depth"] = torch.tensor([[[0.0], [10], [0], [90]]])
    values, metric = measure(one, covered=True, max_depth_m=80.0)
    # The first row is above the ground truth, the last one too far: errors of 1 and 2 m are left.
    assert values["mae"] == pytest.approx(1500)
    assert "80m_on/mae" not in values
    assert [row.name for row in metric.targets] == ["dense_depth", "depth", "semantics"]
    values, _ = measure(one, covered=False, max_depth_m=80.0)
    assert values["mae"] == pytest.approx(1000 * (9 + 1 + 2) / 3)


def test_without_labels_and_against_the_benchmarks_truth():
    data = DepthSample(metainfo={"sample_id": "a"})
    data.set_data({"pred_depth": torch.full((1, 2, 2), 12.0), "gt_depth": torch.full((1, 2, 2), 10.0)})
    metric = DepthByRegion(truth="depth", classes=False)
    assert [row.name for row in metric.targets] == ["depth"]
    metric.process(None, [data.to_dict()])
    values = metric.compute_metrics(metric.results)
    assert values["rmse"] == pytest.approx(2000)
    assert not any("edges" in key for key in values), "edges of a map with holes would be the holes"


@pytest.mark.parametrize("height_m", [1.0, 1.65])
def test_a_plane_is_no_edge_and_a_silhouette_is_one(height_m):
    """A road seen from above it, whose depth doubles from row to row near the horizon; a box of 15 m on it."""
    rows, columns = np.arange(60), 80
    depth = np.repeat((720 * height_m / (rows + 3.0))[:, None], columns, axis=1)
    assert not depth_edges(depth)[1:-1].any()
    depth[10:40, 30:50] = 15.0
    edges = depth_edges(depth)
    far = depth[20, 0]
    assert far > 1.3 * 15, "the road beside the box is far behind it"
    # Along row 20 a step lies between columns 29 and 30: both bend, and 3 pixels around them belong to the region.
    assert edges[20, 26:34].all()
    assert not edges[20, :26].any()
    assert not edges[20, 34:46].any()


def test_a_step_of_less_than_a_tenth_is_none():
    depth = np.full((9, 30), 10.0)
    depth[:, 15:] = 10.9
    assert not depth_edges(depth).any()
    depth[:, 15:] = 11.3
    assert depth_edges(depth).any()


def test_bands_hold_each_known_pixel_once():
    truth = np.array([0.0, 0.5, 20, 20.1, 40, 79, 80.5, 300])
    bands = distance_bands(truth)
    assert list(bands) == ["0_20m", "20_40m", "40_60m", "60_80m", "80m_on"]
    assert (sum(band.astype(int) for band in bands.values()) == (truth > 0)).all()
    assert bands["0_20m"].tolist() == [False, True, True, False, False, False, False, False]


def test_wrong_arguments_are_named():
    with pytest.raises(ConfigError, match="'dense' or 'depth'"):
        DepthByRegion(truth="sparse")
    with pytest.raises(ConfigError, match="must rise"):
        DepthByRegion(bands_m=(0, 40, 20))
