"""Axes: which dimension is which, and its coordinate in canonical units.

Axes are found by CF attributes first, then by name, and a guess says so.  Depth is
read as metres positive down, latitude and longitude as degrees north and east; the
longitudes of a regional grid are made continuous.

Knows xarray and numpy; no torch, no time arithmetic.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from xdeepda import units
from xdeepda.errors import InputError, Problems

#: Canonical names of the dimensions, in canonical order.
DIMS = ("member", "time", "depth", "lat", "lon")

#: Degrees; positions nearer than this are the same (float32 longitudes differ by 1e-5).
SAME = 1e-4

_STANDARD_NAMES = {
    "time": {"time"},
    "depth": {"depth", "altitude", "height"},
    "lat": {"latitude"},
    "lon": {"longitude"},
    "member": {"realization"},
}
_AXIS = {"T": "time", "Z": "depth", "Y": "lat", "X": "lon", "E": "member"}
_LAT_UNITS = {"degrees_north", "degree_north", "degree_n", "degrees_n", "degreen", "degreesn"}
_LON_UNITS = {"degrees_east", "degree_east", "degree_e", "degrees_e", "degreee", "degreese"}
_NAMES = {
    "time": {"time", "t"},
    "depth": {"depth", "lev", "level", "z", "deptht", "st_ocean", "z_t", "z_l", "olevel", "z_c"},
    "lat": {"lat", "latitude", "y", "yt_ocean", "nav_lat", "j", "yh", "yc"},
    "lon": {"lon", "longitude", "x", "xt_ocean", "nav_lon", "i", "xh", "xc"},
    "member": {"member", "member_id", "ensemble", "realization"},
}
_REGRID = (
    "interpolate the fields to a latitude-longitude grid first, for example with "
    "xesmf.Regridder(ds, target, 'conservative'), or xgcm for tripolar grids; observations may "
    "keep their own positions"
)


@dataclass(frozen=True)
class Axes:
    """The user's names of the axes, None where there is no such axis."""

    time: str | None = None
    depth: str | None = None
    lat: str | None = None
    lon: str | None = None
    member: str | None = None
    guesses: tuple[str, ...] = ()

    def names(self) -> dict[str, str]:
        """User's name -> canonical name."""
        return {getattr(self, axis): axis for axis in DIMS if getattr(self, axis) is not None}


def _axis_by_attributes(coord: xr.DataArray) -> str | None:
    """Axis that the CF attributes of a coordinate name."""
    attrs = {name: str(coord.attrs.get(name, "")) for name in ("standard_name", "axis", "units")}
    for axis, standard in _STANDARD_NAMES.items():
        if attrs["standard_name"] in standard:
            return axis
    if attrs["standard_name"].startswith("ocean_"):
        raise NotImplementedError(
            f"vertical coordinate {coord.name!r} is parametric ({attrs['standard_name']}); "
            "interpolate to depth levels first, for example with xgcm.Grid.transform"
        )
    unit = attrs["units"].lower()
    if unit in _LAT_UNITS:
        return "lat"
    if unit in _LON_UNITS:
        return "lon"
    if attrs["axis"].upper() in _AXIS:
        return _AXIS[attrs["axis"].upper()]
    if str(coord.attrs.get("positive", "")).lower() in ("up", "down"):
        return "depth"
    if _is_time(coord) or " since " in unit:
        return "time"
    return None


def _is_time(coord: xr.DataArray) -> bool:
    """Whether the values are datetime64 or cftime."""
    if np.issubdtype(coord.dtype, np.datetime64):
        return True
    return coord.dtype == object and coord.size > 0 and hasattr(coord.values.flat[0], "calendar")


def _axis_by_name(name: str) -> str | None:
    """Axis that a name suggests."""
    for axis, names in _NAMES.items():
        if name.lower() in names:
            return axis
    return None


