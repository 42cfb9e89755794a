"""Choices along the axes of a view: one value, the mean of a range, or what is nearest.

Every choice is checked before anything is drawn, and leaves its words for the title.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from xdeepda.calendar import positions_of
from xdeepda.errors import Problems
from xdeepda.plot.looking import View

#: Stands for a choice of the whole axis.
ALL = "all"


def choose_member(view: View, member: int | None, problems: Problems) -> None:
    """One member by its position, else the mean over them."""
    if "member" not in view.values.dims:
        if member is not None:
            problems.add("there are no members", found=f"dimensions {view.source.layout.dims}")
        return
    count = view.values.sizes["member"]
    if member is None:
        view.values = _mean(view.values, "member")
        view.words.append(f"mean of {count} members" if count > 1 else "")
    elif isinstance(member, bool) or not isinstance(member, int) or not -count <= member < count:
        problems.add(f"there is no member {member!r}", expected=f"0 to {count - 1}")
    else:
        view.values = view.values.isel(member=member)
        view.words.append(f"member {member % count}")


def choose_depth(view: View, depth: Any, problems: Problems) -> None:
    """Nearest level, or the mean of a range of depths, weighted by thickness."""
    levels = view.grid.depth
    if levels is None or "depth" not in view.values.dims:
        if depth is not None:
            problems.add("there is no axis of depth", found=f"dimensions {view.source.layout.dims}")
        return
    if isinstance(depth, (tuple, list)):
        _choose_range(view, "depth", depth, view.grid.thickness, problems)
        return
    wanted = float(levels[0]) if depth is None else number_of(depth)
    if wanted is None or wanted < 0:
        problems.add(f"depth={depth!r} is no depth", expected="metres, positive down")
        return
    k = int(np.argmin(np.abs(levels - wanted)))
    moved = abs(levels[k] - wanted) > 0.5
    view.words.append(f"{levels[k]:.4g} m" + (f" (nearest to {wanted:.4g} m)" if moved else ""))
    view.values = view.values.isel(depth=k, drop=True)


def choose_place(view: View, axis: str, wanted: Any, problems: Problems) -> None:
    """Nearest latitude or longitude within the grid, or the mean of a range.

    Parameters
    ----------
    view : View
    axis : {"lat", "lon"}
    wanted : float, (float, float) or "all"
    problems : Problems
    """
    if axis not in view.values.dims:
        if wanted not in (None, ALL):
            problems.add(f"{axis}={wanted!r}: there is no such axis",
                         found=f"dimensions {view.source.layout.dims}")  # fmt: skip
        return
    if isinstance(wanted, (tuple, list)) or (isinstance(wanted, str) and wanted == ALL):
        weights = np.cos(np.deg2rad(view.values[axis].values)) if axis == "lat" else None
        _choose_range(view, axis, wanted, weights, problems)
        return
    n = nearest_place(view, axis, wanted, problems)
    if n is None:
        return
    text, asked = (words_of(axis, float(v)) for v in (view.values[axis].values[n], wanted))
    view.words.append(text + (f" (nearest to {asked})" if text != asked else ""))
    view.values = view.values.isel({axis: n}, drop=True)


def nearest_place(view: View, axis: str, wanted: Any, problems: Problems) -> int | None:
    """Position of the nearest latitude or longitude within the grid; None with a problem."""
    number = number_of(wanted)
    edges = getattr(view.grid, f"{axis}_edges")
    at = view.values[axis].values
    if number is None:
        problems.add(f"{axis}={wanted!r} is no place", expected="degrees, or (from, to)")
        return None
    apart = np.abs(_around(at - number) if axis == "lon" else at - number)
    n = int(np.argmin(apart))
    if apart[n] > np.diff(edges).max():
        problems.add(f"{axis}={wanted!r} is outside of the grid", expected=_span(view, axis))
        return None
    return n


def _choose_range(
    view: View, axis: str, wanted: Any, weights: np.ndarray | None, problems: Problems
) -> None:
    """Mean over a range of an axis, or over all of it."""
    at = view.values[axis].values
    if isinstance(wanted, str):
        inside, ends = np.ones(at.size, dtype=bool), (float(at.min()), float(at.max()))
    else:
        numbers = [n for n in map(number_of, wanted) if n is not None]
        if len(numbers) != 2 or len(wanted) != 2 or (axis != "lon" and numbers[0] > numbers[1]):
            problems.add(f"{axis}={wanted!r} is no range", expected="(from, to)")
            return
        ends = (numbers[0], numbers[1])
        inside = within(axis, at, ends)
    if not inside.any():
        problems.add(f"{axis}={wanted!r} holds no cell", expected=_span(view, axis),
                     todo="a single value takes the nearest cell")  # fmt: skip
        return
    part = view.values.isel({axis: np.flatnonzero(inside)})
    view.values = _mean(part, axis, None if weights is None else weights[inside])
    view.words.append(f"mean of {words_of(axis, ends[0])} to {words_of(axis, ends[1])}")


def within(axis: str, at: np.ndarray, ends: tuple[float, float]) -> np.ndarray:
    """Whether depths, latitudes or longitudes lie in a range; eastward from its first end."""
    low, high = ends
    if axis == "lon":
        width = 360.0 if high - low >= 360 else float(np.mod(high - low, 360))
        return np.asarray(np.mod(at - low + 1e-6, 360) <= width + 2e-6)
    return np.asarray((at >= low - 1e-6) & (at <= high + 1e-6))


def _mean(da: xr.DataArray, dim: str, weights: np.ndarray | None = None) -> xr.DataArray:
    """Mean over the sea, with the attributes."""
    if weights is None:
        out = da.mean(dim)
    else:
        out = da.weighted(xr.DataArray(weights, dims=dim)).mean(dim)
    out.attrs = da.attrs
    return out


def choose_time(view: View, time: Any, problems: Problems) -> None:
    """One time, or the mean of those that a date, a range or "mean" holds; else the last.

    Parameters
    ----------
    view : View
    time : str, date, slice, "mean" or None
        "1997" is the mean of a year; where no time falls into a date, the nearest is taken.
    problems : Problems
    """
    if "time" not in view.values.dims:
        if time is not None:
            problems.add("there is no time", found=f"dimensions {view.source.layout.dims}")
        return
    positions = times_within(view, time, problems)
    if positions is None:
        return
    at = view.values["time"].values
    chosen = view.values.isel(time=positions)
    if positions.size == 1:
        view.words.append(date(at[positions[0]]))
        view.values = chosen.isel(time=0, drop=True)
        return
    ends = f"{date(at[positions[0]])} to {date(at[positions[-1]])}"
    view.words.append(f"mean of {ends}")
    view.values = _mean(chosen, "time")


def times_within(view: View, time: Any, problems: Problems) -> np.ndarray | None:
    """Positions of the times that a choice holds; None with a problem."""
    axis = view.values["time"]
    if not axis.size:
        problems.add("there are no times to show", found="an axis of length 0")
        return None
    if time is None:
        return np.array([axis.size - 1])
    if isinstance(time, str) and time in ("mean", ALL):
        return np.arange(axis.size)
    return positions_of(axis, time, problems)


def date(when: Any) -> str:
    """Day of a time."""
    return f"{when!s:.10}"


def words_of(axis: str, value: float) -> str:
    """Depth, latitude or longitude in words.

    Examples
    --------
    >>> words_of("lon", 190.0), words_of("lat", -5.0), words_of("lon", 180.0)
    ('170°W', '5°S', '180°')
    """
    if axis == "depth":
        return f"{value:.4g} m"
    value = float(_around(value)) if axis == "lon" else value
    size = f"{abs(round(value, 2)):.5g}°"
    if round(value, 2) == 0 or (axis == "lon" and abs(value) == 180):
        return size
    return size + {"lat": "SN", "lon": "WE"}[axis][int(value > 0)]


def _around(degrees: Any) -> Any:
    """Degrees in (-180, 180]."""
    return 180 - np.mod(180 - np.asarray(degrees), 360)


def number_of(value: Any) -> float | None:
    """A finite number, or None."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if np.isfinite(number) and not isinstance(value, (bool, str)) else None


def _span(view: View, axis: str) -> str:
    """Ends of an axis in words."""
    edges = getattr(view.grid, f"{axis}_edges")
    if axis == "depth":
        return f"{edges[0]:.4g} to {edges[-1]:.4g} m"
    if axis == "lon" and view.grid.cyclic:
        return "any longitude"
    return f"{words_of(axis, float(edges[0]))} to {words_of(axis, float(edges[-1]))}"
