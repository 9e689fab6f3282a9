"""Points held back from the input become the ground truth: which ones, and that nothing stands in both."""

import dataclasses

import cv2
import numpy as np
import pytest

from mtdc.data.datasets.folder import Folder
from mtdc.data.lidar_lines import find_mount
from mtdc.data.sparse_points import measured_points
from mtdc.data.transforms.hold_back import HoldBack
from mtdc.errors import ConfigError, DataError
from mtdc.structures import DEPTH, SPARSE_DEPTH, Frame

K = np.array([[320.0, 0, 320.0], [0, 320.0, 120.0], [0, 0, 1]])


def frame_of(sparse, intrinsics=None, truth=None):
    sparse = np.asarray(sparse, dtype=np.float32)
    maps = {"sparse_depth": sparse, "gt_depth": np.zeros_like(sparse) if truth is None else truth}
    return Frame(maps, {"sparse_depth": SPARSE_DEPTH, "gt_depth": DEPTH}, intrinsics, {"sample_id": "made"})


def held_back(frame, seed=0, **arguments):
    after = HoldBack(**arguments)(frame, np.random.default_rng(seed))
    return after.maps["sparse_depth"], after.maps["gt_depth"]


def scattered(size=(61, 83), density=0.2, seed=1):
    rng = np.random.default_rng(seed)
    return np.where(rng.random(size) < density, rng.uniform(2, 60, size), 0).astype(np.float32)


def beams(step=1.33, lines=32, above=0.33, behind=0.75, pitch=1.0, roll=-1.2):
    """A spinning sensor's points on the ground and on walls, as a camera beside it sees them, with each point's line."""
    number, azimuth = np.meshgrid(np.arange(lines), np.radians(np.arange(-60, 60, 0.4)), indexing="ij")
    elevation = np.radians(10.67 - step * number)
    ray = np.stack((np.cos(elevation) * np.sin(azimuth), -np.sin(elevation), np.cos(elevation) * np.cos(azimuth)), axis=-1)
    with np.errstate(divide="ignore"):
        ground = np.where(ray[..., 1] > 0, 1.84 / ray[..., 1], np.inf)
    wall = (12 + 8 * (np.sin(6 * azimuth) > 0)) / np.hypot(ray[..., 0], ray[..., 2])
    points = (ray * np.minimum(ground, wall)[..., None]).reshape(-1, 3)
    # Sensor to camera: turned by hand-written matrices, then moved.
    p, r = np.radians((pitch, roll))
    about_x = np.array([[1, 0, 0], [0, np.cos(p), np.sin(p)], [0, -np.sin(p), np.cos(p)]])
    about_z = np.array([[np.cos(r), np.sin(r), 0], [-np.sin(r), np.cos(r), 0], [0, 0, 1]])
    points = points @ (about_z @ about_x).T + (0.0, -above, -behind)
    sparse, line = np.zeros((240, 640), dtype=np.float32), np.full((240, 640), -1)
    for (x, y, z), n in zip(points, number.ravel(), strict=True):
        if z > 1:
            u, v = round(K[0, 0] * x / z + K[0, 2]), round(K[1, 1] * y / z + K[1, 2])
            if 0 <= u < 640 and 0 <= v < 240 and (sparse[v, u] == 0 or z < sparse[v, u]):
                sparse[v, u], line[v, u] = z, n
    return sparse, line


@pytest.mark.parametrize("arguments", [{}, {"every": 3}, {"share": 0.3}, {"every": 2, "visible": True}])
def test_a_point_is_input_or_truth_and_nothing_else_is(arguments):
    sparse = scattered()
    kept, truth = held_back(frame_of(sparse), **arguments)
    assert kept.any() and truth.any() and not ((kept > 0) & (truth > 0)).any()
    both = kept + truth
    where = both > 0
    np.testing.assert_array_equal(both[where], sparse[where])
    if "visible" not in arguments:
        np.testing.assert_array_equal(where, sparse > 0)


