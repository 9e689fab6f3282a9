"""Refinement modules: what their options do to measured pixels."""

import pytest
import torch
from support import sparse_map

from mtdc.registry import REFINEMENT, build


def refine(**cfg):
    """Module, depth, sparse depth, and the refined depth of one random frame."""
    part = build(REFINEMENT, {"type": "CSPN", "steps": 3, **cfg}, "refinement", channels={2: 6, 1: 5})
    depth = 5 + 40 * torch.rand(2, 1, 21, 33)
    sparse = sparse_map(21, 33)
    guidance = {2: torch.rand(2, 6, 11, 17), 1: torch.randn(2, 5, 21, 33)}
    return sparse, depth, part(depth, guidance, {"sparse_depth": sparse})


def test_measured_pixels_come_back_as_they_were_where_asked():
    sparse, depth, refined = refine(keep_measured=True)
    assert torch.equal(refined[sparse > 0], sparse[sparse > 0])
    assert not torch.equal(refined[sparse == 0], depth[sparse == 0]), "the others are refined"


@pytest.mark.parametrize("cfg", [{}, {"keep_measured": False}])
def test_measured_pixels_are_refined_like_any_other_unless_asked(cfg):
    sparse, _, refined = refine(**cfg)
    assert not torch.isclose(refined[sparse > 0], sparse[sparse > 0]).any()


def test_without_keeping_the_sparse_depth_does_not_matter():
    part = build(REFINEMENT, {"type": "CSPN", "steps": 3}, "refinement", channels={1: 5})
    depth, guidance = 5 + 40 * torch.rand(1, 1, 9, 12), {1: torch.randn(1, 5, 9, 12)}
    one, two = (part(depth, guidance, {"sparse_depth": sparse_map(9, 12, batch=1, seed=seed)}) for seed in (1, 2))
    assert torch.equal(one, two)
