"""The networks published in 2024 against a plain implementation in the publication's own terms.

The plain one is written in numpy, in float64, with axes (channel, longitude, latitude, level) and
every half of a pair as a layer of its own.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from xdeepda.core.deepda2024 import QUIRKS, DeepDA2024Generator, resolve_quirks
from xdeepda.core.discriminator import Discriminator3D
from xdeepda.core.pairs import ObservationPair, TransposedPair
from xdeepda.core.partial_conv import PartialConv

EACH_AND_ALL = [(), "all", *((name,) for name in sorted(QUIRKS))]
ONE, POOL = (1, 1, 1), (2, 2, 1)


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def parameters(net: nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


def shake(net: nn.Module) -> nn.Module:
    """Biases and mask kernels away from their initial values, so that they matter."""
    generator = rng(99)
    with torch.no_grad():
        for name, p in net.named_parameters():
            if name.endswith("mask_weight"):
                p.add_(0.6 * torch.randn(p.shape, generator=generator))
            elif name.endswith("bias"):
                p.copy_(0.3 * torch.randn(p.shape, generator=generator))
    return net


def fields(
    shape: tuple[int, ...], share: float = 0.06, dtype: torch.dtype = torch.float64
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Background, observations, their mask and wet cells; 0 on land and where not observed."""
    wet = torch.rand(shape[1:], generator=rng(1)) > 0.2
    seen = (torch.rand(shape, generator=rng(2)) < share) & wet
    background = torch.randn(shape, generator=rng(3), dtype=dtype) * wet
    obs = torch.randn(shape, generator=rng(4), dtype=dtype) * seen
    return background, obs, seen.to(dtype), wet.to(dtype)


# ---- the plain implementation


def relu(x: np.ndarray) -> np.ndarray:
    return np.maximum(x, 0)


def linear(x: np.ndarray) -> np.ndarray:
    return x


def array(weight: Tensor) -> np.ndarray:
    """Weights (a, b, level, latitude, longitude) with the publication's order of the axes."""
    return weight.detach().double().permute(0, 1, 4, 3, 2).numpy()


