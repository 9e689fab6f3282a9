"""The torch fill: near surfaces win, every pixel is answered."""

import pytest
import torch
from support import sparse_map

from mtdc.layers.fill import closest_surface_fill


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (64, 64), (17, 200), (375, 1242)])
def test_one_point_fills_the_map(size):
    sparse = torch.zeros(1, 1, *size)
    sparse[0, 0, -1, -1] = 7.0
    assert torch.allclose(closest_surface_fill(sparse), torch.tensor(7.0), atol=1e-4)


def test_an_empty_map_stays_empty_beside_a_full_one():
    sparse = sparse_map(40, 60)
    sparse[0] = 0
    filled = closest_surface_fill(sparse)
    assert (filled[0] == 0).all()
    assert (filled[1] > 0).all()


def test_near_surface_covers_background_seen_through_its_gaps():
    """A near object of points four pixels apart, with far points between them: the far ones are seen through it."""
    sparse = torch.zeros(1, 1, 32, 32)
    sparse[..., 4:28:4, 4:28:4] = 5.0
    sparse[..., 6:26:4, 6:26:4] = 40.0
    inside = closest_surface_fill(sparse)[0, 0, 4:25, 4:25]
    assert torch.allclose(inside, torch.tensor(5.0), atol=1e-4)


def test_values_come_from_the_map():
    sparse = sparse_map(48, 64, density=0.05)
    filled = closest_surface_fill(sparse)
    for frame, source in zip(filled, sparse, strict=True):
        assert frame.min() >= source[source > 0].min() - 1e-3
        assert frame.max() <= source[source > 0].max() + 1e-3


def test_scales_with_depth():
    sparse = sparse_map(48, 64, density=0.05)
    torch.testing.assert_close(closest_surface_fill(2 * sparse), 2 * closest_surface_fill(sparse), rtol=1e-4, atol=1e-4)
