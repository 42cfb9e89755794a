"""The same ocean under other labels gives the same analysis under these labels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

import xdeepda

NAMES = ({}, {"depth": "st_ocean", "lat": "yt_ocean", "lon": "xt_ocean"}, {"time": "t", "lat": "Y"})


@dataclass(frozen=True)
class Labels:
    """Another way to write the same fields down."""

    order: tuple[str, ...] = ("time", "depth", "lat", "lon")
    flipped: tuple[str, ...] = ()
    rolled: int = 0
    meridian: int = 0  # longitudes from -meridian on
    upwards: bool = False  # depth in cm, positive up
    unit: str = "degC"
    dtype: str = "float32"
    chunks: int = 0
    names: int = 0

    def apply(self, ds: xr.Dataset) -> xr.Dataset:
        """Relabel."""
        out = ds.copy()
        for name in ("thetao", "thetao_error"):
            if name in out:
                out[name] = self._number(out[name])
        out = out.isel({d: slice(None, None, -1) for d in self.flipped})
        out = out.roll(lon=self.rolled, roll_coords=True)
        lon = (out["lon"] + self.meridian) % 360 - self.meridian
        out = out.assign_coords(lon=lon.assign_attrs(ds["lon"].attrs))
        if self.upwards:
            up = (-100 * out["depth"]).assign_attrs(units="cm", positive="up", axis="Z")
            out = out.assign_coords(depth=up)
        out = out.transpose(*self.order, ..., missing_dims="ignore")
        out = out.chunk(time=self.chunks, lat=4) if self.chunks else out
        return out.rename(NAMES[self.names])

    def _number(self, da: xr.DataArray) -> xr.DataArray:
        """Units and precision."""
        values = da.astype(self.dtype)
        if self.unit == "K" and not da.name.endswith("_error"):
            return (values.astype("f8") + 273.15).assign_attrs({**da.attrs, "units": "K"})
        return values.assign_attrs(da.attrs)

    def undo(self, ds: xr.Dataset) -> xr.Dataset:
        """Back to the labels of the idealised ocean."""
        out = ds.rename({b: a for a, b in NAMES[self.names].items()})
        for name in ("thetao", "thetao_background"):
            if self.unit == "K" and name in out:
                out[name] = out[name].astype("f8") - 273.15
        out = out.assign_coords(lon=out["lon"] % 360)
        if self.upwards:
            out = out.assign_coords(depth=out["depth"] / -100)
        return out.sortby(["depth", "lat", "lon"]).transpose("time", "depth", "lat", "lon", ...)


labels = st.builds(
    Labels,
    order=st.permutations(("time", "depth", "lat", "lon")).map(tuple),
    flipped=st.sets(st.sampled_from(("depth", "lat", "lon"))).map(lambda s: tuple(sorted(s))),
    rolled=st.integers(0, 23),
    meridian=st.sampled_from((0, 180, 170)),
    upwards=st.booleans(),
    unit=st.sampled_from(("degC", "K")),
    dtype=st.sampled_from(("float32", "float64", ">f4")),
    chunks=st.sampled_from((0, 50)),
    names=st.integers(0, 2),
)


@pytest.fixture(scope="module")
def members(ocean, cells, tiny_model) -> xr.Dataset:
    """Analysis that uses labels and values of the run: two members start from its years."""
    return xdeepda.assimilate(ocean, cells, model=tiny_model, members=2, seed=1)


def assert_same(found: xr.Dataset, expected: xr.Dataset, atol: float) -> None:
    for name, da in expected.data_vars.items():
        if name != "time_bnds":
            np.testing.assert_allclose(found[name], da, atol=atol, err_msg=name)


@given(mine=labels, theirs=labels)
def test_assimilation(mine, theirs, ocean, cells, tiny_model, members):
    ds, obs = mine.apply(ocean), theirs.apply(cells)
    found = xdeepda.assimilate(ds, obs, model=tiny_model, members=2, seed=1)
    time = NAMES[mine.names].get("time", "time")
    assert found["thetao"].dims == ds["thetao"].dims
    for dim in found["thetao"].dims:
        if dim != time:
            xr.testing.assert_identical(found[dim].variable, ds[dim].variable)
    assert found["thetao"].attrs["units"] == mine.unit
    assert found["thetao_spread"].attrs["units"] == "K"
    exact = mine.unit == theirs.unit == "degC"
    assert_same(mine.undo(found), members, 0 if exact else 2e-3)


@given(mine=labels)
def test_observing(mine, truth, cells, network):
    found = xdeepda.observe(mine.apply(truth), network, var="thetao", seed=5)
    assert_same(mine.undo(found), cells, 0 if mine.unit == "degC" else 1e-4)


@given(mine=labels)
def test_points(mine, truth, points):
    expected = xdeepda.superob(points, truth, cycle="month", var="thetao")
    found = xdeepda.superob(points, mine.apply(truth), cycle="month", var="thetao")
    assert_same(mine.undo(found), expected, 0 if mine.unit == "degC" else 1e-4)


@pytest.mark.parametrize(
    "mine",
    [
        Labels(("lon", "time", "lat", "depth"), ("depth", "lat"), 7, 180, dtype="float64"),
        Labels(("lat", "lon", "depth", "time"), ("lon",), 0, 170, chunks=50, dtype=">f4"),
    ],
)
def test_training(mine, ocean, network, tiny, tiny_model):
    model = xdeepda.train(mine.apply(ocean), network, var="thetao", **tiny)
    assert model.hash == tiny_model.hash


def test_training_in_kelvin(ocean, network, tiny, tiny_model, cells, analysis):
    model = xdeepda.train(Labels(unit="K").apply(ocean), network, var="thetao", **tiny)
    assert model.units == ("K",)
    kelvin = model.climatology.coefficients - tiny_model.climatology.coefficients
    np.testing.assert_allclose(kelvin[0][tiny_model.wet], 273.15, atol=1e-3)
    found = xdeepda.assimilate(ocean, cells, model=model)
    assert found["thetao"].attrs["units"] == "degC"
    assert_same(found, analysis, 5e-3)


def test_points_in_any_order_and_convention(ocean, points, tiny_model):
    expected = xdeepda.assimilate(ocean, points, model=tiny_model)
    other = points.isel(obs=np.random.default_rng(0).permutation(200))
    kelvin = (other["thetao"] + 273.15).assign_attrs({**points["thetao"].attrs, "units": "K"})
    other = other.assign(thetao=kelvin).assign_coords(
        lon=((other["lon"] + 180) % 360 - 180).assign_attrs(points["lon"].attrs),
        depth=(-1000 * other["depth"]).assign_attrs(units="mm", positive="up"),
    )
    for obs in (other, other.chunk(obs=30), other.rename(obs="row", lat="LATITUDE")):
        assert_same(xdeepda.assimilate(ocean, obs, model=tiny_model), expected, 2e-4)


def test_regional_grids_across_the_meridian(ocean, network, tiny):
    region = ocean.isel(lon=[22, 23, 0, 1, 2, 3], lat=slice(2, 9))
    model = xdeepda.train(region, network, var="thetao", **tiny)
    assert not model.grid.cyclic
    np.testing.assert_array_equal(model.grid.lon, [337.5, 352.5, 367.5, 382.5, 397.5, 412.5])
    obs = xdeepda.observe(region.isel(time=slice(-4, None)), network, var="thetao", seed=1)
    expected = xdeepda.assimilate(region, obs, model=model)
    around = region.assign_coords(lon=(region["lon"] + 180) % 360 - 180)
    around["lon"].attrs = region["lon"].attrs
    for other in (
        around,
        around.sortby("lon"),
        region.sortby("lon"),
        region.isel(lat=slice(None, None, -1)),
    ):
        again = xdeepda.train(other, network, var="thetao", **tiny)
        assert again.hash == model.hash
        found = xdeepda.assimilate(other, obs, model=model)
        assert list(found["lon"].values) == list(other["lon"].values)
        back = found.assign_coords(lon=found["lon"] % 360).sel(lon=region["lon"]).sortby("lat")
        assert_same(back.transpose(*expected["thetao"].dims, ...), expected, 0)


def test_coordinates_that_jitter_are_the_same_place(ocean, cells, tiny_model, analysis):
    jitter = cells.assign_coords(lat=cells["lat"] * (1 + 1e-12), lon=cells["lon"].astype("f4"))
    jitter["lat"].attrs, jitter["lon"].attrs = cells["lat"].attrs, cells["lon"].attrs
    assert_same(xdeepda.assimilate(ocean, jitter, model=tiny_model), analysis, 0)
