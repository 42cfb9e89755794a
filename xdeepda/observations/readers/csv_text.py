"""Tables with a line of column names, separated by commas, semicolons or tabs.

Two forms: one column for each quantity, its unit in brackets, "temperature [degC]",
or (ERDDAP) in a second line; or one number to a row beside the name of its
variable, as a table of this package is written by pandas.  Columns go by exact names,
as in :func:`xdeepda.observations.table.as_table`, which reads the second form.
Nothing is guessed: a temperature without a unit is an error.

A text without numbers in columns is named as such, so that a folder of data with
its README tells what was not read.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from xdeepda import units as unit_tools
from xdeepda.errors import InputError
from xdeepda.observations.columns import ROLE_NAMES, TEXT
from xdeepda.observations.quantities import MEASUREMENT, kind_of
from xdeepda.observations.readers.base import (
    Levels,
    Measured,
    NothingMeasured,
    Reader,
    Source,
    make_table,
)
from xdeepda.observations.readers.conversions import plain_unit
from xdeepda.observations.readers.decode import is_fill
from xdeepda.observations.readers.roles import find_measured, salinity_kind, temperature_kind
from xdeepda.observations.readers.textual import PRACTICAL, damaged, finish
from xdeepda.observations.table import as_table

NAME, PROSE = "csv", "documentation"

_LABEL = re.compile(r"\s*(?P<name>[^\[(]*?)\s*[\[(](?P<unit>[^\])]*)[\])]\s*")
_SEPARATORS = ",;\t"
_PLAIN = {
    "m": ("m", "meter", "meters", "metre", "metres"),
    "dbar": ("dbar", "decibar", "decibars"),
}
_PLACES = ("time", "latitude", "longitude")


@dataclass
class Head:
    """Line of names."""

    line: int = 0
    separator: str = ","
    labels: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    units: list[str] = field(default_factory=list)
    units_below: bool = False

    def role(self, role: str) -> int | None:
        """Position of the column of a role."""
        hits = [n for n, name in enumerate(self.names) if name in ROLE_NAMES[role]]
        if len(hits) > 1:
            raise InputError(f"columns {[self.labels[n] for n in hits]} could all be the {role}")
        return hits[0] if hits else None


def head_of(lines: list[str]) -> Head | None:
    """Names and units of the columns; None if these lines are no such table."""
    for line, text in enumerate(lines, start=1):
        if not text.strip() or text.startswith("#"):
            continue
        separator = max(_SEPARATORS, key=text.count)
        if not text.count(separator):
            return None
        head = Head(line, separator)
        for label in _fields(text, separator):
            found = _LABEL.fullmatch(label[:500])
            head.labels.append(label)
            head.names.append((found["name"] if found else label).strip().lower())
            head.units.append(found["unit"].strip() if found else "")
        _units_below(head, lines[line : line + 1])
        return head
    return None


def _fields(text: str, separator: str) -> list[str]:
    """Fields of a line without quotes and blanks."""
    return [part.strip().strip('"').strip() for part in text.split(separator)]


def _units_below(head: Head, below: list[str]) -> None:
    """Units of a second line: there, if it holds those of latitude and longitude."""
    units = _fields(below[0], head.separator) if below else []
    if {"degrees_north", "degrees_east"} <= set(units) and len(units) == len(head.names):
        head.units_below = True
        head.units = [own or ("" if unit == "UTC" else unit) for own, unit in
                      zip(head.units, units, strict=True)]  # fmt: skip


def frame_of(source: Source, head: Head) -> pd.DataFrame:
    """All rows; a short last one is damage."""
    text = source.text()
    skip = head.line + head.units_below
    count = len(head.names)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", pd.errors.ParserWarning)  # of long rows, see below
            frame = pd.read_csv(
                io.StringIO(text), sep=head.separator, skiprows=skip, header=None, comment="#",
                names=range(count + 1), index_col=False, on_bad_lines="error",
                skipinitialspace=True, low_memory=False,
            )  # fmt: skip
    except (ValueError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise InputError(f"{source.name}: {error} (reader {NAME!r})") from None
    beyond = frame[count].notna().to_numpy()
    if beyond.any():
        line = int(np.argmax(beyond)) + skip + 1
        raise damaged(source, NAME, line, f"more than {count} fields")
    frame = frame.drop(columns=[count])
    last = text.rstrip("\r\n").rpartition("\n")[2]
    if '"' not in last and not last.startswith("#"):
        have = last.count(head.separator) + 1
        if have < len(head.names) and len(frame):
            raise damaged(
                source, NAME, len(frame) + skip, f"{have} fields, expected {len(head.names)}"
            )
    return frame


def column_numbers(frame: pd.DataFrame, head: Head, at: int, source: Source) -> np.ndarray:
    """Column as numbers, fills of archives as NaN."""
    column = frame[at]
    if column.dtype.kind not in "iuf":
        found = pd.to_numeric(column, errors="coerce")
        wrong = found.isna() & column.notna() & (column.astype(str).str.strip() != "")
        if wrong.any():
            row = int(np.argmax(wrong.to_numpy()))
            line = row + head.line + head.units_below + 1
            raise damaged(
                source, NAME, line,
                f"column {head.labels[at]!r} holds no number: {str(column[row])[:30]!r}",
            )  # fmt: skip
        column = found
    values = column.to_numpy(dtype=float).copy()
    values[is_fill(values) | ~np.isfinite(values)] = np.nan
    return values


def column_times(frame: pd.DataFrame, head: Head, at: int, source: Source) -> np.ndarray:
    """Column as dates in UTC."""
    column = frame[at]
    if column.dtype.kind in "iuf":
        raise InputError(
            f"{source.name}: times in column {head.labels[at]!r} are numbers; expected dates such "
            f"as 2005-01-02T09:30:00 (reader {NAME!r})"
        )
    found = pd.to_datetime(column, errors="coerce", utc=True, format="ISO8601")
    if found.isna().all() and len(found):
        raise InputError(
            f"{source.name}: column {head.labels[at]!r} holds no dates such as "
            f"2005-01-02T09:30:00: {str(column[0])[:30]!r} (reader {NAME!r})"
        )
    return found.dt.tz_localize(None).to_numpy().astype("datetime64[ns]")


def _texts(frame: pd.DataFrame, head: Head, name: str, missing: Any) -> Any:
    """Column of texts by its name."""
    if name not in head.names:
        return missing
    column = frame[head.names.index(name)]
    return np.where(column.isna(), "", column.astype(str)).astype(object)


def _vertical(frame: pd.DataFrame, head: Head, role: str, target: str, source: Source) -> Any:
    """Depth in metres or pressure in decibars; a depth without unit is in metres."""
    at = head.role(role)
    if at is None:
        return None
    unit = head.units[at] or ("m" if role == "depth" else "")
    if not unit:
        raise InputError(f"{source.name}: column {head.labels[at]!r} has no units, e.g. [dbar]")
    values = column_numbers(frame, head, at, source)
    if unit.lower() in _PLAIN[target]:  # pint takes seconds to load
        return values
    return np.asarray(unit_tools.convert(values, unit, target))


def _qualities(frame: pd.DataFrame, head: Head, source: Source) -> tuple[Any, Any]:
    """Flags in the scheme of this package's tables, and their reasons."""
    if "qc" not in head.names:
        return None, None
    codes = np.nan_to_num(column_numbers(frame, head, head.names.index("qc"), source), nan=0)
    if not np.isin(codes, (0, 1, 2, 3, 4, 9)).all():
        raise InputError(f"{source.name}: column 'qc' holds other flags than 0, 1, 2, 3, 4 and 9")
    return codes.astype(np.int8), _texts(frame, head, "reason", None)


