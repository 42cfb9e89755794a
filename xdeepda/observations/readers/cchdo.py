"""CCHDO netCDF: the CF files of bottles and CTD casts, and the older WHP netCDF.

The older files are COARDS-like: one cast, axes of length one, integer flags of
the World Ocean Circulation Experiment, units with letters that were lost.
"""

from __future__ import annotations

import numpy as np
import xarray as xr

from xdeepda.observations.readers.base import (
    Levels,
    Measured,
    NothingMeasured,
    Reader,
    Source,
    make_table,
    texts,
)
from xdeepda.observations.readers.cf import Dialect, flag_of, levels_of
from xdeepda.observations.readers.frame import Frame
from xdeepda.observations.readers.roles import find_measured, find_positions

_OLD_NAMES = {
    "temperature": ("temperature", "CTDTMP", "ctd_temperature"),
    "salinity": ("salinity", "CTDSAL", "bottle_salinity"),
}


# ---- CF


def _is_cf(source: Source) -> bool:
    """The conventions of CCHDO, or expocodes beside CF feature types."""
    if not source.is_netcdf:
        return False
    ds = source.dataset()
    return "CCHDO" in str(ds.attrs.get("Conventions", "")) or (
        "expocode" in ds.variables and "N_PROF" in ds.sizes
    )


def _read_cf(source: Source) -> xr.Dataset:
    """Table of a CF file; CTD sensors come before bottles, in-situ before potential."""
    ds = source.dataset()
    roles = find_positions(ds, find_measured(ds))
    frame = Frame(source, roles.fields)
    levels = levels_of(frame, roles, Dialect(name="cchdo", attributes=()))
    for measured, name in (
        (levels.temperature, roles.temperature), (levels.salinity, roles.salinity),
    ):  # fmt: skip
        flag = flag_of(ds, name) if name is not None else None
        if measured is not None and flag is not None:
            told = str(ds[flag].attrs.get("conventions", "")).upper()
            scheme = "woce_bottle" if "BOTTLE" in told or "WATER" in told else "woce_ctd"
            measured.qc, measured.reason = frame.flags(flag, scheme)
    levels.platform = frame.text("expocode") if "expocode" in ds.variables else ""
    levels.profile = _cast(frame)
    levels.instrument = "CTD" if "ctd" in str(roles.temperature).lower() else "bottle"
    if roles.others:
        levels.notes.append(f"left out: {', '.join(roles.others)}")
    return make_table(levels, reader="cchdo")


def _cast(frame: Frame) -> np.ndarray:
    """Station and cast."""
    parts = [frame.text(n) for n in ("station", "cast") if n in frame.ds.variables]
    if not parts:
        return frame.index[frame.dims[0]].astype(str).astype(object)
    return parts[0] + "/" + parts[1] if len(parts) > 1 else parts[0]


# ---- WHP


def _is_old(source: Source) -> bool:
    """COARDS with WOCE, and the name of its data type."""
    if not source.is_netcdf:
        return False
    attrs = source.dataset().attrs
    return "WOCE" in str(attrs.get("Conventions", "")) and "EXPOCODE" in attrs


def _read_old(source: Source) -> xr.Dataset:
    """Table of one cast."""
    ds = source.dataset()
    found = {
        role: next((n for n in names if n in ds.variables), None)
        for role, names in _OLD_NAMES.items()
    }
    fields = [n for n in found.values() if n is not None]
    if not fields:
        raise NothingMeasured(f"holds no temperature and no salinity, only {list(ds.variables)}")
    frame = Frame(source, fields)
    bottle = "BOTTLE" in str(ds.attrs.get("DATA_TYPE", "")).upper()
    scheme = "woce_bottle" if bottle else "woce_ctd"
    levels = Levels(
        time=frame.time("time"),
        latitude=frame.position("latitude"),
        longitude=frame.position("longitude"),
        pressure=frame.number("pressure"),
        platform=str(ds.attrs["EXPOCODE"]).strip(),
        profile="/".join(_letters(ds, n) for n in ("station", "cast")),
        instrument="bottle" if bottle else "CTD",
        source=source.name,
    )
    for role, name in found.items():
        if name is not None:
            units = "degC" if role == "temperature" else "psu"
            scale = str(ds[name].attrs.get("units", ""))
            units = f"{units} (IPTS-68)" if "68" in scale and role == "temperature" else units
            measured = Measured(frame.number(name), units)
            if f"{name}_QC" in ds.variables:
                measured.qc, measured.reason = frame.flags(f"{name}_QC", scheme)
            setattr(levels, role, measured)
    if "pressure_QC" in ds.variables:
        levels.qc, levels.reason = frame.flags("pressure_QC", scheme, "pressure")
    return make_table(levels, reader="cchdo_whp")


def _letters(ds: xr.Dataset, name: str) -> str:
    """Text of a variable of letters."""
    return str(texts(ds[name].variable)) if name in ds.variables else ""


READERS = (
    Reader(
        "cchdo",
        "CCHDO CF netCDF (bottles and CTD)",
        (
            "variables other than temperature and salinity",
            "bottle salinity where there is a CTD salinity",
            "flags of the bottles themselves",
        ),
        _is_cf,
        _read_cf,
    ),
    Reader(
        "cchdo_whp",
        "CCHDO WHP netCDF of one cast (COARDS/WOCE)",
        ("variables other than temperature and salinity", "the header of the cruise"),
        _is_old,
        _read_old,
    ),
)
