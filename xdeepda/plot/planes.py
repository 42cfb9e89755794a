"""Planes: depth along a section, and values along an axis and time."""

from __future__ import annotations

from typing import Any

import xarray as xr

from xdeepda.errors import Problems
from xdeepda.plot.choosing import (
    ALL,
    choose_depth,
    choose_member,
    choose_place,
    choose_time,
    times_within,
)
from xdeepda.plot.facets import draw_facets, facets_of
from xdeepda.plot.looking import View, view
from xdeepda.plot.style import (
    degree_axis,
    depth_axis,
    drawable_times,
    edges_of,
    mesh,
    new_axes,
    refuse_empty,
    time_axis,
)


def section(
    ds: xr.Dataset | xr.DataArray,
    var: str | None = None,
    *,
    part: str | None = None,
    lat: Any = None,
    lon: Any = None,
    time: Any = None,
    member: int | None = None,
    col: str | None = None,
    row: str | None = None,
    ax: Any = None,
    figsize: tuple[float, float] | None = None,
    yscale: str | None = None,
    **kwargs: Any,
) -> Any:
    """Section along a latitude or a longitude, depth downwards, the upper ocean stretched.

    Parameters
    ----------
    ds : Dataset or DataArray
        Any field with depth; of a section without latitudes (or longitudes) as it is.
    var, part, time, member
        As :func:`xdeepda.plot.map`.
    lat, lon : float or (float, float)
        One of them: the section lies along this latitude or longitude (the nearest, as
        the title says), or is the mean over a range.
    col, row : str, optional
        Axis of time, of members, or across the sections: one for each of its values, in
        the same colours, such as ``col="lat", lat=[-10, 0, 10]`` or ``col="time",
        time=slice("1997", "1998")``.
    ax, figsize
        As :func:`xdeepda.plot.map`.
    yscale : str, optional
        Scale of the depth, such as ``"linear"``; by default a square root.
    **kwargs
        As ``DataArray.plot.pcolormesh``.

    Returns
    -------
    matplotlib.axes.Axes
        Or, with `col` or `row`, :class:`xarray.plot.FacetGrid`.

    Raises
    ------
    InputError
        With all that is wrong: no depth, a place outside of the grid, neither or both of
        `lat` and `lon`.

    Examples
    --------
    >>> analysis.deepda.plot.section(lat=0, time="1997-12")  # doctest: +SKIP
    >>> analysis.deepda.plot.section(part="spread", lat=(-5, 5))  # doctest: +SKIP
    """
    problems = Problems("plot.section")
    seen = view(ds, var, problems, part=part, needs=("depth",))
    along = _along_section(seen, lat, lon, problems) if seen is not None else ""
    facets = None
    if seen is not None and along:
        across = "lat" if along == "lon" else "lon"
        given = {across: lat if across == "lat" else lon, "time": time, "member": member}
        facets = facets_of(seen, col, row, given, problems)
        for axis in (a for a in given if facets is None or a not in facets.positions):
            _choose(seen, axis, given[axis], problems)
    if ax is not None and (col is not None or row is not None):
        problems.add("several sections need a figure of their own", todo="leave ax= out")
    problems.raise_if_any()
    assert seen is not None
    seen.values = seen.values.compute()
    refuse_empty(seen, "plot.section")

    def dress(one: Any) -> None:
        degree_axis(one, along, "x", edges_of(seen, along))
        depth_axis(one, edges_of(seen, "depth"), yscale)

    if facets is not None:
        sizes = {"figsize": figsize} if figsize else {"size": 2.8, "aspect": 1.6}
        return draw_facets(seen, facets, (along, "depth"), dress, {**sizes, **kwargs})
    ax = new_axes(ax, figsize, (8.0, 4.0))
    mesh(seen, ax, along, "depth", kwargs)
    dress(ax)
    return ax


def _choose(seen: View, axis: str, wanted: Any, problems: Problems) -> None:
    """Choose on one axis that is not drawn."""
    if axis == "time":
        choose_time(seen, wanted, problems)
    elif axis == "member":
        choose_member(seen, wanted, problems)
    else:
        choose_place(seen, axis, wanted, problems)


