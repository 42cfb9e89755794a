"""Every wrong input of training has its own words, and all of them come at once, early."""

from __future__ import annotations

import re

import cftime
import dask.array
import numpy as np
import pytest
import xarray as xr

import xdeepda
from xdeepda.errors import InputError, MemoryForeseenError
from xdeepda.training import request


@pytest.fixture
def control(ocean) -> xr.Dataset:
    """A copy to spoil."""
    return ocean[["thetao"]].copy(deep=True)


@pytest.fixture
def message(network, tiny):
    """Message of the error that training raises."""

    def tell(ds, **kwargs) -> str:
        with pytest.raises(InputError) as error:
            xdeepda.train(ds, kwargs.pop("network", network), **{"var": "thetao", **tiny, **kwargs})
        return str(error.value)

    return tell


def units(ds, unit):
    ds["thetao"].attrs.pop("units")
    if unit:
        ds["thetao"].attrs["units"] = unit
    return ds


def nan_in_the_sea(ds):
    ds["thetao"][5, 0, 5, 14] = np.nan
    assert ds["thetao"][0, 0, 5, 14].notnull()
    return ds


def anonymous(ds):
    ds = ds.rename(depth="k")
    ds["k"].attrs = {}
    return ds


def two_calendars(ds):
    times = ds["time"].values.copy()
    times[60:] = [cftime.Datetime360Day(t.year, t.month, 15) for t in times[60:]]
    return ds.assign_coords(time=times)


WRONG = {
    "no depth axis": (anonymous, r"dimension 'k' is not understood[\s\S]*axis='Z'"),
    "no units": (lambda ds: units(ds, None), r"'thetao' has no units[\s\S]*attrs\['units'\]"),
    "wrong dimension": (lambda ds: units(ds, "m s-1"), "wrong dimension"),
    "no unit at all": (lambda ds: units(ds, "warm"), "'warm' is not understood"),
    "NaN in the sea": (
        nan_in_the_sea,
        r"NaN inside the sea[\s\S]*1 cells[\s\S]*the same land mask",
    ),
    "empty level": (
        lambda ds: ds.where(ds["depth"] < 500).assign(time_bnds=ds.get("time")),
        r"levels without any value[\s\S]*841 m",
    ),
    "empty": (lambda ds: ds.where(False), "no value at all"),
    "fill value": (lambda ds: ds.fillna(-9999.0), r"no temperature of the sea[\s\S]*fill value"),
    "repeated times": (lambda ds: ds.isel(time=[*range(60), *range(59, 120)]), "it repeats at"),
    "unsorted times": (lambda ds: ds.isel(time=slice(None, None, -1)), "it goes back at"),
    "a missing month": (lambda ds: ds.drop_isel(time=7), r"every month[\s\S]*1 cycles are missing"),
    "two calendars": (two_calendars, "several calendars in one input: 360_day, noleap"),
    "numbers for times": (lambda ds: ds.assign_coords(time=range(120)), "holds no times"),
    "no time": (lambda ds: ds.isel(time=0), "no time axis found"),
    "too short": (
        lambda ds: ds.isel(time=slice(0, 36)),
        r"too short[\s\S]*3 years[\s\S]*at least 36",
    ),
    "several members": (lambda ds: ds.expand_dims(member=2), "members and times in one input"),
    "another variable": (lambda ds: ds.rename(thetao="temp"), r"not in the Dataset[\s\S]*'temp'"),
    "no variation": (lambda ds: ds * 0 + 5, "do not vary at all"),
    "no area": (lambda ds: ds.drop_vars("lat"), "dimension 'lat' has no coordinate"),
}


@pytest.mark.parametrize("spoil", WRONG)
def test_each_fault_has_its_words(control, message, spoil):
    change, words = WRONG[spoil]
    spoiled = change(control)
    for name in spoiled.data_vars:
        if not spoil.endswith(("units", "dimension", "at all")):
            spoiled[name].attrs.setdefault("units", "degC")
    assert re.search(words, message(spoiled)), message(spoiled)


def test_many_faults_are_told_at_once(control, message):
    spoiled = units(control, "m").isel(time=[0, 1, 1, 2]).drop_vars("lon")
    text = message(spoiled, network=7, budget="soon", speed=3, epochs=0, seed=-1, device="quantum")
    for words in (
        "problems with the input",
        "wrong dimension",
        "'lon' has no coordinate",
        "network is no Network",
        "budget='soon'",
        "unknown setting 'speed'",
        "epochs=0",
        "seed",
        "device 'quantum'",
    ):
        assert words in text


