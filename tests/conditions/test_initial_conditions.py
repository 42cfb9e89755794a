"""The verb: labels, files, members, times, heat, stability, and what it refuses."""

from __future__ import annotations

import netCDF4
import numpy as np
import pytest
import xarray as xr
from scipy.io import netcdf_file

import xdeepda
from xdeepda.errors import InputError
from xdeepda.units import registry


@pytest.fixture(scope="module")
def fine() -> xr.Dataset:
    """A finer grid with other coasts, longitudes and levels."""
    return xdeepda.datasets.idealised_ocean(1, resolution=7.5, levels=5, seed=4)


@pytest.fixture(scope="module")
def target(fine: xr.Dataset) -> xr.Dataset:
    """As a model might write it: other names, north first, depth upwards, +-180 degrees."""
    da = fine["thetao"].isel(time=0, drop=True)
    da = da.assign_coords(lon=(da.lon + 180) % 360 - 180).sortby("lon").sortby("lat", False)
    da = da.assign_coords(depth=-da.depth).rename(depth="Z", lat="Y", lon="X").drop_attrs()
    da["Z"].attrs = {"units": "m", "positive": "up"}
    da["Y"].attrs, da["X"].attrs = {"units": "degrees_north"}, {"units": "degrees_east"}
    return da.transpose("Z", "X", "Y").to_dataset(name="mask")


def problems(error) -> str:
    return str(error.value)


def test_sea_is_full_and_land_is_missing(analysis, fine):
    start = xdeepda.initial_conditions(analysis, like=fine, time="0010-08")
    sea = fine["thetao"].isel(time=0).notnull()
    assert start["thetao"].dims == ("time", "depth", "lat", "lon")
    assert start["thetao"].dtype == np.float32
    assert (start["thetao"].isel(time=0, drop=True).notnull() == sea).all()
    attrs, share = start["thetao"].attrs, start["thetao_source_fraction"]
    assert attrs["cells_of_sea"] == int(sea.sum())
    assert attrs["cells_without_source"] == int((share == 0).sum()) > 0
    assert attrs["cells_partly_from_flooded_land"] == int(((share > 0) & (share < 1)).sum())
    assert attrs["cells_beyond_source"] == 0
    assert attrs["units"] == "degC"
    assert attrs["standard_name"] == "sea_water_potential_temperature"
    low, high = (f(analysis["thetao"].sel(time="0010-08")) for f in (np.nanmin, np.nanmax))
    assert low - 1e-6 <= start["thetao"].min() <= start["thetao"].max() <= high + 1e-6


def test_on_its_own_grid_an_analysis_is_itself(analysis, ocean):
    last = xdeepda.initial_conditions(analysis, like=ocean[["thetao", "depth_bnds"]])
    np.testing.assert_array_equal(last["thetao"], analysis["thetao"].isel(time=[-1]))
    assert last["time"].values.tolist() == analysis["time"].values[-1:].tolist()
    assert float(abs(last["heat_content_difference"]).max()) < 1e-8 * float(
        last["heat_content_source"].max()
    )
    assert "not checked" in last.attrs["static_stability"]
    assert last["thetao"].attrs["cells_without_source"] == 0


def test_labels_and_order_of_the_target(ocean, fine, target):
    plain = xdeepda.initial_conditions(ocean, like=fine, time="0010-12")
    other = xdeepda.initial_conditions(ocean, like=target, time="0010-12")
    assert other["thetao"].dims == ("time", "Z", "X", "Y")
    for name in ("Z", "X", "Y"):
        np.testing.assert_array_equal(other[name], target[name])
    assert other["Z"].attrs == {
        "standard_name": "height", "units": "m", "positive": "up", "axis": "Z",
    }  # fmt: skip
    assert other["Y"].attrs["axis"] == "Y"
    # the same numbers, in another order
    back = other["so"].assign_coords(Z=-other["Z"], X=other["X"] % 360).sortby(["Z", "Y", "X"])
    back = back.rename(Z="depth", Y="lat", X="lon").transpose(*plain["so"].dims)
    np.testing.assert_allclose(back.values, plain["so"].values, atol=1e-5)
    assert plain["mixed_columns"].item() == other["mixed_columns"].item()


