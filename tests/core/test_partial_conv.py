"""Partial convolution: exact cases, invariances and a naive implementation to compare with."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from xdeepda.core.partial_conv import (
    PartialConv,
    box_sum,
    convolve,
    pad_longitude,
    pad_same,
    same_padding,
)

CASES = [  # kernel, stride, space
    ((3, 3), (1, 1), (6, 9)),
    ((4, 6), (1, 1), (7, 10)),
    ((4, 5), (2, 3), (7, 11)),
    ((3, 4, 6), (1, 1, 1), (4, 6, 9)),
    ((4, 4, 4), (1, 4, 4), (5, 8, 12)),
    ((2, 3, 8), (2, 1, 2), (5, 4, 6)),
]


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def random_mask(shape: tuple[int, ...], share: float, seed: int = 1) -> Tensor:
    return torch.rand(shape, generator=rng(seed)) < share


def naive(layer: PartialConv, x: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """One window after the other: (channels, space...) to outputs and new mask, in float64."""
    weight = layer.weight.detach().double().numpy()
    bias = layer.bias.detach().double().numpy() if layer.bias is not None else 0.0
    mask = np.broadcast_to(mask, x.shape).astype(float)
    if not layer.weights:
        mask = (mask > 0).astype(float)
    x = np.where(mask > 0, x, 0.0) * mask
    sizes = x.shape[1:]
    outs = [math.ceil(n / s) for n, s in zip(sizes, layer.stride, strict=True)]
    out, new = np.zeros((weight.shape[0], *outs)), np.zeros(outs)
    for place in itertools.product(*map(range, outs)):
        taps, cells = [], []  # of the window, along each axis, those on the grid
        for i, n in enumerate(sizes):
            pad = max((outs[i] - 1) * layer.stride[i] + layer.kernel_size[i] - n, 0)
            at = place[i] * layer.stride[i] - pad // 2 + np.arange(layer.kernel_size[i])
            wraps = layer.periodic and i == len(sizes) - 1
            on_grid = np.full(at.shape, True) if wraps else (at >= 0) & (at < n)
            taps.append(np.flatnonzero(on_grid))
            cells.append(at[on_grid] % n)
        inputs = np.arange(x.shape[0])
        window, seen = x[np.ix_(inputs, *cells)], mask[np.ix_(inputs, *cells)].sum()
        if seen > 0:
            kernels = weight[np.ix_(np.arange(weight.shape[0]), inputs, *taps)]
            total = (kernels * window).reshape(weight.shape[0], -1).sum(axis=1)
            out[(slice(None), *place)] = total * weight[0].size / seen + bias
            new[place] = 1.0
    return out, new


# ---- helpers


@pytest.mark.parametrize("size", [1, 2, 5, 8, 13])
@pytest.mark.parametrize("kernel", [1, 2, 3, 4, 8])
@pytest.mark.parametrize("stride", [1, 2, 4])
def test_same_padding_gives_the_number_of_cells_over_the_stride(size, kernel, stride):
    before, after = same_padding(size, kernel, stride)
    assert (size + before + after - kernel) // stride + 1 == math.ceil(size / stride)
    assert after - before in (0, 1)


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "expected"),
    [
        (10, 8, 1, (3, 4)),
        (10, 6, 1, (2, 3)),
        (5, 3, 2, (1, 1)),
        (8, 4, 4, (0, 0)),
        (8, 2, 4, (0, 0)),
    ],
)
def test_same_padding_puts_the_larger_half_behind(size, kernel, stride, expected):
    assert same_padding(size, kernel, stride) == expected


@pytest.mark.parametrize(("n", "before", "after"), [(5, 2, 3), (5, 5, 5), (2, 3, 4), (1, 3, 2)])
def test_longitude_wraps_also_where_the_padding_exceeds_the_axis(n, before, after):
    x = torch.arange(3 * n, dtype=torch.float32).reshape(3, n)
    expected = np.pad(x.numpy(), ((0, 0), (before, after)), mode="wrap")
    np.testing.assert_array_equal(pad_longitude(x, before, after).numpy(), expected)


def test_only_the_longitude_is_periodic():
    x = torch.ones(1, 1, 2, 3, 4)
    padded = pad_same(x, (3, 3, 3), (1, 1, 1), periodic=True)
    assert padded.shape == (1, 1, 4, 5, 6)
    assert torch.equal(padded[0, 0, 1:3, 1:4], torch.ones(2, 3, 6))
    assert padded.sum() == 2 * 3 * 6


@pytest.mark.parametrize("width", range(1, 12))
def test_box_sum_of_a_mask_is_an_exact_count(width):
    mask = random_mask((2, 1, 3, 4, 20), 0.4).float()
    count = box_sum(mask, (2, 3, width))
    windows = mask.unfold(2, 2, 1).unfold(3, 3, 1).unfold(4, width, 1)
    assert torch.equal(count, windows.sum(dim=(-1, -2, -3)))
    assert count.shape[-1] == 20 - width + 1


def test_box_sum_takes_strides():
    x = torch.randn(1, 2, 7, 9, 11, generator=rng(), dtype=torch.float64)
    every = box_sum(x, (2, 3, 4))
    torch.testing.assert_close(box_sum(x, (2, 3, 4), (1, 2, 3)), every[:, :, :, ::2, ::3])


def test_box_sum_of_weights_is_exactly_zero_in_an_empty_window():
    weights = torch.rand(1, 1, 6, 40, generator=rng())
    weights[..., 17:31] = 0
    total = box_sum(weights, (3, 6))
    assert (total[..., 17:26] == 0).all()
    assert (total[..., :17] > 0).all()


@pytest.mark.parametrize("stride", [(1, 1, 1), (1, 2, 1)])
@pytest.mark.parametrize("shape", [(1, 48, 4, 40, 41), (2, 3, 4, 6, 8)])
def test_convolve_is_the_convolution_on_every_path(shape, stride):
    x = torch.randn(shape, generator=rng())
    weight = torch.randn(5, shape[1], 3, 2, 3, generator=rng(1))
    bias = torch.randn(5, generator=rng(2))
    exact = F.conv3d(x.double(), weight.double(), bias.double(), stride)
    out = convolve(x, weight, bias, stride)
    torch.testing.assert_close(out.double(), exact, rtol=1e-5, atol=1e-4)


# ---- values


@pytest.mark.parametrize(("kernel", "stride", "space"), CASES)
@pytest.mark.parametrize("periodic", [False, True])
@pytest.mark.parametrize("channel_mask", [False, True])
@pytest.mark.parametrize("weights", [False, True])
def test_equals_the_naive_implementation(kernel, stride, space, periodic, channel_mask, weights):
    layer = PartialConv(
        3, 2, kernel, stride, periodic=periodic, weights=weights, generator=rng()
    ).double()
    torch.nn.init.normal_(layer.bias, generator=rng(3))
    x = torch.randn(2, 3, *space, generator=rng(4), dtype=torch.float64)
    mask = random_mask((2, 3 if channel_mask else 1, *space), 0.08).double()
    mask *= 0.1 + torch.rand(mask.shape, generator=rng(5))
    out, new_mask = layer(x, mask)
    assert new_mask.shape[1] == 1
    for b in range(2):
        expected, seen = naive(layer, x[b].numpy(), mask[b].numpy())
        np.testing.assert_allclose(out[b].detach().numpy(), expected, rtol=1e-10, atol=1e-12)
        np.testing.assert_array_equal(new_mask[b, 0].numpy(), seen)


@pytest.mark.parametrize(("kernel", "stride", "space"), CASES)
def test_full_mask_is_the_ordinary_convolution_inside(kernel, stride, space):
    layer = PartialConv(2, 3, kernel, stride, periodic=True, generator=rng())
    torch.nn.init.normal_(layer.bias, generator=rng(3))
    x = torch.randn(1, 2, *space, generator=rng(4))
    out, new_mask = layer(x, torch.ones(1, 1, *space))
    plain = convolve(pad_same(x, kernel, stride, True), layer.weight, layer.bias, stride)
    inside = box_sum(pad_same(torch.ones(1, 1, *space), kernel, stride, True), kernel, stride)
    inside = (inside == math.prod(kernel)).expand_as(out)
    assert inside.any()
    torch.testing.assert_close(out[inside], plain[inside], rtol=1e-6, atol=1e-6)
    assert torch.equal(new_mask, torch.ones_like(new_mask))


def test_corner_of_a_full_mask_is_rescaled_by_what_lies_on_the_grid():
    layer = PartialConv(1, 1, (3, 3), bias=False, generator=rng())
    x = torch.randn(1, 1, 5, 5, generator=rng(1))
    out, _ = layer(x, torch.ones_like(x))
    plain = F.conv2d(x, layer.weight, padding=1)
    torch.testing.assert_close(out[0, 0, 0, 0], plain[0, 0, 0, 0] * 9 / 4)
    torch.testing.assert_close(out[0, 0, 0, 2], plain[0, 0, 0, 2] * 9 / 6)
    torch.testing.assert_close(out[0, 0, 2, 2], plain[0, 0, 2, 2])


@pytest.mark.parametrize("weights", [False, True])
def test_empty_window_is_exactly_zero_and_the_rest_is_not(weights):
    layer = PartialConv(2, 4, (3, 4, 5), periodic=True, weights=weights, generator=rng())
    torch.nn.init.ones_(layer.bias)
    x = torch.randn(1, 2, 5, 12, 16, generator=rng(1))
    mask = torch.zeros(1, 1, 5, 12, 16)
    mask[0, 0, 2, 6, 7] = 0.7
    out, new_mask = layer(x, mask)
    empty = (new_mask == 0).expand_as(out)
    assert new_mask.sum() == 3 * 4 * 5
    assert (out[empty] == 0).all()
    assert not torch.signbit(out[empty]).any()
    assert (out[~empty] != 0).all()


def test_without_any_observation_all_is_zero_and_gradients_are_too():
    layer = PartialConv(1, 2, (3, 3), weights=True, generator=rng())
    x = torch.full((1, 1, 4, 6), math.nan, requires_grad=True)
    out, new_mask = layer(x, torch.zeros(1, 1, 4, 6))
    out.sum().backward()
    assert (out == 0).all()
    assert (new_mask == 0).all()
    assert (x.grad == 0).all()
    assert (layer.weight.grad == 0).all()
    assert (layer.bias.grad == 0).all()


@pytest.mark.parametrize("weights", [False, True])
@pytest.mark.parametrize("junk", [math.nan, math.inf, 1e30])
def test_values_under_the_mask_change_neither_values_nor_gradients(junk, weights):
    layer = PartialConv(2, 3, (2, 4, 3), periodic=True, weights=weights, generator=rng())
    mask = random_mask((1, 2, 3, 6, 8), 0.2).float()
    clean = torch.randn(1, 2, 3, 6, 8, generator=rng(2))
    results = []
    for x in (clean, torch.where(mask > 0, clean, junk)):
        x = x.clone().requires_grad_()
        layer.zero_grad()
        out, _ = layer(x, mask)
        out.square().sum().backward()
        results.append((out, x.grad, layer.weight.grad.clone(), layer.bias.grad.clone()))
    for a, b in zip(*results, strict=True):
        assert torch.isfinite(a).all()
        assert torch.equal(a, b)


def test_nan_and_negative_masks_count_as_not_seen():
    layer = PartialConv(1, 2, (3, 3), weights=True, generator=rng())
    x = torch.randn(1, 1, 6, 8, generator=rng(1))
    mask = torch.rand(1, 1, 6, 8, generator=rng(2))
    odd, plain = mask.clone(), mask.clone()
    odd[..., 2, 3], odd[..., 4, 4] = math.nan, -1.0
    plain[..., 2, 3] = plain[..., 4, 4] = 0.0
    assert torch.equal(layer(x, odd)[0], layer(x, plain)[0])


@settings(max_examples=60, deadline=None)
@given(
    case=st.sampled_from(CASES),
    seed=st.integers(0, 2**31),
    share=st.sampled_from([0.01, 0.1, 0.5, 1.0]),
    periodic=st.booleans(),
    weights=st.booleans(),
    constant=st.floats(-100, 100),
)
def test_constant_in_constant_out_whatever_the_mask(case, seed, share, periodic, weights, constant):
    kernel, stride, space = case
    layer = PartialConv(
        2, 1, kernel, stride, bias=False, periodic=periodic, weights=weights, generator=rng()
    )
    torch.nn.init.constant_(layer.weight, 1 / layer.weight[0].numel())
    mask = random_mask((1, 2, *space), share, seed).float()
    mask *= 10 ** (6 * torch.rand(mask.shape, generator=rng(seed)) - 3)
    out, new_mask = layer(torch.full((1, 2, *space), constant), mask)
    torch.testing.assert_close(out, constant * new_mask, rtol=1e-5, atol=1e-30)


@pytest.mark.parametrize(("kernel", "space"), [((4, 5), (6, 12)), ((2, 4, 6), (3, 6, 12))])
@pytest.mark.parametrize("shift", [1, 5, -3])
def test_shift_equivariant_along_a_periodic_longitude(kernel, space, shift):
    layer = PartialConv(1, 2, kernel, periodic=True, generator=rng()).double()
    x = torch.randn(1, 1, *space, generator=rng(1), dtype=torch.float64)
    mask = random_mask((1, 1, *space), 0.1)
    out, new_mask = layer(x, mask)
    rolled, rolled_mask = layer(x.roll(shift, -1), mask.roll(shift, -1))
    torch.testing.assert_close(rolled, out.roll(shift, -1), rtol=1e-12, atol=1e-12)
    assert torch.equal(rolled_mask, new_mask.roll(shift, -1))


def test_without_periodicity_the_two_ends_do_not_touch():
    layer = PartialConv(1, 1, (3, 3), generator=rng())
    mask = torch.zeros(1, 1, 4, 8)
    mask[..., 0] = 1
    _, new_mask = layer(torch.ones(1, 1, 4, 8), mask)
    assert new_mask[0, 0, 0].tolist() == [1, 1, 0, 0, 0, 0, 0, 0]


def test_a_common_factor_of_the_weights_does_not_matter():
    layer = PartialConv(2, 3, (3, 4), weights=True, generator=rng())
    x = torch.randn(1, 2, 6, 9, generator=rng(1))
    weights = random_mask((1, 1, 6, 9), 0.3) * torch.rand(1, 1, 6, 9, generator=rng(2))
    out, _ = layer(x, weights)
    scaled, _ = layer(x, 1024 * weights)  # a power of two: the same bits
    assert torch.equal(out, scaled)


def test_a_precise_observation_outweighs_a_poor_one():
    layer = PartialConv(1, 1, (1, 2), bias=False, weights=True)
    torch.nn.init.constant_(layer.weight, 0.5)
    x = torch.tensor([[[[1.0, 5.0]]]])
    out, _ = layer(x, torch.tensor([[[[3.0, 1.0]]]]))
    torch.testing.assert_close(out[0, 0, 0, 0].item(), (3 * 1 + 1 * 5) / 4)


@pytest.mark.parametrize("smallest", [1e-20, 1e-40])
def test_vanishing_weights_stay_finite(smallest):
    layer = PartialConv(1, 2, (3, 3), weights=True, generator=rng())
    x = torch.randn(1, 1, 6, 8, generator=rng(1), requires_grad=True)
    weights = torch.full((1, 1, 6, 8), smallest)
    weights[..., 5:] = 1.0
    out, _ = layer(x, weights)
    out.sum().backward()
    for tensor in (out, x.grad, layer.weight.grad, layer.bias.grad):
        assert torch.isfinite(tensor).all()


def test_without_weights_only_the_sign_of_the_mask_counts():
    layer = PartialConv(1, 2, (3, 3), generator=rng())
    x = torch.randn(1, 1, 6, 8, generator=rng(1))
    mask = random_mask((1, 1, 6, 8), 0.3)
    assert torch.equal(layer(x, mask)[0], layer(x, mask * 7.5)[0])


def test_a_mask_shared_by_channels_equals_its_copies():
    layer = PartialConv(3, 2, (2, 3, 4), (1, 2, 1), generator=rng())
    x = torch.randn(2, 3, 4, 6, 8, generator=rng(1))
    mask = random_mask((1, 1, 4, 6, 8), 0.2)
    shared, seen = layer(x, mask)
    copied, also_seen = layer(x, mask.expand(2, 3, -1, -1, -1))
    torch.testing.assert_close(shared, copied, rtol=1e-6, atol=0)
    assert torch.equal(seen.expand(2, -1, -1, -1, -1), also_seen)


# ---- gradients, precision, input


@pytest.mark.parametrize("weights", [False, True])
@pytest.mark.parametrize(
    ("kernel", "stride", "space"), [((2, 3), (1, 2), (3, 4)), ((2, 2, 3), (1, 1, 1), (2, 3, 4))]
)
def test_gradients_by_finite_differences(kernel, stride, space, weights):
    layer = PartialConv(2, 2, kernel, stride, periodic=True, weights=weights, generator=rng())
    layer = layer.double()
    x = torch.randn(1, 2, *space, generator=rng(1), dtype=torch.float64, requires_grad=True)
    mask = random_mask((1, 1, *space), 0.4).double()
    mask *= 0.5 + torch.rand(mask.shape, generator=rng(2))

    def run(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        parameters = {"weight": weight, "bias": bias}
        return torch.func.functional_call(layer, parameters, (x, mask))[0]

    assert torch.autograd.gradcheck(run, (x, layer.weight, layer.bias))


def test_counts_are_exact_under_autocast():
    layer = PartialConv(1, 1, (8, 8, 8), bias=False, generator=rng())
    torch.nn.init.constant_(layer.weight, 2.0**-9)
    mask = random_mask((1, 1, 12, 12, 12), 0.9)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out, new_mask = layer(torch.ones(1, 1, 12, 12, 12), mask)
        counts = box_sum(mask.float(), (8, 8, 8))
    assert out.dtype == torch.bfloat16
    assert new_mask.dtype == torch.float32
    exact = mask.double().unfold(2, 8, 1).unfold(3, 8, 1).unfold(4, 8, 1).sum((-1, -2, -3))
    assert torch.equal(counts.double(), exact)
    assert exact.max() > 256  # beyond the integers of bfloat16
    torch.testing.assert_close(out.float(), torch.ones_like(new_mask), rtol=2.0**-7, atol=0)


def test_half_precision_layer_counts_in_float32():
    layer = PartialConv(1, 2, (3, 3), generator=rng()).bfloat16()
    x = torch.randn(1, 1, 6, 8, generator=rng(1)).bfloat16()
    out, new_mask = layer(x, random_mask((1, 1, 6, 8), 0.5))
    assert (out.dtype, new_mask.dtype) == (torch.bfloat16, torch.float32)


def test_same_seed_same_weights():
    first, second = (PartialConv(2, 3, (3, 3), generator=rng(7)) for _ in range(2))
    other = PartialConv(2, 3, (3, 3), generator=rng(8))
    assert torch.equal(first.weight, second.weight)
    assert not torch.equal(first.weight, other.weight)


@pytest.mark.parametrize(
    ("x", "mask"),
    [
        ((1, 3, 4, 5), (1, 1, 4, 5)),  # channels
        ((2, 4, 5), (1, 4, 5)),  # no batch
        ((1, 2, 4, 5), (1, 1, 5, 4)),  # space
        ((1, 2, 4, 5), (1, 3, 4, 5)),  # channels of the mask
        ((4, 2, 4, 5), (3, 1, 4, 5)),  # batch of the mask
    ],
)
def test_wrong_shapes_are_refused_with_what_was_found(x, mask):
    layer = PartialConv(2, 1, (3, 3))
    with pytest.raises(ValueError, match=r"partial convolution: .* shape \("):
        layer(torch.zeros(x), torch.zeros(mask))


@pytest.mark.parametrize(
    ("kernel", "stride"), [((3,), None), ((3, 3), (1,)), ((0, 3), None), ((3, 3), (1, 0))]
)
def test_wrong_windows_are_refused(kernel, stride):
    with pytest.raises(ValueError, match="kernel_size"):
        PartialConv(1, 1, kernel, stride)
