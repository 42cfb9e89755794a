"""Binning: the points of each cell and cycle combined into one number.

Binning is one vectorised pass over the table.  Every row gets a fate (used, or
why not), which is counted and told; nothing is left out silently.  Knows the
table, the canonical grid and cycles; knows no model and no analysis.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import xarray as xr

from xdeepda import units as unit_tools
from xdeepda.calendar import Cycle
from xdeepda.errors import InputError, Problems
from xdeepda.grid import Grid
from xdeepda.observations.cells import CORRELATED, Cells, combine
from xdeepda.observations.flags import rejected
from xdeepda.observations.quantities import (
    CANONICAL_UNIT,
    default_error,
    kind_of,
    potential_temperature,
)
from xdeepda.observations.table import profiles_of, variables_of
from xdeepda.observations.target import Target, match

logger = logging.getLogger("xdeepda")

#: On a grid without a depth axis, observations shallower than this are used (m).
SURFACE = 10.0

#: What becomes of a row, in the order in which it is decided.
FATES = (
    "used",
    "without a value",
    "flagged as bad",
    "of a variable that the model does not have",
    "outside of the period",
    "outside of the area",
    "outside of the depths",
    "on land",
    "withheld",
)
_USED, _EMPTY, _FLAGGED, _UNKNOWN, _PERIOD, _AREA, _DEPTH, _LAND, _WITHHELD = range(len(FATES))


class NothingInsideError(InputError):
    """Not a single row of a table can be used: that of one source of several is no fault."""

    def __init__(self, message: str, report: BinningReport) -> None:
        super().__init__(message)
        self.report = report


@dataclass(frozen=True, eq=False)
class BinningReport:
    """What became of the rows of a table.

    Attributes
    ----------
    fate : numpy.ndarray of int8, shape (obs,)
        Position in :data:`FATES`; 0 is used.
    row : numpy.ndarray of int64, shape (obs,)
        Superobservation (position in the :class:`Cells`) of each row, -1 if none.
    assumed_errors : int
        Rows that came without an error.
    notes : tuple of str
        What was assumed.
    """

    fate: np.ndarray
    row: np.ndarray
    assumed_errors: int
    notes: tuple[str, ...] = ()

    @property
    def counts(self) -> dict[str, int]:
        """Number of rows by fate."""
        numbers = np.bincount(self.fate, minlength=len(FATES))
        return {name: int(n) for name, n in zip(FATES, numbers, strict=True)}

    @property
    def used(self) -> int:
        """Number of rows that entered a superobservation."""
        return self.counts["used"]

    def __str__(self) -> str:
        """One sentence."""
        counts = self.counts
        rest = [f"{n} {name}" for name, n in counts.items() if n and name != "used"]
        told = f"{counts['used']} of {self.fate.size} observations used"
        return "; ".join([told + (f" (not: {', '.join(rest)})" if rest else ""), *self.notes])


def bin_points(
    table: xr.Dataset,
    grid: Grid,
    cycle: Cycle,
    variables: Sequence[str],
    units: Sequence[str],
    wet: np.ndarray,
    *,
    standard_names: Sequence[str] | None = None,
    period: tuple[int, int] | None = None,
    use: np.ndarray | None = None,
    withheld: np.ndarray | None = None,
    rho: float = CORRELATED,
) -> tuple[Cells, BinningReport]:
    """Bin the points of a table into cells and cycles.

    Parameters
    ----------
    table : Dataset
        As :func:`xdeepda.observations.as_table` gives it.
    grid : Grid
        A point belongs to the cell whose edges hold it.  Without a depth axis,
        points shallower than 10 m or without depth are used; without a latitude
        or longitude axis all are.
    cycle : Cycle
    variables, units : sequence of str
        Of the model.
    wet : numpy.ndarray of bool, shape (variable, nz, ny, nx)
    standard_names : sequence of str, optional
        Of the model's variables; in-situ temperatures are converted where the
        model's is potential temperature.
    period : (int, int), optional
        First and last cycle to use.
    use : numpy.ndarray of bool, shape (obs,), optional
        Rows that may be used; the others count as without a value.
    withheld : numpy.ndarray of bool, shape (obs,), optional
        Rows that are held back to compare with.
    rho : float
        See :func:`xdeepda.observations.cells.combine`.

    Returns
    -------
    cells : Cells
    report : BinningReport

    Raises
    ------
    InputError
        If not a single row is inside; units that cannot be converted; rows
        without an error of a variable that has no default.
    """
    names = tuple(standard_names) if standard_names else ("",) * len(variables)
    target = Target(grid, {}, tuple(variables), tuple(units), names, wet)
    codes, rows = _rows_to_variables(table, target)
    variable = rows[codes]
    usable = np.isfinite(table["value"].values)
    usable = usable if use is None else usable & use
    fate = np.where(usable, np.where(variable < 0, _UNKNOWN, _USED), _EMPTY).astype(np.int8)
    fate[usable & rejected(table["qc"].values)] = _FLAGGED
    if withheld is not None:
        fate[(fate == _USED) & withheld] = _WITHHELD
    positions = Positions(*(table[n].values for n in ("time", "depth", "latitude", "longitude")))
    number, cell = place(positions, grid, cycle, variable, wet, fate, period)
    keep = np.flatnonzero(fate == _USED)
    if keep.size == 0:
        _refuse(table, target, fate)
    value, error, assumed, notes = _converted(table, keep, codes[keep], rows, target)
    first = int(number[keep].min())
    key = (number[keep] - first) * wet.size + cell[keep]
    combined = combine(key, value, error, profiles_of(table, keep), rho=rho)
    cells = Cells.from_keys(combined, first, variables, units, grid, cycle)
    row = np.full(fate.size, -1, dtype=np.int64)
    row[keep] = combined.row_group
    report = BinningReport(fate, row, assumed, tuple(notes + _missing_axes(grid)))
    logger.log(logging.WARNING if report.used < fate.size or assumed else logging.INFO, report)
    return cells, report


def _rows_to_variables(table: xr.Dataset, target: Target) -> tuple[np.ndarray, np.ndarray]:
    """Codes of the rows, and the model's variable for each code (-1: none)."""
    codes, names, _, standard_names = variables_of(table)
    return codes, np.array(match(names, standard_names, target), dtype=np.int64)


