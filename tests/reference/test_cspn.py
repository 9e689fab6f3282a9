"""Spatial propagation against its equation, written out pixel by pixel."""

import numpy as np
import torch
from support import numpy64, sparse_map

from mtdc.refinement.cspn import propagate

NEIGHBOURS = [(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1) if (i, j) != (0, 0)]


def by_hand(depth, affinity, steps, measured=None):
    height, width = depth.shape
    kernel = affinity / np.abs(affinity).sum(axis=0)
    now = depth
    for _ in range(steps):
        following = np.empty_like(depth)
        for y in range(height):
            for x in range(width):
                total = (1 - kernel[:, y, x].sum()) * depth[y, x]
                for k, (dy, dx) in enumerate(NEIGHBOURS):
                    total += kernel[k, y, x] * now[min(max(y + dy, 0), height - 1), min(max(x + dx, 0), width - 1)]
                following[y, x] = total if measured is None or measured[y, x] == 0 else measured[y, x]
        now = following
    return now


def test_propagation_equals_the_equation():
    depth = 5 + 40 * torch.rand(1, 1, 6, 7)
    affinity = torch.randn(1, 8, 6, 7)
    expected = by_hand(numpy64(depth[0, 0]), numpy64(affinity[0]), 3)
    np.testing.assert_allclose(numpy64(propagate(depth, affinity, 3)[0, 0]), expected, rtol=1e-5)


def test_measured_depth_is_put_back():
    depth = 5 + 40 * torch.rand(1, 1, 6, 7)
    affinity = torch.randn(1, 8, 6, 7)
    sparse = sparse_map(6, 7, batch=1, density=0.4)
    refined = propagate(depth, affinity, 3, sparse)
    assert torch.equal(refined[sparse > 0], sparse[sparse > 0])
    expected = by_hand(numpy64(depth[0, 0]), numpy64(affinity[0]), 3, numpy64(sparse[0, 0]))
    np.testing.assert_allclose(numpy64(refined[0, 0]), expected, rtol=1e-5)
