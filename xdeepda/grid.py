"""The canonical grid, and the way from the user's labels to it and back.

The canonical order is (member, time, depth, lat, lon) with depth in metres positive
down, latitude to the north and longitude to the east; on a cyclic grid it starts at
the smallest longitude in [0, 360), on a regional one after the largest gap.

Knows xarray and numpy; no torch, no time arithmetic.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xarray as xr

from xdeepda.axes import (
    DIMS,
    SAME,
    Axes,
    find_axes,
    is_cyclic,
    read_depth,
    read_lat,
    read_lon,
    refuse_repeats,
    unwrap,
)
from xdeepda.errors import Problems

EARTH_RADIUS = 6.371e6
SPACE = ("depth", "lat", "lon")


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
            lon = _eastward(lon, float(edges[0]))
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
            elif not np.allclose(mine, theirs, rtol=1e-5, atol=SAME):
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
    inside = (values >= edges[0]) & (values <= edges[-1])
    cell = _interval(np.where(inside, values, edges[0]), edges)
    return np.where(inside, cell, -1)


def _interval(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Interval that holds each value between the first and last edge, int64."""
    last = edges.size - 2
    span, narrowest = float(edges[-1] - edges[0]), float(np.diff(edges).min())
    bins = np.ceil(2 * span / narrowest) if narrowest > 0 else np.inf
    if values.size < 1000 or bins > 2**16:
        return np.minimum(np.searchsorted(edges, values, side="right") - 1, last)
    # equal bins, at most half as wide as the narrowest interval, lead to the interval or to a
    # neighbour: no search for each value
    scale = bins / span
    left = edges[0] + np.arange(bins + 1) / scale
    table = np.clip(np.searchsorted(edges, left, side="right") - 1, 0, last)
    cell = table[((values - edges[0]) * scale).astype(np.int64)]
    cell += (values >= edges[cell + 1]) & (cell < last)
    cell -= values < edges[cell]
    return cell


def _eastward(lon: Any, west: float) -> np.ndarray:
    """Longitudes within 360 degrees from `west` on."""
    apart = np.asarray(lon, dtype=float) - west
    once = np.where(apart < 0, apart + 360.0, np.where(apart >= 360, apart - 360.0, apart))
    far = (apart < -360) | (apart >= 720)
    # a modulo is slow, and gives the same bits
    return west + (np.where(far, np.mod(apart, 360.0), once) if far.any() else once)


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
    for name, read in (("depth", read_depth), ("lat", read_lat), ("lon", read_lon)):
        dim = getattr(axes, name)
        if dim is None:
            continue
        coord = da.coords[dim]
        coords[name] = _bare(coord)
        axis = read(coord, own, guesses)
        if axis is None:
            continue
        if name == "lon":
            cyclic = is_cyclic(axis)
            axis = axis if cyclic else unwrap(axis)
        order[name] = np.argsort(axis, kind="stable")
        values[name] = axis[order[name]]
        refuse_repeats(values[name], dim, own)
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


def grid_of(da: xr.DataArray) -> Grid:
    """Canonical grid of a field; see :func:`layout_of`."""
    return layout_of(da).grid


def canonical(da: xr.DataArray) -> xr.DataArray:
    """Bring a field into canonical order; see :meth:`Layout.canonical`."""
    return layout_of(da).canonical(da)
