"""Tables of dask arrays are binned chunk by chunk, to the same bits; files lose nothing."""

from __future__ import annotations

import logging

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
from xdeepda.observations import as_table, bin_points, superob
from xdeepda.observations import lazy as lazy_module
from xdeepda.observations.lazy import bin_lazily, is_lazy
from xdeepda.observations.target import target_of

COLUMNS = ("cycle", "cell", "value", "error", "count")


def casts(number=400, levels=5, seed=0, ordered=True, years=2):
    """Casts with everything that can be wrong with a row."""
    rng = np.random.default_rng(seed)
    days = rng.random(number) * 365 * years
    days = np.sort(days) if ordered else days
    time = np.datetime64("2001-01-01", "ns") + (days * 86400e9).astype("timedelta64[ns]")
    rows = np.repeat(np.arange(number), levels)
    value = rng.normal(10, 1, rows.size)
    value[rng.random(rows.size) < 0.05] = np.nan
    error = rng.uniform(0.1, 1, rows.size)
    error[rng.random(rows.size) < 0.1] = np.nan
    frame = pd.DataFrame(
        {
            "value": value,
            "error": error,
            "time": time[rows],
            "depth": rng.uniform(0, 700, rows.size),
            "lat": rng.uniform(-90, 90, number)[rows],
            "lon": rng.uniform(-180, 540, number)[rows],
            "platform": np.array([f"float {n % 30}" for n in range(number)])[rows],
            "profile": np.arange(number)[rows] // 30,
            "variable": np.where(rng.random(rows.size) < 0.2, "so", "thetao"),
            "qc": rng.choice([0, 1, 4], rows.size, p=[0.5, 0.45, 0.05]),
        }
    )
    frame["units"] = np.where(frame["variable"] == "so", "psu", "degC")
    return as_table(frame)


@pytest.fixture(scope="module")
def target():
    wet = np.ones((2, DEPTH.size, LAT.size, LON.size), dtype=bool)
    wet[:, :, 2, 3] = False
    field = make_field(pd.date_range("2001-01-15", periods=2, freq="30D"))
    both = xr.Dataset({"thetao": field, "so": field.copy()})
    both["so"].attrs = {"units": "psu"}
    found = target_of(both)
    found.wet[:] = wet
    return found


def in_memory(table, target, cycle="month", **options):
    return bin_points(
        table, target.grid, Cycle(cycle), target.variables, target.units, target.wet,
        standard_names=target.standard_names, **options,
    )  # fmt: skip


def same(a, b):
    for name in COLUMNS:
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize(("cycle", "chunk"), [("pentad", 333), ("month", 500), ("year", 1999)])
def test_the_same_bits(target, monkeypatch, ordered, cycle, chunk):
    monkeypatch.setattr(lazy_module, "_CHUNK", 1)
    table = casts(ordered=ordered)
    expected, report = in_memory(table, target, cycle)
    cells, told = bin_lazily(table.chunk(obs=chunk), target, Cycle(cycle), rows=300)
    same(cells, expected)
    np.testing.assert_array_equal(told.fate, report.fate)
    assert str(told) == str(report)


@given(st.integers(0, 10**6), st.integers(300, 2000), st.integers(1, 3000), st.booleans())
@settings(max_examples=4, deadline=None)
def test_the_same_bits_whatever_the_chunks(seed, chunk, rows, ordered):
    grid = Grid(DEPTH, LAT, LON, cyclic=True)
    wet = np.ones((1, *grid.shape), dtype=bool)
    target = lazy_module.Target(grid, {}, ("thetao",), ("degC",), ("",), wet)
    table = casts(seed=seed, ordered=ordered)
    before, lazy_module._CHUNK = lazy_module._CHUNK, 1
    try:
        cells, _ = bin_lazily(table.chunk(obs=chunk), target, Cycle("month"), rows=rows)
    finally:
        lazy_module._CHUNK = before
    same(cells, in_memory(table, target)[0])


def test_thinning_period_and_held_back_rows(target, monkeypatch):
    monkeypatch.setattr(lazy_module, "_CHUNK", 1)
    table = casts(number=800)
    period = (24013, 24020)
    held = np.random.default_rng(3).random(table.sizes["obs"]) < 0.2
    expected, report = in_memory(table, target, thin=1, period=period, withheld=held)
    lazy = table.assign(withheld=("obs", held)).chunk(obs=900)
    cells, told = bin_lazily(lazy, target, Cycle("month"), thin=1, period=period, rows=200)
    same(cells, expected)
    assert told.counts["thinned out"] == report.counts["thinned out"] > 0
    assert told.counts["used"] == report.counts["used"]
    assert told.counts["withheld"] > 0
    assert in_memory(table, target, period=period)[0].count.sum() > cells.count.sum()


