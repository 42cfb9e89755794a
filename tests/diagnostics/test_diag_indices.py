"""Indices: boxes on any grid, base periods, running means, bad input."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from diag_fields import months, surface
from hypothesis import given
from hypothesis import strategies as st

import xdeepda
from xdeepda.calendar import Cycle
from xdeepda.diagnostics.indices import INDICES
from xdeepda.diagnostics.weights import Box, box_area
from xdeepda.errors import InputError
from xdeepda.grid import Grid

LAT, LON = np.arange(-78.0, 79, 4), np.arange(2.0, 360, 4)


def signal(count: int, seed: int = 0) -> np.ndarray:
    """Anomalies whose mean over each month of the year is 0, shape (count, 1, 1)."""
    x = np.random.default_rng(seed).standard_normal((count // 12, 12))
    return (x - x.mean(axis=0)).reshape(count, 1, 1)


def told(call) -> str:
    with pytest.raises(InputError) as caught:
        call()
    return str(caught.value)


@pytest.mark.parametrize("name", [n for n in INDICES if n not in ("pdo", "oni", "amv", "dmi")])
def test_a_signal_in_the_box_is_the_index(name):
    (box,) = INDICES[name].boxes
    lat, lon = np.arange(-29.0, 30, 2), np.arange(1.0, 360, 2)
    inside = (abs(lat[:, None] - (box.south + box.north) / 2) < (box.north - box.south) / 2 + 2) & (
        abs(lon - (box.west + box.east) / 2) < box.width / 2 + 2
    )
    season = 5 * np.cos(2 * np.pi * np.arange(120) / 12).reshape(-1, 1, 1)
    x = signal(120)
    field = surface(20 + season + np.where(inside, x, 9 * signal(120, 1)), lat, lon, months(120))
    found = xdeepda.index(field, name)
    np.testing.assert_allclose(found, x[:, 0, 0], atol=1e-9)
    assert (found.name, found.dims, found.attrs["units"]) == (name, ("time",), "K")
    assert found.attrs["references"]


def test_a_border_inside_a_cell_counts_in_part():
    # anomaly grows with the latitude of the row; 5 degrees lie within the cell from 4 to 8
    field = surface(signal(24) * np.abs(LAT)[:, None], LAT, LON)
    found = xdeepda.index(field, "nino34")
    inner, outer = np.sin(np.deg2rad(4)), np.sin(np.deg2rad(5))
    mean = (2 * inner + 6 * (outer - inner)) / outer
    np.testing.assert_allclose(found, signal(24)[:, 0, 0] * mean)


@given(shift=st.integers(0, 89), flip=st.booleans(), west=st.booleans(), seed=st.integers(0, 9))
def test_an_index_does_not_depend_on_how_the_grid_is_written(shift, flip, west, seed):
    rng = np.random.default_rng(seed)
    field = surface(rng.standard_normal((24, LAT.size, LON.size)), LAT, LON)
    moved = field.roll(lon=shift, roll_coords=True)
    if west:
        lon = ((moved["lon"] + 180) % 360 - 180).assign_attrs(moved["lon"].attrs)
        moved = moved.assign_coords(lon=lon)
    if flip:
        moved = moved.isel(lat=slice(None, None, -1))
    for name in ("nino12", "amv"):
        a, b = (xdeepda.index(f, name) for f in (field, moved.transpose("lon", "time", "lat")))
        xr.testing.assert_allclose(a, b)


@given(
    south=st.floats(-80, 60), height=st.floats(1, 20), west=st.floats(-360, 360),
    width=st.floats(1, 359),
)  # fmt: skip
def test_parts_of_cells_fill_the_box(south, height, west, width):
    box = Box(south, south + height, west, west + width)
    edges = np.arange(-90.0, 91, 5)
    grid = Grid(None, (edges[1:] + edges[:-1]) / 2, np.arange(0.0, 360, 7.5), cyclic=True)
    assert box_area(grid, box).sum() == pytest.approx(box.area)


@pytest.mark.parametrize("calendar", ["standard", "noleap", "360_day", "gregorian", "julian"])
def test_calendars(calendar):
    season = 3 * np.cos(2 * np.pi * np.arange(240) / 12).reshape(-1, 1, 1)
    field = surface(season + signal(240), LAT, LON, months(240, calendar, 2001))
    found = xdeepda.index(field, "nino3")
    np.testing.assert_allclose(found, signal(240)[:, 0, 0], atol=1e-9)
    np.testing.assert_array_equal(found["time"], field["time"])


def test_the_base_period_sets_the_zero():
    jump = np.where(np.arange(240) < 120, 0.0, 1.0).reshape(-1, 1, 1)
    field = surface(jump, LAT, LON, months(240))
    for base, expected in (((2001, 2010), (0, 1)), ((2011, 2020), (-1, 0)), (None, (-0.5, 0.5))):
        found = xdeepda.index(field, "nino34", base=base).values
        np.testing.assert_allclose(found[[0, -1]], expected, atol=1e-12)
    found = xdeepda.index(field, "nino34", base=("2001-01", "2010-12"))
    assert "2001-01 to 2010-12" in found.attrs["base_period"]


def test_a_dipole_is_west_less_east():
    west = (LON[None, :] > 45) & (LON[None, :] < 75)
    field = surface(np.where(west, signal(24), -signal(24)), LAT, LON)
    np.testing.assert_allclose(xdeepda.index(field, "IOD"), 2 * signal(24)[:, 0, 0])


def test_the_oni_is_a_mean_of_three_months():
    field = surface(signal(48), LAT, LON, months(48))
    found = xdeepda.index(field, "oni")
    x = signal(48)[:, 0, 0]
    np.testing.assert_allclose(found[1:-1], (x[:-2] + x[1:-1] + x[2:]) / 3)
    assert np.isnan(found[[0, -1]]).all()
    xr.testing.assert_allclose(
        found.drop_attrs(), xdeepda.index(field, "nino34").rolling(time=3, center=True).mean()
        .rename("oni").drop_attrs(),
    )  # fmt: skip


def test_the_oni_of_pentads_covers_a_quarter_of_a_year():
    first = Cycle("pentad").middle(73 + np.arange(73 * 4), "noleap")
    pulse = np.zeros((first.size, 1, 1))
    pulse[100] = 1
    found = xdeepda.index(surface(pulse, LAT, LON, xr.DataArray(first, dims="time")), "oni",
                          climatology=0)  # fmt: skip
    found = found - found.isel(time=50)
    np.testing.assert_allclose(found.sum(), 1, atol=1e-9)
    # 18.25 pentads: 17 whole ones and two parts
    assert int((found > 1e-9).sum()) == 19
    np.testing.assert_allclose(found.isel(time=100), 1 / 18.25)


def test_days_are_averaged_over_the_cycle():
    days = xr.date_range("2001-01-01", "2002-12-31", freq="D")
    rng = np.random.default_rng(3)
    field = surface(rng.standard_normal((days.size, LAT.size, LON.size)), LAT, LON, days)
    found = xdeepda.index(field, "nino34", cycle="month")
    monthly = field.resample(time="MS").mean().assign_attrs(field.attrs)
    np.testing.assert_allclose(found, xdeepda.index(monthly, "nino34"), atol=1e-12)
    assert found.sizes["time"] == 24


def test_the_first_level_of_a_field_is_its_surface(ocean):
    a = xdeepda.index(ocean, "nino34")
    b = xdeepda.index(ocean["thetao"].isel(depth=0), "nino34")
    xr.testing.assert_equal(a, b)
    assert "does not reach the surface" in told(
        lambda: xdeepda.index(ocean.isel(depth=slice(1, 3)), "nino34")
    )


def test_missing_values_within_the_sea():
    field = surface(signal(24), LAT, LON)
    some = field.copy()
    some[3, :, 48:52] = np.nan  # a third of the box
    np.testing.assert_allclose(xdeepda.index(some, "nino34"), signal(24)[:, 0, 0], atol=0.2)
    assert np.isfinite(xdeepda.index(some, "nino34")).all()
    some[3] = np.nan
    assert np.flatnonzero(np.isnan(xdeepda.index(some, "nino34"))).tolist() == [3]
    # cells that are never known are land, however many they are
    some = field.where(field["lon"] < 200)
    np.testing.assert_allclose(xdeepda.index(some, "nino34"), signal(24)[:, 0, 0])


# ---- bad input


def test_a_box_outside_of_the_domain_or_without_sea():
    field = surface(signal(24), LAT, LON)
    atlantic = field.sel(lon=slice(280, 358))
    assert "outside of the domain" in told(lambda: xdeepda.index(atlantic, "nino34"))
    half = field.sel(lon=slice(0, 216))
    text = told(lambda: xdeepda.index(half, "nino34"))
    assert "52% of the box" in text
    assert "5°S-5°N, 170°W-120°W" in text
    assert np.isfinite(xdeepda.index(half, "nino34", partial=True)).all()
    dry = field.where((field["lon"] < 180) | (field["lon"] > 250))
    assert "no sea in the box" in told(lambda: xdeepda.index(dry, "nino34"))
    # missing at first only: this is no land
    late = field.where(field["time"] > field["time"][2])
    assert np.isnan(xdeepda.index(late, "nino34")).sum() == 3


def test_everything_is_told_at_once():
    field = surface(signal(24), LAT, LON).sel(lon=slice(0, 150))
    text = told(lambda: xdeepda.index(field, "amv", base=(1900, 1910), climatology=99))
    assert "no time lies in the base period" in text
    assert "climatology=99" in text
    assert "box of 'amv'" in text


@pytest.mark.parametrize(
    ("change", "arguments", "words"),
    [
        (lambda f: f, {"name": "nino5"}, "'nino34'"),
        (lambda f: f, {"base": "1981-2010"}, "is no period"),
        (lambda f: f, {"base": (2001, 2001), "cycle": "pentad"}, "does not cover"),
        (lambda f: f, {"cycle": "decade"}, "cycle 'decade'"),
        (lambda f: f.isel(time=0, drop=True), {}, "no time axis"),
        (lambda f: f.isel(time=[0]), {}, "single time"),
        (lambda f: f.isel(time=slice(0, 6)), {}, "too short"),
        (lambda f: f.isel(time=slice(6, 18)), {"base": (2001, 2001)}, "does not determine"),
        (lambda f: f.isel(lat=3, drop=True), {}, "no axis of lat"),
        (lambda f: f.assign_attrs(units="psu"), {}, "no temperature"),
        (lambda f: f.drop_attrs(deep=False), {}, "no units"),
    ],
)
def test_bad_arguments(change, arguments, words):
    field = change(surface(signal(24), LAT, LON))
    assert words in told(lambda: xdeepda.index(field, **{"name": "nino34", **arguments}))


def test_the_oni_of_years_is_refused():
    time = xr.DataArray(xr.date_range("2001-07-01", periods=9, freq="YS-JUL"), dims="time")
    field = surface(np.zeros((9, 1, 1)), LAT, LON, time)
    assert "shorter than its 3 months" in told(lambda: xdeepda.index(field, "oni"))
    assert (xdeepda.index(field, "nino3") == 0).all()
