"""Series: an index, a heat content or another number through time, with its error."""

from __future__ import annotations

from typing import Any

import xarray as xr

from xdeepda.errors import Problems
from xdeepda.plot.looking import View, view
from xdeepda.plot.style import drawable_times, new_axes, refuse_empty, time_axis


def series(
    ds: xr.Dataset | xr.DataArray,
    var: str | None = None,
    *,
    sigmas: float = 2.0,
    ax: Any = None,
    figsize: tuple[float, float] | None = None,
    label: str | None = None,
    **kwargs: Any,
) -> Any:
    """Numbers through time, such as an index, with the band of their error.

    Parameters
    ----------
    ds : Dataset or DataArray
        Along time, and members where there are some: from :func:`xdeepda.index`,
        :func:`xdeepda.heat_content` (``total=True``), :func:`xdeepda.over_members`, ...
    var : str, optional
        Name of the variable, where there are several.
    sigmas : float
        Half the width of the band in standard deviations: of the members, else of the
        stored ``<var>_spread``.  Without either there is a line alone.
    ax : matplotlib.axes.Axes, optional
        By default those of a new figure.
    figsize : (float, float), optional
        Inches.
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
        With all that is wrong: no time, other axes than time and members, no value.

    Examples
    --------
    >>> ax = analysis.deepda.index("nino34").deepda.plot.series(label="analysis")  # doctest: +SKIP
    >>> truth.deepda.index("nino34").deepda.plot.series(ax=ax, color="k")  # doctest: +SKIP
    """
    problems = Problems("plot.series")
    if not isinstance(sigmas, (int, float)) or sigmas <= 0:
        problems.add(f"sigmas={sigmas!r} is no width", expected="a positive number")
    seen = view(ds, var, problems, needs=("time",))
    if seen is not None and (rest := [d for d in seen.values.dims if d not in ("time", "member")]):
        problems.add("these are no numbers through time", found=f"also along {rest}",
                     todo="choose a place or average: ds.isel(...), xdeepda.index, "
                     "heat_content(total=True); plot.hovmoller() of a plane")  # fmt: skip
    problems.raise_if_any()
    assert seen is not None
    half = _half(seen, sigmas)
    if "member" in seen.values.dims:
        seen.values = seen.values.mean("member", keep_attrs=True)
    seen.values = seen.values.compute()
    refuse_empty(seen, "plot.series")
    times = drawable_times(seen.values["time"])
    ax = new_axes(ax, figsize, (8.0, 3.0))
    style = {"label": label or seen.source.name, "linewidth": 1.3, **kwargs}
    line = ax.plot(times, seen.values.values, **style)[0]
    if half is not None:
        low, high = (seen.values + sign * half for sign in (-1, 1))
        ax.fill_between(times, low, high, color=line.get_color(), alpha=0.25, linewidth=0)
    ax.set_ylabel(seen.label)
    ax.margins(x=0.01)
    time_axis(ax, "x", times)
    return ax


def _half(seen: View, sigmas: float) -> xr.DataArray | None:
    """Half the width of the band; None where there is no error."""
    if seen.values.sizes.get("member", 1) > 1:
        return sigmas * seen.values.std("member", ddof=1).compute()
    name = f"{seen.variable}_spread"
    if not isinstance(seen.obj, xr.Dataset) or name not in seen.obj:
        return None
    return sigmas * seen.source.layout.canonical(seen.obj[name]).compute()