def test_input_of_any_kind_gives_the_same(ocean, fine):
    state = ocean[["thetao", "depth_bnds"]].isel(time=[3])
    like = fine["thetao"]
    expected = xdeepda.initial_conditions(state, like=like)
    kelvin = state.assign(thetao=(state["thetao"] + 273.15).assign_attrs(units="K"))
    kelvin["thetao"].attrs["standard_name"] = "sea_water_potential_temperature"
    unit = registry().Unit("degC")
    quantified = state.assign(
        thetao=state["thetao"].copy(data=registry().Quantity(state["thetao"].values, unit))
    )
    single = state.isel(time=0)
    for other in (
        state.isel(lat=slice(None, None, -1)).transpose("lon", "lat", ...),
        state.chunk(lat=3),
        state.astype("float64"),
        single,
        quantified,
    ):
        found = xdeepda.initial_conditions(other, like=like)
        np.testing.assert_allclose(found["thetao"], expected["thetao"], atol=1e-5)
        assert found["thetao"].attrs["units"] == "degC"
    found = xdeepda.initial_conditions(kelvin, like=like)
    np.testing.assert_allclose(found["thetao"] - 273.15, expected["thetao"], atol=1e-4)
    assert found["thetao"].attrs["units"] == "K"
    np.testing.assert_allclose(
        found["heat_content_target"], expected["heat_content_target"], rtol=1e-6
    )
    array = xdeepda.initial_conditions(state["thetao"], like=like)
    np.testing.assert_allclose(array["thetao"], expected["thetao"], atol=0.5)


def test_a_mask_of_true_and_false_is_a_sea(ocean, fine):
    mask = fine["thetao"].isel(time=0, drop=True).notnull().rename("mask")
    first = xdeepda.initial_conditions(ocean, like=mask, var="thetao")
    second = xdeepda.initial_conditions(ocean, like=fine["thetao"], var="thetao")
    np.testing.assert_array_equal(first["thetao"], second["thetao"])
    with pytest.raises(InputError, match="like= has no NaN: 'mask' holds only zeros and ones"):
        xdeepda.initial_conditions(ocean, like=mask.astype(int))
    with pytest.raises(InputError, match="like= has no sea"):
        xdeepda.initial_conditions(ocean, like=mask & False)


def test_times_are_chosen_by_date(ocean, fine):
    like = fine["thetao"]
    for time, expected in (
        (None, ["0010-12"]),
        ("0004-07", ["0004-07"]),
        (slice("0004-11", "0005-01"), ["0004-11", "0004-12", "0005-01"]),
        (["0006-03", "0002-05"], ["0002-05", "0006-03"]),
        (ocean["time"].values[5], ["0001-06"]),
        (ocean["time"].values[[5, 7]], ["0001-06", "0001-08"]),
    ):
        found = xdeepda.initial_conditions(ocean, like=like, var="thetao", time=time)
        assert [f"{t!s:.7}" for t in found["time"].values] == expected
        assert found["heat_content_source"].dims == ("time",)
    with pytest.raises(InputError, match="there is nothing at time='0031-01'"):
        xdeepda.initial_conditions(ocean, like=like, time="0031-01")
    with pytest.raises(InputError, match="is no date"):
        xdeepda.initial_conditions(ocean, like=like, time="soon")
    with pytest.raises(InputError, match="has no time axis"):
        xdeepda.initial_conditions(
            ocean.isel(time=0, drop=True), like=like, var="thetao", time="0001-01"
        )


def test_member_by_member(ocean, fine):
    parts = [ocean[["thetao", "so"]].isel(time=[t]).assign_coords(time=[0]) for t in (0, 12, 24)]
    ensemble = xr.concat(parts, "member").assign_coords(time=ocean["time"][:1], member=[3, 5, 8])
    like = fine["thetao"]
    start = xdeepda.initial_conditions(ensemble, like=like, members=True)
    assert start["thetao"].dims == ("time", "member", "depth", "lat", "lon")
    assert start["member"].values.tolist() == [3, 5, 8]
    assert set(start["mixed_columns"].dims) == {"time", "member"}
    alone = xdeepda.initial_conditions(ensemble.isel(member=1), like=like)
    for name in ("thetao", "so"):
        np.testing.assert_array_equal(start[name].isel(member=1), alone[name])
    mean = xdeepda.initial_conditions(ensemble, like=like, members=False, stabilise=False)
    each = xdeepda.initial_conditions(ensemble, like=like, stabilise=False)
    assert "member" not in mean.dims
    # between levels a correction that makes no new extremes is not linear
    np.testing.assert_allclose(each["so"].mean("member"), mean["so"], atol=0.1)
    with pytest.raises(InputError, match="members were asked for, and 'thetao' has none"):
        xdeepda.initial_conditions(ocean, like=like, members=True)


