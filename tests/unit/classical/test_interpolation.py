"""Natural neighbour, normalised convolution and the multi-scale morphology against answers worked out otherwise."""

import numpy as np
import pytest
from scipy.spatial import ConvexHull, Voronoi

from mtdc.classical.multi_scale_morphological import MultiScaleMorphological
from mtdc.classical.natural_neighbor import NaturalNeighbor
from mtdc.classical.normalized_gaussian import NormalizedGaussian


def sparse_of(dense, density, seed=0):
    return np.where(np.random.default_rng(seed).random(dense.shape) < density, dense, 0).astype(np.float32)


# ---- Natural neighbour


def cell_area(points, site):
    """Area of a site's bounded Voronoi cell."""
    diagram = Voronoi(points)
    region = diagram.regions[diagram.point_region[site]]
    assert region and -1 not in region
    return ConvexHull(diagram.vertices[region]).volume


def sibson(points, values, pixel):
    """Exact: what each cell loses when the pixel is added; it is so far inside that no cell near it reaches infinity."""
    distance = np.hypot(*(points - pixel).T)
    near = [site for site in np.argsort(distance) if distance[site] < 80]
    lost = {site: cell_area(points, site) - cell_area(np.vstack((points, [pixel])), site) for site in near}
    total = sum(lost.values())
    assert total == pytest.approx(cell_area(np.vstack((points, [pixel])), len(points)))
    return sum(area * values[site] for site, area in lost.items()) / total


@pytest.mark.parametrize("jitter", [0, 7])
def test_natural_neighbor_weighs_by_the_area_that_voronoi_cells_lose(jitter):
    generator = np.random.default_rng(3)
    # An odd spacing: the borders between cells fall between pixels.
    lines = np.arange(12, 250, 25)
    grid = np.stack(np.meshgrid(lines, lines, indexing="ij"), axis=-1).reshape(-1, 2)
    points = grid + generator.integers(-jitter, jitter + 1, grid.shape)
    values = generator.uniform(2, 20, len(points))
    sparse = np.zeros((250, 250), dtype=np.float32)
    sparse[tuple(points.T)] = values
    answer = NaturalNeighbor()(sparse)
    spread = values.max() - values.min()
    for pixel in generator.integers(105, 135, (12, 2)):
        if sparse[tuple(pixel)] == 0:
            assert answer[tuple(pixel)] == pytest.approx(sibson(points, values, pixel), abs=0.03 * spread)


def test_natural_neighbor_in_the_middle_of_four_is_their_mean():
    sparse = np.zeros((41, 41), dtype=np.float32)
    sparse[0, 0], sparse[0, 40], sparse[40, 0], sparse[40, 40] = 1, 2, 4, 9
    assert NaturalNeighbor()(sparse)[20, 20] == pytest.approx(4, rel=0.05)


def test_natural_neighbor_on_a_row_follows_the_lengths_that_cells_lose():
    """Points at 0 and 8 of one row: a point at 3 takes columns 2..3 from the left cell and 5 from the right; 4 is shared."""
    sparse = np.zeros((1, 9), dtype=np.float32)
    sparse[0, 0], sparse[0, 8] = 10.0, 20.0
    answer = NaturalNeighbor()(sparse)[0, 3]
    low, high = (2 * 10 + 2 * 20) / 4, (3 * 10 + 1 * 20) / 4
    assert min(low, high) <= answer <= max(low, high)


def test_natural_neighbor_is_about_a_plane_inside_the_points():
    rows, columns = np.mgrid[0:90, 0:120]
    plane = 10 + 0.05 * rows + 0.08 * columns
    answer = NaturalNeighbor()(sparse_of(plane, 0.02))
    inside = (slice(20, -20), slice(20, -20))
    error = np.abs(answer - plane)[inside]
    assert error.mean() < 0.06
    assert error.max() < 0.6


def test_far_discs_are_sampled_and_still_right():
    """Two points 600 pixels apart: the border between them is where both count alike, and values rise from one to the other."""
    sparse = np.zeros((64, 700), dtype=np.float32)
    sparse[32, 50], sparse[32, 650] = 10.0, 20.0
    answer = NaturalNeighbor()(sparse)
    assert answer[32, 350] == pytest.approx(15, abs=0.3)
    assert np.diff(answer[32, 60:640:20]).min() > -0.05
    assert answer[32, 150] < 13 < 17 < answer[32, 550]


# ---- Normalised convolution


def test_normalized_gaussian_is_the_weighed_mean_of_all_points_in_reach():
    sparse = sparse_of(np.random.default_rng(5).uniform(2, 50, (25, 33)), 0.2)
    answer = NormalizedGaussian(sigma=2)(sparse)
    points, values = np.argwhere(sparse > 0), sparse[sparse > 0].astype(np.float64)
    for pixel in [(0, 0), (12, 16), (24, 32), (3, 30), (20, 1)]:
        offset = np.abs(points - pixel)
        # The window is a square of three standard deviations.
        weight = np.exp(-(offset**2).sum(axis=1) / (2 * 2**2)) * (offset <= 6).all(axis=1)
        assert answer[pixel] == pytest.approx((weight * values).sum() / weight.sum(), rel=1e-6)


