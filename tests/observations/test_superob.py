"""Binning: equal to a plain loop, nothing lost without a word, independent of labels."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from observation_fields import DEPTH, LAT, LON, make_field

from xdeepda.calendar import Cycle
from xdeepda.errors import InputError
from xdeepda.grid import Grid
from xdeepda.observations import as_table, bin_points, default_error, superob
from xdeepda.observations.placing import FATES, cycle_numbers

GLOBAL = Grid(DEPTH, LAT, LON, cyclic=True)
REGION = Grid(DEPTH, np.arange(-10.0, 11.0, 5.0), np.arange(340.0, 381.0, 10.0))


def some_table(depth, lat, lon, time, error=0.5):
    """Table of given positions; values are the row numbers."""
    n = len(lat)
    attrs = {"units": "degC", "units_thetao": "degC"}
    return xr.Dataset(
        {
            "value": ("obs", np.arange(n, dtype=float), attrs),
            "error": ("obs", np.full(n, error)),
            "variable": ("obs", np.full(n, "thetao")),
            "qc": ("obs", np.zeros(n, dtype=np.int8)),
        },
        coords={
            "time": ("obs", np.asarray(time, dtype="datetime64[ns]")),
            "depth": ("obs", np.asarray(depth, dtype=float)),
            "latitude": ("obs", np.asarray(lat, dtype=float)),
            "longitude": ("obs", np.asarray(lon, dtype=float)),
        },
    )


def interval(edges, x):
    """Interval that holds x, None outside; the upper end belongs to the last."""
    for n in range(len(edges) - 1):
        last = n == len(edges) - 2
        if edges[n] <= x < edges[n + 1] or (last and x == edges[-1]):
            return n
    return None


def naive_cell(grid, depth, lat, lon):
    """(k, j, i) of a position, None outside."""
    k = interval(grid.depth_edges, depth)
    j = interval(grid.lat_edges, lat)
    west = grid.lon_edges[0]
    i = interval(grid.lon_edges, (lon - west) % 360 + west)
    return None if None in (k, j, i) else (k, j, i)


positions = st.tuples(
    st.one_of(st.floats(0, 700), st.sampled_from([0.0, 17.5, 65.0, 250.0, 550.0])),
    st.one_of(st.floats(-90, 90), st.sampled_from([-90.0, 90.0, -10.0, 10.0, 0.0, 12.5, -12.5])),
    st.one_of(
        st.floats(-360, 540),
        st.sampled_from([-180.0, 180.0, 0.0, 360.0, 345.0, -15.0, 15.0, 359.999999, 385.0]),
    ),
    st.integers(0, 500),
)


@given(st.lists(positions, min_size=1, max_size=30), st.sampled_from([GLOBAL, REGION]))
@settings(max_examples=150, deadline=None)
def test_binning_equals_a_plain_loop(rows, grid):
    depth, lat, lon, day = zip(*rows, strict=True)
    time = np.datetime64("2001-01-01") + np.array(day).astype("timedelta64[D]")
    table = some_table(depth, lat, lon, time)
    wet = np.ones((1, *grid.shape), dtype=bool)
    wet[0, :, 2, 3] = False
    expected: dict = {}
    for n in range(len(rows)):
        found = naive_cell(grid, depth[n], lat[n], lon[n])
        if found is None or not wet[(0, *found)]:
            continue
        stamp = pd.Timestamp(time[n])
        key = (stamp.year * 12 + stamp.month - 1, int(np.ravel_multi_index(found, grid.shape)))
        expected.setdefault(key, []).append(n)
    args = (table, grid, Cycle("month"), ("thetao",), ("degC",), wet)
    if not expected:
        with pytest.raises(InputError, match="no observation lies inside"):
            bin_points(*args)
        return
    cells, report = bin_points(*args)
    assert list(zip(cells.cycle, cells.cell, strict=True)) == sorted(expected)
    for n, key in enumerate(sorted(expected)):
        mine = expected[key]
        profiles = {rows[m][1:] for m in mine}
        profiles = {(y + 0.0, x + 0.0, t) for y, x, t in profiles}
        assert cells.count[n] == len(mine)
        np.testing.assert_allclose(cells.value[n], np.mean(mine), rtol=1e-12)
        np.testing.assert_allclose(cells.error[n] ** 2, 0.25 * (0.25 + 0.75 / len(profiles)))
        np.testing.assert_array_equal(np.flatnonzero(report.row == n), mine)
    assert report.used == cells.count.sum() == sum(map(len, expected.values()))
    assert sum(report.counts.values()) == len(rows)


def test_every_fate_is_counted_and_told(caplog):
    wet = np.ones((1, *REGION.shape), dtype=bool)
    wet[0, :, 0, 0] = False
    rows = [
        # depth, latitude, longitude, day
        (5.0, 0.0, 0.0, 0),
        (5.0, 0.0, 0.0, 0),
        (5.0, 0.0, 0.0, 900),
        (5.0, 50.0, 0.0, 0),
        (5.0, 0.0, 90.0, 0),
        (900.0, 0.0, 0.0, 0),
        (np.nan, 0.0, 0.0, 0),
        (5.0, -10.0, -20.0, 0),
        (5.0, 0.0, 0.0, 0),
    ]
    depth, lat, lon, day = zip(*rows, strict=True)
    time = np.datetime64("2001-01-01") + np.array(day).astype("timedelta64[D]")
    table = some_table(depth, lat, lon, time)
    table["value"].values[1] = np.nan
    table["qc"].values[8] = 4
    extra = table.isel(obs=[0]).assign(variable=("obs", ["oxygen"]))
    table = xr.concat([table, extra], dim="obs")
    _, report = bin_points(
        table, REGION, Cycle("month"), ("thetao",), ("degC",), wet, period=(24012, 24020)
    )
    expected = [
        "used", "without a value", "outside of the period", "outside of the area",
        "outside of the area", "outside of the depths", "outside of the depths", "on land",
        "flagged as bad", "of a variable that the model does not have",
    ]  # fmt: skip
    assert [FATES[f] for f in report.fate] == expected
    for words in ("1 of 10 observations used", "2 outside of the area", "1 on land",
                  "2 outside of the depths", "1 outside of the period"):  # fmt: skip
        assert words in caplog.text


def test_nothing_inside_names_both_extents():
    table = some_table([5.0], [60.0], [100.0], ["2001-01-01"])
    wet = np.ones((1, *REGION.shape), dtype=bool)
    with pytest.raises(InputError) as raised:
        bin_points(table, REGION, Cycle("month"), ("thetao",), ("degC",), wet)
    for words in ("lat 60 to 60", "lat 5 (-10 to 10)", "outside of the area"):
        assert words in str(raised.value)


def test_missing_axes():
    wet = np.ones((1, 1, 1, 5), dtype=bool)
    table = some_table([2.0, np.nan, 50.0], [0, 80, 0], [0, 0, 0], ["2001-01-01"] * 3)
    _, report = bin_points(
        table, Grid(None, None, REGION.lon), Cycle("year"), ("thetao",), ("degC",), wet
    )
    assert [FATES[f] for f in report.fate] == ["used", "used", "outside of the depths"]
    assert "no latitude axis" in str(report)
    assert "no depth axis" in str(report)


@pytest.mark.parametrize("name", ["pentad", "month", "year"])
def test_cycle_numbers_by_day_equal_those_by_time(name):
    rng = np.random.default_rng(0)
    start = np.datetime64("1999-12-28", "ns")
    times = start + (rng.random(5000) * 2000 * 86400e9).astype("timedelta64[ns]")
    cycle = Cycle(name)
    np.testing.assert_array_equal(cycle_numbers(times, cycle), cycle.index(times))


def test_profiles_count_once(field, table_of):
    """Ten levels of one cast in one cell are one profile; ten casts are ten."""
    day = np.datetime64("2001-01-05", "ns")
    one = table_of(np.arange(10.0), [0.0] * 10, [0.0] * 10, [day] * 10)
    ten = table_of([5.0] * 10, np.linspace(0, 1, 10), [0.0] * 10, [day] * 10)
    named = table_of([5.0] * 10, np.linspace(0, 1, 10), [0.0] * 10, [day] * 10,
                     profile=[1] * 10, platform=["a"] * 10)  # fmt: skip
    field = field.fillna(1).assign_attrs(field.attrs)
    for table in (one, ten, named):
        table["thetao_error"][:] = 0.6
    errors = [float(superob(t, field, cycle="month").thetao_error.max()) for t in (one, ten, named)]
    np.testing.assert_allclose(errors, [0.6, 0.6 * np.sqrt(0.25 + 0.075), 0.6])


def test_duplicates_add_counts_and_keep_the_value(field, table_of):
    field = field.fillna(1).assign_attrs(field.attrs)
    table = table_of([5.0], [0.0], [0.0])
    twice = xr.concat([table, table], dim="obs")
    a, b = (superob(t, field, cycle="month") for t in (table, twice))
    np.testing.assert_allclose(a.thetao, b.thetao, rtol=1e-14)
    np.testing.assert_allclose(a.thetao_error, b.thetao_error, rtol=1e-14)
    np.testing.assert_array_equal(2 * a.thetao_count, b.thetao_count)


def test_default_errors_by_depth_are_told(field, table_of, caplog):
    field = field.fillna(1).assign_attrs(field.attrs)
    table = table_of([5.0, 400.0], [0.0, 0.0], [0.0, 90.0], error=False)
    out = superob(table, field, cycle="month")
    found = np.sort(out.thetao_error.values[np.isfinite(out.thetao_error)])
    np.testing.assert_allclose(found, np.sort(default_error("temperature", [5.0, 400.0])))
    assert "2 default errors" in caplog.text
    assert "2 default errors" in out.attrs["observations"]


def test_default_errors_decrease_with_depth():
    depth = np.linspace(0, 6000, 601)
    for kind in ("thetao", "salinity"):
        error = default_error(kind, depth)
        assert (np.diff(error) <= 0).all()
        assert (error > 0).all()
    assert default_error("temperature", np.nan) == default_error("temperature", 0.0)
    with pytest.raises(InputError, match="oxygen"):
        default_error("oxygen", 5.0)


# ---- the contract of the verb


def random_points(table_of, **changes):
    """A thousand points everywhere."""
    rng = np.random.default_rng(5)
    n = 1000
    lat, lon = rng.uniform(-90, 90, n), rng.uniform(0, 360, n)
    return table_of(rng.uniform(0, 500, n), lat, lon, **changes)


def same(a, b, **tolerance):
    """Two results agree label by label."""
    names = {"x": "lon", "y": "lat", "lev": "depth", "t": "time"}
    b = b.rename({old: new for old, new in names.items() if old in b.dims})
    b = b.assign_coords(lon=b.lon.values % 360).sortby(["lon", "lat", "depth"])
    for name in ("thetao", "thetao_error", "thetao_count"):
        np.testing.assert_allclose(
            a[name], b[name].transpose(*a[name].dims), **{"rtol": 1e-12, **tolerance}
        )


def test_labels_of_the_model_do_not_matter(field, table_of):
    table = random_points(table_of)
    expected = superob(table, field, cycle="pentad")
    twisted = field.transpose("lon", "depth", "time", "lat").isel(
        lat=slice(None, None, -1), depth=slice(None, None, -1)
    )
    west = ("lon", (field.lon.values + 180) % 360 - 180, {"units": "degrees_east"})
    twisted = twisted.assign_coords(lon=west).isel(lon=np.argsort(west[1]))
    out = superob(table, twisted, cycle="pentad")
    assert out.thetao.dims == ("lon", "depth", "time", "lat")
    same(expected, out)
    same(expected, superob(table, field.to_dataset(), cycle="pentad"))
    same(expected, superob(table, field.chunk(time=7, lat=2), cycle="pentad"))
    same(expected, superob(table, field.astype("f4").assign_attrs(field.attrs), cycle="pentad"))


def test_labels_of_the_observations_do_not_matter(field, table_of):
    table = random_points(table_of)
    expected = superob(table, field, cycle="month")
    west = table.assign_coords(longitude=(table.longitude + 180) % 360 - 180)
    west["longitude"].attrs = table["longitude"].attrs
    same(expected, superob(west, field, cycle="month"))
    kelvin = random_points(table_of, units="K")
    same(expected, superob(kelvin, field, cycle="month"), atol=1e-10)
    shuffled = table.isel(obs=np.random.default_rng(1).permutation(1000))
    same(expected, superob(shuffled, field, cycle="month"))
    same(expected, superob(table.chunk(obs=100), field, cycle="month"))
    columns = {"thetao": "value", "thetao_error": "error", "latitude": "lat", "longitude": "lon"}
    frame = table.to_dataframe().rename(columns=columns)
    frame.attrs["units"] = "degC"
    same(expected, superob(frame, field, cycle="month"))
    same(expected, superob(as_table(table), field, cycle="month"))


def test_the_models_units_come_out(field, table_of):
    table = random_points(table_of)
    kelvin = make_field(field.time.values, units="K")
    out = superob(table, kelvin, cycle="month")
    assert out.thetao.attrs["units"] == "K"
    expected = superob(table, field, cycle="month")
    np.testing.assert_allclose(out.thetao, expected.thetao + 273.15)
    np.testing.assert_allclose(out.thetao_error, expected.thetao_error)


def test_input_is_untouched(field, table_of):
    table = random_points(table_of)
    copies = table.copy(deep=True), field.copy(deep=True)
    superob(table, field, cycle="month")
    xr.testing.assert_identical(table, copies[0])
    xr.testing.assert_identical(field, copies[1])


def test_points_and_fields_together(field, table_of):
    table = random_points(table_of)
    gridded = superob(table.isel(obs=slice(0, 500)), field, cycle="month")
    both = superob([gridded, table.isel(obs=slice(500, None))], field, cycle="month")
    assert both.thetao_count.sum() == superob(table, field, cycle="month").thetao_count.sum()


def test_in_situ_becomes_potential_temperature(table_of):
    field = make_field(pd.date_range("2001-01-01", periods=2), depth=np.array([10.0, 4000.0]))
    field = field.fillna(1).assign_attrs(field.attrs)
    table = table_of([4000.0], [0.0], [0.0])
    table["thetao"].values[:] = 2.0
    table["thetao"].attrs["standard_name"] = "sea_water_temperature"
    out = superob(table, field, cycle="month")
    # 2.00 degC at 4,000 m and 35 psu are 1.66 degC at the surface (gsw.pt0_from_t)
    np.testing.assert_allclose(out.thetao.max(), 1.657, atol=2e-3)
    assert "in-situ to potential" in out.attrs["observations"]


def test_two_variables(field, table_of):
    both = xr.Dataset({"thetao": field, "so": (field.dims, field.values + 25, {"units": "psu"})})
    table = random_points(table_of)
    table["salt"] = ("obs", np.full(1000, 35.0), {"units": "1e-3",
                     "standard_name": "sea_water_practical_salinity"})  # fmt: skip
    out = superob(table, both, cycle="month")
    assert {"thetao", "so"} <= set(out.data_vars)
    np.testing.assert_allclose(out.so.values[np.isfinite(out.so)], 35.0)
    np.testing.assert_array_equal(out.so_count, out.thetao_count)
    only = superob(table, both, cycle="month", var="so")
    assert "thetao" not in only
    alone = superob(table, both.thetao, cycle="month")
    assert "so" not in alone
    assert "variable that the model does not have" in alone.attrs["observations"]


def test_problems_are_told_at_once(field, table_of):
    with pytest.raises(InputError, match=r"(?s)2 problems.*fortnight.*'salt'"):
        superob(table_of([5.0], [0.0], [0.0]), field.to_dataset(), cycle="fortnight", var="salt")
    bad = table_of([5.0], [95.0], [0.0])
    with pytest.raises(InputError, match=r"(?s)2 problems.*latitude.*latitude"):
        superob([bad, bad], field, cycle="month")
    with pytest.raises(InputError, match="no observations"):
        superob([], field, cycle="month")
