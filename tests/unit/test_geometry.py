"""The pixel-centre rule, on points with known pixels."""

import numpy as np
import pytest

from mtdc.geometry import back_project, crop_intrinsics, flip_intrinsics, project, resize_intrinsics, splat_nearest

K = np.array([[720.0, 0, 609.5], [0, 710.0, 172.8], [0, 0, 1]])
POINTS = np.array([[1.0, -0.5, 8.0], [-3.0, 1.2, 20.0], [0.3, 1.6, 5.0]])


def test_back_projection_by_hand():
    """Pixel (u=2, v=1) at 10 m with f = 100 and c = (1.5, 0.5): 0.05 m right, 0.05 m down."""
    camera = np.array([[100.0, 0, 1.5], [0, 100.0, 0.5], [0, 0, 1]])
    depth = np.full((3, 4), 10.0)
    np.testing.assert_allclose(back_project(depth, camera)[1, 2], [0.05, 0.05, 10.0])


def test_projection_inverts_back_projection():
    depth = np.random.default_rng(0).uniform(2, 60, (5, 7))
    pixels, z = project(back_project(depth, K).reshape(-1, 3), K)
    rows, columns = np.mgrid[0:5, 0:7]
    np.testing.assert_allclose(pixels, np.stack((columns, rows), axis=-1).reshape(-1, 2), atol=1e-9)
    np.testing.assert_allclose(z, depth.ravel())


def test_crop_shifts_pixels():
    pixels, _ = project(POINTS, K)
    cropped, _ = project(POINTS, crop_intrinsics(K, 13, 23))
    np.testing.assert_allclose(cropped, pixels - [13, 23])


def test_flip_mirrors_points_and_pixels():
    pixels, _ = project(POINTS, K)
    flipped, _ = project(POINTS * [-1, 1, 1], flip_intrinsics(K, 1242))
    np.testing.assert_allclose(flipped[:, 0], 1241 - pixels[:, 0])
    np.testing.assert_allclose(flipped[:, 1], pixels[:, 1])


@pytest.mark.parametrize("scale", [0.5, 2.0])
def test_resize_keeps_pixel_borders(scale):
    """The left border of the image is u = -0.5 before and after; the right one u = W - 0.5."""
    pixels, _ = project(POINTS, K)
    resized, _ = project(POINTS, resize_intrinsics(K, scale, scale))
    np.testing.assert_allclose(resized + 0.5, (pixels + 0.5) * scale)


def test_splat_keeps_the_nearest_point_of_a_pixel():
    pixels = np.array([[1.4, 0.6], [0.6, 1.4], [1.0, 1.0], [3.6, 0.0], [-0.6, 0.0], [0.0, 0.0]])
    depth = np.array([9.0, 5.0, 7.0, 4.0, 3.0, -2.0])
    expected = np.zeros((2, 4))
    expected[1, 1] = 5.0
    np.testing.assert_array_equal(splat_nearest(pixels, depth, 2, 4), expected)
