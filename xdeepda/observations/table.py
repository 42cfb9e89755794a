"""One table for all point observations, checked.

The table is an :class:`xarray.Dataset` along the dimension ``obs``.  Every row
is one number that was measured: value and error, the name of its variable, when
and where, and (optionally) the platform, profile, instrument and source that it
comes from.  Rows are never dropped: one without a value stays and counts as
nothing, so that later steps can say of each row what became of it.

This module knows columns and their checks; it knows no grid and no cycle.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import xarray as xr

from xdeepda import units as unit_tools
from xdeepda.axes import find_axes
from xdeepda.calendar import calendar_of
from xdeepda.errors import InputError, Problems
from xdeepda.grid import Grid
from xdeepda.observations.columns import (
    TEXT,
    Rows,
    Units,
    Var,
    encode,
    find_roles,
    is_table,
    rows_of_dataset,
)
from xdeepda.observations.flags import MEANINGS, NONE, check_flags, rejected
from xdeepda.observations.placing import in_blocks
from xdeepda.observations.quantities import CANONICAL_UNIT, ERROR_KINDS, MEASUREMENT, kind_of

#: The dimension of the table.
DIM = "obs"

#: Attributes of the positions.
POSITION_ATTRS = {
    "time": {"standard_name": "time"},
    "depth": {"standard_name": "depth", "units": "m", "positive": "down"},
    "latitude": {"standard_name": "latitude", "units": "degrees_north"},
    "longitude": {"standard_name": "longitude", "units": "degrees_east"},
}


def as_table(obs: Any, *, var: Var = None, units: Units = None, part: bool = False) -> xr.Dataset:
    """Read point observations into the table that the other verbs work with.

    Parameters
    ----------
    obs : Dataset, DataArray or pandas.DataFrame
        xarray: measurements along *one* dimension, their positions found by CF
        attributes, then by the exact names time, depth, latitude or lat,
        longitude or lon (case does not matter; said in the log).  Positions that
        are scalar hold for all rows.  A pressure in place of a depth is
        converted.  The error is a variable ``<name>_error``, or one with the
        standard name ``"... standard_error"``.
        pandas: columns value, time, depth, lat, lon, optionally error, variable,
        units, platform, profile, instrument, source; or one column per variable
        in place of value.  Depths are metres, positive down.
        A table is checked again and returned equal.
    var : str or list of str, optional
        Variables to read, by name or standard name.  By default all
        temperatures and salinities of xarray objects, all rows of a frame.
    units : str or dict, optional
        Units of the values (by variable), where the object does not hold them:
        attribute ``units`` in xarray, ``frame.attrs["units"]`` or a column
        ``units`` in pandas.

    Returns
    -------
    xarray.Dataset
        Along ``obs``: ``value`` (float64), ``error`` (standard deviation in the
        units of the value, NaN where unknown), ``variable`` (name), and the
        coordinates ``time``, ``depth`` (m, positive down, NaN where unknown),
        ``latitude``, ``longitude`` and those of platform, profile, instrument,
        source that exist; ``qc``, flags as :mod:`xdeepda.observations.flags` lists
        them (0 where the object has no column ``qc``), and ``reason``, in words.
        Positions of rows that are flagged as bad may be wrong.  Units and standard
        names of several variables are attributes of ``value``: ``units_<variable>``,
        ``standard_name_<variable>``.

    Raises
    ------
    InputError
        Once, with all that is wrong: columns or units missing, wrong dimension,
        errors that are not positive, positions out of range, missing times,
        several calendars, no value at all.

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"value": [11.3], "time": pd.to_datetime(["2005-01-02"]),
    ...                       "depth": [12.0], "lat": [5.0], "lon": [330.0]})
    >>> as_table(frame, var="thetao", units="degC").sizes["obs"]
    1
    """
    problems = Problems("observations")
    rows = _rows_of(obs, var, units, problems)
    if rows.value is not None and rows.code is not None:
        _check(rows, problems, part)
    problems.raise_if_any()
    return _build(rows, dict(getattr(obs, "attrs", {})) if is_table(obs) else {})


def _rows_of(obs: Any, var: Var, units: Units, problems: Problems) -> Rows:
    """Columns of any object that is understood."""
    if isinstance(obs, xr.DataArray):
        name = str(obs.name) if obs.name is not None else var if isinstance(var, str) else "value"
        obs = obs.to_dataset(name=name)
    if isinstance(obs, xr.Dataset):
        return rows_of_dataset(obs, var, units, problems)
    if type(obs).__module__.split(".")[0] == "pandas" and hasattr(obs, "columns"):
        from xdeepda.observations.frames import rows_of_frame

        return rows_of_frame(obs, var, units, problems)
    problems.add(
        "these are no observations that can be read",
        found=type(obs).__name__,
        expected="a Dataset, DataArray or pandas.DataFrame",
    )
    return Rows()


# ---- checks of the numbers


def _check(rows: Rows, problems: Problems, part: bool = False) -> None:
    """All that can be wrong with the numbers of complete columns."""
    assert rows.value is not None
    assert rows.code is not None
    _check_units(rows, problems)
    used = np.isfinite(rows.value)
    if rows.qc is not None:
        rows.qc = check_flags(rows.qc, problems)
        used &= ~rejected(rows.qc)
    if rows.value.size == 0:
        problems.add("there are no observations", found="0 rows")
        return
    for code, name in enumerate(() if part else rows.names):
        mine = rows.code == code
        if not np.isfinite(rows.value[mine]).any():
            problems.add(
                f"variable {name!r} holds no value at all", found=f"{mine.sum()} rows, all NaN"
            )
    if rows.error is not None:
        _check_numbers(
            rows.error, used, "error", lambda e: ~np.isnan(e) & ~((e > 0) & (e < np.inf)),
            "positive standard deviations, NaN where unknown", problems,
        )  # fmt: skip
    _check_error_kind(rows.text.get("error_kind"), problems)
    if rows.latitude is not None:
        rows.latitude = _floats(rows.latitude, "latitude", problems)
        _check_numbers(
            rows.latitude, used, "latitude", lambda y: ~(np.abs(y) <= 90), "-90 to 90", problems
        )
    if rows.longitude is not None:
        rows.longitude = _floats(rows.longitude, "longitude", problems)
        _check_numbers(
            rows.longitude, used, "longitude", lambda x: ~(np.abs(x) <= 540),
            "degrees east, -540 to 540", problems,
        )  # fmt: skip
    if rows.depth is not None:
        _check_numbers(
            rows.depth, used, "depth", lambda z: (z < -10) | np.isinf(z),
            "metres, positive down; xarray: attribute positive='up' for heights", problems,
        )  # fmt: skip
    _check_time(rows, used, problems)


def _check_error_kind(values: np.ndarray | None, problems: Problems) -> None:
    """A word that is not known would be an error taken as total, silently."""
    if values is None or not values.size:
        return
    _, found = encode(_texts(values, values.size))
    unknown = [word for word in found if word not in ERROR_KINDS]
    if unknown:
        problems.add(
            "column 'error_kind' holds unknown words",
            found=", ".join(map(repr, unknown[:5])),
            expected=f"{MEASUREMENT!r} where the error is that of the measurement alone; 'total' "
            "or empty elsewhere",
        )


def _floats(values: np.ndarray, name: str, problems: Problems) -> np.ndarray:
    """Positions as float64."""
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        problems.add(f"column {name!r} holds no numbers", found=f"type {values.dtype}")
        return np.zeros(values.shape)


def _check_numbers(
    values: np.ndarray,
    used: np.ndarray,
    name: str,
    wrong: Callable[[np.ndarray], np.ndarray],
    expected: str,
    problems: Problems,
) -> None:
    """Numbers in range wherever there is a value."""
    if values.shape != used.shape:
        return
    bad = used & wrong(values)
    if bad.any():
        first = int(np.argmax(bad))
        problems.add(
            f"{name} is out of range in {int(bad.sum())} of {bad.size} rows",
            found=f"{values[first]:g} in row {first}",
            expected=expected,
            todo="correct these rows, or set their values to NaN",
        )


def _check_time(rows: Rows, used: np.ndarray, problems: Problems) -> None:
    """Times of one calendar, none missing."""
    if rows.time is None or rows.time.shape != used.shape:
        return
    times = rows.time
    if times.dtype == object:
        nothing = np.array([t is None or t != t for t in times])
    else:
        nothing = np.isnat(times) if times.dtype.kind == "M" else np.zeros(times.shape, dtype=bool)
    if (nothing & used).any():
        problems.add(
            f"time is missing in {int((nothing & used).sum())} of {used.size} rows",
            found=f"NaT, the first in row {int(np.argmax(nothing & used))}",
            todo="drop these rows, or set their values to NaN",
        )
    rest = times[~nothing]
    if rest.size == 0:
        return
    try:
        calendar_of(rest)
    except InputError as error:
        problems.absorb(error)


def _check_units(rows: Rows, problems: Problems) -> None:
    """Units there, understood, and of the right dimension."""
    for name in rows.names:
        unit = rows.units.get(name)
        kind = kind_of(name, rows.standard_names.get(name, ""))
        expected = {"temperature": "degC or K", "salinity": "psu or 1e-3"}.get(kind or "", "a unit")
        if not unit:
            problems.add(
                f"variable {name!r} has no units",
                expected=expected,
                todo=f"units={{{name!r}: '...'}}, or the attribute 'units' "
                "(pandas: frame.attrs['units'] or a column 'units')",
            )
            continue
        try:
            fits = kind is None or unit_tools.same_dimension(unit, CANONICAL_UNIT[kind])
        except InputError as error:
            problems.add(f"units of variable {name!r} are not understood", found=str(error))
            continue
        if not fits:
            problems.add(
                f"units of variable {name!r} have a wrong dimension",
                found=f"{unit!r} for a {kind}",
                expected=expected,
            )


# ---- the table


def _build(rows: Rows, attrs: dict[str, Any]) -> xr.Dataset:
    """Dataset of checked columns."""
    assert rows.value is not None
    assert rows.code is not None
    size = rows.value.size
    error = np.full(size, np.nan) if rows.error is None else rows.error
    depth = np.full(size, np.nan) if rows.depth is None else rows.depth
    names = np.array(rows.names, dtype=str)
    coords = {
        "time": rows.time,
        "depth": np.asarray(depth, dtype=np.float64),
        "latitude": rows.latitude,
        "longitude": rows.longitude,
    }
    data = xr.Dataset(
        {
            "value": (DIM, rows.value, _value_attrs(rows)),
            "error": (DIM, error, {"long_name": "standard deviation of the error of value"}),
            "variable": (DIM, names[rows.code], {"long_name": "name of the measured variable"}),
            "qc": (DIM, np.full(size, NONE, np.int8) if rows.qc is None else rows.qc, _qc_attrs()),
            "reason": (DIM, _texts(rows.reason, size), {"long_name": "why qc is 3 or 4"}),
        },
        coords={n: (DIM, values, dict(POSITION_ATTRS[n])) for n, values in coords.items()},
    )
    text = {n: (DIM, rows.text[n]) for n in TEXT if rows.text.get(n) is not None}
    data = data.assign_coords(text)
    data.attrs = {"Conventions": "CF-1.11", "featureType": "point", **attrs}
    return data


def _qc_attrs() -> dict[str, Any]:
    """CF attributes of the flags."""
    return {
        "standard_name": "quality_flag",
        "flag_values": np.array(list(MEANINGS), dtype=np.int8),
        "flag_meanings": " ".join(text.replace(" ", "_") for text in MEANINGS.values()),
    }


def _texts(values: np.ndarray | None, size: int) -> np.ndarray:
    """Texts as objects, empty where there are none."""
    if values is None:
        return np.full(size, "", dtype=object)
    import pandas as pd

    return np.where(pd.isna(values), "", values.astype(object))


def _value_attrs(rows: Rows) -> dict[str, str]:
    """Units and standard names, of each variable and of all where there is one alone."""
    attrs = {f"units_{name}": unit for name, unit in rows.units.items()}
    for name, standard in rows.standard_names.items():
        if standard:
            attrs[f"standard_name_{name}"] = standard
    if len(rows.names) == 1:
        attrs["units"] = rows.units[rows.names[0]]
    return attrs


def variables_of(table: xr.Dataset) -> tuple[np.ndarray, list[str], list[str], list[str]]:
    """Variables of a table.

    Returns
    -------
    codes : numpy.ndarray of int16, shape (obs,)
        Position of the variable of each row in the lists.
    names, units, standard_names : list of str
    """
    codes, names = encode(table["variable"].values)
    attrs = table["value"].attrs
    units = [str(attrs.get(f"units_{name}", attrs.get("units", ""))) for name in names]
    return codes, names, units, [str(attrs.get(f"standard_name_{name}", "")) for name in names]


def profiles_of(
    table: xr.Dataset, keep: slice | np.ndarray, *, by_position: bool = False
) -> np.ndarray:
    """Number (a 64-bit hash) of the profile of each kept row.

    Rows of the same platform and profile name are of one profile; without a
    column `profile`, or with `by_position`, also time and position must agree.
    The number depends on these contents alone: parts of a table agree on it.

    Parameters
    ----------
    table : Dataset
    keep : slice or numpy.ndarray of int, shape (n,)
        Rows.
    by_position : bool

    Returns
    -------
    numpy.ndarray of uint64, shape (n,)
    """
    names = [n for n in ("platform", "profile") if n in table.coords]
    if by_position or "profile" not in names:
        names += ["time", "latitude", "longitude"]
    columns = [table[name].values for name in names]
    if isinstance(keep, slice):
        columns = [column[keep] for column in columns]
        keep = slice(None)
    size = columns[0].size if isinstance(keep, slice) else keep.size
    mixed = np.zeros(size, dtype=np.uint64)

    def work(rows: slice) -> None:
        part = rows if isinstance(keep, slice) else keep[rows]
        for column in columns:
            mixed[rows] ^= _bits(column[part])
            _mix(mixed[rows])

    in_blocks(size, work)
    return mixed


def mixed_bits(values: np.ndarray, seed: int = 0) -> np.ndarray:
    """Hash of each value by its contents, uint64; other ones with another seed."""
    start = np.array([seed], dtype=np.uint64)
    _mix(start)
    out = np.bitwise_xor(_bits(values), start)
    _mix(out)
    return out


def _bits(values: np.ndarray) -> np.ndarray:
    """64 bits of each value, equal for equal values."""
    if values.dtype.kind == "M":
        return values.astype("datetime64[ns]").view(np.uint64)
    if values.dtype.kind in "iub":
        return values.astype(np.int64).view(np.uint64)
    if values.dtype.kind == "f":
        return (values.astype(np.float64) + 0.0).view(np.uint64)  # + 0.0: -0.0 and 0.0 are one
    return _text_bits(values)


def _text_bits(values: np.ndarray) -> np.ndarray:
    """64 bits of each text or object; equal neighbours, of which there are many, only once."""
    if values.size == 0:
        return np.zeros(0, dtype=np.uint64)
    import pandas as pd

    new = np.append(True, np.asarray(values[1:] != values[:-1], dtype=bool))
    starts = np.flatnonzero(new)
    names = values[starts].astype(object)
    if not all(isinstance(name, str) for name in names):  # times of other calendars, numbers, None
        names = np.array([repr(name) for name in names], dtype=object)
    return np.repeat(pd.util.hash_array(names), np.diff(starts, append=values.size))


def _mix(bits: np.ndarray) -> None:
    """Finaliser of splitmix64, in place: every input bit reaches every output bit."""
    bits += np.uint64(0x9E3779B97F4A7C15)
    bits ^= bits >> np.uint64(30)
    bits *= np.uint64(0xBF58476D1CE4E5B9)
    bits ^= bits >> np.uint64(27)
    bits *= np.uint64(0x94D049BB133111EB)
    bits ^= bits >> np.uint64(31)


def is_gridded(obs: Any, grid: Grid | None = None) -> bool:
    """Whether observations come as fields on axes, and not as a table of points.

    Fields have two or more dimensions, all of them axes (time, depth, latitude,
    longitude); points have one, along which latitude and longitude lie.  A
    single dimension time makes a field only where the grid has no axis in space
    and the object holds no positions.

    Parameters
    ----------
    obs : Dataset, DataArray or pandas.DataFrame
    grid : Grid, optional
        Grid of the model.

    Returns
    -------
    bool

    Examples
    --------
    >>> is_gridded(xr.DataArray(np.zeros((2, 3)), dims=("lat", "lon"),
    ...                         coords={"lat": [0, 1.0], "lon": [0, 1, 2.0]}))
    True
    """
    if not isinstance(obs, (xr.Dataset, xr.DataArray)) or is_table(obs):
        return False
    ds = obs.to_dataset(name="value") if isinstance(obs, xr.DataArray) else obs
    fields = [
        name
        for name, da in ds.data_vars.items()
        if da.ndim >= 2 and not str(name).endswith(("_bnds", "_bounds"))
    ]
    if fields:
        positions = find_roles(ds, Problems("observations"))
        apart = [positions.get(n) for n in ("latitude", "longitude")]
        return not any(n in ds.variables and n not in ds.dims and ds[n].ndim == 1 for n in apart)
    if grid is None or grid.shape != (1, 1, 1) or len(ds.dims) != 1:
        return False
    return find_axes(ds).time is not None and "latitude" not in find_roles(ds)
