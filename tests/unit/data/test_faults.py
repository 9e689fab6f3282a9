"""Faults of the sparse depth against numbers worked out by hand, and a simulated scan whose beams are known."""

import numpy as np
import pytest

from mtdc.data.dataset import DepthDataset
from mtdc.data.transforms.drop_blobs import DropBlobs
from mtdc.data.transforms.feature_points import FeaturePoints
from mtdc.data.transforms.fog import Fog
from mtdc.data.transforms.lidar_lines import LidarLines
from mtdc.data.transforms.move_sensor import MoveSensor
from mtdc.data.transforms.rain import Rain
from mtdc.data.transforms.random_point_dropout import RandomPointDropout
from mtdc.data.transforms.see_through import SeeThrough
from mtdc.data.transforms.sparse_noise import SparseNoise
from mtdc.data.transforms.sparse_outliers import SparseOutliers
from mtdc.errors import ConfigError, DataError
from mtdc.structures import DEPTH, IMAGE, SPARSE_DEPTH, Frame

K = np.array([[721.5, 0, 609.6], [0, 721.5, 172.9], [0, 0, 1]])
SMALL_K = np.array([[100.0, 0, 40], [0, 100, 30], [0, 0, 1]])


def frame_of(sparse, intrinsics=SMALL_K, image=None):
    maps = {"sparse_depth": np.asarray(sparse, np.float32)}
    fields = {"sparse_depth": SPARSE_DEPTH}
    if image is not None:
        maps["image"], fields["image"] = image, IMAGE
    return Frame(maps, fields, intrinsics, {"sample_id": "made"})


def after(step, frame, seed=0):
    return step(frame, np.random.default_rng(seed)).maps["sparse_depth"]


class Flat(DepthDataset):
    """Frames of 10 m everywhere with the given names."""

    def __init__(self, frame_names, **more):
        super().__init__(**more)
        self.frame_names = frame_names

    def __len__(self):
        return len(self.frame_names)

    def sample_id(self, index):
        return self.frame_names[index]

    def load(self, index):
        maps = {key: np.full((20, 30), 10, np.float32) for key in self.rows}
        return Frame(maps, dict(self.rows), SMALL_K.copy() if self.wants_intrinsics else None)


STEPS = [
    {"type": "RandomPointDropout", "ratio": 0.5},
    {"type": "SparseNoise", "noise": 1.0},
    {"type": "DropBlobs", "blobs": 2, "radius": 3},
    {"type": "MoveSensor", "rotation": 1.0},
    {"type": "Fog", "visibility": 20},
]


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step["type"])
def test_a_fault_depends_on_the_name_of_the_frame_alone(step):
    names = ["a", "b", "c", "d"]
    whole, part = Flat(names, transforms=[step]), Flat(["d", "b"], transforms=[step])
    for number, name in enumerate(part.frame_names):
        of_part, of_whole = (data[i]["inputs"]["sparse_depth"] for data, i in ((part, number), (whole, names.index(name))))
        assert of_part.equal(of_whole)
    maps = [whole[i]["inputs"]["sparse_depth"] for i in range(4)]
    assert not maps[0].equal(maps[1]) and not maps[0].equal(whole[0, 1]["inputs"]["sparse_depth"])
    assert not maps[0].equal(Flat(names, transforms=[step], seed=1)[0]["inputs"]["sparse_depth"])
    assert "intrinsics" not in whole[0]["inputs"]


def scan(noise=0.01, size=(375, 1242)):
    """A street of ground and walls as KITTI's LiDAR sees it: the map, and of each pixel the beam that made it, -1 = none."""
    from mtdc.data.street.lidar import LidarOptions, beams, camera_from_sensor

    options = LidarOptions()
    elevation, height = (values.numpy()[:, None] for values in beams(options))
    turn = camera_from_sensor(options).numpy()
    azimuth = np.radians(np.arange(-45, 45, 0.1676))
    level, sine = np.cos(elevation), np.sin(elevation)
    rays = np.stack((level * np.sin(azimuth), np.broadcast_to(-sine, (64, azimuth.size)), level * np.cos(azimuth)), 2) @ turn.T
    right, above, behind = options.mount
    origins = np.array([right, -above, -behind]) + np.stack((0 * height, -height, 0 * height), 2) @ turn.T
    origins = np.broadcast_to(origins, rays.shape)
    reach = (1.65 - origins[..., 1]) / rays[..., 1]
    reach = np.where(reach > 0, reach, np.inf)
    for z, first, last in ((40, -50, 50), (12, -6, -2), (8, 2, 4.5), (20, -1, 1)):
        t = (z - origins[..., 2]) / rays[..., 2]
        x = origins[..., 0] + t * rays[..., 0]
        reach = np.where((x > first) & (x < last) & (t < reach), t, reach)
    reach = reach + np.random.default_rng(0).normal(0, noise, reach.shape)
    points = origins + reach[..., None] * rays
    depth, beam = np.zeros(size, np.float32), np.full(size, -1)
    for number in range(64):
        for x, y, z in points[number][np.isfinite(reach[number])]:
            column, row = round(K[0, 0] * x / z + K[0, 2]), round(K[1, 1] * y / z + K[1, 2])
            inside = 0 <= column < size[1] and 0 <= row < size[0]
            if inside and (not depth[row, column] or z < depth[row, column]):
                depth[row, column], beam[row, column] = z, number
    return depth, beam


