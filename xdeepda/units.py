"""Units at the door: pint at the border, plain floats inside.

No :class:`pint.Quantity` passes this file.  The registry is the one that
cf_xarray defines (CF spellings, ``psu``, ``degrees_north``); it is imported on
first use, because its import replaces pint's application registry.
"""

from __future__ import annotations

import logging
from functools import lru_cache
from typing import Any, TypeVar, cast

import numpy as np
import xarray as xr

from xdeepda.errors import InputError

Labelled = TypeVar("Labelled", bound=xr.Dataset | xr.DataArray)

#: Spellings of the field that pint does not know, or takes for something else.
_SPELLINGS = {
    # "deg K" is no product of an angle and a temperature, "k" no constant of Boltzmann's
    **{
        f"{degree}{gap}{scale}": unit
        for unit, scales in (
            ("degC", ("c", "celsius")),
            ("degF", ("f", "fahrenheit")),
            ("kelvin", ("k", "kelvin")),
        )
        for scale in scales
        for degree in ("deg", "degree", "degrees")
        for gap in ("", " ", "_")
    },
    "c": "degC",
    "celsius": "degC",
    "k": "kelvin",
    "kelvin": "kelvin",
    # practical salinity has no unit; these numbers are all "35 in the open ocean"
    "1e-3": "psu",
    "1.e-3": "psu",
    "1.0e-3": "psu",
    "1e-03": "psu",
    "10^-3": "psu",
    "0.001": "psu",
    "pss-78": "psu",
    "pss78": "psu",
    "pss": "psu",
    # a number, but not that of practical salinity: 0.035 and 35
    **dict.fromkeys(("kg/kg", "kg kg-1", "kg kg**-1", "kg kg^-1"), "g km / kg / m"),
}


@lru_cache(maxsize=1)
def registry() -> Any:
    """Return the pint registry in use: cf_xarray's."""
    # cf_xarray redefines units of pint's, and pint warns of each; nobody can act on that
    log = logging.getLogger("pint.util")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        import cf_xarray.units  # noqa: F401  (defines and installs the registry)
        import pint
    finally:
        log.setLevel(level)
    return pint.get_application_registry()


@lru_cache(maxsize=256)
def parse(unit: str) -> Any:
    """Parse a unit as the field spells it.

    Raises
    ------
    InputError
        If it is no unit.
    """
    text = unit.strip()
    try:
        return registry().Unit(_SPELLINGS.get(text.lower(), text))
    except Exception as error:  # pint raises a zoo of errors on strings that are no units
        raise InputError(f"unit {unit!r} is not understood ({type(error).__name__})") from None


def is_quantified(da: xr.DataArray) -> bool:
    """Whether a DataArray carries pint units in its data (without importing pint)."""
    data = da.variable._data
    return hasattr(data, "magnitude") and hasattr(data, "units")


def unit_of(da: xr.DataArray) -> str | None:
    """Unit of a DataArray: of its Quantity, else its attribute, else None."""
    if is_quantified(da):
        quantity: Any = da.variable._data
        # a quantity without a dimension has an empty unit, which is not the lack of one
        return f"{quantity.units:~}" or "1"
    unit = da.attrs.get("units")
    return str(unit) if unit is not None and str(unit).strip() else None


def dequantify(obj: Labelled) -> Labelled:
    """Strip pint from an object and its coordinates; the unit goes into the attribute ``units``.

    Returns the same object where nothing is quantified, else a new one.
    """
    axes = {name: coord for name, coord in obj.coords.items() if is_quantified(coord)}
    if axes:
        # dropped first, with the index that pint-xarray gave them
        plain_axes = {
            name: (coord.dims, _magnitude(coord), {**coord.attrs, "units": unit_of(coord)})
            for name, coord in axes.items()
        }
        obj = cast(Labelled, obj.drop_vars(list(axes)).assign_coords(plain_axes))
    if isinstance(obj, xr.Dataset):
        changed = {name: dequantify(da) for name, da in obj.data_vars.items() if is_quantified(da)}
        return cast(Labelled, obj.assign(changed)) if changed else obj
    if not is_quantified(obj):
        return obj
    plain = obj.copy(data=_magnitude(obj))
    plain.attrs = {**obj.attrs, "units": unit_of(obj)}
    return plain


