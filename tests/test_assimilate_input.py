"""Every wrong input of an assimilation has its own words, told together, before the cycling."""

from __future__ import annotations

import cftime
import numpy as np
import pytest
import xarray as xr

import xdeepda
from xdeepda import assimilation
from xdeepda.errors import InputError, MemoryForeseenError, ModelMismatchError


@pytest.fixture
def message(ocean, cells, tiny_model):
    """Message of the error that an assimilation raises."""

    def tell(ds=None, obs=None, kind=InputError, **kwargs) -> str:
        with pytest.raises(kind) as error:
            xdeepda.assimilate(
                ocean if ds is None else ds,
                cells if obs is None else obs,
                **{"model": tiny_model, **kwargs},
            )
        return str(error.value)

    return tell


def kelvin(ds: xr.Dataset, unit: str) -> xr.Dataset:
    return ds.assign(thetao=ds["thetao"].assign_attrs(units=unit))


# ---- the fields and the model


def test_another_grid_is_refused_and_both_are_named(ocean, message):
    text = message(ocean.isel(lat=slice(1, None), depth=[0, 1]), kind=ModelMismatchError)
    assert "on another grid than the model" in text
    assert "lat: 10 (-64.8 to 64.8) against 9 (-50.4 to 64.8)" in text
    assert "depth: 3 (10 to 841) against 2 (10 to 101)" in text
    shifted = ocean.assign_coords(lon=(ocean["lon"] + 0.5).assign_attrs(ocean["lon"].attrs))
    assert "lon: 7.5 against 8 at position 0" in message(shifted)


def test_another_variable_or_unit_is_refused(ocean, message):
    text = message(ocean.rename(thetao="temp"))
    assert "'thetao'" in text
    assert "'temp'" in text
    text = message(ocean["so"])
    assert "'so'" in text
    assert "'thetao'" in text
    text = message(kelvin(ocean, "psu"))
    assert "'psu'" in text
    assert "convertible to 'degC'" in text
    bare = ocean.copy()
    bare["thetao"] = bare["thetao"].drop_attrs(deep=False)
    assert "has no units" in message(bare)


def test_another_cycle_is_refused(ocean, message):
    years = ocean[["thetao"]].coarsen(time=12).mean().assign_attrs(units="degC")
    years["thetao"].attrs["units"] = "degC"
    assert "does not cover every month" in message(years)


def test_several_faults_are_told_at_once(ocean, message):
    text = message(
        kelvin(ocean, "psu").isel(lat=slice(1, None)),
        members=0,
        times="yesterday",
        seed=-3,
        device="quantum",
    )
    for words in ("another grid", "another dimension", "members", "times=", "seed", "'quantum'"):
        assert words in text


@pytest.mark.parametrize("wrong", [None, 3, {}, [3, None]])
def test_what_is_no_model(message, wrong):
    assert "expected a Model" in message(model=wrong)


def test_what_is_no_state(message):
    assert "Dataset or DataArray" in message(ds=np.zeros(3))


def test_a_state_with_holes_is_refused(truth, message):
    hole = truth.isel(time=0).copy(deep=True)
    wet = np.argwhere(np.isfinite(hole["thetao"].values))[3]
    hole["thetao"][tuple(wet)] = np.nan
    assert "initial state has NaN in 1 cells" in message(hole)


def test_wrong_numbers_of_members(ocean, truth, message):
    assert "members=9, but ds holds 8 years to start from" in message(members=9)
    ensemble = truth.isel(time=[0, 0, 0]).rename(time="member").drop_vars("member")
    assert "members=2, but ds holds an ensemble of 3" in message(ensemble, members=2)
    run = ocean.expand_dims(member=2)
    assert "members and times in one input" in message(run)
    for wrong in (0, -1, 2.0, "3", None):
        assert "members is a positive integer" in message(members=wrong)


# ---- the observations


def test_no_observation_at_all(cells, points, message):
    assert "no value" in message(obs=cells.where(False))
    assert "empty list" in message(obs=[])
    assert "0 rows" in message(obs=points.isel(obs=slice(0, 0)))
    nothing = points.copy(deep=True)
    nothing["thetao"][:] = np.nan
    assert "no value at all" in message(obs=nothing)


@pytest.mark.parametrize("wrong", [0.0, -0.1])
def test_errors_that_are_not_positive(cells, points, message, wrong):
    table = points.copy(deep=True)
    table["thetao_error"][3] = wrong
    assert f"error is out of range in 1 of 200 rows\n    found: {wrong:g} in row 3" in message(
        obs=table
    )
    gridded = cells.copy(deep=True)
    gridded["thetao_error"] = gridded["thetao_error"] * 0 + wrong
    assert "not positive everywhere" in message(obs=gridded)