class Positions(NamedTuple):
    """Where and when, one entry per row."""

    time: np.ndarray
    depth: np.ndarray
    latitude: np.ndarray
    longitude: np.ndarray


def place(
    positions: Positions,
    grid: Grid,
    cycle: Cycle,
    variable: np.ndarray,
    wet: np.ndarray,
    fate: np.ndarray,
    period: tuple[int, int] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Cycle number and flat cell of each row; sets the fate of those that have none.

    Parameters
    ----------
    positions : Positions, shape (n,)
    grid, cycle, period
        As :func:`bin_points`.
    variable : numpy.ndarray of int64, shape (n,)
        Position of the variable in the model.
    wet : numpy.ndarray of bool, shape (variable, nz, ny, nx)
    fate : numpy.ndarray of int8, shape (n,)
        Changed in place; rows that are not 0 on entry are not looked at.

    Returns
    -------
    number, cell : numpy.ndarray of int64, shape (n,)
        Meaningful where the fate is 0 (used).
    """
    alive = fate == _USED
    number = np.zeros(fate.size, dtype=np.int64)
    number[alive] = cycle_numbers(positions.time[alive], cycle)
    if period is not None:
        fate[alive & ((number < period[0]) | (number > period[1]))] = _PERIOD
    level = Grid(grid.depth, None, None).locate(positions.depth, 0.0, 0.0)
    if grid.depth is None:
        level = np.where(positions.depth > SURFACE, -1, 0)
    horizontal = Grid(None, grid.lat, grid.lon, grid.cyclic)
    column = horizontal.locate(0.0, positions.latitude, positions.longitude)
    column = np.broadcast_to(column, fate.shape)
    fate[(fate == _USED) & (column < 0)] = _AREA
    fate[(fate == _USED) & (level < 0)] = _DEPTH
    nz, ny, nx = grid.shape
    cell = (variable * nz + level) * (ny * nx) + column
    alive = np.flatnonzero(fate == _USED)
    fate[alive[~wet.reshape(-1)[cell[alive]]]] = _LAND
    return number, cell


def cycle_numbers(times: np.ndarray, cycle: Cycle) -> np.ndarray:
    """Absolute cycle numbers; each day is looked up only once where times are datetime64."""
    if times.dtype.kind != "M" or times.size < 1000:
        return cycle.index(times) if times.size else np.zeros(0, dtype=np.int64)
    days = times.astype("datetime64[D]").astype(np.int64)
    first, last = int(days.min()), int(days.max())
    if last - first > 10**6:
        return cycle.index(times)
    every = np.arange(first, last + 1).astype("datetime64[D]").astype("datetime64[s]")
    return cycle.index(every)[days - first]


def _refuse(table: xr.Dataset, target: Target, fate: np.ndarray) -> None:
    """Nothing is inside: both extents, and what became of the rows."""

    def extent(values: np.ndarray) -> str:
        known = values[np.isfinite(values)]
        return f"{known.min():g} to {known.max():g}" if known.size else "unknown"

    own = [
        f"{name} {extent(table[column].values)}"
        for name, column in (("depth", "depth"), ("lat", "latitude"), ("lon", "longitude"))
    ]
    report = BinningReport(fate, np.full(fate.size, -1, dtype=np.int64), 0)
    problems = Problems("observations")
    problems.add(
        "no observation lies inside of the model's sea",
        found=f"{', '.join(own)}; variables {', '.join(variables_of(table)[1])}; {report}",
        expected=f"{target.grid}; variables {', '.join(target.variables)}",
        todo="check units, signs of depth and longitude, names of variables, and the land mask",
    )
    error = NothingInsideError(problems.message(), report)
    error.problems = tuple(problems)  # type: ignore[attr-defined]
    raise error


def _missing_axes(grid: Grid) -> list[str]:
    """What the lack of an axis means for points."""
    notes = []
    if grid.depth is None:
        notes.append(f"the grid has no depth axis: points to {SURFACE:g} m are taken as it")
    for name, axis in (("latitude", grid.lat), ("longitude", grid.lon)):
        if axis is None:
            notes.append(f"the grid has no {name} axis: points of every {name} are taken")
    return notes


def _converted(
    table: xr.Dataset, keep: np.ndarray, codes: np.ndarray, rows: np.ndarray, target: Target
) -> tuple[np.ndarray, np.ndarray, int, list[str]]:
    """Values and errors of the kept rows in the model's units, errors filled by depth."""
    _, names, units, standard_names = variables_of(table)
    value, error = table["value"].values[keep].copy(), table["error"].values[keep].copy()
    depth, lat = table["depth"].values[keep], table["latitude"].values[keep]
    problems, notes, assumed = Problems("observations"), [], 0
    for code, name in enumerate(names):
        mine = np.flatnonzero(codes == code)
        if mine.size == 0:
            continue
        own, other = target.units[rows[code]], target.standard_names[rows[code]]
        try:
            value[mine], told = to_quantity(
                value[mine], units[code], standard_names[code], own, other, depth[mine], lat[mine]
            )
            error[mine] = unit_tools.convert_difference(error[mine], units[code], own)
        except InputError as problem:
            problems.add(f"{name!r} cannot be brought to the model's units", found=str(problem))
            continue
        notes += [f"{name}: {told}"] if told else []
        blank = mine[np.isnan(error[mine])]
        if blank.size:
            kind = kind_of(name, standard_names[code], units[code])
            if kind is None:
                problems.add(f"{name!r} needs errors", todo="add a column 'error'")
                continue
            error[blank] = unit_tools.convert_difference(
                default_error(kind, depth[blank]), CANONICAL_UNIT[kind], own
            )
            assumed += blank.size
            notes.append(f"{name}: {blank.size} default errors by depth, as none were given")
    problems.raise_if_any()
    return value, error, assumed, notes


def to_quantity(
    value: np.ndarray,
    unit: str,
    standard_name: str,
    target_unit: str,
    target_name: str,
    depth: np.ndarray,
    lat: np.ndarray,
) -> tuple[np.ndarray, str]:
    """Values in the model's unit and definition, and a sentence on what was done.

    In-situ temperature becomes potential temperature; other definitions of the
    same kind of quantity are taken as they are, which is told.
    """
    if standard_name == "sea_water_temperature" and target_name.endswith("potential_temperature"):
        celsius = potential_temperature(unit_tools.convert(value, unit, "degC"), depth, lat)
        return unit_tools.convert(celsius, "degC", target_unit), "in-situ to potential temperature"
    told = ""
    if standard_name and target_name and standard_name != target_name:
        told = f"{standard_name} taken as {target_name}"
    return np.asarray(unit_tools.convert(value, unit, target_unit)), told
