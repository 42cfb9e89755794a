"""What the readers of texts share: numbers, dates and angles as texts write them, and casts.

A text is believed in nothing: what should be a number is read by :func:`number`,
which knows the few signs for "none" and calls everything else damage, and what
cannot be read becomes an error that names file, line and reader.

Knows texts; it knows no format.
"""

from __future__ import annotations

import datetime
import logging
import math
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from xdeepda.errors import InputError
from xdeepda.observations.flags import NONE, worse
from xdeepda.observations.readers.base import (
    Levels,
    Measured,
    Scheme,
    Source,
    make_table,
    map_flags,
)

logger = logging.getLogger("xdeepda")

#: Texts that stand for no number.
NOTHING = frozenset({"", ".", "-", "--", "nan", "NaN", "NAN", "na", "NA", "null", "---*---"})

#: Spellings (lower case) of the unit that practical salinity has not.
PRACTICAL = frozenset({
    "p.s.u.", "psu", "1e-3", "per mille", "ppt", "pss-78", "pss", "pss78", "dmnless", "1", "o/oo",
    "dimensionless", "practical salinity units", "practical salinity scale", "‰", "0.001",
})  # fmt: skip

#: Hour that is taken where the day is known and the hour is not: the least wrong one.
NOON = 12.0

#: Characters of the longest number; a longer field is none.
LONGEST = 80

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eEdD][+-]?\d+)?")


def damaged(source: Source, reader: str, line: int, what: str) -> InputError:
    """Error of a text that names the file, the line and the reader.

    Parameters
    ----------
    source : Source
    reader : str
        Name of the reader.
    line : int
        Counted from 1.
    what : str

    Returns
    -------
    InputError
        To be raised.
    """
    return InputError(f"{source.name}: line {line}: {what} (reader {reader!r})")


def number(text: str) -> float:
    """Number of a field, NaN where it says that there is none.

    Raises
    ------
    ValueError
        If the field holds something else; infinities are no numbers.

    Examples
    --------
    >>> number(" 3.5 "), number("1.0D-3"), number("---*---")
    (3.5, 0.001, nan)
    """
    text = text.strip()
    if text in NOTHING:
        return math.nan
    if len(text) > LONGEST or not _NUMBER.fullmatch(text):
        raise ValueError(f"{text[:40]!r} is no number")
    return float(text.replace("d", "e").replace("D", "E"))


def numbers_of(fields: Sequence[str]) -> np.ndarray:
    """Numbers of many fields, as :func:`number` reads them.

    Parameters
    ----------
    fields : sequence of str, length n

    Returns
    -------
    numpy.ndarray of float64, shape (n,)

    Raises
    ------
    ValueError
        If a field is no number.
    """
    return np.array([number(text) for text in fields], dtype=np.float64)


def without(values: np.ndarray, *fills: float) -> np.ndarray:
    """Values with NaN in place of fills.

    Examples
    --------
    >>> without(np.array([1.0, -999.0]), -999.0)
    array([ 1., nan])
    """
    result = np.array(values, dtype=np.float64)
    for fill in fills:
        result[np.isclose(result, fill, rtol=1e-6, atol=0.0)] = np.nan
    return result


def stamp(year: float, month: float, day: float, hours: float = math.nan) -> np.datetime64:
    """Date of its parts, NaT where there is no such date.

    Parameters
    ----------
    year, month, day : float
    hours : float
        Since midnight, up to 24; noon where it is NaN.

    Returns
    -------
    numpy.datetime64 in nanoseconds

    Examples
    --------
    >>> stamp(1934, 8, 7, 10.37)
    np.datetime64('1934-08-07T10:22:12.000000000')
    >>> bool(np.isnat(stamp(2001, 2, 29)))
    True
    """
    hours = NOON if math.isnan(hours) else hours
    try:
        date = datetime.datetime(int(year), int(month), int(day))
    except (ValueError, OverflowError):
        return np.datetime64("NaT", "ns")
    if not 0 <= hours <= 24 or not 1678 <= date.year <= 2261:
        return np.datetime64("NaT", "ns")
    # to the hundredth of a second: the archives' decimals of hours are no finer
    centi = round(hours * 360_000)
    whole: np.datetime64 = np.datetime64(date.isoformat(), "ns")
    return whole + np.timedelta64(centi * 10, "ms")


def angle(text: str) -> float:
    """Degrees of a latitude or longitude, as headers write them; NaN where there is none.

    Signed decimals, degrees and minutes (and seconds), with a letter N, S, E or
    W before or after: south and west are negative.

    Raises
    ------
    ValueError
        If it is none of these.

    Examples
    --------
    >>> round(angle("w63 38.633"), 4), angle("44 30.0 N"), angle("-12.5")
    (-63.6439, 44.5, -12.5)
    """
    plain = re.sub(r"[°'\":ºd]", " ", text.strip()[:LONGEST]).upper()
    letters = re.findall(r"[NSEW]", plain)
    parts = re.sub(r"[NSEW]", " ", plain).split()
    if not parts and not letters:
        return math.nan
    if len(letters) > 1 or not 1 <= len(parts) <= 3:
        raise ValueError(f"{text.strip()[:40]!r} is no angle")
    values = [number(part) for part in parts]
    size = sum(abs(value) / 60**n for n, value in enumerate(values))
    negative = parts[0].startswith("-") != (bool(letters) and letters[0] in "SW")
    return -size if negative else size