def test_a_table_in_order_is_read_once_and_never_whole(target, monkeypatch):
    monkeypatch.setattr(lazy_module, "_CHUNK", 1)
    read = []

    def part(obs, rows, told):
        read.append((rows.start, rows.stop))
        return obs.isel(obs=rows).load()

    monkeypatch.setattr(lazy_module, "_part", part)
    bin_lazily(casts().chunk(obs=250), target, Cycle("month"), rows=100)
    assert len(read) == len(set(read)) == 8
    assert max(b - a for a, b in read) == 250


def test_columns_of_one_variable_each_and_small_chunks(target):
    table = casts(years=1)
    wide = xr.Dataset(
        {"thetao": ("obs", table.value.values, {"units": "degC"}),
         "so": ("obs", 25 + table.value.values, {"units": "psu"})},
        coords={n: ("obs", table[n].values, table[n].attrs)
                for n in ("time", "depth", "latitude", "longitude", "profile", "platform")},
    )  # fmt: skip
    lazy = wide.chunk(obs=300)
    assert is_lazy(lazy)
    cells, _ = bin_lazily(lazy, target, Cycle("month"))
    same(cells, in_memory(as_table(wide), target)[0])


def test_a_chunk_without_a_value_or_a_date(target, monkeypatch):
    monkeypatch.setattr(lazy_module, "_CHUNK", 1)
    table = casts()
    table["value"][500:1000] = np.nan
    time = table.time.values.copy()
    time[500:750] = np.datetime64("NaT")
    table = table.assign_coords(time=("obs", time))
    expected, report = in_memory(table, target)
    cells, told = bin_lazily(table.chunk(obs=250), target, Cycle("month"))
    same(cells, expected)
    np.testing.assert_array_equal(told.fate, report.fate)


def test_what_is_wrong_names_the_rows(target, monkeypatch):
    monkeypatch.setattr(lazy_module, "_CHUNK", 1)
    table = casts()
    lat = table.latitude.values.copy()
    lat[1203] = 95
    bad = table.assign_coords(latitude=("obs", lat))
    bad["value"][1203], bad["qc"][1203] = 5.0, 0
    with pytest.raises(InputError, match=r"rows 1000 to 1249: latitude is out of range"):
        bin_lazily(bad.chunk(obs=250), target, Cycle("month"))
    nowhere = table.assign_coords(depth=("obs", np.full(table.sizes["obs"], 5e3), {"units": "m"}))
    with pytest.raises(InputError, match=r"(?s)no observation lies inside.*depth 5000 to 5000"):
        bin_lazily(nowhere.chunk(obs=250), target, Cycle("month"))
    with pytest.raises(InputError, match="no time found"):
        bin_lazily(table.drop_vars("time").chunk(obs=250), target, Cycle("month"))


def test_what_is_lazy():
    table = casts(number=20)
    assert not is_lazy(table)
    assert not is_lazy(table.chunk(obs=-1))
    assert is_lazy(table.chunk(obs=10))
    assert not is_lazy(make_field(pd.date_range("2001-01-15", periods=4)).chunk(time=1))


# ---- the table in files and frames


def test_netcdf_is_lossless(tmp_path):
    table = casts()
    table.to_netcdf(tmp_path / "table.nc")
    with xr.open_dataset(tmp_path / "table.nc") as back:
        again = as_table(back)
    xr.testing.assert_equal(again, table)
    for name in table.variables:
        assert again[name].dtype.kind in (table[name].dtype.kind, "O")
        np.testing.assert_array_equal(again[name].values, table[name].values)
    assert again.value.attrs == table.value.attrs
    assert again.attrs == table.attrs


def test_lazily_from_a_file(tmp_path, target, monkeypatch):
    monkeypatch.setattr(lazy_module, "_CHUNK", 1)
    table = casts()
    table.to_netcdf(tmp_path / "table.nc")
    with xr.open_dataset(tmp_path / "table.nc", chunks={"obs": 300}) as lazy:
        cells, _ = bin_lazily(lazy, target, Cycle("month"))
    same(cells, in_memory(table, target)[0])


def test_pandas_is_lossless():
    table = casts()
    frame = table.to_dataframe()
    frame.attrs["units"] = {n: table.value.attrs[f"units_{n}"] for n in ("thetao", "so")}
    again = as_table(frame)
    xr.testing.assert_equal(again, table)
    for n in ("thetao", "so"):
        assert again.value.attrs[f"units_{n}"] == table.value.attrs[f"units_{n}"]


def test_the_verb_takes_lazy_tables(caplog):
    field = make_field(pd.date_range("2001-01-15", periods=2, freq="30D"))
    table = casts()
    caplog.set_level(logging.INFO)
    expected = superob(table, field, cycle="month")
    xr.testing.assert_identical(superob(table.chunk(obs=250), field, cycle="month"), expected)
