"""Which dimension is which axis: attributes first, guesses that say so, clear refusals."""

from __future__ import annotations

import cftime
import numpy as np
import pytest
import xarray as xr

from xdeepda.axes import find_axes
from xdeepda.errors import InputError
from xdeepda.grid import grid_of, layout_of


def field(dims: dict[str, tuple], name: str = "thetao") -> xr.DataArray:
    """Field of zeros; dims: name -> (values, attributes)."""
    return xr.DataArray(
        np.zeros([len(values) for values, _ in dims.values()]),
        dims=tuple(dims),
        coords={d: (d, list(values), attrs) for d, (values, attrs) in dims.items()},
        name=name,
        attrs={"units": "degC"},
    )


def with_depth(values, **attrs) -> xr.DataArray:
    return field({"z": (values, attrs), "lat": ([0.0, 1.0], {}), "lon": ([0.0, 1.0], {})})


def test_attributes_decide_whatever_the_names():
    da = field(
        {
            "a": ([0.0, 10.0], {"axis": "Z", "units": "m"}),
            "b": ([0.0, 1.0], {"units": "degrees_north"}),
            "c": ([0.0, 1.0], {"standard_name": "longitude"}),
            "d": ([cftime.DatetimeNoLeap(1, 1, 1)], {}),
            "e": ([1, 2], {"standard_name": "realization"}),
            "f": ([1, 2], {}),
        }
    ).isel(f=0)
    axes = find_axes(da)
    assert (axes.depth, axes.lat, axes.lon, axes.time, axes.member) == tuple("abcde")
    assert axes.guesses == ()


@pytest.mark.parametrize("attrs", [{"positive": "down"}, {"axis": "Z"}, {"standard_name": "depth"}])
def test_one_attribute_makes_a_depth_axis(attrs):
    assert find_axes(field({"q": ([5.0], {"units": "m", **attrs})})).depth == "q"


@pytest.mark.parametrize(
    ("name", "axis"), [("st_ocean", "depth"), ("lev", "depth"), ("yt_ocean", "lat"), ("X", "lon")]
)
def test_a_guess_by_name_says_so(name, axis):
    axes = find_axes(field({name: ([0.0, 1.0], {})}))
    assert getattr(axes, axis) == name
    assert any(name in text and "guessed" in text for text in axes.guesses)


@pytest.mark.parametrize("name", ["init", "id", "instrument", "lat_aux", "timeseries", "xylophone"])
def test_a_prefix_is_no_guess(name):
    with pytest.raises(InputError, match=f"dimension '{name}' is not understood"):
        find_axes(field({name: ([0.0, 1.0], {})}))


def test_all_dimensions_that_are_wrong_are_told_at_once():
    da = xr.DataArray(np.zeros((2, 2, 2)), dims=("foo", "lat", "bar"))
    with pytest.raises(InputError) as error:
        find_axes(da)
    for word in ("'foo' is not understood", "'lat' has no coordinate", "'bar' is not understood"):
        assert word in str(error.value)


def test_two_axes_of_one_kind_are_refused():
    da = field({"lat": ([0.0], {}), "y": ([0.0], {})})
    with pytest.raises(InputError, match="two dimensions look like lat"):
        find_axes(da)


def horizontal(dims, index, attrs) -> xr.DataArray:
    y, x = dims
    lat, lon = np.meshgrid(np.linspace(-60, 60, 4), np.linspace(0, 300, 5), indexing="ij")
    coords = {"TLAT": (dims, lat, attrs[0]), "TLONG": (dims, lon, attrs[1])}
    if index is not None:
        coords |= {y: (y, np.arange(4), index[0]), x: (x, np.arange(5), index[1])}
    return xr.DataArray(np.zeros((4, 5)), dims=dims, coords=coords, name="thetao")


@pytest.mark.parametrize("dims", [("nlat", "nlon"), ("j", "i"), ("y", "x")])
@pytest.mark.parametrize("index", [None, ({}, {}), ({"axis": "Y"}, {"axis": "X"})])
def test_curvilinear_grids_are_refused_with_a_way_out(dims, index):
    attrs = {"units": "degrees_north"}, {"units": "degrees_east"}
    for look in (find_axes, grid_of):
        with pytest.raises(NotImplementedError, match=r"curvilinear.*TLAT|TLONG") as error:
            look(horizontal(dims, index, attrs))
        assert "interpolate the fields" in str(error.value)
        assert "xesmf" in str(error.value)


