"""Methods that read the photo, and total generalised variation, against slow loops and dense solutions."""

import numpy as np
import pytest
import torch

from mtdc.classical.bilateral import Bilateral
from mtdc.classical.colorization import Colorization
from mtdc.classical.guided_filter import GuidedFilter
from mtdc.classical.total_generalized_variation import TotalGeneralizedVariation, _divergence, _gradient, _symmetric_gradient
from mtdc.contracts import Completion
from mtdc.errors import ConfigError, DataError
from mtdc.networks.classical import ClassicalNetwork


def sparse_of(dense, density, seed=0):
    return np.where(np.random.default_rng(seed).random(dense.shape) < density, dense, 0).astype(np.float32)


def gray_image(gray):
    """``(H, W)`` in 0..1 as RGB 0..255."""
    return np.repeat((255 * gray)[..., None], 3, axis=2).astype(np.float32)


def random_scene(shape, density, seed=0):
    generator = np.random.default_rng(seed)
    return sparse_of(generator.uniform(2, 50, shape), density, seed + 1), generator.random(shape)


# ---- Colorization


def dense_colorization(sparse, gray):
    """Pixel by pixel after the paper's equation, solved with a dense matrix."""
    height, width = sparse.shape
    matrix, right = np.eye(sparse.size), sparse.ravel().astype(np.float64).copy()
    for row, column in np.argwhere(sparse == 0):
        rows, columns = range(max(row - 1, 0), min(row + 2, height)), range(max(column - 1, 0), min(column + 2, width))
        window = [(y, x) for y in rows for x in columns]
        around = [pixel for pixel in window if pixel != (row, column)]
        squared = np.array([(gray[pixel] - gray[row, column]) ** 2 for pixel in around])
        spread = max(0.6 * np.var([gray[pixel] for pixel in window]), -squared.min() / np.log(0.01), 2e-6)
        weights = np.exp(-squared / spread)
        for pixel, weight in zip(around, weights / weights.sum(), strict=True):
            matrix[row * width + column, pixel[0] * width + pixel[1]] = -weight
    return np.linalg.solve(matrix, right).reshape(sparse.shape)


@pytest.mark.parametrize("shape", [(7, 9), (1, 12), (12, 1), (31, 43)])
def test_colorization_is_the_solution_of_the_dense_system(shape):
    sparse, gray = random_scene(shape, 0.2)
    image = gray_image(gray)
    exact = dense_colorization(sparse, image.astype(np.float64) @ (np.array([0.299, 0.587, 0.114]) / 255))
    assert Colorization(tolerance=1e-10)(sparse, image) == pytest.approx(exact, rel=1e-4)


def test_colorization_ends_early_among_what_was_measured():
    sparse, gray = random_scene((60, 80), 0.01)
    rough, exact = (Colorization(iterations=count)(sparse, gray_image(gray)) for count in (1, 300))
    assert not np.allclose(rough, exact, rtol=1e-3)
    assert sparse[sparse > 0].min() <= rough.min() <= rough.max() <= sparse.max()


def test_colorization_spreads_depth_up_to_the_photos_edge():
    gray = np.where(np.arange(60) < 20, 0.2, 0.8) * np.ones((40, 1))
    sparse = np.zeros((40, 60), dtype=np.float32)
    sparse[20, 5], sparse[20, 55] = 3.0, 30.0
    answer = Colorization()(sparse, gray_image(gray))
    assert (answer[:, :20] < 5).all()
    assert (answer[:, 20:] > 25).all()


# ---- Guided filter


def slow_guided_filter(sparse, gray, radius, eps):
    """Window by window, as the equations stand; NaN where no window has a measured pixel."""
    total, count = np.zeros(sparse.shape), np.zeros(sparse.shape)
    for row, column in np.ndindex(sparse.shape):
        window = (slice(max(row - radius, 0), row + radius + 1), slice(max(column - radius, 0), column + radius + 1))
        inside = sparse[window] > 0
        if inside.any():
            guide, depth = gray[window][inside], sparse[window][inside].astype(np.float64)
            slope = np.mean((guide - guide.mean()) * (depth - depth.mean())) / (guide.var() + eps)
            total[window] += inside.sum() * (slope * gray[window] + depth.mean() - slope * guide.mean())
            count[window] += inside.sum()
    with np.errstate(invalid="ignore"):
        return total / count


def test_guided_filter_is_the_slow_loop():
    sparse, gray = random_scene((19, 27), 0.15)
    image = gray_image(gray)
    gray = image[..., 0].astype(np.float64) / 255
    known = sparse[sparse > 0]
    slow = slow_guided_filter(sparse, gray, 3, 0.01).clip(known.min(), known.max())
    assert np.isfinite(slow).all()
    assert GuidedFilter(radius=3, eps=0.01)(sparse, image) == pytest.approx(slow, rel=1e-5)


