"""Texts of the tropical moored buoys: the "El Niño" set of 1980-98, and PMEL's deliveries.

The set of the UCI archive has one line for each day and mooring: number, year,
month, day, date, latitude, longitude, zonal and meridional wind, humidity, air and
sea surface temperature, "." where there is none.  A delivery of PMEL has two lines
of header, then blocks: a line with times and number of depths, one of depth
numbers, one of depths, one of names, and rows of date, time, values and two strings
of digits, quality and source (after PMEL's own reading program for these files).
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator

import numpy as np
import pandas as pd
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
    first_line,
    judged,
    number,
    stamp,
    without,
)

UCI, PMEL = "tao_uci", "tao_ascii"

#: Depth in metres of the sensor that PMEL calls surface.
SURFACE_DEPTH = 1.0

_UCI_COLUMNS = 12
_UCI_LINE = re.compile(r"\d+ \d{2} \d{1,2} \d{1,2} \d{5,6}( (-?\d+(\.\d*)?|\.)){7}")
_LOCATION = re.compile(r"^\s*Location:\s*([\d.]+)\s*([NS])\s+([\d.]+)\s*([EW])\b", re.IGNORECASE)
_FIELD = 7  # characters of a value of PMEL
_FIRST = 15  # characters before the first value
#: Quality digits of PMEL; "C" says special adjustments.
_SCHEME = Scheme(
    "PMEL",
    {0: 9, 1: 1, 2: 2, 3: 2, 4: 3, 5: 4, ord("C"): 3},
    {4: "lower quality", 5: "sensor or tube failed", ord("C"): "special adjustments"},
)


# ---- UCI


def _read_uci(source: Source) -> xr.Dataset:
    """Table of the set, read in one go."""
    text = source.text()
    try:
        frame = pd.read_csv(
            io.StringIO(text), sep=" ", header=None, na_values=["."], dtype=float,
            names=range(_UCI_COLUMNS + 1), on_bad_lines="error", engine="c",
        )  # fmt: skip
    except (ValueError, pd.errors.ParserError) as error:
        raise InputError(
            f"{source.name}: not a row of {_UCI_COLUMNS} numbers in every line: {error} "
            f"(reader {UCI!r})"
        ) from None
    rows = frame.to_numpy()
    wrong = np.isnan(rows[:, :7]).any(axis=1) | np.isfinite(rows[:, _UCI_COLUMNS])
    short = np.flatnonzero(wrong)
    last = text.rstrip("\n").rpartition("\n")[2].split()
    if short.size or len(last) != _UCI_COLUMNS:
        line = int(short[0]) + 1 if short.size else len(rows)
        raise damaged(source, UCI, line, f"expected {_UCI_COLUMNS} fields (a truncated row?)")
    time = _dates(1900 + rows[:, 1], rows[:, 2], rows[:, 3])
    levels = Levels(
        time=time,
        latitude=rows[:, 5],
        longitude=rows[:, 6],
        depth=np.full(len(rows), SURFACE_DEPTH),
        surface=Measured(rows[:, 11], "degC"),
        platform=_moorings(time, rows[:, 5], rows[:, 6]),
        instrument="moored buoy",
        notes=[
            "daily means, at noon; sensors at 1 m",
            "the text names no moorings: they are counted where dates or positions jump",
        ],
    )
    return finish(levels, source, UCI)


def _dates(year: np.ndarray, month: np.ndarray, day: np.ndarray) -> np.ndarray:
    """Dates at noon, NaT where there is no such day."""
    frame = pd.DataFrame({"year": year, "month": month, "day": day})
    found = pd.to_datetime(frame, errors="coerce").to_numpy().astype("datetime64[ns]")
    return found + np.timedelta64(12, "h")


def _moorings(time: np.ndarray, latitude: np.ndarray, longitude: np.ndarray) -> np.ndarray:
    """Number of the mooring of each row: a new one where time goes back or the place jumps."""
    east = np.abs((np.diff(longitude) + 180) % 360 - 180)
    jump = (np.diff(time) <= np.timedelta64(0, "D")) | (np.abs(np.diff(latitude)) > 1) | (east > 3)
    count = np.cumsum(np.append(0, jump))
    names = np.array([f"mooring {n}" for n in range(count[-1] + 1)], dtype=object)
    return names[count]


def _is_uci(source: Source) -> bool:
    """Whether the first lines are rows of the set."""
    lines = source.head_lines()[:3] if source.is_text else []
    return bool(lines) and all(_UCI_LINE.fullmatch(line.strip()[:200]) for line in lines[:2])


# ---- PMEL


def _read_pmel(source: Source) -> xr.Dataset:
    """Table of a delivery."""
    lines = enumerate(source.lines(), start=1)
    header = [text for _, text in zip(range(2), (text for _, text in lines), strict=False)]
    place = _LOCATION.match(header[0]) if header else None
    if place is None or len(header) < 2:
        raise damaged(source, PMEL, 1, "expected 'Location: <latitude> <longitude>'")
    found = re.findall(r"-?\d+\.\d*", header[1][:500])
    fill = float(found[-1]) if found else -9.999
    stack, names, rows = Stack(), header[1].upper(), 0
    for line, text, depths in _pmel_rows(lines, source):
        if isinstance(text, list):  # names of the columns
            names += " ".join(text).upper()
            continue
        rows += 1
        try:
            stack.add(*_pmel_row(text, depths, fill))
        except (ValueError, IndexError) as error:
            raise damaged(source, PMEL, line, f"the row cannot be read: {error}") from None
    if not rows:
        raise damaged(source, PMEL, 2, "there are no rows")
    claimed = re.search(r"(\d+)\s*times", header[0][:500])
    if claimed and int(claimed[1]) != rows:
        raise damaged(
            source, PMEL, 1, f"the file is truncated: {claimed[1]} times, {rows} rows are there"
        )
    return finish(_pmel_levels(stack, names, place, source), source, PMEL)


def _pmel_rows(
    lines: Iterator[tuple[int, str]], source: Source
) -> Iterator[tuple[int, str | list[str], list[float]]]:
    """Rows with the depths of their block; names of columns as lists."""
    depths: list[float] = []
    for line, text in lines:
        if re.match(r"\s*\d{8} +\d{4}", text):
            if not depths:
                raise damaged(source, PMEL, line, "a row before a line of depths")
            yield line, text, depths
        elif text.strip().lower().startswith("depth"):
            found = re.findall(r"(?<![\w.])\d+\.?\d*", text[:20000].partition(":")[2])
            depths = [float(part) for part in found]
        elif text.strip() and not re.match(r"\s*(time|index)", text, re.IGNORECASE):
            yield line, text.split(), depths


def _pmel_row(
    text: str, depths: list[float], fill: float
) -> tuple[dict[str, object], dict[str, np.ndarray]]:
    """One row: values at all depths, quality digits."""
    count = len(depths)
    date, clock = text.split()[:2]
    start = text.index(clock, text.index(date) + len(date)) + len(clock)
    start = max(start, _FIRST)
    end = start + _FIELD * count
    if len(text) < end:
        raise ValueError(f"{len(text)} characters, expected {end} at least")
    values = [number(text[at : at + _FIELD]) for at in range(start, end, _FIELD)]
    digits = text[end:].split()
    quality = digits[0] if digits and len(digits[0]) == count else ""
    if digits and not quality:
        raise ValueError(f"{len(digits[0])} digits of quality for {count} depths")
    codes = [code_of(c.upper()) for c in quality] or [-1] * count
    hours = int(clock[:2]) + int(clock[2:4]) / 60
    when = stamp(int(date[:4]), int(date[4:6]), int(date[6:8]), hours)
    return (
        {"time": when},
        {
            "value": without(np.array(values), fill, -9.999, -99.999),
            "depth": np.array(depths),
            "quality": np.array(codes, dtype=np.int16),
        },
    )


def _pmel_levels(stack: Stack, names: str, place: re.Match[str], source: Source) -> Levels:
    """Levels of all rows."""
    qc, reason = judged((stack.codes("quality"), _SCHEME))
    salinity = re.search(r"\bSAL|PSU", names) is not None
    if not salinity and not re.search(r"TEMP|DEG|SST|\bT\b", names):
        raise NothingMeasured(
            f"{source.name}: the header says neither temperature nor salinity: {names[:80]!r}"
        )
    found = Measured(stack.each("value"), "psu" if salinity else "degC", qc=qc, reason=reason)
    return Levels(
        time=stack.once("time", "datetime64[ns]"),
        latitude=float(place[1]) * (1 if place[2].upper() == "N" else -1),
        longitude=float(place[3]) * (1 if place[4].upper() == "E" else -1),
        depth=stack.each("depth"),
        temperature=None if salinity else found,
        salinity=found if salinity else None,
        platform=f"mooring {place[1]}{place[2]} {place[3]}{place[4]}".lower(),
        instrument="moored buoy",
    )


READERS = (
    Reader(
        UCI,
        "El Niño set of the TAO array (UCI text, 1980-98)",
        ("winds, humidity, air temperature",),
        _is_uci,
        _read_uci,
    ),
    Reader(
        PMEL,
        "TAO/TRITON, PIRATA and RAMA delivery of PMEL as ASCII",
        ("source digits", "quantities other than temperature and salinity"),
        lambda source: bool(source.is_text and _LOCATION.match(first_line(source)[:200])),
        _read_pmel,
        verified=False,
    ),
)
