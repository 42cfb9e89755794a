"""Axes, the canonical grid, and the way from the user's labels to it and back.

Axes are found by CF attributes first, then by name, and a guess says so.  The
canonical order is (member, time, depth, lat, lon) with depth in metres positive
down, latitude to the north and longitude to the east; on a cyclic grid it starts
at the smallest longitude in [0, 360), on a regional one after the largest gap.

Knows xarray and numpy; no torch, no time arithmetic.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xarray as xr

from xdeepda import units
from xdeepda.errors import InputError, Problems

EARTH_RADIUS = 6.371e6
#: Canonical names of the dimensions, in canonical order.
DIMS = ("member", "time", "depth", "lat", "lon")
SPACE = ("depth", "lat", "lon")

#: Degrees; positions nearer than this are the same (float32 longitudes differ by 1e-5).
_SAME = 1e-4

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


def _edges(centres: np.ndarray, low: float, high: float) -> np.ndarray:
    """Cell edges midway between centres, the outermost mirrored and kept in [low, high]."""
    if centres.size == 1:
        half = 0.5
        return np.clip([centres[0] - half, centres[0] + half], low, high)
    middle = (centres[1:] + centres[:-1]) / 2
    first, last = 2 * centres[0] - middle[0], 2 * centres[-1] - middle[-1]
    return np.clip(np.concatenate([[first], middle, [last]]), low, high)


@dataclass(frozen=True, eq=False)
class Grid:
    """The canonical geometry of fields.

    Attributes
    ----------
    depth : numpy.ndarray or None, shape (nz,)
        Metres, positive down, increasing.
    lat, lon : numpy.ndarray or None, shapes (ny,), (nx,)
        Degrees north and east, increasing.  A regional grid may pass 360.
    cyclic : bool
        Whether the last longitude is the neighbour of the first.
    """

    depth: np.ndarray | None
    lat: np.ndarray | None
    lon: np.ndarray | None
    cyclic: bool = False

    @property
    def shape(self) -> tuple[int, int, int]:
        """(nz, ny, nx), 1 for a missing axis."""
        nz, ny, nx = (1 if c is None else c.size for c in (self.depth, self.lat, self.lon))
        return nz, ny, nx

    @property
    def dims(self) -> tuple[str, ...]:
        """Canonical names of the axes that exist."""
        return tuple(name for name in SPACE if getattr(self, name) is not None)

    @property
    def depth_edges(self) -> np.ndarray | None:
        """Edges of the levels in metres, shape (nz + 1,); the first is never above the surface."""
        return None if self.depth is None else _edges(self.depth, 0.0, np.inf)

    @property
    def lat_edges(self) -> np.ndarray | None:
        """Edges of the rows in degrees, shape (ny + 1,)."""
        return None if self.lat is None else _edges(self.lat, -90.0, 90.0)

    @property
    def lon_edges(self) -> np.ndarray | None:
        """Edges of the columns in degrees, shape (nx + 1,)."""
        if self.lon is None:
            return None
        if not self.cyclic:
            return _edges(self.lon, -np.inf, np.inf)
        seam = (self.lon[-1] + self.lon[0] + 360) / 2
        middle = (self.lon[1:] + self.lon[:-1]) / 2
        return np.concatenate([[seam - 360], middle, [seam]])

    @property
    def area(self) -> np.ndarray:
        """Area of the cells in m², shape (ny, nx); a missing axis counts as one degree."""
        east, north = self.lon_edges, self.lat_edges
        width = np.full(1, 1.0) if east is None else np.diff(east)
        band = np.deg2rad(np.ones(1)) if north is None else np.diff(np.sin(np.deg2rad(north)))
        return EARTH_RADIUS**2 * band[:, None] * np.deg2rad(width)[None, :]

    @property
    def thickness(self) -> np.ndarray:
        """Thickness of the levels in metres, shape (nz,); 1 where there is no depth axis."""
        edges = self.depth_edges
        return np.ones(1) if edges is None else np.diff(edges)

    def locate(self, depth: Any, lat: Any, lon: Any) -> np.ndarray:
        """Cells that hold points.

        Parameters
        ----------
        depth, lat, lon : array-like, shape (n,)
            Metres positive down, degrees; what belongs to a missing axis is ignored.

        Returns
        -------
        numpy.ndarray of int64, shape (n,)
            Flat number in (nz, ny, nx), -1 outside of the grid or where a position is NaN.
        """
        _, ny, nx = self.shape
        k = _cell_of(depth, self.depth_edges)
        j = _cell_of(lat, self.lat_edges)
        edges = self.lon_edges
        if edges is not None:
            lon = edges[0] + np.mod(np.asarray(lon, dtype=float) - edges[0], 360.0)
        i = _cell_of(lon, edges)
        size = max(np.size(k), np.size(j), np.size(i))
        flat = np.broadcast_to((k * ny + j) * nx + i, (size,))
        inside = np.broadcast_to((k >= 0) & (j >= 0) & (i >= 0), (size,))
        return np.where(inside, flat, -1)

    def coordinates(self, flat: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Depth, latitude and longitude of flat cell numbers, NaN for a missing axis."""
        parts = np.unravel_index(np.asarray(flat, dtype=np.int64), self.shape)
        depth, lat, lon = (
            np.full(part.shape, np.nan) if axis is None else axis[part]
            for axis, part in zip((self.depth, self.lat, self.lon), parts, strict=True)
        )
        return depth, lat, lon

    def differences(self, other: Grid) -> list[str]:
        """Say where another grid differs; empty if they are the same to 1e-4."""
        told = []
        for name in SPACE:
            mine, theirs = getattr(self, name), getattr(other, name)
            if mine is None and theirs is None:
                continue
            if mine is None or theirs is None or mine.size != theirs.size:
                told.append(f"{name}: {_describe(mine)} against {_describe(theirs)}")
            elif not np.allclose(mine, theirs, rtol=1e-5, atol=_SAME):
                worst = int(np.argmax(np.abs(mine - theirs)))
                told.append(
                    f"{name}: {mine[worst]:.6g} against {theirs[worst]:.6g} at position {worst}"
                )
        return told

    def to_dict(self) -> dict[str, Any]:
        """Plain lists, for JSON."""
        axes = {name: getattr(self, name) for name in SPACE}
        plain = {name: None if axis is None else axis.tolist() for name, axis in axes.items()}
        return {**plain, "cyclic": self.cyclic}

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> Grid:
        """Inverse of :meth:`to_dict`."""
        axes = {
            name: None if plain[name] is None else np.asarray(plain[name], dtype=float)
            for name in SPACE
        }
        return cls(**axes, cyclic=bool(plain["cyclic"]))

    def __str__(self) -> str:
        """One line."""
        parts = [f"{name} {_describe(getattr(self, name))}" for name in self.dims]
        return ", ".join(parts) + (", cyclic" if self.cyclic else "")


