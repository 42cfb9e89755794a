"""Scores against closed forms, naive sums and invariances."""

from __future__ import annotations

import doctest

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import norm

from xdeepda.verification import calibration, resampling, scores

FIVE = 5.0  # standard errors: a test that fails by chance once in a million runs


@pytest.mark.parametrize("module", [scores, calibration, resampling])
def test_examples_of_the_docstrings(module):
    found = doctest.testmod(module, extraglobs={"np": np})
    assert found.attempted > 3
    assert found.failed == 0


@pytest.fixture
def fields():
    """Estimate, reference, weights with gaps in each, and the gaps."""
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(2, 30, 6, 7))
    w = rng.uniform(0, 1, (6, 7))
    x[rng.random(x.shape) < 0.1] = np.nan
    y[rng.random(x.shape) < 0.1] = np.nan
    w[0, 0] = 0.0
    return x, y, w


# ---- means


@pytest.mark.parametrize("axis", [None, 0, (1, 2), -1, (0, 2)])
def test_rmse_and_bias_equal_a_naive_sum(fields, axis):
    x, y, w = fields
    there = ~np.isnan(x) & ~np.isnan(y)
    weight = np.broadcast_to(w, x.shape) * there
    error = np.where(there, x - y, 0.0)
    with np.errstate(invalid="ignore"):
        mean = (weight * error).sum(axis) / weight.sum(axis)
        square = (weight * error**2).sum(axis) / weight.sum(axis)
    np.testing.assert_allclose(scores.bias(x, y, weights=w, axis=axis), mean, rtol=1e-12)
    np.testing.assert_allclose(scores.mse(x, y, weights=w, axis=axis), square, rtol=1e-12)
    np.testing.assert_allclose(scores.rmse(x, y, weights=w, axis=axis) ** 2, square, rtol=1e-12)


@given(shift=st.floats(-50, 50), scale=st.floats(0.1, 10))
def test_a_shift_is_a_bias_and_a_scale_scales(shift, scale):
    x, y = np.random.default_rng(2).normal(size=(2, 200))
    assert scores.bias(y + shift, y) == pytest.approx(shift, abs=1e-9)
    assert scores.rmse(scale * x, scale * y) == pytest.approx(scale * scores.rmse(x, y))
    parts = scores.mse(x + shift, y), scores.bias(x + shift, y) ** 2 + np.var(x - y)
    assert parts[0] == pytest.approx(parts[1])


def test_nothing_left_is_nan_and_warns_of_nothing(recwarn):
    none = np.full(3, np.nan)
    for score in (scores.bias, scores.rmse, scores.anomaly_correlation):
        assert np.isnan(score(none, np.ones(3)))
        assert np.isnan(score(np.ones(3), np.zeros(3), weights=0.0))
    assert np.isnan(scores.skill(none, none, none))
    assert not len(recwarn)


def test_weights_of_nan_points_do_not_count():
    assert scores.mean([1.0, 3.0], weights=[1.0, np.nan]) == 1.0


def test_float32_fields_are_summed_in_double():
    x = np.full(1_000_000, 1e4, np.float32)
    assert scores.bias(x + np.float32(0.125), x) == 0.125


# ---- correlation and skill


def test_correlation_of_draws_is_that_of_the_distribution():
    rng = np.random.default_rng(3)
    n, r = 200_000, 0.6
    a, b = rng.multivariate_normal([0, 0], [[1, r], [r, 1]], n).T
    spread = (1 - r**2) / np.sqrt(n)
    assert scores.anomaly_correlation(a + 7, b + 7, climatology=7) == pytest.approx(
        r, abs=FIVE * spread
    )
    # a bias of one lowers the plain one, E x'y' / sqrt(E x'^2 E y'^2), and not the centred one
    assert scores.anomaly_correlation(a + 1, b) == pytest.approx(r / np.sqrt(2), abs=0.01)
    centred = scores.anomaly_correlation(a + 1, b, centred=True)
    assert centred == pytest.approx(np.corrcoef(a, b)[0, 1], abs=1e-10)


def test_correlation_along_an_axis_with_weights_equals_a_naive_one(fields):
    x, y, w = fields
    there = ~np.isnan(x) & ~np.isnan(y)
    for t in range(3):
        p, q, m = x[t][there[t]], y[t][there[t]], w[there[t]]
        naive = (m * p * q).sum() / np.sqrt((m * p * p).sum() * (m * q * q).sum())
        found = scores.anomaly_correlation(x, y, weights=w, axis=(1, 2))[t]
        assert found == pytest.approx(naive, rel=1e-12)


def test_what_does_not_vary_has_no_correlation():
    assert np.isnan(scores.anomaly_correlation(np.zeros(5), np.arange(5.0)))


def test_skill_is_one_for_the_truth_and_zero_for_the_standard(fields):
    _, y, w = fields
    standard = np.random.default_rng(4).normal(size=y.shape)
    assert scores.skill(y, y, standard, weights=w) == 1.0
    assert scores.skill(standard, y, standard, weights=w) == 0.0
    worse = y + 2 * (standard - y)
    assert scores.skill(worse, y, standard, weights=w) == pytest.approx(-3.0)


def test_skill_compares_the_same_samples():
    """A standard that knows the easy samples only is compared on these."""
    estimate, standard = np.array([1.0, 100.0]), np.array([2.0, np.nan])
    assert scores.skill(estimate, np.zeros(2), standard) == 0.75


# ---- CRPS


