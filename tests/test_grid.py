"""Geometry: canonical order and back, cells, areas, the seam."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from xdeepda.axes import DIMS
from xdeepda.grid import EARTH_RADIUS, Grid, canonical, grid_of, layout_of

DEPTH = np.array([5.0, 30.0, 120.0, 900.0])
LAT = np.array([-70.0, -30.0, -5.0, 0.0, 12.0, 80.0])
LON = np.arange(2.0, 362.0, 30.0)


def field(depth=DEPTH, lat=LAT, lon=LON) -> xr.DataArray:
    """Each value is unlike the others; two times."""
    values = np.arange(2.0 * depth.size * lat.size * lon.size)
    return xr.DataArray(
        values.reshape(2, depth.size, lat.size, lon.size),
        dims=("time", "depth", "lat", "lon"),
        coords={
            "time": np.array(["2001-01-16", "2001-02-15"], "M8[ns]"),
            "depth": ("depth", depth, {"units": "m", "positive": "down"}),
            "lat": ("lat", lat, {"units": "degrees_north"}),
            "lon": ("lon", lon, {"units": "degrees_east"}),
        },
        name="thetao",
        attrs={"units": "degC"},
    )


@st.composite
def relabelled(draw, start: xr.DataArray) -> xr.DataArray:
    """The same field in another order, sense, convention of longitude, with other names."""
    da = start
    for dim in ("depth", "lat", "lon"):
        if draw(st.booleans()):
            da = da.isel({dim: slice(None, None, -1)})
    da = da.roll(lon=draw(st.integers(0, da.sizes["lon"] - 1)), roll_coords=True)
    lon = draw(st.sampled_from([0.0, 180.0, 360.0]))
    da = da.assign_coords(lon=((da["lon"] + lon) % 360 - lon).assign_attrs(da["lon"].attrs))
    if draw(st.booleans()):
        up = (-100 * da["depth"]).assign_attrs(units="cm", positive="up")
        da = da.assign_coords(depth=up)
    names = draw(st.sampled_from([{}, {"depth": "lev", "lat": "nav", "lon": "east", "time": "t"}]))
    return da.rename(names).transpose(*draw(st.permutations([names.get(d, d) for d in da.dims])))


@given(relabelled(field()))
def test_canonical_undoes_every_label(da):
    expected = field()
    found = canonical(da)
    assert found.dims == expected.dims
    np.testing.assert_array_equal(found.values, expected.values)
    grid = grid_of(da)
    np.testing.assert_allclose(grid.depth, DEPTH)
    np.testing.assert_allclose(grid.lat, LAT)
    np.testing.assert_allclose(grid.lon, LON)
    assert grid.cyclic


@given(relabelled(field()))
def test_restore_is_the_inverse_of_canonical(da):
    layout = layout_of(da)
    back = layout.restore(layout.canonical(da))
    assert back.dims == da.dims
    np.testing.assert_array_equal(back.values, da.values)
    for dim in da.dims:
        xr.testing.assert_identical(back[dim].drop_vars([]), da[dim])


@given(relabelled(field(lon=np.array([340.0, 350.0, 0.0, 10.0, 15.0]))))
def test_regional_grids_are_continuous_across_the_meridian(da):
    grid = grid_of(da)
    assert not grid.cyclic
    np.testing.assert_allclose(grid.lon, [340, 350, 360, 370, 375])
    np.testing.assert_array_equal(
        canonical(da).values, field(lon=np.array([340.0, 350, 360, 370, 375])).values
    )


def test_canonical_stays_lazy():
    dask = pytest.importorskip("dask.array")
    da = field().chunk(time=1).transpose("lon", "time", "lat", "depth")
    assert isinstance(canonical(da).data, dask.Array)


@pytest.mark.parametrize(
    ("lon", "cyclic"),
    [
        (np.arange(0.0, 360.0, 4.0), True),
        (np.arange(-179.5, 180.0, 1.0), True),
        (np.arange(0.0, 350.0, 10.0), False),
        (np.arange(0.0, 360.0, 8.0).astype("f4"), True),
        (np.array([0.0, 120.0, 240.0]), False),
        (np.array([10.0]), False),
        (np.array([-1e-9, 90.0, 180.0, 270.0]), True),
    ],
)
def test_which_grids_go_around_the_globe(lon, cyclic):
    assert grid_of(field(lon=lon)).cyclic is cyclic


def test_areas_fill_the_sphere():
    grid = grid_of(field(lat=np.linspace(-87.5, 87.5, 36)))
    assert grid.area.sum() == pytest.approx(4 * np.pi * EARTH_RADIUS**2, rel=1e-12)
    assert grid.area.shape == (36, LON.size)
    # and a degree at the equator is 111 km
    small = Grid(None, np.array([0.0, 1.0]), np.array([0.0, 1.0]))
    assert np.sqrt(small.area[0, 0]) == pytest.approx(111.2e3, rel=1e-3)


def test_levels_fill_the_depth():
    grid = grid_of(field())
    assert grid.thickness.sum() == pytest.approx(grid.depth_edges[-1])
    np.testing.assert_allclose(grid.depth_edges, [0, 17.5, 75, 510, 1290])
    assert Grid(None, LAT, LON, True).thickness.tolist() == [1.0]


def test_every_centre_lies_in_its_cell():
    for lon in (LON, np.array([340.0, 350.0, 370.0])):
        grid = grid_of(field(lon=lon))
        flat = np.arange(np.prod(grid.shape))
        depth, lat, east = grid.coordinates(flat)
        for shift in (-720.0, -360.0, 0.0, 360.0):
            np.testing.assert_array_equal(grid.locate(depth, lat, east + shift), flat)


@pytest.mark.parametrize(
    "position",
    [
        (2000.0, 0.0, 10.0),
        (-1.0, 0.0, 10.0),
        (5.0, -91.0, 10.0),
        (np.nan, 0, 10),
        (5.0, 0.0, np.nan),
    ],
)
def test_what_is_outside_has_no_cell(position):
    assert grid_of(field()).locate(*position) == [-1]


def test_regional_edges():
    grid = grid_of(field(lon=np.array([350.0, 0.0, 10.0])))
    inside = grid.locate(5.0, 0.0, np.array([345.0, 15.0, 14.999, -15.0, 16.0, 344.0, 180.0])) >= 0
    assert inside.tolist() == [True, True, True, True, False, False, False]


@given(st.floats(-90, 90), st.floats(-540, 540), st.floats(0, 1290))
def test_the_whole_globe_is_covered(lat, lon, depth):
    grid = Grid(DEPTH, np.linspace(-87.5, 87.5, 36), LON, True)
    cell = grid.locate(depth, lat, lon)
    assert cell[0] >= 0
    _, _, east = grid.coordinates(cell)
    assert abs((east[0] - lon + 180) % 360 - 180) <= 15 + 1e-9


def test_missing_axes_are_ignored():
    section = Grid(DEPTH, None, LON, True)
    assert section.shape == (4, 1, 12)
    assert section.locate([5.0], [np.nan], [2.0]) == [0]
    assert np.isnan(section.coordinates([0])[1]).all()
    surface = Grid(None, LAT, LON, True)
    assert surface.locate([np.nan], [-70.0], [32.0]) == [1]
    assert surface.dims == ("lat", "lon")


def test_differences_name_both_sides():
    grid = grid_of(field())
    assert grid.differences(grid_of(field(lat=LAT + 5e-5, lon=LON.astype("f4")))) == []
    assert "lat: 12 against 13 at position 4" in grid.differences(
        grid_of(field(lat=LAT + np.eye(6)[4]))
    )
    told = grid.differences(grid_of(field(lon=LON[:6])))
    assert told == ["lon: 12 (2 to 332) against 6 (2 to 152)"]
    assert grid.differences(grid_of(field().isel(depth=0)))[0].startswith(
        "depth: 4 (5 to 900) against"
    )


def test_a_grid_survives_json():
    import json

    grid = grid_of(field(lat=LAT + 0.1234567890123))
    back = Grid.from_dict(json.loads(json.dumps(grid.to_dict())))
    for name in ("depth", "lat", "lon"):
        np.testing.assert_array_equal(getattr(back, name), getattr(grid, name))
    assert back.cyclic == grid.cyclic
    assert str(grid) == "depth 4 (5 to 900), lat 6 (-69.8765 to 80.1235), lon 12 (2 to 332), cyclic"


def test_members_come_first():
    da = field().expand_dims(member=[3, 4], axis=2)
    assert canonical(da).dims == DIMS


@given(
    st.lists(st.floats(0.05, 40), min_size=1, max_size=40),
    st.floats(-90, 300),
    st.integers(0, 2**31),
)
@settings(max_examples=40, deadline=None)
def test_many_points_are_located_as_few_are(widths, first, seed):
    """The table that is used for many points leads to the same cells as a search."""
    centres = first + np.cumsum(widths)
    grid = Grid(None, None, centres)
    rng = np.random.default_rng(seed)
    edges = grid.lon_edges
    lon = np.concatenate(
        [rng.uniform(-540, 540, 2000), edges, np.nextafter(edges, 1e9), np.nextafter(edges, -1e9),
         [np.nan]]
    )  # fmt: skip
    many = grid.locate(0.0, 0.0, lon)
    few = np.concatenate([grid.locate(0.0, 0.0, part) for part in np.array_split(lon, 100)])
    np.testing.assert_array_equal(many, few)
    at = edges[0] + np.mod(lon - edges[0], 360.0)
    with np.errstate(invalid="ignore"):
        cell = np.clip(np.searchsorted(edges, at, side="right") - 1, 0, centres.size - 1)
        expected = np.where((at >= edges[0]) & (at <= edges[-1]), cell, -1)
    np.testing.assert_array_equal(many, expected)
