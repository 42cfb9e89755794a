"""The contract of every diagnostic: labels, order, kind of array, members, untouched input."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import xarray as xr

import xdeepda
from xdeepda import units

#: Verb -> arguments on the small ocean.
CALLS: dict[str, dict[str, Any]] = {
    "heat_content": {"depth": (0, 400)},
    "heat_content ": {"depth": (0, 400), "total": True},
    "steric_height": {"depth": (0, 1000)},
    "isotherm_depth": {"value": 15.0},
    "mixed_layer_depth": {},
    "mixed_layer_depth ": {"criterion": "density"},
    "index": {"name": "nino34"},
    "anomalies": {"var": "thetao"},
    "seasonal_cycle": {"var": "thetao"},
    "trend": {"var": "thetao"},
    "drift": {"var": "thetao"},
    "static_stability": {},
    "eofs": {"var": "thetao", "modes": 2},
}
#: Verbs that want salinity, too.
BOTH = {"steric_height", "mixed_layer_depth "}


@pytest.fixture(params=CALLS)
def call(request):
    """Name of a verb, and the verb with its arguments."""
    verb = getattr(xdeepda, request.param.strip())
    arguments = CALLS[request.param]
    return request.param, lambda ds, **more: verb(ds, **arguments, **more)


@pytest.fixture(scope="module")
def run(ocean) -> xr.Dataset:
    """Four years with values in the box of Niño 3.4, read-only."""
    return ocean.isel(time=slice(0, 48))


def plain(obj: xr.Dataset | xr.DataArray) -> dict[str, np.ndarray]:
    """Values by name, in one order of dimensions."""
    order = ("member", "time", "depth", "lat", "lon")
    names = {"olevel": "depth", "yh": "lat", "xh": "lon", "t": "time", "realization": "member"}
    ds = obj.to_dataset() if isinstance(obj, xr.DataArray) else obj
    ds = ds.rename({k: v for k, v in names.items() if k in ds.dims})
    ds = ds.sortby([d for d in ("depth", "lat", "lon") if d in ds.dims])
    ds = ds.transpose(*order, ..., missing_dims="ignore")
    return {str(n): np.asarray(v.values) for n, v in ds.data_vars.items()}


def same(a: Any, b: Any, rtol: float = 1e-9) -> None:
    a, b = plain(a), plain(b)
    assert a.keys() == b.keys()
    for name in a:
        scale = np.nanmax(np.abs(b[name])) if b[name].dtype.kind == "f" else 1
        np.testing.assert_allclose(a[name], b[name], rtol=rtol, atol=rtol * scale, err_msg=name)


def test_function_and_method_agree_and_the_input_is_untouched(call, run):
    name, verb = call
    before = run.copy(deep=True)
    found = verb(run)
    xr.testing.assert_identical(run, before)
    method = getattr(run.deepda, name.strip())(**CALLS[name])
    xr.testing.assert_identical(found, method)


def test_any_order_names_and_directions(call, run):
    _, verb = call
    turned = run.isel(depth=slice(None, None, -1), lat=slice(None, None, -1)).roll(
        lon=7, roll_coords=True
    )
    turned = turned.assign_coords(lon=((turned["lon"] + 180) % 360 - 180).assign_attrs(
        turned["lon"].attrs))  # fmt: skip
    turned = turned.rename(depth="olevel", lat="yh", lon="xh", time="t")
    turned = turned.transpose("xh", "olevel", "t", "yh", "bnds")
    found, expected = verb(turned), verb(run)
    out = found["xh"] if "xh" in found.dims else None
    if out is not None:  # longitudes come back as they were given
        np.testing.assert_array_equal(out, turned["xh"])
        found = found.assign_coords(xh=turned["xh"] % 360)
    same(found, expected)


def test_dask_stays_lazy_and_agrees(call, run):
    name, verb = call
    lazy = run.chunk(time=7, depth=2, lon=5)
    found = verb(lazy)
    parts = [found] if isinstance(found, xr.DataArray) else list(found.data_vars.values())
    if name != "eofs":  # which reads the values, as it says
        assert all(p.chunks is not None for p in parts if p.dtype.kind == "f")
    same(found.compute(), verb(run))


def test_float32_and_float64(call, run):
    _, verb = call
    double = run.assign({n: run[n].astype(np.float64) for n in ("thetao", "so")})
    same(verb(run), verb(double), rtol=1e-5)


def test_a_data_array_is_as_good(call, run):
    name, verb = call
    if name == "static_stability":
        pytest.skip("compares temperature alone where there is no salinity")
    if name in BOTH:
        with pytest.raises(xdeepda.errors.InputError, match="salinity is missing"):
            verb(run["thetao"])
        return
    # bounds are those of the midpoints in this ocean
    same(verb(run["thetao"]), verb(run))


def test_members_are_kept(call, run):
    name, verb = call
    if name == "eofs":
        pytest.skip("the patterns are those of the mean of members")
    parts = [run, run.assign(thetao=run["thetao"] + 0.5 * run["thetao"].isel(time=0))]
    together = xr.concat(parts, xr.Variable("realization", [3, 5]), data_vars=["thetao"])
    together["realization"].attrs["standard_name"] = "realization"
    found = verb(together)
    assert found["realization"].values.tolist() == [3, 5]
    for n, part in enumerate(parts):
        same(found.isel(realization=n, drop=True), verb(part))


@pytest.fixture(scope="module")
def registry():
    """A registry of the user's own."""
    pint = pytest.importorskip("pint")
    pint_xarray = pytest.importorskip("pint_xarray")
    return pint_xarray.setup_registry(pint.UnitRegistry(force_ndarray_like=True))


