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


@pytest.mark.parametrize("name", ["NLSPN", "DySPN"])
def test_starts_near_the_identity(name):
    """On noise, whose neighbours lie 13 m apart, pixels move by a hundredth of that."""
    part = build(REFINEMENT, {"type": name}, "refinement", channels={1: 64})
    depth, guidance = 5 + 40 * torch.rand(1, 1, 21, 33), {1: torch.randn(1, 64, 21, 33)}
    refined = part(depth, guidance, {"sparse_depth": torch.zeros(1, 1, 21, 33)})
    assert 0 < (refined - depth).abs().mean() < 0.3


def test_measured_depth_comes_back_as_far_as_the_confidence_says():
    part = build(REFINEMENT, {"type": "DySPN"}, "refinement", channels={1: 5})
    depth, guidance = torch.full((1, 1, 9, 12), 20.0), {1: torch.zeros(1, 5, 9, 12)}
    sparse = torch.zeros(1, 1, 9, 12)
    sparse[..., 4, 5] = 30.0
    # No guidance: affinities are 0, and 6 steps leave (1 - c)^6 of the way, c = sigmoid(-4); of the first map half comes back.
    share, expected = 1 / (1 + torch.tensor(4.0).exp()), torch.tensor(20.0)
    for _ in range(6):
        expected = (1 - share) * (20 + expected) / 2 + share * 30
    refined = part(depth, guidance, {"sparse_depth": sparse})
    assert torch.isclose(refined[0, 0, 4, 5], expected)
    assert torch.equal(refined[sparse == 0], depth[sparse == 0])


def held_for_training(name, steps):
    """Full-size maps that autograd keeps from the forward pass to the backward pass."""
    part = build(REFINEMENT, {"type": name, "steps": steps}, "refinement", channels={1: 5})
    held = {}

    def keep(tensor):
        storage = tensor.untyped_storage()
        held[storage.data_ptr()] = storage.nbytes(), tensor
        return tensor

    depth, guidance = 5 + 40 * torch.rand(1, 1, 64, 64), {1: torch.randn(1, 5, 64, 64)}
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        part(depth, guidance, {"sparse_depth": sparse_map(64, 64, batch=1)})
    return sum(size for size, _ in held.values()) / (4 * 64 * 64)


@pytest.mark.parametrize(("name", "maps_a_step"), [("CSPN", 3), ("NLSPN", 10), ("DySPN", 20)])
def test_a_further_step_holds_no_copy_of_depth_for_each_neighbour(name, maps_a_step):
    assert held_for_training(name, 6) - held_for_training(name, 5) < maps_a_step
