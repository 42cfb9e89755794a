"""Binning: the points of each cell and cycle combined into one number.

Binning is one vectorised pass over the table.  Every row gets a fate (used, or
why not), which is counted and told; nothing is left out silently.  Knows the
table, the canonical grid and cycles; knows no model and no analysis.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NoReturn

import numpy as np
import xarray as xr

from xdeepda import units as unit_tools
from xdeepda.calendar import Cycle
from xdeepda.errors import InputError, Problems
from xdeepda.grid import Grid
from xdeepda.observations.cells import CORRELATED, Cells, combine
from xdeepda.observations.flags import rejected
from xdeepda.observations.instruments import assumed_error
from xdeepda.observations.placing import (
    EMPTY,
    FATES,
    FLAGGED,
    SURFACE,
    THINNED,
    UNKNOWN,
    USED,
    WITHHELD,
    Positions,
    in_blocks,
    place,
)
from xdeepda.observations.quantities import (
    CANONICAL_UNIT,
    MEASUREMENT,
    default_error,
    kind_of,
    potential_temperature,
    total_error,
)
from xdeepda.observations.table import profiles_of, variables_of
from xdeepda.observations.target import Target, match

logger = logging.getLogger("xdeepda")


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
        # not bincount, which makes eight bytes of each: there may be 10^9 rows
        numbers = [np.count_nonzero(self.fate == code) for code in range(len(FATES))]
        return {name: int(n) for name, n in zip(FATES, numbers, strict=True)}

    @property
    def used(self) -> int:
        """Number of rows that entered a superobservation."""
        return self.counts["used"]

    @property
    def unusable(self) -> bool:
        """Whether no row can be used, wherever it is: without values, flagged or withheld."""
        return bool(np.isin(self.fate, (EMPTY, FLAGGED, WITHHELD)).all())

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
    thin: int | None = None,
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
    thin : int, optional
        Use at most this many profiles of a column of cells in a cycle: those with
        most usable rows, among equals as if by lot (but always the same).
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
    ready = prepare(table, target, cycle, period=period, use=use, withheld=withheld)
    if ready.value.size == 0:
        refuse(ready.fate, target, variables_of(table)[1], extents(table))
    if thin is not None:
        ready = ready.thinned(thin, grid)
    fate, keep = ready.fate, ready.keep
    first, key = ready.keys(wet.size)
    combined = combine(key, ready.value, ready.error, ready.profile, rho=rho)
    del key
    cells = Cells.from_keys(combined, first, variables, units, grid, cycle)
    row = combined.row_group
    if isinstance(keep, np.ndarray):
        row = np.full(fate.size, -1, dtype=np.int64)
        row[keep] = combined.row_group
    return cells, reported(fate, row, ready.assumed, ready.told, grid)


@dataclass
class Ready:
    """Rows that are used, in their places and the units of the model.

    Attributes
    ----------
    fate : numpy.ndarray of int8, shape (obs,)
        Of all rows.
    keep : slice or numpy.ndarray of int64, shape (n,)
        The rows that are used; a slice where all are.
    number, cell : numpy.ndarray of int64, shape (n,)
        Cycle, and flat cell in (variable, nz, ny, nx).
    value, error : numpy.ndarray of float64, shape (n,)
    profile : numpy.ndarray of uint64, shape (n,)
    assumed : dict of int
        Rows without an error by variable.
    told : dict of str
        What was done to the values of a variable.
    """

    fate: np.ndarray
    keep: slice | np.ndarray
    number: np.ndarray
    cell: np.ndarray
    value: np.ndarray
    error: np.ndarray
    profile: np.ndarray
    assumed: dict[str, int]
    told: dict[str, str]

    def select(self, mask: np.ndarray) -> Ready:
        """Only some of the used rows; the fates stay."""
        where = np.arange(mask.size) if isinstance(self.keep, slice) else self.keep
        return replace(
            self, keep=where[mask], number=self.number[mask], cell=self.cell[mask],
            value=self.value[mask], error=self.error[mask], profile=self.profile[mask],
        )  # fmt: skip

    def thinned(self, most: int, grid: Grid) -> Ready:
        """Only `most` profiles of each column and cycle; the fate of the others is set."""
        stay = _stay(self.number, self.cell % int(np.prod(grid.shape[1:])), self.profile, most)
        out = self.select(stay)
        lost = np.arange(stay.size)[~stay] if isinstance(self.keep, slice) else self.keep[~stay]
        out.fate = self.fate.copy()
        out.fate[lost] = THINNED
        return out

    def keys(self, size: int) -> tuple[int, np.ndarray]:
        """First cycle, and key ``(cycle - first) * size + cell`` of each row."""
        first = int(self.number.min())
        key = self.number - first
        key *= size
        key += self.cell
        self.number = self.cell = np.zeros(0, dtype=np.int64)  # not needed any more, but large
        return first, key


def _stay(number: np.ndarray, column: np.ndarray, profile: np.ndarray, most: int) -> np.ndarray:
    """Rows of the `most` largest profiles of each column and cycle, bool, shape (n,)."""
    order = np.lexsort((profile, column, number))
    columns = [c[order] for c in (number, column, profile)]
    place_new = np.append(True, (np.diff(columns[0]) != 0) | (np.diff(columns[1]) != 0))
    new = place_new | np.append(True, columns[2][1:] != columns[2][:-1])
    starts = np.flatnonzero(new)
    sizes = np.diff(starts, append=order.size)
    where = np.cumsum(place_new)[starts]
    # largest first within each place; the number of a profile is a hash, and so a lot
    ranked = np.lexsort((columns[2][starts], -sizes, where))
    rank = np.arange(ranked.size) - np.searchsorted(where[ranked], where[ranked])
    taken = np.empty(starts.size, dtype=bool)
    taken[ranked] = rank < most
    stay = np.empty(order.size, dtype=bool)
    stay[order] = np.repeat(taken, sizes)
    return stay


def prepare(
    table: xr.Dataset,
    target: Target,
    cycle: Cycle,
    *,
    period: tuple[int, int] | None = None,
    use: np.ndarray | None = None,
    withheld: np.ndarray | None = None,
) -> Ready:
    """Fates, places, values and errors of the rows of a table; see :func:`bin_points`."""
    described = variables_of(table)
    codes = described[0]
    found = np.array(match(described[1], described[3], target), dtype=np.int16)
    variable = found[codes]
    fate = _first_fates(table, variable, use, withheld)
    positions = Positions(*(table[n].values for n in ("time", "depth", "latitude", "longitude")))
    number, cell = place(positions, target.grid, cycle, variable, target.wet, fate, period)
    keep: slice | np.ndarray = slice(None)
    if fate.any():
        keep = np.flatnonzero(fate == USED)
        number, cell, codes = number[keep], cell[keep], codes[keep]
    value, error, assumed, told = converted_rows(table, keep, codes, found, target, described[1:])
    profile = profiles_of(table, keep)
    return Ready(fate, keep, number, cell, value, error, profile, assumed, told)


def rows_to_variables(table: xr.Dataset, target: Target) -> tuple[np.ndarray, np.ndarray]:
    """Codes of the rows, and the model's variable for each code (-1: none)."""
    codes, names, _, standard_names = variables_of(table)
    return codes, np.array(match(names, standard_names, target), dtype=np.int64)