def test_observations_outside(points, message):
    deep = points.assign_coords(depth=points["depth"] + 9000)
    text = message(obs=deep)
    assert "no observation lies inside of the model's sea" in text
    assert "depth 9010 to 9841" in text
    assert "200 outside of the depths" in text
    assert "depth 3 (10 to 841)" in text


def test_observations_in_other_units(points, message):
    table = points.assign(thetao=points["thetao"].assign_attrs(units="dbar"))
    assert "wrong dimension" in message(obs=table)
    table["thetao"].attrs.pop("units")
    assert "has no units" in message(obs=table)


def test_observations_of_something_else(cells, message):
    other = cells[["thetao"]].rename(thetao="chl")
    other["chl"].attrs = {"units": "mg m-3"}
    text = message(obs=other)
    assert "hold no variable of the model" in text
    assert "found: chl" in text


def test_observations_on_another_grid(cells, message):
    text = message(obs=cells.isel(lon=slice(0, 5)))
    assert "not on the model's grid" in text
    assert "lon: 5 (7.5 to 67.5) against 24" in text


def test_observations_of_several_calendars(points, message):
    times = points["time"].values.copy()
    times[5] = cftime.Datetime360Day(10, 7, 15)
    text = message(obs=points.assign_coords(time=("obs", times)))
    assert "several calendars in one input: 360_day, noleap" in text


def test_things_that_are_no_observations(message):
    for wrong in (3, "file.nc", np.zeros(4)):
        assert "no observations that can be read" in message(obs=wrong)


# ---- times, climatology, memory


def test_wrong_times(truth, message):
    for wrong in ([], [3], "soon", np.zeros(2)):
        assert "times= holds no times" in message(times=wrong)
    assert "different calendars" in message(times=["2001-01-01"])
    early = [cftime.DatetimeNoLeap(3, 1, 1)]
    text = message(times=early)
    assert "no observation falls into the period" in text
    assert "0010-07-16" in text
    assert "0003-01-01" in text


def test_wrong_climatologies(ocean, truth, message):
    assert "climatology='woa'" in message(climatology="woa")
    assert "does not cover a year" in message(climatology=truth)
    assert "another grid" in message(climatology=ocean.isel(lat=slice(1, None)))
    dry = ocean.where(ocean["depth"] < 500).assign(thetao=lambda d: kelvin(d, "degC")["thetao"])
    assert "cells of the model's sea hold no value" in message(climatology=dry)


def test_a_result_that_would_not_fit(message, monkeypatch):
    monkeypatch.setattr(assimilation, "available_memory", lambda: 10**5)
    assert "would not fit into memory" in message(kind=MemoryForeseenError)


def test_nothing_is_cycled_before_all_is_checked(monkeypatch, ocean, message):
    def conduct(*_):
        raise AssertionError("the cycling started")

    monkeypatch.setattr(assimilation, "_conduct", conduct)
    message(climatology="woa")
    message(members=9)
    message(device="quantum")


def test_observations_and_the_rest_are_told_at_once(ocean, points, tiny_model, message):
    bad = points.assign(thetao_error=-points["thetao_error"])
    text = message(
        ocean.isel(lat=slice(1, None)), bad, members=0, climatology="levitus",
        kind=ModelMismatchError,
    )  # fmt: skip
    for part in ("another grid", "error", "members is a positive integer", "climatology='levitus'"):
        assert part in text
    # only a model of another grid is a mismatch
    with pytest.raises(InputError) as caught:
        xdeepda.assimilate(ocean, bad, model=tiny_model)
    assert not isinstance(caught.value, ModelMismatchError)


@pytest.mark.parametrize(
    ("times", "told"),
    [
        ([], "no time at all"),
        (np.array(["NaT"], dtype="datetime64[ns]"), "NaT in 1 of 1"),
        (slice("0010-07", "0010-08"), "a slice"),
        ([1.5], "values of type float64"),
    ],
)
def test_times_that_are_none(ocean, cells, tiny_model, times, told):
    with pytest.raises(InputError, match="times= holds no times") as caught:
        xdeepda.assimilate(ocean, cells, model=tiny_model, times=times)
    assert told in str(caught.value)


@pytest.mark.parametrize("members", [True, 2.0, "3"])
def test_members_are_counted(ocean, cells, tiny_model, members):
    with pytest.raises(InputError, match="members is a positive integer"):
        xdeepda.assimilate(ocean, cells, model=tiny_model, members=members)


def test_keep_members_is_a_choice(ocean, cells, tiny_model):
    with pytest.raises(InputError, match="keep_members is True or False"):
        xdeepda.assimilate(ocean, cells, model=tiny_model, keep_members="yes")


def test_an_analysis_of_several_times_is_no_state(ocean, cells, analysis, tiny_model, caplog):
    xdeepda.assimilate(analysis, cells, model=tiny_model)
    assert "give ds.isel(time=-1)" in caplog.text
    caplog.clear()
    xdeepda.assimilate(analysis.isel(time=-1), cells, model=tiny_model)
    assert "isel" not in caplog.text
