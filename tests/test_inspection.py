"""The repr tells before the verbs are called what they would refuse."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import xdeepda
from xdeepda.errors import InputError


def verbs(obj) -> dict[str, str]:
    """What is said of each verb."""
    lines = repr(obj.deepda).split("verbs:\n")[1].splitlines()
    return {line.split()[0]: line.split(maxsplit=1)[1] for line in lines}


def test_a_run_that_is_too_short_is_told_where_training_refuses_it(ocean, network, tiny):
    for count in (24, 40, 41, 47, 48, 60):
        part = ocean[["thetao"]].isel(time=slice(0, count))
        told = "too few years" in verbs(part)[".train"]
        try:
            xdeepda.train(part, network, **tiny)
            refused = False
        except InputError as error:
            refused = "too short" in str(error)
            assert refused
        assert told == refused, count
        assert verbs(part)[".observe"] == "needs a network"


def test_the_cycle_is_asked_for_where_its_default_does_not_fit(ocean):
    assert verbs(ocean)[".train"] == "needs a network and cycle='month'"
    pentads = xdeepda.datasets.idealised_ocean(4, cycle="pentad", resolution=15.0, levels=2)
    assert verbs(pentads)[".train"] == "needs a network"


def test_a_curvilinear_grid_in_a_dataset_is_told_how_to_regrid(ocean):
    lat, lon = xr.broadcast(ocean["lat"], ocean["lon"])
    ds = ocean[["thetao"]].rename(lat="j", lon="i").drop_vars(["j", "i"])
    ds = ds.assign_coords(nav_lat=(("j", "i"), lat.values), nav_lon=(("j", "i"), lon.values))
    text = repr(ds.deepda)
    assert "curvilinear" in text
    assert "xesmf" in text
    assert verbs(ds)[".train"] == "needs a regular grid"


def test_units_that_are_not_understood_are_told(ocean):
    ds = ocean[["thetao"]].copy()
    ds["thetao"] = ds["thetao"].assign_attrs(units="warm")
    said = verbs(ds)
    for verb in (".train", ".assimilate", ".observe"):
        assert said[verb] == "units 'warm' of 'thetao' are not understood"


def test_times_that_are_numbers_are_told_with_the_remedy(ocean):
    said = verbs(ocean.assign_coords(time=np.arange(120.0)))[".train"]
    assert said.startswith("the time axis holds no times (decode the file")


def test_cells_are_not_counted_where_an_axis_cannot_be_used(ocean):
    ds = ocean.copy()
    ds["depth"] = ds["depth"].drop_attrs()
    assert "wet cells" in repr(ds.deepda)
    assert "469 of" not in repr(ds.deepda)


@pytest.mark.parametrize("chunks", [{}, {"time": 12}])
def test_memory_counts_the_run_that_training_holds(ocean, chunks):
    big = ocean[["thetao"]].isel(time=np.tile(np.arange(120), 100))
    times = xr.date_range("0001-01-16", periods=12000, freq="MS", calendar="noleap")
    big = big.assign_coords(time=times)
    lines = repr((big.chunk(chunks) if chunks else big).deepda).splitlines()
    line = next(x for x in lines if x.strip().startswith("memory"))
    held = big["thetao"].nbytes / 2**30
    told = float(line.split("about ")[1].split(" GiB")[0])
    assert (told > held) == (not chunks)
    assert "GiB are free" in line


def test_verbs_of_observations_and_analyses_are_listed(ocean, cells, analysis):
    assert "needs like=" in verbs(cells)[".network"]
    assert ".increment" not in verbs(ocean)
    assert verbs(analysis)[".increment"] == "ready"
    assert "needs like=" in verbs(analysis)[".initial_conditions"]
