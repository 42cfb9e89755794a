"""The observation operator H: from fields on the grid to points in space and time.

Trilinear in space, linear in time between the middles of the cycles.  Only cells
in the sea have weights, so that values (or NaN) on land never enter.  The weights
are plain arrays: whoever has a field gathers, multiplies and sums; with tensors
that is :mod:`xdeepda.core.interpolation`.  Knows numpy, the grid and cycles.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from xdeepda.calendar import Cycle, calendar_of
from xdeepda.errors import Problems
from xdeepda.grid import Grid
from xdeepda.observations.placing import SURFACE, cycle_numbers

#: Rows that are worked on at a time: the temporaries stay below 50 MB.
_BLOCK = 2**17


def interpolation_weights(
    grid: Grid, wet: np.ndarray, depth: Any, latitude: Any, longitude: Any
) -> tuple[np.ndarray, np.ndarray]:
    """Cells and weights that interpolate a field to points.

    Linear in depth, latitude and longitude between the eight surrounding cell
    centres; on a cyclic grid also across the seam.  Between the outermost centres
    and the edges of the grid the field is held constant.  The weight of a dry cell
    goes to the wet cells of its level, in proportion to their own; that of a level
    without any to the other level.  (The sea is stratified: a cast beside a slope
    would be read too high or too low if weights moved from one level to another
    while there is sea in both.)

    Parameters
    ----------
    grid : Grid
    wet : numpy.ndarray of bool, shape (nz, ny, nx)
        Of the variable.
    depth, latitude, longitude : array-like, shape (n,)
        Metres positive down, degrees.  What belongs to a missing axis is ignored;
        without a depth axis points below 10 m are out of reach.

    Returns
    -------
    index : numpy.ndarray of int64, shape (n, 8)
        Flat cells in (nz, ny, nx).  Where the weight is 0 a cell of the same row
        with a weight stands, so that no land is touched.
    weight : numpy.ndarray of float64, shape (n, 8)
        Each row sums to 1, or is 0 where no sea is in reach: outside of the edges
        of the grid, a position that is NaN, dry cells all around.

    Raises
    ------
    InputError
        If `wet` is not on the grid.

    Examples
    --------
    >>> grid = Grid(None, None, np.array([0.0, 10.0, 20.0]))
    >>> index, weight = interpolation_weights(grid, np.ones((1, 1, 3), bool), 0.0, 0.0, [2.5])
    >>> float((np.array([0.0, 100.0, 200.0])[index] * weight).sum())
    25.0
    """
    wet = np.asarray(wet, dtype=bool)
    if wet.shape != grid.shape:
        problems = Problems("interpolation")
        problems.add("the mask is not on the grid", found=f"{wet.shape}", expected=f"{grid.shape}")
        problems.raise_if_any()
    parts = (np.atleast_1d(np.asarray(x, dtype=np.float64)) for x in (depth, latitude, longitude))
    z, y, x = np.broadcast_arrays(*parts)
    index = np.zeros((z.size, 8), dtype=np.int64)
    weight = np.zeros((z.size, 8))
    for start in range(0, z.size, _BLOCK):
        part = slice(start, start + _BLOCK)
        index[part], weight[part] = _block(grid, wet, z[part], y[part], x[part])
    return index, weight


def _block(
    grid: Grid, wet: np.ndarray, depth: np.ndarray, lat: np.ndarray, lon: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Cells and weights of some points."""
    _, ny, nx = grid.shape
    k, vertical = _between(depth, grid.depth, grid.depth_edges)
    if grid.depth is None:
        vertical[depth > SURFACE] = 0.0
    j, north = _between(lat, grid.lat, grid.lat_edges)
    i, east = _between(lon, grid.lon, grid.lon_edges, longitude=True, cyclic=grid.cyclic)
    row = j[:, None, :, None] * nx + i[:, None, None, :]
    cell = k[:, :, None, None] * (ny * nx) + row  # (n, 2, 2, 2)
    around = north[:, None, :, None] * east[:, None, None, :] * wet.reshape(-1)[cell]
    level = around.sum(axis=(2, 3), keepdims=True)
    around = np.divide(around, level, out=np.zeros(cell.shape), where=level > 0)
    down = vertical * (level[:, :, 0, 0] > 0)
    total = down.sum(axis=1, keepdims=True)
    down = np.divide(down, total, out=np.zeros(down.shape), where=total > 0)
    weight = (around * down[:, :, None, None]).reshape(-1, 8)
    cell = cell.reshape(-1, 8)
    best = np.take_along_axis(cell, weight.argmax(axis=1)[:, None], axis=1)
    return np.where(weight > 0, cell, best), weight