@pytest.mark.parametrize("every", [2, 3, 8])
def test_every_kth_point_counted_exactly_and_spread_evenly(every):
    sparse = scattered((64, 96), 0.25)
    _, truth = held_back(frame_of(sparse), every=every)
    count = np.count_nonzero(sparse)
    assert np.count_nonzero(truth) == sum(rank % every == every // 2 for rank in range(count))
    # A square of 16 pixels, aligned, is one run of the Z-order: it loses its part to within one point.
    for top in range(0, 64, 16):
        for left in range(0, 96, 16):
            part = np.s_[top : top + 16, left : left + 16]
            held, there = np.count_nonzero(truth[part]), np.count_nonzero(sparse[part])
            assert abs(held - there / every) < 1, (top, left)


def test_the_order_of_a_full_square_is_known_by_hand():
    _, truth = held_back(frame_of(np.arange(1, 17).reshape(4, 4)), every=4)
    # Blocks of two by two, each upper left, upper right, lower left, lower right: the third of each.
    np.testing.assert_array_equal(truth, [[0, 0, 0, 0], [5, 0, 7, 0], [0, 0, 0, 0], [13, 0, 15, 0]])


def test_what_was_ground_truth_is_replaced_and_without_the_target_only_the_input_changes():
    sparse = scattered()
    _, truth = held_back(frame_of(sparse, truth=np.full_like(sparse, 5)), every=2)
    assert (np.unique(truth[truth > 0]) != 5).all()
    frame = frame_of(sparse)
    alone = dataclasses.replace(frame, maps={"sparse_depth": sparse}, fields={"sparse_depth": SPARSE_DEPTH})
    after = HoldBack()(alone, np.random.default_rng(0))
    assert list(after.maps) == ["sparse_depth"]
    np.testing.assert_array_equal(after.maps["sparse_depth"], held_back(frame)[0])


def test_a_share_follows_from_the_generator_and_the_rest_from_nothing():
    sparse = scattered((200, 200))
    frame = frame_of(sparse)
    assert (held_back(frame, 0, share=0.3)[1] != held_back(frame, 1, share=0.3)[1]).any()
    assert abs(np.count_nonzero(held_back(frame, share=0.3)[1]) / np.count_nonzero(sparse) - 0.3) < 0.03
    np.testing.assert_array_equal(held_back(frame, 0, every=3)[1], held_back(frame, 1, every=3)[1])


def test_a_share_may_be_another_from_frame_to_frame():
    sparse = scattered(density=1.0)
    frame = frame_of(sparse)
    shares = [np.mean(held_back(frame, seed, share=(0.2, 0.6))[1] > 0) for seed in range(200)]
    assert 0.18 < min(shares) < 0.23 and 0.57 < max(shares) < 0.62
    assert np.mean(shares) == pytest.approx(0.4, abs=0.03)
    assert np.array_equal(held_back(frame, share=(0.3, 0.3))[1], held_back(frame, share=0.3)[1])


def test_lines_of_another_sensor_are_found_where_it_stands():
    sparse, line = beams()
    mount = find_mount(measured_points(sparse, K), 1.33)
    assert abs(mount.above[0] - 0.33) < 0.1 and abs(mount.behind - 0.75) < 0.3 and abs(mount.roll + 1.2) < 0.5
    _, truth = held_back(frame_of(sparse, K), lines=2, step=1.33)
    measured = sparse > 0
    seen = line[measured]
    held = (truth > 0)[measured]
    expected = (seen - seen.min()) % 2 == 1
    assert (held == expected).mean() > 0.99


def test_points_on_no_lines_are_refused_in_one_line():
    with pytest.raises(DataError, match=r"^frame made: its \d+ points lie on no lines 1.33 degrees apart .*every=N\.$"):
        held_back(frame_of(scattered((120, 160), 0.05), K), lines=2, step=1.33)


def test_what_a_nearer_neighbour_covers_is_held_back_and_not_scored():
    sparse = np.zeros((60, 60), dtype=np.float32)
    sparse[10:50:4, 10:50:4] = 5  # a thing
    sparse[::3, 55] = 30  # the background beside it
    sparse[29, 29] = 30  # and one point of it, seen through
    alone = held_back(frame_of(sparse), every=2)[1]
    seen = held_back(frame_of(sparse), every=2, visible=True)[1]
    missing = np.argwhere(alone != seen).tolist()
    held = bool(alone[29, 29])
    assert missing == ([[29, 29]] if held else [])
    assert held_back(frame_of(sparse), every=2, visible=True)[0][29, 29] == (0 if held else 30)
    assert held, "the point must be among those held back, or nothing was tested"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"every": 2, "share": 0.5}, "not every and share"),
        ({"every": 1}, "every must be at least 2"),
        ({"lines": 0}, "lines must be at least 2"),
        ({"share": 1.0}, "share must lie between"),
        ({"share": (0.5, 0.2)}, "share must lie between"),
        ({"share": (0.5,)}, "share must lie between"),
        ({"step": 1.33}, "step is degrees"),
    ],
)
def test_impossible_arguments_are_refused(arguments, said):
    with pytest.raises(ValueError, match=said):
        HoldBack(**arguments)


def test_without_sparse_depth_it_is_refused():
    frame = Frame({"gt_depth": np.ones((3, 3))}, {"gt_depth": DEPTH}, None, {"sample_id": "made"})
    with pytest.raises(ConfigError, match="HoldBack needs the input 'sparse_depth'"):
        HoldBack()(frame, np.random.default_rng(0))


def test_a_folder_of_scans_alone_has_ground_truth_then(tmp_path, caplog):
    (tmp_path / "depth").mkdir()
    for number in range(2):
        stored = np.round(scattered((21, 33), seed=number) * 256).astype(np.uint16)
        cv2.imwrite(str(tmp_path / "depth" / f"{number}.png"), stored)
    plain = Folder(tmp_path)
    assert (plain.count(DEPTH), plain.known(DEPTH)) == (0, 0) and "target 'depth'" in caplog.text
    caplog.clear()
    data = Folder(tmp_path, transforms=[{"type": "HoldBack", "every": 2}])
    assert (data.count(DEPTH), data.known(DEPTH)) == (0, 2) and not caplog.text
    item = data[1]
    given, truth = item["inputs"]["sparse_depth"], item["data_samples"].gt_depth
    assert given.any() and truth.any() and not ((given > 0) & (truth > 0)).any()