@pytest.fixture(scope="module")
def scanned():
    return scan()


@pytest.mark.parametrize("lines", [32, 16, 8, 4])
def test_every_kth_line_is_that_of_every_kth_beam(scanned, lines):
    depth, beam = scanned
    every = 64 // lines
    kept = after(LidarLines(lines), frame_of(depth, K))
    seen = np.unique(beam[beam >= 0])
    expected = np.isin(beam, seen[every // 2 :: every])
    assert (kept[kept > 0] == depth[kept > 0]).all()
    wrong = np.count_nonzero((kept > 0) != (expected & (depth > 0)))
    assert wrong < 0.01 * expected.sum()
    # Rows, or elevations from the camera's own place, would not do.
    assert len(np.unique(beam[kept > 0])) == len(seen[every // 2 :: every])


def test_of_several_numbers_of_lines_each_frame_gets_one(scanned):
    depth, _ = scanned
    single = {lines: after(LidarLines(lines), frame_of(depth, K)) for lines in (32, 8)}
    drawn = []
    for seed in range(12):
        kept = after(LidarLines((32, 8)), frame_of(depth, K), seed)
        drawn += [lines for lines, map_ in single.items() if np.array_equal(map_, kept)]
    assert len(drawn) == 12 and set(drawn) == {32, 8}


def test_all_lines_are_the_frame_and_a_dense_map_gets_thin_lines():
    depth = np.full((60, 80), 7, np.float32)
    few = np.where(np.arange(80) % 20 == 0, depth, 0)
    np.testing.assert_array_equal(after(LidarLines(64), frame_of(few)), few)
    kept = after(LidarLines(8, above=0.0, roll=0.0, pitch=0.0), frame_of(depth)) > 0
    # At the middle column lines of constant elevation lie a constant angle apart: atan(30 / 100) + atan(29 / 100) over 8.
    rows = np.flatnonzero(kept[:, 40])
    assert 7 <= len(rows) <= 9
    step = np.diff(np.degrees(np.arctan((rows - 30) / 100)))
    assert abs(step.mean() - np.degrees(np.arctan(0.3) + np.arctan(0.29)) / 8) < 0.3
    assert not after(LidarLines(8), frame_of(np.zeros((5, 7)))).any()


def test_lines_of_real_scans(shared):
    from mtdc.data.io import read_depth

    drive = shared / "data/kitti/train/2011_09_26_drive_0005_sync"
    path = next(iter(sorted(drive.rglob("velodyne_raw/**/*.png"))))
    depth = read_depth(path)
    every_second = after(LidarLines(32), frame_of(depth, K)) > 0
    quarter = after(LidarLines(16), frame_of(depth, K)) > 0
    assert 0.46 < every_second.sum() / (depth > 0).sum() < 0.54
    assert 0.2 < quarter.sum() / (depth > 0).sum() < 0.3
    # Of 46 lines in the image, 23 and 11 or 12: in the columns straight ahead none touches the next.
    ahead = slice(600, 620)
    assert not (every_second[1:, ahead] & every_second[:-1, ahead]).mean() > 0.002


def test_noise_has_its_spread_near_and_far():
    depth = np.where(np.arange(200) % 2, 60.0, 8.0)[None].repeat(100, axis=0)
    off = after(SparseNoise(0.02, 0.001), frame_of(depth)) - depth
    # 10,000 points each: the standard deviation is known to 0.7 %.
    assert off[:, ::2].std() == pytest.approx(0.028, rel=0.04) and off[:, 1::2].std() == pytest.approx(0.08, rel=0.04)
    assert abs(off[:, 1::2].mean()) < 0.004
    assert (after(SparseNoise(50.0), frame_of(depth)) > 0).all() and not after(SparseNoise(), frame_of(np.zeros((4, 5)))).any()


def test_outliers_replace_their_share_anywhere_in_range():
    depth = np.full((100, 200), 500.0)
    depth[:, ::2] = 0
    result = after(SparseOutliers(0.2, 5, 25), frame_of(depth))
    wrong = result[(result > 0) & (result < 500)]
    assert 1830 < wrong.size < 2170  # 2000 expected, standard deviation 40
    assert wrong.min() >= 5 and wrong.max() <= 25 and wrong.mean() == pytest.approx(15, abs=0.6)
    assert not result[:, ::2].any()


def test_seen_through_points_take_the_background_beside_them():
    depth = np.full((41, 60), 30.0)
    depth[:, 20:40] = 10
    result = after(SeeThrough(1.0, radius=4), frame_of(depth))
    np.testing.assert_array_equal(np.flatnonzero(result[20] == 30), [*range(24), *range(36, 60)])
    share = (after(SeeThrough(0.25, radius=4), frame_of(depth)) != depth)[:, 20:40].sum() / (41 * 8)
    assert 0.15 < share < 0.35
    np.testing.assert_array_equal(after(SeeThrough(1.0, gap=21), frame_of(depth)), depth)


def test_holes_have_the_area_of_their_discs():
    # A hole that is far larger than the image, one that covers a single pixel at most, and the mean area in between.
    depth = np.full((101, 151), 5.0)
    assert not after(DropBlobs(1, 300), frame_of(depth)).any()
    lost = [(after(DropBlobs(1, 10), frame_of(depth), seed) == 0).sum() for seed in range(200)]
    assert max(lost) == pytest.approx(np.pi * 100, rel=0.03) and 0.25 * np.pi * 100 < min(lost) < 0.8 * np.pi * 100
    few, many = (after(DropBlobs(n, 10), frame_of(depth)) == 0 for n in (3, 9))
    assert (many | ~few).all() and many.sum() > few.sum()


def test_points_stay_at_the_corners_of_the_photo():
    image = np.zeros((60, 80, 3), np.float32)
    image[20:40, 30:60] = 200
    depth = np.full((60, 80), 9.0)
    kept = np.argwhere(after(FeaturePoints(4, spacing=8), frame_of(depth, image=image)))
    assert len(kept) == 4
    for row, column in ((19.5, 29.5), (19.5, 59.5), (39.5, 29.5), (39.5, 59.5)):
        assert np.abs(kept - (row, column)).max(axis=1).min() <= 2
    # Without a photo the corners of a near box do; half of the pixels are not measured.
    depth[20:40, 30:60] = 3
    depth[:, ::2] = 0
    kept = np.argwhere(after(FeaturePoints(4, spacing=8), frame_of(depth)))
    assert len(kept) == 4 and (np.abs(kept - (29.5, 44.5)) > (7, 12)).all()
    assert not after(FeaturePoints(), frame_of(np.zeros((9, 7)))).any()


def test_points_are_spaced_and_no_more_than_asked_for():
    image = np.random.default_rng(0).uniform(0, 255, (60, 80, 3)).astype(np.float32)
    frame = frame_of(np.ones((60, 80)), image=image)
    assert np.count_nonzero(after(FeaturePoints(37, spacing=0), frame)) == 37
    kept = np.argwhere(after(FeaturePoints(1000, spacing=6), frame))
    apart = np.linalg.norm(kept[:, None] - kept[None], axis=2) + 100 * np.eye(len(kept))
    assert len(kept) > 50 and apart.min() >= 6


def test_a_moved_sensor_moves_points_in_space():
    depth = np.zeros((60, 80))
    depth[30, 40], depth[30, 50] = 10, 20
    # Ahead at 10 m, 1 m to the right is 100 / 10 pixels; at 20 m it is 5.
    moved = after(MoveSensor(shift=(1, 0, 0)), frame_of(depth))
    assert np.argwhere(moved).tolist() == [[30, 50], [30, 55]] and moved[30, 50] == 10
    # 2 m ahead: 10 becomes 12; (2 m, 0, 20 m) becomes 22 m at column 40 + 100 * 2 / 22.
    moved = after(MoveSensor(shift=(0, 0, 2)), frame_of(depth))
    assert np.argwhere(moved).tolist() == [[30, 40], [30, 49]] and moved[30, 49] == 22
    # A turn of atan(0.1) to the right takes the middle point to 10 pixels right of it, and cos of it times as far.
    moved = after(MoveSensor(rotation=(0, np.degrees(np.arctan(0.1)), 0)), frame_of(depth))
    assert moved[30, 50] == pytest.approx(10 * np.cos(np.arctan(0.1)))
    # The nearer of two on one pixel stays.
    depth[30, 45] = 20
    assert after(MoveSensor(shift=(1, 0, 0)), frame_of(depth))[30, 50] == 10


def test_a_size_alone_moves_each_frame_its_own_way():
    depth = np.zeros((60, 80))
    depth[30, 40] = 10
    found = [np.argwhere(after(MoveSensor(rotation=5.0), frame_of(depth), seed)) - (30, 40) for seed in range(40)]
    length = np.array([np.linalg.norm(place) for place in found])
    assert length.max() <= 100 * np.tan(np.radians(5)) + 0.71 and length.max() > 7 and len({tuple(p[0]) for p in found}) > 20
    with pytest.raises(ValueError, match="rotation must be one number"):
        MoveSensor(rotation=(1, 2))


def test_fog_loses_what_the_lidar_equation_says():
    depth = np.full((100, 200), 30.0)
    kept = (after(Fog(100, spurious=0), frame_of(depth)) > 0).mean()
    # 30 m of 120 ask for a reflectivity of 0.9 / 16 in clear air, exp(2 * 30 * 3 / 100) = 6.03 times as much in this fog.
    needed = 0.05625 * 20**0.6
    assert kept == pytest.approx((0.9 - needed) / (0.9 - 0.05625), abs=0.015)
    assert (after(Fog(1e9), frame_of(np.full((30, 40), 100.0))) > 0).all()
    assert after(Fog(1000, spurious=0), frame_of(depth))[after(Fog(100, spurious=0), frame_of(depth)) > 0].all()
    returned = after(Fog(20, spurious=1.0), frame_of(depth))
    near = returned[(returned > 0) & (returned < 30)].astype(float)
    # An exponential of mean 1 / (2 alpha) = 20 / (2 ln 20) behind the nearest range, cut far out at 30 m.
    assert (returned > 0).all() and near.min() >= 0.9 and near.mean() == pytest.approx(0.9 + 10 / np.log(20), rel=0.03)


def test_rain_spreads_ranges_and_none_is_none():
    depth = np.full((100, 200), 20.0)
    np.testing.assert_array_equal(after(Rain(0), frame_of(depth)), depth.astype(np.float32))
    wet = after(Rain(25, spurious=0), frame_of(depth))
    assert wet[wet > 0].std() == pytest.approx(0.4, rel=0.03)  # 2 % of 20 m
    # 20 m of 120 ask for 0.9 / 36 in clear air; alpha = 0.01 * 25^0.6 = 0.06899, so 15.79 times as much here.
    assert (wet > 0).mean() == pytest.approx((0.9 - 0.025 * 15.79) / 0.85, abs=0.015)


@pytest.mark.parametrize(
    ("weak", "strong"),
    [
        (RandomPointDropout(0.3), RandomPointDropout(0.6)),
        (Fog(200, spurious=0), Fog(50, spurious=0)),
        (Rain(5, spurious=0), Rain(50, spurious=0)),
    ],
)
def test_the_stronger_fault_loses_the_same_points_and_more(weak, strong):
    frame = frame_of(np.random.default_rng(1).uniform(2, 80, (60, 80)))
    left, fewer = (after(step, frame) > 0 for step in (weak, strong))
    assert fewer.sum() < left.sum() and left[fewer].all()


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: LidarLines(7), lambda: LidarLines(0), lambda: LidarLines(()), lambda: LidarLines((16, 7)),
        lambda: LidarLines(16, above=(1, 2, 3)), lambda: SparseNoise(-1),
        lambda: SparseOutliers(1.5), lambda: SparseOutliers(0.1, 9, 3), lambda: SeeThrough(-0.1), lambda: SeeThrough(radius=0),
        lambda: DropBlobs(-1), lambda: DropBlobs(1, (9, 3)), lambda: FeaturePoints(0), lambda: FeaturePoints(5, -1),
        lambda: Fog(0), lambda: Fog(spurious=2), lambda: Fog(nearest=200), lambda: Rain(-1), lambda: MoveSensor(float("nan")),
    ],
)  # fmt: skip
def test_values_that_can_not_be_are_refused(wrong):
    with pytest.raises(ValueError, match="must"):
        wrong()


def test_what_is_missing_is_named():
    with pytest.raises(ConfigError, match="SparseNoise needs the input 'sparse_depth'"):
        after(SparseNoise(), Frame({"gt_depth": np.ones((3, 4))}, {"gt_depth": DEPTH}))
    for matrix in (None, np.full((3, 3), np.nan)):
        with pytest.raises(DataError, match="frame made has no known intrinsics, and LidarLines"):
            after(LidarLines(), frame_of(np.ones((3, 4)), matrix))
