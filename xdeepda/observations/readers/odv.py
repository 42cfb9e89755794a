"""Spreadsheets of Ocean Data View, and the text format of SeaDataNet that builds on them.

Format: Schlitzer, Ocean Data View User's Guide, "ODV generic spreadsheet"; SeaDataNet
D8.5 "Data file formats".  Comments begin with "//" (SeaDataNet maps columns to its
vocabulary there), the next line names the columns, then come rows separated by tabs
(or semicolons).  Metadata stand in the first row of a station only; a column
"QV:SCHEME" holds the flags of the column before it, "QV:SCHEME:SAMPLE" those of the
whole row.  Knows this layout and the names that its files use.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xarray as xr

from xdeepda.errors import InputError
from xdeepda.observations.readers.base import (
    SCHEMES,
    Levels,
    Measured,
    NothingMeasured,
    Reader,
    Scheme,
    Source,
)
from xdeepda.observations.readers.decode import is_fill
from xdeepda.observations.readers.textual import (
    PRACTICAL,
    code_of,
    damaged,
    finish,
    judged,
    number,
    stamp,
)
from xdeepda.observations.readers.wod_codes import OBSERVED

NAME = "odv"

_LABEL = re.compile(
    r"^(?P<name>.*?)\s*(?:\[(?P<unit>[^\]]*)\])?\s*(?P<extra>:[A-Z_]+:.*|:[A-Z_]+)?$"
)
_MAPPING = re.compile(
    r"<subject>SDN:LOCAL:(?P<name>[^<]*)</subject>\s*<object>SDN:P01::(?P<code>\w+)</object>"
    r"(?:\s*<units>SDN:P06::(?P<unit>\w+)</units>)?"
)
_FILL = re.compile(r"<MissingValueIndicators>(?P<fills>[^<]*)</MissingValueIndicators>")

#: Schemes of flags by the name that follows "QV:".
_SCHEMES: dict[str, str | Scheme] = {
    "SEADATANET": "seadatanet", "ODV": "odv", "ARGO": "argo", "GTSPP": "gtspp", "WOD": OBSERVED,
    "WODSAMPLE": OBSERVED, "QARTOD": "qartod", "WOCECTD": "woce_ctd", "WOCEBOTTLE": "woce_bottle",
    "WOCESAMPLE": "woce_bottle",
}  # fmt: skip

#: Beginnings of codes of the vocabulary P01 and what they stand for.
_CODES = {
    "ADEP": "depth", "DEPH": "depth", "PRES": "pressure", "TEMP": "t", "PSST": "t", "POTM": "pt",
    "POTV": "pt", "PSAL": "s", "PSLT": "s", "ODSDM": "s", "SSAL": "s",
}  # fmt: skip
#: Units of the vocabulary P06, where a label has none.
_UNITS = {"ULAA": "m", "UPDB": "dbar", "UPAA": "degC", "UUUU": "psu", "UPPT": "psu", "UPKA": "K"}
#: Names of columns (lower case) and what they stand for.
_NAMES = {
    "depth": r"depth|deph|sampling depth|depth below sea surface",
    "pressure": r"pressure|pres|prs|ctdprs|sea pressure",
    "t": r"temperature|temp|tmp|ctdtmp|water temperature|sea water temperature|"
    r"its-90 water temperature|temperature of the water column|sea temperature",
    "pt": r"potential temperature|potemp|theta|tpot",
    "s": r"(practical )?salinity|psal|sal|salnty|ctdsal|water body salinity|"
    r"(practical )?salinity of the water column",
}
_PATTERNS = {role: re.compile(f"(?:{names})") for role, names in _NAMES.items()}
_DATE = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})(?:[T ](\d{1,2})(?::(\d{1,2})(?::([\d.]+))?)?)?")
_DBAR = ("dbar", "db", "decibar", "decibars")
_METRES = ("m", "metre", "metres", "meter", "meters")


@dataclass
class _Column:
    """Column of a sheet."""

    at: int
    name: str
    unit: str
    meta: bool
    role: str = ""
    flags: int = -1
    scheme: str = ""


@dataclass
class _Sheet:
    """What the lines before the rows say."""

    line: int
    separator: str
    columns: list[_Column]
    fills: list[float] = field(default_factory=list)
    sample_flags: int = -1
    sample_scheme: str = ""

    def role(self, role: str) -> _Column | None:
        """Column of a role; the first, if several have it."""
        return next((c for c in self.columns if c.role == role), None)


def _header(lines: Iterator[tuple[int, str]], source: Source) -> _Sheet:
    """Comments and the line of names."""
    mapping: dict[str, tuple[str, str]] = {}
    fills: list[float] = []
    for line, text in lines:
        if text.startswith("//"):
            if found := _MAPPING.search(text):
                mapping[found["name"].strip()] = (found["code"], found["unit"] or "")
            elif told := _FILL.search(text):
                fills = [number(part) for part in told["fills"].split() if part]
        elif text.strip():
            separator = "\t" if "\t" in text else ";"
            sheet = _Sheet(line, separator, [], fills)
            _name_columns(sheet, text.rstrip(separator + " ").split(separator), mapping)
            return sheet
    raise InputError(f"{source.name}: there is no line of column names (reader {NAME!r})")


def _name_columns(sheet: _Sheet, labels: list[str], mapping: dict[str, tuple[str, str]]) -> None:
    """Columns of their labels."""
    measured = False
    for at, label in enumerate(labels):
        label = label.strip()[:500]
        if label.upper().startswith(("QV:", "QF:")) or label.upper() in ("QF", "QV"):
            parts = label.upper().split(":")
            if parts[-1] == "SAMPLE" or (label == labels[-1] and "SAMPLE" in parts):
                sheet.sample_flags, sheet.sample_scheme = at, parts[1]
            elif sheet.columns:
                sheet.columns[-1].flags = at
                sheet.columns[-1].scheme = parts[1] if len(parts) > 1 and parts[1] else "ODV"
            continue
        found = _LABEL.match(label)
        assert found is not None
        name, unit = found["name"].strip(), (found["unit"] or "").strip()
        meta = ":METAVAR" in (found["extra"] or "")
        column = _Column(at, name, unit, meta)
        code, coded = mapping.get(name, ("", ""))
        column.unit = unit or _UNITS.get(coded, "")
        column.role = _role(column, code, measured)
        measured = measured or column.role in _NAMES
        sheet.columns.append(column)


def _role(column: _Column, code: str, measured: bool) -> str:
    """What a column stands for."""
    name = column.name.lower()
    simple = {"cruise": "cruise", "station": "station", "type": "type", "hh:mm": "clock"}
    if not measured:
        if name in simple:
            return simple[name]
        if name.startswith("yyyy-mm-dd") or name == "mon/day/yr":
            return "date"
        if name in ("longitude", "latitude"):
            return name
    if column.meta or name.startswith(("bot. depth", "water depth", "bottom depth")):
        return ""
    if name.startswith("time_iso8601"):
        return "moment"
    for start, role in _CODES.items():
        if code.startswith(start):
            return role
    return next((role for role, p in _PATTERNS.items() if p.fullmatch(name)), "")


def _rows(
    lines: Iterator[tuple[int, str]], sheet: _Sheet, source: Source
) -> Iterator[tuple[int, list[str]]]:
    """Rows, with metadata of the first row of a station in all of its rows."""
    first = [c.at for c in sheet.columns if c.role in ("cruise", "station", "date", "clock")]
    first += [c.at for c in sheet.columns if c.role in ("longitude", "latitude", "type")]
    need = max(c.at for c in sheet.columns if c.role in _NAMES) + 1
    last: list[str] | None = None
    for line, text in lines:
        if not text.strip("\t ;\x1a") or text.startswith("//"):
            continue
        row = text.split(sheet.separator)
        if len(row) < need:
            raise damaged(source, NAME, line, f"{len(row)} fields, expected {need} at least")
        if not any(row[at].strip() for at in first):
            if last is None:
                raise damaged(source, NAME, line, "a row before the first station")
            for at in first:
                row[at] = last[at]
        last = row
        yield line, row


def _time(sheet: _Sheet, row: list[str]) -> np.datetime64:
    """Date of a row."""
    column, clock = sheet.role("date"), sheet.role("clock")
    assert column is not None
    text, moment = row[column.at].strip(), sheet.role("moment")
    if moment is not None and moment.at < len(row) and row[moment.at].strip():
        text = row[moment.at].strip()  # of this row; the station's is that of its first
    american = re.fullmatch(r"(\d{1,2})/(\d{1,2})/(\d{4})", text)
    if american:
        month, day, year = (int(part) for part in american.groups())
        hours = math.nan
        if clock is not None and ":" in row[clock.at]:
            parts = row[clock.at].split(":")
            hours = number(parts[0]) + number(parts[1]) / 60
        return stamp(year, month, day, hours)
    found = _DATE.match(text)
    if found is None:
        return np.datetime64("NaT", "ns")
    year, month, day = (int(part) for part in found.groups()[:3])
    hours = math.nan
    if found[4] is not None:
        hours = int(found[4]) + int(found[5] or 0) / 60 + number(found[6] or "0") / 3600
    return stamp(year, month, day, hours)


class _Table:
    """Columns of all rows."""

    def __init__(self, sheet: _Sheet, rows: list[list[str]], source: Source) -> None:
        self.sheet, self.rows, self.source = sheet, rows, source

    def texts(self, role: str) -> list[str]:
        """Column of a role."""
        column = self.sheet.role(role)
        if column is None:
            return [""] * len(self.rows)
        return [row[column.at].strip() for row in self.rows]

    def numbers(self, role: str) -> np.ndarray:
        """Column of a role, NaN where there is none."""
        try:
            values = np.array([number(text) for text in self.texts(role)], dtype=float)
        except ValueError as error:
            column = self.sheet.role(role)
            raise InputError(
                f"{self.source.name}: column {column.name if column else role!r}: {error} "
                f"(reader {NAME!r})"
            ) from None
        for fill in self.sheet.fills:
            values[values == fill] = np.nan
        if role in ("t", "pt", "s", "depth", "pressure"):
            values[is_fill(values)] = np.nan
        return values

    def codes(self, at: int) -> np.ndarray:
        """Codes of a column of flags."""
        return np.array([code_of(r[at]) if at < len(r) else -1 for r in self.rows], np.int16)

    def flags(self, column: _Column) -> list[tuple[np.ndarray, str | Scheme]]:
        """Flags of a column with their scheme, if that is known."""
        scheme = _SCHEMES.get(column.scheme)
        return [] if column.flags < 0 or scheme is None else [(self.codes(column.flags), scheme)]

    def measured(self, role: str) -> Measured | None:
        """Temperature or salinity."""
        column = self.sheet.role(role)
        if column is None:
            return None
        unit = column.unit
        if role == "s":
            if unit and unit.lower() not in PRACTICAL:
                raise InputError(f"{self.source.name}: salinity in {unit!r} (reader {NAME!r})")
            unit = "psu"
        elif not unit:
            raise InputError(
                f"{self.source.name}: column {column.name!r} has no units (reader {NAME!r}); "
                f"write {column.name + ' [degC]'!r}"
            )
        elif "90" in column.name or "68" in column.name:
            unit = "degC (IPTS-68)" if "68" in column.name else unit
        flags = self.flags(column)
        qc, reason = judged(*flags) if flags else (None, None)
        return Measured(self.numbers(role), unit, qc=qc, reason=reason)

    def vertical(self, role: str, units: tuple[str, ...]) -> np.ndarray | None:
        """Depth or pressure."""
        column = self.sheet.role(role)
        if column is None:
            return None
        plain = column.unit.split("=")[0].strip().lower()
        if plain not in units:
            raise InputError(
                f"{self.source.name}: {role} in {column.unit!r}, expected {units[0]!r} "
                f"(reader {NAME!r})"
            )
        return self.numbers(role)


def _notes(sheet: _Sheet, table: _Table) -> list[str]:
    """What was left out or assumed."""
    notes = []
    for column in sheet.columns:
        if column.role in ("t", "pt", "s") and sheet.role(column.role) is not column:
            notes.append(f"a second column {column.name!r} is not read")
        if column.role in _NAMES and column.scheme and column.scheme not in _SCHEMES:
            notes.append(f"flags of the scheme {column.scheme!r} are not used")
    if any(re.fullmatch(r"\d{4}-\d{1,2}-\d{1,2}", text) for text in table.texts("date")):
        notes.append("the time of day is missing in places: taken as noon")
    return notes


def _place_flags(table: _Table, vertical: str) -> tuple[Any, Any]:
    """Flags of depth or pressure and of whole rows."""
    column = table.sheet.role(vertical)
    found = [] if column is None else table.flags(column)
    scheme = _SCHEMES.get(table.sheet.sample_scheme)
    if table.sheet.sample_flags >= 0 and scheme is not None:
        codes = table.codes(table.sheet.sample_flags)
        # "no control" of the row says nothing against the flags of its values
        own = SCHEMES[scheme] if isinstance(scheme, str) else scheme
        codes[np.isin(codes, [c for c, flag in own.codes.items() if flag == 0])] = -1
        found.append((codes, scheme))
    if not found:
        return None, None
    return judged(*found)


def read(source: Source) -> xr.Dataset:
    """Table of a file."""
    lines = enumerate(source.lines(), start=1)
    sheet = _header(lines, source)
    missing = [r for r in ("date", "longitude", "latitude") if sheet.role(r) is None]
    if missing:
        raise damaged(source, NAME, sheet.line, f"no column for {', '.join(missing)}")
    if not any(sheet.role(role) for role in ("t", "pt", "s")):
        names = [c.name for c in sheet.columns if not c.meta][:20]
        raise NothingMeasured(
            f"{source.name}: none of the columns {names} is temperature or salinity"
        )
    numbered = list(_rows(lines, sheet, source))
    if not numbered:
        raise NothingMeasured(f"{source.name}: the sheet has no rows (reader {NAME!r})")
    rows = [row for _, row in numbered]
    if len(rows) > 1 and len(rows[-1]) < min(map(len, rows[:-1])):
        raise damaged(source, NAME, numbered[-1][0], "the last row is cut off (a truncated file?)")
    return finish(_levels(_Table(sheet, rows, source), sheet), source, NAME)


def _levels(table: _Table, sheet: _Sheet) -> Levels:
    """Levels of all rows."""
    depth, pressure = table.vertical("depth", _METRES), table.vertical("pressure", _DBAR)
    kind = "potential" if sheet.role("t") is None else "in-situ"
    levels = Levels(
        time=np.array([_time(sheet, row) for row in table.rows], dtype="datetime64[ns]"),
        latitude=table.numbers("latitude"),
        longitude=table.numbers("longitude"),
        depth=depth,
        pressure=pressure,
        temperature=table.measured("t" if kind == "in-situ" else "pt"),
        salinity=table.measured("s"),
        temperature_kind=kind,
        platform=np.array(table.texts("cruise"), dtype=object),
        profile=np.array(table.texts("station"), dtype=object),
        notes=_notes(sheet, table),
    )
    levels.qc, levels.reason = _place_flags(table, "pressure" if depth is None else "depth")
    return levels


def recognises(source: Source) -> bool:
    """Whether comments of ODV or SeaDataNet, or its column names, stand at the beginning."""
    if source.path is None or source.is_netcdf:
        return False
    for line in source.head_lines():
        if line.startswith("//"):
            if re.search(r"<Version>ODV|SDN_parameter_mapping|<sdn_reference|<Encoding>", line):
                return True
        elif line.strip():
            names = {part.strip().lower() for part in re.split(r"[\t;]", line)}
            return {"cruise", "station", "type"} <= names
    return False


READERS = (
    Reader(
        NAME,
        "ODV spreadsheet and SeaDataNet ODV text",
        (
            "variables other than temperature and salinity",
            "metadata but cruise, station, date and position",
            "flags of schemes that are not known (told in the notes)",
        ),
        recognises,
        read,
    ),
)
