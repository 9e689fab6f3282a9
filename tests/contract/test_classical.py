"""Every registered method without weights keeps the contract: each pixel answered, whatever is measured."""

import warnings

import numpy as np
import pytest
from support import named

from mtdc.registry import CLASSICAL, build

SHAPES = ((1, 1), (1, 9), (9, 1), (2, 3), (37, 53), (64, 96))


def make(name):
    return build(CLASSICAL, {"type": name}, "method")


def scene(shape, density, seed=0):
    """Sparse metres of a rough surface."""
    generator = np.random.default_rng(seed)
    depth = generator.uniform(2, 80, shape) * (generator.random(shape) < density)
    return depth.astype(np.float32)


def points(shape, *pixels):
    depth = np.zeros(shape, dtype=np.float32)
    for number, pixel in enumerate(pixels):
        depth[pixel] = 5.0 + 3.0 * number
    return depth


def complete(name, sparse):
    """The answer, after the checks that hold for each."""
    method, before = make(name), sparse.copy()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        depth = method(sparse)
    assert np.array_equal(sparse, before), "the input was changed"
    assert depth.shape == sparse.shape
    assert depth.dtype == np.float32
    assert np.isfinite(depth).all()
    measured = sparse > 0
    if measured.any():
        # Answers lie among what was measured (up to float32), so each pixel is answered.
        assert depth.min() >= sparse[measured].min() * (1 - 1e-5)
        assert depth.max() <= sparse[measured].max() * (1 + 1e-5)
    if method.keeps_measured:
        assert np.array_equal(depth[measured], sparse[measured])
    return depth


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", named(CLASSICAL))
def test_every_pixel_is_answered_at_any_size_and_density(name, shape):
    for density in (0.005, 0.04, 0.4, 1.0):
        complete(name, scene(shape, density))


@pytest.mark.parametrize("name", named(CLASSICAL))
def test_empty_map_gives_zeros(name):
    assert not complete(name, np.zeros((7, 9), dtype=np.float32)).any()


@pytest.mark.parametrize("name", named(CLASSICAL))
@pytest.mark.parametrize("pixels", [
    [(3, 200)],
    [(0, 0)],
    [(3, 2), (30, 290)],
    [(3, 2), (3, 100), (3, 290)],
    [(3, 7), (13, 7), (33, 7)],
    [(3, 3), (13, 13), (33, 33)],
    [(3, 2), (30, 290), (17, 50)],
    [(3, 3), (13, 13), (23, 23), (33, 33)],
])  # fmt: skip
def test_few_points_and_points_on_a_line(name, pixels):
    depth = complete(name, points((37, 301), *pixels))
    if len(pixels) == 1:
        assert depth == pytest.approx(np.full((37, 301), 5.0), rel=1e-6)


@pytest.mark.parametrize("name", named(CLASSICAL))
def test_constant_map_stays_constant(name):
    sparse = np.where(scene((45, 61), 0.05) > 0, 7.25, 0).astype(np.float32)
    assert complete(name, sparse) == pytest.approx(np.full(sparse.shape, 7.25), rel=1e-6)


@pytest.mark.parametrize("name", named(CLASSICAL))
def test_twice_the_depth_gives_twice_the_answer(name):
    sparse = scene((45, 61), 0.05)
    assert make(name)(2 * sparse) == pytest.approx(2 * make(name)(sparse), rel=1e-6)


@pytest.mark.parametrize("name", named(CLASSICAL))
def test_values_that_are_no_depth_count_as_not_measured(name):
    sparse = scene((45, 61), 0.05)
    holes = np.argwhere(sparse == 0)
    for value in (np.nan, -3.0, np.inf, -np.inf):
        spoilt = sparse.copy()
        spoilt[tuple(holes[::3].T)] = value
        assert np.array_equal(make(name)(spoilt), make(name)(sparse))
        assert not make(name)(np.full((5, 7), value, dtype=np.float32)).any()


@pytest.mark.parametrize("name", named(CLASSICAL))
def test_views_and_other_memory_orders_give_the_same(name):
    sparse = scene((45, 61), 0.05)
    expected = make(name)(sparse)
    wide = np.zeros((90, 70), dtype=np.float32)
    wide[::2, 5:66] = sparse
    assert np.array_equal(make(name)(wide[::2, 5:66]), expected)
    assert np.array_equal(make(name)(np.asfortranarray(sparse)), expected)


@pytest.mark.parametrize("name", named(CLASSICAL))
def test_calls_leave_no_state(name):
    method = make(name)
    first = method(scene((45, 61), 0.05))
    method(scene((20, 33), 0.3, seed=1))
    assert np.array_equal(method(scene((45, 61), 0.05)), first)
