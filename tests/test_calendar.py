"""Cycles on every calendar."""

from __future__ import annotations

import datetime

import cftime
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import example, given
from hypothesis import strategies as st

from xdeepda.calendar import CYCLES, Cycle, calendar_of, positions_of
from xdeepda.errors import InputError, Problems

CALENDARS = (
    "standard",
    "gregorian",
    "proleptic_gregorian",
    "noleap",
    "all_leap",
    "360_day",
    "julian",
)


def days_of_year(year: int, calendar: str) -> np.ndarray:
    """Noon of every day of a year."""
    if calendar == "standard":
        days = np.arange(f"{year:04d}-01-01", f"{year + 1:04d}-01-01", dtype="M8[D]")
        return days.astype("M8[s]") + np.timedelta64(12, "h")
    return xr.date_range(
        f"{year:04d}-01-01T12:00:00",
        f"{year:04d}-12-{30 if calendar == '360_day' else 31}T12:00:00",
        calendar=calendar,
        use_cftime=True,
    ).values


@given(
    st.sampled_from(CALENDARS),
    st.sampled_from(tuple(CYCLES)),
    st.integers(1, 4000),
    st.integers(0, 72),
)
@example("gregorian", "pentad", 100, 72)  # a leap year before the reform, not after it
@example("gregorian", "month", 1500, 1)
@example("standard", "pentad", 1, 0)
@example("standard", "pentad", 3000, 5)
@example("360_day", "pentad", 1, 33)
def test_cycles_tile_the_time(calendar, name, year, phase):
    cycle = Cycle(name)
    index = np.array([year * cycle.per_year + phase % cycle.per_year])
    start, end = cycle.bounds(index, calendar)
    assert cycle.index(start) == cycle.index(cycle.middle(index, calendar)) == index
    assert cycle.index(end) == index + 1
    assert cycle.bounds(index + 1, calendar)[0] == end
    length = (end - start)[0]
    seconds = length / np.timedelta64(1, "s") if calendar == "standard" else length.total_seconds()
    assert seconds / 86400 == pytest.approx(cycle.days(index, calendar)[0], abs=2e-5)
    assert 0 < cycle.year_fraction(index, calendar)[0] < 1
    assert cycle.phase(index) == phase % cycle.per_year


@pytest.mark.parametrize("calendar", CALENDARS)
@pytest.mark.parametrize("year", [1, 4, 100, 1500, 1900, 1999, 2000])
@pytest.mark.parametrize("name", tuple(CYCLES))
def test_every_day_of_a_year_has_its_cycle(calendar, year, name):
    cycle = Cycle(name)
    phases = cycle.index(days_of_year(year, calendar)) - year * cycle.per_year
    assert (np.diff(phases) >= 0).all()
    assert set(phases) == set(range(cycle.per_year))
    if name == "pentad" and calendar != "360_day":
        sizes = np.bincount(phases)
        assert (np.delete(sizes, 11) == 5).all()
        assert sizes[11] == 5 + (len(phases) == 366)


def test_29_february_stays_in_its_pentad():
    pentad = Cycle("pentad")
    leap = pentad.phase(pentad.index(np.array(["2004-02-28", "2004-02-29", "2004-03-01"], "M8[D]")))
    assert list(leap) == [11, 11, 11]
    start, end = pentad.bounds([2004 * 73 + 11], "standard")
    assert start[0] == np.datetime64("2004-02-25")
    assert end[0] == np.datetime64("2004-03-02")
    assert pentad.days([2004 * 73 + 11, 2005 * 73 + 11], "standard").tolist() == [6, 5]


def test_dates_keep_their_pentad_in_all_years_and_calendars():
    def phases(year: int, calendar: str) -> dict[tuple[int, int], int]:
        days = days_of_year(year, calendar)
        stamps = [(t.month, t.day) for t in xr.DataArray(days, dims="t").to_index()]
        return dict(zip(stamps, Cycle("pentad").phase(Cycle("pentad").index(days)), strict=True))

    plain = phases(2001, "noleap")
    for year, calendar in (
        (2004, "standard"),
        (2003, "standard"),
        (2004, "julian"),
        (5, "all_leap"),
    ):
        other = phases(year, calendar)
        assert {day: n for day, n in other.items() if day != (2, 29)} == plain


