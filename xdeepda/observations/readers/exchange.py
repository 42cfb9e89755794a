"""WHP-exchange files of CCHDO: bottles (one table) and CTD (header and table per cast).

Format: Swift and Diggs, "Description of WHP-Exchange Format for CTD/Hydrographic
Data".  First line BOTTLE or CTD with a stamp, comments with "#", names, units,
rows, END_DATA.  The scale of a temperature is its unit: ITS-90 or IPTS-68.  Flags
*_FLAG_W are WOCE's, *_FLAG_I those of IGOSS.  Knows this layout alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xarray as xr

from xdeepda.errors import InputError
from xdeepda.observations.readers.base import Levels, Measured, NothingMeasured, Reader, Source
from xdeepda.observations.readers.textual import (
    NOTHING,
    code_of,
    damaged,
    finish,
    judged,
    number,
    stamp,
    without,
)

BOTTLE, CTD = "exchange_bottle", "exchange_ctd"
_FILLS = (-999.0, -9.0, -99.0)

#: Columns of temperature and salinity, the better ones first, with what they are.
_TEMPERATURES = {"CTDTMP": "in-situ", "THETA": "potential"}
_SALINITIES = ("CTDSAL", "SALNTY")


@dataclass
class _Table:
    """One table with the header before it."""

    line: int
    names: list[str]
    units: list[str]
    header: dict[str, str] = field(default_factory=dict)
    rows: list[list[str]] = field(default_factory=list)

    def __contains__(self, name: str) -> bool:
        """Whether there is a column or header of a name."""
        return name in self.names or name in self.header

    def texts(self, name: str) -> list[str]:
        """Column, or the header's value for all rows; empty where there is neither."""
        if name in self.names:
            at = self.names.index(name)
            return [row[at] for row in self.rows]
        return [self.header.get(name, "")] * len(self.rows)

    def numbers(self, name: str) -> np.ndarray:
        """Column as numbers, NaN where there is none."""
        try:
            values = np.array([number(text) for text in self.texts(name)], dtype=float)
        except ValueError as error:
            raise ValueError(f"column {name}: {error}") from None
        return without(values, *_FILLS[:1])

    def codes(self, name: str) -> np.ndarray:
        """Column of flags, -1 where there is none."""
        return np.array([code_of(text) for text in self.texts(name)], dtype=np.int16)

    def unit(self, name: str) -> str:
        """Unit of a column."""
        return self.units[self.names.index(name)]


def _lines(source: Source) -> Iterator[tuple[int, str]]:
    """Lines that are no comments, numbered."""
    for line, text in enumerate(source.lines(), start=1):
        if text.strip() and not text.startswith("#"):
            yield line, text


def _fields(text: str) -> list[str]:
    """Fields of a line."""
    return [part.strip() for part in text.split(",")]


def _tables(source: Source, reader: str, first: str) -> Iterator[_Table]:
    """Tables of a file: one of bottles, one for each cast of a CTD."""
    lines, line = _lines(source), 0
    for line, text in lines:
        if not text.startswith(first):
            raise damaged(source, reader, line, f"expected {first!r}, found {text[:30]!r}")
        header: dict[str, str] = {}
        try:
            if first == "CTD":
                header = _header(lines)
            line, text = next(lines)
            names = _fields(text)
            line, text = next(lines)
            units = _fields(text)
            table = _Table(line, names, units + [""] * (len(names) - len(units)), header)
            line = _fill(table, lines, source, reader)
        except StopIteration:
            raise damaged(source, reader, line, "the file is truncated (no END_DATA)") from None
        except ValueError as error:
            raise damaged(source, reader, line, str(error)) from None
        yield table
    if not line:
        raise InputError(f"{source.name}: there is nothing in the file (reader {reader!r})")


def _header(lines: Iterator[tuple[int, str]]) -> dict[str, str]:
    """Header of a CTD cast: "NUMBER_HEADERS = n" and n - 1 lines "KEY = value"."""
    key, _, value = next(lines)[1].partition("=")
    if key.strip() != "NUMBER_HEADERS" or not value.strip().isdecimal():
        raise ValueError(f"expected NUMBER_HEADERS = n, found {key.strip()[:30]!r}")
    header = {}
    for _ in range(int(value) - 1):
        key, _, text = next(lines)[1].partition("=")
        header[key.strip()] = text.strip()
    return header


def _fill(table: _Table, lines: Iterator[tuple[int, str]], source: Source, reader: str) -> int:
    """Rows up to END_DATA; number of its line."""
    size = len(table.names)
    while True:
        line, text = next(lines)
        if text.startswith("END_DATA"):
            return line
        row = _fields(text)
        if len(row) < size:
            raise damaged(source, reader, line, f"{len(row)} fields, expected {size}")
        table.rows.append(row[:size])


def _times(table: _Table) -> np.ndarray:
    """Dates of the rows, noon where there is no time."""
    found = []
    known: dict[tuple[str, str], np.datetime64] = {}
    for date, time in zip(table.texts("DATE"), table.texts("TIME"), strict=True):
        if (date, time) not in known:
            known[date, time] = _date(date, time)
        found.append(known[date, time])
    return np.array(found, dtype="datetime64[ns]")


def _date(date: str, time: str) -> np.datetime64:
    """Date of YYYYMMDD and hhmm."""
    if not (date.isdecimal() and len(date) == 8):
        return np.datetime64("NaT", "ns")
    hours = math.nan
    if time.isdecimal() and time:
        clock = time.zfill(4)
        hours = int(clock[:-2]) + int(clock[-2:]) / 60
    return stamp(int(date[:4]), int(date[4:6]), int(date[6:]), hours)


