"""Points drawn from dense depth."""

import numpy as np
import pytest

from mtdc.errors import ConfigError
from mtdc.registry import TRANSFORMS, build
from mtdc.structures import DEPTH, SPARSE_DEPTH, Frame


def frame(name="0001", shape=(31, 47), holes=0.3):
    rng = np.random.default_rng(5)
    depth = np.where(rng.random(shape) < holes, 0, rng.uniform(1, 9, shape)).astype(np.float32)
    maps = {"sparse_depth": depth, "gt_depth": depth.copy()}
    return Frame(maps, {"sparse_depth": SPARSE_DEPTH, "gt_depth": DEPTH}, None, {"sample_id": name})


def drawn(seed=0, name="0001", holes=0.3, **options):
    transform = build(TRANSFORMS, {"type": "SamplePoints", **options}, "transforms[0]")
    return transform(frame(name, holes=holes), np.random.default_rng(seed)).maps["sparse_depth"]


def test_exactly_n_known_points_with_their_depth():
    whole = frame().maps["gt_depth"]
    for points in (1, 50, 500):
        sparse = drawn(points=points)
        assert (sparse > 0).sum() == points and (sparse[sparse > 0] == whole[sparse > 0]).all()
    assert ((drawn(points=5000) > 0) == (whole > 0)).all()


def test_the_frame_keeps_its_truth_and_its_input():
    given = frame()
    result = build(TRANSFORMS, {"type": "SamplePoints", "points": 9}, "t")(given, np.random.default_rng(0))
    assert (result.maps["gt_depth"] == given.maps["gt_depth"]).all()
    assert (given.maps["sparse_depth"] == given.maps["gt_depth"]).all()


def test_fixed_draws_follow_the_name_alone():
    assert (drawn(seed=1, fixed=True) == drawn(seed=2, fixed=True)).all()
    assert (drawn(name="0001", fixed=True) != drawn(name="0016", fixed=True)).any()
    assert (drawn(seed=1) != drawn(seed=2)).any() and (drawn(seed=1) == drawn(seed=1)).all()


def test_every_known_pixel_is_drawn_as_often_as_any_other():
    counts = sum((drawn(seed=seed, points=200) > 0).astype(int) for seed in range(400))
    known = frame().maps["gt_depth"] > 0
    expected = 400 * 200 / known.sum()
    assert (counts[~known] == 0).all()
    # Binomial: the variance is expected * (1 - share); 4 standard deviations of each sample variance around it.
    share = 200 / known.sum()
    assert counts[known].var() == pytest.approx(expected * (1 - share), rel=4 * np.sqrt(2 / known.sum()))


def test_a_range_draws_the_number_too():
    numbers = {int((drawn(seed=seed, points=(5, 8)) > 0).sum()) for seed in range(60)}
    assert numbers == {5, 6, 7, 8}


def test_a_logarithmic_range_draws_as_many_frames_below_its_geometric_mean_as_above():
    numbers = np.array([(drawn(seed=seed, points=(10, 1000), logarithmic=True) > 0).sum() for seed in range(300)])
    assert numbers.min() >= 10 and numbers.max() <= 1000 and numbers.min() < 15 and numbers.max() > 700
    assert abs((numbers < 100).mean() - 0.5) < 4 * 0.5 / np.sqrt(300)
    assert {int((drawn(seed=seed, points=(1, 2), logarithmic=True) > 0).sum()) for seed in range(40)} == {1, 2}


def test_what_can_not_be_is_refused():
    for points in (0, (3, 2)):
        with pytest.raises(ConfigError, match="points must be"):
            drawn(points=points)
    with pytest.raises(ConfigError, match="needs the input 'sparse_depth'"):
        build(TRANSFORMS, {"type": "SamplePoints"}, "t")(
            Frame({"gt_depth": np.ones((3, 3))}, {"gt_depth": DEPTH}), np.random.default_rng(0)
        )
