"""What comes out: dimensions, coordinates, attributes, calendars, files."""

from __future__ import annotations

import cftime
import numpy as np
import pytest
import xarray as xr

import xdeepda
from xdeepda.calendar import Cycle

PARTS = ("", "_spread", "_background", "_background_spread", "_obs_count")


def rebuilt(ds: xr.Dataset, calendar: str, first_year: int) -> xr.Dataset:
    """The same fields on another calendar, from another year on."""
    month = Cycle("month")
    index = month.index(ds["time"].values)
    index = index - index[0] // 12 * 12 + first_year * 12
    out = ds.drop_vars("time_bnds").assign_coords(time=month.middle(index, calendar))
    return out


def test_variables_and_their_attributes(analysis, tiny_model):
    bounds = ["time_bnds", "depth_bnds"]
    assert list(analysis.data_vars) == [*("thetao" + part for part in PARTS), *bounds]
    standard = "sea_water_potential_temperature"
    expected = {
        "": (standard, "degC", np.float32),
        "_spread": (f"{standard} standard_error", "K", np.float32),
        "_background": (standard, "degC", np.float32),
        "_background_spread": (f"{standard} standard_error", "K", np.float32),
        "_obs_count": (f"{standard} number_of_observations", "1", np.int32),
    }
    for part, (name, unit, dtype) in expected.items():
        da = analysis["thetao" + part]
        assert da.attrs["standard_name"] == name
        assert da.attrs["units"] == unit
        assert da.dtype == dtype
        assert da.attrs["long_name"]
        if part != "_obs_count":
            assert da.attrs["cell_methods"] == "time: mean"
    assert analysis.attrs["model_hash"] == tiny_model.hash
    assert analysis.attrs["seed"] == 0
    assert analysis.attrs["xdeepda_version"] == xdeepda.__version__
    assert "assimilate(" in analysis.attrs["history"]


def test_history_is_kept_with_the_newest_line_first(ocean, cells, tiny_model):
    ds = ocean.assign_attrs(history="2001: made")
    lines = xdeepda.assimilate(ds, cells, model=tiny_model).attrs["history"].splitlines()
    assert "assimilate(" in lines[0]
    assert lines[1] == "2001: made"


def test_values_are_in_the_sea_and_only_there(analysis, tiny_model):
    wet = tiny_model.wet[0]
    for part in PARTS[:-1]:
        values = analysis["thetao" + part].values
        assert np.isfinite(values[:, wet]).all()
        assert np.isnan(values[:, ~wet]).all()
    for part in ("_spread", "_background_spread"):
        assert (analysis["thetao" + part].values[:, wet] > 0).all()
    count = analysis["thetao_obs_count"].values
    assert (count[:, ~wet] == 0).all()


def test_counts_are_those_of_the_observations(analysis, cells):
    np.testing.assert_array_equal(analysis["thetao_obs_count"], cells["thetao_count"])


def test_time_is_the_middle_of_the_cycles_with_their_bounds(analysis, cells):
    assert analysis["time"].attrs["bounds"] == "time_bnds"
    bounds = analysis["time_bnds"].values
    assert bounds[0, 0] == cftime.DatetimeNoLeap(10, 7, 1, has_year_zero=True)
    assert bounds[-1, 1] == cftime.DatetimeNoLeap(11, 1, 1, has_year_zero=True)
    assert (bounds[1:, 0] == bounds[:-1, 1]).all()
    middle = bounds[:, 0] + (bounds[:, 1] - bounds[:, 0]) / 2
    assert (analysis["time"].values == middle).all()
    assert (analysis["time"].values == cells["time"].values).all()


def test_bounds_of_levels_come_along(ocean, analysis, cells, tiny_model):
    assert analysis["depth"].attrs["bounds"] == "depth_bnds"
    xr.testing.assert_equal(analysis["depth_bnds"], ocean["depth_bnds"])
    # of a DataArray there are none: then nothing points to them
    single = xdeepda.assimilate(ocean["thetao"], cells, model=tiny_model)
    assert "bounds" not in single["depth"].attrs
    assert "bounds" not in cells["depth"].attrs or cells["depth"].attrs["bounds"] in cells


@pytest.mark.parametrize(
    ("calendar", "kind"),
    [
        ("standard", np.datetime64),
        ("gregorian", cftime.DatetimeGregorian),
        ("360_day", cftime.Datetime360Day),
        ("julian", cftime.DatetimeJulian),
        ("all_leap", cftime.DatetimeAllLeap),
    ],
)
def test_the_calendar_of_the_observations_is_kept(
    calendar, kind, ocean, cells, tiny_model, analysis
):
    obs = rebuilt(cells, calendar, 2003)
    found = xdeepda.assimilate(ocean, obs, model=tiny_model)
    assert isinstance(found["time"].values[0], kind)
    assert found["time"].dt.year.values.tolist() == [2003] * 6
    assert found["time"].dt.month.values.tolist() == [7, 8, 9, 10, 11, 12]
    # mapped through the cycle of the year, months differ by a day at most
    np.testing.assert_allclose(found["thetao"], analysis["thetao"], atol=0.3)
    np.testing.assert_allclose(found["thetao_spread"], analysis["thetao_spread"], atol=0.02)


def test_a_model_and_a_state_of_other_calendars(ocean, cells, tiny_model):
    run = rebuilt(ocean, "standard", 1)
    found = xdeepda.assimilate(run, cells, model=tiny_model, members=2)
    expected = xdeepda.assimilate(ocean, cells, model=tiny_model, members=2)
    np.testing.assert_allclose(found["thetao"], expected["thetao"], atol=0.2)
    assert found["time"].values[0].calendar == "noleap"


