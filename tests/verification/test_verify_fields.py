"""verify against fields: numbers by hand, errors that are known, and labels that do not matter."""

from __future__ import annotations

import datetime

import numpy as np
import pytest
import xarray as xr
from synthetic import made

import xdeepda
from xdeepda.grid import layout_of
from xdeepda.verification.regions import basins
from xdeepda.verification.regrid import Regridder

FEW = {"draws": 50, "progress": False}


def area(ds):
    """By hand, from the edges between rows."""
    lat = ds.lat.values
    edges = np.concatenate([[-72.0], (lat[1:] + lat[:-1]) / 2, [72.0]])
    return xr.DataArray(np.diff(np.sin(np.deg2rad(edges))), {"lat": ds.lat}, ("lat",))


def assert_same(a, b, rtol=2e-5, atol=2e-5):
    assert set(a.data_vars) == set(b.data_vars)
    for name in a.data_vars:
        np.testing.assert_allclose(a[name].values, b[name].values, rtol, atol, err_msg=str(name))


# ---- by hand


def test_numbers_by_depth_are_those_by_hand(noisy, years):
    found = xdeepda.verify(noisy, years, **FEW)
    error = (noisy.thetao - years.thetao).astype(float).weighted(area(years))
    dims = ("time", "lat", "lon")
    square = (noisy.thetao - years.thetao).astype(float) ** 2
    np.testing.assert_allclose(found.bias, error.mean(dims), rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(found.rmse, square.weighted(area(years)).mean(dims) ** 0.5, 1e-6)
    np.testing.assert_array_equal(found["count"], years.thetao.notnull().sum(dims))
    np.testing.assert_array_equal(found.depth, years.depth)
    assert found.rmse.attrs["units"] == "K"
    assert (found.missing == 0).all()


def test_one_number_is_weighted_by_area_and_thickness(noisy, years):
    found = xdeepda.verify(noisy, years, by=(), **FEW)
    thick = xr.DataArray([55.5, 415.5, 740.0], {"depth": years.depth}, ("depth",))
    square = (noisy.thetao - years.thetao).astype(float) ** 2
    hand = square.weighted(area(years) * thick).mean() ** 0.5
    np.testing.assert_allclose(found.rmse, hand, rtol=1e-6)
    assert found["count"].dims == ()


def test_regions_bands_and_parts_of_time_are_those_by_hand(noisy, years):
    found = xdeepda.verify(noisy, years, by=("region", "season"), regions=None, **FEW)
    assert found.rmse.dims == ("region", "season")
    assert found.region.values.tolist() == ["all", "Atlantic", "Pacific", "Indian", "Southern"]
    lat, lon = xr.broadcast(years.lat, years.lon)
    pacific = lat.copy(data=basins(lat.values.ravel(), lon.values.ravel())[1].reshape(lat.shape))
    thick = xr.DataArray([55.5, 415.5, 740.0], {"depth": years.depth}, ("depth",))
    square = ((noisy.thetao - years.thetao).astype(float) ** 2).sel(
        time=years.time.dt.season == "JJA"
    )
    hand = square.weighted(area(years) * thick * pacific).mean() ** 0.5
    np.testing.assert_allclose(found.rmse.sel(region="Pacific", season="JJA"), hand, rtol=1e-6)
    banded = xdeepda.verify(noisy, years, by="latitude", bands=[-90, -20, 90], **FEW)
    assert banded["count"].sum() == noisy.thetao.notnull().sum()
    assert banded.latitude_south.values.tolist() == [-90, -20]
    south = ((noisy.thetao - years.thetao).astype(float) ** 2).sel(lat=slice(-90, -20))
    hand = south.weighted((area(years) * thick).sel(lat=slice(-90, -20))).mean() ** 0.5
    np.testing.assert_allclose(banded.rmse[0], hand, rtol=1e-6)


def test_parts_add_up(noisy, years):
    whole = xdeepda.verify(noisy, years, by="depth", **FEW)
    for part, labels in (("season", slice(1, None)), ("month", slice(None)), ("year", slice(None))):
        found = xdeepda.verify(noisy, years, by=("depth", part), **FEW).isel({part: labels})
        np.testing.assert_allclose(found["count"].sum(part), whole["count"])
    series = xdeepda.verify(noisy, years, by=("time", "depth"), **FEW)
    assert series.rmse.dims == ("time", "depth")
    np.testing.assert_array_equal(series.time, years.time)
    square = ((noisy.thetao - years.thetao).astype(float) ** 2).isel(time=7)
    hand = square.weighted(area(years)).mean(("lat", "lon")) ** 0.5
    np.testing.assert_allclose(series.rmse.isel(time=7), hand, rtol=1e-6)
    assert "rmse_low" not in series


def test_named_regions_may_overlap_and_masks_work(noisy, years):
    boxes = {"south": (-90, 0, 0, 360), "tropics": (-40, 40, 0, 360)}
    by_box = xdeepda.verify(noisy, years, by="region", regions=boxes, **FEW)
    mask = xr.where(years.lat < 0, 1.0, np.nan) * xr.ones_like(years.lon)
    by_mask = xdeepda.verify(noisy, years, by="region", regions={"south": mask > 0}, **FEW)
    for name in ("rmse", "count", "bias"):
        np.testing.assert_allclose(
            by_box[name].sel(region=["all", "south"]), by_mask[name], rtol=1e-12
        )
    total = by_box["count"].sel(region=["south", "tropics"]).sum()
    assert total > by_box["count"].sel(region="south")


# ---- errors that are known


def test_a_true_spread_is_found_true(noisy, years):
    found = xdeepda.verify(noisy, years, **FEW)
    np.testing.assert_allclose(found.rmse, 0.5, rtol=0.03)
    np.testing.assert_allclose(found.spread_skill, 1, rtol=0.03)
    np.testing.assert_allclose(found.crps, 0.5 / np.sqrt(np.pi), rtol=0.03)
    assert (found.pit_deviation < 0.1).all()
    np.testing.assert_allclose(found.pit_histogram.sum("pit"), 1)
    np.testing.assert_allclose(found.rmse_background, 1.0, rtol=0.03)
    np.testing.assert_allclose(found.skill_background, 0.75, rtol=0.03)
    assert ((found.rmse_low < 0.51) & (found.rmse_high > 0.49)).all()
    assert (found.rmse_low < found.rmse).all()
    assert (found.rmse < found.rmse_high).all()


@pytest.mark.parametrize("stated", [0.25, 1.0])
def test_a_wrong_spread_shows(years, stated):
    found = xdeepda.verify(made(years, stated=stated), years, by=(), **FEW)
    np.testing.assert_allclose(found.spread_skill, stated / 0.5, rtol=0.03)
    assert found.pit_deviation > 0.3
    share = found.reliability_share
    predicted, observed = (
        (found[f"reliability_{x}"] * share).sum() for x in ("predicted", "observed")
    )
    np.testing.assert_allclose(predicted, stated**2, rtol=1e-6)
    np.testing.assert_allclose(observed, 0.25, rtol=0.05)


def test_reliability_tells_where_the_spread_is_right(years):
    """Spread true in the north, half of what it should be in the south, which has less."""
    sigma = xr.where(years.lat > 0, 1.0, 0.4)
    rng = np.random.default_rng(1)
    noise = years.thetao.copy(data=rng.standard_normal(years.thetao.shape))
    value = (years.thetao + sigma * noise).transpose(*years.thetao.dims)
    stated = (sigma * xr.where(years.lat > 0, 1.0, 0.5)).where(years.thetao.notnull())
    ds = xr.Dataset({"thetao": value, "thetao_spread": stated.transpose(*value.dims)})
    ds.thetao.attrs, ds.thetao_spread.attrs = {"units": "degC"}, {"units": "K"}
    found = xdeepda.verify(ds, years, by=(), bins=2, **FEW)
    ratio = found.reliability_observed / found.reliability_predicted
    np.testing.assert_allclose(ratio, [4, 1], rtol=0.06)


def test_the_background_can_be_verified(noisy, years):
    found = xdeepda.verify(noisy, years, part="background", **FEW)
    np.testing.assert_allclose(found.rmse, 1.0, rtol=0.03)
    np.testing.assert_allclose(found.spread_skill, 1.0, rtol=0.03)
    assert "skill_background" not in found
    assert found.attrs["title"] == "verification of the background"


# ---- members


@pytest.fixture(scope="module")
def ensemble(years):
    """Eight members: an error that all cells of a month share, and one of each cell alone."""
    rng = np.random.default_rng(3)

    def draw(*lead):
        common = rng.standard_normal((*lead, years.sizes["time"], 1, 1, 1))
        own = rng.standard_normal((*lead, *years.thetao.shape))
        return 0.3 * common + 0.4 * own

    truth = years.thetao + draw()
    values = years.thetao.values + draw(8)
    members = xr.DataArray(
        values, dims=("member", *years.thetao.dims), coords=years.thetao.coords, name="thetao"
    ).assign_attrs(years.thetao.attrs)
    return members, truth.astype("f4").assign_attrs(years.thetao.attrs).to_dataset(name="thetao")


def test_members_are_judged_as_cells_and_as_means(ensemble):
    members, truth = ensemble
    found = xdeepda.verify(members, truth, by="depth", **FEW)
    np.testing.assert_allclose(found.member_spread, 0.5, rtol=0.05)
    np.testing.assert_allclose(found.member_spread_skill, 1.0, rtol=0.06)
    # the mean over an ocean keeps the common error alone, and the members know it
    np.testing.assert_allclose(found.mean_spread, 0.3, rtol=0.15)
    np.testing.assert_allclose(found.mean_spread_skill, 1.0, rtol=0.25)
    np.testing.assert_allclose(found.member_crps, 0.5 / np.sqrt(np.pi), rtol=0.05)
    assert found.sizes["rank"] == 9
    assert (found.rank_deviation < 0.15).all()


def test_members_without_a_common_error_are_too_sure_of_a_mean(ensemble, years):
    members, truth = ensemble
    rng = np.random.default_rng(4)
    alone = members.copy(data=years.thetao.values + 0.5 * rng.standard_normal(members.shape))
    found = xdeepda.verify(alone, truth, by=("region", "depth"), **FEW).sel(region="all")
    np.testing.assert_allclose(found.member_spread_skill, 1.0, rtol=0.06)
    assert (found.mean_spread_skill < 0.2).all()
    column = xdeepda.verify(alone, truth, by=(), **FEW)
    assert column.mean_spread_skill < 0.2


def test_the_mean_of_members_is_the_estimate(ensemble):
    members, truth = ensemble
    both = (
        xdeepda.verify(members, truth, **FEW),
        xdeepda.verify(members.mean("member", keep_attrs=True), truth, **FEW),
    )
    for name in ("bias", "rmse", "mean_rmse"):
        np.testing.assert_allclose(both[0][name], both[1][name], rtol=1e-4)
    assert "member_spread" not in both[1]


# ---- labels do not matter


def relabelled(ds):
    """Everything that may differ between the files of two centres."""
    out = ds.assign_coords(lon=((ds.lon + 180) % 360 - 180).assign_attrs(ds.lon.attrs))
    out = out.sortby("lon").isel(lat=slice(None, None, -1), depth=slice(None, None, -1))
    out = out.transpose("lon", "depth", "lat", "time", ...)
    for name in [n for n in out.data_vars if str(n).startswith("thetao")]:
        if out[name].attrs.get("units") == "degC":
            attrs = {**out[name].attrs, "units": "K"}
            out[name] = (out[name] + 273.15).assign_attrs(attrs)
    return out.rename(lat="latitude", lon="longitude", depth="lev")


@pytest.mark.parametrize("which", ["analysis", "reference", "both"])
def test_relabelled_fields_give_the_same_statistics(noisy, years, which):
    plain = xdeepda.verify(noisy, years[["thetao"]], by=("depth", "region"), **FEW)
    a = relabelled(noisy) if which != "reference" else noisy
    r = relabelled(years[["thetao"]]) if which != "analysis" else years[["thetao"]]
    found = xdeepda.verify(a, r, by=("depth", "region"), **FEW)
    # kelvin in float32 costs 3e-5 K; a rank at the edge of a bin may move
    assert_same(found, plain, rtol=3e-4, atol=3e-4)


def test_dask_quantified_accessor_and_arrays_give_the_same(noisy, years):
    plain = xdeepda.verify(noisy, years, **FEW)
    lazy = xdeepda.verify(noisy.chunk(time=7, lat=3), years.chunk(time=5), **FEW)
    xr.testing.assert_identical(lazy, plain)
    import pint_xarray  # noqa: F401

    quantified = noisy.drop_vars("time_bnds").pint.quantify()
    xr.testing.assert_allclose(quantified.deepda.verify(years["thetao"], **FEW), plain)


def test_inputs_are_not_touched_and_the_seed_decides(noisy, years):
    before = noisy.copy(deep=True), years.copy(deep=True)
    one, two = (xdeepda.verify(noisy, years, **FEW) for _ in range(2))
    xr.testing.assert_identical(one, two)
    xr.testing.assert_identical(noisy, before[0])
    xr.testing.assert_identical(years, before[1])
    other = xdeepda.verify(noisy, years, seed=1, **FEW)
    assert (other.rmse_low != one.rmse_low).any()
    np.testing.assert_array_equal(other.rmse, one.rmse)


# ---- times


def test_only_common_cycles_count_and_gaps_are_fine(noisy, years):
    part = xdeepda.verify(noisy.isel(time=[3, 1, 7, 20, 33]), years.isel(time=slice(2, 30)), **FEW)
    hand = xdeepda.verify(noisy.isel(time=[3, 7, 20]), years, persistence=0, **FEW)
    np.testing.assert_allclose(part.rmse, hand.rmse, rtol=1e-12)
    assert part.attrs["cycles"] == 3
    assert "none: " in part.attrs["intervals"]
    assert np.isnan(part.rmse_low).all()


def test_samples_of_a_cycle_are_averaged(noisy, years):
    """Two states of each month whose mean is the truth."""
    early, late = years.thetao - 1.0, years.thetao + 1.0
    times = years.indexes["time"]
    week = datetime.timedelta(days=7)
    both = xr.concat(
        [early.assign_coords(time=times - week), late.assign_coords(time=times + week)], "time"
    ).sortby("time")
    both.attrs = years.thetao.attrs
    found = xdeepda.verify(noisy, both, **FEW)
    np.testing.assert_allclose(found.rmse, xdeepda.verify(noisy, years, **FEW).rmse, rtol=1e-5)


def test_other_calendars_meet_in_the_cycle(noisy, years):
    other = years.convert_calendar("360_day", align_on="date", missing=None, use_cftime=True)
    assert other.sizes["time"] == years.sizes["time"]
    found = xdeepda.verify(noisy, other[["thetao"]], **FEW)
    np.testing.assert_allclose(found.rmse, xdeepda.verify(noisy, years, **FEW).rmse)


def test_fields_without_time_can_be_compared(noisy, years):
    found = xdeepda.verify(noisy.isel(time=0, drop=True), years.isel(time=0, drop=True), **FEW)
    square = (noisy.thetao - years.thetao).isel(time=0) ** 2
    hand = square.weighted(area(years)).mean(("lat", "lon")) ** 0.5
    np.testing.assert_allclose(found.rmse, hand, rtol=1e-6)


# ---- grids


def coarser(ds):
    """Pairs of columns of longitude averaged; a pair that is half land is land."""
    return ds.coarsen(lon=2).reduce(np.mean)


def test_a_reference_on_another_grid_comes_to_that_of_the_analysis(noisy, years):
    reference = coarser(years[["thetao"]])
    reference.thetao.attrs = years.thetao.attrs
    found = xdeepda.verify(noisy, reference, **FEW)
    regrid = Regridder(layout_of(reference.thetao).grid, layout_of(years.thetao).grid)
    on_grid = years.thetao.copy(data=regrid(reference.thetao.values))
    plain = xdeepda.verify(noisy, on_grid.assign_attrs(years.thetao.attrs), **FEW)
    np.testing.assert_allclose(found.rmse, plain.rmse, rtol=1e-5)
    assert (found.missing > 0).all()
    assert "brought to the grid of the estimate" in found.attrs["compared"]


def test_an_analysis_coarser_than_the_truth_meets_its_means(years):
    analysis = coarser(years[["thetao"]])
    analysis.thetao.attrs = years.thetao.attrs
    found = xdeepda.verify(analysis, years, **FEW)
    assert (found["count"] > 0).all()
    np.testing.assert_allclose(found.rmse, 0, atol=1e-5)


def test_a_surface_product_meets_the_uppermost_level(noisy, years):
    sst = years.thetao.isel(depth=0, drop=True).rename("sst")
    sst.attrs = {"units": "K", "standard_name": "sea_surface_temperature"}
    found = xdeepda.verify(noisy, (sst + 273.15).assign_attrs(sst.attrs), **FEW)
    plain = xdeepda.verify(noisy, years, **FEW)
    np.testing.assert_allclose(found.rmse[0], plain.rmse[0], rtol=1e-4)
    assert found["count"].values[1:].tolist() == [0, 0]
    assert (found.missing[1:] == 1).all()
    assert np.isnan(found.rmse[1:]).all()


def test_what_a_reference_lacks_is_counted(noisy, years):
    holes = years.thetao.where(years.lat > 0)
    found = xdeepda.verify(noisy, holes.assign_attrs(years.thetao.attrs), **FEW)
    all_of_it = noisy.thetao.notnull().sum(("time", "lat", "lon"))
    north = holes.notnull().sum(("time", "lat", "lon"))
    np.testing.assert_array_equal(found["count"], north)
    np.testing.assert_allclose(found.missing, 1 - north / all_of_it)


def test_values_on_land_of_one_of_them_do_not_matter(noisy, years):
    flooded = years.thetao.fillna(1e20).assign_attrs(years.thetao.attrs)
    assert_same(
        xdeepda.verify(noisy, flooded, climatology=years, **FEW),
        xdeepda.verify(noisy, years, climatology=years, **FEW),
    )


def test_sections_without_latitude(noisy, years):
    a, r = noisy.isel(lat=5, drop=True), years.isel(lat=5, drop=True)
    found = xdeepda.verify(a, r, **FEW)
    square = ((a.thetao - r.thetao).astype(float) ** 2).mean(("time", "lon"))
    np.testing.assert_allclose(found.rmse, square**0.5, rtol=1e-6)
    with pytest.raises(xdeepda.errors.InputError, match="need both axes"):
        xdeepda.verify(a, r, by="region", **FEW)


# ---- several variables and references


def test_several_variables_have_a_dimension(years):
    found = xdeepda.verify(years, years, var=["thetao", "so"], **FEW)
    assert found.rmse.dims == ("variable", "depth")
    assert found.variable_units.values.tolist() == ["degC", "psu"]
    assert (found.rmse == 0).all()
    assert found.rmse.attrs["units"] == "of the variable"


def test_several_references_have_a_dimension(noisy, years):
    worse = made(years, sigma=2.0, seed=5)[["thetao"]]
    found = xdeepda.verify(noisy, {"truth": years, "worse": worse}, **FEW)
    assert found.reference.values.tolist() == ["truth", "worse"]
    for name, reference in (("truth", years), ("worse", worse)):
        alone = xdeepda.verify(noisy, reference, **FEW)
        np.testing.assert_allclose(found.rmse.sel(reference=name), alone.rmse)
    listed = xdeepda.verify(noisy, [years, worse[["thetao"]]], **FEW)
    assert listed.reference.values.tolist() == ["1", "2"]
