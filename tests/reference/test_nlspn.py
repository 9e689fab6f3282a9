"""Non-local propagation against its equation, written out pixel by pixel in float64."""

import numpy as np
import pytest
import torch
from support import numpy64, sparse_map

from mtdc.refinement.nlspn import propagate

NEIGHBOURS = [(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1) if (i, j) != (0, 0)]


def read(values, y, x):
    """A map between its pixels, bilinear; outside it the border's value."""
    height, width = values.shape
    y, x = min(max(y, 0), height - 1), min(max(x, 0), width - 1)
    top, left = int(y), int(x)
    bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
    above = (1 - (x - left)) * values[top, left] + (x - left) * values[top, right]
    below = (1 - (x - left)) * values[bottom, left] + (x - left) * values[bottom, right]
    return (1 - (y - top)) * above + (y - top) * below


def by_hand(depth, affinity, offsets, confidence, gamma, steps, measured=None):
    height, width = depth.shape
    now = depth
    for _ in range(steps):
        following = np.empty_like(depth)
        for y in range(height):
            for x in range(width):
                places = [
                    (y + dy + offsets[2 * k, y, x], x + dx + offsets[2 * k + 1, y, x]) for k, (dy, dx) in enumerate(NEIGHBOURS)
                ]
                weights = [read(confidence, *place) * np.tanh(affinity[k, y, x]) / gamma for k, place in enumerate(places)]
                bound = max(1.0, sum(abs(weight) for weight in weights))
                total = (1 - sum(weights) / bound) * now[y, x]
                total += sum(weight / bound * read(now, *place) for weight, place in zip(weights, places, strict=True))
                following[y, x] = total if measured is None or measured[y, x] == 0 else measured[y, x]
        now = following
    return now


def maps(height, width):
    """Depth, k, offsets of up to several pixels (out of the map too), confidence."""
    depth, confidence = 5 + 40 * torch.rand(1, 1, height, width), torch.rand(1, 1, height, width)
    affinity, offsets = torch.randn(1, 8, height, width), 2 * torch.randn(1, 16, height, width)
    return tuple(part.double() for part in (depth, affinity, offsets, confidence))


@pytest.mark.parametrize("gamma", [0.7, 4.0], ids=["sum-above-1", "sum-below-1"])
@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("size", [(6, 7), (1, 5), (5, 1)])
def test_propagation_equals_the_equation(size, keep, gamma):
    parts = maps(*size)
    sparse = sparse_map(*size, batch=1, density=0.4).double() if keep else None
    refined = propagate(*parts, torch.tensor(gamma, dtype=torch.float64), 3, sparse)
    depth, affinity, offsets, confidence = (numpy64(part[0]) for part in parts)
    measured = None if sparse is None else numpy64(sparse[0, 0])
    expected = by_hand(depth[0], affinity, offsets, confidence[0], gamma, 3, measured)
    np.testing.assert_allclose(numpy64(refined[0, 0]), expected, rtol=1e-9)


def test_without_offsets_a_pixel_reads_its_eight_neighbours_of_the_grid():
    """One neighbour at a time with weight 1: the map comes back shifted by one pixel, borders repeated."""
    depth = 5 + 40 * torch.rand(1, 1, 5, 6)
    rows, columns = np.mgrid[0:5, 0:6]
    for k, (dy, dx) in enumerate(NEIGHBOURS):
        affinity = torch.zeros(1, 8, 5, 6)
        affinity[:, k] = 20.0  # tanh is 1
        refined = propagate(depth, affinity, torch.zeros(1, 16, 5, 6), torch.ones(1, 1, 5, 6), torch.tensor(1.0), 1)
        expected = numpy64(depth[0, 0])[np.clip(rows + dy, 0, 4), np.clip(columns + dx, 0, 5)]
        np.testing.assert_allclose(numpy64(refined[0, 0]), expected, rtol=1e-5)
