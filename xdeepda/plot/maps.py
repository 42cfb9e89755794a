"""Maps: a field at a depth and a time, with the observations of its cycle."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from xdeepda.errors import InputError, Problems
from xdeepda.plot.choosing import ALL, choose_depth, choose_member, choose_time
from xdeepda.plot.facets import draw_facets, facets_of
from xdeepda.plot.looking import View, view
from xdeepda.plot.measured import Measured, measured
from xdeepda.plot.style import degree_axis, edges_of, mesh, new_axes, refuse_empty

#: Inches beside a map, for its labels and the colour bar.
_MARGIN = 2.4


def map(  # the name of the picture; the builtin is not used in this module
    ds: xr.Dataset | xr.DataArray,
    var: str | None = None,
    *,
    part: str | None = None,
    depth: Any = None,
    time: Any = None,
    member: int | None = None,
    obs: Any = None,
    obs_kwargs: dict[str, Any] | None = None,
    projection: Any = None,
    col: str | None = None,
    row: str | None = None,
    ax: Any = None,
    figsize: tuple[float, float] | None = None,
    **kwargs: Any,
) -> Any:
    """Map at a depth and a time, or several side by side.

    Parameters
    ----------
    ds : Dataset or DataArray
        A run, an analysis, a diagnostic: any field with latitude and longitude.
    var : str, optional
        Name of the variable, where there are several.
    part : str, optional
        Of an analysis: ``"increment"`` (made where it is not stored), ``"spread"``,
        ``"background"``, ``"background_spread"``, ``"obs_count"``; by default the
        variable itself.
    depth : float or (float, float), optional
        Metres: the nearest level, or the mean of a layer; by default the uppermost.
    time : str, date, slice or "mean", optional
        Such as ``"1997-12"``; several times give their mean; by default the last.
    member : int, optional
        Position of one member; by default their mean.
    obs : True, or observations, optional
        Shown where they lie in this cycle and level: points in any form that
        ``assimilate`` takes (in the colours of the field if it is the analysis or
        background), fields of :func:`xdeepda.superob`; departures, whose innovations
        colour an increment; True for the cells that the analysis counts.
    obs_kwargs : dict, optional
        For matplotlib's ``scatter``.
    projection : cartopy.crs.Projection, optional
        Of a new figure; axes of cartopy may be given by `ax` as well.
    col, row : str, optional
        Axis of time, depth or members: a map for each of its values, in the same colours.
        `time` and `depth` then choose which: ``time=slice("1997", "1998")``, ``depth=[5,
        100, 300]``; by default all.
    ax : matplotlib.axes.Axes, optional
        By default those of a new figure.
    figsize : (float, float), optional
        Inches.
    **kwargs
        As ``DataArray.plot.pcolormesh``: ``cmap``, ``vmin``, ``vmax``, ``center``, ``robust``,
        ``levels``, ``norm``, ``add_colorbar``, ``cbar_kwargs``, ``add_labels``, ``col_wrap``, ...

    Returns
    -------
    matplotlib.axes.Axes
        Or, with `col` or `row`, :class:`xarray.plot.FacetGrid`.

    Raises
    ------
    InputError
        With all that is wrong: no such variable or part, no axis of latitude or
        longitude, a time outside of the data, nothing but land.

    Examples
    --------
    >>> analysis.deepda.plot.map(depth=100, time="1997-12")  # doctest: +SKIP
    >>> analysis.deepda.plot.map(part="increment", obs=True)  # doctest: +SKIP
    >>> analysis.deepda.plot.map(col="depth", depth=[5, 100, 300])  # doctest: +SKIP
    """
    if col is not None or row is not None:
        if ax is not None:
            raise InputError("plot.map: several maps need a figure of their own; leave ax= out")
        given = {"time": time, "depth": depth, "member": member}
        options = {"projection": projection, "figsize": figsize, "obs_kwargs": obs_kwargs}
        return _several(ds, var, part, (col, row), given, obs, options, kwargs)
    seen, points = prepared(ds, var, part, depth, member, obs, time)
    refuse_empty(seen, "plot.map")
    subplot = {} if projection is None else {"projection": projection}
    ax = new_axes(ax, figsize, map_size(seen), **subplot)
    drawn = draw(seen, ax, kwargs)
    if points is not None:
        points.scatter(ax, drawn, kwargs.get("add_colorbar", True), obs_kwargs or {})
    return ax


def _several(
    ds: Any,
    var: str | None,
    part: str | None,
    roles: tuple[str | None, str | None],
    given: dict[str, Any],
    obs: Any,
    options: dict[str, Any],
    kwargs: dict[str, Any],
) -> Any:
    """Maps side by side."""
    problems = Problems("plot.map")
    seen = _seen(ds, var, part, problems)
    before = View(**vars(seen))
    facets = facets_of(seen, *roles, given, problems)
    rest = {a: w for a, w in given.items() if facets is None or a not in facets.positions}
    if facets is not None:
        _choose(seen, rest, problems)
    problems.raise_if_any()
    assert facets is not None
    seen.values = seen.values.compute()
    refuse_empty(seen, "plot.map")
    grid = draw_facets(
        seen, facets, ("lon", "lat"), lambda ax: _dress(seen, ax), _styled(seen, options, kwargs)
    )
    if obs is not None and obs is not False:
        for ax, names in zip(grid.axs.flat, grid.name_dicts.flat, strict=True):
            if names is not None:
                _add_points(ax, before, facets.of(names), part, rest, obs, options, problems)
    problems.raise_if_any()
    return grid


def _styled(seen: View, options: dict[str, Any], kwargs: dict[str, Any]) -> dict[str, Any]:
    """Sizes and projections as xarray's facets take them, where the user does not."""
    width, height = map_size(seen)
    out: dict[str, Any] = {"figsize": options["figsize"]}
    if options["figsize"] is None:
        out |= {"size": 2.6, "aspect": float(np.clip((width - _MARGIN) / (height - 0.8), 0.6, 2.6))}
    if options["projection"] is not None:
        import cartopy.crs as ccrs

        out |= {"subplot_kws": {"projection": options["projection"]}}
        out |= {"transform": ccrs.PlateCarree()}
    return {**out, **kwargs}


