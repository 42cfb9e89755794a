"""Units of the field, absolute values and differences."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from xdeepda import units
from xdeepda.errors import InputError

TEMPERATURES = (
    "degC",
    "K",
    "degF",
    "celsius",
    "degree_Celsius",
    "deg_C",
    "°C",
    "Celsius",
    "kelvin",
    "Kelvin",
    "deg K",
    "degrees_Kelvin",
    "degreesC",
    "DEG C",
    "degree F",
)


@pytest.mark.parametrize("unit", TEMPERATURES)
def test_temperatures_are_understood(unit):
    assert units.same_dimension(unit, "degC")


@pytest.mark.parametrize("unit", ["psu", "PSU", "1e-3", "0.001", "g kg-1", "PSS-78", "g/kg"])
def test_salinities_are_understood(unit):
    units.parse(unit)


@pytest.mark.parametrize("unit", ["1e-3", "0.001", "PSS-78", "pss"])
def test_practical_salinity_has_many_spellings_and_one_scale(unit):
    assert units.conversion(unit, "psu") == (1.0, 0.0)


@pytest.mark.parametrize("unit", ["kg/kg", "kg kg-1", "g/kg", "g kg-1"])
def test_salinity_by_mass_is_no_practical_salinity(unit):
    assert not units.same_dimension(unit, "psu")
    for a, b in ((unit, "psu"), ("psu", unit)):
        with pytest.raises(InputError, match=r"gsw[\s\S]*units='psu'"):
            units.conversion(a, b)
    # but one is the other
    assert units.conversion("kg kg-1", "g kg-1") == pytest.approx((1000.0, 0.0))


@pytest.mark.parametrize(("unit", "size"), [("deg K", 1), ("k", 1), ("c", 1), ("degrees f", 5 / 9)])
def test_degrees_are_no_angles(unit, size):
    assert units.convert_difference(1.0, unit, "K") == pytest.approx(size)


@pytest.mark.parametrize("unit", ["degrees_north", "degrees_east", "m", "cm", "kg m-3", "m s-1"])
def test_cf_spellings_are_understood(unit):
    units.parse(unit)


@pytest.mark.parametrize("unit", ["furlongs per moon", "?", "m ** kg", ")", "K and more"])
def test_what_is_no_unit_is_refused(unit):
    with pytest.raises(InputError, match="not understood"):
        units.parse(unit)


def test_absolute_values_and_differences_differ():
    assert units.convert(20.0, "degC", "K") == pytest.approx(293.15)
    assert units.convert_difference(20.0, "degC", "K") == pytest.approx(20.0)
    assert units.convert(50.0, "degF", "degC") == pytest.approx(10.0)
    assert units.convert_difference(9.0, "degF", "K") == pytest.approx(5.0)
    assert units.convert_difference(9.0, "delta_degF", "K") == pytest.approx(5.0)
    assert units.convert_difference(0.5, "K", "degC") == pytest.approx(0.5)
    assert units.convert_difference(0.5, "Δ°C", "degC") == pytest.approx(0.5)


def test_nothing_is_copied_where_nothing_changes():
    values = np.arange(3.0)
    assert units.convert(values, "degC", "celsius") is values
    assert units.convert_difference(values, "K", "degC") is values


@given(st.sampled_from(TEMPERATURES), st.sampled_from(TEMPERATURES), st.floats(-100, 100))
def test_there_and_back_is_the_same(a, b, value):
    assert units.convert(units.convert(value, a, b), b, a) == pytest.approx(value, abs=1e-9)


def test_another_dimension_is_refused_and_both_are_named():
    with pytest.raises(InputError, match=r"'m'.*'degC'"):
        units.conversion("m", "degC")


@pytest.mark.parametrize(
    ("unit", "difference"),
    [("degC", "K"), ("K", "K"), ("psu", "psu"), ("m", "m"), ("degF", "delta_degF")],
)
def test_unit_of_differences(unit, difference):
    assert units.difference_unit(unit) == difference
    # and it is a unit in which differences of the first can be told
    assert units.convert_difference(1.0, unit, difference) == pytest.approx(1.0)


def test_unit_of_an_array():
    da = xr.DataArray([1.0], attrs={"units": "degC"})
    assert units.unit_of(da) == "degC"
    assert units.unit_of(xr.DataArray([1.0])) is None
    assert units.unit_of(xr.DataArray([1.0], attrs={"units": "  "})) is None


@pytest.mark.parametrize("own", [True, False])
def test_quantities_go_in_and_out(own):
    pint = pytest.importorskip("pint")
    registry = pint.UnitRegistry() if own else units.registry()
    da = xr.DataArray(registry.Quantity(np.array([1.0, 2.0]), "degC"), dims="x", attrs={"a": "b"})
    plain = units.dequantify(da)
    assert not units.is_quantified(plain)
    assert units.same_dimension(plain.attrs["units"], "degC")
    assert da.attrs == {"a": "b"}
    back = units.requantify(plain, da)
    assert back.data.units == da.data.units
    assert type(back.data) is type(da.data)
    assert back.attrs == {"a": "b"}
    np.testing.assert_array_equal(back.data.magnitude, da.data.magnitude)


def test_plain_objects_pass_unchanged():
    ds = xr.Dataset({"a": ("x", [1.0], {"units": "K"})})
    assert units.dequantify(ds) is ds
    assert units.dequantify(ds["a"]).identical(ds["a"])