def test_times_choose_the_cycles(ocean, cells, tiny_model, analysis):
    wanted = [cells["time"].values[k] for k in (4, 1, 1)]
    for times in (wanted, xr.DataArray(wanted, dims="time"), np.array(wanted)):
        found = xdeepda.assimilate(ocean, cells, model=tiny_model, times=times)
        xr.testing.assert_equal(found, analysis.isel(time=[1, 4]))
    later = cells["time"].values[-1].replace(year=11, month=3)
    found = xdeepda.assimilate(ocean, cells, model=tiny_model, times=[*cells["time"].values, later])
    xr.testing.assert_equal(found.isel(time=slice(0, 6)), analysis)
    assert float(found["thetao_obs_count"][6].sum()) == 0


def test_cycles_without_observations_are_there(ocean, cells, tiny_model):
    found = xdeepda.assimilate(ocean, cells.isel(time=[0, 5]), model=tiny_model)
    assert found["time"].dt.month.values.tolist() == [7, 8, 9, 10, 11, 12]
    empty = found.isel(time=slice(1, 5))
    assert int(empty["thetao_obs_count"].sum()) == 0
    np.testing.assert_array_equal(empty["thetao"], empty["thetao_background"])


def test_dates_as_words(ocean, cells, tiny_model):
    obs = rebuilt(cells, "standard", 2003)
    for times in ("2003-08", ["2003-08-30"]):
        found = xdeepda.assimilate(ocean, obs, model=tiny_model, times=times)
        assert found["time"].values == [np.datetime64("2003-08-16T12:00:00")]


# ---- files


@pytest.mark.parametrize(
    ("calendar", "year"),
    [("standard", 2003), ("standard", 1), ("noleap", 1), ("360_day", 12), ("gregorian", 100)],
)
@pytest.mark.parametrize("store", ["netcdf", "zarr2", "zarr3"])
def test_round_trip_through_files(calendar, year, store, ocean, cells, tiny_model, tmp_path):
    encoded = ocean.copy()
    encoded["thetao"].encoding = {"dtype": "int16", "scale_factor": 0.001, "_FillValue": -999}
    encoded["depth"].encoding = {"dtype": "int16", "scale_factor": 0.5}
    obs = rebuilt(cells, calendar, year)
    found = xdeepda.assimilate(encoded, obs, model=tiny_model, members=2, keep_members=True)
    path = tmp_path / store
    if store == "netcdf":
        found.to_netcdf(path)
    else:
        found.to_zarr(path, zarr_format=int(store[-1]))
    decode = xr.coders.CFDatetimeCoder(use_cftime=calendar != "standard", time_unit="us")
    opened = xr.open_dataset(
        path, engine="netcdf4" if store == "netcdf" else "zarr", decode_times=decode
    )
    with opened as back:
        for name, da in found.data_vars.items():
            if name != "time_bnds":
                np.testing.assert_array_equal(back[name], da)
                assert back[name].attrs == da.attrs
        xr.testing.assert_equal(back["depth"], found["depth"])
        assert [str(t)[:16] for t in back["time"].values] == [
            str(t)[:16] for t in found["time"].values
        ]
        assert [str(t)[:16] for t in back["time_bnds"].values.ravel()] == [
            str(t)[:16] for t in found["time_bnds"].values.ravel()
        ]
        assert back.attrs == found.attrs


def test_an_analysis_from_a_file_starts_the_next(ocean, cells, tiny_model, tmp_path):
    first = cells.isel(time=slice(0, 3))
    xdeepda.assimilate(ocean, first, model=tiny_model).to_netcdf(tmp_path / "first.nc")
    with xr.open_dataset(
        tmp_path / "first.nc", decode_times=xr.coders.CFDatetimeCoder(use_cftime=True)
    ) as ds:
        second = xdeepda.assimilate(
            ds.isel(time=-1), cells.isel(time=slice(3, 6)), model=tiny_model
        )
    assert second["thetao"].dims == ("time", "depth", "lat", "lon")
    whole = xdeepda.assimilate(ocean, cells, model=tiny_model)
    fresh = xdeepda.assimilate(ocean, cells.isel(time=slice(3, 6)), model=tiny_model)

    def apart(ds: xr.Dataset, part: str) -> float:
        return float(np.sqrt(((ds["thetao" + part] - whole["thetao" + part][3:]) ** 2).mean()))

    for part in ("", "_spread"):
        assert apart(second, part) < 0.3 * apart(fresh, part)


# ---- the increment


def test_the_increment_is_analysis_minus_background(analysis):
    expected = analysis["thetao"] - analysis["thetao_background"]
    single = analysis.deepda.increment("thetao")
    np.testing.assert_array_equal(single, expected)
    assert single.name == "thetao_increment"
    assert single.attrs["units"] == "K"
    assert list(xdeepda.increment(analysis).data_vars) == ["thetao_increment"]


def test_the_increment_of_something_else_is_refused(analysis, ocean):
    for wrong in (ocean, analysis["thetao"], analysis[["thetao"]]):
        with pytest.raises(xdeepda.errors.InputError, match="no analysis"):
            wrong.deepda.increment()
    with pytest.raises(xdeepda.errors.InputError, match=r"analysed: \['thetao'\]"):
        analysis.deepda.increment("so")