def _flags(table: _Table, name: str, woce: str) -> tuple[Any, Any]:
    """Flags of a column."""
    if f"{name}_FLAG_W" in table.names:
        return judged((table.codes(f"{name}_FLAG_W"), woce))
    if f"{name}_FLAG_I" in table.names:
        return judged((table.codes(f"{name}_FLAG_I"), "gtspp"))
    return None, None


def _temperature(table: _Table) -> tuple[Measured | None, str]:
    """Temperature and its kind."""
    for name, kind in _TEMPERATURES.items():
        if name in table.names:
            if not table.unit(name):
                raise InputError(f"column {name} has no units; expected ITS-90 or IPTS-68")
            qc, reason = _flags(table, name, "woce_ctd")
            value = table.numbers(name)
            return Measured(value, f"degC ({table.unit(name)})", qc=qc, reason=reason), kind
    return None, "in-situ"


def _salinity(table: _Table, notes: list[str]) -> Measured | None:
    """Salinity of the CTD, and of the bottle where there is none of the CTD."""
    found = None
    for name in _SALINITIES:
        if name not in table.names:
            continue
        value = table.numbers(name)
        qc, reason = _flags(table, name, "woce_ctd" if name == "CTDSAL" else "woce_bottle")
        qc = np.zeros(value.size, np.int8) if qc is None else qc
        reason = np.full(value.size, "", object) if reason is None else reason
        if found is None:
            found = Measured(value, "psu", qc=qc, reason=reason)
            continue
        use = np.isnan(found.value) & np.isfinite(value)
        if use.any():
            notes.append(f"salinity of {int(use.sum())} bottles from the sample, not the CTD")
        found = Measured(
            np.where(use, value, found.value), "psu",
            qc=np.where(use, qc, found.qc), reason=np.where(use, reason, found.reason),
        )  # fmt: skip
    return found


def _names(table: _Table) -> np.ndarray:
    """Station and cast of each row."""
    pairs = zip(table.texts("STNNBR"), table.texts("CASTNO"), strict=True)
    return np.array([f"station {s} cast {c}" for s, c in pairs], dtype=object)


def _levels(table: _Table, source: Source, reader: str) -> Levels:
    """Levels of one table."""
    for need in ("DATE", "LATITUDE", "LONGITUDE"):
        if need not in table:
            raise damaged(source, reader, table.line, f"there is no {need}")
    temperature, kind = _temperature(table)
    notes: list[str] = []
    salinity = _salinity(table, notes)
    if temperature is None and salinity is None:
        raise NothingMeasured(
            f"{source.name}: columns {table.names[:12]}, none of temperature or salinity"
        )
    if any(time in NOTHING for time in table.texts("TIME")):
        notes.append("the time of day is missing in places: taken as noon")
    pressure = "CTDPRS" in table.names
    if not pressure and "CTDDEP" not in table.names:
        raise InputError(f"{source.name}: neither CTDPRS nor CTDDEP (reader {reader!r})")
    return Levels(
        time=_times(table),
        latitude=table.numbers("LATITUDE"),
        longitude=table.numbers("LONGITUDE"),
        depth=None if pressure else table.numbers("CTDDEP"),
        pressure=table.numbers("CTDPRS") if pressure else None,
        temperature=temperature,
        salinity=salinity,
        temperature_kind=kind,
        platform=np.array(table.texts("EXPOCODE"), dtype=object),
        profile=_names(table),
        instrument="bottle" if reader == BOTTLE else "CTD",
        notes=notes,
    )


def _read(source: Source, reader: str, first: str) -> xr.Dataset:
    """Table of a file."""
    tables = []
    for table in _tables(source, reader, first):
        if table.rows:
            try:
                levels = _levels(table, source, reader)
            except InputError:
                raise
            except ValueError as error:
                raise damaged(source, reader, table.line, f"in the table below: {error}") from None
            tables.append(finish(levels, source, reader))
    if not tables:
        raise NothingMeasured(f"{source.name}: the table has no rows (reader {reader!r})")
    return tables[0] if len(tables) == 1 else _joined(tables)


def _joined(tables: Sequence[xr.Dataset]) -> xr.Dataset:
    """Casts of one file, one below the other."""
    joined = xr.concat(tables, dim="obs", combine_attrs="override", data_vars="minimal")
    units = {k: v for t in tables for k, v in t["value"].attrs.items() if k != "units"}
    alone = [v for k, v in units.items() if k.startswith("units_")]
    joined["value"].attrs = {**units, **({"units": alone[0]} if len(alone) == 1 else {})}
    joined.attrs["notes"] = "; ".join(dict.fromkeys(t.attrs["notes"] for t in tables))
    return joined


def _begins(source: Source, first: str) -> bool:
    """Whether the first line that is no comment begins with a word and a comma."""
    if not source.is_text:
        return False
    for line in source.head_lines():
        if line.strip() and not line.startswith("#"):
            return line.startswith(f"{first},")
    return False


_IGNORES = ("variables other than temperature and salinity", "depth of the sea floor")

READERS = (
    Reader(
        BOTTLE,
        "WHP-exchange bottle file (CCHDO *_hy1.csv)",
        (*_IGNORES, "bottle salinity where the CTD has one", "flags of the bottles themselves"),
        lambda source: _begins(source, "BOTTLE"),
        lambda source: _read(source, BOTTLE, "BOTTLE"),
    ),
    Reader(
        CTD,
        "WHP-exchange CTD file (CCHDO *_ct1.csv)",
        _IGNORES,
        lambda source: _begins(source, "CTD"),
        lambda source: _read(source, CTD, "CTD"),
    ),
)
