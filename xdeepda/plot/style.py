"""How pictures look: figures, colours, axes of depth and of degrees, land.

The only place that asks for matplotlib, cmocean and cartopy, and not before something is drawn.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import xarray as xr

from xdeepda.calendar import ordinal
from xdeepda.errors import InputError
from xdeepda.plot.choosing import words_of
from xdeepda.plot.looking import View

#: Colour of what is no sea.
LAND = "0.78"

#: Kind of the values, or "kind quantity" -> (map of cmocean, map of matplotlib).
_MAPS = {
    "value temperature": ("thermal", "viridis"),
    "value salinity": ("haline", "viridis"),
    "value": ("", "viridis"),
    "difference": ("balance", "RdBu_r"),
    "spread": ("amp", "YlOrRd"),
    "count": ("dense", "PuBu"),
}
_DEPTHS = np.array([0, 10, 25, 50, 100, 200, 300, 500, 750, 1000, 1500, 2000, 3000, 4000, 5000,
                    6000, 8000, 10000], dtype=float)  # fmt: skip


def pyplot() -> Any:
    """Matplotlib's pyplot, or what to install."""
    try:
        from matplotlib import pyplot as plt
    except ImportError:
        raise ImportError("pictures need matplotlib: pip install 'xdeepda[plot]'") from None
    return plt


def new_axes(ax: Any, figsize: tuple[float, float] | None, default: tuple[float, float],
             **subplot: Any) -> Any:  # fmt: skip
    """The user's axes, or those of a new figure."""
    if ax is not None:
        if figsize is not None:
            raise InputError("plot: figsize= is of a new figure; leave it out with ax=")
        return ax
    kw = {"subplot_kw": subplot} if subplot else {}
    return pyplot().subplots(figsize=figsize or default, layout="constrained", **kw)[1]


def colour_map(kind: str, quantity: str | None = None) -> Any:
    """Colour map of a kind of values: cmocean's where it is installed."""
    ours, theirs = _MAPS.get(f"{kind} {quantity}", _MAPS[kind])
    try:
        with warnings.catch_warnings():
            # cmocean makes its maps in a way that matplotlib is about to leave
            warnings.simplefilter("ignore", DeprecationWarning)
            import cmocean
    except ImportError:
        return theirs
    return getattr(cmocean.cm, ours) if ours else theirs


def mesh(view: View, ax: Any, x: str, y: str, options: dict[str, Any]) -> Any:
    """Coloured cells by xarray's own ``pcolormesh``, land in grey.

    Parameters
    ----------
    view : View
        Of two dimensions.
    ax : Axes
    x, y : str
        Canonical names of the axes.
    options : dict
        The user's, for ``DataArray.plot.pcolormesh``.

    Returns
    -------
    matplotlib.collections.QuadMesh
    """
    ax.set_facecolor(LAND)
    given = dict(options)
    with xr.set_options(keep_attrs=True):
        drawn = view.values.plot.pcolormesh(
            x=x, y=y, ax=ax, **{**colours(view, view.values, given), **given}
        )
    if given.get("add_labels", True):
        ax.set_title(view.title)
    return drawn


def colours(view: View, values: xr.DataArray, given: dict[str, Any]) -> dict[str, Any]:
    """Defaults of xarray's colour arguments for a kind of values.

    Differences are symmetric around 0, spreads and counts begin at 0; what the user
    gives goes first.
    """
    out: dict[str, Any] = {"cmap": colour_map(view.kind, view.quantity)}
    if "norm" in given:
        return out
    out["center"] = 0.0 if view.kind == "difference" else False
    if view.kind in ("spread", "count") and "center" not in given:
        out["vmin"] = 0.0
    if view.kind == "difference" and not {"vmin", "vmax", "center", "robust", "levels"} & {*given}:
        out["vmax"] = float(np.nanmax(np.abs(values.values))) or 1.0
    if view.values.attrs["units"] in ("", "1"):
        # xarray would write "[1]"
        out["cbar_kwargs"] = {"label": view.label, **(given.get("cbar_kwargs") or {})}
        given.pop("cbar_kwargs", None)
    return out


def refuse_empty(view: View, verb: str) -> None:
    """Refuse to draw land alone."""
    if not np.isfinite(view.values.values).any():
        raise InputError(
            f"{verb}: there is no value to show ({view.title or 'nothing was chosen'}); the place "
            "is on land, below the sea floor, or nothing is known of it"
        )


