"""A field as a series of cycles, and least-squares fits along it.

What depends on time goes through here: the cycle and the calendar, the base period,
the climatology, and regression with missing values.

Knows calendar, climatology and sources of the package; no particular diagnostic.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr

from xdeepda.calendar import Cycle
from xdeepda.climatology import design, harmonics_of
from xdeepda.diagnostics.fields import Field, look
from xdeepda.errors import InputError, Problems
from xdeepda.source import RunSource

logger = logging.getLogger("xdeepda")


@dataclass(frozen=True, eq=False)
class Series:
    """A field with one value a cycle.

    Attributes
    ----------
    field : Field
        Means of the cycles; ``field.values`` has a dimension time.
    cycle : Cycle
    numbers : numpy.ndarray of int64, shape (n,)
        Absolute numbers of the cycles, consecutive.
    calendar : str
    """

    field: Field
    cycle: Cycle
    numbers: np.ndarray
    calendar: str

    @property
    def values(self) -> xr.DataArray:
        """Canonical values."""
        return self.field.values

    @property
    def phase(self) -> np.ndarray:
        """Cycle of the year, from 0; shape (n,)."""
        return self.cycle.phase(self.numbers)

    @property
    def years(self) -> np.ndarray:
        """Time in years, one step a cycle; shape (n,)."""
        return (self.numbers + 0.5) / self.cycle.per_year

    def with_values(self, values: xr.DataArray) -> Series:
        """Return the same times with other values."""
        return replace(self, field=replace(self.field, values=values))

    def seasonal_design(
        self, kind: int | str | None, numbers: np.ndarray | None = None
    ) -> np.ndarray:
        """Matrix of a climatology: harmonics, or one column for each cycle of the year.

        By default means of months and years, as is usual, but harmonics of pentads, of
        which a base period holds too few each to average.

        Parameters
        ----------
        kind : int, "means" or None
        numbers : numpy.ndarray, optional
            Of other cycles than those of the series.
        """
        numbers = self.numbers if numbers is None else numbers
        if kind == "means" or (kind is None and self.cycle.name != "pentad"):
            return np.eye(self.cycle.per_year)[self.cycle.phase(numbers)]
        fraction = self.cycle.year_fraction(numbers, self.calendar)
        return design(fraction, harmonics_of(kind, self.cycle))

    def base(self, period: Any, problems: Problems) -> np.ndarray:
        """Positions of the cycles of a base period, all by default."""
        if period is None:
            return np.arange(self.numbers.size)
        try:
            first, last = (int(str(year).split("-")[0]) for year in period)
        except (TypeError, ValueError):
            problems.add(
                "base= is no period",
                found=repr(period),
                expected="first and last year, such as (1981, 2010)",
            )
            return np.arange(self.numbers.size)
        year = self.numbers // self.cycle.per_year
        inside = np.flatnonzero((year >= first) & (year <= last))
        if not inside.size:
            problems.add(
                "no time lies in the base period",
                found=f"years {year[0]} to {year[-1]}",
                expected=f"some of {first} to {last}",
            )
        elif inside.size < (last - first + 1) * self.cycle.per_year:
            logger.warning(
                "the base period %d to %d is covered by %.3g of its %d years",
                first, last, inside.size / self.cycle.per_year, last - first + 1,
            )  # fmt: skip
        return inside


def look_along_time(
    obj: xr.Dataset | xr.DataArray,
    var: str | None,
    problems: Problems,
    *,
    cycle: str | None = None,
    kind: str | None = None,
    needs: tuple[str, ...] = (),
) -> Series | None:
    """Understand one variable of an object as a series of cycles; None if there was a problem.

    Parameters
    ----------
    obj : Dataset or DataArray
        Members and times may come together.
    var, problems, kind, needs
        As of :func:`xdeepda.diagnostics.fields.look`.
    cycle : {"pentad", "month", "year"}, optional
        Guessed from the spacing of times, which is said in the log; finer times are
        averaged over it.
    """
    field = look(obj, var, problems, kind=kind, needs=needs)
    if field is None:
        return None
    if field.layout.axes.time is None:
        problems.add("no time axis found", found=f"dimensions {field.layout.dims}")
        return None
    try:
        wanted = None if cycle is None else Cycle(cycle)
    except InputError as error:
        problems.absorb(error)
        return None
    member = field.layout.axes.member
    before = len(problems)
    one = obj if member is None else obj.isel({member: 0}, drop=True)
    source = RunSource(one, field.name if isinstance(obj, xr.Dataset) else None, wanted,
                       problems=problems)  # fmt: skip
    if len(problems) > before:
        return None
    values = _cycle_means(field.values, source)
    return Series(replace(field, values=values), source.cycle, source.cycles, source.calendar)


def _cycle_means(values: xr.DataArray, source: RunSource) -> xr.DataArray:
    """Means over the samples of each cycle, at its middle; as it is where there is one each."""
    counts = source.samples_per_cycle
    if (counts == 1).all():
        return values
    number = xr.DataArray(np.repeat(source.cycles, counts), dims="time", name="cycle")
    means = values.drop_vars("time").groupby(number).mean("time")
    middle = source.cycle.middle(source.cycles, source.calendar)
    means = means.rename(cycle="time").assign_coords(time=middle)
    means["time"].attrs = dict(values["time"].attrs)
    return means.transpose(*values.dims)


def whole_years(series: Series, problems: Problems, fewest: int = 1) -> None:
    """Refuse a series that does not hold so many years."""
    years = series.numbers.size / series.cycle.per_year
    if years < fewest:
        problems.add(
            "the series is too short",
            found=f"{series.numbers.size} cycles ({series.cycle.name}s), {years:.3g} years",
            expected=f"at least {fewest} year{'s' if fewest > 1 else ''}",
        )


def has_seasons(series: Series, problems: Problems) -> None:
    """Refuse yearly means where the course of the year is asked for."""
    if series.cycle.name == "year":
        problems.add("yearly means have no seasons", todo="give pentads or months")


# ---- least squares along time


def fit(values: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Coefficients of a least-squares fit along the last axis; missing values are left out.

    Parameters
    ----------
    values : numpy.ndarray, shape (..., n)
        NaN where missing.
    matrix : numpy.ndarray, shape (n, k)

    Returns
    -------
    numpy.ndarray of float64, shape (..., k)
        NaN where the values that there are do not determine them.

    Examples
    --------
    >>> line = np.stack([np.ones(4), np.arange(4)], axis=1)
    >>> fit(np.array([1.0, np.nan, 5.0, 7.0]), line).round(6)
    array([1., 2.])
    """
    n, k = matrix.shape
    flat = np.asarray(values, dtype=np.float64).reshape(-1, n)
    known = np.isfinite(flat)
    whole, some = known.all(axis=1), known.sum(axis=1)
    out = np.full((flat.shape[0], k), np.nan)
    if whole.any() and np.linalg.matrix_rank(matrix) == k:
        out[whole] = flat[whole] @ np.linalg.pinv(matrix).T
    rest = np.flatnonzero(~whole & (some >= k))
    patterns, which = np.unique(known[rest], axis=0, return_inverse=True)
    # cells with the same times missing are solved together
    for number, pattern in enumerate(patterns):
        if np.linalg.matrix_rank(matrix[pattern]) == k:
            rows = rest[which.reshape(-1) == number]
            out[rows] = flat[rows][:, pattern] @ np.linalg.pinv(matrix[pattern]).T
    return out.reshape(*np.shape(values)[:-1], k)