def test_regular_axes_beside_two_dimensional_ones_are_good():
    da = field(
        {
            "y": ([0.0, 1.0], {"standard_name": "latitude", "units": "degrees_north"}),
            "x": ([0.0, 1.0], {"standard_name": "longitude", "units": "degrees_east"}),
        }
    )
    da = da.assign_coords(nav_lat=(("y", "x"), np.zeros((2, 2)), {"units": "degrees_north"}))
    assert find_axes(da).lat == "y"


def test_parametric_depth_is_refused_with_a_way_out():
    da = field({"s_rho": ([-0.9, -0.1], {"standard_name": "ocean_s_coordinate_g2"})})
    with pytest.raises(NotImplementedError, match=r"parametric[\s\S]*depth levels"):
        find_axes(da)


@pytest.mark.parametrize(
    ("values", "attrs", "metres"),
    [
        ([5.0, 50.0], {"units": "m", "positive": "down"}, [5, 50]),
        ([500.0, 5000.0], {"units": "cm", "positive": "down"}, [5, 50]),
        ([0.005, 0.05], {"units": "km"}, [5, 50]),
        ([-5.0, -50.0], {"units": "m", "positive": "up"}, [5, 50]),
        ([-50.0, -5.0], {"units": "m"}, [5, 50]),
        ([-5000.0, -500.0], {"units": "centimeters", "positive": "up"}, [5, 50]),
        ([50.0, 5.0], {"units": "metres"}, [5, 50]),
        ([0.0, 10.0], {"units": "m"}, [0, 10]),
    ],
)
def test_depths_become_metres_downwards(values, attrs, metres):
    np.testing.assert_allclose(grid_of(with_depth(values, **attrs)).depth, metres)


def test_the_sense_of_depth_is_guessed_by_sign_and_said():
    guesses = layout_of(with_depth([-50.0, -5.0], units="m")).axes.guesses
    assert any("upwards, guessed by its sign" in text for text in guesses)


@pytest.mark.parametrize(
    ("values", "attrs", "words"),
    [
        ([5.0, 50.0], {}, "depth axis 'z' has no units"),
        ([5.0, 50.0], {"units": "dbar"}, "is no length"),
        ([1.0, 2.0], {"units": "level"}, "is no length"),
        ([5.0, -50.0], {"units": "m"}, "lies above the surface"),
        ([5.0, 50.0], {"units": "m", "positive": "up"}, "lies above the surface"),
        ([5.0, 5.0], {"units": "m"}, "repeats a value"),
        ([5.0, np.nan], {"units": "m"}, "holds NaN"),
    ],
)
def test_wrong_depths_are_refused(values, attrs, words):
    with pytest.raises(InputError, match=words):
        grid_of(with_depth(values, **attrs))


@pytest.mark.parametrize(
    ("lat", "lon", "words"),
    [
        (([0.0, 95.0], {}), ([0.0, 1.0], {}), "latitudes 'lat' are out of range"),
        (([0.0, 1.0], {}), ([0.0, 180.0, 360.0], {}), "repeat a meridian"),
        (([0.0, 1.0], {}), ([10.0, 370.0], {}), "repeat a meridian"),
        (([0.0, 1.0], {}), ([-10.0, 350.0, 0.0], {}), "repeat"),
        (([0.0, 1e5], {"units": "m"}), ([0.0, 1.0], {}), "is not in degrees"),
    ],
)
def test_wrong_positions_are_refused(lat, lon, words):
    with pytest.raises(InputError, match=words):
        grid_of(field({"lat": lat, "lon": lon}))


def test_radians_become_degrees():
    da = field({"lat": ([-np.pi / 4, 0.0], {"units": "radian"}), "lon": ([0.0, 1.0], {})})
    np.testing.assert_allclose(grid_of(da).lat, [-45, 0])


def test_everything_wrong_with_a_grid_is_told_at_once():
    da = field({"lev": ([1.0, 2.0], {}), "lat": ([0.0, 99.0], {}), "lon": ([0.0, np.nan], {})})
    with pytest.raises(InputError) as error:
        layout_of(da)
    for words in ("'lev' has no units", "'lat' are out of range", "'lon' holds NaN"):
        assert words in str(error.value)
