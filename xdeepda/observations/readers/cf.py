"""Discrete sampling geometries of the CF conventions.

Points, profiles, time series, trajectories and their combinations; orthogonal,
incomplete, contiguous ragged and indexed ragged; also with the names of feature
types from before version 1.6.  What archives add to the conventions (their
flags) is recognised by ``ancillary_variables`` and by the names in use.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from xdeepda.errors import InputError
from xdeepda.observations.flags import MISSING, NONE, worse
from xdeepda.observations.readers.base import (
    Levels,
    Measured,
    NothingMeasured,
    Reader,
    Source,
    make_table,
)
from xdeepda.observations.readers.flags import Scheme, scheme_of
from xdeepda.observations.readers.frame import Frame
from xdeepda.observations.readers.roles import (
    Roles,
    attribute,
    find_measured,
    find_positions,
    in_decibars,
    points_up,
    quantity_of,
    salinity_kind,
    temperature_kind,
)

#: Names of feature types, old and new, without case and separators.
_FEATURES = {
    "point", "profile", "timeseries", "trajectory", "timeseriesprofile", "trajectoryprofile",
    "station", "stationprofile", "section", "stationtimeseries",
}  # fmt: skip
_COUNTS = {"rowsize", "row_size", "ragged_row_size"}

#: Suffixes of flag variables beside a measured one.
_QC_SUFFIXES = (
    "_QC",
    "_qc",
    "_quality_control",
    "_SEADATANET_QC",
    "_flag",
    "_flags",
    "_qartod_flag",
)
_IDENTIFIERS = {
    "timeseries_id": "platform",
    "trajectory_id": "platform",
    "profile_id": "profile",
    "station_id": "platform",
    "platform_id": "platform",
    "platform_name": "platform",
}


@dataclass(frozen=True)
class Dialect:
    """What a family of files adds to the conventions.

    Attributes
    ----------
    name : str
        Of its reader.
    scheme : str or Scheme
        Of its flags; ``"declared"`` is what ``flag_meanings`` say, else that of Argo.
    platform, profile, instrument : tuple of str
        Variables (exact names), the first one that exists.
    attributes : tuple of str
        Global attributes that name the platform.
    attributes_first : bool
        Whether they come before variables.
    instrument_default : str
    alias : dict, optional
        Dimensions of the same length as another.
    """

    name: str = "cf"
    scheme: str | Scheme = "declared"
    platform: tuple[str, ...] = ()
    profile: tuple[str, ...] = ()
    instrument: tuple[str, ...] = ()
    attributes: tuple[str, ...] = ("platform_code", "wmo_platform_code", "station_name")
    attributes_first: bool = False
    instrument_default: str = ""
    alias: tuple[tuple[str, str], ...] = ()


def feature_type(ds: xr.Dataset) -> str:
    """Feature type of a Dataset in lower case without separators, empty where none."""
    for key, value in ds.attrs.items():
        if str(key).lower() in ("featuretype", "cf:featuretype", "cf_feature_type"):
            return _plain(value)
    return _plain(ds.attrs.get("cdm_data_type", ""))


def _plain(value: object) -> str:
    """Lower case without separators."""
    return str(value).lower().replace("-", "").replace("_", "").replace(" ", "")


def is_sampling(ds: xr.Dataset) -> bool:
    """Whether a Dataset says that it is a discrete sampling geometry."""
    if feature_type(ds) in _FEATURES:
        return True
    return any(
        {"sample_dimension", "instance_dimension"} & set(v.attrs) for v in ds.variables.values()
    )


def _recognises(source: Source) -> bool:
    """A feature type, or a ragged array."""
    return source.is_netcdf and is_sampling(source.dataset())


def _read(source: Source) -> xr.Dataset:
    """Table of a file without a dialect."""
    return read_sampling(source, Dialect())


def read_sampling(source: Source, dialect: Dialect) -> xr.Dataset:
    """Table of a discrete sampling geometry.

    Parameters
    ----------
    source : Source
    dialect : Dialect

    Returns
    -------
    xarray.Dataset

    Raises
    ------
    NothingMeasured
        If there is no temperature and no salinity of the sea.
    InputError
        If positions are missing, or ragged arrays contradict themselves.
    """
    ds = source.dataset()
    roles = find_positions(ds, find_measured(ds))
    frame = Frame(source, roles.fields, dict(dialect.alias))
    unravel(frame)
    levels = levels_of(frame, roles, dialect)
    if roles.others:
        levels.notes.append(f"left out: {', '.join(roles.others)}")
    return make_table(levels, reader=dialect.name)


def unravel(frame: Frame) -> None:
    """Add the instances of all ragged arrays, level by level.

    Raises
    ------
    InputError
        See :meth:`Frame.contiguous` and :meth:`Frame.indexed`.
    """
    ds = frame.ds
    todo = [str(n) for n in ds.variables if ds[n].ndim == 1 and ds[n].dtype.kind in "iuf"]
    progress = True
    while progress:  # a profile first, then the station that it belongs to
        progress = False
        for name in list(todo):
            counted, instance = _sample_dim(ds, name, frame), _instance_dim(ds, name)
            if counted is not None and counted in frame.index:
                frame.contiguous(name, counted)
            elif instance is not None and str(ds[name].dims[0]) in frame.index:
                if instance in frame.index:
                    continue
                frame.indexed(name, instance)
            else:
                continue
            todo.remove(name)
            progress = True


def _sample_dim(ds: xr.Dataset, name: str, frame: Frame) -> str | None:
    """Dimension whose samples a variable counts."""
    if "sample_dimension" in ds[name].attrs:
        return str(ds[name].attrs["sample_dimension"])
    if name.lower() in _COUNTS and ds[name].dims != frame.dims and len(frame.dims) == 1:
        return frame.dims[0]
    return None


def _instance_dim(ds: xr.Dataset, name: str) -> str | None:
    """Dimension of the instances that a variable points to."""
    if "instance_dimension" in ds[name].attrs:
        return str(ds[name].attrs["instance_dimension"])
    lower = name.lower()
    for dim in map(str, ds.sizes):
        if lower in (f"{dim.lower()}index", f"{dim.lower()}_index") and ds[name].dims != (dim,):
            return dim
    return None


# ---- columns


def levels_of(frame: Frame, roles: Roles, dialect: Dialect) -> Levels:
    """Columns of a frame whose variables are known."""
    ds = frame.ds
    place = {n: _first(frame, getattr(roles, n)) for n in ("time", "latitude", "longitude")}
    levels = Levels(
        time=frame.time(place["time"]),
        latitude=frame.position(place["latitude"]),
        longitude=frame.position(place["longitude"]),
        depth=_depth(frame, roles),
        pressure=_pressure(frame, roles),
        source=frame.source.name,
        instrument=_instrument(frame, dialect),
    )
    if roles.temperature:
        levels.temperature = measured(frame, roles.temperature, dialect.scheme)
        levels.temperature_kind = temperature_kind(ds, roles.temperature)
    if roles.salinity:
        levels.salinity = measured(frame, roles.salinity, dialect.scheme)
        levels.salinity_kind = salinity_kind(ds, roles.salinity)
    if roles.surface:
        levels.surface = measured(frame, roles.surface, dialect.scheme)
    _identify(frame, levels, dialect)
    vertical = [n for n in (*roles.depth[:1], *roles.pressure[:1]) if frame.covers(n)]
    upward = [n for n in roles.depth if frame.covers(n) and points_up(ds, n)]
    levels.notes += [
        f"{n!r} is a depth, all its values are positive, and says positive up: taken as down"
        for n in upward
        if _contradicts(ds, n, frame.number(n))
    ]
    levels.qc, levels.reason = _place_flags(frame, [*place.values(), *vertical], dialect.scheme)
    return levels


def _first(frame: Frame, names: list[str]) -> str:
    """First candidate that can be spread over the measurements."""
    return next((n for n in names if frame.covers(n)), names[0])


def _depth(frame: Frame, roles: Roles) -> np.ndarray | None:
    """Metres, positive down, of the first coordinate that is there at each level."""
    result: np.ndarray | None = None
    for name in roles.depth:
        if not frame.covers(name):
            continue
        value = frame.number(name)
        if points_up(frame.ds, name) and not _contradicts(frame.ds, name, value):
            value = -value
        result = value if result is None else np.where(np.isnan(result), value, result)
    return result


def _contradicts(ds: xr.Dataset, name: str, value: np.ndarray) -> bool:
    """Whether what is called a depth, "positive up", lies above the sea throughout."""
    called = f"{name} {attribute(ds, name, 'long_name')} {attribute(ds, name, 'standard_name')}"
    with np.errstate(invalid="ignore"):
        above = bool((value > 0).any()) and not bool((value < 0).any())
    return above and "depth" in called.lower()


def _pressure(frame: Frame, roles: Roles) -> np.ndarray | None:
    """Decibars of the first pressure that is there at each level."""
    result: np.ndarray | None = None
    for name in roles.pressure:
        if not frame.covers(name):
            continue
        value = frame.number(name) * in_decibars(frame.ds, name)
        result = value if result is None else np.where(np.isnan(result), value, result)
    return result


def measured(frame: Frame, name: str, scheme: str | Scheme) -> Measured:
    """Values, errors and flags of a measured variable."""
    ds = frame.ds
    units = str(ds[name].attrs.get("units", "")).strip()
    if not units and quantity_of(ds, name) != "so":
        raise NothingMeasured(
            f"variable {name!r} has no units: degrees Celsius, kelvins or an anomaly cannot be told"
        )
    result = Measured(frame.number(name), units)
    if error := error_of(ds, name):
        result.error = frame.number(error)
    if flag := flag_of(ds, name):
        result.qc, result.reason = frame.flags(flag, _scheme(ds, flag, scheme))
    return result


def _scheme(ds: xr.Dataset, flag: str, scheme: str | Scheme) -> str | Scheme:
    """Scheme of a flag variable."""
    if scheme != "declared":
        return scheme
    return scheme_of(ds[flag].attrs) or "argo"


def error_of(ds: xr.Dataset, name: str) -> str | None:
    """Variable with the standard deviation of a measured one."""
    standard = attribute(ds, name, "standard_name")
    for other in map(str, ds.variables):
        if standard and attribute(ds, other, "standard_name") == f"{standard} standard_error":
            return other
    names = (f"{name}_error", f"{name}_ERROR", f"{name}_uncertainty", f"{name}_UNCERTAINTY")
    return next((n for n in names if n in ds.variables and ds[n].dtype.kind in "iuf"), None)


def flag_of(ds: xr.Dataset, name: str) -> str | None:
    """Variable with the quality flags of another."""
    linked = str(ds[name].attrs.get("ancillary_variables", "")).split()
    there = [n for n in linked if n in ds.variables]
    for other in there:
        if "status_flag" in attribute(ds, other, "standard_name") or other.endswith(_QC_SUFFIXES):
            return other
    for suffix in _QC_SUFFIXES:
        if name + suffix in ds.variables:
            return name + suffix
    return None


def _place_flags(
    frame: Frame, names: list[str], scheme: str | Scheme
) -> tuple[np.ndarray, np.ndarray]:
    """Flags of positions, times and depths together."""
    qc = np.zeros(frame.size, dtype=np.int8)
    reason = np.full(frame.size, "", dtype=object)
    seen = set()
    extra = [n for n in ("POSITION_QC", "POSITION_SEADATANET_QC") if n in frame.ds.variables]
    for flag in [*(flag_of(frame.ds, n) for n in names), *extra]:
        if flag is None or flag in seen or not frame.covers(flag, chars=frame.has_letters(flag)):
            continue
        seen.add(flag)
        what = flag.lower().split("_")[0]
        other, told = frame.flags(flag, _scheme(frame.ds, flag, scheme), what)
        # what is missing is seen by its value
        qc, reason = worse(qc, reason, np.where(other == MISSING, NONE, other), told)
    return qc, reason


def _identify(frame: Frame, levels: Levels, dialect: Dialect) -> None:
    """Names of platform and profile."""
    ds = frame.ds
    found: dict[str, np.ndarray | str | None] = {
        "platform": _text(frame, dialect.platform), "profile": _text(frame, dialect.profile),
    }  # fmt: skip
    for name in map(str, ds.variables):
        role = _IDENTIFIERS.get(attribute(ds, name, "cf_role"))
        role = role or _IDENTIFIERS.get(attribute(ds, name, "standard_name"))
        if role and found[role] is None and frame.covers(name, chars=frame.has_letters(name)):
            counts_time = ds[name].dtype.kind == "f" and bool(attribute(ds, name, "units"))
            found[role] = None if counts_time else frame.text(name)
    named = [str(ds.attrs[a]).strip() for a in dialect.attributes if a in ds.attrs]
    if found["platform"] is None or (dialect.attributes_first and any(named)):
        found["platform"] = next((n for n in named if n), "")
    if found["profile"] is None:
        instance = next((d for d in frame.index if "profile" in d.lower()), None)
        if instance is not None:
            found["profile"] = frame.index[instance].astype(str).astype(object)
    levels.platform, levels.profile = found["platform"], found["profile"]


def _text(frame: Frame, names: tuple[str, ...]) -> np.ndarray | None:
    """Text of the first of these variables that exists."""
    for name in names:
        if name in frame.ds.variables and frame.covers(name, chars=frame.has_letters(name)):
            return frame.text(name)
    return None


def _instrument(frame: Frame, dialect: Dialect) -> np.ndarray | str:
    """Instrument of each level, or in words from the global attributes."""
    told, ds = _text(frame, dialect.instrument), frame.ds
    if told is not None:
        return told
    for key in ("instrument", "source"):
        if isinstance(ds.attrs.get(key), str) and len(ds.attrs[key]) < 60:
            return str(ds.attrs[key])
    return dialect.instrument_default


def _recognises_points(source: Source) -> bool:
    """A temperature or salinity with time and place, that is no field on a grid."""
    if not source.is_netcdf:
        return False
    ds = source.dataset()
    try:
        roles = find_positions(ds, find_measured(ds))
    except InputError:
        return False
    shared = [d for d in ds[roles.fields[0]].dims if ds.sizes[d] > 1]
    lat, lon = ds[roles.latitude[0]], ds[roles.longitude[0]]
    over = [d for d in shared if d in lat.dims or d in lon.dims]
    return len(over) < 2


READERS = (
    Reader(
        "points",
        "any netCDF of points whose temperature, salinity and positions have CF attributes",
        (
            "variables other than temperature and salinity",
            "a second sensor of the same quantity (told in the notes)",
        ),
        _recognises_points,
        _read,
        rank=2,
    ),
    Reader(
        "cf",
        "CF discrete sampling geometries (point, profile, timeSeries, trajectory and combinations)",
        (
            "variables other than temperature and salinity",
            "a second sensor of the same quantity (told in the notes)",
            "bounds and cell methods",
            "the meaning of flags that do not declare it (read as 1 good to 4 bad)",
        ),
        _recognises,
        _read,
        rank=1,
    ),
)
