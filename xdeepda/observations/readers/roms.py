"""Observations for the 4D-Var of ROMS.

Temperature is potential, ``obs_error`` a variance.  ``obs_depth`` is negative
metres, or, where positive, a level of the model: the uppermost level is the
surface, and stands for satellites; others need the grid of the model, which the
file does not hold.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import xarray as xr

from xdeepda.observations.flags import BAD
from xdeepda.observations.readers.base import (
    Levels,
    Measured,
    NothingMeasured,
    Reader,
    Source,
    make_table,
)
from xdeepda.observations.readers.frame import Frame

_TEMPERATURE, _SALINITY = 6, 7
_LEVEL = "depth is a level of the model's grid, which is not in the file"


def _recognises(source: Source) -> bool:
    """Observations by type along a datum dimension, with surveys."""
    if not source.is_netcdf:
        return False
    names = set(map(str, source.dataset().variables))
    return {"obs_type", "obs_value", "obs_error", "obs_time"} <= names and "obs_depth" in names


def _read(source: Source) -> xr.Dataset:
    """Table of a 4D-Var file."""
    ds = source.dataset()
    missing = [n for n in ("obs_lon", "obs_lat") if n not in ds.variables]
    if missing:
        raise NothingMeasured("the file holds grid coordinates only (no obs_lon, obs_lat)")
    frame = Frame(source, ["obs_value"])
    kind = frame.number("obs_type", fills=False)
    if not np.isin(kind, [_TEMPERATURE, _SALINITY]).any():
        raise NothingMeasured(f"state variables {sorted(set(kind.tolist()))}; temperature is 6")
    with np.errstate(invalid="ignore"):
        error = np.sqrt(frame.number("obs_error", fills=False))
    value, (depth, qc, reason, notes) = frame.number("obs_value"), _depths(frame)
    levels = Levels(
        total_errors=True,
        time=frame.time("obs_time"),
        latitude=frame.position("obs_lat"),
        longitude=frame.position("obs_lon"),
        depth=depth,
        temperature_kind="potential",
        instrument=_origin(frame),
        qc=qc,
        reason=reason,
        source=source.name,
        notes=notes,
    )
    for code, role, units in (
        (_TEMPERATURE, "temperature", "degC"),
        (_SALINITY, "salinity", "psu"),
    ):
        if (kind == code).any():
            own = np.where(kind == code, value, np.nan)
            setattr(levels, role, Measured(own, units, error))
    rest = int((~np.isin(kind, [_TEMPERATURE, _SALINITY])).sum())
    if rest:
        notes.append(f"{rest} observations of other state variables (sea level, currents) left out")
    notes.append("no units in the file: degrees Celsius and psu, as ROMS has them")
    return make_table(levels, reader="roms")


def _depths(frame: Frame) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[str]]:
    """Metres, with a flag where the file holds a level of the model."""
    raw = frame.number("obs_depth")
    notes: list[str] = []
    with np.errstate(invalid="ignore"):
        level = raw > 0
    uppermost = _levels(frame.ds)
    surface = level & (raw == uppermost) if uppermost else np.zeros(raw.shape, dtype=bool)
    depth = np.where(surface, 0.0, np.where(level, np.nan, -raw)) + 0.0
    lost = level & ~surface
    if surface.any():
        notes.append("observations at the uppermost level of the model: 0 m")
    if lost.any():
        notes.append(
            f"{int(lost.sum())} observations have a level of the model in place of a depth"
        )
    qc = np.where(lost, BAD, 0).astype(np.int8)
    return depth, qc, np.where(lost, _LEVEL, "").astype(object), notes


def _levels(ds: xr.Dataset) -> float | None:
    """Number of the uppermost level: an attribute, else the largest depth in the file."""
    grid: Any = ds.attrs.get("grid_Lm_Mm_N")
    if grid is not None and np.size(grid) == 3:
        return float(np.asarray(grid)[2])
    found = re.search(r"\bN\s*=\s*(\d+)", str(ds.attrs.get("history", "")))
    return float(found.group(1)) if found else None


def _origin(frame: Frame) -> np.ndarray | str:
    """Origin of each observation, by its number and what the file says of it."""
    if "obs_provenance" not in frame.ds.variables:
        return ""
    attrs = frame.ds["obs_provenance"].attrs
    number = frame.number("obs_provenance", fills=False)
    values = np.atleast_1d(attrs.get("flag_values", [])).tolist()
    words = str(attrs.get("flag_meanings", "")).split()
    told = dict(zip(values, words, strict=False))
    codes, inverse = np.unique(number, return_inverse=True)
    names = np.array([told.get(int(c), f"origin {c:g}") if c == c else "" for c in codes], object)
    return np.asarray(names[inverse])


READERS = (
    Reader(
        "roms",
        "ROMS 4D-Var observations",
        (
            "sea level and currents",
            "depths that are levels of the model (flagged; the uppermost is 0 m)",
            "grid positions and global variances",
        ),
        _recognises,
        _read,
    ),
)
