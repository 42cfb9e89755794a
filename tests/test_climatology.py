"""Climatology and statistics against fields whose own are known."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from xdeepda import source as source_module
from xdeepda.calendar import Cycle
from xdeepda.climatology import (
    Climatology,
    anomalies,
    design,
    fit_climatology,
    fit_statistics,
    harmonics_of,
)
from xdeepda.errors import InputError
from xdeepda.source import RunSource

CALENDARS = ("standard", "gregorian", "noleap", "360_day", "julian", "all_leap")
LAT = np.array([-45.0, 0.0, 30.0])
LON = np.arange(0.0, 360.0, 45.0)


def run_of(values: np.ndarray, name: str, calendar: str, first_year: int = 2001) -> RunSource:
    """Source of values (time, depth, lat, lon) at consecutive cycles."""
    cycle = Cycle(name)
    index = first_year * cycle.per_year + np.arange(len(values))
    da = xr.DataArray(
        values,
        dims=("time", "depth", "lat", "lon"),
        coords={
            "time": cycle.middle(index, calendar),
            "depth": ("depth", 10.0 * np.arange(1, values.shape[1] + 1), {"units": "m"}),
            "lat": ("lat", LAT[: values.shape[2]]),
            "lon": ("lon", LON[: values.shape[3]]),
        },
        name="thetao",
        attrs={"units": "degC"},
    )
    return RunSource(da, None, cycle)


def seasonal(source_like: str, calendar: str, years: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean, annual and half-yearly wave of random size in each cell, and their coefficients."""
    cycle = Cycle(source_like)
    index = 2001 * cycle.per_year + np.arange(years * cycle.per_year)
    coefficients = np.random.default_rng(3).normal(size=(5, 1, 2, 3, 8))
    coefficients[0] += 10
    matrix = design(cycle.year_fraction(index, calendar), 2)
    return np.einsum("tk,kvzyx->tzyx", matrix, coefficients), coefficients


@pytest.mark.parametrize("calendar", CALENDARS)
@pytest.mark.parametrize("name", ["month", "pentad"])
def test_a_pure_annual_cycle_is_found_exactly(calendar, name):
    values, coefficients = seasonal(name, calendar, 4)
    src = run_of(values, name, calendar)
    fitted = fit_climatology(src, np.ones(src.shape, bool), 4)
    np.testing.assert_allclose(fitted.coefficients[:5], coefficients, atol=3e-6)
    np.testing.assert_allclose(fitted.coefficients[5:], 0, atol=3e-6)
    # and on any other calendar it is the same wave
    for other in CALENDARS:
        fraction = Cycle("pentad").year_fraction(2004 * 73 + np.arange(73), other)
        wave = np.einsum("tk,kvzyx->tvzyx", design(fraction, 2), coefficients)
        np.testing.assert_allclose(fitted.at(fraction), wave, atol=1e-5)


@given(st.sampled_from(CALENDARS), st.integers(0, 6), st.integers(0, 2**20))
def test_anomaly_and_climatology_are_the_input(calendar, harmonics, seed):
    values = np.random.default_rng(seed).normal(15, 5, (36, 2, 3, 8)).astype("f4")
    values[:, 1, 2, 3] = np.nan
    src = run_of(values, "month", calendar)
    wet = src.wet
    fitted = fit_climatology(src, wet, harmonics)
    anomaly = anomalies(src, fitted, wet, 5, 30)
    fraction = src.cycle.year_fraction(src.cycles[5:30], calendar)
    whole = fitted.at(fraction)[:, 0] + anomaly.reshape(25, 2, 3, 8)
    np.testing.assert_allclose(whole[:, wet[0]], values[5:30][:, wet[0]], atol=1e-5)
    assert (anomaly[:, 1, 2, 3] == 0).all()
    # the fit leaves no mean
    rest = anomalies(src, fitted, wet, 0, 36).astype(float)
    np.testing.assert_allclose(rest.mean(axis=0), 0, atol=1e-5)


def test_means_are_the_mean_of_each_month():
    values = np.random.default_rng(0).normal(15, 5, (48, 2, 3, 8))
    src = run_of(values, "month", "360_day")
    fitted = fit_climatology(src, src.wet, harmonics_of("means", src.cycle))
    means = values.reshape(4, 12, 2, 3, 8).mean(axis=0)
    fraction = src.cycle.year_fraction(np.arange(12), "360_day")
    np.testing.assert_allclose(fitted.at(fraction)[:, 0], means, atol=1e-5)


def test_29_february_stays():
    days = np.arange("2000-01-01", "2004-01-01", dtype="M8[D]").astype("M8[ns]")
    value = np.where(days == np.datetime64("2000-02-29"), 60.0, 0.0)[:, None, None, None]
    da = xr.DataArray(
        np.broadcast_to(value, (days.size, 1, 3, 8)),
        dims=("time", "depth", "lat", "lon"),
        coords={
            "time": days,
            "depth": ("depth", [5.0], {"units": "m"}),
            "lat": LAT,
            "lon": LON,
        },
        attrs={"units": "degC"},
    )
    read = RunSource(da, None, Cycle("pentad")).read(0, 4 * 73)[:, 0, 0, 0, 0]
    # a sixth of the pentad of six days, and nothing elsewhere
    assert read[11] == pytest.approx(10.0)
    assert np.count_nonzero(read) == 1


