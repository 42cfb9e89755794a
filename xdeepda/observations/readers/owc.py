"""Reference profiles of the OWC salinity calibration: MATLAB files of WMO boxes.

Matrices over levels and profiles: ``pres``, ``temp``, ``sal``, ``ptmp``, with rows of
``lat``, ``long`` and ``dates`` (YYYYMMDDhhmmss as a number).  MATLAB version 5 only;
only these numeric matrices are loaded.
"""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import xarray as xr

from xdeepda.errors import InputError
from xdeepda.observations.readers.base import (
    Levels,
    Measured,
    Reader,
    Source,
    make_table,
)
from xdeepda.observations.readers.decode import is_fill
from xdeepda.observations.readers.mitprof import digit_dates

_MAGIC = b"MATLAB 5.0 MAT-file"
_NEEDED = ("lat", "long", "dates", "pres", "temp", "sal")


def _recognises(source: Source) -> bool:
    """A MATLAB file of version 5 with the matrices of a box."""
    if not source.head.startswith(_MAGIC):
        return False
    try:
        return set(_NEEDED) <= set(_shapes(source))
    except InputError:
        return False


def _shapes(source: Source) -> dict[str, tuple[int, ...]]:
    """Shapes of the numeric matrices, before any is loaded."""
    from scipy.io import whosmat

    try:
        listed = whosmat(io.BytesIO(source.expanded()))
    except Exception as error:  # damaged headers raise of all kinds
        raise InputError(f"{source.name}: the MATLAB file is damaged: {error}") from None
    return {n: tuple(shape) for n, shape, kind in listed if kind in ("double", "single")}


def _load(source: Source) -> dict[str, np.ndarray]:
    """The matrices as float64, fills as NaN."""
    from scipy.io import loadmat

    shapes = _shapes(source)
    missing = [n for n in _NEEDED if n not in shapes]
    if missing:
        raise InputError(f"matrices {missing} are missing; there are {sorted(shapes)}")
    source.require_memory(sum(int(np.prod(shapes[n])) for n in _NEEDED))
    try:
        raw: dict[str, Any] = loadmat(io.BytesIO(source.expanded()), variable_names=list(_NEEDED))
    except Exception as error:
        raise InputError(f"the MATLAB file is truncated or damaged: {error}") from None
    return {n: np.asarray(raw[n], dtype=np.float64) for n in _NEEDED}


def _read(source: Source) -> xr.Dataset:
    """Table of a box of profiles."""
    data = _load(source)
    levels, profiles = data["temp"].shape
    for name in ("pres", "sal"):
        if data[name].shape != (levels, profiles):
            raise InputError(f"{name!r} has shape {data[name].shape}, temp {(levels, profiles)}")
    rows = {n: data[n].reshape(-1) for n in ("lat", "long", "dates")}
    if any(v.size != profiles for v in rows.values()):
        raise InputError(f"lat, long and dates should have {profiles} values")
    day, clock = np.divmod(np.nan_to_num(rows["dates"]), 1e6)
    names = np.arange(profiles).astype(str).astype(object)
    for name in ("temp", "sal", "pres"):
        data[name] = np.where(is_fill(data[name]), np.nan, data[name])
    table = Levels(
        time=_along(digit_dates(day, clock), levels),
        latitude=_along(rows["lat"], levels),
        longitude=_along(rows["long"], levels),
        pressure=data["pres"].reshape(-1),
        temperature=Measured(data["temp"].reshape(-1), "degC"),
        salinity=Measured(data["sal"].reshape(-1), "psu"),
        profile=_along(names, levels),
        instrument="CTD" if "ctd" in source.name.lower() else "",
        source=source.name,
    )
    return make_table(table, reader="owc")


def _along(values: np.ndarray, levels: int) -> np.ndarray:
    """One value per profile at all its levels, in the order of the matrices."""
    return np.broadcast_to(values, (levels, values.size)).reshape(-1)


READERS = (
    Reader(
        "owc",
        "OWC reference profiles (MATLAB 5 matrices of a WMO box)",
        ("the potential temperature of the file (computed here)", "sources and quality of casts"),
        _recognises,
        _read,
    ),
)
