"""Every registered transform keeps the contract."""

import copy

import numpy as np
import pytest

from mtdc.errors import DataError
from mtdc.registry import TRANSFORMS, build
from mtdc.structures import DEPTH, GRAY_IMAGE, IMAGE, NORMALS, SEMANTICS, SPARSE_DEPTH, Field, Frame, to_tensor

#: Arguments of transforms that can't be built without.
ARGUMENTS = {
    "BottomCrop": {"height": 17, "width": 31},
    "RandomCrop": {"height": 17, "width": 31},
    # Values that change are tested in tests/unit/data/test_frame_moves.py.
    "RandomDepthScale": {"factor": (1.0, 1.0)},
    "RandomFlip": {"probability": 1.0},
    "RandomPointDropout": {"ratio": 0.5},
    "Resize": {"height": 29, "width": 40},
    "RandomRotation": {"degrees": 0.0},
    "RandomZoom": {"scale": 1.0},
}
#: Transforms whose work is to change measured depths; what they make of them is tested in tests/unit/data/test_faults.py.
NEW_DEPTHS = ("Fog", "MoveSensor", "Rain", "SparseNoise", "SparseOutliers")
SIZES = ((24, 36), (19, 33))
ROWS = (DEPTH, GRAY_IMAGE, NORMALS, SEMANTICS, Field("sky", unknown=255))


def names():
    found = TRANSFORMS.names()
    assert found
    return found


def make(name):
    return build(TRANSFORMS, {"type": name, **ARGUMENTS.get(name, {})}, "transforms[0]")


def frame_of(size, intrinsics=True):
    rng = np.random.default_rng(7)
    fields = {"sparse_depth": SPARSE_DEPTH, "image": IMAGE} | {row.target_key: row for row in ROWS}
    maps = {key: row.empty(*size) for key, row in fields.items()}
    for array in maps.values():
        array[:] = rng.integers(0, 80, array.shape)
    maps["sparse_depth"][rng.random(size) < 0.8] = 0
    matrix = np.array([[60.0, 0, 15.25], [0, 58.0, 9.5], [0, 0, 1]]) if intrinsics else None
    return Frame(maps, fields, matrix, {"dataset": "made", "sample_id": "made_0"})


@pytest.mark.parametrize("name", names())
@pytest.mark.parametrize("size", SIZES)
def test_maps_fields_and_intrinsics_stay_together(name, size):
    before = frame_of(size)
    after = make(name)(before, np.random.default_rng(0))
    assert after.maps.keys() == before.maps.keys() and after.fields == before.fields
    for key, array in after.maps.items():
        row = after.fields[key]
        assert array.shape == (after.size if row.channels == 1 else (*after.size, row.channels)), key
        assert array.dtype == before.maps[key].dtype, key
        assert to_tensor(array, row).dtype == row.dtype
        if key in make(name).gives:
            continue  # a target of its own making; tests/unit/data/test_hold_back.py looks at it
        if not row.interpolated and not (key == "sparse_depth" and name in NEW_DEPTHS):
            known = np.abs(before.maps[key]) if row.kind == "normals" else before.maps[key]
            values = np.abs(array) if row.kind == "normals" else array
            assert np.isin(values, np.append(known, row.unknown)).all(), f"{key} holds values that were not there"
    assert after.intrinsics.shape == (3, 3) and after.intrinsics.dtype == np.float64
    assert after.meta["sample_id"] == "made_0"


@pytest.mark.parametrize("name", names())
def test_every_map_moves_as_the_depth_does(name):
    before = frame_of(SIZES[1])
    before.maps["gt_sky"] = before.maps["gt_depth"].copy()
    before.maps["gt_semantics"] = before.maps["gt_depth"].astype(np.int64)
    after = make(name)(before, np.random.default_rng(0))
    if "gt_depth" not in make(name).gives:
        np.testing.assert_array_equal(after.maps["gt_sky"], after.maps["gt_depth"])
    np.testing.assert_array_equal(after.maps["gt_semantics"], after.maps["gt_sky"])


@pytest.mark.parametrize("name", names())
def test_intrinsics_follow_the_pixels(name):
    """The map holds its own rays, (u - cx) / fx and (v - cy) / fy: what the new intrinsics say must still stand there."""
    before = frame_of(SIZES[1])
    height, width = before.size
    k = before.intrinsics
    rows, columns = np.mgrid[0:height, 0:width]
    rays = np.stack(((columns - k[0, 2]) / k[0, 0], (rows - k[1, 2]) / k[1, 1], np.ones((height, width))), axis=2)
    before.maps["gt_normals"] = rays.astype(np.float32)
    after = make(name)(before, np.random.default_rng(0))
    if (after.maps["sparse_depth"].shape, after.maps["gt_depth"].tolist()) == (before.size, before.maps["gt_depth"].tolist()):
        np.testing.assert_array_equal(after.intrinsics, k)
        return
    rows, columns = np.mgrid[0 : after.size[0], 0 : after.size[1]]
    k = after.intrinsics
    expected = np.stack(((columns - k[0, 2]) / k[0, 0], (rows - k[1, 2]) / k[1, 1]), axis=2)
    # Nearest-pixel resizing is off by up to half a stored pixel.
    tolerance = 1e-6 if k[0, 0] == 60 and k[1, 1] == 58 else 0.51 / 58
    np.testing.assert_allclose(after.maps["gt_normals"][..., :2], expected, atol=tolerance)


@pytest.mark.parametrize("name", names())
def test_equal_generators_give_equal_frames(name):
    frames = [make(name)(frame_of(SIZES[1]), np.random.default_rng(5)) for _ in range(2)]
    for key in frames[0].maps:
        np.testing.assert_array_equal(frames[0].maps[key], frames[1].maps[key])
    np.testing.assert_array_equal(frames[0].intrinsics, frames[1].intrinsics)
    assert frames[0].meta == frames[1].meta


@pytest.mark.parametrize("name", names())
def test_the_frame_that_came_in_is_left_alone(name):
    frame = frame_of(SIZES[0])
    for array in (*frame.maps.values(), frame.intrinsics):
        array.flags.writeable = False
    meta = copy.deepcopy(frame.meta)
    kept = {key: array.copy() for key, array in frame.maps.items()}
    make(name)(frame, np.random.default_rng(0))
    assert frame.meta == meta and frame.size == SIZES[0]
    for key, array in kept.items():
        np.testing.assert_array_equal(frame.maps[key], array)


@pytest.mark.parametrize("name", names())
def test_a_frame_without_intrinsics_stays_without_or_is_refused_by_what_says_so(name):
    step, frame = make(name), frame_of(SIZES[0], intrinsics=False)
    if "intrinsics" in step.needs:
        with pytest.raises(DataError, match=f"frame made_0 has no known intrinsics, and {name} "):
            step(frame, np.random.default_rng(0))
    else:
        assert step(frame, np.random.default_rng(0)).intrinsics is None


@pytest.mark.parametrize("name", names())
def test_a_frame_without_any_point_passes(name):
    frame = frame_of(SIZES[1])
    frame.maps["sparse_depth"][:] = 0
    assert not make(name)(frame, np.random.default_rng(0)).maps["sparse_depth"].any()
