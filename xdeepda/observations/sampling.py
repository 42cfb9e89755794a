"""A year's draw of a network: positions, times and errors of what would be measured.

Knows networks, cycles and calendars; no values of observations.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from xdeepda.axes import find_axes
from xdeepda.calendar import Cycle, calendar_of
from xdeepda.errors import Problems
from xdeepda.observations.placing import cycle_numbers
from xdeepda.observations.recorded import check_density, chosen_cycles
from xdeepda.observations.target import Target

_ATTRS = {
    "time": {"standard_name": "time"},
    "depth": {"standard_name": "depth", "units": "m", "positive": "down"},
    "latitude": {"standard_name": "latitude", "units": "degrees_north"},
    "longitude": {"standard_name": "longitude", "units": "degrees_east"},
    "error": {"long_name": "standard deviation of the error"},
    "count": {"long_name": "number of measurements", "units": "1"},
    "variable": {"long_name": "name of the measured variable"},
}


def sample_points(
    points: xr.Dataset,
    variables: Sequence[str],
    density: float,
    year: int,
    cycle: Cycle,
    seed: int,
    calendar: str | None,
) -> xr.Dataset:
    """Profiles of a record, moved to a year; see :meth:`xdeepda.observations.Network.sample`.

    Parameters
    ----------
    points : Dataset
        As :func:`xdeepda.observations.recorded.points_of` gives it.
    variables : sequence of str
        Names of the variables that ``points.variable`` counts.
    """
    times = points["time"].values
    own_calendar = calendar_of(times[:1])
    number = cycle_numbers(times, cycle)
    cycles = np.unique(number)
    check_density(cycles, density, cycle)
    by_cycle = np.argsort(number, kind="stable")
    profiles, moments = [], []
    for phase in range(cycle.per_year):
        goal = year * cycle.per_year + phase
        rng = _generator(seed, goal)
        for pick, part in chosen_cycles(cycles, phase, cycle, density, rng):
            start, stop = np.searchsorted(number[by_cycle], [pick, pick + 1])
            mine = by_cycle[start:stop]
            mine = mine if part == 1 else mine[rng.random(mine.size) < part]
            profiles.append(mine)
            moments.append(
                _moved(times[mine], pick, goal, cycle, own_calendar, calendar or own_calendar)
            )
    profile, moment = np.concatenate(profiles), np.concatenate(moments)
    order = np.argsort(moment, kind="stable")
    return _table(points, profile[order], moment[order], variables)


def _generator(seed: int, index: int) -> np.random.Generator:
    """Random numbers of a cycle; years before 0 exist, negative seeds do not."""
    return np.random.default_rng(np.random.SeedSequence([seed, index + 2**40]))


def _moved(
    times: np.ndarray, origin: int, goal: int, cycle: Cycle, calendar: str, other: str
) -> np.ndarray:
    """Times of one cycle at the same part of another one, perhaps of another calendar."""
    (start,), (end,) = cycle.bounds([origin], calendar)
    (new_start,), (new_end,) = cycle.bounds([goal], other)
    length, new_length = (_seconds(b - a) for a, b in ((start, end), (new_start, new_end)))
    # the same time since the start of the cycle; in a shorter one not later than its last second
    second = (
        np.array([_seconds(t - start) for t in times])
        if times.dtype == object
        else ((times - start) / np.timedelta64(1, "s"))
    )
    second = np.clip(np.floor(second), 0, min(length, new_length) - 1).astype(np.int64)
    if other == "standard":
        return new_start + second.astype("timedelta64[s]")
    from datetime import timedelta

    out = np.empty(second.size, dtype=object)
    for n, s in enumerate(second.tolist()):
        out[n] = new_start + timedelta(seconds=s)
    return out


def _seconds(span: Any) -> float:
    """Length of a span of time."""
    if isinstance(span, np.timedelta64):
        return float(span / np.timedelta64(1, "s"))
    return float(span.total_seconds())


def _table(
    points: xr.Dataset, profile: np.ndarray, moment: np.ndarray, variables: Sequence[str]
) -> xr.Dataset:
    """Rows of the measurements of profiles (some of them perhaps more than once)."""
    index = points["profile_index"].values
    rows_of = np.argsort(index, kind="stable")
    first = np.searchsorted(index[rows_of], profile, side="left")
    last = np.searchsorted(index[rows_of], profile, side="right")
    drawn = np.repeat(np.arange(profile.size), last - first)
    nth = np.arange(drawn.size) - np.repeat(np.cumsum(last - first) - (last - first), last - first)
    row = rows_of[first[drawn] + nth]
    place = {n: points[n].values[profile[drawn]] for n in ("latitude", "longitude")}
    names = np.array(variables, dtype=object)[points["variable"].values[row]]
    columns = {n: points[n].values[row] for n in ("error", "count")}
    coords = {"time": moment[drawn], "depth": points["depth"].values[row], **place}
    return _dataset({"variable": names, **columns}, {**coords, "profile": drawn})


def sample_cells(
    network: Any,
    target: Target,
    like: xr.Dataset | xr.DataArray,
    year: int,
    cycle: Cycle,
    seed: int,
    calendar: str | None,
) -> xr.Dataset:
    """Cells that a network observes in a year, as points at their centres.

    Parameters
    ----------
    network : Network
    target : Target
    like : Dataset or DataArray
        For its calendar.
    """
    calendar = calendar or _calendar(like)
    bound = network.on(target.grid, cycle, calendar, target.variables, target.wet)
    size = int(np.prod(target.grid.shape))
    parts = []
    for goal in range(year * cycle.per_year, (year + 1) * cycle.per_year):
        cell, error, count = bound.draw(goal, _generator(seed, goal))
        parts.append((np.full(cell.size, goal), cell, error, count))
    number, cell, error, count = (np.concatenate(c) for c in zip(*parts, strict=True))
    depth, lat, lon = target.grid.coordinates(cell % size)
    goals, which = np.unique(number, return_inverse=True)
    time = cycle.middle(goals, calendar)[which]
    names = np.array(target.variables, dtype=object)[cell // size]
    columns = {"variable": names, "error": error, "count": count}
    return _dataset(columns, {"time": time, "depth": depth, "latitude": lat, "longitude": lon})


def _calendar(like: xr.Dataset | xr.DataArray) -> str:
    """Calendar of a field, standard where it has no time."""
    field = like if isinstance(like, xr.DataArray) else next(iter(like.data_vars.values()))
    time = find_axes(field, Problems("sample")).time
    return "standard" if time is None else calendar_of(field[time].values)


def _dataset(data: dict[str, np.ndarray], coords: dict[str, np.ndarray]) -> xr.Dataset:
    """Columns along obs with their attributes."""
    return xr.Dataset(
        {name: ("obs", column, dict(_ATTRS[name])) for name, column in data.items()},
        coords={n: ("obs", column, dict(_ATTRS.get(n, {}))) for n, column in coords.items()},
    )