def _along_section(seen: View, lat: Any, lon: Any, problems: Problems) -> str:
    """Axis that a section lies along; empty with a problem."""
    there = [axis for axis in ("lat", "lon") if axis in seen.values.dims]
    given = [axis for axis, value in (("lat", lat), ("lon", lon)) if value is not None]
    dims = f"dimensions {seen.source.layout.dims}"
    missing = [axis for axis in given if axis not in there]
    if not there:
        problems.add("there is neither latitude nor longitude", found=dims, todo="plot.profile()")
        return ""
    if missing:
        problems.add(f"{missing[0]}=: there is no such axis", found=dims)
        return ""
    if len(there) == 1:
        if given:
            problems.add(f"the section lies along {there[0]} already", todo="leave it out")
            return ""
        return there[0]
    single = [axis for axis in there if seen.values.sizes[axis] == 1]
    if not given and len(single) == 1:
        # a section that was cut out by isel or sel
        choose_place(seen, single[0], float(seen.values[single[0]].values[0]), problems)
        return "lon" if single[0] == "lat" else "lat"
    if len(given) != 1:
        problems.add("where the section lies is not clear",
                     found="lat and lon" if given else "neither lat nor lon",
                     expected="one of them, such as lat=0 for one along the equator")  # fmt: skip
        return ""
    return "lon" if given == ["lat"] else "lat"


def hovmoller(
    ds: xr.Dataset | xr.DataArray,
    var: str | None = None,
    *,
    along: str | None = None,
    part: str | None = None,
    depth: Any = None,
    lat: Any = None,
    lon: Any = None,
    time: Any = None,
    member: int | None = None,
    ax: Any = None,
    figsize: tuple[float, float] | None = None,
    yscale: str | None = None,
    **kwargs: Any,
) -> Any:
    """Hovmöller diagram: time, and longitude, latitude or depth.

    Parameters
    ----------
    ds : Dataset or DataArray
        Any field with time.
    var, part, member
        As :func:`xdeepda.plot.map`.
    along : {"lon", "lat", "depth"}, optional
        The other axis; by default the first of these that is there and not chosen by
        a keyword.  Depth lies downwards, with time to the right; otherwise time goes up.
    depth : float or (float, float), optional
        By default the uppermost level.
    lat, lon : float or (float, float), optional
        A place, or a range that is averaged over by area; by default all.
    time : str or slice, optional
        The period.
    ax, figsize, yscale
        As :func:`xdeepda.plot.section`.
    **kwargs
        As ``DataArray.plot.pcolormesh``.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    InputError
        With all that is wrong: no time, fewer than two times, a place outside of the grid.

    Examples
    --------
    >>> analysis.deepda.anomalies().deepda.plot.hovmoller(lat=(-5, 5))  # doctest: +SKIP
    >>> analysis.deepda.plot.hovmoller(along="depth", lat=0, lon=220)  # doctest: +SKIP
    """
    problems = Problems("plot.hovmoller")
    seen = view(ds, var, problems, part=part, needs=("time",))
    chosen = {"lon": lon, "lat": lat, "depth": depth}
    along = _along_time(seen, along, chosen, problems) if seen is not None else None
    if seen is not None and along is not None:
        _choose_rest(seen, along, chosen, time, problems)
        choose_member(seen, member, problems)
    problems.raise_if_any()
    assert seen is not None
    assert along is not None
    seen.values = seen.values.compute()
    refuse_empty(seen, "plot.hovmoller")
    times = drawable_times(seen.values["time"])
    seen.values = seen.values.assign_coords(time=times)
    ax = new_axes(ax, figsize, (8.0, 4.0) if along == "depth" else (6.0, 6.5))
    if along == "depth":
        mesh(seen, ax, "time", "depth", kwargs)
        depth_axis(ax, edges_of(seen, "depth"), yscale)
        time_axis(ax, "x", times)
        return ax
    mesh(seen, ax, along, "time", kwargs)
    degree_axis(ax, along, "x", edges_of(seen, along))
    time_axis(ax, "y", times)
    return ax


def _along_time(
    seen: View, along: str | None, chosen: dict[str, Any], problems: Problems
) -> str | None:
    """The axis beside time; None with a problem."""
    there = [axis for axis in chosen if axis in seen.values.dims]
    if along is None:
        free = [axis for axis in there if chosen[axis] is None and seen.values.sizes[axis] > 1]
        if free:
            return free[0]
        problems.add("there is no axis beside time", found=f"dimensions {seen.source.layout.dims}")
    elif along not in there:
        problems.add(f"along={along!r} is no axis of this field", expected=f"of {there}")
    elif chosen[along] is not None:
        problems.add(f"along={along!r}, and {along}= chooses from it", todo=f"leave {along}= out")
    else:
        return along
    return None


def _choose_rest(
    seen: View, along: str, chosen: dict[str, Any], time: Any, problems: Problems
) -> None:
    """Choose on the axes that are not drawn."""
    if along != "depth":
        choose_depth(seen, chosen["depth"], problems)
    for axis in ("lat", "lon"):
        if axis != along:
            wanted = chosen[axis]
            choose_place(seen, axis, ALL if wanted is None else wanted, problems)
    positions = times_within(seen, ALL if time is None else time, problems)
    if positions is None:
        return
    if positions.size < 2:
        problems.add("a Hovmöller diagram needs two times at least", found=str(positions.size))
    seen.values = seen.values.isel(time=positions)
