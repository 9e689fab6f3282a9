"""Sparsity-invariant and normalized convolutions against slow loops in float64, and scipy's dilation."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from mtdc.layers.sparse_conv import NormalizedConv, Sparse, SparsityInvariantConv, mask_channel
from mtdc.networks.normalized_conv import halve, join

SIZE = (9, 11)


def sparse_input(channels, density=0.15, per_channel=False, seed=0):
    generator = np.random.default_rng(seed)
    values = generator.uniform(1, 50, (channels, *SIZE))
    known = generator.random((channels if per_channel else 1, *SIZE)) < density
    return values, known.astype(float)


def tensors(values, known):
    return Sparse(torch.from_numpy(values)[None].float(), torch.from_numpy(known)[None].float())


def windows(array, size, stride):
    """(C, H', W', size, size) windows of (C, H, W) with zeros outside."""
    half = size // 2
    padded = np.pad(array, ((0, 0), (half, half), (half, half)))
    view = np.lib.stride_tricks.sliding_window_view(padded, (size, size), axis=(1, 2))
    return view[:, ::stride, ::stride]


@pytest.mark.parametrize(("size", "stride"), [(3, 1), (5, 2), (11, 2)])
def test_sparsity_invariant_convolution_is_the_equation(size, stride):
    torch.manual_seed(1)
    conv = SparsityInvariantConv(2, 3, size, stride)
    torch.nn.init.normal_(conv.bias)
    values, known = sparse_input(2)
    answer = conv(tensors(values, known))
    weight, bias = conv.conv.weight.detach().double().numpy(), conv.bias.detach().double().numpy()
    seen = windows(known, size, stride)[0]
    for out in range(3):
        total = sum((windows(values * known, size, stride)[c] * weight[out, c]).sum(axis=(-1, -2)) for c in range(2))
        expected = total / np.maximum(seen.sum(axis=(-1, -2)), 1) + bias[out]
        np.testing.assert_allclose(answer.values[0, out].detach().numpy(), expected, rtol=2e-4, atol=1e-3)
    dilated = ndimage.maximum_filter(known[0], size=size, mode="constant")[::stride, ::stride]
    np.testing.assert_array_equal(answer.known[0, 0].numpy(), dilated)


def test_sparsity_invariant_convolution_does_not_see_what_is_not_measured():
    conv = SparsityInvariantConv(1, 2, 5)
    values, known = sparse_input(1)
    other = np.where(known > 0, values, 1e6)
    assert torch.equal(conv(tensors(values, known)).values, conv(tensors(other, known)).values)
    # The level of the answer is that of the measured values, however few they are: the point of it.
    constant = np.full((1, *SIZE), 7.0)
    torch.nn.init.constant_(conv.conv.weight, 0.5)
    few = conv(tensors(constant, known))
    assert torch.allclose(few.values[few.known.expand_as(few.values) > 0], torch.tensor(3.5), atol=1e-4)


@pytest.mark.parametrize(("size", "stride"), [(3, 1), (5, 2)])
def test_normalized_convolution_is_the_equation(size, stride):
    torch.manual_seed(2)
    conv = NormalizedConv(2, 3, size, stride)
    torch.nn.init.normal_(conv.bias)
    values, known = sparse_input(2, per_channel=True)
    known *= np.random.default_rng(3).uniform(0.1, 1, known.shape)
    answer = conv(tensors(values, known))
    applicability = np.logaddexp(0, conv.weight.detach().double().numpy())
    for out in range(3):
        share = sum((windows(known, size, stride)[c] * applicability[out, c]).sum(axis=(-1, -2)) for c in range(2))
        total = sum((windows(values * known, size, stride)[c] * applicability[out, c]).sum(axis=(-1, -2)) for c in range(2))
        expected = total / (share + 1e-8) + conv.bias.detach().double().numpy()[out]
        np.testing.assert_allclose(answer.values[0, out].detach().numpy(), expected, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(
            answer.known[0, out].detach().numpy(), share / applicability[out].sum(), rtol=1e-4, atol=1e-7
        )


def test_an_empty_map_is_finite_in_half_precision():
    conv = SparsityInvariantConv(1, 2, 5).half()
    answer = conv(Sparse(torch.zeros(1, 1, *SIZE).half(), torch.zeros(1, 1, *SIZE).half()))
    assert torch.isfinite(answer.values).all()


def test_normalized_convolution_is_an_average_and_survives_half_precision():
    conv = NormalizedConv(1, 1, 5)
    values, known = sparse_input(1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        answer = conv(tensors(values, known))
    assert answer.values.dtype == torch.float32
    reached = answer.known > 0
    inside = values[known > 0]
    assert answer.values[reached].min() >= inside.min() - 1e-2
    assert answer.values[reached].max() <= inside.max() + 1e-2


def test_no_confidence_is_a_denormal_number():
    conv = NormalizedConv(1, 1, 3)
    sparse = Sparse(torch.rand(1, 1, 8, 64), torch.full((1, 1, 8, 64), 1e-30))
    sparse.known[..., :2] = 1.0
    for _ in range(8):
        sparse = conv(sparse)
        positive = sparse.known[sparse.known > 0]
        assert positive.min() >= 1e-20
    assert torch.isfinite(sparse.values).all()


def test_halving_takes_the_most_confident_of_four_and_joining_repeats():
    values = torch.tensor([[[[1.0, 2, 5, 6], [3, 4, 7, 8]]]])
    known = torch.tensor([[[[0.1, 0.9, 0, 0], [0.2, 0.3, 0, 0.4]]]])
    half = halve(Sparse(values, known))
    assert half.values.tolist() == [[[[2.0, 8.0]]]]
    assert torch.allclose(half.known, torch.tensor([[[[0.225, 0.1]]]]))
    joined = join(Sparse(values, known), half)
    assert joined.values[0, 1].tolist() == [[2.0, 2, 8, 8], [2, 2, 8, 8]]


def test_mask_channel_is_found_by_the_layout():
    assert mask_channel({"filled_depth": 1, "mask": 1, "sparse_depth": 1}) == 1
    assert mask_channel({"image": 3, "sparse_depth": 1}) == 3
    with pytest.raises(ValueError, match="needs a representation with the channel 'mask'"):
        mask_channel({"image": 3, "filled_depth": 1})
