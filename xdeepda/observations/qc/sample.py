"""The rows of a table as rules look at them: canonical units, casts, neighbours in depth.

Nothing here depends on the order of the rows.  Knows columns; it knows no rule.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from xdeepda import units as unit_tools
from xdeepda.calendar import calendar_of
from xdeepda.errors import InputError
from xdeepda.observations.columns import Rows
from xdeepda.observations.quantities import SALINITY, TEMPERATURE, kind_of
from xdeepda.observations.target import Target

#: Kinds of quantity in :attr:`Sample.kind`.
T, S, OTHER = 0, 1, 2

#: Absolute salinity (g/kg) of practical salinity 35, the reference of TEOS-10.
_STANDARD_SALINITY = 35.16504

#: Names of potential temperatures without a standard name.
_POTENTIAL = {"thetao", "theta", "potemp", "ptemp", "pottmp", "votemper"}


class Sample:
    """Columns of a table, ready for rules.

    Parameters
    ----------
    rows : Rows
        Complete and checked columns.
    good : numpy.ndarray of bool, shape (obs,)
        Rows that have a value and are not rejected so far; the run of the rules
        keeps it up to date.
    like : Target, optional
        Grid and sea of a model.

    Attributes
    ----------
    value, depth, lat, lon : numpy.ndarray of float64, shape (obs,)
        Values in degrees Celsius and practical salinity (others as they are); metres,
        degrees.
    seconds : numpy.ndarray of float64, shape (obs,)
        Time since 1970 in the table's calendar.
    kind : numpy.ndarray of int8, shape (obs,)
        :data:`T`, :data:`S` or :data:`OTHER`.
    variable : numpy.ndarray of int64, shape (obs,)
        Rank of the variable's name.
    potential : numpy.ndarray of bool, shape (obs,)
        Whether the value is a potential (or conservative) temperature.
    codes, names : dict of numpy.ndarray of int64, shape (obs,), and of list of str
        Of platform, profile, instrument and source: position of each row's name in the
        sorted list of the different ones, of which "" is none.
    failures : dict of numpy.ndarray of bool, shape (obs,)
        Rows that failed, by rule; kept up to date likewise.
    """

    def __init__(self, rows: Rows, good: np.ndarray, like: Target | None = None) -> None:
        assert rows.value is not None
        assert rows.code is not None
        self.good = good
        self.failures: dict[str, np.ndarray] = {}
        self.like = like
        self.size = rows.value.size
        self.depth = _floats(rows.depth, self.size)
        self.lat = _floats(rows.latitude, self.size)
        self.lon = _floats(rows.longitude, self.size)
        self.error = _floats(rows.error, self.size)
        self.time = rows.time
        self.calendar = "standard" if rows.time is None else _calendar(rows.time)
        self.seconds = seconds_of(rows.time, self.size)
        rank = np.argsort(np.argsort(np.array(rows.names)))
        self.variable = rank[rows.code]
        self.value = np.array(rows.value, dtype=np.float64)
        kinds = np.full(len(rows.names), OTHER, dtype=np.int8)
        potential = np.zeros(len(rows.names), dtype=bool)
        for code, name in enumerate(rows.names):
            self._read(rows, code, name, kinds, potential)
        self.kind = kinds[rows.code]
        self.potential = potential[rows.code]
        self.codes: dict[str, np.ndarray] = {}
        self.names: dict[str, list[str]] = {}
        for name in ("platform", "profile", "instrument", "source"):
            self.codes[name], self.names[name] = _ranked(rows.text.get(name), self.size)

    def _read(
        self, rows: Rows, code: int, name: str, kinds: np.ndarray, potential: np.ndarray
    ) -> None:
        """Kind and canonical values of one variable."""
        standard, unit = rows.standard_names.get(name, ""), rows.units.get(name, "")
        kind = kind_of(name, standard, unit)
        target = {TEMPERATURE: "degC", SALINITY: "psu"}.get(kind or "")
        if target is None:
            return
        mine = rows.code == code
        try:
            if unit != target:
                self.value[mine] = unit_tools.convert(self.value[mine], unit, target)
        except InputError:  # absolute salinity: g/kg exceed practical salinity by 0.5 percent
            if kind != SALINITY:
                return
            self.value[mine] *= 35.0 / _STANDARD_SALINITY
        kinds[code] = T if kind == TEMPERATURE else S
        words = ("potential", "conservative")
        potential[code] = (
            any(w in standard for w in words) if standard else name.lower() in _POTENTIAL
        )

    def named(self, column: str, which: Callable[[str], Any], dtype: Any = bool) -> np.ndarray:
        """Answer of a question about the name of each row, asked once for each name."""
        answers = np.array([which(name) for name in self.names[column]], dtype=dtype)
        return answers[self.codes[column]]

    # ---- positions in the water

    @cached_property
    def pressure(self) -> np.ndarray:
        """Decibars, 0 where the depth is unknown."""
        import gsw

        depth = np.nan_to_num(np.maximum(self.depth, 0.0))
        lat = np.where(np.abs(self.lat) <= 90, self.lat, 0.0)
        return np.asarray(gsw.p_from_z(-np.minimum(depth, 12_000.0), lat))

    @cached_property
    def measured(self) -> np.ndarray:
        """Values as an instrument shows them: temperatures in situ.

        The salinity is taken as 35, the assumption by which readers make potential
        temperature where none is known; 2 psu more or less are 0.5 mK at 200 m.
        """
        import gsw

        out = self.value.copy()
        deep = self.potential & (self.kind == T) & (self.pressure > 0) & np.isfinite(self.value)
        deep &= np.abs(self.value) < 60  # beyond the polynomial, and wrong in either case
        out[deep] = gsw.pt_from_t(_STANDARD_SALINITY, self.value[deep], 0.0, self.pressure[deep])
        return out

    # ---- casts

    @cached_property
    def cast(self) -> np.ndarray:
        """Number of the cast of each row: source, platform and profile, else time and place."""
        key = _joined([self.codes[n] for n in ("source", "platform", "profile")])
        nameless = self.named("profile", lambda name: not name)
        if nameless.any():
            where = _joined([_codes(c[nameless]) for c in (self.seconds, self.lat, self.lon)])
            apart = np.zeros(self.size, dtype=np.int64)
            apart[nameless] = 1 + where
            key = _joined([key, apart])
        return key

    @cached_property
    def order(self) -> np.ndarray:
        """Rows by cast, variable, depth and value, shape (obs,)."""
        # one sort of one number, casts lying 30 km apart; ties by value afterwards
        key = self.column * 30_000.0 + np.clip(self.depth, -1e4, 2e4)
        order = np.argsort(key, kind="stable")
        key = key[order]
        equal = np.append(key[1:] == key[:-1], False)
        equal[1:] |= equal[:-1]
        at = np.flatnonzero(equal)
        rows = order[at]
        ties = (self.lon, self.lat, self.seconds, self.value)
        order[at] = rows[np.lexsort((*(column[rows] for column in ties), key[at]))]
        return order

    @cached_property
    def column(self) -> np.ndarray:
        """Number of the cast and variable of each row."""
        return _joined([self.cast, self.variable])

    def levels(self, use: np.ndarray | None = None) -> Levels:
        """Good rows with a depth, in the order of depth within each cast and variable.

        Parameters
        ----------
        use : numpy.ndarray of bool, shape (obs,), optional
            Only these.
        """
        wanted = self.good & np.isfinite(self.depth)
        rows = self.order if use is None and wanted.all() else None
        if rows is None:
            wanted = wanted if use is None else wanted & use
            rows = self.order[wanted[self.order]]
        return Levels(self, rows)


class Levels:
    """Levels of casts, one after another; equal values at one depth are one level.

    Parameters
    ----------
    sample : Sample
    rows : numpy.ndarray of int64
        Rows of the table in the order of :attr:`Sample.order`.

    Attributes
    ----------
    rows : numpy.ndarray of int64, shape (m,)
        A row of the table of each level.
    column : numpy.ndarray of int64, shape (m,)
        Cast and variable; equal ones lie together.
    v, z : numpy.ndarray of float64, shape (m,)
        Measured value and depth.
    """

    def __init__(self, sample: Sample, rows: np.ndarray) -> None:
        self.sample = sample
        new = np.ones(rows.size, dtype=bool)
        for values in (sample.column, sample.depth, sample.value):
            own = values[rows]
            new[1:] &= own[1:] == own[:-1]
        new[1:] = ~new[1:]
        self._members = rows
        self._level = np.cumsum(new) - 1
        self.rows = rows[new]
        self.column = sample.column[self.rows]
        self.v = sample.measured[self.rows]
        self.z = sample.depth[self.rows]

    def __len__(self) -> int:
        """Number of levels."""
        return self.rows.size

    def shifted(self, by: int) -> np.ndarray:
        """Position of the level `by` further down, -1 where the cast has none."""
        at = np.arange(len(self)) + by
        inside = (at >= 0) & (at < len(self))
        at = np.where(inside, at, 0)
        return np.where(inside & (self.column[at] == self.column), at, -1) if len(self) else at

    def subset(self, keep: np.ndarray) -> Levels:
        """Only some of the levels."""
        return Levels(self.sample, self._members[keep[self._level]])

    @cached_property
    def starts(self) -> np.ndarray:
        """Position of the first level of each cast."""
        if not len(self):
            return np.zeros(0, dtype=np.int64)
        return np.flatnonzero(np.append(True, self.column[1:] != self.column[:-1]))

    @cached_property
    def sizes(self) -> np.ndarray:
        """Number of levels of each cast."""
        return np.diff(np.append(self.starts, len(self)))

    def spread(self, per_cast: np.ndarray) -> np.ndarray:
        """Bring a number of each cast to its levels."""
        return np.repeat(per_cast, self.sizes)

    def mask(self, failing: np.ndarray) -> np.ndarray:
        """Bring failing levels to the rows of the table."""
        out = np.zeros(self.sample.size, dtype=bool)
        out[self._members[failing[self._level]]] = True
        return out


def _floats(values: np.ndarray | None, size: int) -> np.ndarray:
    """Numbers, NaN where there is no column."""
    return np.full(size, np.nan) if values is None else np.asarray(values, dtype=np.float64)


def _ranked(values: np.ndarray | None, size: int) -> tuple[np.ndarray, list[str]]:
    """Codes of texts and their sorted list; missing ones are ""."""
    if values is None:
        return np.zeros(size, dtype=np.int64), [""]
    codes, found = pd.factorize(values.astype(object))
    texts = np.array([*(str(name) for name in found), ""], dtype=object)  # code -1: the last
    names, rank = np.unique(texts, return_inverse=True)
    return rank[codes], names.tolist()


def _codes(values: np.ndarray) -> np.ndarray:
    """Small numbers of equal values; NaN is one value."""
    return np.asarray(pd.factorize(values, use_na_sentinel=False)[0], dtype=np.int64)


def _joined(columns: list[np.ndarray]) -> np.ndarray:
    """Number of each combination of codes from 0 on."""
    key = columns[0]
    for other in columns[1:]:
        if key.size:
            key = _codes(key * (int(other.max()) + 1) + other)
    return key


def _calendar(times: np.ndarray) -> str:
    """Calendar of times of which some may be missing."""
    if times.dtype.kind == "M":
        return "standard"
    there = [t for t in times if hasattr(t, "calendar")]
    return calendar_of(np.array(there[:1], dtype=object)) if there else "standard"


def seconds_of(times: np.ndarray | None, size: int) -> np.ndarray:
    """Seconds since 1970 in the calendar of the times, NaN where missing.

    Examples
    --------
    >>> seconds_of(np.array(["1970-01-02", "NaT"], dtype="datetime64[ns]"), 2).tolist()
    [86400.0, nan]
    """
    out = np.full(size, np.nan)
    if times is None:
        return out
    if times.dtype.kind == "M":
        there = ~np.isnat(times)
        # the fraction of the second apart: 64 bits of float hold nanoseconds of no date
        whole = times[there].astype("datetime64[s]")
        rest = (times[there] - whole).astype("timedelta64[ns]").astype(np.int64)
        out[there] = whole.astype(np.int64) + rest * 1e-9
        return out
    import cftime

    there = np.array([hasattr(t, "calendar") for t in times], dtype=bool)
    if there.any():
        found = times[there]
        unit, calendar = "seconds since 1970-01-01", found[0].calendar
        out[there] = np.asarray(cftime.date2num(found, unit, calendar), dtype=np.float64)
    return out


def by_cast(function: Any, levels: Levels, values: np.ndarray) -> np.ndarray:
    """Reduce values of levels to casts, e.g. by ``np.maximum``; shape (casts,)."""
    return function.reduceat(values, levels.starts) if len(levels) else values[:0]
