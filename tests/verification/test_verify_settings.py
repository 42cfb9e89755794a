"""Climatology, persistence, intervals, tables, and input that cannot be used."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from synthetic import made, points_of

import xdeepda
from xdeepda.errors import InputError

FEW = {"draws": 50, "progress": False}


# ---- climatology


def test_a_climatology_has_no_skill_against_itself(years, ocean):
    twelve = ocean.thetao.groupby("time.month").mean().assign_attrs(ocean.thetao.attrs)
    months = years.time.dt.month
    estimate = twelve.sel(month=months.drop_vars("time")).drop_vars("month")
    estimate = estimate.assign_coords(time=years.time).assign_attrs(ocean.thetao.attrs)
    found = xdeepda.verify(estimate, years, climatology=twelve, **FEW)
    np.testing.assert_allclose(found.skill_climatology, 0, atol=1e-5)
    np.testing.assert_allclose(found.rmse, found.rmse_climatology, rtol=1e-5)
    assert found.attrs["climatology"] == "means of the months that were given"


def test_anomalies_by_hand(noisy, years, ocean):
    twelve = ocean.thetao.groupby("time.month").mean().assign_attrs(ocean.thetao.attrs)
    found = xdeepda.verify(noisy, years, by="time", climatology=twelve, **FEW)
    c = twelve.sel(month=int(years.time.dt.month[5]))
    x, y = ((f.thetao.isel(time=5) - c).astype(float) for f in (noisy, years))
    lat = years.lat.values
    edges = np.deg2rad(np.concatenate([[-72.0], (lat[1:] + lat[:-1]) / 2, [72.0]]))
    thick = xr.DataArray([55.5, 415.5, 740.0], {"depth": years.depth}, ("depth",))
    w = xr.DataArray(np.diff(np.sin(edges)), {"lat": years.lat}, ("lat",)) * thick
    hand = (w * x * y).sum() / np.sqrt((w * x * x).sum() * (w * y * y).sum())
    np.testing.assert_allclose(found.acc[5], hand, rtol=1e-5)
    np.testing.assert_allclose(
        found.skill_climatology[5], 1 - (w * (x - y) ** 2).sum() / (w * y * y).sum(), rtol=1e-5
    )


def test_a_control_run_gives_its_annual_cycle_on_any_grid_and_unit(noisy, years, ocean):
    plain = xdeepda.verify(noisy, years, climatology=ocean, **FEW)
    assert "4 harmonics, 10 years) of the run that was given" in plain.attrs["climatology"]
    kelvin = (ocean.thetao + 273.15).assign_attrs(ocean.thetao.attrs, units="K")
    rolled = kelvin.isel(lat=slice(None, None, -1)).transpose("lon", ...)
    found = xdeepda.verify(noisy, years, climatology=rolled, **FEW)
    np.testing.assert_allclose(found.acc, plain.acc, atol=1e-3)
    own = xdeepda.verify(noisy, ocean, **FEW)
    np.testing.assert_allclose(own.acc, plain.acc, rtol=1e-12)
    assert "of the reference itself" in own.attrs["climatology"]
    flat = xdeepda.verify(
        noisy, years, climatology=ocean.thetao.mean("time", keep_attrs=True), **FEW
    )
    assert (flat.rmse_climatology[0] > plain.rmse_climatology[0]).all()
    assert "without an annual cycle" in flat.attrs["climatology"]


def test_a_short_reference_has_no_climatology_of_its_own(noisy, years, caplog):
    with caplog.at_level("INFO", logger="xdeepda"):
        found = xdeepda.verify(noisy, years, **FEW)
    assert "acc" not in found
    assert "skill_climatology" not in found
    assert "spans 4 years only, and 5 are needed" in found.attrs["climatology"]
    assert "give climatology=" in caplog.text


# ---- persistence


def test_persistence_of_the_truth_has_no_skill_against_itself(years, ocean):
    late = years.thetao.copy(data=ocean.thetao.isel(time=slice(70, 118)).values)
    found = xdeepda.verify(late, ocean.drop_vars("so"), persistence=2, climatology=None, **FEW)
    plain = late.isel(time=slice(2, None))
    short = xdeepda.verify(plain, years[["thetao"]], persistence=2, **FEW)
    np.testing.assert_allclose(short.skill_persistence, 0, atol=1e-6)
    # with a climatology it is the anomaly that persists: better than the state of winter in spring
    assert (found.rmse_persistence[:2] < short.rmse_persistence[:2]).all()
    none = xdeepda.verify(plain, years, persistence=0, **FEW)
    assert "skill_persistence" not in none


# ---- intervals


def test_intervals_cover_the_error_that_is_known(ocean):
    """Of 30 analyses with independent errors of 0.5 K, about nine in ten intervals hold it."""
    truth = ocean.isel(time=slice(0, 30), lat=slice(3, 6), lon=slice(10, 16))[["thetao"]]
    held = [
        bool(f.rmse_low < 0.5 < f.rmse_high)
        for f in (
            xdeepda.verify(
                made(truth.assign(time_bnds=ocean.time_bnds), seed=s)[["thetao"]], truth,
                by=(), block=1, level=0.9, draws=200, persistence=0, progress=False,
            )
            for s in range(30)
        )
    ]  # fmt: skip
    assert 21 <= sum(held) <= 30


def test_blocks_are_said_and_can_be_chosen(noisy, years):
    assert "12 blocks of 4 consecutive cycles" in xdeepda.verify(noisy, years, **FEW).intervals
    yearly = xdeepda.verify(noisy, years, block=12, **FEW)
    assert "none: 4 blocks of 12" in yearly.attrs["intervals"]
    assert np.isnan(yearly.rmse_low).all()
    assert np.isfinite(yearly.rmse).all()
    wide, narrow = (xdeepda.verify(noisy, years, level=v, **FEW) for v in (0.99, 0.5))
    assert (wide.rmse_high > narrow.rmse_high).all()


# ---- statistics that are asked for


def test_only_what_is_asked_for(noisy, years, ocean):
    found = xdeepda.verify(
        noisy, years, climatology=ocean, statistics=("acc", "pit_histogram"), **FEW
    )
    assert list(found.data_vars) == ["count", "missing", "acc", "acc_low", "acc_high",
                                     "pit_histogram"]  # fmt: skip
    plain = xdeepda.verify(noisy, years, climatology=ocean, **FEW)
    xr.testing.assert_identical(found.acc, plain.acc)
    assert list(xdeepda.to_table(found, intervals=False).columns) == ["count", "missing", "acc"]
    assert "acc" in repr(found.deepda)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("rank_histogram", "expected: members"),
        ("member_crps", "keep_members=True"),
        ("mean_spread_skill", "expected: members"),
        ("acc", "climatology=control"),
        ("observation_error", "observations as reference"),
        ("desroziers_observation_variance", "assimilated=True"),
        ("skill_persistence", "persistence=1"),
        ("rmes", "there are no such statistics: \\['rmes'\\]"),
    ],
)
def test_what_cannot_be_made_is_told(noisy, years, name, words):
    with pytest.raises(InputError, match=words):
        xdeepda.verify(noisy, years, statistics=name, persistence=0, **FEW)


def test_an_analysis_without_spread_or_background_has_no_such_statistics(noisy, years):
    with pytest.raises(InputError) as caught:
        xdeepda.verify(noisy.thetao, years, statistics=("crps", "skill_background"), **FEW)
    for words in ("crps cannot be made", "<var>_spread", "skill_background cannot", "2 problems"):
        assert words in str(caught.value)


# ---- tables


def test_the_table_and_the_repr_show_the_numbers(noisy, years):
    found = noisy.deepda.verify(years, by=("region", "depth"), **FEW)
    table = found.deepda.to_table()
    assert isinstance(table, pd.DataFrame)
    assert table.index.names == ["region", "depth"]
    assert table.loc[("Pacific", 101.0), "rmse"] == found.rmse.sel(region="Pacific", depth=101.0)
    assert {"rmse_low", "rmse_high", "pit_deviation"} <= set(table.columns)
    short = xdeepda.to_table(found, "rmse", intervals=False)
    assert list(short.columns) == ["rmse"]
    text = repr(found.deepda)
    for words in ("verification of the analysis", "Pacific", "101.0", "rmse (K)", "intervals: 95%"):
        assert words in text
    assert "Pacific" in found.deepda._repr_html_()
    one = xdeepda.verify(noisy, years, by=(), **FEW)
    assert xdeepda.to_table(one).loc["all", "rmse"] == one.rmse
    assert "all" in repr(one.deepda)


def test_statistics_can_be_stored(noisy, years, tmp_path):
    found = xdeepda.verify(noisy, {"a": years, "b": years}, by=("depth", "season"), **FEW)
    found.to_netcdf(tmp_path / "scores.nc")
    with xr.open_dataset(tmp_path / "scores.nc") as back:
        xr.testing.assert_allclose(back, found)
        assert xdeepda.to_table(back, "rmse").equals(xdeepda.to_table(found, "rmse"))
    found.to_zarr(tmp_path / "scores.zarr")


def test_what_is_no_table_is_refused(noisy, years):
    with pytest.raises(InputError, match="no Dataset of statistics"):
        xdeepda.to_table(noisy)
    with pytest.raises(InputError, match=r"no such statistics: \['rsme'\]"):
        xdeepda.to_table(xdeepda.verify(noisy, years, **FEW), ["rsme", "bias"])
    with pytest.raises(InputError, match="pit_histogram"):
        xdeepda.to_table(xdeepda.verify(noisy, years, **FEW), "pit_histogram")


# ---- bad input


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"part": "forecast"}, "part= is unknown"),
        ({"by": "basin"}, "by= is not understood"),
        ({"by": ("season", "year")}, "several parts of time"),
        ({"by": 3}, "by= is not understood"),
        ({"regions": {"x": (0, 10, 0, 10)}}, "regions= is given, but not asked for"),
        ({"bands": [0, 10]}, "bands= is given, but not asked for"),
        ({"by": "latitude", "bands": [10, 0]}, "no list of edges"),
        ({"persistence": -1}, "persistence="),
        ({"draws": 0}, "draws="),
        ({"bins": 1.5}, "bins="),
        ({"level": 95}, "level= is no share"),
        ({"block": "year"}, "block= is not understood"),
        ({"block": "platform"}, "is for observations"),
        ({"assimilated": True}, "assimilated=True is for observations"),
        ({"cycle": "week"}, "cycle 'week'"),
        ({"var": "so"}, "'so'"),
        ({"climatology": 3}, "climatology= is no field"),
    ],
)
def test_settings_that_cannot_be_are_told(noisy, years, settings, words):
    with pytest.raises(InputError, match="verify") as caught:
        xdeepda.verify(noisy, years, progress=False, **settings)
    assert words in str(caught.value)


def test_several_wrong_things_are_told_at_once(noisy, years):
    with pytest.raises(InputError) as caught:
        xdeepda.verify(noisy, 3, part="x", level=2, by="nothing")
    for words in ("4 problems", "part=", "level=", "by=", "neither fields nor observations"):
        assert words in str(caught.value)
    other = years.assign_coords(time=years.indexes["time"].shift(1200, "ME"))
    ensemble = years[["thetao"]].expand_dims(member=2)
    wet = years.thetao.assign_attrs(units="m")
    with pytest.raises(InputError) as caught:
        xdeepda.verify(noisy, {"late": other, "two": ensemble, "wet": wet}, **FEW)
    for words in ("3 problems", "'late': no time in common", "'two': the reference is an ensemble",
                  "units 'm' and 'degC'", "0007-01-16"):  # fmt: skip
        assert words in str(caught.value)


def test_references_that_cannot_be_compared(noisy, years):
    cases = {
        "covers no cell": years.sel(lat=slice(-70, -30)),
        "only one of analysis and reference has a time axis": years.isel(time=0, drop=True),
        "other axes than the analysis": years.isel(lat=3, drop=True),
        "has no units": years.thetao.drop_attrs(),
        "which variable is 'thetao' is not clear": years.rename(thetao="a", so="b").drop_attrs(),
    }
    tropics = noisy.sel(lat=slice(-10, 40))
    for words, reference in cases.items():
        with pytest.raises((InputError, NotImplementedError), match=words):
            xdeepda.verify(tropics if "covers" in words else noisy, reference, **FEW)


def test_a_curvilinear_reference_is_told_how_to_be_regridded(noisy, years):
    lat, _ = xr.broadcast(years.lat, years.lon)
    tripolar = years.thetao.rename(lat="j", lon="i").drop_vars(["j", "i"])
    tripolar = tripolar.assign_coords(TLAT=(("j", "i"), lat.values, {"units": "degrees_north"}))
    with pytest.raises(InputError, match=r"the reference: the grid is curvilinear(.|\n)*xesmf"):
        xdeepda.verify(noisy, tripolar, **FEW)
    with pytest.raises(InputError, match="the analysis: the grid is curvilinear"):
        xdeepda.verify(tripolar, years, var="thetao", **FEW)


def test_a_yearly_product_is_no_reference_for_months(noisy, ocean):
    yearly = ocean.thetao.coarsen(time=12).mean(keep_attrs=True)
    with pytest.raises(InputError, match="time step is much longer than the month"):
        xdeepda.verify(noisy, yearly, **FEW)
    means = noisy[["thetao"]].coarsen(time=12).mean(keep_attrs=True)
    found = xdeepda.verify(means, yearly, cycle="year", **FEW)
    np.testing.assert_allclose(found.rmse, 0.5 / np.sqrt(12), rtol=0.1)


def test_regions_without_cells_are_told(noisy, years):
    far = {"Caspian": (40, 44, 48, 52), "tropics": (-20, 20, 0, 360)}
    with pytest.raises(InputError, match="without a cell of the analysis in the sea: Caspian"):
        xdeepda.verify(noisy, years, by="region", regions=far, **FEW)
    # basins by coordinates that a region does not hold are left out
    found = xdeepda.verify(noisy.isel(lon=slice(12, 18)), years, by="region", **FEW)
    assert "Indian" not in found.region


def test_observations_that_cannot_be_compared(noisy, years):
    obs = points_of(years, n=20)
    late = obs.assign_coords(time=("obs", years.indexes["time"].shift(1200, "ME").values[:20]))
    with pytest.raises(InputError, match=r"cannot be compared|no observation of 'thetao'"):
        xdeepda.verify(noisy, late, **FEW)
    with pytest.raises(InputError, match="without times"):
        xdeepda.verify(noisy.isel(time=0, drop=True), obs, **FEW)
    with pytest.raises(InputError, match="this is no analysis"):
        xdeepda.verify(3, years)
