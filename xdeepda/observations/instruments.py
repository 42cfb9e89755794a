"""What instruments measure how well: errors of temperature, salinity and depth, with sources.

Most files hold no error.  The error of the measurement itself then follows from
the instrument, and, where the depth is uncertain, from the vertical gradient of
the same profile: a depth that is wrong by 10 m is an error of 1 K in a thermocline
of 0.1 K/m.  What a single measurement says of a grid cell, the representativeness,
is another and mostly larger matter (:func:`xdeepda.observations.default_error`).

Depths are never corrected here: a correction of the fall rate of an XBT is applied
only where a file supplies it.  Knows instruments and the table; it knows no format.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from xdeepda import units as unit_tools
from xdeepda.observations.flags import rejected
from xdeepda.observations.quantities import (
    CANONICAL_UNIT,
    SALINITY,
    TEMPERATURE,
    default_error,
    kind_of,
)
from xdeepda.observations.table import profiles_of, variables_of


@dataclass(frozen=True)
class Instrument:
    """Errors of one kind of instrument, as standard deviations.

    Attributes
    ----------
    name : str
    temperature : float
        K.
    salinity : float
        psu; NaN for one that measures none.
    depth : float
        m, at any depth.
    depth_share : float
        Error of the depth as a share of it; the larger of both counts.
    pattern : str
        Regular expression over the column ``instrument`` in lower case.
    source : str
        Where the numbers come from.
    """

    name: str
    temperature: float
    salinity: float
    depth: float
    depth_share: float
    pattern: str
    source: str


_NAN = float("nan")
_IQUOD = "Cowley et al. (2021), Front. Mar. Sci. 8, 689695 (IQuOD), rounded"

#: Kinds of instruments; the first whose pattern is found decides.
INSTRUMENTS: tuple[Instrument, ...] = (
    Instrument(
        "XCTD", 0.02, 0.05, 4.6, 0.02, r"\bxctd", "manufacturer: 0.02 K, 2 % or 4.6 m of depth"
    ),
    Instrument(
        "XBT", 0.15, _NAN, 4.6, 0.02,
        r"\b(a?xbt|expendable bathy|bathy message|dbt)",
        "manufacturer: 0.1 or 0.2 K by type, the larger of 2 % and 4.6 m of depth; "
        "Goni et al. (2019), Front. Mar. Sci. 6, 452",
    ),
    Instrument(
        "MBT", 0.2, _NAN, 2.5, 0.01, r"\b(micro )?(mbt|bt)\b|mechanical bathy",
        "0.2 K; 1 % of a depth range of 250 m: Gouretski and Reseghetti (2010), "
        "Deep-Sea Res. I 57, 812, rounded",
    ),
    Instrument(
        "glider", 0.005, 0.02, 1.0, 0.0, r"glider|seaglider|slocum|spray|seaexplorer", _IQUOD
    ),
    Instrument(
        "Argo", 0.002, 0.01, 2.4, 0.0,
        r"float|argo\b|apex|solo|provor|arvor|navis|ice-tethered|\bitp\b",
        "Wong et al. (2020), Front. Mar. Sci. 7, 700: 0.002 K, 0.01 psu, 2.4 dbar",
    ),
    Instrument(
        "drifter", 0.25, _NAN, 0.0, 0.0, r"drift",
        "Kennedy (2014), Rev. Geophys. 52, 1: 0.2 to 0.3 K",
    ),
    Instrument(
        "mooring", 0.02, 0.03, 1.0, 0.01, r"moor|tao\b|triton|pirata|rama\b|thermistor",
        "Freitag et al. (2005), NOAA Tech. Memo. OAR PMEL: 0.02 K; depths as if the line were "
        "straight, assumed to 1 %",
    ),
    Instrument(
        "CTD", 0.005, 0.005, 1.0, 0.0, r"ctd\b|\bstd\b|tesac|seabird|sea-bird|rosette sensor",
        _IQUOD + "; salinity: WOCE 0.002 psu, older casts more",
    ),
    Instrument(
        "bottle", 0.02, 0.01, 5.0, 0.005, r"bottle|rosette|nansen|niskin|reversing", _IQUOD
    ),
    Instrument(
        "satellite", 0.4, 0.2, 0.0, 0.0,
        r"skin|foundation|satellite|avhrr|modis|viirs|amsr|slstr|blended_sst|surface temperature",
        "O'Carroll et al. (2019), Front. Mar. Sci. 6, 420: 0.2 to 0.6 K by sensor",
    ),
    Instrument(
        "ship intake", 1.1, 0.1, 0.0, 0.0,
        r"\bship|bucket|intake|hull|thermosal|\btsg\b|underway|engine",
        "Kennedy (2014), Rev. Geophys. 52, 1: 0.7 to 1.3 K",
    ),
    Instrument(
        "animal", 0.02, 0.03, 2.0, 0.005, r"seal|animal|pinniped|\bapb\b",
        "Siegelman et al. (2019), J. Atmos. Oceanic Technol. 36, rounded",
    ),
)  # fmt: skip

#: Code of the WMO table 1770 as the readers write it, and last codes of the kinds there.
_WMO = re.compile(r"wmo (\d{1,3})")
_WMO_1770 = (
    (599, "XBT"), (799, "XCTD"), (809, "MBT"), (819, "bottle"), (829, "mooring"), (830, "CTD"),
    (899, "Argo"), (994, ""), (995, "animal"),
)  # fmt: skip

#: Smallest distance (m) over which a gradient is taken; noise of closer samples is none.
_NEAR = 2.0

_PATTERNS = tuple((i, re.compile(i.pattern)) for i in INSTRUMENTS)


def instrument_of(text: str) -> Instrument | None:
    """Kind of an instrument by the text of the column ``instrument``; None if unknown.

    Examples
    --------
    >>> instrument_of("XBT: T7 (SIPPICAN)").name, instrument_of("WMO 846").name
    ('XBT', 'Argo')
    >>> instrument_of("") is None
    True
    """
    lower = text.lower().replace("_", " ")
    if found := _WMO.fullmatch(lower.strip()):
        name = next((n for last, n in _WMO_1770 if int(found[1]) <= last), "")
        return next((i for i in INSTRUMENTS if i.name == name), None)
    return next((i for i, pattern in _PATTERNS if pattern.search(lower)), None)


def measurement_error(table: xr.Dataset, rows: Any = None) -> np.ndarray:
    """Standard deviation of the error of the measurement itself, by instrument.

    Parameters
    ----------
    table : Dataset
        Of :func:`xdeepda.open_observations` or :func:`xdeepda.observations.as_table`.
    rows : array of int, optional
        Only these; all by default.

    Returns
    -------
    numpy.ndarray, shape (rows,)
        In kelvin or practical salinity units: that of the instrument and that of
        its depth times the vertical gradient of the profile, squared and added.
        NaN where the instrument is unknown, or does not measure the quantity.

    Examples
    --------
    >>> import pandas as pd
    >>> from xdeepda.observations import as_table
    >>> frame = pd.DataFrame({"value": [20.0, 10.0], "time": pd.to_datetime(["2005-01-02"] * 2),
    ...     "depth": [100.0, 200.0], "lat": 5.0, "lon": 330.0, "instrument": "XBT"})
    >>> table = as_table(frame, var="thetao", units="degC")
    >>> measurement_error(table).round(2)     # 4.6 m in 0.1 K/m, and 0.15 K
    array([0.48, 0.48])
    """
    size = table.sizes["obs"]
    keep = np.arange(size) if rows is None else np.asarray(rows)
    if "instrument" not in table.variables or not keep.size:
        return np.full(keep.size, np.nan)
    codes, names, units, standard = variables_of(table)
    kinds = [kind_of(*told) for told in zip(names, standard, units, strict=True)]
    own, which = _kinds_of_instruments(table["instrument"].values[keep])
    depth = np.nan_to_num(table["depth"].values[keep])
    steep = gradient(table)[keep]
    result = np.full(keep.size, np.nan)
    for code, (kind, unit) in enumerate(zip(kinds, units, strict=True)):
        if kind is None:
            continue
        slope = np.asarray(unit_tools.convert_difference(steep, unit, CANONICAL_UNIT[kind]))
        for number, instrument in enumerate(own):
            mine = (codes[keep] == code) & (which == number)
            if instrument is None or not mine.any():
                continue
            error = {TEMPERATURE: instrument.temperature, SALINITY: instrument.salinity}[kind]
            wrong = np.maximum(instrument.depth, instrument.depth_share * depth[mine])
            result[mine] = np.hypot(error, wrong * slope[mine])
    return result


def assumed_error(table: xr.Dataset, rows: Any, kind: str) -> np.ndarray:
    """Error of rows that have none: representativeness and instrument together.

    Parameters
    ----------
    table : Dataset
    rows : array of int
        Of one kind of quantity.
    kind : {"temperature", "salinity"}

    Returns
    -------
    numpy.ndarray, shape (rows,)
        In kelvin or practical salinity units; where the instrument is unknown,
        :func:`xdeepda.observations.default_error` alone.

    Notes
    -----
    Below 1,000 m the default error, 0.1 K and less, is that of a measurement by CTD
    or float; an XBT, a ship's intake or a steep gradient adds to it.
    """
    rows = np.asarray(rows)
    error = default_error(kind, table["depth"].values[rows])
    return np.asarray(np.hypot(error, np.nan_to_num(measurement_error(table, rows))))


def _kinds_of_instruments(texts: np.ndarray) -> tuple[list[Instrument | None], np.ndarray]:
    """Kinds that there are, and the number of that of each row."""
    import pandas as pd

    codes, found = pd.factorize(texts.astype(object))
    return [instrument_of(str(text)) for text in found], codes


def gradient(table: xr.Dataset) -> np.ndarray:
    """Vertical gradient of each row within its own profile, per metre and positive.

    Central differences, one-sided at both ends, over 2 m at least; 0 where a profile
    has one depth.
    Rows without a value or depth, and rejected ones, take no part and have 0.

    Parameters
    ----------
    table : Dataset

    Returns
    -------
    numpy.ndarray, shape (obs,)
    """
    value, depth = table["value"].values, table["depth"].values
    good = np.flatnonzero(np.isfinite(value) & np.isfinite(depth) & ~rejected(_flags(table)))
    codes = variables_of(table)[0]
    profile = profiles_of(table, good)
    order = np.lexsort((depth[good], codes[good], profile))
    rows = good[order]
    key = profile[order] ^ codes[rows].astype(np.uint64)
    z, v = depth[rows], value[rows]
    index = np.arange(rows.size)
    first = np.append(True, key[1:] != key[:-1]) if rows.size else np.zeros(0, dtype=bool)
    last = np.append(first[1:], True) if rows.size else first
    before, after = np.where(first, index, index - 1), np.where(last, index, index + 1)
    result = np.zeros(table.sizes["obs"])
    result[rows] = np.abs(v[after] - v[before]) / np.maximum(z[after] - z[before], _NEAR)
    return result


def _flags(table: xr.Dataset) -> np.ndarray:
    """Flags, 0 where there is no such column."""
    if "qc" in table.variables:
        return np.asarray(table["qc"].values)
    return np.zeros(table.sizes["obs"], dtype=np.int8)
