"""Surface drifters: C-RAID files, and those of the Global Drifter Program.

C-RAID keeps raw and adjusted values like Argo, over N_TIME.  The hourly and
six-hourly ragged files of the Global Drifter Program hold ``sst`` in kelvin or
degrees Celsius with its uncertainty.
"""

from __future__ import annotations

import numpy as np
import xarray as xr

from xdeepda.observations.flags import MISSING, NONE, worse
from xdeepda.observations.readers.base import (
    Levels,
    NothingMeasured,
    Reader,
    Source,
    make_table,
)
from xdeepda.observations.readers.cf import flag_of, measured
from xdeepda.observations.readers.frame import Frame
from xdeepda.observations.readers.modes import measured_by_mode, upper_names
from xdeepda.observations.readers.roles import attribute

# ---- C-RAID


def _is_craid(source: Source) -> bool:
    """Drifter numbers and times of their own."""
    if not source.is_netcdf:
        return False
    ds = source.dataset()
    return "N_TIME" in ds.sizes and "DRIFTER_NUMBER" in ds.variables


def _read_craid(source: Source) -> xr.Dataset:
    """Table of a drifter of C-RAID."""
    ds = source.dataset()
    names = upper_names(ds)
    if "SST" not in names:
        raise NothingMeasured(f"holds no sea surface temperature, only {list(names)[:12]}")
    frame = Frame(source, [n for n in ("SST", "SST_ADJUSTED") if n in names])
    time = frame.time("JULD")
    if "JULD_ADJUSTED" in names:
        adjusted = frame.time("JULD_ADJUSTED")
        time = np.where(np.isnat(adjusted), time, adjusted)
    number = frame.text("DRIFTER_WMO_NUMBER" if "DRIFTER_WMO_NUMBER" in names else "DRIFTER_NUMBER")
    levels = Levels(
        time=time,
        latitude=frame.position("LATITUDE"),
        longitude=frame.position("LONGITUDE"),
        surface=measured_by_mode(frame, names, "SST"),
        platform=number,
        instrument="drifter",
        source=source.name,
    )
    qc = np.zeros(frame.size, dtype=np.int8)
    reason = np.full(frame.size, "", dtype=object)
    for name, what in (("POSITION_QC", "position"), ("JULD_QC", "time")):
        if name in names:
            other, told = frame.flags(name, "argo", what)
            qc, reason = worse(qc, reason, np.where(other == MISSING, NONE, other), told)
    levels.qc, levels.reason = qc, reason
    return make_table(levels, reader="drifters")


# ---- Global Drifter Program


def _is_gdp(source: Source) -> bool:
    """Row sizes of drifters and their surface temperature."""
    if not source.is_netcdf:
        return False
    names = set(map(str, source.dataset().variables))
    return "sst" in names and bool({"drogue_lost_date", "err_sst"} & names)


def _read_gdp(source: Source) -> xr.Dataset:
    """Table of drifters of the Global Drifter Program."""
    ds = source.dataset()
    frame = Frame(source, ["sst"])
    counts = next((n for n in ("rowsize", "row_size", "rowSize") if n in ds.variables), None)
    if counts is not None and ds[counts].ndim == 1 and ds[counts].size > 0:
        frame.contiguous(counts, frame.dims[-1])
    found = {str(n).lower(): str(n) for n in ds.variables}
    place = {
        role: next(found[n] for n in (role, role[:3]) if n in found)
        for role in ("latitude", "longitude")
    }
    levels = Levels(
        time=frame.time(found["time"]),
        latitude=frame.position(place["latitude"]),
        longitude=frame.position(place["longitude"]),
        surface=measured(frame, "sst", "declared"),
        platform=frame.text(next(found[n] for n in ("wmo", "id") if n in found)),
        instrument="drifter",
        source=source.name,
    )
    if "err_sst" in found and levels.surface is not None:
        levels.surface.error = frame.number("err_sst")
        # the program's own flags: 5 is best, 0 could not be determined
        flag = flag_of(ds, "sst") or ("flg_sst" if "flg_sst" in found else None)
        if flag is not None:
            levels.notes.append(f"flags {flag} ({attribute(ds, flag, 'comments')[:60]}) not read")
    return make_table(levels, reader="drifters_gdp")


READERS = (
    Reader(
        "drifters",
        "C-RAID surface drifters",
        ("air pressure, drogue, battery", "the numbers of failed tests", "position errors"),
        _is_craid,
        _read_craid,
    ),
    Reader(
        "drifters_gdp",
        "Global Drifter Program ragged files (unverified)",
        ("velocities and drogues", "flags of the surface temperature (flg_sst)"),
        _is_gdp,
        _read_gdp,
        verified=False,
    ),
)
