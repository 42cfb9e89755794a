"""Fields of one regular grid on another: nothing is made up where a cell is not covered.

Each axis has a matrix of weights.  A cell that holds two or more centres of the other grid
takes the mean of what overlaps it; any other one the linear interpolation between the
nearest two centres.  A value is given only where everything that it is made of is in the
sea.  Knows grids and arrays; no labels.
"""

from __future__ import annotations

import numpy as np

from xdeepda.grid import Grid

#: A cell whose weights in the sea sum to less than this is not covered.
COVERED = 1 - 1e-6


class Regridder:
    """Brings fields from one grid to another.

    Parameters
    ----------
    source, target : Grid
        With the same axes.
    least : float
        A cell whose known weights sum to less has no value; by default all must be known.

    Examples
    --------
    >>> depth = np.array([5.0, 15.0, 25.0, 35.0])
    >>> fine, coarse = Grid(depth, None, None), Grid(np.array([10.0, 30.0]), None, None)
    >>> Regridder(fine, coarse)(np.arange(4.0).reshape(4, 1, 1)).ravel().tolist()
    [0.5, 2.5]
    """

    def __init__(self, source: Grid, target: Grid, least: float = COVERED) -> None:
        self.least = least
        self.same = not source.differences(target)
        if self.same:
            return
        one = np.ones((1, 1))
        self.depth = one if source.depth is None else _depth_weights(source, target)
        self.lat = one if source.lat is None else _lat_weights(source, target)
        self.lon = one if source.lon is None else _lon_weights(source, target)

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """Interpolate or average.

        Parameters
        ----------
        values : numpy.ndarray, shape (..., nz, ny, nx)
            NaN on land and wherever nothing is known.

        Returns
        -------
        numpy.ndarray of float64, shape (..., nz, ny, nx) of the target
        """
        if self.same:
            return values.astype(np.float64)
        there = np.isfinite(values)
        filled = self._apply(np.where(there, values, 0.0))
        covered = self._apply(there.astype(np.float64))
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(covered > self.least, filled / covered, np.nan)

    def _apply(self, values: np.ndarray) -> np.ndarray:
        """Product with the three matrices."""
        out = values @ self.lon.T
        out = self.lat @ out
        return np.einsum("kz,...zyx->...kyx", self.depth, out)


def _depth_weights(source: Grid, target: Grid) -> np.ndarray:
    """Weights from levels to levels; the first of the source reaches to the surface."""
    edges = source.depth_edges
    assert source.depth is not None
    assert target.depth is not None
    assert edges is not None
    if edges[0] < source.depth[0] - edges[0]:
        # midway edges miss the surface by less than half a level: 2, 5, 9 m
        edges = np.concatenate([[0.0], edges[1:]])
    return _weights(source.depth, edges, target.depth, target.depth_edges)


def _lat_weights(source: Grid, target: Grid) -> np.ndarray:
    """Weights from rows to rows; overlaps are areas on the sphere."""
    assert source.lat is not None
    assert target.lat is not None
    sines = [np.sin(np.deg2rad(e)) for e in (source.lat_edges, target.lat_edges) if e is not None]
    return _weights(
        source.lat, source.lat_edges, target.lat, target.lat_edges, sines=(sines[0], sines[1])
    )


def _lon_weights(source: Grid, target: Grid) -> np.ndarray:
    """Weights from columns to columns, around the globe."""
    assert source.lon is not None
    assert target.lon is not None
    edges, theirs = source.lon_edges, target.lon_edges
    assert edges is not None
    assert theirs is not None
    turns = (-360.0, 0.0, 360.0)
    if source.cyclic:
        # three turns of the source are one axis without a seam
        centres = np.concatenate([source.lon + turn for turn in turns])
        long = np.concatenate([edges[:-1] + turn for turn in turns] + [edges[-1:] + 360.0])
        wide = _weights(centres, long, target.lon, theirs)
        return wide.reshape(target.lon.size, 3, source.lon.size).sum(axis=1)
    # a regional source lies in one of the turns of the target
    found = [_weights(source.lon, edges, target.lon + t, theirs + t) for t in turns]
    best = np.argmax([w.sum(axis=1) for w in found], axis=0)
    return np.stack(found)[best, np.arange(target.lon.size)]


def _weights(
    source: np.ndarray,
    source_edges: np.ndarray | None,
    target: np.ndarray,
    target_edges: np.ndarray | None,
    sines: tuple[np.ndarray, np.ndarray] | None = None,
) -> np.ndarray:
    """Matrix (target, source): rows sum to 1 where the source covers the cell, else to less."""
    assert source_edges is not None
    assert target_edges is not None
    low, high = sines if sines is not None else (source_edges, target_edges)
    overlap = np.minimum(high[1:, None], low[None, 1:]) - np.maximum(
        high[:-1, None], low[None, :-1]
    )
    mean = np.maximum(overlap, 0.0) / np.diff(high)[:, None]
    held = (source >= target_edges[:-1, None]) & (source < target_edges[1:, None])
    several = held.sum(axis=1) >= 2
    return np.where(several[:, None], mean, _linear(source, source_edges, target))


def _linear(source: np.ndarray, edges: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Weights of linear interpolation; constant in the outer half cells, 0 beyond them."""
    weights = np.zeros((target.size, source.size))
    inside = (target >= edges[0] - 1e-9) & (target <= edges[-1] + 1e-9)
    rows = np.flatnonzero(inside)
    if source.size == 1:
        weights[rows, 0] = 1.0
        return weights
    left = np.clip(np.searchsorted(source, target[rows], side="right") - 1, 0, source.size - 2)
    share = (target[rows] - source[left]) / (source[left + 1] - source[left])
    share = np.clip(share, 0.0, 1.0)
    weights[rows, left] = 1.0 - share
    weights[rows, left + 1] += share
    return weights
