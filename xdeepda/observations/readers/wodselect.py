"""WODselect's comma-separated export of the World Ocean Database: blocks of key and value.

Each cast is a block: lines "key,,value,...", a table that begins with the lines
VARIABLES, UNITS and Prof-Flag, and the line END OF VARIABLES SECTION.  A column of
the table is followed by two of flags, F of the archive and O of the originator.
Knows the blocks; the codes are those of the native format.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
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
from xdeepda.observations.readers.textual import (
    Stack,
    code_of,
    damaged,
    finish,
    judged,
    number,
    stamp,
)
from xdeepda.observations.readers.wod_codes import DEPTH, OBSERVED, ORIGINATOR, PROBES, PROFILE

NAME = "wodselect_csv"

_CAST = "CAST"
_END = "END OF VARIABLES SECTION"
_COLUMNS = {"depth": "depth", "temperatur": "t", "temperature": "t", "salinity": "s"}


class _Block:
    """One cast while it is read."""

    def __init__(self, line: int) -> None:
        self.line = line
        self.header: dict[str, list[str]] = {}
        self.names: list[str] = []
        self.units: list[str] = []
        self.profile: list[str] = []
        self.rows: list[list[str]] = []

    def value(self, key: str) -> str:
        """Value of a key, empty where there is none."""
        fields = self.header.get(key, [])
        return fields[2] if len(fields) > 2 else ""


def _blocks(source: Source) -> Iterator[_Block]:
    """Blocks of a file."""
    block: _Block | None = None
    line = 0
    for line, text in enumerate(source.lines(), start=1):
        if not text.strip() or text.startswith("#"):
            continue
        fields = [part.strip() for part in text.split(",")]
        if fields[0] == _CAST:
            if block is not None:
                raise damaged(source, NAME, line, f"the cast of line {block.line} has no end")
            block = _Block(line)
        if block is None:
            raise damaged(source, NAME, line, f"expected a line CAST, found {text[:40]!r}")
        if fields[0] == _END:
            yield block
            block = None
        else:
            _take(block, fields, source, line)
    if block is not None:
        raise damaged(
            source, NAME, line,
            f"the file is truncated: the cast of line {block.line} has no line {_END!r}",
        )  # fmt: skip


def _take(block: _Block, fields: list[str], source: Source, line: int) -> None:
    """One line of a block."""
    key = fields[0]
    if key == "VARIABLES":
        block.names = [name.lower() for name in fields]
    elif key == "UNITS":
        block.units = fields
    elif key == "Prof-Flag":
        block.profile = fields
    elif block.names:
        if len(fields) < len(block.names) - 2:  # the last commas may be missing
            raise damaged(
                source, NAME, line,
                f"{len(fields)} fields, expected {len(block.names)} (a truncated row?)",
            )  # fmt: skip
        block.rows.append(fields)
    else:
        block.header.setdefault(key, fields)


def _column(block: _Block, at: int, of: Callable[[str], Any]) -> list[Any]:
    """Column of the table of a block."""
    return [of(row[at]) if at < len(row) else of("") for row in block.rows]


def _add(stack: Stack, block: _Block, units: dict[str, str]) -> None:
    """Append a block."""
    if "depth" not in block.names:
        raise ValueError("no column Depth")
    each: dict[str, Any] = {}
    once = _header(block)
    for at, column in enumerate(block.names):
        name = _COLUMNS.get(column)
        if name is None:
            continue
        unit = block.units[at] if at < len(block.units) else ""
        if units.setdefault(name, unit) != unit:
            raise ValueError(f"{column} in {unit!r}, in casts before in {units[name]!r}")
        each[name] = _column(block, at, number)
        each[f"{name}_wod"] = _column(block, at + 1, code_of)
        each[f"{name}_originator"] = _column(block, at + 2, code_of)
        flag = block.profile[at + 1] if at + 1 < len(block.profile) else ""
        once[f"{name}_profile"] = float(code_of(flag))
    stack.add(once, each)


def _header(block: _Block) -> dict[str, Any]:
    """What holds for the whole cast."""
    year, month, day, hour = (number(block.value(k)) for k in ("Year", "Month", "Day", "Time"))
    known = not any(map(math.isnan, (year, month)))
    probe, ship = number(block.value("probe_type")), block.value("Platform").rstrip(".")
    return {
        "time": stamp(year, month, day if day >= 1 else 15, hour) if known else stamp(0, 0, 0),
        "latitude": number(block.value("Latitude")),
        "longitude": number(block.value("Longitude")),
        "profile": block.value(_CAST),
        "platform": f"WOD platform {ship}" if ship else f"cruise {block.value('NODC Cruise ID')}",
        "instrument": PROBES.get(int(probe), "") if probe == probe else "",
        "hour": float(hour == hour),
        "day": float(day >= 1),
        "gtspp": float(number(block.value("Originators flag set to use").rstrip(".")) == 3),
    }


def _quantity(stack: Stack, name: str, units: dict[str, str]) -> Measured | None:
    """Temperature or salinity with the worst of its flags."""
    if name not in units:
        return None
    if not units[name]:
        raise InputError(f"column {name!r} has no units (reader {NAME!r})")
    value = stack.each(name)
    there = np.isfinite(value)
    qc, reason = judged(
        (np.where(there, stack.codes(f"{name}_wod"), -1), OBSERVED),
        (_whole(stack, name), PROFILE),
        _originator(stack, name),
    )
    return Measured(value, units[name], qc=qc, reason=reason)


def _whole(stack: Stack, name: str) -> np.ndarray:
    """Flags of whole profiles."""
    return np.nan_to_num(stack.once(f"{name}_profile", float), nan=-1).astype(np.int16)


def _originator(stack: Stack, name: str) -> tuple[np.ndarray, Scheme]:
    """Flags of the originator, where their set is GTSPP's."""
    use = stack.once("gtspp", float) > 0
    return np.where(use, stack.codes(f"{name}_originator"), -1), ORIGINATOR


