"""Finding the columns of point observations in xarray objects.

Columns are found by CF attributes first (standard names, units of latitude and
longitude), then by a short list of exact names, which is said in the log; never
by a part of a name.  What is missing or ambiguous becomes a problem; pandas is
read in :mod:`xdeepda.observations.frames`, and the numbers themselves are
checked in :mod:`xdeepda.observations.table`.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xarray as xr

from xdeepda import units as unit_tools
from xdeepda.errors import InputError, Problems
from xdeepda.observations.quantities import STANDARD_NAMES, kind_of

logger = logging.getLogger("xdeepda")

#: Optional columns that name where a datum comes from.
TEXT = ("platform", "profile", "instrument", "source", "error_kind")
#: Optional columns of quality control: flag and, in words, the reason of a bad one.
QUALITY = ("qc", "reason")

Units = str | Mapping[str, str] | None
Var = str | Sequence[str] | None

#: Role -> exact names, lower case.
ROLE_NAMES = {
    "time": {"time", "juld", "date", "datetime"},
    "depth": {"depth", "deph"},
    "pressure": {"pressure", "pres"},
    "latitude": {"latitude", "lat"},
    "longitude": {"longitude", "lon"},
}
_ROLE_OF_STANDARD_NAME = {
    "time": "time",
    "depth": "depth",
    "height": "depth",
    "altitude": "depth",
    "sea_water_pressure": "pressure",
    "latitude": "latitude",
    "longitude": "longitude",
}
_LATITUDE_UNITS = {"degrees_north", "degree_north", "degrees_n", "degree_n"}
_LONGITUDE_UNITS = {"degrees_east", "degree_east", "degrees_e", "degree_e"}
_TEXT_ATTRIBUTES = {
    ("standard_name", "platform_id"): "platform",
    ("standard_name", "platform_name"): "platform",
    ("cf_role", "timeseries_id"): "platform",
    ("cf_role", "trajectory_id"): "platform",
    ("cf_role", "profile_id"): "profile",
}


@dataclass
class Rows:
    """Columns of a table in the making, all of the same length; None is a missing one.

    Attributes
    ----------
    code : numpy.ndarray of int16
        Position of the variable of each row in `names`.
    units, standard_names : dict
        By variable.
    qc : numpy.ndarray of int8
        Flags as :mod:`xdeepda.observations.flags` lists them.
    """

    value: np.ndarray | None = None
    error: np.ndarray | None = None
    code: np.ndarray | None = None
    names: list[str] = field(default_factory=list)
    units: dict[str, str] = field(default_factory=dict)
    standard_names: dict[str, str] = field(default_factory=dict)
    time: np.ndarray | None = None
    depth: np.ndarray | None = None
    latitude: np.ndarray | None = None
    longitude: np.ndarray | None = None
    text: dict[str, np.ndarray] = field(default_factory=dict)
    qc: np.ndarray | None = None
    reason: np.ndarray | None = None


def encode(names: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Codes of a column of few different names, without sorting it.

    Parameters
    ----------
    names : numpy.ndarray of str or object, shape (n,)

    Returns
    -------
    codes : numpy.ndarray of int16, shape (n,)
    names : list of str, in the order of their first appearance
    """
    codes = np.full(names.shape, -1, dtype=np.int16)
    found: list[str] = []
    start = 0
    while True:
        rest = codes[start:] < 0
        if not rest.any():
            return codes, found
        start += int(np.argmax(rest))
        codes[names == names[start]] = len(found)
        found.append(str(names[start]))


def is_table(obj: Any) -> bool:
    """Whether an object has the form of the table: columns value and variable."""
    return isinstance(obj, xr.Dataset) and {"value", "variable"} <= set(map(str, obj.variables))


def is_points(obj: xr.Dataset | xr.DataArray) -> bool:
    """Whether these are measurements along one dimension, with positions beside them."""
    if is_table(obj):
        return True
    ds = obj if isinstance(obj, xr.Dataset) else obj.to_dataset(name="value")
    roles = find_roles(ds, Problems("inspect"))
    where = [ds[roles[r]] for r in ("latitude", "longitude") if r in roles]
    return len(where) == 2 and all(w.ndim == 1 and w.name not in ds.dims for w in where)


def role_of(name: str, attrs: Mapping[str, Any]) -> str | None:
    """Role of a variable by its CF attributes alone."""
    standard = str(attrs.get("standard_name", ""))
    if standard in _ROLE_OF_STANDARD_NAME:
        return _ROLE_OF_STANDARD_NAME[standard]
    unit = str(attrs.get("units", "")).lower()
    if unit in _LATITUDE_UNITS:
        return "latitude"
    if unit in _LONGITUDE_UNITS:
        return "longitude"
    return "time" if str(attrs.get("axis", "")) == "T" else None


