"""Fields that are verified, and references on a grid, cycle by cycle.

A :class:`FieldSeries` reads what an analysis or a product holds for a cycle: with members,
with gaps between cycles, with several samples of one cycle, from disk or from dask, and in
the unit that is asked for.  Knows labels, grids and time; no scores.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import xarray as xr

from xdeepda import units as unit_tools
from xdeepda.calendar import Cycle, calendar_of
from xdeepda.errors import InputError, Problems
from xdeepda.grid import Grid, Layout, layout_of
from xdeepda.observations.departures import analysed_variables, cycle_of
from xdeepda.observations.quantities import kind_of
from xdeepda.source import BLOCK_BYTES, sample_times, select_fields

logger = logging.getLogger("xdeepda")


class FieldSeries:
    """A field by cycle.

    Parameters
    ----------
    da : DataArray
        Dequantified.
    layout : Layout
        Of this field.
    index : numpy.ndarray of int64 or None
        Number of the cycle of each sample; None where there is no time axis.
    line : (float, float)
        Slope and offset that take the values to the unit that is asked for.

    Attributes
    ----------
    numbers : numpy.ndarray of int64
        Absolute numbers of the cycles that are there, increasing; 0 without a time axis.
    members : int
        0 where there is no axis of members.
    """

    def __init__(
        self,
        da: xr.DataArray,
        layout: Layout,
        index: np.ndarray | None,
        line: tuple[float, float],
    ) -> None:
        self.grid, self._line = layout.grid, line
        self._field = layout.canonical(da)
        self.members = int(self._field.sizes.get("member", 0))
        self.timeless = index is None
        index = np.zeros(1, dtype=np.int64) if index is None else index
        self._order = np.argsort(index, kind="stable")
        self.numbers, first = np.unique(index[self._order], return_index=True)
        self._offsets = np.append(first, index.size)
        size = 4 * max(self.members, 1) * int(np.prod(self.grid.shape))
        usual = max(int(np.diff(self._offsets).max()), 1)
        self._ahead = max(1, int(BLOCK_BYTES // (size * usual)))
        self._block: dict[int, np.ndarray] = {}

    @property
    def samples(self) -> np.ndarray:
        """Number of samples of each cycle, shape (n,)."""
        return np.diff(self._offsets)

    def keep(self, numbers: np.ndarray) -> None:
        """Forget all cycles but these."""
        wanted = np.isin(self.numbers, numbers)
        self._order = self._order[np.repeat(wanted, self.samples)]
        self._offsets = np.append(0, np.cumsum(self.samples[wanted]))
        self.numbers = self.numbers[wanted]

    def read(self, number: int) -> np.ndarray:
        """Mean over the samples of one cycle.

        Returns
        -------
        numpy.ndarray of float64, shape (max(members, 1), nz, ny, nx)
            NaN on land, and where a sample is missing.

        Raises
        ------
        KeyError
            If the cycle is not there.
        """
        number = 0 if self.timeless else int(number)
        if number not in self._block:
            self._load(number)
        slope, offset = self._line
        return self._block[number] * slope + offset

    def _load(self, number: int) -> None:
        """Read a block of cycles from this one on: chunks on disk are read once."""
        start = int(np.searchsorted(self.numbers, number))
        if start == self.numbers.size or self.numbers[start] != number:
            raise KeyError(number)
        stop = min(start + self._ahead, self.numbers.size)
        field = self._field
        if not self.timeless and "time" in field.dims:
            rows = self._order[self._offsets[start] : self._offsets[stop]]
            together = bool((np.diff(rows) == 1).all())
            field = field.isel(time=slice(int(rows[0]), int(rows[-1]) + 1) if together else rows)
        values = np.asarray(field.values)
        shape = max(self.members, 1), -1, *self.grid.shape
        values = values.reshape(shape).swapaxes(0, 1)
        offsets = self._offsets[start : stop + 1] - self._offsets[start]
        self._block = {
            int(n): values[a:b].mean(axis=0, dtype=np.float64)
            for n, (a, b) in zip(self.numbers[start:stop], pairwise(offsets), strict=True)
        }


@dataclass(frozen=True, eq=False)
class Estimate:
    """One variable of an analysis, or of any product, that is verified.

    Attributes
    ----------
    name, unit, standard_name : str
    value : FieldSeries
    spread, background : FieldSeries or None
        Where the analysis has them.
    layout : Layout
    cycle : Cycle or None
        None where there is no time axis.
    calendar : str
    dataset : Dataset
        The whole, dequantified.
    """

    name: str
    unit: str
    standard_name: str
    value: FieldSeries
    spread: FieldSeries | None
    background: FieldSeries | None
    layout: Layout
    cycle: Cycle | None
    calendar: str
    dataset: xr.Dataset

    @property
    def grid(self) -> Grid:
        """Canonical grid, on which everything is compared."""
        return self.layout.grid

    @property
    def kind(self) -> str | None:
        """Temperature, salinity, or unknown."""
        return kind_of(self.name, self.standard_name, self.unit)


def as_dataset(obj: Any) -> xr.Dataset | None:
    """Fields as a plain Dataset; None if this is neither a Dataset nor a DataArray."""
    if isinstance(obj, xr.DataArray):
        obj = obj.to_dataset(name=str(obj.name or "value"))
    return unit_tools.dequantify(obj) if isinstance(obj, xr.Dataset) else None


def estimates_of(
    analysis: Any, var: Any, part: str, cycle: str | None, problems: Problems
) -> list[Estimate]:
    """Variables of an analysis with their spread and background.

    Parameters
    ----------
    analysis : Dataset or DataArray
    var : str, list of str or None
    part : {"analysis", "background"}
    cycle : str or None
    problems : Problems

    Returns
    -------
    list of Estimate
        Empty with a problem.
    """
    ds = as_dataset(analysis)
    if ds is None:
        problems.add("this is no analysis", found=type(analysis).__name__,
                     expected="a Dataset or DataArray")  # fmt: skip
        return []
    names = [var] if isinstance(var, str) else var
    names = analysed_variables(ds, problems) if names is None else names
    suffix = "" if part == "analysis" else "_background"
    if not names:
        return []
    missing = [n + suffix for n in names if n + suffix not in ds]
    if missing:
        problems.add(f"the {part} of {', '.join(map(repr, names))} is not there",
                     found=f"variables {sorted(map(str, ds.data_vars))}")  # fmt: skip
        return []
    fields = select_fields(ds, names, problems)
    found = [_estimate(ds, name, suffix, cycle, problems) for name in fields]
    return [e for e in found if e is not None]


def _estimate(
    ds: xr.Dataset, name: str, suffix: str, cycle: str | None, problems: Problems
) -> Estimate | None:
    """One variable; None with a problem."""
    before = len(problems)
    value = ds[name + suffix]
    layout = understood(value, "the analysis", problems)
    if layout is None:
        return None
    unit = unit_tools.unit_of(value)
    if unit is None:
        problems.add(f"variable {name + suffix!r} has no units", expected="degC, K, psu, ...")
    interval = _interval(ds, layout, cycle, problems)
    if len(problems) > before:
        return None
    assert unit is not None
    times = None if interval is None else ds[layout.axes.time].values
    index = None if interval is None else interval.index(times)

    def part(part_name: str, spread: bool = False) -> FieldSeries | None:
        if part_name not in ds or (suffix and part_name == name + suffix):
            return None
        da = ds[part_name]
        own = unit_tools.unit_of(da) or unit
        line = (unit_tools.convert_difference(1.0, own, unit), 0.0) if spread else (1.0, 0.0)
        return FieldSeries(da, layout_of(da), index, line)

    return Estimate(
        name,
        unit,
        str(value.attrs.get("standard_name", "")).split(" ")[0],
        FieldSeries(value, layout, index, (1.0, 0.0)),
        part(f"{name}{suffix}_spread", spread=True),
        part(f"{name}_background"),
        layout,
        interval,
        "standard" if times is None else calendar_of(times),
        ds,
    )


def _interval(
    ds: xr.Dataset, layout: Layout, cycle: str | None, problems: Problems
) -> Cycle | None:
    """Cycle of the analysis; None without a time axis, or with a problem."""
    try:
        if cycle is not None:
            return Cycle(cycle) if layout.axes.time is not None else None
        return None if layout.axes.time is None else cycle_of(ds, layout, problems)
    except InputError as error:
        problems.absorb(error)
        return None


def understood(da: xr.DataArray, who: str, problems: Problems) -> Layout | None:
    """Axes and grid of a field; None with a problem, such as a curvilinear grid."""
    own = Problems("axes")
    try:
        layout = layout_of(da, own)
    except NotImplementedError as error:
        own.add(str(error))
        layout = None
    for problem in own:
        problems.add(
            f"{who}: {problem.what}",
            found=problem.found, expected=problem.expected, todo=problem.todo,
        )  # fmt: skip
    return None if len(own) else layout


# ---- references


def reference_series(
    ds: xr.Dataset, estimate: Estimate, who: str, problems: Problems
) -> FieldSeries | None:
    """Find, in a product, the variable that an estimate is of.

    Parameters
    ----------
    ds : Dataset
        Dequantified.
    estimate : Estimate
    who : str
        What to call the product in messages.
    problems : Problems

    Returns
    -------
    FieldSeries or None
        In the unit of the estimate; None with a problem.
    """
    da = same_quantity(ds, estimate, who, problems)
    if da is None:
        return None
    own = Problems("reference")
    layout = understood(da, who, own)
    layout = None if layout is None else with_surface(da, estimate, layout)
    unit = unit_tools.unit_of(da)
    if unit is None:
        own.add(f"{who}: variable {da.name!r} has no units", expected=f"as {estimate.unit}")
    elif not convertible(unit, estimate.unit):
        own.add(f"{who}: {da.name!r} cannot be compared with {estimate.name!r}",
                found=f"units {unit!r} and {estimate.unit!r}")  # fmt: skip
    if layout is not None:
        _check_axes(layout, estimate, who, own)
    index = None
    if not len(own) and layout is not None and layout.axes.time is not None:
        index = _index(ds, layout, estimate, who, own)
    if len(own) or layout is None or unit is None:
        problems.absorb(own)
        return None
    line = unit_tools.conversion(unit, estimate.unit)
    series = FieldSeries(da, layout, index, line)
    _drop_parts(series, who)
    return series


def same_quantity(
    ds: xr.Dataset, estimate: Estimate, who: str, problems: Problems
) -> xr.DataArray | None:
    """Variable of the same name, else standard name, else kind; said where names differ."""
    if estimate.name in ds:
        return ds[estimate.name]
    standard = {str(n): str(da.attrs.get("standard_name", "")) for n, da in ds.data_vars.items()}
    by_standard = [n for n, s in standard.items() if s and s == estimate.standard_name]
    by_kind = [n for n, s in standard.items() if estimate.kind and kind_of(n, s) == estimate.kind]
    for hits in (by_standard, by_kind, list(standard) if len(standard) == 1 else []):
        if len(hits) == 1:
            logger.info("verify: %s: %r is taken for %r", who, hits[0], estimate.name)
            return ds[hits[0]]
    problems.add(
        f"{who}: which variable is {estimate.name!r} is not clear",
        found=f"variables {sorted(standard)}",
        expected=f"one of this name, or of standard name {estimate.standard_name or 'unknown'!r}",
        todo=f"reference.rename(...={estimate.name!r})",
    )
    return None


def convertible(unit: str, target: str) -> bool:
    """Whether values in one unit can be converted to another."""
    try:
        return unit_tools.same_dimension(unit, target)
    except InputError:
        return False


def with_surface(da: xr.DataArray, estimate: Estimate, layout: Layout) -> Layout:
    """A field without depth, such as a sea surface temperature, lies on the uppermost level."""
    if layout.grid.depth is not None or estimate.grid.depth is None:
        return layout
    depth = estimate.grid.depth[:1]
    logger.info("verify: %r has no depth axis: compared at %g m", da.name, depth[0])
    grid = Grid(depth, layout.grid.lat, layout.grid.lon, layout.grid.cyclic)
    return Layout(layout.axes, grid, layout.dims, layout.order, layout.coords)


def _check_axes(layout: Layout, estimate: Estimate, who: str, problems: Problems) -> None:
    """The same axes in space, time where the estimate has it, no members."""
    mine, theirs = estimate.grid.dims, layout.grid.dims
    if mine != theirs:
        problems.add(f"{who}: other axes than the analysis", found=f"{theirs}", expected=f"{mine}")
    if layout.axes.member is not None:
        name = layout.axes.member
        problems.add(
            f"{who}: the reference is an ensemble",
            found=f"dimension {name!r}",
            expected="one field at a time",
            todo=f"reference.mean({name!r}), or .isel({name}=0)",
        )
    if (layout.axes.time is None) != (estimate.cycle is None):
        problems.add(
            f"{who}: only one of analysis and reference has a time axis",
            todo="give a climatology as climatology=, not as a reference; or select a time",
        )


def _index(
    ds: xr.Dataset, layout: Layout, estimate: Estimate, who: str, problems: Problems
) -> np.ndarray | None:
    """Cycle of each sample; a problem where there are no times, or they lie too far apart."""
    name = str(layout.axes.time)
    assert estimate.cycle is not None
    times = sample_times(ds, name)
    try:
        calendar = calendar_of(times)
        if times.dtype != object and np.isnat(times).any():
            problems.add(f"{who}: time axis {name!r} holds missing times (NaT)")
            return None
        index = estimate.cycle.index(times)
    except InputError as error:
        problems.absorb(error)
        return None
    numbers = np.unique(index)
    steps = np.diff(numbers)
    longest = {"pentad": 4, "month": 6}.get(estimate.cycle.name, np.inf)
    if numbers.size > 2 and np.median(steps) >= longest:
        middle = estimate.cycle.middle(numbers[:2], calendar)
        problems.add(
            f"{who}: its time step is much longer than the {estimate.cycle.name} of the analysis",
            found=f"a sample in {np.median(steps):g} cycles, from {middle[0]} on",
            expected=f"means of a {estimate.cycle.name} or of less",
            todo="average the analysis to the step of the reference first, and say cycle='year'",
        )
    return index


def _drop_parts(series: FieldSeries, who: str) -> None:
    """Cycles with less than half of the usual samples are no means of the cycle; said."""
    usual = float(np.median(series.samples))
    few = series.samples < 0.5 * usual
    if usual >= 4 and few.any():
        logger.warning("verify: %s: %d cycles with less than half of the samples are left out",
                       who, int(few.sum()))  # fmt: skip
        series.keep(series.numbers[~few])