def _describe(axis: np.ndarray | None) -> str:
    """Describe an axis by its size and ends."""
    if axis is None:
        return "absent"
    return f"{axis.size} ({axis[0]:.6g} to {axis[-1]:.6g})"


def _cell_of(values: Any, edges: np.ndarray | None) -> np.ndarray:
    """Interval that holds each value, -1 outside; the upper end belongs to the last."""
    if edges is None:
        return np.zeros(1, dtype=np.int64)
    values = np.asarray(values, dtype=float)
    cell = np.searchsorted(edges, values, side="right") - 1
    cell = np.where(values == edges[-1], edges.size - 2, cell)
    outside = (values < edges[0]) | (values > edges[-1]) | np.isnan(values)
    return np.where(outside, -1, cell).astype(np.int64)


@dataclass(frozen=True, eq=False)
class Layout:
    """How the user's labels lie on the canonical grid: names, order, sense, attributes.

    Attributes
    ----------
    axes : Axes
    grid : Grid
    dims : tuple of str
        The user's order of dimensions.
    order : dict
        Canonical name -> positions of the user's axis in canonical order.
    coords : dict
        Canonical name -> the user's coordinate, with its attributes.
    """

    axes: Axes
    grid: Grid
    dims: tuple[str, ...]
    order: dict[str, np.ndarray] = field(default_factory=dict)
    coords: dict[str, xr.DataArray] = field(default_factory=dict)

    def canonical(self, da: xr.DataArray) -> xr.DataArray:
        """Bring a field into canonical names, order and sense; lazy where `da` is lazy."""
        names = self.axes.names()
        drop = [c for c in da.coords if c not in da.dims]
        out = da.drop_vars(drop).rename({d: names[d] for d in map(str, da.dims) if d != names[d]})
        picks = {n: o for n, o in self.order.items() if n in out.dims and not _is_identity(o)}
        out = out.isel(picks) if picks else out
        out = out.assign_coords({n: getattr(self.grid, n) for n in self.grid.dims if n in out.dims})
        return out.transpose(*(d for d in DIMS if d in out.dims))

    def restore(self, da: xr.DataArray) -> xr.DataArray:
        """Inverse of :meth:`canonical`: the user's names, order and coordinates."""
        back = {n: np.argsort(o, kind="stable") for n, o in self.order.items() if n in da.dims}
        out = da.isel({n: o for n, o in back.items() if not _is_identity(o)})
        names = {axis: user for user, axis in self.axes.names().items()}
        out = out.drop_vars([n for n in self.order if n in out.coords])
        out = out.rename({d: names[d] for d in map(str, out.dims) if names.get(d, d) != d})
        out = out.assign_coords(
            {str(c.name): c for c in self.coords.values() if c.name in out.dims}
        )
        known = [d for d in self.dims if d in out.dims]
        extra = [d for d in out.dims if d not in known]
        return out.transpose(*extra, *known)


