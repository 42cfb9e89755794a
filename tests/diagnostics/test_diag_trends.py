"""Trends: exact lines, and intervals that hold the truth as often as they say."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from diag_fields import column, months, surface
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import lfilter

import xdeepda
from xdeepda.diagnostics.trends import _RHO, expected, linear_trend
from xdeepda.errors import InputError

LAT, LON = np.arange(-75.0, 76, 15), np.arange(0.0, 360, 30)


def noise(rng: np.random.Generator, shape: tuple[int, int], rho: float) -> np.ndarray:
    """Series of first order with unit innovations, stationary from the start."""
    e = rng.standard_normal(shape)
    e[:, 0] /= np.sqrt(1 - rho**2)
    return lfilter([1], [1, -rho], e, axis=1)


@pytest.mark.parametrize("calendar", ["standard", "noleap", "360_day"])
def test_a_line_on_the_course_of_the_year_is_found(calendar):
    t = np.arange(240).reshape(-1, 1, 1)
    values = 0.02 * t / 12 + 3 * np.cos(2 * np.pi * t / 12) + LAT[:, None]
    found = xdeepda.trend(surface(values, LAT, LON, months(240, calendar)))
    np.testing.assert_allclose(found["tos_trend"], 2.0)
    np.testing.assert_allclose(found["tos_trend_error"], 0, atol=1e-9)
    assert found["tos_trend"].attrs["units"] == "K century-1"
    yearly = xdeepda.trend(surface(values, LAT, LON, months(240, calendar)), per="year")
    np.testing.assert_allclose(yearly["tos_trend"], 0.02)


@pytest.mark.parametrize(("n", "season"), [(60, 1), (120, 12), (360, 12)])
@pytest.mark.parametrize("rho", [0.0, 0.6, 0.9])
def test_the_interval_holds_the_truth_as_often_as_it_says(n, season, rho):
    rng = np.random.default_rng(n)
    t = np.arange(n) / 12
    values = 0.3 * t + noise(rng, (3000, n), rho)
    slope, _, half, freedom = linear_trend(values, t, np.eye(season)[np.arange(n) % season])
    hits = (np.abs(slope - 0.3) < half).mean()
    independent = n * (1 - rho) / (1 + rho)
    assert (0.91 if independent > 6 else 0.85) < hits < 0.97, hits
    assert np.median(freedom) == pytest.approx(independent, rel=0.3)
    assert np.median(half) < 4 * slope.std()


def test_errors_for_independent_values_would_be_too_small():
    n, rho = 120, 0.8
    rng = np.random.default_rng(0)
    t = np.arange(n) / 12
    slope, error, _, _ = linear_trend(noise(rng, (3000, n), rho), t, np.ones((n, 1)))
    naive = np.sqrt(1 / (1 - rho**2) / ((t - t.mean()) ** 2).sum())
    assert slope.std() > 2 * naive
    assert np.median(error) == pytest.approx(slope.std(), rel=0.15)


@given(n=st.integers(20, 200), season=st.sampled_from([1, 4]))
def test_the_corrections_for_the_fit_are_exact(n, season):
    matrix = np.concatenate([np.eye(season)[np.arange(n) % season], np.arange(n)[:, None]], axis=1)
    rho = 0.7
    annihilate = np.eye(n) - matrix @ np.linalg.pinv(matrix)
    covariance = rho ** np.abs(np.subtract.outer(np.arange(n), np.arange(n)))
    lag = (np.eye(n, k=1) + np.eye(n, k=-1)) / 2
    residual = annihilate @ covariance @ annihilate
    found = expected(matrix, np.array([rho]))
    square = np.trace(residual)
    np.testing.assert_allclose(found.square, square)
    np.testing.assert_allclose(found.correlation, np.trace(lag @ residual) / square)
    assert found.correlation < rho
    inverse = np.linalg.pinv(matrix)
    np.testing.assert_allclose(found.variance, (inverse @ covariance @ inverse.T)[-1, -1])


@pytest.mark.parametrize("n", [8, 20, 600])
def test_the_correlation_of_residuals_grows_with_that_of_the_process(n):
    matrix = np.stack([np.ones(n), np.arange(n)], axis=1)
    assert (np.diff(expected(matrix, _RHO).correlation) > 0).all()


def test_what_never_changes_has_no_trend_and_no_error():
    found = xdeepda.trend(surface(4.0, LAT, LON, months(60)))
    for name in ("tos_trend", "tos_trend_error", "tos_trend_upper"):
        np.testing.assert_allclose(found[name], 0, atol=1e-12)


def test_gaps_widen_the_interval_and_do_not_move_the_trend():
    rng = np.random.default_rng(2)
    n = 240
    t = np.arange(n) / 12
    values = 0.5 * t + noise(rng, (400, n), 0.5)
    broken = np.where(rng.random(values.shape) < 0.3, np.nan, values)
    others = np.ones((n, 1))
    whole, gaps = linear_trend(values, t, others), linear_trend(broken, t, others)
    assert np.abs(gaps[0] - 0.5).mean() < 2 * np.abs(whole[0] - 0.5).mean()
    assert gaps[1].mean() > whole[1].mean()
    assert 0.92 < (np.abs(gaps[0] - 0.5) < gaps[2]).mean() < 0.98
    # the first half alone is a series of its own
    half = np.where(np.arange(n) < n // 2, values, np.nan)
    alone = linear_trend(values[:, : n // 2], t[: n // 2], others[: n // 2])
    part = linear_trend(half, t, others)
    np.testing.assert_allclose(part[0], alone[0])
    np.testing.assert_allclose(np.median(part[1] / alone[1]), 1, atol=0.05)
    np.testing.assert_allclose(np.median(part[3] / alone[3]), 1, atol=0.05)
    # and too few values are no trend
    broken[0, 4:] = np.nan
    assert all(np.isnan(part[0]) for part in linear_trend(broken, t, others))


def test_interval_and_confidence():
    rng = np.random.default_rng(3)
    field = surface(noise(rng, (1, 240), 0.5).reshape(-1, 1, 1), LAT, LON, months(240))
    wide, narrow = (xdeepda.trend(field, confidence=c) for c in (0.99, 0.5))
    for found in (wide, narrow):
        middle = (found["tos_trend_lower"] + found["tos_trend_upper"]) / 2
        np.testing.assert_allclose(middle, found["tos_trend"])
    assert (wide["tos_trend_lower"] < narrow["tos_trend_lower"]).all()
    assert "99% confidence" in wide["tos_trend_upper"].attrs["long_name"]


def test_the_trend_of_a_heat_content(ocean):
    heat = ocean.deepda.heat_content(depth=(0, 400), total=True)
    found = heat.deepda.trend(per="year")
    assert found["heat_content_trend"].attrs["units"] == "J year-1"
    assert found["heat_content_trend"].ndim == 0
    warmer = ocean["thetao"] + xr.DataArray(np.arange(120) / 12, dims="time")
    warmer.attrs = ocean["thetao"].attrs
    more = warmer.deepda.heat_content(depth=(0, 400), total=True).deepda.trend(per="year")
    area = ocean["thetao"].isel(time=0).deepda.heat_content(depth=(0, 400))
    assert float(more["heat_content_trend"]) > float(found["heat_content_trend"])
    assert area.sizes == {"lat": 10, "lon": 24}


# ---- drift


def test_drift_is_the_trend_of_the_mean_by_level(ocean):
    rate = xr.DataArray([3.0, 0.0, -2.0], dims="depth")
    years = xr.DataArray(np.arange(120) / 1200, dims="time")
    still = ocean["thetao"].isel(time=0, drop=True)
    field = (still + rate * years).transpose("time", "depth", "lat", "lon")
    field = field.assign_coords(time=ocean["time"]).assign_attrs(ocean["thetao"].attrs)
    found = field.rename("thetao").deepda.drift()
    np.testing.assert_allclose(found["thetao_drift"], rate, atol=1e-5)
    assert found["thetao_drift"].dims == ("depth",)
    assert found["thetao_drift"].attrs["units"] == "K century-1"


def test_drift_weighs_with_the_area():
    t = np.arange(120).reshape(-1, 1, 1) / 1200
    north = LAT[:, None] > 50
    found = xdeepda.drift(surface(np.where(north, t, 0.0), LAT, LON, months(120)))
    edges = np.sin(np.deg2rad([52.5, 82.5]))
    share = (edges[1] - edges[0]) / (2 * edges[1])
    np.testing.assert_allclose(found["tos_drift"], share)


# ---- bad input


@pytest.mark.parametrize("verb", ["trend", "drift"])
@pytest.mark.parametrize(
    ("change", "arguments", "words"),
    [
        (lambda f: f, {"per": "decade"}, "per='decade'"),
        (lambda f: f, {"confidence": 95}, "no fraction"),
        (lambda f: f, {"climatology": 7}, "climatology=7"),
        (lambda f: f.isel(time=slice(0, 14)), {}, "too short for a trend"),
        (lambda f: f.isel(time=0, drop=True), {}, "no time axis"),
    ],
)
def test_bad_input(verb, change, arguments, words):
    with pytest.raises(InputError, match=words):
        getattr(xdeepda, verb)(change(surface(0.0, LAT, LON)), **arguments)


def test_a_column_has_nothing_to_average_over():
    with pytest.raises(InputError, match="nothing to average over"):
        xdeepda.drift(column(np.zeros((24, 3)), [5.0, 10, 20]))


def test_what_one_diagnostic_gives_another_takes(ocean):
    for first in (
        ocean.deepda.heat_content(depth=(0, 400)),
        ocean.deepda.steric_height(depth=(0, 1000)),
        ocean.deepda.isotherm_depth(10),
        ocean.deepda.mixed_layer_depth(),
        ocean.deepda.anomalies("thetao"),
    ):
        for second in ("trend", "drift", "seasonal_cycle", "anomalies"):
            found = getattr(first.deepda, second)()
            names = [found.name] if isinstance(found, xr.DataArray) else [*found]
            assert names[0].startswith(first.name)
