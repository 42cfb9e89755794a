"""Cycles of the year, their bounds, and the mapping of any calendar to them.

A *cycle* is the interval of one analysis.  Every cycle of every year has one
integer, ``year * per_year + phase``, which is all that the rest of the package
needs of time; two calendars meet in the *phase* (the cycle of the year) and in
the *year fraction* of the middle of a cycle.

Knows numpy and xarray's time handling; no grid, no data, no torch.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import cftime
import numpy as np
import xarray as xr

from xdeepda.errors import InputError, Problems

#: Cycles per year.
CYCLES = {"pentad": 73, "month": 12, "year": 1}

#: Names that :func:`calendar_of` gives.
CALENDARS = (
    "standard", "gregorian", "proleptic_gregorian", "noleap", "all_leap", "360_day", "julian",
)  # fmt: skip

#: A year, a month or a day.
_DATE = re.compile(r"^(-?\d{1,4})(?:-(\d{1,2}))?(?:-(\d{1,2}))?(?:[T ].*)?$")

#: 29 February is day 59 of a leap year, counted from 0.
_LEAP_DAY = 59


def calendar_of(times: Any) -> str:
    """Calendar of an array of times.

    Parameters
    ----------
    times : array of datetime64 or cftime objects, or DataArray of these

    Returns
    -------
    str
        CF name of the calendar; ``"standard"`` means datetime64, ``"gregorian"`` the
        same calendar in cftime objects.

    Raises
    ------
    InputError
        If the values are no times, or of several calendars.

    Examples
    --------
    >>> calendar_of(np.array(["2001-01-01"], dtype="datetime64[ns]"))
    'standard'
    """
    values = np.atleast_1d(np.asarray(times))
    if np.issubdtype(values.dtype, np.datetime64):
        return "standard"
    if values.dtype == object and values.size and all(hasattr(v, "calendar") for v in values.flat):
        names = sorted({_plain(v.calendar) for v in values.flat})
        if len(names) > 1:
            _refuse_mixture(values, names)
        return names[0]
    problems = Problems("times")
    problems.add(
        "the time axis holds no times",
        found=f"values of type {values.dtype}",
        expected="datetime64 or cftime",
        todo="decode the file: xr.open_dataset(..., decode_times=True), or xr.decode_cf(ds)",
    )
    problems.raise_if_any()
    raise AssertionError("unreachable")


def _refuse_mixture(values: np.ndarray, names: list[str]) -> None:
    """Say where the calendar changes."""
    flat = list(values.flat)
    own = [_plain(v.calendar) for v in flat]
    n = next(n for n, name in enumerate(own) if name != own[0])
    problems = Problems("times")
    problems.add(
        f"times of several calendars in one input: {', '.join(names)}",
        found=f"{own[0]} at first, {own[n]} at position {n} ({flat[n]})",
        expected="one calendar",
        todo="convert the parts before they are joined: part.convert_calendar(...)",
    )
    problems.raise_if_any()


def _plain(calendar: str) -> str:
    """One name for the spellings of a calendar of cftime objects."""
    name = calendar.lower()
    return {"standard": "gregorian", "365_day": "noleap", "366_day": "all_leap"}.get(name, name)


@dataclass(frozen=True)
class Cycle:
    """The interval of one analysis.

    Parameters
    ----------
    name : {"pentad", "month", "year"}
        A pentad is a 73rd of the year: five days of a 365-day calendar; the one
        that holds 29 February has six.  In a 360-day calendar a pentad is
        360/73 days long.

    Raises
    ------
    InputError
        If the name is another one.

    Examples
    --------
    >>> Cycle("month").index(np.array(["2001-03-16"], dtype="datetime64[ns]"))
    array([24014])
    """

    name: str

    def __post_init__(self) -> None:
        """Refuse an unknown cycle."""
        if self.name not in CYCLES:
            raise InputError(f"cycle {self.name!r} is not known; known: {', '.join(CYCLES)}")

    @property
    def per_year(self) -> int:
        """Number of cycles in a year."""
        return CYCLES[self.name]

    def index(self, times: Any) -> np.ndarray:
        """Absolute number of the cycle that holds each time.

        Parameters
        ----------
        times : array-like of datetime64 or cftime, shape (n,)

        Returns
        -------
        numpy.ndarray of int64, shape (n,)
            ``year * per_year + phase``.
        """
        values = np.atleast_1d(np.asarray(times))
        calendar = calendar_of(values)
        parts = _time_parts(values)
        year = parts["year"]
        if self.name == "year":
            return year
        if self.name == "month":
            return year * 12 + parts["month"] - 1
        return year * 73 + self._pentad(parts, calendar)

    def _pentad(self, parts: dict[str, np.ndarray], calendar: str) -> np.ndarray:
        """Pentad of the year, 0 to 72."""
        day = parts["dayofyear"] - 1
        if calendar == "360_day":
            # seconds as integers: no time on a boundary falls to the wrong side
            second = day * 86400 + parts["second"]
            return second * 73 // (360 * 86400)
        leap = _year_length(parts["year"], calendar) == 366
        day = day - (leap & (day >= _LEAP_DAY))
        return day // 5

    def phase(self, index: Any) -> np.ndarray:
        """Cycle of the year, from 0."""
        return np.asarray(index) % self.per_year

    def bounds(self, index: Any, calendar: str) -> tuple[np.ndarray, np.ndarray]:
        """Start and end of cycles.

        Parameters
        ----------
        index : array-like of int, shape (n,)
        calendar : str
            CF calendar; ``"standard"`` gives datetime64[ns].

        Returns
        -------
        start, end : numpy.ndarray, shape (n,)
        """
        index = np.atleast_1d(np.asarray(index, dtype=np.int64))
        year, start, end = self._days_of_year(index, calendar)
        return _dates(year, start, calendar), _dates(year, end, calendar)

    def _days_of_year(
        self, index: np.ndarray, calendar: str
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Year, and start and end of the cycle in days since its start."""
        year, phase = index // self.per_year, index % self.per_year
        length = _year_length(year, calendar)
        if self.name == "year":
            return year, np.zeros(index.shape), length.astype(float)
        if self.name == "month":
            edges = _month_edges(calendar)[(length == 366).astype(int)]
            rows = np.arange(index.size)
            return year, edges[rows, phase], edges[rows, phase + 1]
        if calendar == "360_day":
            return year, phase * 360 / 73, (phase + 1) * 360 / 73
        leap = length == 366
        start, end = phase * 5.0, phase * 5.0 + 5
        return year, start + (leap & (start > _LEAP_DAY)), end + (leap & (end > _LEAP_DAY))

    def middle(self, index: Any, calendar: str) -> np.ndarray:
        """Middle of cycles, as datetime64[ns] or cftime, shape (n,)."""
        index = np.atleast_1d(np.asarray(index, dtype=np.int64))
        year, start, end = self._days_of_year(index, calendar)
        return _dates(year, (start + end) / 2, calendar)

    def year_fraction(self, index: Any, calendar: str) -> np.ndarray:
        """Middle of cycles as a fraction of their year, in (0, 1), shape (n,)."""
        index = np.atleast_1d(np.asarray(index, dtype=np.int64))
        year, start, end = self._days_of_year(index, calendar)
        return (start + end) / 2 / _year_length(year, calendar)

    def days(self, index: Any, calendar: str) -> np.ndarray:
        """Length of cycles in days, shape (n,)."""
        index = np.atleast_1d(np.asarray(index, dtype=np.int64))
        _, start, end = self._days_of_year(index, calendar)
        return end - start


