"""The accessor is an address: it holds the object, and its methods are the functions."""

from __future__ import annotations

import copy
import inspect
import pickle

import dask.array
import numpy as np
import pytest
import xarray as xr

import xdeepda
from xdeepda.accessor import DeepDAAccessor

VERBS = (
    "train",
    "assimilate",
    "update",
    "joints",
    "observe",
    "quality_control",
    "quality_report",
    "withhold",
    "superob",
    "network",
    "increment",
    "departures",
    "initial_conditions",
    "explain",
    "heat_content",
    "steric_height",
    "isotherm_depth",
    "mixed_layer_depth",
    "index",
    "anomalies",
    "seasonal_cycle",
    "trend",
    "drift",
    "marine_heatwave_days",
    "static_stability",
    "eofs",
    "over_members",
    "verify",
    "to_table",
    "osse",
    "withheld_experiment",
    "ose",
)


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_is_the_function_of_the_same_name(verb, ocean):
    method, function = getattr(ocean.deepda, verb), getattr(xdeepda, verb)
    assert method.__func__ is function
    assert method.__self__ is ocean
    assert inspect.getdoc(method) == inspect.getdoc(function)
    first, *rest = inspect.signature(function).parameters.values()
    assert [*inspect.signature(method).parameters.values()] == rest
    assert first.kind is first.POSITIONAL_OR_KEYWORD


def test_the_accessor_holds_nothing_but_the_object(ocean):
    assert vars(ocean.deepda) == {"_obj": ocean}
    assert ocean["thetao"].deepda._obj.name == "thetao"


def test_an_object_with_its_accessor_can_be_pickled_and_copied(ocean):
    repr(ocean.deepda)
    for back in (pickle.loads(pickle.dumps(ocean)), copy.deepcopy(ocean), ocean.copy()):
        xr.testing.assert_identical(back, ocean)
        assert back.deepda._obj is back


@pytest.mark.parametrize(
    "obj", [xr.Dataset(), xr.DataArray(3), xr.DataArray(["a"], dims="q"), xr.Dataset({"a": 1})]
)
def test_any_object_has_an_accessor_and_a_repr(obj):
    assert isinstance(obj.deepda, DeepDAAccessor)
    assert "<xdeepda: " in repr(obj.deepda)
    assert obj.deepda._repr_html_().startswith("<div>")


# ---- what the repr says


def test_what_is_detected(ocean):
    text = repr(ocean.deepda)
    for words in (
        "thetao     degC, float32",
        "so         psu, float32",
        "'depth', 3 from 10 to 841 m",
        "'lat', 10 from -64.8 to 64.8 degrees north",
        "'lon', 24 from 7.5 to 352.5 degrees east, cyclic",
        "469 of 720 in the first record",
        "120 from 0001-01-16 12:00:00 to 0010-12-16 12:00:00",
        "noleap (cftime)",
        "month, year",
        "to train one variable",
        "for all 2",
        "needs a network",
        "needs observations and model=",
    ):
        assert words in text


def test_what_is_guessed_and_missing_is_said(ocean):
    da = ocean["thetao"].rename(depth="lev").copy()
    da["lev"].attrs = {}
    text = repr(da.drop_attrs(deep=False).deepda)
    assert "NO UNITS" in text
    assert "guess" in text
    assert "lev" in text
    for line in (line for line in text.splitlines() if ".train" in line or ".assimilate" in line):
        assert "depth axis 'lev' has no units" in line
        assert "'thetao' has no units" in line


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda ds: ds.isel(time=0), "no time axis"),
        (lambda ds: ds.drop_isel(time=4).isel(time=slice(0, 11)), "no cycle is covered"),
        (lambda ds: ds.assign_coords(time=range(120)), "decode"),
        (lambda ds: ds.expand_dims(member=2), "one member"),
        (lambda ds: ds[["time_bnds"]], "no variable with spatial axes"),
    ],
)
def test_what_is_missing_to_train(ocean, change, words):
    line = next(x for x in repr(change(ocean).deepda).splitlines() if ".train" in x)
    assert words in line


def test_a_table_of_observations_is_described(points):
    text = repr(points.deepda)
    for words in ("200 points", "'lat'", "'depth'", "needs like="):
        assert words in text


def test_curvilinear_grids_are_described(ocean):
    lat, _ = xr.broadcast(ocean["lat"], ocean["lon"])
    da = ocean["thetao"].rename(lat="j", lon="i").drop_vars(["j", "i"])
    da = da.assign_coords(TLAT=(("j", "i"), lat.values, {"units": "degrees_north"}))
    assert "curvilinear" in repr(da.deepda)


def test_html_is_escaped_and_says_the_same(ocean):
    html = ocean.rename(thetao="<b>").deepda._repr_html_()
    assert "&lt;b&gt;" in html
    assert "<b>degC" not in html
    assert "469 of 720" in html


def test_looking_computes_nothing(ocean, tmp_path):
    def explode(*_):
        raise AssertionError("a value was read")

    meta = np.empty((0,) * 4, "f4")
    lazy = dask.array.map_blocks(explode, dask.array.zeros((120, 3, 10, 24)), meta=meta)
    ds = ocean.assign(thetao=ocean["thetao"].copy(data=lazy))
    assert "not in memory" in repr(ds.deepda)
    ocean.to_netcdf(tmp_path / "run.nc")
    with xr.open_dataset(tmp_path / "run.nc") as ds:
        repr(ds.deepda)
        assert not ds["thetao"]._in_memory
