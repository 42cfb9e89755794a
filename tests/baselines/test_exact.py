"""The exact filter and smoother of the linear ocean."""

from __future__ import annotations

import numpy as np
import pytest

from xdeepda.baselines import exact, exact_filter, exact_smoother
from xdeepda.datasets import linear_ocean
from xdeepda.errors import InputError, MemoryForeseenError


@pytest.fixture(scope="module")
def small():
    return linear_ocean((2, 4, 8))


@pytest.fixture(scope="module")
def twin():
    """A middle-sized ocean, its truth over 300 cycles, and what is measured of it."""
    ocean = linear_ocean((2, 6, 12))
    truth, mask = ocean.states(300, seed=1), ocean.observation_masks(300, seed=2)
    noise = np.random.default_rng(3).standard_normal(truth.shape)
    return ocean, truth, np.where(mask, truth + ocean.error * noise, np.nan), mask


def conditioned(ocean, values, mask, until):
    """Mean and variance of every cycle given all observations before `until`: one dense solve."""
    cycles, n = mask.shape
    power = [np.linalg.matrix_power(ocean.M, t) for t in range(cycles)]
    joint = np.block(
        [
            [power[a - b] @ ocean.P_inf if a >= b else (power[b - a] @ ocean.P_inf).T
             for b in range(cycles)]
            for a in range(cycles)
        ]
    )  # fmt: skip
    seen = mask.copy()
    seen[until:] = False
    cell = np.flatnonzero(seen.ravel())
    inner = joint[np.ix_(cell, cell)] + ocean.error**2 * np.eye(cell.size)
    gain = joint[:, cell] @ np.linalg.inv(inner)
    mean = gain @ values.ravel()[cell]
    variance = np.diag(joint) - np.einsum("ij,ji->i", gain, joint[cell])
    return mean.reshape(cycles, n), variance.reshape(cycles, n)


def test_filter_and_smoother_are_conditioning_on_the_observations(small):
    truth, mask = small.states(7, seed=4), small.observation_masks(7, seed=5)
    mask[3] = False  # a cycle without observations
    filtered, smoothed = (f(small, truth, mask) for f in (exact_filter, exact_smoother))
    mean, variance = conditioned(small, truth, mask, 7)
    np.testing.assert_allclose(smoothed.mean, mean, rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(smoothed.variance, variance, rtol=1e-10)
    for t in range(7):
        mean, variance = conditioned(small, truth, mask, t + 1)
        np.testing.assert_allclose(filtered.mean[t], mean[t], rtol=1e-9, atol=1e-10)
        np.testing.assert_allclose(filtered.variance[t], variance[t], rtol=1e-10)
        mean, variance = conditioned(small, truth, mask, t)
        np.testing.assert_allclose(filtered.background[t], mean[t], rtol=1e-9, atol=1e-10)
        np.testing.assert_allclose(filtered.background_variance[t], variance[t], rtol=1e-10)


def test_innovations_are_as_large_as_expected(twin):
    ocean, _, values, mask = twin
    filtered = exact_filter(ocean, values, mask)
    total = filtered.count.sum()
    # chi2 of `total` degrees of freedom: four standard deviations
    assert filtered.chi2.sum() / total == pytest.approx(1.0, abs=4 * np.sqrt(2 / total))
    assert (filtered.count == mask.sum(axis=1)).all()


def test_the_error_is_the_predicted_one(twin):
    ocean, truth, values, mask = twin
    filtered, smoothed = (f(ocean, values, mask) for f in (exact_filter, exact_smoother))
    later = slice(40, 260)
    for estimate in (filtered, smoothed):
        rms = np.sqrt(((estimate.mean - truth)[later] ** 2).mean())
        spread = np.sqrt(estimate.variance[later].mean())
        assert rms == pytest.approx(spread, rel=0.06)
    assert (smoothed.variance <= filtered.variance + 1e-10).all()
    assert smoothed.variance[later].mean() < 0.95 * filtered.variance[later].mean()
    assert (filtered.variance <= filtered.background_variance + 1e-12).all()
    np.testing.assert_allclose(smoothed.mean[-1], filtered.mean[-1])
    assert filtered.background_variance[-1].mean() < np.diag(ocean.P_inf).mean()


def test_without_observations_there_is_the_climatology(small):
    nothing = np.full((5, small.size), np.nan)
    estimate = exact_filter(small, nothing, np.zeros(nothing.shape, dtype=bool))
    assert (estimate.mean == 0).all()
    variance = np.broadcast_to(np.diag(small.P_inf), nothing.shape)
    np.testing.assert_allclose(estimate.variance, variance, rtol=1e-9)
    assert (estimate.chi2 == 0).all()


def test_bad_input_is_told(small):
    values, mask = np.zeros((3, small.size)), np.ones((3, small.size), dtype=bool)
    with pytest.raises(InputError, match="bool of shape"):
        exact_filter(small, values, mask.astype(float))
    with pytest.raises(InputError, match="bool of shape"):
        exact_filter(small, values[:, 1:], mask[:, 1:])
    with pytest.raises(InputError, match="differ"):
        exact_filter(small, values[1:], mask)
    with pytest.raises(InputError, match="not finite"):
        exact_smoother(small, values * np.nan, mask)
    for wrong in (0.0, -1.0, np.nan, "0.3"):
        with pytest.raises(InputError, match="standard deviation"):
            exact_filter(small, values, mask, error=wrong)


def test_memory_of_the_smoother_is_foreseen(small, monkeypatch):
    monkeypatch.setattr(exact, "available_memory", lambda: 1000)
    values, mask = np.zeros((3, small.size)), np.ones((3, small.size), dtype=bool)
    with pytest.raises(MemoryForeseenError, match=r"baselines\.kalman"):
        exact_smoother(small, values, mask)