def _add_points(
    ax: Any,
    before: View,
    at: dict[str, int],
    part: str | None,
    rest: dict[str, Any],
    obs: Any,
    options: dict[str, Any],
    problems: Problems,
) -> None:
    """Observations of one of several maps."""
    one, time, depth = View(**vars(before)), rest.get("time"), rest.get("depth")
    if "time" in at:
        one.values, time = one.values.isel(time=[at["time"]]), ALL
    if "depth" in at:
        depth = float(before.values["depth"].values[at["depth"]])
    points = measured(obs, one, part, depth, time, problems)
    if points is not None:
        points.scatter(ax, ax.collections[0], True, {"s": 6, **(options["obs_kwargs"] or {})})


def prepared(
    ds: Any, var: str | None, part: str | None, depth: Any, member: int | None, obs: Any, time: Any
) -> tuple[View, Measured | None]:
    """View of two dimensions and the observations in it; everything is checked."""
    problems = Problems("plot.map")
    seen = _seen(ds, var, part, problems)
    before = View(**vars(seen))
    _choose(seen, {"depth": depth, "time": time, "member": member}, problems)
    points = None
    if obs is not None and obs is not False and not len(problems):
        points = measured(obs, before, part, depth, time, problems)
    problems.raise_if_any()
    seen.values = seen.values.compute()
    return seen, points


def _seen(ds: Any, var: str | None, part: str | None, problems: Problems) -> View:
    """View of a field that has latitude and longitude; refused at once if it has not."""
    seen = view(ds, var, problems, part=part, needs=("lat", "lon"))
    if seen is None:
        if isinstance(ds, (xr.Dataset, xr.DataArray)) and any(
            "has no axis of" in item.what for item in problems
        ):
            problems.add("a map needs both axes", todo="ds.deepda.plot.section() of a section")
        problems.raise_if_any()
    assert seen is not None
    return seen


def _choose(seen: View, given: dict[str, Any], problems: Problems) -> None:
    """Choose on the axes that are given."""
    for axis, choose in (("depth", choose_depth), ("time", choose_time), ("member", choose_member)):
        if axis in given:
            choose(seen, given[axis], problems)


def draw(seen: View, ax: Any, kwargs: dict[str, Any]) -> Any:
    """Cells, axes in degrees, land."""
    if hasattr(ax, "projection"):
        return _draw_projected(seen, ax, kwargs)
    given = dict(kwargs)
    if given.get("add_colorbar", True) and not {"cbar_ax", "cbar_kwargs"} & {*given}:
        # as high as the map, whose height its aspect decides
        inch = 1 / (map_size(seen)[0] - _MARGIN)
        given["cbar_ax"] = ax.inset_axes((1 + 0.12 * inch, 0.0, 0.16 * inch, 1.0))
    drawn = mesh(seen, ax, "lon", "lat", given)
    _dress(seen, ax)
    return drawn


def _dress(seen: View, ax: Any) -> None:
    """Axes in degrees, as long as they are on the earth."""
    if hasattr(ax, "projection"):
        if seen.grid.cyclic:
            ax.set_global()
        return
    degree_axis(ax, "lon", "x", edges_of(seen, "lon"))
    degree_axis(ax, "lat", "y", edges_of(seen, "lat"))
    ax.set_aspect(_aspect(seen))


def _draw_projected(seen: View, ax: Any, kwargs: dict[str, Any]) -> Any:
    """Cells on axes of cartopy."""
    try:
        import cartopy.crs as ccrs
    except ImportError:
        raise InputError("plot.map: axes with a projection need cartopy") from None
    drawn = mesh(seen, ax, "lon", "lat", {"transform": ccrs.PlateCarree(), **kwargs})
    _dress(seen, ax)
    return drawn


def _aspect(seen: View) -> float | str:
    """Degrees of latitude as long as those of longitude in the middle; free if that is a strip."""
    lat, lon = edges_of(seen, "lat"), edges_of(seen, "lon")
    true = 1.0 if seen.grid.cyclic else float(1 / max(np.cos(np.deg2rad(lat.mean())), 0.2))
    shape = (lon[-1] - lon[0]) / ((lat[-1] - lat[0]) * true)
    return true if 0.3 < shape < 4 else "auto"


def map_size(seen: View) -> tuple[float, float]:
    """Inches of a figure that the map and its colour bar fill."""
    lat, lon = edges_of(seen, "lat"), edges_of(seen, "lon")
    aspect = _aspect(seen)
    if aspect == "auto":
        return 8.0, 3.0
    shape = (lon[-1] - lon[0]) / ((lat[-1] - lat[0]) * float(aspect))
    height = float(np.clip(6.3 / shape, 2.2, 6.5))
    return height * shape + _MARGIN, height + 0.8
