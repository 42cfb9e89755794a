"""The table of this package, written to netCDF and read back.

Knows the columns of the table; what they mean is known elsewhere.
"""

from __future__ import annotations

import numpy as np
import xarray as xr

from xdeepda.errors import InputError
from xdeepda.observations.readers.base import Reader, Source, numbers, texts, times

_NUMBERS = ("value", "error", "depth", "latitude", "longitude")
_TEXTS = ("variable", "reason", "platform", "profile", "instrument", "source", "error_kind")
_COORDS = (
    "time", "depth", "latitude", "longitude", "platform", "profile", "instrument", "source",
    "error_kind",
)  # fmt: skip


def _recognises(source: Source) -> bool:
    """Columns value and variable along one dimension."""
    if not source.is_netcdf:
        return False
    ds = source.dataset()
    if not {"value", "variable", "time", "latitude", "longitude"} <= set(map(str, ds.variables)):
        return False
    return ds["value"].ndim == 1 and ds["time"].dims == ds["value"].dims


def _read(source: Source) -> xr.Dataset:
    """Columns as they were written; those that are missing are empty."""
    ds = source.dataset()
    size = int(ds["value"].size)
    source.require_memory(size)
    columns: dict[str, np.ndarray] = {"time": times(ds["time"].variable)}
    for name in _NUMBERS:
        there = name in ds.variables
        columns[name] = numbers(ds[name].variable, fills=False) if there else np.full(size, np.nan)
    for name in _TEXTS:
        there = name in ds.variables
        columns[name] = texts(ds[name].variable) if there else np.full(size, "", dtype=object)
    columns["qc"] = (
        np.asarray(ds["qc"].values).astype(np.int8) if "qc" in ds.variables
        else np.zeros(size, dtype=np.int8)
    )  # fmt: skip
    wrong = [n for n, c in columns.items() if c.shape != (size,)]
    if wrong:
        raise InputError(f"columns {wrong} do not have the {size} rows of value")
    attrs = {
        n: {k: v for k, v in ds[n].attrs.items() if k not in _ENCODED}
        for n in columns
        if n in ds.variables
    }
    table = xr.Dataset(
        {n: ("obs", c, attrs.get(n, {})) for n, c in columns.items() if n not in _COORDS},
        coords={n: ("obs", columns[n], attrs.get(n, {})) for n in _COORDS},
    )
    table.attrs = dict(ds.attrs)
    return table


#: Attributes that belong to the file and not to the numbers.
_ENCODED = ("_FillValue", "missing_value", "calendar", "scale_factor", "add_offset", "coordinates")


READERS = (
    Reader(
        "table",
        "the table of this package, written by to_netcdf",
        (),
        _recognises,
        _read,
    ),
)