def first_line(source: Source) -> str:
    """First line within the first bytes, empty where there is none."""
    return next(iter(source.head_lines()), "")


class Stack:
    """Columns of many casts, one below the other.

    Examples
    --------
    >>> stack = Stack()
    >>> stack.add({"lat": 5.0}, {"depth": [0.0, 10.0]})
    >>> stack.add({"lat": 6.0}, {"depth": [0.0], "temperature": [9.0]})
    >>> stack.once("lat", float), stack.each("temperature")
    (array([5., 5., 6.]), array([nan, nan,  9.]))
    """

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self._once: list[Mapping[str, Any]] = []
        self._each: list[Mapping[str, Sequence[Any] | np.ndarray]] = []

    def add(self, once: Mapping[str, Any], each: Mapping[str, Sequence[Any] | np.ndarray]) -> None:
        """Append a cast.

        Parameters
        ----------
        once : dict
            What holds for the whole cast.
        each : dict of sequences, all of the same length
            One value for each level.
        """
        self.sizes.append(len(next(iter(each.values()))))
        self._once.append(once)
        self._each.append(each)

    def once(self, name: str, dtype: Any = object) -> np.ndarray:
        """Column of what holds for casts, repeated for their levels."""
        missing = "" if dtype is object else np.nan
        values = np.array([cast.get(name, missing) for cast in self._once], dtype=dtype)
        return np.repeat(values, self.sizes)

    def has(self, name: str) -> bool:
        """Whether any cast has a column."""
        return any(name in cast for cast in self._each)

    def each(self, name: str, missing: float = np.nan, dtype: Any = np.float64) -> np.ndarray:
        """Column of what is given for each level."""
        parts = [
            np.asarray(cast[name], dtype=dtype) if name in cast else np.full(size, missing, dtype)
            for cast, size in zip(self._each, self.sizes, strict=True)
        ]
        return np.concatenate(parts) if parts else np.empty(0, dtype=dtype)

    def codes(self, name: str) -> np.ndarray:
        """Column of quality codes, -1 where there is none."""
        return self.each(name, -1, np.int16)


def judged(*flags: tuple[np.ndarray, str | Scheme]) -> tuple[np.ndarray, np.ndarray]:
    """Flags of the table from several flags of the archive: the worst, with all reasons.

    Parameters
    ----------
    *flags : (codes, scheme)
        Codes, -1 where there is none, and their scheme.

    Returns
    -------
    qc : numpy.ndarray of int8
    reason : numpy.ndarray of str objects
    """
    size = np.size(flags[0][0])
    qc, reason = np.full(size, NONE, dtype=np.int8), np.full(size, "", dtype=object)
    given = np.zeros(size, dtype=bool)
    for codes, scheme in flags:
        there = np.asarray(codes) >= 0
        other, told = map_flags(codes, scheme)
        # the first flag that is there counts as it is, others only where they are worse
        first, again = there & ~given, there & given
        qc, reason = np.where(first, other, qc), np.where(first, told, reason)
        qc, reason = worse(qc, reason, np.where(again, other, qc), np.where(again, told, ""))
        given |= there
    return qc, reason


@lru_cache(maxsize=1024)
def code_of(text: str) -> int:
    """Code of a flag as text: a digit by its value, a letter by its ``ord``, -1 for none.

    Examples
    --------
    >>> code_of("4"), code_of("B"), code_of(" ")
    (4, 66, -1)
    """
    text = text.strip("\x00 \t")
    if text.isdecimal() and len(text) < 4:
        return int(text)
    return ord(text) if len(text) == 1 and ord(text) < 256 else -1


def measured(stack: Stack, name: str, units: str, *flags: tuple[np.ndarray, Any]) -> Measured:
    """Quantity of a column of a stack, with its flags.

    Parameters
    ----------
    stack : Stack
    name : str
        Of the column.
    units : str
    *flags : (codes, scheme)
        See :func:`judged`.
    """
    qc, reason = judged(*flags) if flags else (None, None)
    return Measured(stack.each(name), units, qc=qc, reason=reason)


def finish(levels: Levels, source: Source, reader: str) -> Any:
    """Table of levels of a text; notes go to the log, too.

    Parameters
    ----------
    levels : Levels
    source : Source
    reader : str

    Returns
    -------
    xarray.Dataset
    """
    levels.source = source.name
    for note in levels.notes:
        logger.info("%s: %s", source.name, note)
    return make_table(levels, reader=reader)
