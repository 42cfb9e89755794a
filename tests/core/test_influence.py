"""Derivatives of the analysis: against finite differences, and exact gains."""

from __future__ import annotations

import pytest
import torch
from core.geometries import geometry, observed
from core.test_baselines import build, double, localised, seen, start
from core.test_hybrid import background, random_module

from xdeepda.core.architecture import ClimatologyArchitecture, PersistenceArchitecture
from xdeepda.core.baselines import (
    CombinedArchitecture,
    EnOIArchitecture,
    KalmanArchitecture,
    OIArchitecture,
)
from xdeepda.core.increment import IncrementArchitecture
from xdeepda.core.influence import columns, derivative, probed_sensitivity, self_sensitivity
from xdeepda.core.registry import DeepDA2024Architecture

BASELINES = (OIArchitecture, EnOIArchitecture, KalmanArchitecture, CombinedArchitecture)


def cells_of(obs) -> torch.Tensor:
    """Observed cells of the first row."""
    return obs.mask[0].flatten().nonzero()[:, 0]


def first(part):
    return type(part)(*(None if x is None else x[:1] for x in part))


def learned(name: str):
    """A module with random weights in double precision, a background and observations."""
    geo = geometry(2, 8, 12, length=(1.0, 1.5))
    torch.manual_seed(1)
    if name == "hybrid":
        module = random_module(geo)
    elif name == "increment":
        module = IncrementArchitecture(geo, width=6, deep_width=6, dilations=(1,)).eval()
    else:
        module = DeepDA2024Architecture(geo).eval()
    with torch.no_grad():
        for weight in module.parameters():
            weight.add_(0.1 * torch.randn_like(weight))
    obs = double(observed(geo, 1, share=0.15, error=0.5))
    return module.double(), double(first(background(geo))), obs


@pytest.mark.parametrize("name", ["increment", "hybrid", "deepda2024"])
def test_columns_are_those_of_central_differences(name):
    module, state, obs = learned(name)
    if name == "hybrid":
        state = state._replace(carried=module._carried(state))
    cells = cells_of(obs)[:4]
    made = columns(module, state, obs, cells)
    step = 1e-6
    for column, cell in zip(made, cells, strict=True):
        shift = torch.zeros_like(obs.value)
        shift.view(-1)[cell] = step
        with torch.no_grad():
            above = module.analyse(state, obs._replace(value=obs.value + shift)).mean[0]
            below = module.analyse(state, obs._replace(value=obs.value - shift)).mean[0]
        difference = (above - below) / (2 * step)
        assert difference.abs().max() > 1e-3
        torch.testing.assert_close(column, difference, rtol=1e-4, atol=1e-6)


def dense_gain(module, state, obs) -> torch.Tensor:
    """Gain (n, p) by matrices of full size."""
    sea = module.sea
    cell, error = sea.observed(obs, 0)
    if isinstance(module, CombinedArchitecture):
        _, covariance, _, variance = (x[0] for x in module.parts(state))
        e = module.filter.patterns
        first_p, extra = e @ covariance @ e.mT, module.truncation * variance[cell]
        gain = _gain(first_p, cell, error + extra)
        h = e[cell]
        inner = torch.linalg.inv(covariance) + h.mT @ torch.diag(1 / (error + extra)) @ h
        known = (e @ torch.linalg.inv(inner) @ e.mT).diag()
        deviation = (module.inflation * variance).sqrt()
        p = deviation[:, None] * torch.from_numpy(localised(module)) * deviation
        second = _gain(p, cell, error + known[cell])
        return gain + second @ (torch.eye(len(cell), dtype=torch.float64) - gain[cell])
    if isinstance(module, KalmanArchitecture):
        _, covariance = module.filter.unpack(state)
        e = module.filter.patterns
        p = e @ covariance[0] @ e.mT
        return _gain(p, cell, error + module.truncation * module.filter.rest[cell])
    scale = state.variance if module.evolving else module.clim_variance
    deviation = (module.inflation * sea.vector(scale).expand(1, -1)[0]).sqrt()
    return _gain(deviation[:, None] * torch.from_numpy(localised(module)) * deviation, cell, error)


def _gain(p, cell, error):
    return p[:, cell] @ torch.linalg.inv(p[cell][:, cell] + torch.diag(error))


@pytest.mark.parametrize("kind", BASELINES)
def test_of_a_linear_scheme_they_are_the_gain(kind):
    module, geo = build(kind)
    with torch.no_grad():
        state = first(module.forecast(start(geo), torch.tensor([[1.0, 0.0]])))
        obs = first(seen(geo))
        exact = dense_gain(module, state, obs)
    made = columns(module, state, obs, cells_of(obs))
    torch.testing.assert_close(module.sea.vector(made).mT, exact, rtol=1e-4, atol=1e-8)


def test_of_climatology_they_are_nothing_and_of_persistence_each_observation_alone():
    geo = geometry()
    state, obs = first(background(geo)), observed(geo, 1)
    cells = cells_of(obs)
    none = columns(ClimatologyArchitecture(geo), state, obs, cells)
    assert none.shape == (len(cells), *geo.wet.shape)
    assert (none == 0).all()
    alone = columns(PersistenceArchitecture(geo), state, obs, cells).flatten(1)
    prior = state.variance.flatten()[cells]
    expected = torch.zeros_like(alone)
    gain = prior / (prior + obs.variance.flatten()[cells])
    expected[torch.arange(len(cells)), cells] = gain
    torch.testing.assert_close(alone, expected)


@pytest.mark.parametrize("kind", BASELINES)
def test_probed_sensitivities_come_to_the_exact_ones(kind):
    module, geo = build(kind)
    obs = first(seen(geo))
    with torch.no_grad():
        state = first(module.forecast(start(geo), torch.tensor([[1.0, 0.0]])))
    cells = cells_of(obs)
    exact = self_sensitivity(module, state, obs, cells)
    probes = 400
    made = probed_sensitivity(module, state, obs, cells, probes, torch.Generator().manual_seed(0))
    assert made.shape == (probes, len(cells))
    half = len(cells) // 2
    for part in (slice(None), slice(0, half), slice(half, None)):
        sums = made[:, part].sum(dim=1)
        error = sums.std() / probes**0.5
        assert (sums.mean() - exact[part].sum()).abs() < 4 * error + 1e-9
    # all that an observation can tell is one degree of freedom
    assert 0 < exact.sum() < len(cells)


def test_a_derivative_is_linear_in_its_direction_and_leaves_no_trace():
    module, state, obs = learned("hybrid")
    cells = cells_of(obs)
    made = columns(module, state, obs, cells)
    direction = torch.zeros_like(obs.value)
    direction.view(-1)[cells] = torch.linspace(-1, 2, len(cells), dtype=torch.float64)
    along = derivative(module, state, obs, direction)[0]
    weights = direction.view(-1)[cells]
    torch.testing.assert_close(along, torch.einsum("p,pcyx->cyx", weights, made))
    assert all(weight.grad is None for weight in module.parameters())
    assert not along.requires_grad
