"""Feedback files of NEMO and NEMOVAR, by their published description.

Observations over N_OBS and N_LEVELS, one variable for each quantity (POTM_OBS,
PSAL_OBS, SST_OBS) with flags of levels and observations (1 is good, 4 is bad).
The fill 99999 is declared as ``_Fillvalue``, which no library knows.  Days count
from JULD_REFERENCE.  Not tried on a real file here.
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
from xdeepda.observations.readers.decode import decode_times, iso_times
from xdeepda.observations.readers.frame import Frame

#: Variable -> what it is, and which temperature.
_FIELDS = {
    "POTM_OBS": ("temperature", "potential", "degC"),
    "TEMP_OBS": ("temperature", "in-situ", "degC"),
    "PSAL_OBS": ("salinity", "", "psu"),
    "SST_OBS": ("surface", "", "degC"),
}


def _recognises(source: Source) -> bool:
    """Observations with a reference of their days and station identifiers."""
    if not source.is_netcdf:
        return False
    names = set(map(str, source.dataset().variables))
    return {"JULD_REFERENCE", "STATION_IDENTIFIER", "JULD", "LATITUDE"} <= names


def _read(source: Source) -> xr.Dataset:
    """Table of a feedback file."""
    ds = source.dataset()
    fields = [n for n in _FIELDS if n in ds.variables]
    if "POTM_OBS" in fields and "TEMP_OBS" in fields:
        fields.remove("TEMP_OBS")
    if not fields:
        found = [str(n) for n in ds.variables if str(n).endswith("_OBS")]
        raise NothingMeasured(f"holds no temperature and no salinity, only {found}")
    frame = Frame(source, fields)
    levels = Levels(
        time=_times(frame),
        latitude=frame.position("LATITUDE"),
        longitude=frame.position("LONGITUDE"),
        depth=_depth(frame),
        platform=frame.text("STATION_IDENTIFIER"),
        profile=frame.index["N_OBS"].astype(str).astype(object),
        instrument=frame.text("STATION_TYPE") if "STATION_TYPE" in ds.variables else "",
        source=source.name,
    )
    levels.profile = source.name + "#" + levels.profile
    for name in fields:
        role, kind, units = _FIELDS[name]
        told = str(ds[name].attrs.get("units", "")).strip() or units
        measured = Measured(frame.number(name), told if role != "salinity" else units)
        short = name.removesuffix("_OBS")
        measured.qc, measured.reason = _flags(
            frame, ((f"{short}_LEVEL_QC", ""), (f"{short}_QC", "profile"))
        )
        setattr(levels, role, measured)
        levels.temperature_kind = kind or levels.temperature_kind
    levels.qc, levels.reason = _flags(
        frame,
        (("OBSERVATION_QC", "observation"), ("POSITION_QC", "position"), ("JULD_QC", "time"),
         ("DEPTH_QC", "depth")),
    )  # fmt: skip
    return make_table(levels, reader="nemo")


def _times(frame: Frame) -> np.ndarray:
    """Dates of days from the reference of the file."""
    told = str(np.asarray(texts(frame.ds["JULD_REFERENCE"].variable)).reshape(-1)[0])
    reference = iso_times(np.array([told], dtype=object))[0]
    if np.isnat(reference):
        raise InputError(f"JULD_REFERENCE {told!r} is no date of the form YYYYMMDDHHMMSS")
    day = frame.number("JULD", fills=False)
    day = np.where(day == 99999.0, np.nan, day)
    text = np.datetime_as_string(reference, unit="s").replace("T", " ")
    return decode_times(day, f"days since {text}")


def _depth(frame: Frame) -> np.ndarray:
    """Depth, with the correction of HadIOD's feedback files where there is one."""
    depth = frame.number("DEPTH")
    if "DEPTH_CORR" in frame.ds.variables:
        depth = depth + np.nan_to_num(frame.number("DEPTH_CORR"))
    return depth


def _flags(frame: Frame, names: tuple[tuple[str, str], ...]) -> tuple[np.ndarray, np.ndarray]:
    """Worst of several flags."""
    qc = np.zeros(frame.size, dtype=np.int8)
    reason = np.full(frame.size, "", dtype=object)
    for position, (name, what) in enumerate(names):
        if name in frame.ds.variables:
            other, told = frame.flags(name, "argo", what)
            qc, reason = (other, told) if position == 0 else worse(qc, reason, other, told)
    return qc, reason


READERS = (
    Reader(
        "nemo",
        "NEMO and NEMOVAR feedback files (unverified)",
        (
            "model equivalents (Hx), increments and errors of the model",
            "bits of the single quality checks",
            "sea level anomaly, sea ice, currents",
        ),
        _recognises,
        _read,
        verified=False,
    ),
)
