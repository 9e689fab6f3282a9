"""What each method without weights claims of itself, and what it reaches on real frames."""

import numpy as np
import pytest
from scipy.spatial import Delaunay

from mtdc.classical.linear import Linear
from mtdc.classical.morphological import Morphological
from mtdc.classical.nearest import Nearest
from mtdc.data.io import read_depth_png


def sparse_of(dense, density, seed=0):
    return np.where(np.random.default_rng(seed).random(dense.shape) < density, dense, 0).astype(np.float32)


# ---- Nearest


def test_nearest_is_at_the_smallest_distance_of_all_points():
    generator = np.random.default_rng(1)
    depth = np.zeros((23, 31), dtype=np.float32)
    chosen = generator.choice(depth.size, 25, replace=False)
    # Each point has its own value, so that an answer tells which point it came from.
    depth.flat[chosen] = np.arange(1, 26)
    answer = Nearest()(depth)
    positions = {depth[tuple(point)]: point for point in np.argwhere(depth > 0)}
    for pixel in np.ndindex(depth.shape):
        least = min(float(np.hypot(*(point - pixel))) for point in positions.values())
        assert np.hypot(*(positions[answer[pixel]] - pixel)) == pytest.approx(least)


# ---- Linear


def test_linear_reproduces_a_plane_inside_the_hull_and_takes_the_nearest_outside():
    rows, columns = np.mgrid[0:41, 0:57]
    plane = 10 + 0.25 * rows - 0.125 * columns
    sparse = sparse_of(plane, 0.03)
    sparse[:3] = 0
    answer = Linear()(sparse)
    inside = Delaunay(np.argwhere(sparse > 0)).find_simplex(np.stack((rows, columns), axis=-1).reshape(-1, 2)) >= 0
    inside = inside.reshape(sparse.shape)
    assert 0.5 < inside.mean() < 1
    assert answer[inside] == pytest.approx(plane[inside], rel=1e-5)
    assert np.array_equal(answer[~inside], Nearest()(sparse)[~inside])


def test_linear_on_a_line_of_points_is_nearest():
    sparse = np.zeros((9, 40), dtype=np.float32)
    sparse[4, 3::7] = np.arange(3, 9)
    assert np.array_equal(Linear()(sparse), Nearest()(sparse))


def test_linear_with_three_points_is_their_plane():
    sparse = np.zeros((11, 11), dtype=np.float32)
    sparse[0, 0], sparse[0, 10], sparse[10, 0] = 10, 20, 30
    answer = Linear()(sparse)
    assert answer[0, 5] == pytest.approx(15)
    assert answer[5, 0] == pytest.approx(20)
    assert answer[2, 3] == pytest.approx(10 + 3 + 4)


# ---- Morphological


def test_near_surface_wins_at_an_edge():
    """A post at 5 m before a wall at 50 m, both sampled: between samples the post grows and never shrinks."""
    dense = np.full((60, 80), 50.0)
    dense[:, 30:50] = 5.0
    sparse = np.zeros((60, 80), dtype=np.float32)
    sparse[::4, ::3] = dense[::4, ::3]
    answer = Morphological()(sparse)
    assert (answer[:, 32:47] < 6).all()
    near = (answer < 27.5).mean(axis=1)
    assert (near >= 20 / 80).all()
    assert (near <= 30 / 80).all()


def test_background_seen_through_a_near_surface_is_covered():
    sparse = np.zeros((60, 80), dtype=np.float32)
    sparse[::3, ::3] = 5.0
    sparse[30, 40] = 60.0
    assert Morphological()(sparse) == pytest.approx(np.full(sparse.shape, 5.0), rel=1e-5)


def test_narrow_gap_between_near_surfaces_is_closed():
    sparse = np.zeros((20, 29), dtype=np.float32)
    sparse[:, [10, 18]] = 5.0
    sparse[:, 14] = 50.0
    assert Morphological(median=1, sigma=0)(sparse)[:, 14] == pytest.approx(np.full(20, 5.0))
    assert Morphological(median=1, sigma=0, closing=1)(sparse)[:, 14] == pytest.approx(np.full(20, 50.0))


