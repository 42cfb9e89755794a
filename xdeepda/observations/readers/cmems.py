"""In-situ files of the Copernicus Marine Service and of OceanSITES.

Profiles, time series, drifting buoys and moorings along TIME and DEPTH, where
LATITUDE, LONGITUDE and POSITION_QC may have dimensions of their own that are as
long as TIME.  Flags: Copernicus in-situ reference table 2, that of Argo.
"""

from __future__ import annotations

from typing import Any

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
from xdeepda.observations.readers.frame import Frame
from xdeepda.observations.readers.modes import measured_by_mode, upper_names, vertical

#: Dimensions that run along with TIME.
_ALONG_TIME = {"LATITUDE": "TIME", "LONGITUDE": "TIME", "POSITION": "TIME"}


def _recognises(source: Source) -> bool:
    """TIME, DEPTH and flags of time or position."""
    if not source.is_netcdf:
        return False
    ds = source.dataset()
    return {"TIME", "DEPTH"} <= set(map(str, ds.sizes)) and bool(
        {"TIME", "LATITUDE", "LONGITUDE"} <= set(map(str, ds.variables))
        and {"TIME_QC", "POSITION_QC"} & set(map(str, ds.variables))
    )


def _read(source: Source) -> xr.Dataset:
    """Table of a Copernicus or OceanSITES file."""
    ds = source.dataset()
    names = upper_names(ds)
    fields = [names[n] for n in ("TEMP", "PSAL", "TEMP_ADJUSTED", "PSAL_ADJUSTED") if n in names]
    if not {"TEMP", "PSAL"} & set(names):
        measured = [n for n in names if f"{n}_QC" in names]
        raise NothingMeasured(f"holds no temperature and no salinity, only {measured[:12]}")
    frame = Frame(source, fields, _ALONG_TIME)
    place = vertical(frame, names)
    if "depth" not in place and "DEPTH" in names:
        place["depth"] = frame.number(names["DEPTH"])
    notes = _surface(ds, place)
    levels = Levels(
        time=frame.time("TIME"),
        latitude=frame.position("LATITUDE"),
        longitude=frame.position("LONGITUDE"),
        temperature=measured_by_mode(frame, names, "TEMP"),
        salinity=measured_by_mode(frame, names, "PSAL"),
        platform=_platform(ds),
        instrument=_instrument(ds),
        source=source.name,
        notes=notes,
        **place,
    )
    levels.qc, levels.reason = _place_flags(frame, names)
    return make_table(levels, reader="cmems")


def _surface(ds: xr.Dataset, place: dict[str, Any]) -> list[str]:
    """Depth 0 for drifters and other surface platforms of which no depth is told."""
    told = str(ds.attrs.get("source", "")).lower()
    depth = place.get("depth")
    if depth is None or "pressure" in place or np.isfinite(depth).any():
        return []
    if ds.sizes["DEPTH"] > 1 or not any(word in told for word in ("surface", "drift")):
        return []
    place["depth"] = np.zeros(np.size(depth))
    return [f"no depth told; 0 m for a platform that is {told!r}"]


def _platform(ds: xr.Dataset) -> str:
    """Code of the platform."""
    for key in ("wmo_platform_code", "platform_code", "site_code", "id"):
        if str(ds.attrs.get(key, "")).strip():
            return str(ds.attrs[key]).strip()
    return ""


def _instrument(ds: xr.Dataset) -> str:
    """WMO code of the instrument, else what the file says of the platform."""
    code = str(ds.attrs.get("wmo_inst_type", "")).strip()
    return f"WMO {code}" if code else str(ds.attrs.get("source", ""))[:60].strip()


def _place_flags(frame: Frame, names: dict[str, str]) -> tuple[np.ndarray, np.ndarray]:
    """Flags of position, time and depth."""
    qc = np.zeros(frame.size, dtype=np.int8)
    reason = np.full(frame.size, "", dtype=object)
    for name, what in (
        ("POSITION_QC", "position"), ("TIME_QC", "time"), ("PRES_QC", "pressure"),
        ("DEPH_QC", "depth"), ("DEPTH_QC", "depth"),
    ):  # fmt: skip
        if name in names and frame.covers(names[name]):
            other, told = frame.flags(names[name], "argo", what)
            # what is missing is seen by its value
            qc, reason = worse(qc, reason, np.where(other == MISSING, NONE, other), told)
    return qc, reason


READERS = (
    Reader(
        "cmems",
        "Copernicus Marine in-situ and OceanSITES files along TIME and DEPTH",
        (
            "variables other than temperature and salinity",
            "the raw value where an adjusted one is taken",
            "errors of the pressure",
        ),
        _recognises,
        _read,
    ),
)