def _first_fates(
    table: xr.Dataset,
    variable: np.ndarray,
    use: np.ndarray | None,
    withheld: np.ndarray | None,
) -> np.ndarray:
    """Fates that have nothing to do with places."""
    value, qc = table["value"].values, table["qc"].values
    fate = np.zeros(value.size, dtype=np.int8)

    def work(rows: slice) -> None:
        own = fate[rows]
        own[variable[rows] < 0] = UNKNOWN
        own[rejected(qc[rows])] = FLAGGED
        own[~np.isfinite(value[rows])] = EMPTY
        if use is not None:
            own[~use[rows]] = EMPTY
        if withheld is not None:
            own[(own == USED) & withheld[rows]] = WITHHELD

    in_blocks(value.size, work)
    return fate


def reported(
    fate: np.ndarray,
    row: np.ndarray,
    assumed: Mapping[str, int],
    told: Mapping[str, str],
    grid: Grid,
) -> BinningReport:
    """Report on the rows, said in the log."""
    notes = [f"{name}: {text}" for name, text in told.items()]
    notes += [
        f"{name}: {number} default errors by instrument and depth, as none were given"
        for name, number in assumed.items()
    ]
    number = sum(assumed.values())
    report = BinningReport(fate, row, number, tuple(notes + _missing_axes(grid)))
    level = logging.WARNING if report.used < fate.size or number else logging.INFO
    logger.log(level, report)
    return report


