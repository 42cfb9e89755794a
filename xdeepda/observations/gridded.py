"""Gridded observations: fields with NaN where nothing was measured, as superobservations.

Knows axes and fields; no points.  Fields must be on the grid of the model: there
is no interpolation here, only relabelling.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import overload

import numpy as np
import xarray as xr

from xdeepda import units as unit_tools
from xdeepda.calendar import Cycle, calendar_of
from xdeepda.errors import InputError, Problems
from xdeepda.grid import Grid, Layout, layout_of
from xdeepda.observations.cells import CORRELATED, Cells, combine
from xdeepda.observations.quantities import (
    CANONICAL_UNIT,
    default_error,
    kind_of,
)
from xdeepda.observations.stored import StoredCells
from xdeepda.observations.target import Target, match
from xdeepda.reading import read

logger = logging.getLogger("xdeepda")

#: Values of a block held in memory while reading.
_BLOCK = 2**24
#: Fields of more values may hold more superobservations than should be kept in memory ...
_HELD = 2**22
#: ... and are combined in ranges of cycles with so many values: some 200 MB if all are measured.
_RANGE = 2**21

#: Position of the variable, and cycle, cell, value, error and count of what was measured.
_Part = tuple[int, np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]


@dataclass
class _Source:
    """One variable of a gridded Dataset, understood."""

    name: str
    position: int
    field: xr.DataArray
    error: xr.DataArray | None
    count: xr.DataArray | None
    unit: str
    error_unit: str
    layout: Layout
    index: np.ndarray
    calendar: str
    #: Values on land, and whether an error had to be assumed, as far as it was read.
    dry: int = 0
    assumed: bool = False

    def tell(self) -> None:
        """Say what was not used, and what was assumed."""
        if self.dry:
            logger.warning(
                "%d gridded values of %r lie on the model's land: not used", self.dry, self.name
            )
        if self.assumed or self.error is None:
            logger.warning("gridded %r: default errors are assumed where none is given", self.name)


@overload
def from_gridded(
    obs: xr.Dataset | xr.DataArray,
    target: Target,
    cycle: Cycle,
    *,
    var: str | Sequence[str] | None = None,
    rho: float = CORRELATED,
) -> tuple[Cells, str]: ...


@overload
def from_gridded(
    obs: xr.Dataset | xr.DataArray,
    target: Target,
    cycle: Cycle,
    *,
    var: str | Sequence[str] | None = None,
    rho: float = CORRELATED,
    folder: Path | None,
) -> tuple[Cells | StoredCells, str]: ...


def from_gridded(
    obs: xr.Dataset | xr.DataArray,
    target: Target,
    cycle: Cycle,
    *,
    var: str | Sequence[str] | None = None,
    rho: float = CORRELATED,
    folder: Path | None = None,
) -> tuple[Cells | StoredCells, str]:
    """Superobservations of gridded fields.

    Parameters
    ----------
    obs : Dataset or DataArray
        Fields with a time axis, NaN where nothing was measured, in any order
        and sense of dimensions and any convention of longitude.  Beside
        ``<var>``, optionally ``<var>_error`` (standard deviation) and
        ``<var>_count``.  Fields without a depth axis are surface observations.
    target : Target
        The model's grid, variables, units and sea.
    cycle : Cycle
        Several times in one cycle are combined as points in a cell are.
    var : str or list of str, optional
        Variables to read; by default all that the model has, too.
    rho : float
        See :func:`xdeepda.observations.cells.combine`.
    folder : Path, optional
        Keep those of large fields in files in this folder, not in memory.

    Returns
    -------
    cells : Cells or StoredCells
        Of the variables of the target that were found.
    calendar : str
        Calendar of the observations.

    Raises
    ------
    InputError
        With all problems: grids that differ (both named), units, times, errors
        that are not positive, variables the model does not have, no value at all.
    """
    problems = Problems("gridded observations")
    plain = unit_tools.dequantify(obs)
    if isinstance(plain, xr.DataArray):
        plain = plain.to_dataset(name=str(plain.name) if plain.name is not None else "value")
    sources = _sources(plain, target, cycle, var, problems)
    problems.raise_if_any()
    positions = sorted({s.position for s in sources})
    chosen, calendar = target.subset(positions), sources[0].calendar
    stored = None
    if folder is not None and _are_large(sources):
        stored = StoredCells(folder, chosen.variables, chosen.units, target.grid, cycle.name)
    whole = min(int(s.index.min()) for s in sources), max(int(s.index.max()) for s in sources)
    for first, last in [whole] if stored is None else _ranges(sources, *whole):
        parts = [
            (positions.index(source.position), *columns)
            for source in sources
            for columns in _blocks(source, target, problems, first, last)
        ]
        if len(problems) or not parts:
            continue
        cells = _combined(parts, first, chosen, cycle, rho)
        if stored is not None and len(cells):
            stored.append(cells)
    for source in sources:
        source.tell()
    problems.raise_if_any()
    found = cells if stored is None else stored
    if not len(found):
        raise InputError("gridded observations: there is no value in the sea of the model")
    return found, calendar


def _combined(
    parts: Sequence[_Part], first: int, target: Target, cycle: Cycle, rho: float
) -> Cells:
    """Superobservations of what was measured in some cycles; every field is one of its own."""
    size, variables = int(np.prod(target.grid.shape)), len(target.variables)
    columns = [
        (((index - first) * variables + number) * size + cell, value, error, count)
        for number, index, cell, value, error, count in parts
    ]
    key, value, error, count = (np.concatenate(c) for c in zip(*columns, strict=True))
    merged = combine(key, value, error, np.arange(key.size), count=count, rho=rho)
    return Cells.from_keys(merged, first, target.variables, target.units, target.grid, cycle)


def _are_large(sources: Sequence[_Source]) -> bool:
    """Whether what was measured could be more than should be held; in the order of time."""
    values = sum(s.field.size for s in sources)
    return values > _HELD and all((np.diff(s.index) >= 0).all() for s in sources)


def _ranges(sources: Sequence[_Source], first: int, last: int) -> Iterator[tuple[int, int]]:
    """Ranges of cycles, each of not more values than a block unless it is a single cycle."""
    steps = np.zeros(last - first + 1)
    for s in sources:
        values = s.field.size // s.field.sizes[s.layout.axes.time]
        steps += values * np.bincount(s.index - first, minlength=steps.size)
    start, held = 0, 0.0
    for n, more in enumerate(steps.tolist()):
        if held and held + more > _RANGE:
            yield first + start, first + n - 1
            start, held = n, 0.0
        held += more
    yield first + start, last


def _sources(
    ds: xr.Dataset,
    target: Target,
    cycle: Cycle,
    var: str | Sequence[str] | None,
    problems: Problems,
) -> list[_Source]:
    """Variables to read, their axes, times and units checked."""
    names = _names(ds, var, problems)
    units = [unit_tools.unit_of(ds[n]) or "" for n in names]
    standard = [str(ds[n].attrs.get("standard_name", "")) for n in names]
    found = match(names, standard, target)
    if names and all(position < 0 for position in found):
        problems.add(
            "the gridded observations hold no variable of the model",
            found=", ".join(names),
            expected=" or ".join(target.variables),
        )
    sources = []
    for name, unit, position in zip(names, units, found, strict=True):
        if position < 0:
            logger.warning("gridded %r is no variable of the model and is not used", name)
            continue
        source = _source(ds, name, unit, position, target, cycle, problems)
        if source is not None:
            sources.append(source)
    calendars = {s.calendar for s in sources}
    if len(calendars) > 1:
        problems.add("several calendars in one input", found=", ".join(sorted(calendars)))
    return sources


def _names(ds: xr.Dataset, var: str | Sequence[str] | None, problems: Problems) -> list[str]:
    """Names of the observed fields."""
    if var is not None:
        wanted = [var] if isinstance(var, str) else list(var)
        missing = [n for n in wanted if n not in ds.data_vars]
        if missing:
            problems.add(f"variables {missing} are not in the gridded observations",
                         found=f"{list(map(str, ds.data_vars))}")  # fmt: skip
        return [n for n in wanted if n in ds.data_vars]
    fields = [
        str(n)
        for n, da in ds.data_vars.items()
        if da.ndim >= 1
        and np.issubdtype(da.dtype, np.floating)
        and not str(n).endswith(("_error", "_count", "_bnds", "_bounds"))
    ]
    known = [n for n in fields if kind_of(n, str(ds[n].attrs.get("standard_name", "")))]
    return known or fields


def _source(
    ds: xr.Dataset,
    name: str,
    unit: str,
    position: int,
    target: Target,
    cycle: Cycle,
    problems: Problems,
) -> _Source | None:
    """Check one variable."""
    before = len(problems)
    layout = layout_of(ds[name], problems)
    if layout.axes.member is not None:
        problems.add(
            f"observations {name!r} have a dimension {layout.axes.member!r}",
            todo="choose one member",
        )
    if len(problems) == before:
        _check_grid(name, layout, target.grid, problems)
    _check_unit(name, unit, target.units[position], problems)
    calendar = _calendar(ds, name, layout, problems)
    if len(problems) > before or calendar is None:
        return None
    extra = {kind: ds.get(f"{name}_{kind}") for kind in ("error", "count")}
    for kind, da in extra.items():
        if da is not None and da.dims != ds[name].dims:
            extra[kind] = da.broadcast_like(ds[name]).transpose(*ds[name].dims)
    error_unit = unit_tools.unit_of(extra["error"]) if extra["error"] is not None else None
    return _Source(
        name, position, ds[name], extra["error"], extra["count"], unit, error_unit or unit,
        layout, cycle.index(ds[layout.axes.time].values), calendar,
    )  # fmt: skip


def _check_unit(name: str, unit: str, own: str, problems: Problems) -> None:
    """The values have a unit that can be brought to the model's."""
    if not unit:
        problems.add(
            f"gridded {name!r} has no units",
            expected=f"such as {own}",
            todo=f"obs[{name!r}].attrs['units'] = {own!r}",
        )
        return
    try:
        unit_tools.conversion(unit, own)
    except InputError as error:
        problems.add(f"units of gridded {name!r} do not fit the model", found=str(error))