def find_roles(ds: xr.Dataset, problems: Problems | None = None) -> dict[str, str]:
    """Variables of a Dataset that are positions: role -> name, by attributes, then exact names."""
    own = problems if problems is not None else Problems("observations")
    bounds = {str(v.attrs.get("bounds")) for v in ds.variables.values()}
    by_attribute: dict[str, list[str]] = {}
    by_name: dict[str, list[str]] = {}
    for name, variable in ds.variables.items():
        if str(name) in bounds:
            continue
        role = role_of(str(name), variable.attrs)
        if role is not None:
            by_attribute.setdefault(role, []).append(str(name))
        for guess, names in ROLE_NAMES.items():
            if role is None and str(name).lower() in names:
                by_name.setdefault(guess, []).append(str(name))
    found = {}
    for role in ROLE_NAMES:
        names_found = by_attribute.get(role) or by_name.get(role) or []
        if len(names_found) > 1:
            own.add(
                f"several variables could be the {role}",
                found=", ".join(map(repr, names_found)),
                todo="drop all but one, or give one alone the attribute standard_name="
                + repr("sea_water_pressure" if role == "pressure" else role),
            )
        if names_found:
            found[role] = names_found[0]
            if role not in by_attribute:
                logger.info("%s of the observations is %r, by its name", role, names_found[0])
    return found


def rows_of_dataset(ds: xr.Dataset, var: Var, units: Units, problems: Problems) -> Rows:
    """Columns of a Dataset along one dimension."""
    ds = _plain(ds)
    roles = find_roles(ds, problems)
    if is_table(ds):
        fields, long_form = ["value"], True
    else:
        fields, long_form = _measured(ds, var, roles, problems), False
    dims = {str(d) for name in fields for d in ds[name].dims}
    if not fields or len(dims) > 1:
        if len(dims) > 1:
            problems.add(
                "the observations lie along several dimensions",
                found=", ".join(repr(str(d)) for n in fields[:1] for d in ds[n].dims),
                expected="one dimension along which every row is a measurement",
                todo="ds.stack(obs=[...]).reset_index('obs') with these dimensions",
            )
        return Rows()
    size = ds.sizes[dims.pop()] if dims else 1
    rows = _positions(ds, roles, size, len(fields), problems)
    if long_form:
        _read_long(ds, var, units, size, rows, problems)
    else:
        _read_wide(ds, fields, units, size, rows, problems)
        surface_depth(rows, size * len(fields), problems)
    return rows


def _plain(ds: xr.Dataset) -> xr.Dataset:
    """Without Quantities; those of positions, too, carry their unit in the attributes."""
    positions = {
        name: (coord.dims, coord.variable._data.magnitude, {"units": unit_tools.unit_of(coord)})
        for name, coord in ds.coords.items()
        if unit_tools.is_quantified(coord)
    }
    attrs = {name: ds[name].attrs for name in positions}
    plain = unit_tools.dequantify(ds.drop_vars(list(positions)))
    assert isinstance(plain, xr.Dataset)
    return plain.assign_coords(
        {n: (dims, data, {**attrs[n], **unit}) for n, (dims, data, unit) in positions.items()}
    )


def _measured(ds: xr.Dataset, var: Var, roles: Mapping[str, str], problems: Problems) -> list[str]:
    """Names of the measured variables of a Dataset."""
    others = [str(n) for n in ds.data_vars if n not in roles.values()]
    standard = {n: str(ds[n].attrs.get("standard_name", "")) for n in others}
    if var is not None:
        wanted = [var] if isinstance(var, str) else list(var)
        found = [[n for n in others if w in (n, standard[n])] for w in wanted]
        for name, hits in zip(wanted, found, strict=True):
            if len(hits) != 1:
                problems.add(
                    f"variable {name!r} is {'ambiguous' if hits else 'not'} in the observations",
                    found=f"{hits or others}",
                )
        return [hits[0] for hits in found if len(hits) == 1]
    fields = [n for n in others if standard[n] in STANDARD_NAMES]
    if not fields:
        fields = [n for n in others if kind_of(n)] or (others if len(others) == 1 else [])
        logger.info("measured variables, by their names: %s", fields)
    if not fields:
        problems.add("no measured variable is recognised", found=f"{others}", todo="var='...'")
    kinds = [standard[n] or kind_of(n) for n in fields]
    for kind in {k for k in kinds if kinds.count(k) > 1}:
        problems.add(
            f"several variables are {kind}",
            found=", ".join(n for n, k in zip(fields, kinds, strict=True) if k == kind),
            todo="choose with var=...",
        )
    return fields


