"""Drawing observations of simulated platforms in the cells of a grid.

Places the platforms of an era on a grid once (routes, sites, levels, errors) and
then draws the reports of one cycle after the other, in vectorised steps without
a loop over reports.  Knows grid and cycle; knows no data.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from xdeepda.calendar import Cycle
from xdeepda.grid import Grid
from xdeepda.observations.cells import CORRELATED
from xdeepda.observations.platforms import KM_PER_DEGREE, Platform, route_points
from xdeepda.observations.quantities import default_error

#: Half width in degrees of the equatorial band that a section without latitudes stands for.
BAND = 5.0
#: Places of a report between two: routes are sampled to a quarter of the way of an interval.
_PHASES = 4
#: Positions per degree at which drifting platforms are looked up in a table (about 1 km).
_PER_DEGREE = 100
#: Where more than one column in so many is observed, whole rows are faster than single ones.
_SPARSE = 8


@dataclass(frozen=True, eq=False)
class _Placed:
    """One kind of platform on a grid.

    Attributes
    ----------
    columns : numpy.ndarray of int32
        Of routes (routes, phases, reports) or sites (sites,): flat (ny, nx), the number
        of columns where outside.
    levels : list of numpy.ndarray
        Observed levels by variable; empty where the variable is not measured.
    variances : list of numpy.ndarray
        Error variance of one report at these levels, by variable.
    shares : list of float
        Share of the reports that measure the variable.
    """

    platform: Platform
    columns: np.ndarray
    levels: list[np.ndarray]
    variances: list[np.ndarray]
    shares: list[float]
    open_water: np.ndarray


class BoundSimulated:
    """Simulated platforms on a grid; see :meth:`xdeepda.observations.Network.on`.

    Parameters
    ----------
    platforms : sequence of Platform
    grid : Grid
    cycle : Cycle
    calendar : str
    kinds : sequence of str or None
        Kind of quantity of each variable.
    wet : numpy.ndarray of bool, shape (variable, nz, ny, nx)
    density, seed
        As :meth:`xdeepda.observations.Network.simulated`.
    """

    def __init__(
        self,
        platforms: Sequence[Platform],
        grid: Grid,
        cycle: Cycle,
        calendar: str,
        kinds: Sequence[str | None],
        wet: np.ndarray,
        *,
        density: float,
        seed: int,
    ) -> None:
        self.grid, self.cycle, self.calendar = grid, cycle, calendar
        self.kinds, self.density, self.seed = tuple(kinds), density, seed
        self._wet = wet.reshape(len(kinds), grid.shape[0], -1)
        self._rows, self._cols = self._tables()
        self._placed = [self._place(p) for p in platforms]

    def _columns(self, lat: np.ndarray, lon: np.ndarray, grid: Grid) -> np.ndarray:
        """Columns that hold positions, -1 outside."""
        column = np.broadcast_to(grid.locate(0.0, lat, lon), lat.shape)
        return np.where(np.abs(lat) <= BAND, column, -1) if self.grid.lat is None else column

    def _tables(self) -> tuple[np.ndarray, np.ndarray]:
        """Row and column of the grid by latitude and longitude in steps of 0.01 degrees."""
        lat = (np.arange(180 * _PER_DEGREE) + 0.5) / _PER_DEGREE - 90
        lon = (np.arange(360 * _PER_DEGREE) + 0.5) / _PER_DEGREE
        rows = self._columns(lat, np.full(lat.shape, np.nan), Grid(None, self.grid.lat, None))
        cols = Grid(None, None, self.grid.lon, self.grid.cyclic).locate(0.0, 0.0, lon)
        return rows, np.broadcast_to(cols, lon.shape)

    def _place(self, platform: Platform) -> _Placed:
        """Find columns, levels and errors of a platform."""
        horizontal = Grid(None, self.grid.lat, self.grid.lon, self.grid.cyclic)
        columns: np.ndarray = np.zeros(0, dtype=np.int32)
        if platform.motion == "route":
            lat, lon = route_points(platform, self.seed, _PHASES)
            columns = self._columns(lat.ravel(), lon.ravel(), horizontal)
            # points of the same phase side by side: a voyage is a range of them
            columns = columns.reshape(platform.routes, -1, _PHASES).swapaxes(1, 2)
        elif platform.motion == "fixed":
            lat, lon = np.array(platform.sites).T
            columns = self._columns(lat, lon, horizontal)
        depth = np.zeros(1) if self.grid.depth is None else self.grid.depth
        seen = platform.levels(self.grid.depth, self.grid.depth_edges)
        levels, variances, shares = [], [], []
        for kind in self.kinds:
            measured = kind is not None and kind in platform.instrument
            mine = seen if measured else seen[:0]
            error = default_error(kind, depth[mine]) if measured and kind else np.zeros(0)
            levels.append(mine)
            variances.append(
                error**2 + (platform.instrument[kind] ** 2 if kind and measured else 0)
            )
            shares.append(platform.share.get(kind or "", 1.0))
        columns = np.where(columns < 0, self._wet.shape[2], columns)
        return _Placed(platform, columns.astype(np.int32), levels, variances, shares,
                       self._open_water(platform.water))  # fmt: skip

    def _open_water(self, water: float) -> np.ndarray:
        """Columns with enough water, judged by the deepest level that is not deeper."""
        sea: np.ndarray = np.asarray(self._wet.any(axis=0))
        if self.grid.depth is None or water <= 0:
            return np.asarray(sea.any(axis=0))
        deep = np.flatnonzero(self.grid.depth <= water)
        return sea[deep[-1] if deep.size else 0]

    def measured(self) -> tuple[bool, ...]:
        """Whether any platform measures a variable, by variable."""
        return tuple(any(p.levels[v].size for p in self._placed) for v in range(len(self.kinds)))

    def draw(
        self, index: int, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Observed cells, errors and counts of one cycle, drawn anew.

        Parameters
        ----------
        index : int
            Absolute number of the cycle; sets its length only.
        rng : numpy.random.Generator

        Returns
        -------
        cell : numpy.ndarray of int64, shape (n,)
            Sorted flat numbers in (variable, nz, ny, nx), all in the sea.
        error : numpy.ndarray of float64, shape (n,)
            Standard deviation in K and psu.
        count : numpy.ndarray of int32, shape (n,)
            Reports in the cell.
        """
        days = float(self.cycle.days(index, self.calendar)[0])
        shape = self._wet.shape
        number, weight = np.zeros(shape), np.zeros(shape)
        for placed in self._placed:
            reports = self._reports(placed, days, rng) * placed.open_water
            for v, levels in enumerate(placed.levels):
                if levels.size:
                    mine = reports
                    if placed.shares[v] < 1:
                        mine = rng.binomial(reports, placed.shares[v])
                    _add(number[v], weight[v], levels, mine, placed.variances[v])
        cell = np.flatnonzero((number > 0) & self._wet)
        number, weight = number.reshape(-1)[cell], weight.reshape(-1)[cell]
        error = np.sqrt(number / weight * (CORRELATED + (1 - CORRELATED) / number))
        return cell, error, number.astype(np.int32)

    def _reports(self, placed: _Placed, days: float, rng: np.random.Generator) -> np.ndarray:
        """Reports of one kind of platform by column, shape (columns,)."""
        platform, size = placed.platform, self._wet.shape[2]
        if platform.motion == "route":
            return self._sail(placed, days, rng)
        if platform.motion == "drift":
            columns = self._drift(platform, days, rng)
            return np.bincount(columns[columns >= 0], minlength=size) * platform.repeats
        up = rng.random(placed.columns.size) < min(platform.rate * self.density, 1.0)
        reports = max(int(days / platform.interval), 1)
        return np.bincount(placed.columns[up], minlength=size + 1)[:size] * reports

    def _sail(self, placed: _Placed, days: float, rng: np.random.Generator) -> np.ndarray:
        """Reports of ships by column: voyages that begin at any time, cut by the cycle."""
        platform = placed.platform
        routes, phases, steps = placed.columns.shape
        starts = platform.rate * self.density * platform.area / steps
        voyages = rng.poisson(starts * (days + platform.duration))
        start = rng.uniform(-platform.duration, days, voyages) / platform.interval
        # reports first to last - 1 of the voyage fall into the cycle
        first = np.clip(np.ceil(-start), 0, steps).astype(np.int64)
        last = np.clip(np.ceil(days / platform.interval - start), 0, steps).astype(np.int64)
        back = rng.random(voyages) < 0.5
        first, last = np.where(back, steps - last, first), np.where(back, steps - first, last)
        length = last - first
        # the ranges of all voyages one after the other, without a loop
        track = rng.integers(routes * phases, size=voyages) * steps + first
        offset = np.cumsum(length) - length
        reports = np.repeat(track - offset, length) + np.arange(int(length.sum()))
        columns = self._wet.shape[2]
        return np.bincount(placed.columns.ravel()[reports], minlength=columns + 1)[:columns]

    def _drift(self, platform: Platform, days: float, rng: np.random.Generator) -> np.ndarray:
        """Columns of drifters and floats that move in a straight line, one per position."""
        mean = platform.rate * self.density * platform.area * platform.interval
        number = rng.poisson(mean / platform.repeats)
        lat, lon = platform.start_positions(rng, number)
        heading = 2 * np.pi * rng.random(number)
        time = platform.interval * (
            rng.random(number)[:, None] + np.arange(int(np.ceil(days / platform.interval)))
        )
        degrees = platform.speed / KM_PER_DEGREE
        slow = np.maximum(np.cos(np.deg2rad(lat)), 0.2)
        north = lat[:, None] + (degrees * np.cos(heading))[:, None] * time
        east = lon[:, None] + (degrees * np.sin(heading) / slow)[:, None] * time
        within = time < days
        row = ((north[within] + 90) * _PER_DEGREE).astype(np.int64)
        row = self._rows[np.clip(row, 0, self._rows.size - 1)]
        # drift is at most some degrees: the remainder needs positive longitudes only
        col = self._cols[((east[within] + 360) * _PER_DEGREE).astype(np.int64) % self._cols.size]
        return np.where((row >= 0) & (col >= 0), row * self.grid.shape[2] + col, -1)


def _add(
    number: np.ndarray,
    weight: np.ndarray,
    levels: np.ndarray,
    reports: np.ndarray,
    variance: np.ndarray,
) -> None:
    """Add reports by column, shape (columns,), at levels, to sums of shape (nz, columns)."""
    columns = np.flatnonzero(reports)
    whole = levels[-1] - levels[0] + 1 == levels.size
    if whole and columns.size * _SPARSE > reports.size:
        rows = slice(int(levels[0]), int(levels[-1]) + 1)
        number[rows] += reports
        weight[rows] += reports / variance[:, None]
        return
    at = (levels[:, None], columns)
    number[at] += reports[columns]
    weight[at] += reports[columns] / variance[:, None]
