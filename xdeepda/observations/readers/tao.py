"""Moorings of PMEL (TAO, TRITON, PIRATA, RAMA) in the netCDF of EPIC.

Variables are named by EPIC keys (T_20 temperature, S_41 salinity, T_25 surface
temperature) over (time, depth, lat, lon), with quality codes in QT_5020 and the
like, stored as floats.  Fills are 1e35.  Daily means.
"""

from __future__ import annotations

import re

import numpy as np
import xarray as xr

from xdeepda.observations.readers.base import (
    Levels,
    Measured,
    NothingMeasured,
    Reader,
    Source,
    make_table,
)
from xdeepda.observations.readers.frame import Frame

#: EPIC key -> what it is, and the key of its quality code.
_FIELDS = {
    "T_20": ("temperature", "QT_5020"),
    "S_41": ("salinity", "QS_5041"),
    "T_25": ("surface", "QT_5025"),
}
_EPIC = re.compile(r"[A-Z]{1,4}_\d{1,4}$")
_AXES = {"time", "depth", "lat", "lon"}


def _recognises(source: Source) -> bool:
    """Axes time, depth, lat, lon and variables of EPIC keys."""
    if not source.is_netcdf:
        return False
    ds = source.dataset()
    if not set(map(str, ds.sizes)) >= _AXES:
        return False
    return any(_EPIC.match(str(n)) for n in ds.data_vars)


def _read(source: Source) -> xr.Dataset:
    """Table of a site."""
    ds = source.dataset()
    fields = [n for n in _FIELDS if n in ds.variables]
    if not fields:
        found = [f"{n} ({ds[n].attrs.get('long_name', '')})" for n in map(str, ds.data_vars)
                 if _EPIC.match(n) and not n.startswith("Q")]  # fmt: skip
        found = found or [str(n) for n in ds.data_vars]
        raise NothingMeasured(f"holds no temperature and no salinity, only {', '.join(found[:8])}")
    frame = Frame(source, fields)
    levels = Levels(
        time=frame.time("time"),
        latitude=frame.position("lat"),
        longitude=frame.position("lon"),
        depth=frame.number("depth"),
        instrument="mooring",
        source=source.name,
    )
    levels.platform = _site(levels)
    for name in fields:
        role, quality = _FIELDS[name]
        measured = Measured(frame.number(name), str(ds[name].attrs.get("units", "")))
        if quality in ds.variables:
            measured.qc, measured.reason = frame.flags(quality, "pmel")
        setattr(levels, role, measured)
    if "ZSST_2003" in ds.variables:
        levels.notes.append("the varying depth of the surface sensor (ZSST) is not used")
    return make_table(levels, reader="tao")


def _site(levels: Levels) -> str:
    """Name of the site by its position, as PMEL writes it: 0n140w."""
    if not np.size(levels.latitude):
        return ""
    lat, lon = float(np.asarray(levels.latitude)[0]), float(np.asarray(levels.longitude)[0])
    east = (lon + 180.0) % 360.0 - 180.0
    return f"{abs(lat):g}{'s' if lat < 0 else 'n'}{abs(east):g}{'w' if east < 0 else 'e'}"


READERS = (
    Reader(
        "tao",
        "PMEL mooring netCDF of EPIC keys (TAO, TRITON, PIRATA, RAMA)",
        (
            "source and instrument codes",
            "the varying depth of the surface sensor",
            "isotherm depth, dynamic height, heat content, winds and currents",
        ),
        _recognises,
        _read,
    ),
)