def _column(ds: xr.Dataset, name: str, size: int, repeat: int, problems: Problems) -> Any:
    """Values of a one-dimensional or scalar variable, repeated for each measured variable."""
    values = np.asarray(ds[name].values)
    if values.ndim > 1 or (values.ndim == 1 and values.size != size):
        problems.add(
            f"variable {name!r} does not lie along the dimension of the observations",
            found=f"{dict(ds[name].sizes)}",
            expected=f"{size} values",
        )
        return None
    values = np.broadcast_to(values, (size,))
    return np.tile(values, repeat) if repeat > 1 else values


def _positions(
    ds: xr.Dataset, roles: Mapping[str, str], size: int, repeat: int, problems: Problems
) -> Rows:
    """Rows with time, depth, latitude, longitude and the text columns."""
    rows = Rows()
    for role in ("time", "latitude", "longitude"):
        if role not in roles:
            problems.add(
                f"no {role} found",
                found=f"variables {sorted(map(str, ds.variables))}",
                expected=f"standard_name={role!r}, or a name of {sorted(ROLE_NAMES[role])}",
            )
            continue
        setattr(rows, role, _column(ds, roles[role], size, repeat, problems))
    for role in ("latitude", "longitude"):
        unit = unit_tools.unit_of(ds[roles[role]]) if role in roles else None
        if unit in ("radian", "radians", "rad") and getattr(rows, role) is not None:
            setattr(rows, role, np.rad2deg(getattr(rows, role)))
    rows.depth = _depth(ds, roles, size, repeat, rows.latitude, problems)
    for name, variable in ds.variables.items():
        for (attribute, content), column in _TEXT_ATTRIBUTES.items():
            if variable.attrs.get(attribute) == content and variable.ndim <= 1:
                rows.text.setdefault(column, _column(ds, str(name), size, repeat, problems))
        if str(name).lower() in TEXT and variable.ndim <= 1:
            rows.text[str(name).lower()] = _column(ds, str(name), size, repeat, problems)
    for name in QUALITY:
        if name in ds.variables:
            setattr(rows, name, _column(ds, name, size, repeat, problems))
    return rows


def _depth(
    ds: xr.Dataset,
    roles: Mapping[str, str],
    size: int,
    repeat: int,
    lat: np.ndarray | None,
    problems: Problems,
) -> np.ndarray | None:
    """Depth in metres, positive down, from a depth, height or pressure; None if there is none."""
    role = "depth" if "depth" in roles else "pressure"
    if role not in roles:
        return None
    da = ds[roles[role]]
    unit = unit_tools.unit_of(da)
    values = _column(ds, roles[role], size, repeat, problems)
    target = "m" if role == "depth" else "dbar"
    if unit is None:
        problems.add(
            f"{role} {da.name!r} has no units",
            expected=f"such as {target}",
            todo=f"obs[{da.name!r}].attrs['units'] = {target!r}",
        )
        return np.full(size * repeat, np.nan)
    try:
        values = unit_tools.convert(np.asarray(values, dtype=float), unit, target)
    except (InputError, TypeError, ValueError) as error:
        problems.add(f"{role} {da.name!r} is not in {target}", found=f"units {unit!r}: {error}")
        return np.full(size * repeat, np.nan)
    up = str(da.attrs.get("positive", "")).lower() == "up"
    if role == "pressure":
        import gsw

        return -np.asarray(gsw.z_from_p(values, 0.0 if lat is None else lat))
    if up or (
        da.attrs.get("standard_name") in ("height", "altitude") and "positive" not in da.attrs
    ):
        values = -values
    return values


def _read_wide(
    ds: xr.Dataset,
    fields: Sequence[str],
    units: Units,
    size: int,
    rows: Rows,
    problems: Problems,
) -> None:
    """Values and errors of one column per variable, one below the other."""
    values, errors = [], []
    for name in fields:
        attrs = ds[name].attrs
        unit = unit_for(name, units, len(fields)) or unit_tools.unit_of(ds[name])
        if unit is not None:
            rows.units[name] = unit
        rows.standard_names[name] = str(attrs.get("standard_name", ""))
        values.append(numbers(_column(ds, name, size, 1, problems), name, problems))
        errors.append(_error_column(ds, name, unit, size, len(fields) == 1, problems))
    rows.names = list(fields)
    rows.value, rows.error = np.concatenate(values), np.concatenate(errors)
    rows.code = np.repeat(np.arange(len(fields), dtype=np.int16), size)


