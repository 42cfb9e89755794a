"""Gliders: time series along a trajectory, split into dives by a profile index.

Files of the IOOS, PyGlider and similar tools, which are CF trajectories; those
of EGO (names in capitals) are read as they are by the same rules.
"""

from __future__ import annotations

import numpy as np
import xarray as xr

from xdeepda.observations.readers.base import Levels, Reader, Source, make_table
from xdeepda.observations.readers.cf import Dialect, levels_of, unravel
from xdeepda.observations.readers.frame import Frame
from xdeepda.observations.readers.roles import find_measured, find_positions

_DIVES = ("profile_index", "profile_id", "PHASE_NUMBER", "dive_number")
_GLIDER = Dialect(
    name="gliders",
    attributes=("glider_name", "wmo_id", "platform_code", "id"),
    instrument_default="glider",
)


def _recognises(source: Source) -> bool:
    """A trajectory with the number of its dives."""
    if not source.is_netcdf:
        return False
    ds = source.dataset()
    told = " ".join(
        str(ds.attrs.get(k, "")) for k in ("source", "platform_type", "title", "format_version")
    )
    named = "glider" in told.lower() or "glider_name" in ds.attrs
    dives = [n for n in _DIVES if n in ds.variables]
    return bool(dives) and (named or "profile_direction" in ds.variables or "PHASE" in ds.variables)


def _read(source: Source) -> xr.Dataset:
    """Table of a glider."""
    ds = source.dataset()
    roles = find_positions(ds, find_measured(ds))
    frame = Frame(source, roles.fields)
    unravel(frame)
    levels = levels_of(frame, roles, _GLIDER)
    levels.instrument = "glider"
    if not np.any(levels.platform):
        levels.platform = source.name
    levels.profile = _dives(frame, levels)
    if roles.others:
        levels.notes.append(f"left out: {', '.join(roles.others)}")
    return make_table(levels, reader="gliders")


def _dives(frame: Frame, levels: Levels) -> np.ndarray | None:
    """Number of the dive or climb of each level; turns between them keep their time."""
    name = next((n for n in _DIVES if n in frame.ds.variables and frame.covers(n)), None)
    if name is None:
        return None
    number = frame.number(name)
    told = np.array([f"{x:g}" if x == x else "" for x in number], dtype=object)
    return np.where(told == "", np.datetime_as_string(levels.time, unit="s"), told).astype(object)


READERS = (
    Reader(
        "gliders",
        "gliders (IOOS, PyGlider, and files like theirs) with numbered dives",
        (
            "variables other than temperature and salinity",
            "thermal lag and sensor alignment (level 0 files are not corrected)",
        ),
        _recognises,
        _read,
    ),
)
