"""Marine heatwaves, static stability, and the spread over members."""

from __future__ import annotations

import warnings

import gsw
import numpy as np
import pytest
import xarray as xr
from diag_fields import CONSERVATIVE, SALINITY, column, months, surface
from hypothesis import given
from hypothesis import strategies as st

import xdeepda
from xdeepda.calendar import Cycle
from xdeepda.diagnostics.extremes import quantile
from xdeepda.errors import InputError

LAT, LON = [0.0, 10.0], [0.0, 30.0]


# ---- marine heatwaves


@given(seed=st.integers(0, 999), share=st.floats(0, 1))
def test_the_quantile_is_that_of_numpy(seed, share):
    rng = np.random.default_rng(seed)
    values = rng.standard_normal((4, 3, 17))
    values[rng.random(values.shape) < 0.2] = np.nan
    values[0, 0] = np.nan
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        expected = np.nanquantile(values, share, axis=-1)
    np.testing.assert_allclose(quantile(values, share), expected)


@pytest.mark.parametrize("cycle", ["month", "pentad"])
def test_a_tenth_of_the_days_of_a_steady_climate(cycle):
    one = Cycle(cycle)
    number = 2001 * one.per_year + np.arange(30 * one.per_year)
    time = xr.DataArray(one.middle(number, "noleap"), dims="time")
    rng = np.random.default_rng(0)
    season = 5 * np.sin(2 * np.pi * np.arange(time.size) / one.per_year).reshape(-1, 1, 1)
    field = surface(season + rng.standard_normal((time.size, 2, 2)), LAT, LON, time)
    found = xdeepda.marine_heatwave_days(field)
    assert found.dims == ("year", "lat", "lon")
    assert found["year"].values.tolist() == list(range(2001, 2031))
    # 36.5 days; the percentile of a finite sample is a little wider inside than outside
    assert 33 < float(found.mean()) < 43
    assert set(np.unique(found % 5)) == {0.0} or cycle == "month"


def test_an_event_counts_with_its_days():
    time = months(360)
    field = surface(np.tile([0.0, 0.1, -0.1], 120).reshape(-1, 1, 1) * 0 + np.repeat(
        np.linspace(0, 0.1, 30), 12).reshape(-1, 1, 1), LAT, LON, time)  # fmt: skip
    field[{"time": slice(120, 122)}] = 5.0  # January and February 2011
    found = xdeepda.marine_heatwave_days(field, base=(2001, 2010))
    assert float(found.sel(year=2011)[0, 0]) >= 31 + 28
    base = xdeepda.marine_heatwave_days(field, base=(2001, 2030))
    # three of thirty years pass the percentile of 29 steps: those two months and the last years
    assert float(base.sel(year=2011)[0, 0]) == 31 + 28
    # the year that is cut is left out
    part = xdeepda.marine_heatwave_days(field.isel(time=slice(0, 355)))
    assert part["year"].values[-1] == 2029


def test_missing_values_make_the_year_missing():
    rng = np.random.default_rng(0)
    field = surface(rng.standard_normal((240, 2, 2)), LAT, LON, months(240))
    field[30, 0, 0] = np.nan
    field[:, 1, 1] = np.nan
    found = xdeepda.marine_heatwave_days(field)
    assert np.isnan(found.sel(year=2003)[0, 0])
    assert np.isfinite(found.sel(year=2004)[0, 0])
    assert np.isnan(found[:, 1, 1]).all()


def test_heatwaves_of_dask_arrays_and_of_members():
    rng = np.random.default_rng(0)
    field = surface(rng.standard_normal((240, 2, 2)), LAT, LON, months(240))
    found = xdeepda.marine_heatwave_days(field)
    lazy = xdeepda.marine_heatwave_days(field.chunk(time=50, lat=1))
    assert lazy.chunks is not None
    xr.testing.assert_identical(lazy.compute(), found)
    both = xr.concat([field, 2 * field + 1], "member").assign_attrs(field.attrs)
    # a threshold of one's own: scale and mean do not matter
    each = xdeepda.marine_heatwave_days(both)
    assert each.dims == ("year", "member", "lat", "lon")
    np.testing.assert_array_equal(each[:, 0], found)
    np.testing.assert_array_equal(each[:, 1], found)


@pytest.mark.parametrize(
    ("change", "arguments", "words"),
    [
        (lambda f: f, {"percentile": 0.9}, "none of warm water"),
        (lambda f: f.isel(time=slice(0, 60)), {}, "too short for percentiles"),
        (lambda f: f, {"base": (2001, 2005)}, "too short for percentiles"),
        (lambda f: f, {"cycle": "year"}, "no seasons"),
        (lambda f: f.isel(time=0, drop=True), {}, "no time axis"),
        (lambda f: f.assign_attrs(units="psu"), {}, "no temperature"),
    ],
)
def test_bad_heatwaves(change, arguments, words):
    with pytest.raises(InputError, match=words):
        xdeepda.marine_heatwave_days(change(surface(0.0, LAT, LON, months(240))), **arguments)


