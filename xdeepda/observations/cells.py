"""Superobservations in sparse form: one row for each observed cell and cycle.

Everything inside the package passes observations on in this form.  The module
combines what falls into one cell, and knows the way to a gridded Dataset; the
ways from points and from gridded observations are in ``superob`` and
``gridded``.  Knows the canonical grid and cycles; no points.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr

from xdeepda import units as unit_tools
from xdeepda.calendar import Cycle
from xdeepda.errors import InputError, MemoryForeseenError, Problems
from xdeepda.grid import Grid, Layout
from xdeepda.observations.placing import BLOCK, in_blocks, in_threads
from xdeepda.observations.quantities import error_unit

#: Part of the error variance that observations of one cell and cycle have in common:
#: however many there are, half of the error of a single one remains.
CORRELATED = 0.25


_AXIS_ATTRS = {
    "depth": {"standard_name": "depth", "units": "m", "positive": "down", "axis": "Z"},
    "lat": {"standard_name": "latitude", "units": "degrees_north", "axis": "Y"},
    "lon": {"standard_name": "longitude", "units": "degrees_east", "axis": "X"},
}


@dataclass(frozen=True)
class Combined:
    """Result of :func:`combine`, one entry per key, sorted by key.

    Attributes
    ----------
    row_group : numpy.ndarray of int64
        For each row of the input, its entry here.
    """

    key: np.ndarray
    value: np.ndarray
    error: np.ndarray
    count: np.ndarray
    row_group: np.ndarray


def combine(
    key: np.ndarray,
    value: np.ndarray,
    error: np.ndarray,
    profile: np.ndarray,
    *,
    count: np.ndarray | None = None,
    rho: float = CORRELATED,
) -> Combined:
    """Combine the observations of each cell.

    The value is the mean weighted by 1/error².  The error of the combination of
    points with (harmonic) mean error variance s² from m profiles is

        error² = s² (rho + (1 - rho) / m),

    where rho is the part of the variance that is common to all of them: what
    the cell mean itself does not represent.  Points of one profile within a cell
    count once.  A single observation keeps its value and error to the bit.

    Parameters
    ----------
    key : numpy.ndarray of int64, shape (n,)
        Which cell of which cycle.
    value, error : numpy.ndarray, shape (n,)
    profile : numpy.ndarray of int64 or uint64, shape (n,)
        Rows of the same number are of the same profile.
    count : numpy.ndarray of int, shape (n,), optional
        Number of measurements that a row stands for; 1 by default.
    rho : float
        From 0 (independent errors) to 1 (more observations do not help).

    Returns
    -------
    Combined
    """
    if key.size == 0:
        nothing = np.zeros(0)
        zero = np.zeros(0, dtype=np.int64)
        return Combined(zero, nothing, nothing, zero.astype(np.int32), zero)
    order = _Order(key)
    groups = order.starts.size
    out = Combined(
        order.key, np.empty(groups), np.empty(groups), np.empty(groups, dtype=np.int32),
        np.empty(key.size, dtype=np.int64),
    )  # fmt: skip

    def work(part: slice) -> None:
        rows, starts = order.rows(part)
        sizes = np.diff(starts, append=rows.size)
        group = np.repeat(np.arange(sizes.size), sizes)
        out.row_group[rows] = group + part.start
        out.count[part] = sizes if count is None else np.add.reduceat(count[rows], starts)
        profiles = _distinct(profile[rows], group, starts)
        out.value[part], out.error[part] = _weighted(
            value[rows], error[rows], group, starts, sizes, profiles, rho
        )

    in_threads(order.blocks(), work)
    return out


class _Order:
    """Rows in the order of their keys, those of the same key in the order of the input.

    Key and row number are packed into one integer: to sort numbers is several
    times faster than to sort positions by numbers.

    Parameters
    ----------
    key : numpy.ndarray of int64, shape (n,), n > 0

    Attributes
    ----------
    key : numpy.ndarray of int64, shape (m,)
        The different keys.
    starts : numpy.ndarray of int64, shape (m,)
        First of the sorted rows of each key.
    """

    def __init__(self, key: np.ndarray) -> None:
        low, size = int(key.min()), key.size
        names = None
        self._bits = max(1, (size - 1).bit_length())
        if (int(key.max()) - low).bit_length() + self._bits > 63:
            names, key = np.unique(key, return_inverse=True)
            low = 0
        self._packed = key - low
        self._packed <<= self._bits
        new = np.empty(size, dtype=bool)

        def pack(rows: slice) -> None:
            self._packed[rows] |= np.arange(rows.start, rows.stop)

        def compare(rows: slice) -> None:
            first = max(rows.start, 1)
            before, here = self._packed[first - 1 : rows.stop - 1], self._packed[first : rows.stop]
            new[first : rows.stop] = (here ^ before) >> self._bits

        in_blocks(size, pack)
        self._packed.sort()
        in_blocks(size, compare)
        new[0] = True
        self.starts = np.flatnonzero(new)
        self.key = self._packed[self.starts]
        self.key >>= self._bits
        if names is not None:
            self.key = names[self.key]
        elif low:
            self.key += low

    def blocks(self) -> list[slice]:
        """Parts of the keys with about as many rows each."""
        edges = np.arange(0, self._packed.size, BLOCK)
        first = np.unique(np.searchsorted(self.starts, edges))
        first = first[first < self.starts.size]
        return [slice(a, b) for a, b in zip(first, [*first[1:], self.starts.size], strict=True)]

    def rows(self, part: slice) -> tuple[np.ndarray, np.ndarray]:
        """Rows of some keys, and the first of each key among these rows."""
        begin = self.starts[part.start]
        last = part.stop == self.starts.size
        end = self._packed.size if last else self.starts[part.stop]
        return self._packed[begin:end] & ((1 << self._bits) - 1), self.starts[part] - begin


def _weighted(
    value: np.ndarray,
    error: np.ndarray,
    group: np.ndarray,
    starts: np.ndarray,
    sizes: np.ndarray,
    profiles: np.ndarray,
    rho: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Value and error of each group of sorted rows; see :func:`combine`."""
    weight = 1 / (error * error)
    total = np.add.reduceat(weight, starts)
    # differences from the first value: no digits are lost to a large mean
    base = value[starts]
    shift = np.add.reduceat(weight * (value - base[group]), starts) / total
    spread = np.sqrt(sizes / total * (rho + (1 - rho) / profiles))
    alone = sizes == 1
    return base + np.where(alone, 0.0, shift), np.where(alone, error[starts], spread)


