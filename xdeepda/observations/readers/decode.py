"""Numbers, texts, flags and times out of undecoded variables.

Readers open files undecoded, because the archives disagree with the conventions
in just the places that decoding relies on: fills that are not declared, flags
as characters or floats, Julian days counted from the year -4713.  Everything
here also takes variables that were decoded already (Datasets of a user).

Knows attributes and bytes; it knows no format.
"""

from __future__ import annotations

import logging
import re
from typing import Any

import cftime
import numpy as np
import pandas as pd
import xarray as xr

from xdeepda.errors import InputError

logger = logging.getLogger("xdeepda")

#: Numbers that stand for "nothing" in files that do not say so.  None of them is a
#: temperature (degC, K), salinity, depth, pressure or position of the sea.
FILLS = (
    -9.99, -99.0, -99.9, -99.99, -99.999, -999.0, -999.9, -999.99, -9999.0, -9999.9, -99999.0,
    9999.0, 99999.0, 999999.0, -32768.0, -32767.0, -9.99e-29,
)  # fmt: skip
#: Magnitude from which a number is a fill: 1e20, 9.97e36, 1e35, -3.4e38 are in use.
HUGE = 1e10

#: What the netCDF library fills with where no fill is declared, by type.
_DEFAULT_FILLS = {
    "i2": -32767, "i4": -2147483647, "i8": -9223372036854775806,
    "f4": 9.969209968386869e36, "f8": 9.969209968386869e36,
}  # fmt: skip

_SINCE = re.compile(r"^\s*(\w+)\s+since\s+(-?\d+)(.*)$", re.IGNORECASE)
_STANDARD = {"standard", "gregorian", "proleptic_gregorian", "", "none"}
_SECONDS = {
    **dict.fromkeys(("day", "days", "d"), 86400.0),
    **dict.fromkeys(("hour", "hours", "hr", "hrs", "h"), 3600.0),
    **dict.fromkeys(("minute", "minutes", "min", "mins"), 60.0),
    **dict.fromkeys(("second", "seconds", "sec", "secs", "s"), 1.0),
    **dict.fromkeys(("millisecond", "milliseconds", "msec", "ms"), 1e-3),
    **dict.fromkeys(("microsecond", "microseconds"), 1e-6),
}
#: Days from 1 January -4713 (0 h, Julian calendar) to 1 January 1970.
_CHRONOLOGICAL_JULIAN_DAY = 2440588.0
_NANOSECONDS_RANGE = (-9.2e9, 9.2e9)  # seconds from 1970 that datetime64[ns] can hold


def numbers(variable: Any, *, fills: bool = True) -> np.ndarray:
    """Values as float64 with NaN where there is none, scaled.

    Declared fills (``_FillValue``, ``missing_value``) are compared in the type of
    the data, before scaling.

    Parameters
    ----------
    variable : DataArray or Variable
    fills : bool
        Whether numbers of :data:`FILLS` and beyond :data:`HUGE` count as nothing,
        too.

    Returns
    -------
    numpy.ndarray of float64

    Raises
    ------
    InputError
        If the variable holds no numbers, or cannot be read.

    Examples
    --------
    >>> numbers(xr.Variable("x", [1.5, -9999.0, 1e35]))
    array([1.5, nan, nan])
    """
    raw = read(variable)
    attrs = variable.attrs
    if raw.dtype.kind == "m":
        raw = np.where(np.isnat(raw), np.nan, raw.astype("timedelta64[ns]").astype(np.float64))
    if raw.dtype.kind not in "iufb":
        try:
            raw = raw.astype(np.float64)
        except (TypeError, ValueError):
            raise InputError(
                f"variable {getattr(variable, 'name', '')!r} holds no numbers (type {raw.dtype})"
            ) from None
    if str(attrs.get("_Unsigned", "")).lower() == "true" and raw.dtype.kind == "i":
        raw = raw.view(f"u{raw.dtype.itemsize}")
    nothing = _declared(raw, attrs)
    values = raw.astype(np.float64)
    scale, offset = _number(attrs.get("scale_factor"), 1.0), _number(attrs.get("add_offset"), 0.0)
    if (scale, offset) != (1.0, 0.0):
        values = values * scale + offset
    if fills:  # of what is meant: packed numbers are 9999 by chance
        nothing |= is_fill(values)
    values[nothing | ~np.isfinite(values)] = np.nan
    return values