@pytest.mark.parametrize("calendar", CALENDARS)
def test_fractions_of_the_year_agree_between_calendars(calendar):
    index = 2001 * 73 + np.arange(73)
    other = Cycle("pentad").year_fraction(index, "noleap")
    np.testing.assert_allclose(Cycle("pentad").year_fraction(index, calendar), other, atol=0.003)
    assert Cycle("year").year_fraction([2001], calendar) == 0.5


def test_years_before_one_and_far_ahead():
    for year in (-3, 0, 250_000):
        index = np.array([year * 12 + 6])
        start, end = Cycle("month").bounds(index, "noleap")
        assert (start[0].year, start[0].month, end[0].month) == (year, 7, 8)
        assert Cycle("month").index(start) == index


def test_calendar_of_arrays():
    assert calendar_of(pd.date_range("2001", periods=2)) == "standard"
    assert calendar_of(np.datetime64("2001-01-01", "us")) == "standard"
    assert calendar_of([cftime.DatetimeNoLeap(1, 1, 1)]) == "noleap"
    assert calendar_of([cftime.Datetime360Day(1, 2, 30)]) == "360_day"
    assert calendar_of(xr.DataArray([cftime.DatetimeGregorian(1, 1, 1)])) == "gregorian"
    with pytest.raises(InputError, match=r"several calendars.*360_day, noleap"):
        calendar_of([cftime.DatetimeNoLeap(1, 1, 1), cftime.Datetime360Day(1, 1, 1)])


@pytest.mark.parametrize("values", [np.arange(3), ["2001-01-01"], [datetime.date(2001, 1, 1)], []])
def test_what_is_no_time_is_refused(values):
    with pytest.raises(InputError, match=r"no times[\s\S]*decode_times"):
        calendar_of(values)


def test_an_unknown_cycle_is_refused():
    with pytest.raises(InputError, match="'week' is not known; known: pentad, month, year"):
        Cycle("week")


def test_time_of_day_does_not_matter():
    times = np.array(["2001-01-05T23:59:59.999", "2001-01-06T00:00:00"], "M8[ns]")
    assert Cycle("pentad").index(times).tolist() == [2001 * 73, 2001 * 73 + 1]


def test_a_mixture_of_calendars_is_told_with_its_place():
    times = [cftime.DatetimeNoLeap(2001, 1, 1), cftime.Datetime360Day(2001, 2, 1)]
    with pytest.raises(InputError, match=r"360_day, noleap[\s\S]*360_day at position 1"):
        calendar_of(np.array(times))


@pytest.mark.parametrize("calendar", CALENDARS)
def test_dates_find_the_times_that_they_hold(calendar):
    cycle = Cycle("month")
    times = xr.DataArray(cycle.middle(2001 * 12 + np.arange(24), calendar), dims="time")
    problems = Problems("dates")
    for when, expected in (
        ("2001", range(12)),
        ("2002-02", [13]),
        (slice("2001-11", "2002-01"), [10, 11, 12]),
        (slice(None, "2001-02"), [0, 1]),
        (times.values[5], [5]),
        ("2001-06-20", [5]),
    ):
        found = positions_of(times, when, problems)
        np.testing.assert_array_equal(found, expected, err_msg=str(when))
    assert len(problems) == 0
    assert positions_of(times, "2003-03", problems) is None
    assert positions_of(times, slice("2003", None), problems) is None
    assert positions_of(times, 7, problems) is None
    assert [p.what for p in problems] == [
        "there is nothing at time='2003-03'",
        "there is nothing at time=slice('2003', None, None)",
        "time=7 is no date",
    ]
