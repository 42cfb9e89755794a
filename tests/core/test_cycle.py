"""The cycle, the baselines against closed forms, perturbations and members."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from core.geometries import geometry, observed

from xdeepda.core.architecture import (
    VARIANCE_FLOOR,
    ClimatologyArchitecture,
    PersistenceArchitecture,
)
from xdeepda.core.cycle import MemberNoise, cycle, perturb
from xdeepda.core.smoothing import SmoothNoise
from xdeepda.core.state import State, climatological


def test_without_observations_all_fades_as_an_ar1_process():
    geo = geometry()
    start = State(torch.randn(1, *geo.wet.shape) * geo.wet, torch.full((1, *geo.wet.shape), 0.01))
    nothing = observed(geo, 1, share=0.0)
    steps = list(cycle(PersistenceArchitecture(geo), start, [nothing] * 7))
    decay = geo.persistence**7
    np.testing.assert_allclose(steps[-1][1].mean, start.mean * decay, rtol=1e-5, atol=1e-7)
    expected = decay**2 * start.variance + (1 - decay**2) * geo.variance
    inside = geo.wet.expand_as(expected) > 0
    np.testing.assert_allclose(steps[-1][1].variance[inside], expected[inside], rtol=1e-5)


def test_persistence_is_the_scalar_kalman_filter():
    geo = geometry(3)
    stream = [observed(geo, 2, 0.5, seed, error=0.4) for seed in range(6)]
    mean = np.zeros((2, *geo.wet.shape))
    variance = np.broadcast_to(geo.variance.double().numpy(), mean.shape).copy()
    a, wet, climate = geo.persistence.double().numpy(), geo.wet.numpy() > 0, geo.variance.numpy()
    steps = cycle(PersistenceArchitecture(geo), climatological(geo, 2), stream)
    for (_, analysis), obs in zip(steps, stream, strict=True):
        mean, variance = a * mean, a**2 * variance + (1 - a**2) * climate
        seen = obs.mask.numpy() > 0
        gain = np.where(seen, variance / (variance + 0.4**2), 0)
        mean = mean + gain * (obs.value.numpy() - mean)
        variance = (1 - gain) * variance
        np.testing.assert_allclose(analysis.mean.numpy()[:, wet], mean[:, wet], atol=1e-5)
        np.testing.assert_allclose(analysis.variance.numpy()[:, wet], variance[:, wet], atol=1e-5)
        assert (analysis.mean.numpy()[:, ~wet] == 0).all()


def test_climatology_knows_nothing():
    geo = geometry()
    for background, analysis in cycle(
        ClimatologyArchitecture(geo), climatological(geo, 2), [observed(geo)] * 3
    ):
        assert (analysis.mean == 0).all()
        np.testing.assert_allclose(analysis.variance, background.variance, rtol=1e-6)


def test_quiet_cells_keep_a_finite_variance():
    geo = geometry()
    geo.variance[0, :, 0] = 0
    inside = geo.wet[0, :, 0] > 0
    assert (ClimatologyArchitecture(geo).clim_variance[0, :, 0][inside] == VARIANCE_FLOOR).all()


def test_area_weights_sum_to_one():
    weights = geometry(3).weights
    torch.testing.assert_close(weights.sum(dim=(1, 2)), torch.ones(3))
    assert (weights[geometry(3).wet == 0] == 0).all()


def test_members_see_their_own_observations():
    geo = geometry(1, 40, 40, land=0.1)
    obs = observed(geo, 1, 0.5, error=0.25)
    wide = type(obs)(*(part.expand(50, *part.shape[1:]) for part in obs))
    drawn = perturb(wide, torch.Generator().manual_seed(0))
    noise = (drawn.value - wide.value)[wide.mask > 0]
    assert noise.std().item() == pytest.approx(0.25, rel=0.02)
    assert noise.mean().item() == pytest.approx(0, abs=0.005)
    assert (drawn.value[wide.mask == 0] == 0).all()
    assert torch.equal(drawn.mask, wide.mask)
    assert torch.equal(obs.value, observed(geo, 1, 0.5, error=0.25).value)


@pytest.mark.parametrize("count", [2, 5])
def test_members_spread_as_far_as_the_error_and_keep_their_mean(count):
    geo = geometry(2, 8, 12)
    geo.persistence[:] = 0
    inside = geo.wet > 0
    rng = torch.Generator().manual_seed(0)
    members = 0.5 * torch.randn(count, *geo.wet.shape, generator=rng) * geo.wet
    noise = MemberNoise(SmoothNoise(geo), geo.persistence, count, rng)
    variances = []
    for _ in range(600):
        noise.advance()
        spread = noise.add(members, 2.0 * geo.wet)
        variances.append(spread.var(dim=0, unbiased=True)[inside])
    torch.testing.assert_close(spread.mean(0), members.mean(0), atol=1e-5, rtol=0)
    assert (spread[:, ~inside] == 0).all()
    expected = members.var(dim=0, unbiased=True)[inside].clamp_min(2.0)
    ratio = torch.stack(variances).mean(dim=0) / expected
    assert ratio.mean().item() == pytest.approx(1.0, rel=0.04)
    # where the members already spread further, nothing is added
    torch.testing.assert_close(noise.add(members, 0 * geo.wet), members)


def test_member_noise_remembers_from_cycle_to_cycle():
    geo = geometry(1, 10, 10, land=0.0)
    geo.persistence[:] = 0.9
    noise = MemberNoise(SmoothNoise(geo), geo.persistence, 300, torch.Generator().manual_seed(1))
    before = noise.field.clone()
    noise.advance()
    assert (before * noise.field).mean().item() == pytest.approx(0.9, abs=0.04)
    assert noise.field.var().item() == pytest.approx(1.0, abs=0.06)