def _distinct(profile: np.ndarray, group: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Number of different profiles in each group of sorted rows."""
    new = np.append(True, profile[1:] != profile[:-1])
    new[starts] = True
    number = np.add.reduceat(new, starts, dtype=np.int64)
    # rows of a profile mostly stand together; where others may stand between them they are sorted
    unsure = (number > 2)[group]
    if unsure.any():
        # 40 bits of the profile are enough to tell those of one cell apart
        packed = profile[unsure].astype(np.uint64) & np.uint64(2**40 - 1)
        packed |= group[unsure].astype(np.uint64) << np.uint64(40)
        packed.sort()
        new = np.append(True, packed[1:] != packed[:-1])
        owner = (packed[new] >> np.uint64(40)).astype(np.int64)
        counted = np.bincount(owner, minlength=starts.size)
        number = np.where(number > 2, counted, number)
    return number


@dataclass(frozen=True, eq=False)
class Cells:
    """Superobservations, sorted by cycle and cell.

    Attributes
    ----------
    cycle : numpy.ndarray of int64, shape (n,)
        Absolute number of the cycle.
    cell : numpy.ndarray of int64, shape (n,)
        Flat number in (variable, nz, ny, nx).
    value, error : numpy.ndarray of float64, shape (n,)
        In `units`; the error is a standard deviation, positive.
    count : numpy.ndarray of int32, shape (n,)
        Number of measurements.
    variables, units : tuple of str
    grid : Grid
    cycle_name : str
    """

    cycle: np.ndarray
    cell: np.ndarray
    value: np.ndarray
    error: np.ndarray
    count: np.ndarray
    variables: tuple[str, ...]
    units: tuple[str, ...]
    grid: Grid
    cycle_name: str

    @classmethod
    def from_keys(
        cls,
        combined: Combined,
        first_cycle: int,
        variables: Sequence[str],
        units: Sequence[str],
        grid: Grid,
        cycle: Cycle,
    ) -> Cells:
        """Cells of keys ``(cycle - first_cycle) * cells + cell``."""
        size = len(variables) * int(np.prod(grid.shape))
        number, cell = np.divmod(combined.key, size)
        return cls(
            number + first_cycle, cell, combined.value, combined.error, combined.count,
            tuple(variables), tuple(units), grid, cycle.name,
        )  # fmt: skip

    def __len__(self) -> int:
        """Number of superobservations."""
        return int(self.cell.size)

    def __repr__(self) -> str:
        """Return how many, of what, when."""
        span = f"cycles {self.cycle[0]} to {self.cycle[-1]}" if len(self) else "no cycle"
        return (
            f"<Cells: {len(self)} superobservations ({int(self.count.sum())} measurements) of "
            f"{', '.join(self.variables)}; {self.cycle_name}, {span}; {self.grid}>"
        )

    def at(self, index: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Superobservations of one cycle.

        Returns
        -------
        cell, value, error, count : numpy.ndarray, shape (m,)
            Views, sorted by cell; empty where nothing was measured.
        """
        start, stop = np.searchsorted(self.cycle, [index, index + 1])
        part = slice(int(start), int(stop))
        return self.cell[part], self.value[part], self.error[part], self.count[part]

    @property
    def first(self) -> int:
        """First cycle that holds any."""
        return int(self.cycle[0])

    @property
    def last(self) -> int:
        """Last cycle that holds any."""
        return int(self.cycle[-1])

    def after(self, number: int) -> int:
        """Number of superobservations after a cycle."""
        return len(self) - int(np.searchsorted(self.cycle, number, side="right"))

    def only(self, index: int) -> Cells:
        """Superobservations of one cycle, as Cells."""
        cell, value, error, count = self.at(index)
        return replace(
            self, cycle=np.full(cell.size, index, dtype=np.int64),
            cell=cell, value=value, error=error, count=count,
        )  # fmt: skip

    def to_dataset(
        self,
        calendar: str,
        *,
        layout: Layout | Mapping[str, Layout] | None = None,
        period: tuple[int, int] | None = None,
        standard_names: Mapping[str, str] | None = None,
        dtype: Any = np.float64,
    ) -> xr.Dataset:
        """Gridded form: NaN where nothing was measured, with counts of 0.

        Parameters
        ----------
        calendar : str
            Calendar of the time axis.
        layout : Layout or dict of Layout, optional
            The user's names, order and sense of axes (by variable); canonical
            ones by default.
        period : (int, int), optional
            First and last cycle; by default those that hold observations.  All
            cycles between them are there.
        standard_names : dict, optional
            CF standard names by variable.
        dtype : dtype
            Of values and errors.

        Returns
        -------
        xarray.Dataset
            ``<var>``, ``<var>_error`` and ``<var>_count`` for each variable and
            ``time_bnds``; time is the middle of the cycles.

        Raises
        ------
        MemoryForeseenError
            If the dense fields would not fit into memory.
        """
        first, last = period or (int(self.cycle[0]), int(self.cycle[-1]))
        self._check_memory(last - first + 1, np.dtype(dtype).itemsize)
        times, bounds = _time_axis(Cycle(self.cycle_name), first, last, calendar)
        start, stop = np.searchsorted(self.cycle, [first, last + 1])
        rows = slice(int(start), int(stop))
        data: dict[str, Any] = {}
        name = "time"
        for v, variable in enumerate(self.variables):
            mine = layout[variable] if isinstance(layout, Mapping) else layout
            name = (mine.axes.time if mine is not None else None) or "time"
            for suffix, da in self._fields(v, rows, first, last, dtype).items():
                da = da.assign_coords(time=times)
                da = mine.restore(da) if mine is not None else da
                da.attrs = self._attrs(v, suffix, (standard_names or {}).get(variable, ""))
                data[variable + suffix] = da
        out = xr.Dataset(data)
        out[f"{name}_bnds"] = ((name, "bnds"), bounds)
        out[name].attrs = {"standard_name": "time", "axis": "T", "bounds": f"{name}_bnds"}
        # one encoding for both, as CF asks
        year = first // Cycle(self.cycle_name).per_year
        for axis in (name, f"{name}_bnds"):
            out[axis].encoding = {"units": f"seconds since {year:04d}-01-01", "dtype": "float64"}
        out.attrs = {"Conventions": "CF-1.11", "cycle": self.cycle_name}
        return out

    def _fields(
        self, v: int, rows: slice, first: int, last: int, dtype: Any
    ) -> dict[str, xr.DataArray]:
        """Dense canonical fields of one variable by suffix."""
        size = int(np.prod(self.grid.shape))
        mine = self.cell[rows] // size == v
        at = (self.cycle[rows][mine] - first) * size + self.cell[rows][mine] % size
        dims = ("time", *self.grid.dims)
        shape = [last - first + 1] + [getattr(self.grid, n).size for n in self.grid.dims]
        coords = {n: (n, getattr(self.grid, n), dict(_AXIS_ATTRS[n])) for n in self.grid.dims}
        fields = {}
        for suffix, column, empty, kind in (
            ("", self.value, np.nan, dtype),
            ("_error", self.error, np.nan, dtype),
            ("_count", self.count, 0, np.int32),
        ):
            dense = np.full((last - first + 1) * size, empty, dtype=kind)
            dense[at] = column[rows][mine]
            fields[suffix] = xr.DataArray(dense.reshape(shape), dims=dims, coords=coords)
        return fields

    def _attrs(self, v: int, suffix: str, standard_name: str) -> dict[str, str]:
        """CF attributes of a field."""
        name, unit = self.variables[v], self.units[v]
        if suffix == "_count":
            return {
                "standard_name": f"{standard_name} number_of_observations".strip(),
                "long_name": f"number of measurements of {name}",
                "units": "1",
            }
        if suffix == "_error":
            attrs = {"standard_name": f"{standard_name} standard_error"} if standard_name else {}
            long_name = f"standard deviation of the error of the superobservation of {name}"
            return {**attrs, "long_name": long_name, "units": error_unit(unit)}
        attrs = {"standard_name": standard_name} if standard_name else {}
        return {
            **attrs,
            "long_name": f"superobservation of {name}",
            "units": unit,
            "cell_methods": "area: time: mean (of what was measured)",
            "ancillary_variables": f"{name}_error {name}_count",
        }

    def _check_memory(self, cycles: int, itemsize: int) -> None:
        """Refuse dense fields that do not fit."""
        cells = len(self.variables) * int(np.prod(self.grid.shape))
        need = cycles * cells * (2 * itemsize + 4)
        have = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        if need > 0.7 * have:
            raise MemoryForeseenError(
                f"gridded fields of {cycles} cycles and {cells} cells need {need / 2**30:.3g} GiB, "
                f"this machine has {have / 2**30:.3g} GiB: choose a shorter period of observations"
            )


def _time_axis(cycle: Cycle, first: int, last: int, calendar: str) -> tuple[np.ndarray, np.ndarray]:
    """Middle and bounds of consecutive cycles."""
    index = np.arange(first, last + 1)
    start, end = cycle.bounds(index, calendar)
    return cycle.middle(index, calendar), np.stack([start, end], axis=1)


def merge(sources: Sequence[Cells]) -> Cells:
    """Combine several sources cell by cell, weighted by their inverse error variances.

    The errors of different sources are taken as independent:
    1/error² = sum of 1/error², and counts add.  Variables of the same name are
    one; values in other units are converted to those of the first source.

    Parameters
    ----------
    sources : sequence of Cells
        On the same grid and of the same cycle.

    Returns
    -------
    Cells

    Raises
    ------
    InputError
        If grids or cycles differ, or units cannot be converted.
    """
    problems = Problems("merge")
    if not sources:
        raise InputError("merge: no superobservations were given")
    head = sources[0]
    for n, other in enumerate(sources[1:], 2):
        if other.cycle_name != head.cycle_name:
            problems.add(f"source {n} has another cycle",
                         found=f"{other.cycle_name} against {head.cycle_name}")  # fmt: skip
        if told := head.grid.differences(other.grid):
            problems.add(f"source {n} is on another grid", found="; ".join(told))
    problems.raise_if_any()
    units: dict[str, str] = {}
    for source in sources:
        for name, unit in zip(source.variables, source.units, strict=True):
            units.setdefault(name, unit)
    if len(sources) == 1:
        return head
    size = int(np.prod(head.grid.shape))
    first = min((int(s.cycle[0]) for s in sources if len(s)), default=0)
    parts = [_keys(s, tuple(units), units, first, size) for s in sources]
    key, value, error, count = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    # each row a profile of its own, nothing in common: the inverse variances add up
    combined = combine(key, value, error, np.arange(key.size), count=count, rho=0.0)
    return Cells.from_keys(
        combined, first, tuple(units), tuple(units.values()), head.grid, Cycle(head.cycle_name)
    )


def _keys(
    source: Cells, names: tuple[str, ...], units: Mapping[str, str], first: int, size: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Key, value, error, count of a source, in common variables and units."""
    own, rest = np.divmod(source.cell, size)
    lookup = np.array([names.index(n) for n in source.variables])
    value, error = source.value.copy(), source.error.copy()
    for v, name in enumerate(source.variables):
        if source.units[v] != units[name]:
            mine = own == v
            value[mine] = unit_tools.convert(value[mine], source.units[v], units[name])
            error[mine] = unit_tools.convert_difference(error[mine], source.units[v], units[name])
    key = ((source.cycle - first) * len(names) + lookup[own]) * size + rest
    return key, value, error, source.count
