"""Statistics of ``verify`` as pictures: errors by depth, histograms of ranks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from xdeepda.errors import InputError, Problems
from xdeepda.plot.style import colour_map, depth_axis, new_axes
from xdeepda.verification.table import BESIDE, groups_of, is_scores

#: The standards that a result of ``verify`` holds beside the analysis, and their line styles.
_STANDARDS = {"background": "-.", "persistence": ":", "climatology": (0, (1, 3))}

#: Those that do not depend on the system.
_SHARED = {name: style for name, style in _STANDARDS.items() if name != "background"}


def by_depth(
    scores: xr.Dataset | Mapping[str, xr.Dataset],
    statistic: str = "rmse",
    *,
    spread: bool = True,
    standards: bool | None = None,
    intervals: bool = True,
    ax: Any = None,
    figsize: tuple[float, float] | None = None,
    yscale: str | None = None,
    label: str | None = None,
    **kwargs: Any,
) -> Any:
    """RMSE and spread by depth, of one or several methods.

    Parameters
    ----------
    scores : Dataset, or dict of name -> Dataset
        From :func:`xdeepda.verify`, :func:`xdeepda.osse` or the like with ``by="depth"``;
        of a dimension ``system``, ``reference``, ``region``, ... each has a line.
    statistic : str
        Any statistic of :func:`xdeepda.verify`.
    spread : bool
        Beside the RMSE also the error that the method expects, dashed.
    standards : bool, optional
        Also the RMSE of background, persistence and climatology, where they are known; by
        default if there is a single method; of the systems of one experiment those of
        persistence and climatology, which they share.
    intervals : bool
        Also the confidence intervals, shaded.
    ax, figsize, yscale
        As :func:`xdeepda.plot.section`.
    label : str, optional
        Name of the method, if it is a single one.
    **kwargs
        As matplotlib's ``plot``.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    InputError
        With all that is wrong: no result of ``verify``, no depth, no such statistic.

    Examples
    --------
    >>> analysis.deepda.verify(truth).deepda.plot.by_depth()  # doctest: +SKIP
    >>> xdeepda.plot.by_depth({"hybrid": a, "EnOI": b})  # doctest: +SKIP
    >>> truth.deepda.osse(network, models=model).deepda.plot.by_depth()  # doctest: +SKIP
    """
    problems = Problems("plot.by_depth")
    rows = _rows(scores, statistic, label or "analysis", problems)
    problems.raise_if_any()
    single = len(rows) == 1
    alike = single or _share_standards(scores)
    ax = new_axes(ax, figsize, (5.0, 5.5))
    for n, (name, one) in enumerate(rows.items()):
        style = {"color": f"C{n % 10}", "marker": ".", "label": name, **kwargs}
        _method(ax, one, statistic, style, intervals=intervals,
                spread=spread and statistic in ("rmse", "member_rmse"))  # fmt: skip
        if statistic == "rmse" and (alike if standards is None else standards) and n == 0:
            _standards(ax, one, _STANDARDS if single else _SHARED)
    first = next(iter(rows.values()))
    _finish(ax, first[statistic], statistic)
    depth = first["depth"].values
    depth_axis(ax, np.array([0.0, depth[-1] * 1.05]), yscale)
    if len(ax.get_legend_handles_labels()[1]) > 1:
        ax.legend(fontsize="small")
    return ax


def _rows(scores: Any, statistic: str, label: str, problems: Problems) -> dict[str, xr.Dataset]:
    """Name of each line -> its statistics, along depth alone."""
    given = dict(scores) if _is_mapping(scores) else {label: scores}
    out: dict[str, xr.Dataset] = {}
    if not given:
        problems.add("there is no method", expected="a dict of name -> result of verify")
    for name, one in given.items():
        if not is_scores(one):
            problems.add(f"{name}: this is no result of verify", found=type(one).__name__)
            continue
        if statistic not in one or "depth" not in one[statistic].dims:
            _tell_of_statistic(str(name), one, statistic, problems)
            continue
        parts = _split(one, [d for d in groups_of(one) if d != "depth"])
        for words, part in parts.items():
            out[", ".join(w for w in (str(name) if len(given) > 1 or not words else "", words)
                          if w)] = part  # fmt: skip
    if len(out) > 10:
        problems.add(f"{len(out)} lines are too many", expected="10 at most",
                     todo="choose: scores.sel(region='all'), ...")  # fmt: skip
    return out


def _is_mapping(scores: Any) -> bool:
    """Whether these are several results; a Dataset is a mapping as well."""
    return isinstance(scores, Mapping) and not isinstance(scores, xr.Dataset)


def _tell_of_statistic(name: str, one: xr.Dataset, statistic: str, problems: Problems) -> None:
    """Say that a statistic, or its axis of depth, is not there."""
    if statistic not in one:
        known = [str(n) for n, da in one.data_vars.items()
                 if not str(n).endswith(("_low", "_high")) and "depth" in da.dims]  # fmt: skip
        problems.add(f"{name}: there is no {statistic!r}", expected=f"of {known}")
        return
    problems.add(f"{name}: the statistics are not by depth", found=f"by {groups_of(one)}",
                 todo="verify(..., by='depth')")  # fmt: skip


def _split(one: xr.Dataset, dims: list[str]) -> dict[str, xr.Dataset]:
    """One Dataset for each group of the other dimensions, named by their labels."""
    parts = {"": one}
    for dim in dims:
        several = one.sizes[dim] > 1
        parts = {
            ", ".join(w for w in (words, str(value) if several else "") if w): part.isel({dim: n})
            for words, part in parts.items()
            for n, value in enumerate(one[dim].values)
        }
    return parts


def _method(
    ax: Any,
    one: xr.Dataset,
    statistic: str,
    style: dict[str, Any],
    *,
    intervals: bool,
    spread: bool,
) -> None:
    """Line, interval and expected error of one method."""
    z = one["depth"].values
    line = ax.plot(one[statistic].values, z, **style)[0]
    ends = [f"{statistic}_{end}" for end in ("low", "high")]
    if intervals and all(end in one and np.isfinite(one[end]).any() for end in ends):
        low, high = (one[end].values for end in ends)
        ax.fill_betweenx(z, low, high, color=line.get_color(), alpha=0.2, linewidth=0)
    if spread and "spread" in one:
        expected = one["spread"] ** 2
        if "observation_error" in one:
            expected = expected + one["observation_error"] ** 2
        ax.plot(np.sqrt(expected.values), z, "--", color=line.get_color(), linewidth=1,
                label=f"{style['label']}: expected error")  # fmt: skip


def _share_standards(scores: Any) -> bool:
    """Whether these are systems of one experiment, which is as hard for each of them."""
    return not _is_mapping(scores) and any(dim in scores.dims for dim in BESIDE)


def _standards(ax: Any, one: xr.Dataset, standards: dict[str, Any]) -> None:
    """Errors of what any analysis has to beat."""
    for name, dashes in standards.items():
        values = one.get(f"rmse_{name}")
        if values is not None and np.isfinite(values).any():
            ax.plot(values.values, one["depth"].values, color="0.35", linestyle=dashes,
                    linewidth=1.3, label=name)  # fmt: skip


def _finish(ax: Any, da: xr.DataArray, statistic: str) -> None:
    """Label and limits of the statistic."""
    words, unit = da.attrs.get("long_name", statistic), da.attrs.get("units", "1")
    ax.set_xlabel(words if unit == "1" else f"{words} [{unit}]")
    ax.locator_params(axis="x", nbins=5)
    if float(da.min()) >= 0:
        ax.set_xlim(left=0)
    else:
        ax.axvline(0.0, color="0.6", linewidth=0.8)


# ---- histograms


def rank_histogram(
    scores: xr.Dataset,
    *,
    kind: str | None = None,
    ax: Any = None,
    figsize: tuple[float, float] | None = None,
    **kwargs: Any,
) -> Any:
    """Histogram of ranks among the members, or of the stated distribution; flat is right.

    Parameters
    ----------
    scores : Dataset
        From :func:`xdeepda.verify`.  Up to six groups, such as levels, have a line each;
        more levels are drawn as a plane, depth downwards.
    kind : {"rank", "pit"}, optional
        Of the members, or of the probability integral transform; by default what is there,
        ranks first.
    ax : matplotlib.axes.Axes, optional
        By default those of a new figure.
    figsize : (float, float), optional
        Inches.
    **kwargs
        As matplotlib's ``bar`` (one group), ``plot`` (several) or ``pcolormesh``.

    Returns
    -------
    matplotlib.axes.Axes
        Shares of the bins, relative to those of a flat histogram.

    Raises
    ------
    InputError
        If there is no histogram, or there are too many groups.

    Examples
    --------
    >>> scores.deepda.plot.rank_histogram()  # doctest: +SKIP
    """
    found = _histogram(scores, kind)
    dim = str(found.dims[-1])
    share = found * found.sizes[dim]
    rows = _split(share.to_dataset(name="share"), [str(d) for d in share.dims if d != dim])
    ax = new_axes(ax, figsize, (6.0, 4.0))
    if len(rows) == 1:
        _bars(ax, next(iter(rows.values()))["share"], kwargs)
    elif len(rows) <= 6:
        _steps(ax, rows, str(share.dims[0]), kwargs)
    elif set(share.dims) == {"depth", dim}:
        return _plane(ax, share, kwargs)
    else:
        first = next(d for d in share.dims if d not in ("depth", dim))
        raise InputError(
            f"plot.rank_histogram: {len(rows)} groups are too many (6 at most, or levels alone); "
            f"choose: scores.sel({first}={share[first].values[0]!r})"
        )
    ax.axhline(1.0, color="k", linewidth=0.8, linestyle="--")
    ax.set_ylim(bottom=0)
    ax.set_ylabel("share, relative to a flat histogram")
    ax.set_xlabel(str(share[dim].attrs.get("long_name", dim)))
    return ax


def _histogram(scores: Any, kind: str | None) -> xr.DataArray:
    """Shares along their bins, which come last."""
    if not is_scores(scores):
        raise InputError("plot.rank_histogram: this is no Dataset of statistics of xdeepda.verify")
    kinds = ("rank", "pit") if kind is None else (kind,)
    for name in kinds:
        if f"{name}_histogram" in scores:
            found = scores[f"{name}_histogram"].transpose(..., name)
            return found.assign_coords({name: scores[name]})
    raise InputError(
        f"plot.rank_histogram: there is no histogram of kind {' or '.join(kinds)}; ranks need "
        "members (assimilate(..., members=N, keep_members=True)), 'pit' needs a spread"
    )


def _edges(da: xr.DataArray) -> np.ndarray:
    """Edges of the bins."""
    at = da[da.dims[-1]].values.astype(float)
    half = (at[1] - at[0]) / 2
    return np.append(at - half, at[-1] + half)


def _bars(ax: Any, share: xr.DataArray, kwargs: dict[str, Any]) -> None:
    """Bars of one group."""
    edges = _edges(share)
    ax.bar(edges[:-1], share.values, width=np.diff(edges),
           **{"align": "edge", "color": "C0", "edgecolor": "w", **kwargs})  # fmt: skip
    ax.set_xlim(edges[0], edges[-1])


def _steps(ax: Any, rows: dict[str, xr.Dataset], name: str, kwargs: dict[str, Any]) -> None:
    """A line of steps for each group."""
    unit = " m" if name == "depth" else ""
    for words, row in rows.items():
        edges = _edges(row["share"])
        style = {"label": f"{words}{unit}", **kwargs}
        ax.stairs(row["share"].values, edges, **style)
    ax.set_xlim(edges[0], edges[-1])
    ax.legend(fontsize="small", title=name)


def _plane(ax: Any, share: xr.DataArray, kwargs: dict[str, Any]) -> Any:
    """Levels downwards, colours around that of a flat histogram."""
    dim = str(share.dims[-1])
    share.attrs = {"long_name": "share, relative to a flat histogram"}
    share = share.reset_coords(drop=True)
    style = {"cmap": colour_map("difference"), "center": False, "vmin": 0.0, "vmax": 2.0, **kwargs}
    share.plot.pcolormesh(x=dim, y="depth", ax=ax, **style)
    depth_axis(ax, np.array([0.0, float(share["depth"][-1]) * 1.05]))
    ax.set_xlabel(str(share[dim].attrs.get("long_name", dim)))
    return ax