def _magnitude(da: xr.DataArray) -> Any:
    """Numbers of a quantified DataArray."""
    quantity: Any = da.variable._data
    return quantity.magnitude


def requantify(da: xr.DataArray, like: xr.DataArray) -> xr.DataArray:
    """Attach the unit attribute of `da` as a Quantity of the registry that `like` uses."""
    if not is_quantified(like):
        return da
    quantity: Any = type(like.variable._data)
    attrs = {name: value for name, value in da.attrs.items() if name != "units"}
    out = da.copy(data=quantity(da.data, da.attrs["units"]))
    out.attrs = attrs
    return out


def requantify_axes(ds: xr.Dataset, like: xr.Dataset | xr.DataArray) -> xr.Dataset:
    """Give coordinates of the same name the units, and the index, that those of `like` have."""
    for name, coord in like.coords.items():
        if name in ds.coords and is_quantified(coord):
            index = {name: like.xindexes[name]} if name in like.xindexes else {}
            axis = xr.Coordinates({name: coord.variable}, indexes=index)
            ds = ds.drop_vars(str(name)).assign_coords(axis)
    return ds


def same_dimension(unit: str, other: str) -> bool:
    """Whether one unit can be converted to the other."""
    a, b = parse(unit), parse(other)
    return bool(a.dimensionality == b.dimensionality) and not _mixes_salinities(a, b)


def _mixes_salinities(a: Any, b: Any) -> bool:
    """Whether practical salinity meets another number: 35 psu are not 35 g/kg, nor 0.035."""
    psu, one = parse("psu"), parse("1")
    return a != b and psu in (a, b) and one not in (a, b)


@lru_cache(maxsize=256)
def conversion(unit: str, target: str) -> tuple[float, float]:
    """Slope and offset that take values in `unit` to `target`.

    Raises
    ------
    InputError
        If the dimensions differ; both are named.

    Examples
    --------
    >>> slope, offset = conversion("K", "degC")
    >>> round(slope * 300 + offset, 2)
    26.85
    """
    a, b = parse(unit), parse(target)
    if a == b:
        return 1.0, 0.0
    if a.dimensionality != b.dimensionality:
        raise InputError(
            f"unit {unit!r} ({a.dimensionality}) cannot be converted to "
            f"{target!r} ({b.dimensionality})"
        )
    if _mixes_salinities(a, b):
        raise InputError(
            f"unit {unit!r} cannot be converted to {target!r}: practical salinity has no unit; "
            "use gsw.SP_from_SA or gsw.SA_from_SP; if these values are practical salinity all "
            "the same, scale them to 35 in the open ocean and set units='psu'"
        )
    if parse("psu") in (a, b):
        return 1.0, 0.0  # CF writes practical salinity with unit 1
    quantity = registry().Quantity
    # two points define the line; offset units (degC) have no factor of their own
    zero, one = (float(quantity(x, a).to(b).magnitude) for x in (0.0, 100.0))
    return (one - zero) / 100.0, zero


def convert(values: Any, unit: str, target: str) -> Any:
    """Convert absolute values (temperatures, depths); no copy where nothing changes."""
    slope, offset = conversion(unit, target)
    return values if (slope, offset) == (1.0, 0.0) else values * slope + offset


def convert_difference(values: Any, unit: str, target: str) -> Any:
    """Convert differences and standard deviations: the offset does not enter."""
    slope, _ = conversion(_without_delta(unit), _without_delta(target))
    return values if slope == 1.0 else values * np.abs(slope)


def _without_delta(unit: str) -> str:
    """Unit of the absolute values that a unit of differences belongs to."""
    return unit.removeprefix("delta_").removeprefix("Δ")


def difference_unit(unit: str) -> str:
    """Unit of differences and standard deviations of values in `unit`.

    Examples
    --------
    >>> difference_unit("degC"), difference_unit("psu")
    ('K', 'psu')
    """
    slope, offset = conversion(unit, "K") if same_dimension(unit, "K") else (None, 0.0)
    if offset == 0.0:
        return unit
    return "K" if slope == 1.0 else f"delta_{unit}"
