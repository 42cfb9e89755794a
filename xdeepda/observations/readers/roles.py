"""Which variable of a netCDF file is what, by the attributes of the CF conventions.

Attributes decide; names only where there are none, and only exact ones.  Air
temperature is no sea temperature, whatever its variable is called.  Knows
attributes and names; it reads no values.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import xarray as xr

from xdeepda.errors import InputError
from xdeepda.observations.quantities import STANDARD_NAMES, kind_of
from xdeepda.observations.readers.base import NothingMeasured
from xdeepda.observations.readers.decode import has_time_units
from xdeepda.observations.readers.rows import SALINITY, SURFACE, TEMPERATURE

#: Names (lower case) that are in use beside those of ``kind_of`` where no standard name is given.
_MORE_NAMES = {
    "t_20": TEMPERATURE, "s_41": SALINITY, "t_25": SURFACE, "analysed_sst": SURFACE,
    "sea_surface_temperature": SURFACE, "temperature0": TEMPERATURE, "sal00": SALINITY,
    "ctd_temperature": TEMPERATURE, "ctd_salinity": SALINITY, "ctdsal": SALINITY,
    "ctdtmp": TEMPERATURE, "sea_water_temperature": TEMPERATURE,
    "potential_temperature": TEMPERATURE, "conservative_temperature": TEMPERATURE,
    "practical_salinity": SALINITY, "absolute_salinity": SALINITY, "wtmp": SURFACE,
}  # fmt: skip

_POTENTIAL = {"sea_water_potential_temperature", "thetao", "theta", "potemp", "ptemp", "pottmp",
              "votemper", "potential_temperature"}  # fmt: skip
_CONSERVATIVE = {"sea_water_conservative_temperature", "bigthetao", "conservative_temperature"}
_ABSOLUTE = {"sea_water_absolute_salinity", "absolute_salinity"}

_DEPTHS = {"depth", "altitude", "height", "height_above_sea_level", "height_above_mean_sea_level"}
_PRESSURES = {
    "sea_water_pressure", "sea_water_pressure_due_to_sea_water", "sea_water_gauge_pressure",
}  # fmt: skip
_DEPTH_NAMES = ("depth", "deph", "z", "depth_reading", "nominal_depth", "lev", "level", "zlev")
_HEIGHT_NAMES = ("altitude", "alt", "height")
_TIME_NAMES = ("time", "juld", "date", "obs_time")
_PRESSURE_NAMES = ("pressure", "pres", "press")
#: Standard names of vertical coordinates that are neither, and what to do about them.
_PARAMETRIC = "ocean_s_coordinate", "ocean_sigma", "ocean_double_sigma", "atmosphere"

_LENGTHS = {"m", "meter", "meters", "metre", "metres", "me", "m."}
_LAT_UNITS = {"degrees_north", "degree_north", "degrees_n", "degree_n", "degreen", "degreesn"}
_LON_UNITS = {"degrees_east", "degree_east", "degrees_e", "degree_e", "degreee", "degreese"}


@dataclass
class Roles:
    """Names of the variables of a file.

    Attributes
    ----------
    temperature, salinity, surface : str or None
        Measured variables.
    others : list of str
        Further temperatures and salinities, that are left out.
    time, latitude, longitude : list of str
        Candidates, the best first.
    depth, pressure : list of str
        Vertical coordinates, the best first.
    """

    temperature: str | None = None
    salinity: str | None = None
    surface: str | None = None
    others: list[str] = field(default_factory=list)
    time: list[str] = field(default_factory=list)
    latitude: list[str] = field(default_factory=list)
    longitude: list[str] = field(default_factory=list)
    depth: list[str] = field(default_factory=list)
    pressure: list[str] = field(default_factory=list)

    @property
    def fields(self) -> list[str]:
        """Measured variables."""
        return [n for n in (self.temperature, self.salinity, self.surface) if n is not None]


def attribute(ds: xr.Dataset, name: str, key: str) -> str:
    """Attribute of a variable in lower case, empty where there is none."""
    return str(ds[name].attrs.get(key, "")).strip().lower()


def quantity_of(ds: xr.Dataset, name: str) -> str | None:
    """What a variable measures: ``thetao``, ``so``, ``tos`` or None.

    Returns
    -------
    str or None
    """
    standard = attribute(ds, name, "standard_name")
    lower = name.lower()
    if lower.endswith(("_bnds", "_bounds", "_qc", "_error", "_adjusted", "_flag")):
        return None
    if " " in standard or "status_flag" in standard or ds[name].dtype.kind not in "iuf":
        return None
    if "anomaly" in standard:
        return None
    if standard in STANDARD_NAMES:
        if standard == "surface_temperature" or standard.startswith("sea_surface"):
            return SALINITY if STANDARD_NAMES[standard] == "salinity" else SURFACE
        return TEMPERATURE if STANDARD_NAMES[standard] == "temperature" else SALINITY
    if standard:
        return None
    if lower in _MORE_NAMES:
        return _MORE_NAMES[lower]
    kind = kind_of(lower)
    if kind == "temperature":
        return SURFACE if lower in ("sst", "tos") else TEMPERATURE
    return SALINITY if kind == "salinity" else None


def temperature_kind(ds: xr.Dataset, name: str) -> str:
    """Definition of a temperature: in-situ, potential or conservative."""
    for text in (attribute(ds, name, "standard_name"), name.lower()):
        if text in _POTENTIAL:
            return "potential"
        if text in _CONSERVATIVE:
            return "conservative"
        if text in STANDARD_NAMES:
            return "in-situ"
    return "in-situ"


def salinity_kind(ds: xr.Dataset, name: str) -> str:
    """Definition of a salinity: practical or absolute."""
    named = {attribute(ds, name, "standard_name"), name.lower()}
    return "absolute" if named & _ABSOLUTE else "practical"


def find_measured(ds: xr.Dataset) -> Roles:
    """Temperatures and salinities of a Dataset.

    In-situ temperature comes before others, and of several alike the first.

    Raises
    ------
    NothingMeasured
        Naming what was looked at.
    """
    roles = Roles()
    found: dict[str, list[str]] = {TEMPERATURE: [], SALINITY: [], SURFACE: []}
    for name in ds.variables:
        quantity = quantity_of(ds, str(name))
        if quantity is not None:
            found[quantity].append(str(name))
    # what has most dimensions is the measurement; a setting or a mean has fewer
    for names in found.values():
        names.sort(key=lambda n: (-ds[n].ndim, temperature_kind(ds, n) != "in-situ"))
    roles.temperature = next(iter(found[TEMPERATURE]), None)
    roles.surface = next(iter(found[SURFACE]), None)
    roles.salinity = next(iter(found[SALINITY]), None)
    dims = [set(ds[n].dims) for n in roles.fields]
    if roles.temperature and roles.surface and dims[0] != set(ds[roles.surface].dims):
        found[SURFACE].insert(0, roles.surface)
        roles.surface = None
    if roles.temperature and roles.salinity and dims[0] != set(ds[roles.salinity].dims):
        same = [n for n in found[SALINITY] if set(ds[n].dims) == dims[0]]
        roles.salinity = same[0] if same else None
    roles.others = [n for names in found.values() for n in names if n not in roles.fields]
    if not roles.fields:
        raise NothingMeasured(_nothing(ds))
    return roles


def _nothing(ds: xr.Dataset) -> str:
    """Sentence on what is there in place of temperature and salinity."""
    alike = [
        f"{n} is {ds[n].attrs['standard_name']}"
        for n in map(str, ds.variables)
        if kind_of(n) and ds[n].attrs.get("standard_name")
    ]
    rest = [str(n) for n in ds.data_vars if ds[n].dtype.kind == "f"][:12]
    told = "; ".join(alike) if alike else f"variables {rest}"
    return f"holds no temperature and no salinity of the sea: {told}"


def find_positions(ds: xr.Dataset, roles: Roles) -> Roles:
    """Time and place of the measured variables; adds to `roles`.

    Raises
    ------
    InputError
        If there is no time, latitude or longitude, or the vertical coordinate
        is one that cannot be converted.
    """
    bounds = {str(v.attrs.get("bounds")) for v in ds.variables.values()}
    names = [str(n) for n in ds.variables if str(n) not in bounds and str(n) not in roles.fields]
    listed = {n for f in roles.fields for n in attribute(ds, f, "coordinates").split()}
    for name in names:
        role = _role(ds, name)
        if role is not None:
            getattr(roles, role).append(name)
    dims = set(ds[roles.fields[0]].dims)
    for role in ("time", "latitude", "longitude", "depth", "pressure"):
        getattr(roles, role).sort(
            key=lambda n: (
                -len(dims & set(ds[n].dims)),
                n.lower() not in listed and bool(listed),
                attribute(ds, n, "axis") == "",
            )
        )
    _refuse_missing(ds, roles, names)
    return roles


def _refuse_missing(ds: xr.Dataset, roles: Roles, names: Iterable[str]) -> None:
    """Errors of positions that are missing or of no use."""
    for role in ("time", "latitude", "longitude"):
        if not getattr(roles, role):
            raise InputError(
                f"the file holds no {role} (looked for standard_name, units, axis and exact names "
                f"among {list(names)[:20]})"
            )
    if roles.depth or roles.pressure:
        return
    for name in names:
        standard = attribute(ds, name, "standard_name")
        if standard.startswith(_PARAMETRIC):
            raise InputError(
                f"the vertical coordinate {name!r} is {standard}; convert it to metres first"
            )
    if roles.temperature or roles.salinity:
        axis = [n for n in names if attribute(ds, n, "axis") == "z"]
        told = f"; {axis[0]!r} has axis Z but no unit of length or pressure" if axis else ""
        raise InputError(f"the file holds neither depth nor pressure{told}")


def _role(ds: xr.Dataset, name: str) -> str | None:
    """Role of one variable: time, latitude, longitude, depth, pressure or none."""
    standard, units = attribute(ds, name, "standard_name"), attribute(ds, name, "units")
    if ds[name].dtype.kind in "SUOb" and not has_time_units(ds[name]):
        return None
    if standard == "time" or (has_time_units(ds[name]) and _is_time(ds, name)):
        return "time" if has_time_units(ds[name]) else None
    if standard in ("latitude", "longitude"):
        return standard
    if not standard and units in _LAT_UNITS:
        return "latitude"
    if not standard and units in _LON_UNITS:
        return "longitude"
    if standard in _PRESSURES:
        return "pressure"
    lengths = units in _LENGTHS
    if standard in _DEPTHS:
        return "depth" if lengths or not units else None
    if standard:
        return None
    return _role_by_name(name.lower(), units, lengths, attribute(ds, name, "axis"))


def _is_time(ds: xr.Dataset, name: str) -> bool:
    """Whether a variable that counts time is the time of the measurement."""
    return attribute(ds, name, "axis") == "t" or name.lower() in _TIME_NAMES


def _role_by_name(lower: str, units: str, lengths: bool, axis: str) -> str | None:
    """Role by the exact name, or by axis and unit."""
    if lower in _DEPTH_NAMES + _HEIGHT_NAMES and (lengths or not units):
        return "depth"
    if lower in _PRESSURE_NAMES and ("bar" in units or not units):
        return "pressure"
    if axis == "z" and lengths:
        return "depth"
    if axis == "z" and units in ("dbar", "decibar", "decibars"):
        return "pressure"
    if lower in ("lat", "latitude") and units in ("", "degrees", "degree"):
        return "latitude"
    if lower in ("lon", "longitude") and units in ("", "degrees", "degree"):
        return "longitude"
    return None


def points_up(ds: xr.Dataset, name: str) -> bool:
    """Whether a vertical coordinate counts upwards: ``positive``, else its standard name."""
    positive = attribute(ds, name, "positive")
    if positive in ("up", "down"):
        return positive == "up"
    return (attribute(ds, name, "standard_name") in _DEPTHS - {"depth"}
            or name.lower() in _HEIGHT_NAMES)  # fmt: skip


def in_decibars(ds: xr.Dataset, name: str) -> float:
    """Factor that takes a pressure to decibars.

    Raises
    ------
    InputError
        If its unit is none of pressure.
    """
    units = attribute(ds, name, "units")
    factors: dict[str, Any] = {
        "": 1.0, "dbar": 1.0, "dbars": 1.0, "decibar": 1.0, "decibars": 1.0, "db": 1.0,
        "bar": 10.0, "pa": 1e-4, "pascal": 1e-4, "hpa": 1e-2, "kpa": 1e-1, "mbar": 1e-2,
    }  # fmt: skip
    if units not in factors:
        raise InputError(f"pressure {name!r} has units {units!r}; expected such as dbar")
    return float(factors[units])