def test_unstable_columns_are_mixed_and_heat_is_kept(ocean, fine):
    like = fine[["thetao", "depth_bnds"]]
    before = xdeepda.initial_conditions(ocean, like=like, time="0003-02", stabilise=False)
    after = xdeepda.initial_conditions(ocean, like=like, time="0003-02", tolerance=1e-3)
    unstable = before.deepda.static_stability("thetao", tolerance=1e-3)["inversions"] > 0
    assert after["mixed_columns"].item() >= int(unstable.sum()) > 0
    assert after["largest_inversion_before"].item() == pytest.approx(
        before.deepda.static_stability("thetao")["largest_inversion"].max().item(), rel=1e-4
    )
    left = after.deepda.static_stability("thetao", tolerance=1.05e-3)["inversions"]
    assert int(left.sum()) == 0
    # columns that were stable keep their bits
    kept = (before["thetao"] == after["thetao"]) | before["thetao"].isnull()
    assert kept.where(~unstable & unstable.notnull(), True).all()
    assert not kept.all()
    depth = {"depth": (0, 1000), "partial": True, "total": True, "salinity": "so"}
    heat = [ds.deepda.heat_content("thetao", **depth).item() for ds in (before, after)]
    assert heat[1] == pytest.approx(heat[0], rel=1e-7)
    layers = xr.DataArray(np.diff(like["depth_bnds"])[:, 0], dims="depth")
    salt = [(ds["so"].astype(float) * layers).sum("depth") for ds in (before, after)]
    np.testing.assert_allclose(*salt, rtol=2e-5)


def test_heat_over_the_common_sea_is_that_of_a_constant(ocean, fine):
    constant = ocean[["thetao", "depth_bnds"]].isel(time=[0])
    constant = constant.assign(thetao=constant["thetao"] * 0 + np.float32(10))
    constant["thetao"].attrs = dict(ocean["thetao"].attrs)
    start = xdeepda.initial_conditions(constant, like=fine[["thetao", "depth_bnds"]])
    np.testing.assert_allclose(start["thetao"].values[start["thetao"].notnull()], 10, rtol=1e-6)
    mine, theirs = start["heat_content_source"].item(), start["heat_content_target"].item()
    assert mine == pytest.approx(theirs, rel=1e-7)
    capacity = start["heat_content_difference"].attrs["heat_capacity"]
    # conservative temperature of 10 degrees potential is 9.99 at the standard salinity
    assert mine / capacity == pytest.approx(10, abs=0.02)


def test_the_file_is_one_that_models_read(ocean, fine, tmp_path):
    start = xdeepda.initial_conditions(
        ocean, like=fine[["thetao", "depth_bnds"]], time=slice("0002-01", "0002-03")
    )
    path = tmp_path / "start.nc"
    start.to_netcdf(path)
    with netCDF4.Dataset(path) as nc:
        nc.set_auto_mask(False)
        assert nc.dimensions["time"].isunlimited()
        assert [n for n, d in nc.dimensions.items() if d.isunlimited()] == ["time"]
        variable = nc["thetao"]
        assert variable.dtype == np.float32
        assert variable.dimensions == ("time", "depth", "lat", "lon")
        assert variable._FillValue == variable.missing_value == np.float32(1e20)
        land = np.isnan(start["thetao"].values)
        np.testing.assert_array_equal(variable[:] == np.float32(1e20), land)
        assert np.isfinite(variable[:]).all()
        for name, axis in (("time", "T"), ("depth", "Z"), ("lat", "Y"), ("lon", "X")):
            assert nc[name].axis == axis
            assert "_FillValue" not in nc[name].ncattrs()
        assert nc["time"].units.startswith("days since 0002-01-01")
        assert nc["time"].calendar == "noleap"
        assert nc["depth"].positive == "down"
        assert nc["depth"].bounds in nc.variables
        assert nc["time"].bounds in nc.variables
    with xr.open_dataset(path) as again:
        xr.testing.assert_allclose(again["thetao"].load(), start["thetao"])
        assert again["thetao"].attrs["units"] == "degC"
        assert again["time"].values.tolist() == start["time"].values.tolist()
        np.testing.assert_array_equal(again["time_bnds"], start["time_bnds"])
        np.testing.assert_array_equal(again["depth_bnds"], fine["depth_bnds"])
        warm = again.deepda.heat_content("thetao", depth=(0, 100), partial=True)
        assert warm.notnull().any()


def test_the_oldest_format_works_too(ocean, fine, tmp_path):
    start = xdeepda.initial_conditions(ocean, like=fine["thetao"], time="0002-01", fill_land=True)
    assert not start["thetao"].isnull().any()
    sea = xdeepda.initial_conditions(ocean, like=fine["thetao"], time="0002-01")
    there = sea["thetao"].notnull().values
    np.testing.assert_array_equal(start["thetao"].values[there], sea["thetao"].values[there])
    path = tmp_path / "start.nc"
    start.to_netcdf(path, format="NETCDF3_64BIT")
    with netcdf_file(path, mmap=False) as nc:
        assert nc.dimensions["time"] is None
        assert nc.variables["so"].data.dtype.itemsize == 4
        np.testing.assert_array_equal(nc.variables["so"].data, start["so"].values)


