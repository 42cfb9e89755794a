"""How much of each cell lies in a layer or a box, and means with these weights.

A boundary inside a cell counts in part, so that a result does not jump where a grid
is shifted or refined.

Knows numpy, xarray and the canonical grid.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from xdeepda import units as unit_tools
from xdeepda.axes import read_depth
from xdeepda.diagnostics.fields import Field
from xdeepda.errors import Problems
from xdeepda.grid import EARTH_RADIUS, Grid

logger = logging.getLogger("xdeepda")

#: Fraction of a box that a domain must hold, and of the sea of a box that must be known.
WHOLE, ENOUGH = 0.999, 0.5


@dataclass(frozen=True)
class Box:
    """Latitudes and longitudes, in degrees; the longitudes from west to east.

    Examples
    --------
    >>> str(Box(-5, 5, 190, 240))
    '5°S-5°N, 170°W-120°W'
    """

    south: float
    north: float
    west: float
    east: float

    @property
    def width(self) -> float:
        """Degrees of longitude, 360 for all."""
        return 360.0 if self.east - self.west >= 360 else (self.east - self.west) % 360 or 360.0

    @property
    def area(self) -> float:
        """Square metres."""
        band = np.sin(np.deg2rad(self.north)) - np.sin(np.deg2rad(self.south))
        return float(EARTH_RADIUS**2 * band * np.deg2rad(self.width))

    def __str__(self) -> str:
        """As an atlas writes it."""
        lat = [
            f"{abs(y):g}°{'S' if y < 0 else 'N'}" if y else "0°" for y in (self.south, self.north)
        ]
        lon = [_meridian(x) for x in (self.west, self.east)]
        return "-".join(lat) + ", " + ("all longitudes" if self.width == 360 else "-".join(lon))


def _meridian(x: float) -> str:
    """Name of a meridian."""
    east = (x + 180) % 360 - 180
    return f"{abs(east):g}°{'W' if east < 0 else 'E'}"


#: The whole earth.
GLOBE = Box(-90.0, 90.0, 0.0, 360.0)


def box_of(region: Any, problems: Problems) -> Box | None:
    """Box of an argument ``region``: (south, north, west, east); the globe for None."""
    if region is None:
        return GLOBE
    if isinstance(region, Box):
        return region
    try:
        south, north, west, east = (float(x) for x in region)
    except (TypeError, ValueError):
        south = north = west = east = np.nan
    if not -90 <= south < north <= 90 or not np.isfinite([west, east]).all() or west == east:
        problems.add(
            "region= is no box",
            found=repr(region)[:200],
            expected="(south, north, west, east) in degrees, south < north",
        )
        return None
    return Box(south, north, west, east)


def box_area(grid: Grid, box: Box) -> np.ndarray:
    """Area of the part of each cell that lies in a box, in m², shape (ny, nx).

    A missing axis counts as one degree that lies in the box.

    Examples
    --------
    >>> grid = Grid(None, np.array([-6.0, -2.0, 2.0, 6.0]), np.arange(2.0, 360, 4), cyclic=True)
    >>> box = Box(-5, 5, 190, 240)
    >>> bool(np.isclose(box_area(grid, box).sum(), box.area))
    True
    """
    north, east = grid.lat_edges, grid.lon_edges
    rows, columns = np.deg2rad(np.ones(1)), np.ones(1)
    if north is not None:
        rows = np.diff(np.sin(np.deg2rad(np.clip(north, box.south, box.north))))
    if east is not None:
        columns = np.zeros(east.size - 1)
        west = box.west % 360
        for turn in (-720, -360, 0, 360, 720):
            start = west + turn
            columns += np.diff(np.clip(east, start, start + box.width))
    return EARTH_RADIUS**2 * rows[:, None] * np.deg2rad(columns)[None, :]


def area_weights(
    field: Field, box: Box, problems: Problems, *, partial: bool = False, what: str = "region"
) -> xr.DataArray | None:
    """Area of the part of each cell in a box, or a problem where the domain does not hold it."""
    grid = field.grid
    area = box_area(grid, box)
    covered = float(area.sum()) / box.area if grid.lat is not None and grid.lon is not None else 1.0
    if not area.sum() > 0:
        problems.add(
            f"the {what} lies outside of the domain", found=str(grid), expected=f"cells in {box}"
        )
        return None
    if box != GLOBE and covered < WHOLE and not partial:
        problems.add(
            f"the domain holds {covered:.0%} of the {what} only",
            found=str(grid),
            expected=str(box),
            todo="partial=True takes what there is",
        )
        return None
    dims = tuple(d for d in ("lat", "lon") if d in grid.dims)
    shape = tuple(getattr(grid, d).size for d in dims)
    return xr.DataArray(area.reshape(shape), dims=dims, coords={d: getattr(grid, d) for d in dims})


def sea_of(values: xr.DataArray) -> xr.DataArray:
    """Cells that hold a value at any time, in any member."""
    lead = [d for d in ("member", "time") if d in values.dims]
    return values.notnull().any(lead)


def area_mean(values: xr.DataArray, area: xr.DataArray) -> xr.DataArray:
    """Mean over latitude and longitude, weighted by area.

    Over the cells that are known at a time; missing where that is less than half of the
    sea, which is what is known at any time.
    """
    known = xr.dot(values.notnull(), area, dim=area.dims)
    total = xr.dot(sea_of(values), area, dim=area.dims)
    mean = xr.dot(values.fillna(0.0), area, dim=area.dims) / known.where(known > 0)
    return mean.where((known >= ENOUGH * total) & (total > 0))


# ---- the vertical


def depth_edges(field: Field) -> np.ndarray:
    """Edges of the levels in metres, shape (nz + 1,).

    By the CF bounds of the depth axis where a Dataset holds them (a DataArray cannot),
    else midway between the levels, which is said in the log.  The first cell reaches the
    surface if less than half of its thickness is missing.
    """
    edges = _bounds(field)
    if edges is None:
        edges = field.grid.depth_edges
        assert edges is not None  # asked for with a depth axis alone
        logger.info("no bounds of %r: cells end midway between levels", field.layout.axes.depth)
    if edges[0] < 0.5 * (edges[1] - edges[0]):
        edges = np.concatenate([[0.0], edges[1:]])
    return edges


def _bounds(field: Field) -> np.ndarray | None:
    """Edges by the bounds of the depth axis, None where there are none that fit together."""
    axis = field.array[field.layout.axes.depth]
    name = axis.attrs.get("bounds")
    if not isinstance(field.original, xr.Dataset) or name not in field.original:
        return None
    given = unit_tools.dequantify(field.original[name])
    if given.ndim != 2 or given.shape[0] != axis.size or given.shape[1] != 2:
        return None
    columns = []
    for side in (0, 1):
        column = given[:, side].drop_vars(list(given.coords))
        # bounds need no attributes of their own
        column.attrs = {**axis.attrs, **column.attrs, "units": unit_tools.unit_of(axis)}
        columns.append(read_depth(column, Problems("bounds"), []))
    if any(c is None for c in columns):
        return None
    pairs = np.sort(np.stack(columns, axis=1), axis=1)[field.layout.order["depth"]]  # type: ignore[arg-type]
    if not np.allclose(pairs[1:, 0], pairs[:-1, 1], rtol=1e-4, atol=1e-2):
        return None
    return np.append(pairs[:, 0], pairs[-1, 1])


def layer_thickness(
    field: Field, layer: Any, problems: Problems, *, partial: bool = False
) -> xr.DataArray | None:
    """Thickness of the part of each level in a layer, in metres, or a problem.

    Parameters
    ----------
    field : Field
        With a depth axis.
    layer : (float, float)
        Upper and lower limit, in metres.
    problems : Problems
    partial : bool
        Accept levels that do not reach through the layer.
    """
    try:
        top, bottom = map(float, layer)
    except (TypeError, ValueError):
        top = bottom = np.nan
    if not 0 <= top < bottom < np.inf:
        problems.add(
            "depth= is no layer",
            found=repr(layer),
            expected="(upper, lower) limit in metres, such as (0, 700)",
        )
        return None
    edges = depth_edges(field)
    first, last = float(edges[0]), float(edges[-1])
    if last <= top or first >= bottom:
        problems.add(
            f"no level lies within {top:g} to {bottom:g} m",
            found=f"levels from {first:g} to {last:g} m",
        )
        return None
    slack = 1e-3 * (bottom - top)
    if (last < bottom - slack or first > top + slack) and not partial:
        problems.add(
            f"the levels do not reach through the layer of {top:g} to {bottom:g} m",
            found=f"they reach from {first:g} to {last:g} m (edges of the outermost cells)",
            todo=f"depth=({max(top, first):g}, {min(bottom, last):g}), or partial=True for what "
            "there is",
        )
        return None
    inside = np.diff(np.clip(edges, top, bottom))
    return xr.DataArray(inside, dims="depth", coords={"depth": field.grid.depth})


def through_layer(values: xr.DataArray, thickness: xr.DataArray) -> xr.DataArray:
    """Integral over the sea of a layer; missing where a value of its sea is.

    A cell is sea if it holds a value at any time.  Land above sea within the layer, as
    under an ice shelf or at a level that a mooring lacks, leaves the column missing, too.

    Parameters
    ----------
    values : DataArray
        With dimension depth: the levels of the layer.
    thickness : DataArray, shape (depth,)
        Of these levels, positive.
    """
    sea = sea_of(values)
    floor_below = sea.isel(depth=slice(None, None, -1)).cumsum("depth") > 0
    whole = (sea == floor_below.isel(depth=slice(None, None, -1))).all("depth")
    column = sea.any("depth") & whole
    lacking = (values.isnull() & sea).any("depth")
    return xr.dot(values.fillna(0.0), thickness, dim="depth").where(column & ~lacking)
