"""Anomalies and the course of the year on every calendar."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from diag_fields import months, surface
from hypothesis import given
from hypothesis import strategies as st

import xdeepda
from xdeepda.calendar import Cycle
from xdeepda.diagnostics.series import fit
from xdeepda.errors import InputError

CALENDARS = ["standard", "gregorian", "noleap", "all_leap", "360_day", "julian"]
LAT, LON = [-10.0, 0.0, 10.0], [0.0, 30.0]


def times(cycle: str, calendar: str, years: int = 5) -> xr.DataArray:
    one = Cycle(cycle)
    number = 2001 * one.per_year + np.arange(years * one.per_year)
    return xr.DataArray(one.middle(number, calendar), dims="time")


def angle(time: xr.DataArray, cycle: str, calendar: str) -> np.ndarray:
    """Angle of the year of each time, shape (n, 1, 1)."""
    one = Cycle(cycle)
    fraction = one.year_fraction(one.index(time.values), calendar)
    return 2 * np.pi * fraction.reshape(-1, 1, 1)


@pytest.mark.parametrize("calendar", CALENDARS)
@pytest.mark.parametrize("cycle", ["month", "pentad"])
def test_a_pure_harmonic_gives_its_amplitude_and_phase(calendar, cycle):
    time = times(cycle, calendar)
    x = angle(time, cycle, calendar)
    peak = np.deg2rad(200.0)
    field = surface(15 + 2.5 * np.cos(x - peak) + 0.7 * np.cos(2 * x), LAT, LON, time)
    found = xdeepda.seasonal_cycle(field, climatology=4)
    np.testing.assert_allclose(found["tos_amplitude"], 2.5, rtol=1e-5)
    np.testing.assert_allclose(found["tos_phase"], 200, atol=1e-3)
    year = found["tos_climatology"]
    assert year.sizes[cycle] == Cycle(cycle).per_year
    np.testing.assert_allclose(
        year.values, field.values[: year.sizes[cycle]].transpose(*range(3)), atol=2e-2
    )
    # and with it, the anomalies vanish
    left = xdeepda.anomalies(field, climatology=4)
    np.testing.assert_allclose(left, 0, atol=1e-5)
    assert left.dims == field.dims
    assert left.attrs["units"] == "K"


@pytest.mark.parametrize(("degrees", "month"), [(1.0, 1), (100.0, 4), (200.0, 7), (355.0, 12)])
def test_the_month_of_the_maximum(degrees, month):
    for cycle in ("month", "pentad"):
        time = times(cycle, "noleap")
        x = angle(time, cycle, "noleap") - np.deg2rad(degrees)
        found = xdeepda.seasonal_cycle(surface(np.cos(x), LAT, LON, time))
        assert (found["tos_month_of_maximum"] == month).all(), cycle


def test_means_of_months_are_those_of_xarray():
    rng = np.random.default_rng(0)
    field = surface(rng.standard_normal((60, 3, 2)), LAT, LON, months(60))
    means = field.groupby("time.month").mean()
    found = xdeepda.seasonal_cycle(field)["tos_climatology"]
    np.testing.assert_allclose(found.transpose("month", "lat", "lon"), means, atol=1e-12)
    expected = field.groupby("time.month") - means
    np.testing.assert_allclose(xdeepda.anomalies(field), expected, atol=1e-12)
    # of a base period alone
    part = field.sel(time=slice("2001", "2003")).groupby("time.month").mean()
    found = xdeepda.anomalies(field, base=(2001, 2003))
    np.testing.assert_allclose(found, field.groupby("time.month") - part, atol=1e-12)


def test_missing_values_are_left_out_of_the_climatology():
    rng = np.random.default_rng(1)
    field = surface(rng.standard_normal((60, 3, 2)), LAT, LON, months(60))
    field = field.where(rng.random(field.shape) > 0.2)
    field[:, 0, 0] = np.nan
    means = field.groupby("time.month").mean()
    found = xdeepda.anomalies(field)
    np.testing.assert_allclose(found, field.groupby("time.month") - means, atol=1e-12)
    year = xdeepda.seasonal_cycle(field)
    assert np.isnan(year["tos_month_of_maximum"][0, 0])
    assert np.isfinite(year["tos_month_of_maximum"][1:]).all()


@given(seed=st.integers(0, 99), lost=st.integers(0, 8))
def test_the_fit_is_that_of_least_squares(seed, lost):
    rng = np.random.default_rng(seed)
    matrix = rng.standard_normal((20, 4))
    values = rng.standard_normal((3, 20))
    values[1, rng.choice(20, lost, replace=False)] = np.nan
    values[2, 3:] = np.nan
    found = fit(values, matrix)
    for row in (0, 1):
        known = np.isfinite(values[row])
        expected = np.linalg.lstsq(matrix[known], values[row, known], rcond=None)[0]
        np.testing.assert_allclose(found[row], expected, atol=1e-9)
    assert np.isnan(found[2]).all()


def test_the_anomalies_of_an_analysis(analysis, ocean):
    with pytest.raises(InputError, match="too short"):
        analysis.deepda.anomalies()
    # its companions are no candidates
    first = analysis.drop_vars("time_bnds")
    later = [t.replace(year=11, month=t.month - 6) for t in first["time"].values]
    longer = xr.concat([first, first.assign_coords(time=later)], "time", data_vars="minimal")
    found = longer.deepda.anomalies()
    assert found.name == "thetao_anomaly"
    assert found.dtype == np.float32


@pytest.mark.parametrize("verb", ["anomalies", "seasonal_cycle"])
@pytest.mark.parametrize(
    ("change", "arguments", "words"),
    [
        (lambda f: f.isel(time=slice(0, 9)), {}, "too short"),
        (lambda f: f, {"climatology": -1}, "climatology=-1"),
        (lambda f: f, {"climatology": "mean"}, "climatology='mean'"),
        (lambda f: f, {"base": (1800, 1810)}, "no time lies in the base period"),
        (lambda f: f.isel(time=np.r_[0:5, 7:24]), {}, "does not cover every month"),
        (lambda f: f.isel(time=slice(None, None, -1)), {}, "not increasing"),
        (lambda f: f.assign_coords(time=np.arange(24.0)), {}, "no times"),
        (lambda f: f.drop_attrs(deep=False), {}, "no units"),
        (lambda f: f.to_dataset().assign(b=f), {}, "not clear"),
    ],
)
def test_bad_input(verb, change, arguments, words):
    field = change(surface(0.0, LAT, LON))
    with pytest.raises(InputError, match=words):
        getattr(xdeepda, verb)(field, **arguments)


def test_yearly_means_have_no_seasons():
    time = xr.DataArray(xr.date_range("2001-07-01", periods=9, freq="YS-JUL"), dims="time")
    field = surface(np.arange(9.0).reshape(-1, 1, 1), LAT, LON, time)
    with pytest.raises(InputError, match="no seasons"):
        xdeepda.seasonal_cycle(field)
    np.testing.assert_allclose(xdeepda.anomalies(field)[:, 0, 0], np.arange(9) - 4, atol=1e-12)
