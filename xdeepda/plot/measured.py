"""Observations in a map or a profile: those of the cycle, at their places."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xarray as xr

from xdeepda import units as unit_tools
from xdeepda.calendar import Cycle
from xdeepda.errors import InputError, Problems
from xdeepda.observations.departures import cycle_of
from xdeepda.observations.flags import rejected
from xdeepda.observations.ledger import is_ledger
from xdeepda.observations.quantities import kind_of
from xdeepda.observations.table import as_table, is_gridded
from xdeepda.plot.choosing import choose_depth, choose_time, times_within, within
from xdeepda.plot.looking import View, view
from xdeepda.plot.style import edges_of


@dataclass(eq=False)
class Measured:
    """Places of observations, and values if they are to be coloured.

    Attributes
    ----------
    lon, lat, depth : numpy.ndarray, shape (n,)
        Degrees within the picture, metres.
    value : numpy.ndarray or None
        In the unit of the field.
    """

    lon: np.ndarray
    lat: np.ndarray
    depth: np.ndarray
    value: np.ndarray | None = None
    error: np.ndarray | None = field(default=None)

    def scatter(self, ax: Any, drawn: Any, legend: bool, options: dict[str, Any]) -> Any:
        """Dots on a map, in the colours of the cells where there are values."""
        style: dict[str, Any] = {"s": 14, "linewidths": 0.5, "zorder": 3}
        if self.value is not None and "c" not in options and "color" not in options:
            style |= {"c": self.value, "cmap": drawn.cmap, "norm": drawn.norm, "edgecolors": "k"}
        else:
            style |= {"s": 6, "color": "k", "linewidths": 0}
        if hasattr(ax, "projection"):
            import cartopy.crs as ccrs

            style["transform"] = ccrs.PlateCarree()
        if {"c", "color"} & {*options}:
            style.pop("color", None)
        return ax.scatter(self.lon, self.lat, **{**style, **options})


def measured(
    obs: Any, seen: View, part: str | None, depth: Any, time: Any, problems: Problems
) -> Measured | None:
    """Observations of the cycle and the level of a map; None with a problem.

    Parameters
    ----------
    obs : True, table, fields or departures
    seen : View
        Before anything was chosen.
    part : str or None
        Part of the analysis that is drawn.
    depth, time
        As the map chooses them.
    problems : Problems
    """
    if obs is True:
        if not isinstance(seen.obj, xr.Dataset) or f"{seen.variable}_obs_count" not in seen.obj:
            problems.add("obs=True: the cells that were observed are not known",
                         expected=f"an analysis with {seen.variable}_obs_count",
                         todo="obs=the observations")  # fmt: skip
            return None
        counts = view(seen.obj, seen.variable, problems, part="obs_count")
        return None if counts is None else _cells(counts, seen, depth, time, False, problems)
    coloured = seen.kind == "value"
    try:
        if isinstance(obs, (xr.Dataset, xr.DataArray)) and is_gridded(obs, seen.grid):
            return _gridded(obs, seen, depth, time, coloured, problems)
        return _points(obs, seen, part, depth, time, problems)
    except InputError as error:
        problems.absorb(error)
        return None


def _gridded(
    obs: Any, seen: View, depth: Any, time: Any, coloured: bool, problems: Problems
) -> Measured | None:
    """Cells of fields of observations."""
    var = seen.variable if isinstance(obs, xr.Dataset) else None
    found = view(obs, var, problems)
    return None if found is None else _cells(found, seen, depth, time, coloured, problems)


def _cells(
    found: View, seen: View, depth: Any, time: Any, coloured: bool, problems: Problems
) -> Measured | None:
    """Cells with a value, or with a count that is not 0, of the same time and level."""
    at = _level(seen, depth)
    choose_depth(found, at, problems)
    if "time" in seen.values.dims and "time" in found.values.dims:
        _same_cycle(found, seen, time, problems)
    else:
        choose_time(found, None, problems)
    if len(problems):
        return None
    values = found.values.transpose("lat", "lon").compute()
    there = np.isfinite(values.values) & ((values.values > 0) | (found.kind != "count"))
    j, i = np.nonzero(there)
    value = None
    if coloured and found.kind == "value":
        value = unit_tools.convert(values.values[j, i], found.source.unit, seen.source.unit)
    lon, lat = values["lon"].values[i], values["lat"].values[j]
    return _inside(seen, lon, lat, np.zeros(lon.size), value)


def _same_cycle(found: View, seen: View, time: Any, problems: Problems) -> None:
    """Choose the times of fields of observations that lie in the cycles of the picture."""
    cycle = _cycle(seen, problems)
    positions = times_within(seen, time, problems)
    if cycle is None or positions is None:
        return
    wanted = cycle.index(seen.values["time"].values[positions])
    held = np.isin(cycle.index(found.values["time"].values), wanted)
    found.values = found.values.isel(time=np.flatnonzero(held))
    counted = found.kind == "count"
    found.values = found.values.sum("time") if counted else found.values.mean("time")


def _points(
    obs: Any, seen: View, part: str | None, depth: Any, time: Any, problems: Problems
) -> Measured | None:
    """Rows of a table in the cycle and the level."""
    rows = departures_rows(obs, seen, part) if is_departures(obs) else table_rows(obs, seen)
    held = np.isfinite(rows["longitude"]) & np.isfinite(rows["latitude"])
    cycle, positions = _cycle(seen, problems), None
    if "time" in seen.values.dims:
        positions = times_within(seen, time, problems)
        if cycle is None or positions is None:
            return None
        wanted = cycle.index(seen.values["time"].values[positions])
        held &= np.isin(rows["cycle"](cycle), wanted)
    if seen.grid.depth is not None:
        held &= _in_level(seen, depth, rows["depth"])
    value = rows["value"]
    keep = np.flatnonzero(held & rows["good"])
    return _inside(
        seen, rows["longitude"][keep], rows["latitude"][keep], rows["depth"][keep],
        None if value is None else value[keep],
    )  # fmt: skip


def column(
    obs: Any, seen: View, place: dict[str, Any], time: Any, problems: Problems
) -> Measured | None:
    """Observations of the cell, or the range, and the cycle of a profile; None with a problem."""
    try:
        found = departures_rows(obs, seen, None) if is_departures(obs) else table_rows(obs, seen)
    except InputError as refused:
        problems.absorb(refused)
        return None
    held = found["good"] & np.isfinite(found["depth"])
    if "time" in seen.values.dims:
        cycle, positions = _cycle(seen, problems), times_within(seen, time, problems)
        if cycle is None or positions is None:
            return None
        wanted = cycle.index(seen.values["time"].values[positions])
        held &= np.isin(found["cycle"](cycle), wanted)
    for axis, long in (("lat", "latitude"), ("lon", "longitude")):
        if axis in seen.values.dims and place[axis] is not None:
            held &= _in_cell(seen, axis, place[axis], np.asarray(found[long], dtype=float))
    keep = np.flatnonzero(held)
    value = None if found["value"] is None else found["value"][keep]
    error = None if found["error"] is None else found["error"][keep]
    return Measured(found["longitude"][keep], found["latitude"][keep], found["depth"][keep],
                    value, error)  # fmt: skip


def _in_cell(seen: View, axis: str, wanted: Any, at: np.ndarray) -> np.ndarray:
    """Whether places lie in the cell that is nearest to a place, or in a range."""
    if isinstance(wanted, (tuple, list)):
        low, high = (float(w) for w in wanted)
    else:
        centres = getattr(seen.grid, axis)
        edges = getattr(seen.grid, f"{axis}_edges")
        apart = centres - float(wanted)
        apart = np.abs(np.mod(apart + 180, 360) - 180 if axis == "lon" else apart)
        n = int(np.argmin(apart))
        low, high = float(edges[n]), float(edges[n + 1])
    return within(axis, at, (low, high))


def is_departures(obs: Any) -> bool:
    """Whether these are departures, or a ledger."""
    return isinstance(obs, xr.Dataset) and ("innovation" in obs or is_ledger(obs))


def table_rows(obs: Any, seen: View) -> dict[str, Any]:
    """Columns of a table of observations of the variable that is drawn."""
    table = as_table(obs)
    names = np.asarray(table["variable"].values).astype(str)
    own = (names == seen.variable) if seen.variable in names else _alike(table, names, seen)
    value = np.asarray(table["value"].values, dtype=float)
    good = own & np.isfinite(value) & ~rejected(table["qc"].values)
    times = table["time"].values
    attrs = table["value"].attrs
    unit = next((attrs[k] for k in ("units", *(f"units_{n}" for n in names[own][:1]))
                 if k in attrs), seen.source.unit)  # fmt: skip
    coloured = seen.kind == "value" and unit_tools.same_dimension(str(unit), seen.source.unit)
    return {
        "longitude": table["longitude"].values,
        "latitude": table["latitude"].values,
        "depth": np.asarray(table["depth"].values, dtype=float),
        "value": unit_tools.convert(value, str(unit), seen.source.unit) if coloured else None,
        "error": unit_tools.convert_difference(
            np.asarray(table["error"].values, dtype=float), str(unit), seen.source.unit
        )
        if coloured
        else None,
        "good": good,
        "cycle": lambda cycle: cycle.index(times),
    }


def _alike(table: xr.Dataset, names: np.ndarray, seen: View) -> np.ndarray:
    """Rows of the same kind of quantity under another name."""
    attrs = table["value"].attrs
    kinds = {}
    for n in set(names):
        unit = attrs.get(f"units_{n}", attrs.get("units"))
        kinds[n] = kind_of(n, str(attrs.get(f"standard_name_{n}", "")), unit)
    own = np.array([seen.quantity is not None and kinds[n] == seen.quantity for n in names])
    if not own.any():
        raise InputError(
            f"obs: nothing of {seen.variable!r} was measured; there are {sorted(set(names))}"
        )
    return own


def departures_rows(obs: xr.Dataset, seen: View, part: str | None) -> dict[str, Any]:
    """Columns of departures of the variable that is drawn."""
    own = np.asarray(obs["analysed_variable"].values).astype(str) == seen.variable
    column = {"increment": "innovation"}.get(part or "analysis")
    if column is None and seen.kind == "value":
        column = "observed"
    value = None if column is None else np.asarray(obs[column].values, dtype=float)
    numbers = obs["cycle"].values
    compared = np.isfinite(np.asarray(obs["innovation"].values, dtype=float))
    return {
        "longitude": obs["longitude"].values,
        "latitude": obs["latitude"].values,
        "depth": np.asarray(obs["depth"].values, dtype=float),
        "value": value,
        "error": np.asarray(obs["observed_error"].values, dtype=float),
        "good": own & compared,
        "cycle": lambda cycle: numbers,
    }


def _cycle(seen: View, problems: Problems) -> Cycle | None:
    """Cycle of what is drawn."""
    obj = seen.obj
    ds = obj.to_dataset(name=seen.variable) if isinstance(obj, xr.DataArray) else obj
    return cycle_of(ds, seen.source.layout, problems)


def _level(seen: View, depth: Any) -> Any:
    """Level that a map shows; a range stays one."""
    levels = seen.grid.depth
    if levels is None or isinstance(depth, (tuple, list)):
        return depth
    return float(levels[0 if depth is None else np.argmin(np.abs(levels - float(depth)))])


def _in_level(seen: View, depth: Any, values: np.ndarray) -> np.ndarray:
    """Whether depths lie within the level, or the layer, of a map."""
    if isinstance(depth, (tuple, list)):
        return (values >= depth[0]) & (values <= depth[1])
    assert seen.grid.depth is not None
    edges = seen.grid.depth_edges
    assert edges is not None
    k = int(np.argmin(np.abs(seen.grid.depth - _level(seen, depth))))
    return (values >= edges[k]) & (values <= edges[k + 1])


def _inside(
    seen: View, lon: np.ndarray, lat: np.ndarray, depth: np.ndarray, value: np.ndarray | None
) -> Measured:
    """What lies within the picture, with its longitudes."""
    west, east = (float(e) for e in edges_of(seen, "lon")[[0, -1]])
    south, north = (float(e) for e in edges_of(seen, "lat")[[0, -1]])
    moved = np.mod(lon - west, 360) + west
    keep = (moved <= east) & (lat >= south) & (lat <= north)
    return Measured(moved[keep], lat[keep], depth[keep], None if value is None else value[keep])