def read(variable: Any) -> np.ndarray:
    """Raw values in native byte order; damage of the file is an InputError."""
    try:
        raw = np.asarray(variable.values)
    except (OSError, RuntimeError, IndexError) as error:
        name = getattr(variable, "name", "")
        raise InputError(
            f"variable {name!r} cannot be read, the file is damaged: {error}"
        ) from None
    return raw if raw.dtype.isnative else raw.astype(raw.dtype.newbyteorder("="))


def _declared(raw: np.ndarray, attrs: Any) -> np.ndarray:
    """Where the declared fills are."""
    nothing = np.zeros(raw.shape, dtype=bool)
    if "_FillValue" not in attrs and raw.dtype.str[1:] in _DEFAULT_FILLS:
        nothing |= raw == raw.dtype.type(_DEFAULT_FILLS[raw.dtype.str[1:]])
    for name in ("_FillValue", "missing_value"):
        for fill in np.atleast_1d(attrs.get(name, [])):
            try:
                nothing |= raw == np.asarray(fill).astype(raw.dtype)
            except (TypeError, ValueError, OverflowError):
                continue
    return nothing


def is_fill(values: np.ndarray) -> np.ndarray:
    """Where undeclared fills are: :data:`FILLS` (to float32 precision) and beyond :data:`HUGE`."""
    with np.errstate(invalid="ignore"):
        size = np.abs(values)
        # few numbers can be one; the rest is not compared with each of them
        may_be = (values < -9.9) | (values > 9998.0) | ((size < 1e-27) & (size > 0))
        nothing = np.array(size > HUGE)
        some = values[may_be]
        found = np.zeros(some.shape, dtype=bool)
        for fill in FILLS:
            found |= np.abs(some - fill) <= 1e-6 * abs(fill)
    nothing[may_be] |= found
    return nothing


def _number(value: Any, default: float) -> float:
    """Attribute as a number."""
    try:
        return float(np.asarray(value).reshape(-1)[0])
    except (TypeError, ValueError, IndexError):
        return default


def texts(variable: Any, *, chars: bool | None = None) -> np.ndarray:
    """Texts as str objects, stripped; characters are joined along their last dimension.

    Parameters
    ----------
    variable : DataArray or Variable
    chars : bool, optional
        Whether the last dimension counts characters; by default of single bytes
        with a dimension.

    Returns
    -------
    numpy.ndarray of str objects
    """
    raw = read(variable)
    if raw.dtype.kind == "S" and raw.dtype.itemsize == 1 and raw.ndim and chars is not False:
        # one letter each becomes one string of all
        joined = np.ascontiguousarray(raw).view(f"S{raw.shape[-1]}")[..., 0] if raw.size else ""
        raw = np.broadcast_to(np.asarray(joined, dtype="S"), raw.shape[:-1])
    if raw.dtype.kind in "iu":
        return raw.astype(str).astype(object)
    if raw.dtype.kind == "f":
        return np.array([f"{x:g}" if x == x else "" for x in raw.flat], object).reshape(raw.shape)
    if raw.dtype.kind == "S" and raw.size:
        found, inverse = np.unique(raw, return_inverse=True)
        told = np.array([_plain(x) for x in found], dtype=object)
        return np.asarray(told[inverse.reshape(raw.shape)], dtype=object)
    return np.array([_plain(x) for x in raw.flat], dtype=object).reshape(raw.shape)


def _plain(value: Any) -> str:
    """One text without padding."""
    if isinstance(value, bytes):
        try:
            value = value.decode("utf-8")
        except UnicodeDecodeError:
            value = value.decode("latin-1")
    if value is None or value != value:
        return ""
    return str(value).split("\x00", 1)[0].strip()


def flag_codes(variable: Any) -> np.ndarray:
    """Codes of quality flags as int16, however they are stored.

    Digits as characters, bytes, numbers, or as the ASCII codes of digits all
    become their value; letters their ``ord``; blanks and fills -1.

    Parameters
    ----------
    variable : DataArray or Variable

    Returns
    -------
    numpy.ndarray of int16

    Examples
    --------
    >>> flag_codes(xr.Variable("x", np.array([b"1", b"4", b" "])))
    array([ 1,  4, -1], dtype=int16)
    """
    raw = read(variable)
    if raw.dtype.kind in "iufb":
        nothing = _declared(raw, variable.attrs) | (raw != raw)
        codes = np.where(nothing | (np.abs(np.nan_to_num(raw.astype(float))) > 255), -1, raw)
        codes = codes.astype(np.int16)
        if _is_ascii(codes, variable.attrs):
            codes = np.where((codes >= 48) & (codes <= 57), codes - 48, codes).astype(np.int16)
        return codes
    found, inverse = np.unique(
        raw.astype("U") if raw.dtype.kind != "O" else np.array([_plain(x) for x in raw.flat]),
        return_inverse=True,
    )
    told = np.array([_code(str(x)) for x in found], dtype=np.int16)
    return told[inverse.reshape(raw.shape)]


