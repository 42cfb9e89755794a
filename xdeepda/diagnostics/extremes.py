"""Marine heatwaves of pentads and months.

Knows series of cycles; numpy and xarray.
"""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import xarray as xr

from xdeepda.diagnostics.fields import finished, tell_of_spread
from xdeepda.diagnostics.series import (
    Series,
    along_time,
    has_seasons,
    look_along_time,
    whole_years,
)
from xdeepda.errors import Problems
from xdeepda.observations.quantities import TEMPERATURE

logger = logging.getLogger("xdeepda")

#: Cycles to either side that enter a percentile (11 days are one pentad to either side), and
#: the cycles of the running mean of thresholds (31 days are about 7 pentads or one month).
WINDOW = {"pentad": (1, 7), "month": (0, 1)}

#: Years of a base period: fewer are refused, fewer are told.
FEWEST, USUAL = 10, 30


def quantile(values: np.ndarray, share: float) -> np.ndarray:
    """Quantile along the last axis, linear between values; missing ones are left out.

    Examples
    --------
    >>> float(quantile(np.array([4.0, np.nan, 1.0, 2.0]), 0.75))
    3.0
    """
    ordered = np.sort(values, axis=-1)  # NaN goes to the end
    last = np.isfinite(values).sum(axis=-1, keepdims=True) - 1
    place = np.maximum(last, 0) * share
    low = np.floor(place).astype(int)
    high = np.minimum(low + 1, np.maximum(last, 0))
    below, above = (np.take_along_axis(ordered, k, axis=-1) for k in (low, high))
    found = below + (place - low) * (above - below)
    return np.where(last < 0, np.nan, found)[..., 0]


def threshold(values: np.ndarray, phase: np.ndarray, cycle: str, share: float) -> np.ndarray:
    """Threshold of each cycle of the year, shape (..., per_year).

    Parameters
    ----------
    values : numpy.ndarray, shape (..., n)
        Of the base period.
    phase : numpy.ndarray of int, shape (n,)
        Cycle of the year.
    cycle : {"pentad", "month"}
    share : float
        The percentile as a fraction.
    """
    reach, length = WINDOW[cycle]
    per_year = {"pentad": 73, "month": 12}[cycle]
    columns = []
    for p in range(per_year):
        apart = np.abs((phase - p + per_year // 2) % per_year - per_year // 2)
        columns.append(quantile(values[..., apart <= reach], share))
    found = np.stack(columns, axis=-1)
    half = length // 2
    turns = [np.roll(found, step, axis=-1) for step in range(-half, half + 1)]
    return np.asarray(sum(turns) / len(turns))


def marine_heatwave_days(
    ds: xr.Dataset | xr.DataArray,
    var: str | None = None,
    *,
    percentile: float = 90.0,
    base: tuple[Any, Any] | None = None,
    cycle: str | None = None,
) -> xr.DataArray:
    """Days of marine heatwave in each year.

    After Hobday et al. (2016), to whom a heatwave lasts at least five days above the 90th
    percentile of the time of the year.  Their definition is of days; for means of cycles:

    * the percentile of a pentad is that of it and its neighbours (15 days for their 11) in
      all years of the base period, smoothed over 7 pentads (35 days for their 31); that of
      a month is of this month, not smoothed;
    * a pentad or a month above its threshold counts with all of its days, being at least
      five days long; gaps of two days, which they close, are shorter than a cycle.

    Parameters
    ----------
    ds : Dataset or DataArray
        With temperature along time; each level is judged by its own percentiles.
    var : str, optional
        Name of the temperature, where there are several.
    percentile : float, default 90
    base : (first, last) year, optional
        Period of the percentiles, at least 10 years, better 30; all by default.
    cycle : {"pentad", "month"}, optional
        Guessed from the spacing of times; days are averaged over it.

    Returns
    -------
    DataArray, float64
        ``marine_heatwave_days`` in days, with the dimension year in place of time, of the
        years that are complete.  Missing where a value of the year is.

    Raises
    ------
    InputError
        No time axis or temperature; yearly means; a base period of less than 10 years.

    References
    ----------
    Hobday, A. J., et al. (2016), Prog. Oceanogr. 141, 227.

    Examples
    --------
    >>> ds.deepda.marine_heatwave_days(base=(1991, 2020))  # doctest: +SKIP
    """
    problems = Problems("marine_heatwave_days")
    series = look_along_time(ds, var, problems, cycle=cycle, kind=TEMPERATURE)
    if not 50 <= percentile < 100:
        problems.add("percentile= is none of warm water", found=repr(percentile), expected="90")
    if series is None:
        problems.raise_if_any()
    assert series is not None  # told above
    has_seasons(series, problems)
    positions = series.base(base, problems)
    years = positions.size / series.cycle.per_year
    if years < FEWEST:
        problems.add(
            "the base period is too short for percentiles",
            found=f"{years:.3g} years",
            expected=f"at least {FEWEST}, better {USUAL}",
        )
    whole_years(series, problems)
    problems.raise_if_any()
    if years < USUAL:
        logger.warning("percentiles of %.3g years: %d are usual", years, USUAL)
    return _count(series, positions, percentile / 100)


def _count(series: Series, positions: np.ndarray, share: float) -> xr.DataArray:
    """Days above the threshold in each complete year."""
    phase, name = series.phase, series.cycle.name
    days = series.cycle.days(series.numbers, series.calendar)
    year = series.numbers // series.cycle.per_year
    whole, start, count = np.unique(year, return_index=True, return_counts=True)
    complete = count == series.cycle.per_year
    if not complete.all():
        logger.info("years that are not complete are left out: %s", whole[~complete].tolist())

    def judge(values: np.ndarray) -> np.ndarray:
        limit = threshold(values[..., positions], phase[positions], name, share)[..., phase]
        hot = np.where(np.isnan(values) | np.isnan(limit), np.nan, (values > limit) * days)
        return np.add.reduceat(hot, start, axis=-1)[..., complete]

    sizes = {"year": int(complete.sum())}
    (found,) = along_time(judge, series.values, ["year"], sizes)
    axis = xr.DataArray(whole[complete], dims="year", attrs={"long_name": "year of the calendar"})
    field = series.field
    return finished(
        found,
        field,
        name="marine_heatwave_days",
        unit="day",
        long_name=f"days of marine heatwave: {name}s above their {share:.3g} quantile",
        references="Hobday et al. (2016), Prog. Oceanogr. 141, 227",
        **tell_of_spread(field),
    ).assign_coords(year=axis)
