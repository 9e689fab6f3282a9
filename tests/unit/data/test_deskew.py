import numpy as np
import pytest

from mtdc.data.camera_file import read_camera
from mtdc.data.cloud_file import read_cloud
from mtdc.data.deskew import Motion
from mtdc.data.io import read_depth_png
from mtdc.errors import ConfigError


def test_points_by_hand():
    """A turn of 0.1 s, clockwise: left (90 degrees) is seen 0.025 s early, right late, straight behind half a turn early."""
    points = np.array([[10.0, 0, 1], [0, 10, 1], [0, -10, 1], [-10, 0, 1]])
    still = Motion((8.0, 0, 0), turn_s=0.1).undo(points)
    # Early means that the sensor stood farther back: in the later frame the point is nearer along x.
    np.testing.assert_allclose(still, [[10, 0, 1], [-0.2, 10, 1], [0.2, -10, 1], [-10.4, 0, 1]], atol=1e-12)


def test_turn_rate_is_a_rotation_and_not_its_first_order():
    points = np.array([[0.0, 20, 0, 0.5]])
    still = Motion((0, 0, 0), (0, 0, 2.0), turn_s=0.1).undo(points)
    angle = -0.025 * 2.0
    np.testing.assert_allclose(still, [[-20 * np.sin(angle), 20 * np.cos(angle), 0]], atol=1e-12)


def test_a_wall_seen_from_a_moving_car_is_straight_again():
    """Independent of the formula: each beam is cast from where the car is, at 15 m/s and turning, when it looks there."""
    generator = np.random.default_rng(0)
    azimuth = generator.uniform(-1.2, 1.2, 200)
    seconds = -azimuth / (2 * np.pi) * 0.1037
    heading, x = 0.4 * seconds, 15 * seconds
    # In the world the wall is x = 20; the beam leaves (x, 0) at heading + azimuth.
    distance = (20 - x) / np.cos(heading + azimuth)
    seen = np.stack((distance * np.cos(azimuth), distance * np.sin(azimuth), np.zeros(200)), axis=1)
    assert np.ptp(seen[:, 0]) > 0.5
    still = Motion((15, 0, 0), (0, 0, 0.4)).undo(seen)
    np.testing.assert_allclose(still[:, 0], 20, atol=1e-9)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (((120, 0, 0),), "divide km/h by 3.6"),
        (((float("nan"), 0, 0),), "three finite numbers"),
        (((10, 0),), "three finite numbers"),
        (((10, 0, 0), (0, 0, 15)), "multiply degrees"),
        (((10, 0, 0), (0, 0, 0), 100), "one turn takes 100 s"),
        (((10, 0, 0), (0, 0, 0), 0), "one turn takes 0 s"),
    ],
)
def test_motion_that_no_vehicle_makes_is_refused(arguments, said):
    with pytest.raises(ConfigError, match=said):
        Motion(*arguments)


@pytest.mark.parametrize("camera", [2, 3])
def test_real_scan_equals_the_official_sparse_map(shared, camera):
    """Stored values of KITTI's map (which are rounded down), per motion; the best velocity was searched for on this frame."""
    val = shared / "data/kitti/val"
    points = read_cloud(val / "2011_09_26/2011_09_26_drive_0001_sync/velodyne_points/data/0000000005.bin")
    official = read_depth_png(val / f"2011_09_26_drive_0001_sync/proj_depth/velodyne_raw/image_0{camera}/0000000005.png")
    stored, measured = np.rint(official * 256), official > 0
    own = read_camera(val / "2011_09_26", camera)

    def identical(motion):
        sparse = own.sparse_depth(points if motion is None else motion.undo(points))
        assert abs(np.count_nonzero(sparse) - np.count_nonzero(measured)) < 30
        return np.mean((np.floor(sparse * np.float32(256)) == stored)[measured])

    assert identical(None) < 0.03
    assert identical(Motion((12.66, 0, 0))) > 0.53  # 0.55
    assert identical(Motion((12.79, 0, 0), (0, 0, -0.0304))) > 0.86  # 0.87
    whole = Motion((12.8112, 0.1589, 0.2754), (-0.0103, 0.0135, -0.0312))
    assert identical(whole) > 0.93  # 0.945
