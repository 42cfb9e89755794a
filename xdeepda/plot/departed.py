"""Histograms of departures: observations minus background and minus analysis."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from xdeepda.errors import Problems
from xdeepda.observations.departures import departures
from xdeepda.plot.measured import is_departures
from xdeepda.plot.style import new_axes

_SIGN = {"innovation": "O-B", "residual": "O-A"}


def innovations(
    ds: xr.Dataset | xr.DataArray,
    obs: Any = None,
    *,
    var: str | None = None,
    normalised: bool = False,
    bins: int = 60,
    ax: Any = None,
    figsize: tuple[float, float] | None = None,
    **kwargs: Any,
) -> Any:
    """Histogram of observations minus background and minus analysis.

    Parameters
    ----------
    ds : Dataset or DataArray
        Departures (:func:`xdeepda.departures`), a ledger, or an analysis.
    obs : observations, optional
        To compare an analysis with; by default those of its ledger.
    var : str, optional
        Analysed variable, where there are several.
    normalised : bool
        O-B over the error that is expected of it, with the normal distribution that it
        should have.
    bins : int
        Number of bins; they span four root mean squares to both sides.
    ax : matplotlib.axes.Axes, optional
        By default those of a new figure.
    figsize : (float, float), optional
        Inches.
    **kwargs
        As matplotlib's ``stairs``.

    Returns
    -------
    matplotlib.axes.Axes
        Densities; the legend tells mean and standard deviation of all, the title how
        many lie outside of the bins.

    Raises
    ------
    InputError
        If there are no departures, or none of this variable.

    Examples
    --------
    >>> analysis.deepda.plot.innovations(withheld)  # doctest: +SKIP
    """
    if isinstance(ds, xr.Dataset) and obs is None and is_departures(ds):
        table = ds
    else:
        table = departures(ds, obs)
    problems = Problems("plot.innovations")
    if isinstance(bins, bool) or not isinstance(bins, int) or bins < 2:
        problems.add(f"bins={bins!r} is no number of bins", expected="2, 3, ...")
    rows = _rows(table, var, problems)
    columns = {} if len(problems) else _columns(table, rows, normalised, problems)
    problems.raise_if_any()
    ax = new_axes(ax, figsize, (6.0, 4.0))
    width = 4 * max(float(np.sqrt(np.mean(v**2))) for v in columns.values()) or 1.0
    edges = np.linspace(-width, width, bins + 1)
    outside = 0
    for n, (name, values) in enumerate(columns.items()):
        share = np.histogram(values, edges)[0] / values.size / np.diff(edges)
        words = f"{_SIGN[name]}: mean {values.mean():.2g}, std {values.std():.3g}"
        style = {"color": f"C{n}", "fill": n == 0, "alpha": 0.5 if n == 0 else 1.0,
                 "linewidth": 1.6, "label": words, **kwargs}  # fmt: skip
        ax.stairs(share, edges, **style)
        outside = max(outside, int((np.abs(values) > width).sum()))
    if normalised:
        ax.plot(edges, np.exp(-(edges**2) / 2) / np.sqrt(2 * np.pi), "k--", linewidth=1,
                label="expected")  # fmt: skip
    _finish(ax, table, next(iter(columns.values())).size, outside, normalised, edges)
    return ax


def _rows(table: xr.Dataset, var: str | None, problems: Problems) -> np.ndarray:
    """Rows of one variable."""
    names = np.asarray(table["analysed_variable"].values).astype(str)
    known = sorted(n for n in set(names) if n)
    if var is None and len(known) == 1:
        var = known[0]
    if var is None or var not in known:
        problems.add("which variable is not clear" if var is None else f"there is no {var!r}",
                     found=f"variables {known}", todo="var=...")  # fmt: skip
    return np.flatnonzero(names == var)


def _columns(
    table: xr.Dataset, rows: np.ndarray, normalised: bool, problems: Problems
) -> dict[str, np.ndarray]:
    """Finite values of O-B and O-A."""

    def numbers(name: str) -> np.ndarray:
        return np.asarray(table[name].values, dtype=float)[rows]

    found = {name: numbers(name) for name in _SIGN if name in table}
    if normalised:
        variance = numbers("background_spread") ** 2 + numbers("observed_error") ** 2
        with np.errstate(divide="ignore", invalid="ignore"):
            found = {"innovation": found["innovation"] / np.sqrt(variance)}
    found = {name: values[np.isfinite(values)] for name, values in found.items()}
    found = {name: values for name, values in found.items() if values.size}
    if not found:
        what = " with a spread and an error" if normalised else ""
        problems.add(f"there is no departure{what}", found=f"{rows.size} rows without one")
    return found


def _finish(
    ax: Any, table: xr.Dataset, count: int, outside: int, normalised: bool, edges: np.ndarray
) -> None:
    """Labels."""
    unit = table["innovation"].attrs.get("units", "")
    ax.axvline(0.0, color="k", linewidth=0.8)
    ax.set_xlim(edges[0], edges[-1])
    ax.set_xlabel("O-B over its expected error" if normalised else f"departure [{unit}]")
    ax.set_ylabel("density")
    ax.set_title(f"{count} observations" + (f", {outside} outside" if outside else ""))
    ax.legend(fontsize="small")
