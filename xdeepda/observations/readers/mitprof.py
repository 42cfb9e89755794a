"""Profiles and points for the MITgcm: MITprof (pkg/profiles) and pkg/obsfit.

Temperatures are potential.  Weights are inverse error variances; a weight of 0
takes a value out.  The number -9999 is a fill, declared or not.  MATLAB day
numbers stand beside dates in digits, of which the latter are read.
"""

from __future__ import annotations

import numpy as np
import xarray as xr

from xdeepda.errors import InputError
from xdeepda.observations.flags import PROBABLY_BAD
from xdeepda.observations.readers.base import (
    Levels,
    Measured,
    NothingMeasured,
    Reader,
    Source,
    make_table,
)
from xdeepda.observations.readers.frame import Frame

_ZERO = "weight is zero"


def digit_dates(days: np.ndarray, clock: np.ndarray) -> np.ndarray:
    """Dates of YYYYMMDD and HHMMSS.

    Parameters
    ----------
    days, clock : numpy.ndarray of float, shape (n,)

    Returns
    -------
    numpy.ndarray of datetime64[ns]
        NaT for digits that are no date.

    Examples
    --------
    >>> digit_dates(np.array([20060101.0]), np.array([123000.0]))
    array(['2006-01-01T12:30:00.000000000'], dtype='datetime64[ns]')
    """
    good = np.isfinite(days)
    number = np.where(good, days, 0.0).astype(np.int64)
    second = np.nan_to_num(clock).astype(np.int64)
    year, month, day = number // 10000, number // 100 % 100, number % 100
    good &= (year >= 1678) & (year < 2262) & (month >= 1) & (month <= 12) & (day >= 1)
    first = (np.where(good, year, 1970) - 1970).astype("timedelta64[Y]") + np.datetime64("1970")
    months = first.astype("datetime64[M]") + np.where(good, month - 1, 0).astype("timedelta64[M]")
    date = months.astype("datetime64[D]") + np.where(good, day - 1, 0).astype("timedelta64[D]")
    good &= date.astype("datetime64[M]") == months  # no 31 February
    of_day = second // 10000 * 3600 + second // 100 % 100 * 60 + second % 100
    result = date.astype("datetime64[ns]") + of_day.astype("timedelta64[s]")
    result[~good] = np.datetime64("NaT")
    return np.asarray(result)


def _clock(frame: Frame, name: str) -> np.ndarray:
    """HHMMSS of each level; noon where the file does not say it."""
    if name in frame.ds.variables:
        return frame.number(name)
    return np.full(frame.size, 120000.0)


def _clock_notes(ds: xr.Dataset, name: str) -> list[str]:
    """What is told where noon was taken."""
    return [] if name in ds.variables else [f"no time of day ({name}): taken as noon"]


# ---- profiles


def _is_profiles(source: Source) -> bool:
    """Profiles with prof_lon, prof_lat and a date in digits."""
    if not source.is_netcdf:
        return False
    return {"prof_lon", "prof_lat", "prof_YYYYMMDD"} <= set(map(str, source.dataset().variables))


def _read_profiles(source: Source) -> xr.Dataset:
    """Table of a file of profiles."""
    ds = source.dataset()
    fields = [n for n in ("prof_T", "prof_S") if n in ds.variables]
    if not fields:
        found = [str(n) for n in ds.variables if ds[n].ndim == 2][:8]
        raise NothingMeasured(f"holds no temperature and no salinity, only {found}")
    depth = next((n for n in ("prof_depth", "depth") if n in ds.variables), None)
    if depth is None:
        raise InputError("the file holds no depths (prof_depth or depth)")
    frame = Frame(source, fields)
    levels = Levels(
        total_errors=True,
        time=digit_dates(frame.number("prof_YYYYMMDD"), _clock(frame, "prof_HHMMSS")),
        latitude=frame.position("prof_lat"),
        longitude=frame.position("prof_lon"),
        depth=frame.number(depth),
        temperature_kind="potential",
        profile=frame.index[str(ds["prof_lon"].dims[0])].astype(str).astype(object),
        platform=frame.text("prof_descr") if "prof_descr" in ds.variables else "",
        source=source.name,
        notes=_clock_notes(ds, "prof_HHMMSS"),
    )
    levels.profile = levels.platform + "#" + levels.profile
    for name, role, units in (("prof_T", "temperature", "degC"), ("prof_S", "salinity", "psu")):
        if name in fields:
            setattr(levels, role, _weighted(frame, name, units))
    return make_table(levels, reader="mitprof")


