"""Global Temperature and Salinity Profile Programme: netCDF of one profile.

Format version 3.7: variables over (time, depth, latitude, longitude), flags of
depth, temperature and salinity in ``DEPH_qparm``, ``TEMP_qparm``, ``PSAL_qparm``.
"""

from __future__ import annotations

import numpy as np
import xarray as xr

from xdeepda.errors import InputError
from xdeepda.observations.flags import worse
from xdeepda.observations.readers.base import (
    Levels,
    Measured,
    NothingMeasured,
    Reader,
    Source,
    make_table,
    texts,
)
from xdeepda.observations.readers.frame import Frame

#: Data types of the GTSPP code table, the ones that measure temperature and salinity.
_INSTRUMENTS = {
    "BA": "BATHY message", "BF": "BATHY message, delayed", "BO": "bottle", "CD": "CTD down",
    "CT": "CTD", "CU": "CTD up", "DB": "drifting buoy", "DT": "digital BT", "MB": "MBT",
    "PF": "profiling float", "TE": "TESAC message", "TR": "thermistor chain",
    "TO": "towed CTD", "XB": "XBT", "XC": "XCTD", "UO": "undulating CTD", "AX": "AXBT",
    "SE": "seal", "GL": "glider", "FM": "float message", "MR": "moored buoy",
}  # fmt: skip


#: Surface codes of probe type, fall-rate equation and recorder.
_PROBE_CODES = ("PEQ$", "PFR$", "PTYP", "RCT$", "OFFS", "SCAL")


def _recognises(source: Source) -> bool:
    """The conventions of GTSPP."""
    if not source.is_netcdf:
        return False
    ds = source.dataset()
    return "GTSPP" in str(ds.attrs.get("Conventions", "")) or "gtspp_station_id" in ds.variables


def _read(source: Source) -> xr.Dataset:
    """Table of one profile."""
    ds = source.dataset()
    fields = [n for n in ("temperature", "salinity") if n in ds.variables]
    if not fields:
        raise NothingMeasured(f"holds no temperature and no salinity, only {list(ds.data_vars)}")
    depth = next((n for n in ("depth", "z", "pressure") if n in ds.variables), None)
    if depth is None:
        raise InputError("the file holds neither depth nor pressure (no depth, z or pressure)")
    frame = Frame(source, fields)
    number = frame.number(depth)
    levels = Levels(
        time=frame.time("time"),
        latitude=frame.position("latitude"),
        longitude=frame.position("longitude"),
        source=source.name,
        platform=_word(ds, "cruise_id", "gtspp_platform_code") or source.name,
        profile=_word(ds, "station_id", "gtspp_station_id") or None,
        instrument=_instrument(ds),
    )
    bars = "bar" in str(ds[depth].attrs.get("units", "")) or _is_pressure(ds)
    setattr(levels, "pressure" if bars else "depth", number)
    for name, flag in (("temperature", "TEMP_qparm"), ("salinity", "PSAL_qparm")):
        if name in fields:
            units = str(ds[name].attrs.get("units", "")) or ("psu" if name == "salinity" else "")
            measured = Measured(frame.number(name), units)
            for flags in (flag, f"{name}_quality_flag"):
                if flags in ds.variables:
                    measured.qc, measured.reason = frame.flags(flags, "gtspp")
            setattr(levels, name, measured)
    levels.qc, levels.reason = _place_flags(frame)
    levels.notes += _fall_rate(ds)
    return make_table(levels, reader="gtspp")


def _is_pressure(ds: xr.Dataset) -> bool:
    """Whether the code of the vertical coordinate says pressure."""
    return "d_p_code" in ds.variables and "P" in str(texts(ds["d_p_code"].variable))


def _word(ds: xr.Dataset, *names: str) -> str:
    """First text or number that is there, of one profile."""
    for name in names:
        if name in ds.variables:
            found = str(np.asarray(texts(ds[name].variable)).reshape(-1)[0])
            if found:
                return found
    return ""


def _instrument(ds: xr.Dataset) -> str:
    """Instrument of the data type."""
    code = _word(ds, "data_type")
    return _INSTRUMENTS.get(code, code)


def _fall_rate(ds: xr.Dataset) -> list[str]:
    """What the file says of probe and fall rate; depths stay as they are."""
    told = []
    if {"surfacecodes_pcode", "surfacecodes_cparm"} <= set(map(str, ds.variables)):
        codes, words = (
            np.atleast_1d(texts(ds[f"surfacecodes_{n}"].variable)) for n in ("pcode", "cparm")
        )
        pairs = zip(codes.flat, words.flat, strict=False)
        told = [f"{code} {word}" for code, word in pairs if code in _PROBE_CODES]
    for name in ("gtspp_temperature_instrument_code", "gtspp_prof_type"):
        if name in ds.variables and (word := _word(ds, name)):
            told.append(f"{name} {word}")
    return [f"probe and fall rate (depths are those of the file): {', '.join(told)}"] * bool(told)


def _place_flags(frame: Frame) -> tuple[np.ndarray, np.ndarray]:
    """Flags of position, date and depth."""
    qc = np.zeros(frame.size, dtype=np.int8)
    reason = np.full(frame.size, "", dtype=object)
    for name, what in (
        ("q_pos", "position"), ("q_date_time", "time"), ("DEPH_qparm", "depth"),
        ("position_quality_flag", "position"), ("time_quality_flag", "time"),
        ("z_variable_quality_flag", "depth"),
    ):  # fmt: skip
        if name in frame.ds.variables:
            other, told = frame.flags(name, "gtspp", what)
            qc, reason = worse(qc, reason, other, told)
    return qc, reason


READERS = (
    Reader(
        "gtspp",
        "GTSPP netCDF of one profile",
        (
            "surface codes and history",
            "the fall-rate code of XBTs (told in the notes; depths are those of the file)",
            "the flag of the whole record",
        ),
        _recognises,
        _read,
    ),
)
