"""Histograms, reliability and Desroziers' estimates against what they must be of Gaussian draws."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from xdeepda.verification import calibration as cal

N = 40_000


def draws(spread: float = 1.0, shift: float = 0.0, m: int = 9, seed: int = 0):
    rng = np.random.default_rng(seed)
    return shift + spread * rng.normal(size=(m, N)), rng.normal(size=N)


# ---- ranks


def test_a_reliable_ensemble_has_a_flat_histogram():
    counts = cal.rank_histogram(*draws())
    assert counts.sum() == N
    assert counts.shape == (10,)
    found = cal.flatness(counts)
    assert found.deviation < 0.04
    assert 0.1 < found.delta < 3.0
    assert abs(found.slope) < 5
    assert abs(found.curvature) < 5


@pytest.mark.parametrize(
    ("spread", "shift", "sign"),
    [(0.5, 0, (0, 1)), (2.0, 0, (0, -1)), (1.0, -0.5, (1, 0)), (1.0, 0.5, (-1, 0))],
)
def test_what_is_wrong_with_an_ensemble_shows(spread, shift, sign):
    found = cal.flatness(cal.rank_histogram(*draws(spread, shift)))
    assert found.deviation > 0.2
    assert found.delta > 100
    for number, expected in zip((found.slope, found.curvature), sign, strict=True):
        if expected:
            assert expected * number > 30
    if shift == 0:
        assert abs(found.slope) < 5


def test_ranks_are_those_of_a_naive_count():
    x, y = draws(m=4)
    naive = np.bincount((x[:, :500] < y[:500]).sum(axis=0), minlength=5)
    found = cal.rank_histogram(x[:, :500].T, y[:500], axis=1)
    np.testing.assert_array_equal(found, naive)


def test_ties_are_broken_evenly():
    """Rain that is zero everywhere: every rank alike."""
    counts = cal.rank_histogram(np.zeros((4, N)), np.zeros(N))
    np.testing.assert_allclose(counts, N / 5, atol=5 * np.sqrt(N / 5))
    lower = cal.rank_histogram(np.stack([np.zeros(N), np.ones(N)]), np.zeros(N))
    np.testing.assert_allclose(lower, [N / 2, N / 2, 0], atol=5 * np.sqrt(N / 4))


def test_the_error_of_observations_widens_the_members():
    x, y = draws()
    seen = y + 0.8 * np.random.default_rng(1).normal(size=N)
    # members drawn with the seed of the ranks: both streams are independent all the same
    assert cal.flatness(cal.rank_histogram(x, seen)).curvature > 20
    allowed = cal.flatness(cal.rank_histogram(x, seen, error=0.8))
    assert abs(allowed.curvature) < 5
    assert allowed.deviation < 0.04


def test_missing_samples_do_not_count_and_weights_do():
    x = np.array([[0.0, np.nan, 0.0], [1.0, 1.0, 1.0]])
    counts = cal.rank_histogram(x, [0.5, 0.5, np.nan])
    np.testing.assert_array_equal(counts, [0, 1, 0])
    weighted = cal.rank_histogram(x, [0.5, 0.5, 2.0], weights=[3.0, 5.0, 0.5])
    np.testing.assert_array_equal(weighted, [0, 3, 0.5])


def test_the_seed_makes_the_ties():
    a, b, c = (cal.rank_histogram(np.zeros((3, 50)), np.zeros(50), seed=s) for s in (1, 1, 2))
    np.testing.assert_array_equal(a, b)
    assert (a != c).any()


# ---- transforms


def test_transforms_of_true_distributions_are_uniform():
    rng = np.random.default_rng(2)
    mu, sigma = rng.normal(size=N), rng.uniform(0.2, 3, N)
    y = mu + sigma * rng.normal(size=N)
    u = cal.pit(mu, sigma, y)
    np.testing.assert_allclose(np.quantile(u, [0.1, 0.5, 0.9]), [0.1, 0.5, 0.9], atol=0.015)
    assert cal.flatness(cal.pit_histogram(u)).deviation < 0.04
    seen = y + 0.5 * rng.normal(size=N)
    assert cal.flatness(cal.pit_histogram(cal.pit(mu, sigma, seen, error=0.5))).deviation < 0.04
    assert cal.flatness(cal.pit_histogram(cal.pit(mu, sigma, seen))).deviation > 0.05


def test_the_histogram_of_a_too_small_spread_is_the_closed_form():
    y = np.random.default_rng(3).normal(size=N)
    share = cal.pit_histogram(cal.pit(0.0, 0.5, y), bins=4) / N
    outer = norm.cdf(0.5 * norm.ppf(0.25))
    np.testing.assert_allclose(share, [outer, 0.5 - outer, 0.5 - outer, outer], atol=0.015)


def test_no_spread_has_no_transform(recwarn):
    assert np.isnan(cal.pit(1.0, 0.0, 1.0))
    assert cal.pit(1.0, 0.0, 1.0, error=2.0) == 0.5
    assert cal.pit_histogram([np.nan]).sum() == 0
    assert all(np.isnan(cal.flatness([0, 0, 0])))
    assert not len(recwarn)


# ---- flatness


@given(counts=st.lists(st.integers(0, 50), min_size=3, max_size=12).filter(sum))
def test_measures_of_flatness_reflect_with_the_histogram(counts):
    one, other = cal.flatness(counts), cal.flatness(counts[::-1])
    np.testing.assert_allclose(one.deviation, other.deviation)
    np.testing.assert_allclose(one.slope, -other.slope, atol=1e-9)
    np.testing.assert_allclose(one.curvature, other.curvature, atol=1e-9)


def test_measures_of_flatness_are_standardised():
    """Of independent ranks: delta has mean 1, slope and curvature are standard normal."""
    rng = np.random.default_rng(4)
    found = np.array([cal.flatness(c) for c in rng.multinomial(500, [0.1] * 10, size=4000)])
    assert found[:, 1].mean() == pytest.approx(1, abs=0.04)
    np.testing.assert_allclose(found[:, 2:].std(axis=0), 1, atol=0.06)
    np.testing.assert_allclose(found[:, 2:].mean(axis=0), 0, atol=0.08)
    assert found[:, 0].mean() == pytest.approx(0.8 * np.sqrt(9 / 500), rel=0.05)


# ---- reliability


def test_reliable_variances_lie_on_the_diagonal():
    rng = np.random.default_rng(5)
    variance = rng.uniform(0.1, 4, 10 * N)
    squared = variance * rng.normal(size=10 * N) ** 2
    found = cal.reliability(variance, squared, bins=8)
    np.testing.assert_allclose(found.observed, found.predicted, rtol=0.05)
    assert found.number.sum() == 10 * N
    assert np.ptp(found.number) <= 8
    twice = cal.reliability(2 * variance, squared, bins=8)
    np.testing.assert_allclose(twice.observed, found.observed)


def test_equal_variances_stay_together_and_gaps_are_left_out():
    found = cal.reliability([1.0, 1.0, 1.0, 2.0, np.nan], [1.0, 2.0, 3.0, 4.0, 5.0], bins=2)
    assert found.number.sum() == 4
    held = found.number > 0
    np.testing.assert_allclose((found.observed * found.number)[held].sum(), 10)
    weighted = cal.reliability([1.0, 1.0], [0.0, 8.0], bins=1, weights=[3.0, 1.0])
    assert weighted.observed == [2.0]
    assert np.isnan(cal.reliability([np.nan], [1.0], bins=2).predicted).all()


@given(
    values=st.lists(st.integers(0, 6), min_size=1, max_size=30),
    bins=st.integers(2, 5),
)
def test_edges_split_as_evenly_as_equal_values_allow(values, bins):
    values = np.array(values, dtype=float)
    edges = cal.quantile_edges(values, bins)
    assert edges.shape == (bins - 1,)
    assert (np.diff(edges[np.isfinite(edges)]) >= 0).all()
    assert not np.isin(values, edges).any()
    splits = [(values < v).mean() for v in np.unique(values)[1:]]
    for n, edge in enumerate(edges, 1):
        if splits:
            best = min(abs(s - n / bins) for s in splits)
            assert abs((values < edge).mean() - n / bins) == pytest.approx(best)


# ---- Desroziers


def test_an_optimal_analysis_gives_back_its_variances():
    rng = np.random.default_rng(6)
    b, r = np.array([0.5, 2.0]), np.array([0.3, 0.8])
    group = rng.integers(0, 2, 10 * N)
    background = np.sqrt(b)[group] * rng.normal(size=group.size)
    innovation = np.sqrt(r)[group] * rng.normal(size=group.size) - background
    gain = (b / (b + r))[group]
    found = cal.desroziers(innovation, innovation * (1 - gain), groups=group)
    np.testing.assert_allclose(found.observation, r, rtol=0.02)
    np.testing.assert_allclose(found.background, b, rtol=0.02)
    np.testing.assert_allclose(found.analysis, b * r / (b + r), rtol=0.02)
    np.testing.assert_allclose(found.innovation, b + r, rtol=0.02)
    assert found.number.tolist() == np.bincount(group).tolist()


def test_spatial_weights_are_the_diagonals_of_the_matrices():
    """HK(HBH' + R) = HBH' for the optimal gain of correlated errors."""
    rng = np.random.default_rng(7)
    place = np.arange(6.0)
    b = 2.0 * np.exp(-((place[:, None] - place) ** 2) / 8)
    r = np.diag(rng.uniform(0.2, 1, 6))
    gain = b @ np.linalg.inv(b + r)
    ob = rng.multivariate_normal(np.zeros(6), b + r, 60_000)
    oa = ob @ (np.eye(6) - gain).T
    groups = np.tile(np.arange(6), (60_000, 1))
    found = cal.desroziers(ob, oa, groups=groups)
    np.testing.assert_allclose(found.observation, np.diag(r), rtol=0.06)
    np.testing.assert_allclose(found.background, np.diag(b), rtol=0.06)


def test_a_bias_can_be_taken_off_and_gaps_do_not_count():
    ob, oa = np.array([1.0, 3.0, np.nan, 7.0]), np.array([0.5, 1.5, 1.0, np.nan])
    plain, centred = (cal.desroziers(ob, oa, centred=c) for c in (False, True))
    assert plain.number == centred.number == 2
    assert plain.observation == (0.5 + 4.5) / 2
    assert centred.observation == 0.5
    named = cal.desroziers([1.0, 1.0], [1.0, 1.0], groups=["xbt", "argo"])
    assert named.group.tolist() == ["argo", "xbt"]