def along_time(
    function: Any, values: xr.DataArray, outputs: Sequence[str | None] = (None,), sizes: Any = None
) -> tuple[xr.DataArray, ...]:
    """Apply a function along time, lazily where the values are.

    Parameters
    ----------
    function : callable
        Of an array (..., n); gives as many arrays as there are `outputs`.
    values : DataArray
        With dimension time.
    outputs : sequence of str or None
        Name of the last dimension of each result, None where it has none.
    sizes : dict, optional
        Sizes of new dimensions.
    """
    # whole series, but not of the whole globe at once
    chunks: dict[Any, Any] = {d: -1 if d == "time" else "auto" for d in values.dims}
    whole = values.chunk(chunks) if values.chunks is not None else values
    found = xr.apply_ufunc(
        function,
        whole,
        input_core_dims=[["time"]],
        exclude_dims={"time"},
        output_core_dims=[[name] if name else [] for name in outputs],
        dask="parallelized",
        output_dtypes=[np.float64] * len(outputs),
        dask_gufunc_kwargs={"output_sizes": sizes} if sizes else None,
    )
    results = found if isinstance(found, tuple) else (found,)
    lead = ("member", "time", "depth", "lat", "lon")
    return tuple(r.transpose(*(d for d in lead if d in r.dims), ...) for r in results)


def anomalies_of(series: Series, kind: int | str | None, base: np.ndarray) -> xr.DataArray:
    """Values less the climatology of the base period."""
    matrix = series.seasonal_design(kind)

    def depart(values: np.ndarray) -> np.ndarray:
        return values - fit(values[..., base], matrix[base]) @ matrix.T

    (found,) = along_time(depart, series.values, ["time"], {"time": series.numbers.size})
    return found.assign_coords(time=series.values["time"])


def base_of(series: Series, period: Any, kind: Any, problems: Problems) -> np.ndarray:
    """Positions of the base period of anomalies, checked: a year at least, that determines them.

    Parameters
    ----------
    series : Series
    period : (first, last) year, or None for all
    kind : int, "means" or None
        Of the climatology.
    problems : Problems
    """
    whole_years(series, problems)
    positions = series.base(period, problems)
    check_climatology(series, kind, positions, problems)
    return positions


def check_climatology(series: Series, kind: Any, base: np.ndarray, problems: Problems) -> None:
    """Refuse a climatology that the base period does not determine."""
    try:
        matrix = series.seasonal_design(kind)
    except InputError as error:
        problems.absorb(error)
        return
    if base.size and np.linalg.matrix_rank(matrix[base]) < matrix.shape[1]:
        problems.add(
            "the base period does not determine the climatology",
            found=f"{base.size} {series.cycle.name}s",
            expected="each cycle of the year at least once",
            todo="a longer base period",
        )