def _error_column(
    ds: xr.Dataset, name: str, unit: str | None, size: int, alone: bool, problems: Problems
) -> np.ndarray:
    """Error of a variable in the unit of the variable, NaN where none is given."""
    wanted = f"{ds[name].attrs.get('standard_name', name)} standard_error"
    hits = [str(n) for n, v in ds.variables.items() if v.attrs.get("standard_name") == wanted]
    hits += [n for n in (f"{name}_error", "error" if alone else "") if n in ds.variables]
    if not hits:
        return np.full(size, np.nan)
    values = numbers(_column(ds, hits[0], size, 1, problems), hits[0], problems)
    own = unit_tools.unit_of(ds[hits[0]])
    if own is None or unit is None:
        return values
    try:
        return np.asarray(unit_tools.convert_difference(values, own, unit))
    except InputError as error:
        problems.add(f"the units of error {hits[0]!r} do not fit {name!r}", found=str(error))
        return values


def _read_long(
    ds: xr.Dataset, var: Var, units: Units, size: int, rows: Rows, problems: Problems
) -> None:
    """Values of one column with the name of the variable beside it."""
    rows.value = numbers(_column(ds, "value", size, 1, problems), "value", problems)
    names = _column(ds, "variable", size, 1, problems)
    if names is None:
        return
    rows.code, rows.names = encode(names)
    if "error" in ds.variables:
        rows.error = numbers(_column(ds, "error", size, 1, problems), "error", problems)
    attrs = ds["value"].attrs
    for name in rows.names:
        unit = unit_for(name, units, len(rows.names)) or attrs.get(f"units_{name}")
        unit = unit or (attrs.get("units") if len(rows.names) == 1 else None)
        if unit:
            rows.units[name] = str(unit)
        rows.standard_names[name] = str(attrs.get(f"standard_name_{name}", ""))
    select(rows, var, problems)


def unit_for(name: str, units: Units, variables: int) -> str | None:
    """Unit that the user gave for a variable; a single one serves a single variable only."""
    if isinstance(units, Mapping):
        return units.get(name)
    return units if variables == 1 else None


def numbers(values: Any, name: str, problems: Problems) -> np.ndarray:
    """A copy as float64, NaN with a problem where these are no numbers."""
    try:
        return np.array(values, dtype=np.float64)
    except (TypeError, ValueError):
        problems.add(
            f"column {name!r} holds no numbers",
            found=f"type {getattr(values, 'dtype', type(values).__name__)}",
        )
        return np.full(np.size(values), np.nan)


def surface_depth(rows: Rows, size: int, problems: Problems) -> None:
    """Depth where there is no column: 0 for quantities of the surface, else a problem."""
    if rows.depth is not None or not rows.names:
        return
    at_surface = [
        rows.standard_names.get(n, "").startswith(("sea_surface_", "surface_"))
        or n.lower() in ("sst", "tos", "sss", "sos")
        for n in rows.names
    ]
    if all(at_surface):
        rows.depth = np.zeros(size)
        return
    problems.add(
        "no depth found",
        expected="standard_name 'depth' or 'sea_water_pressure', or a column 'depth'",
        todo="surface observations: obs['depth'] = 0.0 (in xarray with units 'm')",
    )


def select(rows: Rows, var: Var, problems: Problems) -> None:
    """Keep the rows of the variables asked for."""
    if var is None or rows.code is None:
        return
    wanted = [var] if isinstance(var, str) else list(var)
    missing = [v for v in wanted if v not in rows.names]
    if missing:
        problems.add(f"variables {missing} are not in the observations", found=f"{rows.names}")
        return
    if set(wanted) == set(rows.names):
        return
    keep = np.isin(rows.code, [rows.names.index(v) for v in wanted])
    for name in ("value", "error", "code", "time", "depth", "latitude", "longitude", *QUALITY):
        column = getattr(rows, name)
        setattr(rows, name, None if column is None else column[keep])
    rows.text = {name: column[keep] for name, column in rows.text.items()}
    old = rows.names
    rows.names = wanted
    lookup = np.array([wanted.index(n) if n in wanted else -1 for n in old], dtype=np.int16)
    rows.code = lookup[rows.code]
