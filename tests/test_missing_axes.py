"""Fewer axes, other cycles, uneven grids: the same verbs."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import xdeepda
from xdeepda.calendar import Cycle
from xdeepda.grid import grid_of

CASES = {
    "surface": lambda ds: ds.isel(depth=0, drop=True),
    "a level with its depth": lambda ds: ds.isel(depth=0),
    "section along the equator": lambda ds: ds.isel(lat=4, drop=True),
    "section along a meridian": lambda ds: ds.isel(lon=13, drop=True),
    "line": lambda ds: ds.isel(lat=4, depth=0, drop=True),
    "column": lambda ds: ds.isel(lat=4, lon=13, drop=True),
}


@pytest.mark.parametrize("case", CASES)
def test_from_training_to_the_analysis(case, ocean, network, tiny, tmp_path):
    fields = CASES[case](ocean[["thetao"]])
    keep = fields["thetao"].notnull().any([d for d in fields["thetao"].dims if d != "depth"])
    fields = fields.isel(depth=keep.values) if "depth" in fields["thetao"].dims else fields
    dense = network if "lat" in fields["thetao"].dims else xdeepda.Network.simulated(fields, "argo")
    model = xdeepda.train(fields, dense, **tiny)
    model.save(tmp_path / "model")
    truth = fields.isel(time=slice(114, 120))
    obs = xdeepda.observe(truth, dense, seed=1)
    assert obs["thetao"].dims == fields["thetao"].dims
    found = xdeepda.assimilate(fields, obs, model=tmp_path / "model", members=2, keep_members=True)
    assert found["thetao"].dims == ("member", *fields["thetao"].dims)
    assert found["thetao_spread"].dims == fields["thetao"].dims
    for dim in fields["thetao"].dims[1:]:
        xr.testing.assert_equal(found[dim], truth[dim])
    np.testing.assert_array_equal(
        np.isfinite(found["thetao"].isel(member=0).values), np.isfinite(truth["thetao"].values)
    )
    missing = {"depth", "lat", "lon"} - set(fields["thetao"].dims)
    assert all(f"{name} " not in str(model.grid) for name in missing)
    assert model.history["validation_rmse"].ndim >= 2


def test_points_on_a_grid_without_depth(ocean, network, tiny, points):
    surface = ocean[["thetao"]].isel(depth=0, drop=True)
    model = xdeepda.train(surface, network, **tiny)
    found = xdeepda.assimilate(surface, points, model=model)
    assert int(found["thetao_obs_count"].sum()) == int((points["depth"] <= 10).sum())


def test_surface_fields_on_a_grid_with_depth(ocean, cells, tiny_model):
    sst = cells[["thetao", "thetao_error"]].isel(depth=0, drop=True)
    found = xdeepda.assimilate(ocean, sst, model=tiny_model)
    seen = found["thetao_obs_count"] > 0
    np.testing.assert_array_equal(seen.isel(depth=0), sst["thetao"].notnull())
    assert not seen.isel(depth=slice(1, None)).any()


def test_yearly_cycles(network):
    months = xdeepda.datasets.idealised_ocean(34, resolution=15.0, levels=2, seed=2)[["thetao"]]
    years = months.coarsen(time=12).mean()
    years["thetao"].attrs = months["thetao"].attrs
    arch = xdeepda.architectures.increment(width=4, deep_width=4, dilations=(1,))
    model = xdeepda.train(years, network, cycle="year", architecture=arch, epochs=1)
    assert model.climatology.harmonics == 0
    # the same out of the months
    again = xdeepda.train(months, network, cycle="year", architecture=arch, epochs=1)
    np.testing.assert_allclose(
        again.climatology.coefficients, model.climatology.coefficients, atol=1e-4
    )
    obs = xdeepda.observe(years.isel(time=slice(30, 34)), network, cycle="year", seed=1)
    found = xdeepda.assimilate(years, obs, model=model, members=3)
    assert found["time"].dt.year.values.tolist() == [31, 32, 33, 34]
    assert (found["time_bnds"].dt.dayofyear == 1).all()


def test_pentads_out_of_days(network):
    days = xdeepda.datasets.idealised_ocean(5, cycle="pentad", resolution=15.0, levels=2, seed=2)
    fields = days[["thetao"]].assign(time_bnds=days["time_bnds"])
    arch = xdeepda.architectures.increment(width=4, deep_width=4, dilations=(1,))
    sparse = xdeepda.Network.simulated(fields, "argo", density=0.05)
    model = xdeepda.train(fields, sparse, var="thetao", architecture=arch, epochs=1, batch=32)
    assert model.cycle == Cycle("pentad")
    obs = xdeepda.observe(fields.isel(time=slice(340, 350)), sparse, var="thetao", cycle="pentad")
    found = xdeepda.assimilate(fields, obs, model=model)
    assert found.sizes["time"] == 10
    start, end = found["time_bnds"].values.T
    assert {(b - a).days for a, b in zip(start, end, strict=True)} == {5}


def test_uneven_latitudes_and_levels(ocean, network, tiny):
    rows = [0, 2, 3, 4, 5, 6, 9]
    uneven = ocean.isel(lat=rows, lon=slice(3, 20))
    grid = grid_of(uneven["thetao"])
    assert grid.area.shape == (7, 17)
    model = xdeepda.train(uneven, network, var="thetao", **tiny)
    obs = xdeepda.observe(uneven.isel(time=slice(-3, None)), network, var="thetao")
    found = xdeepda.assimilate(uneven, obs, model=model)
    xr.testing.assert_equal(found["lat"], uneven["lat"])
    assert np.isfinite(found["thetao"].values[:, model.wet[0]]).all()


def test_other_coordinates_come_along(ocean, cells, tiny_model, analysis):
    extra = ocean.assign_coords(
        run=7, basin=(("lat", "lon"), np.ones((10, 24), int)), month=("time", np.arange(120) % 12)
    )
    found = xdeepda.assimilate(extra, cells, model=tiny_model)
    np.testing.assert_array_equal(found["thetao"], analysis["thetao"])
    xr.testing.assert_identical(found["basin"].variable, extra["basin"].variable)
    assert found["run"] == 7
    assert "month" not in found.coords
