"""ICOADS: surface reports of ships and buoys in the formats IMMA and IMMT.

IMMA: Smith et al. (2016), "The International Maritime Meteorological Archive (IMMA)
Format": a core of 108 characters, then attachments that begin with their number and
length.  IMMT-5: WMO, Marine Climatological Summaries Scheme, fixed columns.  Both
give the sea surface temperature in tenths of a degree Celsius, blank where there is
none.  Knows the columns that are read, no others.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import xarray as xr

from xdeepda.errors import InputError
from xdeepda.observations.readers.base import (
    Levels,
    Measured,
    NothingMeasured,
    Reader,
    Scheme,
    Source,
)
from xdeepda.observations.readers.textual import damaged, finish, first_line, judged, stamp

IMMA, IMMT = "imma", "immt"

_CORE = 108
_IMMT = 109  # characters up to the versions, after which come the quality flags
_ICOADS, _UNIQUE = 1, 98  # attachments that are read

#: Trimming flag of the sea surface temperature (SF): distance from the climatology.
TRIMMING = Scheme(
    "ICOADS trimming",
    {1: 1, 2: 2, 3: 2, 4: 3, 5: 3, 6: 3, 7: 3, 11: 0, 12: 0, 13: 4, 14: 4, 15: 0},
    {4: "3.5 sigma below", 5: "3.5 sigma above", 6: "4.5 sigma below", 7: "4.5 sigma above",
     13: "landlocked", 14: "unusable"},
)  # fmt: skip
#: Status of duplicates (DUPS).
DUPLICATE = Scheme(
    "ICOADS duplicate status",
    {0: 1, 1: 1, 2: 1, **dict.fromkeys(range(3, 14), 3), 14: 4},
    {**dict.fromkeys(range(3, 14), "worse duplicate"), 14: "rejected"},
)
#: Minimum quality control standard of the marine climatology scheme.
MQCS = Scheme(
    "MQCS",
    {0: 0, 1: 1, 2: 3, 3: 3, 4: 4, 5: 2, 6: 3, 7: 3, 9: 9},
    {2: "inconsistent", 3: "doubtful", 4: "erroneous", 6: "not confirmed", 7: "not confirmed"},
)
#: Platform type (PT) and method of measurement (SI).
_PLATFORMS = {
    0: "ship", 1: "ship", 2: "ship", 3: "ship", 4: "ship", 5: "ship", 6: "moored buoy",
    7: "drifting buoy", 8: "ice buoy", 9: "ice station", 10: "oceanographic station", 11: "MBT",
    12: "XBT", 13: "C-MAN", 14: "platform", 15: "coastal station", 16: "fixed station",
    17: "profiler", 18: "profiler", 19: "profiler", 20: "profiler", 21: "glider",
}  # fmt: skip
_METHODS = {
    0: "bucket", 1: "condenser inlet", 2: "trailing thermistor", 3: "hull sensor",
    4: "through hull sensor", 5: "radiation thermometer", 6: "bait tanks thermometer", 9: "XBT",
    10: "implied bucket", 11: "other", 12: "other",
}  # fmt: skip


def _integer(text: str, base: int = 10) -> int | None:
    """Whole number of a field, None where it is blank."""
    plain = text.strip()
    if not plain:
        return None
    if "_" in plain or "+" in plain or not plain.isascii():
        raise ValueError(f"{text!r} is no number")
    return int(plain, base)


def _scaled(text: str, factor: float) -> float:
    """Number of a field divided by a factor, NaN where it is blank."""
    value = _integer(text)
    return math.nan if value is None else value / factor


def _attachments(line: str) -> dict[int, str]:
    """Attachments of a report by their number."""
    found: dict[int, str] = {}
    at = _CORE
    while at + 4 <= len(line):
        number, size = _integer(line[at : at + 2]), _integer(line[at + 2 : at + 4])
        if number is None or size is None:
            break
        end = at + size if size >= 4 else len(line)  # 0: to the end of the line
        found.setdefault(number, line[at:end])
        at = end
    return found


def _imma(line: str) -> dict[str, Any]:
    """One report of IMMA."""
    if len(line) < _CORE:
        raise ValueError(f"{len(line)} characters, expected {_CORE} at least (a truncated line?)")
    parts = _attachments(line)
    more, unique = parts.get(_ICOADS, ""), parts.get(_UNIQUE, "")
    year, month, day = _integer(line[:4]), _integer(line[4:6]), _integer(line[6:8])
    hour = _scaled(line[8:12], 100)
    kind, method = _integer(more[16:18]), _integer(line[83:85])
    return {
        "time": stamp(year or 0, month or 0, day or 0, hour),
        "hour": float(hour == hour),
        "latitude": _scaled(line[12:17], 100),
        "longitude": _scaled(line[17:23], 100),
        "platform": line[34:43].strip(),
        "profile": unique[4:10].strip(),
        "instrument": _instrument(kind, method),
        "value": _scaled(line[85:89], 10),
        "flag": _default(_integer(more[40:41], 36)),
        "duplicate": _default(_integer(more[18:20])),
    }


def _default(code: int | None) -> int:
    """Code, -1 where there is none."""
    return -1 if code is None else code


def _instrument(kind: int | None, method: int | None) -> str:
    """Platform and method in words."""
    words = (_PLATFORMS.get(_default(kind), ""), _METHODS.get(_default(method), ""))
    return ", ".join(word for word in words if word)


def _immt(line: str) -> dict[str, Any]:
    """One report of IMMT."""
    if len(line) < _IMMT:
        raise ValueError(f"{len(line)} characters, expected {_IMMT} at least (a truncated line?)")
    year, month, day = _integer(line[1:5]), _integer(line[5:7]), _integer(line[7:9])
    hour = _scaled(line[9:11], 1)
    quadrant = line[11]
    if quadrant not in "1357":
        raise ValueError(f"quadrant {quadrant!r}, expected 1, 3, 5 or 7")
    value = _scaled(line[50:53], 10) * (-1 if line[49] == "1" else 1)
    return {
        "time": stamp(year or 0, month or 0, day or 0, hour),
        "hour": float(hour == hour),
        # quadrants of the globe (WMO 3333): 1 NE, 3 SE, 5 SW, 7 NW
        "latitude": _scaled(line[12:15], 10) * (1 if quadrant in "17" else -1),
        "longitude": _scaled(line[15:19], 10) * (1 if quadrant in "13" else -1),
        "platform": line[71:78].strip(),
        "profile": "",
        "instrument": _instrument(0, _integer(line[53])),
        "value": value,
        "flag": _default(_integer(line[120:121])),
        "duplicate": -1,
    }


def _read(
    source: Source, reader: str, parse: Callable[[str], dict[str, Any]], scheme: Scheme
) -> xr.Dataset:
    """Table of a file of one report to a line."""
    reports: list[dict[str, Any]] = []
    for line, text in enumerate(source.lines(), start=1):
        if text.strip(" \x1a"):
            try:
                reports.append(parse(text))
            except (ValueError, IndexError) as error:
                raise damaged(source, reader, line, f"the report cannot be read: {error}") from None
    if not reports:
        raise InputError(f"{source.name}: there are no reports (reader {reader!r})")
    columns = {name: np.array([report[name] for report in reports]) for name in reports[0]}
    if not np.isfinite(columns["value"]).any():
        raise NothingMeasured(
            f"{source.name}: {len(reports)} reports, none with a sea surface temperature "
            f"(reader {reader!r})"
        )
    qc, reason = judged((columns["flag"], scheme), (columns["duplicate"], DUPLICATE))
    hourless = int((columns["hour"] == 0).sum())
    return finish(
        Levels(
            time=columns["time"].astype("datetime64[ns]"),
            latitude=columns["latitude"],
            longitude=columns["longitude"],
            surface=Measured(columns["value"], "degC", qc=qc, reason=reason),
            platform=columns["platform"].astype(object),
            profile=columns["profile"].astype(object) if columns["profile"].any() else None,
            instrument=columns["instrument"].astype(object),
            notes=[f"the hour is missing in {hourless} reports: noon"] if hourless else [],
        ),
        source,
        reader,
    )


def _is_imma(source: Source) -> bool:
    """Whether the first line is a core, alone or with attachments that fit."""
    if not source.is_text:
        return False
    line = first_line(source)
    try:
        year, month = _integer(line[:4]), _integer(line[4:6])
        report = _imma(line)
        first = _integer(line[_CORE : _CORE + 2])
    except (ValueError, IndexError):
        return False
    dated = year is not None and 1600 < year < 2200 and month is not None and 1 <= month <= 12
    placed = abs(report["latitude"]) <= 90 and -180 <= report["longitude"] < 360
    return dated and placed and (len(line) == _CORE or first in (1, 2, 3, 4, 5, 6, 7, 8, 9, 98))


def _is_immt(source: Source) -> bool:
    """Whether the first line is a report of IMMT: 19 digits, of which the date can be."""
    if not source.is_text:
        return False
    line = first_line(source)
    if len(line) < _IMMT or not (line[:9] + line[11:19]).isdecimal() or line[0] not in "3456":
        return False
    return 1700 < int(line[1:5]) < 2200 and 1 <= int(line[5:7]) <= 12 and line[11] in "1357"


READERS = (
    Reader(
        IMMA,
        "ICOADS surface reports (IMMA)",
        (
            "everything but the sea surface temperature",
            "attachments other than those of ICOADS and of the report's identity",
            "flags of the sea surface temperature other than trimming and duplicates",
        ),
        _is_imma,
        lambda source: _read(source, IMMA, _imma, TRIMMING),
    ),
    Reader(
        IMMT,
        "ships' reports in IMMT (unverified)",
        ("everything but the sea surface temperature",),
        _is_immt,
        lambda source: _read(source, IMMT, _immt, MQCS),
        verified=False,  # the reports at hand hold no sea surface temperature
    ),
)