def find_axes(obj: xr.DataArray | xr.Dataset, problems: Problems | None = None) -> Axes:
    """Find which dimension is which axis.

    Parameters
    ----------
    obj : DataArray or Dataset
        Of a Dataset, all its dimensions that variables of two or more dimensions use.
    problems : Problems, optional
        Collects what is wrong; raised here if not given.

    Returns
    -------
    Axes
        With the sentence of each guess in ``guesses``.

    Raises
    ------
    NotImplementedError
        For curvilinear horizontal or parametric vertical coordinates.
    InputError
        If a dimension is not understood, or two are the same axis.

    Examples
    --------
    >>> find_axes(xr.DataArray(np.zeros(3), dims="lat", coords={"lat": [0, 1, 2.0]})).lat
    'lat'
    """
    own = problems if problems is not None else Problems("axes")
    dims = obj.dims if isinstance(obj, xr.DataArray) else _field_dims(obj)
    found: dict[str, str] = {}
    guesses = []
    for dim in map(str, dims):
        # not .get: it makes up 0, 1, 2, ... where there is no coordinate
        coord = obj.coords[dim] if dim in obj.coords else None  # noqa: SIM401
        by_attributes = _axis_by_attributes(coord) if coord is not None else None
        axis = by_attributes or _axis_by_name(dim)
        if axis in (None, "lat", "lon") and not _is_geographic(coord):
            # the numbers of the cells of a curvilinear grid are called x, y, i, j, too
            _refuse_curvilinear(obj, dim)
        if axis is None or (coord is None and axis != "member"):
            _tell_missing(dim, axis, coord is not None, own)
            continue
        if by_attributes is None:
            guesses.append(f"{axis} is {dim!r}, guessed by its name")
        if axis in found:
            own.add(
                f"two dimensions look like {axis}",
                found=f"{found[axis]!r} and {dim!r}",
                todo="drop one, or set the CF attribute axis on the right one",
            )
            continue
        found[axis] = dim
    if problems is None:
        own.raise_if_any()
    return Axes(**found, guesses=tuple(guesses))


def _is_geographic(coord: xr.DataArray | None) -> bool:
    """Whether a coordinate says itself that it holds latitudes or longitudes."""
    if coord is None:
        return False
    named = coord.attrs.get("standard_name") in ("latitude", "longitude")
    return named or str(coord.attrs.get("units", "")).lower() in _LAT_UNITS | _LON_UNITS


def _tell_missing(dim: str, axis: str | None, has_coord: bool, problems: Problems) -> None:
    """Say that a dimension is no axis, or has no coordinate."""
    if axis is None:
        problems.add(
            f"dimension {dim!r} is not understood",
            found="no CF attribute and no known name" if has_coord else "no coordinate",
            expected="time, depth, latitude, longitude or member",
            todo=f"ds[{dim!r}].attrs.update(axis='Z') (or T, Y, X), or .isel({dim}=0)",
        )
        return
    problems.add(
        f"dimension {dim!r} has no coordinate",
        expected=f"values of {axis}",
        todo=f"ds = ds.assign_coords({dim}=...)",
    )


def _field_dims(ds: xr.Dataset) -> tuple[str, ...]:
    """Dimensions of the fields of a Dataset, without those of bounds."""
    bounds = {str(c.attrs.get("bounds")) for c in ds.variables.values()}
    dims: dict[str, None] = {}
    for name, da in ds.data_vars.items():
        if str(name) in bounds or str(name).endswith(("_bnds", "_bounds")):
            continue
        dims.update(dict.fromkeys(map(str, da.dims)))
    return tuple(dims)


def _refuse_curvilinear(obj: xr.DataArray | xr.Dataset, dim: str) -> None:
    """Refuse a dimension whose latitudes or longitudes are two-dimensional."""
    for name, coord in obj.coords.items():
        if coord.ndim == 2 and dim in coord.dims:
            axis = _axis_by_attributes(coord) or _axis_by_name(str(name))
            if axis in ("lat", "lon"):
                raise NotImplementedError(
                    f"the grid is curvilinear: {name!r} has dimensions {coord.dims}; {_REGRID}"
                )


def _numbers(coord: xr.DataArray, problems: Problems) -> np.ndarray | None:
    """Coordinate values as floats, or a problem."""
    try:
        values = np.asarray(coord.values, dtype=float)
    except (TypeError, ValueError):
        problems.add(f"coordinate {coord.name!r} holds no numbers", found=str(coord.dtype))
        return None
    if not np.isfinite(values).all():
        problems.add(f"coordinate {coord.name!r} holds NaN or infinity")
        return None
    return values


