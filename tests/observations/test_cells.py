"""Superobservations: combination, merging, the gridded form and back."""

from __future__ import annotations

import logging

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from xdeepda.calendar import Cycle
from xdeepda.errors import InputError, MemoryForeseenError
from xdeepda.grid import Grid
from xdeepda.observations import Cells, merge, placing, superob
from xdeepda.observations import cells as cells_module
from xdeepda.observations.cells import combine
from xdeepda.observations.gridded import from_gridded
from xdeepda.observations.target import target_of

MONTH = Cycle("month")


def cells_of(field, share=0.3, seed=0, **changes):
    """Random superobservations of a field."""
    target = target_of(field)
    rng = np.random.default_rng(seed)
    wet = np.flatnonzero(target.wet)
    cycles = np.unique(MONTH.index(field.time))
    parts = [(np.full(len(c), i), c) for i in cycles
             if len(c := wet[rng.random(wet.size) < share])]  # fmt: skip
    cycle, cell = (np.concatenate(p) for p in zip(*parts, strict=True))
    values = {
        "cycle": cycle,
        "cell": cell,
        "value": rng.normal(10, 3, cell.size),
        "error": rng.uniform(0.1, 1, cell.size),
        "count": rng.integers(1, 50, cell.size).astype(np.int32),
        "variables": target.variables,
        "units": target.units,
        "grid": target.grid,
        "cycle_name": "month",
    }
    return Cells(**{**values, **changes}), target


def assert_same(a, b):
    """Two sets of superobservations agree to the bit."""
    for name in ("cycle", "cell", "value", "error", "count"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name), err_msg=name)
    assert (a.variables, a.units, a.cycle_name) == (b.variables, b.units, b.cycle_name)


# ---- combine


def test_single_observations_keep_their_bits():
    rng = np.random.default_rng(0)
    key = rng.permutation(1000)
    value, error = rng.normal(1e3, 1, 1000), rng.uniform(1e-3, 3, 1000)
    out = combine(key, value, error, np.zeros(1000, dtype=np.uint64), rho=1 / 3)
    order = np.argsort(key)
    np.testing.assert_array_equal(out.value, value[order])
    np.testing.assert_array_equal(out.error, error[order])
    np.testing.assert_array_equal(out.key[out.row_group], key)


@pytest.mark.parametrize("profiles", [1, 2, 5, 1000])
@pytest.mark.parametrize("rho", [0.0, 0.25, 1.0])
def test_error_formula_for_equal_errors(profiles, rho):
    n = 3 * profiles
    names = np.tile(np.arange(profiles), 3)
    out = combine(np.zeros(n, dtype=np.int64), np.ones(n), np.full(n, 0.7), names, rho=rho)
    np.testing.assert_allclose(out.error**2, 0.49 * (rho + (1 - rho) / profiles), rtol=1e-12)
    assert out.count[0] == n


def test_weights_are_inverse_variances():
    value, error = np.array([10.0, 20.0]), np.array([1.0, 2.0])
    out = combine(np.zeros(2, dtype=np.int64), value, error, np.arange(2), rho=0.0)
    np.testing.assert_allclose(out.value, [(10 / 1 + 20 / 4) / (1 + 1 / 4)])
    np.testing.assert_allclose(out.error, [1 / np.sqrt(1 + 1 / 4)])


