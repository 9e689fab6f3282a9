"""Zoom and rotation: what the pixels show in space is compared before and after, through K."""

import numpy as np
import pytest

from mtdc.data.transforms.random_depth_scale import RandomDepthScale
from mtdc.data.transforms.random_rotation import RandomRotation
from mtdc.data.transforms.random_zoom import RandomZoom
from mtdc.errors import ConfigError, DataError
from mtdc.structures import DEPTH, IMAGE, NORMALS, SEMANTICS, SPARSE_DEPTH, Field, Frame

K = np.array([[90.0, 0, 44.3], [0, 80.0, 27.7], [0, 0, 1]])
NORMAL = np.array([0.3, -0.5, -0.8]) / np.linalg.norm([0.3, -0.5, -0.8])
DISTANCE = -4.0


def plane(height=61, width=97):
    """A slanted wall n . X = distance that every pixel sees, its normal, and in the photo the ray's slope in x."""
    rows, columns = np.mgrid[:height, :width]
    rays = np.stack(((columns - K[0, 2]) / K[0, 0], (rows - K[1, 2]) / K[1, 1], np.ones((height, width))), axis=2)
    depth = (DISTANCE / (rays @ NORMAL)).astype(np.float32)
    assert (depth > 0).all()
    sparse = np.where((rows + columns) % 3 == 0, depth, 0)
    image = np.repeat(100 + 100 * rays[..., :1], 3, axis=2).astype(np.float32)
    labels = (np.abs(rays[..., 0]) < 0.2).astype(np.int64)
    normals = np.broadcast_to(NORMAL, rays.shape).astype(np.float32)
    maps = {"sparse_depth": sparse, "image": image, "gt_depth": depth, "gt_normals": normals, "gt_semantics": labels}
    fields = {"sparse_depth": SPARSE_DEPTH, "image": IMAGE, "gt_depth": DEPTH, "gt_normals": NORMALS, "gt_semantics": SEMANTICS}
    return Frame(maps, fields, K.copy(), {"sample_id": "wall"})


def space(frame, key="gt_depth"):
    """Where a map's pixels lie: x = (u - cx) / fx d, ..., of known pixels alone."""
    depth, k = frame.maps[key].astype(float), frame.intrinsics
    rows, columns = np.nonzero(depth)
    d = depth[rows, columns]
    return np.stack(((columns - k[0, 2]) / k[0, 0] * d, (rows - k[1, 2]) / k[1, 1] * d, d), axis=1), (rows, columns)


@pytest.mark.parametrize("divide", [True, False])
@pytest.mark.parametrize("factor", [1.0, 1.37, 2.0])
def test_a_zoom_keeps_the_shape_of_the_world(factor, divide):
    before = plane()
    after = RandomZoom(factor, divide_depth=divide)(before, np.random.default_rng(3))
    assert after.size == before.size
    size = 1 / factor if divide else 1.0
    for key in ("gt_depth", "sparse_depth"):
        points, _ = space(after, key)
        # The wall: n . X = distance, smaller by the factor. Half a stored pixel of rounding is 0.5 / 80 of the depth.
        off = points @ NORMAL - DISTANCE * size
        assert np.abs(off).max() < 0.5 / 80 * 2 * points[:, 2].max() * size + 1e-5
        assert abs(off.mean()) < 0.02 * size
    np.testing.assert_array_equal(after.maps["gt_normals"], before.maps["gt_normals"])
    columns = np.arange(97)[None]
    slope = (columns - after.intrinsics[0, 2]) / after.intrinsics[0, 0]
    inner = (slice(2, -2), slice(2, -2))
    assert np.abs(after.maps["image"][..., 0] - (100 + 100 * slope))[inner].max() < 0.6
    assert (after.maps["gt_semantics"] == (np.abs(slope) < 0.2)).mean() > 0.97


def test_zooms_reach_all_factors_and_windows():
    found = [RandomZoom((1, 2))(plane(), np.random.default_rng(seed)) for seed in range(60)]
    focal = np.array([frame.intrinsics[0, 0] for frame in found]) / 90
    assert 1 <= focal.min() < 1.1 and 1.9 < focal.max() <= 2.01
    assert len({frame.meta["crop_xywh"][:2] for frame in found}) > 40
    for scale in (0.9, (2, 1), (1, 2, 3)):
        with pytest.raises(ValueError, match="scale must be at least 1"):
            RandomZoom(scale)


@pytest.mark.parametrize("seed", range(4))
def test_a_rotation_rolls_the_world_about_the_axis(seed):
    before = plane()
    after = RandomRotation(20.0)(before, np.random.default_rng(seed))
    angle = np.radians(after.meta["rotation_deg"])
    assert 0 < abs(angle) <= np.radians(20) and after.size == before.size
    np.testing.assert_array_equal(after.intrinsics, K)
    c, s = np.cos(angle), np.sin(angle)
    normal = np.array([c * NORMAL[0] - s * NORMAL[1], s * NORMAL[0] + c * NORMAL[1], NORMAL[2]])
    points, (rows, columns) = space(after)
    assert 0.5 * after.maps["gt_depth"].size < len(points) <= after.maps["gt_depth"].size
    off = points @ normal - DISTANCE
    assert np.abs(off).max() < 0.75 / 80 * points[:, 2].max() and abs(off.mean()) < 0.005
    np.testing.assert_allclose(after.maps["gt_normals"][rows, columns], np.broadcast_to(normal, points.shape), atol=1e-6)
    # Unrolled, a pixel has its own slope in x again: that is what the photo and the labels hold.
    x, y = points[:, 0] / points[:, 2], points[:, 1] / points[:, 2]
    slope = c * x + s * y
    assert np.percentile(np.abs(after.maps["image"][rows, columns, 0] - (100 + 100 * slope)), 98) < 0.6
    assert (after.maps["gt_semantics"][rows, columns] == (np.abs(slope) < 0.2)).mean() > 0.96
    outside = after.maps["gt_depth"] == 0
    assert (after.maps["gt_semantics"][outside] == 255).all() and not after.maps["gt_normals"][outside].any()
    assert not after.maps["image"][outside].any() and not after.maps["sparse_depth"][outside].any()


def test_what_can_not_be_kept_consistent_is_refused():
    frame = plane()
    frame.intrinsics = None
    with pytest.raises(DataError, match="wall has no known intrinsics, and RandomRotation"):
        RandomRotation()(frame, np.random.default_rng(0))
    odd = Field("far", unknown=-1, kind="depth")
    frame.maps["gt_far"], frame.fields["gt_far"] = odd.empty(61, 97), odd
    for step in (RandomDepthScale(), RandomZoom()):
        with pytest.raises(ConfigError, match=r"can't scale 'gt_far', whose unknown is -1"):
            step(frame, np.random.default_rng(0))
    with pytest.raises(ValueError, match=r"0\.\.45"):
        RandomRotation(90)
