"""Land flooded smoothly from the sea around it, level by level.

Every cell without a value becomes the mean of its neighbours, weighted as heat is conducted
on the sphere: the solution of Laplace's equation with the sea as its boundary.  It has no
extremes of its own, is continuous at the coast, and of a constant field it is the constant.

Knows grids and arrays; no labels.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import splu

from xdeepda.grid import Grid

#: Cosine of the latitude at least: a row at a pole is one point, of finite conductance.
_NARROWEST = 1e-3


class Flood:
    """Fills what is missing on the levels of a grid.

    Parameters
    ----------
    grid : Grid

    Examples
    --------
    >>> flood = Flood(Grid(None, None, np.array([0.0, 1.0, 2.0, 3.0])))
    >>> flood(np.array([[[1.0, np.nan, np.nan, 4.0]]])).ravel().round(9).tolist()
    [1.0, 2.0, 3.0, 4.0]
    """

    def __init__(self, grid: Grid) -> None:
        self.conductance = conductances(grid)
        #: Of each level: the mask that was met last, and what solves for its land.
        self._solvers: dict[int, tuple[np.ndarray, Any]] = {}

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """Fill levels.

        Parameters
        ----------
        values : numpy.ndarray, shape (nz, ny, nx)
            NaN where something is to be filled in.

        Returns
        -------
        numpy.ndarray of float64, shape (nz, ny, nx)
            A level without any value stays without.
        """
        # in rows, whatever the order in memory was: levels are changed in place
        out = np.array(values, dtype=np.float64, order="C")
        for k, level in enumerate(out.reshape(len(out), -1)):
            land = ~np.isfinite(level)
            if land.any() and not land.all():
                level[land] = self._solver(k, land).solve(self._sea_around(level, land))
        return out

    def _sea_around(self, level: np.ndarray, land: np.ndarray) -> np.ndarray:
        """What the sea conducts into each cell of the land."""
        return np.asarray(self.conductance[land] @ np.where(land, 0.0, level))

    def _solver(self, k: int, land: np.ndarray) -> Any:
        """Factorised equations of the land of a level; masks seldom change from time to time."""
        known = self._solvers.get(k)
        if known is None or not np.array_equal(known[0], land):
            inner = self.conductance[land]
            total = np.asarray(inner.sum(axis=1)).ravel()
            known = land.copy(), splu((sparse.diags(total) - inner[:, land]).tocsc())
            self._solvers[k] = known
        return known[1]


def conductances(grid: Grid) -> sparse.csr_matrix:
    """Conductances between neighbouring cells of a level: width of their border / distance.

    Returns
    -------
    scipy.sparse.csr_matrix, shape (ny nx, ny nx)
        Symmetric; degrees of latitude, a missing axis counts as the equator.
    """
    _, ny, nx = grid.shape
    number = np.arange(ny * nx).reshape(ny, nx)
    lat = np.zeros(1) if grid.lat is None else grid.lat
    height = np.ones(1) if grid.lat_edges is None else np.diff(grid.lat_edges)
    width = np.ones(1) if grid.lon_edges is None else np.diff(grid.lon_edges)
    pairs = []
    if grid.lon is not None and nx > 1:
        east = np.roll(number, -1, axis=1)
        across = (np.roll(grid.lon, -1) - grid.lon) % 360
        eastward = height[:, None] / (_cosine(lat)[:, None] * across[None, :])
        last = nx if grid.cyclic else nx - 1
        pairs.append((number[:, :last], east[:, :last], eastward[:, :last]))
    if ny > 1:
        between = _cosine((lat[1:] + lat[:-1]) / 2)
        northward = between[:, None] * width[None, :] / np.diff(lat)[:, None]
        pairs.append((number[:-1], number[1:], northward))
    rows, columns, weight = (
        np.concatenate([p[n].ravel() for p in pairs]) if pairs else np.zeros(0) for n in range(3)
    )
    half = sparse.coo_matrix((weight, (rows, columns)), shape=(ny * nx, ny * nx))
    return (half + half.T).tocsr()


def _cosine(lat: np.ndarray) -> np.ndarray:
    """Cosine of latitudes in degrees, not quite 0 at the poles."""
    return np.maximum(np.cos(np.deg2rad(lat)), _NARROWEST)