@pytest.mark.parametrize(("mu", "sigma", "y"), [(0, 1, 0.3), (2, 0.5, -1), (-1, 3, 10)])
def test_crps_of_a_gaussian_is_the_integral(mu, sigma, y):
    ends = min(mu - 9 * sigma, y), max(mu + 9 * sigma, y)
    left = quad(lambda z: norm.cdf(z, mu, sigma) ** 2, ends[0], y)[0]
    right = quad(lambda z: norm.sf(z, mu, sigma) ** 2, y, ends[1])[0]
    assert scores.crps_gaussian(mu, sigma, y) == pytest.approx(left + right, rel=1e-6)


def test_crps_of_a_reliable_gaussian():
    """Its expectation is sigma / sqrt(pi)."""
    rng = np.random.default_rng(5)
    y = rng.normal(3.0, 2.0, 100_000)
    found = scores.crps_gaussian(3.0, 2.0, y)
    assert found.mean() == pytest.approx(2 / np.sqrt(np.pi), abs=FIVE * found.std() / 316)


def test_crps_without_spread_is_the_absolute_error():
    np.testing.assert_array_equal(scores.crps_gaussian([1.0, 2.0], 0.0, 4.0), [3.0, 2.0])
    assert np.isnan(scores.crps_gaussian(1.0, -1.0, 0.0))
    assert np.isnan(scores.crps_gaussian(1.0, np.nan, 0.0))


@pytest.mark.parametrize("fair", [True, False])
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_crps_of_an_ensemble_equals_the_sum_over_pairs(fair, axis):
    rng = np.random.default_rng(6)
    x, y = rng.normal(size=(7, 5, 4)), rng.normal(size=(5, 4))
    x[3] = x[2]  # ties
    m, k = 7, 6 if fair else 7
    naive = np.abs(x - y).mean(0) - np.abs(x[:, None] - x[None]).sum((0, 1)) / (2 * m * k)
    found = scores.crps_ensemble(np.moveaxis(x, 0, axis), y, axis=axis, fair=fair)
    np.testing.assert_allclose(found, naive, rtol=1e-12)


def test_fair_crps_does_not_depend_on_the_size_of_the_ensemble():
    rng = np.random.default_rng(7)
    n, truth = 60_000, 1 / np.sqrt(np.pi)
    y = rng.normal(size=n)
    for m in (2, 5, 20):
        x = rng.normal(size=(m, n))
        fair, plain = (scores.crps_ensemble(x, y, fair=f) for f in (True, False))
        assert fair.mean() == pytest.approx(truth, abs=FIVE * fair.std() / np.sqrt(n))
        # the plain one is larger by E|x - x'| / (2 m) = 1 / (m sqrt(pi))
        expected = truth * (1 + 1 / m)
        assert plain.mean() == pytest.approx(expected, abs=FIVE * plain.std() / np.sqrt(n))


def test_large_ensembles_have_the_crps_of_their_distribution():
    x = norm.ppf((np.arange(4000) + 0.5) / 4000)
    for y in (-2.0, 0.1, 1.0):
        found = scores.crps_ensemble(x, y, fair=False)
        assert found == pytest.approx(scores.crps_gaussian(0, 1, y), abs=1e-4)


def test_missing_members_have_no_crps(recwarn):
    assert np.isnan(scores.crps_ensemble([1.0, np.nan], 0.0))
    assert np.isnan(scores.crps_ensemble([1.0], 0.0, fair=True))
    assert scores.crps_ensemble([1.0], 0.0, fair=False) == 1.0
    assert not len(recwarn)


# ---- spread and error


def test_spread_over_error_of_draws():
    rng = np.random.default_rng(8)
    n = 200_000
    sigma = rng.uniform(0.5, 2.0, n)
    error, noise = sigma * rng.normal(size=n), 0.7 * rng.normal(size=n)
    assert scores.spread_skill(sigma, error) == pytest.approx(1, abs=0.01)
    assert scores.spread_skill(2 * sigma, error) == pytest.approx(2, abs=0.02)
    seen = scores.spread_skill(sigma, error + noise, error_variance=0.49)
    assert seen == pytest.approx(1, abs=0.01)
    assert scores.spread_skill(sigma, error + noise) < 0.95


@pytest.mark.parametrize("m", [2, 5])
def test_the_mean_of_few_members_errs_by_their_sampling(m):
    rng = np.random.default_rng(9)
    members, truth = rng.normal(size=(m, 100_000)), rng.normal(size=100_000)
    spread, error = members.std(axis=0, ddof=1), members.mean(axis=0) - truth
    assert scores.spread_skill(spread, error, members=m) == pytest.approx(1, abs=0.015)
    assert scores.spread_skill(spread, error) == pytest.approx(1 / np.sqrt(1 + 1 / m), abs=0.015)


# ---- the same as the packages of the field


@pytest.mark.parametrize("fair", [True, False])
def test_crps_equals_scoringrules(fair):
    sr = pytest.importorskip("scoringrules", reason="scoringrules is not installed")
    rng = np.random.default_rng(10)
    y, x = rng.normal(size=50), rng.normal(size=(50, 9))
    theirs = sr.crps_ensemble(y, x, estimator="fair" if fair else "nrg")
    np.testing.assert_allclose(scores.crps_ensemble(x, y, axis=1, fair=fair), theirs, rtol=1e-6)
    np.testing.assert_allclose(
        scores.crps_gaussian(x[:, 0], 0.7, y), sr.crps_normal(y, x[:, 0], 0.7), rtol=1e-6
    )