def _weighted(frame: Frame, name: str, units: str) -> Measured:
    """Values with errors of their weights."""
    measured = Measured(frame.number(name), units)
    if f"{name}weight" in frame.ds.variables:
        weight = frame.number(f"{name}weight")
        with np.errstate(divide="ignore", invalid="ignore"):
            measured.error = np.where(weight > 0, 1.0 / np.sqrt(weight), np.nan)
        out = weight <= 0
        measured.qc = np.where(out, PROBABLY_BAD, 0).astype(np.int8)
        measured.reason = np.where(out, _ZERO, "").astype(object)
    return measured


# ---- points

#: Codes of sample_type of pkg/obsfit.
_TYPES = {1: "temperature", 2: "salinity"}


def _is_points(source: Source) -> bool:
    """Samples with obs_val and sample_type."""
    if not source.is_netcdf:
        return False
    names = set(map(str, source.dataset().variables))
    return {"obs_val", "sample_type", "sample_lon", "sample_lat"} <= names


def _read_points(source: Source) -> xr.Dataset:
    """Table of a file of points; averages over several samples are refused."""
    ds = source.dataset()
    samples, size = str(ds["sample_lon"].dims[0]), str(ds["obs_val"].dims[0])
    if ds.sizes[samples] != ds.sizes[size]:
        raise InputError(
            f"{ds.sizes[size]} observations of {ds.sizes[samples]} samples: averages over several "
            "places are no points"
        )
    frame = Frame(source, ["obs_val"], {samples: size})
    kind = frame.number("sample_type", fills=False)
    if not np.isin(kind, list(_TYPES)).any():
        raise NothingMeasured(
            f"sample types {sorted(set(kind.tolist()))}; 1 is temperature, 2 salt"
        )
    error = frame.number("obs_uncert") if "obs_uncert" in ds.variables else np.nan
    value = frame.number("obs_val")
    levels = Levels(
        total_errors=True,
        time=digit_dates(frame.number("obs_YYYYMMDD"), _clock(frame, "obs_HHMMSS")),
        latitude=frame.position("sample_lat"),
        longitude=frame.position("sample_lon"),
        depth=frame.number("sample_depth"),
        temperature_kind="potential",
        source=source.name,
    )
    for code, role in _TYPES.items():
        if (kind == code).any():
            units = "degC" if role == "temperature" else "psu"
            own = np.where(kind == code, value, np.nan)
            setattr(levels, role, Measured(own, units, error))
    rest = int((~np.isin(kind, list(_TYPES))).sum())
    if rest:
        levels.notes.append(f"{rest} samples of other types left out")
    levels.notes += _clock_notes(ds, "obs_HHMMSS")
    levels.notes.append("no units in the file: degrees Celsius and psu, as the package expects")
    return make_table(levels, reader="obsfit")


READERS = (
    Reader(
        "mitprof",
        "MITprof profiles for the MITgcm (pkg/profiles)",
        (
            "model estimates (prof_Testim) and flags of MITprof",
            "interpolation weights on a model grid",
            "velocities and tracers",
        ),
        _is_profiles,
        _read_profiles,
    ),
    Reader(
        "obsfit",
        "MITgcm pkg/obsfit points",
        ("observations that average several samples", "types other than temperature and salinity"),
        _is_points,
        _read_points,
    ),
)
