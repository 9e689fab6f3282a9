import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt

from mtdc.classical.morphological import Morphological
from mtdc.errors import DataError
from mtdc.visualization.cloud import cloud, evidence_mask

K = np.array([[2.0, 0.0, 1.0], [0.0, 4.0, 0.5], [0.0, 0.0, 1.0]])


def test_points_by_hand():
    # x = (u - cx) z / fx, y = (v - cy) z / fy, with the first pixel's centre at (0, 0).
    depth = np.array([[2.0, 0.0, 4.0], [np.nan, 8.0, -1.0]])
    points, colors = cloud(depth, K)
    np.testing.assert_allclose(points, [[-1.0, -0.25, 2.0], [2.0, -0.5, 4.0], [0.0, 1.0, 8.0]])
    assert points.dtype == np.float32
    assert colors.shape == (3, 3) and colors.dtype == np.uint8
    assert int(colors[0, 0]) - int(colors[0, 2]) > int(colors[2, 0]) - int(colors[2, 2])  # near warmer than far


def test_mask_and_colours_follow_their_points():
    depth = np.arange(1.0, 7.0).reshape(2, 3)
    photo = np.arange(18.0).reshape(2, 3, 3)
    mask = np.array([[0, 1, 0], [0, 0, 1]], dtype=bool)
    points, colors = cloud(depth, K, photo, mask)
    assert points[:, 2].tolist() == [2.0, 6.0]
    assert colors.tolist() == [[3, 4, 5], [15, 16, 17]]
    assert cloud(depth, K, mask=np.zeros((2, 3), bool))[0].shape == (0, 3)


def test_other_sizes_are_refused():
    depth = np.ones((2, 3))
    with pytest.raises(DataError, match=r"mask is \(3, 2\)"):
        cloud(depth, K, mask=np.ones((3, 2), bool))
    with pytest.raises(DataError, match=r"colors is \(3, 2\)"):
        cloud(depth, K, colors=np.ones((3, 2)))
    with pytest.raises(DataError, match=r"\(3, 4\)"):
        cloud(depth, np.ones((3, 4)))


def test_evidence_lies_between_the_topmost_and_the_lowest_point():
    sparse = np.zeros((8, 9))
    sparse[2, 1], sparse[6, 1] = 5.0, 3.0
    sparse[4, 6] = 7.0
    mask = evidence_mask(sparse, half_window=1)
    expected = np.zeros((8, 9), bool)
    expected[2:7, 0:3] = True
    expected[4, 5:8] = True
    np.testing.assert_array_equal(mask, expected)


def test_evidence_in_overlapping_windows_is_the_widest():
    sparse = np.zeros((8, 4))
    sparse[1, 0], sparse[6, 2] = 1.0, 1.0
    assert evidence_mask(sparse, half_window=1)[:, 1].tolist() == [False] + [True] * 6 + [False]


def test_no_point_is_no_evidence_and_a_full_map_is_all():
    assert not evidence_mask(np.zeros((5, 6))).any()
    assert evidence_mask(np.ones((5, 6))).all()
    assert evidence_mask(np.ones((1, 1))).all()


def test_evidence_ends_far_from_every_point():
    """A grid of points every 4 pixels with a hole of 40x40; the typical distance is 2 px, four times that is the limit."""
    sparse = np.zeros((101, 101))
    sparse[::4, ::4] = 5.0
    sparse[30:70, 30:70] = 0.0
    mask = evidence_mask(sparse, 2)
    distance = distance_transform_edt(sparse == 0)
    limit = 4 * np.median(distance)
    assert 6 < limit < 10
    np.testing.assert_array_equal(mask, distance <= limit)
    assert not mask[50, 50] and mask[30, 28]
    np.testing.assert_array_equal(evidence_mask(sparse, 2, max_distance_px=3), distance <= 3)
    assert evidence_mask(sparse, 2, max_distance_px=np.inf).all()
    assert np.array_equal(evidence_mask(sparse, 2, max_distance_px=0), sparse > 0)
    for wrong in (-1, np.nan):
        with pytest.raises(DataError, match="0 or more pixels"):
            evidence_mask(sparse, 2, max_distance_px=wrong)


def test_few_beams_have_as_much_evidence_as_many():
    """The limit follows the scan: lines 20 rows apart leave nothing out between them."""
    sparse = np.zeros((200, 300))
    sparse[20:200:20, ::3] = 9.0
    assert evidence_mask(sparse)[20:181].all()


def test_every_measured_pixel_of_a_real_scan_is_kept_and_the_sky_is_not(shared):
    import cv2

    drive = shared / "data/kitti/val/2011_09_26_drive_0001_sync/proj_depth"
    sparse = cv2.imread(str(drive / "velodyne_raw/image_02/0000000005.png"), cv2.IMREAD_UNCHANGED)
    truth = cv2.imread(str(drive / "groundtruth/image_02/0000000005.png"), cv2.IMREAD_UNCHANGED)
    mask = evidence_mask(sparse / 256)
    assert mask[sparse > 0].all()
    assert not mask[:110].any()  # the laser's highest beam meets the image below this row
    assert mask[truth > 0].mean() > 0.98
    # What it leaves out is worth leaving out: car windows and gaps whose error is several times that of the rest.
    error = np.abs(Morphological()((sparse / 256).astype(np.float32)) - truth / 256)
    inside, outside = ((error[(truth > 0) & part] ** 2).mean() for part in (mask, ~mask))
    assert outside > 9 * inside