def test_few_years_are_told(caplog):
    xdeepda.marine_heatwave_days(surface(0.0, LAT, LON, months(240)))
    assert "30 are usual" in caplog.text


# ---- static stability

DEPTH = np.array([5.0, 50.0, 200.0, 1000.0])


def water(temperature, salinity) -> xr.Dataset:
    return xr.Dataset(
        {
            "thetao": column(temperature, DEPTH, CONSERVATIVE),
            "so": column(salinity, DEPTH, SALINITY, "so"),
        }
    )


def test_an_inversion_of_density():
    found = xdeepda.static_stability(water([20.0, 15, 16, 5], [35.0, 35, 35, 35]))
    assert int(found["inversions"]) == 1
    pressure = gsw.p_from_z(-125.0, 45.0)
    rho = gsw.rho(35.16504, [15.0, 16.0], pressure)
    np.testing.assert_allclose(found["largest_inversion"], rho[0] - rho[1], rtol=1e-4)
    assert found["largest_inversion"].attrs["units"] == "kg m-3"
    # salt holds it
    held = xdeepda.static_stability(water([20.0, 15, 16, 5], [35.0, 35, 35.5, 36]))
    assert int(held["inversions"]) == 0
    assert float(held["largest_inversion"]) == 0
    # and compression is none: uniform water of 1 km is neutral
    even = xdeepda.static_stability(water([10.0] * 4, [35.0] * 4), tolerance=1e-6)
    assert int(even["inversions"]) == 0


def test_without_salinity_temperature_is_compared_and_told(caplog):
    profile = column([-1.5, 0.5, 0.3, 0.2], DEPTH)
    found = xdeepda.static_stability(profile)
    assert "no salinity" in caplog.text
    assert int(found["inversions"]) == 1
    np.testing.assert_allclose(found["largest_inversion"], 2.0)
    assert found["largest_inversion"].attrs["units"] == "K"
    assert int(xdeepda.static_stability(profile, tolerance=2.5)["inversions"]) == 0


def test_land_and_single_cells_are_missing():
    rows = [[np.nan] * 4, [10, np.nan, np.nan, np.nan], [10, 9, np.nan, np.nan]]
    field = xr.concat([column(r, DEPTH) for r in rows], "lon")
    field = field.assign_coords(lon=("lon", np.arange(3.0), {"units": "degrees_east"}))
    found = xdeepda.static_stability(field)
    np.testing.assert_array_equal(found["inversions"], [np.nan, np.nan, 0])


def test_bad_stability():
    with pytest.raises(InputError, match="negative"):
        xdeepda.static_stability(column([1.0] * 4, DEPTH), tolerance=-1)
    with pytest.raises(InputError, match="one level"):
        xdeepda.static_stability(column([1.0], [5.0]))
    with pytest.raises(InputError, match="not in the Dataset"):
        xdeepda.static_stability(water([1.0] * 4, [35.0] * 4), salinity="salt")


# ---- members


def test_mean_and_spread():
    rng = np.random.default_rng(0)
    field = surface(rng.standard_normal((24, 2, 2)), LAT, LON)
    ensemble = xr.concat([field, field + 1, field + 5], "member").assign_attrs(field.attrs)
    found = xdeepda.over_members(ensemble)
    np.testing.assert_allclose(found["tos"], field + 2)
    np.testing.assert_allclose(found["tos_spread"], np.std([0, 1, 5], ddof=1))
    assert found["tos_spread"].attrs["units"] == "K"
    assert found["tos"].attrs["units"] == "degC"
    assert found["tos"].attrs["cell_methods"] == "member: mean"
    assert "cell_methods" not in ensemble.attrs


def test_an_analysis_with_members_has_error_bars(ocean, cells, tiny_model):
    kept = xdeepda.assimilate(ocean, cells, model=tiny_model, members=4, keep_members=True)
    heat = kept.deepda.heat_content(depth=(0, 400), total=True)
    assert heat.dims[0] == "member"
    found = heat.deepda.over_members()
    assert found["heat_content"].dims == ("time",)
    assert (found["heat_content_spread"] > 0).all()
    # errors of cells do not simply add: less than if they were the same everywhere
    cell = kept.deepda.heat_content(depth=(0, 400)).deepda.over_members()["heat_content_spread"]
    weights = xr.DataArray(
        xdeepda.grid.grid_of(ocean["thetao"]).area, dims=("lat", "lon"),
        coords={d: cell[d] for d in ("lat", "lon")},
    )  # fmt: skip
    assert (found["heat_content_spread"] < (cell * weights).sum(("lat", "lon"))).all()


def test_a_spread_of_cells_is_no_error_bar(analysis):
    with pytest.raises(InputError, match="keep_members=True"):
        analysis.deepda.over_members()
    with pytest.raises(InputError, match="one member"):
        analysis.expand_dims("member").deepda.over_members()
