"""Nothing leaks: not from the future, not from under a mask, not from land or outside."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

import xdeepda

FIELDS = ["thetao", "thetao_spread", "thetao_background", "thetao_background_spread"]


def identical(a: xr.Dataset, b: xr.Dataset) -> None:
    for name in FIELDS:
        np.testing.assert_array_equal(a[name].values, b[name].values, err_msg=name)


@given(cut=st.integers(1, 5), change=st.sampled_from(["value", "error", "less", "more", "none"]))
def test_the_future_does_not_matter(cut, change, ocean, truth, cells, tiny_model, analysis):
    later = cells.copy(deep=True)
    if change == "value":
        later["thetao"][cut:] += 3
    elif change == "error":
        later["thetao_error"][cut:] *= 5
    elif change == "more":
        later["thetao"][cut:] = truth["thetao"][cut:].values
        later["thetao_error"][cut:] = 0.1
    elif change == "less":
        later["thetao"][cut:, 0] = np.nan
    else:
        later = later.isel(time=slice(0, cut))
    found = xdeepda.assimilate(ocean, later, model=tiny_model)
    before = slice(0, cut)
    identical(found.isel(time=before), analysis.isel(time=before))
    if change != "none":
        # the background of the first changed cycle is still the same, the analysis is not
        first = found.isel(time=cut), analysis.isel(time=cut)
        np.testing.assert_array_equal(*(x["thetao_background"] for x in first))
        assert not np.array_equal(*(x["thetao"] for x in first), equal_nan=True)


@pytest.mark.parametrize("members", [1, 3])
def test_members_do_not_know_the_future(members, ocean, cells, tiny_model):
    later = cells.copy(deep=True)
    later["thetao"][4:] += 3
    kwargs = {"model": tiny_model, "members": members, "keep_members": True, "seed": 3}
    a, b = (xdeepda.assimilate(ocean, obs, **kwargs) for obs in (cells, later))
    before = {"time": slice(0, 4)}
    identical(a.isel(before), b.isel(before))
    assert not np.array_equal(a["thetao"][..., 4:, :, :, :], b["thetao"][..., 4:, :, :, :])


def test_what_is_under_the_mask_does_not_matter(ocean, cells, tiny_model, analysis):
    nothing = np.isnan(cells["thetao"].values)
    noisy = cells.copy(deep=True)
    noisy["thetao_error"].values[nothing] = 77.0
    noisy["thetao_count"].values[nothing] = 99
    identical(xdeepda.assimilate(ocean, noisy, model=tiny_model), analysis)


def test_values_on_land_do_not_matter(ocean, cells, tiny_model, analysis):
    noisy = cells.copy(deep=True)
    dry = np.broadcast_to(~tiny_model.wet[0], noisy["thetao"].shape)
    noisy["thetao"].values[dry] = 25.0
    noisy["thetao_error"].values[dry] = 0.01
    noisy["thetao_count"].values[dry] = 5
    found = xdeepda.assimilate(ocean, noisy, model=tiny_model)
    identical(found, analysis)
    assert (found["thetao_obs_count"].values[dry] == 0).all()


def test_points_on_land_or_outside_do_not_matter(ocean, points, tiny_model):
    expected = xdeepda.assimilate(ocean, points, model=tiny_model)
    grid, wet = tiny_model.grid, tiny_model.wet[0].reshape(-1)
    depth, lat, lon = grid.coordinates(np.flatnonzero(~wet)[:50])
    strays = points.isel(obs=slice(0, 50)).assign_coords(
        depth=("obs", depth), lat=("obs", lat), lon=("obs", lon)
    )
    for name in ("depth", "lat", "lon"):
        strays[name].attrs = points[name].attrs
    deep = points.assign_coords(depth=(points["depth"] + 5000).assign_attrs(points["depth"].attrs))
    polar = points.assign_coords(lat=(points["lat"] * 0 + 89).assign_attrs(points["lat"].attrs))
    empty = points.assign(thetao=(points["thetao"] * np.nan).assign_attrs(points["thetao"].attrs))
    for other in (strays, deep, polar, empty.assign(thetao_error=points["thetao_error"])):
        both = xr.concat([points, other], "obs")
        found = xdeepda.assimilate(ocean, both, model=tiny_model)
        identical(found, expected)
        np.testing.assert_array_equal(found["thetao_obs_count"], expected["thetao_obs_count"])


def test_land_of_the_fields_does_not_matter(ocean, cells, tiny_model):
    filled = ocean.copy()
    filled["thetao"] = ocean["thetao"].fillna(5.0)
    kwargs = {"model": tiny_model, "members": 2, "seed": 1}
    identical(
        xdeepda.assimilate(filled, cells, **kwargs), xdeepda.assimilate(ocean, cells, **kwargs)
    )


def test_other_variables_of_the_input_do_not_matter(ocean, cells, tiny_model, analysis):
    more = ocean.assign(junk=("q", [1.0, np.nan]), note="x")
    extra = cells.assign(
        so=cells["thetao"].assign_attrs(units="psu", standard_name="sea_water_salinity")
    )
    identical(xdeepda.assimilate(more, extra, model=tiny_model), analysis)


def test_observations_before_the_wanted_times_do_matter(ocean, cells, tiny_model, analysis):
    late = cells["time"].values[4:]
    found = xdeepda.assimilate(ocean, cells, model=tiny_model, times=late)
    identical(found, analysis.isel(time=slice(4, 6)))
    alone = xdeepda.assimilate(ocean, cells.isel(time=slice(4, 6)), model=tiny_model)
    assert not np.array_equal(alone["thetao"], found["thetao"], equal_nan=True)
