"""Quantified input gives quantified output, whatever registry it comes with."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import xdeepda
from xdeepda import units

pint = pytest.importorskip("pint")
pint_xarray = pytest.importorskip("pint_xarray")


@pytest.fixture(scope="module")
def registry():
    """A registry of the user's own."""
    return pint_xarray.setup_registry(pint.UnitRegistry(force_ndarray_like=True))


def quantified(ds: xr.Dataset, registry) -> xr.Dataset:
    """With pint units on data and axes, as pint-xarray makes them."""
    plain = ds[[n for n in ds.data_vars if n in ("thetao", "thetao_error")]].copy()
    for name in ("lat", "lon"):
        # a registry of pint's own does not know degrees_north
        plain[name].attrs = {**plain[name].attrs, "units": "degree"}
    return plain.pint.quantify(unit_registry=registry)


@pytest.mark.parametrize("which", ["run", "observations", "both"])
def test_assimilation(which, registry, ocean, cells, tiny_model, analysis):
    ds = quantified(ocean, registry) if which != "observations" else ocean
    obs = quantified(cells, registry) if which != "run" else cells
    found = xdeepda.assimilate(ds, obs, model=tiny_model)
    for part, unit in (("", "degC"), ("_spread", "K"), ("_background", "degC")):
        da = found["thetao" + part]
        assert units.is_quantified(da) == (which != "observations")
        if which != "observations":
            assert da.data.units == registry.Unit(unit)
            assert type(da.data) is type(ds["thetao"].data)
        values = da.pint.dequantify() if which != "observations" else da
        np.testing.assert_array_equal(values, analysis["thetao" + part])
    assert not units.is_quantified(found["thetao_obs_count"])
    for dim in ("depth", "lat", "lon"):
        xr.testing.assert_identical(found[dim].variable, ds[dim].variable)


def test_a_quantified_analysis_has_a_quantified_increment(
    registry, ocean, cells, tiny_model, analysis
):
    found = xdeepda.assimilate(quantified(ocean, registry), cells, model=tiny_model)
    increment = found.deepda.increment("thetao")
    assert increment.data.units == registry.Unit("K")
    np.testing.assert_array_equal(increment.data.magnitude, analysis.deepda.increment("thetao"))


def test_an_analysis_dequantified_can_be_written(registry, ocean, cells, tiny_model, tmp_path):
    found = xdeepda.assimilate(quantified(ocean, registry), cells, model=tiny_model)
    found.pint.dequantify().to_netcdf(tmp_path / "a.nc")
    with xr.open_dataset(tmp_path / "a.nc") as back:
        assert units.same_dimension(back["thetao"].attrs["units"], "degC")


def test_training_and_observing(registry, ocean, truth, network, tiny, tiny_model, cells):
    model = xdeepda.train(quantified(ocean, registry), network, var="thetao", **tiny)
    assert units.conversion(model.units[0], "degC") == (1.0, 0.0)
    for name, weight in model.weights.items():
        np.testing.assert_array_equal(weight, tiny_model.weights[name])
    found = xdeepda.observe(quantified(truth, registry), network, seed=5)
    assert found["thetao"].data.units == registry.Unit("degC")
    assert found["thetao_error"].data.units == registry.Unit("K")
    for name in ("thetao", "thetao_error"):
        np.testing.assert_array_equal(found[name].data.magnitude, cells[name])


@pytest.mark.parametrize("unit", ["kelvin", "degF"])
def test_quantities_in_another_unit(unit, registry, ocean, cells, tiny_model, analysis):
    ds = quantified(ocean, registry).pint.to({"thetao": unit})
    found = xdeepda.assimilate(ds, cells, model=tiny_model, members=2)
    expected = xdeepda.assimilate(ocean, cells, model=tiny_model, members=2)
    assert found["thetao"].data.units == registry.Unit(unit)
    back = found["thetao"].pint.to("degC").pint.dequantify()
    np.testing.assert_allclose(back, expected["thetao"], atol=1e-3)
    spread = found["thetao_spread"].data
    factor = 1.8 if unit == "degF" else 1.0
    np.testing.assert_allclose(spread.magnitude, factor * expected["thetao_spread"], rtol=1e-3)
    assert spread.units in (registry.Unit("K"), registry.Unit("delta_degF"))


def test_points_with_units(registry, ocean, points, tiny_model):
    expected = xdeepda.assimilate(ocean, points, model=tiny_model)
    table = quantified(points, registry)
    assert units.is_quantified(table["depth"])
    xr.testing.assert_equal(xdeepda.assimilate(ocean, table, model=tiny_model), expected)


def test_the_repr_understands_quantities(registry, ocean):
    text = repr(quantified(ocean, registry).deepda)
    assert "NO UNITS" not in text
    assert "needs a network" in text