def test_standard_times_are_written_as_proleptic(fine, tmp_path):
    run = xdeepda.datasets.idealised_ocean(
        1, resolution=15.0, levels=3, calendar="standard", start_year=1990
    )
    start = xdeepda.initial_conditions(run, like=fine["thetao"], time="1990-04")
    start.to_netcdf(tmp_path / "start.nc")
    with netCDF4.Dataset(tmp_path / "start.nc") as nc:
        assert nc["time"].calendar == "proleptic_gregorian"
    with xr.open_dataset(tmp_path / "start.nc") as again:
        assert again["time"].values == start["time"].values


def test_the_input_is_untouched(ocean, fine, target):
    copies = [ds.copy(deep=True) for ds in (ocean, target)]
    xdeepda.initial_conditions(ocean, like=target, time="0002-01")
    for ds, copy in zip((ocean, target), copies, strict=True):
        xr.testing.assert_identical(ds, copy)


# ---- what does not fit


def test_levels_and_places_beyond_are_refused_or_told(ocean, fine, caplog):
    part = ocean.isel(depth=slice(0, 2)).sel(lat=slice(-40, 40))
    with pytest.raises(InputError) as error:
        xdeepda.initial_conditions(part, like=fine["thetao"])
    text = problems(error)
    assert "2 problems" in text
    assert "levels that the analysis does not reach" in text
    assert " of 5 levels, " in text
    assert "sea beyond the domain of the analysis" in text
    with caplog.at_level("WARNING", logger="xdeepda"):
        start = xdeepda.initial_conditions(part, like=fine["thetao"], beyond="nearest")
    assert sum("filled from the nearest" in r.message for r in caplog.records) == 2
    sea = fine["thetao"].isel(time=0, drop=True).notnull()
    assert (start["thetao"].isel(time=0, drop=True).notnull() == sea).all()
    share, attrs = start["thetao_source_fraction"], start["thetao"].attrs
    assert attrs["cells_beyond_source"] > 0
    assert attrs["cells_beyond_source"] + attrs["cells_without_source"] == int((share == 0).sum())
    whole = xdeepda.initial_conditions(part, like=fine["thetao"], beyond="nearest", var="thetao")
    deepest = whole["thetao"].isel(time=0, depth=-1)
    above = whole["thetao"].isel(time=0, depth=-2)
    np.testing.assert_array_equal(deepest.values[sea[-1]], above.values[sea[-1]])


def test_a_target_elsewhere_is_refused(ocean, fine):
    atlantic = ocean.sel(lon=slice(310, 340), lat=slice(-40, 40))
    pacific = fine["thetao"].sel(lon=slice(160, 220), lat=slice(-40, 40))
    for beyond in ("refuse", "nearest"):
        with pytest.raises(InputError, match="like= has no sea within the domain of 'thetao'"):
            xdeepda.initial_conditions(atlantic, like=pacific, beyond=beyond)


def test_curvilinear_grids_are_refused(ocean):
    y, x = np.meshgrid(np.arange(5.0), np.arange(6.0), indexing="ij")
    where = {"nav_lat": (("y", "x"), y), "nav_lon": (("y", "x"), x)}
    like = xr.Dataset({"tmask": (("y", "x"), np.ones((5, 6)))}, coords=where)
    with pytest.raises(InputError, match=r"the grid is curvilinear.*xesmf"):
        xdeepda.initial_conditions(ocean, like=like)
    with pytest.raises(InputError, match="the grid is curvilinear"):
        xdeepda.initial_conditions(ocean, like=like["tmask"])
    with pytest.raises(InputError, match="cannot be brought to another grid: the grid is curvi"):
        xdeepda.initial_conditions(like, like=ocean["thetao"], var="tmask")


