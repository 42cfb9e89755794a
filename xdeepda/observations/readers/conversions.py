"""Conversions that readers have in common: units of temperature, pressure to depth, names of casts.

Knows numbers and the sea water library; it knows no file and no table.
"""

from __future__ import annotations

import numpy as np

from xdeepda import units as unit_tools


def depth_of_pressure(pressure: np.ndarray, latitude: np.ndarray) -> np.ndarray:
    """Depth in metres, positive down, of a pressure in decibars.

    Parameters
    ----------
    pressure, latitude : numpy.ndarray, shape (n,)
        Where the latitude is unknown, 0.

    Returns
    -------
    numpy.ndarray, shape (n,)

    Examples
    --------
    >>> depth_of_pressure(np.array([1000.0]), np.array([45.0])).round(1)
    array([989.5])
    """
    import gsw

    with np.errstate(invalid="ignore"):
        lat = np.where(np.abs(latitude) <= 90, latitude, 0.0)
        good = (pressure > -15) & (pressure < 12500)
    depth = -np.asarray(gsw.z_from_p(np.where(good, pressure, 0.0), lat))
    return np.where(good, depth, pressure) + 0.0  # + 0.0: no negative zero


def plain_unit(units: str) -> str:
    """Unit of a temperature as pint understands it.

    Archives write "?C (ITS-90)", "degree celsius", "C", "ITS-90"; all of them are
    degrees Celsius.

    Examples
    --------
    >>> plain_unit("?C (ITS-90)"), plain_unit("kelvin")
    ('degC', 'kelvin')
    """
    text = units.strip().lower()
    if text in ("k", "kelvin", "kelvins", "degk", "deg_k", "degree_k", "degrees_kelvin"):
        return "kelvin"
    if text.startswith(("degf", "fahren", "degree_f", "degrees_f", "deg f", "°f")):
        return "degF"
    spellings = ("c", "celsius", "?c", "°c", "ºc", "its-90", "its90", "ipts-68", "its-68", "ipts68")
    first = text.split("(")[0].strip()
    words = first.replace("_", " ").split()
    if first in spellings or text.startswith(("degc", "deg_c", "deg c", "deg. c", "�c")):
        return "degC"
    if (words and words[-1] in ("c", "celsius")) or "celsius" in words or "celcius" in words:
        return "degC"
    return units


def celsius(values: np.ndarray, units: str) -> np.ndarray:
    """Temperatures in degrees Celsius; the scale of 1968 is brought to that of 1990."""
    old = any(scale in units.upper() for scale in ("ITS-68", "IPTS-68", "IPTS68", "ITS68"))
    plain = plain_unit(units)
    if plain == "kelvin":
        values = values - 273.15
    elif plain != "degC":  # pint takes seconds to load, and most files do not need it
        values = np.asarray(unit_tools.convert(values, plain, "degC"))
    return values / 1.00024 if old else values


def kelvins(values: np.ndarray, units: str) -> np.ndarray:
    """Standard deviations in kelvin."""
    plain = plain_unit(units)
    if plain in ("degC", "kelvin"):
        return values
    return np.asarray(unit_tools.convert_difference(values, plain, "degC"))


def numbered(time: np.ndarray, latitude: np.ndarray, longitude: np.ndarray) -> np.ndarray:
    """Number of each time and place in the order of their appearance, as text."""
    if time.dtype == object:
        time = np.unique(time.astype(str), return_inverse=True)[1]
    when = time.view(np.int64) if time.dtype.kind == "M" else time
    places = (np.nan_to_num(longitude, nan=999.0), np.nan_to_num(latitude, nan=999.0))
    order = np.lexsort((*places, when))
    different = np.zeros(when.size, dtype=bool)
    for column in (when, *places):
        different[1:] |= column[order][1:] != column[order][:-1]
    group = np.empty(when.size, dtype=np.int64)
    group[order] = np.cumsum(different)
    # numbers by first appearance: lexsort is stable, each group's first row is its earliest
    first = order[np.append(True, different[1:])] if when.size else order
    rank = np.empty(first.size, dtype=np.int64)
    rank[np.argsort(first)] = np.arange(first.size)
    return np.arange(first.size).astype(str).astype(object)[rank[group]]


def dated(time: np.ndarray) -> np.ndarray:
    """Time as text, to the second."""
    if time.dtype == object:
        return np.array([str(t) for t in time], dtype=object)
    found, inverse = np.unique(time, return_inverse=True)
    names = np.datetime_as_string(found, unit="s").astype(object)
    return names[inverse]
