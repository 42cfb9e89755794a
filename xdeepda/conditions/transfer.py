"""Fields of one grid on another, everywhere: nothing of the land is mixed in.

First the land of the source is flooded from its sea, then the levels are interpolated, or
averaged where the target is coarser.  What the source does not reach at all is told apart:
levels below it continue its deepest one, and places beyond it are flooded from its border.

A value of the source is the mean of a cell.  A straight line between the means of thick
levels has other means, warmer ones in a thermocline.  Hence the lines are drawn between
values that give the means back, as far as that makes no new extremes (Killworth 1996,
doi:10.1175/1520-0485(1996)026<1104:TIOATC>2.0.CO;2, does so in time).

Knows grids and arrays; no labels.
"""

from __future__ import annotations

import numpy as np

from xdeepda.conditions.flooding import Flood
from xdeepda.grid import Grid
from xdeepda.verification.regrid import Regridder

#: A cell of the target of which the source's domain holds less lies beyond it.
HELD = 0.5
#: Share of a level that the target must cover for its mean to be kept.
COVERED = 0.75
#: Part of the step between the outermost two levels by which the outermost may change.
OUTWARD = 0.25
#: Corrections of the values: each leaves a fifth of what the one before left, about.
ROUNDS = 3


class Transfer:
    """Brings fields from one grid to another.

    Parameters
    ----------
    source, target : Grid
        With the same axes.
    edges : (numpy.ndarray, numpy.ndarray), optional
        Edges of the levels of both, in metres; midway between levels by default.

    Attributes
    ----------
    depth, lat, lon : numpy.ndarray of bool
        Which levels, rows and columns of the target lie within the domain of the source.

    Examples
    --------
    >>> source = Grid(np.array([5.0, 15.0]), None, None)
    >>> transfer = Transfer(source, Grid(np.array([10.0, 50.0]), None, None))
    >>> transfer(np.array([4.0, 2.0]).reshape(2, 1, 1)).ravel().tolist()
    [3.0, 3.0]
    >>> transfer.depth.tolist()
    [True, False]
    """

    def __init__(
        self,
        source: Grid,
        target: Grid,
        edges: tuple[np.ndarray | None, np.ndarray | None] = (None, None),
    ) -> None:
        self._flood, self._beyond = Flood(source), Flood(target)
        # held by half along each of three axes
        self._regrid = Regridder(source, target, least=HELD**3)
        sizes = dict(zip(("depth", "lat", "lon"), target.shape, strict=True))
        self.depth, self.lat, self.lon = (
            np.ones(size, bool)
            if self._regrid.same
            else getattr(self._regrid, axis).sum(axis=1) > HELD
            for axis, size in sizes.items()
        )
        mine, theirs = (
            e if e is not None else g.depth_edges
            for e, g in zip(edges, (source, target), strict=True)
        )
        self._means: np.ndarray | None = None
        if not self._regrid.same and mine is not None and theirs is not None:
            self._means = _means_after(self._regrid.depth, mine, theirs)

    @property
    def within(self) -> np.ndarray:
        """Cells of the target within the domain of the source, shape (nz, ny, nx)."""
        return self.depth[:, None, None] & self.lat[:, None] & self.lon

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """Bring a field over.

        Parameters
        ----------
        values : numpy.ndarray, shape (nz, ny, nx)
            NaN on land; at least one value on each level.

        Returns
        -------
        numpy.ndarray of float64, shape (nz, ny, nx) of the target
            A value in each cell, land and what is beyond the source included.
        """
        out = np.where(self.within, self._regrid(self.between(self._flood(values))), np.nan)
        if self.within.all():
            return out
        return self._beyond(out[self.nearest_level()])

    def between(self, values: np.ndarray) -> np.ndarray:
        """Values between which straight lines have the means that are given.

        Parameters
        ----------
        values : numpy.ndarray, shape (nz, ny, nx)
            Means of the cells of the source, all finite or missing on whole levels.
        """
        if self._means is None or len(values) < 2:
            return values
        # the outermost levels continue to their edges, less steeply than to their neighbours,
        # and not to values that they have nowhere: sea must not become colder than it freezes
        outer = values[[0, -1]]
        limits = outer.min(axis=(1, 2), keepdims=True), outer.max(axis=(1, 2), keepdims=True)
        ends = np.clip(outer + OUTWARD * (outer - values[[1, -2]]), *limits)
        above = np.concatenate([ends[:1], values[:-1]])
        below = np.concatenate([values[1:], ends[1:]])
        low, high = np.minimum(above, below), np.maximum(above, below)
        low, high = np.minimum(low, values), np.maximum(high, values)
        out = values
        for _ in range(ROUNDS):
            missed = values - np.einsum("ij,jyx->iyx", self._means, out)
            out = np.clip(out + missed, low, high)
        return out

    def nearest_level(self) -> np.ndarray:
        """For each level of the target the nearest one that the source reaches."""
        reached = np.flatnonzero(self.depth)
        every = np.arange(self.depth.size)
        return np.asarray(reached[np.argmin(np.abs(every[:, None] - reached), axis=1)])

    def share(self, there: np.ndarray) -> np.ndarray:
        """Share of sea in what each cell is made of.

        Parameters
        ----------
        there : numpy.ndarray of bool, shape (nz, ny, nx)
            Where the source has values.

        Returns
        -------
        numpy.ndarray of float64, shape (nz, ny, nx) of the target
            1 in the open sea, 0 where everything was flooded or lies beyond the source.
        """
        found = self._regrid(there.astype(np.float64))
        return np.clip(np.where(self.within, found, 0.0), 0.0, 1.0)


def _means_after(weights: np.ndarray, mine: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """Matrix from values at the levels of the source to the means over them on the target.

    Parameters
    ----------
    weights : numpy.ndarray, shape (target, source)
        Of the interpolation.
    mine, theirs : numpy.ndarray
        Edges of the levels of source and target.

    Returns
    -------
    numpy.ndarray, shape (source, source)
        A row of the identity for levels that the target does not cover.
    """
    reached = weights.sum(axis=1) > HELD
    share = overlaps(mine, theirs) * reached
    covered = share.sum(axis=1) / np.diff(mine)
    rows = weights / np.where(reached, weights.sum(axis=1), 1.0)[:, None]
    means = share @ rows / np.maximum(share.sum(axis=1), 1e-30)[:, None]
    return np.where((covered > COVERED)[:, None], means, np.eye(len(means)))


def overlaps(mine: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """Length that each of my intervals shares with each of theirs; (mine, theirs)."""
    high = np.minimum(mine[1:, None], theirs[None, 1:])
    return np.maximum(high - np.maximum(mine[:-1, None], theirs[None, :-1]), 0.0)