def read(source: Source) -> xr.Dataset:
    """Table of a text."""
    head = head_of(source.head_lines())
    if head is None:
        raise InputError(f"{source.name}: there is no line of column names (reader {NAME!r})")
    try:
        at = [head.role(role) for role in _PLACES]
    except InputError as error:
        raise InputError(f"{source.name}: {error} (reader {NAME!r})") from None
    if None in at:
        lost = [role for role, position in zip(_PLACES, at, strict=True) if position is None]
        raise InputError(
            f"{source.name}: no column {lost}; the columns are {head.labels} (reader {NAME!r})"
        )
    frame = frame_of(source, head)
    if not len(frame):
        raise NothingMeasured(f"{source.name}: the table has no rows (reader {NAME!r})")
    if "value" in head.names:
        return _long(frame, head, source)
    return _wide(frame, head, source)


def _common(frame: pd.DataFrame, head: Head, source: Source) -> dict[str, Any]:
    """Arguments of the levels that both forms share."""
    time, latitude, longitude = (head.role(role) for role in _PLACES)
    assert time is not None
    assert latitude is not None
    assert longitude is not None
    return {
        "time": column_times(frame, head, time, source),
        "latitude": column_numbers(frame, head, latitude, source),
        "longitude": column_numbers(frame, head, longitude, source),
        "platform": _texts(frame, head, "platform", ""),
        "profile": _texts(frame, head, "profile", None),
        "instrument": _texts(frame, head, "instrument", ""),
    }