def _between(
    values: np.ndarray,
    centres: np.ndarray | None,
    edges: np.ndarray | None,
    *,
    longitude: bool = False,
    cyclic: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """Two neighbours along an axis and their weights, shapes (n, 2); weights 0 outside."""
    place = np.zeros((values.size, 2), dtype=np.int64)
    weight = np.zeros((values.size, 2))
    if centres is None or edges is None:
        weight[:, 0] = 1.0
        return place, weight
    if longitude:
        values = edges[0] + np.mod(values - edges[0], 360.0)
    inside = (values >= edges[0]) & (values <= edges[-1])
    axis = centres
    if cyclic:
        axis = np.concatenate([[centres[-1] - 360], centres, [centres[0] + 360]])
    at = np.clip(np.where(inside, values, axis[0]), axis[0], axis[-1])
    low = np.clip(np.searchsorted(axis, at, side="right") - 1, 0, max(axis.size - 2, 0))
    high = np.minimum(low + 1, axis.size - 1)
    width = np.where(high > low, axis[high] - axis[low], 1.0)
    fraction = (at - axis[low]) / width
    shift = 1 if cyclic else 0
    place[:, 0], place[:, 1] = (low - shift) % centres.size, (high - shift) % centres.size
    weight[:, 0], weight[:, 1] = inside * (1 - fraction), inside * fraction
    return place, weight


def cycle_weights(
    times: Any, cycle: Cycle, *, period: tuple[int, int] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Two cycles and weights that interpolate to times, linearly between their middles.

    Parameters
    ----------
    times : array-like of datetime64 or cftime, shape (n,)
    cycle : Cycle
    period : (int, int), optional
        First and last cycle that exist: before the middle of the first and after
        that of the last the field is held constant.

    Returns
    -------
    number : numpy.ndarray of int64, shape (n, 2)
        Absolute numbers of consecutive cycles (the same one twice where a field is
        held constant).
    weight : numpy.ndarray of float64, shape (n, 2)
        Rows sum to 1; 0 for times that are missing or in no cycle of `period`.

    Examples
    --------
    >>> number, weight = cycle_weights(np.array(["2001-02-01"], "M8[s]"), Cycle("month"))
    >>> number
    array([[24012, 24013]])
    """
    values = np.atleast_1d(np.asarray(times))
    number = np.zeros((values.size, 2), dtype=np.int64)
    weight = np.zeros((values.size, 2))
    known = _known(values)
    if not known.any():
        return number, weight
    there = values[known]
    own = cycle_numbers(there, cycle)
    first = int(own.min()) - 1
    middles = cycle.middle(np.arange(first, int(own.max()) + 2), calendar_of(there))
    second, centre = _seconds(there, middles[0]), _seconds(middles, middles[0])
    low = own - (second < centre[own - first])
    fraction = (second - centre[low - first]) / (centre[low + 1 - first] - centre[low - first])
    pair, share = np.stack([low, low + 1], axis=1), np.stack([1 - fraction, fraction], axis=1)
    if period is not None:
        share[(own < period[0]) | (own > period[1])] = 0.0
        pair = np.clip(pair, *period)
    number[known], weight[known] = pair, share
    return number, weight


def _known(times: np.ndarray) -> np.ndarray:
    """Whether each time is one."""
    if times.dtype.kind == "M":
        return ~np.isnat(times)
    return np.array([hasattr(t, "calendar") for t in times], dtype=bool)


def _seconds(times: np.ndarray, origin: Any) -> np.ndarray:
    """Seconds since a time of the same calendar."""
    if times.dtype.kind == "M":
        return (times - origin) / np.timedelta64(1, "s")
    return np.array([(t - origin).total_seconds() for t in times])


@dataclass(frozen=True, eq=False)
class PointOperator:
    """H in space for one variable: values of a field at points, and the transpose.

    Attributes
    ----------
    index : numpy.ndarray of int64, shape (n, 8)
        Flat cells in (nz, ny, nx).
    weight : numpy.ndarray of float64, shape (n, 8)
    shape : (int, int, int)
        Of the field.

    Examples
    --------
    >>> grid = Grid(None, np.array([0.0, 1.0]), np.array([0.0, 1.0]))
    >>> field = np.array([[[0.0, 1.0], [2.0, 3.0]]])
    >>> PointOperator.on(grid, field < 9, 0.0, [0.5, 60.0], [0.5, 0.0]).apply(field)
    array([1.5, nan])
    """

    index: np.ndarray
    weight: np.ndarray
    shape: tuple[int, int, int]

    @classmethod
    def on(
        cls, grid: Grid, wet: np.ndarray, depth: Any, latitude: Any, longitude: Any
    ) -> PointOperator:
        """Operator of a grid, its sea and points; see :func:`interpolation_weights`."""
        index, weight = interpolation_weights(grid, wet, depth, latitude, longitude)
        return cls(index, weight, grid.shape)

    @property
    def reached(self) -> np.ndarray:
        """Whether there is sea in reach of each point, shape (n,)."""
        return np.asarray(self.weight.any(axis=1))

    def apply(self, field: np.ndarray) -> np.ndarray:
        """Values at the points.

        Parameters
        ----------
        field : numpy.ndarray, shape (..., nz, ny, nx)
            Finite in the sea.

        Returns
        -------
        numpy.ndarray of float64, shape (..., n)
            NaN where no sea is in reach.
        """
        flat = field.reshape(*field.shape[: field.ndim - 3], -1)
        out = np.zeros((*flat.shape[:-1], len(self.index)))
        for corner in range(8):  # corner by corner: no copy of eight times the points
            out += flat[..., self.index[:, corner]] * self.weight[:, corner]
        out[..., ~self.reached] = np.nan
        return out

    def adjoint(self, values: np.ndarray) -> np.ndarray:
        """Transpose: what points put onto the cells.

        Parameters
        ----------
        values : numpy.ndarray, shape (n,)
            Ignored where no sea is in reach.

        Returns
        -------
        numpy.ndarray of float64, shape (nz, ny, nx)
        """
        part = np.where(self.reached, values, 0.0)[:, None] * self.weight
        size = int(np.prod(self.shape))
        flat = np.bincount(self.index.reshape(-1), part.reshape(-1), minlength=size)
        return flat.reshape(self.shape)
