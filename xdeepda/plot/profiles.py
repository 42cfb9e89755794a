"""Profiles: an estimate by depth with the error that it states."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from xdeepda.errors import Problems
from xdeepda.plot.choosing import choose_member, choose_place, choose_time
from xdeepda.plot.looking import View, view
from xdeepda.plot.measured import Measured, column
from xdeepda.plot.style import depth_axis, edges_of, new_axes, refuse_empty


def profile(
    ds: xr.Dataset | xr.DataArray,
    var: str | None = None,
    *,
    lat: Any = None,
    lon: Any = None,
    time: Any = None,
    member: int | None = None,
    part: str | None = None,
    sigmas: float = 2.0,
    background: bool = True,
    obs: Any = None,
    ax: Any = None,
    figsize: tuple[float, float] | None = None,
    yscale: str | None = None,
    label: str | None = None,
    **kwargs: Any,
) -> Any:
    """Profile with the band of its stated error, the background, and observations.

    Parameters
    ----------
    ds : Dataset or DataArray
        Any field with depth.
    var, part, time, member
        As :func:`xdeepda.plot.map`.
    lat, lon : float or (float, float)
        Place: the nearest cell.  A range is averaged over, and has no band, as the spread
        of single cells is not that of their mean, unless there are members.
    sigmas : float
        Half the width of the band in standard deviations: of the stored spread, else of
        the members.
    background : bool
        Also the background of an analysis, dashed.
    obs : observations, optional
        A table or departures: those of the cell and the cycle, with their errors.
    ax, figsize, yscale
        As :func:`xdeepda.plot.section`.
    label : str, optional
        Of the line, for the legend.
    **kwargs
        As matplotlib's ``plot``: ``color``, ``linestyle``, ...

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    InputError
        With all that is wrong: no depth, no place, nothing but land.

    Examples
    --------
    >>> analysis.deepda.plot.profile(lat=0, lon=220, time="1997-12")  # doctest: +SKIP
    """
    problems = Problems("plot.profile")
    place = {"lat": lat, "lon": lon}
    if not isinstance(sigmas, (int, float)) or sigmas <= 0:
        problems.add(f"sigmas={sigmas!r} is no width", expected="a positive number")
    seen = view(ds, var, problems, part=part, needs=("depth",))
    whole = None if seen is None else View(**vars(seen))
    if seen is not None and whole is not None:
        _choose(seen, place, time, problems)
        lines = _lines(whole, part, place, time, member, background, problems)
        choose_member(seen, member, problems)
    points = None
    if obs is not None and whole is not None and not len(problems):
        points = column(obs, whole, place, time, problems)
    problems.raise_if_any()
    assert seen is not None
    seen.values = seen.values.compute()
    refuse_empty(seen, "plot.profile")
    ax = new_axes(ax, figsize, (4.5, 6.0))
    main = _draw(ax, seen, label, kwargs)
    _draw_more(ax, seen, lines, sigmas, main)
    if points is not None:
        _draw_points(ax, points, seen)
    ax.set_xlabel(seen.label)
    ax.set_title("\n".join(w for w in seen.words if w), fontsize="medium")
    depth_axis(ax, edges_of(seen, "depth"), yscale)
    if len(ax.get_legend_handles_labels()[1]) > 1:
        ax.legend(fontsize="small")
    return ax


def _choose(seen: View, place: dict[str, Any], time: Any, problems: Problems) -> None:
    """Choose the place and the time."""
    for axis, wanted in place.items():
        if wanted is None and axis in seen.values.dims:
            if seen.values.sizes[axis] == 1:
                wanted = float(seen.values[axis].values[0])
            else:
                problems.add(f"where the profile lies is not clear: no {axis}=",
                             expected="a place, or a range to average over")  # fmt: skip
                continue
        choose_place(seen, axis, wanted, problems)
    choose_time(seen, time, problems)


def _lines(
    whole: View,
    part: str | None,
    place: dict[str, Any],
    time: Any,
    member: int | None,
    background: bool,
    problems: Problems,
) -> dict[str, np.ndarray]:
    """Spread and background at the place, those that there are."""
    out: dict[str, np.ndarray] = {}
    if len(problems) or part not in (None, "analysis", "background"):
        return out
    names = list(map(str, whole.obj.data_vars)) if isinstance(whole.obj, xr.Dataset) else []
    end = "background_spread" if part == "background" else "spread"
    ranges = any(isinstance(w, (tuple, list)) for w in place.values())
    several = whole.values.sizes.get("member", 1) > 1 and member is None
    if several and (ranges or f"{whole.variable}_{end}" not in names):
        every = View(**{**vars(whole), "words": []})
        _choose(every, place, time, problems)
        if not len(problems):
            out["spread"] = every.values.std("member", ddof=1).compute().values
    if "spread" not in out and not ranges and f"{whole.variable}_{end}" in names:
        out["spread"] = _other(whole, end, place, time, problems)
    if background and part != "background" and f"{whole.variable}_background" in names:
        out["background"] = _other(whole, "background", place, time, problems)
    return out


def _other(
    whole: View, part: str, place: dict[str, Any], time: Any, problems: Problems
) -> np.ndarray:
    """Another part of the analysis at the same place."""
    seen = view(whole.obj, whole.variable, problems, part=part)
    if seen is None:
        return np.zeros(0)
    _choose(seen, place, time, problems)
    choose_member(seen, None, problems)
    return np.asarray(seen.values.compute().values)


def _draw(ax: Any, seen: View, label: str | None, kwargs: dict[str, Any]) -> Any:
    """The line itself."""
    name = {"value": "analysis"}.get(seen.kind, seen.kind)
    has_parts = isinstance(seen.obj, xr.Dataset) and f"{seen.variable}_background" in seen.obj
    text = label or (name if has_parts else seen.variable)
    return ax.plot(seen.values.values, seen.values["depth"].values,
                   **{"label": text, "marker": ".", **kwargs})[0]  # fmt: skip


def _draw_more(ax: Any, seen: View, lines: dict[str, np.ndarray], sigmas: float, main: Any) -> None:
    """Band and background in the colour of the line."""
    z, x = seen.values["depth"].values, seen.values.values
    if "spread" in lines:
        half = sigmas * lines["spread"]
        ax.fill_betweenx(z, x - half, x + half, color=main.get_color(), alpha=0.25,
                         linewidth=0, label=f"± {sigmas:g} standard deviations")  # fmt: skip
    if "background" in lines:
        ax.plot(lines["background"], z, "--", color=main.get_color(), linewidth=1,
                label="background")  # fmt: skip


def _draw_points(ax: Any, points: Measured, seen: View) -> None:
    """Observations with their errors."""
    if points.value is None or not points.value.size:
        seen.words.append("no observation in the cell")
        return
    error = points.error
    known = None if error is None or not np.isfinite(error).any() else np.nan_to_num(error)
    ax.errorbar(points.value, points.depth, xerr=known, fmt="o", color="k", markersize=3,
                linewidth=0.8, label=f"observations ({points.value.size})")  # fmt: skip
