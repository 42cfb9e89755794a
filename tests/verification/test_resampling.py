"""The bootstrap: coverage, blocks, ratios, seeds."""

from __future__ import annotations

import numpy as np
import pytest

from xdeepda.verification import resampling as rs


def test_intervals_cover_the_mean_of_independent_draws_as_often_as_they_say():
    rng = np.random.default_rng(0)
    held = 0
    for trial in range(300):
        x = rng.exponential(size=60)
        found = rs.block_bootstrap(x, blocks=np.arange(60), draws=400, level=0.9, seed=trial)
        assert found.estimate == pytest.approx(x.mean())
        held += bool(found.low < 1.0 < found.high)
    # 90 % within five standard errors, less what the skewness costs
    assert 0.80 < held / 300 < 0.97


def test_blocks_make_intervals_of_persistent_series_honest():
    """The mean of an autoregressive series of r = 0.8 errs three times as much as of noise."""
    rng = np.random.default_rng(1)
    n, r = 3000, 0.8
    x = np.empty(n)
    x[0] = rng.normal()
    for t in range(1, n):
        x[t] = r * x[t - 1] + np.sqrt(1 - r**2) * rng.normal()
    expected = np.sqrt((1 + r) / (1 - r) / n)
    single = rs.block_bootstrap(x, blocks=np.arange(n), level=0.6827)
    blocked = rs.block_bootstrap(x, blocks=np.arange(n) // 60, level=0.6827)
    assert (single.high - single.low) / 2 == pytest.approx(1 / np.sqrt(n), rel=0.15)
    assert (blocked.high - blocked.low) / 2 == pytest.approx(expected, rel=0.35)


def test_ratios_of_errors_on_the_same_samples_are_sharper_than_the_errors():
    rng = np.random.default_rng(2)
    common = rng.lognormal(sigma=1.0, size=50).repeat(20)
    a = (common * rng.normal(size=1000)) ** 2
    blocks = np.arange(1000) // 20
    ratio = rs.block_bootstrap(0.25 * a, a, blocks=blocks, root=True)
    assert ratio.estimate == pytest.approx(0.5)
    assert ratio.high - ratio.low < 1e-9
    alone = rs.block_bootstrap(a, blocks=blocks, root=True)
    assert alone.high - alone.low > 0.1


def test_samples_of_several_columns_with_gaps():
    rng = np.random.default_rng(3)
    x = rng.normal(size=(100, 2, 3))
    x[rng.random(x.shape) < 0.2] = np.nan
    found = rs.block_bootstrap(x, blocks=np.arange(100) // 5)
    np.testing.assert_allclose(found.estimate, np.nanmean(x, axis=0))
    assert (found.low < found.estimate).all()
    assert (found.estimate < found.high).all()
    weights = rng.uniform(1, 2, x.shape)
    weighted = rs.block_bootstrap(x * weights, weights, blocks=np.arange(100) // 5)
    there = ~np.isnan(x)
    naive = np.where(there, x * weights, 0).sum(0) / np.where(there, weights, 0).sum(0)
    np.testing.assert_allclose(weighted.estimate, naive)


def test_few_blocks_have_no_interval():
    found = rs.block_bootstrap(np.arange(20.0), blocks=np.arange(20) // 5)
    assert found.estimate == 9.5
    assert np.isnan(found.low)
    assert np.isnan(found.high)


def test_the_seed_and_the_names_of_blocks():
    x = np.random.default_rng(4).normal(size=40)
    numbers = np.arange(40) // 4
    names = np.array([f"float {n:02d}" for n in numbers])
    one, two = (rs.block_bootstrap(x, blocks=b, seed=7) for b in (numbers, names))
    assert one == two
    assert rs.block_bootstrap(x, blocks=numbers, seed=8).low != one.low


def test_draws_are_of_whole_blocks():
    sums = np.diag([1.0, 10.0, 100.0, 1000.0, 10000.0])
    found = rs.resampled(sums, draws=50, seed=1)
    assert found.shape == (50, 5)
    times = found / np.diag(sums)
    np.testing.assert_array_equal(times, np.round(times))
    np.testing.assert_array_equal(times.sum(axis=1), 5)
