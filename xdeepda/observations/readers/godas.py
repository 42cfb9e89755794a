"""Daily profiles of the NCEP Global Ocean Data Assimilation System.

Temperature on the 40 levels of its model, in degrees Celsius.  There is no
variable of time: the day is the global attribute ``Date``, the hour a column.
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
    Source,
    make_table,
)
from xdeepda.observations.readers.decode import iso_times
from xdeepda.observations.readers.frame import Frame

_TYPES = {"BA": "BATHY message", "TE": "TESAC message", "XB": "XBT", "TA": "mooring",
          "TR": "thermistor chain", "PF": "profiling float"}  # fmt: skip


def _recognises(source: Source) -> bool:
    """Columns xlon, ylat, hour over the levels grid_z."""
    if not source.is_netcdf:
        return False
    return {"xlon", "ylat", "hour", "grid_z"} <= set(map(str, source.dataset().variables))


def _read(source: Source) -> xr.Dataset:
    """Table of one day."""
    ds = source.dataset()
    fields = [n for n in ("temp", "salt") if n in ds.variables]
    if not fields:
        raise NothingMeasured(f"holds no temperature and no salinity, only {list(ds.data_vars)}")
    day = iso_times(np.array([str(ds.attrs.get("Date", ""))], dtype=object))[0]
    if np.isnat(day):
        raise InputError("the file holds no time: no global attribute Date of the form YYYY-MM-DD")
    frame = Frame(source, fields)
    hour = frame.number("hour", fills=False)
    seconds = np.rint(np.nan_to_num(hour) * 3600.0).astype("timedelta64[s]")
    levels = Levels(
        total_errors=True,
        time=np.where(np.isfinite(hour), day + seconds, np.datetime64("NaT", "ns")),
        latitude=frame.position("ylat"),
        longitude=frame.position("xlon"),
        depth=frame.number("grid_z"),
        platform=frame.text("plat") if "plat" in ds.variables else "",
        profile=frame.index[str(ds["xlon"].dims[0])].astype(str).astype(object),
        instrument=_instrument(frame),
        source=source.name,
        notes=["profiles on the levels of the model, not on those observed"],
    )
    if "temp" in fields:
        levels.temperature = Measured(frame.number("temp"), "degC")
    if "salt" in fields:
        levels.salinity = Measured(frame.number("salt"), "psu")
    return make_table(levels, reader="godas")


def _instrument(frame: Frame) -> np.ndarray | str:
    """Type of each profile."""
    if "ptyp" not in frame.ds.variables:
        return ""
    codes = frame.text("ptyp")
    return np.array([_TYPES.get(str(c).strip(), str(c).strip()) for c in codes], dtype=object)


READERS = (
    Reader(
        "godas",
        "NCEP GODAS daily profiles on model levels",
        ("levels as they were observed (the file has model levels)", "keys of quality (qkey)"),
        _recognises,
        _read,
    ),
)