@given(
    st.lists(
        st.tuples(st.integers(0, 4), st.integers(0, 3), st.floats(-50, 50), st.floats(0.01, 9)),
        min_size=1,
        max_size=40,
    ),
    st.floats(0, 1),
)
@settings(max_examples=60, deadline=None)
def test_combine_equals_a_plain_loop(rows, rho):
    key, profile, value, error = (np.array(c) for c in zip(*rows, strict=True))
    out = combine(key, value, error, profile, rho=rho)
    assert list(out.key) == sorted(set(key.tolist()))
    assert out.count.sum() == len(rows)
    for n, k in enumerate(out.key):
        mine = [r for r in rows if r[0] == k]
        weights = [1 / r[3] ** 2 for r in mine]
        mean = sum(w * r[2] for w, r in zip(weights, mine, strict=True)) / sum(weights)
        profiles = len({r[1] for r in mine})
        variance = len(mine) / sum(weights) * (rho + (1 - rho) / profiles)
        np.testing.assert_allclose(out.value[n], mean, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(out.error[n] ** 2, variance, rtol=1e-9)


def test_a_large_mean_costs_no_digits():
    value = 1e8 + np.array([0.0, 0.25])
    out = combine(np.zeros(2, dtype=np.int64), value, np.ones(2), np.arange(2))
    assert out.value[0] == 1e8 + 0.125


# ---- Cells


def test_at_gives_one_cycle(field):
    cells, _ = cells_of(field)
    first = int(cells.cycle[0])
    cell, value, error, count = cells.at(first + 5)
    mine = cells.cycle == first + 5
    np.testing.assert_array_equal(cell, cells.cell[mine])
    np.testing.assert_array_equal(value, cells.value[mine])
    np.testing.assert_array_equal(error, cells.error[mine])
    np.testing.assert_array_equal(count, cells.count[mine])
    assert cells.at(first - 1)[0].size == 0


def test_gridded_form_and_back_to_the_bit(field):
    cells, target = cells_of(field)
    back, calendar = from_gridded(cells.to_dataset("standard"), target, MONTH)
    assert calendar == "standard"
    assert_same(cells, back)


def twist(field):
    """The same field in other labels: order, sense, names, convention of longitude."""
    twisted = field.transpose("lon", "depth", "time", "lat").isel(
        lat=slice(None, None, -1), depth=slice(None, None, -1)
    )
    twisted = twisted.assign_coords(lon=("lon", (field.lon.values + 180) % 360 - 180,
                                         {"units": "degrees_east"}))  # fmt: skip
    twisted = twisted.sortby("lon")
    twisted["lon"].attrs["units"] = "degrees_east"
    return twisted.rename(lon="x", lat="y", depth="lev", time="t")


def test_gridded_form_on_the_users_axes(field):
    cells, target = cells_of(field)
    twisted = target_of(twist(field))
    assert not target.grid.differences(twisted.grid)
    ds = cells.to_dataset("standard", layout=twisted.layouts)
    assert ds.thetao.dims == ("x", "lev", "t", "y")
    assert ds.y.values[0] > ds.y.values[-1]
    back, _ = from_gridded(ds, target, MONTH)
    assert_same(cells, back)
    plain = cells.to_dataset("standard")
    picked = ds.thetao.rename(x="lon", lev="depth", t="time", y="lat").sel(lon=-30 + 0)
    np.testing.assert_array_equal(
        picked.sel(lat=20).transpose("time", "depth").sortby("depth"),
        plain.thetao.sel(lon=330, lat=20),
    )


def test_gridded_form_is_cf(field):
    cells, _ = cells_of(field, 0.1)
    ds = cells.to_dataset("noleap", standard_names={"thetao": "sea_water_potential_temperature"})
    assert ds.thetao.attrs["units"] == "degC"
    assert ds.thetao_error.attrs["units"] == "K"  # a difference has no zero in Celsius
    assert ds.thetao_error.attrs["standard_name"].endswith("potential_temperature standard_error")
    assert set(ds.thetao.attrs["ancillary_variables"].split()) <= set(ds.data_vars)
    np.testing.assert_array_equal(np.isnan(ds.thetao), ds.thetao_count == 0)
    assert ds.time_bnds.values[0, 0].calendar == "noleap"
    np.testing.assert_array_equal(MONTH.index(ds.time), np.arange(24012, 24012 + 36))


def test_gridded_form_survives_a_file(field, tmp_path):
    cells, target = cells_of(field)
    cells.to_dataset("standard").to_netcdf(tmp_path / "cells.nc")
    with xr.open_dataset(tmp_path / "cells.nc") as ds:
        assert_same(cells, from_gridded(ds, target, MONTH)[0])


def test_what_does_not_fit_into_memory_is_refused(field):
    cells, _ = cells_of(field)
    with pytest.raises(MemoryForeseenError, match="GiB"):
        cells.to_dataset("standard", period=(0, 10**9))


# ---- merge


def test_merge_equals_inverse_variance_weights(field):
    a, _ = cells_of(field, 0.5, 1)
    b, _ = cells_of(field, 0.5, 2)
    merged = merge([a, b]).to_dataset("standard")
    x, y = a.to_dataset("standard"), b.to_dataset("standard")
    wx, wy = (1 / d.thetao_error.fillna(np.inf) ** 2 for d in (x, y))
    mean = (wx * x.thetao.fillna(0) + wy * y.thetao.fillna(0)) / (wx + wy)
    np.testing.assert_allclose(merged.thetao, mean, rtol=1e-12)
    np.testing.assert_allclose(
        merged.thetao_error, np.where(wx + wy > 0, (wx + wy) ** -0.5, np.nan), rtol=1e-12
    )
    np.testing.assert_array_equal(merged.thetao_count, x.thetao_count + y.thetao_count)


def test_merge_of_one_and_of_disjoint_sources_keeps_bits(field):
    a, _ = cells_of(field, 0.5, 1)
    assert_same(merge([a]), a)
    even = a.cell % 2 == 0
    parts = [
        Cells(a.cycle[m], a.cell[m], a.value[m], a.error[m], a.count[m], a.variables, a.units,
              a.grid, a.cycle_name)
        for m in (even, ~even)
    ]  # fmt: skip
    assert_same(merge(parts), a)


def test_merge_converts_units_and_unites_variables(field):
    a, _ = cells_of(field, 0.5, 1)
    kelvin = Cells(a.cycle, a.cell, a.value + 273.15, a.error, a.count, a.variables, ("K",),
                   a.grid, "month")  # fmt: skip
    both = merge([a, kelvin])
    np.testing.assert_allclose(both.value, a.value, rtol=1e-12)
    np.testing.assert_allclose(both.error, a.error / np.sqrt(2))
    salt = Cells(a.cycle, a.cell, a.value, a.error, a.count, ("so",), ("psu",), a.grid, "month")
    both = merge([a, salt])
    assert both.variables == ("thetao", "so")
    assert len(both) == 2 * len(a)
    ds = both.to_dataset("standard")
    np.testing.assert_array_equal(ds.so, ds.thetao)


def test_merge_refuses_everything_at_once(field):
    a, _ = cells_of(field)
    other = Grid(a.grid.depth, a.grid.lat, a.grid.lon + 1, True)
    b = Cells(a.cycle, a.cell, a.value, a.error, a.count, a.variables, a.units, other, "pentad")
    with pytest.raises(InputError, match=r"(?s)2 problems.*another cycle.*another grid"):
        merge([a, b])
    with pytest.raises(InputError, match="no superobservations"):
        merge([])


# ---- gridded observations


def test_several_times_of_a_cycle_are_combined(field):
    target = target_of(field)
    days = pd.date_range("2001-01-01", periods=31)
    daily = xr.concat([field.isel(time=0, drop=True) + d for d in range(31)], dim="time")
    daily = daily.assign_coords(time=days).rename("thetao")
    daily.attrs = field.attrs
    ds = daily.to_dataset()
    ds["thetao_error"] = xr.full_like(daily, 0.8)
    cells, _ = from_gridded(ds, target, MONTH)
    wet = target.wet.ravel()
    expected = field.isel(time=0).values.ravel()[wet] + 15
    np.testing.assert_allclose(cells.value, expected, rtol=1e-12)
    np.testing.assert_allclose(cells.error, 0.8 * np.sqrt(0.25 + 0.75 / 31))
    assert (cells.count == 31).all()


@pytest.mark.parametrize("change", [twist, lambda f: f.chunk(time=5), lambda f: f.astype("f4")])
def test_labels_chunks_and_precision_do_not_matter(field, change):
    target = target_of(field)
    sparse = field.where(np.random.default_rng(0).random(field.shape) < 0.2).astype("f4")
    sparse.attrs = field.attrs
    a, _ = from_gridded(sparse.astype("f8").assign_attrs(field.attrs), target, MONTH)
    b, _ = from_gridded(change(sparse).assign_attrs(field.attrs), target, MONTH)
    assert_same(a, b)


def test_units_are_those_of_the_model(field):
    target = target_of(field)
    kelvin = (field + 273.15).assign_attrs({**field.attrs, "units": "K"})
    a, b = (from_gridded(f, target, MONTH)[0] for f in (field, kelvin))
    np.testing.assert_allclose(a.value, b.value, atol=1e-10)
    np.testing.assert_allclose(a.error, b.error)


def test_another_grid_is_refused_naming_both(field):
    shifted = field.assign_coords(lat=("lat", field.lat.values + 1, field.lat.attrs))
    with pytest.raises(InputError, match=r"(?s)not on the model's grid.*-79 against -80"):
        from_gridded(shifted, target_of(field), MONTH)


def test_surface_fields_are_the_uppermost_level(field, caplog):
    caplog.set_level(logging.INFO)
    surface = field.isel(depth=0, drop=True).rename("sst")
    surface.attrs["standard_name"] = "sea_surface_temperature"
    cells, _ = from_gridded(surface, target_of(field), MONTH)
    assert (cells.cell < 9 * 12).all()
    assert "uppermost level" in caplog.text


def test_values_on_land_are_counted_and_told(field, caplog):
    full = field.fillna(1.0).assign_attrs(field.attrs)
    cells, _ = from_gridded(full, target_of(field), MONTH)
    dry = 36 * int((~target_of(field).wet).sum())
    assert f"{dry} gridded values" in caplog.text
    assert len(cells) == full.size - dry


def test_gridded_problems_are_told_at_once(field):
    ds = field.assign_attrs(units="m").to_dataset()
    ds["thetao_error"] = xr.zeros_like(field)
    with pytest.raises(InputError, match=r"(?s)do not fit the model"):
        from_gridded(ds, target_of(field), MONTH)
    ds["thetao"].attrs["units"] = "degC"
    with pytest.raises(InputError, match="not positive"):
        from_gridded(ds, target_of(field), MONTH)
    with pytest.raises(InputError, match="no time axis"):
        from_gridded(field.isel(time=0, drop=True), target_of(field), MONTH)
    nothing = field.where(False).assign_attrs(field.attrs)
    with pytest.raises(InputError, match="no value in the sea"):
        from_gridded(nothing, target_of(field), MONTH)
    with pytest.raises(InputError, match="no variable of the model"):
        from_gridded(field.rename("oxygen").assign_attrs(units="mol m-3", standard_name=""),
                     target_of(field), MONTH)  # fmt: skip


def test_superob_of_superobservations_is_the_same(field):
    cells, _ = cells_of(field)
    ds = cells.to_dataset("standard")
    again = superob(ds, field, cycle="month")
    for name in ("thetao", "thetao_error", "thetao_count"):
        np.testing.assert_array_equal(again[name], ds[name])


def loop(key, value, error, profile, count, rho):
    """The same sums, key by key."""
    out = []
    for k in np.unique(key):
        mine = key == k
        weight = error[mine] ** -2.0
        m = np.unique(profile[mine]).size
        mean = (weight * value[mine]).sum() / weight.sum()
        spread = np.sqrt(mine.sum() / weight.sum() * (rho + (1 - rho) / m))
        out.append((k, mean, spread, count[mine].sum()))
    return [np.array(c) for c in zip(*out, strict=True)]


@pytest.mark.parametrize("block", [7, 64, 2**17])
@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("spread", [5, 300, 2**61])
def test_combine_in_blocks_and_with_wide_keys(monkeypatch, block, threads, spread):
    """Blocks, threads and keys too wide to be packed change nothing; casts may be interleaved."""
    monkeypatch.setattr(placing, "BLOCK", block)
    monkeypatch.setattr(cells_module, "BLOCK", block)
    monkeypatch.setattr(placing, "_THREADS", threads)
    rng = np.random.default_rng(spread % 97)
    n = 1500
    key = rng.integers(0, 60, n) * (spread // 60 + 1) - 3
    value, error = rng.normal(15, 1, n), rng.uniform(0.1, 2, n)
    profile, count = rng.integers(0, 6, n), rng.integers(1, 4, n)
    done = combine(key, value, error, profile, count=count, rho=0.3)
    expected = loop(key, value, error, profile, count, 0.3)
    np.testing.assert_array_equal(done.key, expected[0])
    np.testing.assert_allclose(done.value, expected[1], rtol=1e-12)
    np.testing.assert_allclose(done.error, expected[2], rtol=1e-12)
    np.testing.assert_array_equal(done.count, expected[3])
    np.testing.assert_array_equal(done.key[done.row_group], key)


def test_combine_gives_the_same_bits_in_any_blocks_and_threads(monkeypatch):
    rng = np.random.default_rng(0)
    n = 5000
    args = (
        rng.integers(0, 900, n),
        rng.normal(size=n),
        rng.uniform(0.1, 1, n),
        rng.integers(0, 9, n),
    )
    results = []
    for block, threads in ((2**17, 1), (100, 1), (333, 4)):
        monkeypatch.setattr(cells_module, "BLOCK", block)
        monkeypatch.setattr(placing, "BLOCK", block)
        monkeypatch.setattr(placing, "_THREADS", threads)
        results.append(combine(*args))
    for other in results[1:]:
        for name in ("key", "value", "error", "count", "row_group"):
            np.testing.assert_array_equal(getattr(other, name), getattr(results[0], name))