def _is_ascii(codes: np.ndarray, attrs: Any) -> bool:
    """Whether numbers are the ASCII codes of flags, by the declared values, else all numbers."""
    declared = np.asarray(attrs.get("flag_values", []))
    if declared.dtype.kind in "iuf" and declared.size:
        return bool((declared >= 48).all())
    used = codes[codes != -1]
    return bool(used.size) and bool((used >= 48).all())


def _code(text: str) -> int:
    """Code of one flag as text."""
    text = text.strip().strip("\x00")
    if not text:
        return -1
    try:
        number = float(text)
    except ValueError:
        return ord(text[0]) if len(text) == 1 and ord(text) < 256 else -1
    return int(number) if abs(number) < 256 else -1


# ---- times


def has_time_units(variable: Any) -> bool:
    """Whether a variable counts time ("days since ...") or holds dates."""
    if np.issubdtype(variable.dtype, np.datetime64) or _is_cftime(variable):
        return True
    return _SINCE.match(str(variable.attrs.get("units", ""))) is not None


def _is_cftime(variable: Any) -> bool:
    """Whether a variable holds dates of cftime; the first that is there tells."""
    if variable.dtype != object or not variable.size:
        return False
    flat = np.asarray(variable.values).reshape(-1)
    return hasattr(next((t for t in flat if t is not None and t == t), None), "calendar")


def _of_cftime(raw: np.ndarray) -> np.ndarray:
    """Dates of cftime; those of the Julian calendar are brought to the Gregorian one."""
    found = {t.calendar for t in raw.reshape(-1) if hasattr(t, "calendar")}
    if found != {"julian"}:
        return raw
    zero = cftime.datetime(1970, 1, 1, calendar="standard").toordinal(fractional=True)
    days = [
        t.toordinal(fractional=True) - zero if hasattr(t, "calendar") else np.nan
        for t in raw.reshape(-1)
    ]
    return _from_epoch(np.array(days).reshape(raw.shape), 86400.0, 0.0)


def times(variable: Any) -> np.ndarray:
    """Dates of a variable of time.

    Parameters
    ----------
    variable : DataArray or Variable
        With units "<unit> since <date>", or decoded.

    Returns
    -------
    numpy.ndarray of datetime64[ns]
        NaT for fills and for dates before 1678 or after 2261; cftime objects
        where the calendar is that of a model.

    Raises
    ------
    InputError
        If the units are none of time, or the calendar is unknown.
    """
    if np.issubdtype(variable.dtype, np.datetime64):
        return np.asarray(variable.values).astype("datetime64[ns]")
    if _is_cftime(variable):
        return _of_cftime(np.asarray(variable.values))
    units = str(variable.attrs.get("units", ""))
    calendar = str(variable.attrs.get("calendar", "")).lower()
    # a day number may well be 9999; what is out of range becomes NaT anyway
    return decode_times(numbers(variable, fills=False), units, calendar)


def decode_times(values: np.ndarray, units: str, calendar: str = "") -> np.ndarray:
    """Dates of numbers with units.

    A reference in the year -4713 counts chronological Julian days (from midnight),
    one in the year 0 is taken in the proleptic Gregorian calendar.

    Parameters
    ----------
    values : numpy.ndarray of float64
        NaN where there is none.
    units : str
        "<unit> since <date>".
    calendar : str
        CF calendar; by default the standard one.

    Returns
    -------
    numpy.ndarray of datetime64[ns], or of cftime objects for the calendar of a model

    Examples
    --------
    >>> decode_times(np.array([2440588.25]), "days since -4713-01-01", "julian")
    array(['1970-01-01T06:00:00.000000000'], dtype='datetime64[ns]')
    """
    found = _SINCE.match(units)
    if found is None or found.group(1).lower() not in _SECONDS:
        raise InputError(
            f"units {units!r} are none of time; expected such as 'days since 1950-1-1'"
        )
    step, year = _SECONDS[found.group(1).lower()], int(found.group(2))
    # products in whole days and a rest keep the microseconds of large day numbers
    if year in (-4713, -4712):
        origin = -_CHRONOLOGICAL_JULIAN_DAY * 86400.0
        if _hours(found.group(3)) == 12.0:
            origin += 43200.0
        return _from_epoch(values, step, origin)
    if calendar not in _STANDARD and calendar != "julian":
        return _model_calendar(values, units, calendar)
    if year == 0:
        logger.info("time counts from the year 0: taken in the proleptic Gregorian calendar")
        return _from_epoch(values, step, -719528.0 * 86400.0)
    start = _reference(units, found, calendar)
    return _from_epoch(values, step, start)