def plain_conv(x: np.ndarray, w: np.ndarray, stride: tuple[int, ...], cyclic: bool) -> np.ndarray:
    outs = [math.ceil(n / s) for n, s in zip(x.shape[1:], stride, strict=True)]
    for axis in range(3):
        total = max((outs[axis] - 1) * stride[axis] + w.shape[axis + 2] - x.shape[axis + 1], 0)
        pads = [(0, 0)] * 4
        pads[axis + 1] = (total // 2, total - total // 2)
        x = np.pad(x, pads, mode="wrap" if cyclic and axis == 0 else "constant")
    out = np.zeros((w.shape[0], *outs))
    for tap in itertools.product(*map(range, w.shape[2:])):
        ends = [t + (n - 1) * s + 1 for t, n, s in zip(tap, outs, stride, strict=True)]
        part = x[(slice(None), *map(slice, tap, ends, stride))]
        out += np.einsum("oc,cxyz->oxyz", w[(slice(None), slice(None), *tap)], part)
    return out


def plain_transposed(
    x: np.ndarray, w: np.ndarray, stride: tuple[int, ...], cyclic: bool
) -> np.ndarray:
    sizes = [n * s for n, s in zip(x.shape[1:], stride, strict=True)]
    out = np.zeros((w.shape[1], *sizes))
    for tap in itertools.product(*map(range, w.shape[2:])):
        sources, targets = [np.arange(w.shape[1])], [np.arange(w.shape[1])]
        for axis in range(3):
            before = max(w.shape[axis + 2] - stride[axis], 0) // 2
            source = np.arange(x.shape[axis + 1])
            target = source * stride[axis] + tap[axis] - before
            if cyclic and axis == 0:
                target %= sizes[axis]
            keep = (target >= 0) & (target < sizes[axis])
            sources.append(source[keep])
            targets.append(target[keep])
        part = np.einsum("co,cxyz->oxyz", w[(slice(None), slice(None), *tap)], x)
        out[np.ix_(*targets)] += part[np.ix_(*sources)]
    return out


def plain_pool(x: np.ndarray) -> np.ndarray:
    c, nx, ny, nz = x.shape
    return x.reshape(c, nx // 2, 2, ny // 2, 2, nz).max(axis=(2, 4))


def halves(layer: nn.Module, tanh: int) -> list[tuple[slice, object]]:
    n = len(layer.bias)
    return [(slice(0, n - tanh), relu), (slice(n - tanh, n), np.tanh)][: 2 if tanh else 1]


def plain_pair(layer, x, stride, cyclic, tanh):
    w, b = array(layer.weight), layer.bias.detach().double().numpy()[:, None, None, None]
    return [
        act(plain_conv(x, w[part], stride, cyclic) + b[part]) for part, act in halves(layer, tanh)
    ]


def plain_up(layer, x, stride, cyclic, tanh):
    w, b = array(layer.weight), layer.bias.detach().double().numpy()[:, None, None, None]
    return np.concatenate(
        [
            act(plain_transposed(x, w[:, part], stride, cyclic) + b[part])
            for part, act in halves(layer, tanh)
        ]
    )


def plain_partial(layer, x, mask, stride, cyclic, tanh, quirks, acts=None):
    """Features and masks of each half; the mask has as many channels as `x`."""
    w, b = array(layer.weight), layer.bias.detach().double().numpy()[:, None, None, None]
    m = array(layer.mask_weight) if "trained_mask_kernels" in quirks else np.ones_like(w)
    window = w[0, 0].size if "window_ignores_channels" in quirks else w[0].size
    features, masks = [], []
    for i, (part, act) in enumerate(halves(layer, tanh)):
        conv = plain_conv(x, w[part], stride, cyclic)
        total = plain_conv(mask, m[part], stride, cyclic)
        new_mask = np.clip(total, 0, 1)
        ratio = window / (total + 1e-8) * new_mask
        if "scaled_bias" in quirks:
            out = (conv + b[part]) * ratio
        else:
            out = np.where(total > 0, conv * ratio + b[part], 0)
        features.append((acts[i] if acts else act)(out))
        masks.append(new_mask)
    return features, masks


def plain_background(net, x, cyclic):
    features = np.concatenate(plain_pair(net.background1, x, ONE, cyclic, 8))
    features = plain_pool(np.concatenate(plain_pair(net.background2, features, ONE, cyclic, 16)))
    features = plain_pool(np.concatenate(plain_pair(net.background3, features, ONE, cyclic, 32)))
    return features + plain_pair(net.background_skip, x, (4, 4, 1), cyclic, 0)[0]


def plain_observations(net, x, mask, cyclic, quirks):
    acts = [linear if "linear_obs_skip" in quirks else relu]
    skip, _ = plain_partial(net.observation_skip, x, mask, (4, 4, 1), cyclic, 0, quirks, acts)
    features, masks = plain_partial(net.observation1, x, mask, ONE, cyclic, 8, quirks)
    masks = [masks[0], features[1] if "tanh_mask" in quirks else masks[1]]
    features, masks = plain_partial(
        net.observation2, *map(np.concatenate, (features, masks)), ONE, cyclic, 16, quirks
    )
    features, masks = plain_partial(
        net.observation3,
        *(plain_pool(np.concatenate(halves)) for halves in (features, masks)),
        ONE,
        cyclic,
        32,
        quirks,
    )
    return plain_pool(np.concatenate(features)) + skip[0]


def plain_generator(net, background, obs, mask, wet, cyclic, quirks):
    """One analysis (V, level, latitude, longitude) from arrays of that shape."""
    cyclic = cyclic and "no_periodicity" not in quirks
    x1, x2, m, w = (np.swapaxes(a, 1, 3) for a in (background, obs, mask, wet))
    features = np.concatenate(
        [plain_background(net, x1, cyclic), plain_observations(net, x2, m, cyclic, quirks)]
    )
    features = plain_up(net.up1, features, POOL, cyclic, 16)
    features = plain_up(net.up2, features, POOL, cyclic, 8)
    features = plain_up(net.up3, features, ONE, cyclic, len(background))
    out = np.einsum("oc,cxyz->oxyz", array(net.output.weight)[:, :, 0, 0, 0], features)
    out += net.output.bias.detach().double().numpy()[:, None, None, None]
    return np.swapaxes(out * w, 1, 3)


# ---- the generator


@pytest.mark.parametrize(
    ("quirks", "cyclic"), [*((q, True) for q in EACH_AND_ALL), ((), False), ("all", False)], ids=str
)
def test_equals_the_plain_implementation(quirks, cyclic):
    net = shake(DeepDA2024Generator(cyclic=cyclic, quirks=quirks, generator=rng())).double()
    inputs = fields((1, 1, 4, 8, 8))
    with torch.inference_mode():
        out = net(*inputs)[0].numpy()
    arrays = [x[0].numpy() for x in inputs[:3]]
    expected = plain_generator(net, *arrays, inputs[3].numpy(), cyclic, net.quirks)
    np.testing.assert_allclose(out, expected, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("quirks", [(), "all"], ids=str)
def test_equals_the_plain_implementation_in_float32(quirks):
    net = shake(DeepDA2024Generator(quirks=quirks, generator=rng()))
    inputs = fields((1, 1, 5, 8, 12), dtype=torch.float32)
    with torch.inference_mode():
        out = net(*inputs)[0].numpy()
    arrays = [x[0].double().numpy() for x in inputs[:3]]
    expected = plain_generator(net, *arrays, inputs[3].double().numpy(), True, net.quirks)
    np.testing.assert_allclose(out, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("quirks", [(), "all"], ids=str)
def test_batches_of_several_variables_equal_the_plain_implementation(quirks):
    net = shake(DeepDA2024Generator(2, quirks=quirks, generator=rng())).double()
    inputs = fields((2, 2, 3, 8, 8))
    with torch.inference_mode():
        out = net(*inputs)
    for b in range(2):
        arrays = [x[b].numpy() for x in inputs[:3]]
        expected = plain_generator(net, *arrays, inputs[3].numpy(), True, net.quirks)
        np.testing.assert_allclose(out[b].numpy(), expected, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize(
    "name", sorted(set(QUIRKS) - {"sign_flip", "unweighted_loss", "trained_mask_kernels"})
)
def test_each_quirk_changes_the_analysis(name):
    inputs = fields((1, 1, 4, 8, 8))
    nets = [shake(DeepDA2024Generator(quirks=q, generator=rng())).double() for q in ((), (name,))]
    with torch.inference_mode():
        first, second = (net(*inputs) for net in nets)
    assert (first - second).abs().max() > 1e-3


def test_untrained_mask_kernels_count_as_the_box_sum_does():
    """Before training the first quirk changes nothing."""
    nets = [DeepDA2024Generator(quirks=q, generator=rng()) for q in ((), ("trained_mask_kernels",))]
    inputs = fields((1, 1, 4, 8, 8), dtype=torch.float32)
    with torch.inference_mode():
        first, second = (net(*inputs) for net in nets)
    torch.testing.assert_close(first, second, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["sign_flip", "unweighted_loss"])
def test_quirks_of_the_training_are_recorded_only(name):
    inputs = fields((1, 1, 2, 8, 8), dtype=torch.float32)
    nets = [DeepDA2024Generator(quirks=q, generator=rng()) for q in ((), (name,))]
    assert nets[1].quirks == {name}
    assert torch.equal(nets[0](*inputs), nets[1](*inputs))


def test_numbers_of_parameters_are_those_of_the_publication():
    net = DeepDA2024Generator(quirks="all")
    count = {name: parameters(child) for name, child in net.named_children()}
    masks = sum(p.numel() for name, p in net.named_parameters() if name.endswith("mask_weight"))
    assert parameters(net) == 1_101_917
    assert masks == 243_456
    assert [count[f"background{i}"] for i in "123"] == [4632, 110_640, 124_512]
    assert count["background_skip"] == 6240
    assert sum(v for k, v in count.items() if k.startswith("obs")) - masks == (
        2328 + 110_640 + 124_512 + 6240
    )
    assert [count[k] for k in ("up1", "up2", "up3", "output")] == [248_880, 110_616, 9218, 3]
    assert parameters(DeepDA2024Generator()) == 1_101_917 - 243_456


def test_kernels_have_the_published_size_along_each_axis():
    net = DeepDA2024Generator()
    kernels = {  # longitude, latitude, level
        "background1": (8, 6, 4),
        "background2": (6, 4, 4),
        "background3": (3, 3, 3),
        "background_skip": (4, 4, 4),
        "observation1": (6, 4, 4),
        "observation2": (6, 4, 4),
        "observation3": (3, 3, 3),
        "observation_skip": (4, 4, 4),
        "up1": (3, 3, 3),
        "up2": (6, 4, 4),
        "up3": (8, 6, 4),
        "output": (1, 1, 1),
    }
    assert {k: array(layer.weight).shape[2:] for k, layer in net.named_children()} == kernels
    stages = [array(stage.weight).shape[2:] for stage in Discriminator3D().stages]
    assert stages == [(8, 4, 4), (6, 6, 3), (4, 4, 3), (3, 3, 3), (3, 3, 3)]


@pytest.mark.parametrize("cyclic", [True, False])
@pytest.mark.parametrize("space", [(1, 5, 7), (3, 6, 10), (2, 3, 3), (4, 9, 8), (1, 1, 1)])
def test_other_sizes_are_padded_and_cropped(space, cyclic):
    net = shake(DeepDA2024Generator(cyclic=cyclic, generator=rng())).double()
    background, obs, mask, wet = fields((1, 1, *space), share=0.3)
    out = net(background, obs, mask, wet)
    north, east = -space[1] % 4, -space[2] % 4

    def padded(x: Tensor) -> Tensor:
        lat = [(0, 0)] * (x.ndim - 2) + [(0, north), (0, 0)]
        lon = [(0, 0)] * (x.ndim - 1) + [(0, east)]
        a = np.pad(x.numpy(), lon, mode="wrap" if cyclic else "constant")
        return torch.from_numpy(np.pad(a, lat))

    whole = net(padded(background), padded(obs), padded(mask), padded(wet))
    assert out.shape == background.shape
    inside = whole[..., : space[1], : space[2]]
    torch.testing.assert_close(out, inside, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("quirks", [(), "all"], ids=str)
def test_land_is_exactly_zero_and_the_sea_is_not(quirks):
    net = shake(DeepDA2024Generator(quirks=quirks, generator=rng()))
    background, obs, mask, wet = fields((2, 1, 3, 8, 12), dtype=torch.float32)
    out = net(background, obs, mask, wet)
    land = (wet == 0).expand_as(out)
    assert land.any()
    assert (out[land] == 0).all()
    assert not torch.signbit(out[land]).any()
    assert (out[~land] != 0).all()


@pytest.mark.parametrize("quirks", [(), "all"], ids=str)
@pytest.mark.parametrize("junk", [math.nan, 1e9])
def test_values_under_the_mask_and_on_land_change_nothing(quirks, junk):
    net = shake(DeepDA2024Generator(quirks=quirks, generator=rng()))
    background, obs, mask, wet = fields((1, 1, 3, 8, 12), dtype=torch.float32)
    land = (wet == 0).expand_as(mask)
    dirty = (
        torch.where(land, junk, background),
        torch.where(mask > 0, obs, junk),
        torch.where(land, 1.0, mask),  # an observation on land
        wet,
    )
    results = []
    for inputs in ((background, obs, mask, wet), dirty):
        net.zero_grad()
        out = net(*inputs)
        out.square().mean().backward()
        results.append([out, *(p.grad.clone() for p in net.parameters())])
    for clean, other in zip(*results, strict=True):
        assert torch.isfinite(other).all()
        assert torch.equal(clean, other)


@pytest.mark.parametrize("share", [0.0, 0.001, 1.0])
@pytest.mark.parametrize("quirks", [(), "all", ("tanh_mask",), ("trained_mask_kernels",)], ids=str)
def test_gradients_are_finite_however_few_observations(quirks, share):
    net = shake(DeepDA2024Generator(quirks=quirks, generator=rng()))
    background, obs, mask, wet = fields((1, 1, 4, 8, 12), share, torch.float32)
    background.requires_grad_()
    obs.requires_grad_()
    net(background, obs, mask, wet).square().mean().backward()
    for tensor in (background, obs, *net.parameters()):
        assert torch.isfinite(tensor.grad).all()
        assert tensor.grad.abs().max() < 1e6


def test_without_observations_the_obs_branch_is_silent():
    net = shake(DeepDA2024Generator(generator=rng()))
    _, obs, mask, _ = fields((1, 1, 4, 8, 12), 0.0, torch.float32)
    assert (net._encode_observations(obs, mask) == 0).all()


def test_shift_equivariant_by_whole_patches_along_the_periodic_longitude():
    inputs = fields((1, 1, 3, 8, 16))
    rolled = [x.roll(4, -1) for x in inputs]
    periodic = shake(DeepDA2024Generator(generator=rng())).double()
    torch.testing.assert_close(
        periodic(*rolled), periodic(*inputs).roll(4, -1), rtol=1e-9, atol=1e-9
    )
    for other in (
        DeepDA2024Generator(cyclic=False, generator=rng()),
        DeepDA2024Generator(quirks=["no_periodicity"], generator=rng()),
    ):
        net = shake(other).double()
        assert not torch.allclose(net(*rolled), net(*inputs).roll(4, -1), atol=1e-3)


def test_same_seed_same_bits_whatever_the_global_state():
    torch.manual_seed(1)
    first = DeepDA2024Generator(quirks="all", generator=rng(5))
    torch.manual_seed(2)
    second = DeepDA2024Generator(quirks="all", generator=rng(5))
    other = DeepDA2024Generator(quirks="all", generator=rng(6))
    for a, b in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(a, b)
    assert not torch.equal(first.up1.weight, other.up1.weight)
    inputs = fields((1, 1, 3, 8, 12), dtype=torch.float32)
    assert torch.equal(first(*inputs), second(*inputs))


def test_initial_weights_are_he_and_glorot_normal():
    net = DeepDA2024Generator(quirks="all", generator=rng())
    fan = 24 * 6 * 4 * 4
    he, glorot = math.sqrt(2 / fan), math.sqrt(2 / (fan + 16 * 6 * 4 * 4))
    for layer in (net.background2, net.observation2):
        for half, std in ((layer.weight[:32], he), (layer.weight[32:], glorot)):
            assert half.std().item() == pytest.approx(std, rel=0.02)
            assert half.abs().max() <= 2 * std / 0.8796
        assert (layer.bias == 0).all()
    assert (net.observation2.mask_weight == 1).all()
    assert net.up1.weight[:, :32].std().item() == pytest.approx(math.sqrt(2 / (27 * 32)), rel=0.02)


def test_autocast_and_half_precision_run():
    inputs = fields((1, 1, 3, 8, 12), dtype=torch.float32)
    for quirks in ((), "all"):
        net = DeepDA2024Generator(quirks=quirks, generator=rng())
        exact = net(*inputs)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            mixed = net(*inputs)
        half = net.bfloat16()(inputs[0].bfloat16(), *inputs[1:])
        for out in (mixed, half):
            assert (out.float() - exact).abs().max() < 0.1 * exact.abs().max()


@pytest.mark.parametrize("which", range(4))
def test_wrong_shapes_are_refused_with_all_of_them(which):
    net = DeepDA2024Generator()
    inputs = list(fields((1, 1, 3, 8, 12), dtype=torch.float32))
    inputs[which] = inputs[which][..., :-1]
    with pytest.raises(ValueError, match=r"background, obs, obs_mask and wet .*3, 8, 11\)"):
        net(*inputs)


def test_quirks_by_name():
    assert len(QUIRKS) == 8
    assert resolve_quirks() == frozenset()
    assert resolve_quirks("all") == frozenset(QUIRKS)
    assert resolve_quirks("tanh_mask") == {"tanh_mask"}
    assert resolve_quirks(["tanh_mask", "tanh_mask", "scaled_bias"]) == {"tanh_mask", "scaled_bias"}
    with pytest.raises(ValueError, match=r"\['a', 'b'\].*tanh_mask"):
        resolve_quirks(["b", "a", "tanh_mask"])


# ---- its layers


def test_without_quirks_an_observation_pair_is_a_partial_convolution():
    layer = shake(ObservationPair(3, 4, 2, (2, 3, 4), periodic=True, generator=rng()))
    partial = PartialConv(3, 6, (2, 3, 4), periodic=True)
    partial.load_state_dict(layer.state_dict())
    mask = (torch.rand(1, 1, 4, 6, 8, generator=rng(1)) < 0.1).float()
    x = torch.randn(1, 3, 4, 6, 8, generator=rng(2)) * mask
    features, new_mask = layer(x, mask)
    out, expected_mask = partial(x, mask)
    expected = torch.cat([out[:, :4].relu(), out[:, 4:].tanh()], dim=1)
    torch.testing.assert_close(features, expected, rtol=1e-5, atol=1e-6)
    assert torch.equal(new_mask, expected_mask)


@pytest.mark.parametrize("widths", [(1, 1), (8, 4)])
@pytest.mark.parametrize("periodic", [False, True])
@pytest.mark.parametrize(
    ("kernel", "stride"), [((4, 6, 8), ONE), ((4, 4, 6), (1, 2, 2)), ((3, 3, 3), (1, 2, 2))]
)
def test_transposed_pair_is_the_adjoint_of_the_same_convolution(kernel, stride, periodic, widths):
    """<A x, y> = <x, A' y> with A the transposed and A' the ordinary convolution."""
    layer = TransposedPair(5, *widths, kernel, stride, periodic=periodic, generator=rng()).double()
    x = torch.randn(1, 5, 3, 4, 3, generator=rng(1), dtype=torch.float64)
    up = layer._transpose(x)
    assert up.shape[2:] == tuple(
        (n - 1) * s + k for n, s, k in zip(x.shape[2:], stride, kernel, strict=True)
    )
    linear_layer = shake(layer)
    nn.init.constant_(linear_layer.bias, 0.0)
    linear_layer.relu = sum(widths)
    positive = linear_layer(x) - linear_layer(-x)  # relu(a) - relu(-a) = a
    y = torch.randn(positive.shape, generator=rng(2), dtype=torch.float64)
    down = plain_conv(y[0].permute(0, 3, 2, 1).numpy(), array(layer.weight), stride[::-1], periodic)
    product = (x[0].permute(0, 3, 2, 1).numpy() * down).sum()
    assert (positive * y).sum().item() == pytest.approx(product, rel=1e-10)


# ---- the discriminator


def test_discriminator_has_the_published_number_of_parameters():
    net = Discriminator3D()
    assert [parameters(stage) for stage in net.stages] == [3096, 124_464, 221_280, 497_856, 10_370]
    assert parameters(net) == 857_066


@pytest.mark.parametrize("periodic", [False, True])
def test_discriminator_equals_the_plain_implementation(periodic):
    net = shake(Discriminator3D(2, periodic=periodic, generator=rng())).double()
    x = torch.randn(1, 2, 5, 18, 34, generator=rng(1), dtype=torch.float64)
    out = net(x)[0].detach().permute(0, 3, 2, 1).numpy()
    features = x[0].permute(0, 3, 2, 1).numpy()
    strides = [(2, 2, 2), (2, 2, 2), (2, 2, 1), (2, 2, 1), (2, 2, 2)]
    for stage, stride, tanh in zip(net.stages, strides, (8, 16, 32, 64, 1), strict=True):
        features = np.concatenate(plain_pair(stage, features, stride, periodic, tanh))
    assert out.shape == (2, 2, 1, 1)
    np.testing.assert_allclose(out, features, rtol=1e-5, atol=1e-10)


@pytest.mark.parametrize(
    ("space", "patches"),
    [((1, 1, 1), (1, 1, 1)), ((2, 3, 5), (1, 1, 1)), ((16, 40, 90), (2, 2, 3))],
)
@pytest.mark.parametrize("periodic", [False, True])
def test_discriminator_takes_any_grid(space, patches, periodic):
    net = Discriminator3D(periodic=periodic, generator=rng())
    logits = net(torch.randn(2, 1, *space, generator=rng(1)))
    assert logits.shape == (2, 2, *patches)
    logits.sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in net.parameters())


def test_discriminator_refuses_wrong_shapes():
    with pytest.raises(ValueError, match=r"\(1, 2, 4, 8, 8\)"):
        Discriminator3D(1)(torch.zeros(1, 2, 4, 8, 8))
