"""Where the observations are in time: by kind of platform, or by depth."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from xdeepda.calendar import Cycle, calendar_of
from xdeepda.errors import InputError, Problems
from xdeepda.observations.columns import TEXT
from xdeepda.observations.departures import analysed_variables
from xdeepda.observations.flags import rejected
from xdeepda.observations.table import as_table, is_gridded
from xdeepda.plot.looking import view, with_axes
from xdeepda.plot.measured import is_departures
from xdeepda.plot.style import colour_map, depth_axis, new_axes, time_axis

#: Edges of the layers that points are counted in, metres.
LAYERS = np.array([0, 5, 15, 30, 50, 75, 100, 150, 200, 300, 400, 500, 750, 1000, 1250, 1500, 2000,
                   3000, 4000, 5000, 7000, 12000], dtype=float)  # fmt: skip
_MOST = 8


def coverage(
    obs: Any,
    *,
    by: str | None = None,
    var: str | None = None,
    cycle: str | None = None,
    ax: Any = None,
    figsize: tuple[float, float] | None = None,
    yscale: str | None = None,
    **kwargs: Any,
) -> Any:
    """Observations through time, by kind of platform or by depth.

    Parameters
    ----------
    obs : observations, or an analysis
        Points in any form that ``assimilate`` takes, departures or a ledger, fields of
        :func:`xdeepda.superob` (counted by cells), or an analysis (by the observations that
        it used).  Rows that are flagged as bad, or hold no value, do not count.
    by : str, optional
        ``"depth"``, or a column of the table: ``"instrument"``, ``"platform"``,
        ``"source"``, ``"variable"``, ...; by default the instrument where it is known, else
        depth.
    var : str, optional
        Only this variable.
    cycle : {"pentad", "month", "year"}, optional
        What is counted together; by default months, and years of more than 15 years.
    ax, figsize, yscale
        As :func:`xdeepda.plot.section`.
    **kwargs
        As matplotlib's ``bar`` (platforms) or ``pcolormesh`` (depth).

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    InputError
        With all that is wrong: no observations, no such column.

    Examples
    --------
    >>> obs.deepda.plot.coverage(by="depth")  # doctest: +SKIP
    """
    problems = Problems("plot.coverage")
    try:
        interval = None if cycle is None else Cycle(cycle)
    except InputError as refused:
        problems.absorb(refused)
        interval = None
    fields = isinstance(obs, (xr.Dataset, xr.DataArray)) and is_gridded(with_axes(obs))
    read = _of_fields if fields else _of_points
    counted = read(obs, by, var, interval, problems)
    problems.raise_if_any()
    assert counted is not None
    return _draw(counted, ax, figsize, yscale, kwargs)


class _Counted:
    """Numbers by time and group.

    Parameters
    ----------
    counts : numpy.ndarray, shape (group, time)
    years : numpy.ndarray, shape (time,)
        Beginnings of the cycles.
    groups : list of str, or edges in metres
    words : str
        What was counted.
    by : str
        What the groups are.
    """

    def __init__(self, counts: np.ndarray, numbers: np.ndarray, per_year: int,
                 groups: Any, words: str, by: str) -> None:  # fmt: skip
        self.counts, self.groups, self.words, self.by = counts, groups, words, by
        self.years, self.width = numbers / per_year, 1 / per_year


def _of_points(
    obs: Any, by: str | None, var: str | None, cycle: Cycle | None, problems: Problems
) -> _Counted | None:
    """Count the rows of a table."""
    if is_departures(obs):
        # they were understood before, and may lack an axis
        table, value = _of_variable(obs, var), "observed"
    else:
        try:
            table, value = as_table(obs, var=var), "value"
        except InputError as refused:
            problems.absorb(refused)
            return None
    good = np.isfinite(np.asarray(table[value].values, dtype=float))
    if "qc" in table.variables:
        good &= ~rejected(table["qc"].values)
    columns = [c for c in ("variable", *TEXT) if c in table.variables]
    if by is None:
        by = "instrument" if "instrument" in columns else "depth"
    if by != "depth" and by not in columns:
        problems.add(f"by={by!r}: there is no such column", expected=f"of {['depth', *columns]}")
        return None
    if by == "depth":
        good &= np.isfinite(table["depth"].values)
    if not good.any():
        problems.add("there is no usable observation", found=f"{good.size} rows")
        return None
    table = table.isel(obs=np.flatnonzero(good))
    cycle, numbers = _cycles(table["time"].values, cycle)
    at = numbers - numbers.min()
    if by == "depth":
        group, groups = _layers(np.maximum(table["depth"].values, 0.0))
        size = len(groups) - 1
    else:
        group, groups = _kinds(np.asarray(table[by].values).astype(str))
        size = len(groups)
    counts = np.zeros((size, int(at.max()) + 1), dtype=np.int64)
    np.add.at(counts, (group, at), 1)
    every = numbers.min() + np.arange(counts.shape[1])
    words = f"observations in a {cycle.name}"
    return _Counted(counts, every, cycle.per_year, groups, words, by)


def _of_variable(rows: xr.Dataset, var: str | None) -> xr.Dataset:
    """Departures of one variable of the analysis."""
    if var is None:
        return rows
    own = np.asarray(rows["analysed_variable"].values).astype(str) == var
    return rows.isel(obs=np.flatnonzero(own))


def _layers(depth: np.ndarray) -> tuple[np.ndarray, Any]:
    """Number of the layer of each row, and the edges down to the deepest."""
    edges = LAYERS[: int(np.searchsorted(LAYERS, depth.max(), side="right")) + 1]
    return np.clip(np.searchsorted(edges, depth, "right") - 1, 0, edges.size - 2), edges


def _kinds(names: np.ndarray) -> tuple[np.ndarray, Any]:
    """Number of the group of each row, and the groups: the most frequent, and the others."""
    found, code, count = np.unique(names, return_inverse=True, return_counts=True)
    first = np.argsort(-count, kind="stable")
    kept = first if first.size <= _MOST + 1 else first[:_MOST]
    groups = [str(found[n]) or "(unknown)" for n in kept]
    number = np.full(found.size, kept.size)
    number[kept] = np.arange(kept.size)
    if kept.size < first.size:
        groups.append(f"{first.size - kept.size} others")
    return number[code], groups


def _of_fields(
    obs: Any, by: str | None, var: str | None, cycle: Cycle | None, problems: Problems
) -> _Counted | None:
    """Count the cells of fields, or the observations that an analysis counted."""
    if by not in (None, "depth"):
        problems.add(f"by={by!r} is of points", expected="by='depth' of fields",
                     todo="give the observations themselves")  # fmt: skip
        return None
    part = None
    if isinstance(obs, xr.Dataset):
        counted = [n for n in obs.data_vars if str(n).endswith("_obs_count")]
        names = analysed_variables(obs, Problems("plot.coverage")) if counted else []
        var = names[0] if var is None and len(names) == 1 else var
        part = "obs_count" if counted else None
    found = view(obs, var, problems, part=part, needs=("time",))
    if found is not None and isinstance(obs, xr.Dataset) and f"{found.variable}_count" in obs:
        # of superobservations
        found = view(obs, f"{found.variable}_count", problems, needs=("time",))
    if found is None:
        return None
    values = found.values
    held = values.fillna(0) if found.kind == "count" else values.notnull()
    over = [d for d in values.dims if d not in ("time", "depth")]
    total = held.sum(over).transpose(..., "time").compute()
    rows = np.atleast_2d(total.values)
    try:
        cycle, numbers = _cycles(values["time"].values, cycle)
    except InputError as refused:
        problems.absorb(refused)
        return None
    counts = np.zeros((rows.shape[0], int(np.ptp(numbers)) + 1))
    np.add.at(counts.T, numbers - numbers.min(), rows.T)
    if not counts.any():
        problems.add("there is no observation", found=f"{numbers.size} times without one")
    what = "observations" if found.kind == "count" else "observed cells"
    groups = found.grid.depth_edges if "depth" in values.dims else [what]
    every = numbers.min() + np.arange(counts.shape[1])
    by = "depth" if "depth" in values.dims else ""
    return _Counted(counts, every, cycle.per_year, groups, f"{what} in a {cycle.name}", by)


def _cycles(times: np.ndarray, cycle: Cycle | None) -> tuple[Cycle, np.ndarray]:
    """Cycle to count in, and the number of the one of each time."""
    calendar_of(times)
    if cycle is None:
        months = Cycle("month").index(times)
        cycle = Cycle("year" if np.ptp(months) > 180 else "month")
    return cycle, cycle.index(times)


def _draw(counted: _Counted, ax: Any, figsize: Any, yscale: str | None, kwargs: Any) -> Any:
    """Stacked bars, or a plane of depth and time."""
    ax = new_axes(ax, figsize, (8.0, 4.0))
    years, width = counted.years, counted.width
    if counted.by == "depth":
        _plane(ax, counted, kwargs)
        depth_axis(ax, np.asarray(counted.groups), yscale)
    else:
        bottom = np.zeros(years.size)
        for n, (name, row) in enumerate(zip(counted.groups, counted.counts, strict=True)):
            style = {"color": f"C{n % 10}", "label": name, "align": "edge", **kwargs}
            ax.bar(years, row, width=width, bottom=bottom, **style)
            bottom = bottom + row
        ax.set_ylabel(counted.words)
        if counted.by:
            ax.legend(fontsize="small", title=counted.by)
    ax.set_xlim(years[0], years[-1] + width)
    time_axis(ax, "x", np.array([years[0], years[-1] + width], dtype=float))
    return ax


def _plane(ax: Any, counted: _Counted, kwargs: dict[str, Any]) -> None:
    """Numbers by depth and time in logarithmic colours; none is white."""
    from matplotlib.colors import LogNorm

    counts = np.ma.masked_equal(counted.counts, 0)
    given = dict(kwargs)
    legend = given.pop("add_colorbar", True)
    style = {"cmap": colour_map("count"), **given}
    if not {"norm", "vmin", "vmax"} & {*given}:
        low, high = float(counts.min()), float(counts.max())
        style["norm"] = LogNorm(low, high if high > low else 2 * low)
    edges = np.append(counted.years, counted.years[-1] + counted.width)
    drawn = ax.pcolormesh(edges, np.asarray(counted.groups), counts, **style)
    if legend:
        ax.figure.colorbar(drawn, ax=ax, label=counted.words)
