"""Argo floats, and the archives that write files like theirs (CORA).

Single and multi-profile files, synthetic profiles, daily files by ocean, point
tables of ERDDAP (names in lower case) and the Datasets that argopy gives.

Which value counts: in real-time mode (R) the raw one, else the adjusted one
with its error.  Where an adjusted value is missing the raw one stays, and is
bad if delayed-mode control (D) took it out.  Flags: Argo user's manual,
reference table 2; modes: reference table 19.
"""

from __future__ import annotations

import numpy as np
import xarray as xr

from xdeepda.errors import InputError
from xdeepda.observations.flags import MISSING, NONE, worse
from xdeepda.observations.readers.base import (
    Levels,
    NothingMeasured,
    Reader,
    Source,
    make_table,
    texts,
)
from xdeepda.observations.readers.frame import Frame
from xdeepda.observations.readers.modes import measured_by_mode, upper_names, vertical

_POSITIONS = {"PLATFORM_NUMBER", "LATITUDE", "LONGITUDE"}


def _recognises(source: Source) -> bool:
    """Positions of platforms with cycle numbers, or a DATA_TYPE of Argo."""
    if not source.is_netcdf:
        return False
    ds = source.dataset()
    names = upper_names(ds)
    if set(names) >= _POSITIONS and {"CYCLE_NUMBER", "N_PROF"} & {*names, *map(str, ds.sizes)}:
        return not any(n.endswith("_CORRECTED") for n in names)  # EN4 is a near relative
    return "PLATFORM_NUMBER" in names and _data_type(ds).startswith("Argo")


def _data_type(ds: xr.Dataset) -> str:
    """Content of DATA_TYPE."""
    if "DATA_TYPE" not in ds.variables:
        return ""
    return " ".join(str(t) for t in np.atleast_1d(texts(ds["DATA_TYPE"].variable)))


def read_argo(source: Source, reader: str = "argo") -> xr.Dataset:
    """Table of an Argo file."""
    ds = source.dataset()
    names = upper_names(ds)
    _refuse_others(ds, names)
    fields = [names[n] for n in ("TEMP", "PSAL") if n in names]
    modes = [names[f"{n}_ADJUSTED"] for n in ("TEMP", "PSAL") if f"{n}_ADJUSTED" in names]
    # a level counts if it has a raw or an adjusted value
    frame = Frame(source, fields + modes)
    level = vertical(frame, names)
    levels = Levels(
        time=frame.time(names["JULD" if "JULD" in names else "TIME"]),
        latitude=frame.position(names["LATITUDE"]),
        longitude=frame.position(names["LONGITUDE"]),
        temperature=measured_by_mode(frame, names, "TEMP"),
        salinity=measured_by_mode(frame, names, "PSAL"),
        platform=frame.text(names["PLATFORM_NUMBER"]),
        profile=_profile(frame, names),
        instrument=_instrument(frame, names),
        source=source.name,
        **level,
    )
    levels.qc, levels.reason = _position_flags(frame, names)
    return make_table(levels, reader=reader)


def _refuse_others(ds: xr.Dataset, names: dict[str, str]) -> None:
    """Files of Argo that hold no profiles of temperature or salinity."""
    kind = _data_type(ds)
    if "N_MEASUREMENT" in ds.sizes:
        raise NothingMeasured(f"this is a trajectory file ({kind or 'Argo'}); it holds no profiles")
    if not {"TEMP", "PSAL"} & set(names):
        biology = [n for n in ("DOXY", "CHLA", "BBP700", "NITRATE", "PH_IN_SITU_TOTAL")
                   if n in names]  # fmt: skip
        told = f"only {', '.join(biology)}" if biology else f"type {kind!r}"
        raise NothingMeasured(f"holds no temperature and no salinity, {told}")
    lost = [n for n in sorted(_POSITIONS) if n not in names]
    if lost or not {"JULD", "TIME"} & set(names):
        raise InputError(f"the file holds no {' and no '.join(lost or ['JULD'])}")
    if not {"PRES", "DEPH"} & set(names):
        raise InputError("the file holds neither depth nor pressure (no PRES, no DEPH)")


