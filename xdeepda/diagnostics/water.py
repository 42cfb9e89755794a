"""Properties of sea water by TEOS-10: the one place of the diagnostics that asks gsw.

Temperature is turned into conservative temperature and salinity into absolute salinity
(IOC, SCOR and IAPSO 2010, The international thermodynamic equation of seawater - 2010).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr

from xdeepda import units as unit_tools
from xdeepda.diagnostics.fields import Field, look
from xdeepda.errors import Problems
from xdeepda.observations.quantities import SALINITY

#: J kg-1 K-1; potential enthalpy is exactly this times conservative temperature (TEOS-10, 3.3.3).
CP0 = 3991.86795711963

#: g/kg; absolute salinity of the standard ocean, of practical salinity 35.
STANDARD_SALINITY = 35.16504

#: m s-2; the gravity by which dynamic height is divided (gsw_grav at 45 degrees is 9.806).
GRAVITY = 9.7963

_KINDS = ("potential", "conservative", "in-situ")
_BY_STANDARD_NAME = {
    "sea_water_potential_temperature": "potential",
    "sea_water_conservative_temperature": "conservative",
    "sea_water_temperature": "in-situ",
}
_BY_NAME = {
    **dict.fromkeys(("thetao", "theta", "potemp", "ptemp", "pottmp", "votemper"), "potential"),
    "bigthetao": "conservative",
}


def temperature_kind(field: Field, given: str | None, problems: Problems) -> str | None:
    """Which temperature a field holds: by the argument, its standard name, else its name."""
    if given is not None:
        if given in _KINDS:
            return given
        problems.add(f"temperature={given!r} is not known", expected=f"one of {_KINDS}")
        return None
    standard = str(field.array.attrs.get("standard_name", ""))
    kind = _BY_STANDARD_NAME.get(standard) or _BY_NAME.get(field.name.lower())
    if kind is None:
        problems.add(
            f"which temperature {field.name!r} holds is not clear",
            found=f"standard_name {standard!r}",
            expected="that of potential, conservative or in-situ temperature",
            todo="set its standard_name, or say temperature='potential' (or 'conservative', "
            "'in-situ')",
        )
    return kind


def salinity_of(field: Field, name: str | None, problems: Problems) -> Field | None:
    """Salinity beside a temperature, on the same grid, or a problem."""
    if isinstance(field.original, xr.DataArray):
        problems.add(
            "salinity is missing", found="a DataArray", todo="give a Dataset that holds both"
        )
        return None
    salinity = look(field.original, name, problems, kind=SALINITY)
    if salinity is None:
        return None
    told = field.grid.differences(salinity.grid)
    if told:
        problems.add(
            f"{salinity.name!r} is on another grid than {field.name!r}", found="; ".join(told)
        )
        return None
    # coordinates that are the same but for rounding must not be taken for others
    same = {d: field.values[d] for d in field.grid.dims}
    return replace(
        salinity,
        values=salinity.values.assign_coords(same),
        layout=replace(salinity.layout, grid=field.grid),
    )


def levels_of(field: Field) -> np.ndarray:
    """Depths in metres of a field that has some."""
    assert field.grid.depth is not None
    return field.grid.depth


def pressure_of(field: Field, depth: Any = None) -> xr.DataArray:
    """Pressure in dbar at depths (the levels by default), by latitude where there is one."""
    import gsw

    levels = levels_of(field) if depth is None else np.asarray(depth, dtype=float)
    z = xr.DataArray(-levels, dims="depth", coords={"depth": levels})
    if field.grid.lat is None:
        # the gravity of 45 degrees: half a percent from end to end
        return z.copy(data=gsw.p_from_z(-levels, 45.0))
    lat = xr.DataArray(field.grid.lat, dims="lat", coords={"lat": field.grid.lat})
    return xr.apply_ufunc(gsw.p_from_z, z, lat)


def pressure_slope(field: Field) -> xr.DataArray:
    """Pa per metre at the levels: gravity times the density of the standard ocean."""
    here, below = pressure_of(field), pressure_of(field, levels_of(field) + 0.5)
    return here.copy(data=(below.values - here.values) * 2e4)


def absolute_salinity(field: Field | None, pressure: xr.DataArray) -> xr.DataArray | float:
    """Absolute salinity in g/kg; that of the standard ocean where no salinity is given.

    Practical salinity is converted with the composition anomaly of the atlas of TEOS-10
    where latitude and longitude are known, else with that of the standard ocean.
    """
    if field is None:
        return STANDARD_SALINITY
    if field.array.attrs.get("standard_name") == "sea_water_absolute_salinity":
        return unit_tools.convert(field.values.astype(np.float64), field.unit, "g/kg")
    practical = field.in_unit("psu")
    grid = field.grid
    if grid.lat is None or grid.lon is None:
        return practical * (STANDARD_SALINITY / 35)
    import gsw

    lon = xr.DataArray(grid.lon, dims="lon", coords={"lon": grid.lon})
    lat = xr.DataArray(grid.lat, dims="lat", coords={"lat": grid.lat})
    out = _each(gsw.SA_from_SP, practical, pressure, lon, lat)
    # the atlas has no value far from its sea
    return out.fillna(practical * (STANDARD_SALINITY / 35))


def conservative_temperature(
    field: Field, kind: str, salinity: xr.DataArray | float, pressure: xr.DataArray
) -> xr.DataArray:
    """Conservative temperature in degrees Celsius."""
    import gsw

    celsius = field.in_unit("degC")
    if kind == "conservative":
        return celsius
    if kind == "potential":
        return _each(gsw.CT_from_pt, salinity, celsius)
    return _each(gsw.CT_from_t, salinity, celsius, pressure)


def salinity_from(field: Field, absolute: xr.DataArray, pressure: xr.DataArray) -> xr.DataArray:
    """Salinity as a field holds it, from absolute salinity: inverse of absolute_salinity."""
    if field.array.attrs.get("standard_name") == "sea_water_absolute_salinity":
        return unit_tools.convert(absolute, "g/kg", field.unit)
    grid, practical = field.grid, absolute * (35 / STANDARD_SALINITY)
    if grid.lat is not None and grid.lon is not None:
        import gsw

        lon = xr.DataArray(grid.lon, dims="lon", coords={"lon": grid.lon})
        lat = xr.DataArray(grid.lat, dims="lat", coords={"lat": grid.lat})
        practical = _each(gsw.SP_from_SA, absolute, pressure, lon, lat).fillna(practical)
    return unit_tools.convert(practical, "psu", field.unit)


def temperature_from(
    field: Field,
    kind: str,
    conservative: xr.DataArray,
    salinity: xr.DataArray | float,
    pressure: xr.DataArray,
) -> xr.DataArray:
    """Temperature as a field holds it: inverse of conservative_temperature."""
    import gsw

    celsius = conservative
    if kind == "potential":
        celsius = _each(gsw.pt_from_CT, salinity, conservative)
    elif kind == "in-situ":
        celsius = _each(gsw.t_from_CT, salinity, conservative, pressure)
    return unit_tools.convert(celsius, "degC", field.unit)


def density(salinity: Any, temperature: xr.DataArray, pressure: Any) -> xr.DataArray:
    """Density in kg m-3 at a pressure in dbar."""
    import gsw

    return _each(gsw.rho, salinity, temperature, pressure)


def specific_volume_anomaly(salinity: Any, temperature: Any, pressure: Any) -> xr.DataArray:
    """Specific volume less that of water of 35.165 g/kg and 0 degrees, in m³ kg-1."""
    import gsw

    return _each(gsw.specvol_anom_standard, salinity, temperature, pressure)


def _each(function: Any, *arrays: Any) -> xr.DataArray:
    """Apply a function of gsw to each element, lazily where an argument is."""
    out: xr.DataArray = xr.apply_ufunc(
        function, *arrays, dask="parallelized", output_dtypes=[np.float64], join="exact"
    )
    return out.transpose(*max((a.dims for a in arrays if isinstance(a, xr.DataArray)), key=len))