def _quantity(frame: pd.DataFrame, head: Head, name: str | None, source: Source) -> Measured | None:
    """Temperature or salinity of a column with its unit and error."""
    if name is None:
        return None
    at = head.names.index(name)
    if not head.units[at]:
        raise InputError(
            f"{source.name}: column {head.labels[at]!r} has no units; write "
            f"'{head.labels[at]} [degC]' or [K], [psu] (reader {NAME!r})"
        )
    error = None
    if f"{name}_error" in head.names:
        error = column_numbers(frame, head, head.names.index(f"{name}_error"), source)
    qc, reason = _qualities(frame, head, source)
    return Measured(column_numbers(frame, head, at, source), head.units[at], error, qc, reason)


def _wide(frame: pd.DataFrame, head: Head, source: Source) -> xr.Dataset:
    """One column for each quantity."""
    taken = {name for names in ROLE_NAMES.values() for name in names} | set(TEXT)
    probe = xr.Dataset({name: 0.0 for name in head.names if name and name not in taken})
    found = find_measured(probe)
    if not found.fields:
        raise NothingMeasured(
            f"{source.name}: none of the columns {head.labels[:20]} is temperature or salinity"
        )

    temperature, salinity, surface = (
        _quantity(frame, head, name, source)
        for name in (found.temperature, found.salinity, found.surface)
    )
    absolute = salinity_kind(probe, found.salinity or found.fields[0])
    if salinity is not None and absolute == "practical":
        if salinity.units.lower() not in PRACTICAL:
            raise InputError(f"{source.name}: salinity in {salinity.units!r} (reader {NAME!r})")
        salinity.units = "psu"
    notes = [f"columns {found.others} are further temperatures or salinities, not read"]
    return finish(
        Levels(
            **_common(frame, head, source),
            depth=_vertical(frame, head, "depth", "m", source),
            pressure=_vertical(frame, head, "pressure", "dbar", source),
            temperature=temperature,
            salinity=salinity,
            surface=surface,
            temperature_kind=temperature_kind(probe, found.temperature or found.fields[0]),
            salinity_kind=absolute,
            total_errors=True,
            notes=notes if found.others else [],
        ),
        source,
        NAME,
    )


def _as_table(frame: pd.DataFrame, head: Head, source: Source) -> xr.Dataset:
    """What :func:`as_table` makes of the rows."""
    labelled = frame.set_axis(head.names, axis="columns")
    at = head.names.index("value")
    time = head.role("time")
    assert time is not None
    labelled[head.names[time]] = column_times(frame, head, time, source)
    if "qc" in head.names:
        qc, reason = _qualities(frame, head, source)
        labelled["qc"], labelled["reason"] = qc, "" if reason is None else reason
    if head.units[at] and "units" not in head.names:
        labelled["units"] = head.units[at]
    return as_table(labelled)


def _long(frame: pd.DataFrame, head: Head, source: Source) -> xr.Dataset:
    """One number to a row, with the name of its variable and its unit."""
    return _converted(_as_table(frame, head, source), source.name)


def read_frame(frame: pd.DataFrame) -> xr.Dataset:
    """Table of a DataFrame, converted as those of files are.

    Parameters
    ----------
    frame : pandas.DataFrame
        As :func:`xdeepda.observations.as_table` takes it.

    Returns
    -------
    xarray.Dataset

    Raises
    ------
    InputError
        Of :func:`xdeepda.observations.as_table`; if nothing is temperature or salinity.
    """
    return _converted(as_table(frame), "DataFrame")


