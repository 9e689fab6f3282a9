"""Paired bootstrap: against scipy's, and on numbers that can be seen through."""

import math

import numpy as np
import pytest
from scipy import stats

from mtdc.analysis.bootstrap import drives_of, groups_of, paired_differences


def model(values, names=None):
    return {name: float(value) for name, value in zip(names or map(str, range(len(values))), values, strict=True)}


def drives(drive, frames):
    return [f"2011_09_26_drive_{drive:04d}_sync_image_02_{frame:010d}" for frame in range(frames)]


def test_it_agrees_with_scipys():
    generator = np.random.default_rng(5)
    hard = generator.gamma(2, 400, 60)  # what both models share
    a, b = hard + generator.normal(0, 30, 60), hard + 12 + generator.normal(0, 30, 60)
    [found], drawn = paired_differences({"a": model(a), "b": model(b)}, [("a", "b")], seed=1)
    reference = stats.bootstrap(
        (a - b,), np.mean, n_resamples=20_000, method="percentile", random_state=np.random.default_rng(2)
    ).confidence_interval
    assert drawn == "frames" and found.mean == pytest.approx((a - b).mean())
    assert found.low == pytest.approx(reference.low, abs=0.4) and found.high == pytest.approx(reference.high, abs=0.4)
    # Unpaired, the frames' own spread of 560 mm would hide a difference of 12.
    assert found.high - found.low < 30


def test_what_is_real():
    values = {"a": model([1, 2, 3, 4]), "b": model([2, 3, 4, 5]), "c": model([2, 1, 4, 3])}
    differences, _ = paired_differences(values, [("a", "b"), ("b", "a"), ("a", "c"), ("a", "a")])
    assert [(one.mean, one.low, one.high, one.real) for one in differences[:2]] == [(-1, -1, -1, True), (1, 1, 1, True)]
    assert not differences[2].real and differences[2].low < 0 < differences[2].high
    assert (differences[3].low, differences[3].high, differences[3].real) == (0, 0, False)


def test_one_frame_says_nothing():
    [found], _ = paired_differences({"a": model([1]), "b": model([3])}, [("a", "b")])
    assert found.mean == -2 and math.isnan(found.low) and not found.real


def test_only_common_frames_are_compared():
    [found], _ = paired_differences({"a": model([1, 9], "xy"), "b": model([3, 5], "xz")}, [("a", "b")])
    assert found.mean == -2
    with pytest.raises(ValueError, match="no frame"):
        paired_differences({"a": model([1], "x"), "b": model([1], "y")}, [("a", "b")])


def test_drives_are_drawn_whole_where_there_are_enough():
    """Frames of one drive all differ alike: drawn one by one the interval would be far too narrow."""
    generator = np.random.default_rng(3)
    names = [name for drive in range(12) for name in drives(drive, 20)]
    by_drive = np.repeat(generator.normal(0, 10, 12), 20)
    [whole], drawn = paired_differences({"a": model(by_drive, names), "b": model(0 * by_drive, names)}, [("a", "b")])
    assert drawn == "drives"
    reference = stats.bootstrap((by_drive[::20],), np.mean, n_resamples=20_000, method="percentile", random_state=4)
    assert whole.low == pytest.approx(reference.confidence_interval.low, abs=0.5)
    assert whole.high == pytest.approx(reference.confidence_interval.high, abs=0.5)
    [single], drawn = paired_differences({"a": model(by_drive), "b": model(0 * by_drive)}, [("a", "b")])
    assert drawn == "frames" and single.high - single.low < 0.5 * (whole.high - whole.low)


def test_drives_of_unequal_length_keep_their_weight():
    names = [name for drive in range(10) for name in drives(drive, 1 + 9 * (drive == 0))]
    values = [float(name.startswith("2011_09_26_drive_0000")) for name in names]
    [found], _ = paired_differences({"a": model(values, names), "b": model([0] * len(values), names)}, [("a", "b")])
    assert found.mean == pytest.approx(10 / 19)


def test_few_drives_are_not_drawn():
    names = [name for drive in range(9) for name in drives(drive, 3)]
    groups, drawn = groups_of(names)
    assert drawn == "frames" and list(groups) == list(range(27))
    assert drives_of(["kitchen_0004_1", *names]) is None


def test_seeds_repeat():
    values = {"a": model(np.random.default_rng(7).normal(size=30)), "b": model(np.zeros(30))}
    first, again, other = (paired_differences(values, [("a", "b")], seed)[0][0] for seed in (0, 0, 1))
    assert first == again and (first.low, first.high) != (other.low, other.high)