def test_normalized_gaussian_doubles_its_scale_where_it_sees_nothing():
    sparse = np.zeros((1, 30), dtype=np.float32)
    sparse[0, 0], sparse[0, 10] = 10.0, 20.0
    answer = NormalizedGaussian(sigma=1)(sparse)[0]
    assert answer[3] == pytest.approx(10)
    # Standard deviation 2 sees both points from column 5, from column 14 on the second alone.
    near, far = np.exp(-(5**2) / 8), np.exp(-(5**2) / 8)
    assert answer[5] == pytest.approx((10 * near + 20 * far) / (near + far))
    assert answer[14] == pytest.approx(20)
    # Column 22 is 12 away from the second and 22 from the first: only a standard deviation of 4 reaches, and only the second.
    assert answer[22] == pytest.approx(20)


@pytest.mark.parametrize("sigma", [0, -1, float("nan"), float("inf")])
def test_impossible_sigma_is_refused(sigma):
    with pytest.raises(ValueError, match="sigma"):
        NormalizedGaussian(sigma=sigma)


def test_a_mirrored_map_is_completed_to_the_mirrored_answer():
    sparse = sparse_of(np.random.default_rng(5).uniform(2, 50, (45, 63)), 0.1)
    gaussian, multi_scale = NormalizedGaussian(), MultiScaleMorphological()
    assert gaussian(sparse[:, ::-1]) == pytest.approx(gaussian(sparse)[:, ::-1], rel=1e-6)
    assert gaussian(sparse[::-1]) == pytest.approx(gaussian(sparse)[::-1], rel=1e-6)
    assert multi_scale(sparse[:, ::-1]) == pytest.approx(multi_scale(sparse)[:, ::-1], rel=1e-4)


# ---- Multi-scale morphology


def test_a_bin_spreads_its_points_by_its_own_cross():
    method = MultiScaleMorphological(closing=1)
    sparse = np.zeros((31, 91), dtype=np.float32)
    sparse[15, 15], sparse[15, 45], sparse[15, 75] = 10.0, 20.0, 50.0
    spread = method._spread(sparse, sparse > 0)
    for column, arm in ((15, 3), (45, 2), (75, 1)):
        inverse = np.float32(1) / sparse[15, column]
        around = spread[:, column - 8 : column + 9]
        rows, columns = np.mgrid[-15:16, -8:9]
        expected = ((rows == 0) & (abs(columns) <= arm)) | ((columns == 0) & (abs(rows) <= arm))
        assert np.array_equal(around, np.where(expected, inverse, 0))


def test_limits_belong_to_the_nearer_bin_and_the_nearer_point_stands():
    method = MultiScaleMorphological(limits_m=(15.0,), windows=(5, 1))
    sparse = np.zeros((1, 9), dtype=np.float32)
    sparse[0, 3], sparse[0, 4] = 15.0, 16.0
    spread = method._spread(sparse, sparse > 0)[0]
    assert spread == pytest.approx([0, 1 / 15, 1 / 15, 1 / 15, 1 / 15, 1 / 15, 0, 0, 0])


def test_multi_scale_covers_background_seen_through_a_near_surface_and_keeps_edges():
    sparse = np.zeros((60, 80), dtype=np.float32)
    sparse[::3, ::3] = 5.0
    sparse[30, 40] = 60.0
    assert MultiScaleMorphological()(sparse) == pytest.approx(np.full(sparse.shape, 5.0), rel=1e-4)
    sparse[:, 42:] = np.where(sparse[:, 42:] > 0, 50.0, 0)
    answer = MultiScaleMorphological()(sparse)
    # A Gaussian would leave depths between the two; where they differ by 45 m, a bilateral filter of 0.5 m does not.
    assert ((answer < 5.1) | (answer > 49.9)).all()


@pytest.mark.parametrize("options, word", [
    ({"windows": (7, 5)}, "one size for each bin"), ({"limits_m": (30.0, 15.0)}, "rise"), ({"limits_m": (0.0, 15.0)}, "rise"),
    ({"windows": (7, 4, 3)}, "windows"), ({"closing": 2}, "closing"), ({"window": 1}, "window"), ({"sigma": 0}, "sigma"),
    ({"sigma_m": -1}, "sigma_m"), ({"limits_m": (float("nan"), 15.0)}, "rise"),
])  # fmt: skip
def test_impossible_sizes_of_the_multi_scale_fill_are_refused(options, word):
    with pytest.raises(ValueError, match=word):
        MultiScaleMorphological(**options)