def test_guided_filter_doubles_its_radius_where_it_sees_nothing():
    sparse, gray = random_scene((21, 60), 0.3)
    sparse[:, 20:] = 0
    image = gray_image(gray)
    gray = image[..., 0].astype(np.float64) / 255
    known = sparse[sparse > 0]
    first, second = (slow_guided_filter(sparse, gray, radius, 0.01).clip(known.min(), known.max()) for radius in (4, 8))
    answer = GuidedFilter(radius=4, eps=0.01)(sparse, image)
    only_second = np.isnan(first) & np.isfinite(second)
    assert only_second.any()
    assert answer[only_second] == pytest.approx(second[only_second], rel=1e-5)
    assert answer[np.isfinite(first)] == pytest.approx(first[np.isfinite(first)], rel=1e-5)


def test_guided_filter_follows_a_photo_that_depth_is_linear_in():
    gray = np.random.default_rng(0).uniform(0.2, 0.8, (40, 50))
    image = gray_image(gray)
    depth = 5 + 10 * image[..., 0] / 255
    sparse = sparse_of(depth, 0.4)
    known = sparse[sparse > 0]
    answer = GuidedFilter(radius=4, eps=1e-8)(sparse, image)
    assert answer == pytest.approx(depth.clip(known.min(), known.max()), rel=1e-3)


# ---- Bilateral


def test_bilateral_averages_within_a_surface_of_the_photo_alone():
    generator = np.random.default_rng(4)
    left = np.arange(60) < 25
    sparse = sparse_of(np.where(left, 5.0, 40.0) * np.ones((50, 1)), 0.1)
    answer = Bilateral()(sparse, gray_image(np.where(left, 0.1, 0.9) + generator.normal(0, 0.01, (50, 60))).clip(0, 255))
    assert answer[:, left] == pytest.approx(np.full((50, 25), 5.0), rel=1e-3)
    assert answer[:, ~left] == pytest.approx(np.full((50, 35), 40.0), rel=1e-3)
    blind = Bilateral()(sparse, gray_image(np.full((50, 60), 0.5)))
    assert ((blind > 6) & (blind < 39)).any(), "without the edge both surfaces are averaged"


def test_bilateral_is_about_the_weighed_mean_of_all_points():
    rows, columns = np.mgrid[0:60, 0:70]
    gray = 0.5 + 0.3 * np.sin(rows / 15) * np.cos(columns / 17)
    sparse = sparse_of(10 + 0.1 * rows + 0.2 * columns + 5 * gray, 0.3)
    answer = Bilateral(sigma=4, sigma_gray=0.1)(sparse, gray_image(gray))
    points, values = np.argwhere(sparse > 0), sparse[sparse > 0].astype(np.float64)
    # Each linear weight, to the grid and from it, adds a variance of a sixth of a cell's square.
    widened = 1 + 2 / 6
    for pixel in [(10, 10), (30, 35), (50, 60), (20, 50)]:
        near = ((points - pixel) ** 2).sum(axis=1) / 4**2 + (gray[tuple(points.T)] - gray[pixel]) ** 2 / 0.1**2
        weight = np.exp(-near / (2 * widened))
        assert answer[pixel] == pytest.approx((weight * values).sum() / weight.sum(), rel=0.02)


# ---- Total generalised variation


@pytest.mark.parametrize("photo", [False, True])
def test_a_plane_stays(photo):
    rows, columns = np.mgrid[0:30, 0:41]
    plane = (10 + 0.25 * rows - 0.125 * columns).astype(np.float32)
    sparse = np.where(np.random.default_rng(0).random(plane.shape) < 0.1, plane, 0)
    sparse[[0, 0, -1, -1], [0, -1, 0, -1]] = plane[[0, 0, -1, -1], [0, -1, 0, -1]]
    image = gray_image(np.random.default_rng(1).random(plane.shape))
    answer = TotalGeneralizedVariation(photo=photo)(sparse, image)
    assert answer == pytest.approx(plane, rel=1e-5)


def test_steps_of_the_solver_are_adjoint():
    generator = np.random.default_rng(0)
    for shape in ((6, 7), (1, 5), (5, 1), (1, 1)):
        u, p = generator.normal(size=shape), generator.normal(size=(2, *shape))
        assert (_gradient(u) * p).sum() == pytest.approx(-(u * _divergence(*p)).sum())
        v, q = generator.normal(size=(2, *shape)), generator.normal(size=(3, *shape))
        strain = _symmetric_gradient(v)
        product = (strain[:2] * q[:2]).sum() + 2 * (strain[2] * q[2]).sum()
        turned = np.stack((_divergence(q[0], q[2]), _divergence(q[2], q[1])))
        assert product == pytest.approx(-(v * turned).sum())


