"""Several sources in one call: tables and fields, variables and errors of their own."""

from __future__ import annotations

import cftime
import numpy as np
import pytest
import xarray as xr

import xdeepda
from xdeepda.errors import InputError


@pytest.fixture(scope="module")
def pair(ocean) -> xdeepda.Model:
    """Scalar filter of temperature and salinity."""
    return xdeepda.baselines.persistence(ocean, var=["thetao", "so"], cycle="month")


@pytest.fixture(scope="module")
def argo(make_points) -> xr.Dataset:
    """Temperature and salinity, of floats."""
    parts = [make_points(150, seed=3), make_points(100, seed=4, name="so")]
    joined = xr.concat(parts, dim="obs", combine_attrs="override", join="outer")
    attrs = {k: v for p in parts for k, v in p["value"].attrs.items() if k != "units"}
    return joined.assign(value=joined["value"].assign_attrs(attrs).drop_attrs().assign_attrs(attrs))


@pytest.fixture(scope="module")
def xbt(make_points) -> xr.Dataset:
    """Temperature in kelvin with errors of their own, of ships."""
    table = make_points(120, seed=5)
    kelvin = {"units": "K", "units_thetao": "K"}
    table["value"] = (table["value"] + 273.15).assign_attrs(table["value"].attrs | kelvin)
    return table.assign(error=("obs", np.full(120, 0.9)))


@pytest.fixture(scope="module")
def sst(cells) -> xr.Dataset:
    """Fields of the surface."""
    surface = cells[["thetao", "thetao_error"]].isel(depth=0, drop=True)
    return surface.assign(thetao_error=surface["thetao_error"] * 0 + 0.2)


def test_all_of_them_are_accounted_for(ocean, pair, argo, xbt, sst):
    sources = [argo, xbt, sst]
    analysis = ocean.deepda.assimilate(sources, model=pair, ledger=True)
    ledger = analysis.deepda.departures()
    number = ledger["source_number"].values
    fields = int(sst["thetao"].notnull().sum())
    assert np.bincount(number).tolist() == [0, 250, 120, fields]
    for n, table in ((1, argo), (2, xbt)):
        mine = ledger.isel(obs=number == n)
        assert mine["row"].values.tolist() == list(range(table.sizes["obs"]))
        for name in ("time", "depth", "latitude", "longitude", "platform"):
            np.testing.assert_array_equal(mine[name].values, table[name].values)
    # values of the second source are in the unit of the first
    mine = ledger.isel(obs=number == 2)
    np.testing.assert_allclose(mine["value"], xbt["value"] - 273.15)
    np.testing.assert_allclose(mine["observed_error"], 0.9, rtol=1e-6)
    np.testing.assert_allclose(ledger["observed_error"][number == 3], 0.2, rtol=1e-6)
    assert set(ledger["analysed_variable"].values[number == 1]) == {"thetao", "so"}
    assert set(ledger["depth"].values[number == 3]) == {10.0}
    assert np.isfinite(ledger["innovation"]).all()
    assert ledger["innovation"].attrs["units_thetao"] == "K"
    # counts of a cell are those of all sources, in the ledger and in the analysis
    used = ledger.isel(obs=ledger["fate"].values == 0)
    for name in ("thetao", "so"):
        total = int(analysis[f"{name}_obs_count"].sum())
        assert (used["analysed_variable"].values == name).sum() == total
    assert int(used["cell_count"].max()) > 1


def test_sources_are_merged_by_their_errors(ocean, pair, argo, xbt, sst):
    together = ocean.deepda.assimilate([argo, xbt, sst], model=pair, ledger=True)
    merged = xdeepda.superob([argo, xbt, sst], ocean, cycle="month", var=["thetao", "so"])
    again = ocean.deepda.assimilate(merged, model=pair)
    for name in ("thetao", "so", "thetao_spread", "so_spread"):
        np.testing.assert_allclose(together[name], again[name], atol=1e-5)
    ledger = together.deepda.departures()
    where = {"time": ledger["time"].values, "lat": ledger["latitude"], "lon": ledger["longitude"]}
    for n, row in enumerate(ledger["analysed_variable"].values[:40]):
        at = {k: v[n] for k, v in where.items()}
        cell = merged[[row, f"{row}_error"]].sel(
            time=at["time"], depth=float(ledger["depth"][n])
        ).sel(lat=float(at["lat"]), lon=float(at["lon"]) % 360, method="nearest")  # fmt: skip
        np.testing.assert_allclose(float(ledger["cell_value"][n]), float(cell[row]), atol=1e-9)
        np.testing.assert_allclose(
            float(ledger["cell_error"][n]), float(cell[f"{row}_error"]), rtol=1e-6
        )


