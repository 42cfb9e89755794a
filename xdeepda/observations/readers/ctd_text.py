"""Casts of a CTD as text: Sea-Bird's .cnv, ice-tethered profilers, CastAway.

Formats: Sea-Bird Scientific, "SBE Data Processing" manual (converted data file);
the READMEs of the Ice-Tethered Profiler programme at WHOI (level 3, day 1.5 is noon
of 1 January); the export of SonTek's CastAway.  Knows these three layouts.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from xdeepda.errors import InputError
from xdeepda.observations.flags import BAD, GOOD
from xdeepda.observations.readers.base import Levels, Measured, NothingMeasured, Reader, Source
from xdeepda.observations.readers.textual import (
    angle,
    damaged,
    finish,
    first_line,
    number,
    stamp,
    without,
)

SEABIRD, ITP, CASTAWAY = "seabird_cnv", "itp", "castaway"

#: Short names of Sea-Bird's channels, the primary sensor first.
_TEMPERATURES = ("t090c", "t090f", "t068c", "t068", "t090", "tv290c", "tv290", "tnc90c", "t190c")
_SALINITIES = ("sal00", "sal", "sal11", "salinity")
_PRESSURES = ("prdm", "pr", "prsm", "prm", "prdb", "pressure")
_DEPTHS = ("depsm", "deps", "depfm", "depf", "depth")
_WIDTH = 11  # characters of a column of a .cnv file


# ---- Sea-Bird


class _SeaBird:
    """Header of a .cnv file."""

    def __init__(self) -> None:
        self.names: dict[int, str] = {}
        self.units: dict[int, str] = {}
        self.header: dict[str, str] = {}
        self.data_line = 0

    def take(self, line: str) -> None:
        """One line of the header."""
        text = line.lstrip("*# ").strip()
        if found := re.match(r"name\s+(\d+)\s*=\s*([^:]+):?(.*)$", text):
            at = int(found[1])
            self.names[at] = found[2].strip().lower()
            unit = re.search(r"\[(.*)\]", found[3])
            self.units[at] = f"{unit[1] if unit else ''} {_scale(found[3])}".strip()
            return
        key, sign, value = text.partition("=") if line.startswith("#") else _entry(text)
        if sign:
            self.header.setdefault(key.strip().lower(), value.strip())

    def column(self, wanted: tuple[str, ...]) -> int | None:
        """Position of the first of some channels."""
        for name in wanted:
            for at, own in self.names.items():
                if own == name or own.split("(")[0] == name:
                    return at
        return None

    def find(self, *keys: str) -> str:
        """Value of the first key that the header has."""
        return next((self.header[key] for key in keys if self.header.get(key)), "")


def _entry(text: str) -> tuple[str, str, str]:
    """Key and value of a line of the operator or the instrument ("=" or ":")."""
    at = min((text.find(sign) for sign in "=:" if sign in text), default=-1)
    return (text[:at], text[at], text[at + 1 :]) if at > 0 else ("", "", "")


def _scale(text: str) -> str:
    """Scale of a temperature, if a channel names one."""
    found = re.search(r"ITS-?90|IPTS-?68|ITS-?68", text, re.IGNORECASE)
    return f"({found[0].upper()})" if found else ""


def _seabird_date(text: str) -> np.datetime64:
    """Date of "Oct 15 2003 11:38:38", with or without a comment in brackets."""
    found = re.match(r"([A-Za-z]{3})\w* +(\d{1,2}) +(\d{4})(?: +(\d{1,2}:\d{2}:\d{2}))?", text)
    if found is None:
        return np.datetime64("NaT", "ns")
    month = "janfebmaraprmayjunjulaugsepoctnovdec".find(found[1].lower())
    hours = math.nan
    if found[4]:
        parts = [int(part) for part in found[4].split(":")]
        hours = parts[0] + parts[1] / 60 + parts[2] / 3600
    return stamp(int(found[3]), month // 3 + 1 if month >= 0 else 0, int(found[2]), hours)


def _seabird_time(head: _SeaBird, notes: list[str]) -> np.datetime64:
    """Time of the cast: that of the satellite, of its start, or of the upload."""
    start = _seabird_date(head.find("nmea utc (time)", "start_time", "system utc"))
    upload = _seabird_date(head.find("system upload time"))
    if np.isnat(start) and not np.isnat(upload):
        notes.append("no start time: time of the upload")
        return upload
    if not np.isnat(upload) and not np.isnat(start):
        years = [int(str(date)[:4]) for date in (start, upload)]
        if years[1] - years[0] == 100:  # software of the last century writes 1903 for 2003
            notes.append(f"start in {years[0]}, upload in {years[1]}: taken as {years[1]}")
            return np.datetime64(f"{years[1]}{str(start)[4:]}", "ns")
    return start


def _seabird_rows(lines: Iterator[tuple[int, str]], head: _SeaBird, source: Source) -> np.ndarray:
    """Table of numbers, shape (scans, channels)."""
    count = len(head.names)
    if sorted(head.names) != list(range(count)):
        raise damaged(source, SEABIRD, head.data_line, f"channels {sorted(head.names)[:20]}")
    rows = []
    for line, text in lines:
        parts = text.split()
        if not parts or parts == ["\x1a"]:
            continue
        if len(parts) != count and len(text.rstrip()) == _WIDTH * count:
            parts = [text[_WIDTH * n : _WIDTH * (n + 1)] for n in range(count)]
        if len(parts) != count:
            raise damaged(source, SEABIRD, line, f"{len(parts)} numbers, expected {count}")
        try:
            rows.append([number(part) for part in parts])
        except ValueError as error:
            raise damaged(source, SEABIRD, line, str(error)) from None
    return np.array(rows, dtype=float).reshape(len(rows), count)


def _read_seabird(source: Source) -> xr.Dataset:
    """Table of a .cnv file."""
    lines, head = enumerate(source.lines(), start=1), _SeaBird()
    for head.data_line, line in lines:
        if line.startswith("*END*"):
            break
        if not line.startswith(("*", "#")):
            raise damaged(source, SEABIRD, head.data_line, "expected the header or *END*")
        head.take(line)
    else:
        raise damaged(source, SEABIRD, head.data_line, "the file is truncated (no *END*)")
    if head.find("file_type").lower() == "binary":
        raise InputError(f"{source.name}: a binary .cnv; convert it to ASCII (reader {SEABIRD!r})")
    rows, notes = _seabird_rows(lines, head, source), list[str]()
    claimed = head.find("nvalues")
    if claimed.isdecimal() and int(claimed) != len(rows):
        notes.append(f"the header speaks of {claimed} scans, the file has {len(rows)}")
    fill = number(head.find("bad_flag") or "-9.990e-29")
    rows = np.where(np.isclose(rows, fill, rtol=1e-6, atol=0.0), math.nan, rows)
    return finish(_seabird_levels(head, rows, source, notes), source, SEABIRD)


def _seabird_levels(head: _SeaBird, rows: np.ndarray, source: Source, notes: list[str]) -> Levels:
    """Levels of the channels."""

    def channel(names: tuple[str, ...], unit: str) -> Any:
        at = head.column(names)
        return rows[:, at] if at is not None and head.units[at].startswith(unit) else None

    t, s = head.column(_TEMPERATURES), head.column(_SALINITIES)
    if t is None and s is None:
        raise NothingMeasured(
            f"{source.name}: channels {list(head.names.values())}, none is T or S"
        )
    if t is not None and not head.units[t]:
        raise InputError(f"{source.name}: channel {head.names[t]!r} has no units")
    place = []
    for names in (("nmea latitude", "latitude"), ("nmea longitude", "longitude")):
        try:
            place.append(angle(head.find(*names)))
        except ValueError as error:
            raise InputError(f"{source.name}: {names[1]}: {error} (reader {SEABIRD!r})") from None
    flag = head.column(("flag",))
    bad = np.zeros(len(rows), dtype=bool) if flag is None else np.isnan(rows[:, flag])
    return Levels(
        time=_seabird_time(head, notes),
        latitude=place[0],
        longitude=place[1],
        depth=channel(_DEPTHS, "m"),
        pressure=channel(_PRESSURES, "db"),
        temperature=None if t is None else Measured(rows[:, t], _degrees(head.units[t])),
        salinity=None if s is None else Measured(rows[:, s], "psu"),
        platform=head.find("ship"),
        profile=head.find("station", "cast") or source.name,
        instrument="CTD",
        qc=np.where(bad, BAD, GOOD),
        reason=np.where(bad, "Sea-Bird flag (bad scan)", ""),
        notes=notes,
    )


def _degrees(unit: str) -> str:
    """Unit of a temperature channel."""
    if re.search(r"deg(rees)? ?F", unit):
        return "degF"
    return "degC (IPTS-68)" if "68" in unit else "degC"


# ---- ice-tethered profilers


def _read_itp(source: Source) -> xr.Dataset:
    """Table of a profile of an ice-tethered profiler."""
    lines = list(enumerate(source.lines(), start=1))
    if len(lines) < 3 or not lines[2][1].startswith("%"):
        raise damaged(source, ITP, len(lines), "the header has three lines")
    title = re.match(r"%ITP\s+(\w+),\s*profile\s+(\w+)", lines[0][1])
    head = lines[1][1].split()
    names = [part.split("(")[0].lower() for part in lines[2][1].lstrip("%").split()]
    if title is None or len(head) < 4 or "pressure" not in names:
        raise damaged(source, ITP, 1, "no title, position or column of pressure")
    try:
        day = [number(part) for part in head[:4]]
        rows, ended = _itp_rows(lines[3:], len(names), source)
    except ValueError as error:
        raise damaged(source, ITP, 2, str(error)) from None
    if not ended:
        raise damaged(source, ITP, lines[-1][0], "the file is truncated (no %endofdat)")
    columns = dict(zip(names, rows.T, strict=True))
    return finish(_itp_levels(columns, day, title, source), source, ITP)


def _itp_rows(lines: list[tuple[int, str]], count: int, source: Source) -> tuple[np.ndarray, bool]:
    """Numbers, shape (levels, columns), and whether the end was there."""
    rows: list[list[float]] = []
    for line, text in lines:
        if text.startswith("%"):
            return np.array(rows, dtype=float).reshape(-1, count), "endofdat" in text
        parts = text.split()
        if len(parts) != count:
            raise damaged(source, ITP, line, f"{len(parts)} numbers, expected {count}")
        rows.append([number(part) for part in parts])
    return np.array(rows, dtype=float).reshape(-1, count), False


def _year_day(year: np.ndarray, day: np.ndarray) -> np.ndarray:
    """Dates of years and days, of which 1.0 is the midnight that begins 1 January."""
    good = np.isfinite(year) & np.isfinite(day) & (year > 1700) & (year < 2200)
    good &= (day >= 0) & (day < 368)
    result = np.full(year.shape, np.datetime64("NaT", "ns"))
    begin = (year[good].astype(int) - 1970).astype("datetime64[Y]").astype("datetime64[ns]")
    seconds = np.rint((day[good] - 1) * 86400).astype("timedelta64[s]")
    result[good] = begin + seconds
    return result


def _itp_levels(
    columns: dict[str, np.ndarray], head: list[float], title: re.Match[str], source: Source
) -> Levels:
    """Levels of a profile."""
    if not {"temperature", "salinity"} & set(columns):
        raise NothingMeasured(f"{source.name}: columns {list(columns)}, none is T or S")
    start = _year_day(np.array(head[:1]), np.array(head[1:2]))
    t, s = columns.get("temperature"), columns.get("salinity")
    return Levels(
        time=start,
        latitude=head[3],
        longitude=head[2],
        pressure=without(columns["pressure"], -999.0),
        temperature=None if t is None else Measured(t, "degC"),
        salinity=None if s is None else Measured(s, "psu"),
        platform=f"ITP {title[1]}",
        profile=title[2],
        instrument="ice-tethered profiler",
        notes=["time of the profile, not of each level"] if "day" in columns else [],
    )


# ---- CastAway


def _read_castaway(source: Source) -> xr.Dataset:
    """Table of a cast of a CastAway."""
    header: dict[str, str] = {}
    names: list[str] = []
    rows: list[list[float]] = []
    for line, text in enumerate(source.lines(), start=1):
        if text.startswith("%"):
            key, _, value = text.lstrip("% ").partition(",")
            header[key.strip().lower()] = value.strip()
        elif not names:
            names = [part.strip() for part in text.split(",")]
        elif text.strip():
            parts = text.split(",")
            if len(parts) != len(names):
                raise damaged(source, CASTAWAY, line, f"{len(parts)} fields, expected {len(names)}")
            try:
                rows.append([number(part) for part in parts])
            except ValueError as error:
                raise damaged(source, CASTAWAY, line, str(error)) from None
    columns: dict[str, np.ndarray] = {}
    units: dict[str, str] = {}
    table = np.array(rows, dtype=float).reshape(-1, max(len(names), 1))
    for name, values in zip(names, table.T, strict=False):
        label, _, unit = name.partition(" (")
        columns[label.lower()], units[label.lower()] = values, unit.rstrip(")")
    if not {"temperature", "salinity"} & set(columns):
        raise NothingMeasured(f"{source.name}: columns {names}, none is T or S")
    return finish(_castaway_levels(header, columns, units, source), source, CASTAWAY)


def _castaway_levels(
    header: dict[str, str], columns: dict[str, np.ndarray], units: dict[str, str], source: Source
) -> Levels:
    """Levels of a cast; a default position, typed in for the equation of state, is none."""
    try:
        place = [number(header.get(f"start {name}", "")) for name in ("latitude", "longitude")]
    except ValueError as error:
        raise InputError(f"{source.name}: position: {error} (reader {CASTAWAY!r})") from None
    when = pd.to_datetime(header.get("cast time (utc)", ""), errors="coerce")
    t, s = columns.get("temperature"), columns.get("salinity")
    if t is not None and not units["temperature"]:
        raise InputError(f"{source.name}: the temperature has no units (reader {CASTAWAY!r})")
    notes = []
    if header.get("default latitude") and math.isnan(place[0]):
        notes.append("a default latitude in the header is no position and was not taken")
    return Levels(
        time=np.datetime64("NaT", "ns") if pd.isna(when) else np.datetime64(when.isoformat(), "ns"),
        latitude=place[0],
        longitude=place[1],
        depth=columns.get("depth"),
        pressure=columns.get("pressure"),
        temperature=None if t is None else Measured(t, units["temperature"]),
        salinity=None if s is None else Measured(s, "psu"),
        platform=header.get("device", ""),
        profile=header.get("file name", source.name),
        instrument="CTD",
        notes=notes,
    )


def _is_seabird(source: Source) -> bool:
    """Whether the header is Sea-Bird's and its channels are named."""
    if not source.head.startswith(b"*"):
        return False
    head = source.head_lines()
    return first_line(source).startswith("* Sea-Bird") or any(
        x.startswith("# name 0 =") for x in head
    )


def _is_castaway(source: Source) -> bool:
    """Whether the first lines are the device and the time of a cast."""
    head = source.head_lines()[:6] if source.head.startswith(b"%") else []
    return any(x.startswith("% Device,") for x in head) and any("Cast time" in x for x in head)


READERS = (
    Reader(
        SEABIRD,
        "Sea-Bird .cnv",
        (
            "channels other than the primary temperature, salinity, pressure and depth",
            "times of single scans",
        ),
        _is_seabird,
        _read_seabird,
    ),
    Reader(
        ITP,
        "profile of an ice-tethered profiler (WHOI .dat)",
        ("variables other than temperature and salinity", "times of single levels"),
        lambda source: source.head.startswith(b"%ITP"),
        _read_itp,
    ),
    Reader(
        CASTAWAY,
        "CastAway CTD csv",
        ("conductivity, sound speed, density", "position of the end of the cast"),
        _is_castaway,
        _read_castaway,
    ),
)
