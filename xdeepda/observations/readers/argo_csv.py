"""Argo as text: point tables of ERDDAP servers and of the Coriolis data selection.

One row to a level, with the names of the Argo variables in any case, their units in
brackets or in a second line, and the flags, modes and adjusted values of Argo, which
are read by the same rules as those of its netCDF files.  Knows these columns alone.
"""

from __future__ import annotations

import numpy as np
import xarray as xr

from xdeepda.errors import InputError
from xdeepda.observations.readers.argo import read_argo
from xdeepda.observations.readers.base import Reader, Source
from xdeepda.observations.readers.csv_text import (
    Head,
    column_numbers,
    column_times,
    frame_of,
    head_of,
)

NAME = "argo_csv"

#: Names that are in use beside those of Argo.
_ALIASES = {
    "platform": "PLATFORM_NUMBER", "platform_code": "PLATFORM_NUMBER", "wmo": "PLATFORM_NUMBER",
    "date": "JULD", "time": "JULD", "juld": "JULD", "lat": "LATITUDE", "lon": "LONGITUDE",
    "cycle": "CYCLE_NUMBER", "pressure": "PRES", "temperature": "TEMP", "salinity": "PSAL",
    "qc": "POSITION_QC",
}  # fmt: skip
_NUMBERS = ("LATITUDE", "LONGITUDE", "CYCLE_NUMBER", "PRES", "DEPH", "TEMP", "PSAL")
_TEXTS = ("PLATFORM_NUMBER", "DATA_MODE", "DIRECTION", "PLATFORM_TYPE", "WMO_INST_TYPE")


def _names(head: Head) -> list[str]:
    """Argo's names of the columns."""
    return [_ALIASES.get(name, name.upper()) for name in head.names]


def _recognises(source: Source) -> bool:
    """Columns of a float's number, pressure and Argo flags or modes."""
    head = head_of(source.head_lines()) if source.is_text else None
    if head is None:
        return False
    names = set(_names(head))
    needed = {"PLATFORM_NUMBER", "JULD", "LATITUDE", "LONGITUDE", "PRES"} <= names
    own = {"CYCLE_NUMBER", "DATA_MODE", "TEMP_QC", "PSAL_QC"} & names
    return needed and bool({"TEMP", "PSAL"} & names) and bool(own)


def _read(source: Source) -> xr.Dataset:
    """Table of a text, by way of the Dataset that its netCDF twin would be."""
    head = head_of(source.head_lines())
    if head is None:
        raise InputError(f"there is no line of column names (reader {NAME!r})")
    frame, names = frame_of(source, head), _names(head)
    twice = sorted({n for n in names if n and names.count(n) > 1})
    if twice:
        raise InputError(f"several columns are {twice} (reader {NAME!r})")
    columns: dict[str, xr.Variable] = {}
    for at, name in enumerate(names):
        if not name:
            continue
        attrs = {"units": head.units[at]} if head.units[at] and name != "JULD" else {}
        if name == "JULD":
            values = column_times(frame, head, at, source)
        elif name in _TEXTS or name.endswith("_QC"):
            values = np.array([_letters(x) for x in frame[at].to_numpy(object)], dtype=object)
        elif name.startswith(_NUMBERS):
            values = column_numbers(frame, head, at, source)
        else:
            continue  # names of people and projects, other variables
        columns[name] = xr.Variable("row", values, attrs)
    dataset = xr.Dataset(columns)
    dataset.encoding["source"] = source.name
    with Source(dataset=dataset) as twin:
        return read_argo(twin, NAME)


def _letters(value: object) -> str:
    """A field as text; whole numbers that became floats are whole again."""
    if value is None or value != value:
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()


READERS = (
    Reader(
        NAME,
        "Argo point tables as text (ERDDAP, Coriolis data selection)",
        (
            "biogeochemical variables",
            "the raw value where an adjusted one is taken",
            "projects and names of people",
        ),
        _recognises,
        _read,
        rank=1,
        verified=False,
    ),
)
