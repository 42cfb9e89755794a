"""World Ocean Database in netCDF: ragged arrays of casts, and single casts.

In a ragged file each variable has samples and row sizes of its own, so that the
levels of temperature and salinity are joined to those of depth cast by cast.
Flags: World Ocean Database user's manual (flags of levels and of whole
profiles; 0 is accepted), or IQuOD's (1 to 4).
"""

from __future__ import annotations

from typing import Any

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
)
from xdeepda.observations.readers.frame import Frame, whole_numbers

_FIELDS = {"Temperature": "temperature", "Salinity": "salinity"}


def _recognises(source: Source) -> bool:
    """The number of the cast, and depths."""
    if not source.is_netcdf:
        return False
    names = source.dataset().variables
    return "wod_unique_cast" in names and "z" in names


def _read(source: Source) -> xr.Dataset:
    """Table of a ragged file or a single cast."""
    ds = source.dataset()
    fields = [n for n in _FIELDS if n in ds.variables]
    if not fields:
        others = [str(n).removesuffix("_row_size") for n in ds.variables if "row_size" in str(n)]
        raise NothingMeasured(f"holds no temperature and no salinity, only {others}")
    frame = _depths(source)
    levels = Levels(
        time=frame.time("time"),
        latitude=frame.position("lat"),
        longitude=frame.position("lon"),
        depth=frame.number("z"),
        platform=_platform(frame),
        profile=frame.text("wod_unique_cast"),
        instrument=_instrument(frame),
        source=source.name,
    )
    for name in fields:
        setattr(levels, _FIELDS[name], _measured(frame, name))
    levels.qc, levels.reason = _level_flags(frame, "z", "depth")
    _fall_rate(frame, levels)
    return make_table(levels, reader="wod")


def _depths(source: Source) -> Frame:
    """Frame of the depths, with the cast of each."""
    frame = Frame(source, ["z"])
    if "z_row_size" in frame.ds.variables:
        frame.contiguous("z_row_size", frame.dims[0])
    return frame


def _measured(frame: Frame, name: str) -> Measured:
    """Values of a variable at the depths of its casts."""
    ds = frame.ds
    units = str(ds[name].attrs.get("units", "")) or ("psu" if name == "Salinity" else "degC")
    at = _rows(frame, name)
    inside = at >= 0
    part = Frame.of_samples(frame.source, name)
    measured = Measured(_spread(part.number(name), at, np.nan), units)
    if f"{name}_uncertainty" in ds.variables:
        measured.error = _spread(part.number(f"{name}_uncertainty"), at, np.nan)
    qc, reason = _level_flags(part, name, "")
    qc, reason = _spread(qc, at, 0).astype(np.int8), _spread(reason, at, "")
    if f"{name}_WODprofileflag" in ds.variables:
        whole, told = frame.flags(f"{name}_WODprofileflag", "wod_profile")
        whole = np.where(inside, whole, 0).astype(np.int8)
        qc, reason = worse(qc, reason, whole, np.where(inside, told, "").astype(object))
    measured.qc, measured.reason = qc, reason
    return measured


def _spread(values: np.ndarray, at: np.ndarray, missing: Any) -> np.ndarray:
    """Samples of a variable at the depths, `missing` where it has none."""
    if values.size == 0:
        return np.full(at.shape, missing)
    return np.where(at >= 0, values[np.maximum(at, 0)], missing)


def _rows(frame: Frame, name: str) -> np.ndarray:
    """Sample of a variable that belongs to each depth, -1 where the cast has none.

    Raises
    ------
    InputError
        If a cast has another number of values than of depths.
    """
    ds, own = frame.ds, f"{name}_row_size"
    if own not in ds.variables:  # a single cast
        return np.asarray(frame.index[str(ds[name].dims[0])])
    of_depth, of_name = _sizes(ds, "z_row_size"), _sizes(ds, own)
    if of_depth.shape != of_name.shape:
        raise InputError(f"{name} has {of_name.size} row sizes, the depths {of_depth.size}")
    if ((of_name > 0) & (of_name != of_depth)).any():
        wrong = int(np.argmax((of_name > 0) & (of_name != of_depth)))
        raise InputError(
            f"cast {wrong} has {of_name[wrong]} values of {name} at {of_depth[wrong]} depths"
        )
    if of_name.sum() > ds.sizes[str(ds[name].dims[0])]:
        raise InputError(f"row sizes of {name} sum to more than there are values")
    cast = frame.index[str(ds["z_row_size"].dims[0])]
    begin = np.cumsum(of_depth) - of_depth
    start = np.cumsum(of_name) - of_name
    inside = np.where(cast >= 0, of_name[cast] > 0, False)
    level = frame.index[frame.dims[0]] - begin[cast]
    return np.where(inside, start[cast] + level, -1)


def _sizes(ds: xr.Dataset, name: str) -> np.ndarray:
    """Row sizes, 0 where there is a fill."""
    sizes = whole_numbers(ds[name].variable, name, missing=0)
    if (sizes < -1).any():
        raise InputError(f"row sizes {name!r} are negative")
    return np.maximum(sizes, 0)


def _level_flags(frame: Frame, name: str, what: str) -> tuple[np.ndarray, np.ndarray]:
    """Flags of single levels, of WOD or of IQuOD."""
    for suffix in ("_WODflag", "_IQUODflag"):
        if f"{name}{suffix}" in frame.ds.variables:
            told = str(frame.ds[f"{name}{suffix}"].attrs.get("flag_meanings", "accepted"))
            scheme = "wod" if told.startswith("accepted") else "iquod"
            return frame.flags(f"{name}{suffix}", scheme, what)
    return np.zeros(frame.size, dtype=np.int8), np.full(frame.size, "", dtype=object)


def _platform(frame: Frame) -> np.ndarray | str:
    """WMO number, ship or cruise of each cast."""
    result: np.ndarray = np.full(frame.size, "", dtype=object)
    for name in ("WMO_ID", "Platform", "WOD_cruise_identifier"):
        if name in frame.ds.variables:
            text = frame.text(name)
            text = np.where(np.isin(text.astype(str), ["-99999", "0"]), "", text)
            result = np.where(result == "", text, result).astype(object)
    return result


def _instrument(frame: Frame) -> np.ndarray | str:
    """Instrument of the temperature, else the data set (bottle, CTD, XBT, ...)."""
    result: np.ndarray = np.full(frame.size, "", dtype=object)
    for name in ("Temperature_Instrument", "dataset"):
        if name in frame.ds.variables:
            result = np.where(result == "", frame.text(name), result).astype(object)
    return result


def _fall_rate(frame: Frame, levels: Levels) -> None:
    """Say what the file says of the fall rate of expendable probes; depths stay as they are."""
    for name in ("needs_z_fix", "z_fix", "XBT_depth_fix"):
        if name in frame.ds.variables and frame.covers(name, chars=frame.has_letters(name)):
            told = sorted({str(t) for t in frame.text(name)} - {""})
            if told:
                levels.notes.append(f"{name} (not applied): {', '.join(told)[:100]}")


READERS = (
    Reader(
        "wod",
        "World Ocean Database netCDF (ragged arrays, single casts)",
        (
            "variables other than temperature and salinity",
            "plankton and meteorology",
            "originators' flags",
            "significant figures",
            "corrections of the fall rate that the file asks for (told in the notes)",
        ),
        _recognises,
        _read,
    ),
)
