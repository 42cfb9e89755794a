"""Baselines as architectures: each against a naive dense solve, and their limits."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from core.geometries import geometry, observed

from xdeepda.core.baselines import (
    CombinedArchitecture,
    EnOIArchitecture,
    KalmanArchitecture,
    OIArchitecture,
)
from xdeepda.core.classical import gaspari_cohn, great_circle
from xdeepda.core.cycle import cycle
from xdeepda.core.state import Observed, State, climatological

#: Cosine and sine of the year.
SEASON = torch.tensor([[1.0, 0.0]])

K, N = 4, 9
SETTINGS = {
    EnOIArchitecture: {"ensemble": N, "localisation": 20015.0, "inflation": 0.8, "damping": 0.7},
    OIArchitecture: {"ensemble": N, "localisation": 20015.0},
    KalmanArchitecture: {"patterns": K, "truncation": 1.5, "inflation": 1.1},
    CombinedArchitecture: {
        "patterns": K,
        "truncation": 2.0,
        "ensemble": N,
        "localisation": 9000.0,
        "local": False,
    },
}


def build(kind, *, land: float = 0.2, **changes):
    """A module in double precision with random fitted arrays."""
    geo = geometry(3, 4, 6, land=land)
    module = kind(geo, **{**SETTINGS[kind], **changes}).double()
    rng = torch.Generator().manual_seed(2)
    arrays = {k: torch.randn(v.shape, generator=rng) for k, v in module.state_dict().items()}
    if "covariance.roots" in arrays:
        roots = arrays["covariance.roots"].double() + 1.0
        arrays["covariance.roots"] = roots / roots.norm(dim=1, keepdim=True)
        arrays["covariance.latitude"] = torch.linspace(-0.8, 0.8, 4)
        arrays["covariance.longitude"] = torch.linspace(0, 0.8, 6)
    if "filter.patterns" in arrays:
        a = arrays["filter.noise"].double()
        arrays["filter.noise"] = a @ a.mT + torch.eye(K)
        arrays["filter.operator"] = 0.3 * arrays["filter.operator"]
        arrays["filter.spectrum"] = torch.linspace(3, 1, K)
        arrays["filter.patterns"] = 0.3 * arrays["filter.patterns"]
        arrays["filter.rest"] = arrays["filter.rest"].abs() + 0.1
    if "rest_memory" in arrays:
        arrays["rest_memory"] = arrays["rest_memory"].abs().clamp_max(0.9)
    module.load_state_dict(arrays)
    return module, geo


def double(part):
    return type(part)(*(None if x is None else x.double() for x in part))


def start(geo, batch: int = 2) -> State:
    """Other means in each row; the same variance."""
    state = double(climatological(geo, batch))
    rng = torch.Generator().manual_seed(4)
    noise = torch.randn(state.mean.shape, generator=rng).double()
    return state._replace(mean=noise * geo.wet)


def seen(geo, batch: int = 2, share: float = 0.3) -> Observed:
    """Observations of the same cells with the same errors in each row, of other values."""
    row = double(observed(geo, 1, share, error=0.4))
    wide = Observed(*(part.expand(batch, *part.shape[1:]) for part in row))
    rng = torch.Generator().manual_seed(6)
    return wide._replace(value=torch.randn(wide.value.shape, generator=rng).double() * wide.mask)


def textbook(p, prior, innovation, cell, error):
    """Increment and analysis variance by matrices of full size."""
    h = np.eye(len(p))[cell]
    gain = p @ h.T @ np.linalg.inv(h @ p @ h.T + np.diag(error))
    after = (np.eye(len(p)) - gain @ h) @ p
    return innovation @ gain.T, np.diag(after), after


def localised(module) -> np.ndarray:
    """Correlation matrix of the fitted anomalies."""
    c = module.covariance.correlation()
    where = c.position[c.column]
    rho = gaspari_cohn(great_circle(where, where), module.covariance.support)
    return (c.roots @ c.roots.mT * rho).numpy()


@pytest.mark.parametrize("kind", [EnOIArchitecture, OIArchitecture])
@pytest.mark.parametrize("changes", [{"local": True}, {"local": False}])
def test_oi_and_enoi_are_naive_dense_solves(kind, changes):
    module, geo = build(kind, **changes)
    background, obs = module.forecast(start(geo), SEASON), seen(geo)
    analysis = module.analyse(background, obs)
    vector = module.sea.vector
    prior = vector(background.variance)[0].numpy()
    deviation = np.sqrt(module.inflation * prior)
    p = localised(module) * np.outer(deviation, deviation)
    cell = np.flatnonzero(vector(obs.mask)[0])
    error = vector(obs.variance)[0].numpy()[cell]
    innovation = vector(obs.value - background.mean).numpy()[:, cell]
    increment, after, _ = textbook(p, prior, innovation, cell, error)
    expected = vector(background.mean).numpy() + increment
    np.testing.assert_allclose(vector(analysis.mean), expected, rtol=1e-10, atol=1e-12)
    variance = vector(analysis.variance)[0].numpy()
    np.testing.assert_allclose(variance * module.inflation, after, rtol=1e-10)


def test_the_reduced_filter_is_a_naive_dense_solve():
    module, geo = build(KalmanArchitecture)
    obs, vector = seen(geo), module.sea.vector
    e, rest = module.filter.patterns.numpy(), module.filter.rest.numpy()
    a, q = module.filter.operator.numpy(), module.filter.noise.numpy()
    first = module.analyse(module.forecast(start(geo), SEASON), obs)
    background = module.forecast(first, SEASON)
    c, p = first.carried[..., 0].numpy(), first.carried[0, :, 1:].numpy()
    c, p = c @ a.T, 1.1 * a @ p @ a.T + q
    np.testing.assert_allclose(vector(background.mean), c @ e.T, rtol=1e-10)
    prior = np.diag(e @ p @ e.T) + rest
    np.testing.assert_allclose(vector(background.variance)[0], prior, rtol=1e-10)
    analysis = module.analyse(background, obs)
    cell = np.flatnonzero(vector(obs.mask)[0])
    error = vector(obs.variance)[0].numpy()[cell] + 1.5 * rest[cell]
    h = e[cell]
    gain = p @ h.T @ np.linalg.inv(h @ p @ h.T + np.diag(error))
    c = c + (vector(obs.value).numpy()[:, cell] - c @ h.T) @ gain.T
    p = p - gain @ h @ p
    np.testing.assert_allclose(vector(analysis.mean), c @ e.T, rtol=1e-10, atol=1e-12)
    after = np.diag(e @ p @ e.T) + rest
    np.testing.assert_allclose(vector(analysis.variance)[0], after, rtol=1e-10)


def test_the_combination_is_two_naive_dense_solves():
    module, geo = build(CombinedArchitecture)
    obs, vector = seen(geo), module.sea.vector
    e = module.filter.patterns.numpy()
    background = module.forecast(start(geo), SEASON)
    c, p = background.carried[..., 0].numpy(), background.carried[0, :, 1:].numpy()
    rest = vector(background.mean).numpy() - c @ e.T
    remaining = vector(background.variance)[0].numpy() - np.diag(e @ p @ e.T)
    cell = np.flatnonzero(vector(obs.mask)[0])
    y, error = vector(obs.value).numpy()[:, cell], vector(obs.variance)[0].numpy()[cell]
    h = e[cell]
    gain = p @ h.T @ np.linalg.inv(h @ p @ h.T + np.diag(error + 2.0 * remaining[cell]))
    c = c + (y - rest[:, cell] - c @ h.T) @ gain.T
    p = p - gain @ h @ p
    deviation = np.sqrt(remaining)
    b = localised(module) * np.outer(deviation, deviation)
    blurred = np.diag(e @ p @ e.T)
    innovation = y - (c @ e.T + rest)[:, cell]
    increment, after, _ = textbook(b, remaining, innovation, cell, error + blurred[cell])
    analysis = module.analyse(background, obs)
    expected = c @ e.T + rest + increment
    np.testing.assert_allclose(vector(analysis.mean), expected, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(vector(analysis.variance)[0], blurred + after, rtol=1e-9)


@pytest.mark.parametrize("kind", SETTINGS)
def test_rows_of_a_batch_are_independent(kind):
    """Rows that share one gain, and rows that have their own, agree."""
    module, geo = build(kind)
    state, obs = start(geo), seen(geo)
    together = module.analyse(module.forecast(state, SEASON), obs)
    # the last row sees other cells: now each row is solved on its own
    third = double(observed(geo, 1, 0.5, seed=9))
    mixed = Observed(*(torch.cat([a, b]) for a, b in zip(obs, third, strict=True)))
    wide = State(*(torch.cat([x, x[:1]]) for x in state[:2]))
    apart = module.analyse(module.forecast(wide, SEASON), mixed)
    torch.testing.assert_close(apart.mean[:2], together.mean, rtol=1e-9, atol=1e-11)
    torch.testing.assert_close(apart.variance[:2], together.variance, rtol=1e-9, atol=1e-11)
    alone = module.analyse(module.forecast(State(*(x[:1] for x in state[:2])), SEASON), third)
    torch.testing.assert_close(apart.mean[2:], alone.mean, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("kind", SETTINGS)
def test_nothing_observed_changes_nothing(kind):
    module, geo = build(kind)
    background = module.forecast(start(geo), SEASON)
    analysis = module.analyse(background, seen(geo, share=0.0))
    torch.testing.assert_close(analysis.mean, background.mean, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(analysis.variance, background.variance, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("kind", SETTINGS)
def test_variance_is_between_zero_and_the_background(kind):
    module, geo = build(kind)
    for background, analysis in cycle(module, start(geo), [seen(geo)] * 4):
        wet = geo.wet.expand_as(analysis.variance) > 0
        assert (analysis.variance[wet] > 0).all()
        assert (analysis.variance <= background.variance + 1e-12).all()
        assert (analysis.mean[~wet] == 0).all()
        assert (analysis.variance[~wet] == 0).all()
        assert (analysis.variance < background.variance - 1e-3).any()


@pytest.mark.parametrize("kind", [EnOIArchitecture, KalmanArchitecture, CombinedArchitecture])
def test_without_observations_the_climatology_returns(kind):
    module, geo = build(kind)
    nothing = [seen(geo, share=0.0)] * 200
    *_, (_, last) = cycle(module, start(geo), nothing)
    torch.testing.assert_close(last.mean, torch.zeros_like(last.mean), atol=1e-3, rtol=0)
    *_, (_, more) = cycle(module, last, nothing)
    torch.testing.assert_close(more.variance, last.variance, rtol=1e-3, atol=1e-6)


def test_values_under_the_mask_and_on_land_do_not_matter():
    for kind in SETTINGS:
        module, geo = build(kind)
        background, obs = module.forecast(start(geo), SEASON), seen(geo)
        noisy = obs._replace(value=obs.value + 99.0 * (1 - obs.mask))
        a, b = (module.analyse(background, o) for o in (obs, noisy))
        assert torch.equal(a.mean, b.mean)
        assert torch.equal(a.variance, b.variance)
