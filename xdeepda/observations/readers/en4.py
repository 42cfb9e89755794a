"""EN4 and HadIOD of the Met Office Hadley Centre, by their published guides.

EN4 profiles look like Argo's, with potential temperature, corrected salinity
and depth, and flags of levels and of whole profiles (1 accepted, 4 rejected).
HadIOD keeps daily files of ragged profiles, in which bias corrections stand
beside the values: they are added, as its guide asks.  Neither was tried on a
real file here.
"""

from __future__ import annotations

import numpy as np
import xarray as xr

from xdeepda.observations.flags import worse
from xdeepda.observations.readers.base import (
    Levels,
    Measured,
    NothingMeasured,
    Reader,
    Source,
    make_table,
)
from xdeepda.observations.readers.frame import Frame

# ---- EN4

_EN4 = {"POTM_CORRECTED": "temperature", "PSAL_CORRECTED": "salinity"}


def _is_en4(source: Source) -> bool:
    """Corrected potential temperature or salinity by profile."""
    if not source.is_netcdf:
        return False
    ds = source.dataset()
    return "N_PROF" in ds.sizes and bool(set(_EN4) & set(map(str, ds.variables)))


def _read_en4(source: Source) -> xr.Dataset:
    """Table of a month of EN4 profiles."""
    ds = source.dataset()
    fields = [n for n in _EN4 if n in ds.variables]
    frame = Frame(source, fields)
    depth = "DEPH_CORRECTED" if "DEPH_CORRECTED" in ds.variables else "DEPH"
    levels = Levels(
        time=frame.time("JULD"),
        latitude=frame.position("LATITUDE"),
        longitude=frame.position("LONGITUDE"),
        depth=frame.number(depth),
        temperature_kind="potential",
        platform=_text(frame, "PLATFORM_NUMBER"),
        profile=frame.index["N_PROF"].astype(str).astype(object),
        instrument=_text(frame, "WMO_INST_TYPE"),
        source=source.name,
    )
    levels.profile = source.name + "#" + levels.profile
    for name in fields:
        measured = Measured(frame.number(name), str(ds[name].attrs.get("units", "")))
        measured.units = measured.units or ("degC" if name.startswith("POTM") else "psu")
        short = name.removesuffix("_CORRECTED")
        measured.qc, measured.reason = _flags(
            frame, ((f"{name}_QC", ""), (f"PROFILE_{short}_QC", "profile"))
        )
        setattr(levels, _EN4[name], measured)
    levels.qc, levels.reason = _flags(
        frame,
        (("POSITION_QC", "position"), ("JULD_QC", "time"), (f"{depth}_QC", "depth"),
         ("PROFILE_DEPH_QC", "depths of the profile")),
    )  # fmt: skip
    return make_table(levels, reader="en4")


def _flags(frame: Frame, names: tuple[tuple[str, str], ...]) -> tuple[np.ndarray, np.ndarray]:
    """Worst of several flags."""
    qc = np.zeros(frame.size, dtype=np.int8)
    reason = np.full(frame.size, "", dtype=object)
    for position, (name, what) in enumerate(names):
        if name in frame.ds.variables:
            other, told = frame.flags(name, "argo", what)
            qc, reason = (other, told) if position == 0 else worse(qc, reason, other, told)
    return qc, reason


def _text(frame: Frame, name: str) -> np.ndarray | str:
    """Text of a variable that may not exist."""
    return frame.text(name) if name in frame.ds.variables else ""


# ---- HadIOD

_HADIOD = {"temp": "temperature", "sal": "salinity"}


def _is_hadiod(source: Source) -> bool:
    """Row sizes and corrections by type and platform."""
    if not source.is_netcdf:
        return False
    names = set(map(str, source.dataset().variables))
    return {"rowSize", "plat_id", "depth"} <= names and bool(
        {"temp_type_corr", "sal_type_corr"} & names
    )


def _read_hadiod(source: Source) -> xr.Dataset:
    """Table of a day of HadIOD."""
    ds = source.dataset()
    fields = [n for n in _HADIOD if n in ds.variables]
    if not fields:
        raise NothingMeasured(f"holds no temperature and no salinity, only {list(ds.data_vars)}")
    frame = Frame(source, fields)
    frame.contiguous("rowSize", frame.dims[0])
    instance = str(ds["rowSize"].dims[0])
    levels = Levels(
        time=frame.time("time"),
        latitude=frame.position("lat"),
        longitude=frame.position("lon"),
        depth=_corrected(frame, "depth", ("depth_corr",)),
        platform=frame.text("plat_id"),
        profile=frame.index[instance].astype(str).astype(object),
        source=source.name,
        notes=["corrections of the file added", "its flags of quality are not read"],
    )
    levels.profile = source.name + "#" + levels.profile
    for name in fields:
        units = str(ds[name].attrs.get("units", "")) or ("degC" if name == "temp" else "psu")
        value = _corrected(frame, name, (f"{name}_type_corr", f"{name}_plat_corr"))
        setattr(levels, _HADIOD[name], Measured(value, units))
    return make_table(levels, reader="hadiod")


def _corrected(frame: Frame, name: str, corrections: tuple[str, ...]) -> np.ndarray:
    """Values with their corrections; one that is missing is none."""
    value = frame.number(name)
    for correction in corrections:
        if correction in frame.ds.variables:
            value = value + np.nan_to_num(frame.number(correction))
    return value


READERS = (
    Reader(
        "en4",
        "EN4 quality controlled profiles (unverified)",
        (
            "in-situ temperature (the potential one is read)",
            "bits of the single quality checks",
            "corrections that are not in the file",
        ),
        _is_en4,
        _read_en4,
        verified=False,
    ),
    Reader(
        "hadiod",
        "HadIOD daily files (unverified)",
        (
            "flags of quality: every value has flag 0",
            "uncertainties",
            "alternative corrections in separate files",
            "its own potential temperature (converted here from the corrected one)",
        ),
        _is_hadiod,
        _read_hadiod,
        verified=False,
    ),
)
