"""Sea surface temperature on grids and swaths: GHRSST L2P to L4, OISST, ERSST, HadISST.

One row for each cell with a value, at depth 0.  Curvilinear latitudes and
longitudes, times of single pixels, quality levels and error estimates of GHRSST are
read.  Anomalies and fields without units are refused.
"""

from __future__ import annotations

import numpy as np
import xarray as xr

from xdeepda.errors import InputError
from xdeepda.observations.readers.base import (
    Levels,
    Measured,
    NothingMeasured,
    Reader,
    Scheme,
    Source,
    make_table,
)
from xdeepda.observations.readers.cf import is_sampling
from xdeepda.observations.readers.frame import Frame
from xdeepda.observations.readers.roles import attribute, quantity_of
from xdeepda.observations.readers.rows import SURFACE

#: GHRSST data specification: 5 best, 4 acceptable, 3 low, 2 worst, 1 bad, 0 no data.
_QUALITY = Scheme(
    "GHRSST",
    {5: 1, 4: 2, 3: 3, 2: 3, 1: 4, 0: 9},
    {3: "low quality", 2: "worst quality", 1: "bad, cloud or rain"},
)
_ERRORS = (
    "sses_standard_deviation",
    "analysis_error",
    "analysed_sst_uncertainty",
    "sst_uncertainty",
    "analysis_uncertainty",
    "uncertainty",
    "err",
)
_LAT = ("lat", "latitude", "nav_lat")
_LON = ("lon", "longitude", "nav_lon")


def _field(ds: xr.Dataset) -> str | None:
    """Surface temperature of a Dataset, of two or more dimensions."""
    for name in map(str, ds.variables):
        if ds[name].ndim >= 2 and _is_surface(ds, name):
            return name
    return None


def _is_surface(ds: xr.Dataset, name: str) -> bool:
    """Whether a variable is a temperature of the sea surface."""
    if quantity_of(ds, name) == SURFACE:
        return True
    # HadISST and ERSST of some servers have no standard name, or one of another table
    return name.lower() in ("sst", "tos", "analysed_sst") and "anom" not in name.lower()


def _place(ds: xr.Dataset, names: tuple[str, ...], standard: str) -> str | None:
    """Latitude or longitude of a grid."""
    for name in map(str, ds.variables):
        if attribute(ds, name, "standard_name") == standard or name.lower() in names:
            return name
    return None


def _recognises(source: Source) -> bool:
    """A surface temperature over latitude and longitude, not a discrete sampling geometry."""
    if not source.is_netcdf:
        return False
    ds = source.dataset()
    name = _field(ds)
    lat, lon = _place(ds, _LAT, "latitude"), _place(ds, _LON, "longitude")
    if name is None or lat is None or lon is None or is_sampling(ds):
        return False
    over = set(ds[lat].dims) | set(ds[lon].dims)
    return len(over) == 2 and over <= set(ds[name].dims)


def _read(source: Source) -> xr.Dataset:
    """Table of a field of surface temperature."""
    ds = source.dataset()
    name = _field(ds)
    lat, lon = _place(ds, _LAT, "latitude"), _place(ds, _LON, "longitude")
    if name is None or lat is None or lon is None:
        raise NothingMeasured("holds no surface temperature over latitude and longitude")
    units = str(ds[name].attrs.get("units", "")).strip()
    if not units:
        raise InputError(f"variable {name!r} has no units: a temperature or an anomaly?")
    if "anom" in str(ds[name].attrs.get("long_name", "")).lower():
        raise InputError(f"variable {name!r} is an anomaly: a temperature is needed")
    frame = Frame(source, [name])
    levels = Levels(
        time=_times(frame, name),
        latitude=frame.position(lat),
        longitude=frame.position(lon),
        surface=_measured(frame, name, units),
        profile=np.arange(frame.size).astype(str).astype(object),
        instrument=_instrument(ds, name),
        source=source.name,
    )
    levels.qc, levels.reason = None, None
    if "sses_bias" in ds.variables:
        levels.notes.append("sses_bias is not subtracted")
    return make_table(levels, reader="sst")


def _measured(frame: Frame, name: str, units: str) -> Measured:
    """Values with errors and quality levels."""
    ds = frame.ds
    measured = Measured(frame.number(name), units)
    error = next((e for e in _ERRORS if e in ds.variables and ds[e].dims == ds[name].dims), None)
    if error is not None:
        measured.error = frame.number(error)
    if "quality_level" in ds.variables:
        measured.qc, measured.reason = frame.flags("quality_level", _QUALITY)
    return measured


def _times(frame: Frame, name: str) -> np.ndarray:
    """Time of the field, with the offsets of single pixels."""
    ds = frame.ds
    time = next(
        (n for n in map(str, ds.variables)
         if attribute(ds, n, "standard_name") == "time" or n.lower() == "time"), None
    )  # fmt: skip
    if time is None:
        raise InputError("the file holds no time")
    result = frame.time(time)
    offset = next((n for n in ("sst_dtime", "dtime") if n in ds.variables), None)
    if offset is not None and ds[offset].dims == ds[name].dims and result.dtype.kind == "M":
        seconds = frame.number(offset)
        if ds[offset].dtype.kind == "m":  # decoded: nanoseconds as numbers
            seconds = seconds / 1e9
        late = np.rint(np.nan_to_num(seconds) * 1000.0).astype("timedelta64[ms]")
        result = result + late
    return result


def _instrument(ds: xr.Dataset, name: str) -> str:
    """Which surface: of the skin, below it, or of the foundation; and from where."""
    standard = attribute(ds, name, "standard_name")
    kind = next((k for k in ("subskin", "skin", "foundation") if k in standard), "surface")
    origin = str(ds.attrs.get("platform", "") or ds.attrs.get("source", ""))[:60].strip()
    return f"{kind} temperature, {origin}" if origin else f"{kind} temperature"


READERS = (
    Reader(
        "sst",
        "sea surface temperature on a grid or swath (GHRSST, OISST, ERSST, HadISST)",
        (
            "bias estimates (sses_bias is not subtracted)",
            "ice, wind and rain beside the temperature, masks of lakes and ice",
            "bits of l2p_flags",
            "correlation of errors between neighbouring cells",
        ),
        _recognises,
        _read,
        rank=1,
    ),
)