def read(source: Source) -> xr.Dataset:
    """Table of a file."""
    stack, units, casts = Stack(), dict[str, str](), 0
    for block in _blocks(source):
        casts += 1
        try:
            if block.rows:
                _add(stack, block, units)
        except ValueError as error:
            raise damaged(
                source, NAME, block.line, f"the cast that begins here cannot be read: {error}"
            ) from None
    if not {"t", "s"} & set(units):
        raise NothingMeasured(
            f"{source.name}: {casts} casts, none with temperature or salinity (reader {NAME!r})"
        )
    if units["depth"].lower() not in ("m", "meters", "metres", "meter"):
        raise InputError(f"{source.name}: depth in {units['depth']!r}, expected 'm'")
    qc, reason = judged((stack.codes("depth_wod"), DEPTH), _originator(stack, "depth"))
    return finish(
        Levels(
            time=stack.once("time", "datetime64[ns]"),
            latitude=stack.once("latitude", float),
            longitude=stack.once("longitude", float),
            depth=stack.each("depth"),
            temperature=_quantity(stack, "t", units),
            salinity=_quantity(stack, "s", units),
            platform=stack.once("platform"),
            profile=stack.once("profile"),
            instrument=stack.once("instrument"),
            qc=qc,
            reason=reason,
            notes=_notes(stack),
        ),
        source,
        NAME,
    )


def _notes(stack: Stack) -> list[str]:
    """What was assumed."""
    notes = []
    hourless = len(set(stack.once("profile")[stack.once("hour", float) == 0]))
    if hourless:
        notes.append(f"the hour is missing in {hourless} casts: taken as noon")
    dayless = len(set(stack.once("profile")[stack.once("day", float) == 0]))
    if dayless:
        notes.append(f"the day is missing in {dayless} casts: taken as the 15th")
    if (stack.once("instrument") == "XBT").any():
        notes.append("XBT fall rate: depths are as in the archive")
    return notes


def recognises(source: Source) -> bool:
    """Whether a line CAST names the archive's cast number within the first lines."""
    return source.is_text and any(
        line.startswith(_CAST) and "WOD Unique Cast Number" in line
        for line in source.head_lines()[:20]
    )


READERS = (
    Reader(
        NAME,
        "WODselect CSV export of the World Ocean Database",
        (
            "variables other than temperature and salinity",
            "metadata but platform and probe",
            "originator's flags other than those of GTSPP",
        ),
        recognises,
        read,
    ),
)