def _calendar(ds: xr.Dataset, name: str, layout: Layout, problems: Problems) -> str | None:
    """Calendar of the time axis; None with a problem."""
    if layout.axes.time is None:
        problems.add(
            f"gridded {name!r} has no time axis",
            found=f"dimensions {layout.dims}",
            todo="obs = obs.expand_dims(time=[...])",
        )
        return None
    times = ds[layout.axes.time].values
    if times.dtype.kind == "M" and np.isnat(times).any():
        problems.add(f"time axis of gridded {name!r} holds missing times (NaT)")
        return None
    try:
        return calendar_of(times)
    except InputError as error:
        problems.absorb(error)
        return None


def _check_grid(name: str, layout: Layout, grid: Grid, problems: Problems) -> None:
    """The fields are on the model's grid, or on its surface."""
    own = layout.grid
    wanted = grid
    if own.depth is None and grid.depth is not None:
        wanted = Grid(None, grid.lat, grid.lon, grid.cyclic)
        logger.info("gridded %r has no depth axis: observations of the uppermost level", name)
    if told := own.differences(wanted):
        problems.add(
            f"gridded {name!r} is not on the model's grid",
            found=f"observations against model, {'; '.join(told)}",
            expected=str(grid),
            todo="give the observations as points: xdeepda.open_observations(ds) makes a table of "
            "sea surface temperatures, ds.stack(obs=[...]).reset_index('obs') of any field; or "
            "interpolate them first",
        )


