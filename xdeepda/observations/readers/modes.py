"""Raw and adjusted values of archives that keep both (Argo, CORA, Copernicus, C-RAID).

A parameter has a raw variable, an adjusted one with an error, and a mode: real
time (R), adjusted in real time (A), or delayed mode (D), in which someone has
looked at the data.  Knows these names; it knows no file format.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from xdeepda.observations.flags import BAD, GOOD, MISSING, worse
from xdeepda.observations.readers.base import Measured, texts
from xdeepda.observations.readers.frame import Frame

_DELAYED_ONLY = "delayed mode has no adjusted value"

#: Units of parameters in Datasets that have lost them.
_UNITS = {"TEMP": "degC", "SST": "degC", "PSAL": "psu"}


def upper_names(ds: xr.Dataset) -> dict[str, str]:
    """Name in upper case -> name."""
    return {str(n).upper(): str(n) for n in ds.variables}


def mode_of(frame: Frame, names: dict[str, str], parameter: str) -> np.ndarray:
    """Data mode of a parameter at each level: R, A, D, or nothing where it is not said."""
    if f"{parameter}_DM" in names:
        return frame.text(names[f"{parameter}_DM"])
    if "PARAMETER_DATA_MODE" in names and "STATION_PARAMETERS" in names:
        ds = frame.ds
        modes = ds[names["PARAMETER_DATA_MODE"]]
        listed = texts(ds[names["STATION_PARAMETERS"]].variable)
        letters = texts(modes.variable, chars=False)
        if letters.shape == listed.shape[:-1]:  # joined when the Dataset was decoded
            letters = np.array([list(t.ljust(listed.shape[-1])) for t in letters], dtype=object)
        if listed.shape == letters.shape:
            own = np.where(listed == parameter, letters, "")
            joined = np.array(["".join(row)[:1] for row in own], dtype=object)
            return np.asarray(joined[frame.index[str(modes.dims[0])]])
    if "DATA_MODE" in names:
        return frame.text(names["DATA_MODE"])
    return np.full(frame.size, "", dtype=object)


def measured_by_mode(frame: Frame, names: dict[str, str], parameter: str) -> Measured | None:
    """Raw or adjusted value of each level, as its mode says."""
    if parameter not in names:
        return None
    raw = frame.number(names[parameter])
    units = str(frame.ds[names[parameter]].attrs.get("units", ""))
    units = units or _UNITS[parameter]  # argopy keeps none
    qc, reason = flags_of(frame, names, f"{parameter}_QC")
    error = np.full(frame.size, np.nan)
    if f"{parameter}_ERROR" in names:
        error = frame.number(names[f"{parameter}_ERROR"])
    if f"{parameter}_ADJUSTED" not in names:
        return Measured(raw, units, error, qc, reason)
    mode = mode_of(frame, names, parameter)
    adjusted = frame.number(names[f"{parameter}_ADJUSTED"])
    new_qc, new_reason = flags_of(frame, names, f"{parameter}_ADJUSTED_QC")
    use = np.isfinite(adjusted) & ((mode != "R") | np.isnan(raw))
    value = np.where(use, adjusted, raw)
    if f"{parameter}_ADJUSTED_ERROR" in names:
        error = np.where(use, frame.number(names[f"{parameter}_ADJUSTED_ERROR"]), error)
    # flags of values that delayed-mode control took out: 4 or 9 with a fill
    removed = ~use & (mode == "D") & np.isin(new_qc, [BAD, MISSING])
    qc, reason = np.where(use, new_qc, qc), np.where(use, new_reason, reason)
    bad = np.where(removed, BAD, GOOD).astype(np.int8)
    qc, reason = worse(qc, reason, bad, np.where(removed, _DELAYED_ONLY, "").astype(object))
    return Measured(value, units, error, qc, reason)


def flags_of(frame: Frame, names: dict[str, str], name: str) -> tuple[np.ndarray, np.ndarray]:
    """Flags of a variable, none where there is no such variable."""
    if name not in names:
        return np.zeros(frame.size, dtype=np.int8), np.full(frame.size, "", dtype=object)
    return frame.flags(names[name], "argo")


def vertical(frame: Frame, names: dict[str, str]) -> dict[str, Any]:
    """Pressure or depth of each level, adjusted where there is an adjusted one."""
    result: dict[str, Any] = {}
    for parameter, role in (("PRES", "pressure"), ("DEPH", "depth")):
        if parameter not in names:
            continue
        value = frame.number(names[parameter])
        if f"{parameter}_ADJUSTED" in names:
            adjusted = frame.number(names[f"{parameter}_ADJUSTED"])
            use = np.isfinite(adjusted) & (mode_of(frame, names, parameter) != "R")
            value = np.where(use, adjusted, value)
        result[role] = value
    return result