def test_departures_of_several_sources(ocean, pair, argo, xbt, sst):
    analysis = ocean.deepda.assimilate([argo, xbt, sst], model=pair, ledger=True)
    ledger, again = analysis.deepda.departures(), analysis.deepda.departures([argo, xbt, sst])
    for name in ("observed", "background", "analysis", "residual", "source_number", "cell_count"):
        np.testing.assert_allclose(again[name], ledger[name], rtol=1e-12, err_msg=name)
    only = analysis.deepda.departures(sst)
    np.testing.assert_array_equal(
        only["residual"], ledger["residual"][ledger["source_number"] == 3]
    )


def test_one_of_several_may_lie_outside(ocean, pair, argo, xbt, caplog):
    deep = xbt.assign_coords(depth=xbt["depth"] + 8000)
    caplog.set_level("INFO", logger="xdeepda")
    analysis = ocean.deepda.assimilate([deep, argo], model=pair, ledger=True)
    assert "source 1: 0 of 120 observations used (not: 120 outside of the depths)" in caplog.text
    alone = ocean.deepda.assimilate(argo, model=pair)
    np.testing.assert_array_equal(analysis["thetao"], alone["thetao"])
    ledger = analysis.deepda.departures()
    meanings = ledger["fate"].attrs["flag_meanings"].split()
    first = ledger["fate"].values[ledger["source_number"].values == 1]
    assert {meanings[f] for f in first} == {"outside_of_the_depths"}
    with pytest.raises(InputError, match="no observation lies inside"):
        ocean.deepda.assimilate([deep, deep], model=pair)


def test_faults_name_their_source(ocean, pair, argo, xbt, sst):
    nameless = xbt.assign(error=xbt["error"] * 0)
    with pytest.raises(InputError) as error:
        ocean.deepda.assimilate([argo, nameless, 7, sst], model=pair)
    assert "source 2 of 4: error is out of range in 120 of 120 rows" in str(error.value)
    assert "source 3 of 4: these are no observations" in str(error.value)
    other = argo.assign_coords(
        time=("obs", [cftime.Datetime360Day(t.year, t.month, 3) for t in argo["time"].values])
    )
    with pytest.raises(InputError, match="several calendars among the sources"):
        ocean.deepda.assimilate([argo, other], model=pair)


def test_calendars_that_are_one(ocean, pair, make_points):
    """Times of datetime64 and of cftime's Gregorian calendar may come together."""
    table = make_points(40, seed=8)
    stamps = [np.datetime64(f"2003-{t.month:02d}-03", "ns") for t in table["time"].values]
    objects = [cftime.DatetimeGregorian(2003, t.month, 3) for t in table["time"].values]
    a = table.assign_coords(time=("obs", np.array(stamps)))
    b = table.assign_coords(time=("obs", np.array(objects)))
    for pair_of, kind in (([a, b], np.datetime64), ([b, a], cftime.datetime)):
        analysis = ocean.deepda.assimilate(pair_of, model=pair, ledger=True)
        ledger = analysis.deepda.departures()
        assert all(isinstance(t, kind) for t in ledger["time"].values)
        times = [str(t)[:10] for t in ledger["time"].values]
        assert times[:40] == times[40:]
        np.testing.assert_array_equal(ledger["residual"][:40], ledger["residual"][40:])


def test_departures_from_fields_are_a_table_like_any_other(ocean, persistence, cells):
    analysis = xdeepda.assimilate(ocean, cells, model=persistence, progress=False)
    first = xdeepda.departures(analysis, cells)
    again = xdeepda.departures(analysis, first)
    np.testing.assert_allclose(again["analysis"].dropna("obs"), first["analysis"], rtol=1e-6)