def _time_parts(values: np.ndarray) -> dict[str, np.ndarray]:
    """Year, month, day of the year and second of the day, as int64."""
    accessor = xr.DataArray(values, dims="t").dt
    parts = {
        name: getattr(accessor, name).values.astype(np.int64)
        for name in ("year", "month", "dayofyear")
    }
    parts["second"] = (
        accessor.hour.values.astype(np.int64) * 3600
        + accessor.minute.values.astype(np.int64) * 60
        + accessor.second.values.astype(np.int64)
    )
    return parts


def _year_length(year: np.ndarray, calendar: str) -> np.ndarray:
    """Days of each year."""
    year = np.asarray(year)
    fixed = {"360_day": 360, "noleap": 365, "all_leap": 366}.get(calendar)
    if fixed:
        return np.full(year.shape, fixed)
    julian = year % 4 == 0
    if calendar == "julian":
        return np.where(julian, 366, 365)
    leap = julian & ((year % 100 != 0) | (year % 400 == 0))
    if calendar == "gregorian":
        # the mixed calendar of CF: Julian before the reform of 1582
        leap = np.where(year < 1582, julian, leap)
    return np.where(leap, 366, 365)


def _month_edges(calendar: str) -> np.ndarray:
    """Day of the year at which each month starts; row 1 is a leap year; shape (2, 13)."""
    if calendar == "360_day":
        return np.tile(np.arange(13) * 30.0, (2, 1))
    months = np.array([[31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]] * 2)
    months[1, 1] = 29
    return np.concatenate([np.zeros((2, 1)), np.cumsum(months, axis=1)], axis=1)