def test_all_that_is_wrong_is_told_at_once(ocean, fine):
    bare = ocean[["thetao"]].copy()
    bare["thetao"] = bare["thetao"].drop_attrs()
    with pytest.raises(InputError) as error:
        xdeepda.initial_conditions(
            bare, like=fine["thetao"].isel(depth=0, drop=True), var="thetao", beyond="guess",
            tolerance=-1.0,
        )  # fmt: skip
    text = problems(error)
    for words in ("beyond='guess' is not known", "tolerance= is negative", "has no units"):
        assert words in text
    with pytest.raises(InputError, match="has other axes than like="):
        xdeepda.initial_conditions(ocean, like=fine["thetao"].isel(depth=0, drop=True))
    with pytest.raises(InputError, match="like= is no grid"):
        xdeepda.initial_conditions(ocean, like="grid.nc")
    with pytest.raises(InputError, match="which variable shows land is unclear"):
        xdeepda.initial_conditions(ocean, like=fine.rename(thetao="a", so="b"))
    with pytest.raises(InputError, match="cannot be made stable"):
        xdeepda.initial_conditions(ocean, like=fine, var="thetao", stabilise=True)
    named = ocean[["thetao"]].rename(thetao="temperature")
    named["temperature"].attrs = {"units": "degC"}
    with pytest.raises(InputError, match="which temperature 'temperature' holds is not clear"):
        xdeepda.initial_conditions(named, like=fine["thetao"])
    xdeepda.initial_conditions(named, like=fine["thetao"], temperature="potential")


def test_a_level_without_values_is_refused(ocean, fine):
    holed = ocean[["thetao"]].isel(time=[0])
    holed = holed.assign(thetao=holed["thetao"].where(holed["depth"] < 800))
    holed["thetao"].attrs = dict(ocean["thetao"].attrs)
    with pytest.raises(InputError, match="no value at all on some levels"):
        xdeepda.initial_conditions(holed, like=fine["thetao"])


def test_an_analysis_without_times_is_refused(ocean, fine):
    for time in (None, "0010-08"):
        with pytest.raises(InputError, match="the analysis has no times"):
            xdeepda.initial_conditions(ocean.isel(time=[]), like=fine["thetao"], time=time)


def test_too_little_memory_is_foreseen(ocean, fine, monkeypatch):
    monkeypatch.setattr("xdeepda.conditions.request.available_memory", lambda: 10_000)
    with pytest.raises(MemoryError, match="would not fit into memory"):
        xdeepda.initial_conditions(ocean, like=fine["thetao"], time=slice("0001", "0010"))


def test_a_section_and_a_surface_have_their_own_axes(ocean, fine):
    section = ocean[["thetao", "so"]].sel(lat=0, method="nearest").drop_vars("lat")
    like = fine["thetao"].sel(lat=0, method="nearest").drop_vars("lat")
    start = xdeepda.initial_conditions(section, like=like, time="0002-01")
    assert start["thetao"].dims == ("time", "depth", "lon")
    assert "mixed_columns" in start
    surface = ocean["thetao"].isel(depth=0, drop=True)
    start = xdeepda.initial_conditions(surface, like=fine["thetao"].isel(depth=0, drop=True))
    assert start["thetao"].dims == ("time", "lat", "lon")


# ---- a real run, to a real grid


def test_a_run_of_a_model_to_one_degree(data_folder, tmp_path):
    """MITgcm at 4 degrees and 16 levels to the 1 degree grid of the basins of the atlas."""
    run = xr.open_dataset(
        data_folder / "models" / "mitgcm_a.nc",
        decode_times=xr.coders.CFDatetimeCoder(use_cftime=True),
    )
    basins = xr.open_dataset(data_folder / "climatology" / "basin_mask_1deg.nc")
    with pytest.raises(InputError, match="12 of 33 levels, 1300 to 5500 m"):
        xdeepda.initial_conditions(run, like=basins, time="0030-01")
    part = basins.sel(Y=slice(-60, 60), X=slice(120, 300), Z=slice(0, 1200))
    start = xdeepda.initial_conditions(run, like=part, time="0030-01")
    sea = part["basin"].notnull()
    assert (start["thetao"].isel(time=0, drop=True).notnull() == sea).all()
    attrs = start["thetao"].attrs
    assert attrs["cells_of_sea"] == int(sea.sum())
    assert 0 < attrs["cells_without_source"] < 0.04 * attrs["cells_of_sea"]
    capacity = start["heat_content_difference"].attrs["heat_capacity"]
    assert abs(start["heat_content_difference"].item() / capacity) < 0.02
    assert start["largest_inversion_after"].item() <= 1e-3
    # in the open sea, near the centres of cells of the run, the two differ by little
    here = start["thetao"].isel(time=0).sel(X=[190.5, 230.5], Y=[-29.5, 10.5], Z=100)
    there = run["thetao"].sel(time="0030-01").isel(time=0)
    there = there.interp(lon=here["X"].values, lat=here["Y"].values, depth=100.0)
    np.testing.assert_allclose(here.values, there.transpose("lat", "lon").values, atol=0.3)
    start.to_netcdf(tmp_path / "start.nc")