def read_depth(coord: xr.DataArray, problems: Problems, guesses: list[str]) -> np.ndarray | None:
    """Depth in metres, positive down."""
    values = _numbers(coord, problems)
    if values is None:
        return None
    unit = units.unit_of(coord)
    if unit is None:
        problems.add(
            f"depth axis {coord.name!r} has no units",
            expected="a length, such as m or cm",
            todo=f"ds[{coord.name!r}].attrs['units'] = 'm'",
        )
        return None
    try:
        values = units.convert(values, unit, "m")
    except InputError as error:
        problems.add(
            f"depth axis {coord.name!r} is no length",
            found=f"units {unit!r} ({error})",
            expected="metres or another length",
            todo="convert pressure with gsw.z_from_p, level numbers to their depths",
        )
        return None
    positive = str(coord.attrs.get("positive", "")).lower()
    if positive not in ("up", "down"):
        positive = "up" if (values <= 0).all() and (values < 0).any() else "down"
        guesses.append(f"{coord.name!r} counts {positive}wards, guessed by its sign")
    depth = -values if positive == "up" else values
    if (depth < 0).any():
        problems.add(
            f"depth axis {coord.name!r} lies above the surface",
            found=f"positive={positive!r}, values {values.min():g} to {values.max():g} m",
            todo="correct the attribute positive, or the sign",
        )
        return None
    return depth


def _degrees(coord: xr.DataArray, problems: Problems, guesses: list[str]) -> np.ndarray | None:
    """Values in degrees."""
    values = _numbers(coord, problems)
    unit = units.unit_of(coord)
    if values is None:
        return None
    if unit is None:
        guesses.append(f"{coord.name!r} is in degrees, guessed by its name")
        return values
    if unit.lower() in _LAT_UNITS | _LON_UNITS | {"degrees", "degree", "deg", "°"}:
        return values
    if unit.lower() in ("radian", "radians", "rad"):
        return np.rad2deg(values)
    problems.add(
        f"coordinate {coord.name!r} is not in degrees",
        found=f"units {unit!r}",
        expected="degrees_north, degrees_east or radians",
        todo="projected grids need regridding: " + _REGRID if unit in ("m", "km") else "",
    )
    return None


def read_lat(coord: xr.DataArray, problems: Problems, guesses: list[str]) -> np.ndarray | None:
    """Latitudes in degrees north."""
    values = _degrees(coord, problems, guesses)
    if values is not None and np.abs(values).max() > 90 + SAME:
        problems.add(
            f"latitudes {coord.name!r} are out of range",
            found=f"{values.min():g} to {values.max():g}",
            expected="-90 to 90",
        )
        return None
    return values


def read_lon(coord: xr.DataArray, problems: Problems, guesses: list[str]) -> np.ndarray | None:
    """Longitudes in degrees east, in [0, 360)."""
    values = _degrees(coord, problems, guesses)
    if values is None:
        return None
    if np.ptp(values) > 360 - SAME and values.size > 1:
        problems.add(
            f"longitudes {coord.name!r} repeat a meridian",
            found=f"{values.min():g} to {values.max():g}",
            expected="each meridian once",
            todo=f"ds = ds.isel({coord.name}=slice(0, -1))",
        )
        return None
    # rounding first: -1e-9 and 0 are the same meridian, and must not end at both ends
    return np.mod(np.round(values, 6), 360.0)


def _gaps(lon: np.ndarray) -> np.ndarray:
    """Distances between neighbours of sorted longitudes, the seam last."""
    ordered = np.sort(lon)
    return np.append(np.diff(ordered), ordered[0] + 360 - ordered[-1])


def is_cyclic(lon: np.ndarray) -> bool:
    """Whether longitudes go around the globe: the largest gap is no larger than the others."""
    if lon.size < 4:
        return False
    gaps = np.sort(_gaps(lon))
    return bool(gaps[-1] <= 1.5 * gaps[-2])


def unwrap(lon: np.ndarray) -> np.ndarray:
    """Make regional longitudes continuous: start after the largest gap."""
    gaps = _gaps(lon)
    start = np.sort(lon)[(int(np.argmax(gaps)) + 1) % lon.size]
    return np.where(lon < start, lon + 360, lon)


def refuse_repeats(values: np.ndarray | None, dim: str, problems: Problems) -> None:
    """Refuse repeated coordinate values."""
    if values is not None and values.size > 1 and (np.diff(values) <= 1e-9).any():
        where = int(np.argmin(np.diff(values)))
        problems.add(f"coordinate {dim!r} repeats a value", found=f"{values[where]:g}")
