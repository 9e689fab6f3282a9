"""Dynamic propagation against its equation, written out pixel by pixel in float64."""

import numpy as np
import pytest
import torch
from support import numpy64, sparse_map

from mtdc.refinement.dyspn import propagate


def neighbours():
    """(row, column, ring) of the 48 neighbours in the order of the channels: ring by ring, each row by row."""
    window = [(i, j, max(abs(i), abs(j))) for i in range(-3, 4) for j in range(-3, 4) if (i, j) != (0, 0)]
    return sorted(window, key=lambda place: place[2])  # stable


def by_hand(depth, affinity, attention, measured, confidence):
    height, width = depth.shape
    now = depth
    for step in attention:
        following = np.empty_like(depth)
        for y in range(height):
            for x in range(width):
                bound = max(1.0, np.abs(affinity[:, y, x]).sum())
                total = spread = 0.0
                for k, (dy, dx, ring) in enumerate(neighbours()):
                    weight = step[ring, y, x] * affinity[k, y, x] / bound
                    total += weight
                    spread += weight * now[min(max(y + dy, 0), height - 1), min(max(x + dx, 0), width - 1)]
                centre = step[0, y, x] * depth[y, x] + (1 - step[0, y, x]) * now[y, x]
                value = (1 - total) * centre + spread
                c = 1.0 if confidence is None else confidence[y, x]
                following[y, x] = (1 - c) * value + c * measured[y, x] if measured[y, x] > 0 else value
        now = following
    return now


@pytest.mark.parametrize("scale", [0.005, 1.0], ids=["sum-below-1", "sum-above-1"])
@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("size", [(9, 8), (1, 5), (3, 2)])
def test_propagation_equals_the_equation(size, keep, scale):
    depth = 5 + 40 * torch.rand(1, 1, *size).double()
    affinity = scale * torch.randn(1, 48, *size).double()
    attention = torch.rand(1, 3, 4, *size).double()
    sparse = sparse_map(*size, batch=1, density=0.3).double()
    confidence = None if keep else torch.rand(1, 1, *size).double()
    refined = propagate(depth, affinity, attention, sparse, confidence)
    expected = by_hand(
        numpy64(depth[0, 0]),
        numpy64(affinity[0]),
        numpy64(attention[0]),
        numpy64(sparse[0, 0]),
        None if confidence is None else numpy64(confidence[0, 0]),
    )
    np.testing.assert_allclose(numpy64(refined[0, 0]), expected, rtol=1e-9)
