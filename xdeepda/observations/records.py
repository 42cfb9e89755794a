"""Every datum of every source, one entry each: what the ledger accounts for.

A superobservation forgets the data that it was made of; the records remember them:
where each one belongs, its number in the model's units, and what became of it.  They
can be combined again, without those that a check has rejected.  Knows tables, cells
and the target grid; knows no fields and no analysis.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import xarray as xr

from xdeepda import units as unit_tools
from xdeepda.calendar import Cycle, calendar_of
from xdeepda.errors import InputError
from xdeepda.observations.cells import CORRELATED, combine
from xdeepda.observations.columns import TEXT
from xdeepda.observations.placing import FATES, Positions, cycle_numbers, place
from xdeepda.observations.sources import Binned
from xdeepda.observations.superob import converted_rows, rows_to_variables
from xdeepda.observations.table import DIM, POSITION_ATTRS, profiles_of, variables_of
from xdeepda.observations.target import Target

#: What can become of a datum: the fates of binning, and those within the cycle.
ALL_FATES = (
    *FATES,
    "rejected by the background check",
    "rejected by the buddy check",
    "rejected with its profile",
    "compared only",
)
USED, OUTSIDE = FATES.index("used"), FATES.index("outside of the period")
BY_BACKGROUND, BY_BUDDIES, BY_PROFILE, COMPARED = range(len(FATES), len(ALL_FATES))

#: Cycle of a datum whose time is not known.
NO_CYCLE = np.iinfo(np.int64).min


@dataclass(eq=False)
class Records:
    """Data of all sources, one after the other; n of them.

    Attributes
    ----------
    table : Dataset
        Their own columns along ``obs``.
    source, row : numpy.ndarray of int, shape (n,)
        Number of the source, from 1, and of the row in it, from 0.
    variable : numpy.ndarray of int16, shape (n,)
        Position in the target's variables, -1 where it has none.
    cycle : numpy.ndarray of int64, shape (n,)
        Absolute number, `NO_CYCLE` where the time is not known.
    cell : numpy.ndarray of int64, shape (n,)
        Flat number in (variable, nz, ny, nx), -1 where there is none.
    value, error : numpy.ndarray of float64, shape (n,)
        In the units and definitions of the target, NaN where unknown.
    count : numpy.ndarray of int64, shape (n,)
        Number of measurements that an entry stands for.
    profile, platform : numpy.ndarray of uint64, shape (n,)
        Equal numbers are of the same one, within a source.
    single : numpy.ndarray of bool, shape (n,)
        Whether it is a single measurement, and not a gridded value.
    fate : numpy.ndarray of int8, shape (n,)
        Position in `ALL_FATES`; checks within the cycle change it.
    """

    table: xr.Dataset
    source: np.ndarray
    row: np.ndarray
    variable: np.ndarray
    cycle: np.ndarray
    cell: np.ndarray
    value: np.ndarray
    error: np.ndarray
    count: np.ndarray
    profile: np.ndarray
    platform: np.ndarray
    single: np.ndarray
    fate: np.ndarray

    def __len__(self) -> int:
        """Number of data."""
        return int(self.fate.size)

    @cached_property
    def _by_cycle(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows in the order of their cycles, and these."""
        order = np.argsort(self.cycle, kind="stable")
        return order, self.cycle[order]

    def of(self, number: int) -> np.ndarray:
        """Positions of the data of a cycle, in the order of the sources."""
        order, cycles = self._by_cycle
        start, stop = np.searchsorted(cycles, [number, number + 1])
        return order[start:stop]

    def close(self, last: int, first: int | None = None) -> None:
        """Data after the last cycle, and before the first, are outside of the period."""
        outside = self.cycle > last
        if first is not None:
            outside |= self.cycle < first
        self.fate[(self.fate == USED) & outside] = OUTSIDE

    def counts(self) -> dict[str, int]:
        """Number of data by fate; the numbers add up to all of them."""
        numbers = np.bincount(self.fate, minlength=len(ALL_FATES))
        return {name: int(n) for name, n in zip(ALL_FATES, numbers, strict=True)}

    def combined(self, number: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Superobservations of what is still used of a cycle, as the sources were combined.

        Returns
        -------
        cell, value, error, count : numpy.ndarray, shape (m,)
            Sorted by cell.
        """
        rows = self.of(number)
        rows = rows[self.fate[rows] == USED]
        parts = []
        for source in np.unique(self.source[rows]):
            mine = rows[self.source[rows] == source]
            columns = (a[mine] for a in (self.cell, self.value, self.error, self.profile))
            one = combine(*columns, count=self.count[mine], rho=CORRELATED)
            parts.append((one.key, one.value, one.error, one.count))
        if not parts:
            nothing = np.zeros(0, dtype=np.int64)
            return nothing, np.zeros(0), np.zeros(0), nothing.astype(np.int32)
        if len(parts) == 1:
            return parts[0]
        key, value, error, count = (np.concatenate(c) for c in zip(*parts, strict=True))
        # as in `merge`: the errors of different sources are independent
        every = combine(key, value, error, np.arange(key.size), count=count, rho=0.0)
        return every.key, every.value, every.error, every.count


def records_of(sources: Sequence[Binned], target: Target, cycle: Cycle) -> Records:
    """Records of binned sources.

    Parameters
    ----------
    sources : sequence of Binned
        From :func:`xdeepda.observations.sources.binned_sources`.
    target : Target
        The same.
    cycle : Cycle

    Returns
    -------
    Records
    """
    parts = [
        _of_points(source, target, cycle) if source.table is not None
        else _of_fields(source, target, cycle)
        for source in sources
    ]  # fmt: skip
    sizes = [part["fate"].size for _, part in parts]
    table = one_table([table for table, _ in parts], sources[0].calendar)
    joined = {name: np.concatenate([part[name] for _, part in parts]) for name in parts[0][1]}
    number = np.repeat(np.arange(1, len(sizes) + 1, dtype=np.int16), sizes)
    row = np.concatenate([np.arange(size, dtype=np.int64) for size in sizes])
    return Records(table, number, row, **joined)


def _of_points(
    source: Binned, target: Target, cycle: Cycle
) -> tuple[xr.Dataset, dict[str, np.ndarray]]:
    """Table and record columns of one source of points."""
    table, report = source.table, source.report
    assert table is not None
    assert report is not None
    codes, own = rows_to_variables(table, target)
    variable = own[codes].astype(np.int16)
    number, cell = _places(source, variable, target, cycle)
    value, error = np.full((2, variable.size), np.nan)
    finite = (variable >= 0) & np.isfinite(table["value"].values)
    # apart from the used rows, whatever is wrong with the others is no problem here
    for keep in (finite & (report.fate == USED), finite & (report.fate != USED)):
        rows = np.flatnonzero(keep)
        try:
            value[rows], error[rows], *_ = converted_rows(table, rows, codes[rows], own, target)
        except InputError:
            if (report.fate[rows] == USED).any():
                raise
    profile = profiles_of(table, np.arange(variable.size))
    return table, {
        "variable": variable,
        "cycle": number,
        "cell": cell,
        "value": value,
        "error": error,
        "count": np.ones(variable.size, dtype=np.int64),
        "profile": profile,
        "platform": _platforms(table, profile),
        "single": np.ones(variable.size, dtype=bool),
        "fate": report.fate.copy(),
    }


def _places(
    source: Binned, variable: np.ndarray, target: Target, cycle: Cycle
) -> tuple[np.ndarray, np.ndarray]:
    """Cycle and flat cell in (variable, nz, ny, nx) of each row, where it has any."""
    table, report, cells = source.table, source.report, source.cells
    assert table is not None
    assert report is not None
    number = np.full(variable.size, NO_CYCLE)
    cell = np.full(variable.size, -1, dtype=np.int64)
    # those of the used rows are known
    used = np.flatnonzero(report.row >= 0)
    size = int(np.prod(target.grid.shape))
    number[used] = cells.cycle[report.row[used]]
    cell[used] = variable[used] * np.int64(size) + cells.cell[report.row[used]] % size
    rest = np.flatnonzero(report.row < 0)
    times = table["time"].values[rest]
    known = _times_known(times)
    rest, times = rest[known], times[known]
    number[rest] = cycle_numbers(times, cycle)
    ours = variable[rest] >= 0
    rest, times = rest[ours], times[ours]
    where = (table[n].values[rest] for n in ("depth", "latitude", "longitude"))
    fate = np.zeros(rest.size, dtype=np.int8)
    own = variable[rest].astype(np.int64)
    _, there = place(Positions(times, *where), target.grid, cycle, own, target.wet, fate)
    cell[rest] = np.where(fate == USED, there, -1)
    return number, cell


def _platforms(table: xr.Dataset, profile: np.ndarray) -> np.ndarray:
    """Number of the platform of each row; a profile without one is its own."""
    if "platform" not in table.coords:
        return profile
    import pandas as pd

    names = table["platform"].values.astype(object)
    codes = pd.factorize(names)[0].astype(np.int64).view(np.uint64)
    return np.where((names == "") | pd.isna(names), profile, codes)


def _of_fields(
    source: Binned, target: Target, cycle: Cycle
) -> tuple[xr.Dataset, dict[str, np.ndarray]]:
    """Table and record columns of one gridded source, one entry for each superobservation."""
    cells = source.cells
    size = int(np.prod(target.grid.shape))
    own, where = np.divmod(cells.cell, size)
    position = np.array([target.variables.index(name) for name in cells.variables])
    grid = target.layouts[target.variables[0]].grid
    depth, lat, lon = grid.coordinates(where)
    names = np.array(target.variables, dtype=object)[position[own]]
    attrs = {f"units_{n}": target.units[target.variables.index(n)] for n in cells.variables}
    for name in cells.variables:
        if standard := target.standard_names[target.variables.index(name)]:
            attrs[f"standard_name_{name}"] = standard
    table = xr.Dataset(
        {
            "value": (DIM, cells.value, attrs),
            "error": (DIM, cells.error),
            "variable": (DIM, names),
            "qc": (DIM, np.zeros(len(cells), dtype=np.int8)),
            "reason": (DIM, np.full(len(cells), "", dtype=object)),
        },
        coords={
            name: (DIM, values, dict(POSITION_ATTRS[name]))
            for name, values in (
                ("time", cycle.middle(cells.cycle, source.calendar)),
                ("depth", depth),
                ("latitude", lat),
                ("longitude", lon),
            )
        },
    )
    each = np.arange(len(cells)).astype(np.uint64)
    return table, {
        "variable": position[own].astype(np.int16),
        "cycle": cells.cycle,
        "cell": position[own] * size + where,
        "value": cells.value,
        "error": cells.error,
        "count": cells.count.astype(np.int64),
        "profile": each,
        "platform": each,
        "single": np.zeros(len(cells), dtype=bool),
        "fate": np.zeros(len(cells), dtype=np.int8),
    }


def _times_known(times: np.ndarray) -> np.ndarray:
    """Whether each time is one."""
    if times.dtype.kind == "M":
        return ~np.isnat(times)
    return np.array([t is not None and t == t for t in times], dtype=bool)


# ---- the columns of several tables


def one_table(tables: Sequence[xr.Dataset], calendar: str) -> xr.Dataset:
    """Columns of several tables, one after the other; units are those of the first that has any."""
    attrs = _attrs([variables_of(t) for t in tables])
    sizes = [t.sizes[DIM] for t in tables]
    out = {}
    for name in ("value", "error"):
        columns = [_in_first_units(t, name, attrs) for t in tables]
        out[name] = (DIM, np.concatenate(columns), attrs if name == "value" else {})
    for name in ("variable", "reason"):
        columns = [t[name].values.astype(object) for t in tables]
        out[name] = (DIM, np.concatenate(columns), tables[0][name].attrs)
    qc = np.concatenate([t["qc"].values for t in tables])
    out["qc"] = (DIM, qc, next((t["qc"].attrs for t in tables if t["qc"].attrs), {}))
    data = xr.Dataset(out)
    for name in ("depth", "latitude", "longitude"):
        column = np.concatenate([t[name].values for t in tables])
        own = next((t[name].attrs for t in tables if t[name].attrs), {})
        data = data.assign_coords({name: (DIM, column, own)})
    times = np.concatenate([_on_calendar(t["time"].values, calendar) for t in tables])
    data = data.assign_coords(time=(DIM, times, {"standard_name": "time"}))
    for name in TEXT:
        if any(name in t.coords for t in tables):
            columns = [
                t[name].values.astype(object) if name in t.coords else np.full(n, "", dtype=object)
                for t, n in zip(tables, sizes, strict=True)
            ]
            data = data.assign_coords({name: (DIM, np.concatenate(columns))})
    return data


def _attrs(
    described: Sequence[tuple[np.ndarray, list[str], list[str], list[str]]],
) -> dict[str, str]:
    """Units of each variable, and its standard name where the sources agree."""
    units: dict[str, str] = {}
    standard: dict[str, set[str]] = {}
    for _, names, own, standards in described:
        for name, unit, text in zip(names, own, standards, strict=True):
            units.setdefault(name, unit)
            standard.setdefault(name, set()).add(text)
    attrs = {f"units_{name}": unit for name, unit in units.items()}
    for name, texts in standard.items():
        if len(texts) == 1 and (text := texts.pop()):
            attrs[f"standard_name_{name}"] = text
    if len(units) == 1:
        attrs["units"] = next(iter(units.values()))
    return attrs


def _in_first_units(table: xr.Dataset, column: str, attrs: dict[str, str]) -> np.ndarray:
    """Values or errors of a table in the units that all sources share."""
    codes, names, units, _ = variables_of(table)
    values = table[column].values.astype(np.float64)
    change = unit_tools.convert if column == "value" else unit_tools.convert_difference
    for code, (name, unit) in enumerate(zip(names, units, strict=True)):
        target = attrs[f"units_{name}"]
        if unit != target and unit_tools.same_dimension(unit, target):
            mine = codes == code
            values[mine] = change(values[mine], unit, target)
    return values


def _on_calendar(times: np.ndarray, calendar: str) -> np.ndarray:
    """Times as datetime64 or cftime objects, as the first source has them."""
    known = _times_known(times)
    is_plain = times.dtype.kind == "M"
    if is_plain == (calendar == "standard"):
        return times
    if not is_plain:
        out = np.full(times.shape, np.datetime64("NaT"), dtype="datetime64[us]")
        out[known] = [np.datetime64(t.isoformat(), "us") for t in times[known]]
        return out
    import cftime

    objects = np.full(times.shape, None, dtype=object)
    moments = times[known].astype("datetime64[us]").astype(object)
    objects[known] = [
        cftime.datetime(*t.timetuple()[:6], t.microsecond, calendar=calendar) for t in moments
    ]
    return objects


def common_calendar(times: np.ndarray) -> str:
    """Calendar of the times that are known."""
    known = times[_times_known(times)]
    return calendar_of(known[:1]) if known.size else "standard"
