"""Superobservations of any observations: points, fields, or several of both.

Each source is combined by cell and cycle on its own, then the sources are merged by
their inverse error variances.  Knows tables, fields and the target grid; knows no
model and no analysis.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from xdeepda.calendar import Cycle, calendar_of
from xdeepda.errors import InputError, Problems
from xdeepda.observations.cells import Cells, combine, merge
from xdeepda.observations.gridded import from_gridded
from xdeepda.observations.lazy import bin_lazily, is_lazy, lazy_calendar
from xdeepda.observations.stored import StoredCells
from xdeepda.observations.superob import BinningReport, NothingInsideError, bin_points
from xdeepda.observations.table import as_table, is_gridded
from xdeepda.observations.target import Target, target_of


def superob(
    obs: Any,
    like: xr.Dataset | xr.DataArray,
    *,
    cycle: str,
    var: str | Sequence[str] | None = None,
    thin: int | None = None,
) -> xr.Dataset:
    """Combine observations by cell and cycle.

    Parameters
    ----------
    obs : Dataset, DataArray, pandas.DataFrame, or a list of these
        Points (see :func:`xdeepda.observations.as_table`) or fields on the grid
        of `like` with NaN where nothing was measured.  Sources of a list are
        combined by their inverse error variances.  Points of dask arrays in
        several chunks are read chunk by chunk, never as a whole.
    like : Dataset or DataArray
        A field of the model: its grid, land, variables and units.
    cycle : {"pentad", "month", "year"}
    var : str or list of str, optional
        Variables of `like`; by default those that were measured.
    thin : int, optional
        Use at most this many profiles of each source in a column of cells and a
        cycle: those with most usable values.

    Returns
    -------
    xarray.Dataset
        On the dimensions, their order and the units of `like`, one entry per
        cycle from the first to the last that was observed, in the calendar of
        the observations: ``<var>`` (NaN where nothing was measured),
        ``<var>_error`` (standard deviation) and ``<var>_count``.  What was left
        out, and why, is in the log and in the attribute ``observations``.

    Raises
    ------
    InputError
        With all problems; also if no observation lies inside (both extents are
        told).

    Notes
    -----
    Values are weighted by 1/error²; the error of a superobservation of m
    profiles is ``error² = s² (rho + (1 - rho) / m)`` with rho = 0.25, the part
    of the error that all observations of a cell have in common.  Points without
    a profile of their own name belong together if time and position agree.
    Observations without an error get one by depth
    (:func:`xdeepda.observations.default_error`).  A level takes what was measured
    between its edges: where a cast has no sample there, nothing is invented
    (:func:`xdeepda.observations.between_samples` interpolates where samples are
    close to each other).

    Examples
    --------
    >>> import pandas as pd
    >>> like = xr.DataArray(np.ones((1, 2, 2)), dims=("depth", "lat", "lon"), name="thetao",
    ...     coords={"depth": ("depth", [5.0], {"units": "m"}), "lat": [0.0, 1], "lon": [0.0, 1]},
    ...     attrs={"units": "degC"})
    >>> frame = pd.DataFrame({"value": [11.3], "time": pd.to_datetime(["2005-01-02"]),
    ...                       "depth": [5.0], "lat": [0.2], "lon": [0.9]})
    >>> frame.attrs["units"] = "degC"
    >>> float(superob(frame, like, cycle="month").thetao.max())
    11.3
    """
    problems = Problems("superob")
    try:
        interval = Cycle(cycle)
    except InputError as error:
        problems.absorb(error)
    if thin is not None and (isinstance(thin, bool) or not isinstance(thin, int) or thin < 1):
        problems.add("thin is not a number of profiles", found=f"{thin!r}", expected="1, 2, ...")
    target = target_of(like, var, problems)
    problems.raise_if_any()
    assert target is not None
    cells, calendar, notes = superobservations(obs, target, interval, thin=thin)
    standard = dict(zip(target.variables, target.standard_names, strict=True))
    out = cells.to_dataset(calendar, layout=target.layouts, standard_names=standard)
    out.attrs["observations"] = "; ".join(notes)
    return out


def superobservations(
    obs: Any,
    target: Target,
    cycle: Cycle,
    *,
    period: tuple[int, int] | None = None,
    thin: int | None = None,
) -> tuple[Cells, str, list[str]]:
    """Superobservations of any observations, with their calendar and what there is to tell.

    Parameters
    ----------
    obs : Dataset, DataArray, pandas.DataFrame, or a list of these
    target : Target
    cycle : Cycle
    period : (int, int), optional
        First and last cycle of points to use.
    thin : int, optional
        See :func:`superob`.

    Returns
    -------
    cells : Cells
        Of the variables that were measured.
    calendar : str
        Of the first source.
    notes : list of str
        A sentence for each source.
    """
    sources = binned_sources(obs, target, cycle, period=period, thin=thin, rows=False)
    filled = [s for s in sources if len(s.cells)]
    return merge([s.cells for s in filled]), filled[0].calendar, [s.note for s in sources]


@dataclass(frozen=True, eq=False)
class Binned:
    """One source of observations, combined by cell and cycle.

    Attributes
    ----------
    cells : Cells
        Of the variables that were measured; empty where nothing is inside.
    calendar : str
    note : str
        What there is to tell.
    table : Dataset, optional
        The rows, where the source is one of points.
    report : BinningReport, optional
        What became of them.
    stored : StoredCells, optional
        In place of `cells`, where they are kept in files.
    """

    cells: Cells
    calendar: str
    note: str
    table: xr.Dataset | None = None
    report: BinningReport | None = None
    stored: StoredCells | None = None

    @property
    def any_cells(self) -> Cells | StoredCells:
        """Superobservations, wherever they are."""
        return self.cells if self.stored is None else self.stored


def binned_sources(
    obs: Any,
    target: Target,
    cycle: Cycle,
    *,
    period: tuple[int, int] | None = None,
    hold_back: bool = True,
    thin: int | None = None,
    rows: bool = True,
    folder: Path | None = None,
) -> list[Binned]:
    """Superobservations of each source by itself.

    Parameters
    ----------
    obs, target, cycle, period
        As :func:`superobservations`.
    hold_back : bool
        Leave out the rows that a column ``withheld`` names.
    thin : int, optional
        See :func:`superob`.
    rows : bool
        Keep the table and what became of its rows; lazy ones are then read whole.
    folder : Path, optional
        Keep the superobservations of lazy tables in files in this folder.

    Raises
    ------
    InputError
        With all that is wrong with any source, each by its number where there are
        several; if nothing is inside in any of them (flagged ones may be all that
        there is if nothing is held back).
    """
    problems = Problems("observations")
    sources = list(obs) if isinstance(obs, (list, tuple)) else [obs]
    done: list[Binned] = []
    outside: list[InputError] = []
    for number, source in enumerate(sources, 1):
        try:
            if rows or not is_lazy(source):
                place = None if rows else folder
                one = _one_source(source, target, cycle, period, hold_back, thin, outside, place)
            else:
                one = _lazy_source(source, target, cycle, period, hold_back, thin, outside, folder)
            done.append(one)
        except InputError as error:
            problems.absorb(_of_source(error, number, len(sources)))
    if not sources:
        problems.add("there are no observations", found="an empty list")
    if outside and len(outside) == len(done) and not len(problems):
        # what is flagged is refused by those who assimilate, not by those who compare
        refused = hold_back or not all(s.report is not None and s.report.unusable for s in done)
        for nothing in outside if refused else ():
            problems.absorb(nothing)
    _check_calendars(done, problems)
    problems.raise_if_any()
    if len(done) == 1:
        return done
    return [replace(s, note=f"source {n}: {s.note}") for n, s in enumerate(done, 1)]


def _of_source(error: InputError, number: int, total: int) -> InputError:
    """Say in each problem which of several sources has it."""
    if total == 1:
        return error
    own = Problems("observations")
    own.absorb(error)
    named = InputError(str(error))
    named.problems = tuple(  # type: ignore[attr-defined]
        replace(p, what=f"source {number} of {total}: {p.what}") for p in own
    )
    return named


def _check_calendars(sources: Sequence[Binned], problems: Problems) -> None:
    """Times of several sources can be put on one axis."""
    plain = {"standard": "gregorian", "proleptic_gregorian": "gregorian"}
    calendars = [s.calendar for s in sources]
    if len({plain.get(c, c) for c in calendars}) > 1:
        problems.add(
            "several calendars among the sources",
            found=", ".join(f"source {n}: {c}" for n, c in enumerate(calendars, 1)),
            expected="one calendar",
            todo="source.convert_calendar(...)",
        )


def _one_source(
    obs: Any,
    target: Target,
    cycle: Cycle,
    period: tuple[int, int] | None,
    hold_back: bool,
    thin: int | None,
    outside: list[InputError],
    folder: Path | None,
) -> Binned:
    """Superobservations of one source; where nothing is inside, that goes to `outside`."""
    if is_gridded(obs, target.grid):
        cells, calendar = from_gridded(obs, target, cycle, folder=folder)
        note = f"{len(cells)} gridded values used"
        if isinstance(cells, StoredCells):
            return Binned(_nothing(target, cycle), calendar, note, stored=cells)
        return Binned(cells, calendar, note)
    table = as_table(obs)
    withheld = _withheld(obs, table.sizes["obs"]) if hold_back else None
    known = _known(table["time"].values)
    calendar = calendar_of(known[:1]) if known.size else "standard"
    try:
        cells, report = bin_points(
            table, target.grid, cycle, target.variables, target.units, target.wet,
            standard_names=target.standard_names, period=period,
            withheld=withheld, thin=thin,
        )  # fmt: skip
    except NothingInsideError as error:
        outside.append(error)
        return Binned(_nothing(target, cycle), calendar, str(error.report), table, error.report)
    return Binned(_measured(cells), calendar, str(report), table, report)


def _lazy_source(
    obs: xr.Dataset,
    target: Target,
    cycle: Cycle,
    period: tuple[int, int] | None,
    hold_back: bool,
    thin: int | None,
    outside: list[InputError],
    folder: Path | None,
) -> Binned:
    """Superobservations of a table of dask arrays, read chunk by chunk."""
    calendar = lazy_calendar(obs)
    try:
        cells, report = bin_lazily(
            obs, target, cycle, period=period, hold_back=hold_back, thin=thin, folder=folder
        )
    except NothingInsideError as error:
        outside.append(error)
        return Binned(_nothing(target, cycle), calendar, str(error.report))
    if isinstance(cells, StoredCells):
        return Binned(_nothing(target, cycle), calendar, str(report), stored=cells)
    return Binned(_measured(cells), calendar, str(report))


def _nothing(target: Target, cycle: Cycle) -> Cells:
    """No superobservation."""
    nothing = combine(*(np.zeros(0, dtype=np.int64) for _ in range(4)))
    return Cells.from_keys(nothing, 0, (), (), target.grid, cycle)


def _measured(cells: Cells) -> Cells:
    """Only the variables that were measured."""
    counts = np.bincount(cells.cell // int(np.prod(cells.grid.shape)))
    if np.count_nonzero(counts) == len(cells.variables):
        return cells
    return _keep(cells, np.flatnonzero(counts).tolist())


def _known(times: np.ndarray) -> np.ndarray:
    """Times that are there."""
    if times.dtype.kind == "M":
        return times[~np.isnat(times)]
    return times[[t is not None and t == t for t in times]]


def _withheld(obs: Any, size: int) -> np.ndarray | None:
    """Column of rows that are held back to compare with, where there is one."""
    if "withheld" not in getattr(obs, "variables", getattr(obs, "columns", ())):
        return None
    column = np.asarray(obs["withheld"])
    return column.astype(bool) if column.shape == (size,) else None


def _keep(cells: Cells, positions: Sequence[int]) -> Cells:
    """Cells of only those variables that hold any."""
    size = int(np.prod(cells.grid.shape))
    lookup = np.full(len(cells.variables), -1)
    lookup[list(positions)] = np.arange(len(positions))
    own, rest = np.divmod(cells.cell, size)
    return Cells(
        cells.cycle, lookup[own] * size + rest, cells.value, cells.error, cells.count,
        tuple(cells.variables[v] for v in positions), tuple(cells.units[v] for v in positions),
        cells.grid, cells.cycle_name,
    )  # fmt: skip