def extents(table: xr.Dataset) -> dict[str, tuple[float, float]]:
    """Smallest and largest depth, latitude and longitude; NaN where unknown."""
    found = {}
    for name, column in (("depth", "depth"), ("lat", "latitude"), ("lon", "longitude")):
        values = table[column].values
        known = values[np.isfinite(values)]
        found[name] = (known.min(), known.max()) if known.size else (np.nan, np.nan)
    return found


def refuse(
    fate: np.ndarray,
    target: Target,
    names: Sequence[str],
    extent: Mapping[str, tuple[float, float]],
) -> NoReturn:
    """Nothing is inside: both extents, and what became of the rows."""
    own = [
        f"{name} {low:g} to {high:g}" if np.isfinite(low) else f"{name} unknown"
        for name, (low, high) in extent.items()
    ]
    report = BinningReport(fate, np.full(fate.size, -1, dtype=np.int64), 0)
    problems = Problems("observations")
    if report.unusable:
        problems.add(
            "no observation can be used",
            found=str(report),
            todo="obs['reason'] and obs.deepda.quality_report() say why they are flagged; "
            "quality_control(rules={'supplied': False}) looks at them without their flags",
        )
    else:
        problems.add(
            "no observation lies inside of the model's sea",
            found=f"{', '.join(own)}; variables {', '.join(names)}; {report}",
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


def converted_rows(
    table: xr.Dataset,
    keep: slice | np.ndarray,
    codes: np.ndarray,
    found: np.ndarray,
    target: Target,
    described: Sequence[list[str]] | None = None,
) -> tuple[np.ndarray, np.ndarray, dict[str, int], dict[str, str]]:
    """Values and errors of the kept rows in the model's units, errors filled by depth.

    Of `codes` (of the kept rows), `found` gives the model's variable.  No copies
    are made where nothing changes: the results may be views of the table.
    """
    names, units, standard_names = described or variables_of(table)[1:]
    value, error = (table[n].values[keep] for n in ("value", "error"))
    problems = Problems("observations")
    assumed: dict[str, int] = {}
    told: dict[str, str] = {}
    if len(names) > 1 and isinstance(keep, slice):
        value, error = value.copy(), error.copy()
    for code, name in enumerate(names):
        mine = np.flatnonzero(codes == code) if len(names) > 1 else slice(None)
        if found[code] < 0 or value[mine].size == 0:
            continue
        own, other = target.units[found[code]], target.standard_names[found[code]]
        where = [table[n].values[keep][mine] for n in ("depth", "latitude")]
        try:
            new, text = to_quantity(
                value[mine], units[code], standard_names[code], own, other, *where
            )
            deviation = unit_tools.convert_difference(error[mine], units[code], own)
        except InputError as problem:
            problems.add(f"{name!r} cannot be brought to the model's units", found=str(problem))
            continue
        if text:
            told[name] = text
        kind = kind_of(name, standard_names[code], units[code])
        if kind is None:
            if np.isnan(deviation).any():
                problems.add(f"{name!r} needs errors", todo="add a column 'error'")
                continue
        else:
            rows = np.arange(table.sizes["obs"])[keep][mine]
            deviation, blank, added = _completed(table, rows, kind, deviation, own)
            if blank:
                assumed[name] = blank
            if added:
                text = f"representativeness added to {added} errors of the measurement"
                told[name] = f"{told[name]}; {text}" if name in told else text
        if len(names) == 1:
            value, error = new, deviation
        else:
            value[mine], error[mine] = new, deviation
    problems.raise_if_any()
    return value, error, assumed, told


def _completed(
    table: xr.Dataset, rows: np.ndarray, kind: str, error: np.ndarray, unit: str
) -> tuple[np.ndarray, int, int]:
    """Total errors of rows of one quantity, in a unit; how many were assumed, how many completed.

    No copy is made where nothing changes.
    """
    blank = np.flatnonzero(np.isnan(error))
    if "error_kind" in table.variables:
        alone = np.asarray(table["error_kind"].values[rows] == MEASUREMENT)
        alone[blank] = False
    else:
        alone = np.zeros(0, dtype=bool)
    added = int(alone.sum())
    if added:
        usual = default_error(kind, table["depth"].values[rows])
        usual = unit_tools.convert_difference(usual, CANONICAL_UNIT[kind], unit)
        error = total_error(error, alone, usual)
    if blank.size:
        error = error.copy()
        error[blank] = unit_tools.convert_difference(
            assumed_error(table, rows[blank], kind), CANONICAL_UNIT[kind], unit
        )
    return error, blank.size, added


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