def test_quantities_come_out_of_quantities(call, run, registry):
    name, verb = call
    bare = run[["thetao", "so"]].copy()
    for axis in ("lat", "lon"):
        bare[axis].attrs = {**bare[axis].attrs, "units": "degree"}
    bare["so"].attrs["units"] = "1"
    found, expected = verb(bare.pint.quantify(unit_registry=registry)), verb(bare)
    for key, da in ({name: found} if isinstance(found, xr.DataArray) else found).items():
        other = expected if isinstance(expected, xr.DataArray) else expected[key]
        if not units.is_quantified(da):
            assert isinstance(found, xr.Dataset)
            continue
        assert da.data.units == registry.Unit(str(units.parse(other.attrs["units"])))
        scale = np.nanmax(np.abs(other.values))
        np.testing.assert_allclose(da.data.magnitude, other.values, atol=1e-9 * scale)


def test_units_and_names_can_be_written(call, run, tmp_path):
    _, verb = call
    found = verb(run)
    parts = [found] if isinstance(found, xr.DataArray) else list(found.data_vars.values())
    for part in parts:
        assert part.attrs["units"]
        assert part.attrs["long_name"]
        units.parse(part.attrs["units"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found.to_netcdf(tmp_path / "a.nc")
    back = xr.open_dataset(tmp_path / "a.nc", decode_timedelta=False)
    for name, values in plain(back).items():
        np.testing.assert_array_equal(values, plain(found)[name])


def test_a_spread_without_members_is_told(call, run, caplog):
    _, verb = call
    analysed = run.assign(thetao_spread=0.1 * run["thetao"], thetao_background=run["thetao"])
    found = verb(analysed)
    assert "members" in caplog.text
    assert "keep_members=True" in found.attrs["comment"]
    same(found, verb(run))


@pytest.mark.parametrize("verb", ["trend", "anomalies", "seasonal_cycle"])
def test_series_of_a_large_field_are_taken_in_parts(verb):
    dask_array = pytest.importorskip("dask.array")
    shape = (480, 360, 720)
    lat, lon = np.arange(-89.75, 90, 0.5), np.arange(0.25, 360, 0.5)
    time = xr.date_range("0001-01-16", periods=480, freq="MS", calendar="360_day", use_cftime=True)
    field = xr.DataArray(
        dask_array.zeros(shape, chunks=(12, 360, 720), dtype=np.float32),
        dims=("time", "lat", "lon"),
        coords={"time": time, "lat": lat, "lon": lon},
        name="tos",
        attrs={"units": "degC"},
    )
    found = getattr(xdeepda, verb)(field)
    one = found if isinstance(found, xr.DataArray) else next(iter(found.data_vars.values()))
    assert max(one.chunksizes["lat"]) * max(one.chunksizes["lon"]) * 480 * 4 < 200e6


def test_coordinates_that_differ_by_rounding(run):
    salt = run["so"].rename(lat="y").assign_coords(
        y=("y", run["lat"].values * (1 + 1e-13), run["lat"].attrs)
    )  # fmt: skip
    mixed = xr.Dataset({"thetao": run["thetao"], "so": salt, "depth_bnds": run["depth_bnds"]})
    found = xdeepda.steric_height(mixed, depth=(0, 1000))
    same(found, xdeepda.steric_height(run, depth=(0, 1000)))