def _is_identity(order: np.ndarray) -> bool:
    """Whether taking these positions changes nothing."""
    return bool(np.array_equal(order, np.arange(order.size)))


def layout_of(da: xr.DataArray, problems: Problems | None = None) -> Layout:
    """Understand the axes and the grid of a field.

    Parameters
    ----------
    da : DataArray
    problems : Problems, optional
        Collects what is wrong; raised here if not given.

    Returns
    -------
    Layout

    Raises
    ------
    InputError, NotImplementedError
        As :func:`find_axes`; repeated, missing or unusable coordinate values.
    """
    own = problems if problems is not None else Problems("grid")
    axes = find_axes(da, own)
    guesses = list(axes.guesses)
    values: dict[str, np.ndarray | None] = dict.fromkeys(SPACE)
    order: dict[str, np.ndarray] = {}
    coords: dict[str, xr.DataArray] = {}
    cyclic = False
    for name, read in (("depth", _read_depth), ("lat", _read_lat), ("lon", _read_lon)):
        dim = getattr(axes, name)
        if dim is None:
            continue
        coord = da.coords[dim]
        coords[name] = _bare(coord)
        axis = read(coord, own, guesses)
        if axis is None:
            continue
        if name == "lon":
            cyclic = _is_cyclic(axis)
            axis = axis if cyclic else _unwrap(axis)
        order[name] = np.argsort(axis, kind="stable")
        values[name] = axis[order[name]]
        _check_distinct(values[name], dim, own)
    if problems is None:
        own.raise_if_any()
    grid = Grid(values["depth"], values["lat"], values["lon"], cyclic)
    axes = Axes(**{a: getattr(axes, a) for a in DIMS}, guesses=tuple(guesses))
    return Layout(axes, grid, tuple(map(str, da.dims)), order, coords)


def _bare(coord: xr.DataArray) -> xr.DataArray:
    """Coordinate alone: no other coordinates, no way of storage, no bounds that are elsewhere."""
    alone = coord.drop_vars([c for c in coord.coords if c != coord.name]).drop_encoding()
    alone.attrs = {name: value for name, value in coord.attrs.items() if name != "bounds"}
    return alone


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


def _read_depth(coord: xr.DataArray, problems: Problems, guesses: list[str]) -> np.ndarray | None:
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


def _read_lat(coord: xr.DataArray, problems: Problems, guesses: list[str]) -> np.ndarray | None:
    """Latitudes in degrees north."""
    values = _degrees(coord, problems, guesses)
    if values is not None and np.abs(values).max() > 90 + _SAME:
        problems.add(
            f"latitudes {coord.name!r} are out of range",
            found=f"{values.min():g} to {values.max():g}",
            expected="-90 to 90",
        )
        return None
    return values


def _read_lon(coord: xr.DataArray, problems: Problems, guesses: list[str]) -> np.ndarray | None:
    """Longitudes in degrees east, in [0, 360)."""
    values = _degrees(coord, problems, guesses)
    if values is None:
        return None
    if np.ptp(values) > 360 - _SAME and values.size > 1:
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


def _is_cyclic(lon: np.ndarray) -> bool:
    """Whether longitudes go around the globe: the largest gap is no larger than the others."""
    if lon.size < 4:
        return False
    gaps = np.sort(_gaps(lon))
    return bool(gaps[-1] <= 1.5 * gaps[-2])


def _unwrap(lon: np.ndarray) -> np.ndarray:
    """Make regional longitudes continuous: start after the largest gap."""
    gaps = _gaps(lon)
    start = np.sort(lon)[(int(np.argmax(gaps)) + 1) % lon.size]
    return np.where(lon < start, lon + 360, lon)


def _check_distinct(values: np.ndarray | None, dim: str, problems: Problems) -> None:
    """Refuse repeated coordinate values."""
    if values is not None and values.size > 1 and (np.diff(values) <= 1e-9).any():
        where = int(np.argmin(np.diff(values)))
        problems.add(f"coordinate {dim!r} repeats a value", found=f"{values[where]:g}")


def grid_of(da: xr.DataArray) -> Grid:
    """Canonical grid of a field; see :func:`layout_of`."""
    return layout_of(da).grid


def canonical(da: xr.DataArray) -> xr.DataArray:
    """Bring a field into canonical order; see :meth:`Layout.canonical`."""
    return layout_of(da).canonical(da)