def _position_flags(frame: Frame, names: dict[str, str]) -> tuple[np.ndarray, np.ndarray]:
    """Flags of position, time and pressure together."""
    qc = np.zeros(frame.size, dtype=np.int8)
    reason = np.full(frame.size, "", dtype=object)
    for name, what in (
        ("POSITION_QC", "position"),
        ("JULD_QC", "time"),
        ("TIME_QC", "time"),
        (_level_flag(frame, names, "PRES"), "pressure"),
        (_level_flag(frame, names, "DEPH"), "depth"),
    ):
        if name in names:
            other, told = frame.flags(names[name], "argo", what)
            # what is missing is seen by its value
            other = np.where(other == MISSING, NONE, other).astype(np.int8)
            qc, reason = worse(qc, reason, other, told)
    return qc, reason


def _level_flag(frame: Frame, names: dict[str, str], parameter: str) -> str:
    """Flag variable of the vertical coordinate: that of the adjusted one if it is filled in."""
    name = f"{parameter}_ADJUSTED"
    if {name, f"{name}_QC"} <= set(names) and np.isfinite(frame.number(names[name])).all():
        return f"{name}_QC"
    return f"{parameter}_QC"


def _profile(frame: Frame, names: dict[str, str]) -> np.ndarray:
    """Cycle number and direction; ships and other platforms without: number in the file."""
    cycle = np.full(frame.size, np.nan)
    if "CYCLE_NUMBER" in names:
        cycle = frame.number(names["CYCLE_NUMBER"])
    whole = np.where(np.isfinite(cycle), cycle, -1).astype(np.int64)
    codes, inverse = np.unique(whole, return_inverse=True)
    text = np.array([f"{c:03d}" if c >= 0 else "" for c in codes], dtype=object)[inverse]
    if "DIRECTION" in names:
        down = frame.text(names["DIRECTION"]) == "D"
        text[down] = text[down] + "D"
    if (text == "").any() or _numbers_repeat(frame, names, text):
        first = frame.index[_profiles(frame, names)]
        _, rank = np.unique(first, return_inverse=True)
        text = text + np.array([f"#{n}" for n in range(int(rank.max()) + 1)], dtype=object)[rank]
    return np.asarray(text)


def _profiles(frame: Frame, names: dict[str, str]) -> str:
    """Dimension along which profiles lie, whatever the order of dimensions."""
    along = frame.ds[names["LATITUDE"]].dims
    return next((str(d) for d in along if str(d) in frame.index), frame.dims[0])


def _numbers_repeat(frame: Frame, names: dict[str, str], text: np.ndarray) -> bool:
    """Whether one cycle number of a platform stands at several times (ships, drifters)."""
    if len(frame.dims) < 2:
        return False
    time = frame.time(names["JULD" if "JULD" in names else "TIME"])
    if time.dtype == object:
        return False
    key = frame.text(names["PLATFORM_NUMBER"]) + "/" + text
    _, inverse = np.unique(key.astype(str), return_inverse=True)
    seen = np.full(int(inverse.max()) + 1 if inverse.size else 0, np.iinfo(np.int64).min)
    seen[inverse] = time.view(np.int64)
    apart = np.abs(time.view(np.int64) - seen[inverse]) > 3600 * 10**9
    return bool(apart.any())


def _instrument(frame: Frame, names: dict[str, str]) -> np.ndarray | str:
    """Code of the instrument (WMO table 1770) or type of the platform."""
    for name, prefix in (("WMO_INST_TYPE", "WMO "), ("PLATFORM_TYPE", "")):
        if name in names and frame.covers(names[name], chars=frame.has_letters(names[name])):
            text = frame.text(names[name])
            return np.where(text == "", "", prefix + text).astype(object)
    return "profiling float"


READERS = (
    Reader(
        "argo",
        "Argo profiles (single, multi-profile, Sprof, daily, ERDDAP, argopy), CORA",
        (
            "biogeochemical variables",
            "the raw value where an adjusted one is taken",
            "calibration and history",
            "errors of the pressure",
            "flags of whole profiles",
        ),
        _recognises,
        read_argo,
    ),
)
