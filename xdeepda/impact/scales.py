"""Length scales of a field around a point; plain arrays.

The scale along an axis is the e-folding distance: how far from the point the field has
fallen to 1/e of its value there, linear between cell centres, and the mean of both
sides.  A side on which land or the edge comes first does not count.
"""

from __future__ import annotations

import numpy as np

from xdeepda.grid import EARTH_RADIUS, Grid


def e_folding(values: np.ndarray, distance: np.ndarray) -> float:
    """Distance at which values have fallen to 1/e of the first one.

    Parameters
    ----------
    values : numpy.ndarray, shape (n,)
        From the point on; NaN on land.
    distance : numpy.ndarray, shape (n,)
        From the point, increasing from 0.

    Returns
    -------
    float
        NaN where they do not fall so far before land or the end, or begin with 0.

    Examples
    --------
    >>> x = np.linspace(0, 5, 501)
    >>> round(e_folding(np.exp(-x / 1.5), x), 3)
    1.5
    """
    level = np.exp(-1.0)
    if not values.size or not np.isfinite(values[0]) or values[0] == 0:
        return np.nan
    relative = values / values[0]
    below = np.flatnonzero(~(relative > level))
    if not below.size or np.isnan(relative[below[0]]):
        return np.nan
    k = int(below[0])
    part = (relative[k - 1] - level) / (relative[k - 1] - relative[k])
    return float(distance[k - 1] + part * (distance[k] - distance[k - 1]))


def length_scales(field: np.ndarray, grid: Grid, cell: int) -> tuple[float, float, float]:
    """Zonal and meridional (km) and vertical (m) e-folding scales around a cell.

    Parameters
    ----------
    field : numpy.ndarray, shape (nz, ny, nx)
        NaN on land.
    grid : Grid
    cell : int
        Flat number.

    Returns
    -------
    tuple of float
        NaN for an axis that the grid does not have.
    """
    k, j, i = (int(n) for n in np.unravel_index(cell, grid.shape))
    km = EARTH_RADIUS / 1000.0
    zonal = meridional = vertical = np.nan
    if grid.lon is not None:
        east = grid.lon - grid.lon[i]
        # around the globe, the point lies in the middle
        east = np.mod(east + 180.0, 360.0) - 180.0 if grid.cyclic else east
        order = np.argsort(east)
        around = km * (1.0 if grid.lat is None else np.cos(np.deg2rad(grid.lat[j])))
        place = int(np.flatnonzero(order == i)[0])
        zonal = _both_sides(field[k, j, order], np.deg2rad(east[order]) * around, place)
    if grid.lat is not None:
        meridional = _both_sides(field[k, :, i], np.deg2rad(grid.lat) * km, j)
    if grid.depth is not None:
        vertical = _both_sides(field[:, j, i], grid.depth, k)
    return zonal, meridional, vertical


def _both_sides(values: np.ndarray, at: np.ndarray, place: int) -> float:
    """Mean of the e-folding distances to both sides of a place, of those that there are."""
    up = e_folding(values[place:], at[place:] - at[place])
    down = e_folding(values[place::-1], at[place] - at[place::-1])
    found = [side for side in (up, down) if np.isfinite(side)]
    return float(np.mean(found)) if found else np.nan