def test_years_after_stop_do_not_enter():
    values, _ = seasonal("month", "noleap", 6)
    later = values.copy()
    later[48:] += 100
    wet = np.ones((1, *values.shape[1:]), bool)
    a, b = (fit_climatology(run_of(v, "month", "noleap"), wet, 4, 48) for v in (values, later))
    np.testing.assert_array_equal(a.coefficients, b.coefficients)


@pytest.mark.parametrize(
    ("kind", "cycle", "number"),
    [
        (None, "month", 4),
        (None, "year", 0),
        (2, "pentad", 2),
        ("means", "month", 6),
        (0, "year", 0),
    ],
)
def test_number_of_harmonics(kind, cycle, number):
    assert harmonics_of(kind, Cycle(cycle)) == number


@pytest.mark.parametrize(
    ("kind", "cycle"), [(7, "month"), (1, "year"), (-1, "month"), ("mean", "month")]
)
def test_impossible_harmonics_are_refused(kind, cycle):
    with pytest.raises(InputError, match="number of harmonics from 0 to"):
        harmonics_of(kind, Cycle(cycle))


# ---- statistics


def noise(n: int, memory: float, shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    """AR(1) noise of unit variance."""
    rng = np.random.default_rng(seed)
    out = np.empty((n, *shape))
    out[0] = rng.normal(size=shape)
    for t in range(1, n):
        out[t] = memory * out[t - 1] + np.sqrt(1 - memory**2) * rng.normal(size=shape)
    return out


def statistics_of(values: np.ndarray, wet: np.ndarray | None = None, cut: int | None = None):
    src = run_of(values, "month", "noleap")
    wet = np.ones(src.shape, bool) if wet is None else wet
    flat = Climatology(np.zeros((1, *src.shape), np.float32))
    return fit_statistics(src, flat, wet, cut)


def test_scale_deviation_and_memory():
    size = np.array([2.0, 0.5])[:, None, None] * np.array([1.0, 3.0, 1.0])[:, None] * np.ones(8)
    found = statistics_of(noise(6000, 0.8, (2, 3, 8)) * size)
    np.testing.assert_allclose(found.deviation, size, rtol=0.1)
    np.testing.assert_allclose(found.persistence, 0.8, atol=0.04)
    area = run_of(np.zeros((1, 2, 3, 8)), "month", "noleap").grid.area
    rms = np.sqrt((size**2 * area).sum(axis=(1, 2)) / area.sum())
    np.testing.assert_allclose(found.scale, rms, rtol=0.04)
    np.testing.assert_allclose(found.correlation, np.eye(2), atol=0.05)


def test_correlation_of_the_column():
    a, b = noise(2000, 0.2, (3, 8), 1), noise(2000, 0.2, (3, 8), 2)
    found = statistics_of(np.stack([a, -(0.6 * a + 0.8 * b)], axis=1))
    np.testing.assert_allclose(found.correlation, [[1, -0.6], [-0.6, 1]], atol=0.03)


def test_correlation_length():
    # a smooth random field around the circle, the same at all latitudes
    steps = np.minimum(np.arange(8), 8 - np.arange(8))
    covariance = np.array([np.roll(np.exp(-(steps**2) / (2 * 1.3**2)), k) for k in range(8)])
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(values.clip(0))
    field = np.random.default_rng(0).normal(size=(4000, 8)) @ root.T
    north = np.random.default_rng(1).normal(size=(4000, 1, 3, 1))
    found = statistics_of(field[:, None, None, :] * np.ones((1, 1, 3, 1)))
    assert found.length[1] == pytest.approx(1.3, rel=0.03)
    found = statistics_of(north * np.ones(8))
    assert found.length[0] < 0.5
    assert found.length[1] > 10


def test_land_does_not_enter():
    values = noise(400, 0.5, (2, 3, 8))
    wet = np.ones((1, 2, 3, 8), bool)
    wet[0, 1, 0, 2:5] = False
    a = statistics_of(np.where(wet[0], values, np.nan), wet)
    b = statistics_of(np.where(wet[0], values, 1e9), wet)
    for name, array in a.arrays().items():
        assert np.isfinite(array).all(), name
        np.testing.assert_array_equal(array, b.arrays()[name])
    assert (a.deviation[1, 0, 2:5] == 0).all()


def test_blocks_do_not_matter(monkeypatch):
    values = noise(100, 0.5, (2, 3, 8))
    whole = statistics_of(values, cut=77)
    monkeypatch.setattr(source_module, "BLOCK_BYTES", 4 * 48 * 9)
    for name, array in statistics_of(values, cut=77).arrays().items():
        np.testing.assert_allclose(array, whole.arrays()[name], rtol=1e-6, atol=1e-9)


def test_a_level_that_never_varies_is_refused():
    values = noise(100, 0.5, (2, 3, 8))
    values[:, 1] = 0
    with pytest.raises(InputError, match=r"do not vary at all.*thetao level 1"):
        statistics_of(values)