def _converted(table: xr.Dataset, name: str) -> xr.Dataset:
    """Canonical variables and units of a table of any."""
    names = table["variable"].values.astype(str)
    kinds = {n: kind_of(n) for n in dict.fromkeys(names)}
    probe = xr.Dataset(dict.fromkeys(kinds, 0.0))
    definitions = {temperature_kind(probe, n) for n, k in kinds.items() if k == "temperature"}
    if len(definitions) > 1:
        raise InputError(f"{name}: temperatures of several definitions: {list(kinds)}")
    salinities = {salinity_kind(probe, n) for n, k in kinds.items() if k == "salinity"}
    if len(salinities) > 1:
        raise InputError(f"{name}: salinities of several definitions: {list(kinds)}")
    surface = np.isin(names, [n for n in kinds if n.lower() in ("sst", "tos")])
    parts: dict[str, Any] = {
        "temperature": _part(table, names, kinds, "temperature", ~surface, name),
        "salinity": _part(table, names, kinds, "salinity", ~surface, name),
        "surface": _part(table, names, kinds, "temperature", surface, name),
    }
    if not any(parts.values()):
        raise NothingMeasured(f"{name}: variables {list(kinds)}, none is temperature or salinity")
    column = {str(n): v.values for n, v in table.variables.items()}
    profile = column.get("profile")
    levels = Levels(
        total_errors=column.get("error_kind", np.array("")) != MEASUREMENT,
        time=column["time"],
        depth=column["depth"],
        latitude=column["latitude"],
        longitude=column["longitude"],
        **parts,
        platform=column.get("platform", ""),
        instrument=column.get("instrument", ""),
        source=column.get("source", name),
        profile=None if profile is None else profile.astype(str).astype(object),
        temperature_kind=definitions.pop() if definitions else "in-situ",
        salinity_kind=salinities.pop() if salinities else "practical",
    )
    return _in_order(make_table(levels, reader=NAME), parts.values())


def _in_order(table: xr.Dataset, parts: Iterable[Measured | None]) -> xr.Dataset:
    """Rows as they were given; the table has them by variable."""
    given = [np.flatnonzero(np.isfinite(part.value)) for part in parts if part is not None]
    rows = np.concatenate(given)
    if rows.size != table.sizes["obs"] or (np.diff(rows) > 0).all():
        return table
    return table.isel(obs=np.argsort(rows, kind="stable"))


def _part(
    table: xr.Dataset, names: np.ndarray, kinds: dict[str, str | None], kind: str,
    rows: np.ndarray, name: str,
) -> Measured | None:  # fmt: skip
    """Values of a kind of quantity in these rows."""
    mine = np.isin(names, [n for n, k in kinds.items() if k == kind]) & rows
    if not mine.any():
        return None
    units = {str(table["value"].attrs[f"units_{n}"]) for n in set(names[mine])}
    if len(units) > 1:
        raise InputError(f"{name}: {kind} in several units: {sorted(units)}")
    value, error = (np.where(mine, table[n].values, np.nan) for n in ("value", "error"))
    unit = "psu" if kind == "salinity" else plain_unit(units.pop())
    return Measured(value, unit, error, table["qc"].values, table["reason"].values)


def recognises(source: Source) -> bool:
    """Whether a line of names holds those of a place and of something measured."""
    head = head_of(source.head_lines()) if source.is_text else None
    if head is None or not all(ROLE_NAMES[role] & set(head.names) for role in _PLACES[1:]):
        return False
    return "value" in head.names or any(kind_of(name) for name in head.names)


# ---- texts that are no tables


def _is_prose(source: Source) -> bool:
    """Whether the beginning is words: fewer than one field in four begins with a digit."""
    words = re.findall(r"\S+", " ".join(source.head_lines())) if source.is_text else []
    numeric = sum(bool(re.match(r"[-+.]?\d", word)) for word in words)
    return len(words) > 20 and 4 * numeric < len(words)


def _refuse(source: Source) -> xr.Dataset:
    """Say what this text is not."""
    beginning = " ".join(source.text()[:200_000].split())
    if "fdbk" in beginning[:2000].lower() or "feedback file" in beginning[:2000].lower():
        what = (
            "a description of NEMO feedback files; the observations are in the files that it "
            "names (netCDF, *fdbk*.nc)"
        )
    else:
        what = "words, with no table of numbers (documentation?)"
    raise NothingMeasured(f"{source.name}: this text is {what}: {beginning[:60]!r}")


READERS = (
    Reader(
        NAME,
        "table with a line of column names (time, latitude, longitude, depth, value or "
        "temperature [degC], ...)",
        ("columns of other names", "flags other than this package's own"),
        recognises,
        read,
        rank=2,
    ),
    Reader(
        PROSE,
        "text without data, to be told so",
        ("everything",),
        lambda source: _is_prose(source) and not recognises(source),
        _refuse,
        rank=2,
    ),
)