def test_topmost_values_go_up_before_large_windows_spread():
    sparse = np.zeros((300, 400), dtype=np.float32)
    sparse[250:, :200] = 10.0
    sparse[260:, 200:] = 20.0
    answer = Morphological()(sparse)
    # Windows alone would let the near half spread over the far one, wider from row to row up to the corner.
    assert answer[0, :190] == pytest.approx(np.full(190, 10.0), rel=1e-4)
    assert answer[0, 300:] == pytest.approx(np.full(100, 20.0), rel=1e-4)


@pytest.mark.parametrize("shape", [(5, 700), (700, 5)])
def test_one_point_reaches_the_far_end(shape):
    sparse = np.zeros(shape, dtype=np.float32)
    sparse[0, 0] = 3.0
    assert Morphological()(sparse) == pytest.approx(np.full(shape, 3.0))


def test_switched_off_smoothing_leaves_measured_values_only():
    generator = np.random.default_rng(2)
    sparse = np.zeros((50, 70), dtype=np.float32)
    sparse.flat[generator.choice(sparse.size, 60, replace=False)] = generator.choice([4.0, 8.0, 16.0], 60)
    answer = Morphological(median=1, sigma=0)(sparse)
    assert set(np.unique(answer)) <= {4.0, 8.0, 16.0}
    assert not set(np.unique(Morphological(median=1, sigma=1.0)(sparse))) <= {4.0, 8.0, 16.0}


@pytest.mark.parametrize("options, word", [
    ({"dilation": 4}, "dilation"), ({"closing": 0}, "closing"), ({"window": 1}, "window"), ({"median": 7}, "median"),
    ({"large_window": 8}, "large_window"), ({"sigma": -1}, "sigma"), ({"sigma": float("nan")}, "sigma"),
])  # fmt: skip
def test_impossible_sizes_are_refused(options, word):
    with pytest.raises(ValueError, match=word):
        Morphological(**options)


def test_small_windows_still_fill_the_map():
    sparse = np.zeros((40, 400), dtype=np.float32)
    sparse[3, 3] = 2.0
    assert Morphological(window=3, large_window=3)(sparse) == pytest.approx(np.full((40, 400), 2.0))


# ---- Real frames


def cropped(path):
    depth = read_depth_png(path)
    height, width = depth.shape
    left = round((width - 1216) / 2)
    return depth[height - 352 :, left : left + 1216]


@pytest.fixture(scope="module")
def frames(shared):
    """The 24 validation frames that have sparse input."""
    drive = shared / "data" / "kitti" / "val" / "2011_09_26_drive_0001_sync" / "proj_depth"
    files = sorted((drive / "velodyne_raw").rglob("*.png"))
    assert len(files) == 24
    return [(cropped(path), cropped(drive / "groundtruth" / path.relative_to(drive / "velodyne_raw"))) for path in files]


# Measured before with other code on the same frames; the morphological one is the published IP-Basic (fast, Gaussian).
@pytest.mark.parametrize(
    "method, rmse_mm, mae_mm", [(Nearest(), 1325, 351), (Linear(), 1302, 301), (Morphological(), 1049, 267)]
)
def test_errors_on_real_frames(frames, method, rmse_mm, mae_mm):
    rmse, mae = [], []
    for sparse, truth in frames:
        valid = truth > 0
        error = 1000.0 * (np.clip(method(sparse), 0.9, 100).astype(np.float64) - truth)[valid]
        rmse.append(np.sqrt((error**2).mean()))
        mae.append(np.abs(error).mean())
    assert np.mean(rmse) == pytest.approx(rmse_mm, rel=0.03)
    assert np.mean(mae) == pytest.approx(mae_mm, rel=0.03)