def test_faults_of_the_values_are_told_with_the_others(control, message):
    spoiled = nan_in_the_sea(control)
    spoiled["thetao"][:, 2] = np.nan
    text = message(spoiled, validation=0.5, cycles=200)
    for words in ("NaN inside the sea", "levels without any value", "cycles=200 is more than"):
        assert words in text


def test_labels_are_checked_before_a_single_value_is_read(control, message):
    def explode(*_):
        raise AssertionError("a value was read")

    meta = np.empty((0,) * 4, "f4")
    lazy = dask.array.map_blocks(explode, dask.array.zeros((120, 3, 10, 24)), meta=meta)
    control["thetao"] = control["thetao"].copy(data=lazy)
    for kwargs in (
        {"cycle": "pentad"},
        {"validation": 2},
        {"architecture": "unet"},
        {"network": 1},
    ):
        message(control, **kwargs)


def first_months_only(control: xr.Dataset) -> xr.Dataset:
    """Control run of dask that cannot be read beyond the first months."""

    def read(block, block_info=None):
        assert block_info[0]["array-location"][0][0] == 0, "the run was read"
        return block

    lazy = control["thetao"].copy(
        data=control["thetao"].chunk(time=6).data.map_blocks(read, dtype="f4")
    )
    return control.assign(thetao=lazy)


def test_network_and_memory_are_checked_before_the_run_is_read(control, tiny, monkeypatch):
    lazy = first_months_only(control)
    network = xdeepda.Network.simulated(None)
    speed = lazy.rename(thetao="uo")
    speed["uo"].attrs = {"units": "m s-1"}
    with pytest.raises(InputError, match=r"train: one problem[\s\S]*measures uo"):
        xdeepda.train(speed, network, var="uo", **tiny)
    absolute = lazy.rename(thetao="so")
    absolute["so"].attrs = {"units": "g kg-1", "standard_name": "sea_water_absolute_salinity"}
    with pytest.raises(InputError, match=r"train: one problem[\s\S]*gsw"):
        xdeepda.train(absolute, network, var="so", **tiny)
    monkeypatch.setattr(request, "available_memory", lambda: 10**6)
    with pytest.raises(MemoryForeseenError, match="would not fit into memory"):
        xdeepda.train(lazy, network, var="thetao", **tiny)


def test_wrong_arguments_do_not_hide_each_other(control, message):
    text = message(units(control, "m"), architecture="unet", epochs=-1, validation=2)
    for words in ("wrong dimension", "'unet' is not known", "epochs=-1", "validation is"):
        assert words in text


@pytest.mark.parametrize(
    ("kwargs", "words"),
    [
        ({"cycle": "week"}, "cycle 'week' is not known"),
        ({"cycle": "pentad"}, "choose a longer cycle"),
        ({"cycle": "year"}, "too short"),
        ({"validation": 0}, "between 0 and 0.6"),
        ({"validation": 0.9}, "between 0 and 0.6"),
        ({"validation": "some"}, "between 0 and 0.6"),
        ({"validation": True}, "between 0 and 0.6"),
        ({"architecture": "unet"}, "'unet' is not known"),
        ({"architecture": "climatology"}, "nothing to train"),
        ({"resume": True}, "needs checkpoint="),
        ({"checkpoint": "/no/such/folder/x"}, "does not exist"),
        ({"checkpoint": "."}, "checkpoint= is a folder"),
        ({"climatology": 9}, "0 to 6"),
        ({"climatology": "mean"}, "'means'"),
        ({"seed": 1.5}, "seed is a number from 0 on"),
        ({"seed": None}, "seed is a number from 0 on"),
        ({"device": "quantum"}, "cannot be used here"),
        ({"var": ["thetao", "thetao"]}, "different names"),
        ({"var": []}, "var= is no name"),
        ({"var": 3}, "var= is no name"),
    ],
)
def test_wrong_arguments_have_their_words(control, message, kwargs, words):
    assert words in message(control, **kwargs)


def test_two_variables_without_a_choice(ocean, message):
    assert "which variable is not clear" in message(ocean, var=None)


def test_a_network_that_measures_nothing_of_it(ocean, tiny):
    oxygen = ocean["so"].rename("o2").assign_attrs(units="mmol m-3", standard_name="")
    with pytest.raises(InputError, match="measures o2"):
        xdeepda.train(oxygen, xdeepda.Network.simulated(None), **tiny)


def test_memory_is_foreseen(control, network, tiny, monkeypatch):
    monkeypatch.setattr(request, "available_memory", lambda: 10**6)
    with pytest.raises(MemoryForeseenError, match="would not fit into memory"):
        xdeepda.train(control, network, **tiny)


def test_what_is_no_dataset(message):
    assert "Dataset or DataArray" in message(np.zeros((3, 4)))