def _hours(rest: str) -> float:
    """Hour of a reference date of which the year is cut off."""
    found = re.match(r"^-\d+-\d+[T ]\s*(\d+)", rest)
    return float(found.group(1)) if found else 0.0


def _reference(units: str, found: re.Match[str], calendar: str) -> float:
    """Seconds from 1970 of the reference date."""
    text = units[found.start(2) :].strip().removesuffix("UTC").strip()
    gregorian = "proleptic_gregorian" if calendar in _STANDARD else calendar
    if int(found.group(2)) < 1582 and calendar in ("standard", "gregorian"):
        gregorian = "standard"
    try:
        start = cftime.num2date(0, f"seconds since {text}", calendar=gregorian)
        if gregorian == "proleptic_gregorian":
            return float(cftime.date2num(start, "seconds since 1970-01-01", gregorian))
        zero = cftime.num2date(0, "seconds since 1970-01-01", calendar="standard")
        return (cftime.datetime.fromordinal(start.toordinal(fractional=True), "standard")
                - zero).total_seconds()  # fmt: skip
    except (ValueError, TypeError) as error:
        raise InputError(f"units {units!r} hold no date that is understood: {error}") from None


def _from_epoch(values: np.ndarray, step: float, origin: float) -> np.ndarray:
    """Dates of numbers of steps (s) from an origin (s from 1970), rounded to microseconds."""
    values = np.asarray(values, dtype=np.float64)
    whole = np.floor(values)
    seconds = whole * step + origin
    with np.errstate(invalid="ignore"):
        good = (seconds > _NANOSECONDS_RANGE[0]) & (seconds < _NANOSECONDS_RANGE[1])
    micro = np.zeros(values.shape, dtype=np.int64)
    entire = np.floor(seconds[good])
    rest = (seconds[good] - entire) + (values[good] - whole[good]) * step
    micro[good] = entire.astype(np.int64) * 1_000_000 + np.rint(rest * 1e6).astype(np.int64)
    result = micro.view("datetime64[us]").astype("datetime64[ns]")
    result[~good] = np.datetime64("NaT")
    return result


def _model_calendar(values: np.ndarray, units: str, calendar: str) -> np.ndarray:
    """Dates in the calendar of a model; numbers that are none become None."""
    result = np.full(values.shape, None, dtype=object)
    good = np.isfinite(values)
    try:
        result[good] = cftime.num2date(values[good], units, calendar=calendar)
    except (ValueError, TypeError, OverflowError) as error:
        raise InputError(f"times in {units!r}, calendar {calendar!r}: {error}") from None
    return result


def iso_times(values: np.ndarray) -> np.ndarray:
    """Dates of texts ("20050102", "20050102093000", "2005-01-02T09:30"), NaT where none.

    Parameters
    ----------
    values : numpy.ndarray of str objects

    Returns
    -------
    numpy.ndarray of datetime64[ns]
    """
    flat = np.asarray(values, dtype=object).reshape(-1)
    plain = [re.sub(r"[^0-9]", "", str(x))[:14] for x in flat]
    parsed = [_stamp(x) for x in plain]
    return np.array(parsed, dtype="datetime64[ns]").reshape(np.shape(values))


def _stamp(digits: str) -> np.datetime64:
    """Date of a row of digits, YYYYMMDD[hh[mm[ss]]]."""
    if len(digits) < 8:
        return np.datetime64("NaT", "ns")
    shape = digits.ljust(14, "0")
    text = f"{shape[:4]}-{shape[4:6]}-{shape[6:8]}T{shape[8:10]}:{shape[10:12]}:{shape[12:14]}"
    stamp = pd.to_datetime(text, errors="coerce")
    return np.datetime64("NaT", "ns") if pd.isna(stamp) else stamp.to_datetime64()


def as_variable(values: Any, **attrs: Any) -> xr.Variable:
    """Variable of plain values, for the functions of this module."""
    array = np.asarray(values)
    return xr.Variable([f"d{n}" for n in range(array.ndim)], array, attrs)
