"""Climatology that anomalies are taken from: of a control run, given as such, or the reference's.

Evaluated on the grid and in the unit of the estimate, for any cycle.  Knows runs and grids;
no scores.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from xdeepda import units as unit_tools
from xdeepda.calendar import Cycle
from xdeepda.climatology import DEFAULT_HARMONICS, design, fit_climatology, harmonics_of
from xdeepda.errors import InputError, Problems
from xdeepda.grid import layout_of
from xdeepda.source import RunSource
from xdeepda.verification.fields import (
    Estimate,
    FieldSeries,
    as_dataset,
    convertible,
    same_quantity,
    with_surface,
)
from xdeepda.verification.regrid import Regridder

logger = logging.getLogger("xdeepda")

#: Fewer years than this have no mean annual cycle of their own.
YEARS = 5


@dataclass(frozen=True)
class Normals:
    """A climatology on the grid of an estimate.

    Attributes
    ----------
    at : callable
        Number of a cycle -> numpy.ndarray of shape (nz, ny, nx), NaN where unknown.
    told : str
        One sentence on where it is from.
    """

    at: Callable[[int], np.ndarray]
    told: str


def normals_of(given: Any, estimate: Estimate, problems: Problems) -> Normals | None:
    """Climatology that a user gives.

    Parameters
    ----------
    given : Dataset or DataArray
        A run with a time axis (its mean annual cycle is fitted, as for training), means
        of the twelve months along a dimension ``month``, or one field without time.
    estimate : Estimate
    problems : Problems

    Returns
    -------
    Normals or None
        None with a problem.
    """
    who = "climatology="
    ds = as_dataset(given)
    if ds is None:
        problems.add(
            f"{who} is no field",
            found=type(given).__name__,
            expected="a control run, monthly means along 'month', or one field",
        )
        return None
    da = same_quantity(ds, estimate, who, problems)
    if da is None:
        return None
    unit = unit_tools.unit_of(da)
    if unit is None or not convertible(unit, estimate.unit):
        problems.add(f"{who} is in another unit", found=f"{unit!r}", expected=estimate.unit)
        return None
    try:
        if "month" in da.dims:
            return _of_months(da, unit, estimate)
        layout = layout_of(da)
        if layout.axes.time is None:
            return _of_field(da, unit, estimate)
        found = _of_run(ds, str(da.name), estimate)
    except (InputError, NotImplementedError) as error:
        problems.add(f"{who} cannot be used", found=str(error))
        return None
    return Normals(found.at, f"{found.told} of the run that was given")


def own_normals(ds: xr.Dataset, name: str, estimate: Estimate) -> Normals | str:
    """Mean annual cycle of a reference itself, or why there is none."""
    assert estimate.cycle is not None
    try:
        found = _of_run(ds, name, estimate, YEARS)
    except InputError as error:
        return str(error).splitlines()[-1].strip() if "\n" in str(error) else str(error)
    return Normals(found.at, f"{found.told} of the reference itself")


def _of_run(ds: xr.Dataset, name: str, estimate: Estimate, years: int = 1) -> Normals:
    """Mean and harmonics of a run."""
    cycle = estimate.cycle
    if cycle is None:
        raise InputError("there is no cycle of the year without a time axis")
    source = RunSource(ds, name, cycle)
    length = len(source) / cycle.per_year
    if length < years:
        raise InputError(f"it spans {length:.3g} years only, and {years} are needed")
    harmonics = harmonics_of(None, cycle)
    wet = source.wet
    fitted = fit_climatology(source, wet, harmonics)
    values = np.where(wet, fitted.coefficients, np.nan)[:, 0]
    line = unit_tools.conversion(source.units[0], estimate.unit)
    layout = with_surface(source.fields[0], estimate, source.layout)
    told = f"mean annual cycle ({harmonics} harmonics, {length:.3g} years)"
    return Normals(_harmonic(values, Regridder(layout.grid, estimate.grid), line, estimate), told)


def _harmonic(
    coefficients: np.ndarray, regrid: Regridder, line: tuple[float, float], estimate: Estimate
) -> Callable[[int], np.ndarray]:
    """Evaluate harmonics; shape of the coefficients (2 K + 1, nz, ny, nx), of another grid."""
    on_grid = regrid(coefficients) * line[0]
    on_grid[0] += line[1]
    harmonics = (len(coefficients) - 1) // 2
    cycle = estimate.cycle
    assert cycle is not None

    def at(number: int) -> np.ndarray:
        fraction = cycle.year_fraction(number, estimate.calendar)
        return np.asarray(np.tensordot(design(fraction, harmonics)[0], on_grid, axes=1))

    return at


def _of_months(da: xr.DataArray, unit: str, estimate: Estimate) -> Normals:
    """Means of the twelve months: looked up, or a smooth curve through them."""
    months = [int(m) for m in da["month"].values] if "month" in da.coords else list(range(1, 13))
    if sorted(months) != list(range(1, 13)):
        raise InputError(f"months {months} instead of 1 to 12")
    if estimate.cycle is None:
        raise InputError("there is no month without a time axis")
    rows = [da.isel(month=months.index(m), drop=True) for m in range(1, 13)]
    series = [_series(row, unit, estimate) for row in rows]
    regrid = Regridder(series[0].grid, estimate.grid)
    table = np.concatenate([regrid(s.read(0)) for s in series])
    told = "means of the months that were given"
    cycle: Cycle = estimate.cycle
    if cycle.name == "month":
        return Normals(lambda number: table[int(cycle.phase(number))], told)
    kept = DEFAULT_HARMONICS[cycle.name]
    inverse = np.linalg.pinv(design((np.arange(12) + 0.5) / 12, kept))
    coefficients = np.tensordot(inverse, table, axes=1)
    same = Regridder(estimate.grid, estimate.grid)
    return Normals(_harmonic(coefficients, same, (1.0, 0.0), estimate), f"{told}, interpolated")


def _of_field(da: xr.DataArray, unit: str, estimate: Estimate) -> Normals:
    """One field for all times."""
    series = _series(da, unit, estimate)
    field = Regridder(series.grid, estimate.grid)(series.read(0)[0])
    return Normals(lambda number: field, "the field that was given, without an annual cycle")


def _series(da: xr.DataArray, unit: str, estimate: Estimate) -> FieldSeries:
    """A field without time."""
    layout = with_surface(da, estimate, layout_of(da))
    if layout.axes.member is not None:
        raise InputError(f"it is an ensemble: take .mean({layout.axes.member!r})")
    if layout.grid.dims != estimate.grid.dims:
        raise InputError(f"it has axes {layout.grid.dims} instead of {estimate.grid.dims}")
    return FieldSeries(da, layout, None, unit_tools.conversion(unit, estimate.unit))
