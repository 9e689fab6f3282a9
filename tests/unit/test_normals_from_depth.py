"""Normals of depth: planes whose normal is known, at depth edges and in semi-dense maps."""

import pytest
import torch

from mtdc.geometry import normals_from_depth

K = torch.tensor([[90.0, 0.0, 20.3], [0.0, 80.0, 9.1], [0.0, 0.0, 1.0]], dtype=torch.float64)
SIZE = (25, 41)


def plane_depth(normal, distance):
    """Depth of the plane n . p = -distance, by intersecting each pixel's ray: 0 where it doesn't meet it."""
    rows, columns = torch.meshgrid(*(torch.arange(n, dtype=torch.float64) for n in SIZE), indexing="ij")
    rays = torch.stack(((columns - K[0, 2]) / K[0, 0], (rows - K[1, 2]) / K[1, 1], torch.ones(SIZE)))
    depth = -distance / (normal.view(3, 1, 1) * rays).sum(dim=0)
    return depth.where((depth > 0) & (depth < 80), 0)[None, None]


def unit(*vector):
    vector = torch.tensor(vector, dtype=torch.float64)
    return vector / vector.norm()


def angles_deg(normals, truth):
    return torch.rad2deg(torch.linalg.cross(normals, truth.view(1, 3, 1, 1).expand_as(normals), dim=1).norm(dim=1).asin())


@pytest.mark.parametrize("vector", [(0.0, 0.0, -1.0), (0.5, 0.1, -1.0), (-0.9, 0.2, -0.7), (0.1, -0.6, -0.8)])
@pytest.mark.parametrize("share", [1.0, 0.4])
def test_a_plane_has_its_normal(vector, share):
    """Dense and semi-dense: every pixel that gets a normal gets the right one, and nearly all known pixels get one."""
    truth, depth = unit(*vector), plane_depth(unit(*vector), 6.0)
    depth = depth * (torch.rand(SIZE, generator=torch.Generator().manual_seed(0)) < share)
    normals = normals_from_depth(depth, K[None])
    known = normals.norm(dim=1) > 0
    assert not (known & (depth[:, 0] == 0)).any()
    assert known.sum() > 0.9 * (depth > 0).sum()
    assert torch.allclose(normals.norm(dim=1)[known], torch.ones(1, dtype=torch.float64))
    assert angles_deg(normals, truth)[known].max() < 1e-5
    facing = (normals * truth.view(1, 3, 1, 1)).sum(dim=1)[known]
    assert facing.min() > 0


def test_normals_beside_a_depth_edge_are_of_their_own_side():
    left, right = unit(0.3, 0.0, -1.0), unit(-0.2, 0.3, -1.0)
    near, far = plane_depth(left, 4.0), plane_depth(right, 12.0)
    depth = torch.cat((near[..., :20], far[..., 20:]), dim=-1)
    normals = normals_from_depth(depth, K[None])
    assert (normals.norm(dim=1) > 0).double().mean() > 0.95
    for truth, columns in ((left, slice(0, 20)), (right, slice(20, None))):
        known = normals[..., columns].norm(dim=1) > 0
        assert angles_deg(normals[..., columns], truth)[known].max() < 1e-5


def test_what_cannot_be_trusted_is_unknown():
    """Single points, a single line of a LiDAR, an unknown camera; another frame of the batch is not touched by it."""
    whole = plane_depth(unit(0.0, 0.2, -1.0), 5.0)
    line = torch.zeros_like(whole)
    line[..., 12, :] = whole[..., 12, :]
    points = torch.zeros_like(whole)
    points[..., ::9, ::9] = whole[..., ::9, ::9]
    cameras = torch.stack((K, K, K, K * torch.nan))
    normals = normals_from_depth(torch.cat((line, points, whole, whole)), cameras)
    assert [bool((one != 0).any()) for one in normals] == [False, False, True, False]
    assert torch.equal(normals[2], normals_from_depth(whole, K[None])[0])


def test_a_rough_surface_has_no_normal_that_can_be_trusted():
    """Noise of 3 % of the depth turns a fitted plane by far more than noise of 0.01 % does."""
    depth = plane_depth(unit(0.0, 0.2, -1.0), 5.0)
    noise = torch.randn(SIZE, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    share = {}
    for scatter in (1e-4, 3e-2):
        normals = normals_from_depth(depth * (1 + scatter * noise), K[None])
        known = normals.norm(dim=1) > 0
        share[scatter] = known.double().mean()
    assert share[1e-4] > 0.9
    assert share[3e-2] < 0.5