def _dates(year: np.ndarray, day: np.ndarray, calendar: str) -> np.ndarray:
    """Times from years and (fractional) days since the start of the year."""
    # upwards to the next second: a boundary belongs to the cycle that it opens
    second = np.ceil(np.round(np.asarray(day) * 86400, 3)).astype(np.int64)
    if calendar == "standard":
        start = (year - 1970).astype("datetime64[Y]").astype("datetime64[s]")
        dates = start + second.astype("timedelta64[s]")
        # nanoseconds, numpy's habit, reach from 1678 to 2262 only
        fits = year.size == 0 or (year.min() > 1678 and year.max() < 2261)
        return dates.astype("datetime64[ns]" if fits else "datetime64[us]")
    dates = np.empty(len(year), dtype=object)
    for n, (y, s) in enumerate(zip(year, second, strict=True)):
        dates[n] = cftime.num2date(
            int(s), f"seconds since {int(y):04d}-01-01", calendar=calendar, has_year_zero=True
        )
    return dates


def time_encoding(year: int, calendar: str) -> dict[str, Any]:
    """How a file keeps times: days since the start of a year, in a calendar by its CF name."""
    # datetime64 is proleptic, cftime's "gregorian" is what CF calls standard
    names = {"standard": "proleptic_gregorian", "gregorian": "standard"}
    unit = f"days since {year:04d}-01-01 00:00:00"
    return {"units": unit, "calendar": names.get(calendar, calendar), "dtype": "float64"}


# ---- dates as users write them


def positions_of(times: xr.DataArray, when: Any, problems: Problems) -> np.ndarray | None:
    """Positions of the times that a date or a range of dates holds.

    Parameters
    ----------
    times : DataArray of datetime64 or cftime, shape (n,)
    when : str, a time of any kind, or a slice of these
        ``"1997"`` is a year, ``"1997-12"`` a month.  Where no time falls into a date, the
        nearest is taken, if it is no further than one time step.
    problems : Problems

    Returns
    -------
    numpy.ndarray of int64 or None
        None with a problem.
    """
    try:
        calendar_of(times.values)
    except InputError as refused:
        problems.absorb(refused)
        return None
    at = ordinal(times)
    ends = (when.start, when.stop) if isinstance(when, slice) else (when, when)
    bounds = [_date_bounds(end) if end is not None else (-np.inf, np.inf) for end in ends]
    if any(b is None for b in bounds):
        problems.add(f"time={when!r} is no date", expected="such as '1997-12', or a slice of these",
                     todo="positions: ds.isel(time=...)")  # fmt: skip
        return None
    low, high = bounds[0][0], bounds[1][1]  # type: ignore[index]
    inside = np.flatnonzero((at >= low) & (at < high))
    if inside.size:
        return inside
    nearest = int(np.argmin(np.abs(at - low)))
    step = float(np.diff(np.sort(at)).max()) if at.size > 1 else 31.0
    if isinstance(when, slice) or abs(at[nearest] - low) > step:
        first, last = (f"{t!s:.10}" for t in (times.values[0], times.values[-1]))
        problems.add(f"there is nothing at time={when!r}", expected=f"{first} to {last}")
        return None
    return np.array([nearest])


def ordinal(times: xr.DataArray) -> np.ndarray:
    """Numbers in the order of dates on any calendar: days of months of 31 days."""
    part = times.dt
    day = (part.year * 12 + part.month - 1) * 31 + part.day - 1 + part.hour / 24
    return np.asarray(day.values, dtype=float)


def _date_bounds(when: Any) -> tuple[float, float] | None:
    """First and last number of a date, which may be a year or a month; None if it is none."""
    text = when.isoformat() if hasattr(when, "isoformat") else str(when)
    found = _DATE.match(text.strip()) if not isinstance(when, (int, float)) else None
    if found is None:
        return None
    year, month, day = (None if g is None else int(g) for g in found.groups())
    if month is None:
        return 372.0 * year, 372.0 * (year + 1)  # type: ignore[operator]
    first = 31.0 * (year * 12 + month - 1)  # type: ignore[operator]
    return (first, first + 31) if day is None else (first + day - 1, first + day)