def test_many_steps_reach_the_same_from_two_starts():
    """The problem is convex: where it starts must not matter in the end, and a spike must be smoothed."""
    rows, columns = np.mgrid[0:12, 0:14]
    sparse = sparse_of(10 + 0.3 * rows + 0.2 * columns, 0.5)
    sparse[6, 7] = 30.0
    ends = [
        TotalGeneralizedVariation(iterations=6000, data=1.0, start={"type": start})(sparse) for start in ("Nearest", "Linear")
    ]
    assert ends[0] == pytest.approx(ends[1], rel=2e-3)
    assert ends[0][6, 7] < 20


def test_no_steps_give_the_start_and_the_start_may_need_the_photo():
    sparse, gray = random_scene((15, 17), 0.2)
    image = gray_image(gray)
    method = TotalGeneralizedVariation(iterations=0, start={"type": "Colorization"})
    assert method.needs == ("sparse_depth", "image")
    assert method(sparse, image) == pytest.approx(Colorization()(sparse, image), rel=1e-5)
    assert TotalGeneralizedVariation().needs == ("sparse_depth",)
    assert TotalGeneralizedVariation(photo=True).needs == ("sparse_depth", "image")
    with pytest.raises(DataError, match="needs the photo too"):
        TotalGeneralizedVariation(photo=True)(sparse)


def test_the_photos_edges_make_steps_cheap_there():
    gray = np.where(np.arange(40) < 23, 0.2, 0.8) * np.ones((30, 1))
    sparse = np.zeros((30, 40), dtype=np.float32)
    sparse[::3, 2:16:3], sparse[::3, 30::3] = 5.0, 10.0
    wide = {"alpha1": 0.1, "alpha0": 0.2, "iterations": 1500}
    seen = TotalGeneralizedVariation(photo=True, **wide)(sparse, gray_image(gray))
    blind = TotalGeneralizedVariation(**wide)(sparse)
    assert (seen[:, 23] - seen[:, 22]).mean() > 2 * (blind[:, 23] - blind[:, 22]).mean()


@pytest.mark.parametrize("method, options, word", [
    (TotalGeneralizedVariation, {"alpha0": 0}, "alpha0"), (TotalGeneralizedVariation, {"data": float("nan")}, "data"),
    (TotalGeneralizedVariation, {"iterations": -1}, "iterations"), (Colorization, {"tolerance": 0}, "tolerance"),
    (Colorization, {"iterations": 0}, "iterations"), (GuidedFilter, {"radius": 0}, "radius"), (GuidedFilter, {"eps": 0}, "eps"),
    (Bilateral, {"sigma": 1}, "sigma"), (Bilateral, {"sigma_gray": 0.001}, "sigma_gray"),
])  # fmt: skip
def test_impossible_values_are_refused(method, options, word):
    with pytest.raises(ValueError, match=word):
        method(**options)


# ---- In the network


class Photo(Completion):
    """The photo's red channel as metres."""

    keeps_measured = False
    needs = ("sparse_depth", "image")

    def __call__(self, sparse_depth, image=None):
        return image[..., 0]


class Camera(Photo):
    needs = ("sparse_depth", "intrinsics")


def test_the_network_hands_each_frame_its_own_photo_channels_last():
    network = ClassicalNetwork(method=Photo())
    assert network.needs == ("sparse_depth", "image")
    image = torch.rand(2, 3, 5, 7) * 255
    assert torch.equal(network({"sparse_depth": torch.ones(2, 1, 5, 7), "image": image})["depth"], image[:, :1])


def test_the_network_asks_for_no_photo_where_the_method_needs_none_and_refuses_other_needs():
    network = ClassicalNetwork(method={"type": "Nearest"})
    assert network.needs == ("sparse_depth",)
    inputs = {"sparse_depth": torch.ones(1, 1, 5, 7), "image": torch.zeros(1, 3, 5, 7)}
    assert torch.equal(network(inputs)["depth"], torch.ones(1, 1, 5, 7))
    with pytest.raises(DataError, match="GuidedFilter needs the photo too"):
        ClassicalNetwork(method={"type": "GuidedFilter"})({"sparse_depth": torch.ones(1, 1, 5, 7)})
    with pytest.raises(ConfigError, match="Camera.*needs 'intrinsics'"):
        ClassicalNetwork(method=Camera())
