"""Every registered method without weights keeps the contract: each pixel answered, whatever is measured."""

import warnings

import numpy as np
import pytest
from support import named

from mtdc.errors import DataError
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


def photo(shape, seed=7):
    """RGB 0..255 of two plain surfaces with noise, so that edges, flat parts and texture are in it."""
    generator = np.random.default_rng(seed)
    image = generator.normal(0, 6, (*shape, 3)) + np.where(np.arange(shape[1]) < shape[1] // 2, 60, 170)[:, None]
    return image.clip(0, 255).astype(np.float32)


def answer(method, sparse, image=None):
    """What the network asks for: the photo goes to those alone that need it."""
    if "image" in method.needs:
        return method(sparse, photo(sparse.shape) if image is None else image)
    return method(sparse)


def complete(name, sparse, image=None):
    """The answer, after the checks that hold for each."""
    method, before = make(name), sparse.copy()
    image = photo(sparse.shape) if image is None else image
    image_before = image.copy()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        depth = answer(method, sparse, image)
    assert np.array_equal(sparse, before), "the input was changed"
    assert np.array_equal(image, image_before), "the image was changed"
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
    twice = answer(make(name), 2 * sparse) == pytest.approx(2 * answer(make(name), sparse), rel=1e-6)
    assert twice != make(name).knows_metres


@pytest.mark.parametrize("name", named(CLASSICAL))
def test_values_that_are_no_depth_count_as_not_measured(name):
    sparse = scene((45, 61), 0.05)
    holes = np.argwhere(sparse == 0)
    for value in (np.nan, -3.0, np.inf, -np.inf):
        spoilt = sparse.copy()
        spoilt[tuple(holes[::3].T)] = value
        assert np.array_equal(answer(make(name), spoilt), answer(make(name), sparse))
        assert not answer(make(name), np.full((5, 7), value, dtype=np.float32)).any()


@pytest.mark.parametrize("name", named(CLASSICAL))
def test_views_and_other_memory_orders_give_the_same(name):
    sparse = scene((45, 61), 0.05)
    expected = answer(make(name), sparse)
    wide = np.zeros((90, 70), dtype=np.float32)
    wide[::2, 5:66] = sparse
    planes = np.ascontiguousarray(photo(sparse.shape).transpose(2, 0, 1)).transpose(1, 2, 0)
    assert np.array_equal(answer(make(name), wide[::2, 5:66], planes), expected)
    assert np.array_equal(answer(make(name), np.asfortranarray(sparse)), expected)


@pytest.mark.parametrize("name", named(CLASSICAL))
def test_calls_leave_no_state(name):
    method = make(name)
    first = answer(method, scene((45, 61), 0.05))
    answer(method, scene((20, 33), 0.3, seed=1))
    assert np.array_equal(answer(method, scene((45, 61), 0.05)), first)


@pytest.mark.parametrize("name", named(CLASSICAL))
def test_the_photo_matters_to_those_that_need_it_and_may_be_plain(name):
    sparse = scene((45, 61), 0.05)
    for value in (0.0, 255.0):
        complete(name, sparse, np.full((45, 61, 3), value, dtype=np.float32))
    same = np.array_equal(complete(name, sparse), complete(name, sparse, photo(sparse.shape)[:, ::-1].copy()))
    assert same == ("image" not in make(name).needs)


@pytest.mark.parametrize("name", [name for name in named(CLASSICAL) if "image" in make(name).needs])
def test_a_missing_or_wrong_photo_is_said_in_one_line(name):
    sparse = scene((45, 61), 0.05)
    with pytest.raises(DataError, match=rf"^{name} needs the photo too, and there is none: give image=\(45, 61, 3\)"):
        make(name)(sparse)
    for shape in ((45, 61), (3, 45, 61), (45, 60, 3), (45, 61, 4)):
        with pytest.raises(DataError, match=rf"^{name}: image must be \(45, 61, 3\)"):
            make(name)(sparse, np.zeros(shape, dtype=np.float32))