def _blocks(
    source: _Source, target: Target, problems: Problems, first: int, last: int
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
    """Cycle, cell, value, error and count of the measured cells, some times at once.

    Of the cycles from `first` to `last`; times need be in their order where these are not all.
    """
    layout = source.layout
    per_step = max(int(np.prod(layout.grid.shape)), 1)
    own = target.units[source.position]
    wet = target.wet[source.position].reshape(-1)
    inside = np.flatnonzero((source.index >= first) & (source.index <= last))
    begin, end = (int(inside[0]), int(inside[-1]) + 1) if inside.size else (0, 0)
    block = max(1, _BLOCK // per_step)
    for start in range(begin, end, block):
        part = {source.layout.axes.time: slice(start, min(start + block, end))}
        values = _flat(source.field.isel(part), layout)
        step, cell = np.nonzero(np.isfinite(values))
        on_land = ~wet[cell]
        source.dry += int(on_land.sum())
        step, cell = step[~on_land], cell[~on_land]
        value = values[step, cell].astype(np.float64)
        error = np.full(value.size, np.nan)
        if source.error is not None:
            error = _flat(source.error.isel(part), layout)[step, cell].astype(np.float64)
            if not (np.isnan(error) | (error > 0)).all():
                problems.add(f"{source.name}_error is not positive everywhere",
                             found=f"{np.nanmin(error):g}")  # fmt: skip
            source.assumed |= bool(np.isnan(error).any())
            error = unit_tools.convert_difference(error, source.error_unit, own)
        error = _fill(error, cell, source, target, problems)
        count = np.ones(value.size, dtype=np.int64)
        if source.count is not None:
            counts = np.nan_to_num(_flat(source.count.isel(part), layout)[step, cell])
            count = np.maximum(counts.astype(np.int64), 1)
        value = unit_tools.convert(value, source.unit, own)
        yield source.index[start:][step], cell, value, error, count


def _flat(da: xr.DataArray, layout: Layout) -> np.ndarray:
    """Values as (time, cell) in canonical order."""

    def what(part: xr.DataArray) -> str:
        times = part[layout.axes.time].values
        return f"gridded {da.name!r} from {times[0]} to {times[-1]}"

    canonical = layout.canonical(da)
    values = read(lambda: np.asarray(canonical.values), "observations", what, da)
    return values.reshape(values.shape[0], -1)


def _fill(
    error: np.ndarray, cell: np.ndarray, source: _Source, target: Target, problems: Problems
) -> np.ndarray:
    """Default errors where none is given."""
    unknown = np.isnan(error)
    if not unknown.any():
        return error
    kind = _kind(source.position, target)
    if kind is None:
        problems.add(f"gridded {source.name!r} needs errors", todo=f"add {source.name}_error")
        return np.where(unknown, 1.0, error)
    depth = target.grid.coordinates(cell[unknown])[0]
    own = target.units[source.position]
    error = error.copy()
    error[unknown] = unit_tools.convert_difference(
        default_error(kind, depth), CANONICAL_UNIT[kind], own
    )
    return error


def _kind(position: int, target: Target) -> str | None:
    """Kind of quantity of a variable of the target."""
    names: Mapping[str, str | None] = target.kinds()
    return names[target.variables[position]]
