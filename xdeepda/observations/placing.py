"""Where points belong: the cycle and the cell of each row, block by block.

Blocks of rows fit into the cache and go to a few threads; the numbers do not
depend on either.  Knows positions, grid and cycles; no values.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, TypeVar

import numpy as np

from xdeepda.calendar import Cycle
from xdeepda.grid import Grid

T = TypeVar("T")

#: On a grid without a depth axis, observations shallower than this are used (m).
SURFACE = 10.0

#: What becomes of a row, in the order in which it is decided.
FATES = (
    "used",
    "without a value",
    "flagged as bad",
    "of a variable that the model does not have",
    "outside of the period",
    "outside of the area",
    "outside of the depths",
    "on land",
    "withheld",
    "thinned out",
)
USED, EMPTY, FLAGGED, UNKNOWN, PERIOD, AREA, DEPTH, LAND, WITHHELD, THINNED = range(len(FATES))

#: Rows of a block.
BLOCK = 2**17
#: More threads than this wait for memory.
_THREADS = 4

#: Nanoseconds of the units of datetime64 that a day is a whole number of.
_TICKS = {"ns": 1, "us": 1_000, "ms": 1_000_000, "s": 1_000_000_000}


class Positions(NamedTuple):
    """Where and when, one entry per row."""

    time: np.ndarray
    depth: np.ndarray
    latitude: np.ndarray
    longitude: np.ndarray

    def part(self, rows: slice) -> Positions:
        """Some of the rows."""
        return Positions(*(column[rows] for column in self))


def in_blocks(size: int, work: Callable[[slice], None]) -> None:
    """Call `work` for blocks of rows, in a few threads."""
    blocks = [slice(start, min(start + BLOCK, size)) for start in range(0, size, BLOCK)]
    in_threads(blocks, work)


def in_threads(items: Sequence[T], work: Callable[[T], None]) -> None:
    """Call `work` for every item, in a few threads; the first error is raised."""
    threads = min(_THREADS, os.cpu_count() or 1, len(items))
    if threads < 2:
        for item in items:
            work(item)
        return
    with ThreadPoolExecutor(threads) as pool:
        for _ in pool.map(work, items):
            pass


def place(
    positions: Positions,
    grid: Grid,
    cycle: Cycle,
    variable: np.ndarray,
    wet: np.ndarray,
    fate: np.ndarray,
    period: tuple[int, int] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Cycle number and flat cell of each row; sets the fate of those that have none.

    Parameters
    ----------
    positions : Positions, shape (n,)
    grid, cycle, period
        As :func:`xdeepda.observations.bin_points`.
    variable : numpy.ndarray of int, shape (n,)
        Position of the variable in the model.
    wet : numpy.ndarray of bool, shape (variable, nz, ny, nx)
    fate : numpy.ndarray of int8, shape (n,)
        Changed in place; rows that are not 0 on entry are not looked at.

    Returns
    -------
    number, cell : numpy.ndarray of int64, shape (n,)
        Meaningful where the fate is 0 (used).
    """
    number = np.zeros(fate.size, dtype=np.int64)
    cell = np.zeros(fate.size, dtype=np.int64)
    nz, ny, nx = grid.shape
    vertical = Grid(grid.depth, None, None)
    horizontal = Grid(None, grid.lat, grid.lon, grid.cyclic)
    sea = wet.reshape(-1)
    numbers = CycleNumbers(cycle)

    def work(rows: slice) -> None:
        here, own = positions.part(rows), fate[rows]
        found, flat = number[rows], cell[rows]
        alive = own == USED
        if alive.all():
            found[:] = numbers(here.time)
        else:
            found[alive] = numbers(here.time[alive])
        if period is not None:
            own[alive & ((found < period[0]) | (found > period[1]))] = PERIOD
        level = vertical.locate(here.depth, 0.0, 0.0)
        if grid.depth is None:
            level = np.where(here.depth > SURFACE, -1, 0)
        column = horizontal.locate(0.0, here.latitude, here.longitude)
        own[(own == USED) & (column < 0)] = AREA
        own[(own == USED) & (level < 0)] = DEPTH
        flat[:] = variable[rows]
        flat *= nz
        flat += level
        flat *= ny * nx
        flat += column
        alive = np.flatnonzero(own == USED)
        own[alive[~sea[flat[alive]]]] = LAND

    in_blocks(fate.size, work)
    return number, cell


class CycleNumbers:
    """Absolute cycle numbers of times; each year of datetime64 is looked up only once.

    Parameters
    ----------
    cycle : Cycle

    Examples
    --------
    >>> CycleNumbers(Cycle("month"))(np.array(["2001-03-16"], dtype="datetime64[ns]"))
    array([24014])
    """

    def __init__(self, cycle: Cycle) -> None:
        self.cycle = cycle
        # first day and numbers from it on, as one: threads may look while another one widens it
        self._known = (0, np.zeros(0, dtype=np.int64))

    def __call__(self, times: np.ndarray) -> np.ndarray:
        """Numbers of times, int64, shape (n,)."""
        if times.size == 0:
            return np.zeros(0, dtype=np.int64)
        unit, step = np.datetime_data(times.dtype) if times.dtype.kind == "M" else ("", 0)
        if times.size < 1000 or unit not in _TICKS or step != 1 or not times.dtype.isnative:
            return self.cycle.index(times)
        days = times.view(np.int64) // (86_400_000_000_000 // _TICKS[unit])
        low, high = int(days.min()), int(days.max())
        if high - low > 10**6:
            return self.cycle.index(times)
        first, table = self._days(low, high)
        return table[days - first]

    def _days(self, low: int, high: int) -> tuple[int, np.ndarray]:
        """First day and numbers of a range of days that holds these."""
        first, table = self._known
        if first <= low and high < first + table.size:
            return first, table
        if table.size:
            low, high = min(low, first), max(high, first + table.size - 1)
        low, high = low - 366, high + 366
        every = np.arange(low, high + 1).astype("datetime64[D]").astype("datetime64[s]")
        self._known = low, self.cycle.index(every)
        return self._known


def cycle_numbers(times: np.ndarray, cycle: Cycle) -> np.ndarray:
    """Absolute cycle numbers; each day is looked up only once where times are datetime64."""
    return CycleNumbers(cycle)(times)
