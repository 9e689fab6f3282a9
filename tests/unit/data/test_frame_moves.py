"""Transforms against the pinhole camera: a point keeps its place in the camera frame whatever is done to its picture."""

import numpy as np
import pytest

from mtdc.data.transforms.bottom_crop import BottomCrop
from mtdc.data.transforms.random_crop import RandomCrop
from mtdc.data.transforms.random_depth_scale import RandomDepthScale
from mtdc.data.transforms.random_flip import RandomFlip
from mtdc.data.transforms.random_point_dropout import RandomPointDropout
from mtdc.data.transforms.resize import Resize
from mtdc.errors import ConfigError, DataError
from mtdc.structures import DEPTH, GRAY_IMAGE, IMAGE, NORMALS, SEMANTICS, SPARSE_DEPTH, Frame

K = np.array([[50.0, 0, 10.3], [0, 40.0, 6.7], [0, 0, 1]])


def frame_of(height, width, pixels=((3, 5),)):
    """Depth, class and normal at some pixels (row, column) and nowhere else."""
    depth = np.zeros((height, width), np.float32)
    normals = np.zeros((height, width, 3), np.float32)
    labels = np.full((height, width), 255)
    for i, (row, column) in enumerate(pixels):
        depth[row, column], normals[row, column], labels[row, column] = 10 + i, (0.6, 0, -0.8), i
    image = np.random.default_rng(0).uniform(0, 255, (height, width, 3)).astype(np.float32)
    maps = {"sparse_depth": depth, "image": image, "gt_depth": depth.copy(), "gt_normals": normals, "gt_semantics": labels}
    fields = {"sparse_depth": SPARSE_DEPTH, "image": IMAGE, "gt_depth": DEPTH, "gt_normals": NORMALS, "gt_semantics": SEMANTICS}
    return Frame(maps, fields, K.copy(), {"sample_id": "first"})


def points(frame):
    """Camera points of all depth pixels, by the class that was written with them: X = (u - cx) / fx * d."""
    found = {}
    for row, column in np.argwhere(frame.maps["sparse_depth"]):
        d = frame.maps["sparse_depth"][row, column]
        k = frame.intrinsics
        found[int(frame.maps["gt_semantics"][row, column])] = (
            (column - k[0, 2]) / k[0, 0] * d,
            (row - k[1, 2]) / k[1, 1] * d,
            d,
        )
    return found