# ---- axes


def drawable_times(times: xr.DataArray) -> np.ndarray:
    """Times that matplotlib draws: as they are, or of cftime years with a fraction."""
    return ordinal(times) / 372.0 if times.dtype == object else times.values


def time_axis(ax: Any, which: str, times: np.ndarray) -> None:
    """Ticks of years, or of months, where times are years with a fraction."""
    from matplotlib.ticker import MaxNLocator, MultipleLocator

    its = getattr(ax, f"{which}axis")
    getattr(ax, f"set_{which}label")("")
    if times.dtype.kind != "f":
        return
    years = float(np.ptp(times))
    if years > 4:
        its.set_major_locator(MaxNLocator(nbins=8, integer=True))
    else:
        months = next((m for m in (1, 2, 3, 6) if years * 12 / m <= 8), 6)
        its.set_major_locator(MultipleLocator(months / 12))
    its.set_major_formatter(lambda year, _: _month(year))


def _month(year: float) -> str:
    """Year and month of a year with a fraction; January is the year alone."""
    months = round(year * 12)
    text = f"{months // 12:04d}"
    return text if months % 12 == 0 else f"{text}-{months % 12 + 1:02d}"


def depth_axis(ax: Any, edges: np.ndarray, yscale: str | None = None) -> None:
    """Depth downwards, the upper ocean stretched by a square root.

    Parameters
    ----------
    ax : Axes
    edges : numpy.ndarray
        Depths in metres; the last is the lower end of the axis.
    yscale : str, optional
        A scale of matplotlib's instead, such as ``"linear"``.
    """
    # coordinates in float32 miss the surface by a hair
    bottom, top = float(edges[-1]), float(edges[0]) if edges[0] > 0.01 else 0.0
    if yscale is None:
        # the axis asks for values above the surface as well, where a root has none
        ax.set_yscale("function", functions=(lambda z: np.sqrt(np.maximum(z, 0.0)), np.square))
        ax.set_yticks(_depth_ticks(top, bottom))
        ax.yaxis.set_major_formatter(lambda z, _: f"{z:.6g}")
        ax.minorticks_off()
    else:
        ax.set_yscale(yscale)
    ax.set_ylim(bottom, top)
    ax.set_ylabel("depth [m]")


def _depth_ticks(top: float, bottom: float) -> np.ndarray:
    """Round depths that do not crowd on an axis with a root."""
    inside = np.array([z for z in _DEPTHS if top <= z <= bottom])
    if inside.size < 2:
        return np.array([top, bottom])
    kept = [inside[0]]
    length = np.sqrt(bottom) - np.sqrt(top)
    for z in inside[1:]:
        if np.sqrt(z) - np.sqrt(kept[-1]) > 0.075 * length:
            kept.append(z)
    return np.array(kept)


def degree_axis(ax: Any, axis: str, which: str, edges: np.ndarray) -> None:
    """Latitudes or longitudes in words, ticks at round degrees.

    Parameters
    ----------
    ax : Axes
    axis : {"lat", "lon"}
    which : {"x", "y"}
    edges : numpy.ndarray
    """
    from matplotlib.ticker import MaxNLocator

    its = getattr(ax, f"{which}axis")
    box = ax.get_position()
    wide, high = ax.figure.get_size_inches()
    room = box.width * wide / 0.55 if which == "x" else box.height * high / 0.4
    most = int(np.clip(room, 3, 9))
    its.set_major_locator(MaxNLocator(nbins=most, steps=[1, 1.5, 2, 3, 6, 10]))
    its.set_major_formatter(lambda value, _: words_of(axis, value))
    getattr(ax, f"set_{which}lim")(float(edges[0]), float(edges[-1]))
    getattr(ax, f"set_{which}label")("")


def edges_of(view: View, axis: str) -> np.ndarray:
    """Edges of the cells of an axis, longitudes from where the picture begins."""
    edges = np.asarray(getattr(view.grid, f"{axis}_edges"))
    if axis != "lon" or not view.grid.cyclic:
        return edges
    at = view.values["lon"].values
    west = (at[0] + at[-1] - 360) / 2
    return np.array([west, west + 360])