def generator(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize(
    ("size", "left", "top"),
    [((375, 1242), 13, 23), ((376, 1241), 12, 24), ((374, 1238), 11, 22), ((370, 1226), 5, 18), ((370, 1224), 4, 18)],
)
def test_the_crop_of_every_recording_day(size, left, top):
    before = frame_of(*size, pixels=((size[0] - 1, left), (top, left + 1215)))
    after = BottomCrop(352, 1216)(before, generator())
    assert after.size == (352, 1216) and after.meta["crop_xywh"] == (left, top, 1216, 352)
    assert after.maps["sparse_depth"][351, 0] == 10 and after.maps["sparse_depth"][0, 1215] == 11
    np.testing.assert_allclose(after.intrinsics[:2, 2], (10.3 - left, 6.7 - top))
    for label, point in points(before).items():
        np.testing.assert_allclose(points(after)[label], point, rtol=1e-6)


def test_a_crop_that_does_not_fit_names_the_frame():
    with pytest.raises(DataError, match=r"first.*20x10.*21x10"):
        BottomCrop(10, 21)(frame_of(10, 20), generator())
    with pytest.raises(ValueError, match="at least 1"):
        BottomCrop(0, 5)


def test_the_flip_mirrors_points_and_normals():
    before = frame_of(11, 18, pixels=((3, 5), (7, 0), (2, 17)))
    after = RandomFlip(1.0)(before, generator())
    assert after.meta["flip"] is True and after.maps["sparse_depth"][3, 12] == 10
    np.testing.assert_allclose(after.maps["gt_normals"][3, 12], (-0.6, 0, -0.8))
    np.testing.assert_array_equal(after.maps["image"], before.maps["image"][:, ::-1])
    for label, (x, y, z) in points(before).items():
        np.testing.assert_allclose(points(after)[label], (-x, y, z), rtol=1e-6)
    twice = RandomFlip(1.0)(after, generator())
    assert twice.meta["flip"] is False
    np.testing.assert_array_equal(twice.maps["gt_normals"], before.maps["gt_normals"])
    np.testing.assert_allclose(twice.intrinsics, K)


def test_the_flip_has_its_probability():
    frame, rng = frame_of(4, 6), generator()
    flips = sum(RandomFlip(0.25)(frame, rng).meta.get("flip", False) for _ in range(2000))
    assert 430 < flips < 570  # 500 expected, standard deviation 19
    assert RandomFlip(0.0)(frame, rng).meta.get("flip", False) is False
    with pytest.raises(ValueError, match="0\\.\\.1"):
        RandomFlip(1.5)


def test_enlarging_keeps_points_at_pixel_centres():
    before = frame_of(7, 9, pixels=((3, 5), (6, 0)))
    after = Resize(scale=3)(before, generator())
    assert after.size == (21, 27) and after.meta["scale"] == (3.0, 3.0)
    # Each stored pixel is now 3 x 3; the centre one of the nine looks along the same ray.
    assert np.count_nonzero(after.maps["sparse_depth"]) == 18
    assert after.maps["sparse_depth"][10, 16] == 10
    k = after.intrinsics
    np.testing.assert_allclose(
        ((16 - k[0, 2]) / k[0, 0], (10 - k[1, 2]) / k[1, 1]), ((5 - 10.3) / 50, (3 - 6.7) / 40), rtol=1e-12
    )


def test_shrinking_by_an_odd_factor_keeps_the_centre_pixel():
    before = frame_of(9, 15, pixels=((4, 7), (0, 0)))
    after = Resize(height=3, width=5)(before, generator())
    assert np.argwhere(after.maps["sparse_depth"]).tolist() == [[1, 2]]
    for x, y in zip(points(after)[0], points(before)[0], strict=True):
        assert x == pytest.approx(y)
    np.testing.assert_allclose(after.maps["image"][1, 2], before.maps["image"][3:6, 6:9].mean(axis=(0, 1)), rtol=1e-5)
    assert set(np.unique(after.maps["gt_semantics"])) <= {0, 255}


def test_a_missing_photo_stays_missing_in_every_size():
    frame = Frame({"gt_image": GRAY_IMAGE.empty(13, 17)}, {"gt_image": GRAY_IMAGE})
    half = frame.maps["gt_image"].copy()
    half[:, 9:] = 100
    for size in ((5, 7), (31, 40)):
        assert np.unique(Resize(height=size[0], width=size[1])(frame, generator()).maps["gt_image"]).tolist() == [-1]
        mixed = Resize(height=size[0], width=size[1])(Frame({"gt_image": half}, frame.fields), generator())
        values = np.unique(mixed.maps["gt_image"])
        assert values[0] == -1 and values.size > 1
        np.testing.assert_allclose(values[1:], 100, rtol=1e-5)


@pytest.mark.parametrize("arguments", [{}, {"scale": 2, "height": 3, "width": 4}, {"height": 3}, {"scale": -1.0}, {"scale": 0}])
def test_resize_says_what_it_wants(arguments):
    with pytest.raises(ValueError, match=r"either scale or both|positive"):
        Resize(**arguments)


def test_the_view_in_metainfo_leads_back_to_the_stored_frame():
    """crop_xywh, scale and flip alone tell which stored pixel a pixel of the final frame shows."""
    rng = np.random.default_rng(3)
    stored = np.arange(30 * 50, dtype=np.float32).reshape(30, 50) + 1
    frame = Frame({"gt_depth": stored}, {"gt_depth": DEPTH}, K.copy())
    steps = [
        BottomCrop(27, 45),
        RandomFlip(1.0),
        Resize(scale=3),
        BottomCrop(60, 90),
        RandomFlip(0.5),
        Resize(height=20, width=30),
    ]
    for step in steps:
        frame = step(frame, rng)
        (x, y, w, h), (sx, sy) = frame.meta["crop_xywh"], frame.meta["scale"]
        height, width = frame.size
        assert (w * sx, h * sy) == pytest.approx((width, height)) and frame.meta["ori_shape"] == (30, 50)
        for row, column in ((0, 0), (height - 1, 0), (height // 2, width - 1)):
            across = width - 1 - column if frame.meta["flip"] else column
            u, v = x + (across + 0.5) / sx - 0.5, y + (row + 0.5) / sy - 0.5
            assert frame.maps["gt_depth"][row, column] == stored[round(v), round(u)]
            # The intrinsics say the same: the stored pixel's ray, mirrored where the frame is.
            ray = (column - frame.intrinsics[0, 2]) / frame.intrinsics[0, 0]
            assert (-ray if frame.meta["flip"] else ray) == pytest.approx((u - K[0, 2]) / K[0, 0])


def test_dropout_forgets_points_of_the_sparse_map_alone():
    depth = np.zeros((100, 100), np.float32)
    depth[::2] = 7
    maps = {"sparse_depth": depth, "gt_depth": depth.copy()}
    frame = Frame(maps, {"sparse_depth": SPARSE_DEPTH, "gt_depth": DEPTH})
    after = RandomPointDropout(0.3)(frame, generator())
    left = np.count_nonzero(after.maps["sparse_depth"])
    assert 3340 < left < 3660  # 3500 expected, standard deviation 32
    assert set(np.unique(after.maps["sparse_depth"])) == {0, 7} and not after.maps["sparse_depth"][1::2].any()
    assert np.count_nonzero(after.maps["gt_depth"]) == np.count_nonzero(frame.maps["sparse_depth"]) == 5000
    assert not RandomPointDropout(1.0)(frame, generator()).maps["sparse_depth"].any()
    np.testing.assert_array_equal(RandomPointDropout(0.0)(frame, generator()).maps["sparse_depth"], depth)
    with pytest.raises(ConfigError, match="sparse_depth"):
        RandomPointDropout(0.5)(Frame({"gt_depth": depth}, {"gt_depth": DEPTH}), generator())


def test_only_some_frames_lose_points_and_each_its_own_share():
    depth = np.ones((100, 100), np.float32)
    frame = Frame({"sparse_depth": depth}, {"sparse_depth": SPARSE_DEPTH})
    step = RandomPointDropout((0.2, 0.6), probability=0.5)
    kept = np.array([step(frame, generator(seed)).maps["sparse_depth"].mean() for seed in range(400)])
    whole = kept == 1
    # 400 draws at 0.5 lie within 0.1 of it, and 10,000 points within 0.03 of their frame's ratio, by four standard deviations.
    assert abs(whole.mean() - 0.5) < 0.1
    lost = 1 - kept[~whole]
    assert 0.17 < lost.min() < 0.25 and 0.55 < lost.max() < 0.63 and abs(lost.mean() - 0.4) < 0.04
    for ratio, probability in (((0.6, 0.2), 1), ((0, 1.5), 1), (0.5, 1.2), (-0.1, 1)):
        with pytest.raises(ValueError, match="must lie in 0..1"):
            RandomPointDropout(ratio, probability)


def test_random_crop_reaches_every_window_and_keeps_points():
    before = frame_of(6, 9, pixels=tuple((row, column) for row in range(6) for column in range(9)))
    corners = set()
    for seed in range(300):
        after = RandomCrop(4, 7)(before, generator(seed))
        assert after.size == (4, 7)
        corners.add(after.meta["crop_xywh"][:2])
        expected = points(before)
        for label, point in points(after).items():
            np.testing.assert_allclose(point, expected[label], rtol=1e-6)
    assert corners == {(left, top) for left in range(3) for top in range(3)}
    with pytest.raises(DataError, match="frame first is 9x6 .* smaller than RandomCrop's 10x6"):
        RandomCrop(6, 10)(before, generator())


def test_a_larger_world_moves_points_along_their_rays():
    before = frame_of(24, 36, pixels=((3, 5), (20, 30)))
    factors = []
    for seed in range(50):
        after = RandomDepthScale((0.5, 2.0))(before, generator(seed))
        factor = after.maps["gt_depth"][3, 5] / 10
        factors.append(factor)
        for label, point in points(before).items():
            np.testing.assert_allclose(points(after)[label], np.multiply(point, factor), rtol=1e-5)
        np.testing.assert_array_equal(after.maps["gt_depth"] > 0, before.maps["gt_depth"] > 0)
        for key in ("image", "gt_normals", "gt_semantics"):
            np.testing.assert_array_equal(after.maps[key], before.maps[key])
    assert 0.5 <= min(factors) < 0.6 and 1.7 < max(factors) <= 2 and 0.3 < np.mean(np.array(factors) < 1) < 0.7
    for factor in ((0, 1), (2, 1), (-1, 1)):
        with pytest.raises(ValueError, match="factor must be"):
            RandomDepthScale(factor)
